#ifndef SLUICE_TOPOLOGY_CHANGES_H
#define SLUICE_TOPOLOGY_CHANGES_H
/*
 * What a reload cannot bring into force. Pure.
 *
 * Every key may change by a reload but those whose schema row says otherwise (enum schema_change), and these keep the
 * value that Sluice started with for as long as it runs. So the new topology is compared with the one of the start, and not
 * with that of the reload before: a change that still waits for its restart is told at every reload.
 */
#include "topology/findings.h"
#include "topology/topology.h"

/*
 * Adds one finding for each key that differs and needs a restart, at the place where `next` has it: a warning where the
 * reload goes on with the running value, an error where it must not happen at all. Neither topology is kept.
 */
void topology_changes(const struct topology *started, const struct topology *next, struct findings *findings);

#endif
