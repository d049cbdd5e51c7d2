"""What the operator orders by the admin listener: nodes that get nothing new, the log's level; and who may order it."""
import base64
import http.client
import json
import os
import socket
import threading

from harness.waiting import PATIENCE_SECONDS, eventually
from wire.lib.house import case
from wire.lib.http1_node import Node, Script, answer
from wire.lib.http1_verbs import hold
from wire.lib.requests import LINES, QUERY, WRITE


def nodes_of(sluice, method, target, body=b"", count=8):
    answers = [sluice.ask(method, target, body) for _ in range(count)]
    assert all(reply.status in (200, 204) for reply in answers), answers
    return {reply.node for reply in answers}


# ---- drain, ready, maint ----

@case(("drain",), ("maint",))
def a_node_that_is_set_aside_gets_nothing_until_it_is_ready(house, order):
    with house.serve("iqqc") as sluice:
        status, result = sluice.order(f"/nodes/q1/{order}")
        assert status == 200 and result["node_id"] == "q1" and result["done"] is True, result
        assert set(result["admin"].values()) == {order} and result["outstanding"] == 0, result
        assert nodes_of(sluice, "GET", QUERY) == {"q2"}
        assert sluice.node_status("q1")["usable"] is False and sluice.node_status("q1")["admin"]["query"] == order
        status, result = sluice.order("/nodes/q1/ready")
        assert status == 200 and set(result["admin"].values()) == {"ready"} and result["done"] is True, result
        eventually(lambda: nodes_of(sluice, "GET", QUERY) == {"q1", "q2"}, "queries on both nodes")


@case()
def a_node_of_two_modes_can_be_drained_of_writes_alone(house):
    def prepare(nodes):
        nodes["i1"].mode = "ingest,query"
    with house.serve("iiqc", prepare=prepare) as sluice:
        status, result = sluice.order("/nodes/i1/drain?class=write")
        assert status == 200 and result["admin"]["write"] == result["admin"]["writeback"] == "drain", result
        assert result["admin"]["query"] == "ready", result
        assert nodes_of(sluice, "POST", WRITE, LINES) == {"i2"}
        eventually(lambda: nodes_of(sluice, "GET", QUERY) == {"i1", "q1"}, "queries on the drained node, too")
        assert sluice.node_status("i1")["usable"] is True
        assert sluice.metric('sluice_node_admin{node="i1",class="write"}') == 1


@case(("write", "write,writeback"), ("query", "query,flight"), ("compaction", "compaction"))
def the_log_names_the_classes_of_an_order(house, word, classes):
    with house.serve("iqc") as sluice:
        assert sluice.order(f"/nodes/q1/drain?class={word}")[0] == 200
        sluice.wait_line(rf"event=node_admin node=q1 state=drain classes={classes}$")


@case()
def an_order_for_all_classes_names_each(house):
    with house.serve("iqc") as sluice:
        admin = sluice.order("/nodes/q1/maint")[1]["admin"]
        line = sluice.wait_line("event=node_admin node=q1 state=maint classes=")
        assert sorted(line.partition("classes=")[2].split(",")) == sorted(admin), (line, admin)


@case()
def the_last_node_of_a_kind_can_be_drained_and_clients_hear_why(house):
    with house.serve("iqc") as sluice:
        sluice.order("/nodes/q1/drain")
        assert sluice.ask("GET", QUERY).status == 503
        assert sluice.ask("POST", WRITE, LINES).status == 204


@case()
def draining_waits_for_what_is_under_way(house):
    release = threading.Event()
    with house.serve("iqc") as sluice, sluice.client() as client:
        sluice.q1.script = Script(hold(release, answer(200, "late")))
        client.send("GET", QUERY)
        sluice.q1.wait_seen(1)
        status, result = sluice.order("/nodes/q1/drain?wait=10ms")
        assert status == 200 and result["done"] is False and result["outstanding"] == 1, result
        answers = []
        waiter = threading.Thread(target=lambda: answers.append(sluice.order("/nodes/q1/drain?wait=10m")))
        waiter.start()
        sluice.wait_line("event=node_admin node=q1 state=drain", 2)
        release.set()
        assert client.read().body == b"late"
        waiter.join(PATIENCE_SECONDS)
        assert answers and answers[0][0] == 200 and answers[0][1]["done"] is True and answers[0][1]["outstanding"] == 0, answers


@case()
def who_waits_for_a_drain_may_go(house):
    release = threading.Event()
    with house.serve("iqc") as sluice, sluice.client() as client:
        sluice.q1.script = Script(hold(release, answer(200, "late")))
        client.send("GET", QUERY)
        sluice.q1.wait_seen(1)
        connection = http.client.HTTPConnection(sluice.admin, timeout=PATIENCE_SECONDS)
        connection.request("POST", "/nodes/q1/drain?wait=10m", headers={"X-Sluice-Admin": "1"})
        sluice.wait_line("event=node_admin node=q1 state=drain")
        connection.close()
        assert sluice.status()["nodes"]
        release.set()
        assert client.read().status == 200


@case()
def who_waits_for_a_drain_makes_room_for_many_others(house):
    """The oldest of too many connections is closed, also one that waits for its answer."""
    release = threading.Event()
    with house.serve("iqc") as sluice, sluice.client() as client:
        sluice.q1.script = Script(hold(release, answer(200, "late")))
        client.send("GET", QUERY)
        sluice.q1.wait_seen(1)
        waiter = socket.create_connection(("127.0.0.1", sluice.admin_port), PATIENCE_SECONDS)
        waiter.sendall(b"POST /nodes/q1/drain?wait=10m HTTP/1.1\r\nHost: localhost\r\nX-Sluice-Admin: 1\r\n\r\n")
        sluice.wait_line("event=node_admin node=q1 state=drain")
        others = [socket.create_connection(("127.0.0.1", sluice.admin_port), PATIENCE_SECONDS) for _ in range(64)]
        with waiter:
            assert waiter.recv(1) == b"", "an answer, though the node is busy"
        release.set()
        assert client.read().status == 200
        eventually(lambda: sluice.node_status("q1")["outstanding"] == 0, "a node that is idle")
        for other in others:
            other.close()


@case()
def the_state_stays_over_a_reload(house):
    with house.serve("iqqc") as sluice:
        sluice.order("/nodes/q1/drain?class=query")
        sluice.reload(sluice.configured())
        assert nodes_of(sluice, "GET", QUERY) == {"q2"}
        assert sluice.node_status("q1")["admin"]["query"] == "drain"


@case()
def a_node_in_maintenance_is_not_probed(house):
    with house.serve("iqqc", {"health": {"interval": "100ms"}}) as sluice:
        sluice.order("/nodes/q1/maint")
        sluice.q1.refuse()
        probes = len(sluice.q2.probes)
        eventually(lambda: len(sluice.q2.probes) > probes + 5, "five more rounds of probes")
        assert sluice.count_lines("event=node_health node=q1 state=down") == 0
        assert sluice.node_status("q1")["health"] == "up"


@case(("an unknown node", "/nodes/nobody/drain", 404), ("a name with more behind it", "/nodes/q1%00x/drain", 404),
      ("a name that is too long", f"/nodes/{'q' * 200}/drain", 404), ("an unknown class", "/nodes/q1/drain?class=nothing", 400),
      ("no duration", "/nodes/q1/drain?wait=long", 400), ("a wait that is too long", "/nodes/q1/drain?wait=11m", 400),
      ("an unknown order", "/nodes/q1/stop", 404), ("no node", "/nodes//drain", 404), ("another path", "/restart", 404),
      ("a level that there is none of", "/log-level?level=loud", 400), ("no level", "/log-level", 400))
def what_cannot_be_done_says_why(house, _, path, expected):
    with house.serve("iqc") as sluice:
        status, result = sluice.order(path)
        assert status == expected and len(result["error"]) > 20, (status, result)
        assert all(state == "ready" for state in sluice.node_status("q1")["admin"].values())


@case()
def the_longest_name_of_a_node_can_be_steered(house):
    with house.serve("iqc") as sluice:
        node = Node("q" * 128, "query")
        sluice.reload(sluice.configured(sluice.adopt(node)))
        status, result = sluice.order(f"/nodes/{node.name}/drain")
        assert status == 200 and result["node_id"] == node.name, (status, result)


@case()
def the_log_level_can_be_changed(house):
    with house.serve("iqc", {"log_level": "info"}) as sluice:
        assert sluice.ask("GET", QUERY).status == 200 and sluice.count_lines("event=exchange ") == 0
        assert sluice.order("/log-level?level=debug") == (200, {"log_level": "debug"})
        assert sluice.ask("GET", QUERY).status == 200
        sluice.wait_line("event=exchange .*to=done")


# ---- who may ----

def ask_admin(sluice, method, path, headers):
    connection = http.client.HTTPConnection(sluice.admin, timeout=PATIENCE_SECONDS)
    connection.putrequest(method, path, skip_host=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response, body


@case()
def a_change_needs_the_header_and_leaves_a_line(house):
    with house.serve("iqc") as sluice:
        status, result = sluice.order("/nodes/q1/drain", Content_Type="text/plain")
        assert status == 403 and "X-Sluice-Admin" in result["error"], result
        assert sluice.node_status("q1")["admin"]["query"] == "ready"
        assert sluice.order("/nodes/q1/drain")[0] == 200
        sluice.wait_line('event=admin client=127.0.0.1 request="?/nodes/q1/drain"? status=200')


@case(("a name of an attacker", "evil.example", 403), ("localhost", "localhost:1", 200), ("an address", "127.0.0.1", 200),
      ("an IPv6 address", "[::1]:8180", 200), ("a listed name", "sluice.example", 200), ("a listed name, in capitals", "OPS.example:80", 200))
def the_host_must_be_one_of_this_machine(house, _, host, expected):
    with house.serve("iqc") as sluice:
        sluice.reload(sluice.configured(admin={"hosts": "sluice.example, ops.example"}))
        response, body = ask_admin(sluice, "GET", "/status", {"Host": host})
        assert response.status == expected, (response.status, body)
        assert response.getheader("Access-Control-Allow-Origin") is None


@case(("GET with a body",), ("DELETE",), ("OPTIONS",))
def nothing_else_is_served(house, what):
    with house.serve("iqc") as sluice:
        method, headers = (what, {}) if " " not in what else ("GET", {"Content-Length": "0"})
        response, _ = ask_admin(sluice, method, "/status", {"Host": "localhost", **headers})
        assert response.status == (200 if method == "GET" else 405)


@case()
def with_a_token_file_every_request_brings_the_token(house):
    with house.serve("iqc") as sluice:
        path = sluice.temporary.name + "/token"
        with open(path, "w", encoding="utf-8") as file:
            file.write("secret-token\nsecond line\n")
        os.chmod(path, 0o600)
        sluice.reload(sluice.configured(admin={"token_file": path}))
        basic = base64.b64encode(b"anybody:secret-token").decode()
        wrong = base64.b64encode(b"secret-token:").decode()
        for value, expected in ((None, 401), ("Bearer secret-token", 200), ("bearer secret-token", 200), ("Bearer secret-toke", 401),
                                (f"Basic {basic}", 200), (f"Basic {wrong}", 401), ("Basic ====", 401), ("secret-token", 401)):
            headers = {"Host": "localhost", **({"Authorization": value} if value else {})}
            response, body = ask_admin(sluice, "GET", "/status", headers)
            assert response.status == expected, (value, response.status, body)
        # The token is enough for a change; the header alone is not.
        assert sluice.order("/log-level?level=info", Authorization="Bearer secret-token")[0] == 200
        assert sluice.order("/log-level?level=info")[0] == 401
        with open(path, "w", encoding="utf-8") as file:
            file.write("another\n")
        response, _ = ask_admin(sluice, "GET", "/status", {"Host": "localhost", "Authorization": "Bearer another"})
        assert response.status == 200
        assert "another" not in sluice.log() and "secret-token" not in sluice.log()


@case()
def a_thousand_nodes_are_shown_whole(house):
    with house.serve("iqc") as sluice:
        config = sluice.configured(sluice.nodes)
        config["nodes"] += [{"node_id": "query-with-a-long-name-" + str(number).rjust(90, "0"), "mode": "query", "http": 1,
                             "url": f"http://127.1.{number // 250}.{number % 250 + 1}:1"} for number in range(1000)]
        sluice.reload(config)
        assert len(sluice.status()["nodes"]) == 1003
        health = json.loads(sluice.ask("GET", "/health").body)
        assert len(health["nodes"]) == 1003
