/* Who waits for a stream to a node: in turn by client, bounded, and how much of a node one client may hold. */
#include "upstream/epoch.h"
#include "upstream/pool_parts.h"

/* ---- the queue ---- */

void pool_node_count_waiting(struct pool_node *node)
{
    size_t waiting = node->waiters.count > node->dialled_room ? node->waiters.count - node->dialled_room : 0;
    if (waiting > node->counted)
        atomic_fetch_add_explicit(&node->shared->waiting, (unsigned)(waiting - node->counted), memory_order_relaxed);
    else if (waiting < node->counted)
        atomic_fetch_sub_explicit(&node->shared->waiting, (unsigned)(node->counted - waiting), memory_order_relaxed);
    node->counted = waiting;
}

static struct pool_ticket *ticket_of(struct fair_entry *entry)
{
    return entry == NULL ? NULL : LIST_OWNER(entry, struct pool_ticket, entry);
}

void pool_node_put_waiter(struct pool_node *node, struct pool_ticket *ticket)
{
    ticket->waits_for = node->shared;
    fair_queue_put(&node->waiters, &ticket->entry, loop_now_ms(node->pool->loop));
    pool_node_count_waiting(node);
}

void pool_node_take_waiter(struct pool_node *node, struct pool_ticket *ticket)
{
    ticket->waits_for = NULL;
    fair_queue_serve(&node->waiters, &ticket->entry);
    pool_node_count_waiting(node);
}

void pool_cancel(struct pool *pool, struct pool_ticket *ticket)
{
    if (ticket->waits_for == NULL)
        return;
    struct pool_node *node = pool->nodes[ticket->waits_for->slot];
    ticket->waits_for = NULL;
    fair_queue_remove(&node->waiters, &ticket->entry);
    pool_node_count_waiting(node);
}

static void fail(struct pool_node *node, struct pool_ticket *ticket, enum fault fault)
{
    pool_node_take_waiter(node, ticket);
    ticket->events->on_fault(ticket->owner, fault);
}

void pool_node_fail_waiter(struct pool_node *node, enum fault fault)
{
    fail(node, ticket_of(fair_queue_first(&node->waiters, loop_now_ms(node->pool->loop))), fault);
}

void pool_node_fail_waiters(struct pool_node *node, size_t room, enum fault fault)
{
    size_t without_dial = node->waiters.count > node->dialled_room ? node->waiters.count - node->dialled_room : 0;
    size_t count = node->links == 0 ? node->waiters.count : without_dial < room ? without_dial : room;
    if (node->waiters.count > 0)
        loop_defer(node->pool->loop, &node->serve_task);
    while (count-- > 0 && node->waiters.count > 0)
        pool_node_fail_waiter(node, fault);
}

/* ---- the limit of the queue ---- */

/* The limit is that of the process. */
static unsigned waiting_in_process(const struct pool_node *node)
{
    return atomic_load_explicit(&node->shared->waiting, memory_order_relaxed);
}

/* Somebody else has more requests in the queue: of those one goes, and not the newcomer. */
static bool has_longer(struct pool_node *node, const struct pool_ticket *ticket)
{
    const struct fair_bucket *longest = fair_queue_longest(&node->waiters);
    return longest != NULL && longest->entries.count > fair_queue_bucket(&node->waiters, ticket->entry.client)->entries.count + 1;
}

enum fault pool_node_admit_to_queue(struct pool_node *node, const struct pool_ticket *ticket)
{
    const struct topology *topology = node->pool->epoch->topology;
    if (topology->timeouts.queue_ms == 0)
        return FAULT_QUEUE_FULL;
    if (waiting_in_process(node) < topology->limits.queue)
        return FAULT_NONE;
    if (!has_longer(node, ticket))
        return FAULT_QUEUE_FULL;
    loop_defer(node->pool->loop, &node->serve_task);
    return FAULT_NONE;
}

void pool_node_drop_excess(struct pool_node *node)
{
    struct fair_bucket *longest;
    while (waiting_in_process(node) > node->pool->epoch->topology->limits.queue && node->counted > 0 &&
           (longest = fair_queue_longest(&node->waiters)) != NULL)
        fail(node, ticket_of(fair_bucket_oldest(longest)), FAULT_QUEUE_FULL);
}

/* ---- the shares of a client and of a class ---- */

/* The node has several modes, so requests of other classes may come. */
static bool is_mixed(const struct pool_node *node)
{
    unsigned capabilities = node->epoch->topology->nodes[node->index].capabilities;
    return (capabilities & (capabilities - 1)) != 0;
}

bool pool_node_may_serve(struct pool_node *node, const struct pool_ticket *ticket, size_t capacity)
{
    size_t reserve = capacity * node->pool->epoch->topology->limits.client_share / 1000;
    if (node->held + reserve < capacity || reserve == 0)
        return true;
    if (node->held_of[ticket->class] + reserve >= capacity && is_mixed(node))
        return false;
    return fair_queue_bucket(&node->waiters, ticket->entry.client)->held < reserve;
}

void pool_node_hold(struct pool_node *node, const struct pool_ticket *ticket)
{
    node->held++;
    node->held_of[ticket->class]++;
    fair_queue_bucket(&node->waiters, ticket->entry.client)->held++;
}

void pool_node_let_go(struct pool_node *node, const struct pool_ticket *ticket)
{
    node->held--;
    node->held_of[ticket->class]--;
    fair_queue_bucket(&node->waiters, ticket->entry.client)->held--;
}

/* On a node of several modes the requests of one client are of several classes: so many are looked at before the next client's. */
#define LOOKS_AT_A_CLIENT 8

/* From `entry` on. Where a node has one mode, all requests of a client are alike, so its bucket is passed over as a whole. */
static struct pool_ticket *first_that_may(struct pool_node *node, struct fair_entry *entry, size_t capacity)
{
    uint64_t now_ms = loop_now_ms(node->pool->loop);
    unsigned looks = is_mixed(node) ? LOOKS_AT_A_CLIENT : 1;
    unsigned left = looks;
    while (entry != NULL && !pool_node_may_serve(node, ticket_of(entry), capacity)) {
        struct fair_bucket *bucket = fair_queue_bucket(&node->waiters, entry->client);
        bool stays = --left > 0;
        struct fair_entry *next = stays ? fair_queue_next(&node->waiters, entry, now_ms) : fair_queue_first_behind(&node->waiters, bucket, now_ms);
        if (next == NULL || fair_queue_bucket(&node->waiters, next->client) != bucket)
            left = looks;
        entry = next;
    }
    return ticket_of(entry);
}

struct pool_ticket *pool_node_first_to_serve(struct pool_node *node, size_t capacity)
{
    return first_that_may(node, fair_queue_first(&node->waiters, loop_now_ms(node->pool->loop)), capacity);
}

struct pool_ticket *pool_node_next_to_serve(struct pool_node *node, struct pool_ticket *ticket, size_t capacity)
{
    return first_that_may(node, fair_queue_next(&node->waiters, &ticket->entry, loop_now_ms(node->pool->loop)), capacity);
}
