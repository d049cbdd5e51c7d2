"""Queries: jobs that run SQL on a node's replica, and the two v3 endpoints.

A job has a SQLite connection of its own and is driven from pool threads, one piece of rows at a time, so a result of
any size streams in bounded memory and a slow reader slows the query. When the client goes away the statement is
interrupted, as the database cancels it.

SQL functions only the stand-in has, for tests: sleep(ms), raise_error(text), and rows without a table from
generate_series(a, b), for example: SELECT value, repeat('x', 1000) AS padding FROM generate_series(1, 1000000)
"""
import asyncio
import functools
import json
import sqlite3
import threading
import time
from urllib.parse import quote

from . import formats, influxql, modes, sqltext
from .auth import require_database
from .exchange import StreamFailed
from .http1 import Response
from .influxql_reader import StatementError, split_statements
from .modes import refuse_json, refuse_text
from .system import attach_system_tables
from .write import WriteFailed, decode_body

PIECE_BYTES = 128 * 1024
STEPS_BETWEEN_CHECKS = 10000
INTERNAL = "_internal"
PLANNING = "query error: error while planning query: "

sqlite3.register_converter("BOOLEAN", lambda raw: raw not in (b"0", b""))
sqlite3.register_converter("UBLOB", int)
sqlite3.register_converter("JSONLIST", json.loads)


class Job:
    """One running statement. `columns` is known once it was opened; closing it interrupts it."""

    def __init__(self, node, sql, params, replica):
        self.node = node
        self.sql = sql
        self.params = params
        self.replica = replica
        self.lock = threading.Lock()
        self.cancelled = threading.Event()
        self.connection = None
        self.cursor = None
        self.columns = []

    # -- in pool threads

    def open(self, snapshot):
        """Compiles the statement and runs it up to its first row; sqlite3.Error tells what is wrong with it."""
        with self.lock:
            self.connection = sqlite3.connect(":memory:", detect_types=sqlite3.PARSE_DECLTYPES, uri=True,
                                              check_same_thread=False, isolation_level=None)
            if self.replica is not None:
                self.connection.execute("ATTACH ? AS iox", (f"file:{quote(self.replica.path)}?mode=ro",))
            attach_system_tables(self.connection, snapshot, self.replica, self.sql)
            sqltext.register(self.connection, time.time_ns())
            self.connection.create_function("sleep", 1, self.sleep)
            self.connection.create_function("raise_error", 1, raise_error)
            self.connection.execute("PRAGMA query_only=ON")
            self.connection.set_progress_handler(self.cancelled.is_set, STEPS_BETWEEN_CHECKS)
            self.cursor = self.connection.execute(self.sql, self.params)
            self.columns = [column[0] for column in self.cursor.description or []]

    def sleep(self, milliseconds):
        if self.cancelled.wait(milliseconds / 1000):
            raise InterruptedError("cancelled")
        return milliseconds

    def piece(self, encode):
        """The next rows encoded, about PIECE_BYTES of them; and whether there may be more."""
        with self.lock:
            out, size = [], 0
            for row in self.cursor:
                out.append(encode(row))
                size += len(out[-1])
                if size >= PIECE_BYTES:
                    return b"".join(out), True
            return b"".join(out), False

    def rows(self):
        with self.lock:
            return self.cursor.fetchall()

    def finish(self):
        with self.lock:
            if self.connection is not None:
                self.connection.close()

    # -- in the loop

    def close(self):
        """Interrupts the statement if it still runs, and lets a pool thread close the connection."""
        self.cancelled.set()
        self.node.query_pool.submit(self.finish)


def raise_error(text):
    raise RuntimeError(text)


async def start(node, database, sql, params):
    """A job that has been opened; a Refusal when the statement is refused."""
    replica = None
    if database != INTERNAL and node.replica is not None:
        replica = node.replica.database(database)
        tables = node.catalog.tables(database)
        floors = {table: node.catalog.floor("table", f"{database}\0{table}")
                  for table in set(tables) | set(replica.tables)}
        schema = {table: node.catalog.columns(database, table) for table in tables}
        await node.in_query_pool(replica.catch_up, node.replica.visible, node.catalog.floor("database", database),
                                 floors, schema)
    job = Job(node, sql, params or {}, replica)
    try:
        await node.in_query_pool(job.open, node.system_snapshot(database))
    except (sqlite3.Error, sqlite3.Warning) as error:
        job.close()
        raise refuse_text(*explain(str(error)))
    except BaseException:
        job.close()
        raise
    return job


def explain(text):
    """(status, text) for a SQLite error at planning or at the first row."""
    if text.startswith("no such table: "):
        name = text.partition(": ")[2].rpartition(".")[2]
        return 400, f"{PLANNING}Error during planning: table 'public.iox.{name}' not found"
    if text.startswith("no such column: "):
        return 400, f"{PLANNING}Schema error: No field named {text.partition(': ')[2]}."
    if "user-defined" in text or text == "interrupted":
        return 500, f"query error: error while executing plan: {text}"
    return 400, f"{PLANNING}SQL error: ParserError(\"{text}\")"


async def stream(node, job, encoder):
    """The answer's body; StreamFailed when the statement fails midway. The next piece is made while one is sent."""
    upcoming = None
    try:
        head, more = encoder.begin(job.columns), True
        upcoming = asyncio.ensure_future(node.in_query_pool(job.piece, encoder.row))
        while more:
            piece, more = await upcoming
            if more:
                upcoming = asyncio.ensure_future(node.in_query_pool(job.piece, encoder.row))
            yield head + piece
            head = b""
        yield encoder.end()
    except sqlite3.Error as error:
        raise StreamFailed(str(error)) from error
    finally:
        job.close()
        if upcoming is not None:
            await asyncio.gather(upcoming, return_exceptions=True)


# -- the endpoints


def read_parameters(node, request):
    """(db, q, format, params) from the URL of a GET or the JSON of a POST."""
    if request.method == "GET":
        if not request.query:
            raise refuse_text(400, "missing query parameters 'db' and 'q'")
        fields = request.params()
        if "params" in fields:
            try:
                fields["params"] = json.loads(fields["params"])
            except ValueError as error:
                raise refuse_text(400, f"serde json error: {error}")
    else:
        try:
            body = decode_body(request, node.settings.max_http_request_size)
        except WriteFailed as failed:
            raise failed.refusal()
        try:
            fields = json.loads(body)
        except ValueError as error:
            raise refuse_text(400, f"serde json error: {error}")
        if not isinstance(fields, dict):
            raise refuse_text(400, "serde json error: invalid type: expected struct QueryRequest")
    if not isinstance(fields.get("q"), str):
        kind = "serde error" if request.method == "GET" else "serde json error"
        raise refuse_text(400, f"{kind}: missing field `q`")
    return fields.get("db"), fields["q"], fields.get("format"), fields.get("params")


def check_database(node, request, database):
    """Unknown databases are a 404 in JSON; permissions come before that."""
    require_database(request, database, "read")
    if database != INTERNAL and not node.catalog.database_exists(database):
        raise refuse_json(404, {"error": f"query error: database not found: {database}"})


async def query_sql(node, request):
    database, sql, asked, params = read_parameters(node, request)
    if not database:
        raise refuse_text(400, "serde error: missing field `db`")
    name = formats.choose(asked, request.header("accept"))
    check_database(node, request, database)
    text = prepare_sql(node, database, sql)
    node.remember_query("sql", sql)
    job = await start(node, database, text, params)
    encoder = formats.ENCODERS[name]()
    if name == "pretty":
        pieces = [piece async for piece in stream(node, job, encoder)]
        return Response(200, b"".join(pieces), content_type=formats.CONTENT_TYPES[name])
    return Response(200, stream(node, job, encoder), content_type=formats.CONTENT_TYPES[name])


def prepare_sql(node, database, sql):
    """The statement for SQLite; a Refusal when this node's modes or the stand-in cannot run it."""
    refusal = modes.system_table_refusal(node.settings, sql)
    if refusal:
        raise refusal
    refusal = modes.query_refusal(node.settings, "query_sql")
    if refusal and database != INTERNAL and (modes.has_stub_executor(node.settings)
                                             or sqltext.reads_user_tables(sql)):
        raise refusal
    if not sqltext.is_read_only(sql):
        raise refuse_text(400, f"{PLANNING}Error during planning: only SELECT statements are supported, got "
                          f"{sqltext.first_word(sql).upper()}")
    try:
        return sqltext.rewrite(sql)
    except ValueError as error:
        raise refuse_text(400, f"{PLANNING}{error}")


async def query_influxql(node, request):
    database, text, asked, params = read_parameters(node, request)
    name = formats.choose(asked, request.header("accept"))
    columns, rows = await influxql_rows(node, request, database, text, params)
    encoder = formats.ENCODERS[name]()
    body = encoder.begin(columns) + b"".join(map(encoder.row, rows)) + encoder.end()
    return Response(200, body, content_type=formats.CONTENT_TYPES[name])


async def influxql_rows(node, request, database, text, params):
    """(columns, rows) of one InfluxQL statement."""
    try:
        statements = split_statements(text)
        if len(statements) != 1:
            raise refuse_text(400, "must provide only one InfluxQl statement per query")
        statement = influxql.parse(statements[0], params)
    except StatementError as error:
        raise refuse_text(400, f"error in InfluxQL statement: {error}")
    if statement.database and database and statement.database != database:
        raise refuse_text(400, f"provided a database in both the parameters ({database}) and query string "
                               f"({statement.database}) that do not match")
    database = statement.database or database
    if statement.needs_database:
        if not database:
            raise refuse_text(400, "must specify a 'db' parameter, or provide the database in the InfluxQL query")
        check_database(node, request, database)
        refusal = modes.query_refusal(node.settings, "query_influxql")
        if refusal:
            raise refusal
    node.remember_query("influxql", text)
    try:
        series = await statement.run(functools.partial(run_for_influxql, node, database), node.catalog, request)
    except StatementError as error:
        raise refuse_text(400, f"{PLANNING}{error}")
    return influxql.flatten(series)


async def run_for_influxql(node, database, sql, params=()):
    """(columns, rows) of a statement made by the InfluxQL translator."""
    job = await start(node, database, sql, params)
    try:
        return job.columns, await node.in_query_pool(job.rows)
    except sqlite3.Error as error:
        raise StatementError(str(error))
    finally:
        job.close()
