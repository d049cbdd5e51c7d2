"""The rows of tables/framing_answers.txt: a node's bytes and what the client hears.

Each row is sent by the node twice, in one piece and byte by byte; both must give the same answer, and each counts.
Behind every answer that leaves the client's connection open comes one more request on it, which must get the node's
answer to that.
"""
import tempfile

from harness.loopback import Diagnosis, connect, send_pieces
from wire.lib.house import table
from wire.lib.http1_strict import Reader, read_answer
from wire.lib.rows import read_rows
from wire.lib.scenario import ScenarioSluice
from wire.lib.strict_node import Node

SHORTHANDS = {b'<O>': b'HTTP/1.1 200 OK\r\n'}
EVERY_PLACE_BYTES = 300
AFTER = b'after'


class Script:
    """Answers ?row=I with the bytes of that row, ?after with AFTER."""

    def __init__(self, rows):
        self.rows = rows
        self.in_pieces = False
        self.diagnosis = Diagnosis()

    def __call__(self, node, sock, request):
        target = request[1]
        if not target.startswith('/query?row='):
            sock.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s' % (len(AFTER), AFTER))
            return True
        data = self.rows[int(target.rpartition('=')[2])].data
        ends = data.endswith(b'!')
        data = data[:-1] if ends else data
        send_pieces(sock, self.cut(data), self.diagnosis)
        if not ends:
            # Open until Sluice closes it, or sends the next request if it takes this for a good connection.
            return True
        return False

    def cut(self, data):
        if not self.in_pieces or not data:
            return [data] if data else []
        if len(data) <= EVERY_PLACE_BYTES:
            return [data[i:i + 1] for i in range(len(data))]
        step = len(data) // 100
        return [data[i:i + step] for i in range(0, len(data), step)]


def read_cut(reader):
    """The body of an answer whose end is missing, or None when it is whole."""
    start, fields = reader.head()
    chunked = ('transfer-encoding', 'chunked') in fields
    try:
        reader.buffer, kept = b'', reader.buffer
        while reader.fill():
            pass
        rest = kept + reader.buffer
    finally:
        reader.buffer = b''
    if not chunked:
        length = int(dict(fields)['content-length'])
        return start, (rest if len(rest) < length else None)
    body = b''
    while rest:
        line, end, rest = rest.partition(b'\r\n')
        if not end:
            break
        size = int(line, 16)
        if size == 0:
            return start, None
        body += rest[:size]
        rest = rest[size + 2:]
    return start, body


def run_row(address, index, row):
    """What is wrong, or None."""
    with connect(address) as sock:
        sock.sendall(b'GET /query?row=%d HTTP/1.1\r\nHost: a\r\n\r\n' % index)
        reader = Reader(sock)
        if row.expectation.startswith('cut:'):
            start, body = read_cut(reader)
            if ' 200 ' not in start:
                return 'head %r' % start
            if body is None:
                return 'the end is not missing'
            wanted = row.expectation[4:].encode()
            return None if body == wanted else 'body %r instead of %r' % (body, wanted)
        answer = read_answer(reader)
        if answer is None:
            return 'closed without an answer'
        status, _, wanted = row.expectation.partition('+')
        if answer.status != int(status):
            return 'status %d instead of %s' % (answer.status, status)
        is_own = (answer.field('content-type') or '').startswith('application/json') and b'error_code' in answer.body
        if is_own != (status == '502'):
            return 'the answer is %s' % ('Sluice\'s own' if is_own else 'the node\'s')
        if not is_own and answer.body != wanted.encode():
            return 'body %r instead of %r' % (answer.body, wanted)
        if answer.is_last:
            return 'the connection ends'
        sock.sendall(b'GET /query?after=%d HTTP/1.1\r\nHost: a\r\n\r\n' % index)
        after = read_answer(reader)
        if after is None or after.status != 200 or after.body != AFTER:
            return 'the next request gets %r' % ((after and (after.status, after.body)),)
    return None


def rows_with_meanings():
    rows = read_rows('framing_answers')
    for row in rows:
        for shorthand, meaning in SHORTHANDS.items():
            row.data = row.data.replace(shorthand, meaning)
    return rows


def try_row(address, index, row):
    try:
        wrong = run_row(address, index, row)
    except (EOFError, ValueError, KeyError, OSError, AssertionError) as error:
        wrong = f'{type(error).__name__}: {error}'
    return wrong and f'framing_answers.txt:{row.line_number}: {wrong}'


@table
def answers_in_one_piece_and_byte_by_byte(house, wanted):
    rows = rows_with_meanings()
    script = Script(rows)
    with tempfile.TemporaryDirectory(prefix='wire.') as work, ScenarioSluice(house.binary, work) as sluice:
        node = Node(sluice.node(1), script)
        for index, row in enumerate(rows):
            # Poison that comes in pieces may come after the next request was sent: nobody could tell it from its answer.
            for how in ('whole',) if row.name.startswith('poison') else ('whole', 'byte by byte'):
                script.in_pieces = how != 'whole'
                if wanted(f'{row.name} {how}'):
                    yield f'{row.name} {how}', try_row(sluice.address_of_listener(), index, row)
        yield 'what the node saw', '\n'.join(node.errors) or None
        node.close()
