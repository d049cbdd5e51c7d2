"""The v1 endpoint /query: InfluxQL with the InfluxDB 1.x answer format, in JSON, CSV or MessagePack.

Errors of a statement come with status 200 in `results[].error`. With chunked=true the answer is one JSON document
per chunk of each series, streamed as it is made.
"""
import email.parser
import json
import struct
import urllib.parse

from . import modes, timetext
from .auth import may_use
from .exchange import Panic
from .formats import CsvEncoder
from .http1 import Response
from .influxql import parse
from .influxql_reader import StatementError, split_statements
from .modes import Refusal, refuse_json
from .query import INTERNAL, run_for_influxql
from .write import WriteFailed, decode_body

DEFAULT_CHUNK_SIZE = 10000
UNLIMITED = 1 << 40
EPOCH_DIVISORS = {"ns": 1, "n": 1, "u": 10 ** 3, "us": 10 ** 3, "µ": 10 ** 3, "ms": 10 ** 6, "s": 10 ** 9,
                  "m": 60 * 10 ** 9, "h": 3600 * 10 ** 9}
CONTENT_TYPES = {"json": "application/json", "csv": "text/csv", "msgpack": "application/x-msgpack"}
ACCEPTS = {"application/json": "json", "*/*": "json", "text/csv": "csv", "application/csv": "csv",
           "application/x-msgpack": "msgpack"}


class Options:
    """The parameters of one request, from the URL and a form, multipart or InfluxQL body; the body's win."""

    def __init__(self, request, body):
        fields = request.params()
        content_type = (request.header("content-type") or "").lower()
        if request.method == "POST" and body:
            if content_type.startswith("multipart/form-data"):
                fields.update(multipart_fields(request.header("content-type"), body))
            elif content_type.startswith("application/vnd.influxql"):
                fields["q"] = body.decode()
            else:
                fields.update(urllib.parse.parse_qsl(body.decode(), keep_blank_values=True))
        self.query = fields.get("q") or None
        self.database = fields.get("db") or None
        if self.database and fields.get("rp", "") not in ("", "default", "autogen"):
            self.database = f"{self.database}/{fields['rp']}"
        self.epoch = fields.get("epoch") or None
        self.chunked = fields.get("chunked") == "true"
        self.chunk_size = int(fields.get("chunk_size") or DEFAULT_CHUNK_SIZE) or DEFAULT_CHUNK_SIZE
        self.pretty = fields.get("pretty") == "true"
        self.params = json.loads(fields["params"]) if fields.get("params") else {}
        if self.epoch is not None and self.epoch not in EPOCH_DIVISORS:
            raise ValueError(f"invalid epoch: {self.epoch}")


def multipart_fields(content_type, body):
    message = email.parser.BytesParser().parsebytes(b"content-type: " + content_type.encode() + b"\r\n\r\n" + body)
    if not message.is_multipart():
        return {}
    return {part.get_param("name", header="content-disposition"): part.get_payload(decode=True).decode().strip()
            for part in message.get_payload()}


async def query_v1(node, request):
    if modes.has_stub_executor(node.settings):
        raise Panic()
    accept = request.header("accept")
    form = "json" if accept is None else ACCEPTS.get(accept.split(",")[0].split(";")[0].strip())
    if form is None:
        raise refuse_json(400, {"error": f"unsupported mime type: {accept}"})
    try:
        options = Options(request, decode_body(request, UNLIMITED))
    except WriteFailed as failed:
        raise refuse_json(failed.status, {"error": failed.text})
    except ValueError as error:
        raise refuse_json(400, {"error": str(error)})
    if options.query is None:
        raise refuse_json(400, {"error": "missing query parameter 'q'"})
    statements = split_statements(options.query)
    databases = {options.database} | {named_database(text, options.params) for text in statements}
    for database in databases - {None}:
        if not may_use(request, database, "read"):
            raise refuse_json(401, {"error": "unauthorized access"})
    headers = [("x-influxdb-version", node.settings.version), ("x-influxdb-build", "Enterprise")]
    async with node.query_slots:
        results = [await run_statement(node, request, options, number, text)
                   for number, text in enumerate(statements)]
    for result in results:
        for one in result.get("series", ()):
            convert_times(one, options.epoch)
    documents = chunk_documents(results, options.chunk_size) if options.chunked else [{"results": results}]
    return Response(200, encode(documents, form, options.pretty), headers=headers,
                    content_type=CONTENT_TYPES[form])


def named_database(text, params):
    try:
        return parse(text, params).database
    except StatementError:
        return None


async def run_statement(node, request, options, number, text):
    """One entry of `results`."""
    try:
        statement = parse(text, options.params)
        database = statement.database or options.database
        if statement.needs_database:
            if database is None:
                raise StatementError("database is required")
            if database != INTERNAL and not node.catalog.database_exists(database):
                raise StatementError(f"database not found: {database}")
            if not modes.can_query(node.settings):
                raise StatementError(modes.scan_error(node.settings))
        node.remember_query("influxql", text)

        async def execute(sql, params=()):
            return await run_for_influxql(node, database or INTERNAL, sql, params)

        found = await statement.run(execute, node.catalog, request)
    except StatementError as error:
        return {"statement_id": number, "error": str(error)}
    except Refusal as refusal:
        return {"statement_id": number, "error": refusal.response.body.decode()}
    result = {"statement_id": number}
    if found:
        result["series"] = found
    return result


def convert_times(one, epoch):
    """Times as RFC 3339 text, or as a number in the asked unit; series without a name or tags lose the member."""
    if one["columns"] and one["columns"][0] == "time":
        for row in one["values"]:
            row[0] = row[0] + "Z" if epoch is None else timetext.to_ns(row[0]) // EPOCH_DIVISORS[epoch]
    for member in ("name", "tags"):
        if not one[member]:
            del one[member]


def chunk_documents(results, size):
    """One document per chunk; every one but the last of a series and of a statement says that it is partial."""
    for result in results:
        if not result.get("series"):
            yield {"results": [result]}
            continue
        for index, one in enumerate(result["series"]):
            for start in range(0, len(one["values"]), size):
                chunk = dict(one, values=one["values"][start:start + size])
                entry = {"statement_id": result["statement_id"], "series": [chunk]}
                last_of_series = start + size >= len(one["values"])
                if not last_of_series:
                    chunk["partial"] = True
                if not last_of_series or index + 1 < len(result["series"]):
                    entry["partial"] = True
                yield {"results": [entry]}


async def encode(documents, form, pretty):
    """The documents as bytes."""
    for document in documents:
        if form == "msgpack":
            yield pack(document)
        elif form == "csv":
            yield csv_of(document)
        elif pretty:
            yield json.dumps(document, indent=4, ensure_ascii=False).encode() + b"\n"
        else:
            yield json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def csv_of(document):
    """InfluxDB 1.x CSV: name, tags as k=v list, then the columns; a header before every new set of columns."""
    lines, header = [], None
    for result in document["results"]:
        if "error" in result:
            lines.append(CsvEncoder().row(["error"]) + CsvEncoder().row([result["error"]]))
        for one in result.get("series", ()):
            if one["columns"] != header:
                header = one["columns"]
                lines.append(CsvEncoder().row(["name", "tags", *header]))
            tags = ",".join(f"{name}={value}" for name, value in one.get("tags", {}).items())
            lines += [CsvEncoder().row([one.get("name", ""), tags, *row]) for row in one["values"]]
    return b"".join(lines)


def pack(value):
    """MessagePack of JSON-like values, in the widest forms only."""
    if value is None:
        return b"\xc0"
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return b"\xd3" + struct.pack(">q", value) if value < 1 << 63 else b"\xcf" + struct.pack(">Q", value)
    if isinstance(value, float):
        return b"\xcb" + struct.pack(">d", value)
    if isinstance(value, str):
        raw = value.encode()
        return b"\xdb" + struct.pack(">I", len(raw)) + raw
    if isinstance(value, (list, tuple)):
        return b"\xdd" + struct.pack(">I", len(value)) + b"".join(map(pack, value))
    pairs = [pack(name) + pack(member) for name, member in value.items()]
    return b"\xdf" + struct.pack(">I", len(pairs)) + b"".join(pairs)
