"""The cells of tables/upstream_faults.txt as cases: one Sluice for each row, one request for each cell."""
import gzip
import os

from wire.lib.http1_client import Client, check_fault
from wire.lib.http1_node import Script
from wire.lib.http1_verbs import BODY, VERBS

LINES = b"cpu,host=a usage=1 1700000000000000000\ncpu,host=b usage=2 1700000000000000001\n"
BARE = b"cpu,host=a usage=1\ncpu,host=b usage=2\n"
MIXED = LINES + b"cpu,host=c usage=3\n"
GZIP = {"Content-Encoding": "gzip"}
WRITE = "/api/v3/write_lp?db=d"

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
NODES = "iiqqcpp"
SETTINGS = {"timeouts": {"write_deadline": "6s", "response": "6s"}}
# Where the case is that a node never answers, waiting for it is the case.
QUICK = {"timeouts": {"write_deadline": "500ms", "response": "500ms"}}
QUICK_VERBS = ("silence", "stall-body")


def read_rows():
    """(verb, link, {column: expected}) for each row of the table."""
    path = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tables", "upstream_faults.txt")
    with open(path, encoding="utf-8") as file:
        lines = [line.split() for line in file if line.strip() and not line.startswith("#")]
    columns = lines[0][2:]
    assert sorted(columns) == sorted(REQUESTS), "the table's columns are the requests"
    for words in lines[1:]:
        assert len(words) == len(lines[0]), f"row {words[0]} has {len(words)} cells"
        yield words[0], words[1], dict(zip(columns, words[2:]))


def port_of(sluice, column):
    return sluice.writeback_port if column == "writeback" else sluice.port


def capable(sluice, column):
    """The nodes that may serve it, in any order."""
    letter = {"query-get": "q", "query-post": "q", "databases": "q", "token": "q", "engine": "p", "backups": "c",
              "restore": "c"}.get(column, "i")
    return [node for node in sluice.nodes if node.name.startswith(letter)]


def warm_up(sluice, column):
    """Each capable node has a kept link that has served a request."""
    for _ in range(64):
        if all(node.seen for node in capable(sluice, column)):
            break
        method, target, body, fields, chunked = REQUESTS[column]
        with Client(port_of(sluice, column)) as client:
            assert client.ask(method, target, body, fields, chunked).status in (200, 204)
        if column in ("databases", "token"):
            break  # sticky: only one node gets any


def tries_since(sluice, before):
    return [request for node in sluice.nodes for request in node.seen[before[node.name]:]]


def send_and_close_unread(sluice, column, client):
    """The node closes its idle links in the very moment in which the request goes out."""
    method, target, body, fields, chunked = REQUESTS[column]
    client.ask("OPTIONS", "/")  # so that this connection was accepted before the links end
    with sluice.stopped():
        client.send(method, target, body, fields, chunked)
        for node in sluice.nodes:
            for link in node.links:
                link.kill()
    return client.read()


def run_cell(sluice, verb, kept, column, expected):
    if kept:
        warm_up(sluice, column)
    before = {node.name: len(node.seen) for node in sluice.nodes}
    script = Script() if verb == "close-unread" else Script(VERBS[verb])
    for node in sluice.nodes:
        node.script = script
    method, target, body, fields, chunked = REQUESTS[column]
    with Client(port_of(sluice, column)) as client:
        if verb == "close-unread":
            failures = sluice.count_lines("fault=link_closed_unread")
            answer = send_and_close_unread(sluice, column, client)
            sluice.wait_line("fault=link_closed_unread", failures + 1)
        else:
            answer = client.ask(method, target, body, fields, chunked)
    check_cell(expected, answer, tries_since(sluice, before), verb == "close-unread", REQUESTS[column])
    for node in sluice.nodes:
        node.seen.clear()


def check_cell(expected, answer, tries, was_unread, request):
    _, target, body, _, _ = request
    assert not [one for one in tries if one.is_whole and one.body != body], "a node saw another body"
    if expected in ("again", "here"):
        assert answer.status in (200, 204) and answer.is_whole, answer
        assert b"first" not in answer.body, answer
        assert len(tries) == (1 if was_unread else 2), f"{len(tries)} tries"
        if not was_unread and expected == "again":
            assert tries[0].headers["host"] == tries[1].headers["host"], "the client's Host is the node's"
        return
    assert len(tries) == 1, f"{len(tries)} tries; {answer}"
    if expected == "ok":
        assert answer.is_whole and answer.body == BODY, answer
    elif expected == "cut":
        assert answer.status != 0 and not answer.is_whole, answer
    else:
        status, name = expected.split(":")
        check_fault(answer, int(status), name, target)


def make_cases():
    """For each row: its name, the verb, the kind of link, and its cells."""
    for verb, link, cells in read_rows():
        yield f"{verb} {link}", verb, link, cells


def run_row(house, verb, link, cells):
    """(name of the cell, None or what went wrong) for each cell, all in one Sluice."""
    results = []
    settings = QUICK if verb in QUICK_VERBS else SETTINGS
    with house.serve(NODES, settings) as sluice:
        for column, expected in cells.items():
            try:
                run_cell(sluice, verb, link == "kept", column, expected)
                results.append((f"{verb} {link} {column}", None))
            except AssertionError as error:
                results.append((f"{verb} {link} {column}", str(error) or "an assertion"))
                for node in sluice.nodes:
                    node.seen.clear()
                    node.script = Script()
    return results
