/* The upstream HTTP/2 link: how many streams it takes, and what becomes of those that are given up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fake/h2_play.h"

static int set_up(void **state)
{
    set_up_node(state);
    stage.releases_ended = true;
    return 0;
}

/* ---- room ---- */

static void the_node_says_how_many_streams_it_takes(void **state)
{
    (void)state;
    far_setting(&stage.far, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 2);
    say();
    struct h2_actor *first = ask("GET");
    assert_true(link_has_room(stage.link));
    ask("GET");
    assert_false(link_has_room(stage.link));
    assert_null(link_open_stream(stage.link));
    far_head(&stage.far, 1, ":status: 204\n", true);
    say();
    let_go(first);
    rig_settle(&stage.rig);
    assert_true(link_has_room(stage.link));
}

static void fewer_streams_and_then_more_make_room_again(void **state)
{
    (void)state;
    ask("GET");
    far_setting(&stage.far, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 0);
    say();
    assert_false(link_has_room(stage.link));
    assert_transcript("");
    far_setting(&stage.far, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 5);
    say();
    assert_true(link_has_room(stage.link));
    assert_transcript("room ");
    far_setting(&stage.far, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 6);
    say();
    assert_transcript("");
}

static void submit_three(void)
{
    for (int i = 0; i < 3; i++)
        submit("GET");
}

/* Three requests were submitted when the node says, in the same piece, that it takes one at a time. */
static void crowd(void)
{
    stage.is_terse = true;
    ask("GET");
    stage.then = submit_three;
    far_head(&stage.far, 1, ":status: 204\n", true);
    far_setting(&stage.far, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1);
    say();
    assert_transcript("A=204 A. ");
    assert_heard("3" H2_ASKED);
    assert_false(link_has_room(stage.link));
}

static void requests_above_the_nodes_number_wait(void **state)
{
    (void)state;
    crowd();
    far_head(&stage.far, 3, ":status: 204\n", true);
    say();
    assert_heard("5" H2_ASKED);
    far_head(&stage.far, 5, ":status: 204\n", true);
    say();
    assert_heard("7" H2_ASKED);
    assert_transcript("B=204 B. C=204 C. ");
}

static void a_request_that_waits_can_be_cancelled(void **state)
{
    (void)state;
    crowd();
    stream_reset(stage.actors[2].stream, FAULT_DOWNSTREAM_GONE);
    stage.actors[2].stream = NULL;
    assert_heard("");
    far_head(&stage.far, 3, ":status: 204\n", true);
    say();
    assert_heard("7" H2_ASKED);
    far_head(&stage.far, 7, ":status: 204\n", true);
    say();
    assert_transcript("B=204 B. D=204 D. ");
    assert_heard("");
    assert_true(link_has_room(stage.link));
}

/* A RST_STREAM for a stream that was never opened would end the connection. */
static void a_cancelled_request_that_waits_is_not_taken_for_output_that_stands_still(void **state)
{
    (void)state;
    crowd();
    stream_reset(stage.actors[2].stream, FAULT_DOWNSTREAM_GONE);
    stage.actors[2].stream = NULL;
    for (unsigned i = 0; i < 10; i++) {
        pass(1500);
        far_ping(&stage.far, true);
        say();
    }
    assert_heard("");
    far_head(&stage.far, 3, ":status: 204\n", true);
    say();
    assert_heard("7" H2_ASKED);
}

static void requests_that_wait_were_not_read(void **state)
{
    (void)state;
    crowd();
    far_goes();
    pass(100);
    assert_transcript("B!upstream_closed C!link_closed_unread D!link_closed_unread closed(upstream_closed) ");
}

static void requests_that_wait_meet_goaway(void **state)
{
    (void)state;
    crowd();
    far_goaway(&stage.far, 3, 0);
    say();
    assert_transcript("C!refused_stream D!refused_stream ");
}

/* The pool remembers what the node said on another link; nghttp2 counts to 100 until it has heard it itself. */
static void a_node_that_is_known_gets_as_many_as_it_is_known_to_take(void **state)
{
    (void)state;
    all_go();
    stage.streams_expected = 200;
    link_up_on_pair(false);
    for (int i = 0; i < 200; i++)
        submit("GET");
    assert_false(link_has_room(stage.link));
    node_greets();
    assert_transcript("");
    assert_non_null(stage.link);
    for (int i = 0; i < 200; i++)
        far_head(&stage.far, 2 * i + 1, ":status: 204\n", true);
    stage.is_terse = true;
    say();
    for (int i = 0; i < 200; i++)
        assert_null(stage.actors[i].stream);
    assert_null(strstr(stage.transcript, "!"));
}

/* Opened while there was room, asked for when there is none any more. */
static void a_head_that_comes_too_late_for_the_nodes_number_waits(void **state)
{
    (void)state;
    stage.is_terse = true;
    ask("GET");
    struct h2_actor *actor = open_stream();
    far_setting(&stage.far, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1);
    say();
    send_head(actor, "GET", BODY_NONE, 0);
    stream_send_end(actor->stream);
    assert_heard("");
    assert_transcript("");
    far_head(&stage.far, 1, ":status: 204\n", true);
    say();
    assert_heard("3" H2_ASKED);
    assert_transcript("A=204 A. ");
}

static void a_link_is_not_made_fuller_than_256(void **state)
{
    (void)state;
    far_setting(&stage.far, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 100000);
    say();
    for (int i = 0; i < 256; i++)
        submit("GET");
    assert_false(link_has_room(stage.link));
    let_go(&stage.actors[7]);
    rig_settle(&stage.rig);
    assert_true(link_has_room(stage.link));
}

static void before_its_settings_a_node_gets_100(void **state)
{
    (void)state;
    all_go();
    link_up_on_pair(false);
    for (int i = 0; i < 100; i++)
        submit("GET");
    assert_false(link_has_room(stage.link));
    rig_settle(&stage.rig);
    far_hear_preface(&stage.far);
    far_frame(&stage.far, H2_SETTINGS, 0, 0, NULL, 0);
    say();
    assert_transcript("room ");
}

/* ---- giving up ---- */

static void a_request_that_is_given_up_is_cancelled_once(void **state)
{
    (void)state;
    struct h2_actor *actor = ask("GET");
    stream_reset(actor->stream, FAULT_DOWNSTREAM_GONE);
    let_go(actor);
    assert_heard("1!8 ");
    far_head(&stage.far, 1, ":status: 200\n", false);
    far_data(&stage.far, 1, TEXT("late"), true);
    say();
    assert_transcript("");
    assert_heard("");
    actor = ask("GET");
    let_go(actor);
    assert_heard("3!8 ");
    assert_true(link_has_room(stage.link));
}

static void an_upload_that_is_given_up_is_cancelled(void **state)
{
    (void)state;
    struct h2_actor *actor = open_stream();
    struct message_head head = {.method = TEXT("POST"), .target = TEXT("/"), .authority = TEXT("n"), .body = BODY_STREAM};
    stream_send_head(actor->stream, &head);
    stream_send_data(actor->stream, long_text(100000));
    hear();
    far_forget(&stage.far);
    stream_reset(actor->stream, FAULT_DOWNSTREAM_GONE);
    let_go(actor);
    assert_heard("1!8 ");
    far_window(&stage.far, 0, 100000);
    say();
    assert_heard("");
}

static void a_request_that_is_given_up_in_its_turn_is_not_heard(void **state)
{
    (void)state;
    struct h2_actor *actor = submit("GET");
    stream_reset(actor->stream, FAULT_DOWNSTREAM_GONE);
    let_go(actor);
    hear();
    if (strcmp(stage.far.words, "") != 0)
        assert_string_equal(stage.far.words, "1" H2_ASKED "1!8 ");
    far_forget(&stage.far);
    assert_true(link_has_room(stage.link));
    ask("GET");
    assert_transcript("");
}

static void a_stream_without_a_head_leaves_nothing_behind(void **state)
{
    (void)state;
    for (int i = 0; i < 600; i++) {
        struct h2_actor *actor = open_stream();
        if (i % 2 == 0)
            stream_reset(actor->stream, FAULT_NONE);
        let_go(actor);
        assert_true(link_has_room(stage.link));
    }
    assert_heard("");
    struct h2_actor *actor = submit("GET");
    assert_heard("1" H2_ASKED);
    (void)actor;
}

/* A node takes many resets for an attack. */
static void many_resets_retire_the_link(void **state)
{
    (void)state;
    for (int i = 0; i < 256; i++) {
        assert_true(link_has_room(stage.link));
        struct h2_actor *actor = submit("GET");
        rig_turn(&stage.rig);
        let_go(actor);
        rig_turn(&stage.rig);
    }
    assert_false(link_has_room(stage.link));
    assert_transcript("");
}

/* The node must be told that nobody reads on. */
static void an_answer_that_was_found_malformed_is_cancelled(void **state)
{
    (void)state;
    stage.is_terse = true;
    ask("GET");
    for (int i = 0; i < 21; i++)
        far_head(&stage.far, 1, ":status: 100\n", false);
    say();
    assert_transcript("A!upstream_malformed ");
    assert_heard("1!8 ");
}

static void an_answer_with_too_large_a_head_is_cancelled(void **state)
{
    (void)state;
    static char lines[20000];
    size_t used = text_append(lines, sizeof lines, 0, ":status: 200\n");
    for (int i = 0; i < 101; i++)
        used = text_append(lines, sizeof lines, used, "a: b\n");
    ask("GET");
    far_head(&stage.far, 1, lines, false);
    say();
    assert_transcript("A!upstream_head_too_large ");
    assert_heard("1!8 ");
}

/* ---- a link that is over ---- */

static struct stream *taken_late;

static void take_late(void)
{
    if (taken_late == NULL && link_has_room(stage.link))
        taken_late = link_open_stream(stage.link);
}

/* nghttp2 stops at so much that is not answered; who hears that his request has failed asks for another stream at once. */
static void a_link_that_is_over_has_no_room(void **state)
{
    (void)state;
    stage.is_terse = true;
    taken_late = NULL;
    ask("GET");
    forget();
    stage.interfere = take_late;
    for (int i = 0; i < 3000; i++)
        far_ping(&stage.far, false);
    say();
    stage.interfere = NULL;
    assert_null(taken_late);
    assert_transcript("A!upstream_malformed closed(upstream_malformed) ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(the_node_says_how_many_streams_it_takes),
        TEST(fewer_streams_and_then_more_make_room_again),
        TEST(requests_above_the_nodes_number_wait),
        TEST(a_request_that_waits_can_be_cancelled),
        TEST(a_cancelled_request_that_waits_is_not_taken_for_output_that_stands_still),
        TEST(requests_that_wait_were_not_read),
        TEST(requests_that_wait_meet_goaway),
        TEST(a_node_that_is_known_gets_as_many_as_it_is_known_to_take),
        TEST(a_head_that_comes_too_late_for_the_nodes_number_waits),
        TEST(a_link_is_not_made_fuller_than_256),
        TEST(before_its_settings_a_node_gets_100),
        TEST(a_request_that_is_given_up_is_cancelled_once),
        TEST(an_upload_that_is_given_up_is_cancelled),
        TEST(a_request_that_is_given_up_in_its_turn_is_not_heard),
        TEST(a_stream_without_a_head_leaves_nothing_behind),
        TEST(many_resets_retire_the_link),
        TEST(an_answer_that_was_found_malformed_is_cancelled),
        TEST(an_answer_with_too_large_a_head_is_cancelled),
        TEST(a_link_that_is_over_has_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
