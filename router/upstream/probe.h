#ifndef SLUICE_UPSTREAM_PROBE_H
#define SLUICE_UPSTREAM_PROBE_H
/*
 * Active checks of all nodes, from the control thread: GET /ready, or /health where a node does not know /ready, on a fresh connection each
 * time, with the token from a file if there is one (read again for each round, so it may be changed in place). Results go
 * through routing/health.h and its state into the roster. A node in maintenance for every class is left alone. One that live traffic suspects
 * (roster_node_suspect) is asked at once, has a second, and is down with the first failure where another node can take its work.
 */
#include <stdbool.h>
#include <stdint.h>

struct epoch;
struct loop;
struct names;
struct prober;
struct roster_node;

/*
 * Without nodes until the first prober_apply. `names` outlives the prober: a node that its name moves is probed anew, and where nobody can
 * connect to a node's address the others of its name are tried, within the same round. NULL when memory is out.
 */
struct prober *prober_create(struct loop *loop, struct names *names);
void prober_destroy(struct prober *prober);

/*
 * The nodes of this epoch are probed from now on, by its settings, and no others; a node that is known keeps its health, one that is new is
 * probed at once; of many, one after the other, within an interval. False when memory is out: then some are not probed, and stay as they are.
 */
bool prober_apply(struct prober *prober, struct epoch *epoch);

/* The last result's name and when the state changed, for the status page. */
const char *prober_last_result(const struct prober *prober, const struct roster_node *node);
uint64_t prober_changed_ms(const struct prober *prober, const struct roster_node *node);

#endif
