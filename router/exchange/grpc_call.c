/*
 * What is special about an exchange that is a gRPC call: the client's own deadline, and a status behind the answer, which Sluice writes itself
 * when the answer breaks.
 *
 *   NONE --a call--> WAITING --head with a body--> ANSWERING --trailers with a status--> STATED
 *                       |                             +-- other trailers ---------------> CLOSED
 *                       +--trailers-only, with a status--> STATED, without one, or with a length--> CLOSED
 *
 * Trailers behind an announced length may still state (CLOSED --> STATED).
 */
#include "base/machine.h"
#include "exchange/state.h"
#include "http/grpc.h"

static const char *const state_names[] = {"none", "waiting", "answering", "stated", "closed"};

#define TO(state) MACHINE_TO(GRPC_CALL_##state)
static const uint32_t moves[] = {
    [GRPC_CALL_NONE] = TO(WAITING),
    [GRPC_CALL_WAITING] = TO(ANSWERING) | TO(STATED) | TO(CLOSED),
    [GRPC_CALL_ANSWERING] = TO(STATED) | TO(CLOSED),
    [GRPC_CALL_STATED] = 0,
    [GRPC_CALL_CLOSED] = TO(STATED) | TO(CLOSED),
};
#undef TO

static const struct machine call_machine = {"grpc_call", state_names, moves};

/* The only writer of the state. */
static void enter(struct exchange *exchange, enum grpc_call_state next)
{
    machine_check(&call_machine, exchange->call, next);
    exchange->call = next;
}

void grpc_call_begin(struct exchange *exchange)
{
    if (!grpc_is_request(exchange->head))
        return;
    enter(exchange, GRPC_CALL_WAITING);
    const struct header_field *timeout = message_find(exchange->head, HEADER_GRPC_TIMEOUT);
    uint64_t timeout_ms;
    if (timeout != NULL && grpc_parse_timeout(timeout->value, &timeout_ms))
        exchange->call_deadline_ms = exchange->started_ms + timeout_ms;
}

static void note_status(struct exchange *exchange, const struct message_head *head)
{
    enum grpc_status status;
    bool is_stated = grpc_read_status(head, &status);
    if (is_stated)
        exchange->grpc_status = status;
    enter(exchange, is_stated ? GRPC_CALL_STATED : GRPC_CALL_CLOSED);
}

void grpc_call_commit(struct exchange *exchange, const struct message_head *head)
{
    if (!exchange_is_grpc(exchange))
        return;
    if (head->body == BODY_NONE)
        note_status(exchange, head);
    else /* a length that was announced leaves no room for an end that comes too early */
        enter(exchange, head->body == BODY_STREAM ? GRPC_CALL_ANSWERING : GRPC_CALL_CLOSED);
}

bool grpc_call_note_trailers(struct exchange *exchange, const struct message_head *trailers)
{
    if (!exchange_is_grpc(exchange))
        return false;
    note_status(exchange, trailers);
    return exchange->call == GRPC_CALL_CLOSED && exchange->status == 200;
}

enum grpc_status grpc_call_status(const struct exchange *exchange)
{
    if (exchange->call == GRPC_CALL_STATED)
        return exchange->grpc_status;
    return exchange->fault == FAULT_NONE ? GRPC_STATUS_UNKNOWN
                                         : (enum grpc_status)fault_row(exchange->fault)->grpc_status;
}

void grpc_call_send_fault(struct exchange *exchange)
{
    /* Behind what a client does not take, the trailers would only hold memory: it is reset instead. */
    if (exchange->call != GRPC_CALL_ANSWERING || exchange->downstream == NULL || stream_is_congested(exchange->downstream))
        return;
    struct header_field fields[2];
    struct message_head trailers = {.fields = fields};
    struct grpc_room room;
    grpc_add_fault(&trailers, 2, exchange->fault, &room);
    stream_send_trailers(exchange->downstream, &trailers);
    stream_send_end(exchange->downstream);
}
