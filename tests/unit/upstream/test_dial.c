/* From a node to a link that is ready: over clear text and TLS, in time, once, and never after it was given up. */
#include "fake/clock.h"
#include "fake/descriptors.h"
#include "fake/epochs.h"
#include "fake/rig.h"
#include "fake/tls_play.h"
#include "http/h1.h"
#include "http/h2.h"
#include "http/link.h"
#include "upstream/dial.h"

static const struct tls_pair pair = {IN_TLS("default.pem"), IN_TLS("default.key")};

static struct {
    struct rig rig;
    struct roster *roster;
    struct topology topology;
    struct topology_node node;
    struct epoch *epoch;
    struct header_field fields[MESSAGE_FIELDS_MAXIMUM];
    struct h1_settings h1;
    struct h2_context *h2;
    struct dial dial;
    struct link *link;
    unsigned ready;
    unsigned failed;
    enum fault fault;
    char reason[DIAL_REASON_BYTES];
    int listening;
    int far; /* accepted, or -1 */
    /* The node's TLS. */
    struct tls_server *server;
    struct tls_channel *channel;
    struct buffer_pool pool;
} stage;

static void on_ready(void *owner, struct link *link)
{
    rig_expect_turning(&stage.rig);
    assert_ptr_equal(owner, &stage);
    assert_false(dial_is_under_way(&stage.dial));
    stage.link = link;
    stage.ready++;
}

static void on_failed(void *owner, enum fault fault, const char *reason)
{
    rig_expect_turning(&stage.rig);
    assert_ptr_equal(owner, &stage);
    assert_false(dial_is_under_way(&stage.dial));
    stage.fault = fault;
    text_append(stage.reason, sizeof stage.reason, 0, "%s", reason);
    stage.failed++;
}

static void on_closed(void *owner, enum fault fault)
{
    (void)owner;
    (void)fault;
    stage.link = NULL;
}

static const struct dial_events events = {.on_ready = on_ready, .on_failed = on_failed};
static const struct link_events link_events = {.on_closed = on_closed};

static int make_files(void **state)
{
    (void)state;
    make_certificates();
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    struct address address;
    memset(&stage, 0, sizeof stage);
    rig_start(&stage.rig);
    stage.far = -1;
    stage.listening = far_listen(&address);
    stage.node = (struct topology_node){.node_id = "query-01", .host = "127.0.0.1", .port = address_port(&address)};
    stage.topology = (struct topology){
        .nodes = &stage.node, .node_count = 1, .limits = {.head_bytes = 65536}, .timeouts = {.connect_ms = 1000}};
    stage.h1 = (struct h1_settings){
        .limits = {.head_bytes = 65536, .target_bytes = 8192, .fields = 100}, .fields = stage.fields};
    struct h2_settings h2 = {.limits = stage.h1.limits,
                             .streams_maximum = 100,
                             .window_bytes = 65536,
                             .output_bytes = 65536,
                             .buffers = &stage.rig.buffers,
                             .fields = stage.fields};
    stage.h2 = h2_context_create(stage.rig.loop, &h2);
    stage.roster = roster_create();
    assert_non_null(stage.roster);
    return 0;
}

/* The topology is as the test wants it; the node is at the listening socket. */
static void begin(void)
{
    struct address address = {.length = sizeof address.socket};
    getsockname(stage.listening, &address.socket.any, &address.length);
    stage.epoch = make_epoch(stage.roster, &stage.topology, 1);
    roster_node_set_address(stage.epoch->nodes[0], &address);
}

static int tear_down(void **state)
{
    (void)state;
    dial_cancel(&stage.dial);
    if (stage.link != NULL)
        link_close(stage.link);
    tls_channel_destroy(stage.channel);
    buffer_pool_clear(&stage.pool);
    tls_server_release(stage.server);
    epoch_release(stage.epoch);
    roster_destroy(stage.roster);
    rig_stop(&stage.rig);
    h2_context_destroy(stage.h2);
    if (stage.far >= 0)
        close(stage.far);
    close(stage.listening);
    return 0;
}

static enum fault start(bool is_http2, uint64_t connect_ms)
{
    struct dial_request request = {
        .loop = stage.rig.loop,
        .epoch = stage.epoch,
        .index = 0,
        .h1 = &stage.h1,
        .h2 = stage.h2,
        .buffers = &stage.rig.buffers,
        .high_water_bytes = 65536,
        .connect_ms = connect_ms,
        .is_http2 = is_http2,
        .streams_expected = 100,
        .events = &events,
        .owner = &stage,
        .link_events = &link_events,
        .link_owner = &stage,
    };
    return dial_start(&stage.dial, &request);
}

static void expect_start(bool is_http2)
{
    assert_int_equal(start(is_http2, 1000), FAULT_NONE);
    assert_true(dial_is_under_way(&stage.dial));
    assert_int_equal(stage.ready + stage.failed, 0);
}

static void pass(uint64_t ms)
{
    for (uint64_t passed = 0; passed < ms; passed += LOOP_TICK_MS) {
        clock_advance(LOOP_TICK_MS);
        rig_turn(&stage.rig);
    }
}

/* ---- clear text ---- */

static void a_node_that_takes_it_gives_a_link(void **state)
{
    (void)state;
    for (unsigned http2 = 0; http2 < 2; http2++) {
        if (stage.epoch == NULL)
            begin();
        stage.ready = 0;
        expect_start(http2 != 0);
        rig_until(&stage.rig, stage.ready == 1);
        assert_non_null(stage.link);
        assert_int_equal(stage.link->is_http2, http2);
        assert_ptr_equal(stage.link->owner, &stage);
        assert_true(link_has_room(stage.link));
        /* The time is over, and nobody minds. */
        pass(2000);
        assert_int_equal(stage.ready + stage.failed, 1);
        assert_true(link_has_room(stage.link));
        link_close(stage.link);
        stage.link = NULL;
    }
}

static void a_node_that_refuses_is_said(void **state)
{
    (void)state;
    begin();
    close(stage.listening);
    enum fault fault = start(false, 1000);
    if (fault == FAULT_NONE) {
        rig_until(&stage.rig, stage.failed == 1);
        fault = stage.fault;
    }
    assert_int_equal(fault, FAULT_CONNECT_REFUSED);
    assert_false(dial_is_under_way(&stage.dial));
    assert_string_equal(stage.reason, "");
    rig_settle(&stage.rig);
    assert_int_equal(stage.ready, 0);
    struct address address;
    stage.listening = far_listen(&address);
}

static void without_an_address_nothing_begins(void **state)
{
    (void)state;
    begin();
    roster_node_set_address(stage.epoch->nodes[0], &(struct address){.length = 0});
    assert_int_equal(start(false, 1000), FAULT_RESOLVE);
    assert_false(dial_is_under_way(&stage.dial));
}

static void our_own_lack_is_not_the_nodes_fault(void **state)
{
    (void)state;
    begin();
    struct rlimit before = descriptors_exhaust();
    enum fault fault = start(false, 1000);
    descriptors_give_back(before);
    assert_int_equal(fault, FAULT_OUT_OF_MEMORY);
    assert_false(dial_is_under_way(&stage.dial));
}

static void a_dial_that_is_given_up_says_nothing(void **state)
{
    (void)state;
    dial_cancel(&stage.dial);
    begin();
    expect_start(false);
    dial_cancel(&stage.dial);
    dial_cancel(&stage.dial);
    assert_false(dial_is_under_way(&stage.dial));
    rig_settle(&stage.rig);
    pass(2000);
    assert_int_equal(stage.ready + stage.failed, 0);
    /* It can be used again. */
    expect_start(false);
    rig_until(&stage.rig, stage.ready == 1);
}

/* ---- TLS ---- */

static void begin_tls(enum topology_http http, bool node_offers_http2, const char *name)
{
    stage.node.is_tls = true;
    stage.node.http = http;
    stage.node.tls = (struct topology_node_tls){.verify = true, .ca = IN_TLS("ca.pem")};
    stage.node.server_name = name;
    stage.server =
        server_with((struct tls_server_settings){.pairs = &pair, .pair_count = 1, .offers_http2 = node_offers_http2});
    begin();
}

/* What has arrived is the node's to answer. */
static void node_turns(void)
{
    static char raw[65536];
    static char plain[65536];
    size_t length = 0;
    if (stage.far < 0 && (stage.far = far_accept(stage.listening)) >= 0) {
        stage.channel = tls_server_open(stage.server);
        tls_channel_attach(stage.channel, &stage.pool, -1);
    }
    if (stage.far < 0)
        return;
    far_read(stage.far, raw, &length, sizeof raw);
    tls_channel_feed(stage.channel, text_of(raw, length));
    if (tls_channel_state(stage.channel) == TLS_HANDSHAKING)
        tls_channel_handshake(stage.channel);
    if (tls_channel_state(stage.channel) == TLS_OPEN)
        tls_channel_read(stage.channel, plain, sizeof plain);
    struct buffer *wire = tls_channel_wire(stage.channel);
    while (wire->length > 0) {
        size_t sent = far_send(stage.far, buffer_first(wire));
        if (sent == 0)
            break;
        buffer_consume(wire, sent);
    }
}

#define turn_until(condition) rig_until(&stage.rig, (node_turns(), condition))

struct row {
    enum topology_http http;
    bool node_offers_http2;
    bool is_http2; /* the link that comes of it */
};

/* What the caller supposes of a clear-text node means nothing here. */
static void alpn_says_which_http_is_spoken(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {TOPOLOGY_HTTP_AUTO, true, true},
        {TOPOLOGY_HTTP_AUTO, false, false},
        {TOPOLOGY_HTTP_1, true, false},
        {TOPOLOGY_HTTP_2, true, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        begin_tls(rows[i].http, rows[i].node_offers_http2, "a.example");
        expect_start(!rows[i].is_http2);
        turn_until(stage.ready == 1);
        assert_int_equal(stage.link->is_http2, rows[i].is_http2);
        pass(2000);
        assert_int_equal(stage.failed, 0);
        tear_down(state);
        set_up(state);
    }
}

static void a_node_that_must_speak_http_2_and_does_not_is_no_use(void **state)
{
    (void)state;
    begin_tls(TOPOLOGY_HTTP_2, false, "a.example");
    expect_start(true);
    turn_until(stage.ready + stage.failed == 1);
    assert_int_equal(stage.failed, 1);
    /* OpenSSL answers an offer of which nothing suits with an alert; a node that answers without ALPN is as little use. */
    assert_true(stage.fault == FAULT_UPSTREAM_VERSION || stage.fault == FAULT_TLS_FAILED);
    assert_string_not_equal(stage.reason, "");
}

static void a_stranger_is_not_taken_for_the_node(void **state)
{
    (void)state;
    begin_tls(TOPOLOGY_HTTP_AUTO, true, "b.example");
    expect_start(false);
    turn_until(stage.failed == 1);
    assert_int_equal(stage.fault, FAULT_TLS_UNVERIFIED);
    assert_non_null(strstr(stage.reason, "hostname mismatch"));
    assert_int_equal(stage.ready, 0);
}

static void a_node_that_speaks_clear_text_fails_the_handshake(void **state)
{
    (void)state;
    begin_tls(TOPOLOGY_HTTP_AUTO, true, "a.example");
    expect_start(false);
    rig_until(&stage.rig, (stage.far = far_accept(stage.listening)) >= 0);
    far_send(stage.far, TEXT("HTTP/1.1 400 Bad Request\r\n\r\n"));
    rig_until(&stage.rig, stage.failed == 1);
    assert_int_equal(stage.fault, FAULT_TLS_FAILED);
    assert_string_not_equal(stage.reason, "");
}

/* The connection is there, the handshake is not: both have the time of a connect, together. */
static void a_silent_handshake_has_a_deadline(void **state)
{
    (void)state;
    begin_tls(TOPOLOGY_HTTP_AUTO, true, "a.example");
    expect_start(false);
    rig_until(&stage.rig, (stage.far = far_accept(stage.listening)) >= 0);
    pass(900);
    assert_int_equal(stage.failed, 0);
    pass(200);
    assert_int_equal(stage.failed, 1);
    assert_int_equal(stage.fault, FAULT_CONNECT_TIMEOUT);
    assert_false(dial_is_under_way(&stage.dial));
    pass(2000);
    assert_int_equal(stage.ready + stage.failed, 1);
}

static void without_a_limit_of_its_own_the_owner_decides(void **state)
{
    (void)state;
    begin_tls(TOPOLOGY_HTTP_AUTO, true, "a.example");
    assert_int_equal(start(false, 0), FAULT_NONE);
    pass(60000);
    assert_true(dial_is_under_way(&stage.dial));
    dial_cancel(&stage.dial);
    rig_settle(&stage.rig);
    assert_int_equal(stage.ready + stage.failed, 0);
}

static void a_handshake_that_is_given_up_says_nothing(void **state)
{
    (void)state;
    begin_tls(TOPOLOGY_HTTP_AUTO, true, "a.example");
    expect_start(false);
    rig_until(&stage.rig, (stage.far = far_accept(stage.listening)) >= 0);
    dial_cancel(&stage.dial);
    pass(2000);
    assert_int_equal(stage.ready + stage.failed, 0);
    /* The node sees an end. */
    char bytes[4096];
    size_t used = 0;
    enum far_state far_state;
    rig_until(&stage.rig, (far_state = far_read(stage.far, bytes, &used, sizeof bytes)) != FAR_OPEN);
}

/* An epoch may go while a dial is under way: it was read before. */
static void a_dial_does_not_need_the_epoch(void **state)
{
    (void)state;
    begin_tls(TOPOLOGY_HTTP_AUTO, true, "a.example");
    expect_start(false);
    epoch_release(stage.epoch);
    stage.epoch = NULL;
    memset(&stage.node, 0xff, sizeof stage.node);
    turn_until(stage.ready == 1);
    assert_true(stage.link->is_http2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(a_node_that_takes_it_gives_a_link),
        TEST(a_node_that_refuses_is_said),
        TEST(without_an_address_nothing_begins),
        TEST(our_own_lack_is_not_the_nodes_fault),
        TEST(a_dial_that_is_given_up_says_nothing),
        TEST(alpn_says_which_http_is_spoken),
        TEST(a_node_that_must_speak_http_2_and_does_not_is_no_use),
        TEST(a_stranger_is_not_taken_for_the_node),
        TEST(a_node_that_speaks_clear_text_fails_the_handshake),
        TEST(a_silent_handshake_has_a_deadline),
        TEST(without_a_limit_of_its_own_the_owner_decides),
        TEST(a_handshake_that_is_given_up_says_nothing),
        TEST(a_dial_does_not_need_the_epoch),
    };
    return cmocka_run_group_tests(tests, make_files, NULL);
}
