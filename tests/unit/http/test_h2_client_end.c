/*
 * The upstream HTTP/2 link and its end: which requests were provably not read, which answers are whole all the same, and when the
 * link takes no more.
 */
#include <fcntl.h>
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

/* Over TCP, because its kernel knows what was acknowledged. */
static int set_up_tcp(void **state)
{
    (void)state;
    start_stage();
    struct address address;
    int listening = far_listen(&address);
    int near = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(near, &address.socket.any, address.length), 0);
    assert_int_equal(fcntl(near, F_SETFL, O_NONBLOCK), 0);
    int far;
    rig_until(&stage.rig, (far = far_accept(listening)) >= 0);
    close(listening);
    link_up(false, near, far);
    node_greets();
    stage.releases_ended = true;
    return 0;
}

static void node_resets(void)
{
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    setsockopt(stage.far.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    far_goes();
}

/* ---- GOAWAY ---- */

static void goaway_refuses_what_came_after_its_last_stream(void **state)
{
    (void)state;
    ask("GET");
    ask("GET");
    ask("GET");
    far_goaway(&stage.far, 3, 0);
    say();
    assert_transcript("C!refused_stream ");
    assert_false(link_has_room(stage.link));
    assert_null(link_open_stream(stage.link));
    far_head(&stage.far, 1, ":status: 204\n", true);
    far_head(&stage.far, 3, ":status: 204\n", true);
    far_flush(&stage.far);
    for (int i = 0; i < 2; i++)
        rig_turn(&stage.rig);
    assert_string_equal(told('A'), "A=204 A. ");
    assert_string_equal(told('B'), "B=204 B. closed(upstream_closed) ");
}

static void a_notice_without_a_last_stream_refuses_nothing(void **state)
{
    (void)state;
    struct h2_actor *actor = ask("GET");
    far_goaway(&stage.far, 0x7fffffff, 0);
    say();
    assert_transcript("");
    assert_false(link_has_room(stage.link));
    far_head(&stage.far, 1, ":status: 204\n", true);
    say();
    assert_string_equal(told('A'), "A=204 A. closed(upstream_closed) ");
    (void)actor;
}

/* Submitted, and GOAWAY came in the same turn. */
static void a_request_that_meets_goaway_is_refused(void **state)
{
    (void)state;
    ask("GET");
    submit("GET");
    far_goaway(&stage.far, 1, 0);
    far_flush(&stage.far);
    rig_turn(&stage.rig);
    rig_settle(&stage.rig);
    hear();
    assert_string_equal(told('B'), "B!refused_stream ");
    assert_string_equal(told('A'), "");
}

/* Nothing was sent: any method may be repeated. */
static void a_stream_without_a_head_that_meets_goaway_was_not_read(void **state)
{
    (void)state;
    open_stream();
    far_goaway(&stage.far, 0, 0);
    say();
    assert_int_equal(stage.actor_count, 1);
    if (strcmp(told('A'), "A!refused_stream closed(upstream_malformed) ") != 0)
        assert_string_equal(told('A'), "A!link_closed_unread closed(upstream_closed) ");
}

/* When and how the link closes behind it is another question. */
static void assert_begins(const char *expected)
{
    stage.transcript[strlen(expected)] = '\0';
    assert_string_equal(stage.transcript, expected);
}

/* Its reader is slow, but the answer is all here. */
static void a_whole_answer_that_waits_survives_goaway(void **state)
{
    (void)state;
    stage.pauses = true;
    struct h2_actor *actor = ask("GET");
    far_head(&stage.far, 1, ":status: 200\n", false);
    far_data(&stage.far, 1, TEXT("abc"), true);
    say();
    far_goaway(&stage.far, 1, 0);
    say();
    assert_transcript("A=200 ");
    if (actor->stream != NULL)
        stream_resume(actor->stream);
    rig_settle(&stage.rig);
    assert_begins("A[abc] A. ");
}

static void a_whole_answer_that_waits_survives_the_connections_end(void **state)
{
    (void)state;
    stage.pauses = true;
    struct h2_actor *actor = ask("GET");
    far_head(&stage.far, 1, ":status: 200\n", false);
    far_data(&stage.far, 1, TEXT("abc"), true);
    say();
    far_goes();
    assert_transcript("A=200 ");
    if (actor->stream != NULL)
        stream_resume(actor->stream);
    rig_settle(&stage.rig);
    pass(100);
    assert_begins("A[abc] A. ");
    assert_null(stage.link);
}

/* ---- the connection's end ---- */

static void an_end_is_for_each_stream_what_it_means_to_it(void **state)
{
    (void)state;
    ask("GET");
    ask("GET");
    open_stream();
    far_head(&stage.far, 1, ":status: 200\n", false);
    say();
    far_goes();
    pass(100);
    assert_string_equal(told('A'), "A=200 A!upstream_truncated ");
    assert_string_equal(told('B'), "B!upstream_closed ");
    assert_string_equal(told('C'), "C!link_closed_unread closed(upstream_closed) ");
}

static void an_idle_link_that_the_node_closes_is_closed(void **state)
{
    (void)state;
    far_goes();
    assert_transcript("closed(upstream_closed) ");
}

static void a_request_that_the_node_has_heard_may_have_been_read(void **state)
{
    (void)state;
    ask("GET");
    far_goes();
    rig_until(&stage.rig, (pass(16), stage.used > 0));
    assert_transcript("A!upstream_closed closed(upstream_closed) ");
}

/* The node has closed both ways: what comes afterwards is answered with a reset and read by nobody. */
static void a_request_into_a_closed_connection_was_not_read(void **state)
{
    (void)state;
    close(stage.far.fd);
    stage.far.fd = -1;
    submit("GET");
    rig_turn(&stage.rig);
    rig_until(&stage.rig, (pass(16), stage.used > 0));
    assert_transcript("A!link_closed_unread closed(upstream_closed) ");
}

static void old_requests_and_new_ones_are_judged_apart(void **state)
{
    (void)state;
    ask("GET");
    close(stage.far.fd);
    stage.far.fd = -1;
    submit("GET");
    rig_until(&stage.rig, (pass(16), stage.used > 0));
    assert_transcript("A!upstream_closed B!link_closed_unread closed(upstream_closed) ");
}

static size_t submit_on_bytes(void *owner, struct text bytes)
{
    (void)owner;
    submit("GET");
    return bytes.length;
}

static const struct conn_events submitting_events = {.on_bytes = submit_on_bytes};

/* Another connection's event, in the turn in which the end is noticed but before it, submits a request: it never leaves this process. */
static void a_request_that_was_never_sent_was_not_read(void **state)
{
    (void)state;
    ask("GET");
    int near;
    int far = far_pair(&near);
    struct conn_settings settings = {.events = &submitting_events, .pool = &stage.rig.buffers, .high_water_bytes = 65536,
                                     .input_maximum_bytes = 65536};
    struct conn *conn = conn_accept(stage.rig.loop, near, &settings);
    rig_turn(&stage.rig);
    far_send(far, TEXT("x"));
    shutdown(stage.far.fd, SHUT_WR);
    rig_until(&stage.rig, (pass(16), stage.used > 0));
    hear();
    assert_string_equal(stage.far.words, "");
    assert_transcript("A!upstream_closed B!link_closed_unread closed(upstream_closed) ");
    conn_close(conn);
    close(far);
}

static void a_reset_connection_may_have_been_read(void **state)
{
    (void)state;
    ask("GET");
    node_resets();
    rig_until(&stage.rig, (pass(16), stage.used > 0));
    assert_string_equal(told('A'), "A!upstream_reset closed(upstream_closed) ");
}

/* ---- a broken node ---- */

static void a_node_that_breaks_the_rules_is_left(void **state)
{
    (void)state;
    ask("GET");
    far_window(&stage.far, 0, 0x7fffffff);
    say();
    assert_transcript("A!upstream_malformed closed(upstream_malformed) ");
}

static void a_node_that_speaks_http_1_is_left(void **state)
{
    (void)state;
    all_go();
    link_up_on_pair(false);
    submit("GET");
    rig_settle(&stage.rig);
    far_put(&stage.far, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
    say();
    assert_transcript("A!upstream_malformed closed(upstream_malformed) ");
}

static void a_link_that_is_drained_is_closed(void **state)
{
    (void)state;
    ask("GET");
    link_drain(stage.link);
    stage.link = NULL;
    let_go(&stage.actors[0]);
    rig_settle(&stage.rig);
    assert_transcript("");
}

/* What is read behind the closing is nobody's: heads that were kept for it would never be freed, says the sanitizer. */
static void a_link_that_is_closed_within_a_head_keeps_nothing_of_what_follows(void **state)
{
    (void)state;
    ask("GET");
    stage.closes_link = true;
    far_head(&stage.far, 1, ":status: 200\n", false);
    far_head(&stage.far, 1, "a: b\n", true);
    say();
    assert_transcript("A=200 ");
}

/* ---- a head that goes out with another one's ---- */

static void submit_beside(void)
{
    submit("GET"); /* D: written at once, and what nghttp2 holds with it */
}

static void submit_inside(void)
{
    submit("POST"); /* C: inside of nghttp2's reading, so that it waits in nghttp2 */
    stage.then = submit_beside;
}

static void overtake(void)
{
    stage.is_terse = true;
    ask("GET");
    ask("GET");
    stage.then = submit_inside;
    far_head(&stage.far, 1, ":status: 204\n", true);
    far_head(&stage.far, 3, ":status: 200\n", false);
    far_data(&stage.far, 3, TEXT("x"), true);
    say();
    forget();
    assert_heard("5{:method=POST :scheme=http :authority=n :path=/}. 7" H2_ASKED);
}

static void a_head_that_went_out_with_another_ones_is_not_refused_by_goaway(void **state)
{
    (void)state;
    overtake();
    far_goaway(&stage.far, 7, 0);
    say();
    assert_transcript("");
    far_head(&stage.far, 5, ":status: 204\n", true);
    far_head(&stage.far, 7, ":status: 204\n", true);
    say();
    assert_string_equal(told('C'), "C=204 C. ");
}

static void a_head_that_went_out_with_another_ones_may_have_been_read(void **state)
{
    (void)state;
    overtake();
    far_goes();
    rig_until(&stage.rig, (pass(16), stage.used > 0));
    assert_transcript("C!upstream_closed D!upstream_closed closed(upstream_closed) ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define TEST_TCP(name) cmocka_unit_test_setup_teardown(name, set_up_tcp, tear_down)
        TEST(goaway_refuses_what_came_after_its_last_stream),
        TEST(a_notice_without_a_last_stream_refuses_nothing),
        TEST(a_request_that_meets_goaway_is_refused),
        TEST(a_stream_without_a_head_that_meets_goaway_was_not_read),
        TEST(a_whole_answer_that_waits_survives_goaway),
        TEST(a_whole_answer_that_waits_survives_the_connections_end),
        TEST(an_end_is_for_each_stream_what_it_means_to_it),
        TEST(an_idle_link_that_the_node_closes_is_closed),
        TEST_TCP(a_request_that_the_node_has_heard_may_have_been_read),
        TEST_TCP(a_request_into_a_closed_connection_was_not_read),
        TEST_TCP(old_requests_and_new_ones_are_judged_apart),
        TEST_TCP(a_request_that_was_never_sent_was_not_read),
        TEST_TCP(a_reset_connection_may_have_been_read),
        TEST(a_node_that_breaks_the_rules_is_left),
        TEST(a_node_that_speaks_http_1_is_left),
        TEST(a_link_that_is_drained_is_closed),
        TEST(a_link_that_is_closed_within_a_head_keeps_nothing_of_what_follows),
        TEST(a_head_that_went_out_with_another_ones_is_not_refused_by_goaway),
        TEST_TCP(a_head_that_went_out_with_another_ones_may_have_been_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
