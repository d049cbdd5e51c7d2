#include "routing/balance.h"

enum balance_policy balance_policy_of(enum request_class class)
{
    switch (class) {
    case REQUEST_CLASS_WRITE:
        return BALANCE_WEIGHTED;
    case REQUEST_CLASS_WRITEBACK:
        return BALANCE_ROUND_ROBIN;
    case REQUEST_CLASS_QUERY:
    case REQUEST_CLASS_FLIGHT:
    case REQUEST_CLASS_ENGINE: /* triggers run on every process-capable node unless they are pinned */
    case REQUEST_CLASS_SYSTEM:
        return BALANCE_LEAST_OUTSTANDING;
    case REQUEST_CLASS_CATALOG: /* other nodes learn of a change only after the catalog sync interval */
    case REQUEST_CLASS_UNKNOWN:
        return BALANCE_STICKY;
    case REQUEST_CLASS_PLUGIN: /* state of one process: the same node each time, or the named one */
    case REQUEST_CLASS_COMPACTION:
    case REQUEST_CLASS_NODE:
        break;
    }
    return BALANCE_FIRST;
}

const char *balance_policy_name(enum balance_policy policy)
{
    static const char *const names[] = {"weighted", "least outstanding", "round robin", "sticky", "first"};
    return names[policy];
}

static int first_of(uint64_t pool)
{
    return __builtin_ctzll(pool);
}

static unsigned count_of(uint64_t pool)
{
    return (unsigned)__builtin_popcountll(pool);
}

/* The member with `rank` others before it; there are more than `rank`. */
static int member_of(uint64_t pool, unsigned rank)
{
    while (rank-- > 0)
        pool &= pool - 1;
    return first_of(pool);
}

/*
 * Smooth weighted round robin, as in nginx: each member earns its weight, the richest one serves and pays what all
 * earned. Over a cycle of as many picks as the weights add up to, each serves exactly its weight, spread as evenly as
 * possible.
 */
static int pick_weighted(const struct balance_question *question, uint64_t pool, struct balance_state *state)
{
    int best = first_of(pool);
    int64_t total = 0;
    for (uint64_t rest = pool; rest != 0; rest &= rest - 1) {
        int index = first_of(rest);
        int64_t weight = question->nodes[index].weight == 0 ? 1 : question->nodes[index].weight;
        state->current[index] += weight;
        total += weight;
        if (state->current[index] > state->current[best])
            best = index;
    }
    state->current[best] -= total;
    return best;
}

/* A 16-bit random number spread over 0 .. count-1 without a division. */
static unsigned scale(unsigned random, unsigned count)
{
    return (random & 0xffff) * count >> 16;
}

static int pick_least_outstanding(const struct balance_question *question, uint64_t pool)
{
    unsigned count = count_of(pool);
    if (count == 1)
        return first_of(pool);
    unsigned rank = scale(question->random, count);
    unsigned step = 1 + scale(question->random >> 16, count - 1);
    int one = member_of(pool, rank);
    int other = member_of(pool, (rank + step) % count);
    return question->nodes[other].outstanding < question->nodes[one].outstanding ? other : one;
}

int balance_pick(const struct balance_question *question, struct balance_state *state)
{
    uint64_t pool = question->candidates;
    if (question->node_count < TOPOLOGY_NODES_MAXIMUM)
        pool &= ((uint64_t)1 << question->node_count) - 1;
    if (pool == 0)
        return -1;
    /* Where the last change was made counts for more than where this kind of request would best go. */
    if (question->policy == BALANCE_STICKY && question->sticky >= 0 && question->sticky < TOPOLOGY_NODES_MAXIMUM &&
        (pool >> question->sticky & 1) != 0)
        return question->sticky;
    if ((pool & question->preferred) != 0)
        pool &= question->preferred;
    switch (question->policy) {
    case BALANCE_WEIGHTED:
        return pick_weighted(question, pool, state);
    case BALANCE_LEAST_OUTSTANDING:
        return pick_least_outstanding(question, pool);
    case BALANCE_ROUND_ROBIN:
        return member_of(pool, (unsigned)(question->cursor % count_of(pool)));
    case BALANCE_STICKY:
    case BALANCE_FIRST:
        break;
    }
    return first_of(pool);
}
