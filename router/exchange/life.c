/* The life of an exchange: its state, the deadlines of the client's own slowness, and the ways in which it ends. */
#include "base/log.h"
#include "base/machine.h"
#include "base/slab.h"
#include "dispatch/dispatch.h"
#include "downstream/reply.h"
#include "exchange/state.h"
#include "observe/access_log.h"
#include "observe/metrics.h"
#include "upstream/lease.h"

/* ---- state ---- */

static const char *const state_names[] = {"new", "open", "relaying", "done"};

#define TO(state) MACHINE_TO(EXCHANGE_##state)
static const uint32_t moves[] = {
    [EXCHANGE_NEW] = TO(OPEN) | TO(DONE),
    [EXCHANGE_OPEN] = TO(RELAYING) | TO(DONE),
    [EXCHANGE_RELAYING] = TO(DONE),
    [EXCHANGE_DONE] = 0,
};
#undef TO

static const struct machine exchange_machine = {"exchange", state_names, moves};

void exchange_enter(struct exchange *exchange, enum exchange_state next)
{
    struct text id = exchange_request_id(exchange);
    machine_check(&exchange_machine, exchange->state, next);
    if (log_is_enabled(LOG_LEVEL_DEBUG))
        log_line(LOG_LEVEL_DEBUG, "event=exchange id=%.*s class=%s from=%s to=%s", (int)id.length, id.bytes,
                 request_class_name(exchange->class), state_names[exchange->state], state_names[next]);
    exchange->state = next;
}

/* ---- epochs ---- */

const struct topology *exchange_topology(const struct exchange *exchange)
{
    const struct lease *lease = exchange->lease != NULL ? exchange->lease : exchange->context->lease;
    return lease->epoch->topology;
}

void exchange_leave_epoch(struct exchange *exchange)
{
    if (exchange->state != EXCHANGE_RELAYING || exchange->lease == NULL || exchange->lease == exchange->context->lease)
        return;
    dispatch_leave_epoch(exchange->cluster);
    exchange->route = NULL;
    struct lease *lease = exchange->lease;
    exchange->lease = NULL;
    lease_release(lease);
}

/* ---- deadlines ---- */

/* How long the client may go without giving or taking a byte; 0: for ever, or it is not its turn. */
static uint64_t client_limit_ms(const struct exchange *exchange)
{
    const struct topology_timeouts *timeouts = &exchange_topology(exchange)->timeouts;
    bool is_asked_for_more = !exchange->request_received && (exchange->paused & EXCHANGE_PAUSED_REQUEST) == 0;
    switch (exchange->state) {
    case EXCHANGE_OPEN:
        if (!is_asked_for_more)
            return 0;
        /* Of a call it is not known whose turn it is: its client may wait for an answer before it says more. */
        if (exchange_is_grpc(exchange))
            return exchange->call_deadline_ms != 0 ? 0 : timeouts->response_ms;
        return timeouts->idle_ms;
    case EXCHANGE_RELAYING:
        return (exchange->paused & EXCHANGE_PAUSED_ANSWER) != 0 ? timeouts->idle_ms : 0;
    default:
        return 0;
    }
}

void exchange_watch_upload(struct exchange *exchange)
{
    const struct topology_limits *limits = &exchange_topology(exchange)->limits;
    bool may_send = (exchange->paused & EXCHANGE_PAUSED_REQUEST) == 0 && !exchange->request_received;
    bool is_watched = may_send && exchange->request_bytes > limits->request_buffer_bytes && !exchange_is_grpc(exchange) &&
                      limits->upload_bytes_per_s != 0;
    if (is_watched)
        upload_rate_begin(&exchange->upload, exchange->request_bytes, loop_now_ms(exchange->context->loop));
}

/* A large body that comes too slowly to hold a node's connection. */
static bool is_upload_slow(struct exchange *exchange)
{
    if (exchange->state != EXCHANGE_OPEN || exchange->request_received)
        return false;
    return upload_rate_is_low(&exchange->upload, exchange_topology(exchange)->limits.upload_bytes_per_s, exchange->request_bytes,
                              loop_now_ms(exchange->context->loop));
}

static uint64_t sooner_ms(uint64_t one_ms, uint64_t other_ms)
{
    if (one_ms == 0 || other_ms == 0)
        return one_ms + other_ms;
    return one_ms < other_ms ? one_ms : other_ms;
}

void exchange_arm(struct exchange *exchange)
{
    struct loop *loop = exchange->context->loop;
    uint64_t limit_ms = client_limit_ms(exchange);
    uint64_t at_ms = sooner_ms(limit_ms == 0 ? 0 : exchange->active_ms + limit_ms, exchange->call_deadline_ms);
    if (exchange->state == EXCHANGE_OPEN && !exchange->request_received)
        at_ms = sooner_ms(at_ms, upload_rate_due_ms(&exchange->upload));
    if (at_ms == 0)
        loop_timer_clear(loop, &exchange->timer);
    else
        loop_timer_set(loop, &exchange->timer, at_ms);
}

/* Bytes move the limit without touching the timer: it looks again. */
void exchange_on_deadline(void *owner)
{
    struct exchange *exchange = owner;
    uint64_t now_ms = loop_now_ms(exchange->context->loop);
    uint64_t limit_ms = client_limit_ms(exchange);
    if (exchange->call_deadline_ms != 0 && now_ms >= exchange->call_deadline_ms)
        exchange_give_up(exchange, FAULT_GRPC_DEADLINE);
    else if (is_upload_slow(exchange))
        exchange_answer_fault(exchange, FAULT_REQUEST_TIMEOUT);
    else if (limit_ms == 0 || now_ms < exchange->active_ms + limit_ms)
        exchange_arm(exchange);
    else if (exchange->state == EXCHANGE_OPEN)
        exchange_answer_fault(exchange, FAULT_REQUEST_TIMEOUT);
    else
        exchange_break(exchange, FAULT_DOWNSTREAM_GONE);
}

/* ---- the record ---- */

void exchange_record(struct exchange_context *context, const struct access_record *record)
{
    struct metrics *metrics = context->metrics;
    unsigned group = record->status / 100 < METRICS_STATUS_GROUPS ? record->status / 100 : 0;
    metrics_add(&metrics->responses[record->class][group], 1);
    metrics_add(&metrics->request_bytes, record->request_bytes);
    metrics_add(&metrics->response_bytes, record->response_bytes);
    /* Of abuse the worker counts the connection, once, and however many requests it had. */
    if (record->fault != FAULT_NONE && record->fault != FAULT_DOWNSTREAM_ABUSE)
        metrics_add(&metrics->faults[record->fault], 1);
    if (record->is_grpc)
        metrics_add(&metrics->grpc_responses[record->grpc_status], 1);
    if (context->access_log != NULL)
        access_log_write(context->access_log, record);
}

static void write_record(struct exchange *exchange, unsigned attempts, const char *node_id)
{
    struct access_record record = {
        .client_host = exchange->client_host,
        .method = exchange->head->method,
        .target = exchange->head->target,
        .class = exchange->class,
        .node_id = attempts == 0 ? NULL : node_id,
        .attempts = attempts,
        .status = exchange->status,
        .is_grpc = exchange_is_grpc(exchange),
        .grpc_status = grpc_call_status(exchange),
        .request_bytes = exchange->request_bytes,
        .response_bytes = exchange->response_bytes,
        .duration_ms = loop_now_ms(exchange->context->loop) - exchange->started_ms,
        .fault = exchange->fault,
        .request_id = exchange_request_id(exchange),
    };
    exchange_record(exchange->context, &record);
}

/* ---- the end ---- */

static void destroy_exchange(void *object)
{
    struct exchange *exchange = object;
    struct slab *slab = loop_slab(exchange->context->loop);
    slab_give(slab, exchange->head);
    slab_give(slab, exchange);
}

void exchange_finish(struct exchange *exchange)
{
    if (exchange->state == EXCHANGE_DONE)
        return;
    exchange_enter(exchange, EXCHANGE_DONE);
    if (exchange->downstream != NULL)
        stream_release(exchange->downstream);
    exchange->downstream = NULL;
    /* The record names the node, which may go with the stream and the epoch. */
    if (exchange->cluster == NULL)
        write_record(exchange, 0, NULL);
    else
        write_record(exchange, dispatch_attempts(exchange->cluster), dispatch_node_id(exchange->cluster));
    if (exchange->cluster != NULL)
        stream_release(exchange->cluster);
    exchange->cluster = NULL;
    loop_timer_clear(exchange->context->loop, &exchange->timer);
    list_remove(&exchange->context->exchanges, &exchange->node);
    loop_bury(exchange->context->loop, exchange, destroy_exchange);
    if (exchange->lease != NULL)
        lease_release(exchange->lease);
    exchange->lease = NULL;
}

void exchange_answer_fault(struct exchange *exchange, enum fault fault)
{
    exchange->fault = fault;
    if (exchange->cluster != NULL)
        stream_reset(exchange->cluster, fault);
    struct reply_fault reply = {
        .fault = fault,
        .is_write = exchange_is_write(exchange),
        .is_grpc = exchange_is_grpc(exchange),
        .path = exchange->head->path,
        .request_id = exchange_request_id(exchange),
        .retry_after_s = exchange_topology(exchange)->retry_after ? 1 : 0,
    };
    if (exchange->downstream != NULL)
        exchange->status = reply_send_fault(exchange->downstream, &reply);
    exchange->downstream = NULL;
    exchange_finish(exchange);
}

void exchange_break(struct exchange *exchange, enum fault fault)
{
    exchange->fault = fault;
    if (exchange->cluster != NULL)
        stream_reset(exchange->cluster, fault);
    /* Where nothing can be said any more, releasing the unfinished stream shows that the answer is cut. */
    grpc_call_send_fault(exchange);
    exchange_finish(exchange);
}

void exchange_give_up(struct exchange *exchange, enum fault fault)
{
    if (exchange->state == EXCHANGE_RELAYING || exchange->downstream == NULL)
        exchange_break(exchange, fault);
    else
        exchange_answer_fault(exchange, fault);
}
