"""The official JavaScript clients for all three APIs, from npm, write through Sluice; SQL tells what has arrived."""
import threading

from harness.client import call, target
from harness.waiting import eventually

from real.lib.programs import javascript, node_modules
from real.lib.stage import TOKEN, clients as stage  # noqa: F401

INGESTERS = ("ingester-01", "ingester-02")


def last_write(stage, path):
    """{field: value} of the last write that arrived on a path."""
    seen = [one for node_id in INGESTERS for one in stage.seen(node_id, path)]
    assert seen, f"nothing arrived at {path}"
    sighting = max(seen, key=lambda one: one["at_ms"])
    return {name.lower(): value for name, value in sighting["headers"]}


def sentence(stage, path):
    """What Sluice says at the moment to a write on a path."""
    answer = call(stage.address, "POST", target(path, db="d", bucket="d"), "m v=1i 1").expect(503)
    return answer.json["message"]


def v1(stage, action, database="none"):
    host, port = stage.address.rsplit(":", 1)
    return javascript("v1.cjs", action, host, port, TOKEN, database)


def v2(stage, action, database="none"):
    return javascript("v2.cjs", action, stage.url, TOKEN, database)


def v3(stage, action, database="none"):
    return javascript("v3.cjs", action, stage.url, TOKEN, database)


def counted(table, count):
    return f"SELECT count(*) AS n, sum(value) AS total FROM {table}", [{"n": count, "total": sum(range(count))}]


def test_the_packages_are_installed(stage):
    for name in ("influx", "@influxdata/influxdb-client", "@influxdata/influxdb3-client"):
        assert (node_modules() / name / "package.json").exists(), name


# -- the v2 client


def test_v2_writes_points(stage):
    database = stage.database()
    assert v2(stage, "write", database) == []
    stage.read_back(database, *counted("v2", 3))
    assert last_write(stage, "/api/v2/write")["user-agent"].startswith("influxdb-client-js/")


def test_v2_writes_large_batches_zipped(stage):
    database = stage.database()
    assert v2(stage, "big", database) == []
    stage.read_back(database, *counted("v2", 20000))
    headers = last_write(stage, "/api/v2/write")
    assert headers["content-encoding"] == "gzip" and headers["transfer-encoding"] == "chunked", headers


def test_v2_pings(stage):
    assert v2(stage, "ping").startswith("3.")


def test_v2_hears_of_an_outage_in_sluices_words(stage):
    stage.lose_ingest_nodes()
    failures = v2(stage, "write", stage.database())
    assert [failure["status"] for failure in failures] == [503], failures
    # Which of two sentences depends on whether Sluice has noticed by now.
    assert sentence(stage, "/api/v2/write") in failures[0]["message"] or "the node refused" in failures[0]["message"], \
        failures


def test_v2_survives_an_outage_by_its_own_retries(stage):
    """A 503 is what it keeps data for; with nodes back, all of it is there."""
    database = stage.database()
    stage.lose_ingest_nodes()
    failures = []
    thread = threading.Thread(target=lambda: failures.extend(v2(stage, "retry", database)))
    thread.start()
    eventually(lambda: failed_writes(stage, database) >= 2, "the client has tried again")
    stage.cluster.restart("ingester-02")
    thread.join(30)
    assert len(failures) >= 2 and set(failures) == {503}, failures
    stage.read_back(database, *counted("v2", 3))


def failed_writes(stage, database):
    with open(stage.access_log, encoding="utf-8") as file:
        return sum(f"bucket={database}" in line and " status=503 " in line for line in file)


def test_v2_hears_the_databases_refusal(stage):
    failures = v2(stage, "nonsense", stage.database())
    assert [failure["status"] for failure in failures] == [400], failures
    assert "parsing for line protocol failed" in failures[0]["message"], failures


# -- the v3 client


def test_v3_writes_by_the_v2_path(stage):
    database = stage.database()
    assert v3(stage, "write", database) == "written"
    stage.read_back(database, *counted("v3", 3))
    assert last_write(stage, "/api/v2/write")["authorization"] == f"Token {TOKEN}"


def test_v3_writes_large_batches_zipped(stage):
    database = stage.database()
    assert v3(stage, "big", database) == "written"
    stage.read_back(database, *counted("v3", 20000))
    headers = last_write(stage, "/api/v2/write")
    assert headers["content-encoding"] == "gzip" and headers["transfer-encoding"] == "chunked", headers


def test_v3_writes_without_sync(stage):
    database = stage.database()
    assert v3(stage, "nosync", database) == "written"
    stage.read_back(database, *counted("v3", 3))
    queries = [one["query"] for node_id in INGESTERS for one in stage.seen(node_id, "/api/v3/write_lp")]
    assert len(queries) == 1 and "no_sync=true" in queries[0], queries


def test_v3_learns_the_databases_version(stage):
    assert v3(stage, "version").startswith("3.")


def test_v3_hears_the_databases_refusal(stage):
    refusal = v3(stage, "nonsense", stage.database())
    assert refusal["status"] == 400 and "parsing for line protocol failed" in refusal["message"], refusal


def test_v3_hears_of_an_outage_in_sluices_words(stage):
    stage.lose_ingest_nodes()
    refusal = v3(stage, "write", stage.database())
    assert refusal["status"] == 503, refusal
    assert sentence(stage, "/api/v2/write") in refusal["message"] or "the node refused" in refusal["message"], refusal


# -- the v1 client


def test_v1_writes_and_queries(stage):
    database = stage.database()
    assert v1(stage, "write", database) == "written"
    stage.read_back(database, *counted("v1", 2000))
    assert v1(stage, "query", database) == [[1700000000000, 0], [1700000000001, 1]]
    assert database in v1(stage, "names")


def test_v1_pings(stage):
    answers = v1(stage, "ping")
    assert [one["online"] for one in answers] == [True] and answers[0]["version"].startswith("3."), answers


def test_v1_hears_of_an_outage(stage):
    """Of a 5xx this client shows the reason phrase and nothing else."""
    stage.lose_ingest_nodes()
    assert "Service Unavailable" in v1(stage, "fail", stage.database())["message"]
