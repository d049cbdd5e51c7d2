"""Every route of the database as (method, path) -> handler.

Matching is exact: no trailing slash, no case folding, no prefixes but the engine's; a wrong method on a known path is
the same 404 as an unknown path, and so is HEAD everywhere. `{}` in a path stands for one segment, given to the
handler as request.path_id. Handlers are async callables (node, request) -> Response.
"""
from . import admin, auth, compactor, engine, nodestate, query, v1query, write

CONFIGURE = "/api/v3/configure"
ENTERPRISE = "/api/v3/enterprise"

ROUTES = {
    ("POST", "/write"): write.write_v1,
    ("POST", "/api/v2/write"): write.write_v2,
    ("POST", "/api/v3/write_lp"): write.write_v3,
    ("GET", "/query"): v1query.query_v1,
    ("POST", "/query"): v1query.query_v1,
    ("GET", "/api/v3/query_sql"): query.query_sql,
    ("POST", "/api/v3/query_sql"): query.query_sql,
    ("GET", "/api/v3/query_influxql"): query.query_influxql,
    ("POST", "/api/v3/query_influxql"): query.query_influxql,

    ("GET", f"{CONFIGURE}/database"): admin.list_databases,
    ("POST", f"{CONFIGURE}/database"): admin.create_database,
    ("PUT", f"{CONFIGURE}/database"): admin.update_database,
    ("DELETE", f"{CONFIGURE}/database"): admin.delete_database,
    ("POST", f"{CONFIGURE}/database/retention_period"): admin.set_database_retention,
    ("DELETE", f"{CONFIGURE}/database/retention_period"): admin.clear_database_retention,
    ("POST", f"{CONFIGURE}/table"): admin.create_table,
    ("PUT", f"{CONFIGURE}/table"): admin.update_table,
    ("DELETE", f"{CONFIGURE}/table"): admin.delete_table,
    ("POST", f"{ENTERPRISE}/configure/table/retention_period"): admin.set_table_retention,
    ("DELETE", f"{ENTERPRISE}/configure/table/retention_period"): admin.set_table_retention,
    ("POST", "/api/v3/row_delete_requests/{}/abort"): admin.abort_row_delete,

    ("DELETE", f"{CONFIGURE}/token"): auth.delete_token,
    ("POST", f"{CONFIGURE}/token/admin"): auth.create_operator_token,
    ("POST", f"{CONFIGURE}/token/admin/regenerate"): auth.regenerate_operator_token,
    ("POST", f"{CONFIGURE}/token/named_admin"): auth.create_named_admin_token,
    ("POST", f"{ENTERPRISE}/configure/token"): auth.create_resource_token,

    ("POST", f"{CONFIGURE}/processing_engine_trigger"): engine.create_trigger,
    ("DELETE", f"{CONFIGURE}/processing_engine_trigger"): engine.delete_trigger,
    ("POST", f"{CONFIGURE}/processing_engine_trigger/disable"): engine.switch_trigger(True),
    ("POST", f"{CONFIGURE}/processing_engine_trigger/enable"): engine.switch_trigger(False),
    ("POST", f"{CONFIGURE}/plugin_environment/install_packages"): engine.install,
    ("POST", f"{CONFIGURE}/plugin_environment/install_requirements"): engine.install,
    ("POST", "/api/v3/plugin_test/wal"): engine.plugin_test,
    ("POST", "/api/v3/plugin_test/schedule"): engine.plugin_test,
    ("POST", "/api/v3/plugins/files"): engine.create_plugin_file,
    ("PUT", "/api/v3/plugins/files"): engine.update_plugin_file,
    ("PUT", "/api/v3/plugins/directory"): engine.replace_plugin_directory,

    ("POST", f"{ENTERPRISE}/configure/node/stop"): nodestate.stop_node,
    ("POST", f"{ENTERPRISE}/configure/node/remove"): nodestate.remove_node,
    ("GET", f"{CONFIGURE}/query_concurrency_limit"): nodestate.get_limit,
    ("PUT", f"{CONFIGURE}/query_concurrency_limit"): nodestate.put_limit,
    ("DELETE", f"{CONFIGURE}/query_concurrency_limit"): nodestate.delete_limit,

    ("POST", f"{ENTERPRISE}/backup"): compactor.start_backup,
    ("GET", f"{ENTERPRISE}/backup"): compactor.listing("backup"),
    ("DELETE", f"{ENTERPRISE}/backup"): compactor.cancel_backup,
    ("GET", f"{ENTERPRISE}/backup/{{}}"): compactor.one_job("backup"),
    ("DELETE", f"{ENTERPRISE}/backup/{{}}"): compactor.delete_backup,
    ("POST", f"{ENTERPRISE}/restore"): compactor.start_restore,
    ("GET", f"{ENTERPRISE}/restore"): compactor.listing("restore"),
    ("GET", f"{ENTERPRISE}/restore/{{}}"): compactor.one_job("restore"),
    ("DELETE", f"{ENTERPRISE}/restore/{{}}"): compactor.cancel_restore,
    ("POST", f"{ENTERPRISE}/import"): compactor.start_import,
    ("GET", f"{ENTERPRISE}/import"): compactor.listing("import"),

    ("GET", "/api/v3/loadcap/profiles"): nodestate.list_captures,
    ("POST", "/api/v3/loadcap/start"): nodestate.start_capture,
    ("GET", "/api/v3/loadcap/profiles/{}"): nodestate.get_capture,
    ("DELETE", "/api/v3/loadcap/profiles/{}"): nodestate.delete_capture,
    ("GET", "/api/v3/loadcap/profiles/{}/preview"): nodestate.get_capture,
    ("GET", "/api/v3/loadcap/profiles/{}/download"): nodestate.get_capture,

    ("GET", "/health"): nodestate.health,
    ("GET", "/api/v1/health"): nodestate.health,
    ("GET", "/ready"): nodestate.ready,
    ("GET", "/ping"): nodestate.ping,
    ("POST", "/ping"): nodestate.ping,
    ("GET", "/metrics"): nodestate.metrics,
    ("GET", "/debug/pprof/heap"): nodestate.heap_profile,
    ("POST", "/debug/pprof/heap"): nodestate.heap_profile,
}


def add_definitions(path, kind):
    create, delete = admin.table_definition_routes(kind)
    ROUTES[("POST", path)] = create
    ROUTES[("DELETE", path)] = delete


def add_records(path, kind, id_field, verbs):
    """Routes for records with an id: `verbs` are those the database has."""
    create, list_all, get, replace, delete = admin.record_routes(kind, id_field)
    offered = {"POST": (path, create), "GET": (path, list_all), "GET {}": (path + "/{}", get),
               "PUT {}": (path + "/{}", replace), "PATCH {}": (path + "/{}", replace),
               "DELETE {}": (path + "/{}", delete)}
    for verb in verbs:
        route_path, handler = offered[verb]
        ROUTES[(verb.split()[0], route_path)] = handler


add_definitions(f"{CONFIGURE}/distinct_cache", "distinct_cache")
add_definitions(f"{CONFIGURE}/last_cache", "last_cache")
add_definitions(f"{ENTERPRISE}/configure/file_index", "file_index")
add_records(f"{ENTERPRISE}/configure/query_groups", "query_group", "id",
            ("POST", "GET", "GET {}", "PUT {}", "PATCH {}", "DELETE {}"))
add_records("/api/v3/users", "user", "id", ("POST", "GET", "GET {}", "PATCH {}", "DELETE {}"))
add_records("/api/v3/row_delete_requests", "row_delete", "sequence", ("POST", "GET"))

PATTERNS = [(method, path.split("/"), handler) for (method, path), handler in ROUTES.items() if "{}" in path]


def find(request):
    """The handler of a request, or None; sets request.path_id."""
    request.path_id = None
    handler = ROUTES.get((request.method, request.path))
    if handler is not None:
        return handler
    if request.path.startswith(engine.PREFIX) and request.method in ("GET", "POST"):
        return engine.request_trigger
    segments = request.path.split("/")
    for method, pattern, handler in PATTERNS:
        if method == request.method and len(pattern) == len(segments) and \
                all(want in (got, "{}") for want, got in zip(pattern, segments)):
            request.path_id = segments[pattern.index("{}")]
            return handler if request.path_id else None
    return None
