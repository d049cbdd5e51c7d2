"""Queries by Arrow Flight through Sluice's one port, which also takes the writes: the official JavaScript client,
grpc-js and gRPC's C core, in clear text and over TLS."""
import json
import os
import subprocess
import threading

from harness.stages import Skip
from harness.waiting import eventually, timed
from npm import packages
from standin.flightmessages import endpoints_of, message, statement, ticket

from real.lib.programs import CLIENTS, SECONDS, javascript
from real.lib.stage import TOKEN, both_ports as stage  # noqa: F401

OK, CANCELLED, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND, PERMISSION_DENIED = 0, 1, 3, 4, 5, 7
RESOURCE_EXHAUSTED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, UNAUTHENTICATED = 8, 12, 13, 14, 16
BEARER = {"authorization": f"Bearer {TOKEN}"}
QUERY_NODES = {"query-01", "processor-01"}
DEBIAN_PYTHON = "/usr/bin/python3"
ENDLESS = "SELECT value, repeat('x', 100) AS padding FROM generate_series(1, 100000000)"


def trusting(stage):
    """What makes Node.js and its gRPC trust the certificates of the stage."""
    return {"NODE_EXTRA_CA_CERTS": stage.ca, "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": stage.ca}


def query(stage, database, text, url=None, **options):
    return packages.javascript("query.cjs", {"host": url or stage.url, "token": TOKEN, "database": database,
                                             "query": text, **options}, trusting(stage))


def job(stage, method, payload=b"", over_tls=False, **options):
    where = {"address": stage.tls_address, "ca": stage.ca} if over_tls else {"address": stage.address}
    return {"method": method, "message": payload.hex(), "metadata": BEARER, **where, **options}


def grpc(stage, method, payload=b"", **options):
    return packages.javascript("grpc.cjs", job(stage, method, payload, **options))


def do_get(stage, sql, database="_internal", **options):
    return grpc(stage, "DoGet", ticket(database, sql), **options)


def written(stage, url):
    """A database that the official client has written to at this address."""
    database = stage.database()
    assert javascript("v3.cjs", "write", url, TOKEN, database, environment=trusting(stage)) == "written"
    stage.read_back(database, "SELECT count(*) AS n FROM v3", [{"n": 3}])
    return database


def check_written_and_queried(stage, url):
    told = query(stage, written(stage, url), "SELECT number, time, value FROM v3 ORDER BY time", url)
    assert told["count"] == 3, told
    assert [(row["number"], row["value"]) for row in told["rows"]] == [("0", 0), ("1", 1), ("2", 2)], told


def ended(stage, outcome, count=1):
    """Until so many calls have ended like this on the nodes."""
    def matches():
        return [one for calls in stage.calls().values() for one in calls if one["outcome"] == outcome][count - 1:]
    return eventually(matches, f"{count} calls are {outcome}")


# -- the official client


def test_the_official_client_writes_and_queries_at_one_port(stage):
    check_written_and_queried(stage, stage.url)


def test_the_official_client_writes_and_queries_over_tls(stage):
    check_written_and_queried(stage, stage.tls_url)


def test_the_official_client_reads_a_large_result(stage):
    for url in (stage.url, stage.tls_url):
        told = query(stage, "_internal", "SELECT value, repeat('x', 200) AS padding FROM generate_series(1, 100000)",
                     url)
        assert told["count"] == 100000 and told["rows"][999]["value"] == 1000, (url, told["count"], told.get("error"))


def test_the_official_client_hears_the_databases_own_words(stage):
    told = query(stage, "_internal", "SELECT * FROM nowhere")
    assert "table 'public.iox.nowhere' not found" in told["error"]["message"], told
    told = query(stage, "nowhere", "SELECT 1")
    assert "database not found: nowhere" in told["error"]["message"], told


def test_the_queries_of_one_connection_reach_every_query_node(stage):
    told = query(stage, "_internal", "SELECT 1 AS one", times=40)
    assert [one.get("rows") for one in told] == [[{"one": 1}]] * 40, told
    calls = stage.calls()
    assert set(calls) == QUERY_NODES and min(map(len, calls.values())) >= 5, {name: len(one) for name, one in
                                                                              calls.items()}


def test_the_official_clients_timeout_cancels_on_the_node(stage):
    def attempt(scale):
        told = query(stage, "_internal", "SELECT sleep(600000) AS x", timeout_ms=500 * scale)
        assert "rows" not in told, told
        ended(stage, "client_gone")
    timed(attempt)


def test_the_official_client_without_any_query_node(stage):
    stage.lose_query_nodes()
    eventually(lambda: not any(stage.sluice.node_states()[name]["usable"] for name in QUERY_NODES), "Sluice knows")
    told = query(stage, "_internal", "SELECT 1 AS one")
    assert "no usable node can serve this request" in told["error"]["message"], told


def test_goaway_from_the_nodes_loses_no_query(stage):
    """The nodes send their clients away, again and again, while these ask."""
    stop = threading.Event()
    told_connections = []

    def send_away():
        while not stop.wait(0.05):
            told_connections.extend(stage.cluster.control(node_id).goaway()["told"] for node_id in QUERY_NODES)
    thread = threading.Thread(target=send_away)
    thread.start()
    try:
        told = query(stage, "_internal", "SELECT value, sleep(1) AS x FROM generate_series(1, 20)", times=60)
    finally:
        stop.set()
        thread.join()
    assert [one["count"] for one in told] == [20] * 60, told
    assert sum(told_connections) > 0, "the nodes had nobody to send away"


# -- single calls


def test_metadata_trailers_and_headers_pass(stage):
    for over_tls in (False, True):
        told = do_get(stage, "SELECT 1 AS one", over_tls=over_tls, metadata={**BEARER, "x-trace": ["a", "b"]})
        assert (told["code"], len(told["sizes"])) == (OK, 2), told
        assert "x-influxdata-execution-duration-seconds" in told["trailers"], told
        assert told["metadata"]["content-type"] == ["application/grpc"], told
    seen = [one for calls in stage.calls().values() for one in calls][0]
    fields = [(name.lower(), value) for name, value in seen["headers"]]
    assert seen["version"] == "HTTP/2" and ("te", "trailers") in fields, seen
    assert ("x-trace", "a") in fields and ("x-trace", "b") in fields or ("x-trace", "a, b") in fields, seen


def test_statuses_of_the_node_pass_as_they_are(stage):
    jobs = [job(stage, "DoGet", ticket("_internal", "SELECT * FROM nowhere")),
            job(stage, "DoGet", ticket("nowhere", "SELECT 1")), job(stage, "ListFlights"),
            job(stage, "DoGet", ticket("_internal", "SELECT 1"), metadata={"authorization": "Bearer wrong"}),
            job(stage, "DoGet", ticket("_internal", "SELECT 1"), metadata={})]
    told = packages.javascript("grpc.cjs", jobs)
    assert [one["code"] for one in told] == [INVALID_ARGUMENT, NOT_FOUND, UNIMPLEMENTED, PERMISSION_DENIED,
                                             UNAUTHENTICATED], told
    assert told[1]["details"] == "database not found: nowhere", told[1]


def test_flight_sql_as_grafana_does_it(stage):
    metadata = {**BEARER, "database": "_internal"}
    told = grpc(stage, "GetFlightInfo", statement("SELECT count(*) AS n FROM system.nodes"), metadata=metadata)
    assert told["code"] == OK, told
    (handle, locations), = endpoints_of(bytes.fromhex(told["messages"][0]))
    assert locations == 0
    told = grpc(stage, "DoGet", message((1, handle)), metadata=metadata)
    assert (told["code"], len(told["sizes"])) == (OK, 2), told


def test_handshake_is_answered_while_the_client_still_talks(stage):
    for over_tls in (False, True):
        told = grpc(stage, "Handshake", over_tls=over_tls)
        assert (told["code"], told["sizes"]) == (OK, [0]), told
        assert told["metadata"]["authorization"] == [BEARER["authorization"]], told


def test_messages_are_passed_on_when_they_come(stage):
    """The schema at once, the empty batches of a node that has nothing to say, and the rows last."""
    def attempt(scale):
        for node_id in QUERY_NODES:
            stage.cluster.control(node_id).clear()
            stage.fault(node_id, first_batch_delay_ms=1100 * scale)
        told = do_get(stage, "SELECT 1 AS one")
        assert told["code"] == OK and len(told["sizes"]) >= 5, told
        assert told["times_ms"][0] < 600 * scale and told["times_ms"][-1] >= 1000 * scale, told["times_ms"]
    timed(attempt)


def test_cancelling_reaches_the_node(stage):
    told = do_get(stage, ENDLESS, cancel_after=3)
    assert told["code"] == CANCELLED, told
    ended(stage, "client_gone")


def test_a_clients_deadline_reaches_the_node(stage):
    def attempt(scale):
        told = do_get(stage, "SELECT sleep(600000) AS x", deadline_ms=300 * scale)
        assert told["code"] == DEADLINE_EXCEEDED, told
        ended(stage, "client_gone")
    timed(attempt)


def test_a_timeout_ends_the_call(stage):
    """Written by hand, for grpc-js would give up by itself. Whether Sluice or the node is first, the query is over."""
    def attempt(scale):
        told = do_get(stage, "SELECT sleep(600000) AS x", metadata={**BEARER, "grpc-timeout": f"{400 * scale}m"})
        assert told["code"] in (DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED), told
        ended(stage, "client_gone")
    timed(attempt)


def test_a_query_whose_node_dies_is_no_complete_query(stage):
    """Killed before its first byte, another node would rightly be asked, so it goes when some of the answer is out."""
    for node_id in QUERY_NODES:
        stage.fault(node_id, reset_after_bytes=2000)
    told = do_get(stage, ENDLESS)
    assert told["code"] in (UNAVAILABLE, INTERNAL) and told["sizes"], {**told, "messages": None, "times_ms": None}


def test_no_query_node_is_unavailable_in_trailers_only(stage):
    stage.lose_query_nodes()
    eventually(lambda: not any(stage.sluice.node_states()[name]["usable"] for name in QUERY_NODES), "Sluice knows")
    told = do_get(stage, "SELECT 1")
    assert (told["code"], told["metadata"], told["sizes"]) == (UNAVAILABLE, None, []), told
    assert told["details"] == "no usable node can serve this request at the moment", told


# -- gRPC's C core


def c_core(stage, sql, over_tls=False, **options):
    path = CLIENTS / "grpcio.py"
    if not os.path.exists(DEBIAN_PYTHON):
        raise Skip("this is not Debian")
    work = job(stage, "DoGet", ticket("_internal", sql), over_tls=over_tls, **options)
    result = subprocess.run([DEBIAN_PYTHON, str(path)], input=json.dumps(work), capture_output=True, text=True,
                            timeout=SECONDS)
    if "No module named 'grpc'" in result.stderr:
        raise Skip("python3-grpcio is not installed")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_c_core_reads_a_result(stage):
    for over_tls in (False, True):
        told = c_core(stage, "SELECT value, repeat('x', 1000) AS padding FROM generate_series(1, 20000)", over_tls)
        assert told["code"] == "OK" and sum(told["sizes"]) > 20_000_000, (over_tls, told["code"], told["details"])
        assert "x-influxdata-execution-duration-seconds" in told["trailers"], told["trailers"]


def test_c_core_hears_statuses(stage):
    told = c_core(stage, "SELECT * FROM nowhere")
    assert told["code"] == "INVALID_ARGUMENT" and "'public.iox.nowhere' not found" in told["details"], told


def test_c_core_keeps_to_its_deadline(stage):
    def attempt(scale):
        told = c_core(stage, "SELECT sleep(600000) AS x", timeout=0.4 * scale)
        assert told["code"] in ("DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"), told
        ended(stage, "client_gone")
    timed(attempt)


def test_c_core_cancels(stage):
    told = c_core(stage, ENDLESS, cancel_after=2)
    assert told["code"] == "CANCELLED", told
    ended(stage, "client_gone")
