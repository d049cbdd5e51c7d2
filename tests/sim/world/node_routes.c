#include "world/node_routes.h"

#include "world/plan.h"

#define ANY 0
#define EVERY PLAN_ROLE_ALL
#define INGEST PLAN_ROLE_INGEST
#define QUERY PLAN_ROLE_QUERY
#define COMPACT PLAN_ROLE_COMPACT
#define PROCESS PLAN_ROLE_PROCESS

#define API "/api/v3/"

/* The first row that fits is the one. */
/* clang-format off */
static const struct node_route routes[] = {
    {"POST", "/write", NODE_WORK_WRITE_V1, INGEST, false},
    {"POST", "/api/v2/write", NODE_WORK_WRITE_V2, INGEST, false},
    {"POST", API "write_lp", NODE_WORK_WRITE_V3, INGEST, false},
    {"GET POST", "/query", NODE_WORK_QUERY_V1, QUERY, false},
    {"GET POST", API "query_sql", NODE_WORK_QUERY, QUERY, false},
    {"GET POST", API "query_influxql", NODE_WORK_QUERY, QUERY, false},
    {"GET", API "export/*", NODE_WORK_QUERY, QUERY, false},
    {"GET", "/ready", NODE_WORK_READY, EVERY, false},
    {"GET", "/health", NODE_WORK_HEALTH, EVERY, false},
    {"GET", "/api/v1/health", NODE_WORK_HEALTH, EVERY, false},
    {"GET POST", "/ping", NODE_WORK_PING, EVERY, false},
    {"GET", "/metrics", NODE_WORK_METRICS, EVERY, false},
    {"GET POST", API "engine/*", NODE_WORK_ENGINE, PROCESS, true},
    {"GET POST PUT DELETE", API "configure/database", NODE_WORK_DATABASE, ANY, false},
    {"POST", API "configure/processing_engine_trigger", NODE_WORK_CATALOG, PROCESS, true},
    {"POST", API "configure/plugin_environment/*", NODE_WORK_PLUGIN, PROCESS, false},
    {"POST", API "plugin_test/*", NODE_WORK_PLUGIN, PROCESS, false},
    {"POST PUT", API "plugins/*", NODE_WORK_PLUGIN, PROCESS, false},
    {"GET PUT POST DELETE", API "configure/query_concurrency_limit", NODE_WORK_LIMIT, QUERY, false},
    {"GET POST DELETE", API "loadcap/*", NODE_WORK_LIMIT, QUERY, false},
    {"POST", API "configure/token/*", NODE_WORK_CATALOG, ANY, true},
    {"POST", API "configure/user", NODE_WORK_CATALOG, ANY, true},
    {"GET POST PUT DELETE", API "configure/*", NODE_WORK_CATALOG, ANY, false},
    {"POST", API "enterprise/configure/token", NODE_WORK_CATALOG, ANY, true},
    {"POST", API "enterprise/configure/query_groups", NODE_WORK_CATALOG, ANY, true},
    {"POST", API "enterprise/configure/node/*", NODE_WORK_CATALOG, ANY, false},
    {"GET POST PUT PATCH DELETE", API "enterprise/configure/*", NODE_WORK_CATALOG, ANY, false},
    {"POST", API "enterprise/backup", NODE_WORK_COMPACTOR, COMPACT, true},
    {"POST", API "enterprise/restore", NODE_WORK_COMPACTOR, COMPACT, true},
    {"POST", API "enterprise/import", NODE_WORK_COMPACTOR, COMPACT, true},
    {"GET DELETE", API "enterprise/backup*", NODE_WORK_COMPACTOR, COMPACT, false},
    {"GET DELETE", API "enterprise/restore*", NODE_WORK_COMPACTOR, COMPACT, false},
    {"GET", API "enterprise/import", NODE_WORK_COMPACTOR, COMPACT, false},
    {"GET POST PUT DELETE", API "enterprise/upgrade/*", NODE_WORK_COMPACTOR, COMPACT, false},
    {"POST", API "users", NODE_WORK_CATALOG, ANY, true},
    {"POST", API "row_delete_requests", NODE_WORK_CATALOG, ANY, true},
    {"GET POST", API "row_delete_requests*", NODE_WORK_CATALOG, ANY, false},
    {"GET POST PUT PATCH DELETE", API "users*", NODE_WORK_CATALOG, ANY, false},
    {"GET", API "roles*", NODE_WORK_CATALOG, ANY, false},
    {"POST", API "authorize*", NODE_WORK_CATALOG, ANY, false},
};
/* clang-format on */

static const struct node_route flight = {"POST", "", NODE_WORK_FLIGHT, QUERY, false};
/* A path that the database does not know may be asked of any node that serves. */
static const struct node_route nothing = {"", "", NODE_WORK_NOTHING, ANY, false};

static bool has_method(const char *methods, struct text method)
{
    struct text rest = text_of_string(methods);
    while (rest.bytes != NULL) {
        if (text_equals(text_cut(&rest, ' '), method))
            return true;
    }
    return false;
}

static bool has_path(const char *pattern, struct text path)
{
    size_t length = strlen(pattern);
    if (pattern[length - 1] == '*')
        return text_starts_with(path, text_of(pattern, length - 1));
    return text_equals(path, text_of(pattern, length));
}

const struct node_route *route_of(struct text method, struct text path, bool is_grpc)
{
    if (is_grpc)
        return &flight;
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        if (has_path(routes[i].path, path) && has_method(routes[i].methods, method))
            return &routes[i];
    }
    return &nothing;
}

bool route_is_write(const struct node_route *route)
{
    return route->work <= NODE_WORK_WRITE_V3;
}

bool route_fits(const struct node_route *route, unsigned roles)
{
    return route->roles == 0 ? roles != PLAN_ROLE_COMPACT : (route->roles & roles) != 0;
}
