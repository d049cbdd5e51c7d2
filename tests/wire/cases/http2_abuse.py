"""Clients that do harm: each loses its connection or its stream, is named in the log once, and nobody else notices."""
import threading

from harness.waiting import PATIENCE_SECONDS, eventually
from wire.lib import http2_peer as h2
from wire.lib.house import case
from wire.lib.hpack import index, indexed_literal
from wire.lib.http1_node import Script, answer
from wire.lib.http1_verbs import hold as hold_link, silence
from wire.lib.http2_house import LINES, QUERY, WRITE, check_alive, connect, half_of, serve, serve_version
from wire.lib.http2_node import hang, hold, reply
from wire.lib.large import check_growth

GOOD = h2.request_fields("GET", QUERY)
MANY = 20000
# What one connection may cost the nodes before it is cut off: streams in flight, and what is on the way.
REQUESTS_MAXIMUM = 400
SETTINGS = {"limits": {"connections": 1000}}


def check_cut(sluice, client, *codes):
    """The connection ends, with a reason if it was read; others are served; the log has one line."""
    client.wait_closed()
    assert client.goaways or client.was_reset, "closed without a word"
    if client.goaways:
        code = client.goaways[-1].code
        assert code in (codes or (h2.ENHANCE_YOUR_CALM, h2.PROTOCOL_ERROR, h2.INTERNAL_ERROR)), client.goaways
    check_alive(sluice)
    check_alive(sluice, 1)
    check_logged(sluice)


def check_logged(sluice):
    sluice.wait_line("event=abuse client=127.0.0.1 kind=")
    assert sluice.count_lines("event=abuse ") == 1, sluice.lines[-20:]


def send_all(client, piece, count, at_once=500):
    """The same frames again and again, until the other side has had enough."""
    for _ in range(count // at_once):
        if not client.send(piece * at_once):
            return


@case()
def abuse_counts_connections_whatever_they_had_under_way(house):
    with serve(house, "IQC") as sluice:
        for count in (1, 2):
            sluice.q1.script.put(*[hang] * 3)
            with connect(sluice, 2) as client:
                for _ in range(3):
                    client.begin("GET", QUERY)
                sluice.q1.wait_seen(3 * count)
                send_all(client, h2.ping(), MANY)
                client.wait_closed()
            eventually(lambda expected=count: sluice.metric('sluice_faults_total{fault="abuse"}') >= expected)
        eventually(lambda: sluice.status()["sessions"] == 0)
        assert sluice.metric('sluice_faults_total{fault="abuse"}') == 2
        assert sluice.count_lines("event=abuse client=127.0.0.1 kind=ping suppressed=0$") >= 1


# ---- streams that come and go ----

@case((1, "at once"), (2, "at once"), (1, "one by one"), (2, "one by one"))
def rapid_reset(house, back, how):
    with serve_version(house, back) as sluice, connect(sluice, 2) as bystander, connect(sluice, 2) as client:
        assert bystander.ask("GET", QUERY).status == 200
        numbers = range(1, 8001, 2)
        pairs = [h2.headers(number, GOOD, end=True) + h2.rst(number) for number in numbers]
        if how == "at once":
            client.send(b"".join(pairs))
        else:
            for pair in pairs:
                if not client.send(pair):
                    break
        check_cut(sluice, client, h2.ENHANCE_YOUR_CALM)
        assert bystander.ask("GET", QUERY).status == 200
        assert len(sluice.q1.seen) < REQUESTS_MAXIMUM, len(sluice.q1.seen)


def overflow(number):
    return h2.headers(number, h2.request_fields("POST", WRITE)) + h2.window_update(number, 2 ** 31 - 1)


def wrong_length(number):
    return h2.headers(number, h2.request_fields("POST", WRITE, {"content-length": "1"})) + h2.data(number, b"12", True)


def self_dependent(number):
    return h2.headers(number, h2.request_fields("POST", WRITE)) + h2.window_update(number, 0)


def bad_head(number):
    return h2.headers(number, GOOD + [("Upper", "case")], end=True)


def behind_the_end(number):
    return h2.headers(number, GOOD, end=True) + h2.data(number, b"more")


@case(*[(shape, back) for shape in ("overflow", "wrong length", "bad head") for back in (1, 2)])
def resets_that_the_client_makes_us_send(house, shape, back):
    """The other way round: what the client does wrong on a stream makes Sluice reset it, and the node's work is lost as well."""
    make = {"overflow": overflow, "wrong length": wrong_length, "bad head": bad_head}[shape]
    with serve_version(house, back) as sluice, connect(sluice, 2) as client:
        for first in range(1, 12001, 100):
            if not client.send(b"".join(make(number) for number in range(first, first + 100, 2))):
                break
        check_cut(sluice, client)
        assert len(sluice.q1.seen) + len(sluice.i1.seen) < REQUESTS_MAXIMUM, (len(sluice.q1.seen), len(sluice.i1.seen))


@case((behind_the_end,), (self_dependent,))
def other_errors_on_streams_end_the_stream_or_all(house, make):
    with serve(house, "iqc") as sluice, connect(sluice, 2) as client:
        for first in range(1, 12001, 100):
            if not client.send(b"".join(make(number) for number in range(first, first + 100, 2))):
                break
        client.wait_closed()
        check_alive(sluice)
        assert len(sluice.q1.seen) + len(sluice.i1.seen) < REQUESTS_MAXIMUM


@case()
def a_client_that_cancels_now_and_then_is_served(house):
    with serve(house, "IQC") as sluice, connect(sluice, 2) as client:
        for _ in range(50):
            client.begin("GET", QUERY).reset()
            assert client.ask("GET", QUERY).status == 200
        assert not client.goaways and sluice.count_lines("event=abuse") == 0


@case((1,), (2,))
def streams_that_are_given_up_in_their_answer_are_no_abuse(house, back):
    with serve_version(house, back) as sluice, connect(sluice, 2) as client:
        sluice.q1.script.put(*[half_of(back)] * 420)
        for _ in range(7):
            streams = [client.begin("GET", QUERY) for _ in range(60)]
            client.send(b"".join(h2.rst(stream.wait_received(1).number) for stream in streams))
        assert client.ask("GET", QUERY).status == 200
        assert not client.goaways and sluice.count_lines("event=abuse") == 0


@case(("known", True), ("not yet known", False))
def too_many_streams(house, _, knows):
    release = threading.Event()
    with serve(house, "iqc", {"limits": {"streams": 5}}) as sluice, h2.Client(sluice.port, acks_settings=knows) as client:
        sluice.q1.script.put(*[hold_link(release)] * 5)
        assert client.wait_settings()[h2.MAX_CONCURRENT_STREAMS] == 5
        if knows:
            client.wait_acked()
        streams = [client.begin("GET", QUERY) for _ in range(5)]
        sluice.q1.wait(lambda: len(sluice.q1.seen) == 5)
        extra = client.begin("GET", QUERY)
        extra.wait_reset(h2.REFUSED_STREAM)
        release.set()
        assert [stream.wait_over().body for stream in streams] == [b"late"] * 5
        assert client.ask("GET", QUERY).status == 200, "there is room again"
        assert len(sluice.q1.seen) == 6


@case()
def a_hundred_streams_and_not_one_more(house):
    release = threading.Event()
    with serve(house, "IQC", pairs=[(h2.MAX_CONCURRENT_STREAMS, 1000)]) as sluice, connect(sluice, 2) as client:
        sluice.q1.script.put(*[hold(release, reply(200, b"late"))] * 200)
        client.exchange_pings()
        streams = [client.begin("GET", QUERY) for _ in range(100)]
        sluice.q1.wait(lambda: len(sluice.q1.seen) == 100)
        client.begin("GET", QUERY).wait_reset(h2.REFUSED_STREAM)
        release.set()
        assert [stream.wait_over().body for stream in streams] == [b"late"] * 100
        assert len(sluice.q1.seen) == 100


# ---- floods ----

FLOODS = {
    "empty DATA": h2.data(1),
    "padded empty DATA": h2.frame(h2.DATA, h2.PADDED, 1, b"\0"),
    "SETTINGS": h2.settings((h2.INITIAL_WINDOW_SIZE, 65535)),
    "empty SETTINGS": h2.settings(),
    "PING": h2.ping(),
    "PRIORITY": h2.priority(1, 0),
    "PRIORITY of idle streams": h2.priority(1001, 0),
    "an unknown frame": h2.frame(0xee, 0, 0, b""),
    "an unknown frame on a stream": h2.frame(0xee, 0, 1, b"x"),
    "WINDOW_UPDATE": h2.window_update(0, 1),
    "WINDOW_UPDATE of a stream": h2.window_update(1, 1),
    "RST_STREAM": h2.rst(1),
}


@case(*[(name,) for name in FLOODS])
def a_flood(house, name):
    """The client has one upload under way, which none of this moves forward."""
    with serve(house, "iqc") as sluice, connect(sluice, 2) as bystander, connect(sluice, 2) as client:
        assert bystander.ask("GET", QUERY).status == 200
        before_kib = sluice.memory_kib("VmHWM")
        client.open("POST", WRITE, {"content-length": "1000"}, end=False)
        sluice.i1.wait(lambda: sluice.i1.seen)
        send_all(client, FLOODS[name], MANY)
        check_cut(sluice, client)
        assert bystander.ask("GET", QUERY).status == 200
        check_growth(sluice, before_kib)
        assert sluice.i1.link_of(sluice.i1.seen[0]).ended.wait(PATIENCE_SECONDS), "the node's side of the upload stays"


@case(("PING", h2.ping()), ("SETTINGS", h2.settings()))
def a_flood_whose_answers_are_not_read(house, _, piece):
    """What must be answered gathers on our side: it has a bound."""
    with serve(house, "iqc") as sluice:
        check_alive(sluice)
        before_kib = sluice.memory_kib("VmHWM")
        with sluice.client(receive_buffer=2048) as client:
            client.send_raw(h2.PREFACE + h2.settings())
            for _ in range(100):
                if not client.send_raw(piece * 2000):
                    break
            sluice.wait_line("event=abuse client=")
            check_alive(sluice)
            check_growth(sluice, before_kib)


@case()
def pings_of_a_keep_alive_are_no_flood(house):
    with serve(house, "iqc") as sluice, connect(sluice, 2) as client:
        for _ in range(200):
            assert client.exchange_pings()
        assert client.ask("GET", QUERY).status == 200
        assert not client.goaways and sluice.count_lines("event=abuse") == 0


@case()
def window_updates_of_a_reader_are_no_flood(house):
    """A client that gives back its window byte by byte while it reads a large answer."""
    with serve(house, "iqc") as sluice, h2.Client(sluice.port, window=1 << 20) as client:
        sluice.q1.script.put(answer(200, bytes(4 << 20)))
        stream = client.begin("GET", QUERY).wait_over()
        assert stream.is_whole and stream.received == 4 << 20, stream.received
        for _ in range(300):
            assert client.ask("POST", WRITE, LINES).status == 204
        assert not client.goaways and sluice.count_lines("event=abuse") == 0


@case()
def small_data_frames_are_no_flood(house):
    with serve(house, "iqc") as sluice, connect(sluice, 2) as client:
        stream = client.open("POST", WRITE, {"content-length": "3000"}, end=False)
        client.send(h2.data(stream.number, b"x") * 3000)
        stream.send_end()
        assert stream.wait_over().status == 204, stream
        assert sluice.i1.seen[0].body == b"x" * 3000


# ---- header blocks ----

@case(("empty", b""), ("a byte", b"\x82"), ("16 KiB", h2.encode([("x", "y" * 16000)])))
def a_header_block_without_end(house, _, piece):
    with serve(house, "iqc") as sluice, connect(sluice, 2) as client:
        assert client.exchange_pings()  # SETTINGS are acknowledged: nothing of ours comes between the frames
        before_kib = sluice.memory_kib("VmHWM")
        client.send(h2.headers(1, GOOD, end=True, flags=0))
        send_all(client, h2.continuation(1, piece, flags=0), 2000, 10)
        check_cut(sluice, client)
        check_growth(sluice, before_kib)
        assert len(sluice.q1.seen) == 2, "only the bystanders"


@case(("half a block", h2.headers(1, GOOD, end=True, flags=0)), ("half a frame", h2.headers(1, GOOD, end=True)[:20]),
      ("half a frame's head", h2.headers(1, GOOD, end=True)[:5]))
def a_header_block_that_is_never_finished(house, _, piece):
    with serve(house, "iqc", {"timeouts": {"request_head": house.short(300), "keep_alive": house.short(1000)}}) as sluice, connect(sluice, 2) as client:
        assert client.ask("GET", QUERY).status == 200
        client.next_number = 3
        client.send(piece[:8] + b"\3" + piece[9:] if len(piece) > 9 else piece)
        client.wait_closed()
        check_alive(sluice)


@case()
def a_connection_that_asks_for_nothing(house):
    with serve(house, "iqc", {"timeouts": {"request_head": house.short(300), "keep_alive": house.short(300)}}) as sluice:
        with connect(sluice, 2) as client:
            client.wait_closed()
            assert client.goaways and client.goaways[-1].code == h2.NO_ERROR, client.goaways


@case((4000, 4000), (100, 15000))
def a_header_bomb(house, length, count):
    """One field in the table, and a byte for each time that it comes again."""
    with serve(house, "iqc") as sluice, connect(sluice, 2) as client:
        check_alive(sluice)
        before_kib = sluice.memory_kib("VmHWM")
        bomb = h2.encode(GOOD) + indexed_literal("x", "y" * length) + index(62) * count
        for number in range(1, 41, 2):
            if not client.send(h2.headers(number, bomb[:16384] if number == 1 else h2.encode(GOOD) + index(62) * count, end=True)):
                break
        check_cut(sluice, client)  # 431 is for heads that are a little too large
        check_growth(sluice, before_kib)
        assert len(sluice.q1.seen) == 3, "only the bystanders"


# ---- frames that are wrong ----

def at_stream_1(*pieces):
    """On an open stream 1."""
    return h2.headers(1, h2.request_fields("POST", WRITE)) + b"".join(pieces)


def served_1(*pieces):
    return h2.headers(1, GOOD, end=True) + b"".join(pieces)


SIZE, FLOW, CLOSED, PROTOCOL, COMPRESSION = (h2.FRAME_SIZE_ERROR, h2.FLOW_CONTROL_ERROR, h2.STREAM_CLOSED, h2.PROTOCOL_ERROR,
                                             h2.COMPRESSION_ERROR)
# What ends the whole connection, and with which code (RFC 9113 sections 4 to 6). A second code is one that it leaves open.
WRONG = (
    ("DATA too large", at_stream_1(h2.data(1, bytes(16385))), SIZE),
    ("HEADERS too large", h2.headers(1, bytes(16385)), SIZE),
    ("DATA on stream 0", h2.data(0, b"x"), PROTOCOL),
    ("DATA on an idle stream", h2.data(1, b"x"), PROTOCOL, CLOSED),
    ("HEADERS on stream 0", h2.headers(0, GOOD), PROTOCOL),
    ("HEADERS on an even stream", h2.headers(2, GOOD, end=True), PROTOCOL),
    ("HEADERS depending on itself", h2.frame(h2.HEADERS, 0x25, 1, b"\0\0\0\1\x0f" + h2.encode(GOOD)), PROTOCOL, None),
    ("padding too long", at_stream_1(h2.frame(h2.DATA, h2.PADDED, 1, b"\5abc")), PROTOCOL),
    ("HEADERS with padding too long", h2.frame(h2.HEADERS, 0x0d, 1, b"\xff" + h2.encode(GOOD)), PROTOCOL),
    ("PRIORITY on stream 0", h2.priority(0), PROTOCOL),
    ("RST_STREAM on stream 0", h2.rst(0), PROTOCOL),
    ("RST_STREAM on an idle stream", h2.rst(1), PROTOCOL),
    ("RST_STREAM of 3 bytes", at_stream_1(h2.frame(h2.RST_STREAM, 0, 1, b"abc")), SIZE),
    ("SETTINGS on a stream", h2.frame(h2.SETTINGS, 0, 1), PROTOCOL),
    ("SETTINGS of 5 bytes", h2.frame(h2.SETTINGS, 0, 0, b"12345"), SIZE),
    ("SETTINGS acknowledgement with content", h2.frame(h2.SETTINGS, h2.ACK, 0, b"123456"), SIZE),
    ("ENABLE_PUSH 2", h2.settings((h2.ENABLE_PUSH, 2)), PROTOCOL),
    ("INITIAL_WINDOW_SIZE 2^31", h2.settings((h2.INITIAL_WINDOW_SIZE, 2 ** 31)), FLOW),
    ("MAX_FRAME_SIZE 16383", h2.settings((h2.MAX_FRAME_SIZE, 16383)), PROTOCOL),
    ("MAX_FRAME_SIZE 2^24", h2.settings((h2.MAX_FRAME_SIZE, 2 ** 24)), PROTOCOL),
    ("PUSH_PROMISE of a client", h2.frame(h2.PUSH_PROMISE, h2.END_HEADERS, 1, b"\0\0\0\2" + h2.encode(GOOD)), PROTOCOL),
    ("PING of 7 bytes", h2.ping(b"1234567"), SIZE),
    ("PING on a stream", h2.frame(h2.PING, 0, 1, b"12345678"), PROTOCOL),
    ("GOAWAY on a stream", h2.frame(h2.GOAWAY, 0, 1, bytes(8)), PROTOCOL),
    ("GOAWAY of 4 bytes", h2.frame(h2.GOAWAY, 0, 0, bytes(4)), SIZE),
    ("WINDOW_UPDATE 0 of the connection", h2.window_update(0, 0), PROTOCOL),
    ("WINDOW_UPDATE of 3 bytes", h2.frame(h2.WINDOW_UPDATE, 0, 0, b"abc"), SIZE),
    ("WINDOW_UPDATE of an idle stream", h2.window_update(1, 1), PROTOCOL),
    ("WINDOW_UPDATE overflows the connection", h2.window_update(0, 2 ** 31 - 1), FLOW),
    ("CONTINUATION alone", h2.continuation(1, b""), PROTOCOL),
    ("CONTINUATION on stream 0", h2.headers(1, GOOD, flags=0) + h2.continuation(0, b""), PROTOCOL),
    ("CONTINUATION of another stream", h2.headers(1, GOOD, flags=0) + h2.continuation(3, b""), PROTOCOL),
    ("PING inside a header block", h2.headers(1, GOOD, flags=0) + h2.ping(), PROTOCOL),
    ("an unknown frame inside a header block", h2.headers(1, GOOD, flags=0) + h2.frame(0xee), PROTOCOL),
    ("HPACK: an index of no table", h2.headers(1, index(70), end=True), COMPRESSION),
    ("HPACK: index 0", h2.headers(1, b"\x80", end=True), COMPRESSION),
    ("HPACK: a table too large", h2.headers(1, b"\x3f\xe2\x1f" + h2.encode(GOOD), end=True), COMPRESSION),
    ("HPACK: a table size behind a field", h2.headers(1, h2.encode(GOOD) + b"\x20", end=True), COMPRESSION),
    ("HPACK: bad Huffman padding", h2.headers(1, b"\0\x81\0\0", end=True), COMPRESSION),
    ("HPACK: a block that is cut", h2.headers(1, h2.encode(GOOD)[:-3], end=True), COMPRESSION),
)
# What ends the stream, or all.
WRONG_ON_STREAM = (
    ("DATA behind the end", served_1(h2.data(1, b"more")), CLOSED),
    ("WINDOW_UPDATE 0", at_stream_1(h2.window_update(1, 0)), PROTOCOL),
    ("WINDOW_UPDATE overflows", at_stream_1(h2.window_update(1, 2 ** 31 - 1)), FLOW),
    ("trailers without an end", at_stream_1(h2.headers(1, [("x", "y")])), PROTOCOL),
    ("trailers with a pseudo field", at_stream_1(h2.headers(1, [(":path", "/")], end=True)), PROTOCOL),
    ("more than its length", h2.headers(1, h2.request_fields("POST", WRITE, {"content-length": "3"})) + h2.data(1, b"four", True),
     PROTOCOL),
    ("less than its length", h2.headers(1, h2.request_fields("POST", WRITE, {"content-length": "5"})) + h2.data(1, b"four", True),
     PROTOCOL),
)


@case(*WRONG)
def a_wrong_frame_ends_the_connection(house, _, pieces, code, also=0):
    with serve(house, "iqc") as sluice, connect(sluice, 2) as client:
        client.send(pieces)
        if also is None:  # the stream alone is enough, too
            eventually(lambda: client.is_closed or client.streams and client.streams[1].reset_code == code)
        else:
            client.wait_closed()
            assert client.goaways and client.goaways[-1].code in (code, also or code), client.goaways
        check_alive(sluice)


@case(*WRONG_ON_STREAM)
def a_wrong_frame_ends_its_stream(house, _, pieces, code):
    with serve(house, "iqc") as sluice, connect(sluice, 2) as client:
        sluice.q1.script.put(silence)
        client.send(pieces)
        eventually(lambda: client.is_closed or client.streams and client.streams[1].reset_code is not None)
        assert (client.goaways[-1].code if client.is_closed else client.streams[1].reset_code) == code, client.streams
        assert not any(request.is_whole for request in sluice.i1.seen), "the node got it whole"
        for node in (sluice.i1, sluice.q1):
            for request in node.seen:
                assert node.link_of(request).ended.wait(PATIENCE_SECONDS), "the node is left waiting"
        sluice.q1.script = Script()
        check_alive(sluice)


# What the client itself has ended stays so, and what it has skipped is used up (RFC 9113 sections 5.1 and 5.1.1).
ENDED = served_1()
RESET = at_stream_1(h2.rst(1))
SKIPPED = h2.headers(5, GOOD, end=True)


@case(("DATA behind an answered stream", ENDED, h2.data(1, b"more"), CLOSED),
      ("an end behind an answered stream", ENDED, h2.data(1, b"", True), CLOSED),
      ("HEADERS behind an answered stream", ENDED, h2.headers(1, GOOD, end=True), CLOSED),
      ("trailers behind an answered stream", ENDED, h2.headers(1, [("x", "y")], end=True), CLOSED),
      ("DATA behind a reset", RESET, h2.data(1, b"more"), CLOSED),
      ("HEADERS behind a reset", RESET, h2.headers(1, [("x", "y")], end=True), CLOSED),
      ("CONTINUATION behind a reset", RESET, h2.continuation(1, b""), PROTOCOL),
      ("HEADERS on a stream that was skipped", SKIPPED, h2.headers(3, GOOD, end=True), PROTOCOL),
      ("DATA on a stream that was skipped", SKIPPED, h2.data(3, b"more"), PROTOCOL))
def a_frame_on_a_closed_stream_ends_the_connection(house, _, first, then, code):
    for at_once in (False, True):
        with serve(house, "iqc") as sluice, connect(sluice, 2) as client:
            if at_once and first == RESET:
                client.send(first + then)
            else:
                client.send(first)
                client.wait(lambda: first == RESET or any(stream.is_over() for stream in client.streams.values()))
                client.exchange_pings()
                client.send(then)
            client.wait_closed()
            assert client.goaways and client.goaways[-1].code == code, client.goaways
            assert len(sluice.q1.seen) <= 1 and not any(request.is_whole for request in sluice.i1.seen)
            check_alive(sluice)


@case()
def what_was_under_way_when_sluice_reset_a_stream_is_ignored(house):
    """An answer before the end of the upload: the rest of it, and its trailers, may have been sent already."""
    with serve(house, "iqc") as sluice, connect(sluice, 2) as client:
        for _ in range(40):
            stream = client.open("POST", "/x//y", end=False)
            stream.wait_over().wait_reset(h2.NO_ERROR)
        numbers = range(1, 80, 2)
        client.send(b"".join(h2.data(number, b"more") + h2.headers(number, [("x", "y")], end=True) for number in numbers))
        assert client.exchange_pings() and client.ask("GET", QUERY).status == 200 and not client.goaways


@case()
def what_came_late_for_a_closed_stream_is_ignored(house):
    """A client may have sent these before it learned of the end."""
    with serve(house, "iqc") as sluice, connect(sluice, 2) as client:
        assert client.ask("GET", QUERY).status == 200
        client.send(h2.window_update(1, 100) + h2.rst(1) + h2.priority(1, 0))
        assert client.exchange_pings()
        assert client.ask("GET", QUERY).status == 200 and not client.goaways


@case()
def a_client_that_reads_nothing_costs_little(house):
    """Many answers, none of them read, neither by the window nor by the socket."""
    with serve(house, "iqc", {"timeouts": {"idle": house.short(1000)}}) as sluice:
        check_alive(sluice)
        before_kib = sluice.memory_kib("VmHWM")
        sluice.q1.script = Script(*[answer(200, bytes(1 << 20))] * 50)
        with sluice.client(receive_buffer=2048) as client:
            client.send_raw(h2.PREFACE + h2.settings((h2.INITIAL_WINDOW_SIZE, 1 << 20)) + h2.window_update(0, 1 << 30) +
                            b"".join(h2.headers(number, GOOD, end=True) for number in range(1, 101, 2)))
            sluice.q1.wait(lambda: len(sluice.q1.seen) >= 51)
            house.pause(0.2)
            check_alive(sluice)
            growth = sluice.memory_kib("VmHWM") - before_kib
            assert growth < 16 * 1024, f"{growth} KiB for 50 answers of 1 MiB each"
            eventually(lambda: sluice.node_status("q1")["outstanding"] == 0, "the end of queries that nobody reads")
