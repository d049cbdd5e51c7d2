"""Links to nodes: kept, bounded, waited for, and never trusted after something odd."""
import threading

from harness.loopback import Diagnosis, send_pieces
from harness.waiting import PATIENCE_SECONDS, eventually
from wire.lib.house import case
from wire.lib.http1_client import check_fault
from wire.lib.http1_node import Script, answer, head_of
from wire.lib.http1_verbs import hold
from wire.lib.requests import BARE, LINES, QUERY, WRITE

def say(data):
    """A verb: exactly these bytes, and the connection stays open."""
    def verb(link, _):
        link.send(data)
        return True
    return verb


ONE_LINK = {"limits": {"upstream_links": 1}}


def traffic_links(node):
    """The links that served a request which was no probe."""
    return {request.link_number for request in node.seen}


@case()
def a_link_serves_many_requests_and_many_clients(house):
    with house.serve("iqc") as sluice:
        for _ in range(10):
            assert sluice.ask("GET", QUERY).status == 200
        assert len(traffic_links(sluice.q1)) == 1


@case()
def concurrent_requests_get_a_link_each(house):
    release = threading.Event()
    with house.serve("iqc") as sluice:
        sluice.q1.script = Script(*[hold(release)] * 5)
        clients = [sluice.client() for _ in range(5)]
        for client in clients:
            client.send("GET", QUERY)
        sluice.q1.wait_seen(5)
        release.set()
        assert [client.read().status for client in clients] == [200] * 5
        assert len(traffic_links(sluice.q1)) == 5


@case()
def when_all_links_are_busy_requests_wait_in_turn(house):
    release = threading.Event()
    with house.serve("iqc", ONE_LINK) as sluice:
        sluice.q1.script = Script(hold(release))
        clients = []
        for number in range(4):
            client = sluice.client()
            client.send("GET", f"{QUERY}&n={number}")
            clients.append(client)
            eventually(lambda count=number + 1: sluice.node_status("q1")["outstanding"] == count)
        sluice.q1.wait_seen(1)
        assert len(sluice.q1.seen) == 1
        release.set()
        assert [client.read().status for client in clients] == [200] * 4
        assert [request.target[-1] for request in sluice.q1.seen] == ["0", "1", "2", "3"]
        assert len(traffic_links(sluice.q1)) == 1


@case()
def a_nodes_own_maximum_beats_the_general_one(house):
    def prepare(nodes):
        nodes["q1"].keys["maximum_links"] = 2
    release = threading.Event()
    with house.serve("iqc", prepare=prepare) as sluice:
        sluice.q1.script = Script(hold(release), hold(release), hold(release))
        clients = [sluice.client() for _ in range(3)]
        for client in clients:
            client.send("GET", QUERY)
        eventually(lambda: sluice.node_status("q1")["outstanding"] == 3)
        sluice.q1.wait_seen(2)
        assert len(traffic_links(sluice.q1)) == 2 and len(sluice.q1.seen) == 2
        release.set()
        assert [client.read().status for client in clients] == [200] * 3


@case(("a query", "GET", QUERY), ("a write", "POST", WRITE), ("a v1 write", "POST", "/write?db=d"))
def waiting_for_a_link_ends_with_a_503(house, _, method, target):
    release = threading.Event()
    with house.serve("iqc", {"limits": {"upstream_links": 1}, "timeouts": {"queue": house.short(200)}}) as sluice:
        for node in (sluice.i1, sluice.q1):
            node.script = Script(hold(release, answer(204)))
        with sluice.client() as first:
            first.send(method, target, LINES if method == "POST" else b"")
            eventually(lambda: sluice.i1.seen or sluice.q1.seen)
            second = sluice.ask(method, target, LINES if method == "POST" else b"")
            check_fault(second, 503, "queue_timeout", target)
            assert second.seconds > 0.15, second.seconds
            release.set()
            assert first.read().status == 204


@case()
def who_waits_for_a_link_goes_to_another_node_in_the_end(house):
    release = threading.Event()
    with house.serve("iiqc", {"limits": {"upstream_links": 1}, "timeouts": {"queue": house.short(200)}}) as sluice:
        sluice.i1.script = Script(hold(release, answer(204)))
        with sluice.client() as first:
            first.send("POST", WRITE, BARE)
            sluice.i1.wait_seen(1)
            assert sluice.ask("POST", WRITE, BARE).node == "i2"
            third = sluice.ask("POST", WRITE, BARE)  # i1's turn
            assert (third.status, third.node) == (204, "i2"), third
            release.set()
            assert first.read().node == "i1"


@case()
def a_full_queue_is_a_503_at_once(house):
    release = threading.Event()
    settings = {"limits": {"upstream_links": 1, "queue": 2}}
    with house.serve("iqc", settings) as sluice:
        sluice.q1.script = Script(hold(release))
        clients = [sluice.client() for _ in range(3)]
        for number, client in enumerate(clients):
            client.send("GET", QUERY)
            eventually(lambda count=number + 1: sluice.node_status("q1")["outstanding"] == count)
        check_fault(sluice.ask("GET", QUERY), 503, "queue_full")
        release.set()
        assert [client.read().status for client in clients] == [200] * 3


@case()
def a_client_that_leaves_the_queue_makes_room(house):
    release = threading.Event()
    with house.serve("iqc", {"limits": {"upstream_links": 1, "queue": 1}}) as sluice:
        sluice.q1.script = Script(hold(release))
        first, second = sluice.client(), sluice.client()
        first.send("GET", QUERY)
        sluice.q1.wait_seen(1)
        second.send("GET", QUERY)
        eventually(lambda: sluice.node_status("q1")["outstanding"] == 2)
        second.close()
        eventually(lambda: sluice.node_status("q1")["outstanding"] == 1)
        third = sluice.client()
        third.send("GET", f"{QUERY}&n=3")
        eventually(lambda: sluice.node_status("q1")["outstanding"] == 2)
        release.set()
        assert first.read().status == 200 and third.read().status == 200
        assert len(sluice.q1.seen) == 2


@case()
def all_who_wait_hear_of_it_when_the_node_cannot_be_reached(house):
    """Two wait and one link may be made: its failure must not leave the second one waiting for nothing."""
    settings = {"limits": {"upstream_links": 1}, "timeouts": {"connect": house.short(200), "queue": "10m"}}
    with house.serve("iqc", settings) as sluice:
        sluice.q1.block()
        first, second = sluice.client(), sluice.client()
        for client in (first, second):
            client.send("GET", QUERY)
        for client in (first, second):
            check_fault(client.read(), 503, "connect_timeout")


@case()
def a_link_that_the_node_closed_is_not_used_again(house):
    with house.serve("iqc") as sluice:
        assert sluice.ask("POST", WRITE, LINES).status == 204
        first = sluice.i1.link_of(sluice.i1.seen[0])
        first.kill()
        for _ in range(3):
            assert sluice.ask("POST", WRITE, BARE).status == 204
        assert len(traffic_links(sluice.i1)) == 2
        assert sluice.count_lines("event=attempt_failed") == 0, "it was noticed while nobody needed the link"


@case(("an answer that nobody asked for", head_of(200, {}, 0)), ("a byte", b"\n"), ("408", head_of(408, {}, 0)))
def bytes_on_an_idle_link_close_it(house, _, data):
    with house.serve("iqc") as sluice:
        assert sluice.ask("GET", QUERY).status == 200
        link = sluice.q1.link_of(sluice.q1.seen[0])
        link.send(data)
        assert link.ended.wait(PATIENCE_SECONDS), "the link is still open"
        reply = sluice.ask("GET", QUERY)
        assert reply.status == 200 and reply.body == b'{"node": "q1"}', reply
        assert len(traffic_links(sluice.q1)) == 2


@case(("a query", "GET", QUERY, b""), ("a write", "POST", WRITE, LINES), ("a bare write", "POST", WRITE, BARE))
def bytes_that_cross_the_request_are_not_its_answer(house, _, method, target, body):
    """A node, or a proxy before it, says 408 and closes its idle link just when the next request goes out."""
    with house.serve("iqc") as sluice:
        with sluice.client() as client:
            assert client.ask(method, target, body).status in (200, 204)
            node = sluice.i1 if body else sluice.q1
            link = node.link_of(node.seen[0])
            with sluice.stopped():
                client.send(method, target, body)
                link.send(head_of(408, {"Connection": "close"}, 0))
                link.kill()
            reply = client.read()
            assert reply.status in (200, 204), reply
        assert len(node.seen) == 2


@case()
def bytes_that_cross_a_request_that_is_still_sent_are_not_its_answer(house):
    """The same, and the rest of the body meets the closed socket before the verdict."""
    with house.serve("iqc") as sluice:
        with sluice.client() as client:
            assert client.ask("POST", WRITE, BARE).status == 204
            link = sluice.i1.link_of(sluice.i1.seen[0])
            with sluice.stopped():
                client.send("POST", WRITE, BARE[:4], length=len(BARE))
                link.send(head_of(408, {"Connection": "close"}, 0))
                link.kill()
            send_pieces(client.socket, [BARE[at:at + 1] for at in range(4, len(BARE))], Diagnosis())
            reply = client.read()
            assert reply.status == 204, reply
        assert len(sluice.i1.seen) == 2


@case(("another answer", head_of(200, {}, 6) + b"poison"), ("a byte", b"x"))
def bytes_behind_an_answer_are_nobodys_answer(house, _, extra):
    with house.serve("iqc") as sluice:
        sluice.q1.script = Script(say(head_of(200, {}, 2) + b"ok" + extra))
        assert sluice.ask("GET", QUERY).body == b"ok"
        reply = sluice.ask("GET", QUERY)
        assert reply.status == 200 and reply.body == b'{"node": "q1"}', reply
        assert len(traffic_links(sluice.q1)) == 2


@case(("the node says close", answer(200, "x", connection="close")),
      ("the node speaks HTTP/1.0", say(b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx")))
def a_link_that_is_to_close_is_not_kept(house, _, verb):
    with house.serve("iqc") as sluice:
        sluice.q1.script = Script(verb)
        with sluice.client() as client:
            assert client.ask("GET", QUERY).body == b"x"
            assert client.ask("GET", QUERY).status == 200  # the client's connection lives on
        assert len(traffic_links(sluice.q1)) == 2


@case()
def an_idle_link_is_closed_when_its_time_is_over(house):
    with house.serve("iqc", {"timeouts": {"upstream_idle": house.short(300)}}) as sluice:
        assert sluice.ask("GET", QUERY).status == 200
        assert sluice.q1.link_of(sluice.q1.seen[0]).ended.wait(PATIENCE_SECONDS)
        assert sluice.ask("GET", QUERY).status == 200


@case()
def a_connect_that_hangs_ends_and_the_other_node_is_asked(house):
    with house.serve("iiqc", {"timeouts": {"connect": house.short(200), "queue": house.short(1000)}}) as sluice:
        sluice.i1.block()
        reply = sluice.ask("POST", WRITE, BARE)
        assert (reply.status, reply.node) == (204, "i2"), reply
        assert reply.seconds > 0.15, reply.seconds
        sluice.wait_line("event=attempt_failed .* node=i1 .* fault=connect_timeout")


@case()
def a_connect_that_hangs_everywhere_is_a_503(house):
    with house.serve("iqc", {"timeouts": {"connect": house.short(200), "queue": house.short(1000)}}) as sluice:
        sluice.i1.block()
        check_fault(sluice.ask("POST", "/write?db=d", LINES), 503, "connect_timeout", "/write")
        sluice.q1.block()
        check_fault(sluice.ask("GET", QUERY), 503, "connect_timeout")


@case()
def an_address_that_cannot_be_reached_is_a_node_that_is_down(house):
    def prepare(nodes):
        # Nobody can connect to the broadcast address: the kernel says so, and no packet leaves.
        nodes["i1"].configuration = lambda: {"node_id": "i1", "url": "http://255.255.255.255:8181", "mode": "ingest"}
    with house.serve("iiqc", prepare=prepare) as sluice:
        assert {sluice.ask("POST", WRITE, BARE).node for _ in range(4)} == {"i2"}
        status = sluice.node_status("i1")
        assert (status["health"], status["last_probe"]) == ("down", "connect"), status


@case()
def who_was_suspended_takes_the_answer_that_came_meanwhile(house):
    """When Sluice runs again, the deadline has passed and the answer is there: the answer counts."""
    release, sent = threading.Event(), threading.Event()

    def late(link, request):
        hold(release)(link, request)
        sent.set()
        return True
    with house.serve("iqc", {"timeouts": {"response": house.short(300)}}) as sluice:
        sluice.q1.script = Script(late)
        with sluice.client() as client:
            client.send("GET", QUERY)
            sluice.q1.wait_seen(1)
            with sluice.stopped():
                release.set()
                assert sent.wait(PATIENCE_SECONDS)
                house.pause(0.4)
            reply = client.read()
            assert (reply.status, reply.body) == (200, b"late"), reply
