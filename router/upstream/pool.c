#include "upstream/pool.h"

#include <stdlib.h>

#include "http/h1.h"
#include "net/conn.h"
#include "net/loop.h"
#include "topology/topology.h"
#include "upstream/cluster.h"

#define SWEEP_MS 1000

/* One per node. */
struct pool_node {
    struct pool *pool;
    unsigned index;
    struct list idle;     /* of pooled_link, last used first */
    struct list dials;    /* of pooled_link that are connecting */
    struct list waiters;  /* of pool_ticket, first come first */
    size_t links;         /* idle, out and dialling */
    struct loop_task serve_task; /* waiters and free links, or room for one more, have come together */
};

enum pooled_state { POOLED_DIALING, POOLED_IDLE, POOLED_OUT, POOLED_GONE };

/* A link and its place in the pool; it lives a little longer than a link that dies while it is out. */
struct pooled_link {
    struct list_node node;
    struct pool_node *owner;
    enum pooled_state state;
    struct conn *conn;    /* while dialling */
    struct link *link;    /* afterwards */
    uint64_t idle_since_ms;
    struct loop_timer connect_timer;
};

struct pool {
    struct loop *loop;
    struct pool_settings settings;
    struct loop_timer sweep;
    struct pool_node nodes[];
};

static const struct link_events upstream_link_events;
static const struct conn_events dial_events;

static void destroy_pooled(void *object)
{
    free(object);
}

/* The link counts no longer; its record goes to the grave, because whoever holds the link may still give it back this turn. */
static void forget(struct pooled_link *pooled)
{
    struct pool_node *node = pooled->owner;
    if (pooled->state == POOLED_DIALING)
        list_remove(&node->dials, &pooled->node);
    else if (pooled->state == POOLED_IDLE)
        list_remove(&node->idle, &pooled->node);
    loop_timer_clear(node->pool->loop, &pooled->connect_timer);
    pooled->state = POOLED_GONE;
    node->links--;
    loop_bury(node->pool->loop, pooled, destroy_pooled);
}

/* ---- dialling ---- */

static enum fault fault_of_end(enum conn_end end)
{
    if (end == CONN_END_NO_RESOURCES)
        return FAULT_OUT_OF_MEMORY;
    return end == CONN_END_CONNECT_REFUSED ? FAULT_CONNECT_REFUSED : FAULT_CONNECT_FAILED;
}

/*
 * A dial failed. One waiter that has no other dial hears of it, and the place that became free is for the next; when no link
 * to the node is left at all, every waiter hears of it, because none of them is about to be served.
 */
static void fail_waiters(struct pool_node *node, enum fault fault)
{
    size_t without_dial = node->waiters.count > node->dials.count ? 1 : 0;
    size_t count = node->links == 0 ? node->waiters.count : without_dial;
    loop_defer(node->pool->loop, &node->serve_task);
    struct list_node *first;
    while (count-- > 0 && (first = list_take_first(&node->waiters)) != NULL) {
        struct pool_ticket *ticket = LIST_OWNER(first, struct pool_ticket, node);
        ticket->is_waiting = false;
        ticket->events->on_fault(ticket->owner, fault);
    }
}

static void on_connect_deadline(void *owner)
{
    struct pooled_link *pooled = owner;
    struct pool_node *node = pooled->owner;
    conn_close(pooled->conn);
    forget(pooled);
    fail_waiters(node, FAULT_CONNECT_TIMEOUT);
}

static void on_dial_ended(void *owner, enum conn_end end)
{
    struct pooled_link *pooled = owner;
    struct pool_node *node = pooled->owner;
    if (pooled->state != POOLED_DIALING)
        return;
    conn_close(pooled->conn);
    forget(pooled);
    fail_waiters(node, fault_of_end(end));
}

static void put_idle(struct pooled_link *pooled)
{
    struct pool_node *node = pooled->owner;
    pooled->state = POOLED_IDLE;
    pooled->idle_since_ms = loop_now_ms(node->pool->loop);
    list_prepend(&node->idle, &pooled->node);
    if (node->waiters.count > 0)
        loop_defer(node->pool->loop, &node->serve_task);
}

static void on_connected(void *owner)
{
    struct pooled_link *pooled = owner;
    struct pool_node *node = pooled->owner;
    struct pool *pool = node->pool;
    loop_timer_clear(pool->loop, &pooled->connect_timer);
    list_remove(&node->dials, &pooled->node);
    cluster_note_connect(pool->settings.cluster, node->index, false);
    pooled->state = POOLED_OUT;
    pooled->link = h1_client_create(pool->loop, pooled->conn, pool->settings.h1, &upstream_link_events, pooled);
    pooled->conn = NULL;
    if (pooled->link == NULL) {
        forget(pooled);
        fail_waiters(node, FAULT_OUT_OF_MEMORY);
        return;
    }
    put_idle(pooled);
}

static const struct conn_events dial_events = {
    .on_connected = on_connected,
    .on_ended = on_dial_ended,
};

/* Starts one connection to the node; FAULT_NONE when it is under way. */
static enum fault dial(struct pool_node *node)
{
    struct pool *pool = node->pool;
    const struct topology *topology = pool->settings.topology;
    struct address address;
    if (!cluster_get_address(pool->settings.cluster, node->index, &address))
        return FAULT_RESOLVE;
    struct pooled_link *pooled = calloc(1, sizeof *pooled);
    if (pooled == NULL)
        return FAULT_OUT_OF_MEMORY;
    list_node_init(&pooled->node);
    pooled->owner = node;
    pooled->state = POOLED_DIALING;
    loop_timer_init(&pooled->connect_timer, on_connect_deadline, pooled);
    struct conn_settings settings = {
        .events = &dial_events,
        .owner = pooled,
        .pool = pool->settings.buffers,
        .high_water_bytes = topology->limits.buffer_bytes,
        .input_maximum_bytes = topology->limits.head_bytes + LOOP_SCRATCH_BYTES,
    };
    enum conn_end end;
    pooled->conn = conn_connect(pool->loop, &address, &settings, &end);
    if (pooled->conn == NULL) {
        free(pooled);
        return fault_of_end(end);
    }
    node->links++;
    list_append(&node->dials, &pooled->node);
    loop_timer_set(pool->loop, &pooled->connect_timer, loop_now_ms(pool->loop) + topology->timeouts.connect_ms);
    return FAULT_NONE;
}

/* ---- links ---- */

static void on_link_closed(void *owner, enum fault fault)
{
    (void)fault;
    struct pooled_link *pooled = owner;
    if (pooled->state == POOLED_GONE)
        return;
    loop_defer(pooled->owner->pool->loop, &pooled->owner->serve_task);
    forget(pooled);
}

static const struct link_events upstream_link_events = {
    .on_closed = on_link_closed,
};

/* An idle link, the one used last; `unused` wants one that no request has run on yet, which is first in the list if there is one. */
static struct link *take_idle(struct pool_node *node, bool unused)
{
    struct list_node *first;
    while ((first = list_first(&node->idle)) != NULL) {
        struct pooled_link *pooled = LIST_OWNER(first, struct pooled_link, node);
        if (!link_has_room(pooled->link)) {
            forget(pooled);
            continue;
        }
        if (unused && pooled->link->used > 0)
            return NULL;
        list_remove(&node->idle, first);
        pooled->state = POOLED_OUT;
        return pooled->link;
    }
    return NULL;
}

static void close_oldest_idle(struct pool_node *node)
{
    if (node->idle.count == 0)
        return;
    struct pooled_link *oldest = LIST_OWNER(node->idle.head.previous, struct pooled_link, node);
    struct link *link = oldest->link;
    forget(oldest);
    link_close(link);
}

struct link *pool_take(struct pool *pool, unsigned node_index, struct pool_ticket *ticket, enum fault *fault)
{
    struct pool_node *node = &pool->nodes[node_index];
    *fault = FAULT_NONE;
    struct link *link = take_idle(node, ticket->wants_fresh);
    if (link != NULL)
        return link;
    /* Only a ticket that wants a fresh link can come here while others are idle. */
    if (node->links >= pool->settings.topology->nodes[node_index].maximum_links)
        close_oldest_idle(node);
    if (node->links < pool->settings.topology->nodes[node_index].maximum_links) {
        *fault = dial(node);
        if (*fault != FAULT_NONE)
            return NULL;
    } else if (node->waiters.count >= node->dials.count + pool->settings.topology->limits.queue) {
        *fault = FAULT_QUEUE_FULL;
        return NULL;
    }
    ticket->node_index = node_index;
    ticket->is_waiting = true;
    list_node_init(&ticket->node);
    list_append(&node->waiters, &ticket->node);
    return NULL;
}

void pool_give(struct pool *pool, struct link *link)
{
    struct pooled_link *pooled = link->owner;
    if (pooled->state == POOLED_GONE)
        return;
    if (link_has_room(link)) {
        put_idle(pooled);
        return;
    }
    /* Its place is free for a waiter that found the node's links all busy. */
    loop_defer(pool->loop, &pooled->owner->serve_task);
    forget(pooled);
}

/* Hands a free link to the first waiter that can use one; false when there is none. */
static bool serve_one(struct pool_node *node)
{
    for (struct list_node *at = node->waiters.head.next; at != &node->waiters.head; at = at->next) {
        struct pool_ticket *ticket = LIST_OWNER(at, struct pool_ticket, node);
        struct link *link = take_idle(node, ticket->wants_fresh);
        if (link == NULL)
            continue;
        list_remove(&node->waiters, at);
        ticket->is_waiting = false;
        ticket->events->on_link(ticket->owner, link);
        return true;
    }
    return false;
}

static void run_serve(void *owner)
{
    struct pool_node *node = owner;
    while (node->idle.count > 0 && serve_one(node))
        ;
    size_t maximum = node->pool->settings.topology->nodes[node->index].maximum_links;
    while (node->waiters.count > node->dials.count) {
        /* Whoever still waits beside an idle link wants a fresh one: the idle one makes room. */
        if (node->links >= maximum)
            close_oldest_idle(node);
        if (node->links >= maximum)
            break;
        enum fault fault = dial(node);
        if (fault != FAULT_NONE)
            fail_waiters(node, fault);
    }
}

void pool_cancel(struct pool *pool, struct pool_ticket *ticket)
{
    if (!ticket->is_waiting)
        return;
    ticket->is_waiting = false;
    list_remove(&pool->nodes[ticket->node_index].waiters, &ticket->node);
}

size_t pool_link_count(const struct pool *pool, unsigned node_index)
{
    return pool->nodes[node_index].links;
}

/* ---- life ---- */

static void close_idle_since(struct pool_node *node, uint64_t before_ms)
{
    while (node->idle.count > 0 &&
           LIST_OWNER(node->idle.head.previous, struct pooled_link, node)->idle_since_ms <= before_ms)
        close_oldest_idle(node);
}

static void on_sweep(void *owner)
{
    struct pool *pool = owner;
    uint64_t now_ms = loop_now_ms(pool->loop);
    uint64_t idle_ms = pool->settings.topology->timeouts.upstream_idle_ms;
    for (size_t i = 0; i < pool->settings.topology->node_count && now_ms > idle_ms; i++)
        close_idle_since(&pool->nodes[i], now_ms - idle_ms);
    loop_timer_set(pool->loop, &pool->sweep, now_ms + SWEEP_MS);
}

struct pool *pool_create(struct loop *loop, const struct pool_settings *settings)
{
    size_t count = settings->topology->node_count;
    struct pool *pool = calloc(1, sizeof *pool + count * sizeof pool->nodes[0]);
    if (pool == NULL)
        return NULL;
    pool->loop = loop;
    pool->settings = *settings;
    for (unsigned i = 0; i < count; i++) {
        pool->nodes[i].pool = pool;
        pool->nodes[i].index = i;
        list_init(&pool->nodes[i].idle);
        list_init(&pool->nodes[i].dials);
        list_init(&pool->nodes[i].waiters);
        loop_task_init(&pool->nodes[i].serve_task, run_serve, &pool->nodes[i]);
    }
    loop_timer_init(&pool->sweep, on_sweep, pool);
    loop_timer_set(loop, &pool->sweep, loop_now_ms(loop) + SWEEP_MS);
    return pool;
}

void pool_destroy(struct pool *pool)
{
    if (pool == NULL)
        return;
    loop_timer_clear(pool->loop, &pool->sweep);
    for (size_t i = 0; i < pool->settings.topology->node_count; i++) {
        struct pool_node *node = &pool->nodes[i];
        close_idle_since(node, UINT64_MAX);
        struct list_node *first;
        while ((first = list_first(&node->dials)) != NULL) {
            struct pooled_link *pooled = LIST_OWNER(first, struct pooled_link, node);
            conn_close(pooled->conn);
            forget(pooled);
        }
        loop_task_cancel(pool->loop, &node->serve_task);
    }
    free(pool);
}
