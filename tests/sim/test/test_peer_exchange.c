/*
 * Many requests between a client's peer and a server's, drawn from seeds: bodies both ways, pieces of any size, pauses, trailers, and in half of the
 * worlds resets, releases, frozen processes and connections that end. What arrives is right byte for byte, and every stream ends exactly once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/draw.h"
#include "kernel/socket.h"
#include "kernel/time.h"
#include "kernel/world.h"
#include "peer/memory.h"
#include "peer/peer.h"
#include "peer/tls.h"
#include "world/plan.h"

#define REQUESTS 24
#define SEEDS 60
#define SEEDS_TLS 10
#define SERVERS_MAXIMUM 256
#define PIECE_BYTES 20000

enum act { ACT_NONE, ACT_CLIENT_RELEASES, ACT_CLIENT_RESETS, ACT_SERVER_RESETS, ACT_SERVER_RELEASES, ACT_SERVER_ABORTS, ACT_SERVER_ENDS,
           ACT_CLIENT_ABORTS, ACT_FREEZE, ACT_DRAIN, ACT_GO_AWAY, ACT_COUNT };

/* One side's half of an exchange. */
struct side {
    struct peer *peer; /* server: whose stream it is */
    struct peer_stream *stream;
    unsigned number;   /* of the exchange */
    char way;          /* what it sends: 'u'p or 'd'own */
    uint64_t to_send;
    uint64_t sent;
    uint64_t to_get;
    uint64_t got;
    unsigned ends;
    unsigned good_ends;
    bool is_gone;      /* released */
    enum act act;
    uint64_t act_at;   /* received bytes */
    struct sim_timer resume;
    struct sim_timer begin;
};

static struct {
    struct plan plan;
    enum peer_version version;
    struct tls_far *tls;
    struct random_source draws;
    struct sim_socket *listener;
    struct peer *client;
    struct peer *servers[SERVERS_MAXIMUM];
    size_t server_count;
    struct side up[REQUESTS];
    struct side down[REQUESTS];
    unsigned begun;
    bool is_rough;
    struct sim_timer tick;
    struct sim_timer thaw;
    struct peer *frozen;
} world;

static char byte_at(unsigned number, char way, uint64_t offset)
{
    return (char)('!' + (number * 7 + (unsigned)way * 13 + offset * 31 + offset / 97) % 90);
}

static void let_go(struct side *side)
{
    if (side->stream != NULL && !side->is_gone) {
        side->is_gone = true;
        struct peer_stream *stream = side->stream;
        side->stream = NULL;
        sim_timer_clear(&side->resume);
        sim_timer_clear(&side->begin);
        peer_stream_release(stream);
    }
}

static struct peer_head trailers_of(const struct side *side)
{
    struct peer_head trailers = {0};
    if (side->number % 3 == 0)
        trailers.fields[trailers.field_count++] = (struct peer_field){TEXT("x-sum"), TEXT("whole")};
    return trailers;
}

static void pump(struct side *side)
{
    static char piece[PIECE_BYTES];
    while (side->stream != NULL && side->sent < side->to_send) {
        size_t length = (size_t)draw_between(&world.draws, 1, PIECE_BYTES);
        length = length < side->to_send - side->sent ? length : (size_t)(side->to_send - side->sent);
        for (size_t i = 0; i < length; i++)
            piece[i] = byte_at(side->number, side->way, side->sent + i);
        size_t taken = peer_send_body(side->stream, text_of(piece, length));
        side->sent += taken;
        if (taken < length)
            return;
    }
    struct peer_head trailers = trailers_of(side);
    if (side->stream != NULL)
        peer_send_end(side->stream, trailers.field_count > 0 && side->to_send > 0 ? &trailers : NULL);
}

static void on_writable(void *owner)
{
    pump(owner);
}

static void on_resume(void *owner)
{
    struct side *side = owner;
    peer_stream_pause(side->stream, false);
}

static void on_thaw(void *owner)
{
    (void)owner;
    if (world.frozen != NULL)
        peer_freeze(world.frozen, false);
    world.frozen = NULL;
}

static void forget_server(const struct peer *peer)
{
    for (size_t i = 0; i < world.server_count; i++)
        world.servers[i] = world.servers[i] == peer ? NULL : world.servers[i];
    if (world.frozen == peer)
        world.frozen = NULL;
}

static void do_act_of_server(struct side *side)
{
    struct peer *peer = side->peer;
    switch (side->act) {
    case ACT_SERVER_RESETS:
        side->is_gone = true;
        peer_stream_reset(side->stream, (uint32_t)draw_below(&world.draws, 14));
        side->stream = NULL;
        break;
    case ACT_GO_AWAY:
        side->is_gone = true;
        peer_go_away_before(side->stream, (uint32_t)draw_below(&world.draws, 14));
        side->stream = NULL;
        break;
    case ACT_SERVER_RELEASES:
        let_go(side);
        break;
    case ACT_SERVER_ABORTS:
        forget_server(peer);
        peer_abort(peer);
        break;
    case ACT_SERVER_ENDS:
        forget_server(peer);
        peer_destroy(peer);
        break;
    case ACT_DRAIN:
        peer_drain(peer);
        break;
    case ACT_FREEZE:
        if (world.frozen == NULL) {
            world.frozen = peer;
            peer_freeze(peer, true);
            sim_timer_in(&world.thaw, draw_between(&world.draws, 1, 300) * SIM_MS);
        }
        break;
    default:
        break;
    }
}

static void do_act(struct side *side)
{
    if (side->got < side->act_at || side->stream == NULL || side->act == ACT_NONE)
        return;
    if (side->way == 'd') {
        do_act_of_server(side);
    } else if (side->act == ACT_CLIENT_RELEASES) {
        let_go(side);
    } else if (side->act == ACT_CLIENT_RESETS) {
        side->is_gone = true;
        peer_stream_reset(side->stream, 8);
        side->stream = NULL;
    } else if (side->act == ACT_CLIENT_ABORTS && world.client != NULL) {
        peer_abort(world.client);
        world.client = NULL;
    }
    side->act = ACT_NONE;
    if (side->stream == NULL) {
        sim_timer_clear(&side->resume);
        sim_timer_clear(&side->begin);
    }
}

static void on_body(void *owner, struct text piece)
{
    struct side *side = owner;
    assert_false(side->is_gone);
    char way = side->way == 'u' ? 'd' : 'u';
    for (size_t i = 0; i < piece.length; i++)
        assert_int_equal(piece.bytes[i], byte_at(side->number, way, side->got + i));
    side->got += piece.length;
    assert_true(side->got <= side->to_get);
    if (draw_below(&world.draws, 8) == 0) {
        peer_stream_pause(side->stream, true);
        sim_timer_in(&side->resume, draw_between(&world.draws, 0, 100) * SIM_MS);
    }
    do_act(side);
}

static void on_trailers(void *owner, const struct peer_head *fields)
{
    struct side *side = owner;
    assert_int_equal(side->number % 3, 0);
    assert_int_equal(fields->field_count, 1);
    assert_true(text_equals(fields->fields[0].value, TEXT("whole")));
}

static void on_end(void *owner)
{
    struct side *side = owner;
    assert_false(side->is_gone);
    assert_int_equal(side->ends++, 0);
    assert_int_equal(side->got, side->to_get);
    side->good_ends++;
    do_act(side);
    /* What is not whole would be cut. */
    if (side->way == 'u' && side->number % 2 == 0 && (side->sent == side->to_send || world.is_rough))
        let_go(side);
}

static void on_cut(void *owner, enum peer_cut why)
{
    struct side *side = owner;
    assert_false(side->is_gone);
    assert_int_equal(side->ends++, 0);
    assert_true(world.is_rough);
    assert_int_not_equal(why, PEER_CUT_BAD);
    if (side->number % 2 == 0)
        let_go(side);
}

static void on_response(void *owner, const struct peer_head *head)
{
    struct side *side = owner;
    assert_false(side->is_gone);
    assert_true(head->status == 103 || head->status == 200);
    if (head->has_length)
        assert_int_equal(head->length, side->to_get);
}

static const struct peer_stream_events stream_events = {
    .on_response = on_response,
    .on_body = on_body,
    .on_trailers = on_trailers,
    .on_end = on_end,
    .on_cut = on_cut,
    .on_writable = on_writable,
};

/* ---- the server ---- */

static void begin_answer(void *owner)
{
    struct side *side = owner;
    if (side->number % 5 == 0) {
        struct peer_head interim = {.status = 103, .is_whole = true};
        peer_respond(side->stream, &interim);
    }
    struct peer_head head = {.status = 200, .is_whole = side->to_send == 0, .has_length = side->number % 3 != 0, .length = side->to_send};
    peer_respond(side->stream, &head);
    if (side->to_send > 0)
        pump(side);
}

static void on_request(void *owner, struct peer_stream *stream, const struct peer_head *head)
{
    uint64_t number = 0;
    assert_true(text_to_u64(text_of(head->target.bytes + 1, head->target.length - 1), &number));
    assert_true(number < REQUESTS);
    struct side *side = &world.down[number];
    side->peer = owner;
    side->stream = stream;
    peer_stream_adopt(stream, &stream_events, side);
    sim_timer_in(&side->begin, draw_between(&world.draws, 0, 50) * SIM_MS);
    do_act(side);
}

/* A server's peer is its own owner: the events need it. */
struct server {
    struct peer *peer;
};

static struct server servers[SERVERS_MAXIMUM];

static void on_request_of(void *owner, struct peer_stream *stream, const struct peer_head *head)
{
    on_request(((struct server *)owner)->peer, stream, head);
}

static void on_server_closed(void *owner, enum peer_cut why)
{
    struct server *server = owner;
    assert_int_not_equal(why, PEER_CUT_BAD);
    forget_server(server->peer);
    peer_destroy(server->peer);
}

static const struct peer_events server_events = {.on_request = on_request_of, .on_closed = on_server_closed};

static void on_accept(void *owner, struct sim_socket *connection)
{
    (void)owner;
    assert_true(world.server_count < SERVERS_MAXIMUM);
    struct server *server = &servers[world.server_count];
    server->peer = peer_serve(connection, PEER_HTTP_2, world.tls, &server_events, server);
    world.servers[world.server_count++] = server->peer;
}

/* ---- the client ---- */

static void on_client_closed(void *owner, enum peer_cut why)
{
    (void)owner;
    assert_int_not_equal(why, PEER_CUT_BAD);
    peer_destroy(world.client);
    world.client = NULL;
}

static const struct peer_events client_events = {.on_closed = on_client_closed};

static void begin_request(void)
{
    struct side *side = &world.up[world.begun];
    char target[16];
    snprintf(target, sizeof target, "/%u", world.begun);
    struct peer_head head = {.method = TEXT("POST"), .target = text_of_string(target), .authority = TEXT("h"), .is_whole = side->to_send == 0,
                             .has_length = side->number % 3 != 0 && side->to_send > 0, .length = side->to_send};
    side->stream = peer_request(world.client, &head, &stream_events, side);
    assert_non_null(side->stream);
    world.begun++;
    if (side->to_send > 0)
        pump(side);
}

static void on_tick(void *owner)
{
    (void)owner;
    struct address address = sim_address(100, 8181);
    if (world.client != NULL && !peer_can_send(world.client) && peer_stream_count(world.client) == 0) {
        peer_destroy(world.client);
        world.client = NULL;
    }
    if (world.client == NULL && world.begun < REQUESTS) {
        world.client = peer_connect(2000, &address, world.version, world.tls, &client_events, NULL);
        if (draw_below(&world.draws, 2) == 0)
            peer_pipeline(world.client);
    }
    while (world.client != NULL && world.begun < REQUESTS && peer_stream_count(world.client) < 8 && peer_can_send(world.client))
        begin_request();
    sim_timer_in(&world.tick, 5 * SIM_MS);
}

/* ---- a world ---- */

static uint64_t draw_size(void)
{
    return draw_below(&world.draws, UINT64_C(1) << draw_between(&world.draws, 0, 18));
}

static void draw_sides(void)
{
    for (unsigned i = 0; i < REQUESTS; i++) {
        struct side *up = &world.up[i];
        struct side *down = &world.down[i];
        *up = (struct side){.number = i, .way = 'u', .to_send = draw_size()};
        *down = (struct side){.number = i, .way = 'd', .to_send = draw_size(), .to_get = up->to_send};
        up->to_get = down->to_send;
        if (world.is_rough && draw_below(&world.draws, 3) == 0) {
            up->act = (enum act)draw_below(&world.draws, ACT_COUNT);
            up->act_at = draw_below(&world.draws, up->to_get + 1);
            down->act = (enum act)draw_below(&world.draws, ACT_COUNT);
            down->act_at = draw_below(&world.draws, down->to_get + 1);
        }
        sim_timer_init(&up->resume, on_resume, up);
        sim_timer_init(&down->resume, on_resume, down);
        sim_timer_init(&down->begin, begin_answer, down);
        sim_timer_init(&up->begin, begin_answer, up);
    }
}

static void check_ends(uint64_t seed)
{
    for (unsigned i = 0; i < REQUESTS; i++) {
        const struct side *up = &world.up[i];
        const struct side *down = &world.down[i];
        /* A side whose peer was destroyed under it hears nothing more. */
        if (!world.is_rough && (up->good_ends != 1 || down->good_ends != 1))
            fail_msg("seed %llu: exchange %u has not ended: %u and %u", (unsigned long long)seed, i, up->good_ends, down->good_ends);
    }
}

static void play(uint64_t seed, enum peer_version version, bool is_tls)
{
    memset(&world, 0, sizeof world);
    random_seed(&world.draws, seed * 1000 + (uint64_t)version * 10 + is_tls);
    world.version = version;
    world.is_rough = seed % 2 == 0;
    world.plan = (struct plan){.seed = seed, .faulty_seconds = 1000000};
    if (draw_below(&world.draws, 2) == 0)
        world.plan.rate[FAULT_KIND_NET_SMALL_PIECES] = (uint32_t)draw_below(&world.draws, 200000);
    if (draw_below(&world.draws, 2) == 0)
        world.plan.rate[FAULT_KIND_NET_SMALL_BUFFERS] = 500000;
    world_begin(&world.plan);
    if (is_tls)
        world.tls = tls_far_create("DNS:n1.sim");
    draw_sides();
    static const struct sim_socket_events events = {.on_accept = on_accept};
    struct address address = sim_address(100, 8181);
    world.listener = sim_listen(&address, 16, &events, NULL);
    sim_timer_init(&world.tick, on_tick, NULL);
    sim_timer_init(&world.thaw, on_thaw, NULL);
    sim_timer_in(&world.tick, 0);
    world_run(600 * SIM_S);
    assert_int_equal(world.begun, REQUESTS);
    check_ends(seed);
    sim_timer_clear(&world.tick);
    for (unsigned i = 0; i < REQUESTS; i++) {
        let_go(&world.up[i]);
        let_go(&world.down[i]);
    }
    peer_destroy(world.client);
    for (size_t i = 0; i < world.server_count; i++)
        peer_destroy(world.servers[i]);
    sim_close(world.listener);
    tls_far_destroy(world.tls);
    world_run(610 * SIM_S);
    world_end();
    assert_int_equal(peer_memory_users(), 0);
}

static void test_http_1(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        play(seed, PEER_HTTP_1, false);
}

static void test_http_2(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        play(seed, PEER_HTTP_2, false);
}

static void test_tls(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS_TLS; seed++) {
        play(seed, PEER_HTTP_1, true);
        play(seed, PEER_HTTP_2, true);
    }
}

/* A seed is one world: what happens in it happens again. */
static void test_a_seed_is_one_world(void **state)
{
    (void)state;
    uint64_t fingerprints[2];
    for (int i = 0; i < 2; i++) {
        play(2, PEER_HTTP_2, true);
        fingerprints[i] = world_fingerprint();
    }
    assert_int_equal(fingerprints[0], fingerprints[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http_1),
        cmocka_unit_test(test_http_2),
        cmocka_unit_test(test_tls),
        cmocka_unit_test(test_a_seed_is_one_world),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
