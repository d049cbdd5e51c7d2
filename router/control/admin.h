#ifndef SLUICE_CONTROL_ADMIN_H
#define SLUICE_CONTROL_ADMIN_H
/*
 * The operator's listener: a session like any other, whose requests are looked up in a small table. Reading only.
 *   GET /status   the cluster as Sluice sees it, JSON      GET /metrics   counters, Prometheus text      GET /health   "OK"
 */
#include <stddef.h>

struct admin;
struct cluster;
struct fleet;
struct loop;
struct prober;

struct admin_settings {
    struct cluster *cluster;     /* ref */
    const struct fleet *fleet;   /* ref */
    const struct prober *prober; /* ref */
};

/* NULL with a sentence in `reason`. */
struct admin *admin_create(struct loop *loop, const struct admin_settings *settings, char *reason, size_t capacity);
void admin_destroy(struct admin *admin);

#endif
