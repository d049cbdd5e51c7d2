"""What goes wrong between streams, links and versions when nobody looks: crossed heads, lost framing, trailers that vanish, nodes set back."""
import threading

from harness.waiting import PATIENCE_SECONDS, eventually
from wire.lib import http2_peer as h2
from wire.lib.house import case
from wire.lib.http1_client import check_fault
from wire.lib.http1_node import Node, Script, answer, head_of
from wire.lib.http2_house import BARE, FLIGHT, GRPC, QUERY, WRITE, connect, make_nodes, serve, serve_version
from wire.lib.http2_node import H2Node, close, fields_of, leaves_body, message, reply

CALL = message("ticket")
MANY = 24


# ---- heads that must not cross ----

def hints_together(count):
    """All nodes' answers at once, each with an interim one and a field of its own in the same piece."""
    together = threading.Barrier(count)

    def verb(link, request):
        together.wait(PATIENCE_SECONDS)
        own = request.target.split("n=")[1]
        link.send(b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n" + head_of(200, {"X-Mine": f"secret-of-{own}"}, 2) + b"ok")
        return True
    return verb


@case()
def answers_behind_early_hints_keep_their_fields(house):
    with serve_version(house, 1) as sluice, connect(sluice, 2) as client:
        for _ in range(4):
            sluice.q1.script.put(*[hints_together(MANY)] * MANY)
            streams = [client.begin("GET", f"{QUERY}&n={1000 + number}") for number in range(MANY)]
            for number, stream in enumerate(streams):
                stream.wait_over()
                assert (stream.status, stream.field("x-mine")) == (200, f"secret-of-{1000 + number}"), stream
                assert dict(stream.interims[0])[":status"] == "103" and stream.body == b"ok", stream


@case()
def a_refusal_behind_a_100_is_that_requests_own(house):
    """Nobody may wait for the node's only link, so that 100 and the refusal are said in one turn."""
    release = threading.Event()

    def late(link, request):
        release.wait(PATIENCE_SECONDS)
        return answer(204)(link, request)
    nodes = [Node("i1", "ingest", http=1, maximum_links=1), *make_nodes("qc")]
    with house.serve(nodes, {"timeouts": {"queue": "0"}}) as sluice, connect(sluice, 2) as client:
        sluice.i1.script.put(late)
        slow = client.begin("POST", WRITE, BARE)
        sluice.i1.wait_seen(1)
        fields = {"expect": "100-continue", "content-length": "5"}
        with sluice.stopped():
            streams = [client.open("POST", WRITE, fields, end=False) for _ in range(MANY)]
        for stream in streams:
            check_fault(stream.wait_over(), 503, "queue_full", WRITE, stream.field("retry-after"))
            assert [dict(interim)[":status"] for interim in stream.interims] == ["100"], stream.interims
        assert len({stream.field("x-request-id") for stream in streams}) == MANY
        release.set()
        assert slow.wait_over().status == 204


# ---- framing towards HTTP/1 ----

def in_frames(status, fields=(), body=b""):
    """The end of the stream comes in a frame of its own."""
    def verb(stream, _):
        stream.send_head([(":status", str(status)), *fields], end=False)
        stream.send_data(body, end=False)
        stream.send_data(b"", end=True)
    return verb


@case(("empty", "GET", 200, [("content-length", "0")]), ("none", "GET", 204, []), ("unchanged", "GET", 304, []),
      ("unchanged, with a length", "GET", 304, [("content-length", "9")]), ("head", "HEAD", 200, [("content-length", "9")]),
      ("head without a length", "HEAD", 200, []))
def an_answer_without_a_body_leaves_nothing_on_the_connection(house, _, method, status, fields):
    with serve_version(house, 2) as sluice, connect(sluice, 1) as client:
        for _ in range(3):
            sluice.q1.script.put(in_frames(status, fields))
            answered = client.ask(method, QUERY)
            assert answered.status == status and answered.is_whole and answered.body == b"", answered
            assert status == 200 or answered.field("transfer-encoding") is None, answered
            assert not client.rest, bytes(client.rest)
        answered = client.ask("GET", QUERY)
        assert answered.status == 200 and answered.node == "q1" and answered.is_whole, answered


def ends_with_its_head(status):
    def verb(stream, _):
        stream.send_head([(":status", str(status))], end=True)
    return verb


@case((200,), (404,), (503,))
def an_answer_that_ends_with_its_head_has_a_length_in_http1(house, status):
    """It says nothing of one, and HTTP/1 would read on until the connection ends."""
    with serve_version(house, 2) as sluice, connect(sluice, 1) as client:
        for _ in range(2):
            sluice.q1.script.put(ends_with_its_head(status))
            answered = client.ask("GET", QUERY)
            assert (answered.status, answered.field("content-length"), answered.body) == (status, "0", b""), answered
            assert answered.is_whole and not client.rest
        sluice.q1.script.put(ends_with_its_head(200))
        assert client.ask("HEAD", QUERY).field("content-length") is None


@case(("empty", [("content-length", "0")]), ("of no length", []))
def a_request_without_a_body_leaves_nothing_on_the_link(house, _, fields):
    with serve_version(house, 1) as sluice, connect(sluice, 2) as client:
        for _ in range(3):
            stream = client.open("POST", WRITE, fields, end=False)
            stream.send_data(b"", end=False)
            stream.send_end()
            assert stream.wait_over().status == 204, stream
        assert [request.body for request in sluice.i1.seen] == [b""] * 3
        assert len({request.link_number for request in sluice.i1.seen}) == 1


# ---- trailers ----

@case()
def trailers_follow_a_body_of_known_length(house):
    with serve_version(house, 2) as sluice, connect(sluice, 2) as client:
        has_all = threading.Event()

        def verb(node_stream, _):
            body = message("rows")
            node_stream.send_head(fields_of(200, {"content_type": "application/grpc", "content_length": str(len(body))}))
            node_stream.send_data(body)
            has_all.wait(PATIENCE_SECONDS)
            node_stream.send_head([("grpc-status", "0"), ("x-own", "1")], end=True)
        sluice.q1.script.put(verb)
        stream = client.begin("POST", FLIGHT, CALL, GRPC, True).wait_received(len(message("rows")))
        has_all.set()
        stream.wait_over()
        assert stream.body == message("rows") and stream.grpc_status == 0 and stream.trailer("x-own") == "1", stream


def ends_with(trailers):
    def verb(stream, _):
        stream.send_head(fields_of(200, {"content_type": "application/grpc"}))
        stream.send_data(message("rows"))
        stream.send_head(trailers, end=True)
    return verb


def says_nothing(stream, _):
    stream.send_head(fields_of(200, {"content_type": "application/grpc"}), end=True)


@case(("trailers", ends_with([("x-own", "1")])), ("a head alone", says_nothing))
def an_answer_without_a_status_is_an_internal_error(house, _, verb):
    with serve_version(house, 2) as sluice, connect(sluice, 2) as client:
        sluice.q1.script.put(*[verb] * 4)
        stream = client.begin("POST", FLIGHT, CALL, GRPC, True).wait_over()
        assert stream.grpc_status == 13, stream
        sluice.q1.script.put()
        assert client.begin("POST", FLIGHT, CALL, GRPC, True).wait_over().grpc_status == 0


# ---- which node speaks what ----

@case()
def a_failed_probe_does_not_set_a_node_back_to_http1(house):
    node = H2Node("q1", "query", speaks_h1=True, http="auto")
    nodes = [*make_nodes("i"), node, *make_nodes("c")]
    probes = Script()

    def probed(stream, request):
        (probes.take() or reply(200, "OK\n"))(stream, request)
    node.on_h2_probe = probed
    with house.serve(nodes, {"health": {"interval": "100ms", "timeout": house.short(100), "fall": 5}}) as sluice, connect(sluice, 2) as client:
        probes.put(close)
        eventually(lambda: not probes.verbs)
        node.wait_probes(len(node.probes) + 3)
        assert {getattr(request, "protocol", 1) for request in node.probes} == {2}
        assert client.begin("POST", FLIGHT, CALL, GRPC, True).wait_over().grpc_status == 0
        assert sluice.count_lines("event=node_version node=q1 http=1") == 0


@case()
def calls_are_never_tried_where_http1_is_configured(house):
    with serve(house, "IqqqqqQC") as sluice, connect(sluice, 2) as client:
        for _ in range(20):
            stream = client.begin("POST", FLIGHT, CALL, GRPC, True).wait_over()
            assert stream.grpc_status == 0 and stream.node == "q6", stream
        assert sluice.count_lines("event=attempt_failed") == 0
        assert [sluice.node_status(f"q{number}")["failures"] for number in range(1, 6)] == [0] * 5


# ---- refused, and then silence ----

@case()
def a_refused_stream_and_silence_harm_nobody(house):
    release = threading.Event()

    @leaves_body
    def late(stream, request):
        release.wait(PATIENCE_SECONDS)
        reply(200, b"late")(stream, request)
    with serve(house, "IQC", {"timeouts": {"request_head": house.short(300)}, "limits": {"streams": 1}}) as sluice, \
            connect(sluice, 2) as client:
        sluice.q1.script.put(late)
        slow = client.begin("GET", QUERY)
        sluice.q1.wait_seen(1)
        client.begin("GET", QUERY).wait_reset(h2.REFUSED_STREAM)
        house.pause(0.6)  # twice the deadline of a head
        release.set()
        assert slow.wait_over().body == b"late", slow
        assert client.ask("GET", QUERY).status == 200
