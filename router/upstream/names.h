#ifndef SLUICE_UPSTREAM_NAMES_H
#define SLUICE_UPSTREAM_NAMES_H
/*
 * Where the nodes are: sets the addresses of the roster's nodes from their urls, literals at once, names by asking DNS, at the start and then
 * every NAMES_RESOLVE_MS. The last good address stays in use while a name cannot be resolved. Control thread only.
 */
#include <stdbool.h>

struct epoch;
struct loop;
struct names;

#define NAMES_RESOLVE_MS 30000

/* NULL when memory is out. */
struct names *names_create(struct loop *loop);
/* NULL is allowed. Questions under way are given up. */
void names_destroy(struct names *names);

/* The nodes of this epoch are looked after from now on, and no others. False when memory is out. */
bool names_apply(struct names *names, struct epoch *epoch);

#endif
