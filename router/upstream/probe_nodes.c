/* Which nodes are probed, and when first: epochs come into force, nodes move, live traffic suspects one. */
#include <stdlib.h>

#include "http/h2.h"
#include "net/wakeup.h"
#include "upstream/epoch.h"
#include "upstream/probe_parts.h"
#include "upstream/serving.h"
#include "upstream/standings.h"

/* The first probe of a node with a name waits so long for its address. */
#define RESOLVE_GRACE_MS 200
/* First probes follow each other at this distance, within the interval, so that a large cluster does not have all of them at once. */
#define FIRST_STEP_MS 10

/* ---- epochs ---- */

static void destroy_probe(void *object)
{
    free(object);
}

static void forget(struct probe *probe)
{
    struct loop *loop = probe->prober->loop;
    probe_let_go(probe);
    loop_timer_clear(loop, &probe->timer);
    probe->prober->of_slot[probe->shared->slot] = NULL;
    roster_node_release(probe->shared);
    /* Its link and stream are in the grave, too, and may still name it as their owner. */
    loop_bury(loop, probe, destroy_probe);
}

static void set_first_round(struct probe *probe)
{
    struct loop *loop = probe->prober->loop;
    struct address address;
    uint64_t delay_ms = (uint64_t)probe->index * FIRST_STEP_MS % probe_settings_of(probe)->interval_ms;
    if (!roster_node_get_address(probe->shared, &address))
        delay_ms += RESOLVE_GRACE_MS;
    loop_timer_set(loop, &probe->timer, loop_now_ms(loop) + delay_ms);
}

static bool begin(struct prober *prober, struct roster_node *node, unsigned index)
{
    struct probe *probe = calloc(1, sizeof *probe);
    if (probe == NULL)
        return false;
    probe->prober = prober;
    probe->shared = node;
    probe->index = index;
    roster_node_retain(node);
    prober->of_slot[node->slot] = probe;
    loop_timer_init(&probe->timer, probe_on_timer, probe);
    set_first_round(probe);
    return true;
}

/* The node is elsewhere: what its old place spoke, and that nobody could connect there, says nothing of the new one. */
static void start_over(struct probe *probe)
{
    probe_let_go(probe);
    roster_node_forget_place(probe->shared);
    standings_forget(probe->shared, loop_now_ms(probe->prober->loop));
    probe->step = 0;
    probe->search = (struct version_search){0};
    set_first_round(probe);
}

static void on_moved(void *owner, struct roster_node *node)
{
    struct prober *prober = owner;
    struct probe *probe = prober->of_slot[node->slot];
    if (probe != NULL && probe->shared == node)
        start_over(probe);
}

static void set_limits(struct prober *prober, const struct topology *topology)
{
    prober->h1.limits = (struct h1_limits){topology->limits.head_bytes, topology->limits.target_bytes, topology->limits.fields};
}

bool prober_apply(struct prober *prober, struct epoch *epoch)
{
    bool is_complete = true;
    for (unsigned i = 0; i < ROSTER_SLOTS; i++) {
        if (prober->of_slot[i] != NULL && epoch_find(epoch, prober->of_slot[i]->shared) < 0)
            forget(prober->of_slot[i]);
    }
    struct epoch *before = prober->epoch;
    epoch->roster->suspicions = prober->suspicions;
    epoch_retain(epoch);
    prober->epoch = epoch;
    set_limits(prober, epoch->topology);
    for (unsigned i = 0; i < epoch->topology->node_count; i++) {
        struct probe *known = prober->of_slot[epoch->nodes[i]->slot];
        if (known == NULL) {
            is_complete = begin(prober, epoch->nodes[i], i) && is_complete;
            continue;
        }
        bool has_moved = !epoch_is_same_place(&before->topology->nodes[known->index], &epoch->topology->nodes[i]);
        known->index = i;
        if (has_moved)
            start_over(known);
    }
    epoch_release(before);
    prober->all_down = serving_tell_changes(prober->epoch, prober->all_down);
    return is_complete;
}

/* ---- what others tell ---- */

static void on_suspicion(void *owner)
{
    struct prober *prober = owner;
    for (unsigned i = 0; i < ROSTER_SLOTS; i++) {
        struct probe *probe = prober->of_slot[i];
        if (probe != NULL && atomic_exchange_explicit(&probe->shared->suspected, 0, memory_order_relaxed) != 0)
            probe_ask_at_once(probe);
    }
}

/* ---- life ---- */

static void destroy_prober(void *object)
{
    struct prober *prober = object;
    buffer_pool_clear(&prober->buffers);
    h2_context_destroy(prober->h2);
    wakeup_destroy(prober->suspicions);
    free(prober->h1.fields);
    free(prober);
}

struct prober *prober_create(struct loop *loop, struct names *names)
{
    struct prober *prober = calloc(1, sizeof *prober);
    if (prober == NULL)
        return NULL;
    prober->loop = loop;
    prober->names = names;
    random_seed_from_system(&prober->random);
    prober->h1.fields = calloc(MESSAGE_FIELDS_MAXIMUM, sizeof(struct header_field));
    struct h2_settings h2 = {
        .limits = {65536, 8192, 100},
        .streams_maximum = 1,
        .window_bytes = BUFFER_BLOCK_BYTES,
        .output_bytes = BUFFER_BLOCK_BYTES,
        .buffers = &prober->buffers,
        .fields = prober->h1.fields,
    };
    prober->h2 = h2_context_create(loop, &h2);
    prober->suspicions = wakeup_create(loop, on_suspicion, prober);
    if (prober->h1.fields == NULL || prober->h2 == NULL || prober->suspicions == NULL) {
        destroy_prober(prober);
        return NULL;
    }
    names_set_listener(names, on_moved, prober);
    return prober;
}

void prober_destroy(struct prober *prober)
{
    if (prober == NULL)
        return;
    for (unsigned i = 0; i < ROSTER_SLOTS; i++) {
        if (prober->of_slot[i] != NULL)
            forget(prober->of_slot[i]);
    }
    names_set_listener(prober->names, NULL, NULL);
    if (prober->epoch != NULL)
        prober->epoch->roster->suspicions = NULL;
    wakeup_destroy(prober->suspicions);
    prober->suspicions = NULL;
    epoch_release(prober->epoch);
    /* After the conns, which were buried before and give their blocks back. */
    loop_bury(prober->loop, prober, destroy_prober);
}

/* ---- for people ---- */

const char *prober_last_result(const struct prober *prober, const struct roster_node *node)
{
    const struct probe *probe = prober->of_slot[node->slot];
    return probe == NULL || probe->results == 0 ? "none" : health_result_name(probe->health.last);
}

uint64_t prober_changed_ms(const struct prober *prober, const struct roster_node *node)
{
    const struct probe *probe = prober->of_slot[node->slot];
    return probe == NULL ? 0 : probe->health.changed_ms;
}
