"""What a node says to a request it has no role for: the wrong-mode matrix, and the database's own error texts.

A handler raises Refusal with the answer in it; nothing here touches a socket. The texts are what routers match on,
so every one of them stands in this file only.
"""
import json

from .http1 import Response

READ_ONLY = "cannot write to a read-only server: must enable ingest mode"
COMPACTOR_ONLY = "cannot write to a compactor-only server"
WAL_SHUTDOWN = "error from wal: wal is shutdown and not accepting writes"
NO_ENGINE = "Current node mode does not use the processing engine"
ENGINE_NOT_FOUND = '{error: "not found"}'
STUB_EXECUTOR = "invokded a method that is not implemented: {method}"
SCAN_ERROR = {
    "parquet": "Node mode without query cannot retrieve table chunks",
    "upgraded": "Node mode without query cannot retrieve window execs",
}
COMPACTOR_TABLES = ("pt_compaction_active_jobs", "pt_compaction_deferred_snapshots")


class Refusal(Exception):
    """An answer that is an error; ends the handler."""

    def __init__(self, response):
        super().__init__(response.status)
        self.response = response


def refuse_text(status, text):
    """The v3 way: plain text without a content-type."""
    return Refusal(Response(status, text))


def refuse_json(status, fields):
    """JSON, and without a content-type just the same."""
    return Refusal(Response(status, json.dumps(fields, separators=(",", ":"))))


def write_refusal(settings):
    """The write buffer's error text for this node's modes; None when it ingests."""
    if "ingest" in settings.modes:
        return None
    if compacts_only(settings):
        return COMPACTOR_ONLY
    return READ_ONLY


def compacts_only(settings):
    """A plugin folder adds the process mode to any node without changing what it is for."""
    return settings.modes - {"process"} == {"compact"}


def has_stub_executor(settings):
    """A node that only compacts has no query executor for user data; the option forces it on any node."""
    return settings.stub_executor or compacts_only(settings)


def can_query(settings):
    """Query nodes, and process-only ones: those were seen answering SQL with data."""
    return not settings.stub_executor and ("query" in settings.modes or settings.modes == {"process"})


def query_refusal(settings, method):
    """The Refusal for a v3 query on user tables; None when the node can answer it."""
    if can_query(settings):
        return None
    if has_stub_executor(settings):
        return refuse_text(405, STUB_EXECUTOR.format(method=method))
    return refuse_text(500, "query error: " + scan_error(settings))


def scan_error(settings):
    return f"error while executing plan: External error: {SCAN_ERROR[settings.storage_engine]}"


def compactor_refusal(settings, method, path):
    """Backup, restore and import on a node that does not compact; None on the compactor.

    Query nodes know the routes and say 503, the others do not know them. Cancelling a restore has no 503: the
    answer cannot be told from an unknown id.
    """
    if settings.storage_engine == "parquet":
        return refuse_text(404, "Not found")
    if "compact" in settings.modes:
        return None
    if "query" not in settings.modes:
        return refuse_text(404, "Not found")
    if method == "DELETE" and path.startswith("/api/v3/enterprise/restore/"):
        return refuse_json(404, {"error": "not found"})
    return refuse_json(503, {"error": "only available on the compactor node"})


def loadcap_refusal(settings):
    if settings.storage_engine == "parquet" or "query" not in settings.explicit_modes:
        return refuse_text(404, "loadcap not available")
    return None


def engine_refusal(settings):
    if "process" not in settings.modes:
        return refuse_text(405, NO_ENGINE)
    return None


def system_table_refusal(settings, sql):
    """Some system tables exist on the compactor alone."""
    if "compact" not in settings.modes:
        for table in COMPACTOR_TABLES:
            if table in sql:
                return refuse_text(400, f"query error: system.{table} is only available on compactors")
    return None
