"""Arrow Flight: what a node answers to a gRPC call. The sidecar has unpacked the call and will pack the answer.

Implemented: Handshake, GetFlightInfo (a Flight SQL statement), DoGet (the JSON ticket of the InfluxDB clients, and
the ticket that GetFlightInfo gave), DoAction (prepared statements without parameters). The rest is UNIMPLEMENTED.
Nothing is remembered between calls: tickets and handles carry the database and the statement.

SQLite has no column types for what a statement computes, so a column's type is that of the stored column of the same
name in a table that the statement mentions, and otherwise follows from the values of the first rows.
"""
import asyncio
import json
import math
import re
import sqlite3
import time

from . import modes, timetext
from .auth import may_use
from .exchange import Panic
from .flightwire import CallFailed, answer, error_line, line
from .modes import Refusal
from .query import INTERNAL, influxql_rows, prepare_sql, start

SERVICE = "/arrow.flight.protocol.FlightService/"
BATCH_ROWS = 8192
BATCH_BYTES = 256 * 1024
DATABASE_HEADERS = ("database", "bucket", "bucket-name", "iox-namespace-name")
REFUSAL_CODES = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND"}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?\Z")
FITTING = {"tag": {str}, "string": {str}, "float": {float, int}, "integer": {int}, "uinteger": {int, str},
           "boolean": {bool}, "timestamp": {str}}
COLUMN_TYPE = "iox::column::type"


async def handle(node, request):
    """The answer to a call as flightwire.py describes it; faults may slow it down."""
    return answer(lines(node, request))


async def lines(node, request):
    began = time.monotonic()
    try:
        async with node.query_slots:
            queued = time.monotonic()
            async for one in call(node, request):
                yield one
            yield line(end=trailers(began, queued))
            request.sighting.grpc_status = 0
    except CallFailed as failed:
        request.sighting.grpc_status = failed.code
        yield error_line(failed.code, failed.message)


def trailers(began, queued):
    now = time.monotonic()
    return {
        "x-influxdata-queue-duration-seconds": f"{queued - began:.9f}",
        "x-influxdata-planning-duration-seconds": "0.000100000",
        "x-influxdata-execution-duration-seconds": f"{now - queued:.9f}",
        "x-influxdata-compute-duration-seconds": f"{now - queued:.9f}",
        "x-influxdata-partitions": "1", "x-influxdata-parquet-files": "0", "x-influxdata-max-memory-bytes": "0",
    }


def call(node, request):
    """An async generator of the answer's lines."""
    fields = json.loads(request.body or b"{}")
    request.sighting.call = fields
    method = request.path.removeprefix(SERVICE)
    if "malformed" in fields:
        raise CallFailed("INTERNAL", fields["malformed"])
    if method == "Handshake":
        return handshake(node, request)
    if method not in METHODS:
        raise CallFailed("UNIMPLEMENTED", f"Unimplemented: {method}")
    authenticate(node, request)
    if "invalid" in fields:
        raise CallFailed("INVALID_ARGUMENT", fields["invalid"])
    return METHODS[method](node, request, fields)


def authenticate(node, request):
    """Without a token, or with a malformed header: UNAUTHENTICATED; with a wrong one PERMISSION_DENIED."""
    try:
        node.authenticator.check(request)
    except Refusal as refusal:
        known = request.header("authorization") is not None and refusal.response.status == 401
        raise CallFailed("PERMISSION_DENIED" if known else "UNAUTHENTICATED",
                         "permission denied" if known else "Unauthenticated")


async def handshake(node, request):
    """The token comes back as the client will have to send it, whatever scheme it was presented in."""
    authenticate(node, request)
    metadata = {}
    if request.header("authorization") is not None:
        metadata["authorization"] = "Bearer " + node.authenticator.presented_token(request)
    yield line(metadata=metadata)
    yield line(message={})


def database_of(request, fields, required=True):
    """The database from the ticket and the metadata; two different names are an error."""
    names = {value for name in DATABASE_HEADERS for value in request.header_values(name)}
    if fields.get("database"):
        names.add(fields["database"])
    if len(names) > 1:
        raise CallFailed("INVALID_ARGUMENT", f"more than one database was named: {', '.join(sorted(names))}")
    if not names:
        raise CallFailed("INVALID_ARGUMENT", "no 'database' header in request")
    return names.pop()


async def get_flight_info(node, request, fields):
    database = database_of(request, fields)
    async with Results(node, request, {**fields, "database": database}) as results:
        yield line(message={"columns": results.columns, "sql_query": fields["sql_query"], "database": database})


async def do_action(node, request, fields):
    if fields["action"] == "ClosePreparedStatement":
        return
    if fields["action"] != "CreatePreparedStatement":
        raise CallFailed("UNIMPLEMENTED", f"action {fields['action']} is not implemented")
    async for one in get_flight_info(node, request, fields):
        yield one


async def do_get(node, request, fields):
    effects = request.effects
    async with Results(node, request, {**fields, "database": database_of(request, fields)}) as results:
        yield line(columns=results.columns)
        await asyncio.sleep(effects.get("first_batch_delay_ms", 0) / 1000)
        async for batch in results.batches():
            yield batch
            await asyncio.sleep(effects.get("batch_delay_ms", 0) / 1000)


METHODS = {"DoGet": do_get, "GetFlightInfo": get_flight_info, "DoAction": do_action}


class Results:
    """A statement that was started: `columns` for the schema line, then its batches. Leaving it cancels it."""

    def __init__(self, node, request, fields):
        self.node = node
        self.request = request
        self.database = fields["database"]
        self.text = fields["sql_query"]
        self.kind = fields.get("query_type") or "sql"
        self.params = fields.get("params")
        self.job = None
        self.rows = []
        self.more = False
        self.columns = []

    async def __aenter__(self):
        try:
            await self.start()
        except Refusal as refusal:
            status = refusal.response.status
            raise CallFailed(REFUSAL_CODES.get(status, "INTERNAL"), text_of(refusal))
        except sqlite3.Error as error:
            await self.__aexit__()
            raise CallFailed("INVALID_ARGUMENT", f"error while executing plan: {error}")
        return self

    async def __aexit__(self, *error):
        if self.job is not None:
            self.job.close()

    async def start(self):
        node, database = self.node, self.database
        if not may_use(self.request, database, "read"):
            raise CallFailed("PERMISSION_DENIED", "permission denied")
        if database != INTERNAL and not node.catalog.database_exists(database):
            raise CallFailed("NOT_FOUND", f"database not found: {database}")
        if database != INTERNAL and modes.has_stub_executor(node.settings):
            raise Panic()
        node.remember_query(f"flight {self.kind}", self.text)
        if self.kind == "sql":
            self.job = await start(node, database, prepare_sql(node, database, self.text), self.params)
            names = self.job.columns
            self.rows, self.more = await node.in_query_pool(fetch, self.job)
        elif self.kind == "influxql":
            names, self.rows = await influxql_rows(node, self.request, database, self.text, self.params)
        else:
            raise CallFailed("INVALID_ARGUMENT", f"unknown query type: {self.kind}")
        stored = self.stored_kinds()
        columns = list(zip(*self.rows)) or [()] * len(names)
        kinds = [kind_of(name, values, stored.get(name)) for name, values in zip(names, columns)]
        self.columns = [[name, kind, metadata(kind, stored.get(name))] for name, kind in zip(names, kinds)]

    def stored_kinds(self):
        """{column: kind} of the tables that the statement mentions."""
        catalog, kinds = self.node.catalog, {}
        for table in catalog.tables(self.database):
            if table in self.text:
                kinds.update(catalog.columns(self.database, table))
        return {**kinds, "time": "timestamp"}

    async def batches(self):
        """The rows as lines; the next ones are fetched while some are sent."""
        upcoming = None
        try:
            rows, more = self.rows, self.more
            while rows or more:
                if more:
                    upcoming = asyncio.ensure_future(self.node.in_query_pool(fetch, self.job))
                if rows:
                    yield await self.node.in_query_pool(self.batch, rows)
                rows, more = await upcoming if more else ([], False)
        except sqlite3.Error as error:
            raise CallFailed("INVALID_ARGUMENT", f"error while executing plan: {error}")
        finally:
            if self.job is not None:
                self.job.close()
            if upcoming is not None:
                await asyncio.gather(upcoming, return_exceptions=True)

    def batch(self, rows):
        values = [[cell(value, kind) for value in column] for column, (_, kind, _) in zip(zip(*rows), self.columns)]
        return line(rows=len(rows), values=values)


def text_of(refusal):
    body = refusal.response.body.decode()
    return json.loads(body)["error"] if body.startswith("{") else body


def fetch(job):
    """In a pool thread: the next rows, and whether there may be more."""
    with job.lock:
        rows, size = [], 0
        for row in job.cursor:
            rows.append(row)
            size += sum(len(value) if type(value) is str else 8 for value in row)
            if size >= BATCH_BYTES or len(rows) >= BATCH_ROWS:
                return rows, True
        return rows, False


def kind_of(name, values, stored):
    present = {type(value) for value in values if value is not None}
    if stored is not None and present <= FITTING[stored]:
        return stored
    if present == {bool}:
        return "boolean"
    if present == {int}:
        return "integer" if max(value for value in values if value is not None) < 1 << 63 else "uinteger"
    if present and present <= {int, float}:
        return "float"
    if present == {str} and all(value is None or TIME.match(value) for value in values):
        return "timestamp"
    return "string"


def metadata(kind, stored):
    if stored != kind:
        return None
    plain = kind in ("tag", "timestamp")
    return {COLUMN_TYPE: f"iox::column_type::{kind}" if plain else f"iox::column_type::field::{kind}"}


def cell(value, kind):
    """Integers and times travel as text, for JavaScript's numbers are too small; what does not fit becomes null."""
    if value is None:
        return None
    try:
        if kind in ("integer", "uinteger"):
            return str(int(value))
        if kind == "timestamp":
            return str(timetext.to_ns(value))
        if kind == "float":
            return value if math.isfinite(value) else str(value)
    except (TypeError, ValueError):
        return None
    if kind == "boolean":
        return bool(value)
    return value if isinstance(value, str) else json.dumps(value, default=str)
