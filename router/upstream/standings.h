#ifndef SLUICE_UPSTREAM_STANDINGS_H
#define SLUICE_UPSTREAM_STANDINGS_H
/*
 * What the answers of live traffic say of each node in each class, for all workers (routing/standing.h). A good answer costs a few atomics and no
 * lock; a failure takes the roster's. Views of who is usable (upstream/lease.h) read the state.
 */
#include <stdbool.h>
#include <stdint.h>

#include "routing/standing.h"
#include "upstream/roster.h"

struct epoch;

/* An attempt, when it is over. */
struct standings_attempt {
    struct roster_node *node;
    enum request_class class;
    unsigned capabilities;   /* of its route: which nodes are of the same kind */
    bool is_trial;           /* standings_begin_trial let it begin */
    uint64_t begun_ms;
    uint64_t now_ms;
};

/* What came of a failure, for the log. */
enum standings_change { STANDINGS_SAME, STANDINGS_SET_ASIDE, STANDINGS_POOL_FAILS };

/* It was answered. True when that brings the node back. */
bool standings_good(const struct standings_attempt *attempt, const struct topology_health *settings);
/* It failed, and the node is to blame. `epoch` is the one in force. */
enum standings_change standings_failed(const struct standings_attempt *attempt, const struct epoch *epoch, uint32_t random);
/* It told nothing of the node. */
void standings_neutral(const struct standings_attempt *attempt);
/* The node said that it serves no writes: it gets none while there are others, until standings_forgive or a good answer. */
void standings_refused(const struct standings_attempt *attempt);

/*
 * Another node, asked later, was quicker, and the request was taken back here after `waited_ms`: its answers take longer than that, and by a quarter
 * longer than was thought. The next good one tells.
 */
void standings_outrun(struct roster_node *node, enum request_class class, uint64_t waited_ms);

/* The one request that may find out about a node whose time aside is over: true for the first who asks. */
bool standings_begin_trial(struct roster_node *node, enum request_class class, uint64_t now_ms);

/* A probe was good: what the node refused may be asked again. */
void standings_forgive(struct roster_node *node);
/* The node has come back, or is another one: what was known of its answers is forgotten. */
void standings_forget(struct roster_node *node, uint64_t now_ms);

/* Is it set aside for this class? (A trial may be under way.) */
bool standings_is_aside(const struct roster_node *node, enum request_class class);
/* How long a good answer of this node takes, in ms; 0: there was none. */
unsigned standings_took_ms(const struct roster_node *node, enum request_class class);

#endif
