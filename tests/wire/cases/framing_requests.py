"""The rows of tables/framing_requests.txt against Sluice.

Each row is sent three ways: in one piece, byte by byte, and cut at every place. All must give the same answer. A
request to /query?follow=ROW comes right behind: it is served when the row is served and keeps the connection, and never
otherwise.
Each row counts twice: whole, and in pieces.
"""
import tempfile

from harness.loopback import Diagnosis, connect, send_pieces
from wire.lib.house import table
from wire.lib.http1_strict import Reader, read_answer
from wire.lib.rows import read_rows
from wire.lib.scenario import ScenarioSluice
from wire.lib.strict_node import Node

SHORTHANDS = {
    b'<P>': b'POST /write?db=d HTTP/1.1\r\nHost: a\r\n',
    b'<G>': b'GET /query?q=1 HTTP/1.1\r\nHost: a\r\n',
    b'<C>': b'POST /write?db=d HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n',
}
# Longer requests are cut at some places only.
EVERY_PLACE_BYTES = 300
SOME_PLACES = 40


class Stage:
    def __init__(self, sluice, node):
        self.address = sluice.address_of_listener()
        self.node = node
        self.diagnosis = Diagnosis()


def follow_of(row):
    return b'/query?follow=' + row.name.encode()


def exchange(stage, row, pieces, follow_up):
    """Sends a row and what follows it; returns what is wrong, or None."""
    expectation = row.expectation
    seen_before = len(stage.node.seen)
    with connect(stage.address) as sock:
        if send_pieces(sock, pieces, stage.diagnosis) or expectation.endswith('+'):
            try:
                sock.sendall(follow_up)
            except OSError:
                pass
        reader = Reader(sock)
        answer = read_answer(reader)
        if answer is None:
            return 'closed without an answer'
        if answer.status != int(expectation[:3]):
            return 'status %d instead of %s' % (answer.status, expectation[:3])
        if expectation.endswith('+'):
            if answer.is_last:
                return 'the connection ends'
            follower = read_answer(reader)
            if follower is None or follower.status != 200 or follow_of(row) not in follower.body:
                return 'the request that follows is not served'
            wanted = 2
        else:
            if not answer.is_last:
                return 'does not say Connection: close'
            if not reader.at_end():
                return 'more comes: %r' % reader.buffer[:80]
            wanted = 1 if expectation.endswith('.') else 0
    # What an earlier row's connection left behind may arrive late: check_node looks at that.
    own = 'follow=' + row.name
    seen = sum('follow=' not in target or target.endswith(own) for _, target, _, _ in stage.node.seen[seen_before:])
    return None if seen == wanted else 'the node saw %d complete requests instead of %d' % (seen, wanted)


def cuts_of(data):
    if len(data) <= EVERY_PLACE_BYTES:
        return range(1, len(data))
    step = len(data) // SOME_PLACES
    return list(range(1, 100)) + list(range(100, len(data), step)) + list(range(len(data) - 20, len(data)))


def byte_by_byte(data):
    if len(data) <= EVERY_PLACE_BYTES:
        return [data[i:i + 1] for i in range(len(data))]
    head, middle, end = data[:100], data[100:-20], data[-20:]
    return [head[i:i + 1] for i in range(100)] + [middle] + [end[i:i + 1] for i in range(20)]


def run_whole(stage, row):
    follow_up = b'GET ' + follow_of(row) + b' HTTP/1.1\r\nHost: a\r\n\r\n'
    return exchange(stage, row, [row.data + follow_up], b'')


def run_pieces(stage, row):
    follow_up = b'GET ' + follow_of(row) + b' HTTP/1.1\r\nHost: a\r\n\r\n'
    wrong = exchange(stage, row, byte_by_byte(row.data), follow_up)
    if wrong is not None:
        return 'byte by byte: ' + wrong
    for cut in cuts_of(row.data):
        wrong = exchange(stage, row, [row.data[:cut], row.data[cut:]], follow_up)
        if wrong is not None:
            return 'cut at %d, %r: %s' % (cut, row.data[max(0, cut - 20):cut], wrong)
    return None


def check_node(node, rows):
    """Over all rows, late arrivals included: only what may follow was served, and all of it was strict HTTP."""
    wrong = list(node.errors)
    may_follow = {follow_of(row).decode() for row in rows if row.expectation.endswith('+')}
    for _, target, _, _ in node.seen:
        if 'follow=' in target and target not in may_follow:
            wrong.append('served: ' + target)
    return wrong


def run_loop(stage):
    """A request that has been here before is 508. The name in Via is only known from what the node sees."""
    with connect(stage.address) as sock:
        sock.sendall(b'GET /query?first HTTP/1.1\r\nHost: a\r\n\r\n')
        read_answer(Reader(sock))
    own = [value for name, value in stage.node.seen[-1][2] if name == 'via'][0]
    for via in (own, '1.0 other, ' + own, '1.1 other\r\nVia: ' + own, own + ' (comment), 1.1 other'):
        with connect(stage.address) as sock:
            sock.sendall(b'GET /query?loop HTTP/1.1\r\nHost: a\r\nVia: ' + via.encode() + b'\r\n\r\n')
            answer = read_answer(Reader(sock))
            if answer is None or answer.status != 508:
                return 'Via: %s gets %s instead of 508' % (via, answer and answer.status)
    return None


def run_row(stage, run, row):
    try:
        wrong = run(stage, row)
    except (EOFError, ValueError, OSError, AssertionError) as error:
        wrong = f'{type(error).__name__}: {error}'
    return wrong and f'framing_requests.txt:{row.line_number}: {wrong}'


def rows_with_meanings():
    rows = read_rows('framing_requests')
    for row in rows:
        for shorthand, meaning in SHORTHANDS.items():
            row.data = row.data.replace(shorthand, meaning)
    return rows


@table
def requests_in_one_piece_and_in_many(house, wanted):
    rows = rows_with_meanings()
    with tempfile.TemporaryDirectory(prefix='wire.') as work, ScenarioSluice(house.binary, work) as sluice:
        node = Node(sluice.node(1))
        stage = Stage(sluice, node)
        for row in rows:
            for how, run in (('whole', run_whole), ('in pieces', run_pieces)):
                if wanted(f'{row.name} {how}'):
                    yield f'{row.name} {how}', run_row(stage, run, row)
        if wanted('a request that comes back'):
            yield 'a request that comes back', run_loop(stage)
        yield 'what the node saw', '\n'.join(check_node(node, rows)) or None
        node.close()
