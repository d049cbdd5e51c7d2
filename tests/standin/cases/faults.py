"""Faults on demand, what is recorded of the requests, and the request triggers of a process node."""
import json
import socket
import time
import unittest

from harness.client import call
from harness.waiting import PATIENCE_SECONDS, eventually
from standin.cases.modes import layout
from standin.cluster import FAST, Cluster
from standin.lib.support import RawConnection, write

GET_HEALTH = b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n"


class FaultsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        trigger = ["--trigger", "slow=slow", "--trigger", "write=write", "--trigger", "echo=echo@nodes:other,node"]
        cls.cluster = Cluster(layout=layout({"node": "process,query", "writer": "ingest"}), node_options=FAST,
                              options_of={"node": trigger}, writeback="127.0.0.1:0")
        cls.cluster.start()
        cls.addClassCleanup(cls.cluster.stop)
        cls.address, cls.control = cls.cluster.address("node"), cls.cluster.control("node")

    def setUp(self):
        self.control.clear()
        self.addCleanup(self.control.clear)

    def exchange(self, request=GET_HEALTH):
        """(bytes, how the connection ended) of one request on a fresh connection."""
        with RawConnection(self.address) as raw:
            raw.send(request)
            return raw.rest()

    def test_status_for_a_number_of_requests_on_one_path(self):
        self.control.fault({"fault": "status", "status": 503, "body": {"error": "busy"}, "path": "/health",
                            "headers": {"x-a": "b"}, "count": 2})
        self.assertEqual(call(self.address, "GET", "/ready").status, 200)
        for _ in range(2):
            answer = call(self.address, "GET", "/health")
            self.assertEqual((answer.status, answer.text, answer.headers["x-a"]), (503, '{"error": "busy"}', "b"))
            self.assertIn("cluster-uuid", answer.headers)
        self.assertEqual(call(self.address, "GET", "/health").status, 200)

    def test_after_handling_the_database_has_the_write(self):
        writer = self.cluster.control("writer")
        self.addCleanup(writer.clear)
        writer.fault({"status": 500, "after_handling": True, "count": 1})
        address = self.cluster.address("writer")
        self.assertEqual(write(address, "after", "m v=1 1").status, 500)
        query = "/api/v3/query_sql?db=after&q=select+v+from+m"
        eventually(lambda: call(self.address, "GET", query).text == '[{"v":1.0}]')

    def test_cut_answers(self):
        for effect, count, end in (("reset_after_bytes", 0, "reset"), ("reset_after_bytes", 20, "reset"),
                                   ("close_after_bytes", 0, "closed"), ("close_after_bytes", 20, "closed")):
            with self.subTest(effect=effect, count=count):
                self.control.fault({effect: count, "count": 1})
                received, how = self.exchange()
                self.assertEqual((len(received), how), (count, end))

    def test_stalls(self):
        for effect, received in (({"fault": "stall"}, 0), ({"stall_after_bytes": 12}, 12)):
            with self.subTest(effect=effect), RawConnection(self.address) as raw:
                self.control.fault({**effect, "count": 1})
                raw.send(GET_HEALTH)
                eventually(lambda: self.control.seen(path="/health")["requests"][-1]["outcome"] == "fault:stall")
                raw.socket.settimeout(0.05)
                with self.assertRaises(TimeoutError):
                    raw.rest()
                self.assertEqual(len(raw.received), received)

    def test_an_unread_body_pushes_back(self):
        self.control.fault({"fault": "stall_unread", "count": 1})
        with RawConnection(self.address) as raw:
            raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
            raw.socket.settimeout(0.3)
            with self.assertRaises(TimeoutError):
                raw.send(b"POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: 100000000\r\n\r\n" + bytes(50_000_000))

    def test_slow_reading_takes_its_time(self):
        self.control.fault({"slow_read_bytes_per_second": 100_000, "count": 1})
        started = time.monotonic()
        self.assertEqual(call(self.address, "POST", "/x", bytes(30_000)).status, 404)
        self.assertGreater(time.monotonic() - started, 0.25)

    def test_reset_while_the_body_is_sent(self):
        self.control.fault({"reset_after_request_bytes": 1000, "count": 1})
        self.assertEqual(self.exchange(b"POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: 5000\r\n\r\n" + bytes(2000)),
                         (b"", "reset"))
        seen = self.control.seen()["requests"][-1]
        self.assertEqual((seen["complete"], seen["outcome"]), (False, "fault:reset"))

    def test_early_answer_then_the_rest_of_the_body(self):
        self.control.fault({"early_status": 413, "body": "no", "count": 1})
        with RawConnection(self.address) as raw:
            raw.send(b"POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: 3000\r\n\r\n")
            self.assertIn(b" 413 ", raw.until(b"\r\n\r\nno"))
            raw.send(bytes(3000))
            self.assertEqual(raw.rest(), (b"", "closed"))
        eventually(lambda: self.control.seen()["requests"][-1]["complete"])

    def test_interim_raw_and_close_after_response(self):
        self.control.fault({"interim": [103], "close_after_response": True, "count": 1})
        received, end = self.exchange()
        self.assertTrue(received.startswith(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n"))
        self.assertNotIn(b"connection: close", received)
        self.assertEqual(end, "closed")
        self.control.fault({"raw": "HTTP/1.1 200 OK\r\nbroken", "count": 1})
        self.assertEqual(self.exchange(), (b"HTTP/1.1 200 OK\r\nbroken", "closed"))

    def test_generated_bodies(self):
        for chunked, name in ((False, "content-length"), (True, "transfer-encoding")):
            self.control.fault({"generate_bytes": 5_000_001, "chunked": chunked, "count": 1})
            answer = call(self.address, "GET", "/x")
            self.assertEqual(len(answer.body), 5_000_001)
            self.assertIn(name, answer.headers)

    def test_refusing_connections_and_coming_back(self):
        self.control.fault({"fault": "refuse"})
        with self.assertRaises(ConnectionRefusedError):
            call(self.address, "GET", "/health")
        self.control.clear()
        self.assertEqual(call(self.address, "GET", "/health").status, 200)

    def test_listening_without_serving(self):
        self.control.fault({"fault": "no_accept"})
        with RawConnection(self.address) as raw:
            raw.send(GET_HEALTH)
            raw.socket.settimeout(0.05)
            with self.assertRaises(TimeoutError):
                raw.rest()
            raw.socket.settimeout(PATIENCE_SECONDS)
            self.control.clear()
            self.assertIn(b" 200 OK", raw.until(b"\r\n\r\nOK"))

    def test_node_states(self):
        writer, address = self.cluster.control("writer"), self.cluster.address("writer")
        self.addCleanup(writer.clear)
        writer.fault({"wal_shutdown": True, "not_ready": True})
        self.assertEqual(write(address, "d", "m v=1").status, 503)
        self.assertEqual(call(address, "GET", "/ready").status, 503)
        self.assertEqual(call(address, "GET", "/health").status, 200)
        writer.clear()
        self.assertEqual(write(address, "d", "m v=1").status, 204)

    def test_bad_faults_are_explained(self):
        for fields in ({"fault": "bogus"}, {"status": "503"}, {"fault": "reset_after_bytes"}, {}):
            with self.subTest(fields=fields), self.assertRaisesRegex(Exception, "400"):
                self.control.fault(fields)

    def test_what_was_seen(self):
        call(self.address, "POST", "/a?b=c", "12345", {"X-Test": "yes"})
        call(self.address, "GET", "/a")
        seen = self.control.seen(path="/a")
        self.assertEqual((seen["total"], seen["counts"]), (2, {"POST /a": 1, "GET /a": 1}))
        first = seen["requests"][0]
        self.assertEqual((first["method"], first["query"], first["body_bytes"], first["status"], first["outcome"]),
                         ("POST", "b=c", 5, 404, "answered"))
        self.assertEqual(first["body_sha256"], "5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5")
        self.assertIn(["X-Test", "yes"], first["headers"])
        self.assertNotIn("requests", self.control.seen(summary="true"))

    def test_request_triggers(self):
        answer = call(self.address, "POST", "/api/v3/engine/echo?a=1&a=2", "body", {"Authorization": "Bearer x"})
        fields = json.loads(answer.body)
        self.assertEqual((fields["query"], fields["body"]), ({"a": "2"}, "body"))
        self.assertNotIn("authorization", fields["headers"])
        self.assertEqual(json.loads(call(self.address, "GET", "/api/v3/engine/slow?ms=1").body)["node_id"], "node")
        self.assertEqual(call(self.address, "POST", "/api/v3/engine/write?db=x", "m v=1").status, 500)
        bad = b"GET /api/v3/engine/echo HTTP/1.1\r\nhost: x\r\nx: \xff\r\n\r\n"
        self.assertEqual(self.exchange(bad), (b"", "closed"))

    def test_triggers_from_the_catalog(self):
        route = "/api/v3/configure/processing_engine_trigger"
        call(self.address, "POST", "/api/v3/configure/database", '{"db":"trig"}')
        definition = {"db": "trig", "plugin_filename": "echo.py", "trigger_name": "t",
                      "trigger_specification": "request:made", "disabled": False, "node_spec": "all"}
        self.assertEqual(call(self.address, "POST", route, json.dumps(definition)).status, 500)
        plugin = '{"plugin_name":"echo.py","content":"pass"}'
        self.assertEqual(call(self.address, "POST", "/api/v3/plugins/files", plugin).status, 200)
        wrong = json.dumps({**definition, "node_spec": "nodes:nobody"})
        answer = call(self.address, "POST", route, wrong)
        self.assertEqual((answer.status, answer.text), (500, "invalid node name (nobody)"))
        self.assertEqual(call(self.address, "POST", route, json.dumps(definition)).status, 200)
        self.assertEqual(call(self.address, "POST", route, json.dumps(definition)).status, 409)
        self.assertEqual(call(self.address, "GET", "/api/v3/engine/made").status, 200)
        self.assertEqual(call(self.address, "POST", route + "/disable?db=trig&trigger_name=t").status, 200)
        self.assertEqual(call(self.address, "GET", "/api/v3/engine/made").text, '{error: "not found"}')
        self.assertEqual(call(self.address, "DELETE", route + "?db=trig&trigger_name=t").status, 200)
        outside = '{"plugin_name":"../echo.py","content":"pass"}'
        self.assertEqual(call(self.address, "POST", "/api/v3/plugins/files", outside).status, 400)
