/* When a write has waited long enough for its node. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "routing/slow_write.h"

static slow_write_average always(uint64_t took_ms)
{
    slow_write_average average = 0;
    for (unsigned i = 0; i < 100; i++)
        average = slow_write_add(average, took_ms);
    return average;
}

static void an_average_follows_and_forgets(void **state)
{
    (void)state;
    assert_int_equal(slow_write_average_ms(0), 0);
    assert_int_equal(slow_write_average_ms(slow_write_add(0, 800)), 800);
    assert_int_equal(slow_write_average_ms(slow_write_add(0, 0)), 1);
    assert_int_equal(slow_write_average_ms(slow_write_add(always(800), 0)), 700);
    slow_write_average average = always(5000);
    for (unsigned i = 0; i < 60; i++)
        average = slow_write_add(average, 10);
    assert_in_range(slow_write_average_ms(average), 10, 16);
    assert_int_equal(slow_write_average_ms(always(UINT64_MAX)), 3600000);
}

static void late_is_who_is_slower_than_itself_and_than_the_rest(void **state)
{
    (void)state;
    static const struct {
        uint64_t waited_ms, own_ms, other_ms;
        bool is_late;
    } rows[] = {
        {1999, 10, 10, false},    /* nobody is late before */
        {2000, 10, 10, true},
        {2000, 1000, 900, true},
        {2000, 1001, 900, false}, /* it often takes so long */
        {2400, 1200, 900, true},
        {3000, 10, 1500, true},
        {3000, 10, 1501, false},  /* so do all: the object store is slow */
        {2000, 0, 10, true},      /* nothing is known of it */
        {9000, 10, 0, false},     /* nothing is known of the others, or there are none */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct slow_write_question question = {
            .waited_ms = rows[i].waited_ms,
            .own = rows[i].own_ms == 0 ? 0 : always(rows[i].own_ms),
            .other = rows[i].other_ms == 0 ? 0 : always(rows[i].other_ms),
        };
        if (slow_write_is_late(&question) != rows[i].is_late)
            fail_msg("row %zu", i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_average_follows_and_forgets),
        cmocka_unit_test(late_is_who_is_slower_than_itself_and_than_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
