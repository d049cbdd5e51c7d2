"""HTTP/1.1 server side, small enough to misbehave on purpose.

The parsing and framing of one connection, nothing about InfluxDB. A server hands each request to a *service*,
an async callable (connection, request) -> bool (keep the connection?). The service reads the body with
`connection.body_pieces()`, and answers with `connection.respond()`; both obey back-pressure.

Differences from the standard library's server that the tests need: chunked bodies in both directions, pipelining,
Expect: 100-continue, answers before the body is read, resets, half-sent answers, and a handler that is cancelled
the moment its client goes away (as the database cancels a query whose connection was closed).

Requests that two parsers could read differently (two lengths, length and chunked, bare LF, folded lines) get a 400
and close: a router that lets one through is to be caught here.
"""
import asyncio
import email.utils
import re
import socket
import struct
import urllib.parse

MAX_HEAD_BYTES = 64 * 1024
HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
READ_PIECE_BYTES = 256 * 1024
TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")

REASONS = {
    100: "Continue", 102: "Processing", 103: "Early Hints", 200: "OK", 201: "Created", 202: "Accepted",
    204: "No Content", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
    405: "Method Not Allowed", 408: "Request Timeout", 409: "Conflict", 413: "Payload Too Large",
    415: "Unsupported Media Type", 422: "Unprocessable Entity", 429: "Too Many Requests",
    431: "Request Header Fields Too Large", 500: "Internal Server Error", 501: "Not Implemented",
    502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout",
}


class BadRequest(Exception):
    """The bytes on the wire are not a request this server accepts; carries the text of the 400."""


class ClientGone(Exception):
    """The client closed or reset the connection before its request was complete."""


class CutShort(Exception):
    """An output limit was reached: the answer ends here on purpose. `action` is reset, close or stall."""

    def __init__(self, action):
        super().__init__(action)
        self.action = action


class Request:
    """One request. `body` is filled in by the service when it has read it."""

    def __init__(self, method, target, version, headers):
        self.method = method
        self.target = target
        self.version = version
        self.headers = headers
        path, _, self.query = target.partition("?")
        self.path = path
        self.body = b""
        self.content_length = None
        self.chunked = False
        self.is_grpc = False

    def header(self, name, default=None):
        """The first value of a header; names compare without case."""
        wanted = name.lower()
        for key, value in self.headers:
            if key.lower() == wanted:
                return value
        return default

    def header_values(self, name):
        wanted = name.lower()
        return [value for key, value in self.headers if key.lower() == wanted]

    def params(self):
        """The URL's query parameters; of a repeated one the last value counts."""
        return dict(urllib.parse.parse_qsl(self.query, keep_blank_values=True))

    def has_body(self):
        return self.chunked or bool(self.content_length)

    def keeps_alive(self):
        words = [word.strip().lower() for value in self.header_values("connection") for word in value.split(",")]
        return "keep-alive" in words if self.version == "HTTP/1.0" else "close" not in words


class Response:
    """An answer; `body` is bytes, or an async generator of bytes that is sent chunked, or, when its length is
    known, with a content-length."""

    def __init__(self, status, body=b"", headers=(), content_type=None, reason=None, length=None):
        self.status = status
        self.body = body.encode() if isinstance(body, str) else body
        self.headers = list(headers)
        self.reason = reason
        self.length = length if length is not None or not isinstance(self.body, bytes) else len(self.body)
        if content_type:
            self.headers.append(("content-type", content_type))


def parse_head(block):
    """A Request from the bytes before the empty line; BadRequest says what is wrong with them."""
    text = block.decode("latin-1")
    lines = text.split("\r\n")
    if "\n" in text.replace("\r\n", "") or "\r" in text.replace("\r\n", ""):
        raise BadRequest("bare CR or LF in the request head")
    parts = lines[0].split(" ")
    if len(parts) != 3 or not TOKEN.match(parts[0]) or not parts[1]:
        raise BadRequest("malformed request line")
    method, target, version = parts
    if version not in ("HTTP/1.1", "HTTP/1.0"):
        raise BadRequest("unsupported version")
    headers = []
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not TOKEN.match(name):
            raise BadRequest("malformed header line")
        headers.append((name, value.strip(" \t")))
    request = Request(method, target, version, headers)
    frame(request)
    return request


def frame(request):
    """Sets how the body is delimited (RFC 9112 section 6.3), refusing whatever is ambiguous."""
    lengths = request.header_values("content-length")
    codings = request.header_values("transfer-encoding")
    if codings:
        if lengths:
            raise BadRequest("both content-length and transfer-encoding")
        if [value.lower() for value in codings] != ["chunked"]:
            raise BadRequest("unsupported transfer-encoding")
        if request.version == "HTTP/1.0":
            raise BadRequest("transfer-encoding in HTTP/1.0")
        request.chunked = True
    elif lengths:
        if len(lengths) != 1 or not re.fullmatch(r"[0-9]{1,18}", lengths[0]):
            raise BadRequest("bad content-length")
        request.content_length = int(lengths[0])


class Connection(asyncio.Protocol):
    """One client connection. Created by Server; the service sees it with every request."""

    def __init__(self, server):
        self.server = server
        self.buffer = bytearray()
        self.transport = None
        self.task = None
        self.eof = False
        self.lost = False
        self.in_handler = False
        self.between_requests = True
        self.stalled = False
        self.reading_paused = False
        self.read_wakeup = None
        self.drain_wakeup = None
        self.bytes_sent = 0
        self.output_limit = None
        self.number = 0
        self.requests = 0

    # -- events from the loop

    def connection_made(self, transport):
        self.transport = transport
        # Behind TLS a mark of 0 is reached by an empty buffer, too, and nothing would be sent any more.
        transport.set_write_buffer_limits(high=1 if transport.get_extra_info("ssl_object") else 0, low=0)
        self.server.connections.add(self)
        self.server.accepted += 1
        self.number = self.server.accepted
        sock = transport.get_extra_info("socket")
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.server.frozen:
            transport.pause_reading()
        else:
            self.begin()

    def begin(self):
        """Starts serving: at once, or when the server thaws."""
        if self.task is None and not self.lost:
            self.task = asyncio.get_running_loop().create_task(self.serve())
            if not self.transport.is_reading():
                self.transport.resume_reading()

    def data_received(self, data):
        self.buffer += data
        if len(self.buffer) > READ_PIECE_BYTES and not self.reading_paused:
            self.reading_paused = True
            self.transport.pause_reading()
        self.wake()

    def eof_received(self):
        self.eof = True
        self.wake()
        if self.in_handler:
            self.task.cancel()
        return True

    def connection_lost(self, error):
        self.lost = True
        self.server.connections.discard(self)
        self.resume_writing()
        self.wake()
        if self.in_handler:
            self.task.cancel()

    def pause_writing(self):
        if self.drain_wakeup is None:
            self.drain_wakeup = asyncio.get_running_loop().create_future()

    def resume_writing(self):
        if self.drain_wakeup is not None and not self.drain_wakeup.done():
            self.drain_wakeup.set_result(None)
        self.drain_wakeup = None

    def wake(self):
        if self.read_wakeup is not None and not self.read_wakeup.done():
            self.read_wakeup.set_result(None)

    # -- reading

    async def more(self):
        """Waits until bytes were added to the buffer; ClientGone when there will be none."""
        if self.eof or self.lost:
            raise ClientGone()
        if self.reading_paused:
            self.reading_paused = False
            self.transport.resume_reading()
        self.read_wakeup = asyncio.get_running_loop().create_future()
        await self.read_wakeup
        self.read_wakeup = None

    async def read_request(self):
        """The next request, or None when the client closed an idle connection."""
        searched = 0
        while True:
            end = self.buffer.find(b"\r\n\r\n", searched)
            if end >= 0:
                block = bytes(self.buffer[:end])
                del self.buffer[:end + 4]
                return parse_head(block.lstrip(b"\r\n"))
            if len(self.buffer) > MAX_HEAD_BYTES:
                raise BadRequest("request head too large")
            searched = max(0, len(self.buffer) - 3)
            try:
                await self.more()
            except ClientGone:
                return None

    async def take(self, at_most):
        """Between one and `at_most` bytes from the buffer, waiting for them."""
        while not self.buffer:
            await self.more()
        piece = bytes(self.buffer[:at_most])
        del self.buffer[:at_most]
        return piece

    async def take_line(self):
        """One line of chunked framing without its CRLF."""
        while True:
            end = self.buffer.find(b"\r\n")
            if end >= 0:
                line = bytes(self.buffer[:end])
                del self.buffer[:end + 2]
                return line
            if len(self.buffer) > MAX_HEAD_BYTES:
                raise BadRequest("chunk line too long")
            await self.more()

    async def body_pieces(self, request, at_most=READ_PIECE_BYTES):
        """Yields the body in pieces of at most `at_most` bytes; ClientGone when it ends early."""
        if not request.chunked:
            remaining = request.content_length or 0
            while remaining:
                piece = await self.take(min(remaining, at_most))
                remaining -= len(piece)
                yield piece
            return
        while True:
            size_text = (await self.take_line()).partition(b";")[0]
            if not re.fullmatch(rb"[0-9A-Fa-f]{1,15}", size_text):
                raise BadRequest("bad chunk size")
            remaining = int(size_text, 16)
            if remaining == 0:
                while await self.take_line():
                    pass
                return
            while remaining:
                piece = await self.take(min(remaining, at_most))
                remaining -= len(piece)
                yield piece
            if await self.take_line():
                raise BadRequest("chunk longer than its size")

    # -- writing

    async def write(self, data):
        """Sends data and waits until the kernel has it; CutShort when the output limit is reached."""
        if self.lost:
            raise ClientGone()
        cut = None
        if self.output_limit is not None:
            limit, action = self.output_limit
            if self.bytes_sent + len(data) >= limit:
                data = data[:max(0, limit - self.bytes_sent)]
                cut = action
        self.bytes_sent += len(data)
        if data:
            self.transport.write(data)
            if self.drain_wakeup is not None:
                await self.drain_wakeup
        if cut:
            raise CutShort(cut)

    async def respond(self, request, response, keep_alive):
        """Sends the answer; returns whether the connection may serve another request."""
        body = response.body
        streamed = not isinstance(body, bytes)
        chunked = response.length is None and request.version != "HTTP/1.0"
        if response.length is None and not chunked:
            keep_alive = False
        lines = [f"HTTP/1.1 {response.status} {response.reason or REASONS.get(response.status, 'Unknown')}"]
        lines += [f"{name}: {value}" for name, value in response.headers]
        lines.append(f"date: {email.utils.formatdate(usegmt=True)}")
        if chunked:
            lines.append("transfer-encoding: chunked")
        elif response.length is not None and response.status != 204:
            lines.append(f"content-length: {response.length}")
        if not keep_alive:
            lines.append("connection: close")
        elif request.version == "HTTP/1.0":
            lines.append("connection: keep-alive")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        if request.method == "HEAD" or response.status == 204:
            await self.write(head)
        elif not streamed:
            await self.write(head + body)
        else:
            await self.write(head)
            await self.stream(body, chunked)
        return keep_alive

    async def stream(self, pieces, chunked):
        """Sends an iterator's pieces; when it fails midway the answer is left without its end."""
        try:
            async for piece in pieces:
                if piece:
                    await self.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        finally:
            await pieces.aclose()
        if chunked:
            await self.write(b"0\r\n\r\n")

    def reset(self):
        """Ends the connection with a TCP reset."""
        if not self.lost:
            sock = self.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()

    # -- life

    async def speaks_http2(self):
        """What ALPN has chosen; without it the first bytes decide, as soon as they can."""
        tls = self.transport.get_extra_info("ssl_object")
        if tls is not None and tls.selected_alpn_protocol():
            return tls.selected_alpn_protocol() == "h2"
        while len(self.buffer) < len(HTTP2_PREFACE) and HTTP2_PREFACE.startswith(self.buffer):
            await self.more()
        return self.buffer.startswith(HTTP2_PREFACE)

    async def serve(self):
        """Requests one after another: a pipelined one waits in the buffer until its turn."""
        try:
            if self.server.http2 is not None and await self.speaks_http2():
                self.between_requests = False
                await self.server.http2.splice(self)
                self.server.connections.discard(self)
                return
            while not self.server.draining or self.buffer:
                self.between_requests = True
                request = await self.read_request()
                if request is None:
                    break
                self.between_requests = False
                self.requests += 1
                self.output_limit, self.bytes_sent = None, 0
                if not await self.server.service(self, request):
                    break
        except BadRequest as error:
            self.server.malformed += 1
            try:
                refused = Request("GET", "/", "HTTP/1.1", [])
                await self.respond(refused, Response(400, str(error)), keep_alive=False)
            except (ClientGone, CutShort):
                pass
        except (ClientGone, CutShort, asyncio.CancelledError):
            pass
        finally:
            self.transport.close()

    def idle(self):
        """Nothing is lost when it is closed now: it waits for a request, or a fault keeps it silent."""
        return self.stalled or (self.between_requests and not self.buffer)


class Server:
    """A listening socket and its connections. `start()` gives the bound (host, port). `http2` takes over connections
    that open with HTTP/2's preface; without it they are malformed requests."""

    def __init__(self, service, tls=None):
        self.service = service
        self.tls = tls
        self.http2 = None
        self.connections = set()
        self.accepted = 0
        self.malformed = 0
        self.draining = False
        self.frozen = False
        self.listener = None
        self.address = None

    async def start(self, host, port):
        loop = asyncio.get_running_loop()
        self.listener = await loop.create_server(lambda: Connection(self), host, port, backlog=1024,
                                                 reuse_address=True, ssl=self.tls)
        self.address = self.listener.sockets[0].getsockname()[:2]
        return self.address

    async def start_unix(self, path):
        loop = asyncio.get_running_loop()
        self.listener = await loop.create_unix_server(lambda: Connection(self), path, backlog=1024)

    def freeze(self, frozen):
        """Frozen: clients can connect, as to a node that listens but does not serve yet, and hear nothing."""
        self.frozen = frozen
        if not frozen:
            for connection in list(self.connections):
                connection.begin()

    def stop_listening(self):
        """Closes the listening socket: new clients are refused, present ones stay."""
        if self.listener is not None:
            self.listener.close()
            self.listener = None

    async def listen_again(self):
        if self.listener is None:
            await self.start(*self.address)

    async def drain(self, timeout_seconds):
        """Closes idle connections at once, the busy ones after their answer, all at the timeout."""
        self.draining = True
        self.stop_listening()
        deadline = asyncio.get_running_loop().time() + timeout_seconds
        while self.connections and asyncio.get_running_loop().time() < deadline:
            for connection in list(self.connections):
                if connection.idle():
                    connection.transport.abort()
            await asyncio.sleep(0.01)
        for connection in list(self.connections):
            connection.transport.abort()
