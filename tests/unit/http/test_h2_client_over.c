/* The upstream HTTP/2 link when it is over already: between its end, or the memory that ran out, and its grave; and a stream that never began. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fake/h2_play.h"
#include "http/h2_stream.h"

static int set_up(void **state)
{
    set_up_node(state);
    stage.is_terse = true;
    return 0;
}

/* Over TCP, because its kernel knows what was acknowledged: of what fills a small buffer, only the beginning. */
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
    int large = 1048576;
    int small = 4096;
    setsockopt(near, SOL_SOCKET, SO_SNDBUF, &large, sizeof large);
    setsockopt(far, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    link_up(false, near, far);
    node_greets();
    return 0;
}

static struct h2_link *own_link(void)
{
    return (struct h2_link *)stage.link;
}

/* A link that is closed lives until the turn is over: its streams are let go before. */
static void owner_closes(void)
{
    link_close(stage.link);
    stage.link = NULL;
    for (unsigned i = 0; i < stage.actor_count; i++)
        let_go(&stage.actors[i]);
}

static void node_grants_much(int32_t id)
{
    far_window(&stage.far, 0, 1048576);
    far_window(&stage.far, id, 1048576);
    say();
}

/* ---- ended ---- */

/* The second request is in our kernel, behind what the node does not take: whether it was read shows only a moment after the node's FIN. */
static void a_link_that_is_closed_before_its_end_is_understood_tells_nobody(void **state)
{
    (void)state;
    struct h2_actor *writer = upload();
    node_grants_much(1);
    stream_send_data(writer->stream, long_text(200000));
    rig_until(&stage.rig, conn_output_bytes(stage.link->conn) == 0);
    submit("GET");
    rig_settle(&stage.rig);
    shutdown(stage.far.fd, SHUT_WR);
    rig_until(&stage.rig, own_link()->state != H2_LINK_OPEN);
    assert_int_equal(own_link()->state, H2_LINK_ENDED);
    forget();
    owner_closes();
    pass(200);
    assert_transcript("");
}

/* ---- an answer that is whole, from a node that takes nothing and goes ---- */

#define STUCK_BYTES 600000

static void node_says_only(unsigned seconds)
{
    for (unsigned i = 0; i < seconds; i++) {
        far_ping(&stage.far, true);
        say();
        pass(1000);
    }
}

/* Output that nobody takes ends a link that lives. This one has ended by itself: what is whole waits for its reader, however long he takes. */
static void a_whole_answer_outlives_output_that_nobody_took(void **state)
{
    (void)state;
    stage.pauses = true;
    struct h2_actor *reader = ask("GET");
    struct h2_actor *writer = upload();
    node_grants_much(3);
    far_head(&stage.far, 1, ":status: 200\n", false);
    far_data(&stage.far, 1, TEXT("abc"), true);
    say();
    stream_send_data(writer->stream, long_text(STUCK_BYTES));
    rig_settle(&stage.rig);
    assert_true(conn_output_bytes(stage.link->conn) > 0);
    stream_reset(writer->stream, FAULT_DOWNSTREAM_GONE);
    writer->stream = NULL;
    /* The next look at the output, a second after the last one, finds that it has stood still for too long. */
    node_says_only(10);
    pass(500);
    assert_int_equal(own_link()->state, H2_LINK_OPEN);
    shutdown(stage.far.fd, SHUT_WR);
    rig_settle(&stage.rig);
    assert_int_equal(own_link()->state, H2_LINK_DELIVERING);
    pass(5000);
    assert_transcript("A=200 ");
    stream_resume(reader->stream);
    rig_settle(&stage.rig);
    assert_transcript("A[abc] A. ");
    let_go(reader);
    rig_settle(&stage.rig);
    assert_transcript("closed(upstream_closed) ");
}

/* ---- broken: memory is out, and the turn is not over yet ---- */

static void a_broken_link_fails_at_the_end_of_the_turn(void **state)
{
    (void)state;
    ask("GET");
    h2_link_break(own_link());
    assert_transcript("");
    rig_settle(&stage.rig);
    assert_transcript("A!out_of_memory closed(out_of_memory) ");
}

static void a_broken_link_may_be_closed(void **state)
{
    (void)state;
    ask("GET");
    h2_link_break(own_link());
    owner_closes();
    rig_settle(&stage.rig);
    assert_transcript("");
}

/* ---- a stream that never began ---- */

/* Long heads wait behind an upload. Some of them go out when there is room, until there is none: then nghttp2 holds one of which no byte is out. */
static struct h2_stream *head_that_waits(void)
{
    for (unsigned turn = 0; turn < 1000; turn++) {
        for (unsigned i = 1; i < stage.actor_count; i++) {
            struct h2_stream *stream = h2_stream_of(stage.actors[i].stream);
            if (stream->state == H2_STREAM_IDLE && nghttp2_session_get_stream_user_data(own_link()->session, stream->id) != NULL)
                return stream;
        }
        far_hear_some(&stage.far, 4096);
        rig_settle(&stage.rig);
    }
    fail_msg("all heads have gone out");
    return NULL;
}

static void a_node_may_reset_what_has_not_begun(void **state)
{
    (void)state;
    struct h2_actor *writer = upload();
    node_grants_much(1);
    stream_send_data(writer->stream, long_text(STUCK_BYTES));
    rig_settle(&stage.rig);
    for (unsigned i = 0; i < 20; i++) {
        struct message_head head = {.method = TEXT("GET"), .target = long_text(12000), .authority = TEXT("n"), .body = BODY_NONE};
        struct h2_actor *reader = open_stream();
        stream_send_head(reader->stream, &head);
        stream_send_end(reader->stream);
    }
    rig_settle(&stage.rig);
    struct h2_stream *stream = head_that_waits();
    far_reset(&stage.far, stream->id, 8);
    say();
    assert_non_null(strstr(stage.transcript, "!upstream_reset "));
    assert_non_null(stage.link);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define TEST_TCP(name) cmocka_unit_test_setup_teardown(name, set_up_tcp, tear_down)
        TEST_TCP(a_link_that_is_closed_before_its_end_is_understood_tells_nobody),
        TEST(a_whole_answer_outlives_output_that_nobody_took),
        TEST(a_broken_link_fails_at_the_end_of_the_turn),
        TEST(a_broken_link_may_be_closed),
        TEST(a_node_may_reset_what_has_not_begun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
