"""Backup, restore and import: work of the one compactor. Other nodes answer as modes.py says.

Jobs are records in the catalog, so they survive a restart of the compactor. A job is finished JOB_SECONDS after it
was started; nothing is copied.
"""
import json
import time
import uuid

from .auth import require_admin
from .http1 import Response
from .modes import compactor_refusal, refuse_json

JOB_SECONDS = 0.5


def guard(node, request):
    require_admin(request)
    refusal = compactor_refusal(node.settings, request.method, request.path)
    if refusal:
        raise refusal


def json_response(status, value):
    return Response(status, json.dumps(value), content_type="application/json")


def described(record):
    """A job as it stands now."""
    state = record["state"]
    if state == "running" and time.time() >= record["started_at"] + JOB_SECONDS:
        state = "completed"
    return {**record, "state": state}


def missing():
    return refuse_json(404, {"error": "not found"})


async def start_backup(node, request):
    guard(node, request)
    fields = node.json_body(request) if request.body else {}
    name = fields.get("name") or f"backup-{uuid.uuid4()}"

    def decide():
        if node.catalog.get("backup", name) is not None:
            raise refuse_json(409, {"error": f"backup '{name}' already exists"})
        record = {"name": name, "state": "running", "started_at": time.time()}
        return [("put", "backup", name, record)], json_response(202, described(record))
    return await node.catalog.change_caught_up(decide)


async def start_restore(node, request):
    guard(node, request)
    fields = node.json_body(request)
    backup = fields.get("backup_name") or fields.get("name")

    def decide():
        source = node.catalog.get("backup", backup)
        if source is None:
            raise missing()
        if any(described(record)["state"] == "running" for _, record in node.catalog.all("restore")):
            raise refuse_json(409, {"error": "a restore is already in progress"})
        number = str(uuid.uuid4())
        record = {"id": number, "backup_name": backup, "state": "running", "started_at": time.time()}
        return [("put", "restore", number, record)], json_response(202, described(record))
    return await node.catalog.change_caught_up(decide)


async def start_import(node, request):
    guard(node, request)
    size = len(request.body)
    number = str(uuid.uuid4())
    record = {"id": number, "state": "running", "bytes": size, "started_at": time.time()}
    return await node.catalog.change_caught_up(
        lambda: ([("put", "import", number, record)], json_response(202, described(record))))


def listing(kind):
    async def list_jobs(node, request):
        guard(node, request)
        return json_response(200, [described(record) for _, record in node.catalog.all(kind)])
    return list_jobs


def one_job(kind):
    async def get_job(node, request):
        guard(node, request)
        record = node.catalog.get(kind, request.path_id)
        if record is None:
            raise missing()
        return json_response(200, described(record))
    return get_job


async def delete_backup(node, request):
    guard(node, request)
    name = request.path_id

    def decide():
        if node.catalog.get("backup", name) is None:
            raise missing()
        if any(record["backup_name"] == name and described(record)["state"] == "running"
               for _, record in node.catalog.all("restore")):
            raise refuse_json(409, {"error": f"backup '{name}' is in use"})
        return [("delete", "backup", name, None)], Response(204)
    return await node.catalog.change_caught_up(decide)


async def cancel_backup(node, request):
    """Cancels the running backup that the request names."""
    guard(node, request)
    fields = request.params() or (node.json_body(request) if request.body else {})
    return await cancel(node, "backup", fields.get("name"))


async def cancel_restore(node, request):
    guard(node, request)
    return await cancel(node, "restore", request.path_id)


async def cancel(node, kind, name):
    def decide():
        record = node.catalog.get(kind, name)
        if record is None or described(record)["state"] != "running":
            raise missing()
        return [("put", kind, name, {**record, "state": "cancelled"})], Response(204)
    return await node.catalog.change_caught_up(decide)
