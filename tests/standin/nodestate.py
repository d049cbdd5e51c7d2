"""Routes about this very node: liveness, identity, metrics, its query limit, load captures; and stopping nodes."""
import json
import time
import uuid

from .auth import needed, require_admin
from .http1 import Response
from .modes import loadcap_refusal, refuse_json, refuse_text

LOWEST_LIMIT_WITHOUT_FORCE = 16


def json_response(status, value):
    return Response(status, json.dumps(value), content_type="application/json")


async def health(node, request):
    """Constant: also while a shutdown already refuses writes."""
    return Response(200, "OK", content_type="text/plain; charset=utf-8")


async def ready(node, request):
    if node.faults.node_has("not_ready"):
        return Response(503, "object store is not reachable", content_type="text/plain; charset=utf-8")
    return Response(200, "OK", content_type="text/plain; charset=utf-8")


async def ping(node, request):
    request_id = str(uuid.uuid4())
    answer = {"product_name": "InfluxDB 3 Enterprise", "version": node.settings.version, "revision": "standin",
              "process_id": node.process_id}
    headers = [("Request-Id", request_id), ("X-Influxdb-Build", "Enterprise"),
               ("X-Influxdb-Version", node.settings.version), ("X-Request-Id", request_id)]
    return Response(200, json.dumps(answer), headers=headers, content_type="application/json")


async def metrics(node, request):
    lines = ["# HELP http_requests_total accumulated total requests", "# TYPE http_requests_total counter"]
    for (method, path, status), count in sorted(node.request_counts.items()):
        lines.append(f'http_requests_total{{method="{method}",path="{path}",status="{status}"}} {count}')
    lines += ["# TYPE process_start_time_seconds gauge", f"process_start_time_seconds {node.started_at:.3f}",
              "# TYPE influxdb3_wal_flushes_total counter",
              f"influxdb3_wal_flushes_total {node.wal.flushes}", "# EOF", ""]
    return Response(200, "\n".join(lines), content_type="text/plain; version=0.0.4; charset=utf-8")


async def heap_profile(node, request):
    return Response(503, "heap profiling is not enabled")


# -- the query concurrency limit of this process


async def get_limit(node, request):
    require_admin(request)
    return json_response(200, {"limit": node.query_slots.limit})


async def put_limit(node, request):
    require_admin(request)
    params = request.params()
    fields = node.json_body(request) if request.body else params
    limit = fields.get("limit", params.get("limit"))
    if not str(limit).isdigit() or int(limit) == 0:
        raise refuse_json(400, {"error": f"invalid query concurrency limit: {limit}"})
    if int(limit) < LOWEST_LIMIT_WITHOUT_FORCE and params.get("force") != "true":
        raise refuse_json(400, {"error": f"a limit below {LOWEST_LIMIT_WITHOUT_FORCE} needs force=true"})
    node.query_slots.set_limit(int(limit))
    return json_response(200, {"limit": int(limit)})


async def delete_limit(node, request):
    require_admin(request)
    node.query_slots.set_limit(node.settings.max_concurrent_queries)
    return json_response(200, {"limit": node.query_slots.limit})


# -- nodes of the cluster


def may_stop_without_token(node):
    return "node_stop" in node.settings.disable_authz


async def stop_node(node, request):
    """Marks a node as stopping; a live one drains and exits when it learns of it."""
    if not may_stop_without_token(node):
        require_admin(request)
    name = needed(node.json_body(request), "node_id")

    def decide():
        record = node.catalog.get("node", name)
        if record is None:
            raise refuse_text(404, f"node not found: {name}")
        if record["state"] in ("stopping", "stopped"):
            raise refuse_text(400, f"tried to stop a node ({name}) that is already stopped")
        return [node_change(name, record, "stopping")], Response(200)
    return await node.catalog.change_caught_up(decide)


async def remove_node(node, request):
    require_admin(request)
    name = needed(node.json_body(request), "node_id")

    def decide():
        record = node.catalog.get("node", name)
        if record is None:
            raise refuse_text(404, f"node not found: {name}")
        if record["state"] == "removing":
            return [], Response(200)
        if record["state"] != "stopped":
            raise refuse_text(409, f"node ({name}) must be stopped before it can be removed")
        if {"compact", "all"} & set(record["mode"]):
            raise refuse_text(409, f"node ({name}) has compact mode and cannot be removed")
        return [node_change(name, record, "removing")], Response(200)
    return await node.catalog.change_caught_up(decide)


def node_change(name, record, state):
    return "put", "node", name, {**record, "state": state, "updated_at": int(time.time() * 1000)}


# -- load captures: one at a time, of this node's own traffic


def guard_capture(node, request):
    require_admin(request)
    refusal = loadcap_refusal(node.settings)
    if refusal:
        raise refusal


def find_capture(node, request):
    guard_capture(node, request)
    if request.path_id not in node.captures:
        raise refuse_json(404, {"error": "not found"})
    return node.captures[request.path_id]


async def list_captures(node, request):
    guard_capture(node, request)
    return json_response(200, list(node.captures.values()))


async def start_capture(node, request):
    guard_capture(node, request)
    if any(capture["status"] == "running" for capture in node.captures.values()):
        raise refuse_json(409, {"error": "a load capture is already running on this node"})
    number = str(uuid.uuid4())
    node.captures[number] = {"id": number, "node_id": node.settings.node_id, "status": "running"}
    return json_response(200, node.captures[number])


async def get_capture(node, request):
    return json_response(200, find_capture(node, request))


async def delete_capture(node, request):
    find_capture(node, request)
    del node.captures[request.path_id]
    return Response(204)
