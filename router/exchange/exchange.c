#include "exchange/exchange.h"

#include <stdlib.h>

#include "base/hex.h"
#include "base/log.h"
#include "downstream/reply.h"
#include "downstream/session.h"
#include "exchange/state.h"
#include "http/grpc.h"
#include "http/sanitise.h"
#include "observe/access_log.h"
#include "upstream/cluster.h"

/* ---- state ---- */

static const char *const state_names[] = {
    "new", "waiting", "sending", "awaiting", "screening", "relaying", "done",
};

#define TO(state) (1u << EXCHANGE_##state)
static const unsigned moves[] = {
    [EXCHANGE_NEW] = TO(WAITING) | TO(SENDING) | TO(AWAITING) | TO(DONE),
    [EXCHANGE_WAITING] = TO(WAITING) | TO(SENDING) | TO(AWAITING) | TO(DONE),
    [EXCHANGE_SENDING] = TO(WAITING) | TO(SENDING) | TO(AWAITING) | TO(SCREENING) | TO(RELAYING) | TO(DONE),
    [EXCHANGE_AWAITING] = TO(WAITING) | TO(SENDING) | TO(AWAITING) | TO(SCREENING) | TO(RELAYING) | TO(DONE),
    [EXCHANGE_SCREENING] = TO(WAITING) | TO(SENDING) | TO(AWAITING) | TO(RELAYING) | TO(DONE),
    [EXCHANGE_RELAYING] = TO(DONE),
    [EXCHANGE_DONE] = 0,
};

void exchange_enter(struct exchange *exchange, enum exchange_state next)
{
    if ((moves[exchange->state] & 1u << next) == 0)
        log_line(LOG_LEVEL_ERROR, "event=bug what=exchange_move id=%.*s from=%s to=%s",
                 (int)exchange->request_id_length, exchange->request_id, state_names[exchange->state],
                 state_names[next]);
    if (log_is_enabled(LOG_LEVEL_DEBUG))
        log_line(LOG_LEVEL_DEBUG, "event=exchange id=%.*s class=%s from=%s to=%s node=%s",
                 (int)exchange->request_id_length, exchange->request_id, request_class_name(exchange->class),
                 state_names[exchange->state], state_names[next],
                 exchange->attempts == 0 ? "-" : exchange->context->topology->nodes[exchange->node_index].node_id);
    exchange->state = next;
}

/* ---- deadlines ---- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    if (a == 0 || b == 0)
        return a + b;
    return a < b ? a : b;
}

/* How long a node may think: planning a query is silent for as long as it takes, so a client's own limit goes before ours. */
static uint64_t thinking_limit_ms(const struct exchange *exchange)
{
    return exchange_has_call_deadline(exchange) ? 0 : exchange->context->topology->timeouts.response_ms;
}

/* How long the present state may go without a byte; 0: for ever. */
static uint64_t idle_limit_ms(const struct exchange *exchange)
{
    const struct topology_timeouts *timeouts = &exchange->context->topology->timeouts;
    switch (exchange->state) {
    case EXCHANGE_WAITING:
        /* 0: nobody waits for a busy link; for one that is being dialled as long as that may take. */
        return timeouts->queue_ms != 0 ? timeouts->queue_ms : timeouts->connect_ms;
    case EXCHANGE_SENDING:
        /* Of a call it is not known whose turn it is: its client may wait for an answer before it says more. */
        return exchange->is_grpc && !exchange->downstream_paused ? thinking_limit_ms(exchange) : timeouts->idle_ms;
    case EXCHANGE_AWAITING:
    case EXCHANGE_SCREENING:
        return exchange_is_write(exchange) ? 0 : thinking_limit_ms(exchange);
    case EXCHANGE_RELAYING:
        /* A query may think between two rows; a client that takes nothing may not. */
        return exchange->upstream_paused ? timeouts->idle_ms : thinking_limit_ms(exchange);
    default:
        return 0;
    }
}

void exchange_arm(struct exchange *exchange)
{
    struct loop *loop = exchange->context->loop;
    uint64_t limit_ms = idle_limit_ms(exchange);
    uint64_t idle_at_ms = limit_ms == 0 ? 0 : exchange->active_ms + limit_ms;
    bool counts_total = exchange->state == EXCHANGE_WAITING || exchange->state == EXCHANGE_AWAITING ||
                        exchange->state == EXCHANGE_SCREENING || exchange_has_call_deadline(exchange);
    uint64_t at_ms = earlier(idle_at_ms, counts_total ? exchange->deadline_ms : 0);
    if (at_ms == 0)
        loop_timer_clear(loop, &exchange->timer);
    else
        loop_timer_set(loop, &exchange->timer, at_ms);
}

/* Ends the exchange, whether the client has seen something of an answer or not. */
static void give_up(struct exchange *exchange, enum fault fault)
{
    attempt_release(exchange);
    if (exchange->state == EXCHANGE_RELAYING || exchange->downstream == NULL)
        exchange_break(exchange, fault);
    else
        exchange_answer_fault(exchange, fault);
}

static void on_deadline(void *owner)
{
    struct exchange *exchange = owner;
    uint64_t now_ms = loop_now_ms(exchange->context->loop);
    uint64_t limit_ms = idle_limit_ms(exchange);
    bool is_idle = limit_ms != 0 && now_ms >= exchange->active_ms + limit_ms;
    bool is_late = exchange->deadline_ms != 0 && now_ms >= exchange->deadline_ms;
    if (is_late && exchange->is_grpc) {
        give_up(exchange, FAULT_GRPC_DEADLINE);
        return;
    }
    switch (exchange->state) {
    case EXCHANGE_WAITING:
        if (is_idle || is_late) {
            attempt_fail(exchange, FAULT_QUEUE_TIMEOUT);
            return;
        }
        break;
    case EXCHANGE_SENDING:
        /* Bytes move the limit without touching the timer: look again. */
        if (is_idle && exchange->downstream_paused) {
            attempt_fail(exchange, FAULT_UPSTREAM_TIMEOUT);
            return;
        }
        if (is_idle) {
            attempt_release(exchange);
            exchange_answer_fault(exchange, FAULT_REQUEST_TIMEOUT);
            return;
        }
        break;
    case EXCHANGE_AWAITING:
    case EXCHANGE_SCREENING:
        if (is_idle || is_late) {
            attempt_fail(exchange, FAULT_UPSTREAM_TIMEOUT);
            return;
        }
        break;
    case EXCHANGE_RELAYING:
        if (is_idle) {
            exchange_break(exchange, exchange->upstream_paused ? FAULT_DOWNSTREAM_GONE : FAULT_UPSTREAM_STALLED);
            return;
        }
        break;
    default:
        return;
    }
    exchange_arm(exchange);
}

/* ---- the end ---- */

static void destroy_exchange(void *object)
{
    struct exchange *exchange = object;
    struct slab *slab = loop_slab(exchange->context->loop);
    slab_give(slab, exchange->head);
    slab_give(slab, exchange->request_trailers);
    slab_give(slab, exchange);
}

static void write_record(struct exchange *exchange)
{
    struct exchange_context *context = exchange->context;
    unsigned group = exchange->status / 100 < METRICS_STATUS_GROUPS ? exchange->status / 100 : 0;
    metrics_add(&context->metrics->responses[exchange->class][group], 1);
    metrics_add(&context->metrics->request_bytes, exchange->request_bytes);
    metrics_add(&context->metrics->response_bytes, exchange->response_bytes);
    /* Of abuse the worker counts the connection, once, and however many requests it had. */
    if (exchange->fault != FAULT_NONE && exchange->fault != FAULT_DOWNSTREAM_ABUSE)
        metrics_add(&context->metrics->faults[exchange->fault], 1);
    enum grpc_status grpc_status = grpc_call_status(exchange);
    if (exchange->is_grpc)
        metrics_add(&context->metrics->grpc_responses[grpc_status], 1);
    if (context->access_log == NULL)
        return;
    struct access_record record = {
        .client_host = exchange->client_host,
        .method = exchange->head->method,
        .target = exchange->head->target,
        .class = exchange->class,
        .node_id = exchange->attempts == 0 ? NULL : context->topology->nodes[exchange->node_index].node_id,
        .attempts = exchange->attempts,
        .status = exchange->status,
        .is_grpc = exchange->is_grpc,
        .grpc_status = grpc_status,
        .request_bytes = exchange->request_bytes,
        .response_bytes = exchange->response_bytes,
        .duration_ms = loop_now_ms(context->loop) - exchange->started_ms,
        .fault = exchange->fault,
        .request_id = text_of(exchange->request_id, exchange->request_id_length),
    };
    access_log_write(context->access_log, &record);
}

void exchange_finish(struct exchange *exchange)
{
    if (exchange->state == EXCHANGE_DONE)
        return;
    attempt_release(exchange);
    exchange_enter(exchange, EXCHANGE_DONE);
    if (exchange->downstream != NULL)
        stream_release(exchange->downstream);
    exchange->downstream = NULL;
    write_record(exchange);
    replay_drop(&exchange->replay, &exchange->context->replay_bytes);
    loop_timer_clear(exchange->context->loop, &exchange->timer);
    list_remove(&exchange->context->exchanges, &exchange->node);
    loop_bury(exchange->context->loop, exchange, destroy_exchange);
}

static bool is_v1_path(struct text path)
{
    return text_equals(path, TEXT("/write")) || text_equals(path, TEXT("/query"));
}

void exchange_answer_fault(struct exchange *exchange, enum fault fault)
{
    const struct topology *topology = exchange->context->topology;
    exchange->fault = fault;
    struct reply_fault reply = {
        .fault = fault,
        .is_write = exchange_is_write(exchange),
        .is_grpc = exchange->is_grpc,
        .is_v1_path = is_v1_path(exchange->head->path),
        .request_id = text_of(exchange->request_id, exchange->request_id_length),
        .retry_after_s = topology->retry_after ? 1 : 0,
    };
    if (exchange->downstream != NULL)
        exchange->status = reply_send_fault(exchange->downstream, &reply);
    exchange->downstream = NULL;
    exchange_finish(exchange);
}

void exchange_break(struct exchange *exchange, enum fault fault)
{
    struct cluster_node *node = &exchange->context->cluster->nodes[exchange->node_index];
    exchange->fault = fault;
    if (fault_row(fault)->blame == FAULT_BLAME_UPSTREAM)
        atomic_fetch_add_explicit(&node->failures, 1, memory_order_relaxed);
    attempt_release(exchange);
    /* Where nothing can be said any more, releasing the unfinished stream shows that the answer is cut. */
    grpc_call_send_fault(exchange);
    exchange_finish(exchange);
}

/* ---- the client's side ---- */

static void on_downstream_data(void *owner, struct text bytes)
{
    struct exchange *exchange = owner;
    exchange->active_ms = loop_now_ms(exchange->context->loop);
    exchange->request_bytes += bytes.length;
    attempt_send_data(exchange, bytes);
}

static void on_downstream_trailers(void *owner, const struct message_head *trailers)
{
    struct exchange *exchange = owner;
    exchange->active_ms = loop_now_ms(exchange->context->loop);
    exchange->request_trailers = message_head_copy(trailers, loop_slab(exchange->context->loop));
    if (exchange->request_trailers == NULL)
        give_up(exchange, FAULT_OUT_OF_MEMORY);
    else
        attempt_send_trailers(exchange);
}

static void on_downstream_end(void *owner)
{
    struct exchange *exchange = owner;
    exchange->request_received = true;
    attempt_send_end(exchange);
}

static void on_downstream_drained(void *owner)
{
    struct exchange *exchange = owner;
    if (!exchange->upstream_paused)
        return;
    exchange->upstream_paused = false;
    exchange->active_ms = loop_now_ms(exchange->context->loop);
    if (exchange->upstream != NULL)
        stream_resume(exchange->upstream);
    exchange_arm(exchange);
}

static void on_downstream_failed(void *owner, enum fault fault)
{
    struct exchange *exchange = owner;
    attempt_release(exchange);
    bool is_deaf = fault == FAULT_DOWNSTREAM_GONE || fault == FAULT_DOWNSTREAM_ABUSE;
    if (is_deaf || exchange->state == EXCHANGE_RELAYING) {
        exchange->fault = fault;
        exchange_finish(exchange);
    } else {
        exchange_answer_fault(exchange, fault);
    }
}

static const struct stream_events downstream_events = {
    .on_data = on_downstream_data,
    .on_trailers = on_downstream_trailers,
    .on_end = on_downstream_end,
    .on_drained = on_downstream_drained,
    .on_failed = on_downstream_failed,
};

/* ---- the beginning ---- */

/* The client's, or a new one, in `id`; returns its length. */
static size_t choose_request_id(struct exchange_context *context, const struct message_head *head, char id[REQUEST_ID_BYTES])
{
    const struct header_field *given = message_find(head, HEADER_X_REQUEST_ID);
    if (given != NULL && sanitise_is_request_id(given->value)) {
        memcpy(id, given->value.bytes, given->value.length);
        return given->value.length;
    }
    return hex_put_u64(id, random_u64(&context->random), HEX_U64_DIGITS);
}

static struct exchange *create_exchange(struct exchange_context *context, struct session *session,
                                        struct stream *stream, const struct message_head *head)
{
    struct slab *slab = loop_slab(context->loop);
    struct exchange *exchange = slab_take_zeroed(slab, sizeof *exchange);
    if (exchange == NULL)
        return NULL;
    exchange->head = message_head_copy(head, slab);
    if (exchange->head == NULL) {
        slab_give(slab, exchange);
        return NULL;
    }
    exchange->context = context;
    exchange->downstream = stream;
    exchange->class = REQUEST_CLASS_UNKNOWN;
    exchange->request_received = head->body == BODY_NONE;
    exchange->started_ms = exchange->active_ms = loop_now_ms(context->loop);
    exchange->is_tls = session->is_tls;
    memcpy(exchange->client_host, session->client_host, sizeof exchange->client_host);
    list_node_init(&exchange->node);
    list_append(&context->exchanges, &exchange->node);
    loop_timer_init(&exchange->timer, on_deadline, exchange);
    stream_set_owner(stream, &downstream_events, exchange);
    exchange->request_id_length = choose_request_id(context, head, exchange->request_id);
    grpc_call_begin(exchange);
    return exchange;
}

/* The database's handler for engine routes dies of a header value outside visible ASCII (docs/database.md#engine-routes). */
static bool has_value_that_kills_engine(const struct message_head *head)
{
    for (size_t i = 0; i < head->field_count; i++) {
        struct text value = head->fields[i].value;
        for (size_t j = 0; j < value.length; j++) {
            if ((unsigned char)value.bytes[j] >= 0x80)
                return true;
        }
    }
    return false;
}

/* The node that X-Sluice-Node names, as a mask; 0 when it names none that can serve the route. */
static uint64_t named_node(const struct exchange *exchange, struct text name)
{
    const struct topology *topology = exchange->context->topology;
    for (size_t i = 0; i < topology->node_count; i++) {
        if (text_equals(name, text_of_string(topology->nodes[i].node_id)))
            return exchange->candidates & UINT64_C(1) << i;
    }
    return 0;
}

/* Better refused now than done on some of the nodes only. */
static enum fault check_fan_out(const struct exchange *exchange)
{
    if ((exchange->candidates & ~cluster_usable_nodes(exchange->context->cluster)) != 0)
        return FAULT_FAN_OUT_INCOMPLETE;
    bool is_too_large = exchange->head->body == BODY_LENGTH &&
                        exchange->head->content_length > exchange->context->topology->limits.replay_bytes;
    return is_too_large ? FAULT_REPLAY_TOO_LARGE : FAULT_NONE;
}

/* Which nodes may serve it, by the route's target. */
static enum fault choose_candidates(struct exchange *exchange)
{
    exchange->candidates = classify_nodes(exchange->context->topology, exchange->route);
    const struct header_field *name = message_find(exchange->head, HEADER_X_SLUICE_NODE);
    switch (exchange->route->target) {
    case ROUTE_TARGET_NAMED:
        if (name == NULL)
            return FAULT_NODE_NOT_NAMED;
        break;
    case ROUTE_TARGET_NAMED_OR_ALL:
        exchange->is_fan_out = name == NULL;
        break;
    default:
        break;
    }
    if (exchange->is_fan_out)
        return check_fan_out(exchange);
    if (name == NULL)
        return FAULT_NONE;
    exchange->candidates = named_node(exchange, name->value);
    return exchange->candidates == 0 ? FAULT_NODE_UNKNOWN : FAULT_NONE;
}

static enum fault classify_exchange(struct exchange *exchange, const struct session *session)
{
    struct exchange_context *context = exchange->context;
    const struct message_head *head = exchange->head;
    struct classify_question question = {
        .method = head->method,
        .path = head->path,
        .is_grpc = exchange->is_grpc,
        .is_writeback = session->settings->is_writeback || cluster_is_process_node(context->cluster, &session->client),
    };
    struct classify_answer answer = classify(context->classifier, &question);
    exchange->class = answer.class;
    exchange->route = answer.route;
    if (answer.refusal != FAULT_NONE)
        return answer.refusal;
    if (answer.class == REQUEST_CLASS_ENGINE && has_value_that_kills_engine(head))
        return FAULT_REQUEST_MALFORMED;
    return answer.route->target == ROUTE_TARGET_SLUICE ? FAULT_NONE : choose_candidates(exchange);
}

void exchange_start(struct exchange_context *context, struct session *session, struct stream *stream,
                    const struct message_head *head)
{
    struct exchange *exchange = create_exchange(context, session, stream, head);
    if (exchange == NULL) {
        struct reply_fault reply = {.fault = FAULT_OUT_OF_MEMORY, .is_grpc = grpc_is_request(head)};
        metrics_add(&context->metrics->faults[FAULT_OUT_OF_MEMORY], 1);
        reply_send_fault(stream, &reply);
        return;
    }
    enum fault fault = classify_exchange(exchange, session);
    if (fault == FAULT_NONE && exchange_has_call_deadline(exchange) && exchange->deadline_ms == exchange->started_ms)
        fault = FAULT_GRPC_DEADLINE;
    if (fault != FAULT_NONE) {
        exchange_answer_fault(exchange, fault);
        return;
    }
    if (exchange->route->target == ROUTE_TARGET_SLUICE) {
        local_answer(exchange);
        return;
    }
    if (exchange_is_write(exchange))
        exchange->deadline_ms = exchange->started_ms + context->topology->timeouts.write_deadline_ms;
    /* Admitted: a client that asks first is told to go on at once; the node never sees the question (docs/security.md#expectations). */
    bool has_node = (exchange->candidates & cluster_usable_nodes(context->cluster)) != 0;
    if (message_has(head, MESSAGE_EXPECTS_CONTINUE) && has_node) {
        struct message_head interim = {.status = 100};
        stream_send_interim(stream, &interim);
    }
    attempt_start(exchange);
}

static struct text or_dash(struct text t)
{
    return t.length > 0 ? t : TEXT("-");
}

void exchange_refuse(struct exchange_context *context, struct session *session, struct stream *stream,
                     const struct message_head *head, enum fault fault)
{
    char id[REQUEST_ID_BYTES];
    struct reply_fault reply = {
        .fault = fault,
        .is_grpc = grpc_is_request(head),
        .is_v1_path = is_v1_path(head->path),
        .request_id = text_of(id, choose_request_id(context, head, id)),
    };
    unsigned status = reply_send_fault(stream, &reply);
    enum grpc_status grpc_status = (enum grpc_status)fault_row(fault)->grpc_status;
    metrics_add(&context->metrics->faults[fault], 1);
    metrics_add(&context->metrics->responses[REQUEST_CLASS_UNKNOWN][status / 100], 1);
    if (reply.is_grpc)
        metrics_add(&context->metrics->grpc_responses[grpc_status], 1);
    struct access_record record = {
        .client_host = session->client_host,
        .method = or_dash(head->method),
        .target = or_dash(head->target),
        .class = REQUEST_CLASS_UNKNOWN,
        .status = status,
        .is_grpc = reply.is_grpc,
        .grpc_status = grpc_status,
        .fault = fault,
        .request_id = reply.request_id,
    };
    if (context->access_log != NULL)
        access_log_write(context->access_log, &record);
    if (log_is_enabled(LOG_LEVEL_INFO))
        log_line(LOG_LEVEL_INFO, "event=refused client=%s fault=%s status=%u", session->client_host,
                 fault_row(fault)->name, status);
}

void exchange_cut_all(struct exchange_context *context)
{
    struct list_node *first;
    while ((first = list_first(&context->exchanges)) != NULL) {
        give_up(LIST_OWNER(first, struct exchange, node), FAULT_DRAINING);
    }
}
