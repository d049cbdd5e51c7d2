#ifndef SLUICE_SIM_SWARM_SWARM_PLAN_H
#define SLUICE_SIM_SWARM_SWARM_PLAN_H
/* Which world a seed makes: swarm testing, in which each run has some kinds of faults and not the others. */
#include <stddef.h>

#include "world/plan.h"

void swarm_plan_draw(struct plan *plan, uint64_t seed);
/* The kind of this word; FAULT_KIND_COUNT: none has it. */
enum fault_kind swarm_fault_of(const char *word);
/* Exactly one of "ingest", "query" ... or several with commas, for people. Returns `buffer`. */
const char *swarm_plan_describe(const struct plan *plan, char *buffer, size_t capacity);

#endif
