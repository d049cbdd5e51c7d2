"""Links to nodes that speak HTTP/2: found out, shared by many exchanges, bounded by what the node allows."""
import socket
import threading

from harness.waiting import eventually
from wire.lib import http2_peer as h2
from wire.lib.house import case
from wire.lib.http1_client import check_fault
from wire.lib.http1_node import Node, Script
from wire.lib.http2_house import BARE, FLIGHT, GRPC, LINES, QUERY, WRITE, connect, make_nodes, serve
from wire.lib.http2_node import H2Node, close, goaway, hang, hold, leaves_body, reply, reset


def seen_links(node):
    return {request.link_number for request in node.seen}


def hold_all(node, count, release):
    node.script = Script(*[hold(release, reply(200, b"late"))] * count)


def one_node(make):
    """An ingest node and a compactor of HTTP/1.1, and a query node to look at."""
    return make_nodes("i") + [make] + make_nodes("c")


# ---- which version a node speaks ----

@case((1,), (2,))
def a_node_that_speaks_both_is_spoken_to_in_http2(house, front):
    node = H2Node("q1", "query", speaks_h1=True, http="auto")
    with house.serve(one_node(node)) as sluice, connect(sluice, front) as client:
        assert client.ask("GET", QUERY).status == 200
        assert node.seen[0].protocol == 2


def refuse_preface(how):
    """What servers of HTTP/1.1 do with a preface."""
    def refuse(link):
        if how == "close":
            link.close()
        elif how == "reset":
            link.reset()
        elif how == "silence":
            link.wait_end()
        else:
            return Node.refuse_h2(None, link)
        return False
    return refuse


@case(*[(how,) for how in ("400", "close", "reset", "silence")])
def a_node_of_http1_is_found_out(house, how):
    node = Node("q1", "query", http="auto")
    node.refuse_h2 = refuse_preface(how)
    settings = {"health": {"timeout": house.short(100), "interval": "100ms"}} if how == "silence" else None
    with house.serve(one_node(node), settings) as sluice, connect(sluice, 2) as client:
        if how == "silence":
            eventually(lambda: sluice.node_status("q1")["health"] == "up")
        assert sluice.node_status("q1")["health"] == "up", sluice.status()
        assert client.ask("GET", QUERY).status == 200
        assert len(node.seen) == 1


@case((1,), (2,))
def a_node_is_spoken_to_as_configured(house, version):
    node = H2Node("q1", "query", speaks_h1=True, http=version)
    with house.serve(one_node(node)) as sluice, connect(sluice, 2) as client:
        assert client.ask("GET", QUERY).status == 200
        assert getattr(node.seen[0], "protocol", 1) == version
        assert {getattr(request, "protocol", 1) for request in node.probes} == {version}


@case()
def a_node_that_must_speak_http2_and_does_not_is_down(house):
    node = Node("q1", "query", http=2)
    with house.serve(one_node(node), {"health": {"all_down": "refuse"}}) as sluice, connect(sluice, 2) as client:
        assert sluice.node_status("q1")["health"] == "down", sluice.status()
        assert client.ask("GET", QUERY).status == 503
        assert not node.seen


@case(("gains HTTP/2", False), ("loses HTTP/2", True))
def a_node_that_changes_its_mind(house, _, speaks_h2):
    """It goes away and comes back as something else, as after an upgrade."""
    class Changing(H2Node):
        def serve(self, link):
            (H2Node if speaks_h2 else Node).serve(self, link)
    node = Changing("q1", "query", speaks_h1=True, http="auto")
    settings = {"health": {"interval": "100ms", "rise": 1, "fall": 1}}
    with house.serve(one_node(node), settings) as sluice, connect(sluice, 2) as client:
        assert client.ask("GET", QUERY).status == 200
        assert getattr(node.seen[0], "protocol", 1) == (2 if speaks_h2 else 1)
        node.refuse()
        for link in node.links:
            if not link.ended.is_set():
                link.socket.shutdown(socket.SHUT_RDWR)
        eventually(lambda: sluice.node_status("q1")["health"] == "down")
        speaks_h2 = not speaks_h2
        node.accept()
        sluice.wait_line(f"event=node_version node=q1 http={2 if speaks_h2 else 1}")  # not with each probe is HTTP/2 tried again
        eventually(lambda: sluice.node_status("q1")["health"] == "up")
        assert client.ask("GET", QUERY).status == 200
        assert getattr(node.seen[-1], "protocol", 1) == (2 if speaks_h2 else 1)


# ---- how many exchanges on how many links ----

@case((1,), (2,))
def many_exchanges_share_one_link(house, front):
    release = threading.Event()
    with serve(house, "IQC", pairs=[(h2.MAX_CONCURRENT_STREAMS, 200)]) as sluice:
        hold_all(sluice.q1, 100, release)
        if front == 2:
            with connect(sluice, 2) as warm:
                assert warm.ask("POST", WRITE, LINES).status == 204
        clients = [connect(sluice, front) for _ in range(100 if front == 1 else 4)]
        streams = [clients[number % len(clients)] for number in range(100)]
        streams = [each.begin("GET", QUERY) if front == 2 else each.send("GET", QUERY) for each in streams]
        sluice.q1.wait(lambda: len(sluice.q1.seen) >= 100)
        release.set()
        answers = [each.wait_over() if front == 2 else each.read() for each in streams]
        assert [each.body for each in answers] == [b"late"] * 100
        assert len(seen_links(sluice.q1)) <= 2, seen_links(sluice.q1)
        for client in clients:
            client.close()


@case(("reset",), ("close",), ("goaway",))
def a_node_that_ends_a_stream_within_its_upload_has_not_applied_it(house, how):
    """END_STREAM had not left, so another node gets the write, though its lines have no time."""
    end = {"reset": reset(h2.INTERNAL_ERROR), "close": close, "goaway": goaway(0, h2.INTERNAL_ERROR, close)}[how]
    with serve(house, "IIQC") as sluice, connect(sluice, 1) as client:
        sluice.i1.script = sluice.i2.script = Script(leaves_body(lambda stream, request: end(stream, request)))
        client.send("POST", WRITE, length=2 * len(BARE), only_head=True)
        client.send_raw(BARE)
        sluice.wait_line("event=attempt_failed")
        client.send_raw(BARE)
        assert client.read().status == 204
        whole = [request.body for node in (sluice.i1, sluice.i2) for request in node.seen if request.is_whole]
        assert whole == [BARE * 2], whole


@case()
def a_link_into_the_void_is_left(house):
    """The node's end of a connection is gone without a word; the node itself is well. One request pays for it, not one after the other."""
    with serve(house, "IQC", {"timeouts": {"write_response": house.short(1000)}}) as sluice, connect(sluice, 1) as client:
        assert client.ask("POST", WRITE, LINES).status == 204
        first = sluice.i1.peer_of(sluice.i1.seen[0])
        first.acks_pings = False
        sluice.i1.script.put(hang)
        assert client.ask("POST", WRITE, LINES).status == 503
        assert client.ask("POST", WRITE, LINES).status == 204
        assert sluice.i1.seen[2].link_number != sluice.i1.seen[1].link_number == sluice.i1.seen[0].link_number
        first.wait_closed()


@case(("elsewhere", "IQQC"), ("on a fresh connection where there is no other node", "IQC"))
def a_query_on_a_link_that_dies_in_silence_is_asked_again(house, _, letters):
    """No deadline ends it (they are minutes here): the node is asked for a sign of life, and gives none on this connection."""
    with serve(house, letters) as sluice, connect(sluice, 1) as client:
        queriers = [node for node in sluice.nodes if node.name.startswith("q")]
        while not all(node.seen for node in queriers):
            assert client.ask("GET", QUERY).status == 200
        for node in queriers:
            for peer in node.peers.values():
                peer.acks_pings = False
            node.script.put(hang)
        reply = client.ask("GET", QUERY)
        assert reply.status == 200, reply
        sluice.wait_line("event=attempt_failed .*fault=link_silent")


@case()
def a_query_that_takes_long_on_a_node_that_is_there_is_left_to_it(house):
    release = threading.Event()
    with serve(house, "IQC") as sluice, connect(sluice, 2) as client:
        hold_all(sluice.q1, 1, release)
        stream = client.begin("GET", QUERY)
        sluice.q1.wait(lambda: sluice.q1.seen)
        peer = sluice.q1.peer_of(sluice.q1.seen[0])
        peer.wait(lambda: sum(frame.kind == h2.PING for frame in peer.frames) >= 2, "two pings")
        release.set()
        assert stream.wait_over().body == b"late"
        assert not sluice.count_lines("event=attempt_failed")


@case()
def a_slow_node_that_answers_pings_keeps_its_link(house):
    with serve(house, "IQC", {"timeouts": {"write_response": house.short(1000)}}) as sluice, connect(sluice, 1) as client:
        assert client.ask("POST", WRITE, LINES).status == 204
        sluice.i1.script.put(hang)
        assert client.ask("POST", WRITE, LINES).status == 503
        peer = sluice.i1.peer_of(sluice.i1.seen[0])
        peer.wait(lambda: any(frame.kind == h2.PING for frame in peer.frames), "a ping")
        assert peer.exchange_pings()
        assert client.ask("POST", WRITE, LINES).status == 204
        assert len(seen_links(sluice.i1)) == 1


@case()
def a_full_link_is_followed_by_another(house):
    release = threading.Event()
    with serve(house, "IQC", pairs=[(h2.MAX_CONCURRENT_STREAMS, 2)]) as sluice, connect(sluice, 2) as client:
        assert client.ask("GET", QUERY).status == 200  # the link has read SETTINGS
        hold_all(sluice.q1, 5, release)
        streams = [client.begin("GET", QUERY) for _ in range(5)]
        sluice.q1.wait(lambda: len(sluice.q1.seen) >= 6)
        counts = [len([request for request in sluice.q1.seen[1:] if request.link_number == number])
                  for number in seen_links(sluice.q1)]
        assert max(counts) <= 2 and sorted(counts) == [1, 2, 2], counts
        release.set()
        assert [stream.wait_over().body for stream in streams] == [b"late"] * 5
        for _ in range(6):
            assert client.ask("GET", QUERY).status == 200
        assert len(seen_links(sluice.q1)) == 3, "there was room on the links"


@case()
def a_limit_that_comes_late_is_obeyed(house):
    """SETTINGS in the middle of a connection: lower, then higher."""
    with serve(house, "IQC") as sluice, connect(sluice, 2) as client:
        assert client.ask("GET", QUERY).status == 200
        peer = sluice.q1.peer_of(sluice.q1.seen[0])
        for limit, wanted in ((1, 3), (50, 1)):
            acked = peer.settings_acked
            for each in list(sluice.q1.peers.values()):
                each.own_settings = [(h2.MAX_CONCURRENT_STREAMS, limit)]
                each.send(h2.settings((h2.MAX_CONCURRENT_STREAMS, limit)))
            sluice.q1.settings = [(h2.MAX_CONCURRENT_STREAMS, limit)]
            peer.wait_acked(acked + 1)
            release = threading.Event()
            hold_all(sluice.q1, 3, release)
            before = len(sluice.q1.seen)
            streams = [client.begin("GET", QUERY) for _ in range(3)]
            sluice.q1.wait(lambda count=before + 3: len(sluice.q1.seen) >= count)
            used = {request.link_number for request in sluice.q1.seen[before:]}
            assert len(used) == wanted or limit == 50 and len(used) <= 3, (limit, used)
            release.set()
            assert [stream.wait_over().body for stream in streams] == [b"late"] * 3


@case()
def a_link_that_may_carry_nothing_any_more_is_given_up(house):
    """MAX_CONCURRENT_STREAMS 0 in the middle: no request is lost, and the link does not stay for ever."""
    with serve(house, "IQC", {"timeouts": {"upstream_idle": house.short(300)}}) as sluice, connect(sluice, 2) as client:
        assert client.ask("GET", QUERY).status == 200
        peer = sluice.q1.peer_of(sluice.q1.seen[0])
        peer.send(h2.settings((h2.MAX_CONCURRENT_STREAMS, 0)))
        peer.wait_acked(1)
        assert peer.exchange_pings()
        assert client.ask("GET", QUERY).status == 200
        assert len(seen_links(sluice.q1)) == 2
        peer.wait_closed()


@case()
def a_full_node_is_waited_for_in_turn(house):
    release = threading.Event()
    node = H2Node("q1", "query", pairs=[(h2.MAX_CONCURRENT_STREAMS, 1)], maximum_links=1)
    with house.serve(one_node(node)) as sluice, connect(sluice, 2) as client:
        assert client.ask("GET", QUERY).status == 200
        hold_all(node, 1, release)
        streams = []
        for number in range(4):
            streams.append(client.begin("GET", f"{QUERY}&n={number}"))
            eventually(lambda count=number + 1: sluice.node_status("q1")["outstanding"] == count)
        node.wait(lambda: len(node.seen) == 2)
        release.set()
        assert [stream.wait_over().status for stream in streams] == [200] * 4
        assert [request.target[-1] for request in node.seen[1:]] == ["0", "1", "2", "3"]
        assert len(seen_links(node)) == 1


@case()
def a_wait_for_room_has_an_end(house):
    release = threading.Event()
    node = H2Node("q1", "query", pairs=[(h2.MAX_CONCURRENT_STREAMS, 1)], maximum_links=1)
    with house.serve(one_node(node), {"timeouts": {"queue": house.short(300)}}) as sluice, connect(sluice, 2) as client:
        assert client.ask("GET", QUERY).status == 200
        hold_all(node, 1, release)
        first = client.begin("GET", QUERY)
        node.wait(lambda: len(node.seen) == 2)
        check_fault(client.ask("GET", QUERY), 503, "queue_timeout")
        release.set()
        assert first.wait_over().body == b"late"


# ---- what the sides say of themselves ----

@case()
def sluice_says_what_it_is_to_a_node(house):
    with serve(house, "IQC") as sluice, connect(sluice, 2) as client:
        assert client.ask("GET", QUERY).status == 200
        peer = sluice.q1.peer_of(sluice.q1.seen[0])
        assert peer.settings.get(h2.ENABLE_PUSH) == 0, peer.settings
        assert peer.exchange_pings()
        assert peer.settings_acked == 1


@case()
def sluice_says_what_it_is_to_a_client(house):
    with serve(house, "iqc") as sluice, connect(sluice, 2) as client:
        found = client.wait_settings()
        assert found.get(h2.MAX_CONCURRENT_STREAMS) == 100, found
        assert 16384 <= found.get(h2.MAX_HEADER_LIST_SIZE, 0) <= 1 << 20, found
        assert found.get(8, 0) == 0, "no extended CONNECT here"
        client.wait_acked()
        assert client.exchange_pings()


@case()
def settings_like_those_of_grpc_are_taken(house):
    """The C core says MAX_CONCURRENT_STREAMS 0, an id nobody knows and large frames, pings, and changes its window in the middle."""
    pairs = [(h2.ENABLE_PUSH, 0), (h2.MAX_CONCURRENT_STREAMS, 0), (h2.INITIAL_WINDOW_SIZE, 4194303),
             (h2.MAX_FRAME_SIZE, 4194303), (h2.MAX_HEADER_LIST_SIZE, 8192), (0xfe03, 1)]
    with serve(house, "IQC") as sluice, h2.Client(sluice.port, pairs) as client:
        client.send(h2.window_update(0, 4128769))
        sluice.q1.script.put(reply(200, b"x" * 1000000, [("grpc-status", "0")], with_length=False))
        stream = client.begin("POST", FLIGHT, b"\0\0\0\0\0", GRPC, True)
        assert all(client.exchange_pings() for _ in range(30))
        client.send(h2.settings((h2.INITIAL_WINDOW_SIZE, 5839378), (h2.MAX_FRAME_SIZE, 5839378)))
        client.wait_acked(2)
        assert stream.wait_over().grpc_status == 0 and stream.received == 1000000, stream
        sluice.q1.refuse()
        sluice.q1.links[-1].kill()
        failed = client.ask("POST", FLIGHT, b"\0\0\0\0\0", GRPC, True)
        assert failed.grpc_status == 14, failed
        assert sum(len(name) + len(value) + 32 for name, value in failed.fields) < 8192, failed


@case()
def a_push_is_refused(house):
    def push(stream, _):
        stream.peer.send(h2.frame(h2.PUSH_PROMISE, h2.END_HEADERS, stream.number, b"\0\0\0\2" +
                                  h2.encode(h2.request_fields("GET", "/pushed"))))
        reply(200, b"x")(stream, None)
    with serve(house, "IQC") as sluice, connect(sluice, 2) as client:
        sluice.q1.script.put(push)
        client.ask("GET", QUERY)
        peer = sluice.q1.peer_of(sluice.q1.seen[0])
        peer.wait_closed()
        assert client.ask("GET", QUERY).status == 200


# ---- the life of a link ----

@case()
def an_idle_link_is_closed_in_time_and_replaced(house):
    with serve(house, "IQC", {"timeouts": {"upstream_idle": house.short(300)}}) as sluice, connect(sluice, 2) as client:
        assert client.ask("GET", QUERY).status == 200
        peer = sluice.q1.peer_of(sluice.q1.seen[0])
        peer.wait_closed()
        assert not peer.was_reset
        assert client.ask("GET", QUERY).status == 200
        assert len(seen_links(sluice.q1)) == 2


@case(("GOAWAY", True), ("no word", False))
def an_idle_link_that_the_node_ends_costs_nothing(house, _, with_goaway):
    with serve(house, "IQC") as sluice, connect(sluice, 2) as client:
        for number in range(5):
            assert client.ask("POST", WRITE, BARE).status == 204
            peer = sluice.i1.peer_of(sluice.i1.seen[-1])
            if with_goaway:
                peer.send(h2.goaway(sluice.i1.seen[-1].stream.number))
            peer.close()
        assert len(sluice.i1.seen) == 5


@case()
def a_node_that_ends_its_link_as_the_write_goes_out(house):
    """GOAWAY and the request cross: the stream is above the last one, so the write is repeated, whatever it is."""
    with serve(house, "IQC") as sluice, connect(sluice, 2) as client:
        assert client.ask("POST", WRITE, BARE).status == 204
        peer = sluice.i1.peer_of(sluice.i1.seen[0])
        with sluice.stopped():
            stream = client.begin("POST", WRITE, BARE)
            peer.send(h2.goaway(sluice.i1.seen[0].stream.number))
        assert stream.wait_over().status == 204, stream
        peer.wait_closed()
        assert len([request for request in sluice.i1.seen if request.link_number != sluice.i1.seen[0].link_number]) == 1


@case(("a bad frame", h2.frame(h2.SETTINGS, 0, 0, b"12345")), ("noise", b"HTTP/1.1 400 Bad Request\r\n\r\n"),
      ("the wrong stream", h2.headers(7, [(":status", "200")], end=True)),
      ("a bad header block", h2.frame(h2.HEADERS, h2.END_HEADERS, 1, b"\xff\xff\xff\xff\xff\xff\xff")))
def a_node_that_breaks_the_rules_loses_its_link_only(house, _, nonsense):
    with serve(house, "IQQC") as sluice, connect(sluice, 2) as client:
        sluice.q1.script = sluice.q2.script = Script(lambda stream, _: stream.peer.send(nonsense))
        assert client.ask("GET", QUERY).status == 200
        assert len(sluice.q1.seen) + len(sluice.q2.seen) == 2
        broken = sluice.q1 if sluice.q1.seen[0].at < sluice.q2.seen[0].at else sluice.q2
        broken.peer_of(broken.seen[0]).wait_closed()
        assert client.ask("GET", QUERY).status == 200


HEADS = (
    ("no status", [("x", "y")]),
    ("two", [(":status", "200"), (":status", "200")]),
    ("words", [(":status", "abc")]),
    ("a request's", [(":status", "200"), (":path", "/")]),
    ("upper case", [(":status", "200"), ("X-Upper", "1")]),
    ("connection", [(":status", "200"), ("connection", "close")]),
    ("chunked", [(":status", "200"), ("transfer-encoding", "chunked")]),
    ("line end", [(":status", "200"), ("x", "a\r\nb: c")]),
    ("two lengths", [(":status", "200"), ("content-length", "1"), ("content-length", "2")]),
    ("101", [(":status", "101")]),
)


@case(*HEADS)
def a_bad_answer_head_is_the_nodes_fault(house, _, fields):
    with serve(house, "IQQC") as sluice, connect(sluice, 2) as client:
        bad = Script(*[lambda stream, _: stream.send_head(fields, end=True)] * 9)
        sluice.q1.script = sluice.q2.script = bad
        answered = client.ask("GET", QUERY)
        assert answered.status == 502, answered
        assert 1 <= len(sluice.q1.seen) + len(sluice.q2.seen) <= 4


@case()
def a_ping_of_the_node_is_answered_while_nothing_else_moves(house):
    release = threading.Event()
    with serve(house, "IQC") as sluice, connect(sluice, 2) as client:
        hold_all(sluice.q1, 1, release)
        stream = client.begin("GET", QUERY)
        sluice.q1.wait_seen(1)
        peer = sluice.q1.peer_of(sluice.q1.seen[0])
        for _ in range(5):
            assert peer.exchange_pings()
        release.set()
        assert stream.wait_over().body == b"late"
