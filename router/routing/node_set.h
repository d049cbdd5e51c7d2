#ifndef SLUICE_ROUTING_NODE_SET_H
#define SLUICE_ROUTING_NODE_SET_H
/*
 * A set of nodes by their index in a topology. All zero is the empty set. Indices are below TOPOLOGY_NODES_MAXIMUM.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "topology/topology.h"

#define NODE_SET_WORDS (TOPOLOGY_NODES_MAXIMUM / 64)
_Static_assert(TOPOLOGY_NODES_MAXIMUM % 64 == 0, "whole words");

struct node_set {
    uint64_t words[NODE_SET_WORDS];
};

static inline void node_set_add(struct node_set *set, unsigned index)
{
    set->words[index / 64] |= UINT64_C(1) << index % 64;
}

static inline void node_set_remove(struct node_set *set, unsigned index)
{
    set->words[index / 64] &= ~(UINT64_C(1) << index % 64);
}

static inline bool node_set_has(const struct node_set *set, unsigned index)
{
    return (set->words[index / 64] >> index % 64 & 1) != 0;
}

static inline size_t node_set_count(const struct node_set *set)
{
    size_t count = 0;
    for (size_t i = 0; i < NODE_SET_WORDS; i++)
        count += (size_t)__builtin_popcountll(set->words[i]);
    return count;
}

static inline bool node_set_is_empty(const struct node_set *set)
{
    for (size_t i = 0; i < NODE_SET_WORDS; i++) {
        if (set->words[i] != 0)
            return false;
    }
    return true;
}

#endif
