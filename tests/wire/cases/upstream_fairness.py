"""Clients take turns at a node, and nobody takes all of it: limits.client_share."""
import contextlib
import threading

from harness.waiting import eventually
from wire.lib.house import case
from wire.lib.http1_client import check_fault
from wire.lib.http1_node import answer
from wire.lib.http1_verbs import hold
from wire.lib.requests import LINES, QUERY, WRITE

HOG, OTHER = "127.0.0.1", "127.0.0.2"


def limits(**keys):
    return {"workers": 1, "limits": keys}


def hold_first(node, count, release):
    node.script.put(*[hold(release, answer(200, "held"))] * count)


def begin(sluice, opened, host, method=QUERY):
    client = opened.enter_context(sluice.client(host=host))
    client.send("GET", method)
    return client


@case()
def who_asks_for_much_leaves_a_part_of_the_node_to_others(house):
    release = threading.Event()
    with house.serve("iqc", limits(upstream_links=4, client_share=0.25)) as sluice, contextlib.ExitStack() as opened:
        hold_first(sluice.q1, 3, release)
        hogs = [begin(sluice, opened, HOG) for _ in range(8)]
        sluice.q1.wait_seen(3)
        reply = opened.enter_context(sluice.client(host=OTHER)).ask("GET", QUERY)
        assert reply.status == 200 and reply.body != b"held", reply
        order = [request.headers["x-forwarded-for"] for request in sluice.q1.seen]
        assert order == [HOG] * 3 + [OTHER], order
        release.set()
        assert [hog.read().status for hog in hogs] == [200] * 8


@case()
def clients_take_turns_where_all_wait(house):
    first = threading.Event()
    with house.serve("iqc", limits(upstream_links=1)) as sluice, contextlib.ExitStack() as opened:
        hold_first(sluice.q1, 1, first)
        hogs = [begin(sluice, opened, HOG)]
        sluice.q1.wait_seen(1)
        hogs += [begin(sluice, opened, HOG) for _ in range(6)]
        eventually(lambda: waiting(sluice) == 6, "the hog's requests wait")
        other = begin(sluice, opened, OTHER)
        eventually(lambda: waiting(sluice) == 7, "the other one waits, too")
        first.set()
        assert other.read().status == 200
        assert [hog.read().status for hog in hogs] == [200] * 7
        order = [request.headers["x-forwarded-for"] for request in sluice.q1.seen]
        assert order.index(OTHER) <= 2, order


def waiting(sluice):
    return sluice.metric('sluice_node_waiting{node="q1"}')


@case()
def a_full_queue_drops_a_request_of_whose_are_most(house):
    release = threading.Event()
    with house.serve("iqc", limits(upstream_links=1, queue=3)) as sluice, contextlib.ExitStack() as opened:
        hold_first(sluice.q1, 1, release)
        hogs = [begin(sluice, opened, HOG)]
        sluice.q1.wait_seen(1)
        hogs += [begin(sluice, opened, HOG) for _ in range(3)]
        eventually(lambda: waiting(sluice) == 3, "the queue is full")
        other = begin(sluice, opened, OTHER)
        sluice.wait_line("fault=queue_full")
        release.set()
        assert other.read().status == 200
        replies = [hog.read() for hog in hogs]
        assert sorted(reply.status for reply in replies) == [200] * 3 + [503]
        check_fault(next(reply for reply in replies if reply.status == 503), 503, "queue_full", QUERY)
        assert sluice.ask("POST", WRITE, LINES).status == 204


@case((1,), (4,))
def the_limit_of_connections_to_a_node_is_that_of_the_process(house, workers):
    """Whichever workers the kernel gives the clients to."""
    release = threading.Event()
    with house.serve("iqc", {"workers": workers, "limits": {"upstream_links": 4, "client_share": 0}}) as sluice, contextlib.ExitStack() as opened:
        hold_first(sluice.q1, 40, release)
        clients = [begin(sluice, opened, HOG) for _ in range(40)]
        eventually(lambda: len(sluice.q1.seen) + waiting(sluice) == 40, "all are there")
        assert len(sluice.q1.seen) <= 4, len(sluice.q1.seen)
        release.set()
        assert [client.read().status for client in clients] == [200] * 40
