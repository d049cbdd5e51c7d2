/* The kept part of a request body: whole or lost, and never more than may be kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "exchange/replay.h"

#define PLENTY 1000000

static void pieces_are_kept_in_order(void **state)
{
    (void)state;
    struct replay replay = {0};
    uint64_t total = 0;
    replay_append(&replay, TEXT("one "), PLENTY, &total, PLENTY);
    replay_append(&replay, TEXT_EMPTY, PLENTY, &total, PLENTY);
    replay_append(&replay, TEXT("two "), PLENTY, &total, PLENTY);
    replay_append(&replay, TEXT("three"), PLENTY, &total, PLENTY);
    assert_true(text_equals(replay_text(&replay), TEXT("one two three")));
    assert_false(replay.is_lost);
    assert_int_equal(total, replay.capacity);
    replay_drop(&replay, &total);
    assert_int_equal(total, 0);
    assert_null(replay.bytes);
    assert_int_equal(replay.length, 0);
}

static void what_was_dropped_is_lost_if_there_was_anything(void **state)
{
    (void)state;
    struct replay replay = {0};
    uint64_t total = 0;
    replay_drop(&replay, &total);
    assert_false(replay.is_lost);
    replay_append(&replay, TEXT("x"), PLENTY, &total, PLENTY);
    replay_drop(&replay, &total);
    assert_true(replay.is_lost);
    /* A part without its beginning is no use. */
    replay_append(&replay, TEXT("y"), PLENTY, &total, PLENTY);
    assert_int_equal(replay.length, 0);
    assert_int_equal(total, 0);
    replay_drop(&replay, &total);
    assert_true(replay.is_lost);
}

static void a_body_may_fill_its_bound_and_no_more(void **state)
{
    (void)state;
    struct replay replay = {0};
    uint64_t total = 0;
    replay_append(&replay, TEXT("01234"), 10, &total, PLENTY);
    replay_append(&replay, TEXT("56789"), 10, &total, PLENTY);
    assert_true(text_equals(replay_text(&replay), TEXT("0123456789")));
    assert_false(replay.is_lost);
    replay_append(&replay, TEXT("x"), 10, &total, PLENTY);
    assert_true(replay.is_lost);
    assert_null(replay.bytes);
    assert_int_equal(total, 0);
}

static void a_bound_of_nothing_keeps_nothing(void **state)
{
    (void)state;
    struct replay replay = {0};
    uint64_t total = 0;
    replay_append(&replay, TEXT_EMPTY, 0, &total, PLENTY);
    assert_false(replay.is_lost);
    replay_append(&replay, TEXT("x"), 0, &total, PLENTY);
    assert_true(replay.is_lost);
    assert_int_equal(total, 0);
}

static void all_bodies_together_have_a_bound(void **state)
{
    (void)state;
    struct replay first = {0};
    struct replay second = {0};
    uint64_t total = 0;
    replay_append(&first, TEXT("0123456789"), PLENTY, &total, 15);
    replay_append(&second, TEXT("01234"), PLENTY, &total, 15);
    assert_false(first.is_lost || second.is_lost);
    replay_append(&second, TEXT("5"), PLENTY, &total, 15);
    assert_true(second.is_lost);
    assert_false(first.is_lost);
    /* What it gave back is there for the other. */
    replay_append(&first, TEXT("abcde"), PLENTY, &total, 15);
    assert_true(text_equals(replay_text(&first), TEXT("0123456789abcde")));
    assert_true(total <= 15);
    replay_drop(&first, &total);
    assert_int_equal(total, 0);
}

/* Memory grows faster than the body, but not past any bound: after each piece of every size, for many bounds. */
static void memory_never_passes_the_bounds(void **state)
{
    (void)state;
    static const char bytes[512];
    uint32_t seed = 3;
    for (int round = 0; round < 500; round++) {
        struct replay replays[4] = {{0}};
        uint64_t total = 0;
        size_t lengths[4] = {0};
        seed = seed * 1664525 + 1013904223;
        size_t maximum = seed >> 10 & 4095;
        uint64_t total_maximum = seed >> 20;
        for (int i = 0; i < 60; i++) {
            seed = seed * 1664525 + 1013904223;
            struct replay *replay = &replays[seed >> 30];
            size_t piece = seed >> 12 & 511;
            replay_append(replay, text_of(bytes, piece), maximum, &total, total_maximum);
            lengths[seed >> 30] += piece;
            uint64_t held = 0;
            for (size_t j = 0; j < 4; j++) {
                held += replays[j].capacity;
                assert_true(replays[j].capacity <= maximum);
                assert_true(replays[j].is_lost || replays[j].length == lengths[j]);
                assert_true(!replays[j].is_lost || replays[j].bytes == NULL);
            }
            assert_int_equal(held, total);
            assert_true(total <= total_maximum);
        }
        for (size_t j = 0; j < 4; j++)
            replay_drop(&replays[j], &total);
        assert_int_equal(total, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_kept_in_order),
        cmocka_unit_test(what_was_dropped_is_lost_if_there_was_anything),
        cmocka_unit_test(a_body_may_fill_its_bound_and_no_more),
        cmocka_unit_test(a_bound_of_nothing_keeps_nothing),
        cmocka_unit_test(all_bodies_together_have_a_bound),
        cmocka_unit_test(memory_never_passes_the_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
