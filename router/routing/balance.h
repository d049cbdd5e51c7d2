#ifndef SLUICE_ROUTING_BALANCE_H
#define SLUICE_ROUTING_BALANCE_H
/*
 * Which of the nodes that could serve a request gets it. Pure decisions: the caller passes what is known of the nodes,
 * a random number and a state of its own, and gets an index back.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "topology/topology.h"

enum balance_policy {
    BALANCE_WEIGHTED,          /* smooth weighted round robin by topology_node.weight */
    BALANCE_LEAST_OUTSTANDING, /* the less busy of two chosen at random, per weight unit 1 */
    BALANCE_ROUND_ROBIN,       /* strict: cursor modulo the usable candidates, in the order of the configuration */
    BALANCE_STICKY,            /* the node that was used last, while it is usable; else the first usable one */
    BALANCE_FIRST,             /* the first usable one */
};

/* The policy that belongs to a class. */
enum balance_policy balance_policy_of(enum request_class class);
/* "weighted", "least outstanding", ...: for people. */
const char *balance_policy_name(enum balance_policy policy);

struct balance_node {
    uint32_t weight;      /* at least 1 */
    uint32_t outstanding; /* exchanges under way, all workers */
};

/* One per worker and class; zero it before first use. */
struct balance_state {
    int64_t current[TOPOLOGY_NODES_MAXIMUM]; /* smooth weighted round robin */
};

struct balance_question {
    enum balance_policy policy;
    const struct balance_node *nodes; /* indexed like topology->nodes */
    size_t node_count;
    uint64_t candidates;              /* can serve it, are usable, and were not tried: only these may be picked */
    uint64_t preferred;               /* of the candidates, those to take first; 0: no preference */
    uint32_t random;                  /* fresh for each call */
    uint64_t cursor;                  /* round robin: a number that the caller raises by one for each exchange */
    int sticky;                       /* sticky: index of the shared sticky node, or -1; it beats `preferred` */
};

/* The index of the chosen node, or -1 when there are no candidates. Only BALANCE_WEIGHTED writes to `state`. */
int balance_pick(const struct balance_question *question, struct balance_state *state);

#endif
