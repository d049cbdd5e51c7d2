"""The configuration is read again while requests are under way: what changes, what stays, and what is refused."""
import json
import os
import signal
import socket
import tempfile
import threading

from harness.loopback import reserve_port
from harness.sluice import has_sanitizer
from harness.waiting import PATIENCE_SECONDS, eventually
from wire.lib.house import case
from wire.lib.http1_client import Client
from wire.lib.http1_node import Node, Script, answer
from wire.lib.http1_verbs import hold
from wire.lib.http2_node import H2Node
from wire.lib.requests import LINES, QUERY, WRITE
from wire.lib.tls import client_context, make_certificates, pair


def served_by(sluice, count=12, method="GET", target=QUERY, body=b""):
    """The nodes that answer so many requests, one after the other."""
    answers = [sluice.ask(method, target, body) for _ in range(count)]
    assert all(reply.status in (200, 204) for reply in answers), answers
    return {reply.node for reply in answers}


# ---- what is in force ----

@case()
def the_configuration_in_force_is_shown_and_can_be_read_again(house):
    with house.serve("iqc") as sluice:
        sluice.reload(sluice.configured(limits={"fields": 77}))
        shown = json.loads(sluice.ask_admin("/config"))
        assert shown["limits"]["fields"] == 77 and [node["node_id"] for node in shown["nodes"]] == ["i1", "q1", "c1"], shown
        sluice.rewrite("nodes: what is refused is not in force")
        assert sluice.order("/reload")[0] == 422
        assert json.loads(sluice.ask_admin("/config")) == shown
        sluice.reload(shown)
        assert json.loads(sluice.ask_admin("/config")) == shown
        assert sluice.ask("GET", QUERY).status == 200


# ---- nodes ----

@case()
def a_node_that_is_added_gets_its_share(house):
    with house.serve("iqc") as sluice:
        assert served_by(sluice) == {"q1"}
        assert sluice.reload(sluice.configured(sluice.adopt(Node("q2", "query")))) == 2
        eventually(lambda: served_by(sluice) == {"q1", "q2"}, "queries on both nodes")
        assert {node["node_id"] for node in sluice.status()["nodes"]} == {"i1", "q1", "c1", "q2"}
        assert sluice.status()["epoch"] == 2


@case()
def a_node_that_is_added_and_answers_no_probe_gets_nothing(house):
    release = threading.Event()
    with house.serve("iqc") as sluice:
        sluice.wait_line("event=node_health node=q1")
        silent = Node("q2", "query")
        silent.on_probe = hold(release, answer(200, "OK"))
        sluice.reload(sluice.configured(sluice.adopt(silent)))
        silent.wait_probes(1)
        assert served_by(sluice) == {"q1"}
        release.set()
        eventually(lambda: served_by(sluice) == {"q1", "q2"}, "queries on both nodes")


@case()
def a_node_that_is_removed_gets_nothing_new_and_finishes_what_it_has(house):
    release = threading.Event()
    with house.serve("iqqc") as sluice:
        sluice.q1.script = sluice.q2.script = Script(hold(release, answer(200, "late")))
        with sluice.client() as client:
            client.send("GET", QUERY)
            eventually(lambda: sluice.q1.seen or sluice.q2.seen)
            busy, other = (sluice.q1, sluice.q2) if sluice.q1.seen else (sluice.q2, sluice.q1)
            other.script = Script()
            sluice.reload(sluice.configured([node for node in sluice.nodes if node is not busy]))
            assert served_by(sluice) == {other.name}
            release.set()
            reply = client.read()
            assert (reply.status, reply.body, reply.node) == (200, b"late", busy.name), reply
        assert busy.links[-1].ended.wait(60), "the link to the node that is gone is still open"


@case()
def a_node_that_has_moved_is_asked_at_its_new_place(house):
    with house.serve("iqc") as sluice:
        assert sluice.ask("GET", QUERY).status == 200
        old, new = sluice.q1, Node("q1", "query")
        others = [sluice.i1, sluice.c1]
        sluice.adopt(new)
        sluice.reload(sluice.configured([*others, new]))
        assert served_by(sluice) == {"q1"} and len(new.seen) == 12 and len(old.seen) == 1
        assert old.links[-1].ended.wait(60), "the link to where the node was is still open"


@case(("from HTTP/2 to HTTP/1", True), ("from where nobody can connect", False))
def what_was_learned_of_the_old_place_is_forgotten(house, _, is_http2):
    """There is no second probe in time that could mend it."""
    old = H2Node("q1", "query", http="auto") if is_http2 else Node("q1", "query")
    with house.serve([Node("i1", "ingest"), old, Node("c1", "compact")]) as sluice:
        ingester, _, compactor = sluice.nodes
        assert sluice.ask("GET", QUERY).status == 200
        if is_http2:
            sluice.wait_line("event=node_version node=q1 http=2")
        else:
            old.take_away()
            eventually(lambda: sluice.ask("GET", QUERY).status == 503 and not sluice.node_status("q1")["usable"])
        new = Node("q1", "query", http="auto")
        sluice.adopt(new)
        sluice.reload(sluice.configured([ingester, new, compactor]))
        assert served_by(sluice) == {"q1"}
        new.wait_probes(1)


@case()
def a_node_with_another_mode_gets_what_that_mode_serves(house):
    with house.serve("iqqc") as sluice:
        sluice.q2.mode = "ingest"
        sluice.reload(sluice.configured(sluice.nodes))
        assert served_by(sluice) == {"q1"}
        assert served_by(sluice, 4, "POST", WRITE, LINES) == {"i1", "q2"}


@case()
def weights_change_with_the_next_write(house):
    with house.serve("iiqc") as sluice:
        assert served_by(sluice, 4, "POST", WRITE, LINES) == {"i1", "i2"}
        sluice.i1.keys["cores"] = 30
        sluice.i2.keys["cores"] = 10
        sluice.reload(sluice.configured(sluice.nodes))
        before = len(sluice.i1.seen), len(sluice.i2.seen)
        served_by(sluice, 40, "POST", WRITE, LINES)
        assert (len(sluice.i1.seen) - before[0], len(sluice.i2.seen) - before[1]) == (30, 10)


@case()
def the_node_that_answered_last_is_not_taken_for_another_one(house):
    """The catalog stays with one node; when that has gone, its slot may be another node's."""
    with house.serve("iqqc") as sluice:
        home = sluice.ask("GET", "/api/v3/configure/database?format=json").node
        gone = getattr(sluice, home)
        left = [node for node in sluice.nodes if node is not gone]
        sluice.reload(sluice.configured(left))
        fresh = Node("q9", "query")
        sluice.adopt(fresh)
        sluice.reload(sluice.configured([*left, fresh]))
        homes = {sluice.ask("GET", "/api/v3/configure/database?format=json").node for _ in range(6)}
        assert len(homes) == 1 and homes <= {"q1", "q2"} - {home}, homes


# ---- connections and exchanges ----

@case()
def no_connection_and_no_exchange_is_lost(house):
    """A client keeps its connection over reloads; a request that began before one is answered by the node that it went to."""
    release = threading.Event()
    with house.serve("iqc") as sluice:
        sluice.q1.script = Script(hold(release, answer(200, "of the epoch before")))
        with sluice.client() as waiting, sluice.client() as kept:
            assert kept.ask("POST", WRITE, LINES).status == 204
            waiting.send("GET", QUERY)
            sluice.q1.wait_seen(1)
            for _ in range(5):
                sluice.reload(sluice.configured())
                assert kept.ask("POST", WRITE, LINES).status == 204
            release.set()
            assert waiting.read().body == b"of the epoch before"
        assert len(sluice.i1.links) - len(sluice.i1.probes) == 1, "the link to a node that stayed was closed"


@case()
def an_upload_that_began_before_a_reload_ends_after_it(house):
    with house.serve("iqc") as sluice, sluice.client() as client:
        client.send("POST", WRITE, length=2 * len(LINES), only_head=True)
        client.send_raw(LINES)
        sluice.i1.wait(lambda: sluice.i1.seen)
        sluice.reload(sluice.configured(limits={"replay": "64KiB"}))
        client.send_raw(LINES)
        assert client.read().status == 204
        assert sluice.i1.seen[0].body == LINES * 2


# ---- listeners, limits, logs ----

@case()
def listeners_come_and_go(house):
    with house.serve("iqc") as sluice:
        reserved, port = reserve_port()
        with reserved, sluice.client() as old:
            assert old.ask("GET", QUERY).status == 200
            sluice.reload({**sluice.configured(), "listen": [f"127.0.0.1:{port}"]})
            with Client(port) as new:
                assert new.ask("GET", QUERY).status == 200
            assert old.ask("GET", QUERY).status == 200, "a connection went with its listener"
            eventually(lambda: sluice.is_refused(sluice.port), "the old address to be closed")
            sluice.reload(sluice.configured())
            with sluice.client() as again:
                assert again.ask("GET", QUERY).status == 200
            eventually(lambda: sluice.is_refused(port), "the new address to be closed")


@case()
def an_address_that_a_reload_has_taken_away_comes_back_with_the_next(house):
    with house.serve("iqc") as sluice:
        reserved, port = reserve_port()
        with reserved:
            sluice.reload({**sluice.configured(), "listen": [f"127.0.0.1:{port}"]})
            assert sluice.reload(sluice.configured()) == 3
            with sluice.client() as again:
                assert again.ask("GET", QUERY).status == 200


def unix_listeners(sluice, *more):
    config = sluice.configured()
    return {**config, "listen": [*config["listen"], *more]}


def status_over(path):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(PATIENCE_SECONDS)
        sock.connect(path)
        sock.sendall(f"GET {QUERY} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        return sock.recv(4096).split(b" ")[1]


@case()
def a_socket_file_gets_other_permissions(house):
    with house.serve("iqc") as sluice:
        path = sluice.temporary.name + "/sluice.sock"
        for mode in ("0600", "0660", "0600"):
            sluice.reload(unix_listeners(sluice, {"address": "unix:" + path, "mode": mode}))
            assert os.stat(path).st_mode & 0o777 == int(mode, 8)
            assert status_over(path) == b"200"


@case()
def a_socket_file_that_has_gone_comes_back(house):
    with house.serve("iqc") as sluice:
        path = sluice.temporary.name + "/sluice.sock"
        sluice.reload(unix_listeners(sluice, "unix:" + path))
        os.unlink(path)
        sluice.reload()
        assert status_over(path) == b"200"
        sluice.reload(sluice.configured())
        assert not os.path.exists(path)


@case()
def limits_hold_from_the_next_request_on(house):
    with house.serve("iqc") as sluice, sluice.client() as client:
        body = LINES * 400
        assert client.ask("POST", WRITE, body).status == 204
        sluice.reload(sluice.configured(limits={"body": "4KiB"}))
        assert client.ask("POST", WRITE, body).status == 413


@case()
def an_access_log_and_a_log_level_begin_with_a_reload(house):
    with house.serve("iqc") as sluice:
        path = sluice.temporary.name + "/access.log"
        sluice.reload(sluice.configured(access_log=path, log_level="info"))
        assert sluice.ask("GET", QUERY).status == 200
        eventually(lambda: "class=query" in open(path, encoding="utf-8").read(), "a record")
        before = sluice.count_lines("event=exchange ")
        sluice.ask("GET", QUERY)
        assert sluice.count_lines("event=exchange ") == before, "debug lines at level info"


# ---- what is refused ----

def refused(sluice, config):
    sluice.rewrite(config)
    status, result = sluice.order("/reload")
    assert status == 422 and result["applied"] is False, result
    assert sluice.ask("GET", QUERY).status == 200
    return result["findings"]


@case()
def a_second_compactor_is_refused_at_each_reload(house):
    with house.serve("iqc") as sluice:
        findings = refused(sluice, sluice.configured(sluice.adopt(Node("c2", "compact"))))
        assert any("a second compactor" in finding["text"] and finding["severity"] == "error" for finding in findings), findings
        assert all({"file", "line", "column", "severity", "text"} == set(finding) for finding in findings)
        assert sluice.status()["epoch"] == 1 and len(sluice.status()["nodes"]) == 3


@case(("no YAML", "nodes: ["), ("nothing", ""), ("an unknown key", None))
def a_bad_file_changes_nothing(house, _, text):
    with house.serve("iqc") as sluice:
        findings = refused(sluice, text if text is not None else sluice.configured(no_such_key=1))
        assert findings and findings[0]["file"].endswith("sluice.yaml"), findings


@case()
def a_pipe_in_the_place_of_the_file_is_not_waited_for(house):
    with house.serve("iqc") as sluice:
        os.rename(sluice.config_path, sluice.config_path + ".before")
        os.mkfifo(sluice.config_path)
        status, result = sluice.order("/reload")
        assert status == 422 and "regular file" in result["findings"][0]["text"], result
        os.rename(sluice.config_path + ".before", sluice.config_path)
        assert sluice.reload() == 2


@case()
def a_token_file_that_is_not_there_locks_nobody_out(house):
    with house.serve("iqc") as sluice:
        findings = refused(sluice, sluice.configured(admin={"token_file": sluice.temporary.name + "/token"}))
        assert any("admin.token_file" in finding["text"] for finding in findings), findings
        assert sluice.reload(sluice.configured()) == 2


@case()
def another_cluster_is_refused(house):
    with house.serve("iqc") as sluice:
        findings = refused(sluice, {**sluice.configured(), "cluster_id": "another"})
        assert any("cluster_id" in finding["text"] for finding in findings), findings


@case()
def an_address_that_is_taken_changes_nothing(house):
    with house.serve("iqc") as sluice, socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = sluice.configured(sluice.adopt(Node("q2", "query")))
        findings = refused(sluice, {**config, "listen": [*config["listen"], f"127.0.0.1:{port}"]})
        assert any(f"127.0.0.1:{port}" in finding["text"] for finding in findings), findings
        assert len(sluice.status()["nodes"]) == 3


@case()
def an_access_log_that_cannot_be_opened_changes_nothing(house):
    with house.serve("iqc", {"workers": 2}) as sluice:
        path = sluice.temporary.name + "/none/access.log"
        findings = refused(sluice, sluice.configured(sluice.adopt(Node("q2", "query")), access_log=path))
        assert any(path in finding["text"] and finding["text"].endswith("nothing has changed") for finding in findings), findings
        assert sluice.status()["epoch"] == 1 and len(sluice.status()["nodes"]) == 3
        assert sluice.count_lines("event=epoch_not_applied") == 0


@case()
def an_access_log_that_is_in_use_is_not_opened_anew(house):
    with tempfile.TemporaryDirectory() as folder:
        path = folder + "/logs/access.log"
        os.mkdir(folder + "/logs")
        with house.serve("iqc", {"access_log": path}) as sluice:
            os.rename(folder + "/logs", folder + "/archive")
            assert sluice.reload(sluice.configured(sluice.adopt(Node("q2", "query")))) == 2
            assert sluice.ask("GET", QUERY).status == 200
            eventually(lambda: "class=query" in open(folder + "/archive/access.log", encoding="utf-8").read(), "a record")


@case()
def what_needs_a_restart_says_so(house):
    with house.serve("iqc") as sluice:
        sluice.rewrite(sluice.configured(workers=3))
        status, result = sluice.order("/reload")
        assert status == 200 and any("restart" in finding["text"] for finding in result["findings"]), result
        assert sluice.status()["workers"] == 1


# ---- ways to ask ----

@case()
def hup_reloads(house):
    with house.serve("iqc") as sluice:
        sluice.rewrite(sluice.configured(sluice.adopt(Node("q2", "query"))))
        sluice.signal(signal.SIGHUP)
        sluice.wait_line("event=reload applied=yes epoch=2 nodes=4")
        sluice.rewrite("nodes: [")
        sluice.signal(signal.SIGHUP)
        sluice.wait_line("event=reload applied=no epoch=2")
        assert sluice.ask("GET", QUERY).status == 200


@case()
def who_asks_at_the_same_time_is_answered_by_a_reload_of_his_own(house):
    with house.serve("iqc") as sluice:
        answers = []
        askers = [threading.Thread(target=lambda: answers.append(sluice.order("/reload"))) for _ in range(8)]
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join()
        assert [status for status, _ in answers] == [200] * 8, answers
        assert max(result["epoch"] for _, result in answers) == sluice.status()["epoch"]


@case()
def many_reloads_cost_no_memory(house):
    """Half of them add a node, half take it away."""
    with house.serve("iqc") as sluice:
        more = sluice.configured(sluice.adopt(Node("q2", "query")))
        fewer = sluice.configured(sluice.nodes[:3])
        for round_number in range(20):
            sluice.reload(more if round_number % 2 == 0 else fewer)
            sluice.ask("GET", QUERY)
        begun_kib = sluice.memory_kib("VmRSS")
        for round_number in range(300):
            sluice.reload(more if round_number % 2 == 0 else fewer)
            assert sluice.ask("GET", QUERY).status == 200
        if not has_sanitizer(house.binary):
            assert sluice.memory_kib("VmRSS") - begun_kib < 2048, (begun_kib, sluice.memory_kib("VmRSS"))
        assert json.loads(sluice.ask_admin("/status"))["epoch"] == 321



@case(("a listener that is gone",), ("a listener whose TLS has changed",))
def who_has_connected_begins_tls_after_a_reload(house, what):
    """The handshake waits for the PROXY header, and the reload comes before it: nobody who has connected is cut."""
    with house.serve("iqc", tls=pair("default")) as sluice:
        config = sluice.configured()
        *others, tls = config["listen"]
        announced = {**tls, "proxy_protocol": True, "proxy_from": ["127.0.0.0/8"]}
        sluice.reload({**config, "listen": [*others, announced]})
        with socket.create_connection(("127.0.0.1", sluice.tls_port), PATIENCE_SECONDS) as raw:
            eventually(lambda: sluice.status()["sessions"] == 1, "the connection")
            changed = {**announced, "tls": {**tls["tls"], "minimum_version": "1.3"}}
            sluice.reload({**config, "listen": [*others, *([changed] if "changed" in what else [])]})
            raw.sendall(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 443\r\n")
            with client_context().wrap_socket(raw, server_hostname="a.example") as secure:
                secure.sendall(f"GET {QUERY} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n".encode())
                assert secure.recv(4096).startswith(b"HTTP/1.1 200"), "no answer"


@case(("asked for while it drains",), ("asked for in the moment before",))
def a_sluice_that_ends_opens_nothing_again(house, what):
    release = threading.Event()
    with house.serve("iqc") as sluice, sluice.client() as client:
        sluice.q1.script = Script(hold(release, answer(200, "late")))
        client.send("GET", QUERY)
        sluice.q1.wait_seen(1)
        if "before" in what:
            with sluice.stopped():
                sluice.signal(signal.SIGHUP)
                sluice.signal(signal.SIGTERM)
            sluice.wait_line("event=reload applied=no")
        else:
            sluice.signal(signal.SIGTERM)
            sluice.wait_line("event=drain")
            status, result = sluice.order("/reload")
            assert status == 422 and "drains" in result["findings"][0]["text"], result
        eventually(lambda: sluice.is_refused(sluice.port), "a listener that stays closed")
        release.set()
        assert client.read().body == b"late"
