#ifndef SLUICE_HTTP_H1_H
#define SLUICE_HTTP_H1_H
/*
 * HTTP/1.1 over a conn, as a link: h1_server receives requests and sends responses, h1_client does the reverse. Each has one
 * stream at a time, which is part of the link, so an exchange on a warm link allocates nothing here.
 *
 * Pipelined requests wait in the conn until the response before them is finished (RFC 9112 section 9.3.2).
 */
#include <stdint.h>

#include "http/h1_validator.h"
#include "http/link.h"
#include "http/stream.h"
#include "net/conn.h"

struct loop;

struct h1_settings {
    struct h1_limits limits;
    uint64_t body_limit_bytes; /* of a request body, downstream; 0: none */
    uint64_t linger_ms;        /* downstream: reading on after an early answer */
    uint64_t keep_alive_s;     /* downstream: what clients are told of how long an idle connection is kept; 0: nothing */
    struct header_field *fields; /* ref: room for MESSAGE_FIELDS_MAXIMUM that all links of a loop share while they parse */
};

/* What a conn needs to know to feed a link; the caller opens the conn with these events and the link as owner. */
extern const struct conn_events h1_server_conn_events;
extern const struct conn_events h1_client_conn_events;

/*
 * Makes a link over an open conn, which it owns from now on (and closes when memory is out: then NULL is returned). `settings`
 * must outlive the link.
 */
struct link *h1_server_create(struct loop *loop, struct conn *conn, const struct h1_settings *settings,
                              const struct link_events *events, void *owner);
struct link *h1_client_create(struct loop *loop, struct conn *conn, const struct h1_settings *settings,
                              const struct link_events *events, void *owner);

#endif
