#ifndef SLUICE_UPSTREAM_PROBE_H
#define SLUICE_UPSTREAM_PROBE_H
/*
 * Active checks of all nodes, from the control thread: GET /ready, or /health where a node does not know /ready, on a fresh connection each
 * time, with the token from a file if there is one (read again for each round, so it may be changed in place). Results go
 * through routing/health.h and its state into the cluster's atomics.
 *
 * Names of nodes are resolved here, too: at the start and then every PROBE_RESOLVE_MS; the last good address stays in use.
 */
#include <stdint.h>

struct cluster;
struct loop;
struct prober;

#define PROBE_RESOLVE_MS 30000

/* NULL when memory is out. The first round starts with the loop. */
struct prober *prober_create(struct loop *loop, struct cluster *cluster);
void prober_destroy(struct prober *prober);

/* The last result's name and the state's age, for the status page. */
const char *prober_last_result(const struct prober *prober, unsigned node);
uint64_t prober_changed_ms(const struct prober *prober, unsigned node);

#endif
