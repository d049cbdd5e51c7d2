"""Catalog routes: databases, tables, caches, retention, row deletes, query groups, users. Any node takes them.

What a route creates is a record in the shared catalog, so the other nodes know it after their next catalog sync.
"""
import json
import time
import urllib.parse
import uuid

from . import formats
from .auth import needed, require_admin
from .catalog import key
from .http1 import Response
from .modes import refuse_json, refuse_text
from .write import database_name_error

FIELD_TYPES = {"utf8": "string", "string": "string", "int64": "integer", "integer": "integer",
               "uint64": "uinteger", "float64": "float", "float": "float", "bool": "boolean", "boolean": "boolean"}


def request_fields(node, request):
    """Parameters in the query string, or else in a JSON body."""
    if request.query:
        return dict(urllib.parse.parse_qsl(request.query, keep_blank_values=True))
    return node.json_body(request)


def not_found(what):
    return refuse_text(404, f"resource not found: {what}")


def conflict():
    return refuse_text(409, "attempted to create a resource that already exists")


# -- databases


async def list_databases(node, request):
    params = request.params()
    if "format" not in params:
        raise refuse_text(400, "serde error: missing field `format`")
    name = formats.choose(params["format"], None)
    encoder = formats.ENCODERS[name]()
    names = ["_internal"] + sorted(database for database, _ in node.catalog.all("database"))
    body = encoder.begin(["iox::database"]) + b"".join(encoder.row([one]) for one in names) + encoder.end()
    return Response(200, body, content_type=formats.CONTENT_TYPES[name])


async def create_database(node, request):
    require_admin(request)
    fields = node.json_body(request)
    name = needed(fields, "db")
    error = database_name_error(name)
    if error:
        raise refuse_json(400, {"error": error})

    def decide():
        if node.catalog.database_exists(name):
            raise conflict()
        return [("put", "database", name, {"retention_period": fields.get("retention_period")})], Response(200)
    return await node.catalog.change_caught_up(decide)


async def update_database(node, request):
    require_admin(request)
    fields = node.json_body(request)
    return await set_retention(node, needed(fields, "db"), fields.get("retention_period"))


async def set_database_retention(node, request):
    require_admin(request)
    fields = request_fields(node, request)
    return await set_retention(node, needed(fields, "db"), needed(fields, "duration"))


async def clear_database_retention(node, request):
    require_admin(request)
    return await set_retention(node, needed(request_fields(node, request), "db"), None)


async def set_retention(node, name, period):
    def decide():
        if not node.catalog.database_exists(name):
            raise not_found(name)
        return [("put", "database", name, {"retention_period": period})], Response(200)
    return await node.catalog.change_caught_up(decide)


async def delete_database(node, request):
    require_admin(request)
    name = needed(request.params(), "db")

    def decide():
        if not node.catalog.database_exists(name):
            raise not_found(name)
        return node.catalog.delete_database_changes(name), Response(200)
    return await node.catalog.change_caught_up(decide)


# -- tables


async def create_table(node, request):
    require_admin(request)
    fields = node.json_body(request)
    database, table = needed(fields, "db"), needed(fields, "table")
    columns = {tag: "tag" for tag in fields.get("tags", [])}
    for field in fields.get("fields", []):
        if field.get("type") not in FIELD_TYPES:
            raise refuse_text(400, f"serde json error: unknown variant `{field.get('type')}`")
        columns[needed(field, "name")] = FIELD_TYPES[field["type"]]

    def decide():
        if node.catalog.get("table", key(database, table)) is not None:
            raise conflict()
        changes = [("put", "table", key(database, table), {"columns": columns})]
        if not node.catalog.database_exists(database):
            changes.insert(0, ("put", "database", database, {"retention_period": None}))
        return changes, Response(200)
    return await node.catalog.change_caught_up(decide)


async def update_table(node, request):
    return await touch_table(node, request, node.json_body(request), 200)


async def set_table_retention(node, request):
    return await touch_table(node, request, request_fields(node, request), 204)


async def touch_table(node, request, fields, status):
    """Sets or clears a table's retention period."""
    require_admin(request)
    name = key(needed(fields, "db"), needed(fields, "table"))

    def decide():
        record = node.catalog.get("table", name)
        if record is None:
            raise not_found(fields["table"])
        period = fields.get("retention_period", fields.get("duration")) if request.method != "DELETE" else None
        return [("put", "table", name, {**record, "retention_period": period})], Response(status)
    return await node.catalog.change_caught_up(decide)


async def delete_table(node, request):
    require_admin(request)
    params = request.params()
    name = key(needed(params, "db"), needed(params, "table"))

    def decide():
        if node.catalog.get("table", name) is None:
            raise not_found(params["table"])
        return [("delete", "table", name, None)], Response(200)
    return await node.catalog.change_caught_up(decide)


# -- caches and file indexes: definitions on a table


def table_definition_routes(kind):
    """(create, delete) handlers for definitions of one kind."""
    async def create(node, request):
        require_admin(request)
        fields = node.json_body(request)
        database, table = needed(fields, "db"), needed(fields, "table")
        name = key(database, table, fields.get("name") or f"{table}_{kind}")

        def decide():
            if node.catalog.get("table", key(database, table)) is None:
                raise not_found(table)
            if node.catalog.get(kind, name) is not None:
                raise conflict()
            answer = Response(201, json.dumps(fields), content_type="application/json")
            return [("put", kind, name, fields)], answer
        return await node.catalog.change_caught_up(decide)

    async def delete(node, request):
        require_admin(request)
        fields = request_fields(node, request)
        table = needed(fields, "table")
        name = key(needed(fields, "db"), table, fields.get("name") or f"{table}_{kind}")

        def decide():
            if node.catalog.get(kind, name) is None:
                raise not_found(fields.get("name", kind))
            return [("delete", kind, name, None)], Response(200)
        return await node.catalog.change_caught_up(decide)

    return create, delete


# -- numbered records: query groups, users, row deletes


def json_response(status, value):
    return Response(status, json.dumps(value), content_type="application/json")


def record_routes(kind, id_field="id"):
    """(create, list, get, replace, delete) handlers for records that the server gives an id."""
    def find(node, request):
        record = node.catalog.get(kind, request.path_id)
        if record is None:
            raise refuse_json(404, {"error": "not found"})
        return record

    async def create(node, request):
        require_admin(request)
        fields = node.json_body(request)

        def decide():
            number = str(uuid.uuid4()) if id_field == "id" else str(1 + len(node.catalog.all(kind)))
            record = {**fields, id_field: number, "created_at": int(time.time()), "status": "active"}
            record.pop("password", None)
            return [("put", kind, number, record)], json_response(201, record)
        return await node.catalog.change_caught_up(decide)

    async def list_all(node, request):
        require_admin(request)
        return json_response(200, [record for _, record in node.catalog.all(kind)])

    async def get(node, request):
        require_admin(request)
        return json_response(200, find(node, request))

    async def replace(node, request):
        require_admin(request)
        fields = node.json_body(request) if request.body else {}

        def decide():
            record = {**find(node, request), **fields, id_field: request.path_id}
            return [("put", kind, request.path_id, record)], json_response(200, record)
        return await node.catalog.change_caught_up(decide)

    async def delete(node, request):
        require_admin(request)

        def decide():
            find(node, request)
            return [("delete", kind, request.path_id, None)], Response(204)
        return await node.catalog.change_caught_up(decide)

    return create, list_all, get, replace, delete


async def abort_row_delete(node, request):
    require_admin(request)

    def decide():
        record = node.catalog.get("row_delete", request.path_id)
        if record is None:
            raise refuse_json(404, {"error": "not found"})
        changed = {**record, "status": "aborted"}
        return [("put", "row_delete", request.path_id, changed)], json_response(200, changed)
    return await node.catalog.change_caught_up(decide)
