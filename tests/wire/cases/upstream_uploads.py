"""Uploads that stop: a link to a node is for who makes progress."""
import contextlib

from harness.waiting import PATIENCE_SECONDS
from wire.lib import http2_peer as h2
from wire.lib.house import case
from wire.lib.http1_client import check_fault
from wire.lib.requests import LINES, WRITE

BUFFERED = {"limits": {"request_buffer": "64KiB"}}
# Two links to the ingest node, and nobody may wait for one.
FEW_LINKS = {"limits": {"request_buffer": "64KiB", "upstream_links": 2, "queue": 0}}
LARGE = b"cpu,host=a usage=1 1700000000000000000\n" * 2500  # above the buffer


def begin_uploads(sluice, version, count, opened):
    """So many writes of this version begin, with a part of their bodies, and stop."""
    if version == 2:
        client = opened.enter_context(h2.Client(sluice.port))
        for _ in range(count):
            client.open("POST", WRITE, [("content-length", "1000")], end=False).send_data(LINES)
        client.exchange_pings()
        return
    for _ in range(count):
        client = opened.enter_context(sluice.client())
        client.send("POST", WRITE, LINES, length=1000)


@case((1,), (2,))
def uploads_that_stop_hold_no_link(house, version):
    with house.serve("iqc", FEW_LINKS) as sluice, contextlib.ExitStack() as opened:
        begin_uploads(sluice, version, 20, opened)
        assert [sluice.ask("POST", WRITE, LINES).status for _ in range(5)] == [204] * 5
        assert len(sluice.i1.seen) == 5, sluice.i1.seen


@case((1,), (2,))
def without_a_buffer_they_do(house, version):
    with house.serve("iqc", {"limits": {"upstream_links": 2, "queue": 0}}) as sluice, contextlib.ExitStack() as opened:
        begin_uploads(sluice, version, 2, opened)
        sluice.i1.wait(lambda: len(sluice.i1.seen) == 2)
        check_fault(sluice.ask("POST", WRITE, LINES), 503, "queue_full")


@case((False,), (True,))
def a_small_body_arrives_as_it_was(house, chunked):
    with house.serve("iqc", BUFFERED) as sluice, sluice.client() as client:
        for body in (LINES, LARGE[:65536], LARGE):
            assert client.ask("POST", WRITE, body, chunked=chunked).status == 204
            request = sluice.i1.seen[-1]
            assert request.body == body and request.is_whole
            assert ("transfer-encoding" in request.headers) == chunked


@case()
def a_client_that_asks_first_is_told_to_go_on(house):
    with house.serve("iqc", BUFFERED) as sluice, sluice.client() as client:
        client.send("POST", WRITE, length=len(LINES), only_head=True, headers={"Expect": "100-continue"})
        assert client.socket.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert not sluice.i1.seen
        client.send_raw(LINES)
        assert client.read().status == 204


@case((1,), (2,))
def a_large_upload_that_stops_gives_its_link_back(house, version):
    with house.serve("iqc", {"limits": {"request_buffer": "64KiB", "upload_rate": "1KiB", "upstream_links": 1}}) as sluice:
        with h2.Client(sluice.port) if version == 2 else sluice.client() as client:
            if version == 2:
                stream = client.open("POST", WRITE, [("content-length", str(2 * len(LARGE)))], end=False)
                stream.send_data(LARGE)
                answered = stream.wait_over()
            else:
                client.send("POST", WRITE, LARGE, length=2 * len(LARGE))
                answered = client.read()
            check_fault(answered, 503, "request_timeout")
        assert not sluice.i1.seen[0].is_whole
        assert sluice.i1.link_of(sluice.i1.seen[0]).ended.wait(PATIENCE_SECONDS)
        assert sluice.ask("POST", WRITE, LINES).status == 204
