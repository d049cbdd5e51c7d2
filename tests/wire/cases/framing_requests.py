#!/usr/bin/env python3
"""The rows of framing_requests.txt against Sluice: framing_requests.py BINARY [name-filter...]

Each row is sent three ways: in one piece, byte by byte, and cut at every place. All must give the same answer. A
request to /query?follow=ROW comes right behind: it is served when the row is served and keeps the connection, and never
otherwise.
Each row counts twice: whole, and in pieces.
"""
import os
import sys
import tempfile

from wire.lib.scenario import Sluice
from wire.lib.http1_strict import Diagnosis, Reader, connect, read_answer, read_rows, send_pieces
from wire.lib.strict_node import Node

SHORTHANDS = {
    b'<P>': b'POST /write?db=d HTTP/1.1\r\nHost: a\r\n',
    b'<G>': b'GET /query?q=1 HTTP/1.1\r\nHost: a\r\n',
    b'<C>': b'POST /write?db=d HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n',
}
# Longer requests are cut at some places only.
EVERY_PLACE_BYTES = 300
SOME_PLACES = 40


class House:
    def __init__(self, sluice, node):
        self.address = sluice.address_of_listener()
        self.node = node
        self.diagnosis = Diagnosis()


def follow_of(row):
    return b'/query?follow=' + row.name.encode()


def exchange(house, row, pieces, follow_up):
    """Sends a row and what follows it; returns what is wrong, or None."""
    expectation = row.expectation
    seen_before = len(house.node.seen)
    with connect(house.address) as sock:
        if send_pieces(sock, pieces, house.diagnosis) or expectation.endswith('+'):
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
    seen = sum('follow=' not in target or target.endswith(own) for _, target, _, _ in house.node.seen[seen_before:])
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


def run_whole(house, row):
    follow_up = b'GET ' + follow_of(row) + b' HTTP/1.1\r\nHost: a\r\n\r\n'
    return exchange(house, row, [row.data + follow_up], b'')


def run_pieces(house, row):
    follow_up = b'GET ' + follow_of(row) + b' HTTP/1.1\r\nHost: a\r\n\r\n'
    wrong = exchange(house, row, byte_by_byte(row.data), follow_up)
    if wrong is not None:
        return 'byte by byte: ' + wrong
    for cut in cuts_of(row.data):
        wrong = exchange(house, row, [row.data[:cut], row.data[cut:]], follow_up)
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


def run_loop(house):
    """A request that has been here before is 508. The name in Via is only known from what the node sees."""
    with connect(house.address) as sock:
        sock.sendall(b'GET /query?first HTTP/1.1\r\nHost: a\r\n\r\n')
        read_answer(Reader(sock))
    own = [value for name, value in house.node.seen[-1][2] if name == 'via'][0]
    for via in (own, '1.0 other, ' + own, '1.1 other\r\nVia: ' + own, own + ' (comment), 1.1 other'):
        with connect(house.address) as sock:
            sock.sendall(b'GET /query?loop HTTP/1.1\r\nHost: a\r\nVia: ' + via.encode() + b'\r\n\r\n')
            answer = read_answer(Reader(sock))
            if answer is None or answer.status != 508:
                return 'Via: %s gets %s instead of 508' % (via, answer and answer.status)
    return None


def run_rows(house, rows):
    passed = failed = 0
    for row in rows:
        for run in (run_whole, run_pieces):
            try:
                wrong = run(house, row)
            except (EOFError, ValueError, OSError) as error:
                wrong = '%s: %s' % (type(error).__name__, error)
            if wrong is None:
                passed += 1
            else:
                failed += 1
                print('framing_requests.txt:%d: %s: %s' % (row.line_number, row.name, wrong))
    return passed, failed


def main():
    rows = read_rows(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'tables', 'framing_requests.txt'))
    for row in rows:
        for shorthand, meaning in SHORTHANDS.items():
            row.data = row.data.replace(shorthand, meaning)
    filters = sys.argv[2:]
    rows = [row for row in rows if not filters or any(word in row.name for word in filters)]
    with tempfile.TemporaryDirectory(prefix='wire.') as work:
        sluice = Sluice(sys.argv[1], work, settings={'timeouts.linger': '100ms', 'timeouts.connect': '5s'})
        sluice.start()
        node = Node(sluice.node(1))
        house = House(sluice, node)
        passed, failed = run_rows(house, rows)
        loop = run_loop(house)
        passed, failed = passed + (loop is None), failed + (loop is not None)
        if loop is not None:
            print(loop)
        end = sluice.stop()
        for wrong in check_node(node, rows) + ([end + '\n' + sluice.read_log()] if end else []):
            failed += 1
            print(wrong)
    print('%d passed, %d failed' % (passed, failed))
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == '__main__':
    sys.exit(main())
