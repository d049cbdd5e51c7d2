#include "upstream/pool.h"

#include <stdlib.h>

#include "base/machine.h"
#include "http/h1.h"
#include "http/h2.h"
#include "net/loop.h"
#include "upstream/epoch.h"
#include "upstream/pool_parts.h"

static const struct link_events upstream_link_events;
static const struct dial_events pool_dial_events;

static const struct topology_node *configured(const struct pool_node *node)
{
    return &node->epoch->topology->nodes[node->index];
}

/* The node's limit is that of the process: each worker has an even part of it, and one link at least. */
static size_t links_maximum(const struct pool_node *node)
{
    unsigned workers = atomic_load_explicit(&node->shared->roster->workers, memory_order_relaxed);
    return workers <= 1 ? configured(node)->maximum_links : (configured(node)->maximum_links + workers - 1) / workers;
}

static void destroy_pooled(void *object)
{
    free(object);
}

/* How many streams a link to this node will have room for, as far as is known. */
static unsigned expect_streams(const struct pool_node *node, bool is_http2)
{
    if (!is_http2)
        return 1;
    unsigned known = atomic_load_explicit(&node->shared->http2_streams, memory_order_relaxed);
    if (known == 0)
        return H2_STREAMS_USUAL;
    return known < H2_STREAMS_ON_LINK ? known : H2_STREAMS_ON_LINK;
}

static bool speaks_http2(const struct pool_node *node, bool is_needed)
{
    switch (configured(node)->http) {
    case TOPOLOGY_HTTP_1:
        return false;
    case TOPOLOGY_HTTP_2:
        return true;
    default:
        break;
    }
    unsigned version = atomic_load_explicit(&node->shared->http_version, memory_order_relaxed);
    return version == 2 || (version == 0 && is_needed);
}

/* Streams that this worker may have at the node, on all links that it may have. */
static size_t capacity_of(const struct pool_node *node)
{
    return links_maximum(node) * expect_streams(node, speaks_http2(node, false));
}

/* ---- the life of a link ---- */

static void leave_dials(struct pooled_link *pooled)
{
    list_remove(&pooled->owner->dials, &pooled->node);
    pooled->owner->dialled_room -= pooled->expected;
    pool_node_count_waiting(pooled->owner);
}

static void destroy_node(void *object)
{
    struct pool_node *node = object;
    epoch_release(node->epoch);
    roster_node_release(node->shared);
    free(node);
}

void pool_node_bury_if_left(struct pool_node *node)
{
    struct pool *pool = node->pool;
    if (!node->is_leaving || node->links > 0 || pool->nodes[node->shared->slot] != node)
        return;
    pool->nodes[node->shared->slot] = NULL;
    loop_task_cancel(pool->loop, &node->serve_task);
    loop_bury(pool->loop, node, destroy_node);
}

/* ---- the states of a link ---- */

static const char *const state_names[] = {"dialing", "open", "full", "retired", "gone"};

#define TO(state) MACHINE_TO(POOLED_##state)
static const uint32_t moves[] = {
    [POOLED_DIALING] = TO(FULL) | TO(GONE),
    [POOLED_OPEN] = TO(FULL) | TO(GONE),
    [POOLED_FULL] = TO(OPEN) | TO(RETIRED) | TO(GONE),
    [POOLED_RETIRED] = TO(GONE),
    [POOLED_GONE] = 0,
};
#undef TO

static const struct machine pooled_machine = {"pooled_link", state_names, moves};

/* The only writer of the state, but for the first one. */
static void enter(struct pooled_link *pooled, enum pooled_state next)
{
    machine_check(&pooled_machine, pooled->state, next);
    pooled->state = next;
}

/* The link counts no longer; its record goes to the grave, because whoever holds a stream of it may still give it back this turn. */
static void forget(struct pooled_link *pooled)
{
    struct pool_node *node = pooled->owner;
    if (pooled->state == POOLED_DIALING)
        leave_dials(pooled);
    else
        list_remove(pooled->state == POOLED_OPEN ? &node->open : &node->full, &pooled->node);
    enter(pooled, POOLED_GONE);
    node->links--;
    link_budget_give(&node->shared->roster->links);
    if (node->pool->is_starved)
        loop_defer(node->pool->loop, &node->pool->feed_task);
    loop_bury(node->pool->loop, pooled, destroy_pooled);
    pool_node_bury_if_left(node);
}

/* Without streams and without room, or at the pool's end. */
void pooled_drop(struct pooled_link *pooled)
{
    struct link *link = pooled->link;
    forget(pooled);
    link_close(link);
}

void pooled_cancel_dial(struct pooled_link *pooled)
{
    dial_cancel(&pooled->dial);
    forget(pooled);
}

/* The link has no room, or none yet. */
static void put_full(struct pooled_link *pooled)
{
    if (pooled->state == POOLED_OPEN)
        list_remove(&pooled->owner->open, &pooled->node);
    list_append(&pooled->owner->full, &pooled->node);
    enter(pooled, POOLED_FULL);
}

/* The link has room. */
static void put_open(struct pooled_link *pooled)
{
    struct pool_node *node = pooled->owner;
    if (pooled->state == POOLED_FULL) {
        list_remove(&node->full, &pooled->node);
        list_prepend(&node->open, &pooled->node);
        enter(pooled, POOLED_OPEN);
    }
    if (node->waiters.count > 0)
        loop_defer(node->pool->loop, &node->serve_task);
}

void pooled_retire(struct pooled_link *pooled)
{
    if (pooled->streams == 0) {
        pooled_drop(pooled);
        return;
    }
    if (pooled->state == POOLED_OPEN)
        put_full(pooled);
    enter(pooled, POOLED_RETIRED);
}

/* ---- dialling ---- */

static void on_dial_failed(void *owner, enum fault fault, const char *reason)
{
    (void)reason; /* the probe says it once; here it would be said for each request */
    struct pooled_link *pooled = owner;
    struct pool_node *node = pooled->owner;
    size_t room = pooled->expected;
    forget(pooled);
    pool_node_fail_waiters(node, room, fault);
}

static void on_dial_ready(void *owner, struct link *link)
{
    struct pooled_link *pooled = owner;
    struct pool_node *node = pooled->owner;
    pooled->link = link;
    leave_dials(pooled);
    put_full(pooled);
    pooled->number = ++node->connects;
    pooled->idle_since_ms = loop_now_ms(node->pool->loop);
    /* Over TLS the node has said which HTTP it wants, and the probe may not have asked yet. */
    if (configured(node)->is_tls && configured(node)->http == TOPOLOGY_HTTP_AUTO)
        roster_node_set_version(node->shared, link->is_http2 ? 2 : 1);
    roster_node_note_connect(node->shared, false);
    put_open(pooled);
}

static const struct dial_events pool_dial_events = {
    .on_ready = on_dial_ready,
    .on_failed = on_dial_failed,
};

/* Starts one connection to the node, for which the budget has one; FAULT_NONE when it is under way. */
static enum fault start_dial(struct pool_node *node, bool needs_http2)
{
    struct pool *pool = node->pool;
    struct pooled_link *pooled = calloc(1, sizeof *pooled);
    if (pooled == NULL)
        return FAULT_OUT_OF_MEMORY;
    list_node_init(&pooled->node);
    pooled->owner = node;
    pooled->state = POOLED_DIALING;
    bool is_http2 = speaks_http2(node, needs_http2);
    pooled->expected = expect_streams(node, is_http2);
    struct dial_request request = {
        .loop = pool->loop,
        .epoch = node->epoch,
        .index = node->index,
        .h1 = pool->settings.h1,
        .h2 = pool->settings.h2,
        .buffers = pool->settings.buffers,
        .high_water_bytes = pool->epoch->topology->limits.buffer_bytes,
        .connect_ms = pool->epoch->topology->timeouts.connect_ms,
        .is_http2 = is_http2,
        .streams_expected = expect_streams(node, true),
        .events = &pool_dial_events,
        .owner = pooled,
        .link_events = &upstream_link_events,
        .link_owner = pooled,
    };
    enum fault fault = dial_start(&pooled->dial, &request);
    if (fault != FAULT_NONE) {
        free(pooled);
        return fault;
    }
    node->links++;
    node->dialled_room += pooled->expected;
    pool_node_count_waiting(node);
    list_append(&node->dials, &pooled->node);
    return FAULT_NONE;
}

static bool close_oldest_idle(struct pool_node *node)
{
    for (struct list_node *at = node->open.head.previous; at != &node->open.head; at = at->previous) {
        struct pooled_link *pooled = LIST_OWNER(at, struct pooled_link, node);
        if (pooled->streams == 0) {
            pooled_drop(pooled);
            return true;
        }
    }
    return false;
}

/* The process has no descriptor for a further link: an idle one of another node makes room. False: there is none. */
static bool close_idle_elsewhere(struct pool *pool)
{
    for (size_t i = 0; i < ROSTER_SLOTS; i++) {
        if (pool->nodes[i] != NULL && pool->nodes[i]->waiters.count == 0 && close_oldest_idle(pool->nodes[i]))
            return true;
    }
    return false;
}

/*
 * The last quarter of the descriptors is for nodes that have few links: each has a part of it in each worker, one at least. So a flood at one node
 * leaves the others what they need.
 */
static bool leaves_room_to_others(const struct pool_node *node)
{
    const struct roster *roster = node->shared->roster;
    unsigned workers = atomic_load_explicit(&roster->workers, memory_order_relaxed);
    size_t sharers = (size_t)node->pool->epoch->topology->node_count * (workers == 0 ? 1 : workers);
    size_t part = link_budget_reserve(&roster->links) / sharers;
    return link_budget_is_ample(&roster->links) || node->links < (part == 0 ? 1 : part);
}

/* One more connection to the node; false when the process has no descriptor for it. *fault is FAULT_NONE when it is under way. */
static bool dial(struct pool_node *node, bool needs_http2, enum fault *fault)
{
    struct link_budget *budget = &node->shared->roster->links;
    *fault = FAULT_NONE;
    if (!leaves_room_to_others(node) || (!link_budget_take(budget) && (!close_idle_elsewhere(node->pool) || !link_budget_take(budget)))) {
        node->pool->is_starved = true;
        return false;
    }
    *fault = start_dial(node, needs_http2);
    if (*fault != FAULT_NONE)
        link_budget_give(budget);
    return true;
}

/* ---- links to a node that may have gone without a word ---- */

/* What has come so lately shows that a link was alive when the other one had no answer. */
#define HEARD_LATELY_MS 1500

static void suspect_all(struct pool_node *node, struct list *links)
{
    uint64_t now_ms = loop_now_ms(node->pool->loop);
    struct list_node *at = links->head.next;
    while (at != &links->head) {
        struct pooled_link *pooled = LIST_OWNER(at, struct pooled_link, node);
        at = at->next;
        if (now_ms < pooled->link->heard_ms + HEARD_LATELY_MS)
            continue;
        if (pooled->streams == 0)
            pooled_drop(pooled);
        else
            link_suspect(pooled->link);
    }
}

static void suspect_links(struct pool_node *node)
{
    /* The dropping of the last link must not bury the node under our hands. */
    node->links++;
    suspect_all(node, &node->full);
    suspect_all(node, &node->open);
    node->links--;
    if (node->waiters.count > 0)
        loop_defer(node->pool->loop, &node->serve_task);
    pool_node_bury_if_left(node);
}

/* ---- links ---- */

static void on_link_closed(void *owner, enum fault fault)
{
    struct pooled_link *pooled = owner;
    if (pooled->state == POOLED_GONE)
        return;
    struct pool_node *node = pooled->owner;
    if (node->waiters.count > 0)
        loop_defer(node->pool->loop, &node->serve_task);
    forget(pooled);
    if (fault == FAULT_LINK_SILENT)
        suspect_links(node);
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
        pooled_drop(pooled);
}

/* What the node allows on one link it will allow on the next. */
static void note_streams(const struct pooled_link *pooled)
{
    if (pooled->link->is_http2 && pooled->link->streams_maximum != 0)
        atomic_store_explicit(&pooled->owner->shared->http2_streams, pooled->link->streams_maximum, memory_order_relaxed);
}

static bool fits(const struct pooled_link *pooled, const struct pool_ticket *ticket)
{
    if (ticket->needs_http2 && !pooled->link->is_http2)
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
        pool_node_hold(node, ticket);
        if (!link_has_room(pooled->link))
            put_full(pooled);
        *link = pooled->link;
        return stream;
    }
    return NULL;
}

/* Makes room for one more waiter: by a further connection, or in the queue. */
static enum fault admit_waiter(struct pool_node *node, const struct pool_ticket *ticket)
{
    if (node->waiters.count < node->dialled_room)
        return FAULT_NONE;
    /* Only a ticket that is particular can come here while others are idle. */
    if (node->links >= links_maximum(node))
        close_oldest_idle(node);
    enum fault fault;
    if (node->links < links_maximum(node) && dial(node, ticket->needs_http2, &fault))
        return fault;
    return pool_node_admit_to_queue(node, ticket);
}

struct stream *pool_node_take(struct pool_node *node, struct pool_ticket *ticket, struct link **link, enum fault *fault)
{
    *fault = FAULT_NONE;
    ticket->fresh_after = node->connects;
    bool may_serve = pool_node_may_serve(node, ticket, capacity_of(node));
    struct stream *stream = may_serve ? open_stream(node, ticket, link) : NULL;
    if (stream != NULL)
        return stream;
    if (ticket->needs_http2 && !speaks_http2(node, true))
        *fault = FAULT_UPSTREAM_VERSION;
    else
        *fault = may_serve ? admit_waiter(node, ticket) : pool_node_admit_to_queue(node, ticket);
    if (*fault == FAULT_NONE)
        pool_node_put_waiter(node, ticket);
    return NULL;
}

void pool_give(struct pool *pool, struct link *link, const struct pool_ticket *ticket)
{
    struct pooled_link *pooled = link->owner;
    pool_node_let_go(pooled->owner, ticket);
    if (pooled->state == POOLED_GONE)
        return;
    pooled->streams--;
    note_streams(pooled);
    if (pooled->streams == 0) {
        pooled->idle_since_ms = loop_now_ms(pool->loop);
        if (pool->is_starved)
            loop_defer(pool->loop, &pool->feed_task);
    }
    /* Also for who waits for a fresh link: the empty one makes room for it. */
    if (pooled->owner->waiters.count > 0)
        loop_defer(pool->loop, &pooled->owner->serve_task);
    if (pooled->state == POOLED_RETIRED) {
        if (pooled->streams == 0)
            pooled_drop(pooled);
        return;
    }
    if (link_has_room(link)) {
        put_open(pooled);
        return;
    }
    /* A stream may take a moment to be gone on the link; then it has room again (on_room). */
    if (pooled->streams > 0 || !link_is_spent(link))
        return;
    pooled_drop(pooled);
}

/* Hands a stream to the first waiter that a link with room fits; false when there is none. */
static bool serve_one(struct pool_node *node)
{
    size_t capacity = capacity_of(node);
    struct pool_ticket *ticket = pool_node_first_to_serve(node, capacity);
    for (; ticket != NULL; ticket = pool_node_next_to_serve(node, ticket, capacity)) {
        struct link *link;
        struct stream *stream = open_stream(node, ticket, &link);
        if (stream == NULL)
            continue;
        pool_node_take_waiter(node, ticket);
        ticket->events->on_stream(ticket->owner, link, stream);
        return true;
    }
    return false;
}

/* Further links for those who wait and may have one. */
static void dial_for_waiters(struct pool_node *node)
{
    struct pool_ticket *ticket;
    while (node->waiters.count > node->dialled_room && (ticket = pool_node_first_to_serve(node, capacity_of(node))) != NULL) {
        /* Whoever still waits beside an idle link wants another one: the idle one makes room. */
        if (node->links >= links_maximum(node))
            close_oldest_idle(node);
        if (node->links >= links_maximum(node))
            break;
        if (ticket->needs_http2 && !speaks_http2(node, true)) {
            pool_node_fail_waiter(node, FAULT_UPSTREAM_VERSION);
            continue;
        }
        enum fault fault;
        if (!dial(node, ticket->needs_http2, &fault))
            break;
        if (fault != FAULT_NONE)
            pool_node_fail_waiters(node, 1, fault);
    }
}

static void run_serve(void *owner)
{
    struct pool_node *node = owner;
    while (node->open.count > 0 && serve_one(node))
        ;
    dial_for_waiters(node);
    pool_node_drop_excess(node);
}

void pool_node_start(struct pool_node *node)
{
    loop_task_init(&node->serve_task, run_serve, node);
}

void pool_suspect(struct pool *pool, struct roster_node *shared)
{
    struct pool_node *node = pool->nodes[shared->slot];
    if (node != NULL && node->shared == shared)
        suspect_links(node);
}

size_t pool_link_count(const struct pool *pool, const struct roster_node *shared)
{
    const struct pool_node *node = pool->nodes[shared->slot];
    return node == NULL ? 0 : node->links;
}
