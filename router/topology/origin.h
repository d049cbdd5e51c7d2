#ifndef SLUICE_TOPOLOGY_ORIGIN_H
#define SLUICE_TOPOLOGY_ORIGIN_H
/*
 * Where in the files each field of a topology came from, so that a rule can point at the very value it complains about.
 * Made by build.c while it reads, used by it and by lint.c, and gone when the reading is over: places refer to the YAML
 * trees.
 */
#include <stdbool.h>
#include <stddef.h>

#include "topology/findings.h"
#include "topology/schema.h"

struct origins;

/* NULL when memory is out. */
struct origins *origins_create(void);
/* NULL is allowed. */
void origins_destroy(struct origins *origins);

/* `row` of the struct at `base` was written at `place`; a NULL row stands for the struct as a whole. The first place of
 * several is kept. False: out of memory. */
bool origins_record(struct origins *origins, const void *base, const struct schema_row *row, struct place place);

/* Gives `to` all that is known of `from`: for the copies that `count` makes. False: out of memory. */
bool origins_copy(struct origins *origins, const void *from, const void *to);

/* NULL when nobody wrote it: it has its default. Good until the next record or copy. */
const struct place *origins_find(const struct origins *origins, const void *base, const struct schema_row *row);

/* The place of the key "nodes[].url" of the struct at `base`; where it was not written, that of the struct; else of the
 * file. */
struct place origins_place(const struct origins *origins, const void *base, const char *path);

/* Was the key written? */
bool origins_has(const struct origins *origins, const void *base, const char *path);

#endif
