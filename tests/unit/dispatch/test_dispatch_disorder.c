/*
 * A caller and three nodes that do whatever they may in an order that nobody thought of, while nodes come and go and time passes. What must always
 * hold: a node gets the bytes of the request in order, each once, and all of them before their end; the caller hears one answer or one failure and
 * nothing behind it; and in the end every attempt, link and kept byte is given back. The memory is the sanitizer's to judge. A failure names its play.
 */
#define ATTEMPTS 16

#include "fake/dispatch_stage.h"

#define PLAYS 4000
#define STEPS 50
#define BODY_MAXIMUM 3000

static uint32_t seed;
static uint32_t play_number;

/* What the node's side of a stream has said. */
enum phase { PHASE_SILENT, PHASE_ANSWERING, PHASE_TRAILED, PHASE_OVER };

static struct {
    enum phase phases[NODES][ATTEMPTS];
    uint64_t sums[BODY_MAXIMUM + 1]; /* of the request's bytes up to each */
    size_t sent;
    bool has_ended;
    bool is_grpc;
} play;

/* Numerical Recipes' generator: the same plays everywhere. */
static unsigned chance(unsigned below)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
}

/* ---- the caller ---- */

static void open_one(void)
{
    static const struct {
        const char *method;
        const char *target;
        const char *lines;
    } requests[] = {
        {"POST", QUERY, ""},
        {"POST", WRITE, ""},
        {"PUT", "/api/v3/plugins/files", ""},
        {"GET", "/api/v3/engine/trigger", ""},
        {"POST", "/arrow.flight.protocol.FlightService/DoGet", "content-type: application/grpc\n"},
        {"POST", QUERY, "x-sluice-node: query-02\n"},
    };
    unsigned which = chance(6);
    play.is_grpc = which == 4;
    play.has_ended = chance(4) == 0;
    if (open_request(requests[which].method, requests[which].target, requests[which].lines,
                     play.has_ended ? BODY_NONE : BODY_STREAM))
        IN_VERB(stream_send_head(stage.caller->stream, stage.caller->head));
}

static void send_some(void)
{
    static const char line[] = "m,tag=a field=1 1000\n";
    char bytes[64];
    size_t length = 1 + chance(sizeof bytes - 1);
    if (play.has_ended || play.sent + length > BODY_MAXIMUM || (is_congested() && chance(4) != 0))
        return;
    for (size_t i = 0; i < length; i++)
        bytes[i] = line[(play.sent + i) % (sizeof line - 1)];
    for (size_t i = 0; i < length; i++)
        play.sums[play.sent + i + 1] = fake_sum(play.sums[play.sent + i], text_of(bytes + i, 1));
    play.sent += length;
    send_bytes(text_of(bytes, length));
}

static void end_request(void)
{
    if (!play.has_ended)
        send_end();
    play.has_ended = true;
}

static bool is_committed(void)
{
    return strchr(stage.caller->events, 'h') != NULL;
}

static void leave_epoch(void)
{
    if (!is_committed() || stage.caller->lease == NULL)
        return;
    dispatch_leave_epoch(stage.caller->stream);
    lease_release(stage.caller->lease);
    stage.caller->lease = NULL;
}

static void caller_acts(void)
{
    if (stage.caller->stream == NULL)
        return;
    switch (chance(24)) {
    case 0:
        end_request();
        break;
    case 1:
        IN_VERB(stream_pause(stage.caller->stream));
        break;
    case 2:
        IN_VERB(stream_resume(stage.caller->stream));
        break;
    case 3:
        leave_epoch();
        break;
    case 4:
        if (chance(20) == 0)
            let_go(stage.caller);
        break;
    default:
        send_some();
        break;
    }
}

/* ---- the nodes ---- */

static struct fake_stream *open_stream_of(unsigned node, unsigned *number)
{
    for (*number = 0; *number < cluster.pool.nodes[node].attempts; ++*number) {
        struct fake_stream *fake = &cluster.pool.nodes[node].streams[*number];
        if (!fake->is_released)
            return fake;
    }
    return NULL;
}

static void say_head(struct stream *stream, enum phase *phase)
{
    static const unsigned statuses[] = {200, 204, 400, 404, 405, 500, 503};
    static const char *const lines[] = {"", "grpc-status: 0\n", "grpc-status: 14\n"};
    struct message_head *head = received_head(lines[play.is_grpc ? chance(3) : 0]);
    head->status = play.is_grpc && chance(4) != 0 ? 200 : statuses[chance(7)];
    head->body = chance(3) == 0 ? BODY_NONE : BODY_STREAM;
    *phase = head->body == BODY_NONE ? PHASE_TRAILED : PHASE_ANSWERING;
    stream->events->on_head(stream->owner, head);
}

static void say_data(struct stream *stream)
{
    static const char *const words[] = {"{\"error\":\"cannot write to a read-only server\"}", "{error: \"not found\"}", "ab"};
    stream->events->on_data(stream->owner, text_of_string(words[chance(3)]));
}

static void fail_stream(struct stream *stream, enum phase *phase)
{
    static const enum fault faults[] = {FAULT_UPSTREAM_RESET, FAULT_UPSTREAM_CLOSED, FAULT_LINK_CLOSED_UNREAD,
                                        FAULT_UPSTREAM_REFUSED_STREAM, FAULT_UPSTREAM_TRUNCATED, FAULT_UPSTREAM_MALFORMED};
    *phase = PHASE_OVER;
    stream->events->on_failed(stream->owner, faults[chance(6)]);
}

static void end_answer(struct stream *stream, enum phase *phase)
{
    *phase = PHASE_OVER;
    stream->events->on_end(stream->owner);
}

static void node_speaks(unsigned node)
{
    unsigned number;
    struct fake_stream *fake = open_stream_of(node, &number);
    if (fake == NULL)
        return;
    struct stream *stream = &fake->stream;
    enum phase *phase = &play.phases[node][number];
    /* All was said, and the answer is still being thought about. */
    if (*phase == PHASE_OVER)
        return;
    if (chance(8) == 0) {
        fail_stream(stream, phase);
    } else if (fake->is_congested) {
        fake->is_congested = false;
        stream->events->on_drained(stream->owner);
    } else if (*phase == PHASE_SILENT) {
        if (chance(4) == 0)
            say_head(stream, phase);
        else
            fake->is_stuck = chance(2) == 0;
    } else if (*phase == PHASE_ANSWERING && chance(3) != 0) {
        say_data(stream);
    } else if (*phase == PHASE_ANSWERING && chance(2) == 0) {
        *phase = PHASE_TRAILED;
        stream->events->on_trailers(stream->owner, received_head(play.is_grpc ? "grpc-status: 0\n" : "x-a: 1\n"));
    } else {
        end_answer(stream, phase);
    }
}

static void node_acts(unsigned node)
{
    if (cluster.pool.nodes[node].waiting == NULL)
        node_speaks(node);
    else if (chance(3) == 0)
        node_cannot_serve(node, FAULT_CONNECT_REFUSED);
    else if (chance(2) == 0)
        node_serve(node);
}

static void world_acts(void)
{
    switch (chance(30)) {
    case 0:
        pass(chance(4000));
        break;
    case 1:
        roster_node_set_health(shared(0), chance(2) == 0 ? HEALTH_DOWN : HEALTH_UP);
        break;
    case 2:
        if (cluster.epoch->number < EPOCHS)
            cluster_reload(1 + chance(NODES));
        break;
    default:
        break;
    }
}

/* ---- what must hold ---- */

static void expect_bytes_in_order(void)
{
    for (unsigned node = 0; node < NODES; node++) {
        for (unsigned i = 0; i < cluster.pool.nodes[node].attempts; i++) {
            const struct fake_stream *fake = &cluster.pool.nodes[node].streams[i];
            if (fake->data_bytes > play.sent || fake->data_sum != play.sums[fake->data_bytes])
                fail_msg("play %u: node %u has got other bytes", play_number, node);
            if (strchr(fake->verbs, 'e') != NULL && (fake->data_bytes != play.sent || !play.has_ended))
                fail_msg("play %u: node %u has got an end too early", play_number, node);
        }
    }
}

static void expect_one_answer(void)
{
    const char *at = stage.caller->events;
    at += strspn(at, "i");
    if (*at == 'h')
        at += 1 + strspn(at + 1, "d");
    at += *at == 't';
    at += *at == 'e' || *at == 'f';
    if (*at != '\0')
        fail_msg("play %u: the caller heard %s", play_number, stage.caller->events);
}

/* The caller says all that it has to say, and whatever the nodes do, it comes to an end. */
static void expect_end(void)
{
    for (unsigned round = 0; stage.caller->stream != NULL && round < 600; round++) {
        end_request();
        if (stage.caller->stream == NULL)
            break;
        IN_VERB(stream_resume(stage.caller->stream));
        for (unsigned node = 0; node < NODES; node++)
            node_acts(node);
        pass(100);
    }
    if (stage.caller->stream != NULL)
        fail_msg("play %u: the caller waits for ever", play_number);
}

static void run_play(void)
{
    void *state = NULL;
    set_up(&state);
    memset(&play, 0, sizeof play);
    cluster_serve(NODES, NODE_CAPABILITY_INGEST | NODE_CAPABILITY_QUERY | NODE_CAPABILITY_PROCESS);
    cluster.topology.limits.replay_bytes = chance(2) == 0 ? 100 : BODY_MAXIMUM;
    cluster.topology.limits.replay_total_bytes = chance(2) == 0 ? 150 : BODY_MAXIMUM;
    for (unsigned i = 0; i < NODES; i++) {
        cluster.pool.nodes[i].supply = (enum fake_supply)(chance(3) == 0 ? chance(3) : SUPPLY_READY);
        cluster.pool.nodes[i].refusal = FAULT_CONNECT_REFUSED;
        cluster.pool.nodes[i].is_slow = chance(3) == 0;
    }
    open_one();
    for (unsigned step = 0; step < STEPS; step++) {
        caller_acts();
        node_acts(chance(NODES));
        world_acts();
        if (chance(2) == 0)
            rig_turn(&cluster.rig);
        expect_bytes_in_order();
        expect_one_answer();
    }
    expect_end();
    settle();
    expect_bytes_in_order();
    expect_one_answer();
    tear_down(&state);
}

static void a_dispatch_takes_whatever_comes(void **state)
{
    (void)state;
    for (play_number = 1; play_number <= PLAYS; play_number++) {
        seed = play_number * 2654435761u;
        run_play();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dispatch_takes_whatever_comes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
