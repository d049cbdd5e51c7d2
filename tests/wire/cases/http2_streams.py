"""Streams: trailers, back-pressure, cancellation, and what becomes of a stream that a node gives up."""
import hashlib
import threading

from harness.waiting import PATIENCE_SECONDS, eventually
from wire.lib import http2_peer as h2
from wire.lib.house import case
from wire.lib.http1_client import check_fault
from wire.lib.http1_node import Script, answer, head_of
from wire.lib.http1_verbs import then_close
from wire.lib.http2_house import BARE, FLIGHT, GRPC, LINES, QUERY, SHORT, WRITE, check_alive, connect, half_of, pause_of, say, serve, serve_version
from wire.lib.http2_node import close, fields_of, goaway, grpc_refusal, grpc_reply, hang, hold, leaves_body, message, reply, reset, reset_after
from wire.lib.large import BLOCK, LARGE, LARGE_SHA, check_growth, send_counting, wait_still



# ---- trailers ----

@case()
def trailers_pass_from_the_node_to_the_client(house):
    with serve(house, "IQC") as sluice, connect(sluice, 2) as client:
        sluice.q1.script.put(grpc_reply(message("rows"), grpc_status_details_bin="AAEC", x_influxdata_queue="0.1"))
        answered = client.ask("POST", FLIGHT, message("ticket"), GRPC, True)
        assert answered.status == 200 and answered.body == message("rows") and answered.is_whole, answered
        assert answered.trailers == [("grpc-status", "0"), ("grpc-status-details-bin", "AAEC"),
                                     ("x-influxdata-queue", "0.1")], answered
        assert answered.field("content-length") is None and answered.field("content-type") == "application/grpc"


@case((b"",), (b"data",))
def trailers_follow_whatever_body_there_is(house, body):
    with serve(house, "IQC") as sluice, connect(sluice, 2) as client:
        sluice.q1.script.put(reply(200, body, [("x-sum", "1"), ("x-sum", "2")], with_length=False))
        answered = client.ask("GET", QUERY, b"", {"te": "trailers"})
        assert (answered.body, answered.trailers) == (body, [("x-sum", "1"), ("x-sum", "2")]), answered


@case()
def an_answer_of_trailers_only_stays_one_frame(house):
    with serve(house, "IQC") as sluice, connect(sluice, 2) as client:
        sluice.q1.script.put(grpc_refusal(5, "no%20such%20database", **{"x-extra": "1"}))
        answered = client.ask("POST", FLIGHT, message(), GRPC, True)
        assert answered.is_trailers_only and answered.grpc_status == 5, answered
        assert (answered.field("grpc-message"), answered.field("x-extra")) == ("no%20such%20database", "1"), answered


@case()
def trailers_of_a_request_pass_to_the_node(house):
    with serve(house, "IQC") as sluice, connect(sluice, 2) as client:
        stream = client.open("POST", FLIGHT, GRPC, end=False)
        stream.send_data(message("part"))
        stream.send_head([("x-checksum", "abc")], end=True)
        assert stream.wait_over().status == 200, stream
        assert sluice.q1.seen[0].trailers == [("x-checksum", "abc")], sluice.q1.seen[0].trailers
        assert sluice.q1.seen[0].body == message("part")


@case()
def trailers_of_a_request_are_dropped_towards_http1(house):
    with serve(house, "iqc") as sluice, connect(sluice, 2) as client:
        stream = client.open("POST", WRITE, end=False)
        stream.send_data(LINES)
        stream.send_head([("x-checksum", "abc")], end=True)
        assert stream.wait_over().status == 204, stream
        request = sluice.i1.seen[0]
        assert request.body == LINES and "x-checksum" not in request.headers, request.headers
        assert client.ask("POST", WRITE, LINES).status == 204, "the link is clean"


@case()
def trailers_of_an_answer_are_dropped_towards_http1(house):
    with serve(house, "IQC") as sluice, connect(sluice, 1) as client:
        sluice.q1.script.put(reply(200, b"body", [("x-sum", "1")], with_length=False))
        for _ in range(2):
            answered = client.ask("GET", QUERY)
            assert answered.status == 200 and answered.is_whole and answered.field("x-sum") is None, answered


@case()
def trailers_of_an_http1_node_end_the_answer_and_no_more(house):
    def chunks(link, _):
        link.send(head_of(200, {"Transfer-Encoding": "chunked", "Trailer": "X-Sum"}) +
                  b"3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n")
        return True
    with serve(house, "iqc") as sluice, connect(sluice, 2) as client:
        sluice.q1.script.put(chunks)
        answered = client.ask("GET", QUERY, b"", {"te": "trailers"})
        assert answered.body == b"abc" and answered.is_whole and answered.field("trailer") is None, answered


# ---- back-pressure ----

def large_answer(version, sent):
    """A verb that sends LARGE blocks and counts in sent[0]."""
    def first(link, _):
        link.send(head_of(200, {}, len(BLOCK) * LARGE))
        send_counting(link, LARGE, sent, threading.Event())
        return True

    def second(stream, _):
        stream.send_head(fields_of(200, {"content_length": str(len(BLOCK) * LARGE)}))
        for number in range(LARGE * 64):
            piece = memoryview(BLOCK)[number % 64 * 16384:][:16384]
            stream.send_data(piece, number == LARGE * 64 - 1)
            sent[0] += len(piece)
    return second if version == 2 else first


@case((1,), (2,))
def a_client_without_window_stalls_its_own_stream_only(house, back):
    sent = [0]
    with serve_version(house, back) as sluice:
        check_alive(sluice)
        before_kib = sluice.memory_kib("VmHWM")
        sluice.q1.script.put(large_answer(back, sent))
        with h2.Client(sluice.port, window=20000, gives_window="connection") as client:
            stalled = client.begin("GET", QUERY).wait_received(20000)
            wait_still(lambda: sent[0])
            assert sent[0] < len(BLOCK) * LARGE // 2, f"{sent[0]} bytes are somewhere"
            for _ in range(40):  # on the same connection, and the same link where there is one for many
                assert client.ask("GET", QUERY).status == 200
            assert stalled.received == 20000, stalled
            check_growth(sluice, before_kib)
            client.gives_window = True
            client.send(h2.window_update(stalled.number, 1 << 20))
            stalled.wait_over()
            assert stalled.is_whole and hashlib.sha256(stalled.body).hexdigest() == LARGE_SHA, stalled.received
        check_growth(sluice, before_kib)
        if back == 2:
            assert len({each.link_number for each in sluice.q1.seen}) == 1, "the stalled stream cost a link"


@case((1,), (2,))
def a_node_without_window_stalls_its_own_upload_only(house, back):
    release = threading.Event()

    @leaves_body
    def read_late(stream, request):
        assert release.wait(PATIENCE_SECONDS)
        if back == 2:
            stream.peer.send(h2.window_update(stream.number, 1 << 30) + h2.window_update(0, 1 << 30))
            stream.wait_over()
            return reply(204)(stream, request)
        stream.read_body(request)
        return answer(204)(stream, request)
    with serve(house, "IQC" if back == 2 else "iqc", **({"gives_window": "connection", "window": 20000} if back == 2 else {})) as sluice:
        with connect(sluice, 2) as client:
            assert client.ask("POST", WRITE, LINES).status == 204
            before_kib = sluice.memory_kib("VmHWM")
            sluice.i1.script.put(read_late)
            stream = client.open("POST", WRITE, {"content-length": str(len(BLOCK) * LARGE)}, end=False)
            sent = [0]

            def upload():
                for number in range(LARGE * 64):
                    piece = memoryview(BLOCK)[number % 64 * 16384:][:16384]
                    stream.send_data(piece, number == LARGE * 64 - 1)
                    sent[0] += len(piece)
            sender = threading.Thread(target=upload)
            sender.start()
            wait_still(lambda: sent[0])
            assert sent[0] < len(BLOCK) * LARGE // 2, f"{sent[0]} bytes are somewhere"
            for _ in range(20):
                assert client.ask("POST", WRITE, LINES).status == 204
                assert client.ask("GET", QUERY).status == 200
            check_growth(sluice, before_kib)
            release.set()
            sender.join()
            assert stream.wait_over().status == 204, stream
        sluice.i1.wait(lambda: all(each.is_whole for each in sluice.i1.seen))
        body = max((each.body for each in sluice.i1.seen), key=len)
        assert hashlib.sha256(body).hexdigest() == LARGE_SHA, len(body)
        check_growth(sluice, before_kib)


@case((1,), (2,))
def a_window_that_stays_closed_ends_the_stream(house, back):
    with serve_version(house, back, {"timeouts": {"idle": house.short(400)}}) as sluice:
        sluice.q1.script.put(large_answer(back, [0]))
        with h2.Client(sluice.port, window=1000, gives_window="connection") as client:
            stalled = client.begin("GET", QUERY).wait_received(1000)
            stalled.wait_reset()
            assert stalled.seconds > 0.3, stalled.seconds
            assert client.ask("GET", QUERY).status == 200, "the connection lives"
        request = sluice.q1.seen[0]
        if back == 2:
            request.stream.wait_reset()
        else:
            assert sluice.q1.link_of(request).ended.wait(PATIENCE_SECONDS)


@case((1,), (2,))
def a_window_that_stays_closed_ends_a_stream_that_the_node_has_done_with(house, back):
    """The rest of a small answer waits here, where no exchange looks after it any more."""
    with serve_version(house, back, {"timeouts": {"idle": house.short(400)}}) as sluice:
        sluice.q1.script.put(say(back, 200, b"x" * 20000))
        with h2.Client(sluice.port, window=1000, gives_window="connection") as client:
            stalled = client.begin("GET", QUERY).wait_received(1000)
            eventually(lambda: sluice.node_status("q1")["outstanding"] == 0)
            stalled.wait_reset()
            assert stalled.seconds > 0.3, stalled.seconds
            assert client.ask("GET", QUERY).status == 200, "the connection lives"


@case((1,), (2,))
def a_slow_upload_is_taken_as_long_as_something_comes(house, back):
    with serve_version(house, back, {"timeouts": {"idle": house.short(500)}}) as sluice, connect(sluice, 2) as client:
        stream = client.open("POST", WRITE, {"content-length": "8"}, end=False)
        for byte in b"patience":
            house.pause(0.1)
            stream.send_data(bytes([byte]))
        stream.send_end()
        assert stream.wait_over().status == 204, stream
        assert sluice.i1.seen[0].body == b"patience"


@case((1,), (2,))
def an_upload_that_stops_is_given_up(house, back):
    with serve_version(house, back, {"timeouts": {"idle": house.short(300)}}) as sluice, connect(sluice, 2) as client:
        stream = client.open("POST", WRITE, {"content-length": "10000"}, end=False)
        stream.send_data(LINES)
        check_fault(stream.wait_head().wait(lambda: stream.is_ended, "an end"), 503, "request_timeout", WRITE)
        stream.wait_reset()
        request = sluice.i1.seen[0]
        if back == 2:
            request.stream.wait_reset()
        else:
            assert sluice.i1.link_of(request).ended.wait(PATIENCE_SECONDS)
        assert client.ask("GET", QUERY).status == 200 and not request.is_whole


# ---- the client gives up ----

@case((1, "waiting"), (2, "waiting"), (1, "relaying"), (2, "relaying"))
def a_cancelled_query_is_cancelled_at_the_node(house, back, state):
    release = threading.Event()
    with serve_version(house, back) as sluice, connect(sluice, 2) as client:
        late = say(back, 200, b"late")

        def held(stream, request):
            assert release.wait(PATIENCE_SECONDS)
            return late(stream, request)
        sluice.q1.script.put(pause_of(back) if state == "waiting" else half_of(back), held)
        stream = client.begin("GET", QUERY)
        sluice.q1.wait_seen(1)
        other = client.begin("GET", QUERY + "&other")
        sluice.q1.wait_seen(2)
        if state == "relaying":
            stream.wait_received(1)
        stream.reset(h2.CANCEL)
        first = sluice.q1.seen[0]
        if back == 2:
            first.stream.wait_reset(h2.CANCEL)
            assert not sluice.q1.peer_of(first).is_closed
        else:
            assert sluice.q1.link_of(first).ended.wait(PATIENCE_SECONDS), "the query runs on"
        release.set()
        assert other.wait_over().body == b"late", other
        assert client.ask("GET", QUERY).status == 200
        if back == 2:
            assert len({each.link_number for each in sluice.q1.seen}) == 1, "the link was given up"


@case((1,), (2,))
def a_cancelled_upload_is_cancelled_at_the_node(house, back):
    with serve_version(house, back) as sluice, connect(sluice, 2) as client:
        stream = client.open("POST", WRITE, {"content-length": "10000"}, end=False)
        stream.send_data(LINES)
        sluice.i1.wait(lambda: sluice.i1.seen)
        stream.reset(h2.CANCEL)
        request = sluice.i1.seen[0]
        if back == 2:
            request.stream.wait_reset()
        else:
            assert sluice.i1.link_of(request).ended.wait(PATIENCE_SECONDS)
        assert client.ask("POST", WRITE, LINES).status == 204 and not request.is_whole


@case((1,), (2,))
def a_lost_client_cancels_all_its_streams_and_no_others(house, back):
    release = threading.Event()
    with serve_version(house, back) as sluice, connect(sluice, 2) as other:
        def held(stream, request):
            assert release.wait(PATIENCE_SECONDS)
            return say(back, 200, b"late")(stream, request)
        sluice.q1.script.put(held, *[pause_of(back)] * 5)
        survivor = other.begin("GET", QUERY)
        sluice.q1.wait_seen(1)
        with connect(sluice, 2) as client:
            for _ in range(5):
                client.begin("GET", QUERY)
            sluice.q1.wait_seen(6)
        for request in sluice.q1.seen[1:]:
            if back == 2:
                request.stream.wait_reset()
            else:
                assert sluice.q1.link_of(request).ended.wait(PATIENCE_SECONDS)
        release.set()
        assert survivor.wait_over().body == b"late", survivor
        assert not back == 2 or len({each.link_number for each in sluice.q1.seen}) == 1


@case()
def a_lost_http1_client_cancels_its_stream_and_no_other(house):
    release = threading.Event()
    with serve(house, "IQC") as sluice, connect(sluice, 1) as other:
        sluice.q1.script.put(hold(release, reply(200, b"late")), hang)
        other.send("GET", QUERY)
        sluice.q1.wait_seen(1)
        with connect(sluice, 1) as client:
            client.send("GET", QUERY)
            sluice.q1.wait_seen(2)
        sluice.q1.seen[1].stream.wait_reset(h2.CANCEL)
        release.set()
        assert other.read().body == b"late"
        assert len(sluice.q1.peers) <= 2, "the probe's link and one for all"  # the other stream's link has not gone


# ---- the node gives up ----

@case((1,), (2,))
def a_refused_stream_is_repeated_elsewhere_whatever_it_was(house, front):
    with serve(house, "IIQC") as sluice, connect(sluice, front) as client:
        sluice.i1.script = sluice.i2.script = Script(reset(h2.REFUSED_STREAM))
        assert client.ask("POST", WRITE, BARE).status == 204
        assert [len(sluice.i1.seen), len(sluice.i2.seen)] == [1, 1]


@case((1,), (2,))
def a_stream_refused_everywhere_is_503(house, front):
    with serve(house, "IIQC") as sluice, connect(sluice, front) as client:
        sluice.i1.script = sluice.i2.script = Script(*[reset(h2.REFUSED_STREAM)] * 9)
        answered = client.ask("POST", WRITE, BARE)
        assert answered.status == 503 and answered.is_whole, answered
        assert len(sluice.i1.seen) + len(sluice.i2.seen) <= 4


@case((1,), (2,))
def a_refused_upload_that_was_not_kept_is_not_repeated(house, front):
    """Half of it is gone: a second node must not get the other half."""
    @leaves_body
    def refuse_late(stream, _):
        stream.wait_received(300000)
        stream.reset(h2.REFUSED_STREAM)
    with serve(house, "IIQC", {"limits": {"replay": "64KiB"}}) as sluice, connect(sluice, front) as client:
        sluice.i1.script = sluice.i2.script = Script(refuse_late)
        answered = client.ask("POST", WRITE, BLOCK)
        assert answered.status == 503, answered
        assert [len(sluice.i1.seen) + len(sluice.i2.seen), answered.is_whole] == [1, True]


@case((1, h2.INTERNAL_ERROR), (2, h2.INTERNAL_ERROR), (2, h2.CANCEL), (2, h2.PROTOCOL_ERROR), (2, h2.ENHANCE_YOUR_CALM))
def a_stream_reset_without_an_answer(house, front, code):
    """Reading is repeated on the other node; a write that may have been stored is not."""
    with serve(house, "IIQQC") as sluice, connect(sluice, front) as client:
        sluice.q1.script = sluice.q2.script = Script(reset(code))
        sluice.i1.script = sluice.i2.script = Script(reset(code))
        assert client.ask("GET", QUERY).status == 200
        assert [len(sluice.q1.seen), len(sluice.q2.seen)] == [1, 1]
        check_fault(client.ask("POST", WRITE, BARE), 503, "upstream_reset", WRITE)
        assert len(sluice.i1.seen) + len(sluice.i2.seen) == 1
        sluice.i1.script.put(reset(code))
        assert client.ask("POST", WRITE, LINES).status == 204, "points with a timestamp may come twice"


@case(*[(front, how) for front in (1, 2) for how in ("reset", "lost", "short", "long")])
def an_answer_that_breaks_off_never_ends_cleanly(house, front, how):
    def wrong_length(length):
        def verb(stream, _):
            stream.send_head(fields_of(200, {"content_length": str(length)}))
            stream.send_data(b"{" * 10, end=True)
        return verb

    def lost(stream, _):
        stream.send_head(fields_of(200, {}))
        stream.send_data(b"{" * 10)
        stream.peer.close()
    verb = {"reset": reset_after(h2.INTERNAL_ERROR), "lost": lost, "short": wrong_length(20), "long": wrong_length(5)}[how]
    with serve(house, "IQC") as sluice, connect(sluice, front) as client:
        sluice.q1.script.put(verb)
        answered = client.ask("GET", QUERY)
        # All of it may have come at once: then nothing was committed yet.
        assert answered.status == 502 or answered.status in (0, 200) and not answered.is_whole, answered
        if front == 2:
            assert answered.status == 502 or answered.reset_code in (h2.INTERNAL_ERROR, h2.CANCEL), answered
            assert client.ask("GET", QUERY).status == 200, "the connection lives"


@case(*[(back, more) for back in (1, 2) for more in ("more", "reset", "silence")])
def a_request_whose_length_was_a_lie_is_never_whole(house, back, more):
    """As many bytes as were announced have come, and no end: a node of HTTP/1 would take them for all."""
    with serve_version(house, back) as sluice, connect(sluice, 2) as client:
        stream = client.open("POST", WRITE, {"content-length": str(len(LINES))}, end=False)
        client.send(h2.data(stream.number, LINES))
        assert client.exchange_pings()
        sluice.i1.wait(lambda: sluice.i1.seen)
        if more == "more":
            client.send(h2.data(stream.number, b"m f=1 1\n", True))
            stream.wait_reset(h2.PROTOCOL_ERROR)
        elif more == "reset":
            stream.reset()
        else:
            client.close()
        request = sluice.i1.seen[0]
        assert sluice.i1.link_of(request).ended.wait(PATIENCE_SECONDS) if back == 1 else request.stream.wait_over(), request
        assert not request.is_whole and len(sluice.i1.seen) == 1, "the node got it whole"


@case(("reset", h2.INTERNAL_ERROR), ("close", None))
def an_answer_with_all_of_its_length_and_no_end_is_cut(house, how, code):
    def lie(stream, _):
        stream.send_head(fields_of(200, {"content_length": "10"}))
        stream.send_data(b"0123456789")
        stream.peer.wait(lambda: release.is_set(), "the client")
        stream.reset(code) if how == "reset" else stream.peer.close()
    release = threading.Event()
    with serve(house, "IQC") as sluice, connect(sluice, 1) as client:
        sluice.q1.script.put(lie)
        client.send("GET", QUERY)
        release.set()
        answered = client.read()
        assert answered.status in (0, 200, 502) and not (answered.status == 200 and answered.is_whole), answered


@case((SHORT,), (head_of(200, {"Transfer-Encoding": "chunked"}) + b"10\r\nabc",))
def an_http1_answer_that_breaks_off_resets_the_stream(house, start):
    with serve(house, "iqc") as sluice, connect(sluice, 2) as client:
        sluice.q1.script.put(then_close(start))
        answered = client.ask("GET", QUERY)
        assert answered.status == 200 and answered.reset_code == h2.INTERNAL_ERROR, answered
        assert client.ask("GET", QUERY).status == 200


@case((1,), (2,))
def an_answer_above_goaways_last_stream_is_asked_for_again(house, front):
    """Above the last stream nothing was done, so even a bare write is repeated; the link gets nothing new."""
    with serve(house, "IIQC") as sluice, connect(sluice, front) as client:
        sluice.i1.script = sluice.i2.script = Script(goaway(0, then=close))
        assert client.ask("POST", WRITE, BARE).status == 204
        assert len(sluice.i1.seen) + len(sluice.i2.seen) == 2


@case((1,), (2,))
def goaway_loses_nothing(house, front):
    """Streams up to the last one are finished, later ones go elsewhere, new ones on a new link."""
    release = threading.Event()
    with serve(house, "IQC") as sluice:
        clients = [connect(sluice, front) for _ in range(3)]
        sluice.i1.script.put(hold(release, reply(204, x_own="first")))
        first = clients[0].begin("POST", WRITE, BARE) if front == 2 else clients[0].send("POST", WRITE, BARE)
        sluice.i1.wait_seen(1)
        link = sluice.i1.peer_of(sluice.i1.seen[0])
        sluice.i1.script.put(goaway(sluice.i1.seen[0].stream.number))
        assert clients[1].ask("POST", WRITE, BARE).status == 204, "above the last: repeated on a new link"
        assert clients[2].ask("POST", WRITE, BARE).status == 204
        release.set()
        answered = first.wait_over() if front == 2 else first.read()
        assert (answered.status, answered.field("x-own")) == (204, "first"), answered
        link.wait_closed()
        assert [request.link_number == link.link.number for request in sluice.i1.seen] == [True, True, False, False]
        for client in clients:
            client.close()


@case(("GET", QUERY, b""), ("POST", WRITE, BARE))
def a_node_that_serves_one_stream_a_link_serves_all(house, method, target, body):
    """GOAWAY behind the first stream of each link, while twenty are on their way: each round serves one, and nobody's tries are used up."""
    def only_the_first(stream, request):
        if stream.number == 1:
            stream.peer.send(h2.goaway(1))
            stream.peer.node.own_h2_answer(stream, request)
    with serve(house, "IQC") as sluice, connect(sluice, 2) as client:
        sluice.i1.script = sluice.q1.script = Script(*[only_the_first] * 1000)
        streams = [client.begin(method, target, body) for _ in range(20)]
        assert all(stream.wait_over().status in (200, 204) for stream in streams), streams


@case((1,), (2,))
def a_shutdown_notice_of_the_node_moves_new_streams_to_another_link(house, front):
    release = threading.Event()
    with serve(house, "IQC") as sluice:
        with connect(sluice, front) as first, connect(sluice, front) as second:
            said = threading.Event()

            def after(stream, request):
                said.set()
                hold(release, reply(200, b"late"))(stream, request)
            sluice.q1.script.put(goaway(h2.LAST_STREAM, then=after))
            waiting = first.begin("GET", QUERY) if front == 2 else first.send("GET", QUERY)
            assert said.wait(PATIENCE_SECONDS)
            peer = sluice.q1.peer_of(sluice.q1.seen[0])
            assert peer.exchange_pings()
            assert second.ask("GET", QUERY).status == 200
            assert sluice.q1.seen[1].link_number != sluice.q1.seen[0].link_number
            release.set()
            assert (waiting.wait_over() if front == 2 else waiting.read()).body == b"late"
            peer.wait_closed()


@case((1,), (2,))
def a_lost_link_is_as_bad_as_what_was_on_it(house, front):
    with serve(house, "IIQQC") as sluice, connect(sluice, front) as client:
        for nodes in ((sluice.q1, sluice.q2), (sluice.i1, sluice.i2)):
            nodes[0].script = nodes[1].script = Script(close)
        assert client.ask("GET", QUERY).status == 200
        answered = client.ask("POST", WRITE, BARE)
        assert answered.status == 503 and answered.is_whole, answered
        assert len(sluice.i1.seen) + len(sluice.i2.seen) == 1
        sluice.i1.script.put(close)
        assert client.ask("POST", WRITE, LINES).status == 204


@case()
def a_lost_link_with_many_streams_answers_each(house):
    with serve(house, "IQQC") as sluice, connect(sluice, 2) as client:
        gone = threading.Event()

        def drop_all(stream, _):
            eventually(lambda: len(sluice.q1.seen) + len(sluice.q2.seen) >= 10 or gone.is_set())
            gone.set()
            stream.peer.close()
        sluice.q1.script = sluice.q2.script = Script(*[drop_all] * 10)
        streams = [client.begin("GET", f"{QUERY}&n={number}") for number in range(10)]
        assert [stream.wait_over().status for stream in streams] == [200] * 10, streams
