/*
 * What is special about an exchange that is a gRPC call: the client's own deadline, which also tells the node how long it has; a status
 * behind the answer, which Sluice writes itself when the answer breaks; and a node's UNAVAILABLE, about which one more node is asked.
 */
#include "exchange/state.h"
#include "http/grpc.h"
#include "upstream/cluster.h"

void grpc_call_begin(struct exchange *exchange)
{
    exchange->is_grpc = grpc_is_request(exchange->head);
    if (!exchange->is_grpc)
        return;
    const struct header_field *timeout = message_find(exchange->head, HEADER_GRPC_TIMEOUT);
    uint64_t timeout_ms;
    if (timeout != NULL && grpc_parse_timeout(timeout->value, &timeout_ms))
        exchange->deadline_ms = exchange->started_ms + timeout_ms;
}

void grpc_call_shorten_timeout(const struct exchange *exchange, struct message_head *out,
                               char buffer[GRPC_TIMEOUT_BYTES])
{
    if (!exchange_has_call_deadline(exchange))
        return;
    const struct header_field *came = message_find(exchange->head, HEADER_GRPC_TIMEOUT);
    uint64_t spent_ms = loop_now_ms(exchange->context->loop) - exchange->started_ms;
    struct text left = grpc_shorten_timeout(came->value, spent_ms, buffer);
    /* Sent twice, the field must not say two things. */
    for (size_t i = 0; i < out->field_count; i++) {
        if (out->fields[i].known == HEADER_GRPC_TIMEOUT)
            out->fields[i].value = left;
    }
}

bool grpc_call_is_unavailable(const struct exchange *exchange, const struct message_head *head)
{
    enum grpc_status status;
    return exchange->is_grpc && !exchange->was_unavailable && head->body == BODY_NONE &&
           grpc_read_status(head, &status) && status == GRPC_STATUS_UNAVAILABLE;
}

bool grpc_call_lacks_status(const struct exchange *exchange, const struct message_head *head)
{
    enum grpc_status ignored;
    return exchange->is_grpc && head->status == 200 && head->body == BODY_NONE && !grpc_read_status(head, &ignored);
}

void grpc_call_note_status(struct exchange *exchange, const struct message_head *head)
{
    enum grpc_status status;
    if (!exchange->is_grpc || !grpc_read_status(head, &status))
        return;
    exchange->grpc_status = status;
    exchange->has_grpc_status = true;
    /* Whatever it says, a node that says it is alive: not even UNAVAILABLE counts against it, for that may mean a lack of permission. */
    cluster_note_connect(exchange->context->cluster, exchange->node_index, false);
}

enum grpc_status grpc_call_status(const struct exchange *exchange)
{
    if (exchange->has_grpc_status)
        return exchange->grpc_status;
    return exchange->fault == FAULT_NONE ? GRPC_STATUS_UNKNOWN
                                         : (enum grpc_status)fault_row(exchange->fault)->grpc_status;
}

void grpc_call_send_fault(struct exchange *exchange)
{
    /* Behind what a client does not take, the trailers would only hold memory: it is reset instead. */
    if (!exchange->may_send_status || exchange->downstream == NULL || stream_is_congested(exchange->downstream))
        return;
    struct header_field fields[2];
    struct message_head trailers = {.fields = fields};
    struct grpc_room room;
    grpc_add_fault(&trailers, 2, exchange->fault, &room);
    stream_send_trailers(exchange->downstream, &trailers);
    stream_send_end(exchange->downstream);
}
