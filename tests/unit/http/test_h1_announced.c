/* A body whose length was announced: its last byte goes with its end where the two may not agree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "http/h1_announced.h"

static struct h1_announced announced;
static char out[64];

static void start(enum message_version version, enum body_kind body, uint64_t length)
{
    struct message_head head = {.version = version, .body = body, .content_length = length};
    h1_announced_start(&announced, &head);
    out[0] = '\0';
}

static void put(struct text bytes)
{
    text_append(out, sizeof out, strlen(out), "%.*s", TEXT_ARGUMENTS(bytes));
}

static void take(const char *bytes)
{
    put(h1_announced_take(&announced, text_of_string(bytes)));
}

static void end(void)
{
    put(h1_announced_end(&announced));
}

static void in_http_1_everything_goes_at_once(void **state)
{
    (void)state;
    start(MESSAGE_HTTP_1_1, BODY_LENGTH, 5);
    take("hel");
    assert_int_equal(announced.left_bytes, 2);
    take("lo");
    assert_string_equal(out, "hello");
    assert_int_equal(announced.left_bytes, 0);
    end();
    assert_string_equal(out, "hello");
}

static void without_a_length_everything_goes_at_once(void **state)
{
    (void)state;
    start(MESSAGE_HTTP_2, BODY_STREAM, 0);
    take("hello");
    end();
    assert_string_equal(out, "hello");
}

static void the_last_byte_waits_for_the_end(void **state)
{
    (void)state;
    for (size_t piece = 1; piece <= 5; piece++) {
        start(MESSAGE_HTTP_2, BODY_LENGTH, 5);
        for (size_t at = 0; at < 5; at += piece)
            put(h1_announced_take(&announced, text_of("hello" + at, 5 - at < piece ? 5 - at : piece)));
        assert_string_equal(out, "hell");
        end();
        assert_string_equal(out, "hello");
        end();
        assert_string_equal(out, "hello");
    }
}

static void a_body_of_one_byte_is_all_last_byte(void **state)
{
    (void)state;
    start(MESSAGE_HTTP_2, BODY_LENGTH, 1);
    take("x");
    assert_string_equal(out, "");
    end();
    assert_string_equal(out, "x");
}

static void what_is_too_short_stays_so(void **state)
{
    (void)state;
    start(MESSAGE_HTTP_2, BODY_LENGTH, 5);
    take("hell");
    end();
    assert_string_equal(out, "hell");
}

static void what_is_too_long_is_left_out(void **state)
{
    (void)state;
    start(MESSAGE_HTTP_2, BODY_LENGTH, 3);
    take("abcd");
    take("ef");
    assert_string_equal(out, "ab");
    end();
    assert_string_equal(out, "abc");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_http_1_everything_goes_at_once),
        cmocka_unit_test(without_a_length_everything_goes_at_once),
        cmocka_unit_test(the_last_byte_waits_for_the_end),
        cmocka_unit_test(a_body_of_one_byte_is_all_last_byte),
        cmocka_unit_test(what_is_too_short_stays_so),
        cmocka_unit_test(what_is_too_long_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
