#include "world/node.h"

#include <stdio.h>

#include "kernel/draw.h"
#include "kernel/memory.h"
#include "world/node_parts.h"

/* Releases that stand in a cluster side by side while it is upgraded. 3.9 knows no /ready, 3.10 answers a closed WAL by 500. */
static unsigned draw_version(struct random_source *source)
{
    static const unsigned versions[] = {309, 310, 310, 311, 311, 311, 312, 312};
    return versions[draw_below(source, sizeof versions / sizeof *versions)];
}

bool node_suffers(struct node *node, enum fault_kind kind)
{
    bool is_spared = node->plan->fixed.sick != 0 && !plan_is_sick(node->plan, node->index);
    return draw_chance(&node->faults[kind], plan_rate(node->plan, kind)) && !is_spared;
}

static uint64_t draw_lag(struct node *node)
{
    return node_suffers(node, FAULT_KIND_NODE_CATALOG_LAG) ? draw_between(&node->draw, SIM_MS, 10 * SIM_S) : 0;
}

struct node *node_create(const struct plan *plan, unsigned index)
{
    struct node *node = world_calloc(1, sizeof *node);
    node->plan = plan;
    node->index = index;
    node->draw = draw_source_of(plan->seed, "node", index);
    for (unsigned i = 0; i < FAULT_KIND_COUNT; i++)
        node->faults[i] = draw_source_of(plan->seed, fault_kind_word((enum fault_kind)i), index);
    node->version = draw_version(&node->draw);
    node->roles = plan->nodes[index].roles;
    node->http = plan->nodes[index].http;
    node->catalog_lag_us = draw_lag(node);
    snprintf(node->id, sizeof node->id, "node-%u", index);
    snprintf(node->name, sizeof node->name, "node-%u.cluster.test", index);
    node->catalog = catalog_join();
    if ((node->roles & PLAN_ROLE_PROCESS) != 0)
        node->plugin = plugin_create(node);
    list_init(&node->connections);
    wal_init(node);
    life_begin(node);
    return node;
}

void node_destroy(struct node *node)
{
    if (node == NULL)
        return;
    life_end(node);
    plugin_destroy(node->plugin);
    catalog_leave(node->catalog);
    world_free(node);
}

const struct address *node_address(const struct node *node)
{
    return &node->address;
}

const char *node_id(const struct node *node)
{
    return node->id;
}

const char *node_name(const struct node *node)
{
    return node->name;
}

bool node_is_well(const struct node *node)
{
    for (unsigned i = 0; i < NODE_CONDITION_COUNT; i++) {
        if (life_ails(node, (enum node_condition)i))
            return false;
    }
    return node->state == NODE_RUNNING;
}
