#ifndef SLUICE_UPSTREAM_POOL_H
#define SLUICE_UPSTREAM_POOL_H
/*
 * One worker's links to the nodes: kept alive while idle, dialled when needed, bounded per node.
 *
 *   pool_take   opens a stream on a link that has room at once (the link used last, because it is the least likely to have been closed),
 *               or queues the ticket: then on_stream or on_fault comes from the loop. Waiters are served by client in turn
 *               (fair_queue.h), by a link that has room again or by one that is dialled for them. A full queue drops a request of the
 *               client that has most there, and who has its share of the node (limits.client_share) waits while others have less room.
 *   pool_give   gives the link back after its stream was released; one that is empty and has no room any more is dropped.
 *   pool_cancel takes a waiting ticket out.
 *   pool_suspect  the node may have gone without a word: its links from which nothing has come within the last moments are asked for a sign of
 *               life (HTTP/2), or dropped (idle ones). The pool does so by itself when a link has died in silence.
 *   pool_apply  an epoch is in force: its nodes are served from now on, by its urls, limits and timeouts. Links to where a node
 *               no longer is go when what is under way on them has ended.
 *   pool_leave  a node that no epoch has any more: the same for all of its links, then it is forgotten.
 *
 * An HTTP/1 link has room for one stream, an HTTP/2 link for as many as its node allows; a further link is dialled when all are full. Which
 * of them a node is spoken to with, its configuration or the probe says (roster_node.http_version).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fault.h"
#include "base/list.h"
#include "net/buffer.h"
#include "upstream/fair_queue.h"

struct epoch;
struct h1_settings;
struct h2_context;
struct link;
struct loop;
struct pool;
struct roster_node;
struct stream;

struct pool_events {
    /* The stream's owner is set before this returns. */
    void (*on_stream)(void *owner, struct link *link, struct stream *stream);
    void (*on_fault)(void *owner, enum fault fault);
};

/* Embedded in whoever asks; zero it before first use. */
struct pool_ticket {
    struct fair_entry entry;       /* its client is set by whoever asks */
    const struct pool_events *events;
    void *owner;
    unsigned class;                /* enum request_class; likewise */
    struct roster_node *waits_for; /* NULL: it does not wait */
    bool wants_fresh; /* no kept-alive link: the last one turned out to be closed */
    uint64_t fresh_after; /* the pool's: links that connect later than this one are fresh */
    bool needs_http2; /* gRPC: a node whose version is not known yet is taken for one that speaks it */
};

struct pool_settings {
    const struct h1_settings *h1;    /* ref */
    struct h2_context *h2;           /* ref */
    struct buffer_pool *buffers;     /* ref */
};

/* Without nodes until the first pool_apply. NULL when memory is out. */
struct pool *pool_create(struct loop *loop, const struct pool_settings *settings);
/* Closes all links; no ticket may be waiting and no stream may be out. */
void pool_destroy(struct pool *pool);

/* False when memory is out; the pool then serves what it has served. */
bool pool_apply(struct pool *pool, struct epoch *epoch);
/* Nobody may take links to the node any more. Streams that are out go on. */
void pool_leave(struct pool *pool, struct roster_node *node);

/*
 * A stream and *link, or NULL: then either *fault says why not, or it is FAULT_NONE and the ticket waits. `node` is one of an epoch that was
 * applied, and has not left.
 */
struct stream *pool_take(struct pool *pool, struct roster_node *node, struct pool_ticket *ticket, struct link **link,
                         enum fault *fault);
/* The stream that came with `link` for this ticket is released. */
void pool_give(struct pool *pool, struct link *link, const struct pool_ticket *ticket);
void pool_cancel(struct pool *pool, struct pool_ticket *ticket);
void pool_suspect(struct pool *pool, struct roster_node *node);

/* The four above as a table: whoever asks for links through it can be tested without a network. */
struct pool_verbs {
    struct stream *(*take)(struct pool *pool, struct roster_node *node, struct pool_ticket *ticket, struct link **link,
                           enum fault *fault);
    void (*give)(struct pool *pool, struct link *link, const struct pool_ticket *ticket);
    void (*cancel)(struct pool *pool, struct pool_ticket *ticket);
    void (*suspect)(struct pool *pool, struct roster_node *node);
};
extern const struct pool_verbs pool_verbs;

/* Open links to a node, idle ones among them. */
size_t pool_link_count(const struct pool *pool, const struct roster_node *node);

#endif
