"""The end of a connection that Sluice announces: a drain loses nothing, and idle connections end in order."""
import signal
import threading

from harness.waiting import PATIENCE_SECONDS, eventually
from wire.lib import http2_peer as h2
from wire.lib.house import case
from wire.lib.http1_client import check_fault
from wire.lib.http2_house import BARE, FLIGHT, GRPC, LINES, QUERY, WRITE, connect, half_of, pause_of, say, serve, serve_version
from wire.lib.http2_node import grpc_reply, hold, message


def begin_held(sluice, client, back):
    """A query that has reached the node; (stream, what lets it finish)."""
    release = threading.Event()

    def held(stream, request):
        assert release.wait(PATIENCE_SECONDS)
        return say(back, 200, b"late")(stream, request)
    sluice.q1.script.put(held)
    stream = client.begin("GET", QUERY)
    sluice.q1.wait_seen(1)
    return stream, release


@case((1,), (2,))
def a_drain_is_announced_and_then_carried_out(house, back):
    with serve_version(house, back) as sluice, connect(sluice, 2) as client:
        stream, release = begin_held(sluice, client, back)
        sluice.signal(signal.SIGTERM)
        notice = client.wait_goaway()
        assert (notice.last, notice.code) == (h2.LAST_STREAM, h2.NO_ERROR), notice
        final = client.wait_goaway(2)
        assert (final.last, final.code) == (stream.number, h2.NO_ERROR), final
        assert not stream.is_over() and sluice.process.poll() is None
        release.set()
        assert stream.wait_over().body == b"late", stream
        client.wait_closed()
        assert not client.was_reset
        sluice.wait_end()


@case((1,), (2,))
def a_request_that_crosses_the_announcement_is_served(house, back):
    with serve_version(house, back) as sluice, connect(sluice, 2) as client:
        client.acks_pings = False  # so that Sluice does not know yet that we know
        stream, release = begin_held(sluice, client, back)
        with sluice.stopped():
            sluice.signal(signal.SIGTERM)
            crossing = client.begin("POST", WRITE, BARE)
        client.wait_goaway()
        second = client.begin("POST", WRITE, BARE)
        assert crossing.wait_over().status == 204, crossing
        assert second.wait_over().status == 204, second
        release.set()
        assert stream.wait_over().body == b"late", stream
        for came in [each for each in client.frames if each.kind == h2.PING and not each.flags]:
            client.send(h2.ping(came.payload, h2.ACK))
        client.wait_closed()
        assert client.goaways[-1].last >= second.number, client.goaways
        sluice.wait_end()


@case((1,), (2,))
def a_drain_lets_an_upload_finish(house, back):
    with serve_version(house, back) as sluice, connect(sluice, 2) as client:
        stream = client.open("POST", WRITE, {"content-length": str(2 * len(LINES))}, end=False)
        stream.send_data(LINES)
        sluice.i1.wait(lambda: sluice.i1.seen)
        sluice.signal(signal.SIGTERM)
        client.wait_goaway(2)
        stream.send_data(LINES, end=True)
        assert stream.wait_over().status == 204, stream
        client.wait_closed()
        sluice.wait_end()


@case()
def a_drain_lets_trailers_come(house):
    release = threading.Event()
    with serve(house, "IQC") as sluice, connect(sluice, 2) as client:
        sluice.q1.script.put(hold(release, grpc_reply(message("rows"))))
        stream = client.begin("POST", FLIGHT, message("ticket"), GRPC, True)
        sluice.q1.wait_seen(1)
        sluice.signal(signal.SIGTERM)
        client.wait_goaway()
        release.set()
        assert stream.wait_over().grpc_status == 0, stream
        client.wait_closed()
        sluice.wait_end()


@case()
def a_drain_ends_idle_connections_at_once(house):
    with serve(house, "iqc", {"timeouts": {"drain": "10m"}}) as sluice:
        clients = [connect(sluice, 2) for _ in range(20)]
        for client in clients:
            assert client.ask("GET", QUERY).status == 200
        sluice.signal(signal.SIGTERM)
        for client in clients:
            client.wait_closed()
            assert client.goaways and client.goaways[-1].code == h2.NO_ERROR, client.goaways
            assert client.goaways[-1].last >= 1, client.goaways
        sluice.wait_end()


@case()
def a_client_that_does_not_answer_the_notice(house):
    """Without the last word it could not know what became of a request that it has just sent."""
    with serve(house, "iqc") as sluice, connect(sluice, 2) as client:
        client.acks_pings = False
        assert client.ask("GET", QUERY).status == 200
        sluice.signal(signal.SIGTERM)
        client.wait_closed()
        assert [each.last for each in client.goaways] == [h2.LAST_STREAM, 1] and not client.was_reset, client.goaways
        sluice.wait_end()


@case()
def a_stream_behind_the_last_word_reaches_no_node(house):
    with serve(house, "iqc") as sluice, connect(sluice, 2) as client:
        stream, release = begin_held(sluice, client, 1)
        sluice.signal(signal.SIGTERM)
        client.wait_goaway(2)
        late = client.begin("POST", WRITE, BARE)
        release.set()
        assert stream.wait_over().body == b"late", stream
        client.wait_closed()
        assert late.fields is None and late.reset_code in (None, h2.REFUSED_STREAM), late
        assert not sluice.i1.seen
        sluice.wait_end()


@case(*[(how, state, back) for how in ("a second signal", "its time is over") for state in ("waiting", "relaying")
        for back in (1, 2)])
def a_drain_is_cut_short(house, how, state, back):
    settings = {"timeouts": {"drain": house.short(300) if how == "its time is over" else "10m"}}
    with serve_version(house, back, settings) as sluice, connect(sluice, 2) as client:
        sluice.q1.script.put(pause_of(back) if state == "waiting" else half_of(back))
        stream = client.begin("GET", QUERY)
        sluice.q1.wait_seen(1)
        if state == "relaying":
            stream.wait_received(1)
        sluice.signal(signal.SIGTERM)
        sluice.wait_drain()
        if how == "a second signal":
            sluice.signal(signal.SIGTERM)
        stream.wait_over()
        if state == "relaying":
            assert stream.status == 200 and not stream.is_whole, stream
        else:
            check_fault(stream, 503, "draining")
        client.wait_closed()
        sluice.wait_end()
        sluice.wait_line("event=drain_cut")


@case(("nothing", b""), ("the preface", h2.PREFACE), ("SETTINGS", h2.PREFACE + h2.settings()))
def a_drain_serves_the_first_request_of_who_had_connected(house, _, before):
    """Or says, where HTTP/2 was chosen already, that it was not served."""
    with serve(house, "iqc") as sluice, h2.Client(sluice.port, greets=False) as client:
        client.acks_pings = False  # nothing but the test may come before its SETTINGS
        client.send(before)
        eventually(lambda: sluice.status()["sessions"] == 1)
        sluice.signal(signal.SIGTERM)
        sluice.wait_drain()
        stream = client.new_stream()
        whole = h2.PREFACE + h2.settings() + h2.headers(stream.number, h2.request_fields("GET", QUERY), end=True)
        client.send(whole[len(before):])
        stream.wait_over()
        if not before or stream.fields is not None:
            assert stream.status == 200, stream
        else:
            assert client.goaways[-1].code == h2.NO_ERROR and client.goaways[-1].last == 0 and not sluice.q1.seen, stream
        client.wait_closed()
        sluice.wait_end()


@case((1,), (2,))
def an_idle_connection_ends_in_order(house, back):
    with serve_version(house, back, {"timeouts": {"keep_alive": house.short(300)}}) as sluice, connect(sluice, 2) as client:
        assert client.ask("GET", QUERY).status == 200
        client.wait_closed()
        assert client.goaways and client.goaways[-1].code == h2.NO_ERROR and client.goaways[-1].last >= 1, client.goaways
        assert not client.was_reset


@case()
def a_connection_with_a_stream_is_not_idle(house):
    with serve(house, "IQC", {"timeouts": {"keep_alive": house.short(200)}}) as sluice:
        with connect(sluice, 2) as client:
            stream, release = begin_held(sluice, client, 2)
            house.pause(0.5)
            assert not client.is_closed and not client.goaways, client.goaways
            release.set()
            assert stream.wait_over().body == b"late"


@case()
def the_clients_goaway_is_no_reason_to_stop(house):
    """grpc-js says it twice before it closes; its streams are answered."""
    with serve(house, "iqc") as sluice, connect(sluice, 2) as client:
        stream, release = begin_held(sluice, client, 1)
        client.send(h2.goaway(0) * 2)
        assert client.exchange_pings()
        release.set()
        assert stream.wait_over().body == b"late", stream
        client.wait_closed()


@case()
def links_to_nodes_end_in_order(house):
    """At the end of Sluice a node's other streams must not suffer from a reset."""
    with serve(house, "IQC") as sluice, connect(sluice, 2) as client:
        assert client.ask("GET", QUERY).status == 200
        peer = sluice.q1.peer_of(sluice.q1.seen[0])
        client.close()
        sluice.stop()
        peer.wait_closed()
        assert not peer.was_reset
