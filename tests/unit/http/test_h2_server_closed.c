/* The downstream HTTP/2 link: frames for streams that have ended (RFC 9113 section 5.1), and what else nghttp2 passes over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake/h2_play.h"

#define PROTOCOL_ERROR 1
#define STREAM_CLOSED 5
#define CANCEL 8

static void say_data(int32_t id)
{
    far_data(&stage.far, id, TEXT("more"), false);
}

static void say_end(int32_t id)
{
    far_data(&stage.far, id, TEXT_EMPTY, true);
}

static void say_head(int32_t id)
{
    far_head(&stage.far, id, H2_GET, true);
}

static void say_trailers(int32_t id)
{
    far_head(&stage.far, id, "x: y\n", true);
}

static void (*const kinds[])(int32_t id) = {say_data, say_end, say_head, say_trailers};
#define KINDS (sizeof kinds / sizeof kinds[0])

static void assert_error(unsigned code)
{
    char expected[32];
    snprintf(expected, sizeof expected, ",%u) ", code);
    hear();
    if (strstr(stage.far.words, expected) == NULL)
        fail_msg("heard %.300s, told %.300s", stage.far.words, stage.transcript);
    assert_string_equal(stage.link->end_reason, "protocol");
}

static void nothing_follows_a_reset_of_the_client(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * KINDS; i++) {
        renew_context();
        client_comes();
        post(1);
        far_reset(&stage.far, 1, CANCEL);
        if (i >= KINDS)
            say(); /* else both come in one piece */
        kinds[i % KINDS](1);
        say();
        assert_error(STREAM_CLOSED);
    }
}

static void nothing_follows_an_end_of_the_client(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        renew_context();
        client_comes();
        answer(get(1), 204);
        hear();
        kinds[i](1);
        say();
        assert_error(STREAM_CLOSED);
    }
}

static void a_stream_that_was_skipped_never_begins(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        renew_context();
        client_comes();
        answer(get(5), 204);
        kinds[i](3);
        say();
        assert_error(PROTOCOL_ERROR);
    }
}

/* It had not heard of it yet. */
static void what_was_on_its_way_when_we_reset_the_stream_is_passed_over(void **state)
{
    (void)state;
    for (int32_t id = 1; id < 100; id += 2) {
        answer(post(id), 204);
        hear();
    }
    forget();
    far_forget(&stage.far);
    for (int32_t id = 1; id < 100; id += 2) {
        say_data(id);
        say_end(id);
        say_trailers(id);
    }
    far_head(&stage.far, 101, H2_GET, true);
    say();
    assert_transcript("Y=GET / Y. ");
    assert_heard("");
}

static void what_must_be_expected_of_a_stream_that_has_ended_is_passed_over(void **state)
{
    (void)state;
    answer(get(1), 204);
    hear();
    far_forget(&stage.far);
    far_window(&stage.far, 1, 100);
    far_reset(&stage.far, 1, CANCEL);
    far_frame(&stage.far, H2_PRIORITY, 0, 1, "\0\0\0\0\1", 5);
    far_ping(&stage.far, false);
    say();
    assert_heard("pong ");
}

/* Streams above the last one of our GOAWAY are not served, and their bodies are no mistake. */
static void a_body_that_crosses_goaway_is_passed_over(void **state)
{
    (void)state;
    struct h2_actor *actor = get(1);
    link_drain(stage.link);
    hear();
    far_ping(&stage.far, true);
    say();
    assert_heard("goaway(2147483647,0) ping goaway(1,0) ");
    far_head(&stage.far, 3, H2_POST, false);
    say_data(3);
    say();
    say_end(3);
    say();
    assert_heard("");
    answer(actor, 204);
    assert_heard("1{:status=204}. ");
}

static void a_stream_cannot_depend_on_itself(void **state)
{
    (void)state;
    static const char *const dependencies[] = {"\0\0\0\1\7", "\x80\0\0\1\7"};
    for (size_t i = 0; i < 2; i++) {
        renew_context();
        client_comes();
        far_frame(&stage.far, H2_PRIORITY, 0, 1, "\0\0\0\3\7", 5);
        answer(get(1), 204);
        hear();
        far_frame(&stage.far, H2_PRIORITY, 0, 1, dependencies[i], 5);
        say();
        assert_error(PROTOCOL_ERROR);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_client, tear_down)
        TEST(nothing_follows_a_reset_of_the_client),
        TEST(nothing_follows_an_end_of_the_client),
        TEST(a_stream_that_was_skipped_never_begins),
        TEST(what_was_on_its_way_when_we_reset_the_stream_is_passed_over),
        TEST(what_must_be_expected_of_a_stream_that_has_ended_is_passed_over),
        TEST(a_body_that_crosses_goaway_is_passed_over),
        TEST(a_stream_cannot_depend_on_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
