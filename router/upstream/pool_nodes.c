/* Which nodes a pool serves, and for how long: epochs come into force, nodes leave, idle links grow old. */
#include <stdlib.h>

#include "base/random.h"
#include "upstream/epoch.h"
#include "upstream/pool_parts.h"

#define SWEEP_MS 1000

/* ---- idle links ---- */

static void close_idle_of(struct pool_node *node, struct list *links, uint64_t before_ms)
{
    struct list_node *at = links->head.previous;
    while (at != &links->head) {
        struct pooled_link *pooled = LIST_OWNER(at, struct pooled_link, node);
        at = at->previous;
        if (pooled->streams == 0 && pooled->idle_since_ms <= before_ms) {
            if (node->waiters.count > 0)
                loop_defer(node->pool->loop, &node->serve_task);
            pooled_drop(pooled);
        }
    }
}

static void close_idle_since(struct pool_node *node, uint64_t before_ms)
{
    close_idle_of(node, &node->open, before_ms);
    close_idle_of(node, &node->full, before_ms);
}

/* ---- nodes ---- */

static void retire_all(struct list *links)
{
    struct list_node *at = links->head.next;
    while (at != &links->head) {
        struct pooled_link *pooled = LIST_OWNER(at, struct pooled_link, node);
        at = at->next;
        if (pooled->state != POOLED_RETIRED)
            pooled_retire(pooled);
    }
}

static void cancel_dials(struct pool_node *node)
{
    struct list_node *first;
    while ((first = list_first(&node->dials)) != NULL)
        pooled_cancel_dial(LIST_OWNER(first, struct pooled_link, node));
}

/* The links lead to where the node no longer is; who waits for one gets one to the new place. */
static void retire_links(struct pool_node *node)
{
    if (node->waiters.count > 0)
        loop_defer(node->pool->loop, &node->serve_task);
    cancel_dials(node);
    /* A link that is busy moves from `open` to the end of `full`. */
    retire_all(&node->full);
    retire_all(&node->open);
}

/* The links of a node that has another address now are retired. */
static void follow_place(struct pool_node *node)
{
    unsigned place = roster_node_place(node->shared);
    if (node->place == place)
        return;
    node->place = place;
    if (node->links > 0)
        retire_links(node);
}

/* Who waits for a descriptor tries again, at each node. */
static void feed(void *owner)
{
    struct pool *pool = owner;
    pool->is_starved = false;
    for (size_t i = 0; i < ROSTER_SLOTS; i++) {
        if (pool->nodes[i] != NULL && pool->nodes[i]->waiters.count > 0)
            loop_defer(pool->loop, &pool->nodes[i]->serve_task);
    }
}

static void on_sweep(void *owner)
{
    struct pool *pool = owner;
    /* Another worker may have left one. */
    if (pool->is_starved)
        feed(pool);
    uint64_t now_ms = loop_now_ms(pool->loop);
    uint64_t idle_ms = pool->epoch == NULL ? 0 : pool->epoch->topology->timeouts.upstream_idle_ms;
    for (size_t i = 0; i < ROSTER_SLOTS; i++) {
        if (pool->nodes[i] == NULL || pool->nodes[i]->links == 0)
            continue;
        follow_place(pool->nodes[i]);
        if (idle_ms != 0 && now_ms > idle_ms)
            close_idle_since(pool->nodes[i], now_ms - idle_ms);
    }
    loop_timer_set(pool->loop, &pool->sweep, now_ms + SWEEP_MS);
}

static void serve_from(struct pool_node *node, struct epoch *epoch, unsigned index)
{
    const struct topology_node *before = &node->epoch->topology->nodes[node->index];
    bool has_moved = !epoch_is_same_place(before, &epoch->topology->nodes[index]);
    struct epoch *old = node->epoch;
    epoch_retain(epoch);
    node->epoch = epoch;
    node->index = index;
    /* It may have left and come back while a stream of its old life goes on. */
    node->is_leaving = false;
    if (has_moved)
        retire_links(node);
    epoch_release(old);
}

static struct pool_node *make_node(struct pool *pool, struct epoch *epoch, unsigned index)
{
    struct pool_node *node = calloc(1, sizeof *node);
    if (node == NULL)
        return NULL;
    node->pool = pool;
    node->shared = epoch->nodes[index];
    node->epoch = epoch;
    node->index = index;
    node->place = roster_node_place(node->shared);
    epoch_retain(epoch);
    roster_node_retain(node->shared);
    list_init(&node->open);
    list_init(&node->full);
    list_init(&node->dials);
    fair_queue_init(&node->waiters, pool->seed);
    pool_node_start(node);
    return node;
}

/* The places of nodes that this pool has not had yet; false when memory is out, and then none of them stays. */
static bool make_nodes(struct pool *pool, struct epoch *epoch)
{
    for (unsigned i = 0; i < epoch->topology->node_count; i++) {
        struct pool_node **place = &pool->nodes[epoch->nodes[i]->slot];
        if (*place == NULL && (*place = make_node(pool, epoch, i)) == NULL) {
            while (i-- > 0) {
                if (pool->nodes[epoch->nodes[i]->slot]->epoch == epoch)
                    pool_leave(pool, epoch->nodes[i]);
            }
            return false;
        }
    }
    return true;
}

bool pool_apply(struct pool *pool, struct epoch *epoch)
{
    size_t count = epoch->topology->node_count;
    /* First what may fail: then either all of the epoch is in force, or nothing. */
    if (!make_nodes(pool, epoch))
        return false;
    struct epoch *old = pool->epoch;
    epoch_retain(epoch);
    pool->epoch = epoch;
    for (unsigned i = 0; i < count; i++)
        serve_from(pool->nodes[epoch->nodes[i]->slot], epoch, i);
    epoch_release(old);
    return true;
}

void pool_leave(struct pool *pool, struct roster_node *shared)
{
    struct pool_node *node = pool->nodes[shared->slot];
    if (node == NULL || node->shared != shared || node->is_leaving)
        return;
    node->is_leaving = true;
    /* The retiring of the last link must not bury the node under our hands. */
    node->links++;
    retire_links(node);
    node->links--;
    pool_node_bury_if_left(node);
}

struct stream *pool_take(struct pool *pool, struct roster_node *shared, struct pool_ticket *ticket, struct link **link,
                         enum fault *fault)
{
    struct pool_node *node = pool->nodes[shared->slot];
    follow_place(node);
    return pool_node_take(node, ticket, link, fault);
}

const struct pool_verbs pool_verbs = {.take = pool_take, .give = pool_give, .cancel = pool_cancel, .suspect = pool_suspect};

/* ---- life ---- */

struct pool *pool_create(struct loop *loop, const struct pool_settings *settings)
{
    struct pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL)
        return NULL;
    pool->loop = loop;
    pool->settings = *settings;
    struct random_source random;
    random_seed_from_system(&random);
    pool->seed = random_u64(&random);
    loop_task_init(&pool->feed_task, feed, pool);
    loop_timer_init(&pool->sweep, on_sweep, pool);
    loop_timer_set(loop, &pool->sweep, loop_now_ms(loop) + SWEEP_MS);
    return pool;
}

void pool_destroy(struct pool *pool)
{
    if (pool == NULL)
        return;
    loop_timer_clear(pool->loop, &pool->sweep);
    for (size_t i = 0; i < ROSTER_SLOTS; i++) {
        if (pool->nodes[i] != NULL)
            pool_leave(pool, pool->nodes[i]->shared);
    }
    loop_task_cancel(pool->loop, &pool->feed_task);
    epoch_release(pool->epoch);
    free(pool);
}
