/* The catalog of the cluster: one for all nodes, which learn of each other's changes late. */
#include "kernel/memory.h"
#include "world/node_parts.h"

#define NAMES_MAXIMUM 256

struct entry {
    uint64_t name;
    uint64_t since_us;
    unsigned node; /* which made the change, and knows it at once */
    bool is_there; /* else it was removed */
};

struct node_catalog {
    unsigned users;
    size_t count;
    struct entry entries[NAMES_MAXIMUM];
};

static struct node_catalog *the_catalog;

struct node_catalog *catalog_join(void)
{
    if (the_catalog == NULL)
        the_catalog = world_calloc(1, sizeof *the_catalog);
    the_catalog->users++;
    return the_catalog;
}

void catalog_leave(struct node_catalog *catalog)
{
    if (--catalog->users > 0)
        return;
    world_free(catalog);
    the_catalog = NULL;
}

static struct entry *find(struct node_catalog *catalog, uint64_t name)
{
    for (size_t i = 0; i < catalog->count; i++) {
        if (catalog->entries[i].name == name)
            return &catalog->entries[i];
    }
    return NULL;
}

static void change(struct entry *entry, const struct node *node, bool is_there)
{
    entry->since_us = sim_now_us();
    entry->node = node->index;
    entry->is_there = is_there;
}

/* A change is made to what is, not to what a node knows: it catches up first. */
bool catalog_add(struct node *node, uint64_t name)
{
    struct node_catalog *catalog = node->catalog;
    struct entry *entry = find(catalog, name);
    if (entry == NULL && catalog->count < NAMES_MAXIMUM) {
        entry = &catalog->entries[catalog->count++];
        entry->name = name;
        entry->is_there = false;
    }
    if (entry == NULL || entry->is_there)
        return false;
    change(entry, node, true);
    return true;
}

bool catalog_remove(struct node *node, uint64_t name)
{
    struct entry *entry = find(node->catalog, name);
    if (entry == NULL || !entry->is_there)
        return false;
    change(entry, node, false);
    return true;
}

/* Before a node has heard of the last change, it knows what was before. */
static bool is_shown(const struct node *node, const struct entry *entry)
{
    bool has_heard = entry->node == node->index || entry->since_us + node->catalog_lag_us <= sim_now_us();
    return has_heard == entry->is_there;
}

size_t catalog_count(const struct node *node)
{
    size_t count = 0;
    for (size_t i = 0; i < node->catalog->count; i++)
        count += is_shown(node, &node->catalog->entries[i]);
    return count;
}
