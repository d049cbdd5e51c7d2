/* How long answers take of late: a percentile that forgets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "routing/latency.h"

static struct latency latency;

static int set_up(void **state)
{
    (void)state;
    memset(&latency, 0, sizeof latency);
    return 0;
}

static void add(unsigned count, uint64_t took_ms)
{
    while (count-- > 0)
        latency_add(&latency, took_ms);
}

static void of_few_answers_nothing_is_said(void **state)
{
    (void)state;
    assert_int_equal(latency_p95_ms(&latency), 0);
    add(LATENCY_SAMPLES_MINIMUM - 1, 20);
    assert_int_equal(latency_p95_ms(&latency), 0);
    add(1, 20);
    assert_true(latency_p95_ms(&latency) > 20);
}

static void the_slowest_twentieth_does_not_count(void **state)
{
    (void)state;
    add(95, 20);
    add(5, 5000);
    assert_in_range(latency_p95_ms(&latency), 21, 25);
    memset(&latency, 0, sizeof latency);
    add(94, 20);
    add(6, 5000);
    assert_in_range(latency_p95_ms(&latency), 5001, 6250);
}

/* At most a quarter more than it was, whatever it was, and never less. */
static void each_time_is_kept_as_it_was(void **state)
{
    (void)state;
    for (uint64_t took_ms = 0; took_ms < 400000; took_ms += took_ms / 7 + 1) {
        memset(&latency, 0, sizeof latency);
        add(LATENCY_SAMPLES_MINIMUM, took_ms);
        uint64_t p95_ms = latency_p95_ms(&latency);
        if (p95_ms <= took_ms || p95_ms > took_ms + took_ms / 4 + 1)
            fail_msg("%llu ms count as %llu", (unsigned long long)took_ms, (unsigned long long)p95_ms);
    }
    memset(&latency, 0, sizeof latency);
    add(LATENCY_SAMPLES_MINIMUM, UINT64_MAX);
    assert_true(latency_p95_ms(&latency) >= 400000);
}

static void what_was_is_forgotten(void **state)
{
    (void)state;
    add(5000, 800);
    assert_true(latency_p95_ms(&latency) > 800);
    add(12000, 3);
    assert_int_equal(latency_p95_ms(&latency), 4);
    add(300, 800);
    assert_true(latency_p95_ms(&latency) > 800);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(of_few_answers_nothing_is_said, set_up),
        cmocka_unit_test_setup(the_slowest_twentieth_does_not_count, set_up),
        cmocka_unit_test_setup(each_time_is_kept_as_it_was, set_up),
        cmocka_unit_test_setup(what_was_is_forgotten, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
