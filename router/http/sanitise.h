#ifndef SLUICE_HTTP_SANITISE_H
#define SLUICE_HTTP_SANITISE_H
/*
 * What a proxy must take out of a head, and what it adds (RFC 9110 sections 7.6 and 10.1). A head is never passed on as it came: a new one
 * is filled from the fields that may travel. Pure.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/fault.h"
#include "base/text.h"
#include "http/message.h"

/*
 * Removes from a parsed HTTP/1 head all that concerns one hop: Connection and each field that it names, Keep-Alive,
 * Proxy-*, TE, Trailer, Transfer-Encoding, Content-Length, Upgrade, HTTP2-Settings, Expect and Host. Sets *keep_alive from the
 * Connection options and the version (RFC 9112 section 9.3). False when Connection names a field that must reach the node,
 * such as Authorization: dropping it for a client would change who is asking.
 */
bool sanitise_strip_hop_by_hop(struct message_head *head, bool *keep_alive);

struct sanitise_context {
    struct text client_host;   /* address of the client, without port */
    struct text scheme;        /* "http" or "https": how the client came */
    struct text via;           /* "1.1 sluice-1a2b3c": the version that came in, and our name */
    struct text request_id;    /* given by the client or made here */
    bool trust_forwarded;      /* keep what the client says in X-Forwarded-* and Forwarded, and append to it */
};

/* Room for the values that sanitise_request writes; lives as long as the head it fills. */
struct sanitise_room {
    char bytes[1024];
    size_t used;
};

/*
 * Fills `out` (its `fields` has room for MESSAGE_FIELDS_MAXIMUM + 8) with what goes to the node. FAULT_REQUEST_LOOP when Via shows that
 * the request came through here before; FAULT_REQUEST_HEAD_TOO_LARGE when Via or X-Forwarded-For outgrow the room.
 */
enum fault sanitise_request(const struct message_head *in, const struct sanitise_context *context,
                                   struct sanitise_room *room, struct message_head *out);

/*
 * Fills `out` with what goes to the client: the node's fields, plus X-Request-Id unless the node set one, plus X-Sluice-Node.
 * `drop_retry_after`: for clients that misread it (docs/clients.md#retry-after).
 */
void sanitise_response(const struct message_head *in, struct text request_id, struct text node_id,
                              bool drop_retry_after, struct message_head *out);

/*
 * Fills `out` (room as above) with the trailers that may travel on, either way: without what concerns one hop, frames or describes the
 * body, or says who asks and from where (RFC 9110 section 6.5.1: whoever merges trailers into a head must not be misled by them).
 */
void sanitise_trailers(const struct message_head *in, struct message_head *out);

/* True when `value` is fit to be a request id: 1 to 128 visible characters. */
bool sanitise_is_request_id(struct text value);

#endif
