#ifndef SLUICE_TOPOLOGY_FILL_H
#define SLUICE_TOPOLOGY_FILL_H
/*
 * Fills structs from mappings by the schema's rows, and remembers where each value stood. It knows rows, not meanings:
 * which structs there are and how they hang together is build.c's business.
 */
#include "topology/findings.h"
#include "topology/origin.h"
#include "topology/schema.h"
#include "topology/storage.h"
#include "topology/yaml_tree.h"

/* What every step needs; all of it belongs to the caller. */
struct filler {
    struct topology_storage *storage;
    struct origins *origins;
    struct findings *findings;
};

/* Gives the fields of a scope's struct their defaults. False: out of memory. */
bool fill_defaults(struct filler *filler, enum schema_scope scope, void *base);

/* Stores one value and its origin; every complaint becomes a finding. A key that has an origin already is refused. */
void fill_value(struct filler *filler, const struct schema_row *row, const struct yaml_node *node, void *base);

/* Stores the keys of `section` from a mapping whose keys are all single values; anything but a mapping is a finding. */
void fill_mapping(struct filler *filler, const char *section, const struct yaml_node *mapping, void *base);

/* A section within the struct at `base`: records it and stores its keys. */
void fill_section(struct filler *filler, const struct schema_row *row, const struct yaml_node *member, void *base);

/* Complains about keys of `section` that must be there and have no origin; `place` is that of the mapping. */
void fill_check_required(struct filler *filler, const char *section, struct place place, const void *base);

/* Complains about a key that `section` does not have, with a guess at what was meant. */
void fill_report_unknown(struct filler *filler, const char *section, const struct yaml_node *member);

/* True when `node` is a mapping; otherwise a finding says what `name` must be. */
bool fill_is_mapping(struct filler *filler, const char *name, const struct yaml_node *node);

/* Remembers a place; being out of memory is a finding. */
void fill_record(struct filler *filler, const void *base, const struct schema_row *row, struct place place);

#endif
