/* The answer's way to the client: committed with its head and moved piece by piece, each side pausing the other when it is the slower one. */
#include "dispatch/dispatch.h"
#include "exchange/state.h"
#include "http/grpc.h"
#include "http/sanitise.h"

/* Reads an integer Retry-After as milliseconds and burns its retries within a second (docs/clients.md#retry-after). */
static bool misreads_retry_after(const struct message_head *request)
{
    const struct header_field *agent = message_find(request, HEADER_USER_AGENT);
    return agent != NULL && text_starts_with(agent->value, TEXT("influxdb-client-js/"));
}

static void on_head(void *owner, const struct message_head *head)
{
    struct exchange *exchange = owner;
    struct message_head out = {.fields = exchange->context->fields};
    sanitise_response(head, exchange_request_id(exchange), text_of_string(dispatch_node_id(exchange->cluster)),
                             misreads_retry_after(exchange->head), &out);
    exchange->status = head->status;
    exchange->fault = FAULT_NONE;
    exchange->active_ms = loop_now_ms(exchange->context->loop);
    exchange_enter(exchange, EXCHANGE_RELAYING);
    grpc_call_commit(exchange, head);
    stream_send_head(exchange->downstream, &out);
    exchange_leave_epoch(exchange);
    exchange_arm(exchange);
}

static void on_interim(void *owner, const struct message_head *head)
{
    struct exchange *exchange = owner;
    stream_send_interim(exchange->downstream, head);
}

static void on_data(void *owner, struct text bytes)
{
    struct exchange *exchange = owner;
    exchange->active_ms = loop_now_ms(exchange->context->loop);
    exchange->response_bytes += bytes.length;
    stream_send_data(exchange->downstream, bytes);
    if ((exchange->paused & EXCHANGE_PAUSED_ANSWER) == 0 && stream_is_congested(exchange->downstream)) {
        exchange->paused |= EXCHANGE_PAUSED_ANSWER;
        stream_pause(exchange->cluster);
        exchange_arm(exchange);
    }
}

static void on_trailers(void *owner, const struct message_head *trailers)
{
    struct exchange *exchange = owner;
    struct message_head out = {.fields = exchange->context->fields};
    struct grpc_room room;
    sanitise_trailers(trailers, &out);
    exchange->active_ms = loop_now_ms(exchange->context->loop);
    if (grpc_call_note_trailers(exchange, trailers)) {
        exchange->fault = FAULT_UPSTREAM_MALFORMED;
        grpc_add_fault(&out, MESSAGE_FIELDS_MAXIMUM + 8, exchange->fault, &room);
    }
    if (out.field_count > 0)
        stream_send_trailers(exchange->downstream, &out);
}

static void on_end(void *owner)
{
    struct exchange *exchange = owner;
    stream_send_end(exchange->downstream);
    exchange_finish(exchange);
}

/* The cluster takes more of the request. */
static void on_drained(void *owner)
{
    struct exchange *exchange = owner;
    if ((exchange->paused & EXCHANGE_PAUSED_REQUEST) == 0)
        return;
    exchange->paused &= ~(unsigned)EXCHANGE_PAUSED_REQUEST;
    exchange->active_ms = loop_now_ms(exchange->context->loop);
    exchange_watch_upload(exchange);
    exchange_arm(exchange);
    stream_resume(exchange->downstream);
}

static void on_failed(void *owner, enum fault fault)
{
    struct exchange *exchange = owner;
    if (exchange->state == EXCHANGE_RELAYING)
        exchange_break(exchange, fault);
    else
        exchange_answer_fault(exchange, fault);
}

const struct stream_events relay_events = {
    .on_head = on_head,
    .on_interim = on_interim,
    .on_data = on_data,
    .on_trailers = on_trailers,
    .on_end = on_end,
    .on_drained = on_drained,
    .on_failed = on_failed,
};
