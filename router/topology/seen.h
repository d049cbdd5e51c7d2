#ifndef SLUICE_TOPOLOGY_SEEN_H
#define SLUICE_TOPOLOGY_SEEN_H
/*
 * Which of many things was the first with a key: for rules about what may be there once only, in a cluster of a thousand
 * nodes. A hash table of texts, any bytes, with a number each; a key keeps the number it came with first.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

#define SEEN_NEVER ((size_t)-1)

struct seen;

/* NULL when memory is out. */
struct seen *seen_create(void);
/* NULL is allowed. */
void seen_destroy(struct seen *seen);

/* Copies the key. `*first` is the number that it came with first: `number` itself when it is new. False: out of memory. */
bool seen_add(struct seen *seen, struct text key, size_t number, size_t *first);

/* The number that `key` came with first, or SEEN_NEVER. */
size_t seen_find(const struct seen *seen, struct text key);

#endif
