"""Everything but writes: which node each class of request reaches, and what happens when it is not there."""
import json
import threading

from harness.waiting import PATIENCE_SECONDS, eventually
from wire.lib.house import case
from wire.lib.http1_client import ask, check_fault
from wire.lib.http1_node import Script, answer
from wire.lib.http1_verbs import hold
from wire.lib.requests import DATABASES, HOOK, LINES, QUERY, REQUESTS, WRITE, capable, port_of

NOT_HERE = answer(404, '{error: "not found"}')
NO_ENGINE = answer(405, "Current node mode does not use the processing engine")


def seen_by(sluice):
    return [node.name for node in sluice.nodes if node.seen]


# ---- queries ----

@case()
def two_query_nodes_share_the_load(house):
    with house.serve("iqqc") as sluice:
        for _ in range(60):
            assert sluice.ask("GET", QUERY).status == 200
        counts = [len(sluice.q1.seen), len(sluice.q2.seen)]
        assert min(counts) >= 10 and sum(counts) == 60, counts  # two coins: fails less than once in ten million runs


@case()
def a_busy_query_node_gets_nothing_while_another_is_idle(house):
    release = threading.Event()
    with house.serve("iqqc") as sluice:
        for node in (sluice.q1, sluice.q2):
            node.script = Script(hold(release))
        sluice.q2.script = sluice.q1.script
        with sluice.client() as slow:
            slow.send("GET", QUERY)
            eventually(lambda: sluice.q1.seen or sluice.q2.seen)
            busy, idle = ("q1", "q2") if sluice.q1.seen else ("q2", "q1")
            others = {sluice.ask("GET", QUERY).node for _ in range(12)}
            assert others == {idle}, others
            release.set()
            assert slow.read().node == busy


@case((QUERY, "GET"), ("/api/v3/query_influxql", "POST"), ("/query?db=d&q=SHOW+TABLES", "GET"), ("/query", "POST"),
      ("/api/v3/export/window_data?x=1", "GET"))
def queries_reach_query_nodes_only(house, target, method):
    with house.serve("iqcp") as sluice:
        for _ in range(3):
            assert sluice.ask(method, target, b"q=1" if method == "POST" else b"").node == "q1"
        sluice.q1.take_away()
        check_fault(sluice.ask(method, target), 503, "connect_refused", target)
        assert seen_by(sluice) == ["q1"]


@case()
def a_refused_connection_sends_a_query_to_the_other_node(house):
    with house.serve("iqqc") as sluice:
        sluice.q1.refuse()
        for _ in range(20):
            assert sluice.ask("GET", QUERY).node == "q2"
        sluice.wait_line("event=attempt_failed .* node=q1 .* fault=connect_refused")


@case(*[(column,) for column in REQUESTS])
def a_refused_connection_is_tried_elsewhere_whatever_was_asked(house, column):
    method, target, body, fields, chunked = REQUESTS[column]
    with house.serve("iiiqqqcppp") as sluice:
        *others, last = capable(sluice, column)
        for node in others or [last]:
            node.refuse()
        if column == "writeback":
            sluice.i2.accept()  # it has one hop only
            last = sluice.i2
        reply = ask(port_of(sluice, column), method, target, body, fields, chunked)
        if not others:
            check_fault(reply, 503, "connect_refused")
            return
        assert reply.status in (200, 204) and reply.node == last.name, reply
        assert [request.body for request in last.seen] == [body]


@case(("before the answer", b""),
      ("in the answer", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"))
def a_client_that_leaves_cancels_its_query(house, _, first):
    def answer_some(link, _):
        link.send(first)
        link.wait_end()
    with house.serve("iqc") as sluice:
        sluice.q1.script.put(answer_some)
        client = sluice.client()
        client.send("GET", QUERY)
        sluice.q1.wait_seen(1)
        if first:
            client.receive(None)
        link = sluice.q1.link_of(sluice.q1.seen[0])
        assert not link.ended.is_set()
        client.close()
        assert link.ended.wait(1), "the node still runs a query that nobody waits for"
        assert sluice.ask("GET", QUERY).status == 200


@case()
def a_client_that_leaves_during_its_upload_ends_it_at_the_node(house):
    with house.serve("iqc") as sluice:
        client = sluice.client()
        client.send("POST", WRITE, length=100_000, only_head=True)
        client.send_raw(LINES)
        sluice.i1.wait(lambda: sluice.i1.seen)
        client.close()
        assert sluice.i1.link_of(sluice.i1.seen[0]).ended.wait(PATIENCE_SECONDS)
        assert not sluice.i1.seen[0].is_whole


# ---- engine ----

@case(("no engine", NO_ENGINE), ("no trigger", NOT_HERE))
def a_node_without_the_trigger_is_passed_over_and_remembered(house, _, refusal):
    with house.serve("iqcppp") as sluice:
        processors = [sluice.p1, sluice.p2, sluice.p3]
        owner = sluice.p2
        for node in processors:
            node.script = Script(*[refusal] * 9) if node is not owner else Script()
        for number in range(4):
            reply = sluice.ask("POST", HOOK, f"payload {number}", {"X-Own": "kept"})
            assert (reply.status, reply.node) == (200, "p2"), reply
        assert [request.body for request in owner.seen] == [b"payload %d" % number for number in range(4)]
        assert all(request.headers["x-own"] == "kept" for request in owner.seen)
        # Whoever was asked first was asked once; afterwards the one that knows it is asked straight away.
        assert all(len(node.seen) <= 1 for node in processors if node is not owner), "asked again"
        assert {request.body for node in processors if node is not owner for request in node.seen} <= {b"payload 0"}


@case()
def a_remembered_node_that_is_gone_is_forgotten(house):
    with house.serve("iqcpp") as sluice:
        first = sluice.ask("GET", HOOK).node
        getattr(sluice, first).take_away()
        reply = sluice.ask("GET", HOOK)
        assert reply.status == 200 and reply.node != first, reply
        assert sluice.ask("GET", HOOK).node == reply.node


@case(("json", '{"error": "not found"}'), ("exact json", '{"error":"not found"}'), ("more", '{error: "not found"} '),
      ("empty", ""), ("long", "x" * 5000))
def a_plugins_own_404_is_final(house, _, body):
    with house.serve("iqcpp") as sluice:
        sluice.p1.script = sluice.p2.script = Script(answer(404, body))
        reply = sluice.ask("POST", HOOK, "payload")
        assert (reply.status, reply.body.decode()) == (404, body), reply
        assert len(sluice.p1.seen) + len(sluice.p2.seen) == 1


@case((500,), (503,), (400,))
def a_plugins_other_statuses_are_final(house, status):
    with house.serve("iqcpp") as sluice:
        sluice.p1.script = sluice.p2.script = Script(answer(status, "own"))
        reply = sluice.ask("POST", HOOK, "payload")
        assert (reply.status, reply.body) == (status, b"own"), reply
        assert len(sluice.p1.seen) + len(sluice.p2.seen) == 1


@case(("no engine", NO_ENGINE, 405), ("no trigger", NOT_HERE, 404))
def a_trigger_that_no_node_has_is_the_nodes_own_answer(house, _, refusal, status):
    with house.serve("iqcpp") as sluice:
        for node in (sluice.p1, sluice.p2):
            node.script.put(refusal)
        reply = sluice.ask("POST", HOOK, "payload")
        assert reply.status == status and reply.node in ("p1", "p2"), reply
        assert status != 404 or reply.body == b'{error: "not found"}', reply
        assert [len(sluice.p1.seen), len(sluice.p2.seen)] == [1, 1]


@case(("refuses connections",), ("is down",))
def a_404_is_not_believed_while_a_node_that_may_know_is_away(house, how):
    def prepare(nodes):
        if how == "is down":
            nodes["p1"].on_probe = answer(503, "no")
    with house.serve("iqcpp", prepare=prepare) as sluice:
        if how == "refuses connections":
            sluice.p1.refuse()
        sluice.p2.script.put(*[NOT_HERE] * 6)
        for number in range(6):
            reply = sluice.ask("POST", f"{HOOK}-{number}", "payload")
            # Which of the two was asked last is a matter of chance.
            last = json.loads(reply.body)["error_code"].removeprefix("router_")
            assert last in ("upstream_refused_role", "connect_refused"), reply
            check_fault(reply, 503, last)
        assert len(sluice.p2.seen) == 6


@case()
def a_trigger_with_a_body_too_long_to_repeat_still_gets_an_answer(house):
    with house.serve("iqcpp", {"limits": {"replay": "4KiB"}}) as sluice:
        sluice.p1.script = sluice.p2.script = Script(NOT_HERE)
        check_fault(sluice.ask("POST", HOOK, b"x" * 100_000), 503, "upstream_refused_role")
        assert len(sluice.p1.seen) + len(sluice.p2.seen) == 1


# ---- compaction ----

BACKUP_ROUTES = [("GET", "/api/v3/enterprise/backup"), ("POST", "/api/v3/enterprise/backup"),
                 ("DELETE", "/api/v3/enterprise/backup/x"), ("POST", "/api/v3/enterprise/restore"),
                 ("GET", "/api/v3/enterprise/restore/1"), ("GET", "/api/v3/enterprise/import")]


@case(*[(f"{method} {target}", method, target) for method, target in BACKUP_ROUTES])
def only_the_compactor_is_asked(house, _, method, target):
    with house.serve("iqcp") as sluice:
        reply = sluice.ask(method, target, "{}" if method == "POST" else "")
        assert (reply.status, reply.node) == (200, "c1"), reply
        for status in (404, 503):
            sluice.c1.script.put(answer(status, "own"))
            reply = sluice.ask(method, target)
            assert (reply.status, reply.body) == (status, b"own"), reply
        sluice.c1.take_away()
        check_fault(sluice.ask(method, target), 503, "connect_refused")
        assert seen_by(sluice) == ["c1"]


@case()
def without_a_compactor_there_is_no_backup(house):
    def prepare(nodes):
        nodes["c1"].on_probe = answer(503, "no")
    with house.serve("iqcp", {"health": {"all_down": "refuse"}}, prepare) as sluice:
        check_fault(sluice.ask("GET", "/api/v3/enterprise/backup"), 503, "no_node")
        assert seen_by(sluice) == []


# ---- catalog ----

@case()
def the_catalog_stays_with_one_node(house):
    with house.serve("iqqqcp") as sluice:
        asked = [("GET", DATABASES), ("POST", "/api/v3/configure/table"), ("DELETE", "/api/v3/configure/database?db=x"),
                 ("POST", "/api/v3/configure/token/named_admin")]
        used = {sluice.ask(method, target).node for method, target in asked * 5}
        assert len(used) == 1 and used < {"q1", "q2", "q3"}, used


@case()
def the_catalog_moves_once_and_stays_there(house):
    with house.serve("iqqc") as sluice:
        first = sluice.ask("GET", DATABASES).node
        getattr(sluice, first).take_away()
        second = sluice.ask("POST", "/api/v3/configure/database", "{}").node
        assert second != first
        getattr(sluice, first).accept()
        assert {sluice.ask("GET", DATABASES).node for _ in range(6)} == {second}


@case()
def the_catalog_leaves_the_query_nodes_only_when_they_are_gone_and_never_reaches_the_compactor(house):
    with house.serve("iqcp") as sluice:
        for name in ("q1", "i1", "p1"):
            assert sluice.c1.seen == []
            reply = sluice.ask("GET", DATABASES)
            assert reply.status == 200 and reply.node != "c1", reply
            getattr(sluice, reply.node).take_away()
        check_fault(sluice.ask("GET", DATABASES), 503, "connect_refused")


# ---- one node's own ----

@case(("/metrics", "GET"), ("/debug/pprof/heap", "GET"), ("/api/v3/query_sql_telemetry", "GET"),
      ("/api/v3/loadcap/start", "POST"))
def a_route_about_one_node_needs_its_name(house, target, method):
    with house.serve("iqqc") as sluice:
        check_fault(sluice.ask(method, target), 421, "node_not_named")
        check_fault(sluice.ask(method, target, headers={"X-Sluice-Node": "q9"}), 421, "node_unknown")
        assert seen_by(sluice) == []
        for name in ("q2", "q1", "q2"):
            reply = sluice.ask(method, target, headers={"X-Sluice-Node": name})
            assert (reply.status, reply.node) == (200, name), reply
        assert "x-sluice-node" not in sluice.q1.seen[0].headers
        sluice.q2.take_away()
        check_fault(sluice.ask(method, target, headers={"X-Sluice-Node": "q2"}), 503, "connect_refused")
        assert len(sluice.q1.seen) == 1


@case()
def a_named_node_must_be_able_to_serve_the_route(house):
    with house.serve("iqcp") as sluice:
        check_fault(sluice.ask("GET", QUERY, headers={"X-Sluice-Node": "i1"}), 421, "node_unknown")
        assert sluice.ask("GET", "/metrics", headers={"X-Sluice-Node": "c1"}).node == "c1"
        assert sluice.ask("GET", QUERY, headers={"X-Sluice-Node": "q1"}).node == "q1"


# ---- plugins ----

FILES = "/api/v3/plugins/files"


@case(("PUT", FILES), ("POST", FILES), ("PUT", "/api/v3/plugins/directory"),
      ("POST", "/api/v3/configure/plugin_environment/install_packages"))
def plugin_files_reach_every_process_node(house, method, target):
    body = json.dumps({"plugin_name": "p", "content": "x" * 20_000})
    with house.serve("iqcppp") as sluice:
        reply = sluice.ask(method, target, body)
        assert reply.status == 200, reply
        assert seen_by(sluice) == ["p1", "p2", "p3"]
        assert all(len(node.seen) == 1 and node.seen[0].body == body.encode() for node in
                   (sluice.p1, sluice.p2, sluice.p3))


@case()
def a_named_process_node_alone_gets_plugin_files(house):
    with house.serve("iqcpp") as sluice:
        assert sluice.ask("PUT", FILES, "{}", {"X-Sluice-Node": "p2"}).node == "p2"
        assert seen_by(sluice) == ["p2"]


@case((500, "p1"), (403, "p2"), (404, "p1"))
def the_answer_of_a_process_node_that_fails_is_relayed(house, status, name):
    with house.serve("iqcpp") as sluice:
        getattr(sluice, name).script.put(answer(status, "own"))
        reply = sluice.ask("PUT", FILES, "{}")
        assert (reply.status, reply.body, reply.node) == (status, b"own", name), reply


def probe_fails(nodes, name):
    nodes[name].on_probe = answer(503, "no")


@case(("p1",), ("p2",))
def plugin_files_are_not_complete_while_a_process_node_is_down(house, name):
    with house.serve("iqcpp", prepare=lambda nodes: probe_fails(nodes, name)) as sluice:
        check_fault(sluice.ask("PUT", FILES, "{}"), 503, "fan_out_incomplete")


@case(("p1", "refuses"), ("p2", "refuses"), ("p1", "closes"), ("p2", "closes"))
def plugin_files_are_not_complete_when_a_process_node_fails(house, name, how):
    def close(link, _):
        link.close()
    with house.serve("iqcpp") as sluice:
        node = getattr(sluice, name)
        if how == "refuses":
            node.refuse()
        else:
            node.script.put(close, close, close, close)
        reply = sluice.ask("PUT", FILES, "{}")
        assert reply.status == 503, f"one node has missed it: {reply}"
        check_fault(reply, 503, "fan_out_incomplete")


@case(("with a length", False), ("in chunks", True))
def a_plugin_file_that_cannot_be_repeated_is_too_large(house, _, chunked):
    with house.serve("iqcpp", {"limits": {"replay": "4KiB"}}) as sluice:
        check_fault(sluice.ask("PUT", FILES, b"x" * 100_000, chunked=chunked), 413, "replay_too_large")
        assert not sluice.p2.seen and (chunked or not sluice.p1.seen)
        assert sluice.ask("PUT", FILES, b"x" * 4000, chunked=chunked).status == 200
        assert len(sluice.p2.seen) == 1


@case()
def a_fan_out_ends_with_the_last_answer_however_long_it_is(house):
    long = answer(200, "x" * 30_000)
    with house.serve("iqcpp") as sluice:
        sluice.p1.script.put(long)
        sluice.p2.script.put(long)
        reply = sluice.ask("PUT", FILES, "{}")
        assert reply.is_whole and reply.status == 200 and len(reply.body) == 30_000, reply
        assert seen_by(sluice) == ["p1", "p2"]


@case()
def a_plugin_test_reaches_one_process_node(house):
    with house.serve("iqcpp") as sluice:
        assert sluice.ask("POST", "/api/v3/plugin_test/wal", "{}").status == 200
        assert len(seen_by(sluice)) == 1 and seen_by(sluice)[0].startswith("p")


# ---- unknown, and what Sluice says itself ----

@case()
def an_unknown_path_is_passed_on_like_the_catalog(house):
    with house.serve("iqqc") as sluice:
        home = sluice.ask("GET", DATABASES).node
        getattr(sluice, home).script.put(answer(404, "Not found"), answer(404, "Not found"))
        for _ in range(2):
            reply = sluice.ask("GET", "/api/v9/new")
            assert (reply.status, reply.body, reply.node) == (404, b"Not found", home), reply


@case()
def an_unknown_path_can_be_denied(house):
    with house.serve("iqc", {"unknown": "deny"}) as sluice:
        check_fault(sluice.ask("GET", "/api/v9/new"), 403, "route_denied")
        check_fault(sluice.ask("POST", "/api/v3/write_lps?db=d", LINES), 403, "route_denied")
        assert seen_by(sluice) == []
        assert sluice.ask("GET", QUERY).status == 200


@case()
def a_route_for_nobody_is_denied(house):
    with house.serve("iqc") as sluice:
        check_fault(sluice.ask("GET", "/api/v3/test/telemetry_snapshot"), 403, "route_denied")
        assert seen_by(sluice) == []


@case()
def the_operators_routes_come_first(house):
    settings = {"routes": [{"method": "GET", "path": "/dashboards/*", "class": "query"},
                           {"path": "/api/v3/engine/keep", "class": "compaction"}]}
    with house.serve("iqcp", settings) as sluice:
        assert sluice.ask("GET", "/dashboards/a/b").node == "q1"
        assert sluice.ask("POST", "/api/v3/engine/keep", "x").node == "c1"
        assert sluice.ask("POST", "/api/v3/engine/keep2", "x").node == "p1"


@case(("/api/v3/write_lp",), ("/query",), ("/nowhere",), ("*",))
def options_is_answered_here(house, target):
    with house.serve("iqc") as sluice:
        reply = sluice.ask("OPTIONS", target, headers={"Origin": "http://a", "Access-Control-Request-Method": "POST"})
        assert reply.status == 204 and reply.is_whole, reply
        for name in ("access-control-allow-origin", "access-control-allow-methods", "access-control-allow-headers"):
            assert reply.field(name) == "*", reply
        assert reply.field("access-control-max-age") == "86400", reply
        assert seen_by(sluice) == []


@case(("GET",), ("POST",))
def ping_is_a_nodes_answer_with_its_version(house, method):
    def ping(link, request):
        fields = {"x_influxdb_version": "3.11.2", "x_influxdb_build": "Enterprise", "request_id": "r-1",
                  "x_request_id": "r-1", "cluster_uuid": "u-1"}
        return answer(200, '{"version":"3.11.2"}', **fields)(link, request)
    with house.serve("iqc") as sluice:
        sluice.i1.script = sluice.q1.script = Script(ping)
        reply = sluice.ask(method, "/ping")
        assert reply.status == 200 and reply.body == b'{"version":"3.11.2"}', reply
        assert reply.field("x-influxdb-version") == "3.11.2" and reply.field("x-influxdb-build") == "Enterprise", reply
        assert reply.field("request-id") == "r-1" and reply.field("x-request-id") == "r-1", reply
        assert reply.node in ("i1", "q1"), reply
