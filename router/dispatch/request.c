#include "dispatch/request.h"

#include <string.h>

#include "http/grpc.h"
#include "http/sanitise.h"
#include "http/stream.h"
#include "net/address.h"
#include "topology/topology.h"
#include "upstream/roster.h"

/* Puts what is left of the client's grpc-timeout in its place; the value may lie in `buffer`. */
static void shorten_timeout(const struct request *request, uint64_t now_ms, struct message_head *out, char buffer[GRPC_TIMEOUT_BYTES])
{
    if (request->call_deadline_ms == 0)
        return;
    const struct header_field *came = message_find(request->head, HEADER_GRPC_TIMEOUT);
    struct text left = grpc_shorten_timeout(came->value, now_ms - request->started_ms, buffer);
    /* Sent twice, the field must not say two things. */
    for (size_t i = 0; i < out->field_count; i++) {
        if (out->fields[i].known == HEADER_GRPC_TIMEOUT)
            out->fields[i].value = left;
    }
}

enum fault request_send_head(const struct request *request, const struct roster *roster, const struct topology *topology,
                             uint64_t now_ms, struct header_field *fields, struct stream *stream)
{
    const struct request_origin *origin = &request->origin;
    struct sanitise_context sanitise = {
        /* A Unix-domain client has no address; that is the word for it (RFC 7239 section 6.2). */
        .client_host = strcmp(origin->client_host, ADDRESS_HOST_UNIX) == 0 ? TEXT("unknown") : text_of_string(origin->client_host),
        .scheme = origin->is_tls ? TEXT("https") : TEXT("http"),
        .via = text_of_string(roster->via[request->head->version]),
        .request_id = origin->request_id,
        .trust_forwarded = topology->trust_forwarded,
    };
    struct sanitise_room room; /* a KiB that needs no zeroes */
    room.used = 0;
    struct message_head out = {.fields = fields};
    char timeout[GRPC_TIMEOUT_BYTES];
    enum fault fault = sanitise_request(request->head, &sanitise, &room, &out);
    if (fault != FAULT_NONE)
        return fault;
    shorten_timeout(request, now_ms, &out, timeout);
    stream_send_head(stream, &out);
    return FAULT_NONE;
}

void request_send_trailers(const struct request *request, struct header_field *fields, struct stream *stream)
{
    struct message_head out = {.fields = fields};
    if (request->trailers == NULL)
        return;
    sanitise_trailers(request->trailers, &out);
    if (out.field_count > 0)
        stream_send_trailers(stream, &out);
}

bool request_is_gzip(const struct request *request)
{
    const struct header_field *encoding = message_find(request->head, HEADER_CONTENT_ENCODING);
    return encoding != NULL && text_equals_ignoring_case(encoding->value, TEXT("gzip"));
}
