#include "world/operator_call.h"

#include "check/ledger.h"
#include "world/operator.h"

#define PATIENCE_US (10 * SIM_S)

bool operator_call_is_under_way(const struct operator_call *call)
{
    return call->peer != NULL;
}

void operator_call_drop(struct operator_call *call)
{
    if (call->peer == NULL)
        return;
    sim_timer_clear(&call->patience);
    peer_destroy(call->peer);
    if (call->stream != NULL)
        peer_stream_release(call->stream);
    call->peer = NULL;
    call->stream = NULL;
}

/* From an event of its own, so that the peer is not inside of a callback when it is destroyed. */
static void on_time(void *owner)
{
    struct operator_call *call = owner;
    unsigned status = call->stream == NULL ? call->status : 0;
    operator_call_drop(call);
    call->on_end(call->owner, status, text_of(call->body, call->length));
}

static void end(struct operator_call *call, unsigned status)
{
    call->status = status;
    peer_stream_release(call->stream);
    call->stream = NULL;
    sim_timer_in(&call->patience, 0);
}

static void on_response(void *owner, const struct peer_head *head)
{
    struct operator_call *call = owner;
    if (head->status >= 200)
        call->status = head->status;
}

static void on_body(void *owner, struct text piece)
{
    struct operator_call *call = owner;
    size_t room = sizeof call->body - call->length;
    size_t count = piece.length < room ? piece.length : room;
    memcpy(call->body + call->length, piece.bytes, count);
    call->length += count;
}

static void on_end(void *owner)
{
    struct operator_call *call = owner;
    end(call, call->status);
}

static void on_cut(void *owner, enum peer_cut why)
{
    struct operator_call *call = owner;
    if (why == PEER_CUT_BAD)
        ledger_violation("bad_http", "the operator got what is no HTTP: %s", peer_fault(call->peer));
    end(call, 0);
}

static void on_request(void *owner, struct peer_stream *stream, const struct peer_head *head)
{
    (void)owner;
    (void)head;
    peer_stream_release(stream);
}

static void on_closed(void *owner, enum peer_cut why)
{
    (void)owner;
    (void)why;
}

void operator_call_begin(struct operator_call *call, const struct operator_order *order)
{
    static const struct peer_events events = {.on_request = on_request, .on_closed = on_closed};
    static const struct peer_stream_events stream_events = {
        .on_response = on_response, .on_body = on_body, .on_end = on_end, .on_cut = on_cut};
    struct address address;
    struct peer_head head;
    address_parse("127.0.0.1", OPERATOR_ADMIN_PORT, &address);
    call->status = 0;
    call->length = 0;
    call->peer = peer_connect(SIM_HOST_SLUICE, &address, PEER_HTTP_1, NULL, &events, call);
    head.method = order->method;
    head.target = order->target;
    head.authority = order->host;
    head.status = 0;
    head.has_length = false;
    head.length = 0;
    head.is_whole = true;
    head.field_count = 0;
    if (order->has_header)
        head.fields[head.field_count++] = (struct peer_field){TEXT("x-sluice-admin"), TEXT("1")};
    sim_timer_init(&call->patience, on_time, call);
    sim_timer_in(&call->patience, PATIENCE_US);
    call->stream = peer_request(call->peer, &head, &stream_events, call);
    if (call->stream == NULL)
        sim_timer_in(&call->patience, 0);
}
