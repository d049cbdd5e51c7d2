"""HTTP/2 for tests that must see and send what a library hides: any frame, valid or not.

A `Peer` is one side of a connection. A thread of its own reads what comes, files it by stream, and does what keeps a connection alive:
acknowledge SETTINGS and PING, give back the window. Each of these can be turned off. What goes out is up to the test.
`Client` is the side that opens streams; the other side is in http2_node.py.
"""
import socket
import ssl
import struct
import threading
import time

from harness.waiting import PATIENCE_SECONDS
from wire.lib.hpack import Decoder, encode

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
WINDOW = 65535
FRAME_BYTES = 16384

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
NAMES = ("DATA", "HEADERS", "PRIORITY", "RST_STREAM", "SETTINGS", "PUSH_PROMISE", "PING", "GOAWAY", "WINDOW_UPDATE",
         "CONTINUATION")
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITIZED = 1, 1, 4, 8, 32
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = range(1, 7)
(NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM,
 CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, ENHANCE_YOUR_CALM, INADEQUATE_SECURITY, HTTP_1_1_REQUIRED) = range(14)
LAST_STREAM = 2 ** 31 - 1


# ---- frames to send ----

def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, stream) + payload


def settings(*pairs):
    return frame(SETTINGS, 0, 0, b"".join(struct.pack("!HI", key, value) for key, value in pairs))


def headers(stream, fields, end=False, flags=END_HEADERS):
    """`fields`: pairs, or a header block."""
    block = fields if isinstance(fields, bytes) else encode(fields)
    return frame(HEADERS, flags | (END_STREAM if end else 0), stream, block)


def continuation(stream, block, flags=END_HEADERS):
    return frame(CONTINUATION, flags, stream, block)


def data(stream, payload=b"", end=False):
    return frame(DATA, END_STREAM if end else 0, stream, payload)


def rst(stream, code=CANCEL):
    return frame(RST_STREAM, 0, stream, struct.pack("!I", code))


def ping(payload=b"12345678", flags=0):
    return frame(PING, flags, 0, payload)


def goaway(last, code=NO_ERROR, debug=b""):
    return frame(GOAWAY, 0, 0, struct.pack("!II", last, code) + debug)


def window_update(stream, increment):
    return frame(WINDOW_UPDATE, 0, stream, struct.pack("!I", increment))


def priority(stream, depends_on=0, weight=15):
    return frame(PRIORITY, 0, stream, struct.pack("!IB", depends_on, weight))


def request_fields(method, path, fields=(), authority="sluice.example", scheme="http"):
    """The fields of a request, pseudo fields first."""
    pairs = fields.items() if isinstance(fields, dict) else fields
    return [(":method", method), (":scheme", scheme), (":path", path), (":authority", authority)] + list(pairs)


# ---- what came ----

class Frame:
    def __init__(self, kind, flags, stream, payload):
        self.kind = kind
        self.flags = flags
        self.stream = stream
        self.payload = payload

    def word(self, at=0):
        return struct.unpack_from("!I", self.payload, at)[0]

    def __repr__(self):
        name = NAMES[self.kind] if self.kind < len(NAMES) else f"type {self.kind}"
        return f"<{name} flags={self.flags:#x} stream={self.stream} {self.payload[:40]!r}>"


class Goaway:
    def __init__(self, came):
        self.last = came.word() & LAST_STREAM
        self.code = came.word(4)
        self.debug = came.payload[8:]

    def __repr__(self):
        return f"<GOAWAY last={self.last} code={self.code} {self.debug!r}>"


class Stream:
    """One stream as seen from one side: what came on it, and its window for what goes out."""

    def __init__(self, peer, number):
        self.peer = peer
        self.number = number
        self.method = None       # of the request that we sent
        self.interims = []       # heads with a status of 1xx
        self.fields = None       # of the head
        self.trailers = None
        self.pieces = []
        self.received = 0        # bytes of DATA
        self.is_ended = False    # END_STREAM came
        self.ended_by = None     # the frame type with it
        self.reset_code = None   # RST_STREAM came
        self.send_window = peer.initial_send_window
        self.began_at = time.monotonic()
        self.ended_at = None

    # ---- what answers and requests share ----

    @property
    def body(self):
        return b"".join(self.pieces)

    @property
    def is_whole(self):
        if self.fields is None or not self.is_ended:
            return False
        length = None if self.method == "HEAD" or self.status == 304 else self.field("content-length")
        return length is None or int(length) == self.received

    def values(self, name):
        return [value for key, value in self.fields or () if key == name]

    def field(self, name):
        values = self.values(name)
        assert len(values) <= 1, f"{name} came {len(values)} times"
        return values[0] if values else None

    @property
    def status(self):
        return int(self.field(":status") or 0)

    @property
    def node(self):
        return self.field("x-sluice-node")

    @property
    def seconds(self):
        return (self.ended_at or time.monotonic()) - self.began_at

    def trailer(self, name):
        return dict(self.trailers or ()).get(name)

    @property
    def grpc_status(self):
        """From the trailers, or from the head of an answer that is nothing else."""
        value = self.trailer("grpc-status") if self.trailers is not None else self.field("grpc-status")
        return None if value is None else int(value)

    @property
    def is_trailers_only(self):
        return self.ended_by == HEADERS and self.trailers is None

    def is_over(self):
        return self.is_ended or self.reset_code is not None

    # ---- waiting ----

    def wait(self, condition, what):
        self.peer.wait(lambda: condition() or self.peer.is_closed, f"{what} on {self!r}")
        assert condition(), f"the connection ended before {what} on {self!r}"
        return self

    def wait_head(self):
        return self.wait(lambda: self.fields is not None or self.is_over(), "a head")

    def wait_received(self, count):
        return self.wait(lambda: self.received >= count or self.is_over(), f"{count} bytes")

    def wait_over(self):
        """Until its end, its reset, or the end of the connection."""
        self.peer.wait(lambda: self.is_over() or self.peer.is_closed, f"the end of {self!r}")
        return self

    def wait_reset(self, *codes):
        self.wait(lambda: self.reset_code is not None, "a reset")
        assert not codes or self.reset_code in codes, f"code {self.reset_code}, not {codes}"
        return self

    # ---- sending ----

    def send_head(self, fields, end=False):
        return self.peer.send(headers(self.number, fields, end))

    def send_data(self, payload, end=False):
        return self.peer.send_data(self, payload, end)

    def send_end(self):
        return self.peer.send(data(self.number, b"", True))

    def reset(self, code=CANCEL):
        return self.peer.send(rst(self.number, code))

    def __repr__(self):
        end = "ended" if self.is_ended else "open"
        end = end if self.reset_code is None else f"reset {self.reset_code}"
        return (f"<stream {self.number} {end} {self.fields} {self.received} bytes {self.body[:200]!r} "
                f"trailers {self.trailers} of {self.peer!r}>")


# ---- TLS for two threads ----

class TlsSocket:
    """A TLS connection that one thread reads while another one writes, which Python's own must not. `server_name` None: the server's side."""

    def __init__(self, sock, context, server_name=None):
        self.socket = sock
        self.lock = threading.Lock()
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_name is None, server_name)
        try:
            while True:
                try:
                    self.tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    self.flush()
                    self.feed()
        finally:
            self.flush()  # the alert, too

    def flush(self):
        pending = self.outgoing.read()
        if pending:
            self.socket.sendall(pending)

    def feed(self):
        piece = self.socket.recv(65536)
        self.incoming.write(piece) if piece else self.incoming.write_eof()

    def recv(self, size):
        while True:
            with self.lock:
                try:
                    return self.tls.read(size)
                except ssl.SSLWantReadError:
                    self.flush()
                except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
                    return b""
            self.feed()

    def sendall(self, payload):
        with self.lock:
            self.tls.write(payload)
            self.flush()

    def protocol(self):
        return self.tls.selected_alpn_protocol()

    @property
    def session_reused(self):
        return self.tls.session_reused

    def version(self):
        return self.tls.version()

    def getpeercert(self):
        return self.tls.getpeercert()

    def __getattr__(self, name):
        return getattr(self.socket, name)


# ---- one side of a connection ----

class Peer:
    """`window`: what each stream may send us; it is given back as it is used up, unless `gives_window` is False, or "connection":
    then only that of the connection is."""

    is_client = False

    def __init__(self, sock, pairs=(), window=None, gives_window=True):
        self.socket = sock
        self.changed = threading.Condition()
        self.sending = threading.Lock()
        self.decoder = Decoder()
        self.streams = {}
        self.frames = []          # all but DATA
        self.settings = {}        # of the other side
        self.own_settings = list(pairs) + ([(INITIAL_WINDOW_SIZE, window)] if window is not None else [])
        self.settings_acked = 0
        self.pongs = []
        self.goaways = []
        self.initial_send_window = WINDOW
        self.send_window = WINDOW
        self.send_frame_bytes = FRAME_BYTES
        self.acks_settings = True
        self.acks_pings = True
        self.gives_window = gives_window
        self.is_closed = False
        self.was_reset = False
        self.wrong = None         # what the other side must not send

    def start(self, greeting):
        self.send(greeting)
        threading.Thread(target=self.read_all, daemon=True).start()

    # ---- reading ----

    def read_exactly(self, size, rest):
        while len(rest) < size:
            piece = self.socket.recv(65536)
            if not piece:
                raise EOFError()
            rest += piece
        taken = bytes(rest[:size])
        del rest[:size]
        return taken

    def read_all(self):
        rest = bytearray()
        try:
            while True:
                head = self.read_exactly(9, rest)
                payload = self.read_exactly(int.from_bytes(head[:3], "big"), rest)
                self.take(Frame(head[3], head[4], int.from_bytes(head[5:9], "big") & LAST_STREAM, payload))
        except ConnectionResetError:
            self.was_reset = True
        except (EOFError, OSError):
            pass
        except Exception as error:  # for the test to see
            self.wrong = repr(error)
        with self.changed:
            self.is_closed = True
            self.changed.notify_all()
        self.on_closed()

    def take(self, came):
        assert len(came.payload) <= FRAME_BYTES or MAX_FRAME_SIZE in dict(self.own_settings), f"{came} is too large"
        reply = b""
        with self.changed:
            if came.kind != DATA:
                self.frames.append(came)
            handler = self.HANDLERS.get(came.kind)
            if handler is not None:
                reply = handler(self, came) or b""
            self.changed.notify_all()
        if reply:
            self.send(reply)
        if came.kind in (DATA, HEADERS, CONTINUATION, RST_STREAM) and came.stream in self.streams:
            self.on_stream(self.streams[came.stream])

    def stream_of(self, came):
        if came.stream not in self.streams:
            self.streams[came.stream] = Stream(self, came.stream)
        return self.streams[came.stream]

    def unpadded(self, came):
        payload = came.payload
        if came.flags & PADDED:
            assert payload and payload[0] < len(payload), f"padding of {came}"
            payload = payload[1:len(payload) - payload[0]]
        return payload[5:] if came.kind == HEADERS and came.flags & PRIORITIZED else payload

    def end_stream(self, stream, kind):
        stream.is_ended = True
        stream.ended_by = kind
        stream.ended_at = time.monotonic()

    def take_data(self, came):
        stream = self.stream_of(came)
        assert stream.fields is not None and not stream.is_ended, f"{came} has no place in {stream}"
        piece = self.unpadded(came)
        stream.pieces.append(piece)
        stream.received += len(piece)
        if came.flags & END_STREAM:
            self.end_stream(stream, DATA)
        if not self.gives_window or not came.payload:
            return b""
        update = window_update(0, len(came.payload))
        stays_closed = stream.is_ended or self.gives_window == "connection"
        return update if stays_closed else update + window_update(came.stream, len(came.payload))

    def take_headers(self, came):
        self.block = self.unpadded(came)
        self.block_head = came
        return self.take_block(came)

    def take_continuation(self, came):
        assert came.stream == self.block_head.stream, f"{came} behind {self.block_head}"
        self.block += came.payload
        return self.take_block(came)

    def take_block(self, came):
        if not came.flags & END_HEADERS:
            return
        fields = self.decoder.decode(self.block)
        stream = self.stream_of(came)
        assert not stream.is_ended, f"a head behind the end of {stream}"
        for name, _ in fields:
            assert name == name.lower() and name not in ("connection", "transfer-encoding", "keep-alive", "upgrade"), fields
        regular = [name.startswith(":") for name, _ in fields]
        assert regular == sorted(regular, reverse=True), f"a pseudo field behind others: {fields}"
        if stream.fields is not None:
            assert self.block_head.flags & END_STREAM and not any(regular), f"trailers: {fields} on {stream}"
            stream.trailers = fields
        elif dict(fields).get(":status", "200").startswith("1"):
            stream.interims.append(fields)
        else:
            stream.fields = fields
        if self.block_head.flags & END_STREAM:
            self.end_stream(stream, HEADERS)

    def take_rst(self, came):
        stream = self.stream_of(came)
        stream.reset_code = came.word()
        stream.ended_at = stream.ended_at or time.monotonic()

    def take_settings(self, came):
        if came.flags & ACK:
            self.settings_acked += 1
            return b""
        for at in range(0, len(came.payload), 6):
            key, value = struct.unpack_from("!HI", came.payload, at)
            self.settings[key] = value
            if key == INITIAL_WINDOW_SIZE:
                for stream in self.streams.values():
                    stream.send_window += value - self.initial_send_window
                self.initial_send_window = value
            elif key == MAX_FRAME_SIZE:
                self.send_frame_bytes = value
        return frame(SETTINGS, ACK) if self.acks_settings else b""

    def take_ping(self, came):
        if came.flags & ACK:
            self.pongs.append(came.payload)
            return b""
        return ping(came.payload, ACK) if self.acks_pings else b""

    def take_goaway(self, came):
        self.goaways.append(Goaway(came))

    def take_window_update(self, came):
        if came.stream == 0:
            self.send_window += came.word()
        elif came.stream in self.streams:
            self.streams[came.stream].send_window += came.word()

    HANDLERS = {DATA: take_data, HEADERS: take_headers, CONTINUATION: take_continuation, RST_STREAM: take_rst,
                SETTINGS: take_settings, PING: take_ping, GOAWAY: take_goaway, WINDOW_UPDATE: take_window_update}

    def on_stream(self, stream):
        """Something came on it; called by the reading thread."""

    def on_closed(self):
        """Called by the reading thread, last."""

    # ---- sending ----

    def send(self, frames):
        """Bytes as they are; False when the other side has gone."""
        try:
            with self.sending:
                self.socket.sendall(frames)
            return True
        except (OSError, ssl.SSLError):
            return False

    def send_data(self, stream, payload, end=False):
        """As DATA frames, as the windows allow; False when the stream or the connection is over before."""
        rest = memoryview(payload)
        while True:
            with self.changed:
                def is_over():
                    return self.is_closed or stream.reset_code is not None
                assert self.changed.wait_for(
                    lambda: not rest or is_over() or min(self.send_window, stream.send_window) > 0, PATIENCE_SECONDS), \
                    f"no window for {len(rest)} bytes on {stream!r}"
                if is_over():
                    return False
                count = min(len(rest), self.send_window, stream.send_window, self.send_frame_bytes) if rest else 0
                self.send_window -= count
                stream.send_window -= count
            is_last = count == len(rest)
            if not self.send(data(stream.number, bytes(rest[:count]), end and is_last)):
                return False
            rest = rest[count:]
            if is_last:
                return True

    # ---- waiting ----

    def wait(self, condition, what="a condition"):
        with self.changed:
            in_time = self.changed.wait_for(lambda: condition() or self.wrong, PATIENCE_SECONDS)
        assert self.wrong is None, f"the other side is wrong: {self.wrong}"
        assert in_time, f"waited {PATIENCE_SECONDS} s for {what}; {self!r} got {self.frames[-8:]}"

    def wait_settings(self):
        self.wait(lambda: any(each.kind == SETTINGS and not each.flags for each in self.frames), "SETTINGS")
        return self.settings

    def wait_acked(self, count=1):
        self.wait(lambda: self.settings_acked >= count, "an acknowledgement of SETTINGS")

    def wait_frame(self, kind, stream=0, count=1):
        def found():
            return [each for each in self.frames if each.kind == kind and each.stream == stream]
        self.wait(lambda: len(found()) >= count or self.is_closed, f"{NAMES[kind]} on {stream}")
        assert len(found()) >= count, f"the connection ended before {NAMES[kind]} on {stream}"
        return found()[count - 1]

    def wait_goaway(self, count=1):
        self.wait(lambda: len(self.goaways) >= count or self.is_closed, f"{count} GOAWAY")
        assert len(self.goaways) >= count, f"closed after {self.goaways}"
        return self.goaways[count - 1]

    def wait_closed(self):
        self.wait(lambda: self.is_closed, "the end of the connection")

    def exchange_pings(self):
        """Returns when the other side has read all that was sent before and answered: a barrier. False: it has gone."""
        count = len(self.pongs) + 1
        payload = struct.pack("!Q", 0xbeef0000 + count)
        self.send(ping(payload))
        self.wait(lambda: payload in self.pongs or self.is_closed, "an answer to PING")
        return payload in self.pongs

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()

    def __repr__(self):
        side = "client" if self.is_client else "node"
        return f"<{side} {'closed' if self.is_closed else 'open'} {self.goaways or ''}>"


class Client(Peer):
    """`greets` False: nothing is sent until the test does. `tls`: an ssl.SSLContext with its ALPN list set."""

    is_client = True

    def __init__(self, port, pairs=(), window=None, gives_window=True, greets=True, acks_settings=True, tls=None,
                 receive_buffer=None):
        sock = socket.socket()
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(PATIENCE_SECONDS * 3)
        sock.connect(("127.0.0.1", port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().__init__(sock if tls is None else TlsSocket(sock, tls, "localhost"), pairs, window, gives_window)
        self.next_number = 1
        self.acks_settings = acks_settings and greets  # ours have to come before an acknowledgement
        self.start(PREFACE + settings(*self.own_settings) if greets else b"")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def new_stream(self):
        with self.changed:
            stream = self.streams[self.next_number] = Stream(self, self.next_number)
            self.next_number += 2
        return stream

    def open(self, method, path, fields=(), end=True, **pseudo):
        stream = self.new_stream()
        stream.method = method
        stream.send_head(request_fields(method, path, fields, **pseudo), end)
        return stream

    def begin(self, method, target, body=b"", fields=(), chunked=False):
        """A whole request; `chunked`: its length is not announced. The answer is for later."""
        body = body.encode() if isinstance(body, str) else body
        pairs = list(fields.items() if isinstance(fields, dict) else fields)
        if method in ("POST", "PUT") and not chunked:
            pairs.append(("content-length", str(len(body))))
        stream = self.open(method, target, pairs, end=not body)
        if body:
            stream.send_data(body, end=True)
        return stream

    def ask(self, method, target, body=b"", fields=(), chunked=False):
        return self.begin(method, target, body, fields, chunked).wait_over()


def ask(port, method, target, body=b"", fields=(), **options):
    """One request on a connection of its own."""
    with Client(port, **options) as client:
        return client.ask(method, target, body, fields)
