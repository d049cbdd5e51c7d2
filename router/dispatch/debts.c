#include "dispatch/debts.h"

#include "upstream/epoch.h"

/* So long a price holds. */
#define PRICE_MS 200
/* Of a class that has no good answer yet, and the most. */
#define UNKNOWN_MS 100
#define MAXIMUM_MS 10000

/* ---- the heap ---- */

static void swap(struct debts *debts, size_t a, size_t b)
{
    struct debt kept = debts->heap[a];
    debts->heap[a] = debts->heap[b];
    debts->heap[b] = kept;
}

static void sift_up(struct debts *debts, size_t at)
{
    while (at > 0 && debts->heap[at].until_ms < debts->heap[(at - 1) / 2].until_ms) {
        swap(debts, at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
}

static void sift_down(struct debts *debts, size_t at)
{
    for (;;) {
        size_t first = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < debts->count; child++) {
            if (debts->heap[child].until_ms < debts->heap[first].until_ms)
                first = child;
        }
        if (first == at)
            return;
        swap(debts, at, first);
        at = first;
    }
}

static void forgive_first(struct debts *debts)
{
    struct roster_node *node = debts->heap[0].node;
    debts->heap[0] = debts->heap[--debts->count];
    sift_down(debts, 0);
    atomic_fetch_sub_explicit(&node->owed, 1, memory_order_relaxed);
    roster_node_release(node);
}

static void forgive_due(void *owner)
{
    struct debts *debts = owner;
    while (debts->count > 0 && debts->heap[0].until_ms <= loop_now_ms(debts->loop))
        forgive_first(debts);
    if (debts->count > 0)
        loop_timer_set(debts->loop, &debts->timer, debts->heap[0].until_ms);
}

/* ---- what a failure costs ---- */

/* The slowest node of the class that has answered: the failed one is to look no better than that. */
static unsigned price_of(struct debts *debts, const struct standings_attempt *attempt, const struct epoch *epoch)
{
    struct debt_price *price = &debts->prices[attempt->class];
    if (attempt->now_ms < price->until_ms)
        return price->took_ms;
    unsigned took_ms = 0;
    for (unsigned i = 0; i < epoch->topology->node_count; i++) {
        unsigned of_node_ms = standings_took_ms(epoch->nodes[i], attempt->class);
        took_ms = of_node_ms > took_ms ? of_node_ms : took_ms;
    }
    if (took_ms == 0)
        took_ms = UNKNOWN_MS;
    *price = (struct debt_price){.until_ms = attempt->now_ms + PRICE_MS, .took_ms = took_ms < MAXIMUM_MS ? took_ms : MAXIMUM_MS};
    return price->took_ms;
}

void debts_add_until(struct debts *debts, struct roster_node *node, uint64_t until_ms)
{
    if (until_ms <= loop_now_ms(debts->loop))
        return;
    if (debts->count == DEBTS_MAXIMUM)
        forgive_first(debts);
    roster_node_retain(node);
    atomic_fetch_add_explicit(&node->owed, 1, memory_order_relaxed);
    debts->heap[debts->count] = (struct debt){.node = node, .until_ms = until_ms};
    sift_up(debts, debts->count++);
    if (debts->heap[0].until_ms == until_ms || !loop_timer_is_set(&debts->timer))
        loop_timer_set(debts->loop, &debts->timer, debts->heap[0].until_ms);
}

void debts_add(struct debts *debts, const struct standings_attempt *attempt, const struct epoch *epoch)
{
    debts_add_until(debts, attempt->node, attempt->begun_ms + price_of(debts, attempt, epoch));
}

void debts_init(struct debts *debts, struct loop *loop)
{
    debts->loop = loop;
    loop_timer_init(&debts->timer, forgive_due, debts);
}

void debts_clear(struct debts *debts)
{
    loop_timer_clear(debts->loop, &debts->timer);
    while (debts->count > 0)
        forgive_first(debts);
}
