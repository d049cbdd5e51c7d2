"""A plain HTTP/1.1 client for tests that must see what a library hides: cuts, resets, interim answers, timing."""
import json
import socket
import time

from harness.waiting import PATIENCE_SECONDS

# Words that clients act on wherever they find them in an error.
FORBIDDEN_WORDS = (
    "database not found", "retention policy not found", "hinted handoff queue not empty", "partial write",
    "points beyond retention policy", "unable to parse", "field type conflict", "cache-max-memory-size exceeded",
    "authorization failed", "user is required", "line protocol parsing error", "parsing failed for write_lp endpoint",
)
SEEN_FAULTS = set()  # names of the faults that check_fault has seen
# The v2 API's vocabulary.
CODES = {403: "forbidden", 413: "request too large", 502: "unavailable", 503: "unavailable", 504: "unavailable"}


class Answer:
    def __init__(self):
        self.status = 0
        self.fields = []        # (name in lower case, value), in their order
        self.body = b""
        self.interims = []
        self.is_whole = False   # its end was marked as its head promised
        self.was_reset = False
        self.seconds = 0.0

    def field(self, name):
        values = [value for key, value in self.fields if key == name]
        assert len(values) <= 1, f"{name} came {len(values)} times"
        return values[0] if values else None

    @property
    def node(self):
        return self.field("x-sluice-node")

    def __repr__(self):
        return f"<{self.status} {'whole' if self.is_whole else 'cut'} {self.fields} {self.body[:300]!r}>"


class Client:
    """One connection to Sluice. `ask` is send and read; its end where an answer is due makes a cut answer."""

    def __init__(self, port, patience=PATIENCE_SECONDS, receive_buffer=None, wrap=None, host=None):
        """`wrap` makes another socket of the connected one: for TLS. `host`: the address that it comes from."""
        self.socket = socket.socket()
        if host is not None:
            self.socket.bind((host, 0))
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(patience)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if wrap is not None:
            self.socket = wrap(self.socket)
        self.rest = bytearray()
        self.sent_at = 0.0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, method, target, body=b"", headers=(), chunked=False, only_head=False, length=None):
        """`length`: announce that much, whatever `body` is; `only_head`: the body follows with send_raw."""
        body = body.encode() if isinstance(body, str) else body
        lines = [f"{method} {target} HTTP/1.1", "Host: sluice.example"]
        lines += [f"{name}: {value}" for name, value in dict(headers).items()]
        if chunked:
            lines.append("Transfer-Encoding: chunked")
        elif length is not None or body or method in ("POST", "PUT"):
            lines.append(f"Content-Length: {len(body) if length is None else length}")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        if chunked and not only_head:
            half = len(body) // 2
            pieces = [piece for piece in (body[:half], body[half:]) if piece]
            body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        self.sent_at = time.monotonic()
        self.send_raw(head if only_head else head + body)
        return self

    def send_raw(self, data):
        """False when the other side has gone; an answer that it gave before may still wait to be read."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def receive(self, answer):
        try:
            piece = self.socket.recv(65536)
        except ConnectionResetError:
            answer.was_reset = True
            return False
        self.rest += piece
        return piece != b""

    def fill(self, answer, enough):
        while not enough():
            if not self.receive(answer):
                return False
        return True

    def take(self, size):
        piece = bytes(self.rest[:size])
        del self.rest[:size]
        return piece

    def read_head(self, answer):
        while True:
            if not self.fill(answer, lambda: b"\r\n\r\n" in self.rest):
                return False
            lines = self.take(self.rest.index(b"\r\n\r\n") + 4).decode("latin-1").split("\r\n")
            status = int(lines[0].split(" ")[1])
            if status >= 200:
                break
            answer.interims.append(status)
        answer.status = status
        answer.fields = [(name.lower(), value.strip()) for name, _, value in
                         (line.partition(":") for line in lines[1:] if line)]
        return True

    def read_chunks(self, answer):
        chunks = []
        is_whole = self.read_each_chunk(answer, chunks)
        answer.body = b"".join(chunks)
        return is_whole

    def read_each_chunk(self, answer, chunks):
        while True:
            if not self.fill(answer, lambda: b"\r\n" in self.rest):
                return False
            size = int(self.take(self.rest.index(b"\r\n") + 2), 16)
            is_here = self.fill(answer, lambda: len(self.rest) >= size + 2)
            chunks.append(self.take(size))
            if not is_here:
                return False
            assert self.take(2) == b"\r\n", "a chunk does not end where it should"
            if size == 0:
                return True

    def read_body(self, answer, is_head_request):
        if is_head_request or answer.status in (204, 304):
            return True
        if answer.field("transfer-encoding") == "chunked":
            return self.read_chunks(answer)
        length = answer.field("content-length")
        if length is None:
            self.fill(answer, lambda: False)
            answer.body = self.take(len(self.rest))
            return not answer.was_reset
        is_whole = self.fill(answer, lambda: len(self.rest) >= int(length))
        answer.body = self.take(int(length))
        return is_whole

    def read(self, is_head_request=False):
        answer = Answer()
        answer.is_whole = self.read_head(answer) and self.read_body(answer, is_head_request)
        answer.seconds = time.monotonic() - self.sent_at
        return answer

    def ask(self, method, target, body=b"", headers=(), chunked=False):
        return self.send(method, target, body, headers, chunked).read(method == "HEAD")

    def is_closed(self):
        """Waits for the end of the connection; False when bytes come instead."""
        return not self.receive(Answer())


def ask(port, method, target, body=b"", headers=(), chunked=False):
    """One request on a connection of its own."""
    with Client(port) as client:
        return client.ask(method, target, body, headers, chunked)


def check_fault(answer, status, name, target="", retry_after=None):
    """The answer is one that the router made: the words that every client understands."""
    assert answer.status == status, f"{answer}, not {status}"
    assert answer.is_whole, f"cut: {answer}"
    body = json.loads(answer.body)
    assert sorted(body) == ["code", "error", "error_code", "message"], body
    assert body["error"] == body["message"] and body["error"], body
    SEEN_FAULTS.add(name)
    assert body["error_code"] == f"router_{name}", f"{body['error_code']}, not router_{name}"
    assert body["code"] == CODES.get(status, body["code"]), body
    words = answer.body.decode().lower()
    assert not [word for word in FORBIDDEN_WORDS if word in words], f"a word that clients act on: {words}"
    assert answer.field("content-type") == "application/json", answer
    assert answer.field("content-length") == str(len(answer.body)), answer
    assert answer.field("access-control-allow-origin") == "*", answer
    assert answer.field("cache-control") == "no-store", answer
    assert answer.field("x-request-id"), answer
    assert answer.field("date"), answer
    assert answer.field("x-sluice-node") is None, "no node said this"
    assert answer.field("retry-after") == retry_after, answer
    is_v1 = target.split("?")[0] in ("/write", "/query")
    assert answer.field("x-influxdb-error") == (body["error"] if is_v1 else None), answer
