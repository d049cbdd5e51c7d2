#ifndef SLUICE_TOPOLOGY_STORAGE_H
#define SLUICE_TOPOLOGY_STORAGE_H
/*
 * Memory that is taken piece by piece and freed as one: the strings and arrays of a topology, the nodes of a YAML tree.
 * The owner of the storage owns every piece; nothing is freed alone.
 */
#include <stddef.h>

#include "base/text.h"

struct topology_storage;

/* NULL when memory is out. */
struct topology_storage *storage_create(void);
/* NULL is allowed. */
void storage_destroy(struct topology_storage *storage);

/* Zeroed and aligned for any type; NULL when memory is out or `count * size` overflows. A count of 0 gives a valid
 * pointer. */
void *storage_take(struct topology_storage *storage, size_t count, size_t size);
/* A copy with a terminating NUL; NULL when memory is out. */
char *storage_copy(struct topology_storage *storage, struct text text);

#endif
