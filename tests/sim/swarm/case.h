#ifndef SLUICE_SIM_SWARM_CASE_H
#define SLUICE_SIM_SWARM_CASE_H
/*
 * A case: a world that is made for one policy, of which the seed draws only what does not matter, and what must come of it.
 *
 *   --nodes iiqqc                  one letter for each node: i ingest, q query, c compact, p process
 *   --rate node_error=1000000,...  faults that strike so often, per million of what world/plan.h says; all others do not exist
 *   --case sick=2,error=503,...    sick: the only node with faults, from 0; error: the status of each; silent_ms, late_ms, patience_ms: struct plan_case
 *   --bounds query.failed=0,...    check/tally.h
 */
#include <stdbool.h>

#include "world/plan.h"

/* NULL: not given. */
struct case_options {
    const char *nodes;
    const char *rates;
    const char *keys;
    const char *bounds;
};

/* Changes the plan as the options say; false, and says so, when they cannot be read. The plan refers to them. */
bool case_apply(struct plan *plan, const struct case_options *options);

#endif
