"""Requests that only one node, a certain node, or every node of a kind can serve; and Sluice's own routes."""
import json
import os

from harness.client import Client, target
from harness.waiting import eventually
from cluster.lib.stage import PLUGIN_NODES
from cluster.lib.stage import full as stage

DATABASES = "/api/v3/configure/database"
BACKUP = "/api/v3/enterprise/backup"
PLUGIN_FILES = "/api/v3/plugins/files"
JSON = {"Content-Type": "application/json"}


def post_json(stage, path, fields, headers=None, method="POST"):
    return stage.call(method, path, json.dumps(fields), {**JSON, **(headers or {})})


# -- the catalog


def test_catalog_calls_stay_with_one_node(stage):
    """Other nodes know of a change only after their next sync; a client that creates and then lists must see it."""
    nodes = set()
    for _ in range(10):
        name = stage.database()
        nodes.add(post_json(stage, DATABASES, {"db": name}).expect(200).node)
        answer = stage.call("GET", DATABASES + "?format=json").expect(200)
        nodes.add(answer.node)
        assert {"iox::database": name} in answer.json, answer.text
    assert len(nodes) == 1, nodes


def test_catalog_calls_move_on_when_their_node_dies(stage):
    name = stage.database()
    first = post_json(stage, DATABASES, {"db": name}).expect(200).node
    stage.cluster.kill(first)
    answer = stage.call("GET", DATABASES + "?format=json").expect(200)
    second = answer.node
    assert second not in (None, first, "compactor-01"), second
    stage.cluster.restart(first)
    stage.sluice.wait_usable()
    assert {stage.call("GET", DATABASES + "?format=json").node for _ in range(6)} == {second}, "it wandered back"


def test_an_unknown_path_is_asked_of_a_node(stage):
    answer = stage.call("GET", "/api/v4/not/yet/invented").expect(404)
    assert answer.node is not None, answer.headers


# -- the one compactor


def test_backups_are_the_compactors(stage):
    for number in range(4):
        answer = post_json(stage, BACKUP, {"name": f"backup{number}"}).expect(202)
        assert answer.node == "compactor-01", answer.node
    assert len(stage.call("GET", BACKUP).expect(200).json) == 4
    assert stage.call("GET", BACKUP + "/backup2").expect(200).json["name"] == "backup2"


def test_without_the_compactor_nobody_else_is_asked(stage):
    stage.recover()
    stage.cluster.kill("compactor-01")
    stage.call("GET", BACKUP).expect(503)
    counts = {node_id: len(stage.seen(node_id, BACKUP)) for node_id in stage.cluster.nodes if node_id != "compactor-01"}
    assert not any(counts.values()), counts


# -- plugin files and other things of one node


def test_plugin_files_go_to_every_node_that_runs_plugins(stage):
    answer = post_json(stage, PLUGIN_FILES, {"plugin_name": "everywhere.py", "content": "x = 1\n"}).expect(200)
    assert answer.node in PLUGIN_NODES, answer.node
    for node_id in PLUGIN_NODES:
        with open(os.path.join(stage.cluster.plugin_dir(node_id), "everywhere.py"), encoding="utf-8") as file:
            assert file.read() == "x = 1\n"
    post_json(stage, PLUGIN_FILES, {"plugin_name": "everywhere.py", "content": "x = 2\n"}, method="PUT").expect(200)
    for node_id in PLUGIN_NODES:
        with open(os.path.join(stage.cluster.plugin_dir(node_id), "everywhere.py"), encoding="utf-8") as file:
            assert file.read() == "x = 2\n"


def test_a_plugin_file_goes_to_the_named_node_alone(stage):
    fields = {"plugin_name": "only.py", "content": "x = 1\n"}
    answer = post_json(stage, PLUGIN_FILES, fields, {"X-Sluice-Node": "processor-02"}).expect(200)
    assert answer.node == "processor-02"
    there = [os.path.exists(os.path.join(stage.cluster.plugin_dir(node_id), "only.py")) for node_id in PLUGIN_NODES]
    assert there == [False, True], there


def test_a_fan_out_that_misses_a_node_says_so(stage):
    """Success would leave a node without the file, and such a node does not start again."""
    for gone in PLUGIN_NODES:
        stage.cluster.kill(gone)
        answer = post_json(stage, PLUGIN_FILES, {"plugin_name": f"{gone}.py", "content": "x = 1\n"}).expect(503)
        assert answer.json["error_code"] in ("router_fan_out_incomplete", "router_connect_refused"), answer.text
        stage.cluster.restart(gone)
        stage.sluice.wait_usable()


def test_a_refusal_of_one_node_ends_the_fan_out(stage):
    """The file exists on one of them: that node's own words come back."""
    fields = {"plugin_name": "twice.py", "content": "x = 1\n"}
    post_json(stage, PLUGIN_FILES, fields, {"X-Sluice-Node": "processor-02"}).expect(200)
    answer = post_json(stage, PLUGIN_FILES, fields).expect(409)
    assert answer.node == "processor-02" and "already exists" in answer.text, answer.text


def test_metrics_are_those_of_the_named_node(stage):
    database = stage.database()
    taker = stage.write(database, "m v=1i 1").expect(204).node
    answer = stage.call("GET", "/metrics", headers={"X-Sluice-Node": taker}).expect(200)
    assert answer.node == taker and 'path="/api/v3/write_lp",status="204"' in answer.text, answer.text
    answer = stage.call("GET", "/metrics", headers={"X-Sluice-Node": "query-01"}).expect(200)
    assert 'path="/api/v3/write_lp",status="204"' not in answer.text, answer.text


def test_metrics_without_a_name_are_refused(stage):
    """An average over whoever answers would be worse than nothing."""
    for headers in ({}, {"X-Sluice-Node": "nobody"}):
        answer = stage.call("GET", "/metrics", headers=headers).expect(421)
        assert "X-Sluice-Node" in answer.json["error"] and answer.node is None, answer.text


# -- what Sluice answers itself


def test_options_is_answered_on_any_path(stage):
    stage.recover()
    for path in ("/api/v3/write_lp", "/api/v3/query_sql", "/nothing"):
        answer = stage.call("OPTIONS", path, headers={"Origin": "http://example.com"}).expect(204)
        assert answer.headers["access-control-allow-origin"] == "*", answer.headers
        assert answer.headers["access-control-allow-methods"] == "*", answer.headers
    assert not any(stage.seen_count("/api/v3/write_lp").values()), "a node was asked"


def test_health_speaks_of_the_cluster(stage):
    fields = stage.call("GET", "/health").expect(200).json
    assert fields["status"] == "pass" and fields["write"] and fields["query"] and fields["compaction"], fields
    stage.cluster.kill("compactor-01")
    # That probes fail alone is no reason not to ask the only one: that it cannot be reached is.
    eventually(lambda: stage.call("GET", "/api/v3/enterprise/backup").status == 503
               and not stage.call("GET", "/health").expect(200).json["compaction"], "the compactor is missed")
    stage.call("GET", "/ready").expect(200)


def test_ping_shows_the_databases_version(stage):
    answer = stage.call("GET", "/ping").expect(200)
    assert answer.headers["x-influxdb-version"].startswith("3."), answer.headers
    assert answer.node not in (None, "compactor-01") and answer.json["version"], answer.text


# -- headers


def test_hop_by_hop_fields_stay_behind(stage):
    """And what the node needs to know about the client arrives."""
    stage.recover()
    headers = {"Connection": "keep-alive, X-Private", "X-Private": "1", "Proxy-Authorization": "Basic eDp5",
               "TE": "gzip", "X-Forwarded-For": "203.0.113.9", "X-Request-Id": "my-own-id", "Accept-Encoding": "gzip"}
    answer = stage.call("GET", target("/api/v3/query_sql", db="_internal", q="SELECT 1 AS one"), headers=headers)
    answer.expect(200)
    assert answer.headers["x-request-id"] == "my-own-id", answer.headers
    seen = stage.seen(answer.node, "/api/v3/query_sql")[0]["headers"]
    fields = {name.lower(): value for name, value in seen}
    assert not {"x-private", "proxy-authorization", "te"} & set(fields), fields
    assert fields["x-forwarded-for"] == "127.0.0.1", fields
    assert fields["x-request-id"] == "my-own-id" and fields["accept-encoding"] == "gzip" and "via" in fields, fields


def test_pipelined_and_mixed_requests_on_one_connection(stage):
    """Whatever came before, the next answer belongs to the next request."""
    database = stage.database()
    with Client(stage.address) as client:
        for number in range(1, 6):
            client.call("POST", target("/api/v3/write_lp", db=database), f"m v={number}i {number}").expect(204)
            client.call("GET", "/metrics").expect(421)
            client.call("POST", target("/api/v3/write_lp", db=database), "nonsense").expect(400)
            client.call("GET", "/ping").expect(200)
            client.call("OPTIONS", "/x").expect(204)
    stage.read(database, "SELECT count(*) AS n FROM m", [{"n": 5}])
