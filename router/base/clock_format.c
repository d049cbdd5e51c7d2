#include <time.h>

#include "base/clock.h"

static struct tm broken_down(uint64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm broken;
    gmtime_r(&seconds, &broken);
    return broken;
}

static char *put_digits(char *out, unsigned value, unsigned width)
{
    for (unsigned i = width; i-- > 0; value /= 10)
        out[i] = (char)('0' + value % 10);
    return out + width;
}

/* By hand: each line of a log has one, and strftime costs more than the rest of the line. */
size_t clock_format_iso(uint64_t wall_ms, char buffer[CLOCK_ISO_BYTES])
{
    struct tm broken = broken_down(wall_ms);
    const struct {
        int value;
        unsigned width;
        char behind;
    } parts[] = {
        {broken.tm_year + 1900, 4, '-'}, {broken.tm_mon + 1, 2, '-'}, {broken.tm_mday, 2, 'T'},      {broken.tm_hour, 2, ':'},
        {broken.tm_min, 2, ':'},         {broken.tm_sec, 2, '.'},     {(int)(wall_ms % 1000), 3, 'Z'},
    };
    char *at = buffer;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        at = put_digits(at, (unsigned)parts[i].value, parts[i].width);
        *at++ = parts[i].behind;
    }
    *at = '\0';
    return (size_t)(at - buffer);
}

/* The program never leaves the C locale, so names of days and months are English. */
size_t clock_format_http(uint64_t wall_ms, char buffer[CLOCK_HTTP_BYTES])
{
    struct tm broken = broken_down(wall_ms);
    return strftime(buffer, CLOCK_HTTP_BYTES, "%a, %d %b %Y %H:%M:%S GMT", &broken);
}
