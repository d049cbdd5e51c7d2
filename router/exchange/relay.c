/*
 * The response's way to the client: kept back while its body may still say that the node refused, else committed with its head and
 * moved piece by piece, each side pausing the other when it is the slower one.
 */
#include <stdlib.h>

#include "exchange/state.h"
#include "http/grpc.h"
#include "http/sanitise.h"

/* Reads an integer Retry-After as milliseconds and burns its retries within a second (docs/clients.md#retry-after). */
static bool misreads_retry_after(const struct message_head *request)
{
    const struct header_field *agent = message_find(request, HEADER_USER_AGENT);
    return agent != NULL && text_starts_with(agent->value, TEXT("influxdb-client-js/"));
}

/* ---- committed ---- */

static void commit(struct exchange *exchange, const struct message_head *head)
{
    struct exchange_context *context = exchange->context;
    struct message_head out = {.fields = context->fields};
    sanitise_response(head, text_of(exchange->request_id, exchange->request_id_length),
                             text_of_string(context->topology->nodes[exchange->node_index].node_id),
                             misreads_retry_after(exchange->head), &out);
    exchange->status = head->status;
    exchange->fault = FAULT_NONE;
    if (head->status < 500)
        attempt_remember_node(exchange);
    replay_drop(&exchange->replay, &context->replay_bytes);
    exchange_enter(exchange, EXCHANGE_RELAYING);
    /* A length that was announced leaves no room for an end that comes too early. */
    exchange->may_send_status = exchange->is_grpc && head->body == BODY_STREAM;
    if (head->body == BODY_NONE)
        grpc_call_note_status(exchange, head);
    stream_send_head(exchange->downstream, &out);
    exchange_arm(exchange);
}

static void relay_data(struct exchange *exchange, struct text bytes)
{
    exchange->active_ms = loop_now_ms(exchange->context->loop);
    exchange->response_bytes += bytes.length;
    stream_send_data(exchange->downstream, bytes);
    if (stream_is_congested(exchange->downstream) && !exchange->upstream_paused) {
        exchange->upstream_paused = true;
        if (exchange->upstream != NULL)
            stream_pause(exchange->upstream);
        exchange_arm(exchange);
    }
}

static void relay_trailers(struct exchange *exchange, const struct message_head *trailers)
{
    struct message_head out = {.fields = exchange->context->fields};
    sanitise_trailers(trailers, &out);
    exchange->active_ms = loop_now_ms(exchange->context->loop);
    exchange->may_send_status = false;
    grpc_call_note_status(exchange, trailers);
    struct grpc_room room;
    if (exchange->is_grpc && !exchange->has_grpc_status && exchange->status == 200) {
        exchange->fault = FAULT_UPSTREAM_MALFORMED;
        grpc_add_fault(&out, MESSAGE_FIELDS_MAXIMUM + 8, exchange->fault, &room);
    }
    if (out.field_count > 0)
        stream_send_trailers(exchange->downstream, &out);
}

static void relay_end(struct exchange *exchange)
{
    /* A call whose answer just stops would pass for a whole one (docs/clients.md#grpc-errors). */
    bool lacks_status = exchange->may_send_status && !exchange->has_grpc_status && exchange->status == 200;
    if (lacks_status) {
        exchange_break(exchange, FAULT_UPSTREAM_MALFORMED);
        return;
    }
    stream_send_end(exchange->downstream);
    exchange_finish(exchange);
}

/* ---- kept back ---- */

/* Every node that could answer was asked, or one of them is away and might know more. */
static bool all_candidates_answered(const struct exchange *exchange)
{
    return (exchange->candidates & ~exchange->answered) == 0;
}

static bool hold(struct exchange *exchange, const struct message_head *head)
{
    struct slab *slab = loop_slab(exchange->context->loop);
    struct held_response *held = slab_take_zeroed(slab, sizeof *held);
    if (held == NULL)
        return false;
    held->head = message_head_copy(head, slab);
    if (held->head == NULL) {
        slab_give(slab, held);
        return false;
    }
    exchange->held = held;
    exchange_enter(exchange, EXCHANGE_SCREENING);
    return true;
}

void relay_held(struct exchange *exchange)
{
    struct held_response *held = exchange->held;
    exchange->held = NULL;
    commit(exchange, held->head);
    if (held->length > 0)
        relay_data(exchange, text_of(held->body, held->length));
    if (held->trailers != NULL)
        relay_trailers(exchange, held->trailers);
    if (held->is_complete)
        relay_end(exchange);
    exchange_drop_held(exchange, held);
}

/* The whole answer is here and it is a refusal: another node, else what the client should hear. */
static void handle_refusal(struct exchange *exchange)
{
    if (exchange->class != REQUEST_CLASS_ENGINE) {
        attempt_fail(exchange, FAULT_UPSTREAM_REFUSED_ROLE);
        return;
    }
    if (attempt_next(exchange))
        return;
    if (all_candidates_answered(exchange))
        relay_held(exchange);
    else
        attempt_fail(exchange, FAULT_UPSTREAM_REFUSED_ROLE);
}

/* The node's own answer is kept until it is clear that no other node is asked: only it can say what is the matter. */
static void handle_unavailable(struct exchange *exchange)
{
    exchange->was_unavailable = true;
    if (!attempt_elsewhere(exchange, FAULT_UPSTREAM_UNAVAILABLE))
        relay_held(exchange);
}

static void judge_held(struct exchange *exchange)
{
    struct held_response *held = exchange->held;
    if (exchange->is_grpc) {
        handle_unavailable(exchange);
        return;
    }
    bool is_success = held->head->status >= 200 && held->head->status < 300;
    if (exchange->is_fan_out && is_success) {
        if (attempt_next(exchange))
            return;
        /* A node that is down has missed it: the caller must know. */
        if (held->is_cut || !all_candidates_answered(exchange)) {
            attempt_release(exchange);
            exchange_answer_fault(exchange, exchange->replay.is_lost ? FAULT_REPLAY_TOO_LARGE : FAULT_FAN_OUT_INCOMPLETE);
            return;
        }
    }
    bool is_refusal = !exchange->is_fan_out &&
                      retry_is_refusal(exchange->class, held->head->status, text_of(held->body, held->length));
    if (is_refusal)
        handle_refusal(exchange);
    else
        relay_held(exchange);
}

static void hold_data(struct exchange *exchange, struct text bytes)
{
    struct held_response *held = exchange->held;
    size_t room = sizeof held->body - held->length;
    if (bytes.length <= room) {
        memcpy(held->body + held->length, bytes.bytes, bytes.length);
        held->length += bytes.length;
        return;
    }
    bool is_success = held->head->status >= 200 && held->head->status < 300;
    if (exchange->is_fan_out && is_success && (exchange->candidates & ~exchange->tried) != 0) {
        held->is_cut = true; /* the answer of a node that is not the last: nobody will read it */
        return;
    }
    /* Too long for a refusal. */
    relay_held(exchange);
    relay_data(exchange, bytes);
}

/* ---- the upstream stream's events ---- */

static void on_head(void *owner, const struct message_head *head)
{
    struct exchange *exchange = owner;
    exchange->active_ms = loop_now_ms(exchange->context->loop);
    if (grpc_call_lacks_status(exchange, head)) {
        attempt_fail(exchange, FAULT_UPSTREAM_MALFORMED);
        return;
    }
    bool must_hold = exchange->is_fan_out || retry_may_be_refusal(exchange->class, head->status) ||
                     grpc_call_is_unavailable(exchange, head);
    if (must_hold && hold(exchange, head))
        return;
    commit(exchange, head);
}

static void on_interim(void *owner, const struct message_head *head)
{
    struct exchange *exchange = owner;
    stream_send_interim(exchange->downstream, head);
}

static void on_data(void *owner, struct text bytes)
{
    struct exchange *exchange = owner;
    if (exchange->held != NULL)
        hold_data(exchange, bytes);
    else
        relay_data(exchange, bytes);
}

static void on_trailers(void *owner, const struct message_head *trailers)
{
    struct exchange *exchange = owner;
    if (exchange->held == NULL) {
        relay_trailers(exchange, trailers);
        return;
    }
    exchange->held->trailers = message_head_copy(trailers, loop_slab(exchange->context->loop));
    if (exchange->held->trailers == NULL)
        attempt_fail(exchange, FAULT_OUT_OF_MEMORY);
}

static void on_end(void *owner)
{
    struct exchange *exchange = owner;
    if (exchange->held == NULL) {
        relay_end(exchange);
        return;
    }
    exchange->held->is_complete = true;
    exchange->answered |= UINT64_C(1) << exchange->node_index;
    judge_held(exchange);
}

static void on_drained(void *owner)
{
    struct exchange *exchange = owner;
    if (!exchange->downstream_paused)
        return;
    exchange->downstream_paused = false;
    exchange->active_ms = loop_now_ms(exchange->context->loop);
    stream_resume(exchange->downstream);
}

static void on_failed(void *owner, enum fault fault)
{
    struct exchange *exchange = owner;
    if (exchange->state != EXCHANGE_RELAYING) {
        attempt_fail(exchange, fault);
        return;
    }
    exchange_break(exchange, fault);
}

const struct stream_events relay_upstream_events = {
    .on_head = on_head,
    .on_interim = on_interim,
    .on_data = on_data,
    .on_trailers = on_trailers,
    .on_end = on_end,
    .on_drained = on_drained,
    .on_failed = on_failed,
};
