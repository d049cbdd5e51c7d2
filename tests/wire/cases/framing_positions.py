"""Every byte at every place of a framing field.

For each of the 256 bytes and each of 12 places around "Transfer-Encoding: chunked" and "Content-Length: 0005" a POST is
sent with a second request right behind it. A strict reader (below) says which requests these bytes hold. Sluice must
serve exactly those, or refuse; it must never serve a request that the strict reader does not see, nor another body.
Each place of each field counts once.
"""
import re
import tempfile

from harness.loopback import Diagnosis, connect, is_readable, send_pieces
from wire.lib.house import table
from wire.lib.http1_strict import Reader, read_answer
from wire.lib.scenario import ScenarioSluice
from wire.lib.strict_node import Node

FIELDS = {
    'coding': (b'Transfer-Encoding', b'chunked', b'5\r\nhello\r\n0\r\n\r\n'),
    'length': (b'Content-Length', b'0005', b'hello'),
}
PLACES = ('before name', 'inside name', 'before colon', 'behind colon', 'before value', 'inside value', 'behind value',
          'instead of CR', 'instead of LF', 'between CR and LF', 'between lines', 'before empty line')
SMUGGLED = b'GET /query?second HTTP/1.1\r\nHost: a\r\n\r\n'
TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# llhttp refuses a Content-Length with HTAB behind it: stricter than need be, so nothing that could desynchronise.
KNOWN_REFUSALS = {('length', 'behind value', 0x09)}


def build(field, place, byte):
    name, value, body = FIELDS[field]
    b = bytes([byte])
    line = {
        'before name': b + name + b': ' + value + b'\r\n',
        'inside name': name[:4] + b + name[4:] + b': ' + value + b'\r\n',
        'before colon': name + b + b': ' + value + b'\r\n',
        'behind colon': name + b':' + b + b' ' + value + b'\r\n',
        'before value': name + b': ' + b + value + b'\r\n',
        'inside value': name + b': ' + value[:3] + b + value[3:] + b'\r\n',
        'behind value': name + b': ' + value + b + b'\r\n',
        'instead of CR': name + b': ' + value + b + b'\n',
        'instead of LF': name + b': ' + value + b'\r' + b,
        'between CR and LF': name + b': ' + value + b'\r' + b + b'\n',
        'between lines': name + b': ' + value + b'\r\n' + b,
        'before empty line': name + b': ' + value + b'\r\n',
    }[place]
    last = b if place == 'before empty line' else b''
    return b'POST /write?db=d HTTP/1.1\r\nHost: a\r\n' + line + b'X-Next: 1\r\n' + last + b'\r\n' + body + SMUGGLED


# ---- the strict reader

class Refused(Exception):
    pass


class Incomplete(Exception):
    pass


def read_fields(head):
    lines = head.split(b'\r\n')
    if any(b'\r' in line or b'\n' in line for line in lines):
        raise Refused
    request_line = re.fullmatch(rb'(GET|POST) (/[!-"$-~]*) HTTP/1\.1', lines[0])
    if request_line is None:
        raise Refused
    fields = []
    for line in lines[1:]:
        match = re.fullmatch(rb'(' + TOKEN + rb'):[ \t]*([\t -~\x80-\xff]*?)[ \t]*', line)
        if match is None:
            raise Refused
        fields.append((match.group(1).lower(), match.group(2)))
    return request_line.group(1), request_line.group(2), fields


def read_chunks(data):
    body = b''
    while True:
        line, end, rest = data.partition(b'\r\n')
        if not end:
            raise Incomplete
        match = re.fullmatch(rb'([0-9a-fA-F]{1,15})(;[\t -~\x80-\xff]*)?', line)
        if match is None:
            raise Refused
        size = int(match.group(1), 16)
        if size == 0:
            if not rest.startswith(b'\r\n'):
                raise Refused
            return body, rest[2:]
        if len(rest) < size + 2:
            raise Incomplete
        if rest[size:size + 2] != b'\r\n':
            raise Refused
        body += rest[:size]
        data = rest[size + 2:]


def read_body(fields, data):
    lengths = [value for name, value in fields if name == b'content-length']
    codings = [value for name, value in fields if name == b'transfer-encoding']
    if len(lengths) + len(codings) > 1 or [name for name, _ in fields].count(b'host') != 1:
        raise Refused
    if codings:
        if codings[0].lower() != b'chunked':
            raise Refused
        return read_chunks(data)
    if not lengths:
        return b'', data
    if re.fullmatch(rb'[0-9]{1,18}', lengths[0]) is None:
        raise Refused
    length = int(lengths[0])
    if len(data) < length:
        raise Incomplete
    return data[:length], data[length:]


def strict(data):
    """The requests in `data`, and how it ends: None, Refused or Incomplete."""
    requests = []
    while data:
        if data.startswith(b'\r\n'):
            data = data[2:]
        head, end, data = data.partition(b'\r\n\r\n')
        try:
            if not end:
                raise Refused if b'\n' in re.sub(rb'\r\n', b'', head) else Incomplete
            method, target, fields = read_fields(head)
            body, data = read_body(fields, data)
        except (Refused, Incomplete) as how:
            return requests, type(how)
        requests.append((method.decode(), target.decode(), body))
    return requests, None


# ---- the comparison

def play(address, diagnosis, data, wanted, ending):
    """Sends the bytes; returns the statuses that came back and whether the connection was closed."""
    statuses = []
    with connect(address) as sock:
        send_pieces(sock, [data], diagnosis)
        reader = Reader(sock)
        while True:
            # Nothing is due any more: what is wrong would be here already, or the node's record shows it.
            if ending is not Refused and len(statuses) == len(wanted) and not reader.buffer and not is_readable(sock):
                return statuses, False
            answer = read_answer(reader)
            if answer is None:
                return statuses, True
            statuses.append(answer.status)
            if answer.is_last:
                return statuses, reader.at_end()


def check(stage, field, place, byte):
    address, node, diagnosis = stage
    data = build(field, place, byte)
    wanted, ending = strict(data)
    before = len(node.seen)
    statuses, closed = play(address, diagnosis, data, wanted, ending)
    seen = [(method, target, body) for method, target, _, body in node.seen[before:]]
    served = [status for status in statuses if status == 200]
    if seen != wanted[:len(seen)] or len(served) != len(seen):
        return 'the node saw %r, statuses %r; the bytes hold %r' % (seen, statuses, wanted)
    is_known_refusal = (field, place, byte) in KNOWN_REFUSALS
    if len(seen) < len(wanted) and not is_known_refusal:
        return 'not served: %r, statuses %r' % (wanted[len(seen):], statuses)
    if (ending is Refused or is_known_refusal) and not (closed and statuses[len(served):] and statuses[-1] >= 400):
        return 'not refused: statuses %r, closed %r' % (statuses, closed)
    return None


def run_place(stage, field, place):
    wrong = []
    for byte in range(256):
        try:
            complaint = check(stage, field, place, byte)
        except (EOFError, ValueError, OSError, AssertionError) as error:
            complaint = '%s: %s' % (type(error).__name__, error)
        if complaint is not None:
            wrong.append('%s, 0x%02x %s: %s' % (field, byte, place, complaint))
    return wrong


@table
def every_byte_at_every_place(house, wanted):
    with tempfile.TemporaryDirectory(prefix='wire.') as work, ScenarioSluice(house.binary, work) as sluice:
        node = Node(sluice.node(1))
        stage = sluice.address_of_listener(), node, Diagnosis()
        for field in FIELDS:
            for place in PLACES:
                if wanted(f'{field}, {place}'):
                    yield f'{field}, {place}', '\n'.join(run_place(stage, field, place)[:10]) or None
        yield 'what the node saw', '\n'.join(node.errors) or None
        node.close()
