"""Health: what probes and live failures do to a node's traffic, and what the cluster's own health says."""
import json
import os
import tempfile

from harness.waiting import eventually
from wire.lib.house import case
from wire.lib.http1_client import check_fault
from wire.lib.http1_node import answer
from wire.lib.http1_verbs import silence
from wire.lib.requests import BARE, DATABASES, HOOK, LINES, QUERY, WRITE

# Probes so frequent that a case need not wait long for a few of them.
LIVELY = {"health": {"interval": "100ms", "timeout": "60s", "rise": 2, "fall": 3}}
# One probe of each node, and what it says of all of them is believed.
STRICT = {"health": {"all_down": "refuse"}}


def no(link, request):
    return answer(503, "no")(link, request)


def health_of(sluice, target="/health"):
    reply = sluice.ask("GET", target)
    return reply, json.loads(reply.body)


def usable(sluice):
    return {node["node_id"]: node["usable"] for node in health_of(sluice)[1]["nodes"]}


def hang_up(link, _):
    link.close()


def babble(link, _):
    link.send(b"hello\r\n\r\n")


def wait_down(sluice, name):
    sluice.wait_line(f"event=node_health node={name} state=down")


@case(("503", no), ("500", answer(500, "no")), ("silence", silence), ("closes", hang_up), ("no HTTP", babble))
def a_node_that_fails_its_probes_gets_no_traffic_until_it_is_well(house, _, failure):
    settings = {"health": {**LIVELY["health"], "timeout": house.short(250)}} if failure is silence else LIVELY
    with house.serve("iiqc", settings) as sluice:
        good = sluice.i1.on_probe
        sluice.i1.on_probe = failure
        wait_down(sluice, "i1")
        assert {sluice.ask("POST", WRITE, LINES).node for _ in range(6)} == {"i2"}
        assert not sluice.i1.seen and usable(sluice)["i1"] is False
        sluice.i1.on_probe = good
        sluice.wait_line("event=node_health node=i1 state=up", 2)
        assert {sluice.ask("POST", WRITE, LINES).node for _ in range(6)} == {"i1", "i2"}


@case()
def it_takes_fall_bad_probes_to_be_down_and_rise_good_ones_to_be_up(house):
    with house.serve("iiqc", LIVELY) as sluice:
        good = sluice.i1.on_probe
        sluice.i1.on_probe = no
        before = len(sluice.i1.probes)
        wait_down(sluice, "i1")
        bad = len(sluice.i1.probes) - before
        assert bad in (3, 4), f"{bad} bad probes, and it should fall after 3"  # one may have been under way
        sluice.i1.on_probe = good
        before = len(sluice.i1.probes)
        sluice.wait_line("event=node_health node=i1 state=up", 2)
        risen = len(sluice.i1.probes) - before
        assert risen in (2, 3), f"{risen} good probes, and it should rise after 2"


@case()
def two_bad_probes_in_a_row_change_nothing(house):
    with house.serve("iiqc", LIVELY) as sluice:
        count = [0]

        def mostly(link, request):
            count[0] += 1
            return (no if count[0] % 3 else answer(200, "OK"))(link, request)
        sluice.i1.on_probe = mostly
        sluice.i1.wait_probes(len(sluice.i1.probes) + 8)
        assert sluice.count_lines("event=node_health node=i1 state=down") == 0


@case()
def a_node_that_was_never_up_gets_nothing_while_another_one_is(house):
    def prepare(nodes):
        nodes["i1"].on_probe = no
    with house.serve("iiqc", LIVELY, prepare) as sluice:
        assert {sluice.ask("POST", WRITE, LINES).node for _ in range(4)} == {"i2"}
        assert len(sluice.i1.probes) >= 3, "its first bad probes are counted, too"


@case()
def nodes_that_only_probes_call_down_serve_when_there_are_no_others(house):
    def prepare(nodes):
        for node in nodes.values():
            node.on_probe = no
    with house.serve("iiqc", prepare=prepare) as sluice:
        for name in ("write", "query", "compaction"):
            sluice.wait_line(f"event=all_down class={name} state=served_all_the_same")
        assert {sluice.ask("POST", WRITE, LINES).status for _ in range(6)} == {204}
        assert sluice.ask("GET", QUERY).status == 200
        # Who refuses the connection is passed over, by the rules for repeats.
        sluice.i1.take_away()
        assert [sluice.ask("POST", WRITE, LINES).node for _ in range(12)] == ["i2"] * 12
        # Nobody overrides the operator.
        sluice.order("/nodes/q1/maint")
        check_fault(sluice.ask("GET", QUERY), 503, "no_node")
        status = sluice.status()
        assert status["all_down"] == ["write", "compaction"], status
        assert {node["node_id"]: (node["health"], node["usable"]) for node in status["nodes"]} == {
            "i1": ("down", False), "i2": ("down", True), "q1": ("down", False), "c1": ("down", True)}, status
        assert [sluice.metric(f'sluice_all_down{{class="{name}"}}') for name in ("write", "query")] == [1, 0]


@case()
def those_that_probes_call_down_stay_out_when_another_one_is_well(house):
    with house.serve("iiqc", LIVELY) as sluice:
        sluice.i1.on_probe = no
        wait_down(sluice, "i1")
        sluice.i2.refuse()
        check_fault(sluice.ask("POST", WRITE, BARE), 503, "connect_refused")
        assert not sluice.i1.seen and sluice.count_lines("event=all_down") == 0


@case()
def a_node_whose_port_was_closed_comes_back_without_a_restart(house):
    with house.serve("iqc", {"health": {**LIVELY["health"], "all_down": "refuse"}}) as sluice:
        sluice.i1.take_away()
        wait_down(sluice, "i1")
        check_fault(sluice.ask("POST", WRITE, LINES), 503, "no_node")
        sluice.i1.accept()
        sluice.wait_line("event=node_health node=i1 state=up", 2)
        assert sluice.ask("POST", WRITE, LINES).status == 204


@case()
def where_ready_is_unknown_health_is_asked(house):
    def old_node(link, request):
        return answer(404 if request.path == "/ready" else 200, "x")(link, request)

    def prepare(nodes):
        nodes["i1"].on_probe = old_node
    with house.serve("iqc", LIVELY, prepare) as sluice:
        sluice.i1.wait_probes(4)
        assert [request.path for request in sluice.i1.probes[:2]] == ["/ready", "/health"]
        assert sluice.ask("POST", WRITE, LINES).status == 204
        assert usable(sluice)["i1"] is True


@case()
def where_health_is_unknown_too_ping_is_asked(house):
    def stranger(link, request):
        return answer(200 if request.path == "/ping" else 404, "x")(link, request)

    def prepare(nodes):
        nodes["i1"].on_probe = stranger
    with house.serve("iqc", LIVELY, prepare) as sluice:
        sluice.i1.wait_probes(5)
        # What it knows is remembered.
        assert [request.path for request in sluice.i1.probes[:5]] == ["/ready", "/health", "/ping", "/ping", "/ping"]
        assert usable(sluice)["i1"] is True


@case()
def another_path_can_be_probed(house):
    with house.serve("iqc", {"health": {"path": "/api/v1/health"}}) as sluice:
        assert {request.path for node in sluice.nodes for request in node.probes} == {"/api/v1/health"}


@case((401,), (403,))
def a_node_that_wants_a_token_is_alive(house, status):
    def prepare(nodes):
        nodes["i1"].on_probe = answer(status, "")
    with house.serve("iqc", LIVELY, prepare) as sluice:
        sluice.i1.wait_probes(5)
        assert sluice.ask("POST", WRITE, LINES).status == 204
        assert sluice.node_status("i1")["last_probe"] == "unauthorized"


def write_token(path, content):
    with open(path, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(content)


@case(("plain", "apiv3_secret", "Bearer apiv3_secret"),
      ("with a line end", "apiv3_secret\r\nmore\n", "Bearer apiv3_secret"))
def the_token_file_is_sent_with_each_probe(house, _, content, expected):
    def tokens(node):
        return [request.headers.get("authorization") for request in node.probes]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "token")
        write_token(path, content)
        with house.serve("iqc", {"health": {"token_file": path, "interval": "100ms", "timeout": "60s"}}) as sluice:
            sluice.i1.wait_probes(2)
            assert set(tokens(sluice.i1)) == {expected}
            write_token(path, "apiv3_other")
            sluice.i1.wait(lambda: tokens(sluice.i1)[-1] == "Bearer apiv3_other")
            os.unlink(path)
            sluice.i1.wait(lambda: tokens(sluice.i1)[-1] is None)
            # The probes' token is nobody else's.
            sluice.ask("POST", WRITE, LINES)
            assert "authorization" not in sluice.i1.seen[0].headers


@case()
def three_live_connect_failures_set_a_node_aside(house):
    with house.serve("iiqc") as sluice:  # the next probe comes in an hour
        sluice.i1.refuse()
        replies = [sluice.ask("POST", WRITE, BARE).node for _ in range(12)]
        assert replies == ["i2"] * 12, replies
        sluice.wait_line("event=attempt_failed .*node=i1", 3)
        assert sluice.count_lines("event=attempt_failed") == 3
        assert usable(sluice)["i1"] is False
        sluice.i1.accept()
        assert {sluice.ask("POST", WRITE, BARE).node for _ in range(4)} == {"i2"}


@case()
def a_good_probe_brings_a_node_back_that_live_traffic_set_aside(house):
    settings = {"health": {"interval": "1s", "timeout": "60s", "fall": 100}}
    with house.serve("iiqc", settings) as sluice:
        sluice.i1.refuse()
        for _ in range(8):
            sluice.ask("POST", WRITE, BARE)
        eventually(lambda: not usable(sluice)["i1"])
        sluice.i1.accept()
        eventually(lambda: usable(sluice)["i1"])
        assert {sluice.ask("POST", WRITE, LINES).node for _ in range(4)} == {"i1", "i2"}


@case(("a write", "POST", WRITE), ("a v1 write", "POST", "/write?db=d"), ("a query", "GET", QUERY),
      ("the catalog", "GET", DATABASES), ("the engine", "POST", HOOK), ("a backup", "GET", "/api/v3/enterprise/backup"),
      ("ping", "GET", "/ping"))
def with_no_usable_node_the_answer_comes_at_once(house, _, method, target):
    def prepare(nodes):
        for node in nodes.values():
            node.on_probe = no
    with house.serve("iqcp", STRICT, prepare) as sluice:
        replies = [sluice.ask(method, target, LINES if method == "POST" else b"") for _ in range(5)]
        for reply in replies:
            check_fault(reply, 503, "no_node", target)
        assert not [node.name for node in sluice.nodes if node.seen]


# ---- the cluster's health ----

@case(("all", "iqc", "", True, True, True), ("no ingest node", "iqc", "i", False, True, True),
      ("no query node", "iqc", "q", True, False, True), ("no compactor", "iqc", "c", True, True, False),
      ("compactor alone", "iqc", "iq", False, False, True), ("nobody", "iqc", "iqc", False, False, False),
      ("one of two", "iiqqc", "1", True, True, False))
def health_and_ready_tell_the_clusters_state(house, _, letters, bad, write, query, compaction):
    """Any class that can be served is enough, and one alone is asked for by its name; by HEAD as by GET."""
    def is_bad(node):
        return any(letter in node.name for letter in bad)

    def prepare(nodes):
        for node in nodes.values():
            if is_bad(node):
                node.on_probe = no
    can = {"write": write, "query": query, "compaction": compaction, "engine": False}
    with house.serve(letters, STRICT, prepare) as sluice:
        for target in ("/health", "/ready", "/api/v1/health"):
            for asked, expected in [("", any(can.values())), *((f"?class={name}", is_served) for name, is_served in can.items())]:
                status = 200 if expected else 503
                reply, body = health_of(sluice, target + asked)
                assert reply.status == status and reply.field("content-type") == "application/json", reply
                assert body["status"] == ("pass" if expected else "fail") and body["cluster_id"] == "wire", body
                assert {name: body[name] for name in can} == can and body["draining"] is False, body
                usable_nodes = {node.name: not is_bad(node) for node in sluice.nodes}
                assert {node["node_id"]: node["usable"] for node in body["nodes"]} == usable_nodes, body
                head = sluice.ask("HEAD", target + asked)
                assert head.status == status and not head.body, head
                assert head.field("content-length") == reply.field("content-length"), (head, reply)
        assert not [node.name for node in sluice.nodes if node.seen]


@case()
def an_unknown_class_is_told_apart_from_an_outage(house):
    with house.serve("iqc") as sluice:
        reply, body = health_of(sluice, "/ready?class=writes")
        assert reply.status == 400 and "class" in body["error"], reply
        assert health_of(sluice, "/ready?x=1&class=write")[0].status == 200


@case()
def live_failures_show_in_the_clusters_health(house):
    with house.serve("iqc") as sluice:
        assert health_of(sluice, "/ready?class=write")[0].status == 200
        sluice.i1.refuse()
        for _ in range(3):
            assert sluice.ask("POST", WRITE, LINES).status == 503
        assert health_of(sluice, "/health?class=write")[0].status == 503
        assert health_of(sluice, "/ready?class=write")[0].status == 503
        assert health_of(sluice, "/ready")[0].status == 200, "queries are served"
        check_fault(sluice.ask("POST", WRITE, LINES), 503, "no_node")


@case()
def a_probe_leaves_no_link_behind(house):
    with house.serve("iqc", LIVELY) as sluice:
        sluice.i1.wait_probes(6)
        eventually(lambda: all(link.ended.is_set() for link in sluice.i1.links[:5]))
        assert sluice.i1.probes[0].method == "GET" and not sluice.i1.seen
