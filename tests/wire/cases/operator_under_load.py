"""The cluster changes while clients send one request after another: nodes come and go, one is drained. Nobody notices."""
import threading

from harness.waiting import PATIENCE_SECONDS, eventually
from wire.lib import http2_peer as h2
from wire.lib.house import case
from wire.lib.http1_node import Node
from wire.lib.http2_house import make_nodes
from wire.lib.http2_node import H2Node
from wire.lib.requests import LINES, QUERY, WRITE

RELOADS = 30
REQUESTS = (("POST", WRITE, LINES, 204), ("GET", QUERY, b"", 200))


class Crowd:
    """Clients that ask again and again, each on one connection, until the block ends: three that write, three that query, and one of
    HTTP/2 that does both. At the end each answer must have been whole and good, and no request sent twice."""

    def __init__(self, sluice):
        self.sluice = sluice
        self.stopping = threading.Event()
        self.counts = {}    # thread -> answers
        self.wrong = []
        self.threads = [threading.Thread(target=self.run, args=(sluice.client, [request])) for request in REQUESTS * 3]
        self.threads.append(threading.Thread(target=self.run, args=(lambda: h2.Client(sluice.port), REQUESTS)))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        self.wait_more(5)
        return self

    def __exit__(self, kind, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join(PATIENCE_SECONDS)
        if kind is None:
            assert not self.wrong, self.wrong[:3]
            assert self.sluice.metric("sluice_retries_total") == 0, self.sluice.log_tail()

    def run(self, connect, requests):
        try:
            with connect() as client:
                while not self.stopping.is_set():
                    for method, target, body, status in requests:
                        reply = client.ask(method, target, body)
                        assert reply.status == status and reply.is_whole, reply
                    self.counts[threading.get_ident()] = self.counts.get(threading.get_ident(), 0) + 1
        except Exception as error:  # whatever it is, a client has seen it
            self.wrong.append(error)

    def wait_more(self, count):
        """Until each client has had so many more answers."""
        begun = dict(self.counts)

        def all_have():
            assert not self.wrong, self.wrong[:3]
            counts = dict(self.counts)
            return len(counts) == len(self.threads) and all(counts[key] >= begun.get(key, 0) + count for key in counts)
        eventually(all_have, f"{count} more answers for each client")


def is_asked(node):
    return len(node.seen) > 0


@case()
def nodes_come_and_go_and_no_exchange_fails(house):
    """Every other reload brings a node that never was, the next one takes it away when it has got a request."""
    with house.serve(make_nodes("iIqQc")) as sluice:
        stay = list(sluice.nodes)
        with Crowd(sluice) as crowd:
            for number in range(RELOADS // 2):
                node = (Node if number % 2 == 0 else H2Node)(f"q{number + 10}", "query")
                sluice.adopt(node)
                sluice.reload(sluice.configured([*stay, node]))
                eventually(lambda: is_asked(node), f"a request to {node.name}")
                sluice.reload(sluice.configured(stay))
            crowd.wait_more(5)
        assert sluice.status()["epoch"] == RELOADS + 1


@case()
def a_node_that_is_added_under_load_gets_its_share(house):
    with house.serve("iqqc") as sluice, Crowd(sluice):
        new = Node("q3", "query")
        sluice.reload(sluice.configured(sluice.adopt(new)))
        eventually(lambda: is_asked(new), "a request to q3")
        before = [len(node.seen) for node in (sluice.q1, sluice.q2, new)]

        def since():
            return [len(node.seen) - count for node, count in zip((sluice.q1, sluice.q2, new), before)]
        eventually(lambda: sum(since()) >= 300, "300 queries")
        counts = since()
        assert counts[2] / sum(counts) > 0.5 / 3, counts


@case()
def a_node_is_drained_under_load_and_no_client_sees_it(house):
    with house.serve(make_nodes("iqqQc")) as sluice, Crowd(sluice) as crowd:
        for node in (sluice.q1, sluice.q3):
            node.wait(lambda: node.seen)
            status, result = sluice.order(f"/nodes/{node.name}/drain?wait=10m")
            assert status == 200 and result["done"] is True and result["outstanding"] == 0, result
            count = len(node.seen)
            crowd.wait_more(20)
            assert len(node.seen) == count and sluice.node_status(node.name)["outstanding"] == 0, (count, len(node.seen))
