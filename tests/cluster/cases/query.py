"""Queries of each kind and in each format, answered by the nodes that can."""
import http.client
import json
from urllib.parse import urlencode

from harness.client import target
from harness.waiting import PATIENCE_SECONDS, eventually
from cluster.lib.stage import PLUGIN_NODES
from cluster.lib.stage import full as stage

QUERY_NODES = ("query-01",) + PLUGIN_NODES


def two_rows(stage):
    """A database with two rows that are visible on every query node."""
    database = stage.database()
    stage.write(database, "t,k=a v=1i 1700000001000000000\nt,k=b v=2i 1700000002000000000\n").expect(204)
    for node_id in QUERY_NODES:
        stage.read(database, "SELECT count(*) AS n FROM t", [{"n": 2}], headers={"X-Sluice-Node": node_id})
    return database


def query(stage, database, form, method="GET"):
    text = "SELECT k, v FROM t ORDER BY k"
    if method == "GET":
        return stage.call("GET", target("/api/v3/query_sql", db=database, q=text, format=form)).expect(200)
    return stage.call("POST", "/api/v3/query_sql", json.dumps({"db": database, "q": text, "format": form}),
                      {"Content-Type": "application/json"}).expect(200)


def test_json(stage):
    database = two_rows(stage)
    for method in ("GET", "POST"):
        answer = query(stage, database, "json", method)
        assert answer.json == [{"k": "a", "v": 1}, {"k": "b", "v": 2}], answer.text
        assert answer.node in QUERY_NODES, answer.node


def test_json_lines(stage):
    answer = query(stage, two_rows(stage), "jsonl")
    assert answer.text.splitlines() == ['{"k":"a","v":1}', '{"k":"b","v":2}'], answer.text


def test_csv(stage):
    answer = query(stage, two_rows(stage), "csv")
    assert answer.text.splitlines() == ["k,v", "a,1", "b,2"], answer.text
    assert answer.headers["content-type"].startswith("text/csv"), answer.headers


def test_influxql_on_the_v3_path(stage):
    database = two_rows(stage)
    path = target("/api/v3/query_influxql", db=database, q="SELECT v FROM t", format="json")
    rows = stage.call("GET", path).expect(200).json
    assert [row["v"] for row in rows] == [1, 2], rows


def test_v1_query(stage):
    database = two_rows(stage)
    question = {"db": database, "q": "SELECT v FROM t", "epoch": "s"}
    series = stage.call("GET", target("/query", **question)).expect(200).json["results"][0]["series"][0]
    assert series["values"] == [[1700000001, 1], [1700000002, 2]], series
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = stage.call("POST", "/query", urlencode(question), form).expect(200)
    assert answer.json["results"][0]["series"][0] == series, answer.text


def test_v1_query_as_csv_and_in_chunks(stage):
    database = two_rows(stage)
    path = target("/query", db=database, q="SELECT v FROM t", epoch="s")
    answer = stage.call("GET", path, headers={"Accept": "application/csv"}).expect(200)
    assert [line.split(",")[-1] for line in answer.text.splitlines()] == ["v", "1", "2"], answer.text
    answer = stage.call("GET", path + "&chunked=true&chunk_size=1").expect(200)
    assert len(answer.text.splitlines()) == 2, answer.text


def test_an_error_of_the_query_passes_through(stage):
    answer = stage.call("GET", target("/api/v3/query_sql", db="no-such-database", q="SELECT 1 FROM t"))
    answer.expect(404)
    assert "database not found" in answer.text and answer.node in QUERY_NODES, answer.text


def test_a_long_result_streams(stage):
    """Rows arrive while later ones are still being made: the node sleeps in the middle of its answer."""
    text = "SELECT CASE WHEN value = 20000 THEN sleep(600000) ELSE value END AS v, repeat('x', 100) AS x " \
           "FROM generate_series(1, 30000)"
    connection = http.client.HTTPConnection(stage.address, timeout=PATIENCE_SECONDS)
    connection.request("GET", target("/api/v3/query_sql", db="_internal", q=text, format="jsonl"))
    response = connection.getresponse()
    assert response.status == 200, response.read()
    assert response.readline().startswith(b'{"v":1,'), "the first row is not there"
    node_id = response.headers["x-sluice-node"]
    connection.close()
    eventually(lambda: any(one["outcome"] == "client_gone" for one in stage.seen(node_id, "/api/v3/query_sql")),
               "the node learns that the client has gone")


def test_a_query_is_asked_again_on_another_node(stage):
    """A node that resets the connection before it answers: reading twice does no harm."""
    for node_id in QUERY_NODES[:2]:
        stage.fault(node_id, reset_after_bytes=0, path="/api/v3/query_sql")
    for _ in range(6):
        answer = stage.call("GET", target("/api/v3/query_sql", db="_internal", q="SELECT 1 AS one", format="json"))
        assert answer.expect(200).node == QUERY_NODES[2], answer.node


def test_a_truncated_answer_never_ends_cleanly(stage):
    """The node dies in the middle of its answer: the client must be able to tell."""
    for node_id in QUERY_NODES:
        stage.fault(node_id, close_after_bytes=5000, path="/api/v3/query_sql")
    text = "SELECT repeat('x', 100) AS x FROM generate_series(1, 1000)"
    for form in ("json", "jsonl", "csv"):
        try:
            answer = stage.call("GET", target("/api/v3/query_sql", db="_internal", q=text, format=form))
            raise AssertionError(f"a clean end after {len(answer.body)} bytes of {form}")
        except (http.client.IncompleteRead, ConnectionResetError):
            pass
