"""The cells of tables/upstream_faults.txt as cases: one Sluice for each row, one request for each cell."""
import os

from wire.lib.house import CASES, case, table
from wire.lib.http1_client import Client, check_fault
from wire.lib.http1_node import Script
from wire.lib.http1_verbs import BODY, VERBS
from wire.lib.requests import REQUESTS, capable, port_of

NODES = "iiqqcpp"
# Where the case is that a node never answers, waiting for it is the case.
SILENT_VERBS = ("silence", "stall-body")


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


def run_row(sluice, verb, link, cells):
    """(name of the cell, None or what went wrong) for each cell."""
    for column, expected in cells.items():
        wrong = None
        try:
            run_cell(sluice, verb, link == "kept", column, expected)
        except AssertionError as error:
            wrong = str(error) or "an assertion"
            for node in sluice.nodes:
                node.seen.clear()
                node.script = Script()
        yield f"{verb} {link} {column}", wrong


def register_row(verb, link, cells):
    @table
    def cells_of_one_row(house, wanted):
        chosen = {column: expected for column, expected in cells.items() if wanted(f"{verb} {link} {column}")}
        if chosen:
            # One node after the other fails here, and none is to be set aside for it.
            with house.serve(NODES, {"health": {"eject": {"failures": 0}}}) as sluice:
                yield from run_row(sluice, verb, link, chosen)
    cells_of_one_row.__name__ = f"{verb} {link}"


def register_silence(verb, link, column, expected):
    @case()
    def cell(house):
        with house.serve(NODES, {"timeouts": {"write_deadline": house.short(500), "write_response": house.short(500), "response": house.short(500)}}) as sluice:
            run_cell(sluice, verb, link == "kept", column, expected)
    CASES[-1] = (f"{verb} {link} {column}", cell, ())


for row_verb, row_link, row_cells in read_rows():
    if row_verb in SILENT_VERBS:
        for cell_column, cell_expected in row_cells.items():
            register_silence(row_verb, row_link, cell_column, cell_expected)
    else:
        register_row(row_verb, row_link, row_cells)
