/* The health machine, probe by probe. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "routing/health.h"

/*
 * A history is a word of results (g good, u unauthorized, c connect, t timeout, s bad status, x tls, m malformed) and
 * a word of the states after each of them (U up, D down, ? unknown).
 */
static enum health_result result_of(char letter)
{
    switch (letter) {
    case 'g':
        return HEALTH_RESULT_GOOD;
    case 'u':
        return HEALTH_RESULT_UNAUTHORIZED;
    case 'c':
        return HEALTH_RESULT_CONNECT;
    case 't':
        return HEALTH_RESULT_TIMEOUT;
    case 's':
        return HEALTH_RESULT_BAD_STATUS;
    case 'x':
        return HEALTH_RESULT_TLS;
    default:
        return HEALTH_RESULT_MALFORMED;
    }
}

static void histories(void **state)
{
    (void)state;
    static const struct {
        unsigned rise, fall;
        const char *results, *states;
    } rows[] = {
        /* The first good result decides at once, whatever rise says; bad ones do so when there are `fall` in a row. */
        {2, 3, "g", "U"},
        {2, 3, "u", "U"},
        {2, 1, "c", "D"},
        {2, 3, "ctx", "??D"},
        {5, 5, "sssss", "????D"},
        {2, 3, "ccgccs", "??UUUD"},
        /* Then it takes `fall` bad ones in a row, of any kind. */
        {2, 3, "gcts", "UUUD"},
        {2, 3, "gccgccg", "UUUUUUU"},
        {2, 3, "gccucmt", "UUUUUUD"},
        {2, 1, "gsg", "UDD"},
        /* And `rise` good ones in a row to return. */
        {2, 3, "cccgg", "??DDU"},
        {2, 3, "cccgcgg", "??DDDDU"},
        {1, 3, "cccg", "??DU"},
        {3, 1, "cguug", "DDDUU"},
        /* Bad ones before the return do not count towards the next fall. */
        {1, 2, "ccgcgc", "?DUUUU"},
        {1, 2, "ccgcc", "?DUUD"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct health health = {0};
        assert_int_equal(health.state, HEALTH_UNKNOWN);
        assert_int_equal(strlen(rows[i].results), strlen(rows[i].states));
        for (size_t j = 0; rows[i].results[j] != '\0'; j++) {
            enum health_state before = health.state;
            uint64_t changed_ms = health.changed_ms, now_ms = 1000 + j;
            bool changed = health_feed(&health, result_of(rows[i].results[j]), rows[i].rise, rows[i].fall, now_ms);
            char letter = rows[i].states[j];
            enum health_state expected = letter == 'U' ? HEALTH_UP : letter == 'D' ? HEALTH_DOWN : HEALTH_UNKNOWN;
            if (health.state != expected)
                fail_msg("row %zu, result %zu: %s", i, j, health_state_name(health.state));
            assert_int_equal(changed, before != expected);
            assert_int_equal(health.changed_ms, changed ? now_ms : changed_ms);
            assert_int_equal(health.last, result_of(rows[i].results[j]));
        }
    }
}

static void counts_stay_at_their_end(void **state)
{
    (void)state;
    struct health health = {.state = HEALTH_UP, .good_in_row = UINT32_MAX};
    assert_false(health_feed(&health, HEALTH_RESULT_GOOD, 2, 3, 1));
    assert_int_equal(health.good_in_row, UINT32_MAX);
    health = (struct health){.state = HEALTH_DOWN, .bad_in_row = UINT32_MAX};
    assert_false(health_feed(&health, HEALTH_RESULT_CONNECT, 2, 3, 1));
    assert_int_equal(health.bad_in_row, UINT32_MAX);
}

static void statuses(void **state)
{
    (void)state;
    static const struct {
        unsigned status;
        bool asked_ready;
        enum health_result result;
        bool fall_back;
    } rows[] = {
        {200, true, HEALTH_RESULT_GOOD, false},          {204, false, HEALTH_RESULT_GOOD, false},
        {299, false, HEALTH_RESULT_GOOD, false},         {401, true, HEALTH_RESULT_UNAUTHORIZED, false},
        {403, false, HEALTH_RESULT_UNAUTHORIZED, false}, {503, true, HEALTH_RESULT_BAD_STATUS, false},
        {500, false, HEALTH_RESULT_BAD_STATUS, false},   {404, true, HEALTH_RESULT_BAD_STATUS, true},
        {404, false, HEALTH_RESULT_BAD_STATUS, false},   {302, true, HEALTH_RESULT_BAD_STATUS, false},
        {101, true, HEALTH_RESULT_BAD_STATUS, false},    {0, true, HEALTH_RESULT_MALFORMED, false},
        {99, true, HEALTH_RESULT_MALFORMED, false},      {600, true, HEALTH_RESULT_MALFORMED, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bool fall_back = !rows[i].fall_back;
        assert_int_equal(health_judge_status(rows[i].status, rows[i].asked_ready, &fall_back), rows[i].result);
        assert_int_equal(fall_back, rows[i].fall_back);
    }
}

static void usable_until_down_or_unreachable(void **state)
{
    (void)state;
    assert_true(health_is_usable(HEALTH_UNKNOWN, 0));
    assert_true(health_is_usable(HEALTH_UP, HEALTH_PASSIVE_FAILURES - 1));
    assert_false(health_is_usable(HEALTH_UP, HEALTH_PASSIVE_FAILURES));
    assert_false(health_is_usable(HEALTH_UNKNOWN, HEALTH_PASSIVE_FAILURES + 1));
    assert_false(health_is_usable(HEALTH_DOWN, 0));
}

static void probes_are_jittered_within_a_tenth(void **state)
{
    (void)state;
    uint64_t least = UINT64_MAX, most = 0;
    for (uint32_t random = 0; random < 10000; random++) {
        uint64_t delay_ms = health_next_probe_ms(2000, random * 2654435761u);
        assert_in_range(delay_ms, 1800, 2200);
        least = delay_ms < least ? delay_ms : least;
        most = delay_ms > most ? delay_ms : most;
    }
    assert_int_equal(least, 1800);
    assert_int_equal(most, 2200);
    assert_in_range(health_next_probe_ms(0, 5), 1, 1);
    assert_in_range(health_next_probe_ms(1, UINT32_MAX), 1, 1);
    assert_in_range(health_next_probe_ms(86400000, UINT32_MAX), 77760000, 95040000);
}

static void names_are_words(void **state)
{
    (void)state;
    assert_string_equal(health_state_name(HEALTH_UNKNOWN), "unknown");
    assert_string_equal(health_state_name(HEALTH_DOWN), "down");
    for (int result = HEALTH_RESULT_GOOD; result <= HEALTH_RESULT_MALFORMED; result++)
        assert_true(strlen(health_result_name((enum health_result)result)) > 0);
    assert_string_equal(health_result_name(HEALTH_RESULT_MALFORMED), "malformed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(histories),
        cmocka_unit_test(counts_stay_at_their_end),
        cmocka_unit_test(statuses),
        cmocka_unit_test(usable_until_down_or_unreachable),
        cmocka_unit_test(probes_are_jittered_within_a_tenth),
        cmocka_unit_test(names_are_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
