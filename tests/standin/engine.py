"""The processing engine: request triggers, trigger definitions, plugin files and packages.

A request trigger exists only on the nodes of its node spec; elsewhere the node answers the exact odd body of
modes.ENGINE_NOT_FOUND. Triggers come from --trigger and from the catalog. There is no Python in a plugin here: the
kind of trigger decides what it does, for a trigger in the catalog it is the stem of its plugin's file name.

    echo    200 with what the plugin saw: node, path, parameters, headers, body
    write   posts the body as line protocol to the --writeback-url list as the reference write-back module does
    slow    200 after ?ms= milliseconds (1000)
    404     a 404 of the plugin's own
    error   500, the handler is dead
"""
import asyncio
import json
import os
import re
import urllib.error
import urllib.request

from .auth import needed, read_token_file, require_admin
from .catalog import key
from .exchange import Panic
from .http1 import Response
from .modes import ENGINE_NOT_FOUND, NO_ENGINE, engine_refusal, refuse_text
from .admin import request_fields

PREFIX = "/api/v3/engine/"
KINDS = ("echo", "write", "404", "slow", "error")
WRITEBACK_TIMEOUT_SECONDS = 10.0
MISSING_PLUGIN_EXIT_STATUS = 101


class Trigger:
    """A request trigger as this node knows it."""

    def __init__(self, path, kind, node_spec):
        self.path = path.strip("/")
        self.kind = kind if kind in KINDS else "echo"
        self.node_spec = node_spec

    def runs_on(self, node_id):
        return self.node_spec == "all" or node_id in self.node_spec.partition(":")[2].split(",")


def parse_trigger(text):
    """A Trigger from PATH=KIND[@nodes:a,b]; ValueError if it is none."""
    match = re.fullmatch(r"([^=@]+)=([a-z0-9]+)(?:@(all|nodes:[A-Za-z0-9,-]+))?", text)
    if not match or match[2] not in KINDS:
        raise ValueError(f"'{text}' is no trigger; write PATH=KIND[@nodes:a,b] with KIND of {', '.join(KINDS)}")
    return Trigger(match[1], match[2], match[3] or "all")


class Engine:
    """What one node has of the engine: its own triggers, its write-back pointer, its installed packages."""

    def __init__(self, settings):
        self.settings = settings
        self.own = [parse_trigger(text) for text in settings.trigger]
        self.next_url = 0
        self.packages = []

    def find(self, path, catalog):
        """The trigger that serves a path on this node, or None."""
        defined = [Trigger(record["trigger_specification"].partition(":")[2],
                           os.path.splitext(record["plugin_filename"])[0], record["node_spec"])
                   for _, record in catalog.all("trigger")
                   if not record["disabled"] and record["trigger_specification"].startswith("request:")]
        for trigger in self.own + defined:
            if trigger.path == path.strip("/") and trigger.runs_on(self.settings.node_id):
                return trigger
        return None

    def missing_plugin(self, catalog):
        """The plugin file of a registered trigger that is not in the plugin folder, or None: the node must not
        start without it."""
        if "process" not in self.settings.modes:
            return None
        for _, record in catalog.all("trigger"):
            if not os.path.exists(os.path.join(self.settings.plugin_dir, record["plugin_filename"])):
                return record["plugin_filename"]
        return None

    def write_back(self, database, lines):
        """Posts to one URL after the other, starting behind the last one that worked; any error moves on."""
        urls = self.settings.writeback_url
        if not urls:
            raise OSError("no --writeback-url")
        headers = {"content-type": "text/plain; charset=utf-8"}
        if self.settings.token_file:
            headers["authorization"] = "Bearer " + read_token_file(self.settings.token_file)
        error = None
        for attempt in range(len(urls)):
            index = (self.next_url + attempt) % len(urls)
            url = f"{urls[index]}/api/v3/write_lp?db={database}&precision=nanosecond"
            try:
                with urllib.request.urlopen(urllib.request.Request(url, lines, headers, method="POST"),
                                            timeout=WRITEBACK_TIMEOUT_SECONDS) as answer:
                    self.next_url = index + 1
                    return answer.status
            except OSError as failure:
                error = failure
        raise error


async def request_trigger(node, request):
    """GET and POST below /api/v3/engine/."""
    body = request.body
    for _, value in request.headers:
        if any(not (32 <= ord(character) < 127 or character == "\t") for character in value):
            raise Panic()
    refusal = engine_refusal(node.settings)
    if refusal:
        raise refusal
    trigger = node.engine.find(request.path[len(PREFIX):], node.catalog)
    if trigger is None:
        return Response(404, ENGINE_NOT_FOUND)
    params = request.params()
    if trigger.kind == "404":
        return Response(404, json.dumps({"error": "the plugin has no such thing"}), content_type="application/json")
    if trigger.kind == "error":
        return Response(500, "request handler for trigger down")
    answer = {"node_id": node.settings.node_id, "path": trigger.path}
    if trigger.kind == "slow":
        await asyncio.sleep(int(params.get("ms", "1000")) / 1000)
    elif trigger.kind == "write":
        try:
            answer["status"] = await node.in_pool(node.engine.write_back, params.get("db", "nt"), body)
        except OSError as error:
            return Response(500, f"Plugin error: write back failed: {error}")
    else:
        headers = {name.lower(): value for name, value in request.headers if name.lower() != "authorization"}
        answer.update(method=request.method, query=params, headers=headers, body=body.decode("latin-1"))
    return Response(200, json.dumps(answer), content_type="application/json")


# -- trigger definitions


async def create_trigger(node, request):
    require_admin(request)
    if "process" not in node.settings.modes:
        raise refuse_text(405, NO_ENGINE)
    fields = request_fields(node, request)
    file_name = needed(fields, "plugin_filename")
    if not os.path.exists(os.path.join(node.settings.plugin_dir, file_name)):
        raise refuse_text(500, f"Plugin error: error reading file from disk: {file_name}")
    settings = fields.get("trigger_settings") or {}
    spec = node_spec_text(fields.get("node_spec") or settings.get("node_spec") or "all")
    record = {
        "db": needed(fields, "db"), "trigger_name": needed(fields, "trigger_name"), "plugin_filename": file_name,
        "trigger_specification": needed(fields, "trigger_specification"),
        "disabled": fields.get("disabled") in (True, "true"), "node_spec": spec,
    }
    name = key(record["db"], record["trigger_name"])

    def decide():
        for node_id in spec.partition(":")[2].split(","):
            if node_id and node.catalog.get("node", node_id) is None:
                raise refuse_text(500, f"invalid node name ({node_id})")
        if not node.catalog.database_exists(record["db"]):
            raise refuse_text(404, f"database not found: {record['db']}")
        if node.catalog.get("trigger", name) is not None:
            raise refuse_text(409, "attempted to create a resource that already exists")
        return [("put", "trigger", name, record)], Response(200)
    return await node.catalog.change_caught_up(decide)


def node_spec_text(spec):
    """'all' or 'nodes:a,b' from the forms that requests use."""
    if isinstance(spec, list):
        return "nodes:" + ",".join(spec)
    if isinstance(spec, dict):
        return "nodes:" + ",".join(spec.get("nodes", []))
    return spec


async def delete_trigger(node, request):
    require_admin(request)
    fields = request_fields(node, request)
    name = key(needed(fields, "db"), needed(fields, "trigger_name"))

    def decide():
        record = node.catalog.get("trigger", name)
        if record is None:
            raise refuse_text(404, f"resource not found: {fields['trigger_name']}")
        if not record["disabled"] and fields.get("force") not in (True, "true"):
            raise refuse_text(400, "trigger is enabled; disable it or use force")
        return [("delete", "trigger", name, None)], Response(200)
    return await node.catalog.change_caught_up(decide)


def switch_trigger(disabled):
    """The enable and disable routes; switching to the present state is fine."""
    async def switch(node, request):
        require_admin(request)
        fields = request.params()
        name = key(needed(fields, "db"), needed(fields, "trigger_name"))

        def decide():
            record = node.catalog.get("trigger", name)
            if record is None:
                raise refuse_text(404, f"resource not found: {fields['trigger_name']}")
            return [("put", "trigger", name, {**record, "disabled": disabled})], Response(200)
        return await node.catalog.change_caught_up(decide)
    return switch


# -- what belongs to this node alone


def plugin_path(node, name):
    """A path inside the plugin folder; anything that leads out of it is refused."""
    root = os.path.realpath(node.settings.plugin_dir)
    path = os.path.realpath(os.path.join(root, name))
    if not path.startswith(root + os.sep):
        raise refuse_text(400, f"Plugin error: invalid plugin path: {name}")
    return path


def needs_engine(node, request):
    require_admin(request)
    refusal = engine_refusal(node.settings)
    if refusal:
        raise refusal


async def create_plugin_file(node, request):
    needs_engine(node, request)
    return store_plugin_file(node, node.json_body(request), must_exist=False)


async def update_plugin_file(node, request):
    needs_engine(node, request)
    return store_plugin_file(node, node.json_body(request), must_exist=True)


def store_plugin_file(node, fields, must_exist):
    path = plugin_path(node, needed(fields, "plugin_name"))
    if os.path.exists(path) != must_exist:
        raise refuse_text(404 if must_exist else 409,
                          f"Plugin error: {fields['plugin_name']} {'not found' if must_exist else 'already exists'}")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(needed(fields, "content"))
    return Response(200)


async def replace_plugin_directory(node, request):
    """Replaces the files of a plugin made of several; its name must be that of a registered trigger."""
    needs_engine(node, request)
    fields = node.json_body(request)
    name = needed(fields, "plugin_name")
    if not any(record["trigger_name"] == name for _, record in node.catalog.all("trigger")):
        raise refuse_text(404, f"Plugin error: no trigger named {name}")
    for file_fields in needed(fields, "files"):
        path = plugin_path(node, os.path.join(name, needed(file_fields, "relative_path")))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(needed(file_fields, "content"))
    return Response(200)


async def install(node, request):
    """Packages or requirements: remembered, not installed."""
    needs_engine(node, request)
    if node.settings.package_manager == "disabled":
        raise refuse_text(403, "package installation is disabled")
    fields = request_fields(node, request)
    node.engine.packages.append(fields.get("packages") or fields.get("requirements_location"))
    return Response(200)


async def plugin_test(node, request):
    """A dry run of a local plugin file."""
    needs_engine(node, request)
    name = needed(node.json_body(request), "filename")
    if not os.path.exists(plugin_path(node, name)):
        raise refuse_text(500, f"Plugin error: error reading file from disk: {name}")
    answer = {"log_lines": [], "database_writes": {}, "errors": [], "node_id": node.settings.node_id}
    return Response(200, json.dumps(answer), content_type="application/json")
