#include "upstream/lease.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "routing/policy.h"

/* Classes, the capabilities that a route needs, those that it prefers, and two yes-or-no questions: each combination has one view at most. */
#define CAPABILITY_SETS 16
#define KINDS (REQUEST_CLASS_COUNT * CAPABILITY_SETS * CAPABILITY_SETS * 4)
#define VIEWS_MAXIMUM 255
/* A share that grows does so in steps. */
#define SLOW_STEPS 20

struct kept_view {
    struct balance_view view;
    unsigned built;              /* the build that it belongs to */
    uint64_t stale_ms;           /* when it must be built anew though nobody has touched the roster */
    int trial;                   /* a node that may be tried, or -1 */
};

/* Addresses of process-capable nodes as an open hash table, a power of two in size and at most half full. */
struct address_table {
    struct address *slots;       /* length 0: free */
    size_t size;
    unsigned built;              /* from this state of roster->addresses, plus 1; 0: never */
};

struct lease_views {
    unsigned generation;         /* of the roster, when the builds were looked at last */
    unsigned build;              /* rises with each generation that was seen */
    uint8_t number_of[KINDS];    /* 0: not asked for yet, else its place in `kept` plus 1 */
    size_t count;
    struct kept_view kept[VIEWS_MAXIMUM];
    struct kept_view none;
    struct address_table processes;
};

/* ---- life ---- */

struct lease *lease_create(struct epoch *epoch, struct list *leases, void (*on_ended)(void *owner, struct lease *lease), void *owner)
{
    struct lease *lease = calloc(1, sizeof *lease);
    struct lease_views *views = calloc(1, sizeof *views);
    if (lease == NULL || views == NULL) {
        free(lease);
        free(views);
        return NULL;
    }
    epoch_retain(epoch);
    *lease = (struct lease){.leases = leases, .epoch = epoch, .users = 1, .on_ended = on_ended, .owner = owner, .views = views};
    list_node_init(&lease->node);
    list_append(leases, &lease->node);
    views->build = 1;
    views->none.trial = -1;
    return lease;
}

void lease_release(struct lease *lease)
{
    if (--lease->users > 0)
        return;
    list_remove(lease->leases, &lease->node);
    if (lease->on_ended != NULL)
        lease->on_ended(lease->owner, lease);
    for (size_t i = 0; i < lease->views->count; i++)
        balance_view_clear(&lease->views->kept[i].view);
    free(lease->views->processes.slots);
    free(lease->views);
    epoch_release(lease->epoch);
    free(lease);
}

/* ---- views ---- */

static bool speaks_http2(const struct topology_node *node, const struct roster_node *shared)
{
    if (node->http != TOPOLOGY_HTTP_AUTO)
        return node->http == TOPOLOGY_HTTP_2;
    return atomic_load_explicit(&shared->http_version, memory_order_relaxed) != 1;
}

static bool is_up(const struct epoch *epoch, unsigned index)
{
    return atomic_load_explicit(&epoch->nodes[index]->health, memory_order_relaxed) == HEALTH_UP;
}

/* Where some are known to be up, only those stay. Returns how many there are. */
static size_t leave_out_unknown(const struct epoch *epoch, struct balance_candidate *candidates, size_t count)
{
    size_t up = 0;
    for (size_t i = 0; i < count; i++) {
        if (is_up(epoch, candidates[i].index))
            candidates[up++] = candidates[i];
    }
    return up > 0 ? up : count;
}

/* What is looked for, and what is found beside the candidates. */
struct building {
    const struct epoch *epoch;
    const struct lease_kind *kind;
    uint64_t stale_ms;
    int trial;
};

static void note_change(struct building *building, uint64_t at_ms)
{
    if (at_ms < building->stale_ms)
        building->stale_ms = at_ms;
}

/* Requests that stay with one node are not to be sent to another one for a trial. */
static bool has_trials(const struct lease_kind *kind)
{
    enum balance_method method = policy_of(kind->class)->balance;
    return method != BALANCE_STICKY && method != BALANCE_FIRST;
}

/* Is it in the list by its own answers? If its share grows, the share is set. */
static bool is_in_by_standing(struct building *building, struct balance_candidate *candidate)
{
    const struct lease_kind *kind = building->kind;
    const struct roster_node *node = building->epoch->nodes[candidate->index];
    uint64_t until_ms = atomic_load_explicit(&node->until_ms[kind->class], memory_order_relaxed);
    uint64_t since_ms = atomic_load_explicit(&node->since_ms[kind->class], memory_order_relaxed);
    uint64_t slow_start_ms = building->epoch->topology->health.slow_start_ms;
    switch ((enum standing_state)atomic_load_explicit(&node->standing[kind->class], memory_order_relaxed)) {
    case STANDING_TRIAL:
        return false;
    case STANDING_ASIDE:
        if (kind->now_ms < until_ms)
            note_change(building, until_ms);
        else if (has_trials(kind))
            building->trial = candidate->index;
        else
            return true;
        return false;
    case STANDING_SLOW:
        candidate->share = standing_share(since_ms, slow_start_ms, kind->now_ms);
        if (candidate->share < 1000)
            note_change(building, kind->now_ms + slow_start_ms / SLOW_STEPS + 1);
        break;
    case STANDING_GOOD:
        break;
    }
    return true;
}

/* Nodes that refuse writes serve the other classes as before. */
static bool has_refused(const struct building *building, unsigned index)
{
    bool is_write = building->kind->class == REQUEST_CLASS_WRITE || building->kind->class == REQUEST_CLASS_WRITEBACK;
    return is_write && atomic_load_explicit(&building->epoch->nodes[index]->refused_ms, memory_order_relaxed) != 0;
}

/* Where some stand well, only those stay; a list of preferred ones may be empty, because there is another one. Returns how many there are. */
static size_t leave_out_aside(struct building *building, struct balance_candidate *candidates, size_t count, bool may_be_empty)
{
    struct balance_candidate *good = malloc((count + 1) * sizeof *good);
    size_t kept = 0;
    for (size_t i = 0; good != NULL && i < count; i++) {
        good[kept] = candidates[i];
        kept += is_in_by_standing(building, &good[kept]) && !has_refused(building, candidates[i].index);
    }
    if (kept > 0)
        memcpy(candidates, good, kept * sizeof *good);
    free(good);
    return kept > 0 || may_be_empty ? kept : count;
}

typedef bool node_test(const struct roster_node *node, enum request_class class);

/* Returns how many nodes of the kind may serve. */
static size_t collect(const struct building *building, unsigned preferred, node_test *may_serve, struct balance_candidate *candidates)
{
    const struct topology *topology = building->epoch->topology;
    const struct lease_kind *kind = building->kind;
    size_t count = 0;
    for (unsigned i = 0; i < topology->node_count; i++) {
        const struct topology_node *node = &topology->nodes[i];
        const struct roster_node *shared = building->epoch->nodes[i];
        if (classify_node_is_preferred(node, kind->route->capabilities, preferred) && may_serve(shared, kind->class) &&
            (!kind->needs_http2 || speaks_http2(node, shared)))
            candidates[count++] = (struct balance_candidate){
                .index = (uint16_t)i, .weight = node->weight, .name = hash_text(text_of_string(node->node_id), 0)};
    }
    return count;
}

/* False when memory is out: then it is empty, and the next request tries again. */
static bool build_view(const struct epoch *epoch, const struct lease_kind *kind, unsigned preferred, struct kept_view *kept)
{
    const struct topology *topology = epoch->topology;
    struct balance_candidate *candidates = malloc((topology->node_count + 1) * sizeof *candidates);
    struct building building = {.epoch = epoch, .kind = kind, .stale_ms = UINT64_MAX, .trial = -1};
    size_t count = candidates == NULL ? 0 : collect(&building, preferred, roster_node_is_usable, candidates);
    /* Nobody is left: then probes alone keep nobody out. Where some are preferred there is another list. */
    if (count == 0 && candidates != NULL && preferred == 0 && topology->health.all_down == TOPOLOGY_ALL_DOWN_SERVE)
        count = collect(&building, preferred, roster_node_is_down_by_probes, candidates);
    if (!kind->takes_unknown) {
        count = leave_out_unknown(epoch, candidates, count);
        count = leave_out_aside(&building, candidates, count, preferred != 0);
    }
    kept->stale_ms = building.stale_ms;
    kept->trial = building.trial;
    bool is_built = balance_view_build(&kept->view, candidates, count) && candidates != NULL;
    free(candidates);
    if (!is_built)
        kept->stale_ms = 0;
    return is_built;
}

/* The place of a kind's view, made when it is asked for first; NULL when there are too many kinds, which no table of routes has. */
static struct kept_view *find_view(struct lease_views *views, const struct lease_kind *kind, unsigned preferred)
{
    size_t key = kind->class;
    key = key * CAPABILITY_SETS + (kind->route->capabilities & (CAPABILITY_SETS - 1));
    key = key * CAPABILITY_SETS + (preferred & (CAPABILITY_SETS - 1));
    key = key * 4 + (kind->needs_http2 ? 1 : 0) + (kind->takes_unknown ? 2 : 0);
    if (views->number_of[key] == 0) {
        if (views->count == VIEWS_MAXIMUM)
            return NULL;
        views->number_of[key] = (uint8_t)++views->count;
    }
    return &views->kept[views->number_of[key] - 1];
}

static struct kept_view *get_view(struct lease *lease, const struct lease_kind *kind, unsigned preferred)
{
    struct lease_views *views = lease->views;
    /* Acquire: what a writer changed before it touched the roster is seen by the build below. */
    unsigned generation = atomic_load_explicit(&lease->epoch->roster->generation, memory_order_acquire);
    if (generation != views->generation) {
        views->generation = generation;
        views->build++;
    }
    struct kept_view *kept = find_view(views, kind, preferred);
    if (kept == NULL)
        return &views->none;
    bool is_stale = kept->built != views->build || kind->now_ms >= kept->stale_ms;
    if (is_stale && build_view(lease->epoch, kind, preferred, kept))
        kept->built = views->build;
    return kept;
}

struct balance_view *lease_usable(struct lease *lease, const struct lease_kind *kind)
{
    return &get_view(lease, kind, 0)->view;
}

int lease_trial(struct lease *lease, const struct lease_kind *kind)
{
    return get_view(lease, kind, 0)->trial;
}

struct balance_view *lease_preferred(struct lease *lease, const struct lease_kind *kind)
{
    return &get_view(lease, kind, kind->route->preferred)->view;
}

/* ---- where write-back comes from ---- */

static size_t hash_host(const struct address *address)
{
    /* An IPv4-mapped IPv6 address hashes like its IPv4 form: by its last four bytes. */
    const unsigned char *bytes = address->socket.any.sa_family == AF_INET
                                     ? (const unsigned char *)&address->socket.v4.sin_addr
                                     : address->socket.v6.sin6_addr.s6_addr + 12;
    uint32_t word;
    memcpy(&word, bytes, sizeof word);
    return word * UINT32_C(2654435769) >> 7;
}

static void add_address(struct address_table *table, const struct address *address)
{
    size_t at = hash_host(address) & (table->size - 1);
    while (table->slots[at].length != 0)
        at = (at + 1) & (table->size - 1);
    table->slots[at] = *address;
}

static void build_processes(const struct epoch *epoch, struct address_table *table, unsigned state)
{
    const struct topology *topology = epoch->topology;
    size_t count = 0;
    for (unsigned i = 0; i < topology->node_count; i++)
        count += (topology->nodes[i].capabilities & NODE_CAPABILITY_PROCESS) != 0;
    size_t size = 2;
    while (size < 2 * count)
        size *= 2;
    free(table->slots);
    table->slots = calloc(size, sizeof table->slots[0]);
    table->size = table->slots == NULL ? 0 : size;
    table->built = state + 1;
    for (unsigned i = 0; table->size != 0 && i < topology->node_count; i++) {
        struct address address;
        if ((topology->nodes[i].capabilities & NODE_CAPABILITY_PROCESS) != 0 &&
            roster_node_get_address(epoch->nodes[i], &address) && !address_is_loopback(&address))
            add_address(table, &address);
    }
}

bool lease_is_process_node(struct lease *lease, const struct address *address)
{
    if (address->length == 0 || address_is_loopback(address) || address_is_unix(address))
        return false;
    struct address_table *table = &lease->views->processes;
    unsigned state = atomic_load_explicit(&lease->epoch->roster->addresses, memory_order_acquire);
    if (table->built != state + 1)
        build_processes(lease->epoch, table, state);
    if (table->size == 0)
        return false;
    for (size_t at = hash_host(address) & (table->size - 1); table->slots[at].length != 0; at = (at + 1) & (table->size - 1)) {
        if (address_same_host(&table->slots[at], address))
            return true;
    }
    return false;
}
