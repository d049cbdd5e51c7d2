#include "routing/balance.h"

#include <stdlib.h>

/*
 * Weighted: each member is due once in a period that is the shorter the larger its weight (earliest deadline first). Over a cycle of as many
 * picks as the weights add up to, each is due exactly as often as its weight says. Members of equal weight begin at equal distances within their
 * period, so that their turns are spread as evenly as possible. Who is due serves, unless another one, drawn by chance in proportion to weights, has
 * less to do for its weight: a slow node gets less than its turns.
 */
#define CYCLE (UINT64_C(1) << 40)
#define REBASE_AT (UINT64_C(1) << 62)

#define WHOLE_SHARE 1000

static uint64_t period_of(uint32_t weight, uint32_t share)
{
    uint64_t period = CYCLE / (weight == 0 ? 1 : weight);
    return share == WHOLE_SHARE ? period : period / share * WHOLE_SHARE;
}

/* What it can take: its weight, less while it starts slowly. All members together have at most 32 bits of it. */
static uint64_t capacity_of(const struct balance_member *member)
{
    return (uint64_t)(member->weight == 0 ? 1 : member->weight) * member->share;
}

/* ---- the heap ---- */

static bool is_before(const struct balance_view *view, uint16_t a, uint16_t b)
{
    if (view->members[a].due != view->members[b].due)
        return view->members[a].due < view->members[b].due;
    return a < b;
}

static void sift_down(struct balance_view *view, size_t at)
{
    for (;;) {
        size_t first = at;
        size_t left = 2 * at + 1;
        size_t right = left + 1;
        if (left < view->count && is_before(view, view->heap[left], view->heap[first]))
            first = left;
        if (right < view->count && is_before(view, view->heap[right], view->heap[first]))
            first = right;
        if (first == at)
            return;
        uint16_t moved = view->heap[at];
        view->heap[at] = view->heap[first];
        view->heap[first] = moved;
        at = first;
    }
}

/* ---- views ---- */

void balance_view_clear(struct balance_view *view)
{
    free(view->members);
    free(view->heap);
    *view = (struct balance_view){0};
}

static size_t count_weight(const struct balance_candidate *candidates, size_t count, uint32_t weight)
{
    size_t same = 0;
    for (size_t i = 0; i < count; i++)
        same += candidates[i].weight == weight;
    return same;
}

/* Where members that are new begin: the n-th of m that have the same weight at (n + 1) / (m + 1) of their period. */
static void set_turns(struct balance_member *members, const struct balance_candidate *candidates, size_t count, uint64_t now)
{
    uint32_t weight = 0;
    size_t same = 0, rank = 0;
    for (size_t i = 0; i < count; i++) {
        /* Runs of one weight are the rule; another weight costs a look at all. */
        if (same == 0 || candidates[i].weight != weight) {
            weight = candidates[i].weight;
            same = count_weight(candidates, count, weight);
            rank = count_weight(candidates, i, weight);
        }
        members[i] = (struct balance_member){.index = candidates[i].index, .weight = weight, .name = candidates[i].name};
        members[i].share = candidates[i].share == 0 ? WHOLE_SHARE : candidates[i].share;
        members[i].due = now + period_of(weight, members[i].share) / (same + 1) * (++rank);
    }
}

/* Both lists are in the order of indices. */
static void keep_turns(struct balance_member *members, size_t count, const struct balance_view *before)
{
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        while (at < before->count && before->members[at].index < members[i].index)
            at++;
        if (at == before->count || before->members[at].index != members[i].index)
            continue;
        uint64_t latest = before->now + period_of(members[i].weight, members[i].share);
        uint64_t due = before->members[at].due;
        members[i].due = due < latest ? due : latest;
    }
}

bool balance_view_build(struct balance_view *view, const struct balance_candidate *candidates, size_t count)
{
    struct balance_view next = {.count = count, .capacity = count, .now = view->now};
    next.members = calloc(count + 1, sizeof next.members[0]);
    next.heap = calloc(count + 1, sizeof next.heap[0]);
    if (next.members == NULL || next.heap == NULL) {
        balance_view_clear(&next);
        balance_view_clear(view);
        return false;
    }
    set_turns(next.members, candidates, count, next.now);
    keep_turns(next.members, count, view);
    for (size_t i = 1; i < count; i++)
        next.members[i].before = next.members[i - 1].before + capacity_of(&next.members[i - 1]);
    for (size_t i = 0; i < count; i++)
        next.heap[i] = (uint16_t)i;
    for (size_t i = count / 2; i-- > 0;)
        sift_down(&next, i);
    balance_view_clear(view);
    *view = next;
    return true;
}

int balance_view_find(const struct balance_view *view, unsigned index)
{
    size_t low = 0, high = view->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (view->members[middle].index < index)
            low = middle + 1;
        else
            high = middle;
    }
    return low < view->count && view->members[low].index == index ? (int)low : -1;
}

/* ---- picking ---- */

static bool may_pick(const struct balance_question *question, const struct balance_member *member)
{
    return question->tried == NULL || !node_set_has(question->tried, member->index);
}

bool balance_has_untried(const struct balance_view *view, const struct node_set *tried)
{
    for (size_t i = 0; i < view->count; i++) {
        if (!node_set_has(tried, view->members[i].index))
            return true;
    }
    return false;
}

/* With the request that is to be placed: so a share counts on an idle node, too. */
static uint64_t load_of(const struct balance_question *question, const struct balance_member *member)
{
    return (uint64_t)question->outstanding(question->owner, member->index) + 1;
}

/* So much silence is normal, beside four answers' time; each further one counts as all that is outstanding once more. */
#define SILENCE_MS 200
#define SILENCE_MAXIMUM 7

uint32_t balance_load(uint32_t outstanding, uint64_t silent_ms, unsigned took_ms)
{
    uint64_t times = silent_ms / (SILENCE_MS + 4 * (uint64_t)took_ms);
    return outstanding * (uint32_t)(1 + (times < SILENCE_MAXIMUM ? times : SILENCE_MAXIMUM));
}

/* Virtual time grows for ever: before it could overflow, all of it moves back. */
static void rebase(struct balance_view *view)
{
    uint64_t now = view->now;
    for (size_t i = 0; i < view->count; i++)
        view->members[i].due -= view->members[i].due < now ? view->members[i].due : now;
    view->now = 0;
}

/* The place in the heap of the member that is due first among those that may be picked; the root unless some were tried. */
static size_t find_due(const struct balance_question *question, const struct balance_view *view)
{
    if (may_pick(question, &view->members[view->heap[0]]))
        return 0;
    size_t best = view->count;
    for (size_t i = 1; i < view->count; i++) {
        if (may_pick(question, &view->members[view->heap[i]]) &&
            (best == view->count || is_before(view, view->heap[i], view->heap[best])))
            best = i;
    }
    return best;
}

/* The member whose turn it is has had it, whoever serves; -1 when none may be picked. */
static int take_turn(const struct balance_question *question, struct balance_view *view)
{
    size_t at = find_due(question, view);
    if (at == view->count)
        return -1;
    int position = view->heap[at];
    struct balance_member *member = &view->members[position];
    if (member->due > view->now)
        view->now = member->due;
    member->due += period_of(member->weight, member->share);
    sift_down(view, at);
    if (view->now > REBASE_AT)
        rebase(view);
    return position;
}

/* Another member than `one`, by chance in proportion to weights; there are two at least. */
static const struct balance_member *draw_another(const struct balance_question *question, const struct balance_view *view,
                                                 const struct balance_member *one)
{
    const struct balance_member *last = &view->members[view->count - 1];
    uint64_t others = last->before + capacity_of(last) - capacity_of(one);
    uint64_t drawn = question->random * others >> 32;
    if (drawn >= one->before)
        drawn += capacity_of(one);
    size_t low = 0, high = view->count - 1;
    while (low < high) {
        size_t middle = (low + high + 1) / 2;
        if (view->members[middle].before <= drawn)
            low = middle;
        else
            high = middle - 1;
    }
    return &view->members[low];
}

static int pick_weighted(const struct balance_question *question, struct balance_view *view)
{
    int position = take_turn(question, view);
    if (position < 0)
        return -1;
    const struct balance_member *one = &view->members[position];
    if (view->count == 1)
        return one->index;
    const struct balance_member *other = draw_another(question, view, one);
    uint64_t load = load_of(question, one), other_load = load_of(question, other);
    /* Of two that have nothing to do, the one whose turn it is: else the heavier one would get all that comes one by one. */
    bool is_idle = load == 1 && other_load == 1;
    if (is_idle || !may_pick(question, other))
        return one->index;
    return other_load * capacity_of(one) < load * capacity_of(other) ? other->index : one->index;
}

/* Bits that are as good as drawn for this pair (the end of SplitMix64). */
static uint64_t draw_of(uint64_t key, uint64_t name)
{
    uint64_t z = key ^ name;
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (z ^ z >> 31) | 1;
}

/* -log2(bits / 2^64) in 65536ths, never 0: by squaring, one binary digit of the logarithm at a time. */
static uint64_t negative_log2(uint64_t bits)
{
    unsigned zeroes = (unsigned)__builtin_clzll(bits);
    uint64_t mantissa = bits << zeroes >> 32; /* 1 to 2, the 1 is bit 31 */
    uint64_t digits = 0;
    for (int i = 0; i < 16; i++) {
        mantissa = mantissa * mantissa >> 31;
        digits <<= 1;
        if (mantissa >> 32 != 0) {
            mantissa >>= 1;
            digits |= 1;
        }
    }
    return ((uint64_t)(zeroes + 1) << 16) - digits;
}

int balance_pick_near(const struct balance_question *question, const struct balance_view *view, uint64_t key, bool is_weighted,
                      bool (*is_full)(const void *owner, unsigned index))
{
    int best = -1;
    uint64_t best_distance = 0, best_capacity = 0;
    for (size_t i = 0; i < view->count; i++) {
        const struct balance_member *member = &view->members[i];
        if (!may_pick(question, member) || is_full(question->owner, member->index))
            continue;
        uint64_t capacity = is_weighted ? capacity_of(member) : member->share;
        uint64_t distance = negative_log2(draw_of(key, member->name));
        if (best < 0 || distance * best_capacity < best_distance * capacity) {
            best = member->index;
            best_distance = distance;
            best_capacity = capacity;
        }
    }
    return best;
}

/* A 16-bit random number spread over 0 .. count-1 without a division. */
static size_t scale(uint32_t random, size_t count)
{
    return (size_t)(random & 0xffff) * count >> 16;
}

/* The n-th position from `start` on, round the end, whose member may be picked; there is at least one. */
static size_t next_pickable(const struct balance_question *question, const struct balance_view *view, size_t start)
{
    while (!may_pick(question, &view->members[start]))
        start = start + 1 == view->count ? 0 : start + 1;
    return start;
}

static size_t count_pickable(const struct balance_question *question, const struct balance_view *view)
{
    if (question->tried == NULL)
        return view->count;
    size_t count = 0;
    for (size_t i = 0; i < view->count; i++)
        count += may_pick(question, &view->members[i]);
    return count;
}

static size_t pickable_of_rank(const struct balance_question *question, const struct balance_view *view, size_t rank)
{
    if (question->tried == NULL)
        return rank;
    size_t at = next_pickable(question, view, 0);
    while (rank-- > 0)
        at = next_pickable(question, view, at + 1);
    return at;
}

static int pick_least_outstanding(const struct balance_question *question, const struct balance_view *view, size_t count)
{
    size_t rank = scale(question->random, count);
    const struct balance_member *one = &view->members[pickable_of_rank(question, view, rank)];
    if (count == 1)
        return one->index;
    size_t step = 1 + scale(question->random >> 16, count - 1);
    size_t second = rank + step < count ? rank + step : rank + step - count;
    const struct balance_member *other = &view->members[pickable_of_rank(question, view, second)];
    return load_of(question, other) * one->share < load_of(question, one) * other->share ? other->index : one->index;
}

/* The node that was used last can be used again. */
static bool can_stay(const struct balance_question *question, const struct balance_view *view)
{
    if (question->method != BALANCE_STICKY || question->sticky < 0)
        return false;
    int at = balance_view_find(view, (unsigned)question->sticky);
    return at >= 0 && may_pick(question, &view->members[at]);
}

int balance_pick(const struct balance_question *question, struct balance_view *view)
{
    if (view->count == 0)
        return -1;
    if (question->method == BALANCE_WEIGHTED)
        return pick_weighted(question, view);
    size_t count = count_pickable(question, view);
    if (count == 0)
        return -1;
    if (question->method == BALANCE_LEAST_OUTSTANDING)
        return pick_least_outstanding(question, view, count);
    if (can_stay(question, view))
        return question->sticky;
    size_t start = question->method == BALANCE_ROUND_ROBIN ? (size_t)(question->cursor % view->count) : 0;
    return view->members[next_pickable(question, view, start)].index;
}

int balance_pick_preferred(const struct balance_question *question, struct balance_view *preferred, struct balance_view *all)
{
    if (preferred == all)
        return balance_pick(question, all);
    if (can_stay(question, all))
        return question->sticky;
    int index = balance_pick(question, preferred);
    return index >= 0 ? index : balance_pick(question, all);
}
