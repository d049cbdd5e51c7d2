#include "upstream/standings.h"

#include "base/thread.h"
#include "routing/classify.h"
#include "upstream/epoch.h"
#include "upstream/serving.h"

/* Times are kept in sixteenths of a ms, each new one with an eighth of weight. */
#define TOOK_UNIT 16
#define TOOK_PART 8
#define TOOK_MAXIMUM_MS (UINT32_MAX / TOOK_UNIT / 2)

static struct standing *standing_of(struct roster_node *node, enum request_class class)
{
    return &node->standings[class];
}

static unsigned count_good(const struct roster_node *node, enum request_class class)
{
    return atomic_load_explicit(&node->good[class], memory_order_relaxed);
}

static unsigned count_in_row(const struct roster_node *node, enum request_class class)
{
    return atomic_load_explicit(&node->bad_in_row[class], memory_order_relaxed);
}

/* What the views read; under the lock. */
static void publish(struct roster_node *node, enum request_class class)
{
    const struct standing *standing = standing_of(node, class);
    atomic_store_explicit(&node->since_ms[class], standing->since_ms, memory_order_relaxed);
    atomic_store_explicit(&node->until_ms[class], standing->until_ms, memory_order_relaxed);
    atomic_store_explicit(&node->standing[class], standing->state, memory_order_relaxed);
    roster_touch(node->roster);
}

static enum standing_state state_of(const struct roster_node *node, enum request_class class)
{
    return (enum standing_state)atomic_load_explicit(&node->standing[class], memory_order_relaxed);
}

bool standings_is_aside(const struct roster_node *node, enum request_class class)
{
    enum standing_state state = state_of(node, class);
    return state == STANDING_ASIDE || state == STANDING_TRIAL;
}

/* ---- good answers ---- */

/* Two workers may overwrite each other's word: it is an average all the same. */
static void note_took(struct roster_node *node, enum request_class class, uint64_t took_ms)
{
    unsigned before = atomic_load_explicit(&node->took[class], memory_order_relaxed);
    unsigned took = (unsigned)(took_ms < TOOK_MAXIMUM_MS ? took_ms : TOOK_MAXIMUM_MS) * TOOK_UNIT + 1;
    unsigned next = before == 0 ? took : before - before / TOOK_PART + took / TOOK_PART;
    if (next != before)
        atomic_store_explicit(&node->took[class], next, memory_order_relaxed);
}

unsigned standings_took_ms(const struct roster_node *node, enum request_class class)
{
    unsigned took = atomic_load_explicit(&node->took[class], memory_order_relaxed);
    return took == 0 ? 0 : took / TOOK_UNIT + 1;
}

/* What an answer is thought to take at most. */
#define OUTRUN_MAXIMUM_MS 10000

void standings_outrun(struct roster_node *node, enum request_class class, uint64_t waited_ms)
{
    uint64_t took = atomic_load_explicit(&node->took[class], memory_order_relaxed);
    uint64_t least = waited_ms * TOOK_UNIT;
    took = took > least ? took : least;
    took += took / 4 + 1;
    if (took <= OUTRUN_MAXIMUM_MS * TOOK_UNIT)
        atomic_store_explicit(&node->took[class], (unsigned)took, memory_order_relaxed);
}

/* The node is not GOOD, or has refused: an attempt that began since then tells that it works again. */
static bool note_recovery(const struct standings_attempt *attempt, const struct topology_health *settings)
{
    struct roster_node *node = attempt->node;
    lock_take(node->roster->lock);
    struct standing *standing = standing_of(node, attempt->class);
    bool is_newer = attempt->begun_ms >= standing->since_ms;
    bool is_back = false;
    if ((standing->state == STANDING_TRIAL && attempt->is_trial) || (standing->state == STANDING_ASIDE && is_newer)) {
        standing_readmit(standing, attempt->now_ms);
        is_back = true;
    }
    bool is_grown = standing_grow_up(standing, settings->slow_start_ms, attempt->now_ms);
    if (is_back || is_grown)
        publish(node, attempt->class);
    lock_give(node->roster->lock);
    return is_back;
}

static bool is_write(enum request_class class)
{
    return class == REQUEST_CLASS_WRITE || class == REQUEST_CLASS_WRITEBACK;
}

/* It takes writes again. */
static void forgive_if_newer(const struct standings_attempt *attempt)
{
    uint64_t refused_ms = atomic_load_explicit(&attempt->node->refused_ms, memory_order_relaxed);
    if (refused_ms != 0 && is_write(attempt->class) && attempt->begun_ms >= refused_ms)
        standings_forgive(attempt->node);
}

bool standings_good(const struct standings_attempt *attempt, const struct topology_health *settings)
{
    struct roster_node *node = attempt->node;
    enum request_class class = attempt->class;
    atomic_fetch_add_explicit(&node->good[class], 1, memory_order_relaxed);
    if (count_in_row(node, class) != 0)
        atomic_store_explicit(&node->bad_in_row[class], 0, memory_order_relaxed);
    note_took(node, class, attempt->now_ms - attempt->begun_ms);
    forgive_if_newer(attempt);
    return state_of(node, class) != STANDING_GOOD && note_recovery(attempt, settings);
}

/* ---- failures ---- */

/* The usable nodes of the attempt's kind, and how they are. */
struct pool_state {
    unsigned count;
    unsigned aside;
    bool all_others_fail; /* but the attempt's own, all are aside or fail */
};

static bool is_failing(struct roster_node *node, enum request_class class, const struct topology_eject *settings, uint64_t now_ms)
{
    return count_in_row(node, class) > 0 ||
           standing_is_failing(standing_of(node, class), settings, count_good(node, class), now_ms);
}

static bool is_of_pool(const struct standings_attempt *attempt, const struct epoch *epoch, bool is_all_down, unsigned index)
{
    return classify_node_fits(&epoch->topology->nodes[index], attempt->capabilities) &&
           serving_takes(epoch->nodes[index], attempt->class, is_all_down);
}

static struct pool_state look_at_pool(const struct standings_attempt *attempt, const struct epoch *epoch)
{
    struct pool_state pool = {.all_others_fail = true};
    bool is_all_down = serving_is_all_down(epoch, attempt->class, attempt->capabilities);
    for (unsigned i = 0; i < epoch->topology->node_count; i++) {
        struct roster_node *node = epoch->nodes[i];
        if (!is_of_pool(attempt, epoch, is_all_down, i))
            continue;
        bool is_aside = standings_is_aside(node, attempt->class);
        pool.count++;
        pool.aside += is_aside;
        if (node != attempt->node && !is_aside && !is_failing(node, attempt->class, &epoch->topology->health.eject, attempt->now_ms))
            pool.all_others_fail = false;
    }
    return pool;
}

/* It is not the nodes: all of them serve again, as well as they can. */
static bool pardon_all(const struct standings_attempt *attempt, const struct epoch *epoch)
{
    bool has_changed = false;
    bool is_all_down = serving_is_all_down(epoch, attempt->class, attempt->capabilities);
    for (unsigned i = 0; i < epoch->topology->node_count; i++) {
        struct roster_node *node = epoch->nodes[i];
        if (!standings_is_aside(node, attempt->class) || !is_of_pool(attempt, epoch, is_all_down, i))
            continue;
        standing_pardon(standing_of(node, attempt->class), attempt->now_ms);
        publish(node, attempt->class);
        has_changed = true;
    }
    return has_changed;
}

static enum standings_change judge_failure(const struct standings_attempt *attempt, const struct epoch *epoch, uint32_t random)
{
    const struct topology_eject *settings = &epoch->topology->health.eject;
    struct roster_node *node = attempt->node;
    struct standing *standing = standing_of(node, attempt->class);
    unsigned in_row = atomic_fetch_add_explicit(&node->bad_in_row[attempt->class], 1, memory_order_relaxed) + 1;
    /* Who is aside may be asked where there is nobody else; only what began after its time tells more. */
    bool was_tried = (standing->state == STANDING_TRIAL && attempt->is_trial) ||
                     (standing->state == STANDING_ASIDE && attempt->begun_ms >= standing->until_ms);
    if (!was_tried && (standing->state == STANDING_ASIDE || standing->state == STANDING_TRIAL))
        return STANDINGS_SAME;
    if (!was_tried && !standing_note_failure(standing, settings, in_row, count_good(node, attempt->class), attempt->now_ms))
        return STANDINGS_SAME;
    struct pool_state pool = look_at_pool(attempt, epoch);
    if (pool.all_others_fail)
        return pardon_all(attempt, epoch) ? STANDINGS_POOL_FAILS : STANDINGS_SAME;
    if (!was_tried && !standing_may_leave(settings, pool.count, pool.aside))
        return STANDINGS_SAME;
    standing_set_aside(standing, settings, random, attempt->now_ms);
    atomic_store_explicit(&node->bad_in_row[attempt->class], 0, memory_order_relaxed);
    publish(node, attempt->class);
    return STANDINGS_SET_ASIDE;
}

enum standings_change standings_failed(const struct standings_attempt *attempt, const struct epoch *epoch, uint32_t random)
{
    lock_take(attempt->node->roster->lock);
    enum standings_change change = judge_failure(attempt, epoch, random);
    lock_give(attempt->node->roster->lock);
    return change;
}

void standings_neutral(const struct standings_attempt *attempt)
{
    struct roster_node *node = attempt->node;
    if (!attempt->is_trial)
        return;
    lock_take(node->roster->lock);
    standing_forget_trial(standing_of(node, attempt->class), attempt->now_ms);
    publish(node, attempt->class);
    lock_give(node->roster->lock);
}

/* ---- refusals ---- */

void standings_refused(const struct standings_attempt *attempt)
{
    struct roster_node *node = attempt->node;
    /* 0 is for nodes that have not refused. */
    uint64_t at_ms = attempt->now_ms == 0 ? 1 : attempt->now_ms;
    if (atomic_exchange_explicit(&node->refused_ms, at_ms, memory_order_relaxed) == 0)
        roster_touch(node->roster);
    standings_neutral(attempt);
}

void standings_forgive(struct roster_node *node)
{
    if (atomic_exchange_explicit(&node->refused_ms, 0, memory_order_relaxed) != 0)
        roster_touch(node->roster);
}

/* ---- trials ---- */

bool standings_begin_trial(struct roster_node *node, enum request_class class, uint64_t now_ms)
{
    lock_take(node->roster->lock);
    bool has_begun = standing_begin_trial(standing_of(node, class), now_ms);
    if (has_begun)
        publish(node, class);
    lock_give(node->roster->lock);
    return has_begun;
}

void standings_forget(struct roster_node *node, uint64_t now_ms)
{
    lock_take(node->roster->lock);
    for (unsigned class = 0; class < REQUEST_CLASS_COUNT; class++) {
        standing_pardon(&node->standings[class], now_ms);
        node->standings[class].times = 0;
        atomic_store_explicit(&node->bad_in_row[class], 0, memory_order_relaxed);
        atomic_store_explicit(&node->took[class], 0, memory_order_relaxed);
        publish(node, (enum request_class)class);
    }
    lock_give(node->roster->lock);
    standings_forgive(node);
}
