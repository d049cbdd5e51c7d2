#include "upstream/pool.h"

#include <stdlib.h>

#include "http/h1.h"
#include "http/h2.h"
#include "net/conn.h"
#include "net/loop.h"
#include "topology/topology.h"
#include "upstream/cluster.h"
#include "upstream/node_tls.h"

#define SWEEP_MS 1000

/* One per node. */
struct pool_node {
    struct pool *pool;
    unsigned index;
    struct list open;     /* of pooled_link that have room, last used first */
    struct list dials;    /* of pooled_link that are connecting */
    struct list waiters;  /* of pool_ticket, first come first */
    struct list full;     /* of pooled_link that have none */
    uint64_t connects;    /* so far: the numbers of links */
    size_t dialled_room;  /* streams that the dials will have room for */
    size_t links;         /* open, full and dialling */
    struct loop_task serve_task; /* waiters and links with room, or room for one more link, have come together */
};

enum pooled_state { POOLED_DIALING, POOLED_OPEN, POOLED_FULL, POOLED_GONE };

/* A link and its place in the pool; it lives a little longer than a link that dies while it has streams. */
struct pooled_link {
    struct list_node node;
    struct pool_node *owner;
    enum pooled_state state;
    bool is_http2;
    uint64_t number;      /* in the order of connecting */
    unsigned expected;    /* streams that it should have room for; while dialling */
    unsigned streams;     /* taken and not given back */
    struct conn *conn;    /* while dialling */
    struct link *link;    /* afterwards */
    uint64_t idle_since_ms; /* without streams */
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

static atomic_uint *known_streams(const struct pool_node *node)
{
    return &node->pool->settings.cluster->nodes[node->index].http2_streams;
}

/* How many streams a link to this node will have room for, as far as is known. */
static unsigned expect_streams(const struct pool_node *node, bool is_http2)
{
    if (!is_http2)
        return 1;
    unsigned known = atomic_load_explicit(known_streams(node), memory_order_relaxed);
    if (known == 0)
        return H2_STREAMS_USUAL;
    return known < H2_STREAMS_ON_LINK ? known : H2_STREAMS_ON_LINK;
}

static void leave_dials(struct pooled_link *pooled)
{
    list_remove(&pooled->owner->dials, &pooled->node);
    pooled->owner->dialled_room -= pooled->expected;
}

/* The link counts no longer; its record goes to the grave, because whoever holds a stream of it may still give it back this turn. */
static void forget(struct pooled_link *pooled)
{
    struct pool_node *node = pooled->owner;
    if (pooled->state == POOLED_DIALING)
        leave_dials(pooled);
    else if (pooled->state == POOLED_OPEN)
        list_remove(&node->open, &pooled->node);
    else if (pooled->state == POOLED_FULL)
        list_remove(&node->full, &pooled->node);
    loop_timer_clear(node->pool->loop, &pooled->connect_timer);
    pooled->state = POOLED_GONE;
    node->links--;
    loop_bury(node->pool->loop, pooled, destroy_pooled);
}

/* Without streams and without room, or at the pool's end. */
static void drop(struct pooled_link *pooled)
{
    struct link *link = pooled->link;
    forget(pooled);
    link_close(link);
}

/* ---- dialling ---- */

static enum fault fault_of_end(enum conn_end end)
{
    switch (end) {
    case CONN_END_NO_RESOURCES:
        return FAULT_OUT_OF_MEMORY;
    case CONN_END_CONNECT_REFUSED:
        return FAULT_CONNECT_REFUSED;
    case CONN_END_TLS_FAILED:
        return FAULT_TLS_FAILED;
    case CONN_END_TLS_UNVERIFIED:
        return FAULT_TLS_UNVERIFIED;
    default:
        return FAULT_CONNECT_FAILED;
    }
}

/*
 * A dial failed. As many waiters as it had room for, and that have no other dial, hear of it, and the place that became free is for the
 * next; when no link to the node is left at all, every waiter hears of it, because none of them is about to be served.
 */
static void fail_waiters(struct pool_node *node, size_t room, enum fault fault)
{
    size_t without_dial = node->waiters.count > node->dialled_room ? node->waiters.count - node->dialled_room : 0;
    size_t count = node->links == 0 ? node->waiters.count : without_dial < room ? without_dial : room;
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
    fail_waiters(node, pooled->expected, FAULT_CONNECT_TIMEOUT);
}

static void on_dial_ended(void *owner, enum conn_end end)
{
    struct pooled_link *pooled = owner;
    struct pool_node *node = pooled->owner;
    if (pooled->state != POOLED_DIALING)
        return;
    conn_close(pooled->conn);
    forget(pooled);
    fail_waiters(node, pooled->expected, fault_of_end(end));
}

/* The link has no room, or none yet. */
static void put_full(struct pooled_link *pooled)
{
    if (pooled->state == POOLED_OPEN)
        list_remove(&pooled->owner->open, &pooled->node);
    list_append(&pooled->owner->full, &pooled->node);
    pooled->state = POOLED_FULL;
}

/* The link has room. */
static void put_open(struct pooled_link *pooled)
{
    struct pool_node *node = pooled->owner;
    if (pooled->state == POOLED_FULL) {
        list_remove(&node->full, &pooled->node);
        list_prepend(&node->open, &pooled->node);
    }
    pooled->state = POOLED_OPEN;
    if (node->waiters.count > 0)
        loop_defer(node->pool->loop, &node->serve_task);
}

/* Over TLS the node has said which HTTP it wants, and the probe may not have asked yet. */
static void note_protocol(struct pooled_link *pooled)
{
    const struct pool_node *node = pooled->owner;
    const struct topology_node *configured = &node->pool->settings.topology->nodes[node->index];
    if (!configured->is_tls)
        return;
    pooled->is_http2 = conn_protocol(pooled->conn) == CONN_PROTOCOL_HTTP_2;
    pooled->expected = expect_streams(node, pooled->is_http2);
    if (configured->http == TOPOLOGY_HTTP_AUTO)
        atomic_store_explicit(&node->pool->settings.cluster->nodes[node->index].http_version, pooled->is_http2 ? 2 : 1,
                              memory_order_relaxed);
}

/* As configured; then anything else would be a surprise, and a gRPC call would dial again and again. */
static bool speaks_http2_only(const struct pool_node *node)
{
    return node->pool->settings.topology->nodes[node->index].http == TOPOLOGY_HTTP_2;
}

static void on_connected(void *owner)
{
    struct pooled_link *pooled = owner;
    struct pool_node *node = pooled->owner;
    struct pool *pool = node->pool;
    loop_timer_clear(pool->loop, &pooled->connect_timer);
    leave_dials(pooled);
    put_full(pooled);
    pooled->number = ++node->connects;
    note_protocol(pooled);
    if (!pooled->is_http2 && speaks_http2_only(node)) {
        conn_close(pooled->conn);
        forget(pooled);
        fail_waiters(node, pooled->expected, FAULT_UPSTREAM_VERSION);
        return;
    }
    cluster_note_connect(pool->settings.cluster, node->index, false);
    pooled->idle_since_ms = loop_now_ms(pool->loop);
    if (pooled->is_http2)
        pooled->link = h2_client_create(pool->settings.h2, pooled->conn, node_tls_scheme(pool->settings.cluster, node->index), pooled->expected,
                                        &upstream_link_events, pooled);
    else
        pooled->link = h1_client_create(pool->loop, pooled->conn, pool->settings.h1, &upstream_link_events, pooled);
    pooled->conn = NULL;
    if (pooled->link == NULL) {
        forget(pooled);
        fail_waiters(node, pooled->expected, FAULT_OUT_OF_MEMORY);
        return;
    }
    put_open(pooled);
}

static const struct conn_events dial_events = {
    .on_connected = on_connected,
    .on_ended = on_dial_ended,
};

static bool speaks_http2(const struct pool_node *node, bool is_needed)
{
    switch (node->pool->settings.topology->nodes[node->index].http) {
    case TOPOLOGY_HTTP_1:
        return false;
    case TOPOLOGY_HTTP_2:
        return true;
    default:
        break;
    }
    unsigned version =
        atomic_load_explicit(&node->pool->settings.cluster->nodes[node->index].http_version, memory_order_relaxed);
    return version == 2 || (version == 0 && is_needed);
}

/* Starts one connection to the node; FAULT_NONE when it is under way. */
static enum fault dial(struct pool_node *node, bool needs_http2)
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
    pooled->is_http2 = speaks_http2(node, needs_http2);
    pooled->expected = expect_streams(node, pooled->is_http2);
    loop_timer_init(&pooled->connect_timer, on_connect_deadline, pooled);
    struct conn_settings settings = {
        .events = &dial_events,
        .owner = pooled,
        .pool = pool->settings.buffers,
        .high_water_bytes = topology->limits.buffer_bytes,
        .input_maximum_bytes = topology->limits.head_bytes + LOOP_SCRATCH_BYTES,
    };
    enum conn_end end = CONN_END_NO_RESOURCES;
    if (node_tls_open(pool->settings.cluster, node->index, node_tls_offer(pool->settings.cluster, node->index), &settings.tls))
        pooled->conn = conn_connect(pool->loop, &address, &settings, &end);
    if (pooled->conn == NULL) {
        free(pooled);
        return fault_of_end(end);
    }
    node->links++;
    node->dialled_room += pooled->expected;
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

static void on_room(void *owner)
{
    struct pooled_link *pooled = owner;
    if (pooled->state == POOLED_FULL)
        put_open(pooled);
}

static const struct link_events upstream_link_events = {
    .on_room = on_room,
    .on_closed = on_link_closed,
};

/* The link in the list of open ones has lost its room: the node takes no more on it. */
static void leave_open(struct pooled_link *pooled)
{
    put_full(pooled);
    if (pooled->streams == 0 && link_is_spent(pooled->link))
        drop(pooled);
}

/* What the node allows on one link it will allow on the next. */
static void note_streams(const struct pooled_link *pooled)
{
    if (pooled->is_http2 && pooled->link->streams_maximum != 0)
        atomic_store_explicit(known_streams(pooled->owner), pooled->link->streams_maximum, memory_order_relaxed);
}

static bool fits(const struct pooled_link *pooled, const struct pool_ticket *ticket)
{
    if (ticket->needs_http2 && !pooled->is_http2)
        return false;
    return !ticket->wants_fresh || pooled->link->used == 0 || pooled->number > ticket->fresh_after;
}

/* A stream on the first link that has room and fits. */
static struct stream *open_stream(struct pool_node *node, const struct pool_ticket *ticket, struct link **link)
{
    struct list_node *at = node->open.head.next;
    while (at != &node->open.head) {
        struct pooled_link *pooled = LIST_OWNER(at, struct pooled_link, node);
        at = at->next;
        note_streams(pooled);
        if (!link_has_room(pooled->link)) {
            leave_open(pooled);
            continue;
        }
        if (!fits(pooled, ticket))
            continue;
        struct stream *stream = link_open_stream(pooled->link);
        if (stream == NULL)
            return NULL;
        pooled->streams++;
        if (!link_has_room(pooled->link))
            put_full(pooled);
        *link = pooled->link;
        return stream;
    }
    return NULL;
}

static void close_oldest_idle(struct pool_node *node)
{
    for (struct list_node *at = node->open.head.previous; at != &node->open.head; at = at->previous) {
        struct pooled_link *pooled = LIST_OWNER(at, struct pooled_link, node);
        if (pooled->streams == 0) {
            drop(pooled);
            return;
        }
    }
}

static size_t maximum_links(const struct pool_node *node)
{
    return node->pool->settings.topology->nodes[node->index].maximum_links;
}

struct stream *pool_take(struct pool *pool, unsigned node_index, struct pool_ticket *ticket, struct link **link,
                         enum fault *fault)
{
    struct pool_node *node = &pool->nodes[node_index];
    *fault = FAULT_NONE;
    ticket->fresh_after = node->connects;
    struct stream *stream = open_stream(node, ticket, link);
    if (stream != NULL)
        return stream;
    if (ticket->needs_http2 && !speaks_http2(node, true)) {
        *fault = FAULT_UPSTREAM_VERSION;
        return NULL;
    }
    if (node->waiters.count >= node->dialled_room) {
        /* Only a ticket that is particular can come here while others are idle. */
        if (node->links >= maximum_links(node))
            close_oldest_idle(node);
        if (node->links < maximum_links(node))
            *fault = dial(node, ticket->needs_http2);
        else if (pool->settings.topology->timeouts.queue_ms == 0 ||
                 node->waiters.count >= node->dialled_room + pool->settings.topology->limits.queue)
            *fault = FAULT_QUEUE_FULL;
        if (*fault != FAULT_NONE)
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
    pooled->streams--;
    note_streams(pooled);
    if (pooled->streams == 0)
        pooled->idle_since_ms = loop_now_ms(pool->loop);
    /* Also for who waits for a fresh link: the empty one makes room for it. */
    if (pooled->owner->waiters.count > 0)
        loop_defer(pool->loop, &pooled->owner->serve_task);
    if (link_has_room(link)) {
        put_open(pooled);
        return;
    }
    /* A stream may take a moment to be gone on the link; then it has room again (on_room). */
    if (pooled->streams > 0 || !link_is_spent(link))
        return;
    drop(pooled);
}

/* Hands a stream to the first waiter that a link with room fits; false when there is none. */
static bool serve_one(struct pool_node *node)
{
    for (struct list_node *at = node->waiters.head.next; at != &node->waiters.head; at = at->next) {
        struct pool_ticket *ticket = LIST_OWNER(at, struct pool_ticket, node);
        struct link *link;
        struct stream *stream = open_stream(node, ticket, &link);
        if (stream == NULL)
            continue;
        list_remove(&node->waiters, at);
        ticket->is_waiting = false;
        ticket->events->on_stream(ticket->owner, link, stream);
        return true;
    }
    return false;
}

static bool first_needs_http2(const struct pool_node *node)
{
    struct list_node *first = list_first(&node->waiters);
    return first != NULL && LIST_OWNER(first, struct pool_ticket, node)->needs_http2;
}

/* Nothing that could be dialled would help it. */
static void fail_first(struct pool_node *node, enum fault fault)
{
    struct pool_ticket *ticket = LIST_OWNER(list_take_first(&node->waiters), struct pool_ticket, node);
    ticket->is_waiting = false;
    ticket->events->on_fault(ticket->owner, fault);
}

static void run_serve(void *owner)
{
    struct pool_node *node = owner;
    while (node->open.count > 0 && serve_one(node))
        ;
    while (node->waiters.count > node->dialled_room) {
        /* Whoever still waits beside an idle link wants another one: the idle one makes room. */
        if (node->links >= maximum_links(node))
            close_oldest_idle(node);
        if (node->links >= maximum_links(node))
            break;
        bool needs_http2 = first_needs_http2(node);
        if (needs_http2 && !speaks_http2(node, true)) {
            fail_first(node, FAULT_UPSTREAM_VERSION);
            continue;
        }
        enum fault fault = dial(node, needs_http2);
        if (fault != FAULT_NONE)
            fail_waiters(node, 1, fault);
    }
}

void pool_cancel(struct pool *pool, struct pool_ticket *ticket)
{
    if (!ticket->is_waiting)
        return;
    ticket->is_waiting = false;
    list_remove(&pool->nodes[ticket->node_index].waiters, &ticket->node);
}

const struct pool_verbs pool_verbs = {.take = pool_take, .give = pool_give, .cancel = pool_cancel};

size_t pool_link_count(const struct pool *pool, unsigned node_index)
{
    return pool->nodes[node_index].links;
}

/* ---- life ---- */

static void close_idle_of(struct pool_node *node, struct list *links, uint64_t before_ms)
{
    struct list_node *at = links->head.previous;
    while (at != &links->head) {
        struct pooled_link *pooled = LIST_OWNER(at, struct pooled_link, node);
        at = at->previous;
        if (pooled->streams == 0 && pooled->idle_since_ms <= before_ms) {
            drop(pooled);
            loop_defer(node->pool->loop, &node->serve_task);
        }
    }
}

static void close_idle_since(struct pool_node *node, uint64_t before_ms)
{
    close_idle_of(node, &node->open, before_ms);
    close_idle_of(node, &node->full, before_ms);
}

static void on_sweep(void *owner)
{
    struct pool *pool = owner;
    uint64_t now_ms = loop_now_ms(pool->loop);
    uint64_t idle_ms = pool->settings.topology->timeouts.upstream_idle_ms;
    for (size_t i = 0; idle_ms != 0 && i < pool->settings.topology->node_count && now_ms > idle_ms; i++)
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
        list_init(&pool->nodes[i].open);
        list_init(&pool->nodes[i].full);
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
