#ifndef SLUICE_TOPOLOGY_LAYOUT_H
#define SLUICE_TOPOLOGY_LAYOUT_H
/*
 * A cluster the way InfluxData writes it: one YAML document for each kind of node, with a `mode:` at the top and the
 * options of `influxdb3 serve` as keys, in any of their spellings (num-cores, num_cores, --num-cores, cores). Constant
 * data only.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "topology/yaml_tree.h"

enum layout_key {
    LAYOUT_KEY_NODE,    /* a key of nodes[] in the schema */
    LAYOUT_KEY_CLUSTER, /* cluster_id, storage_engine: of the cluster, so all nodes that name one have to agree */
    LAYOUT_KEY_COUNT,   /* how many such nodes there are */
    LAYOUT_KEY_SERVE,   /* another option of `influxdb3 serve`: nothing that Sluice needs to know */
    LAYOUT_KEY_UNKNOWN,
};

/* Longest option name, with room to spare. */
#define LAYOUT_NAME_CAPACITY 80

/* What a key is; `name` gets its spelling in the schema, terminated (for UNKNOWN: the key with underscores). */
enum layout_key layout_key_find(struct text key, char name[LAYOUT_NAME_CAPACITY]);

/* Is this document the description of a node rather than a part of Sluice's own configuration? */
bool layout_is_node(const struct yaml_node *document);

#endif
