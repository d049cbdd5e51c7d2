"""Nodes that are known by a name: all its addresses are tried, and the node is where its name says."""
import threading

from harness.waiting import PATIENCE_SECONDS
from wire.lib.house import case, make_nodes
from wire.lib.http1_node import Node, answer
from wire.lib.requests import LINES, WRITE

# Probes go on, as in life: the probe is who finds another address of a name.
LIVELY = {"health": {"interval": "200ms", "timeout": "60s", "fall": 1, "rise": 1}}


def named(letters):
    """The nodes of these letters, of which i1 has a name for its url."""
    nodes = make_nodes(letters)
    nodes[0].keys["url"] = f"http://i1.test:{nodes[0].port}"
    return nodes


@case(("nobody listens at the first", "127.0.0.2"), ("the first is of the other family", "::1"))
def all_addresses_of_a_name_are_tried(house, _, first):
    with house.serve(named("iqc"), LIVELY).show_hosts(f"{first} i1.test", "127.0.0.1 i1.test") as sluice:
        sluice.wait_line("event=node_address node=i1 address=127.0.0.1:")
        reply = sluice.ask("POST", WRITE, LINES)
        assert (reply.status, reply.node) == (204, "i1"), reply


@case()
def data_follows_a_name_to_another_address(house):
    nodes = named("iqc")
    elsewhere = Node("i1", "ingest", "127.0.0.2", nodes[0].port)
    is_moved = threading.Event()

    def answer_late(link, request):
        assert is_moved.wait(PATIENCE_SECONDS)
        return answer(204)(link, request)

    with house.serve(nodes, LIVELY).show_hosts("127.0.0.1 i1.test") as sluice:
        # Links that are idle, and an exchange that goes on while the name moves.
        assert sluice.ask("POST", WRITE, LINES).status == 204
        sluice.i1.script.put(answer_late)
        with sluice.client() as late:
            late.send("POST", WRITE, LINES)
            sluice.i1.wait_seen(2)
            sluice.show_hosts("127.0.0.2 i1.test")
            sluice.wait_line("event=node_address node=i1 address=127.0.0.2:")
            assert [sluice.ask("POST", WRITE, LINES).status for _ in range(4)] == [204] * 4
            assert (len(sluice.i1.seen), len(elsewhere.seen)) == (2, 4)
            is_moved.set()
            assert late.read().status == 204
        for link in sluice.i1.links:
            assert link.ended.wait(PATIENCE_SECONDS), "a link to the old address was kept"
        elsewhere.check()
        elsewhere.close()


@case()
def a_name_that_appears_late_is_found(house):
    with house.serve(named("iqc"), LIVELY).show_hosts() as sluice:
        sluice.wait_line("event=resolve_failed node=i1 ")
        assert sluice.ask("POST", WRITE, LINES).status == 503
        sluice.show_hosts("127.0.0.1 i1.test")
        sluice.wait_line("event=node_address node=i1 address=127.0.0.1:")
        sluice.wait_line("event=node_health node=i1 state=up")
        assert sluice.ask("POST", WRITE, LINES).status == 204
