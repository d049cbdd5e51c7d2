"""A scripted node that speaks HTTP/2 by prior knowledge, beside HTTP/1.1 if it is told so.

Like http1_node.Node, whose verbs it understands on HTTP/1.1 links. On an HTTP/2 link a verb is a function `verb(stream, request)` that runs in a
thread of its own; it decides about this stream alone, and through `stream.peer` about the link. Helpers below make the common ones.
"""
import json
import threading

from harness.waiting import PATIENCE_SECONDS
from wire.lib import http2_peer as h2
from wire.lib.http1_node import Gone, Node, Request


class H2Request(Request):
    """`stream` is what carries it; `fields` its head as it came."""

    def __init__(self, stream, link_number):
        head = dict(stream.fields)
        joined = {}
        for name, value in stream.fields:
            if not name.startswith(":"):
                joined[name] = f"{joined[name]}, {value}" if name in joined else value
        if ":authority" in head:
            joined.setdefault("host", head[":authority"])
        super().__init__(head.get(":method"), head.get(":path", ""), joined, link_number)
        self.stream = stream
        self.fields = stream.fields


class NodePeer(h2.Peer):
    """A link on the node's side. What Sluice may not send is `wrong`, as on every Peer."""

    def __init__(self, node, link):
        super().__init__(link.socket, node.settings, node.window, node.gives_window)
        self.node = node
        self.link = link
        self.requests = {}

    def on_stream(self, stream):
        request = self.requests.get(stream.number)
        if request is None:
            request = self.requests[stream.number] = H2Request(stream, self.link.number)
            request.protocol = 2
            if request.headers.get("user-agent") == "sluice-probe":
                self.node.record(self.node.probes, request)
                threading.Thread(target=self.run, args=(self.node.on_h2_probe, stream, request), daemon=True).start()
            else:
                verb = self.node.script.take() or self.node.own_h2_answer
                self.node.record(self.node.seen, request)
                threading.Thread(target=self.run, args=(verb, stream, request), daemon=True).start()
        with self.node.changed:
            if stream.is_ended and not request.is_whole:
                request.body = stream.body
                request.trailers = stream.trailers
                request.is_whole = True
            self.node.changed.notify_all()

    def run(self, verb, stream, request):
        try:
            if not getattr(verb, "leaves_body", False):
                self.node.wait(lambda: request.is_whole or stream.reset_code is not None or self.is_closed)
                if not request.is_whole:
                    return
            verb(stream, request)
        except (AssertionError, Gone) as error:
            if not self.is_closed and stream.reset_code is None:
                with self.changed:
                    self.wrong = self.wrong or f"a verb failed: {error}"

    def on_closed(self):
        self.link.was_reset = self.was_reset
        self.link.note_end()
        with self.node.changed:
            self.node.changed.notify_all()


class H2Node(Node):
    """`pairs`: its SETTINGS. `http`: what its entry in the configuration says; `speaks_h1`: it serves HTTP/1.1, too.
    `peers`: the HTTP/2 links, probes included; `peer_of(request)` is the one that carried a request."""

    def __init__(self, name, mode, pairs=(), window=None, gives_window=True, speaks_h1=False, **keys):
        self.settings = list(pairs)
        self.window = window
        self.gives_window = gives_window
        self.speaks_h1 = speaks_h1
        self.peers = {}
        self.on_h2_probe = reply(200, "OK\n")
        keys.setdefault("http", "auto" if speaks_h1 else 2)
        super().__init__(name, mode, **keys)

    def serve(self, link):
        try:
            start = link.read_until(b"\r\n\r\n")
            if not start.startswith(b"PRI * HTTP/2.0"):
                assert self.speaks_h1, f"HTTP/1 on a node of HTTP/2: {start[:100]!r}"
                link.rest = start + link.rest
                super().serve(link)
                return
            assert link.read_until(b"SM\r\n\r\n") == b"SM\r\n\r\n", "the second half of the preface"
        except (Gone, AssertionError):
            link.socket.close()
            link.note_end()
            return
        peer = NodePeer(self, link)
        self.peers[link.number] = peer
        peer.socket = Buffered(link)
        peer.start(h2.settings(*peer.own_settings))

    def own_h2_answer(self, stream, request):
        """As http1_node.own_answer, on HTTP/2."""
        is_write = request.path in ("/write", "/api/v2/write", "/api/v3/write_lp")
        body = json.dumps({"node": self.name})
        if request.headers.get("content-type", "").startswith("application/grpc"):
            grpc_reply(message(body))(stream, request)
        else:
            (reply(204) if is_write else reply(200, body, content_type="application/json"))(stream, request)

    def peer_of(self, request):
        return self.peers[request.link_number]

    def check(self):
        """Nothing came that no peer may send."""
        for peer in self.peers.values():
            assert peer.wrong is None, f"node {self.name}: {peer.wrong}"


class Buffered:
    """A link's socket, together with what was read from it already."""

    def __init__(self, link):
        self.link = link

    def recv(self, size):
        if self.link.rest:
            piece, self.link.rest = self.link.rest[:size], self.link.rest[size:]
            return piece
        return self.link.socket.recv(size)

    def __getattr__(self, name):
        return getattr(self.link.socket, name)


# ---- verbs ----

def fields_of(status, fields):
    return [(":status", str(status))] + [(name.replace("_", "-"), value) for name, value in fields.items()]


def reply(status, body=b"", trailers=None, with_length=True, **fields):
    """A complete answer; `content_type="text/plain"` becomes the field content-type."""
    body = body.encode() if isinstance(body, str) else body

    def verb(stream, _):
        head = fields_of(status, fields)
        if with_length and status not in (204, 304):
            head.append(("content-length", str(len(body))))
        stream.send_head(head, end=not body and trailers is None)
        if body:
            stream.send_data(body, end=trailers is None)
        if trailers is not None:
            stream.send_head(trailers, end=True)
    return verb


def message(payload=b""):
    """A gRPC message: one that is not compressed."""
    payload = payload.encode() if isinstance(payload, str) else payload
    return b"\0" + len(payload).to_bytes(4, "big") + payload


GRPC = {"content_type": "application/grpc"}


def grpc_reply(body=message(b"batch"), status=0, text=None, **trailers):
    end = [("grpc-status", str(status))] + ([("grpc-message", text)] if text else [])
    end += [(name.replace("_", "-"), value) for name, value in trailers.items()]
    return reply(200, body, end, with_length=False, **GRPC)


def grpc_refusal(status, text="refused", **fields):
    """Trailers alone: one HEADERS frame that ends the stream."""
    def verb(stream, _):
        stream.send_head(fields_of(200, GRPC) + [("grpc-status", str(status)), ("grpc-message", text)] +
                         list(fields.items()), end=True)
    return verb


def leaves_body(verb):
    verb.leaves_body = True
    return verb


def reset(code, at_once=False):
    """RST_STREAM instead of an answer. `at_once`: on the head, whatever body follows."""
    def verb(stream, _):
        stream.reset(code)
    verb.leaves_body = at_once
    return verb


def reset_after(code, body=b"{"):
    """RST_STREAM behind a head and a part of the body."""
    def verb(stream, _):
        stream.send_head(fields_of(200, {"content_type": "application/json"}))
        stream.send_data(body)
        stream.reset(code)
    return verb


def hang(stream, _):
    """No answer, until the stream or the link ends."""
    stream.peer.wait(lambda: stream.reset_code is not None or stream.peer.is_closed, "an end")


def hold(release, verb):
    """A verb that answers when the event is set, or never when the stream is reset before."""
    def held(stream, request):
        assert release.wait(PATIENCE_SECONDS)
        if stream.reset_code is None:
            verb(stream, request)
    return held


def close(stream, _):
    """The end of the whole link, without a word."""
    stream.peer.close()


def goaway(last=None, code=h2.NO_ERROR, then=None):
    """GOAWAY when this request is here; `last` None is its own stream, so it is served; smaller ones are not."""
    def verb(stream, request):
        stream.peer.send(h2.goaway(stream.number if last is None else last, code))
        if then is not None:
            then(stream, request)
    return verb

