/* Does a client that sends a large body make progress? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "routing/upload_rate.h"

static void nothing_is_judged_before_a_window_is_over(void **state)
{
    (void)state;
    struct upload_rate rate = {0};
    assert_int_equal(upload_rate_due_ms(&rate), 0);
    assert_false(upload_rate_is_low(&rate, 500, 0, 1000000));
    upload_rate_begin(&rate, 70000, 1000);
    assert_int_equal(upload_rate_due_ms(&rate), 1000 + UPLOAD_RATE_WINDOW_MS);
    assert_false(upload_rate_is_low(&rate, 500, 70000, 1000 + UPLOAD_RATE_WINDOW_MS - 1));
    assert_true(upload_rate_is_low(&rate, 500, 70000, 1000 + UPLOAD_RATE_WINDOW_MS));
}

static void what_came_in_the_window_is_what_counts(void **state)
{
    (void)state;
    struct upload_rate rate = {0};
    upload_rate_begin(&rate, 70000, 1000);
    assert_false(upload_rate_is_low(&rate, 500, 72500, 6000));
    /* A new window has begun, with what has come so far. */
    assert_int_equal(upload_rate_due_ms(&rate), 6000 + UPLOAD_RATE_WINDOW_MS);
    assert_true(upload_rate_is_low(&rate, 500, 72500 + 2499, 11000));
    /* A look that comes late asks for as much more. */
    upload_rate_begin(&rate, 0, 1000);
    assert_true(upload_rate_is_low(&rate, 500, 2500, 7000));
    assert_false(upload_rate_is_low(&rate, 500, 3000, 7000));
}

static void while_the_client_is_stopped_nothing_counts(void **state)
{
    (void)state;
    struct upload_rate rate = {0};
    upload_rate_begin(&rate, 70000, 1000);
    upload_rate_stop(&rate);
    assert_int_equal(upload_rate_due_ms(&rate), 0);
    assert_false(upload_rate_is_low(&rate, 500, 70000, 100000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_judged_before_a_window_is_over),
        cmocka_unit_test(what_came_in_the_window_is_what_counts),
        cmocka_unit_test(while_the_client_is_stopped_nothing_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
