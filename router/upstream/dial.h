#ifndef SLUICE_UPSTREAM_DIAL_H
#define SLUICE_UPSTREAM_DIAL_H
/*
 * From a node of an epoch to a link that is ready: the one place that connects to nodes. Over TLS the handshake is part of it, and ALPN says
 * which HTTP is spoken; in clear text the caller knows. Each dial that was started ends once: in on_ready, in on_failed, or by dial_cancel.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/fault.h"
#include "net/conn.h"
#include "net/loop.h"
#include "topology/topology.h"

struct buffer_pool;
struct epoch;
struct h1_settings;
struct h2_context;
struct link;
struct link_events;

/* The words that go with a TLS failure, and how long they may be. */
#define DIAL_REASON_BYTES 160

struct dial_events {
    /* The link is the owner's; its events go where the request said. */
    void (*on_ready)(void *owner, struct link *link);
    /* `reason`: words for the log where `fault` is about TLS or the version, else "". */
    void (*on_failed)(void *owner, enum fault fault, const char *reason);
};

struct dial_request {
    struct loop *loop;
    const struct epoch *epoch;       /* read before dial_start returns, and not afterwards */
    unsigned index;                  /* of the node in it */
    const struct address *address;   /* where to; NULL: where the node is known to be */
    const struct h1_settings *h1;
    struct h2_context *h2;
    struct buffer_pool *buffers;
    uint64_t high_water_bytes;       /* of the connection's output */
    uint64_t connect_ms;             /* for connect and handshake; 0: the owner has a timer of its own */
    bool is_http2;                   /* in clear text: what the node speaks */
    unsigned streams_expected;       /* HTTP/2: as many as the node is believed to allow, until its SETTINGS come */
    const struct dial_events *events;
    void *owner;
    const struct link_events *link_events;
    void *link_owner;
};

/* NONE --dial_start--> CONNECTING --ready, failed, dial_cancel--> NONE */
enum dial_state { DIAL_NONE, DIAL_CONNECTING };

/* Embedded in its owner; zero it before first use. */
struct dial {
    enum dial_state state;
    struct loop *loop;
    struct conn *conn;
    const struct h1_settings *h1;
    struct h2_context *h2;
    bool is_tls;
    bool is_http2;
    unsigned streams_expected;
    enum topology_http wanted;       /* as configured */
    const struct dial_events *events;
    void *owner;
    const struct link_events *link_events;
    void *link_owner;
    struct loop_timer timer;
};

/* FAULT_NONE: it is under way. Else the fault; then no event follows. */
enum fault dial_start(struct dial *dial, const struct dial_request *request);
/* Gives up without an event; nothing happens when none is under way. */
void dial_cancel(struct dial *dial);

static inline bool dial_is_under_way(const struct dial *dial)
{
    return dial->state != DIAL_NONE;
}

#endif
