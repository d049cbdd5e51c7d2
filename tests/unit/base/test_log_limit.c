/* One line of a kind in a second; the next one says how many there were between them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log_limit.h"

static void one_line_a_second_is_written_and_counts_the_others(void **state)
{
    (void)state;
    struct log_limit limit = {0};
    unsigned suppressed = 99;
    /* The clock's first millisecond is a time like any other. */
    assert_int_equal(log_limit_level(&limit, LOG_LEVEL_WARNING, 0, &suppressed), LOG_LEVEL_WARNING);
    assert_int_equal(suppressed, 0);
    for (unsigned i = 0; i < LOG_LIMIT_MS; i++) {
        assert_int_equal(log_limit_level(&limit, LOG_LEVEL_WARNING, i, &suppressed), LOG_LEVEL_DEBUG);
        assert_int_equal(suppressed, i);
    }
    assert_int_equal(log_limit_level(&limit, LOG_LEVEL_INFO, LOG_LIMIT_MS, &suppressed), LOG_LEVEL_INFO);
    assert_int_equal(suppressed, LOG_LIMIT_MS);
    assert_int_equal(log_limit_level(&limit, LOG_LEVEL_INFO, 2 * LOG_LIMIT_MS - 1, &suppressed), LOG_LEVEL_DEBUG);
    assert_int_equal(log_limit_level(&limit, LOG_LEVEL_INFO, 5 * LOG_LIMIT_MS, &suppressed), LOG_LEVEL_INFO);
    assert_int_equal(suppressed, 1);
}

static void kinds_do_not_silence_each_other(void **state)
{
    (void)state;
    struct log_limit limits[2] = {{0}};
    unsigned suppressed;
    assert_int_equal(log_limit_level(&limits[0], LOG_LEVEL_ERROR, 7, &suppressed), LOG_LEVEL_ERROR);
    assert_int_equal(log_limit_level(&limits[1], LOG_LEVEL_ERROR, 7, &suppressed), LOG_LEVEL_ERROR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_line_a_second_is_written_and_counts_the_others),
        cmocka_unit_test(kinds_do_not_silence_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
