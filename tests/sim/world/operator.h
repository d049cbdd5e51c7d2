#ifndef SLUICE_SIM_WORLD_OPERATOR_H
#define SLUICE_SIM_WORLD_OPERATOR_H
/*
 * Who runs Sluice: writes its configuration, starts it, reloads it with another one, makes mistakes in it, steers nodes, stops it and starts it again, and
 * looks at its status and its metrics. When the faults are over, the ordinary configuration is in force and each node is ready.
 *
 *   rule              what must hold
 *   admin_answer      the admin listener answers as docs/operations.md says
 *   bad_file_applied  a configuration that is wrong does not come into force
 *   reload_refused    one that is right does, unless memory or descriptors are short
 *   exit_status       Sluice ends when it is told to, in time, with status 0, and never by itself
 *   not_recovered     in peace each node is up
 *   memory_limit      what Sluice says of its memory is never above what limits.memory leaves to traffic
 */
#include "world/plan.h"

#define OPERATOR_ADMIN_PORT 8191
/* Of node i that was not moved, and what it is called. */
#define OPERATOR_NODE_HOST_FIRST 100
#define OPERATOR_NODE_ID "node-%u"
#define OPERATOR_NODE_NAME "node-%u.cluster.test"

/* Configurations. */
enum operator_variant {
    OPERATOR_ORDINARY,
    OPERATOR_NODE_OUT,       /* without one node that others can stand in for */
    OPERATOR_LOW_LIMITS,     /* of kept bodies, buffers, streams, links to nodes */
    OPERATOR_SHORT_TIMEOUTS,
    OPERATOR_NO_LISTENER,    /* without the one for write-back */
    OPERATOR_NODES_MOVED,    /* urls with addresses instead of names */
    OPERATOR_GOOD_VARIANTS,
    OPERATOR_TWO_COMPACTORS = OPERATOR_GOOD_VARIANTS,
    OPERATOR_UNKNOWN_KEY,
    OPERATOR_NO_YAML,
    OPERATOR_NO_NODES,
    OPERATOR_OTHER_CLUSTER,
    OPERATOR_VARIANTS
};

/* Writes the file that Sluice is started with and that a reload reads. */
void operator_write_configuration(const struct plan *plan, enum operator_variant variant);

struct operator;

/* Writes the ordinary configuration and starts Sluice. `plan` must stay. */
struct operator *operator_create(const struct plan *plan);
/* Tells Sluice to end, for good; nothing else is done any more. */
void operator_finish(struct operator *operator);
/* Sluice must have ended. NULL is allowed. */
void operator_destroy(struct operator *operator);

#endif
