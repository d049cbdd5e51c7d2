"""Requests that cases share, and which nodes may serve them."""
import gzip

LINES = b"cpu,host=a usage=1 1700000000000000000\ncpu,host=b usage=2 1700000000000000001\n"
BARE = b"cpu,host=a usage=1\ncpu,host=b usage=2\n"
MIXED = LINES + b"cpu,host=c usage=3\n"
GZIP = {"Content-Encoding": "gzip"}
WRITE = "/api/v3/write_lp?db=d"
QUERY = "/api/v3/query_sql?db=d&q=SELECT+1"
DATABASES = "/api/v3/configure/database?format=json"
HOOK = "/api/v3/engine/hook"

# name: method, target, body, header fields, chunked
REQUESTS = {
    "query-get": ("GET", "/api/v3/query_sql?db=d&q=SELECT+1", b"", {}, False),
    "query-post": ("POST", "/api/v3/query_influxql", b'{"db":"d","q":"SHOW TABLES"}', {}, False),
    "write": ("POST", WRITE, LINES, {}, False),
    "bare": ("POST", WRITE, BARE, {}, False),
    "gzip": ("POST", "/write?db=d", gzip.compress(LINES), GZIP, False),
    "gzip-bare": ("POST", "/write?db=d", gzip.compress(BARE), GZIP, False),
    "chunked": ("POST", "/api/v2/write?bucket=d", LINES, {}, True),
    "mixed": ("POST", "/api/v2/write?bucket=d", MIXED, {}, False),
    "writeback": ("POST", WRITE, LINES, {}, False),
    "databases": ("GET", "/api/v3/configure/database?format=json", b"", {}, False),
    "token": ("POST", "/api/v3/configure/token/named_admin", b'{"name":"t"}', {}, False),
    "engine": ("POST", "/api/v3/engine/hook", b"payload", {}, False),
    "backups": ("GET", "/api/v3/enterprise/backup", b"", {}, False),
    "restore": ("POST", "/api/v3/enterprise/restore", b'{"name":"b"}', {}, False),
}


def port_of(sluice, column):
    return sluice.writeback_port if column == "writeback" else sluice.port


def capable(sluice, column):
    """The nodes that may serve it, in any order."""
    letter = {"query-get": "q", "query-post": "q", "databases": "q", "token": "q", "engine": "p", "backups": "c",
              "restore": "c"}.get(column, "i")
    return [node for node in sluice.nodes if node.name.startswith(letter)]
