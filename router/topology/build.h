#ifndef SLUICE_TOPOLOGY_BUILD_H
#define SLUICE_TOPOLOGY_BUILD_H
/*
 * From files to a topology: read (yaml_tree.c), fill in by the schema's rows (value.c), judge as a whole (lint.c).
 *
 * Several files, and several documents in a file, make one topology: lists are joined, every other key may be given
 * once. A document with a top-level `mode` is a node in InfluxData's own notation (layout.h).
 */
#include "topology/findings.h"
#include "topology/topology.h"

enum topology_purpose {
    TOPOLOGY_PURPOSE_CHECK, /* judge it: a bare layout, without listeners and urls, is welcome */
    TOPOLOGY_PURPOSE_SERVE, /* run it: what `serve` needs must be there */
};

/*
 * NULL when there is any error; all errors and warnings are in `findings`, whose earlier contents do not matter. The
 * caller holds the one reference and gives it up with topology_release.
 */
struct topology *topology_read(const char *const *paths, size_t count, enum topology_purpose purpose,
                               struct findings *findings);

#endif
