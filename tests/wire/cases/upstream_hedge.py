"""queries.hedge: a query that its node keeps waiting goes to a second node, and the first good answer is the client's."""
import itertools
import threading

from harness.waiting import PATIENCE_SECONDS, eventually
from wire.lib import http2_peer as h2
from wire.lib.house import case
from wire.lib.http1_node import answer
from wire.lib.http1_verbs import close, hold, silence
from wire.lib.requests import LINES, QUERY, WRITE

HEDGED = {"queries": {"hedge": "50ms"}}


def in_turn(sluice, *verbs):
    """The query node that is asked first does the first of them, the other one the second."""
    turns = itertools.count()

    def verb(link, request):
        return verbs[next(turns)](link, request)

    for node in (sluice.q1, sluice.q2):
        node.script.put(verb)


@case((0,), (1,))
def whoever_answers_first_wins(house, winner):
    events = [threading.Event(), threading.Event()]
    with house.serve("iqqc", HEDGED) as sluice, sluice.client() as client:
        in_turn(sluice, hold(events[0], answer(200, "first")), hold(events[1], answer(200, "second")))
        client.send("GET", QUERY)
        for node in (sluice.q1, sluice.q2):
            node.wait_seen(1)
        events[winner].set()
        reply = client.read()
        assert reply.status == 200 and reply.body == (b"first", b"second")[winner], reply
        events[1 - winner].set()
        assert sluice.metric("sluice_hedges_total") == 1
        assert sluice.metric("sluice_hedges_won_total") == winner
        assert sluice.metric("sluice_retries_total") == 1


@case()
def the_loser_is_told_to_stop(house):
    """Its connection closes: that ends the query there, and is no failure of the node."""
    stopped = threading.Event()

    def wait_for_the_end(link, _):
        try:
            link.wait_end()
        finally:
            stopped.set()
        return False

    with house.serve("iqqc", HEDGED) as sluice:
        in_turn(sluice, wait_for_the_end, answer(200, "second"))
        reply = sluice.ask("GET", QUERY)
        assert reply.status == 200 and reply.body == b"second", reply
        assert stopped.wait(PATIENCE_SECONDS)
        assert sluice.ask("GET", QUERY).status == 200


@case((silence,), (close,), (answer(503, "no"),), (answer(404, "no"),))
def whatever_the_second_one_says_the_first_one_is_waited_for(house, verb):
    release = threading.Event()
    with house.serve("iqqc", HEDGED) as sluice, sluice.client() as client:
        in_turn(sluice, hold(release, answer(200, "first")), verb)
        client.send("GET", QUERY)
        for node in (sluice.q1, sluice.q2):
            node.wait_seen(1)
        release.set()
        reply = client.read()
        assert reply.status == 200 and reply.body == b"first", reply


@case((close,), (answer(503, "no"),))
def when_the_first_one_fails_the_second_one_goes_on(house, verb):
    events = [threading.Event(), threading.Event()]
    with house.serve("iqqc", HEDGED) as sluice, sluice.client() as client:
        in_turn(sluice, hold(events[0], verb), hold(events[1], answer(200, "second")))
        client.send("GET", QUERY)
        for node in (sluice.q1, sluice.q2):
            node.wait_seen(1)
        events[0].set()
        sluice.wait_line("event=attempt_failed .*class=query")
        events[1].set()
        reply = client.read()
        assert reply.status == 200 and reply.body == b"second", reply
        assert [len(node.seen) for node in (sluice.q1, sluice.q2)] == [1, 1]


@case()
def a_client_of_http2_hears_one_answer(house):
    event = threading.Event()
    with house.serve("iqqc", HEDGED) as sluice, h2.Client(sluice.port) as client:
        in_turn(sluice, hold(event, answer(200, "rows")), hold(event, answer(200, "rows")))
        stream = client.begin("GET", QUERY)
        for node in (sluice.q1, sluice.q2):
            node.wait_seen(1)
        event.set()
        stream.wait_over()
        assert stream.status == 200 and bytes(stream.body) == b"rows", stream
        second = client.begin("POST", WRITE, LINES)
        assert second.wait_over().status == 204


@case()
def a_write_is_never_hedged(house):
    """A query that came later is hedged, so the write's time has passed, too."""
    release = threading.Event()
    with house.serve("iiqqc", HEDGED) as sluice, sluice.client() as client:
        for node in (sluice.i1, sluice.i2):
            node.script.put(hold(release, answer(204)))
        client.send("POST", WRITE, LINES)
        eventually(lambda: sluice.i1.seen or sluice.i2.seen, "the write at a node")
        in_turn(sluice, hold(release, answer(200, "first")), answer(200, "second"))
        assert sluice.ask("GET", QUERY).body == b"second"
        release.set()
        assert client.read().status == 204
        assert len(sluice.i1.seen) + len(sluice.i2.seen) == 1
        assert sluice.metric("sluice_hedges_total") == 1
