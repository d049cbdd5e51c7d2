"""Arrow Flight on a node: the official client, and single gRPC calls with what they say at their ends."""
import json
import threading
import unittest

from harness.client import call
from harness.waiting import PATIENCE_SECONDS, eventually, timed
from npm.packages import javascript
from standin.cases.modes import layout
from standin.cluster import FAST, Cluster
from standin.flightmessages import SERVICE, endpoints_of, fields_of, message, packed, statement, ticket
from standin.lib.support import write

OK, INVALID_ARGUMENT, NOT_FOUND, PERMISSION_DENIED, RESOURCE_EXHAUSTED = 0, 3, 5, 7, 8
UNIMPLEMENTED, INTERNAL, UNAVAILABLE, UNAUTHENTICATED = 12, 13, 14, 16
CANCELLED = 1
LINES = ('m,host=a b=true,f=1.5,i=9007199254740993i,s="x\u00e4",u=18446744073709551615u 1700000000123456789\n'
         "m,host=b f=2 1700000001000000000")
NODES = {"node": "ingest,query", "ingest": "ingest", "compact": "compact"}


def job(address, method, payload=b"", **options):
    return {"address": address, "method": method, "message": payload.hex(), **options}


def grpc(address, method, payload=b"", **options):
    return javascript("grpc.cjs", job(address, method, payload, **options))


class FlightTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(layout=layout(NODES), node_options=[*FAST, "--flight-keep-alive", "100ms"],
                              http2=True).start()
        cls.addClassCleanup(cls.cluster.stop)
        cls.address, cls.control = cls.cluster.address("node"), cls.cluster.control("node")
        assert write(cls.address, "d", LINES.encode()).status == 204
        count = "/api/v3/query_sql?db=d&q=select+count(*)+as+n+from+m"
        eventually(lambda: call(cls.address, "GET", count).text == '[{"n":2}]')

    def setUp(self):
        self.control.clear()
        self.addCleanup(self.control.clear)

    def get(self, sql, database="d", query_type="sql", node="node", **options):
        return grpc(self.cluster.address(node), "DoGet", ticket(database, sql, query_type), **options)

    def seen(self, method="DoGet"):
        return self.control.seen(path=SERVICE + method)["requests"]

    def assert_left(self):
        """The node has seen the last call, and that its client has gone."""
        self.assertTrue(self.seen())
        eventually(lambda: self.seen()[-1]["outcome"] == "client_gone")

    def query(self, text, **options):
        return javascript("query.cjs", {"host": f"http://{self.address}", "database": "d", "query": text, **options})

    # -- the official client

    def test_the_official_client_reads_what_was_written(self):
        told = self.query("SELECT * FROM m ORDER BY time")
        self.assertEqual(told["count"], 2, told)
        first, second = told["rows"]
        self.assertEqual((first["b"], first["f"], first["host"], first["s"]), (True, 1.5, "a", "x\u00e4"))
        self.assertEqual((second["b"], second["i"], second["f"], second["host"]), (None, None, 2, "b"))
        self.assertEqual(second["time"], 1700000001000)

    def test_the_official_client_knows_tags_from_fields(self):
        told = self.query("SELECT host, f, i, time FROM m ORDER BY time", points=True)
        self.assertEqual(told["count"], 2, told)
        self.assertEqual(told["rows"], ["points,host=a f=1.5,i=9007199254740992i 1700000000123",
                                        "points,host=b f=2 1700000001000"])

    def test_the_official_client_with_parameters_and_influxql(self):
        told = self.query("SELECT f FROM m WHERE host = $host", params={"host": "b"})
        self.assertEqual(told["rows"], [{"f": 2}], told)
        told = self.query("SELECT sum(f) FROM m", type="influxql")
        self.assertEqual([row["sum"] for row in told["rows"]], [3.5], told)

    def test_the_official_client_hears_what_is_wrong(self):
        told = self.query("SELECT * FROM nowhere")
        self.assertIn("table 'public.iox.nowhere' not found", told["error"]["message"])

    def test_the_official_client_reads_many_batches(self):
        told = self.query("SELECT value FROM generate_series(1, 100000)")
        self.assertEqual((told["count"], told["rows"][999]), (100000, {"value": 1000}))

    def test_the_official_clients_timeout_cancels(self):
        """Leaving its iteration does not: it reads the rest of the answer."""
        def attempt(scale):
            told = self.query("SELECT value, sleep(1) AS x FROM generate_series(1, 1000000)", timeout_ms=300 * scale)
            self.assertRegex(told["error"]["message"], "Deadline exceeded|grpc-timeout elapsed")
            self.assert_left()
        timed(attempt)

    # -- calls

    def test_a_query_ends_with_trailers(self):
        told = self.get("select 1 as one", metadata={"x-a": "b"})
        self.assertEqual((told["code"], len(told["sizes"]), told["metadata"]["content-type"]),
                         (OK, 2, ["application/grpc"]))
        self.assertIn("x-influxdata-execution-duration-seconds", told["trailers"])
        seen = self.seen()[-1]
        self.assertEqual((seen["grpc_status"], seen["version"], seen["call"]["sql_query"]),
                         (OK, "HTTP/2", "select 1 as one"))
        self.assertIn(["x-a", "b"], seen["headers"])
        eventually(lambda: self.seen()[-1]["http2_end"] == "completed")

    def test_large_results_come_in_batches_below_the_clients_limit(self):
        told = self.get("select value, repeat('x', 1000) as padding from generate_series(1, 20000)")
        self.assertEqual(told["code"], OK)
        self.assertGreater(len(told["sizes"]), 20)
        self.assertGreater(sum(told["sizes"]), 20_000_000)
        self.assertLess(max(told["sizes"]), 4 << 20)

    def test_an_empty_result_has_its_schema(self):
        told = self.get("select * from m where host = 'nobody'")
        self.assertEqual((told["code"], len(told["sizes"])), (OK, 1))
        self.assertIn(b"timestamp", bytes.fromhex(told["messages"][0]))

    def test_flight_sql_as_grafana_does_it(self):
        metadata = {"database": "d"}
        told = grpc(self.address, "GetFlightInfo", statement("select count(*) as n from m"), metadata=metadata)
        self.assertEqual(told["code"], OK, told)
        (handle, locations), = endpoints_of(bytes.fromhex(told["messages"][0]))
        self.assertEqual(locations, 0)
        told = grpc(self.address, "DoGet", message((1, handle)), metadata=metadata)
        self.assertEqual((told["code"], len(told["sizes"])), (OK, 2))

    def test_prepared_statements(self):
        action = message((1, "CreatePreparedStatement"),
                         (2, packed("ActionCreatePreparedStatementRequest", (1, "select f from m"))))
        told = grpc(self.address, "DoAction", action, metadata={"database": "d"})
        self.assertEqual(told["code"], OK, told)
        result = dict(fields_of(dict(fields_of(bytes.fromhex(told["messages"][0])))[1]))
        handle = dict(fields_of(result[2]))[1]
        descriptor = message((1, 2), (2, packed("CommandPreparedStatementQuery", (1, handle))))
        told = grpc(self.address, "GetFlightInfo", descriptor)
        self.assertEqual(told["code"], OK, told)
        (handle, _), = endpoints_of(bytes.fromhex(told["messages"][0]))
        self.assertEqual(grpc(self.address, "DoGet", message((1, handle)))["code"], OK)
        told = grpc(self.address, "DoAction", message((1, "ClosePreparedStatement")))
        self.assertEqual((told["code"], told["sizes"]), (OK, []))

    def test_handshake_answers_while_the_client_is_still_talking(self):
        told = grpc(self.address, "Handshake", metadata={"authorization": "Token abc"})
        self.assertEqual((told["code"], told["metadata"]["authorization"], told["sizes"]), (OK, ["Bearer abc"], [0]))

    def test_what_is_not_there(self):
        methods = ("GetSchema", "ListFlights", "PollFlightInfo", "DoExchange", "DoPut", "Nonsense")
        told = javascript("grpc.cjs", [job(self.address, method) for method in methods])
        self.assertEqual([one["code"] for one in told], [UNIMPLEMENTED] * 6, told)

    def test_what_is_wrong(self):
        cases = [("nope", "select 1", "sql", NOT_FOUND, "database not found: nope"),
                 ("d", "select * from nowhere", "sql", INVALID_ARGUMENT, "'public.iox.nowhere' not found"),
                 ("d", "selec 1", "sql", INVALID_ARGUMENT, "planning"),
                 ("d", "select 1", "flux", INVALID_ARGUMENT, "unknown query type"),
                 ("d", "select * from", "influxql", INVALID_ARGUMENT, "InfluxQL")]
        told = javascript("grpc.cjs", [job(self.address, "DoGet", ticket(*case[:3])) for case in cases])
        for (database, sql, _, code, text), one in zip(cases, told):
            with self.subTest(sql=sql, database=database):
                self.assertEqual((one["code"], one["metadata"], one["sizes"]), (code, None, []), one)
                self.assertIn(text, one["details"])
        payloads = (message((1, "{}")), message((1, "{")), b"\xff\xff")
        told = javascript("grpc.cjs", [job(self.address, "DoGet", payload) for payload in payloads])
        self.assertEqual([one["code"] for one in told], [INVALID_ARGUMENT, INVALID_ARGUMENT, INTERNAL], told)

    def test_databases_in_the_metadata_must_agree(self):
        cases = (({"database": "d"}, OK), ({"bucket": "d", "iox-namespace-name": "d"}, OK),
                 ({"database": "d", "bucket": "e"}, INVALID_ARGUMENT), ({}, INVALID_ARGUMENT))
        told = javascript("grpc.cjs", [job(self.address, "GetFlightInfo", statement("select 1 as one"),
                                           metadata=metadata) for metadata, _ in cases])
        self.assertEqual([one["code"] for one in told], [code for _, code in cases], told)
        self.assertEqual(self.get("select 1 as one", metadata={"bucket-name": "e"})["code"], INVALID_ARGUMENT)

    def test_a_query_that_fails_midway(self):
        told = self.get("select case when value = 9000 then raise_error('x') else value end as v "
                        "from generate_series(1, 20000)")
        self.assertEqual(told["code"], INVALID_ARGUMENT, told)
        self.assertEqual(len(told["sizes"]), 2)

    def test_the_wrong_mode(self):
        told = self.get("select * from m", node="ingest")
        self.assertEqual(told["code"], INTERNAL)
        self.assertIn("Node mode without query cannot retrieve window execs", told["details"])
        told = self.get("select * from m", node="compact")
        self.assertEqual((told["code"], "RST_STREAM" in told["details"]), (INTERNAL, True), told)
        told = self.get("select state from system.nodes", "_internal", node="compact")
        self.assertEqual(told["code"], OK)

    def test_grpc_needs_http2(self):
        answer = call(self.address, "POST", SERVICE + "DoGet", b"", {"content-type": "application/grpc"})
        self.assertEqual(answer.status, 404)

    # -- time

    def test_empty_batches_keep_a_silent_query_warm(self):
        self.control.fault({"first_batch_delay_ms": 550, "path": SERVICE + "*", "count": 1})
        told = self.get("select 1 as one")
        self.assertEqual(told["code"], OK)
        # At least as many as the time has room for, and on a slow machine more time may have passed.
        self.assertIn(len(told["sizes"]), range(5, 9 + told["times_ms"][-1] // 100), told["times_ms"])
        empty = set(told["messages"][1:-1])
        self.assertEqual(len(empty), 1)

    def test_the_official_client_does_not_mind_empty_batches(self):
        self.control.fault({"first_batch_delay_ms": 350, "batch_delay_ms": 250, "path": SERVICE + "*", "count": 1})
        self.assertEqual(self.query("SELECT f FROM m")["count"], 2)

    def test_the_timeout_is_kept_before_and_while_streaming(self):
        for sql, is_streaming in (("select sleep(600000) as x", False),
                                  ("select value, repeat('x', 30000), sleep(1) from generate_series(1, 20000)", True)):
            with self.subTest(sql=sql):
                def attempt(scale):
                    # grpc-js would give up by itself, so the header is written by hand.
                    told = self.get(sql, metadata={"grpc-timeout": f"{300 * scale}m"})
                    self.assertEqual((told["code"], told["details"]), (RESOURCE_EXHAUSTED, "grpc-timeout elapsed"))
                    self.assertGreater(told["took_ms"], 250 * scale)
                    self.assertEqual(len(told["sizes"]) > 1, is_streaming)
                    self.assert_left()
                timed(attempt)

    def test_cancelling_while_planning_and_while_streaming(self):
        def attempt(scale):
            told = self.get("select sleep(600000) as x", deadline_ms=300 * scale)
            self.assertEqual(told["code"], 4)
            self.assert_left()
        timed(attempt)
        told = self.get("select value from generate_series(1, 100000000)", cancel_after=3)
        self.assertEqual(told["code"], CANCELLED)
        eventually(lambda: self.seen()[-1]["outcome"] == "client_gone")
        eventually(lambda: self.seen()[-1]["http2_end"] == "cancelled")

    def test_the_concurrency_limit_makes_calls_wait(self):
        limit = "/api/v3/configure/query_concurrency_limit"
        self.assertEqual(call(self.address, "PUT", limit + "?limit=1&force=true").status, 200)
        try:
            told = self.get("select sleep(200) as x", calls=3)
        finally:
            call(self.address, "DELETE", limit)
        self.assertEqual([one["code"] for one in told], [OK] * 3)
        self.assertGreaterEqual(max(one["took_ms"] for one in told), 600)

    # -- faults

    def test_trailers_only_answers(self):
        self.control.fault({"grpc_status": "UNAVAILABLE", "grpc_message": "not now: 100 % full", "count": 1})
        told = self.get("select 1")
        self.assertEqual((told["code"], told["details"], told["metadata"]), (UNAVAILABLE, "not now: 100 % full", None))

    def test_other_faults_on_calls(self):
        cases = [({"status": 503, "body": "busy"}, UNAVAILABLE), ({"rst_stream": "INTERNAL_ERROR"}, INTERNAL),
                 ({"rst_after_bytes": 50}, INTERNAL), ({"close_after_bytes": 50}, UNAVAILABLE),
                 ({"reset_after_bytes": 0}, UNAVAILABLE)]
        for fault, _ in cases:
            self.control.fault({**fault, "path": SERVICE + "*", "count": 1})
        call = job(self.address, "DoGet", ticket("d", "select value from generate_series(1, 1000)"))
        told = javascript("grpc.cjs", [call] * len(cases))
        self.assertEqual([one["code"] for one in told], [code for _, code in cases], told)

    def test_a_refused_stream_is_repeated_by_the_client(self):
        self.control.fault({"refused_stream": True, "count": 1})
        self.assertEqual(self.get("select 1 as one")["code"], OK)
        self.assertEqual([one["outcome"] for one in self.seen()], ["fault:refused", "answered"])


class FlightAuthTest(unittest.TestCase):
    def test_tokens(self):
        with Cluster(layout=layout({"node": "ingest,query"}), node_options=FAST, http2=True, token="apiv3_t") as cluster:
            address, bearer = cluster.address("node"), {"authorization": "Bearer apiv3_t"}
            self.assertEqual(call(address, "POST", "/api/v3/configure/database", '{"db":"d"}', bearer).status, 200)
            permission = [{"resource_type": "db", "resource_names": ["other"], "actions": ["read"]}]
            answer = call(address, "POST", "/api/v3/enterprise/configure/token",
                          json.dumps({"token_name": "t", "permissions": permission}), bearer)
            other = {"authorization": f"Bearer {json.loads(answer.body)['token']}"}
            select = ticket("d", "select 1 as one")
            cases = (({}, UNAUTHENTICATED), ({"authorization": "Bearer wrong"}, PERMISSION_DENIED),
                     ({"authorization": "nonsense"}, UNAUTHENTICATED), (bearer, OK),
                     ({"authorization": "Token apiv3_t"}, OK), (other, PERMISSION_DENIED))
            told = javascript("grpc.cjs", [job(address, "DoGet", select, metadata=metadata) for metadata, _ in cases])
            self.assertEqual([one["code"] for one in told], [code for _, code in cases], told)
            self.assertEqual(grpc(address, "Handshake")["code"], UNAUTHENTICATED)
            told = javascript("query.cjs", {"host": f"http://{address}", "database": "d", "token": "apiv3_t",
                                            "query": "select 1 as one"})
            self.assertEqual(told["rows"], [{"one": 1}])


class FlightLifeTest(unittest.TestCase):
    def test_a_stopping_node_finishes_its_queries(self):
        with Cluster(layout=layout({"node": "query"}), node_options=FAST, http2=True) as cluster:
            address, control = cluster.address("node"), cluster.control("node")
            control.fault({"batch_delay_ms": 300})
            told = []
            sql = "select value from generate_series(1, 20000)"
            thread = threading.Thread(target=lambda: told.append(grpc(address, "DoGet", ticket("_internal", sql))))
            thread.start()
            eventually(lambda: control.seen(path=SERVICE + "DoGet")["requests"])
            cluster.kill("node", 15)
            thread.join(PATIENCE_SECONDS)
            self.assertEqual((told[0]["code"], len(told[0]["sizes"])), (OK, 4), told)
