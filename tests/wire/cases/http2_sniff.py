"""One port for both versions: the first bytes decide."""
from harness.loopback import Diagnosis, send_pieces
from harness.waiting import eventually
from wire.lib import http2_peer as h2
from wire.lib.house import case
from wire.lib.http1_client import Client
from wire.lib.http2_house import LINES, QUERY, WRITE, check_alive, serve

HEAD = f"GET {QUERY} HTTP/1.1\r\nHost: a\r\n\r\n".encode()


@case()
def both_versions_on_one_port(house):
    with serve(house, "iqc") as sluice:
        with h2.Client(sluice.port) as second, sluice.client() as first:
            for _ in range(2):
                assert second.ask("GET", QUERY).status == 200
                assert first.ask("GET", QUERY).status == 200
                assert second.ask("POST", WRITE, LINES).status == 204
                assert first.ask("POST", WRITE, LINES).status == 204


@case()
def everything_in_one_segment(house):
    with serve(house, "iqc") as sluice, h2.Client(sluice.port, greets=False) as client:
        stream = client.new_stream()
        client.send(h2.PREFACE + h2.settings() + h2.headers(stream.number, h2.request_fields("GET", QUERY), end=True))
        assert stream.wait_over().status == 200
        assert client.settings, "SETTINGS come first"
        assert client.frames[0].kind == h2.SETTINGS, client.frames


@case()
def a_preface_byte_by_byte(house):
    with serve(house, "iqc") as sluice, h2.Client(sluice.port, greets=False) as client:
        start = h2.PREFACE + h2.settings((h2.INITIAL_WINDOW_SIZE, 100000))
        stream, diagnosis = client.new_stream(), Diagnosis()
        whole = start + h2.headers(stream.number, h2.request_fields("GET", QUERY), end=True)
        for at in range(len(whole)):
            assert client.send(whole[at:at + 1])
            eventually(lambda: diagnosis.unread(client.socket) == 0, "somebody who reads")
        assert stream.wait_over().status == 200


@case()
def a_first_byte_that_both_versions_have(house):
    """Every POST and PUT begins like the preface."""
    whole = f"POST {WRITE} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(LINES)}\r\n\r\n".encode() + LINES
    with serve(house, "iqc") as sluice, Client(sluice.port) as client:
        assert send_pieces(client.socket, [whole[:1], whole[1:]], Diagnosis())
        assert client.read().status == 204
        assert sluice.i1.seen[0].body == LINES


@case(*[(length, pieces) for length in (1, 3, 14, 18, 20, 23) for pieces in ("in one", "in two")])
def a_preface_that_goes_wrong_is_an_http1_error(house, length, pieces):
    with serve(house, "iqc") as sluice, Client(sluice.port) as client:
        right, wrong = h2.PREFACE[:length], b"?" + h2.PREFACE[length + 1:] + b"\r\n\r\n"
        send_pieces(client.socket, [right, wrong] if pieces == "in two" else [right + wrong], Diagnosis())
        answer = client.read()
        assert answer.status in (400, 405, 501, 505), answer
        assert client.is_closed()
        check_alive(sluice)


@case(("after the preface", h2.PREFACE + HEAD), ("no SETTINGS", h2.PREFACE + h2.ping()),
      ("an acknowledgement", h2.PREFACE + h2.frame(h2.SETTINGS, h2.ACK)))
def a_preface_without_settings_ends_the_connection(house, _, start):
    with serve(house, "iqc") as sluice, h2.Client(sluice.port, greets=False) as client:
        client.send(start)
        client.wait_closed()
        assert client.goaways and client.goaways[-1].code != h2.NO_ERROR, client.goaways
        check_alive(sluice)


@case(("nothing", b""), ("one byte", b"P"), ("most of it", h2.PREFACE[:23]))
def a_preface_that_does_not_come_is_not_waited_for(house, _, start):
    with serve(house, "iqc", {"timeouts": {"request_head": house.short(300), "keep_alive": house.short(300)}}) as sluice:
        with Client(sluice.port) as client:
            client.send_raw(start)
            assert client.read().status in (0, 408)
            client.is_closed()
        check_alive(sluice)


@case()
def http1_behind_a_served_request_is_not_a_preface(house):
    """The decision falls once: a preface in the middle of an HTTP/1.1 connection is a bad request."""
    with serve(house, "iqc") as sluice, Client(sluice.port) as client:
        assert client.ask("GET", QUERY).status == 200
        client.send_raw(h2.PREFACE + h2.settings())
        assert client.read().status in (400, 405, 501, 505)
        assert client.is_closed()
