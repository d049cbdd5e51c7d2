/* The two ways to write the time of day. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"

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
        cmocka_unit_test(the_time_of_day_is_written_in_two_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
