#ifndef SLUICE_TOPOLOGY_YAML_TREE_H
#define SLUICE_TOPOLOGY_YAML_TREE_H
/*
 * A YAML file as a tree whose nodes know where they stand. Only this file knows libyaml.
 *
 * The tree owns its nodes and texts. It is made by yaml_tree_read, read by walking `first` and `next`, and freed as one
 * by yaml_tree_destroy. Anchors, aliases and tags are refused: a configuration with them cannot be read from top to
 * bottom, and aliases can grow a small file into a huge tree.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "topology/findings.h"

#define YAML_TREE_FILE_BYTES_MAXIMUM ((size_t)4 << 20)
#define YAML_TREE_NODES_MAXIMUM 100000
#define YAML_TREE_DEPTH_MAXIMUM 32
/* Keys in one mapping; the whole schema has far fewer, and the search for duplicates is quadratic. */
#define YAML_TREE_KEYS_MAXIMUM 256

enum yaml_kind {
    YAML_SCALAR,
    YAML_SEQUENCE,
    YAML_MAPPING,
    YAML_REFUSED, /* an alias: already a finding, readers pass over it */
};

struct yaml_node {
    enum yaml_kind kind;
    struct place place;      /* of its first character; `file` is a ref to the tree's copy */
    struct text text;        /* scalar: its value, also NUL-terminated */
    bool is_plain;           /* scalar: written without quotes */
    struct yaml_node *key;   /* member of a mapping: the scalar before the colon */
    struct yaml_node *first; /* sequence, mapping: the first item or member */
    struct yaml_node *next;  /* the next item, member or document */
    size_t count;            /* sequence, mapping: items or members */
};

struct yaml_tree {
    const char *file;        /* as the caller named it */
    struct yaml_node *first; /* the first document's root, then `next`; documents without content are left out */
    struct topology_storage *storage;
};

/*
 * Reads a file. NULL when it cannot be read or is not YAML within the bounds above; the reason is then a finding.
 * Duplicate keys (the first one is kept), anchors, aliases and tags are findings, too, but leave a tree to look for
 * more in.
 */
struct yaml_tree *yaml_tree_read(const char *path, struct findings *findings);
/* The same from memory; `name` stands for the file in findings. */
struct yaml_tree *yaml_tree_parse(const char *name, struct text source, struct findings *findings);
/* NULL is allowed. */
void yaml_tree_destroy(struct yaml_tree *tree);

/* The member of a mapping with this key, or NULL. */
const struct yaml_node *yaml_tree_member(const struct yaml_node *mapping, struct text key);
/* "a text", "a list", "a mapping": for findings. */
const char *yaml_tree_kind_name(const struct yaml_node *node);

#endif
