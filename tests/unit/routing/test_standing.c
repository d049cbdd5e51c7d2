/* How a node stands by its answers: what sets it aside, for how long, and how it comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "routing/standing.h"

static const struct topology_eject settings = {.failures = 5, .share = 500, .maximum_share = 500, .time_ms = 5000};

static bool note(struct standing *standing, unsigned in_row, unsigned good, uint64_t now_ms)
{
    return standing_note_failure(standing, &settings, in_row, good, now_ms);
}

static void failures_in_a_row_set_it_aside(void **state)
{
    (void)state;
    struct standing standing = {0};
    for (unsigned i = 1; i < 5; i++)
        assert_false(note(&standing, i, 1000, 1000 + i));
    assert_true(note(&standing, 5, 1000, 1005));
}

/* Mixed with good answers it is the share that counts, of enough of them. */
static void a_share_of_failures_sets_it_aside(void **state)
{
    (void)state;
    struct standing standing = {0};
    unsigned good = UINT32_MAX - 3; /* the count goes round */
    for (unsigned i = 0; i < 5; i++)
        assert_false(note(&standing, 1, good + i, 1000 + i));
    assert_false(note(&standing, 1, good + 2, 1010));
    assert_false(note(&standing, 1, good + 2, 1011));
    assert_true(note(&standing, 1, good + 2, 1012));
    assert_true(standing_is_failing(&standing, &settings, good + 8, 1013));
    assert_false(standing_is_failing(&standing, &settings, good + 9, 1013));
    assert_false(standing_is_failing(&standing, &settings, good + 2, 1000 + STANDING_WINDOW_MS));
}

static void a_few_failures_among_many_answers_do_not(void **state)
{
    (void)state;
    struct standing standing = {0};
    for (unsigned i = 0; i < 1000; i++)
        assert_false(note(&standing, 1 + i % 4, 3 * i, 1000 + i));
}

static void old_failures_are_forgotten(void **state)
{
    (void)state;
    struct standing standing = {0};
    for (unsigned i = 0; i < 100; i++)
        assert_false(note(&standing, 1, i, 1000 + i * (uint64_t)(STANDING_WINDOW_MS / 5)));
}

static void it_can_be_switched_off(void **state)
{
    (void)state;
    static const struct topology_eject off = {.failures = 0, .share = 500};
    struct standing standing = {0};
    for (unsigned i = 1; i < 100; i++)
        assert_false(standing_note_failure(&standing, &off, i, 0, 1000));
}

/* 5 s, 10 s, ... 5 m, and up to a fifth more. */
static void the_time_doubles_and_is_spread(void **state)
{
    (void)state;
    struct standing standing = {0};
    uint64_t now_ms = 1000, expected_ms = 5000;
    for (unsigned i = 0; i < 10; i++) {
        standing_set_aside(&standing, &settings, i % 2 == 0 ? 0 : UINT32_MAX, now_ms);
        uint64_t time_ms = standing.until_ms - now_ms;
        if (i % 2 == 0)
            assert_int_equal(time_ms, expected_ms);
        else
            assert_in_range(time_ms, expected_ms + expected_ms / 6, expected_ms + expected_ms / 5);
        assert_false(standing_begin_trial(&standing, standing.until_ms - 1));
        now_ms = standing.until_ms;
        assert_true(standing_begin_trial(&standing, now_ms));
        expected_ms = expected_ms * 2 < STANDING_ASIDE_MAXIMUM_MS ? expected_ms * 2 : STANDING_ASIDE_MAXIMUM_MS;
    }
}

static void there_is_one_trial(void **state)
{
    (void)state;
    struct standing standing = {0};
    assert_false(standing_begin_trial(&standing, 99999));
    standing_set_aside(&standing, &settings, 0, 1000);
    assert_true(standing_begin_trial(&standing, 6000));
    assert_false(standing_begin_trial(&standing, 7000));
    /* It told nothing: the next one may. */
    standing_forget_trial(&standing, 7000);
    assert_int_equal(standing.state, STANDING_ASIDE);
    assert_true(standing_begin_trial(&standing, 7000));
}

static void it_comes_back_slowly(void **state)
{
    (void)state;
    struct standing standing = {0};
    standing_set_aside(&standing, &settings, 0, 1000);
    standing_begin_trial(&standing, 6000);
    standing_readmit(&standing, 6100);
    assert_int_equal(standing.state, STANDING_SLOW);
    assert_int_equal(standing_share(6100, 10000, 6100), 100);
    assert_int_equal(standing_share(6100, 10000, 8600), 250);
    assert_int_equal(standing_share(6100, 10000, 16099), 999);
    assert_int_equal(standing_share(6100, 10000, 16100), 1000);
    assert_int_equal(standing_share(6100, 0, 6100), 1000);
    assert_int_equal(standing_share(6100, 10000, 6000), 100);
    assert_false(standing_grow_up(&standing, 10000, 16099));
    assert_true(standing_grow_up(&standing, 10000, 16100));
    assert_int_equal(standing.state, STANDING_GOOD);
    assert_false(standing_grow_up(&standing, 10000, 99999));
}

/* Who was good for long enough is set aside as for the first time. */
static void old_times_are_forgotten(void **state)
{
    (void)state;
    struct standing standing = {0};
    uint64_t now_ms = 1000;
    for (unsigned i = 0; i < 3; i++) {
        standing_set_aside(&standing, &settings, 0, now_ms);
        assert_int_equal(standing.times, i + 1);
        standing_readmit(&standing, now_ms);
        standing_grow_up(&standing, 0, now_ms);
    }
    standing_set_aside(&standing, &settings, 0, now_ms + STANDING_ASIDE_MAXIMUM_MS);
    assert_int_equal(standing.times, 1);
}

static void never_more_than_a_share_of_the_nodes_is_aside(void **state)
{
    (void)state;
    assert_false(standing_may_leave(&settings, 1, 0));
    assert_true(standing_may_leave(&settings, 2, 0));
    assert_false(standing_may_leave(&settings, 2, 1));
    assert_true(standing_may_leave(&settings, 3, 0));
    assert_false(standing_may_leave(&settings, 3, 1));
    assert_true(standing_may_leave(&settings, 1000, 499));
    assert_false(standing_may_leave(&settings, 1000, 500));
}

static void a_pardon_is_for_every_state(void **state)
{
    (void)state;
    struct standing standing = {0};
    standing_pardon(&standing, 1000);
    standing_set_aside(&standing, &settings, 0, 1000);
    standing_pardon(&standing, 1001);
    assert_int_equal(standing.state, STANDING_GOOD);
    standing_set_aside(&standing, &settings, 0, 1002);
    standing_begin_trial(&standing, 99999);
    standing_pardon(&standing, 99999);
    assert_int_equal(standing.state, STANDING_GOOD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failures_in_a_row_set_it_aside),
        cmocka_unit_test(a_share_of_failures_sets_it_aside),
        cmocka_unit_test(a_few_failures_among_many_answers_do_not),
        cmocka_unit_test(old_failures_are_forgotten),
        cmocka_unit_test(it_can_be_switched_off),
        cmocka_unit_test(the_time_doubles_and_is_spread),
        cmocka_unit_test(there_is_one_trial),
        cmocka_unit_test(it_comes_back_slowly),
        cmocka_unit_test(old_times_are_forgotten),
        cmocka_unit_test(never_more_than_a_share_of_the_nodes_is_aside),
        cmocka_unit_test(a_pardon_is_for_every_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
