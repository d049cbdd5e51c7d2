/* The upstream link over TLS: what makes it readable may be nobody's word. */
#include <event2/event.h>
#include <event2/event_struct.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fake/client_play.h"
#include "fake/tls_play.h"
#include "net/poller.h"

static const struct tls_pair pair = {IN_TLS("default.pem"), IN_TLS("default.key")};

static struct {
    struct buffer_pool pool;
    struct tls_channel *node;
    bool is_connected;
    char got[4096];
    size_t length;
} tls;

static void on_connected(void *owner)
{
    (void)owner;
    tls.is_connected = true;
}

static void on_ended(void *owner, enum conn_end end)
{
    (void)owner;
    fail_msg("the connection ended: %d", (int)end);
}

static void node_pulls(void)
{
    char raw[16384];
    size_t length = 0;
    far_read(stage.far, raw, &length, sizeof raw);
    tls_channel_feed(tls.node, text_of(raw, length));
    play_step(tls.node, tls.got, &tls.length);
}

static void node_pushes(void)
{
    struct buffer *wire = tls_channel_wire(tls.node);
    while (wire->length > 0)
        buffer_consume(wire, far_send(stage.far, buffer_first(wire)));
}

/* Somebody else's event comes first in the turn: the request goes out, and the node is quick. */
static void ask_and_answer(evutil_socket_t fd, short what, void *argument)
{
    (void)fd;
    (void)what;
    (void)argument;
    loop_enter(stage.rig.loop);
    open_stream();
    send_head("GET", BODY_NONE, 0);
    stream_send_end(stage.stream);
    loop_leave(stage.rig.loop);
    while (tls.length == 0)
        node_pulls();
    struct buffer output;
    buffer_init(&output, &tls.pool);
    assert_true(buffer_append(&output, TEXT("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")));
    assert_true(tls_channel_write(tls.node, &output));
    node_pushes();
    buffer_clear(&output);
}

/* Until both sides are open; the node's tickets are on its wire then, and not sent. */
static void shake_hands(struct tls_server *server)
{
    tls.node = tls_server_open(server);
    tls_channel_attach(tls.node, &tls.pool, -1);
    for (int i = 0; i < 1000 && !tls.is_connected; i++) {
        node_pulls();
        if (tls_channel_state(tls.node) == TLS_HANDSHAKING)
            node_pushes();
        rig_turn(&stage.rig);
    }
    assert_true(tls.is_connected);
    while (tls_channel_state(tls.node) == TLS_HANDSHAKING)
        node_pulls();
    assert_true(tls_channel_wire(tls.node)->length > 0);
}

static void an_answer_behind_a_ticket_is_an_answer(void **state)
{
    (void)state;
    struct address address;
    struct event event;
    int pipe_ends[2];
    enum conn_end end;
    memset(&stage, 0, sizeof stage);
    memset(&tls, 0, sizeof tls);
    rig_start(&stage.rig);
    stage.settings = (struct h1_settings){
        .limits = {.head_bytes = 65536, .target_bytes = 8192, .fields = 100}, .fields = stage.fields};
    struct tls_server *server = server_with((struct tls_server_settings){.pairs = &pair, .pair_count = 1});
    struct tls_client *client = client_with((struct tls_client_settings){.ca = IN_TLS("ca.pem")});
    struct tls_peer *peer = tls_peer_create(client, "a.example");
    static const struct conn_events events = {.on_connected = on_connected, .on_ended = on_ended};
    struct conn_settings settings = {.events = &events,
                                     .pool = &stage.rig.buffers,
                                     .high_water_bytes = 65536,
                                     .input_maximum_bytes = stage.settings.limits.head_bytes + LOOP_SCRATCH_BYTES,
                                     .tls = tls_peer_open(peer, TLS_OFFER_HTTP_1_1)};
    int listening = far_listen(&address);
    struct conn *conn = conn_connect(stage.rig.loop, &address, &settings, &end);
    rig_until(&stage.rig, (stage.far = far_accept(listening)) >= 0);
    shake_hands(server);
    stage.link = h1_client_create(stage.rig.loop, conn, &stage.settings, &stage_link_events, &stage);
    /* So that the other event is the first one that the system tells. */
    rig_settle(&stage.rig);
    assert_int_equal(pipe(pipe_ends), 0);
    event_assign(&event, poller_base(loop_poller(stage.rig.loop)), pipe_ends[0], EV_READ, ask_and_answer, NULL);
    event_add(&event, NULL);
    assert_int_equal(write(pipe_ends[1], "x", 1), 1);
    node_pushes();
    rig_settle(&stage.rig);
    clock_advance(100);
    rig_settle(&stage.rig);
    assert_string_equal(stage.transcript, "200[hi]");

    let_go();
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    close(listening);
    all_go();
    tls_channel_destroy(tls.node);
    buffer_pool_clear(&tls.pool);
    rig_stop(&stage.rig);
    tls_peer_destroy(peer);
    tls_client_destroy(client);
    tls_server_release(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_behind_a_ticket_is_an_answer),
    };
    make_certificates();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
