/* Times: two clocks that agree with the system's, and the CPU time of one thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_clocks_are_the_systems),
        cmocka_unit_test(cpu_time_is_that_of_the_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
