#include "upstream/dial.h"

#include "base/machine.h"
#include "http/h1.h"
#include "http/h2.h"
#include "upstream/epoch.h"
#include "upstream/node_tls.h"

static const char *const state_names[] = {"none", "connecting"};
static const uint32_t moves[] = {[DIAL_NONE] = MACHINE_TO(DIAL_CONNECTING), [DIAL_CONNECTING] = MACHINE_TO(DIAL_NONE)};
static const struct machine dial_machine = {"dial", state_names, moves};

/* The only writer of the state, but for the first one. */
static void enter(struct dial *dial, enum dial_state next)
{
    machine_check(&dial_machine, dial->state, next);
    dial->state = next;
}

static enum fault fault_of_end(enum conn_end end)
{
    switch (end) {
    case CONN_END_NO_RESOURCES:
        return FAULT_OUT_OF_MEMORY;
    case CONN_END_CONNECT_REFUSED:
        return FAULT_CONNECT_REFUSED;
    case CONN_END_TLS_FAILED:
        return FAULT_TLS_FAILED;
    case CONN_END_TLS_UNVERIFIED:
        return FAULT_TLS_UNVERIFIED;
    default:
        return FAULT_CONNECT_FAILED;
    }
}

/* The conn is the link's from now on, or closed. */
static struct conn *leave(struct dial *dial)
{
    struct conn *conn = dial->conn;
    enter(dial, DIAL_NONE);
    dial->conn = NULL;
    loop_timer_clear(dial->loop, &dial->timer);
    return conn;
}

static void fail(struct dial *dial, enum fault fault, const char *reason)
{
    conn_close(leave(dial));
    dial->events->on_failed(dial->owner, fault, reason);
}

static void on_deadline(void *owner)
{
    fail(owner, FAULT_CONNECT_TIMEOUT, "");
}

static void on_ended(void *owner, enum conn_end end)
{
    struct dial *dial = owner;
    char reason[DIAL_REASON_BYTES] = "";
    if (dial->state == DIAL_NONE)
        return;
    if (end == CONN_END_TLS_FAILED || end == CONN_END_TLS_UNVERIFIED)
        conn_end_reason(dial->conn, end, reason, sizeof reason);
    fail(dial, fault_of_end(end), reason);
}

static void on_connected(void *owner)
{
    struct dial *dial = owner;
    if (dial->is_tls)
        dial->is_http2 = conn_protocol(dial->conn) == CONN_PROTOCOL_HTTP_2;
    /* Anything else would be a surprise, and a gRPC call would dial again and again. */
    if (!dial->is_http2 && dial->wanted == TOPOLOGY_HTTP_2) {
        fail(dial, FAULT_UPSTREAM_VERSION, "the node did not choose HTTP/2 (ALPN h2), and its http is 2");
        return;
    }
    struct conn *conn = leave(dial);
    struct text scheme = dial->is_tls ? TEXT("https") : TEXT("http");
    struct link *link = dial->is_http2 ? h2_client_create(dial->h2, conn, scheme, dial->streams_expected, dial->link_events, dial->link_owner)
                                       : h1_client_create(dial->loop, conn, dial->h1, dial->link_events, dial->link_owner);
    if (link == NULL)
        dial->events->on_failed(dial->owner, FAULT_OUT_OF_MEMORY, "");
    else
        dial->events->on_ready(dial->owner, link);
}

static const struct conn_events dial_conn_events = {
    .on_connected = on_connected,
    .on_ended = on_ended,
};

enum fault dial_start(struct dial *dial, const struct dial_request *request)
{
    const struct topology *topology = request->epoch->topology;
    const struct topology_node *node = &topology->nodes[request->index];
    struct address address;
    if (request->address != NULL)
        address = *request->address;
    else if (!roster_node_get_address(request->epoch->nodes[request->index], &address))
        return FAULT_RESOLVE;
    *dial = (struct dial){
        .loop = request->loop,
        .h1 = request->h1,
        .h2 = request->h2,
        .is_tls = node->is_tls,
        .is_http2 = request->is_http2,
        .streams_expected = request->streams_expected,
        .wanted = node->http,
        .events = request->events,
        .owner = request->owner,
        .link_events = request->link_events,
        .link_owner = request->link_owner,
    };
    loop_timer_init(&dial->timer, on_deadline, dial);
    struct conn_settings settings = {
        .events = &dial_conn_events,
        .owner = dial,
        .pool = request->buffers,
        .high_water_bytes = request->high_water_bytes,
        /* A node that has no room for so long is given up by the dispatch, too; the kernel counts that as silence. */
        .life_ms = topology->timeouts.idle_ms,
        .input_maximum_bytes = topology->limits.head_bytes + LOOP_SCRATCH_BYTES,
    };
    enum conn_end end = CONN_END_NO_RESOURCES;
    if (node_tls_open(request->epoch->tls, request->index, &settings.tls))
        dial->conn = conn_connect(request->loop, &address, &settings, &end);
    if (dial->conn == NULL)
        return fault_of_end(end);
    enter(dial, DIAL_CONNECTING);
    if (request->connect_ms != 0)
        loop_timer_set(request->loop, &dial->timer, loop_now_ms(request->loop) + request->connect_ms);
    return FAULT_NONE;
}

void dial_cancel(struct dial *dial)
{
    if (dial->state != DIAL_NONE)
        conn_close(leave(dial));
}
