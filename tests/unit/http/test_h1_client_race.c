/*
 * The upstream link when the node closes just as a request comes: what was provably not read may go elsewhere, nothing
 * else.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fake/client_play.h"

#define UNREAD "(link_closed_unread)"

/* Over TCP, because its kernel knows what was acknowledged. */
static int set_up_tcp(void **state)
{
    (void)state;
    struct address address;
    memset(&stage, 0, sizeof stage);
    rig_start(&stage.rig);
    stage.settings = (struct h1_settings){
        .limits = {.head_bytes = 65536, .target_bytes = 8192, .fields = 100}, .fields = stage.fields};
    int listening = far_listen(&address);
    int near = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(near, &address.socket.any, address.length), 0);
    assert_int_equal(fcntl(near, F_SETFL, O_NONBLOCK), 0);
    int far;
    rig_until(&stage.rig, (far = far_accept(listening)) >= 0);
    close(listening);
    link_up(near, far);
    return 0;
}

/* The node has heard all of the request under way. */
static void node_hears(void)
{
    static const char whole[] = "GET / HTTP/1.1\r\nHost: n\r\n\r\n";
    stage.heard_length = 0;
    rig_until(&stage.rig, far_read(stage.far, stage.heard, &stage.heard_length, sizeof stage.heard) == FAR_OPEN &&
                              stage.heard_length == sizeof whole - 1);
}

/* One exchange that goes well, so that the link is a kept one. */
static void exchange_once(void)
{
    ask("GET");
    node_hears();
    far_send(stage.far, TEXT("HTTP/1.1 204 No Content\r\n\r\n"));
    rig_until(&stage.rig, stage.ended == 1);
    let_go();
    assert_non_null(stage.link);
    stage.used = 0;
    stage.transcript[0] = '\0';
}

static void node_closes(void)
{
    close(stage.far);
    stage.far = -1;
}

static void node_resets(void)
{
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    setsockopt(stage.far, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    node_closes();
}

/* The request goes out in the moment in which the node's end is on its way. */
static void ask_into_the_end(void)
{
    open_stream();
    send_head("GET", BODY_NONE, 0);
    stream_send_end(stage.stream);
}

static void await_confirmation(void)
{
    rig_settle(&stage.rig);
    clock_advance(100);
    rig_until(&stage.rig, stage.closed == 1);
}

static void a_kept_link_that_was_closed_before_proves_it(void **state)
{
    (void)state;
    exchange_once();
    node_closes();
    ask_into_the_end();
    await_confirmation();
    assert_transcript(UNREAD);
}

static void a_node_that_only_stopped_talking_may_have_read(void **state)
{
    (void)state;
    exchange_once();
    shutdown(stage.far, SHUT_WR);
    ask_into_the_end();
    node_hears();
    await_confirmation();
    assert_transcript("(upstream_closed)");
}

/* The link waits for the kernel, but not long, and the stream may be let go of meanwhile. */
static void a_stream_may_be_let_go_of_before_it_is_confirmed(void **state)
{
    (void)state;
    exchange_once();
    shutdown(stage.far, SHUT_WR);
    ask_into_the_end();
    rig_turn(&stage.rig);
    if (stage.stream != NULL) {
        stream_reset(stage.stream, FAULT_DOWNSTREAM_GONE);
        stage.link = NULL;
    }
    clock_advance(100);
    rig_settle(&stage.rig);
    assert_transcript("");
}

static void a_fresh_link_that_closes_after_the_request_proves_nothing(void **state)
{
    (void)state;
    ask("GET");
    node_hears();
    node_closes();
    await_confirmation();
    assert_transcript("(upstream_closed)");
}

static void a_request_of_which_no_byte_has_left_was_not_read(void **state)
{
    (void)state;
    node_resets();
    ask_into_the_end();
    await_confirmation();
    assert_transcript(UNREAD);
}

/* A 408 for the idle time crosses the request: it is nobody's answer. */
static void an_idle_timeout_is_not_taken_for_an_answer(void **state)
{
    (void)state;
    exchange_once();
    far_send(stage.far, TEXT("HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"));
    node_closes();
    ask_into_the_end();
    await_confirmation();
    assert_transcript(UNREAD);
}

static void a_node_that_has_read_may_answer_the_same(void **state)
{
    (void)state;
    exchange_once();
    ask("GET");
    node_hears();
    far_send(stage.far, TEXT("HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"));
    rig_until(&stage.rig, stage.ended == 2);
    assert_transcript("408[]");
    let_go();
    assert_null(stage.link);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_tcp, tear_down)
        TEST(a_kept_link_that_was_closed_before_proves_it),
        TEST(a_node_that_only_stopped_talking_may_have_read),
        TEST(a_stream_may_be_let_go_of_before_it_is_confirmed),
        TEST(a_fresh_link_that_closes_after_the_request_proves_nothing),
        TEST(a_request_of_which_no_byte_has_left_was_not_read),
        TEST(an_idle_timeout_is_not_taken_for_an_answer),
        TEST(a_node_that_has_read_may_answer_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
