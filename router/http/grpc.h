#ifndef SLUICE_HTTP_GRPC_H
#define SLUICE_HTTP_GRPC_H
/*
 * What gRPC writes into HTTP/2 heads and trailers: the content type that makes a request a call, the client's timeout, and how the call
 * ended. Pure. (Protocol: "gRPC over HTTP2"; messages inside the body are never looked at.)
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fault.h"
#include "base/grpc_status.h"
#include "base/text.h"
#include "http/message.h"

/*
 * application/grpc, application/grpc+proto, application/grpc;... -- and not application/grpc-web, which is another protocol. In lower
 * case only, as the node compares it: a request that we took for a call and the node for REST would get past the routes.
 */
bool grpc_is_content_type(struct text value);
/* HTTP/2 and that content type (docs/database.md#grpc). */
bool grpc_is_request(const struct message_head *head);

/*
 * The value of grpc-timeout, 1 to 8 digits and a unit (H, M, S, m, u, n), in milliseconds and rounded up. False when it is anything
 * else: then the call has no deadline.
 */
bool grpc_parse_timeout(struct text value, uint64_t *timeout_ms);
/*
 * What is left of a timeout when `spent_ms` of it have passed, as a value of grpc-timeout: never longer than what came, and as it came
 * when nothing was spent. `value` is one that grpc_parse_timeout takes. The result lies in `value` or in `buffer`.
 */
#define GRPC_TIMEOUT_BYTES 16
struct text grpc_shorten_timeout(struct text value, uint64_t spent_ms, char buffer[GRPC_TIMEOUT_BYTES]);

/*
 * Percent-encodes what is not allowed in grpc-message: bytes outside 0x20..0x7e, and '%'. What does not fit is left out, never the half
 * of an escape. The result lies in `buffer`.
 */
struct text grpc_encode_message(struct text message, char *buffer, size_t capacity);

/*
 * grpc-status of a head (trailers-only) or of trailers: false when there is none. One that is no code of gRPC is UNKNOWN, as clients
 * take it.
 */
bool grpc_read_status(const struct message_head *head, enum grpc_status *status);

/* Room for the values that grpc_add_fault writes; lives as long as the head that it fills. */
struct grpc_room {
    char status[4];
    char message[512];
};

/* Adds grpc-status and grpc-message of a fault: to the head of a trailers-only answer, or to trailers. */
void grpc_add_fault(struct message_head *head, size_t capacity, enum fault fault, struct grpc_room *room);

#endif
