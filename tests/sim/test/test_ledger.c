/* The book and its rules: each one fails when it should, and only then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "check/invariants.h"
#include "check/ledger.h"
#include "kernel/time.h"
#include "kernel/world.h"
#include "world/plan.h"

static const struct plan plan = {
    .faulty_seconds = 10,
    .quiet_seconds = 100,
    .node_count = 2,
    .rate = {[FAULT_KIND_NET_RESET] = 7},
    .nodes = {{.roles = PLAN_ROLE_INGEST, .http = 1}, {.roles = PLAN_ROLE_QUERY, .http = 1}},
};

static int open_book(void **state)
{
    (void)state;
    time_begin();
    time_advance(SIM_S);
    the_plan = &plan;
    ledger_open();
    return 0;
}

static int close_book(void **state)
{
    (void)state;
    ledger_close();
    return 0;
}

static void expect_verdict(const char *rule)
{
    const char *verdict = ledger_verdict();
    if (rule == NULL) {
        assert_null(verdict);
        return;
    }
    assert_non_null(verdict);
    assert_string_equal(verdict, rule);
}

/* ---- a try as it should be ---- */

static uint64_t write_well(enum try_kind kind)
{
    uint64_t number = ledger_begin(kind, 3);
    ledger_attempt(number, 0, true);
    ledger_applied(number, 0);
    ledger_durable(number, 0);
    ledger_end(number, TRY_DONE, 204);
    return number;
}

static void test_good_tries_break_no_rule(void **state)
{
    (void)state;
    assert_int_equal(write_well(TRY_WRITE_STAMPED), 1);
    assert_int_equal(write_well(TRY_WRITE_PLAIN), 2);
    assert_int_equal(write_well(TRY_WRITEBACK), 3);
    assert_int_equal(ledger_kind(2), TRY_WRITE_PLAIN);
    assert_true(ledger_knows(3));
    assert_false(ledger_knows(4));
    assert_false(ledger_knows(0));
    assert_int_equal(ledger_count(), 3);
    assert_int_equal(ledger_count_of(TRY_DONE), 3);
    ledger_close();
    expect_verdict(NULL);
}

static void test_many_tries(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 100000; i++)
        write_well(TRY_WRITE_STAMPED);
    assert_int_equal(ledger_kind(100000), TRY_WRITE_STAMPED);
    expect_verdict(NULL);
}

/* ---- lost ---- */

static void test_acknowledged_and_not_durable(void **state)
{
    (void)state;
    uint64_t number = ledger_begin(TRY_WRITE_STAMPED, 1);
    ledger_attempt(number, 0, true);
    ledger_applied(number, 0);
    expect_verdict(NULL);
    ledger_end(number, TRY_DONE, 204);
    expect_verdict("lost");
}

static void test_undone_before_it_was_durable(void **state)
{
    (void)state;
    uint64_t number = ledger_begin(TRY_WRITE_STAMPED, 1);
    ledger_applied(number, 0);
    ledger_undone(number, 0);
    ledger_applied(number, 0);
    ledger_durable(number, 0);
    ledger_end(number, TRY_DONE, 204);
    expect_verdict(NULL);
}

static void test_undone_after_it_was_durable(void **state)
{
    (void)state;
    uint64_t number = write_well(TRY_WRITE_STAMPED);
    ledger_undone(number, 0);
    expect_verdict("lost");
}

static void test_refused_and_not_durable(void **state)
{
    (void)state;
    ledger_end(ledger_begin(TRY_WRITE_STAMPED, 1), TRY_REFUSED, 503);
    ledger_end(ledger_begin(TRY_WRITE_PLAIN, 1), TRY_CUT, 0);
    expect_verdict(NULL);
}

/* ---- twice ---- */

static void apply_twice(enum try_kind kind)
{
    uint64_t number = ledger_begin(kind, 1);
    ledger_applied(number, 0);
    expect_verdict(NULL);
    ledger_applied(number, 1);
}

static void test_stamped_twice(void **state)
{
    (void)state;
    apply_twice(TRY_WRITE_STAMPED);
    expect_verdict(NULL);
}

static void test_plain_twice(void **state)
{
    (void)state;
    apply_twice(TRY_WRITE_PLAIN);
    expect_verdict("twice");
}

static void test_writeback_twice(void **state)
{
    (void)state;
    apply_twice(TRY_WRITEBACK);
    expect_verdict("twice");
}

static void test_catalog_twice(void **state)
{
    (void)state;
    apply_twice(TRY_CATALOG);
    expect_verdict("twice");
}

/* ---- nodes and attempts ---- */

static void test_wrong_node(void **state)
{
    (void)state;
    uint64_t number = ledger_begin(TRY_WRITE_STAMPED, 1);
    ledger_attempt(number, 0, true);
    expect_verdict(NULL);
    ledger_attempt(number, 1, false);
    expect_verdict("wrong_node");
}

static void attempt_until_too_many(enum try_kind kind, unsigned allowed)
{
    uint64_t number = ledger_begin(kind, 1);
    assert_int_equal(invariant_attempts_maximum(kind), allowed);
    for (unsigned i = 0; i < allowed; i++)
        ledger_attempt(number, i % 2, true);
    expect_verdict(NULL);
    ledger_attempt(number, 0, true);
    expect_verdict("attempts");
}

static void test_attempts_of_a_write(void **state)
{
    (void)state;
    attempt_until_too_many(TRY_WRITE_STAMPED, 4);
}

static void test_attempts_of_a_writeback(void **state)
{
    (void)state;
    attempt_until_too_many(TRY_WRITEBACK, 2);
}

static void test_attempts_of_a_call(void **state)
{
    (void)state;
    attempt_until_too_many(TRY_FLIGHT, 4);
}

static void test_attempts_of_what_sluice_answers(void **state)
{
    (void)state;
    attempt_until_too_many(TRY_LOCAL, 0);
}

/* ---- the hostile ---- */

static void test_hostile_number_at_a_node(void **state)
{
    (void)state;
    uint64_t number = ledger_begin(TRY_HOSTILE, 1);
    ledger_end(number, TRY_LEFT, 0);
    expect_verdict(NULL);
    ledger_attempt(number, 0, true);
    expect_verdict("smuggled");
}

static void test_hostile_number_applied(void **state)
{
    (void)state;
    ledger_applied(ledger_begin(TRY_HOSTILE, 1), 0);
    expect_verdict("smuggled");
}

static void test_query_applied(void **state)
{
    (void)state;
    ledger_applied(ledger_begin(TRY_QUERY, 1), 0);
    expect_verdict("smuggled");
}

/* ---- in peace ---- */

static void end_at(uint64_t begun_us, enum try_kind kind, enum try_end end, unsigned status)
{
    time_begin();
    time_advance(begun_us);
    uint64_t number = ledger_begin(kind, 1);
    time_advance(sim_now_us() + SIM_S);
    ledger_end(number, end, status);
}

#define PEACE_US ((10 + INVARIANT_RECOVERY_SECONDS) * SIM_S)

static void test_refused_while_faults_last(void **state)
{
    (void)state;
    end_at(5 * SIM_S, TRY_WRITE_STAMPED, TRY_REFUSED, 503);
    end_at(PEACE_US - SIM_S / 2, TRY_WRITE_STAMPED, TRY_CUT, 0);
    expect_verdict(NULL);
}

static void test_refused_in_peace(void **state)
{
    (void)state;
    end_at(PEACE_US + 1, TRY_QUERY, TRY_REFUSED, 404);
    expect_verdict(NULL);
    end_at(PEACE_US + 1, TRY_QUERY, TRY_REFUSED, 503);
    expect_verdict("not_served");
}

static void test_cut_in_peace(void **state)
{
    (void)state;
    end_at(PEACE_US + 1, TRY_WRITE_PLAIN, TRY_CUT, 0);
    expect_verdict("not_served");
}

static void test_no_answer_in_peace(void **state)
{
    (void)state;
    end_at(PEACE_US + 1, TRY_CATALOG, TRY_LEFT, 0);
    expect_verdict("not_served");
}

/* No node compacts, and none that queries speaks HTTP/2. */
static void test_what_cannot_be_served(void **state)
{
    (void)state;
    end_at(PEACE_US + 1, TRY_COMPACTOR, TRY_REFUSED, 503);
    end_at(PEACE_US + 1, TRY_FLIGHT, TRY_REFUSED, 503);
    end_at(PEACE_US + 1, TRY_HOSTILE, TRY_LEFT, 0);
    expect_verdict(NULL);
}

/* ---- the book ---- */

static void test_open_try(void **state)
{
    (void)state;
    write_well(TRY_WRITE_STAMPED);
    ledger_begin(TRY_QUERY, 1);
    expect_verdict(NULL);
    ledger_close();
    expect_verdict("open_try");
}

static void test_ended_twice(void **state)
{
    (void)state;
    uint64_t number = write_well(TRY_WRITE_STAMPED);
    ledger_end(number, TRY_LEFT, 0);
    expect_verdict("book");
}

static void test_unknown_number(void **state)
{
    (void)state;
    ledger_attempt(17, 0, true);
    expect_verdict("book");
}

static void test_durable_without_being_applied(void **state)
{
    (void)state;
    ledger_durable(ledger_begin(TRY_WRITE_STAMPED, 1), 0);
    expect_verdict("book");
}

static void test_first_violation_is_the_verdict(void **state)
{
    (void)state;
    ledger_violation("first", "%s", "words");
    ledger_violation("second", "%s", "words");
    expect_verdict("first");
    ledger_close();
    expect_verdict("first");
    ledger_open();
    expect_verdict(NULL);
}

/* ---- plan and reached states ---- */

static void test_plan_is_quiet_in_the_end(void **state)
{
    (void)state;
    time_advance(10 * SIM_S - 1);
    assert_int_equal(plan_rate(&plan, FAULT_KIND_NET_RESET), 7);
    assert_int_equal(plan_rate(&plan, FAULT_KIND_NET_DELAY), 0);
    time_advance(10 * SIM_S);
    assert_int_equal(plan_rate(&plan, FAULT_KIND_NET_RESET), 0);
    assert_string_equal(fault_kind_word(FAULT_KIND_NET_RESET), "net_reset");
}

static void count_name(void *owner, const char *name)
{
    (void)name;
    ++*(unsigned *)owner;
}

static void test_a_state_is_reached_once(void **state)
{
    (void)state;
    static const char first[] = "client: a state";
    static const char same_words[] = "client: a state";
    unsigned count = 0;
    for (int i = 0; i < 3; i++)
        reached(first);
    reached(same_words);
    reached("client: another state");
    reached_each(count_name, &count);
    assert_int_equal(count, 2);
    count = 0;
    reached_clear();
    reached_each(count_name, &count);
    assert_int_equal(count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_book, close_book)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_good_tries_break_no_rule),
        TEST(test_many_tries),
        TEST(test_acknowledged_and_not_durable),
        TEST(test_undone_before_it_was_durable),
        TEST(test_undone_after_it_was_durable),
        TEST(test_refused_and_not_durable),
        TEST(test_stamped_twice),
        TEST(test_plain_twice),
        TEST(test_writeback_twice),
        TEST(test_catalog_twice),
        TEST(test_wrong_node),
        TEST(test_attempts_of_a_write),
        TEST(test_attempts_of_a_writeback),
        TEST(test_attempts_of_a_call),
        TEST(test_attempts_of_what_sluice_answers),
        TEST(test_hostile_number_at_a_node),
        TEST(test_hostile_number_applied),
        TEST(test_query_applied),
        TEST(test_refused_while_faults_last),
        TEST(test_refused_in_peace),
        TEST(test_cut_in_peace),
        TEST(test_no_answer_in_peace),
        TEST(test_what_cannot_be_served),
        TEST(test_open_try),
        TEST(test_ended_twice),
        TEST(test_unknown_number),
        TEST(test_durable_without_being_applied),
        TEST(test_first_violation_is_the_verdict),
        TEST(test_plan_is_quiet_in_the_end),
        TEST(test_a_state_is_reached_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
