"""The three write endpoints: v1 /write, v2 /api/v2/write, v3 /api/v3/write_lp.

They differ in parameters, in whether a bad line fails the others (accept_partial), and in the shape of errors; the
path of an accepted write is the same: decode, parse, extend the schema through the catalog, buffer in the WAL, wait
for the flush.
"""
import asyncio
import collections
import functools
import re
import threading
import time
import zlib

from . import lineprotocol, modes
from .auth import require_database
from .catalog import key
from .http1 import Response
from .modes import Refusal, refuse_json, refuse_text
from .store import Segment, encode_payload
from .wal import WalClosed

FULL_PARSE_BYTES = 256 * 1024
KNOWN_BODIES = 8
V3_PRECISIONS = ("auto", "second", "millisecond", "microsecond", "nanosecond", "s", "ms", "us", "u", "ns", "n")
V2_CODES = {400: "invalid", 401: "unauthorized", 403: "forbidden", 404: "not found", 413: "request too large",
            500: "internal error", 503: "unavailable"}


class BadLines(Exception):
    """Lines that were refused: a list of error objects, and whether the others were written."""

    def __init__(self, errors, partial):
        super().__init__()
        self.errors = errors
        self.partial = partial


class WriteFailed(Exception):
    """Any other failure of a write: status and text, dressed differently by each endpoint."""

    def __init__(self, status, text, buffer_error=False, as_json=False):
        super().__init__(text)
        self.status = status
        self.text = f"write buffer error: {text}" if buffer_error else text
        self.as_json = as_json

    def refusal(self):
        """The answer of v1 and v3; v2 makes its own."""
        return refuse_json(self.status, {"error": self.text}) if self.as_json else \
            refuse_text(self.status, self.text)


# -- the endpoints


async def write_v3(node, request):
    params = request.params()
    if "?" not in request.target:
        raise refuse_text(400, "missing query parameter 'db'")
    if "db" not in params:
        raise refuse_text(400, "serde error: missing field `db`")
    precision = params.get("precision", "auto")
    if precision not in V3_PRECISIONS:
        raise refuse_text(400, f"serde error: unknown variant `{precision}`, expected one of "
                          + ", ".join(f"`{name}`" for name in V3_PRECISIONS[:5]))
    partial = boolean(params, "accept_partial", True)
    no_sync = boolean(params, "no_sync", False)
    try:
        await accept(node, request, params["db"], precision, partial, wait=not no_sync)
    except BadLines as bad:
        if bad.partial:
            raise refuse_json(400, {"error": "partial write of line protocol occurred", "data": bad.errors})
        raise refuse_json(400, {"error": "line protocol parsing error", "data": bad.errors[0]})
    except WriteFailed as failed:
        raise failed.refusal()
    return Response(204)


async def write_v1(node, request):
    params = request.params()
    if not params.get("db"):
        raise refuse_json(400, {"error": "missing query parameter 'db'"})
    precision = params.get("precision") or "ns"
    if precision not in ("s", "ms", "us", "u", "ns", "n"):
        raise refuse_json(400, {"error": f"invalid precision: {precision}"})
    database = params["db"]
    if params.get("rp", "") not in ("", "default", "autogen"):
        database = f"{database}/{params['rp']}"
    try:
        await accept(node, request, database, precision, accept_partial=False, wait=True)
    except BadLines as bad:
        raise refuse_json(400, {"error": "line protocol parsing error", "data": bad.errors[0]})
    except WriteFailed as failed:
        raise failed.refusal()
    return Response(204)


async def write_v2(node, request):
    try:
        params = request.params()
        if not params.get("bucket"):
            raise WriteFailed(400, "missing query parameter 'bucket'")
        precision = params.get("precision") or "ns"
        if precision not in ("s", "ms", "us", "ns"):
            raise WriteFailed(400, f"invalid precision: {precision}")
        await accept(node, request, params["bucket"], precision, accept_partial=False, wait=True)
    except BadLines:
        raise refuse_v2(400, "write buffer error: parsing for line protocol failed")
    except WriteFailed as failed:
        raise refuse_v2(failed.status, failed.text)
    except Refusal as refusal:
        text = refusal.response.body.decode()
        raise refuse_v2(refusal.response.status, text or V2_CODES.get(refusal.response.status, "error"))
    return Response(204)


def refuse_v2(status, message):
    """The v2 vocabulary. An error of the write buffer is 'invalid' whatever it is, up to 3.10 even a closed WAL."""
    if message.startswith("write buffer error:") and status == 500:
        status = 400
    return refuse_json(status, {"code": V2_CODES.get(status, "internal error"), "message": message})


def boolean(params, name, default):
    text = params.get(name)
    if text is None:
        return default
    if text not in ("true", "false"):
        raise refuse_text(400, "serde error: provided string was not `true` or `false`")
    return text == "true"


# -- the common path


def database_name_error(name):
    """What is wrong with a database name, None if nothing is."""
    if not name:
        return "db name cannot be empty"
    if not re.match(r"[A-Za-z0-9]", name):
        return "db name did not start with a number or letter"
    if not re.fullmatch(r"[A-Za-z0-9_/-]+", name):
        return ("invalid character in database name: must be ASCII, containing only letters, numbers, "
                "underscores, or hyphens")
    if len(name) > 64:
        return "db name must be less than 64 characters long"
    if name.count("/") > 1 or name.endswith("/"):
        return "a retention policy in a db name must be of the form '<db_name>/<rp_name>'"
    return None


def decode_body(request, limit):
    """The body without its content-encoding; both forms are held against the limit."""
    encoding = request.header("content-encoding", "identity")
    if encoding not in ("identity", "gzip"):
        raise WriteFailed(400, f"unacceptable content-encoding: {encoding}")
    too_large = WriteFailed(413, f"max request size ({limit} bytes) exceeded")
    body = request.body
    if len(body) > limit:
        raise too_large
    if encoding == "gzip":
        try:
            body = gunzip(body, limit)
        except (OSError, EOFError, zlib.error) as error:
            raise WriteFailed(400, f"error decoding gzip stream: {error}")
        if len(body) > limit:
            raise too_large
    return body


def gunzip(body, limit):
    """Decompresses one or more gzip members, giving up just past the limit."""
    out = bytearray()
    while body and len(out) <= limit:
        member = zlib.decompressobj(wbits=31)
        out += member.decompress(body, limit + 1 - len(out))
        if not member.eof and len(out) <= limit:
            raise EOFError("unexpected end of file")
        body = member.unused_data
    return bytes(out)


async def accept(node, request, database, precision, accept_partial, wait):
    """The whole way of a write; returns when it may be acknowledged."""
    name_error = database_name_error(database)
    if name_error:
        raise WriteFailed(400, name_error, as_json=True)
    require_database(request, database, "write")
    arrival_ns = time.time_ns()
    limit = node.settings.max_http_request_size
    body = await node.in_pool(decode_body, request, limit)
    request.body = b""
    refusal = modes.write_refusal(node.settings)
    if refusal:
        raise WriteFailed(500, refusal, buffer_error=True)
    if node.wal.closed or node.faults.node_has("wal_shutdown"):
        raise wal_closed(node.settings)
    if not body or body.isspace():
        raise WriteFailed(400, "incoming write was empty")
    precision = lineprotocol.PRECISIONS[precision]
    if len(body) > FULL_PARSE_BYTES and await node.in_pool(node.known_bodies.is_clean, body):
        errors = []
        await ensure_database(node, database)
        make = functools.partial(node.known_bodies.segment, body)
    else:
        lines, errors = await parse(node, database, body, precision, accept_partial, arrival_ns)
        make = functools.partial(Segment, lines="\n".join(lines).encode())
        if not lines:
            raise BadLines(errors, accept_partial)
    segment = await node.in_pool(functools.partial(
        make, database=database, precision=precision, arrival_ns=arrival_ns,
        catalog_sequence=node.catalog.sequence))
    try:
        await node.wal.append(segment, wait)
    except WalClosed:
        raise wal_closed(node.settings)
    if errors:
        raise BadLines(errors, partial=True)


def wal_closed(settings):
    status = 500 if settings.version_quirk == "3.10" else 503
    return WriteFailed(status, modes.WAL_SHUTDOWN, buffer_error=True)


async def ensure_database(node, database):
    def decide():
        if node.catalog.database_exists(database):
            return [], None
        return [("put", "database", database, {"retention_period": None})], None
    await node.catalog.change(decide)


async def parse(node, database, body, precision, accept_partial, arrival_ns):
    """(lines to store, error objects). Without accept_partial the first error is raised as BadLines."""
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise WriteFailed(400, f"body content is not valid utf8: {error}")
    points, errors = [], []
    for number, line in lineprotocol.split_lines(text):
        try:
            point = lineprotocol.parse_line(line)
            lineprotocol.to_nanoseconds(point.time, precision, arrival_ns)
            points.append((number, line, point))
        except lineprotocol.LineError as error:
            errors.append(lineprotocol.describe_error(number, line, str(error)))
            if not accept_partial:
                raise BadLines(errors, partial=False)
        if number % 1000 == 0:
            await asyncio.sleep(0)
    return await node.catalog.change(lambda: extend_schema(node.catalog, database, points, list(errors),
                                                            accept_partial))


def extend_schema(catalog, database, points, errors, accept_partial):
    """Decides a catalog change: new database, tables and columns; lines against the schema become errors."""
    new_columns = collections.defaultdict(dict)
    lines = []
    for number, line, point in points:
        known, fresh = catalog.columns(database, point.table), new_columns[point.table]
        wanted = {name: "tag" for name in point.tags} | {name: kind for name, (kind, _) in point.fields.items()}
        conflict = next((name for name, kind in wanted.items()
                         if known.get(name, fresh.get(name, kind)) != kind), None)
        if "time" in wanted or conflict is not None or set(point.tags) & set(point.fields):
            errors.append(lineprotocol.describe_error(number, line, schema_error(conflict, wanted, known | fresh)))
            if not accept_partial:
                raise BadLines(errors, partial=False)
            continue
        fresh.update((name, kind) for name, kind in wanted.items() if name not in known)
        lines.append(line)
    changes = []
    if lines and not catalog.database_exists(database):
        changes.append(("put", "database", database, {"retention_period": None}))
    for table, fresh in new_columns.items():
        if fresh:
            columns = {**catalog.columns(database, table), **fresh}
            changes.append(("put", "table", key(database, table), {"columns": columns}))
    errors.sort(key=lambda error: error["line_number"])
    return changes, (lines, errors)


def schema_error(conflict, wanted, known):
    if conflict is None:
        return "invalid column name: a column cannot be tag and field at once, nor be called 'time'"
    return (f"invalid column type for column '{conflict}', expected {column_type(known[conflict])}, "
            f"got {column_type(wanted[conflict])}")


def column_type(kind):
    return "iox::column_type::tag" if kind == "tag" else f"iox::column_type::field::{kind}"


class KnownBodies:
    """Remembers the last large bodies: a test that sends the same megabytes again pays for them once."""

    def __init__(self):
        self.lock = threading.Lock()
        self.clean = collections.OrderedDict()
        self.payloads = collections.OrderedDict()

    def is_clean(self, body):
        return self.recall(self.clean, body, lambda: lineprotocol.looks_clean(body))

    def segment(self, body, database, precision, arrival_ns, catalog_sequence):
        segment = Segment(database, precision, arrival_ns, b"", catalog_sequence)
        segment.encoding, segment.payload = self.recall(self.payloads, body, lambda: encode_payload(body))
        return segment

    def recall(self, cache, body, compute):
        with self.lock:
            if body not in cache:
                cache[body] = compute()
                while len(cache) > KNOWN_BODIES:
                    cache.popitem(last=False)
            return cache[body]
