/* The kept part of a request body: whole or lost, and never more than may be kept, unless an attempt has yet to send it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dispatch/body.h"

#define PLENTY 1000000

static atomic_size_t total;

static int set_up(void **state)
{
    (void)state;
    atomic_store(&total, 0);
    return 0;
}

static struct body_limits limits(uint64_t each_bytes, uint64_t all_bytes)
{
    return (struct body_limits){.each_bytes = each_bytes, .all_bytes = all_bytes, .kept_bytes = &total};
}

static void append(struct body *body, struct text piece, uint64_t each_bytes, uint64_t all_bytes)
{
    struct body_limits bounds = limits(each_bytes, all_bytes);
    assert_true(body_append(body, piece, &bounds, false));
}

/* An attempt has yet to send it. */
static void append_needed(struct body *body, struct text piece, uint64_t each_bytes, uint64_t all_bytes)
{
    struct body_limits bounds = limits(each_bytes, all_bytes);
    assert_true(body_append(body, piece, &bounds, true));
}

static bool is_lost(const struct body *body)
{
    assert_true(body->state == BODY_KEPT || (body->bytes == NULL && body->capacity == 0 && body->length == 0));
    return body->state == BODY_LOST;
}

static void assert_kept(size_t bytes)
{
    assert_int_equal(atomic_load(&total), bytes);
}

static void pieces_are_kept_in_order(void **state)
{
    (void)state;
    struct body body = {0};
    append(&body, TEXT("one "), PLENTY, PLENTY);
    append(&body, TEXT_EMPTY, PLENTY, PLENTY);
    append(&body, TEXT("two "), PLENTY, PLENTY);
    append(&body, TEXT("three"), PLENTY, PLENTY);
    assert_true(text_equals(body_text(&body), TEXT("one two three")));
    assert_false(is_lost(&body));
    assert_int_equal(body.total_bytes, 13);
    assert_kept(body.capacity);
    body_drop(&body, &total);
    assert_kept(0);
    assert_null(body.bytes);
    assert_int_equal(body.length, 0);
    assert_int_equal(body.total_bytes, 13);
}

static void each_attempt_reads_from_its_own_place(void **state)
{
    (void)state;
    struct body body = {0};
    append(&body, TEXT("0123456789"), PLENTY, PLENTY);
    assert_true(text_equals(body_read(&body, 0, 4), TEXT("0123")));
    assert_true(text_equals(body_read(&body, 4, 4), TEXT("4567")));
    assert_true(text_equals(body_read(&body, 8, 4), TEXT("89")));
    assert_int_equal(body_read(&body, 10, 4).length, 0);
    append(&body, TEXT("abc"), PLENTY, PLENTY);
    assert_true(text_equals(body_read(&body, 10, 4), TEXT("abc")));
    body_drop(&body, &total);
}

static void what_was_dropped_is_lost_if_there_was_anything(void **state)
{
    (void)state;
    struct body body = {0};
    body_drop(&body, &total);
    assert_false(is_lost(&body));
    append(&body, TEXT("x"), PLENTY, PLENTY);
    body_drop(&body, &total);
    assert_true(is_lost(&body));
    /* A part without its beginning is no use. */
    append(&body, TEXT("y"), PLENTY, PLENTY);
    assert_int_equal(body.length, 0);
    assert_int_equal(body.total_bytes, 2);
    assert_kept(0);
    body_drop(&body, &total);
    assert_true(is_lost(&body));
}

static void a_body_may_fill_its_bound_and_no_more(void **state)
{
    (void)state;
    struct body body = {0};
    append(&body, TEXT("01234"), 10, PLENTY);
    append(&body, TEXT("56789"), 10, PLENTY);
    assert_true(text_equals(body_text(&body), TEXT("0123456789")));
    assert_false(is_lost(&body));
    append(&body, TEXT("x"), 10, PLENTY);
    assert_true(is_lost(&body));
    assert_kept(0);
}

static void a_bound_of_nothing_keeps_nothing(void **state)
{
    (void)state;
    struct body body = {0};
    append(&body, TEXT_EMPTY, 0, PLENTY);
    assert_false(is_lost(&body));
    append(&body, TEXT("x"), 0, PLENTY);
    assert_true(is_lost(&body));
    assert_kept(0);
}

static void all_bodies_together_have_a_bound(void **state)
{
    (void)state;
    struct body first = {0};
    struct body second = {0};
    append(&first, TEXT("0123456789"), PLENTY, 15);
    append(&second, TEXT("01234"), PLENTY, 15);
    assert_false(is_lost(&first) || is_lost(&second));
    append(&second, TEXT("5"), PLENTY, 15);
    assert_true(is_lost(&second));
    assert_false(is_lost(&first));
    /* What it gave back is there for the other. */
    append(&first, TEXT("abcde"), PLENTY, 15);
    assert_true(text_equals(body_text(&first), TEXT("0123456789abcde")));
    assert_true(atomic_load(&total) <= 15);
    body_drop(&first, &total);
    assert_kept(0);
}

/* ---- what an attempt has yet to send ---- */

static void what_is_needed_is_kept_above_the_bounds(void **state)
{
    (void)state;
    struct body body = {0};
    append(&body, TEXT("0123456789"), 10, 10);
    append_needed(&body, TEXT("abc"), 10, 10);
    append_needed(&body, TEXT("defgh"), 10, 10);
    assert_false(is_lost(&body));
    assert_true(text_equals(body_text(&body), TEXT("0123456789abcdefgh")));
    assert_kept(body.capacity);
    /* By no more than it must be. */
    assert_int_equal(body.capacity, 18);
    /* With the first piece that nobody needs it is over. */
    append(&body, TEXT("i"), 10, 10);
    assert_true(is_lost(&body));
    assert_kept(0);
}

static void what_is_lost_is_not_needed(void **state)
{
    (void)state;
    struct body body = {0};
    append(&body, TEXT("01234567890"), 10, 10);
    assert_true(is_lost(&body));
    append_needed(&body, TEXT("x"), 10, 10);
    assert_true(is_lost(&body));
    assert_kept(0);
}

/* Others may not take more because of it. */
static void what_is_needed_counts_for_the_others(void **state)
{
    (void)state;
    struct body needed = {0};
    struct body other = {0};
    append_needed(&needed, TEXT("0123456789abcdef"), 100, 10);
    append(&other, TEXT("x"), 100, 10);
    assert_true(is_lost(&other));
    body_drop(&needed, &total);
    assert_kept(0);
}

/* Memory grows faster than the body, but not past any bound: after each piece of every size, for many bounds. */
static void memory_never_passes_the_bounds(void **state)
{
    (void)state;
    static const char bytes[512];
    uint32_t seed = 3;
    for (int round = 0; round < 500; round++) {
        struct body bodies[4] = {{0}};
        size_t lengths[4] = {0};
        seed = seed * 1664525 + 1013904223;
        size_t maximum = seed >> 10 & 4095;
        uint64_t total_maximum = seed >> 20;
        for (int i = 0; i < 60; i++) {
            seed = seed * 1664525 + 1013904223;
            struct body *body = &bodies[seed >> 30];
            size_t piece = seed >> 12 & 511;
            append(body, text_of(bytes, piece), maximum, total_maximum);
            lengths[seed >> 30] += piece;
            uint64_t held = 0;
            for (size_t j = 0; j < 4; j++) {
                held += bodies[j].capacity;
                assert_true(bodies[j].capacity <= maximum);
                assert_true(is_lost(&bodies[j]) || bodies[j].length == lengths[j]);
                assert_int_equal(bodies[j].total_bytes, lengths[j]);
            }
            assert_kept(held);
            assert_true(held <= total_maximum);
        }
        for (size_t j = 0; j < 4; j++)
            body_drop(&bodies[j], &total);
        assert_kept(0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(pieces_are_kept_in_order, set_up),
        cmocka_unit_test_setup(each_attempt_reads_from_its_own_place, set_up),
        cmocka_unit_test_setup(what_was_dropped_is_lost_if_there_was_anything, set_up),
        cmocka_unit_test_setup(a_body_may_fill_its_bound_and_no_more, set_up),
        cmocka_unit_test_setup(a_bound_of_nothing_keeps_nothing, set_up),
        cmocka_unit_test_setup(all_bodies_together_have_a_bound, set_up),
        cmocka_unit_test_setup(what_is_needed_is_kept_above_the_bounds, set_up),
        cmocka_unit_test_setup(what_is_lost_is_not_needed, set_up),
        cmocka_unit_test_setup(what_is_needed_counts_for_the_others, set_up),
        cmocka_unit_test_setup(memory_never_passes_the_bounds, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
