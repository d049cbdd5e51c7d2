"""limits.connections: at the limit the connections that have been idle for longest make room for who waits."""
import contextlib
import threading

from harness.waiting import PATIENCE_SECONDS
from wire.lib import http2_peer as h2
from wire.lib.house import case
from wire.lib.http1_node import answer
from wire.lib.requests import LINES, QUERY, WRITE

FOUR = {"limits": {"connections": 4}}


def begin(sluice, version, opened):
    """A connection of this version that has had one answer."""
    client = opened.enter_context(h2.Client(sluice.port) if version == 2 else sluice.client())
    assert client.ask("POST", WRITE, LINES).status == 204
    return client


@case((1,), (2,))
def the_one_that_was_idle_for_longest_goes(house, version):
    with house.serve("iqc", FOUR) as sluice, contextlib.ExitStack() as opened:
        clients = [begin(sluice, version, opened) for _ in range(3)]
        assert clients[0].ask("POST", WRITE, LINES).status == 204
        # The fourth reaches the limit, and the fifth waits: so the second goes, and nobody else.
        begin(sluice, version, opened)
        begin(sluice, version, opened)
        if version == 2:
            clients[1].wait_goaway()
            clients[1].wait_closed()
        else:
            assert clients[1].is_closed()
        assert [clients[number].ask("POST", WRITE, LINES).status for number in (0, 2)] == [204, 204]
        assert sluice.metric("sluice_sessions_shed_total") == 1


@case()
def while_nobody_waits_all_stay(house):
    with house.serve("iqc", FOUR) as sluice, contextlib.ExitStack() as opened:
        clients = [begin(sluice, 1, opened) for _ in range(4)]
        sluice.wait_line("event=connection_limit ")
        sluice.i1.wait_seen(4)
        assert [client.ask("POST", WRITE, LINES).status for client in clients] == [204] * 4
        assert sluice.metric("sluice_sessions_shed_total") == 0


@case()
def a_worker_gives_places_to_who_waits_at_another(house):
    """The kernel spreads connections over the workers' queues by their addresses."""
    with house.serve("iqc", {"workers": 2, "limits": {"connections": 4}}) as sluice, contextlib.ExitStack() as opened:
        for _ in range(12):
            begin(sluice, 1, opened)
        assert sluice.metric("sluice_sessions_shed_total") >= 8


@case()
def who_waits_for_an_answer_stays(house):
    go_on = threading.Event()

    def answer_late(link, request):
        assert go_on.wait(PATIENCE_SECONDS)
        return answer(204)(link, request)

    with house.serve("iqc", FOUR) as sluice, contextlib.ExitStack() as opened:
        busy = [begin(sluice, 1, opened) for _ in range(2)]
        idle = begin(sluice, 1, opened)
        sluice.i1.script.put(answer_late, answer_late)
        for client in busy:
            client.send("POST", WRITE, LINES)
        sluice.i1.wait_seen(5)
        # Though these were idle before it was.
        begin(sluice, 1, opened)
        begin(sluice, 1, opened)
        assert idle.is_closed()
        go_on.set()
        assert [client.read().status for client in busy] == [204, 204]


# ---- descriptors ----

def with_descriptors(sluice, count):
    sluice.launcher = ("sh", "-c", f'ulimit -n {count} && exec "$@"', "sh")
    return sluice


@case()
def a_request_waits_for_a_descriptor_as_for_a_busy_connection(house):
    go_on = threading.Event()

    def answer_late(link, request):
        assert go_on.wait(PATIENCE_SECONDS)
        return answer(204)(link, request)

    # 76 are the reserve for three nodes; of the rest each side has the half.
    with with_descriptors(house.serve("iqc", {"limits": {"streams": 100}}), 76 + 2 * 20) as sluice, h2.Client(sluice.port) as client:
        sluice.i1.script.put(*[answer_late] * 50)
        streams = [client.begin("POST", WRITE, LINES) for _ in range(50)]
        # The last quarter is for nodes that have none.
        sluice.i1.wait(lambda: len(sluice.i1.seen) == 15)
        assert [sluice.metric(f"sluice_upstream_links_{name}") for name in ("open", "maximum")] == [15, 20]
        assert sluice.metric("sluice_sessions_opened_total") == 1  # the admin page is there
        assert sluice.ask("GET", QUERY).status == 200
        assert len(sluice.i1.seen) == 15
        go_on.set()
        assert [stream.wait_over().status for stream in streams] == [204] * 50
        assert len([link for link in sluice.i1.links]) <= 21  # and one for the probe
        for event in ("accept_rests", "probe_skipped"):
            assert sluice.count_lines(f"event={event} ") == 0


@case()
def with_too_few_descriptors_it_does_not_start(house):
    sluice = with_descriptors(house.serve("iqc"), 100)
    try:
        with sluice:
            raise RuntimeError("it has started")
    except AssertionError:
        words = [line for line in sluice.lines if "event=start_failed" in line]
    assert len(words) == 1 and "100 descriptors" in words[0] and "ulimit -n" in words[0], words
