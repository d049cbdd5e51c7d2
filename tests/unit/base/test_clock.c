/* Times: two clocks that agree with the system's, the CPU time of one thread, and the two ways to write the time of day. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"

static uint64_t ms_of(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void the_clocks_are_the_systems(void **state)
{
    (void)state;
    uint64_t before = ms_of(CLOCK_MONOTONIC);
    uint64_t shown = clock_monotonic_ms();
    assert_in_range(shown, before, ms_of(CLOCK_MONOTONIC));
    before = ms_of(CLOCK_REALTIME);
    shown = clock_wall_ms();
    assert_in_range(shown, before, ms_of(CLOCK_REALTIME));
}

/* It goes on with work, and by no more than the time that passed. */
static void cpu_time_is_that_of_the_thread(void **state)
{
    (void)state;
    struct timespec own;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &own);
    uint64_t began = clock_thread_cpu_us();
    assert_true(began >= (uint64_t)own.tv_sec * 1000000 + (uint64_t)own.tv_nsec / 1000);
    while (clock_thread_cpu_us() < began + 1000)
        ;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &own);
    assert_true((uint64_t)own.tv_sec * 1000000 + (uint64_t)own.tv_nsec / 1000 >= began + 1000);
}

static void assert_written(uint64_t wall_ms, const char *iso, const char *http)
{
    char buffer[CLOCK_ISO_BYTES];
    assert_int_equal(clock_format_iso(wall_ms, buffer), strlen(iso));
    assert_string_equal(buffer, iso);
    char date[CLOCK_HTTP_BYTES];
    assert_int_equal(clock_format_http(wall_ms, date), strlen(http));
    assert_string_equal(date, http);
}

static void the_time_of_day_is_written_in_two_ways(void **state)
{
    (void)state;
    assert_written(0, "1970-01-01T00:00:00.000Z", "Thu, 01 Jan 1970 00:00:00 GMT");
    /* The example of RFC 9110 section 5.6.7. */
    assert_written(UINT64_C(784111777007), "1994-11-06T08:49:37.007Z", "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_written(UINT64_C(1709164799999), "2024-02-28T23:59:59.999Z", "Wed, 28 Feb 2024 23:59:59 GMT");
    assert_written(UINT64_C(253402300799999), "9999-12-31T23:59:59.999Z", "Fri, 31 Dec 9999 23:59:59 GMT");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_clocks_are_the_systems),
        cmocka_unit_test(cpu_time_is_that_of_the_thread),
        cmocka_unit_test(the_time_of_day_is_written_in_two_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
