#ifndef SLUICE_HTTP_H2_H
#define SLUICE_HTTP_H2_H
/*
 * HTTP/2 over a conn, as a link (nghttp2 does the framing): h2_server receives requests and sends responses, h2_client does the reverse. A
 * link has many streams. Back-pressure is the flow-control window: what a paused stream receives stays in its buffer and its
 * window closes; what a stream is given and its peer has no window for stays in the stream's buffer and it is congested. The
 * connection's own window is kept open, so a slow stream stalls nobody else.
 *
 * What all links of a loop share is an h2_context, made once before them and destroyed after the loop has buried them.
 */
#include <stddef.h>
#include <stdint.h>

#include "http/h1_validator.h"
#include "http/link.h"
#include "http/stream.h"
#include "net/conn.h"

struct h2_context;
struct loop;

struct h2_settings {
    struct h1_limits limits;
    uint64_t body_limit_bytes;   /* of a request body, downstream; 0: none */
    uint32_t streams_maximum;    /* at a time on one downstream connection */
    uint32_t window_bytes;       /* of one stream: what its peer may send ahead of its reader */
    size_t output_bytes;         /* a stream with more than this waiting is congested */
    uint64_t request_head_ms;    /* downstream: a header block, and the first SETTINGS, must be whole by then */
    uint64_t stall_ms;           /* output of a stream that nobody holds any more may stand still so long; 0: for ever */
    struct buffer_pool *buffers; /* ref */
    struct header_field *fields; /* ref: room for MESSAGE_FIELDS_MAXIMUM, used while a head is read */
};

/* NULL when memory is out. */
struct h2_context *h2_context_create(struct loop *loop, const struct h2_settings *settings);
/* Other limits hold, for links that are made from now on; buffers and fields stay those of the creation. */
void h2_context_configure(struct h2_context *context, const struct h2_settings *settings);
void h2_context_destroy(struct h2_context *context);

/* The 24 bytes that a client begins with (RFC 9113 section 3.4). */
#define H2_PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define H2_PREFACE_BYTES 24

/* What a conn needs to know to feed a link; the caller opens the conn with these events and the link as owner. */
extern const struct conn_events h2_server_conn_events;
extern const struct conn_events h2_client_conn_events;

/*
 * Makes a link over an open conn, which it owns from now on (and closes when memory is out: then NULL is returned). A server's
 * input begins with the preface. `scheme` is that of the requests, "http" or "https". `streams_expected`: how many streams the node allows
 * as far as is known, 0 for the usual 100; its SETTINGS settle it.
 */
struct link *h2_server_create(struct h2_context *context, struct conn *conn, const struct link_events *events, void *owner);
struct link *h2_client_create(struct h2_context *context, struct conn *conn, struct text scheme, unsigned streams_expected,
                              const struct link_events *events, void *owner);
#define H2_STREAMS_USUAL 100
/* Whatever a node allows, a link carries no more. */
#define H2_STREAMS_ON_LINK 256

#endif
