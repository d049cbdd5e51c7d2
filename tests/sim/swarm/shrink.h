#ifndef SLUICE_SIM_SWARM_SHRINK_H
#define SLUICE_SIM_SWARM_SHRINK_H
/* Takes away what a failing run does not need. */
#include "swarm/run.h"

/* Makes `plan`, which breaks `rule`, smaller as long as it still breaks the same rule: fewer kinds of faults, clients, seconds, workers. */
void shrink(struct plan *plan, const char *rule);

#endif
