#ifndef SLUICE_UPSTREAM_NAMES_H
#define SLUICE_UPSTREAM_NAMES_H
/*
 * Where the nodes are: sets the addresses of the roster's nodes from their urls, literals at once, names by asking DNS. A name is asked for again when
 * its answer's time is over (at least a second, at most NAMES_HOLD_MAXIMUM_MS), after a failure in a second, then in two, four, up to
 * NAMES_RETRY_MAXIMUM_MS; the last good address stays in use meanwhile. Control thread only.
 *
 * Of the addresses of a name, the node keeps the one that it has as long as the name has it. When nobody can connect there, the prober tries
 * the others (names_places) and says which of them it is (names_confirm): so probes and data always go to the same machine.
 */
#include <stdbool.h>
#include <stddef.h>

#include "net/address.h"

struct epoch;
struct loop;
struct names;
struct roster_node;

/* Of the addresses of a name, so many are tried. */
#define NAMES_PLACES_MAXIMUM 8
/* An answer without a TTL (from /etc/hosts) holds so long. */
#define NAMES_HOLD_MS 5000
#define NAMES_HOLD_MAXIMUM_MS 300000
#define NAMES_RETRY_MAXIMUM_MS 30000

/* The node has got another address by its name. */
typedef void names_on_moved(void *owner, struct roster_node *node);

/* NULL when memory is out. */
struct names *names_create(struct loop *loop);
/* NULL is allowed. Questions under way are given up. */
void names_destroy(struct names *names);
/* Who hears of moves; NULL: nobody. */
void names_set_listener(struct names *names, names_on_moved *on_moved, void *owner);

/* The nodes of this epoch are looked after from now on, and no others. False when memory is out. */
bool names_apply(struct names *names, struct epoch *epoch);

/* Where the node may be: its address first, then the others that its name had in the last answer. 0: it has no address. */
size_t names_places(const struct names *names, const struct roster_node *node, struct address places[NAMES_PLACES_MAXIMUM]);
/* The node is at this one of its places. */
void names_confirm(struct names *names, struct roster_node *node, const struct address *place);
/* Nobody can connect to any of its places: the name is asked for again, a second after the last question at the earliest. */
void names_ask_again(struct names *names, const struct roster_node *node);

#endif
