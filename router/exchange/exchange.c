#include "exchange/exchange.h"

#include <string.h>

#include "base/hex.h"
#include "base/log.h"
#include "base/slab.h"
#include "dispatch/dispatch.h"
#include "downstream/reply.h"
#include "downstream/session.h"
#include "exchange/state.h"
#include "http/grpc.h"
#include "http/sanitise.h"
#include "observe/access_log.h"
#include "observe/metrics.h"
#include "routing/policy.h"
#include "upstream/lease.h"
#include "upstream/roster.h"

/* ---- the client's side ---- */

/* The cluster takes no more for now: neither does the exchange. */
static void pause_if_congested(struct exchange *exchange)
{
    if ((exchange->paused & EXCHANGE_PAUSED_REQUEST) != 0 || !stream_is_congested(exchange->cluster))
        return;
    exchange->paused |= EXCHANGE_PAUSED_REQUEST;
    upload_rate_stop(&exchange->upload);
    stream_pause(exchange->downstream);
}

static void on_data(void *owner, struct text bytes)
{
    struct exchange *exchange = owner;
    exchange->active_ms = loop_now_ms(exchange->context->loop);
    uint64_t buffer_bytes = exchange_topology(exchange)->limits.request_buffer_bytes;
    bool was_small = exchange->request_bytes <= buffer_bytes;
    exchange->request_bytes += bytes.length;
    stream_send_data(exchange->cluster, bytes);
    pause_if_congested(exchange);
    if (was_small && exchange->request_bytes > buffer_bytes) {
        exchange_watch_upload(exchange);
        exchange_arm(exchange);
    }
}

static void on_trailers(void *owner, const struct message_head *trailers)
{
    struct exchange *exchange = owner;
    exchange->active_ms = loop_now_ms(exchange->context->loop);
    stream_send_trailers(exchange->cluster, trailers);
}

static void on_end(void *owner)
{
    struct exchange *exchange = owner;
    exchange->request_received = true;
    stream_send_end(exchange->cluster);
}

/* The client takes more of the answer. */
static void on_drained(void *owner)
{
    struct exchange *exchange = owner;
    if ((exchange->paused & EXCHANGE_PAUSED_ANSWER) == 0)
        return;
    exchange->paused &= ~(unsigned)EXCHANGE_PAUSED_ANSWER;
    exchange->active_ms = loop_now_ms(exchange->context->loop);
    stream_resume(exchange->cluster);
    exchange_arm(exchange);
}

static void on_failed(void *owner, enum fault fault)
{
    struct exchange *exchange = owner;
    bool hears_nothing = fault == FAULT_DOWNSTREAM_GONE || fault == FAULT_DOWNSTREAM_ABUSE;
    if (hears_nothing || exchange->state == EXCHANGE_RELAYING) {
        exchange->fault = fault;
        exchange_finish(exchange);
    } else {
        exchange_answer_fault(exchange, fault);
    }
}

static bool on_half_closed(void *owner)
{
    const struct exchange *exchange = owner;
    return policy_of(exchange->class)->fin == POLICY_FIN_MAY_READ;
}

static const struct stream_events downstream_events = {
    .on_data = on_data,
    .on_trailers = on_trailers,
    .on_end = on_end,
    .on_drained = on_drained,
    .on_failed = on_failed,
    .on_half_closed = on_half_closed,
};

/* ---- the beginning ---- */

static void make_request_id(struct exchange_context *context, char id[HEX_U64_DIGITS])
{
    hex_put_u64(id, random_u64(&context->random), HEX_U64_DIGITS);
}

/* The client's own id, if it is fit to be one; else empty. */
static struct text given_request_id(const struct message_head *head)
{
    const struct header_field *given = message_find(head, HEADER_X_REQUEST_ID);
    return given != NULL && sanitise_is_request_id(given->value) ? given->value : TEXT_EMPTY;
}

static void set_request_id(struct exchange *exchange)
{
    struct text given = given_request_id(exchange->head);
    exchange->request_id_length = given.length > 0 ? given.length : HEX_U64_DIGITS;
    if (given.length > 0)
        memcpy(exchange->request_id, given.bytes, given.length);
    else
        make_request_id(exchange->context, exchange->request_id);
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
    exchange->lease = context->lease;
    lease_retain(exchange->lease);
    exchange->downstream = stream;
    exchange->class = REQUEST_CLASS_UNKNOWN;
    exchange->request_received = head->body == BODY_NONE;
    exchange->started_ms = exchange->active_ms = loop_now_ms(context->loop);
    exchange->is_tls = session->is_tls;
    exchange->client_key = session->client_key;
    memcpy(exchange->client_host, session->client_host, sizeof exchange->client_host);
    list_node_init(&exchange->node);
    list_append(&context->exchanges, &exchange->node);
    loop_timer_init(&exchange->timer, exchange_on_deadline, exchange);
    stream_set_owner(stream, &downstream_events, exchange);
    set_request_id(exchange);
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

static enum fault classify_exchange(struct exchange *exchange, const struct session *session)
{
    const struct message_head *head = exchange->head;
    struct classify_question question = {
        .method = head->method,
        .path = head->path,
        .is_grpc = exchange_is_grpc(exchange),
        .is_writeback = session->settings->is_writeback || lease_is_process_node(exchange->lease, &session->client),
    };
    struct classify_answer answer = classify(exchange->lease->epoch->classifier, &question);
    exchange->class = answer.class;
    exchange->route = answer.route;
    if (answer.refusal != FAULT_NONE)
        return answer.refusal;
    if (answer.class == REQUEST_CLASS_ENGINE && has_value_that_kills_engine(head))
        return FAULT_REQUEST_MALFORMED;
    return FAULT_NONE;
}

static enum fault open_cluster(struct exchange *exchange)
{
    struct dispatch_request request = {
        .lease = exchange->lease,
        .route = exchange->route,
        .class = exchange->class,
        .head = exchange->head,
        .origin = {.client_host = exchange->client_host, .client_key = exchange->client_key, .request_id = exchange_request_id(exchange), .is_tls = exchange->is_tls},
        .is_grpc = exchange_is_grpc(exchange),
        .started_ms = exchange->started_ms,
        .call_deadline_ms = exchange->call_deadline_ms,
    };
    enum fault fault;
    if (exchange->call_deadline_ms != 0 && exchange->call_deadline_ms == exchange->started_ms)
        return FAULT_GRPC_DEADLINE;
    exchange->cluster = dispatch_open(exchange->context->dispatch, &request, &fault);
    if (exchange->cluster != NULL)
        stream_set_owner(exchange->cluster, &relay_events, exchange);
    return fault;
}

static void send_request(struct exchange *exchange)
{
    /* Admitted: a client that asks first is told to go on at once; the node never sees the question (docs/security.md#expectations). */
    if (message_has(exchange->head, MESSAGE_EXPECTS_CONTINUE) && dispatch_has_node(exchange->cluster)) {
        struct message_head interim = {.status = 100};
        stream_send_interim(exchange->downstream, &interim);
    }
    exchange_enter(exchange, EXCHANGE_OPEN);
    stream_send_head(exchange->cluster, exchange->head);
    if (!exchange->request_received)
        pause_if_congested(exchange);
    exchange_arm(exchange);
}

/* While memory is short only what Sluice answers itself is begun: whether it is well must be known then, too. */
static bool is_admitted(const struct exchange_context *context, const struct session *session, const struct message_head *head)
{
    if (roster_memory_pressure(context->dispatch->roster) != MEMORY_PRESSURE_SHORT)
        return true;
    struct classify_question question = {
        .method = head->method,
        .path = head->path,
        .is_grpc = grpc_is_request(head),
        .is_writeback = session->settings->is_writeback,
    };
    struct classify_answer answer = classify(context->lease->epoch->classifier, &question);
    return answer.refusal == FAULT_NONE && answer.route->target == ROUTE_TARGET_SLUICE;
}

void exchange_start(struct exchange_context *context, struct session *session, struct stream *stream,
                    const struct message_head *head)
{
    if (!is_admitted(context, session, head)) {
        exchange_refuse(context, session, stream, head, FAULT_MEMORY_LIMIT);
        return;
    }
    struct exchange *exchange = create_exchange(context, session, stream, head);
    if (exchange == NULL) {
        struct reply_fault reply = {.fault = FAULT_OUT_OF_MEMORY, .is_grpc = grpc_is_request(head)};
        metrics_add(&context->metrics->faults[FAULT_OUT_OF_MEMORY], 1);
        reply_send_fault(stream, &reply);
        return;
    }
    enum fault fault = classify_exchange(exchange, session);
    bool is_local = fault == FAULT_NONE && exchange->route->target == ROUTE_TARGET_SLUICE;
    if (fault == FAULT_NONE && !is_local)
        fault = open_cluster(exchange);
    if (fault != FAULT_NONE)
        exchange_answer_fault(exchange, fault);
    else if (is_local)
        local_answer(exchange);
    else
        send_request(exchange);
}

/* ---- refused by the codec ---- */

/* What the request would have been, as far as its head is known. */
static enum request_class class_of(const struct exchange_context *context, const struct session *session, const struct message_head *head)
{
    struct classify_question question = {
        .method = head->method,
        .path = head->path,
        .is_grpc = grpc_is_request(head),
        .is_writeback = session->settings->is_writeback,
    };
    if (head->method.length == 0 || head->path.length == 0)
        return REQUEST_CLASS_UNKNOWN;
    struct classify_answer answer = classify(context->lease->epoch->classifier, &question);
    return answer.refusal == FAULT_NONE ? answer.class : REQUEST_CLASS_UNKNOWN;
}

/* Whoever can connect can fill a log: the access log and the metrics have them all. */
static void log_refusal(struct exchange_context *context, const struct session *session, const struct access_record *record)
{
    unsigned suppressed;
    if (!log_is_enabled(LOG_LEVEL_INFO))
        return;
    enum log_level level = log_limit_level(&context->refusal_log, LOG_LEVEL_INFO, loop_now_ms(context->loop), &suppressed);
    log_line(level, "event=refused id=%.*s client=%s fault=%s status=%u suppressed=%u", (int)record->request_id.length,
             record->request_id.bytes, session->client_host, fault_row(record->fault)->name, record->status, suppressed);
}

void exchange_refuse(struct exchange_context *context, struct session *session, struct stream *stream,
                     const struct message_head *head, enum fault fault)
{
    static const struct message_head nothing;
    const struct message_head *known = head != NULL ? head : &nothing;
    char made[HEX_U64_DIGITS];
    struct text id = given_request_id(known);
    if (id.length == 0) {
        make_request_id(context, made);
        id = text_of(made, sizeof made);
    }
    struct access_record record = {
        .client_host = session->client_host,
        .method = known->method.length > 0 ? known->method : TEXT("-"),
        .target = known->target.length > 0 ? known->target : TEXT("-"),
        .class = class_of(context, session, known),
        .is_grpc = grpc_is_request(known),
        .grpc_status = (enum grpc_status)fault_row(fault)->grpc_status,
        .fault = fault,
        .request_id = id,
    };
    struct reply_fault reply = {
        .fault = fault,
        .is_write = record.class == REQUEST_CLASS_WRITE || record.class == REQUEST_CLASS_WRITEBACK,
        .is_grpc = record.is_grpc,
        .path = known->path,
        .request_id = id,
        .retry_after_s = fault == FAULT_MEMORY_LIMIT && context->lease->epoch->topology->retry_after ? 1 : 0,
    };
    record.status = reply_send_fault(stream, &reply);
    exchange_record(context, &record);
    log_refusal(context, session, &record);
}

/* ---- all of a worker's ---- */

void exchange_leave_epochs(struct exchange_context *context)
{
    struct list_node *node = context->exchanges.head.next;
    while (node != &context->exchanges.head) {
        struct exchange *exchange = LIST_OWNER(node, struct exchange, node);
        node = node->next;
        exchange_leave_epoch(exchange);
    }
}

void exchange_cut_all(struct exchange_context *context)
{
    struct list_node *first;
    while ((first = list_first(&context->exchanges)) != NULL)
        exchange_give_up(LIST_OWNER(first, struct exchange, node), FAULT_DRAINING);
}
