/* The downstream HTTP/2 link: which resets of a client are an attack, and which are the end of its patience. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake/h2_play.h"

#define CANCEL 8

static int32_t next_id;

static int set_up(void **state)
{
    next_id = 1;
    return set_up_client(state);
}

static void allow_streams(unsigned maximum)
{
    stage.settings.streams_maximum = maximum;
    renew_context();
    client_comes();
}

/* `count` calls begin; returns the number of the first. */
static int32_t begin(int count)
{
    int32_t first = next_id;
    stage.actor_count = 0;
    for (int i = 0; i < count; i++, next_id += 2)
        far_head(&stage.far, next_id, H2_GET, true);
    say();
    forget();
    assert_int_equal(stage.actor_count, count);
    return first;
}

static void cancel(int32_t first, int count)
{
    for (int i = 0; i < count; i++)
        far_reset(&stage.far, first + 2 * i, CANCEL);
    say();
    hear();
}

static void assert_no_abuse(void)
{
    assert_non_null(stage.link);
    assert_null(stage.link->end_reason);
    assert_null(strstr(stage.transcript, "abuse"));
    forget();
}

/* An outage: the node is silent, and each call of a busy program runs into its deadline. */
static void calls_that_have_waited_may_be_given_up(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        int32_t first = begin(100);
        pass(100);
        cancel(first, 100);
        assert_no_abuse();
    }
}

static void calls_that_have_not_waited_run_out(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        int32_t first = begin(100);
        pass(99);
        cancel(first, 100);
        assert_no_abuse();
    }
    int32_t first = begin(100);
    pass(99);
    cancel(first, 100);
    assert_abuse("reset");
}

static void a_call_may_be_given_up_once_its_answer_has_begun(void **state)
{
    (void)state;
    struct message_head head = {.status = 200, .body = BODY_STREAM};
    for (int i = 0; i < 10; i++) {
        int32_t first = begin(100);
        for (unsigned j = 0; j < stage.actor_count; j++)
            stream_send_head(stage.actors[j].stream, &head);
        rig_settle(&stage.rig);
        cancel(first, 100);
        assert_no_abuse();
    }
}

static void an_interim_answer_is_none(void **state)
{
    (void)state;
    struct message_head head = {.status = 103};
    for (int i = 0; i < 3; i++) {
        int32_t first = begin(100);
        for (unsigned j = 0; j < stage.actor_count; j++)
            stream_send_interim(stage.actors[j].stream, &head);
        rig_settle(&stage.rig);
        cancel(first, 100);
    }
    assert_abuse("reset");
}

static void all_streams_that_are_allowed_may_be_given_up_at_once(void **state)
{
    (void)state;
    allow_streams(500);
    for (int i = 0; i < 2; i++) {
        cancel(begin(500), 500);
        assert_no_abuse();
    }
    cancel(begin(100), 100);
    assert_abuse("reset");
}

/* RFC 9113 section 5.1.2: a stream that is closed does not count. */
static void the_place_of_a_call_that_was_given_up_is_free(void **state)
{
    (void)state;
    allow_streams(2);
    int32_t first = begin(2);
    pass(200);
    far_reset(&stage.far, first, CANCEL);
    far_reset(&stage.far, first + 2, CANCEL);
    far_head(&stage.far, first + 4, H2_GET, true);
    far_head(&stage.far, first + 6, H2_GET, true);
    far_head(&stage.far, first + 8, H2_GET, true);
    say();
    assert_heard("9!7 ");
    assert_transcript("C=GET / C. D=GET / D. A!downstream_gone B!downstream_gone ");
}

/* gRPC libraries reset a stream that was answered before they had sent all; it may cross our end. */
static void a_reset_that_crosses_our_end_costs_nothing(void **state)
{
    (void)state;
    stage.answers = 204;
    for (int i = 0; i < 30; i++) {
        cancel(begin(100), 100);
        assert_no_abuse();
    }
}

static void speak_late_reset(int number)
{
    (void)number;
    far_reset(&stage.far, 1, CANCEL);
}

static void resets_of_the_past_run_out(void **state)
{
    (void)state;
    stage.answers = 204;
    begin(1);
    flood(speak_late_reset, 990, 10);
    assert_no_abuse();
    flood(speak_late_reset, 20, 10);
    assert_abuse("late_reset");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(calls_that_have_waited_may_be_given_up),
        TEST(calls_that_have_not_waited_run_out),
        TEST(a_call_may_be_given_up_once_its_answer_has_begun),
        TEST(an_interim_answer_is_none),
        TEST(all_streams_that_are_allowed_may_be_given_up_at_once),
        TEST(the_place_of_a_call_that_was_given_up_is_free),
        TEST(a_reset_that_crosses_our_end_costs_nothing),
        TEST(resets_of_the_past_run_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
