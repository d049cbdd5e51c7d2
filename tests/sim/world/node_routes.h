#ifndef SLUICE_SIM_WORLD_NODE_ROUTES_H
#define SLUICE_SIM_WORLD_NODE_ROUTES_H
/*
 * What a node can be asked for, and which nodes Sluice may ask: the simulator's own table. It does not know the router's, which it judges.
 */
#include <stdbool.h>

#include "base/text.h"

enum node_work {
    NODE_WORK_WRITE_V1,
    NODE_WORK_WRITE_V2,
    NODE_WORK_WRITE_V3,
    NODE_WORK_QUERY,
    NODE_WORK_QUERY_V1,
    NODE_WORK_FLIGHT,
    NODE_WORK_ENGINE,
    NODE_WORK_DATABASE,
    NODE_WORK_CATALOG,
    NODE_WORK_PLUGIN,
    NODE_WORK_COMPACTOR,
    NODE_WORK_LIMIT,
    NODE_WORK_HEALTH,
    NODE_WORK_READY,
    NODE_WORK_PING,
    NODE_WORK_METRICS,
    NODE_WORK_NOTHING,
};

struct node_route {
    const char *methods; /* "GET POST" */
    const char *path;    /* with an asterisk at its end: what begins so */
    enum node_work work;
    unsigned roles;      /* of enum plan_role: one of them is enough; 0: any node that does more than compact */
    bool is_once;        /* twice does harm: the ledger hears of it as of a write */
};

/* Never NULL; what the database does not know is NODE_WORK_NOTHING. `path` is without the query. */
const struct node_route *route_of(struct text method, struct text path, bool is_grpc);
bool route_is_write(const struct node_route *route);
/* May a node of these roles be asked? */
bool route_fits(const struct node_route *route, unsigned roles);

#endif
