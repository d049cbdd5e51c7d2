#ifndef SLUICE_SIM_WORLD_NODE_H
#define SLUICE_SIM_WORLD_NODE_H
/*
 * A database node of the cluster: an influxdb3 process on a machine of its own, as its wire shows it. It lives by itself: it draws the plan's faults of
 * nodes, tells the ledger what was asked of it and what became of it, and breaks off at nothing that the real one would not.
 *
 * Requests name their try as `try=N`, a parameter of the target, or as the field `x-try` (gRPC). Each answer to such a request says it in `x-try`,
 * and says the node's id in `x-node`.
 */
#include <stdbool.h>

#include "net/address.h"
#include "world/plan.h"

struct node;

#define NODE_PORT 8181

/* It listens from its first event on. `plan` outlives it. */
struct node *node_create(const struct plan *plan, unsigned index);
/* NULL is allowed. */
void node_destroy(struct node *node);

/* Where it is now. */
const struct address *node_address(const struct node *node);
/* "node-3", and the name that a plan_node.is_named is configured by: "node-3.cluster.test". */
const char *node_id(const struct node *node);
const char *node_name(const struct node *node);

/* It runs as configured and nothing ails it. */
bool node_is_well(const struct node *node);

#endif
