"""A client that leaves, or ends one half of its connection: noticed in each state, by no deadline (they are minutes here)."""
import socket
import threading

from harness.waiting import PATIENCE_SECONDS, eventually
from wire.lib.house import case
from wire.lib.http1_verbs import hold, silence
from wire.lib.requests import BARE, LINES, QUERY, WRITE

MUCH = f"GET {QUERY} HTTP/1.1\r\nHost: h\r\n\r\n".encode() * 9000


def end_by_reset(client):
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()


def end_half(client):
    client.socket.shutdown(socket.SHUT_WR)


WAYS = (("FIN", lambda client: client.close()), ("reset", end_by_reset), ("half-close", end_half))


def wait_nothing_left(sluice):
    eventually(lambda: not any(node["outstanding"] for node in sluice.status()["nodes"]), "no attempt under way")


@case(*WAYS)
def behind_a_query(house, _, end):
    with house.serve("iqc") as sluice, sluice.client() as client:
        sluice.q1.script.put(silence)
        client.send("GET", QUERY)
        sluice.q1.wait_seen(1)
        end(client)
        assert sluice.q1.links[-1].ended.wait(PATIENCE_SECONDS), "the node still works for nobody"
        wait_nothing_left(sluice)


@case(*WAYS)
def behind_a_query_and_more_than_is_read(house, _, end):
    with house.serve("iqc") as sluice, sluice.client() as client:
        sluice.q1.script.put(silence)
        client.send("GET", QUERY)
        sluice.q1.wait_seen(1)
        client.socket.setblocking(False)
        try:
            client.socket.sendall(MUCH)
        except BlockingIOError:
            pass
        end(client)
        assert sluice.q1.links[-1].ended.wait(PATIENCE_SECONDS), "the node still works for nobody"
        wait_nothing_left(sluice)


@case(*WAYS)
def in_an_upload_that_is_read(house, _, end):
    with house.serve("iqc") as sluice, sluice.client() as client:
        client.send("POST", WRITE, length=2 * len(LINES), only_head=True)
        client.send_raw(LINES)
        eventually(lambda: sluice.node_status("i1")["outstanding"] == 1)
        end(client)
        wait_nothing_left(sluice)


@case(*WAYS)
def in_an_upload_that_waits_for_a_connection(house, _, end):
    with house.serve("iqc") as sluice, sluice.client() as client:
        sluice.i1.block()
        client.send("POST", WRITE, length=9000, only_head=True)
        eventually(lambda: sluice.node_status("i1")["outstanding"] == 1)
        client.send_raw(LINES)
        end(client)
        wait_nothing_left(sluice)
        assert not sluice.i1.seen


@case(("FIN", end_half, 204), ("reset", end_by_reset, None))
def behind_a_write(house, _, end, status):
    """The database stores it, so who has ended one half only hears of it; a reset says that nobody listens."""
    release = threading.Event()
    with house.serve("iqc") as sluice, sluice.client() as client:
        sluice.i1.script.put(hold(release) if status is None else hold(release, lambda link, _: link.send(NO_CONTENT)))
        client.send("POST", WRITE, BARE)
        sluice.i1.wait_seen(1)
        end(client)
        if status is None:
            wait_nothing_left(sluice)
            release.set()
            return
        release.set()
        reply = client.read()
        assert reply.status == status and reply.field("connection") == "close", reply
        assert client.is_closed()


NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"


@case()
def behind_a_write_that_waits_for_a_connection(house):
    """All of it lies in the kernel, and nobody reads it yet: it may be whole, so it goes on."""
    with house.serve("iqc", {"limits": {"upstream_links": 1}, "timeouts": {"queue": "10m"}}) as sluice, sluice.client() as client:
        release = threading.Event()
        sluice.i1.script.put(hold(release, lambda link, _: link.send(NO_CONTENT) or True))
        with sluice.client() as other:
            other.send("POST", WRITE, LINES)
            sluice.i1.wait_seen(1)
            client.send("POST", WRITE, length=len(LINES), only_head=True)
            eventually(lambda: sluice.node_status("i1")["outstanding"] == 2)
            client.send_raw(LINES)
            end_half(client)
            release.set()
            assert other.read().status == 204
        assert client.read().status == 204
