#include "base/clock.h"

#include <time.h>

#include "base/text.h"

uint64_t clock_monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t clock_wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t clock_thread_cpu_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static struct tm broken_down(uint64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm broken;
    gmtime_r(&seconds, &broken);
    return broken;
}

size_t clock_format_iso(uint64_t wall_ms, char buffer[CLOCK_ISO_BYTES])
{
    struct tm broken = broken_down(wall_ms);
    size_t used = strftime(buffer, CLOCK_ISO_BYTES, "%Y-%m-%dT%H:%M:%S", &broken);
    return text_append(buffer, CLOCK_ISO_BYTES, used, ".%03uZ", (unsigned)(wall_ms % 1000));
}

/* The program never leaves the C locale, so names of days and months are English. */
size_t clock_format_http(uint64_t wall_ms, char buffer[CLOCK_HTTP_BYTES])
{
    struct tm broken = broken_down(wall_ms);
    return strftime(buffer, CLOCK_HTTP_BYTES, "%a, %d %b %Y %H:%M:%S GMT", &broken);
}
