#ifndef SLUICE_SIM_SWARM_RUN_H
#define SLUICE_SIM_SWARM_RUN_H
/* One run: a plan's world from its beginning to its end, in this process. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "world/plan.h"

#define RUN_RULE_BYTES 32

struct run_result {
    char rule[RUN_RULE_BYTES]; /* "": every rule held */
    uint64_t fingerprint;      /* the same plan gives the same one */
    uint64_t simulated_us;
    uint64_t tries;
    uint64_t served;
};

/* Prints violations as they come, and with `is_traced` each line that Sluice logs. Once in a process: a run is a process of its own. */
void run_plan(const struct plan *plan, bool is_traced, struct run_result *result);

#endif
