#include "downstream/reply.h"

#include "base/clock.h"
#include "http/grpc.h"
#include "http/message.h"
#include "http/stream.h"

#define FIELDS 12

void reply_send(struct stream *stream, const struct reply *reply)
{
    struct header_field fields[FIELDS];
    struct message_head head = {.status = reply->status, .fields = fields};
    message_set(&head, MESSAGE_ENDS_CONNECTION, reply->ends_connection);
    char date[CLOCK_HTTP_BYTES];
    char retry_after[12];
    message_add(&head, FIELDS, HEADER_DATE, TEXT("Date"), text_of(date, clock_format_http(clock_wall_ms(), date)));
    message_add(&head, FIELDS, HEADER_OTHER, TEXT("Server"), TEXT("sluice"));
    if (reply->content_type.length > 0)
        message_add(&head, FIELDS, HEADER_CONTENT_TYPE, TEXT("Content-Type"), reply->content_type);
    message_add(&head, FIELDS, HEADER_OTHER, TEXT("Cache-Control"), TEXT("no-store"));
    if (reply->origins != REPLY_ORIGINS_OWN)
        message_add(&head, FIELDS, HEADER_OTHER, TEXT("Access-Control-Allow-Origin"), TEXT("*"));
    if (reply->origins == REPLY_ORIGINS_PREFLIGHT) {
        message_add(&head, FIELDS, HEADER_OTHER, TEXT("Access-Control-Allow-Methods"), TEXT("*"));
        message_add(&head, FIELDS, HEADER_OTHER, TEXT("Access-Control-Allow-Headers"), TEXT("*"));
        message_add(&head, FIELDS, HEADER_OTHER, TEXT("Access-Control-Max-Age"), TEXT("86400"));
    }
    if (reply->request_id.length > 0)
        message_add(&head, FIELDS, HEADER_X_REQUEST_ID, TEXT("X-Request-Id"), reply->request_id);
    if (reply->v1_error.length > 0)
        message_add(&head, FIELDS, HEADER_OTHER, TEXT("X-Influxdb-Error"), reply->v1_error);
    if (reply->retry_after_s > 0) {
        size_t length = text_append(retry_after, sizeof retry_after, 0, "%u", reply->retry_after_s);
        message_add(&head, FIELDS, HEADER_RETRY_AFTER, TEXT("Retry-After"), text_of(retry_after, length));
    }
    bool may_have_body = reply->status != 204 && reply->status != 304;
    head.content_length = reply->body.length;
    message_set(&head, MESSAGE_ANNOUNCES_LENGTH, may_have_body);
    head.body = may_have_body && reply->body.length > 0 ? BODY_LENGTH : BODY_NONE;
    stream_send_head(stream, &head);
    if (head.body == BODY_LENGTH)
        stream_send_data(stream, reply->body);
    stream_send_end(stream);
    stream_release(stream);
}

/* The vocabulary of the v2 API (docs/clients.md#error-bodies). */
static const char *code_of_status(unsigned status)
{
    switch (status) {
    case 401:
        return "unauthorized";
    case 403:
        return "forbidden";
    case 404:
        return "not found";
    case 405:
        return "method not allowed";
    case 413:
        return "request too large";
    case 502:
    case 503:
    case 504:
        return "unavailable";
    default:
        return status < 500 ? "invalid" : "internal error";
    }
}

/* After a request that nobody should have sent, or that stopped half-way, the client is not heard again on this connection. */
static bool ends_connection(enum fault fault)
{
    return fault == FAULT_REQUEST_TIMEOUT || fault == FAULT_REQUEST_MALFORMED || fault == FAULT_REQUEST_METHOD ||
           fault == FAULT_REQUEST_PATH_AMBIGUOUS;
}

/* A path of the v1 API, whose clients read X-Influxdb-Error (docs/clients.md#error-bodies). */
static bool is_v1_path(struct text path)
{
    return text_equals(path, TEXT("/write")) || text_equals(path, TEXT("/query"));
}

/* Anything but HTTP 200 would make clients invent a status of their own and lose the sentence. */
static unsigned send_grpc_fault(struct stream *stream, const struct reply_fault *fault)
{
    struct header_field fields[FIELDS];
    struct message_head head = {.status = 200, .fields = fields};
    struct grpc_room room;
    char date[CLOCK_HTTP_BYTES];
    message_add(&head, FIELDS, HEADER_DATE, TEXT("date"), text_of(date, clock_format_http(clock_wall_ms(), date)));
    message_add(&head, FIELDS, HEADER_OTHER, TEXT("server"), TEXT("sluice"));
    message_add(&head, FIELDS, HEADER_CONTENT_TYPE, TEXT("content-type"), TEXT("application/grpc"));
    if (fault->request_id.length > 0)
        message_add(&head, FIELDS, HEADER_X_REQUEST_ID, TEXT("x-request-id"), fault->request_id);
    grpc_add_fault(&head, FIELDS, fault->fault, &room);
    stream_send_head(stream, &head);
    stream_send_end(stream);
    stream_release(stream);
    return head.status;
}

unsigned reply_send_fault(struct stream *stream, const struct reply_fault *fault)
{
    if (fault->is_grpc)
        return send_grpc_fault(stream, fault);
    const struct fault_row *row = fault_row(fault->fault);
    unsigned status = fault->is_write ? row->write_status : row->http_status;
    char body[512];
    size_t length =
        text_append(body, sizeof body, 0, "{\"error\":\"%s\",\"code\":\"%s\",\"message\":\"%s\",\"error_code\":\"router_%s\"}\n",
                    row->text, code_of_status(status), row->text, row->name);
    struct reply reply = {
        .status = status,
        .content_type = TEXT("application/json"),
        .body = text_of(body, length),
        .request_id = fault->request_id,
        .v1_error = is_v1_path(fault->path) ? text_of_string(row->text) : TEXT_EMPTY,
        .ends_connection = ends_connection(fault->fault),
        .retry_after_s = status == 503 ? fault->retry_after_s : 0,
    };
    reply_send(stream, &reply);
    return status;
}
