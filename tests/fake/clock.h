#ifndef SLUICE_FAKE_CLOCK_H
#define SLUICE_FAKE_CLOCK_H
/*
 * A monotonic clock that stands still until the test moves it, for the router and for libevent: this definition of
 * clock_gettime comes before the C library's. So does the CPU time of the thread. The time of day goes on as ever. Turns of the
 * loop must not wait while the clock stands.
 */
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static uint64_t clock_shown_ms = 1000000;
static uint64_t clock_shown_cpu_us = 1000;
static uint64_t clock_look_us; /* of CPU time that passes with each look at it */

/* Milliseconds that the clock shows. */
static inline uint64_t clock_now_ms(void)
{
    return clock_shown_ms;
}

static inline void clock_advance(uint64_t ms)
{
    clock_shown_ms += ms;
}

/* The thread has worked that long. */
static inline void clock_work(uint64_t us)
{
    clock_shown_cpu_us += us;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    if (clock == CLOCK_THREAD_CPUTIME_ID) {
        clock_shown_cpu_us += clock_look_us;
        now->tv_sec = (time_t)(clock_shown_cpu_us / 1000000);
        now->tv_nsec = (long)(clock_shown_cpu_us % 1000000 * 1000);
        return 0;
    }
    if (clock != CLOCK_MONOTONIC && clock != CLOCK_MONOTONIC_COARSE && clock != CLOCK_BOOTTIME)
        return (int)syscall(SYS_clock_gettime, clock, now);
    now->tv_sec = (time_t)(clock_shown_ms / 1000);
    now->tv_nsec = (long)(clock_shown_ms % 1000 * 1000000);
    return 0;
}

#endif
