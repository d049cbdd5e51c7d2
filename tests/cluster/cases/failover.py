"""Nodes go and come back; Sluice is never restarted."""
import threading

from harness.client import Client, call, target
from harness.waiting import PATIENCE_SECONDS, eventually
from cluster.lib.stage import INGESTERS, PLUGIN_NODES
from cluster.lib.stage import full as stage

QUERY_PATH = target("/api/v3/query_sql", db="_internal", q="SELECT 1 AS one", format="json")


def other(node_id):
    return INGESTERS[1 - INGESTERS.index(node_id)]


def test_the_other_ingest_node_takes_over_and_hands_back(stage):
    database = stage.database()
    gone = stage.write(database, "m v=1i 1").expect(204).node
    stage.cluster.kill(gone)
    for number in range(2, 12):
        answer = stage.write(database, f"m v={number}i {number}").expect(204)
        assert answer.node == other(gone), answer.node
    stage.cluster.restart(gone)
    eventually(lambda: stage.write(database, "m v=0i 1").expect(204).node == gone, f"{gone} takes writes again")
    stage.read(database, "SELECT count(*) AS n FROM m", [{"n": 11}])


def test_no_ingest_node_is_a_503_at_once(stage):
    for node_id in INGESTERS:
        stage.cluster.kill(node_id)
    for path, parameter in (("/api/v3/write_lp", "db"), ("/api/v2/write", "bucket"), ("/write", "db")):
        answer = stage.call("POST", target(path, **{parameter: "d"}), "m v=1i 1").expect(503)
        assert answer.reason == "Service Unavailable", answer.reason
        fields = answer.json
        assert fields["code"] == "unavailable" and fields["error"] == fields["message"], fields
        assert fields["error_code"].startswith("router_") and "data" not in fields, fields
        assert "retry-after" not in answer.headers, answer.headers
        assert (answer.headers.get("x-influxdb-error") == fields["error"]) == (path == "/write"), answer.headers
    # Queries go on, so Sluice is ready; not for writes, though.
    stage.call("GET", QUERY_PATH).expect(200)
    eventually(lambda: stage.call("GET", "/ready?class=write").status == 503, "/ready says 503")
    stage.call("GET", "/ready").expect(200)
    assert stage.call("GET", "/health").expect(200).json["write"] is False


def test_an_upload_that_nobody_takes_hears_the_503(stage):
    """The answer comes while the client still sends, in chunks and with a length: it must get to read it."""
    for node_id in INGESTERS:
        stage.cluster.kill(node_id)
    lines = "".join(f"m,n={number} v={number}i 1\n" for number in range(200000))
    for framing in ({}, {"chunked": True}):
        big = lines if not framing else lines[:400000]
        answer = stage.call("POST", target("/api/v3/write_lp", db="d"), big, **framing).expect(503)
        assert answer.json["code"] == "unavailable", answer.text


def test_a_lone_surviving_query_node_answers(stage):
    """The process,query nodes take what the query node cannot; without any of them it is a 503 at once."""
    stage.cluster.kill("query-01")
    for _ in range(8):
        assert stage.call("GET", QUERY_PATH).expect(200).node in PLUGIN_NODES
    for node_id in PLUGIN_NODES:
        stage.cluster.kill(node_id)
    answer = stage.call("GET", QUERY_PATH).expect(503)
    assert answer.json["code"] == "unavailable", answer.text
    answer = stage.call("GET", target("/query", q="SHOW DATABASES")).expect(503)
    assert answer.headers["x-influxdb-error"] == answer.json["error"], answer.headers


def test_a_node_that_is_not_ready_gets_no_writes(stage):
    """/ready says 503 though writes would work: only the probe can know."""
    stage.fault("ingester-01", not_ready=True)
    stage.sluice.wait_usable(False, "ingester-01")
    assert {stage.write("d", "m v=1i 1").expect(204).node for _ in range(6)} == {"ingester-02"}
    stage.cluster.control("ingester-01").clear()
    stage.sluice.wait_usable(True, "ingester-01")
    assert {stage.write("d", "m v=1i 1").expect(204).node for _ in range(8)} == set(INGESTERS)


def test_a_closed_wal_moves_a_write_to_the_other_node(stage):
    """A node that shuts down refuses writes while its listener is open; the v2 path says that with a 400, on which
    clients drop data. Each node in turn, because two releases word it differently."""
    for closed in INGESTERS:
        database = stage.database()
        stage.fault(closed, wal_shutdown=True)
        for path, parameter in (("/api/v2/write", "bucket"), ("/api/v3/write_lp", "db"), ("/write", "db")):
            for number in range(4):
                answer = stage.call("POST", target(path, **{parameter: database}), f"m,p={path} v=1i {number + 1}")
                assert answer.expect(204).node == other(closed), answer.node
        assert stage.seen(closed, "/api/v2/write"), f"{closed} was never asked: the test shows nothing"
        stage.read(database, "SELECT count(*) AS n FROM m", [{"n": 12}])
        stage.cluster.control(closed).clear()


def test_both_wals_closed_is_a_503_and_never_a_400(stage):
    for node_id in INGESTERS:
        stage.fault(node_id, wal_shutdown=True)
    answer = stage.call("POST", target("/api/v2/write", bucket="d"), "m v=1i 1").expect(503)
    assert answer.json["code"] == "unavailable", answer.text


def test_a_named_node_that_is_down_is_not_replaced(stage):
    stage.cluster.kill("ingester-01")
    stage.write("d", "m v=1i 1", {"X-Sluice-Node": "ingester-01"}).expect(503)
    stage.write("d", "m v=1i 1", {"X-Sluice-Node": "ingester-02"}).expect(204)


def test_a_kept_alive_client_does_not_notice(stage):
    """One connection through the death and the return of the node that serves it."""
    database = stage.database()
    with Client(stage.address) as client:
        write = target("/api/v3/write_lp", db=database)
        gone = client.call("POST", write, "m v=1i 1").expect(204).node
        stage.cluster.kill(gone)
        for number in range(2, 8):
            client.call("POST", write, f"m v={number}i {number}").expect(204)
        port = client.connection.sock.getsockname()[1]
        stage.cluster.restart(gone)
        eventually(lambda: client.call("POST", write, "m v=0i 1").expect(204).node == gone, f"{gone} is back")
        assert client.connection.sock.getsockname()[1] == port, "the connection was closed in between"


def test_draining_finishes_what_runs(stage):
    """SIGTERM to Sluice with a query under way: the client gets all of it, then Sluice ends with status 0."""
    text = "SELECT sleep(300) AS s, value AS v FROM generate_series(1, 3)"
    path = target("/api/v3/query_sql", db="_internal", q=text, format="json")
    answers = []
    thread = threading.Thread(target=lambda: answers.append(call(stage.address, "GET", path)))
    thread.start()
    eventually(lambda: any(node["outstanding"] for node in stage.sluice.node_states().values()), "the query is under way")
    stage.sluice.stop()
    thread.join(PATIENCE_SECONDS)
    try:
        assert answers and answers[0].expect(200).json[-1]["v"] == 3, answers
    finally:
        stage.sluice.start()
