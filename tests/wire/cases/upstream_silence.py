"""A node that goes silent while work waits: it is probed at once, and what may be repeated goes elsewhere. No deadline and no routine probe helps:
the first are minutes here, the second come once an hour."""
import threading

from harness.waiting import eventually
from wire.lib.house import case
from wire.lib.http1_node import answer
from wire.lib.http1_verbs import hold, silence
from wire.lib.requests import BARE, LINES, QUERY, WRITE


@case(("a query", "iqqc", "q", "GET", QUERY, b""), ("a write with timestamps", "iiqc", "i", "POST", WRITE, LINES))
def the_work_of_a_node_that_is_silent_all_over_goes_elsewhere(house, _, letters, role, method, target, body):
    with house.serve(letters) as sluice:
        nodes = [node for node in sluice.nodes if node.name.startswith(role)]
        for node in nodes:
            node.on_probe = silence
        first_probes = [len(node.probes) for node in nodes]
        held = threading.Event()
        for node in nodes:
            node.script.put(hold(held))
        asked = []
        thread = threading.Thread(target=lambda: asked.append(sluice.ask(method, target, body)))
        thread.start()
        sick = wait_seen_by_one(nodes)
        well = next(node for node in nodes if node is not sick)
        well.script.take()
        well.on_probe = answer(200, "OK\n")
        sluice.wait_line(f"event=node_health node={sick.name} state=down result=timeout")
        thread.join()
        assert asked[0].status in (200, 204) and asked[0].node == well.name, asked
        assert len(sick.probes) == first_probes[nodes.index(sick)] + 1, "the first failure is enough"
        held.set()


def wait_seen_by_one(nodes):
    return eventually(lambda: next((node for node in nodes if node.seen), None), "a node that was asked")


@case()
def a_write_that_may_be_stored_stays_with_its_node(house):
    """Its lines have no time: should the node come back, its answer is the answer."""
    held = threading.Event()
    with house.serve("iiqc") as sluice:
        for node in (sluice.i1, sluice.i2):
            node.on_probe = silence
            node.script.put(hold(held, answer(204)))
        with sluice.client() as client:
            client.send("POST", WRITE, BARE)
            sick = wait_seen_by_one([sluice.i1, sluice.i2])
            (sluice.i2 if sick is sluice.i1 else sluice.i1).on_probe = answer(200, "OK\n")
            sluice.wait_line(f"event=node_health node={sick.name} state=down")
            held.set()
            reply = client.read()
        assert reply.status == 204 and reply.node == sick.name, reply
        assert sum(len(node.seen) for node in (sluice.i1, sluice.i2)) == 1


@case()
def a_node_that_takes_long_and_is_there_keeps_its_work(house):
    held = threading.Event()
    with house.serve("iqqc") as sluice:
        before = {node.name: len(node.probes) for node in sluice.nodes}
        for node in (sluice.q1, sluice.q2):
            node.script.put(hold(held))
        with sluice.client() as client:
            client.send("GET", QUERY)
            busy = wait_seen_by_one([sluice.q1, sluice.q2])
            busy.wait_probes(before[busy.name] + 2)
            held.set()
            reply = client.read()
        assert reply.body == b"late" and reply.node == busy.name, reply
        assert not sluice.count_lines("event=attempt_failed")
        assert not sluice.count_lines("state=down")


@case()
def the_only_node_of_its_kind_is_not_down_by_one_failure(house):
    held = threading.Event()
    with house.serve("iqc", settings={"health": {"fall": 3}}) as sluice:
        before = len(sluice.q1.probes)
        sluice.q1.on_probe = silence
        sluice.q1.script.put(hold(held))
        with sluice.client() as client:
            client.send("GET", QUERY)
            sluice.q1.wait_probes(before + 2)
            held.set()
            assert client.read().body == b"late"
        assert not sluice.count_lines("state=down")


@case(("with timestamps", LINES), ("without", BARE))
def a_write_that_one_node_keeps_for_long(house, _, body):
    """The node answers probes, and other writes are quick. Whether it stores this one late, nobody knows."""
    held = threading.Event()
    with house.serve("iiqc") as sluice:
        nodes = [sluice.i1, sluice.i2]
        for _ in range(8):
            assert sluice.ask("POST", WRITE, LINES).status == 204
        for node in nodes:
            node.seen.clear()
            node.script.put(hold(held, answer(204)))
        with sluice.client() as client:
            client.send("POST", WRITE, body)
            slow = wait_seen_by_one(nodes)
            quick = sluice.i2 if slow is sluice.i1 else sluice.i1
            quick.script.take()
            if body == LINES:
                reply = client.read()
                assert reply.status == 204 and reply.node == quick.name, reply
                sluice.wait_line(f"event=attempt_failed .*node={slow.name} .*fault=upstream_timeout")
            else:
                slow.wait_probes(len(slow.probes) + 1)  # it was suspected, and is there
                held.set()
                reply = client.read()
                assert reply.status == 204 and reply.node == slow.name, reply
                assert not quick.seen
        held.set()
