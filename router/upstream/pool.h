#ifndef SLUICE_UPSTREAM_POOL_H
#define SLUICE_UPSTREAM_POOL_H
/*
 * One worker's links to one cluster: kept alive while idle, dialled when needed, bounded per node.
 *
 *   pool_take   gives an idle link at once (the one used last, because it is the least likely to have been closed), or queues the ticket: then
 *               on_link or on_fault comes from the loop. Waiters are served first come, first served, by a link that is given
 *               back or by one that is dialled for them.
 *   pool_give   gives a link back after its stream was released; one that has no room any more is dropped.
 *   pool_cancel takes a waiting ticket out.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/fault.h"
#include "base/list.h"
#include "net/buffer.h"

struct cluster;
struct h1_settings;
struct link;
struct loop;
struct pool;
struct topology;

struct pool_events {
    void (*on_link)(void *owner, struct link *link);
    void (*on_fault)(void *owner, enum fault fault);
};

/* Embedded in whoever asks; zero it before first use. */
struct pool_ticket {
    struct list_node node;
    const struct pool_events *events;
    void *owner;
    unsigned node_index;
    bool is_waiting;
    bool wants_fresh; /* no kept-alive link: the last one turned out to be closed */
};

struct pool_settings {
    const struct topology *topology; /* ref */
    struct cluster *cluster;         /* ref */
    const struct h1_settings *h1;    /* ref */
    struct buffer_pool *buffers;     /* ref */
};

/* NULL when memory is out. */
struct pool *pool_create(struct loop *loop, const struct pool_settings *settings);
/* Closes all idle links; no ticket may be waiting and no link may be out. */
void pool_destroy(struct pool *pool);

/*
 * A link with room for one stream, or NULL: then either *fault says why not, or it is FAULT_NONE and the ticket waits.
 */
struct link *pool_take(struct pool *pool, unsigned node_index, struct pool_ticket *ticket, enum fault *fault);
void pool_give(struct pool *pool, struct link *link);
void pool_cancel(struct pool *pool, struct pool_ticket *ticket);

/* Open links to a node, idle ones among them. */
size_t pool_link_count(const struct pool *pool, unsigned node_index);

#endif
