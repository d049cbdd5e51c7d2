#ifndef SLUICE_CLI_NODE_STATES_H
#define SLUICE_CLI_NODE_STATES_H
/* What a running Sluice says at this moment of the nodes that may serve a request: a part of `sluice explain`. */
#include <stdbool.h>

#include "cli/admin_options.h"
#include "routing/node_set.h"
#include "topology/topology.h"

/*
 * Asks each address of `admin` and prints, of the nodes of `topology` that are in `nodes`, their health there and what an operator has said of
 * them, with the consequence for requests of `class`. False when a Sluice did not answer; the reason has been printed.
 */
bool node_states_print(const struct admin_options *admin, const struct options *options, const struct topology *topology,
                       const struct node_set *nodes, enum request_class class);

#endif
