"""A scripted node: a small HTTP/1.1 server whose every step a test decides.

A `Node` listens on a port of its own and keeps a record of what arrives (`seen`, `links`). What it does with a
request is a *verb*, a function `verb(link, request)` that returns True when the connection is to serve another request.
The next verb comes from the node's `Script`, which several nodes may share: "whoever gets the first request breaks it".
Health probes are answered apart (`on_probe`) and recorded apart (`probes`).
"""
import collections
import json
import select
import socket
import struct
import threading
import time

from harness.waiting import PATIENCE_SECONDS


class Gone(Exception):
    """The other side closed or reset the connection in the middle of something."""


class Request:
    def __init__(self, method, target, headers, link_number):
        self.method = method
        self.target = target
        self.path = target.split("?")[0]
        self.headers = headers  # names in lower case; repeated ones joined with a comma
        self.body = b""
        self.chunks = 0  # as which it came
        self.link_number = link_number
        self.is_whole = False
        self.at = time.monotonic()


class Link:
    """One accepted connection, and when it ended."""

    def __init__(self, sock, number):
        self.socket = sock
        self.number = number
        self.rest = b""
        self.ended = threading.Event()
        self.ended_at = None
        self.was_reset = False

    def receive(self, size=65536):
        """The next bytes; raises Gone at the end of the stream."""
        if self.rest:
            piece, self.rest = self.rest[:size], self.rest[size:]
            return piece
        try:
            piece = self.socket.recv(size)
        except ConnectionResetError:
            self.was_reset = True
            piece = b""
        except OSError:
            piece = b""
        if not piece:
            raise Gone()
        return piece

    def read_until(self, mark):
        got = b""
        while mark not in got:
            got += self.receive()
        at = got.index(mark) + len(mark)
        self.rest = got[at:] + self.rest
        return got[:at]

    def read_exactly(self, size, keep):
        while size > 0:
            piece = self.receive(min(size, 65536))
            size -= len(piece)
            keep.append(piece)

    def read_head(self):
        lines = self.read_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ")
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            if name:
                key = name.lower()
                headers[key] = f"{headers[key]}, {value.strip()}" if key in headers else value.strip()
        return Request(method, target, headers, self.number)

    def read_body(self, request):
        pieces = []
        try:
            if request.headers.get("transfer-encoding", "") == "chunked":
                while size := int(self.read_until(b"\r\n"), 16):
                    self.read_exactly(size, pieces)
                    self.read_exactly(2, [])
                    request.chunks += 1
                self.read_until(b"\r\n")
            else:
                self.read_exactly(int(request.headers.get("content-length", "0")), pieces)
            request.is_whole = True
        finally:
            request.body = b"".join(pieces)

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError as error:
            raise Gone() from error

    def close(self):
        """An orderly end (FIN); a reset if something was not read."""
        self.socket.close()
        self.note_end()

    def kill(self):
        """From another thread: the one that serves the link closes it, with nothing unread."""
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        assert self.ended.wait(PATIENCE_SECONDS), "the link's thread did not end"

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def wait_end(self):
        """Reads and drops until the other side is gone; Gone then, AssertionError when it stays."""
        self.socket.settimeout(PATIENCE_SECONDS)
        try:
            while True:
                self.receive()
        except TimeoutError as error:
            raise AssertionError(f"the connection was still open after {PATIENCE_SECONDS} s") from error

    def note_end(self):
        if not self.ended.is_set():
            self.ended_at = time.monotonic()
            self.ended.set()


class Script:
    """The verbs for the next requests, first come first; when none is left, the node's own answer."""

    def __init__(self, *verbs):
        self.lock = threading.Lock()
        self.verbs = collections.deque(verbs)

    def put(self, *verbs):
        with self.lock:
            self.verbs = collections.deque(verbs)

    def take(self):
        with self.lock:
            return self.verbs.popleft() if self.verbs else None


REASONS = {200: "OK", 202: "Accepted", 204: "No Content", 400: "Bad Request", 404: "Not Found"}


def head_of(status, headers=(), length=None):
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Something')}"]
    lines += [f"{name}: {value}" for name, value in dict(headers).items()]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def answer(status, body=b"", **headers):
    """A verb: a complete answer; `content_type="text/plain"` becomes the field Content-Type."""
    body = body.encode() if isinstance(body, str) else body
    fields = {name.replace("_", "-").title(): value for name, value in headers.items()}

    def verb(link, request):
        link.send(head_of(status, fields, None if status == 204 else len(body)) + body)
        return True
    return verb


def own_answer(node):
    """What a healthy node says: 204 to a write, its name to anything else."""
    def verb(link, request):
        is_write = request.path in ("/write", "/api/v2/write", "/api/v3/write_lp")
        named = answer(200, json.dumps({"node": node.name}), content_type="application/json")
        return (answer(204) if is_write else named)(link, request)
    return verb


class Node:
    """`name` is its node_id. It serves from the start; `refuse`, `accept` and `block` change what a connect sees."""

    def __init__(self, name, mode, host="127.0.0.1", port=0, **keys):
        self.name = name
        self.host = host
        self.port = port  # 0: any
        self.mode = mode
        self.keys = keys  # more keys of its entry in the configuration
        self.changed = threading.Condition()
        self.seen = []
        self.probes = []
        self.links = []
        self.script = Script()
        self.on_probe = answer(200, "OK\n")
        self.fillers = []
        self.waker, self.wake_end = socket.socketpair()
        self.is_accepting = True
        self.reserve()
        threading.Thread(target=self.accept_all, daemon=True).start()

    def reserve(self):
        """A port that stays ours even while nobody listens on it, because it was asked for by its number."""
        wanted = self.port
        while True:
            probe = socket.create_server((self.host, wanted))
            self.port = probe.getsockname()[1]
            probe.close()
            self.listener = socket.socket()
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                self.listener.bind((self.host, self.port))
                break
            except OSError:  # somebody was quicker
                self.listener.close()
        self.listener.listen(128)

    def configuration(self):
        return {"node_id": self.name, "url": f"http://127.0.0.1:{self.port}", "mode": self.mode, "http": 1, **self.keys}

    # ---- what a connect sees ----

    def wake(self, is_accepting):
        self.is_accepting = is_accepting
        self.waker.send(b"x")

    def refuse(self):
        self.wake(False)
        self.listener.shutdown(socket.SHUT_RDWR)

    def accept(self):
        for filler in self.fillers:
            filler.close()
        self.fillers = []
        self.listener.listen(128)
        self.wake(True)

    def take_away(self):
        """As if the process had ended: no new connections, and the old ones are closed."""
        self.refuse()
        for link in self.links:
            link.kill()

    def block(self):
        """Connects hang: nobody accepts, and the backlog is full."""
        self.wake(False)
        self.listener.listen(0)
        first = socket.create_connection(("127.0.0.1", self.port))
        second = socket.socket()
        second.setblocking(False)
        second.connect_ex(("127.0.0.1", self.port))
        self.fillers = [first, second]

    def accept_all(self):
        while True:
            sources = [self.wake_end] + ([self.listener] if self.is_accepting else [])
            try:
                readable, _, _ = select.select(sources, [], [])
            except (OSError, ValueError):
                return  # closed
            if self.wake_end in readable:
                if self.wake_end.recv(64) == b"":
                    return
                continue
            try:
                sock, _ = self.listener.accept()
            except OSError:
                continue
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.changed:
                link = Link(sock, len(self.links))
                self.links.append(link)
                self.changed.notify_all()
            threading.Thread(target=self.serve, args=(link,), daemon=True).start()

    # ---- one connection ----

    def serve(self, link):
        try:
            while self.serve_one(link):
                pass
            if not link.ended.is_set():
                link.socket.close()
        except (Gone, OSError, AssertionError):
            link.socket.close()
        finally:
            link.note_end()

    def serve_one(self, link):
        request = link.read_head()
        if request.method == "PRI":
            return self.refuse_h2(link)
        if request.headers.get("user-agent") == "sluice-probe":
            self.record(self.probes, request)
            return self.on_probe(link, request)
        verb = self.script.take() or own_answer(self)
        reads_body = not getattr(verb, "leaves_body", False)
        self.record(self.seen, request)
        if reads_body:
            link.read_body(request)
            with self.changed:
                self.changed.notify_all()
        return verb(link, request)

    def refuse_h2(self, link):
        """Whoever asks whether this node speaks HTTP/2 learns that it does not; no test counts it as a request."""
        link.send(head_of(400, {"Connection": "close"}, 0))
        link.close()
        return False

    def record(self, where, request):
        with self.changed:
            where.append(request)
            self.changed.notify_all()

    # ---- what tests ask ----

    def wait(self, condition):
        with self.changed:
            assert self.changed.wait_for(condition, PATIENCE_SECONDS), f"node {self.name}: waited {PATIENCE_SECONDS} s in vain"

    def wait_seen(self, count):
        self.wait(lambda: len(self.seen) >= count and (not self.seen or self.seen[count - 1].is_whole))

    def wait_probes(self, count):
        self.wait(lambda: len(self.probes) >= count)

    def check(self):
        """At the end of a case: what came was as it must be, which here is for the case itself to say."""

    def link_of(self, request):
        return self.links[request.link_number]

    def close(self):
        self.waker.close()
        for sock in [self.listener, *self.fillers, *(link.socket for link in self.links)]:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()
