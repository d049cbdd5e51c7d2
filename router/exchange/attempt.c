/*
 * One try of an exchange on one node: which node, a link from the pool, the request as that node is to see it, and what to do when
 * it fails before anything has gone to the client.
 */
#include <stdlib.h>

#include "base/hash.h"
#include "base/log.h"
#include "exchange/state.h"
#include "http/grpc.h"
#include "http/link.h"
#include "http/sanitise.h"
#include "upstream/cluster.h"

/* Of a write's gzip body, this much is inflated to look for timestamps: the database's own default limit. */
#define INFLATED_MAXIMUM_BYTES (10 * 1024 * 1024)

static void begin_sending(struct exchange *exchange, struct link *link, struct stream *stream);

/* ---- which node ---- */

static uint32_t engine_slot(const struct exchange *exchange)
{
    /* A collision only costs a question to the wrong node first. */
    const size_t count = sizeof exchange->context->engine_nodes / sizeof exchange->context->engine_nodes[0];
    return (uint32_t)(hash_text(exchange->head->path, 0) % count);
}

/* An engine path goes first to the node that answered for it last time. */
static uint64_t preferred_nodes(const struct exchange *exchange)
{
    if (exchange->class == REQUEST_CLASS_ENGINE) {
        uint32_t known = exchange->context->engine_nodes[engine_slot(exchange)];
        if (known != 0)
            return UINT64_C(1) << (known - 1);
    }
    return classify_preferred_nodes(exchange->context->topology, exchange->route);
}

void attempt_remember_node(struct exchange *exchange)
{
    if (exchange->class == REQUEST_CLASS_ENGINE)
        exchange->context->engine_nodes[engine_slot(exchange)] = exchange->node_index + 1;
    else if (exchange->class == REQUEST_CLASS_CATALOG)
        atomic_store_explicit(&exchange->context->cluster->catalog_node, (int)exchange->node_index,
                              memory_order_relaxed);
}

/* Whom this exchange could still be sent to. A node that knows no HTTP/2 would take a gRPC call for a request of its own HTTP routes. */
static uint64_t untried_usable_nodes(const struct exchange *exchange)
{
    const struct cluster *cluster = exchange->context->cluster;
    uint64_t nodes = exchange->candidates & cluster_usable_nodes(cluster) & ~exchange->tried;
    return exchange->is_grpc ? nodes & cluster_http2_nodes(cluster) : nodes;
}

static int pick_node(struct exchange *exchange)
{
    struct exchange_context *context = exchange->context;
    struct cluster *cluster = context->cluster;
    struct balance_node nodes[TOPOLOGY_NODES_MAXIMUM];
    size_t count = context->topology->node_count;
    for (size_t i = 0; i < count; i++) {
        nodes[i].weight = context->topology->nodes[i].weight;
        nodes[i].outstanding = atomic_load_explicit(&cluster->nodes[i].outstanding, memory_order_relaxed);
    }
    struct balance_question question = {
        .policy = balance_policy_of(exchange->class),
        .nodes = nodes,
        .node_count = count,
        .candidates = untried_usable_nodes(exchange),
        .random = random_u32(&context->random),
        .sticky = atomic_load_explicit(&cluster->catalog_node, memory_order_relaxed),
    };
    question.preferred = preferred_nodes(exchange) & question.candidates;
    if (question.policy == BALANCE_ROUND_ROBIN && exchange->attempts == 0)
        question.cursor = atomic_fetch_add_explicit(&cluster->writeback_cursor, 1, memory_order_relaxed);
    return balance_pick(&question, &context->balance[exchange->class]);
}

/* ---- beginning ---- */

static void count_attempt(struct exchange *exchange)
{
    struct cluster_node *node = &exchange->context->cluster->nodes[exchange->node_index];
    atomic_fetch_add_explicit(&node->outstanding, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&node->requests, 1, memory_order_relaxed);
    exchange->is_counted = true;
    exchange->attempts++;
    if (exchange->attempts > 1)
        metrics_add(&exchange->context->metrics->retries, 1);
}

static void on_stream(void *owner, struct link *link, struct stream *stream)
{
    begin_sending(owner, link, stream);
}

static void on_pool_fault(void *owner, enum fault fault)
{
    attempt_fail(owner, fault);
}

static const struct pool_events ticket_events = {
    .on_stream = on_stream,
    .on_fault = on_pool_fault,
};

/* Asks the pool for a link to node_index. Returns the fault when it refuses at once. */
static enum fault take_link(struct exchange *exchange)
{
    enum fault fault;
    exchange->ticket.events = &ticket_events;
    exchange->ticket.owner = exchange;
    exchange->ticket.needs_http2 = exchange->is_grpc;
    struct link *link;
    struct stream *stream = exchange->context->pool_verbs->take(exchange->context->pool, exchange->node_index,
                                                                &exchange->ticket, &link, &fault);
    if (stream != NULL) {
        begin_sending(exchange, link, stream);
        return FAULT_NONE;
    }
    if (fault != FAULT_NONE)
        return fault;
    exchange_enter(exchange, EXCHANGE_WAITING);
    exchange->active_ms = loop_now_ms(exchange->context->loop);
    exchange_arm(exchange);
    if (!exchange->request_received && !exchange->downstream_paused) {
        exchange->downstream_paused = true;
        stream_pause(exchange->downstream);
    }
    return FAULT_NONE;
}

void attempt_start(struct exchange *exchange)
{
    int node = pick_node(exchange);
    if (node < 0) {
        exchange_answer_fault(exchange, exchange->fault != FAULT_NONE ? exchange->fault : FAULT_NO_NODE);
        return;
    }
    exchange->node_index = (unsigned)node;
    exchange->tried |= UINT64_C(1) << node;
    exchange->ticket.wants_fresh = false;
    count_attempt(exchange);
    enum fault fault = take_link(exchange);
    if (fault != FAULT_NONE)
        attempt_fail(exchange, fault);
}

static void start_again_here(struct exchange *exchange)
{
    exchange->ticket.wants_fresh = true;
    count_attempt(exchange);
    enum fault fault = take_link(exchange);
    if (fault != FAULT_NONE)
        attempt_fail(exchange, fault);
}

/* ---- sending ---- */

/* The request as the node is to see it, made anew from what was understood. */
static enum fault make_request_head(struct exchange *exchange, struct sanitise_room *room, struct message_head *out)
{
    struct exchange_context *context = exchange->context;
    struct sanitise_context sanitise = {
        /* A Unix-domain client has no address; that is the word for it (RFC 7239 section 6.2). */
        .client_host = strcmp(exchange->client_host, ADDRESS_HOST_UNIX) == 0 ? TEXT("unknown")
                                                                             : text_of_string(exchange->client_host),
        .scheme = exchange->is_tls ? TEXT("https") : TEXT("http"),
        .via = text_of_string(context->cluster->via[exchange->head->version]),
        .request_id = text_of(exchange->request_id, exchange->request_id_length),
        .trust_forwarded = context->topology->trust_forwarded,
    };
    out->fields = context->fields;
    return sanitise_request(exchange->head, &sanitise, room, out);
}

static void send_request_trailers(struct exchange *exchange)
{
    struct message_head out = {.fields = exchange->context->fields};
    sanitise_trailers(exchange->request_trailers, &out);
    if (out.field_count > 0)
        stream_send_trailers(exchange->upstream, &out);
}

static void begin_sending(struct exchange *exchange, struct link *link, struct stream *stream)
{
    exchange->link = link;
    exchange->upstream = stream;
    exchange->link_was_reused = link->used > 1;
    stream_set_owner(stream, &relay_upstream_events, exchange);
    struct sanitise_room room = {.used = 0};
    char timeout[GRPC_TIMEOUT_BYTES];
    struct message_head out;
    enum fault fault = make_request_head(exchange, &room, &out);
    if (fault != FAULT_NONE) {
        attempt_release(exchange);
        exchange_answer_fault(exchange, fault);
        return;
    }
    uint64_t now_ms = loop_now_ms(exchange->context->loop);
    if (exchange->state == EXCHANGE_WAITING)
        exchange->waited_ms += now_ms - exchange->active_ms;
    exchange->active_ms = now_ms;
    grpc_call_shorten_timeout(exchange, &out, timeout);
    stream_send_head(exchange->upstream, &out);
    if (exchange->replay.length > 0)
        stream_send_data(exchange->upstream, replay_text(&exchange->replay));
    if (exchange->request_trailers != NULL)
        send_request_trailers(exchange);
    exchange_enter(exchange, exchange->request_received ? EXCHANGE_AWAITING : EXCHANGE_SENDING);
    if (exchange->request_received)
        stream_send_end(exchange->upstream);
    exchange_arm(exchange);
    if (exchange->downstream_paused && !stream_is_congested(exchange->upstream)) {
        exchange->downstream_paused = false;
        stream_resume(exchange->downstream);
    }
}

/* The client's own upload does not count towards a write's deadline; our search for a node does. */
static void move_deadline(struct exchange *exchange)
{
    uint64_t write_ms = exchange->context->topology->timeouts.write_deadline_ms;
    if (exchange_is_write(exchange))
        exchange->deadline_ms =
            exchange->active_ms + (write_ms > exchange->waited_ms ? write_ms - exchange->waited_ms : 0);
}

void attempt_send_data(struct exchange *exchange, struct text bytes)
{
    struct exchange_context *context = exchange->context;
    const struct topology_limits *limits = &context->topology->limits;
    move_deadline(exchange);
    if (exchange->state != EXCHANGE_RELAYING)
        replay_append(&exchange->replay, bytes, limits->replay_bytes, &context->replay_bytes,
                      limits->replay_total_bytes);
    if (exchange->upstream == NULL)
        return;
    stream_send_data(exchange->upstream, bytes);
    if (stream_is_congested(exchange->upstream) && !exchange->downstream_paused) {
        exchange->downstream_paused = true;
        stream_pause(exchange->downstream);
        exchange_arm(exchange);
    }
}

void attempt_send_trailers(struct exchange *exchange)
{
    if (exchange->upstream != NULL)
        send_request_trailers(exchange);
}

void attempt_send_end(struct exchange *exchange)
{
    exchange->active_ms = loop_now_ms(exchange->context->loop);
    move_deadline(exchange);
    if (exchange->upstream != NULL)
        stream_send_end(exchange->upstream);
    if (exchange->state == EXCHANGE_SENDING) {
        exchange_enter(exchange, EXCHANGE_AWAITING);
        exchange_arm(exchange);
    }
}

/* ---- the end of an attempt ---- */

void attempt_release(struct exchange *exchange)
{
    const struct exchange_context *context = exchange->context;
    context->pool_verbs->cancel(context->pool, &exchange->ticket);
    if (exchange->upstream != NULL)
        stream_release(exchange->upstream);
    exchange->upstream = NULL;
    if (exchange->link != NULL)
        context->pool_verbs->give(context->pool, exchange->link);
    exchange->link = NULL;
    exchange->upstream_paused = false;
    if (exchange->held != NULL) {
        exchange_drop_held(exchange, exchange->held);
        exchange->held = NULL;
    }
    if (exchange->is_counted)
        atomic_fetch_sub_explicit(&context->cluster->nodes[exchange->node_index].outstanding, 1,
                                  memory_order_relaxed);
    exchange->is_counted = false;
}

/* A dead node fails every attempt: one line per node and worker in a second tells as much as all of them, which debug shows. */
static void log_failure(struct exchange *exchange, const struct fault_row *row)
{
    unsigned suppressed;
    enum log_level level = log_limit_level(&exchange->context->failures[exchange->node_index], LOG_LEVEL_INFO,
                                           loop_now_ms(exchange->context->loop), &suppressed);
    log_line(level,
             "event=attempt_failed id=%.*s class=%s node=%s attempt=%u fault=%s suppressed=%u",
             (int)exchange->request_id_length, exchange->request_id, request_class_name(exchange->class),
             exchange->context->topology->nodes[exchange->node_index].node_id, exchange->attempts, row->name,
             suppressed);
}

static void note_fault(struct exchange *exchange, enum fault fault)
{
    const struct fault_row *row = fault_row(fault);
    struct exchange_context *context = exchange->context;
    struct cluster_node *node = &context->cluster->nodes[exchange->node_index];
    exchange->fault = fault;
    if (row->blame == FAULT_BLAME_UPSTREAM)
        atomic_fetch_add_explicit(&node->failures, 1, memory_order_relaxed);
    if (row->counts_for_health)
        cluster_note_connect(context->cluster, exchange->node_index, true);
    log_failure(exchange, row);
}

static bool body_is_gzip(const struct exchange *exchange)
{
    const struct header_field *encoding = message_find(exchange->head, HEADER_CONTENT_ENCODING);
    return encoding != NULL && text_equals_ignoring_case(encoding->value, TEXT("gzip"));
}

/* Only asked when the answer matters: it may inflate and scan the whole body. */
static bool body_is_timestamped(const struct exchange *exchange, enum fault fault)
{
    if (fault_row(fault)->repeat != FAULT_REPEAT_UNKNOWN || exchange->route->repeat != ROUTE_REPEAT_WRITE ||
        exchange->replay.is_lost || !exchange->request_received)
        return false;
    return retry_body_is_timestamped(replay_text(&exchange->replay), body_is_gzip(exchange), INFLATED_MAXIMUM_BYTES);
}

static struct retry_question make_question(const struct exchange *exchange, enum fault fault)
{
    return (struct retry_question){
        .fault = fault,
        .class = exchange->class,
        .repeat = exchange->route->repeat,
        .committed = exchange->state == EXCHANGE_RELAYING,
        .body_is_whole = !exchange->replay.is_lost,
        .request_has_left = exchange->upstream == NULL || stream_has_left(exchange->upstream),
        .body_is_timestamped = body_is_timestamped(exchange, fault),
        .link_was_reused = exchange->link_was_reused,
        .attempts = exchange->attempts - exchange->attempts_before,
        .now_ms = loop_now_ms(exchange->context->loop),
        .deadline_ms = exchange->deadline_ms,
        /* In a fan-out each node must answer for itself. */
        .others_usable = !exchange->is_fan_out && untried_usable_nodes(exchange) != 0,
    };
}

void attempt_fail(struct exchange *exchange, enum fault fault)
{
    note_fault(exchange, fault);
    struct retry_question question = make_question(exchange, fault);
    enum retry_verdict verdict = retry_decide(&question);
    attempt_release(exchange);
    switch (verdict) {
    case RETRY_AGAIN_HERE:
        start_again_here(exchange);
        break;
    case RETRY_AGAIN_ELSEWHERE:
        attempt_start(exchange);
        break;
    case RETRY_GIVE_UP:
        exchange_answer_fault(exchange, exchange->is_fan_out ? FAULT_FAN_OUT_INCOMPLETE : fault);
        break;
    }
}

bool attempt_elsewhere(struct exchange *exchange, enum fault fault)
{
    struct retry_question question = make_question(exchange, fault);
    if (retry_decide(&question) != RETRY_AGAIN_ELSEWHERE)
        return false;
    log_failure(exchange, fault_row(fault));
    attempt_release(exchange);
    exchange->fault = fault;
    attempt_start(exchange);
    return true;
}

bool attempt_next(struct exchange *exchange)
{
    if (untried_usable_nodes(exchange) == 0 || exchange->replay.is_lost)
        return false;
    attempt_release(exchange);
    exchange->fault = FAULT_NONE;
    exchange->attempts_before = exchange->attempts;
    attempt_start(exchange);
    return true;
}
