/* What a client may ask of a connection without asking for anything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "http/h2_budget.h"

#define START_MS 1000000

static unsigned spend_all(struct h2_budget *budget, enum h2_expense expense, uint64_t now_ms)
{
    unsigned count = 0;
    while (h2_budget_spend(budget, expense, now_ms))
        count++;
    return count;
}

static void each_expense_has_its_price(void **state)
{
    (void)state;
    static const struct {
        enum h2_expense expense;
        const char *name;
        unsigned affordable;
    } rows[] = {
        {H2_EXPENSE_RESET, "reset", 200},
        {H2_EXPENSE_LATE_RESET, "late_reset", 1000},
        {H2_EXPENSE_SETTINGS, "settings", 100},
        {H2_EXPENSE_PING, "ping", 400},
        {H2_EXPENSE_EMPTY_DATA, "empty_data", 200},
        {H2_EXPENSE_PRIORITY, "priority", 1000},
        {H2_EXPENSE_WINDOW_UPDATE, "window_update", 2000},
        {H2_EXPENSE_UNKNOWN, "unknown_frame", 1000},
        {H2_EXPENSE_STALE, "stale_frame", 400},
        {H2_EXPENSE_HEADER_LIST, "header_list", 0},
        {H2_EXPENSE_UNREADABLE, "unreadable", 0},
    };
    assert_int_equal(sizeof rows / sizeof rows[0], H2_EXPENSE_COUNT);
    for (size_t i = 0; i < H2_EXPENSE_COUNT; i++) {
        struct h2_budget budget;
        h2_budget_start(&budget, 100, START_MS);
        unsigned count = spend_all(&budget, rows[i].expense, START_MS);
        if (count != rows[i].affordable)
            fail_msg("%s: %u, not %u", rows[i].name, count, rows[i].affordable);
        assert_string_equal(h2_expense_name(rows[i].expense), rows[i].name);
    }
}

static void resets_and_control_frames_do_not_share(void **state)
{
    (void)state;
    struct h2_budget budget;
    h2_budget_start(&budget, 100, START_MS);
    spend_all(&budget, H2_EXPENSE_RESET, START_MS);
    assert_int_equal(spend_all(&budget, H2_EXPENSE_PING, START_MS), 400);
    h2_budget_start(&budget, 100, START_MS);
    spend_all(&budget, H2_EXPENSE_PING, START_MS);
    assert_int_equal(spend_all(&budget, H2_EXPENSE_RESET, START_MS), 200);
}

static void control_frames_share(void **state)
{
    (void)state;
    struct h2_budget budget;
    h2_budget_start(&budget, 100, START_MS);
    for (int i = 0; i < 50; i++)
        assert_true(h2_budget_spend(&budget, H2_EXPENSE_SETTINGS, START_MS));
    assert_int_equal(spend_all(&budget, H2_EXPENSE_PING, START_MS), 200);
    assert_false(h2_budget_spend(&budget, H2_EXPENSE_WINDOW_UPDATE, START_MS));
}

static void time_refills(void **state)
{
    (void)state;
    struct h2_budget budget;
    h2_budget_start(&budget, 100, START_MS);
    spend_all(&budget, H2_EXPENSE_RESET, START_MS);
    spend_all(&budget, H2_EXPENSE_PING, START_MS);
    assert_int_equal(spend_all(&budget, H2_EXPENSE_RESET, START_MS + 24), 0);
    assert_int_equal(spend_all(&budget, H2_EXPENSE_RESET, START_MS + 25), 1);
    assert_int_equal(spend_all(&budget, H2_EXPENSE_RESET, START_MS + 1025), 40);
    /* 400 a second for control frames, which nobody has spent meanwhile. */
    assert_int_equal(spend_all(&budget, H2_EXPENSE_PING, START_MS + 1025), 41);
}

static void the_buckets_do_not_overflow(void **state)
{
    (void)state;
    struct h2_budget budget;
    h2_budget_start(&budget, 100, START_MS);
    assert_int_equal(spend_all(&budget, H2_EXPENSE_RESET, START_MS + 3600000), 200);
    assert_int_equal(spend_all(&budget, H2_EXPENSE_PING, START_MS + 3600000), 400);
    /* A machine that slept for ages. */
    assert_int_equal(spend_all(&budget, H2_EXPENSE_RESET, UINT64_MAX), 200);
    assert_int_equal(spend_all(&budget, H2_EXPENSE_PING, UINT64_MAX), 400);
}

/* Who may have many streams may throw all of them away, and does not wait longer for the next time. */
static void resets_go_by_the_streams_that_are_allowed(void **state)
{
    (void)state;
    static const struct {
        uint32_t streams;
        unsigned at_once;
        unsigned in_a_second;
    } rows[] = {{1, 200, 40}, {100, 200, 40}, {101, 202, 40}, {1000, 2000, 400}, {10000, 20000, 4000}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct h2_budget budget;
        h2_budget_start(&budget, rows[i].streams, START_MS);
        assert_int_equal(spend_all(&budget, H2_EXPENSE_RESET, START_MS), rows[i].at_once);
        assert_int_equal(spend_all(&budget, H2_EXPENSE_RESET, START_MS + 1000), rows[i].in_a_second);
        assert_int_equal(spend_all(&budget, H2_EXPENSE_RESET, START_MS + 7000), rows[i].at_once);
    }
}

/* Asked at whatever times, it gives as much as asked once. */
static void frequent_calls_lose_nothing_to_rounding(void **state)
{
    (void)state;
    struct h2_budget budget;
    h2_budget_start(&budget, 100, START_MS);
    spend_all(&budget, H2_EXPENSE_RESET, START_MS);
    spend_all(&budget, H2_EXPENSE_PING, START_MS);
    unsigned resets = 0;
    unsigned pings = 0;
    for (uint64_t passed = 40; passed <= 10000; passed += 40) {
        resets += spend_all(&budget, H2_EXPENSE_RESET, START_MS + passed);
        pings += spend_all(&budget, H2_EXPENSE_PING, START_MS + passed);
    }
    assert_int_equal(resets, 400);
    assert_int_equal(pings, 400);
}

/* One refusal ends the connection, so what is left must not make another frame pass. */
static void an_empty_bucket_stays_empty(void **state)
{
    (void)state;
    struct h2_budget budget;
    h2_budget_start(&budget, 100, START_MS);
    for (int i = 0; i < 399; i++)
        assert_true(h2_budget_spend(&budget, H2_EXPENSE_PING, START_MS));
    assert_false(h2_budget_spend(&budget, H2_EXPENSE_SETTINGS, START_MS));
    assert_false(h2_budget_spend(&budget, H2_EXPENSE_WINDOW_UPDATE, START_MS));
}

/* What our traffic brings is paid for, however much of it comes at one time: this client has slept. */
static void an_answer_to_our_traffic_costs_nothing(void **state)
{
    (void)state;
    static const struct {
        enum h2_occasion occasion;
        enum h2_expense answers[12];
        size_t count;
    } rows[] = {
        {H2_OCCASION_REQUEST, {H2_EXPENSE_WINDOW_UPDATE, H2_EXPENSE_LATE_RESET}, 2},
        {H2_OCCASION_DATA_RECEIVED, {H2_EXPENSE_PING, H2_EXPENSE_WINDOW_UPDATE}, 2},
        {H2_OCCASION_DATA_SENT,
         {H2_EXPENSE_PING, H2_EXPENSE_WINDOW_UPDATE, H2_EXPENSE_WINDOW_UPDATE, H2_EXPENSE_WINDOW_UPDATE, H2_EXPENSE_WINDOW_UPDATE,
          H2_EXPENSE_WINDOW_UPDATE, H2_EXPENSE_WINDOW_UPDATE, H2_EXPENSE_WINDOW_UPDATE, H2_EXPENSE_WINDOW_UPDATE,
          H2_EXPENSE_WINDOW_UPDATE, H2_EXPENSE_WINDOW_UPDATE},
         11},
    };
    assert_int_equal(sizeof rows / sizeof rows[0], H2_OCCASION_COUNT);
    for (size_t i = 0; i < H2_OCCASION_COUNT; i++) {
        struct h2_budget budget;
        h2_budget_start(&budget, 100, START_MS);
        for (int j = 0; j < 100000; j++)
            h2_budget_credit(&budget, rows[i].occasion);
        for (int j = 0; j < 100000; j++) {
            for (size_t k = 0; k < rows[i].count; k++)
                assert_true(h2_budget_spend(&budget, rows[i].answers[k], START_MS));
        }
        assert_int_equal(spend_all(&budget, H2_EXPENSE_PING, START_MS), 400);
    }
}

static void credit_pays_for_answers_alone(void **state)
{
    (void)state;
    static const enum h2_expense others[] = {H2_EXPENSE_RESET, H2_EXPENSE_EMPTY_DATA, H2_EXPENSE_PRIORITY, H2_EXPENSE_UNKNOWN,
                                             H2_EXPENSE_STALE, H2_EXPENSE_HEADER_LIST, H2_EXPENSE_UNREADABLE};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct h2_budget budget;
        h2_budget_start(&budget, 100, START_MS);
        unsigned usual = spend_all(&budget, others[i], START_MS);
        h2_budget_start(&budget, 100, START_MS);
        for (int j = 0; j < 1000000; j++)
            h2_budget_credit(&budget, H2_OCCASION_DATA_SENT);
        assert_int_equal(spend_all(&budget, others[i], START_MS), usual);
    }
    /* A reader also says how much it wants to be sent. */
    struct h2_budget budget;
    h2_budget_start(&budget, 100, START_MS);
    for (int j = 0; j < 4; j++)
        h2_budget_credit(&budget, H2_OCCASION_DATA_SENT);
    assert_int_equal(spend_all(&budget, H2_EXPENSE_SETTINGS, START_MS), 103);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_expense_has_its_price),
        cmocka_unit_test(resets_and_control_frames_do_not_share),
        cmocka_unit_test(control_frames_share),
        cmocka_unit_test(time_refills),
        cmocka_unit_test(the_buckets_do_not_overflow),
        cmocka_unit_test(resets_go_by_the_streams_that_are_allowed),
        cmocka_unit_test(frequent_calls_lose_nothing_to_rounding),
        cmocka_unit_test(an_empty_bucket_stays_empty),
        cmocka_unit_test(an_answer_to_our_traffic_costs_nothing),
        cmocka_unit_test(credit_pays_for_answers_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
