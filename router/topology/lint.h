#ifndef SLUICE_TOPOLOGY_LINT_H
#define SLUICE_TOPOLOGY_LINT_H
/*
 * The rules that need the whole picture: two compactors, a node that is Sluice itself, a deadline that no client waits
 * for. One function per rule, each with its reason; a finding stands at the value that has to change. No rule can be
 * switched off.
 *
 * The facts are those of the database: "Configure specialized cluster nodes" and "Configuration options" in the
 * documentation of InfluxDB 3 Enterprise.
 */
#include "topology/build.h"
#include "topology/findings.h"
#include "topology/origin.h"
#include "topology/topology.h"

/*
 * Judges a topology whose values are all well formed where `is_complete`; otherwise something was left out after an
 * error, and rules about what is missing keep silent.
 */
void lint_topology(const struct topology *topology, const struct origins *origins, enum topology_purpose purpose,
                   bool is_complete, struct findings *findings);

#endif
