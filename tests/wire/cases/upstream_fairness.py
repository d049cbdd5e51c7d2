"""Clients take turns at a node, and nobody takes all of it: limits.client_share."""
import contextlib
import threading

from harness.waiting import eventually
from wire.lib.house import case
from wire.lib.http1_client import check_fault
from wire.lib.http1_node import answer
from wire.lib.http1_verbs import hold
from wire.lib.requests import LINES, QUERY, WRITE

HOG = "127.0.0.1"
# One of them may share the hog's place in the queue by chance, once in 64; all of them do not.
OTHERS = ["127.0.0.2", "127.0.0.3", "127.0.0.4"]


def limits(**keys):
    return {"workers": 1, "limits": keys}


def hold_first(node, count, release):
    node.script.put(*[hold(release, answer(200, "held"))] * count)


def begin(sluice, opened, host, method=QUERY):
    client = opened.enter_context(sluice.client(host=host))
    client.send("GET", method)
    return client


def senders(sluice):
    return [request.headers["x-forwarded-for"] for request in sluice.q1.seen]


@case()
def who_asks_for_much_leaves_a_part_of_the_node_to_others(house):
    release = threading.Event()
    with house.serve("iqc", limits(upstream_links=4, client_share=0.25)) as sluice, contextlib.ExitStack() as opened:
        hold_first(sluice.q1, 3, release)
        hogs = [begin(sluice, opened, HOG) for _ in range(8)]
        sluice.q1.wait_seen(3)
        others = [begin(sluice, opened, host) for host in OTHERS]
        sluice.q1.wait_seen(5)
        assert senders(sluice).count(HOG) == 3, "the fourth connection is for the others"
        release.set()
        assert [client.read().status for client in hogs + others] == [200] * 11


@case()
def clients_take_turns_where_all_wait(house):
    first = threading.Event()
    with house.serve("iqc", limits(upstream_links=1)) as sluice, contextlib.ExitStack() as opened:
        hold_first(sluice.q1, 1, first)
        hogs = [begin(sluice, opened, HOG)]
        sluice.q1.wait_seen(1)
        hogs += [begin(sluice, opened, HOG) for _ in range(6)]
        eventually(lambda: waiting(sluice) == 6, "the hog's requests wait")
        others = [begin(sluice, opened, host) for host in OTHERS]
        eventually(lambda: waiting(sluice) == 9, "the others wait, too")
        first.set()
        assert [client.read().status for client in hogs + others] == [200] * 10
        order = senders(sluice)
        assert min(order.index(host) for host in OTHERS) <= 2, order


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
        others = [begin(sluice, opened, host) for host in OTHERS]
        sluice.wait_line("fault=queue_full")
        release.set()
        replies = [hog.read() for hog in hogs]
        refused = [reply for reply in replies if reply.status != 200]
        assert refused, "a request of the hog was dropped"
        check_fault(refused[0], 503, "queue_full", QUERY)
        assert 200 in [other.read().status for other in others]
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
