"""A strict reader of HTTP/1.1 messages, for tests whose subject is the framing."""
import re


class Reader:
    """Reads HTTP/1.1 messages off a socket, strictly: anything odd in what Sluice sends is an error."""

    def __init__(self, sock):
        self.sock = sock
        self.buffer = b''

    def fill(self):
        """False at the end of the connection."""
        try:
            piece = self.sock.recv(65536)
        except ConnectionResetError:
            return False
        self.buffer += piece
        return bool(piece)

    def at_end(self):
        """True when nothing but the end of the connection follows; waits for it."""
        return not self.buffer and not self.fill()

    def head(self):
        """(start line, [(name in lower case, value)]), or None at the end of the connection."""
        while b'\r\n\r\n' not in self.buffer:
            if not self.fill():
                if self.buffer:
                    raise EOFError('the connection ends in a head: %r' % self.buffer[:80])
                return None
        head, _, self.buffer = self.buffer.partition(b'\r\n\r\n')
        lines = head.decode('latin-1').split('\r\n')
        if any('\r' in line or '\n' in line or '\0' in line for line in lines):
            raise ValueError('a stray line end: %r' % head)
        fields = []
        for line in lines[1:]:
            match = re.fullmatch(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*", line)
            if match is None:
                raise ValueError('not a field: %r' % line)
            fields.append((match.group(1).lower(), match.group(2)))
        return lines[0], fields

    def exactly(self, count):
        while len(self.buffer) < count:
            if not self.fill():
                raise EOFError('the connection ends %d bytes early' % (count - len(self.buffer)))
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def line(self):
        while b'\r\n' not in self.buffer:
            if not self.fill():
                raise EOFError('the connection ends in a chunk line')
        line, _, self.buffer = self.buffer.partition(b'\r\n')
        return line

    def chunked(self):
        body = b''
        while True:
            line = self.line()
            if re.fullmatch(rb'[0-9a-fA-F]{1,15}', line) is None:
                raise ValueError('not a plain chunk line: %r' % line)
            size = int(line, 16)
            if size == 0:
                if self.line() != b'':
                    raise ValueError('trailers')
                return body
            body += self.exactly(size)
            if self.exactly(2) != b'\r\n':
                raise ValueError('no CR LF behind a chunk')

    def body(self, fields, until_close=False):
        lengths = [value for name, value in fields if name == 'content-length']
        codings = [value for name, value in fields if name == 'transfer-encoding']
        if len(lengths) > 1 or len(codings) > 1 or (lengths and codings):
            raise ValueError('ambiguous framing: %r' % (fields,))
        if codings:
            if codings != ['chunked']:
                raise ValueError('coding %r' % codings)
            return self.chunked()
        if lengths:
            if re.fullmatch('[0-9]+', lengths[0]) is None:
                raise ValueError('length %r' % lengths[0])
            return self.exactly(int(lengths[0]))
        if until_close:
            while self.fill():
                pass
            body, self.buffer = self.buffer, b''
            return body
        return b''


class Answer:
    def __init__(self, start, fields, body):
        self.status = int(start.split(' ')[1])
        self.fields = fields
        self.body = body

    def field(self, name):
        return next((value for key, value in self.fields if key == name), None)

    @property
    def is_last(self):
        return self.field('connection') == 'close'


def read_answer(reader, to_head=False):
    """The next final answer, or None at the end of the connection; EOFError when it is cut."""
    while True:
        head = reader.head()
        if head is None:
            return None
        start, fields = head
        if re.fullmatch(r'HTTP/1\.1 [1-5][0-9][0-9] .*', start) is None:
            raise ValueError('not a status line: %r' % start)
        status = int(start.split(' ')[1])
        if status < 200:
            continue
        has_body = not to_head and status not in (204, 304)
        return Answer(start, fields, reader.body(fields, until_close=True) if has_body else b'')
