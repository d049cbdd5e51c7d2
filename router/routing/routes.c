/*
 * The routes of InfluxDB 3 Enterprise, one row each. The database compares method and path exactly, so does this table:
 * no prefix, no tolerated trailing slash, and HEAD is no route at all (the node answers 404, as it does to any unknown
 * pair) but for the cluster's own health, which load balancers ask for in either way.
 *
 * A row says where the state behind the route lives, because that decides who may serve it:
 *   - in the object store (catalog): any node, query nodes first; compact-only nodes stay with their work;
 *   - in one process (plugin files, virtual environments, concurrency limit, metrics): the node that the client names;
 *   - in the compactor (backup, restore, import): that one.
 * And whether doing it twice does harm. SAFE rows may answer the repeat differently from the first time (409 for a
 * second create, 404 for a second delete): the state is the one that was asked for. UNSENT is for a secret that is
 * shown once, a new sequence number, a job without a name and a plugin's side effects. STREAMED is UNSENT for what acts while
 * its body still comes in (an import, a gRPC call of messages), and wherever nothing is known.
 *
 * Two things that a row cannot say, because they stand in the body: node/stop is better sent to another node than the
 * one to be stopped, and node/remove with force_finalize may lose data (hence UNSENT, although plain removal is
 * repeatable).
 *
 * Rows of class flight serve only gRPC, rows of class writeback only writes that came back from a plugin; classify.c
 * picks them by those facts, never by path alone. Rows with an exact path are looked at before patterns, patterns in
 * this order.
 */
#include "routing/classify.h"

#define INGEST NODE_CAPABILITY_INGEST
#define QUERY NODE_CAPABILITY_QUERY
#define COMPACT NODE_CAPABILITY_COMPACT
#define PROCESS NODE_CAPABILITY_PROCESS
#define EVERY (INGEST | QUERY | COMPACT | PROCESS)

#define SAFE ROUTE_REPEAT_SAFE
#define UNSENT ROUTE_REPEAT_UNSENT
#define STREAMED ROUTE_REPEAT_STREAMED
#define ONE ROUTE_TARGET_ONE
#define NAMED ROUTE_TARGET_NAMED
#define NAMED_OR_ONE ROUTE_TARGET_NAMED_OR_ONE
#define NAMED_OR_ALL ROUTE_TARGET_NAMED_OR_ALL

/* One line a class, so that a row below shows only what differs. */
/* clang-format off */
#define ROW(methods, path, class, capabilities, preferred, repeat, target) \
    {methods, path, REQUEST_CLASS_##class, capabilities, preferred, repeat, target}
/* clang-format on */
#define WRITE_ROW(path) ROW("POST", path, WRITE, INGEST, 0, ROUTE_REPEAT_WRITE, ONE)
#define WRITEBACK_ROW(path) ROW("POST", path, WRITEBACK, INGEST, 0, UNSENT, ONE)
#define QUERY_ROW(methods, path) ROW(methods, path, QUERY, QUERY, 0, SAFE, ONE)
#define FLIGHT_ROW(path, repeat) ROW("POST", path, FLIGHT, QUERY, 0, repeat, ONE)
#define CATALOG_ROW(methods, path, repeat) ROW(methods, path, CATALOG, 0, QUERY, repeat, ONE)
#define PLUGIN_ROW(methods, path, repeat, target) ROW(methods, path, PLUGIN, PROCESS, 0, repeat, target)
#define COMPACTION_ROW(methods, path, repeat) ROW(methods, path, COMPACTION, COMPACT, 0, repeat, ONE)
#define LOADCAP_ROW(methods, path) ROW(methods, path, NODE, QUERY, 0, SAFE, NAMED_OR_ONE)
#define NODE_ROW(methods, path) ROW(methods, path, NODE, EVERY, 0, SAFE, NAMED)
#define SYSTEM_ROW(methods, path) ROW(methods, path, SYSTEM, 0, 0, SAFE, ROUTE_TARGET_SLUICE)

#define API "/api/v3/"
#define CONFIGURE API "configure/"
#define ENTERPRISE API "enterprise/"
#define PLUGIN_TEST API "plugin_test/"
#define TRIGGER CONFIGURE "processing_engine_trigger"
#define FLIGHT_SERVICE "/arrow.flight.protocol.FlightService/"

const struct route routes_builtin[] = {
    /* Every node answers OPTIONS alike, on any path and without a token: so does Sluice (CORS preflight). */
    SYSTEM_ROW("OPTIONS", "*"),

    /* Data: written to one node's WAL, read from any query node. */
    WRITE_ROW("/write"),
    WRITE_ROW("/api/v2/write"),
    WRITE_ROW(API "write_lp"),
    WRITEBACK_ROW("/write"),
    WRITEBACK_ROW("/api/v2/write"),
    WRITEBACK_ROW(API "write_lp"),
    /* v1 clients also create databases here; in v3 this path knows no other statement that changes anything. */
    QUERY_ROW("GET POST", "/query"),
    QUERY_ROW("GET POST", API "query_sql"),
    QUERY_ROW("GET POST", API "query_influxql"),
    QUERY_ROW("GET", API "export/databases"),
    QUERY_ROW("GET", API "export/tables"),
    QUERY_ROW("GET", API "export/windows"),
    QUERY_ROW("GET", API "export/window_data"),
    /* A plugin's own code runs: repeat it only when no plugin ran (routing/answer.h). */
    ROW("GET POST", API "engine/*", ENGINE, PROCESS, QUERY, UNSENT, ONE),

    /* Flight keeps no state between its calls: tickets and prepared statements carry the query in them. */
    FLIGHT_ROW(FLIGHT_SERVICE "Handshake", SAFE),
    FLIGHT_ROW(FLIGHT_SERVICE "DoGet", SAFE),
    FLIGHT_ROW(FLIGHT_SERVICE "GetFlightInfo", SAFE),
    FLIGHT_ROW(FLIGHT_SERVICE "DoAction", SAFE),
    FLIGHT_ROW(FLIGHT_SERVICE "DoPut", SAFE),
    FLIGHT_ROW(FLIGHT_SERVICE "GetSchema", SAFE),
    FLIGHT_ROW(FLIGHT_SERVICE "ListFlights", SAFE),
    FLIGHT_ROW(FLIGHT_SERVICE "PollFlightInfo", SAFE),
    FLIGHT_ROW(FLIGHT_SERVICE "ListActions", SAFE),
    FLIGHT_ROW(FLIGHT_SERVICE "DoExchange", STREAMED),
    ROW("*", "*", FLIGHT, QUERY, 0, STREAMED, ONE), /* any other gRPC: the node calls it unimplemented */

    /* Databases, tables, caches, retention. */
    CATALOG_ROW("GET POST PUT DELETE", CONFIGURE "database", SAFE),
    CATALOG_ROW("POST DELETE", CONFIGURE "database/retention_period", SAFE),
    CATALOG_ROW("POST PUT DELETE", CONFIGURE "table", SAFE),
    CATALOG_ROW("POST DELETE", CONFIGURE "distinct_cache", SAFE),
    CATALOG_ROW("POST DELETE", CONFIGURE "last_cache", SAFE),
    CATALOG_ROW("POST DELETE", ENTERPRISE "configure/file_index", SAFE),
    CATALOG_ROW("POST DELETE", ENTERPRISE "configure/table/retention_period", SAFE),
    CATALOG_ROW("GET", API "row_delete_requests", SAFE),
    CATALOG_ROW("POST", API "row_delete_requests", UNSENT),
    CATALOG_ROW("POST", API "row_delete_requests/{sequence}/abort", SAFE),

    /* Tokens, users, roles. */
    CATALOG_ROW("POST", CONFIGURE "token/admin", UNSENT),
    CATALOG_ROW("POST", CONFIGURE "token/admin/regenerate", UNSENT),
    CATALOG_ROW("POST", CONFIGURE "token/named_admin", UNSENT),
    CATALOG_ROW("DELETE", CONFIGURE "token", SAFE),
    CATALOG_ROW("POST", ENTERPRISE "configure/token", UNSENT),
    CATALOG_ROW("POST", CONFIGURE "user", UNSENT),
    CATALOG_ROW("POST", API "authorize", SAFE),
    CATALOG_ROW("POST", API "authorize/refresh", UNSENT),
    CATALOG_ROW("POST", API "authorize/reset-password", UNSENT),
    CATALOG_ROW("GET", API "auth/oauth/config", SAFE),
    CATALOG_ROW("GET", API "users", SAFE),
    CATALOG_ROW("POST", API "users", UNSENT),
    CATALOG_ROW("GET DELETE", API "users/{id}", SAFE),
    CATALOG_ROW("PATCH", API "users/{id}", UNSENT),
    CATALOG_ROW("POST", API "users/{id}/require-password-reset", SAFE),
    CATALOG_ROW("GET PUT", API "users/{id}/roles", SAFE),
    /* The subject of an identity provider may be a URL, or DOMAIN\\name. */
    CATALOG_ROW("GET", API "users_by_oauth_id/{+oauth_id}", SAFE),
    CATALOG_ROW("GET", API "roles", SAFE),
    CATALOG_ROW("GET", API "roles/{id}/permissions", SAFE),
    CATALOG_ROW("GET", API "roles_by_name/{+role_name}", SAFE),

    /* Triggers: the node that gets the creation looks for the plugin file in its own plugin_dir. */
    ROW("POST", TRIGGER, CATALOG, PROCESS, QUERY, UNSENT, ONE),
    CATALOG_ROW("DELETE", TRIGGER, SAFE),
    CATALOG_ROW("POST", TRIGGER "/disable", SAFE),
    CATALOG_ROW("POST", TRIGGER "/enable", SAFE),

    /* One node's own plugin files and Python packages. */
    PLUGIN_ROW("POST", CONFIGURE "plugin_environment/install_packages", SAFE, NAMED_OR_ALL),
    PLUGIN_ROW("POST", CONFIGURE "plugin_environment/install_requirements", SAFE, NAMED_OR_ALL),
    PLUGIN_ROW("POST", PLUGIN_TEST "wal", SAFE, NAMED_OR_ONE),
    PLUGIN_ROW("POST", PLUGIN_TEST "schedule", UNSENT, NAMED_OR_ONE),
    PLUGIN_ROW("POST", API "plugins/files", UNSENT, NAMED_OR_ALL),
    PLUGIN_ROW("PUT", API "plugins/files", SAFE, NAMED_OR_ALL),
    PLUGIN_ROW("PUT", API "plugins/directory", SAFE, NAMED_OR_ALL),

    /* Members of the cluster. */
    CATALOG_ROW("POST", ENTERPRISE "configure/node/stop", UNSENT),
    CATALOG_ROW("POST", ENTERPRISE "configure/node/remove", UNSENT),
    CATALOG_ROW("GET", ENTERPRISE "configure/query_groups", SAFE),
    CATALOG_ROW("POST", ENTERPRISE "configure/query_groups", UNSENT),
    CATALOG_ROW("GET PUT DELETE", ENTERPRISE "configure/query_groups/{id}", SAFE),
    CATALOG_ROW("PATCH", ENTERPRISE "configure/query_groups/{id}", UNSENT),

    /* The compactor's. */
    COMPACTION_ROW("GET DELETE", ENTERPRISE "backup", SAFE),
    COMPACTION_ROW("POST", ENTERPRISE "backup", UNSENT),
    COMPACTION_ROW("GET DELETE", ENTERPRISE "backup/{name}", SAFE),
    COMPACTION_ROW("GET", ENTERPRISE "restore", SAFE),
    COMPACTION_ROW("POST", ENTERPRISE "restore", UNSENT),
    COMPACTION_ROW("GET DELETE", ENTERPRISE "restore/{id}", SAFE),
    COMPACTION_ROW("GET", ENTERPRISE "import", SAFE),
    COMPACTION_ROW("POST", ENTERPRISE "import", STREAMED),
    COMPACTION_ROW("GET POST PUT DELETE", ENTERPRISE "upgrade/parquet_cleanup", UNSENT),

    /* One process's own: the answer of any other node would be about that other node. */
    ROW("GET", CONFIGURE "query_concurrency_limit", NODE, QUERY, 0, SAFE, NAMED_OR_ONE),
    ROW("PUT POST DELETE", CONFIGURE "query_concurrency_limit", NODE, QUERY, 0, SAFE, NAMED_OR_ALL),
    ROW("POST", API "loadcap/start", NODE, QUERY, 0, UNSENT, NAMED),
    LOADCAP_ROW("GET", API "loadcap/profiles"),
    LOADCAP_ROW("GET DELETE", API "loadcap/profiles/{id}"),
    LOADCAP_ROW("GET", API "loadcap/profiles/{id}/preview"),
    LOADCAP_ROW("GET", API "loadcap/profiles/{id}/download"),
    NODE_ROW("GET", "/metrics"),
    NODE_ROW("GET POST", "/debug/pprof/heap"),
    ROW("GET", API "query_sql_telemetry", NODE, QUERY, 0, SAFE, NAMED),
    ROW("GET", API "test/telemetry_snapshot", NODE, 0, 0, UNSENT, ROUTE_TARGET_NOBODY),

    /* The cluster as a whole. */
    SYSTEM_ROW("GET HEAD", "/health"),
    SYSTEM_ROW("GET HEAD", "/api/v1/health"),
    SYSTEM_ROW("GET HEAD", "/ready"),
    /* Forwarded, because clients read the database's version; the compactor is asked last. */
    ROW("GET POST", "/ping", SYSTEM, EVERY, INGEST | QUERY, SAFE, ONE),
};

const size_t routes_builtin_count = sizeof(routes_builtin) / sizeof(routes_builtin[0]);
