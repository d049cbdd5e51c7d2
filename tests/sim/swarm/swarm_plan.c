#include "swarm/swarm_plan.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "kernel/draw.h"

/* How often a fault that exists strikes, per million of what plan.h says; drawn between the two on a logarithmic scale. */
struct range {
    uint32_t lowest;
    uint32_t highest;
    uint32_t rarity; /* it exists once where another kind would exist so often; 0 as 1 */
};

static const struct range ranges[FAULT_KIND_COUNT] = {
    [FAULT_KIND_NET_DELAY] = {100, 20000, 0},
    [FAULT_KIND_NET_RESET] = {1000, 300000, 0},
    [FAULT_KIND_NET_SILENCE] = {500, 50000, 0},
    [FAULT_KIND_NET_SMALL_PIECES] = {1000, 300000, 2},
    [FAULT_KIND_NET_REFUSE] = {1000, 200000, 0},
    [FAULT_KIND_NET_SLOW_CONNECT] = {1000, 100000, 0},
    [FAULT_KIND_NET_SMALL_BUFFERS] = {10000, 1000000, 0},
    [FAULT_KIND_MEMORY_SHORT] = {5, 2000, 2},
    [FAULT_KIND_DESCRIPTORS_SHORT] = {1000000, 1000000, 4},
    [FAULT_KIND_THREAD_STALL] = {10, 2000, 0},
    [FAULT_KIND_THREAD_PREEMPT] = {10000, 1000000, 0},
    [FAULT_KIND_NODE_KILL] = {2000, 50000, 0},
    [FAULT_KIND_NODE_POWER] = {1000, 30000, 0},
    [FAULT_KIND_NODE_STOP] = {2000, 50000, 0},
    [FAULT_KIND_NODE_SILENT] = {2000, 50000, 0},
    [FAULT_KIND_NODE_SLOW] = {2000, 50000, 0},
    [FAULT_KIND_NODE_STORAGE] = {2000, 30000, 0},
    [FAULT_KIND_NODE_WRONG_MODE] = {1000, 20000, 0},
    [FAULT_KIND_NODE_ERROR] = {1000, 300000, 0},
    [FAULT_KIND_NODE_CUT] = {1000, 200000, 0},
    [FAULT_KIND_NODE_EARLY] = {1000, 100000, 0},
    [FAULT_KIND_NODE_CLOSE] = {1000, 300000, 0},
    [FAULT_KIND_NODE_GOAWAY] = {1000, 200000, 0},
    [FAULT_KIND_NODE_REFUSED_STREAM] = {1000, 200000, 0},
    [FAULT_KIND_NODE_RESET_STREAM] = {1000, 200000, 0},
    [FAULT_KIND_NODE_GARBAGE] = {500, 30000, 0},
    [FAULT_KIND_NODE_CATALOG_LAG] = {1000000, 1000000, 0},
    [FAULT_KIND_CLIENT_LEAVES] = {1000, 200000, 0},
    [FAULT_KIND_CLIENT_SLOW_READER] = {1000, 100000, 0},
    [FAULT_KIND_CLIENT_SLOW_BODY] = {1000, 100000, 0},
    [FAULT_KIND_CLIENT_PIPELINES] = {1000, 500000, 0},
    [FAULT_KIND_CLIENT_HALF_CLOSE] = {1000, 100000, 0},
    [FAULT_KIND_CLIENT_HOSTILE] = {1000, 200000, 0},
    [FAULT_KIND_NAME_MOVES] = {1000, 30000, 0},
    [FAULT_KIND_NAME_FAILS] = {1000, 30000, 0},
    [FAULT_KIND_OPERATOR_RELOADS] = {5000, 300000, 0},
    [FAULT_KIND_OPERATOR_BAD_FILE] = {5000, 100000, 0},
    [FAULT_KIND_OPERATOR_STEERS] = {5000, 200000, 0},
    [FAULT_KIND_OPERATOR_TERMINATES] = {1000000, 1000000, 0},
    [FAULT_KIND_TLS_CLIENTS] = {50000, 500000, 12},
    [FAULT_KIND_TLS_NODES] = {1000000, 1000000, 24},
};

static uint32_t draw_rate(struct random_source *source, const struct range *range)
{
    double part = (double)draw_below(source, 1000) / 1000;
    return (uint32_t)((double)range->lowest * pow((double)range->highest / (double)range->lowest, part));
}

/* Shares of a thousand: how many kinds of faults a world has. */
static const uint32_t densities[] = {0, 60, 120, 200, 350, 600};

static void draw_faults(struct plan *plan, struct random_source *source)
{
    uint32_t density = densities[draw_below(source, sizeof densities / sizeof densities[0])];
    for (unsigned kind = 0; kind < FAULT_KIND_COUNT; kind++) {
        const struct range *range = &ranges[kind];
        struct random_source own = draw_source_of(plan->seed, "fault", kind);
        uint32_t chance = density * 1000 / (range->rarity == 0 ? 1 : range->rarity);
        plan->rate[kind] = draw_chance(&own, chance) ? draw_rate(&own, range) : 0;
    }
}

static const unsigned role_sets[][5] = {
    {PLAN_ROLE_INGEST, PLAN_ROLE_INGEST, PLAN_ROLE_QUERY, PLAN_ROLE_QUERY, PLAN_ROLE_COMPACT},
    {PLAN_ROLE_INGEST, PLAN_ROLE_INGEST, PLAN_ROLE_QUERY, PLAN_ROLE_QUERY | PLAN_ROLE_PROCESS, PLAN_ROLE_COMPACT},
    {PLAN_ROLE_INGEST | PLAN_ROLE_QUERY, PLAN_ROLE_INGEST | PLAN_ROLE_QUERY, PLAN_ROLE_QUERY, PLAN_ROLE_COMPACT, 0},
    {PLAN_ROLE_ALL, 0, 0, 0, 0},
    {PLAN_ROLE_INGEST, PLAN_ROLE_QUERY, PLAN_ROLE_COMPACT | PLAN_ROLE_QUERY, 0, 0},
    {PLAN_ROLE_INGEST, PLAN_ROLE_INGEST, PLAN_ROLE_INGEST, PLAN_ROLE_QUERY | PLAN_ROLE_PROCESS, PLAN_ROLE_COMPACT},
};

static void draw_nodes(struct plan *plan, struct random_source *source)
{
    /* The usual cluster half of the time. */
    size_t set = draw_below(source, 2) == 0 ? 1 : draw_below(source, sizeof role_sets / sizeof role_sets[0]);
    for (unsigned i = 0; i < 5 && role_sets[set][i] != 0; i++) {
        plan->nodes[i].roles = role_sets[set][i];
        plan->nodes[i].http = (unsigned)draw_between(source, 1, 2);
        plan->nodes[i].is_named = draw_below(source, 3) == 0;
        plan->node_count++;
    }
}

void swarm_plan_draw(struct plan *plan, uint64_t seed)
{
    struct random_source source = draw_source_of(seed, "plan", 0);
    *plan = (struct plan){.seed = seed};
    plan->workers = (unsigned)draw_between(&source, 1, 3);
    plan->clients = (unsigned)draw_between(&source, 1, draw_between(&source, 4, 50));
    plan->faulty_seconds = (unsigned)draw_between(&source, 5, 60);
    plan->quiet_seconds = 60;
    draw_nodes(plan, &source);
    draw_faults(plan, &source);
}

enum fault_kind swarm_fault_of(const char *word)
{
    unsigned kind = 0;
    while (kind < FAULT_KIND_COUNT && strcmp(fault_kind_word((enum fault_kind)kind), word) != 0)
        kind++;
    return (enum fault_kind)kind;
}

const char *swarm_plan_describe(const struct plan *plan, char *buffer, size_t capacity)
{
    size_t used = text_append(buffer, capacity, 0, "%u nodes, %u clients, %u workers, %u s:", plan->node_count, plan->clients, plan->workers,
                              plan->faulty_seconds);
    for (unsigned kind = 0; kind < FAULT_KIND_COUNT; kind++) {
        if (plan->rate[kind] > 0)
            used = text_append(buffer, capacity, used, " %s=%u", fault_kind_word((enum fault_kind)kind), plan->rate[kind]);
    }
    return buffer;
}
