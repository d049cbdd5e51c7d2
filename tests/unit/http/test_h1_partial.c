/* What is understood of a request that is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "http/h1_partial.h"

static struct header_field fields[MESSAGE_FIELDS_MAXIMUM];

/* "METHOD target path HTTP/1.x name=value ..." with "-" for what is missing. */
static const char *read_partial(struct text bytes)
{
    static char words[8192];
    struct message_head head = {.fields = fields};
    h1_parse_partial(bytes, &head);
    struct text dash = TEXT("-");
    size_t used = text_append(words, sizeof words, 0, "%.*s %.*s %.*s %s", TEXT_ARGUMENTS(head.method.length > 0 ? head.method : dash),
                              TEXT_ARGUMENTS(head.target.length > 0 ? head.target : dash),
                              TEXT_ARGUMENTS(head.path.length > 0 ? head.path : dash),
                              head.version == MESSAGE_HTTP_1_0 ? "1.0" : "1.1");
    for (size_t i = 0; i < head.field_count; i++)
        used = text_append(words, sizeof words, used, " %.*s=%.*s", TEXT_ARGUMENTS(head.fields[i].name),
                           TEXT_ARGUMENTS(head.fields[i].value));
    return words;
}

struct row {
    struct text bytes;
    const char *expected;
};

#define ROW(bytes, expected) {{bytes, sizeof(bytes) - 1}, expected}

static void everything_in_front_of_the_first_wrong_byte_is_understood(void **state)
{
    (void)state;
    static const struct row rows[] = {
        ROW("", "- - - 1.1"),
        ROW("\0\1\2", "- - - 1.1"),
        ROW("GET", "- - - 1.1"),
        ROW("GET ", "GET - - 1.1"),
        ROW("G@T /a HTTP/1.1\r\n", "- - - 1.1"),
        ROW("ABCDEFGHIJKLMNOPQRSTUVWXY / HTTP/1.1\r\n", "- - - 1.1"),
        ROW("ABCDEFGHIJKLMNOPQRSTUVWX / HTTP/1.1\r\n", "ABCDEFGHIJKLMNOPQRSTUVWX / / 1.1"),
        ROW("POST /write?db=d", "POST /write?db=d /write 1.1"),
        ROW("POST /write?db=\xc3\xbc HTTP/1.1\r\nA: b\r\n\r\n", "POST /write?db= /write 1.1"),
        ROW("POST /write  HTTP/1.1\r\nA: b\r\n\r\n", "POST /write /write 1.1"),
        ROW("POST /write HTTP/1.1\nA: b\r\n\r\n", "POST /write /write 1.1"),
        ROW("POST /write HTTP/2.0\r\nA: b\r\n\r\n", "POST /write /write 1.1"),
        ROW("CONNECT h:443 HTTP/1.1\r\nA: b\r\n\r\n", "CONNECT h:443 - 1.1 A=b"),
        ROW("GET http://h/write HTTP/1.0\r\nA: b\r\n\r\n", "GET http://h/write - 1.0 A=b"),
        ROW("GET / HTTP/1.1\r\nA: \t b \r\nC:\r\n\r\nD: e\r\n", "GET / / 1.1 A=b C="),
        ROW("GET / HTTP/1.1\r\nA: b\r\nC: d", "GET / / 1.1 A=b"),
        ROW("GET / HTTP/1.1\r\nA: b\r\nBad Name: 1\r\nC: d\r\n\r\n", "GET / / 1.1 A=b"),
        ROW("GET / HTTP/1.1\r\nA: b\r\n : 1\r\nC: d\r\n\r\n", "GET / / 1.1 A=b"),
        ROW("GET / HTTP/1.1\r\nA: b\r\n fold\r\nC: d\r\n\r\n", "GET / / 1.1 A=b"),
        ROW("GET / HTTP/1.1\r\nA: b\r\nC: \1\r\nE: f\r\n\r\n", "GET / / 1.1 A=b"),
        ROW("GET / HTTP/1.1\r\nA: b\r\nC: d\nE: f\r\n\r\n", "GET / / 1.1 A=b"),
        ROW("GET / HTTP/1.1\r\nA: b\r\nContent_Length: 1\r\nE: f\r\n\r\n", "GET / / 1.1 A=b"),
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *seen = read_partial(rows[i].bytes);
        if (strcmp(seen, rows[i].expected) != 0)
            fail_msg("\"%.*s\": %s, not %s", TEXT_ARGUMENTS(rows[i].bytes), seen, rows[i].expected);
    }
}

static void fields_beyond_the_room_are_left_out(void **state)
{
    (void)state;
    char bytes[8192];
    size_t used = text_append(bytes, sizeof bytes, 0, "GET / HTTP/1.1\r\n");
    for (unsigned i = 0; i < MESSAGE_FIELDS_MAXIMUM + 10; i++)
        used = text_append(bytes, sizeof bytes, used, "A: b\r\n");
    struct message_head head = {.fields = fields};
    h1_parse_partial(text_of(bytes, used), &head);
    assert_int_equal(head.field_count, MESSAGE_FIELDS_MAXIMUM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_in_front_of_the_first_wrong_byte_is_understood),
        cmocka_unit_test(fields_beyond_the_room_are_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
