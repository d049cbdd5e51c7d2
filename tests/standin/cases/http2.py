"""HTTP/2 on a node's one port: what is relayed, how streams and connections end, the faults, TLS."""
import json
import os
import signal
import subprocess
import tempfile
import threading
import unittest

from harness.client import call, target
from harness.waiting import PATIENCE_SECONDS, eventually, timed
from npm.packages import javascript
from standin.cases.modes import layout
from standin.certificates import Authority
from standin.cluster import FAST, Cluster
from standin.lib.support import RawConnection, write

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SERIES = "/api/v3/query_sql?db=_internal&q=select+repeat('x',100000)+from+generate_series(1,{})"
REFUSED_STREAM, CANCEL, INTERNAL_ERROR = 7, 8, 2


def h2(address, *requests, scheme="http", **options):
    return javascript("h2.cjs", {"url": f"{scheme}://{address}", "requests": requests, **options})


EMPTY_SETTINGS = b"\0\0\0\4\0\0\0\0\0"
# HPACK: GET, http, and the path and authority "/x" and "x" as literals.
GET_X = b"\x82\x86\x04\x02/x\x41\x01x"
POST_X = b"\x83" + GET_X[1:]


def frame(kind, flags, stream, payload):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def data_bytes(received):
    """The bytes of all DATA frames."""
    total = 0
    while len(received) >= 9:
        length = int.from_bytes(received[:3], "big")
        total += len(received[9:9 + length]) if received[3] == 0 else 0
        received = received[9 + length:]
    return total


def get(path, **more):
    return {"path": path, **more}


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS)


class Http2Test(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(layout=layout({"node": "ingest,query", "old": "ingest"}), node_options=FAST,
                              options_of={"old": ["--h2-max-streams", "3", "--h2-window", "70000"]}, http2=True).start()
        cls.addClassCleanup(cls.cluster.stop)
        cls.address, cls.control = cls.cluster.address("node"), cls.cluster.control("node")

    def setUp(self):
        self.control.clear()
        self.addCleanup(self.control.clear)

    def seen(self, path):
        return self.control.seen(path=path)["requests"]

    def ended(self, path, end):
        return eventually(lambda: [one for one in self.seen(path) if one["http2_end"] == end], f"{path} {end}")

    # -- relaying

    def test_settings_are_those_of_the_database(self):
        settings = h2(self.address, get("/health"))["settings"]
        self.assertEqual((settings["maxConcurrentStreams"], settings["initialWindowSize"],
                          settings["maxHeaderListSize"], settings["maxFrameSize"]), (200, 1 << 20, 16384, 16384))
        settings = h2(self.cluster.address("old"), get("/health"))["settings"]
        self.assertEqual((settings["maxConcurrentStreams"], settings["initialWindowSize"]), (3, 70000))

    def test_requests_of_both_versions_reach_the_same_node(self):
        path = target("/api/v3/write_lp", db="both")
        told = h2(self.address, {"method": "POST", "path": path, "body": "m v=1 1", "headers": {"X-A": "b"}},
                  get("/nowhere?x=1"), {"method": "HEAD", "path": "/health"}, {"method": "OPTIONS", "path": "/"})
        self.assertEqual([one["status"] for one in told["results"]], [204, 404, 404, 204])
        self.assertEqual(told["results"][1]["body"], "Not found")
        self.assertIn("cluster-uuid", told["results"][1]["headers"])
        self.assertNotIn("connection", told["results"][1]["headers"])
        self.assertEqual(write(self.address, "both", "m v=2 2").status, 204)
        query = target("/api/v3/query_sql", db="both", q="select v from m order by v")
        eventually(lambda: call(self.address, "GET", query).text == '[{"v":1.0},{"v":2.0}]')
        first, second = self.seen("/api/v3/write_lp")
        self.assertEqual((first["version"], second["version"]), ("HTTP/2", "HTTP/1.1"))
        self.assertEqual(first["body_bytes"], 7)
        names = [name for name, _ in first["headers"]]
        self.assertIn("x-a", names)
        self.assertFalse([name for name in names if name.startswith("x-standin") or name == "transfer-encoding"])
        self.assertEqual(first["http2_end"], "completed")

    def test_large_bodies_both_ways(self):
        told = h2(self.address, {"method": "POST", "path": "/x", "body": "y" * 3_000_000}, get(SERIES.format(50)))
        self.assertEqual([one["status"] for one in told["results"]], [404, 200])
        self.assertGreater(told["results"][1]["bytes"], 5_000_000)
        self.assertEqual(self.seen("/x")[0]["body_bytes"], 3_000_000)

    def test_many_streams_at_once_are_one_connection(self):
        before = self.control.seen(summary="true")["connections_accepted"]
        told = h2(self.address, *[get("/ping")] * 150)
        self.assertEqual({one["status"] for one in told["results"]}, {200})
        self.assertEqual(self.control.seen(summary="true")["connections_accepted"], before + 1)
        self.assertEqual(len({one["connection"] for one in self.seen("/ping")}), 1)

    def test_curl_and_nghttp(self):
        told = run("curl", "-sS", "--http2-prior-knowledge", "-w", "%{http_code} %{http_version}", "--data-binary",
                   "m v=1 1", f"http://{self.address}/api/v3/write_lp?db=curl")
        self.assertEqual(told.stdout, "204 2", told.stderr)
        query = f"http://{self.address}" + target("/api/v3/query_sql", db="curl", q="select v from m")
        eventually(lambda: run("curl", "-sS", "--http2-prior-knowledge", query).stdout == '[{"v":1.0}]')
        told = run("nghttp", "-nv", f"http://{self.address}/health", f"http://{self.address}/ready")
        self.assertEqual(told.stdout.count(":status: 200"), 2, told.stdout + told.stderr)

    def test_the_preface_in_pieces(self):
        with RawConnection(self.address) as raw:
            for index in range(len(PREFACE)):
                raw.send(PREFACE[index:index + 1])
            raw.send(EMPTY_SETTINGS)
            self.assertEqual(raw.until(b"\4\0")[3:5], b"\4\0")
        with RawConnection(self.address) as raw:
            raw.send(b"P")
            raw.send(b"OST /ping HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
            self.assertIn(b" 200 OK", raw.until(b"\r\n\r\n"))

    def test_interim_answers(self):
        self.control.fault({"interim": [103], "count": 1})
        told = h2(self.address, get("/health"), {"method": "POST", "path": "/x", "body": "y",
                                                 "headers": {"expect": "100-continue"}}, one_by_one=True)["results"]
        self.assertEqual([(one["informational"], one["status"]) for one in told], [([103], 200), ([100], 404)])

    # -- ends

    def test_a_cancelled_query_is_cancelled_on_the_node(self):
        told = h2(self.address, get(SERIES.format(1000000), cancel_after=1000), get("/health"))["results"]
        self.assertEqual((told[0]["code"], told[1]["status"]), (CANCEL, 200))
        self.ended("/api/v3/query_sql", "cancelled")
        eventually(lambda: self.seen("/api/v3/query_sql")[0]["outcome"] == "client_gone")
        # One that has not answered yet, too.
        def attempt(scale):
            h2(self.address, get("/api/v3/query_sql?db=_internal&q=select+sleep(600000)", cancel_ms=200 * scale))
            self.assertGreater(len(self.seen("/api/v3/query_sql")), 1)
            eventually(lambda: self.seen("/api/v3/query_sql")[-1]["outcome"] == "client_gone")
        timed(attempt)

    def test_a_client_that_leaves_cancels(self):
        def attempt(scale):
            told = run("curl", "-sS", "--http2-prior-knowledge", "--max-time", str(0.3 * scale), "-o", "/dev/null",
                       f"http://{self.address}{SERIES.format(100000000)}")
            self.assertEqual(told.returncode, 28, told.stderr)
            self.assertTrue(self.seen("/api/v3/query_sql"))
            self.ended("/api/v3/query_sql", "cancelled")
        timed(attempt)

    def test_a_query_that_fails_midway_resets_its_stream(self):
        path = ("/api/v3/query_sql?db=_internal&q=select+case+when+value=5000+then+raise_error('x')+else+value+end"
                "+as+v,repeat('x',100)+from+generate_series(1,10000)")
        told = h2(self.address, get(path), get("/health"))["results"]
        self.assertEqual((told[0]["status"], told[0]["code"], told[1]["status"]), (200, INTERNAL_ERROR, 200))

    def test_an_early_answer_ends_the_request(self):
        self.control.fault({"early_status": 413, "body": "no", "count": 1})
        told = h2(self.address, {"method": "POST", "path": "/x", "body": "z" * 5_000_000})["results"][0]
        self.assertEqual((told["status"], told["body"], told["code"]), (413, "no", 0))

    # -- faults

    def test_refused_streams(self):
        self.control.fault({"refused_stream": True, "count": 2})
        # The second one with a body that nobody reads.
        told = h2(self.address, get("/health"), {"method": "POST", "path": "/health", "body": "x" * 500000},
                  get("/health"), one_by_one=True)["results"]
        self.assertEqual([one["code"] for one in told], [REFUSED_STREAM, REFUSED_STREAM, 0])
        self.assertEqual([one["outcome"] for one in self.seen("/health")], ["fault:refused"] * 2 + ["answered"])

    def test_streams_reset_before_and_in_the_middle(self):
        self.control.fault({"rst_stream": "ENHANCE_YOUR_CALM", "count": 1})
        self.control.fault({"generate_bytes": 5000, "rst_after_bytes": 1234, "count": 1})
        self.control.fault({"generate_bytes": 5000, "rst_stream": "CANCEL", "rst_after_bytes": 1, "count": 1})
        told = h2(self.address, *[get("/x")] * 4, one_by_one=True)["results"]
        self.assertEqual([(one["status"], one["bytes"], one["code"]) for one in told],
                         [(None, 0, 11), (200, 1234, INTERNAL_ERROR), (200, 1, CANCEL), (404, 9, 0)])

    def test_connections_cut_in_the_middle(self):
        for action, end in (("reset", "reset"), ("close", "closed")):
            with self.subTest(action=action), RawConnection(self.address) as raw:
                self.control.fault({"generate_bytes": 500000, f"{action}_after_bytes": 30000, "count": 1})
                raw.send(PREFACE + EMPTY_SETTINGS + frame(1, 5, 1, GET_X))
                received, how = raw.rest()
                self.assertEqual((data_bytes(received), how), (30000, end))
        self.control.fault({"close_after_bytes": 0, "count": 1})
        self.assertEqual(h2(self.address, get("/x"), wait_close=True)["results"][0]["status"], None)
        eventually(lambda: self.control.seen()["connections_http2"] == 0)
        self.assertEqual([one["outcome"] for one in self.seen("/x")], ["fault:reset", "fault:close", "fault:close"])

    def test_resets_while_the_body_is_sent_and_behind_the_answer(self):
        self.control.fault({"reset_after_request_bytes": 1000, "count": 1})
        with RawConnection(self.address) as raw:
            raw.send(PREFACE + EMPTY_SETTINGS + frame(1, 4, 1, POST_X) + frame(0, 0, 1, bytes(2000)))
            received, end = raw.rest()
            self.assertEqual((data_bytes(received), end), (0, "reset"))
        self.control.fault({"close_after_response": True, "count": 1})
        # By hand: a client library may drop what it has not handed on when the connection ends.
        with RawConnection(self.address) as raw:
            raw.send(PREFACE + EMPTY_SETTINGS + frame(1, 5, 1, GET_X))
            received, end = raw.rest()
            self.assertGreater(data_bytes(received), 0)
            self.assertEqual(end, "closed")

    def test_goaway_with_the_last_stream_that_is_served(self):
        self.control.fault({"goaway": "after", "count": 1, "path": "/health"})
        told = h2(self.address, get("/health"), wait_close=True)
        self.assertEqual((told["results"][0]["status"], told["goaway"][0]), (200, {"code": 0, "last": 1}))
        self.assertFalse([name for name in told["results"][0]["headers"] if name.startswith("x-standin")])
        self.control.clear()
        self.control.fault({"goaway": "before", "count": 1, "path": "/health"})
        told = h2(self.address, get("/ready"), get("/health"), one_by_one=True)
        self.assertEqual((told["results"][0]["status"], told["results"][1]["status"]), (200, None))
        self.assertEqual(told["goaway"][0], {"code": 0, "last": 1})
        eventually(lambda: self.control.seen()["connections_http2"] == 0)

    def test_goaway_after_a_number_of_streams(self):
        self.control.fault({"goaway_after_streams": 2})
        self.control.fault({"delay_ms": 100})
        told = h2(self.address, *[get("/health")] * 4, wait_close=True)
        self.assertEqual([one["status"] for one in told["results"]], [200, 200, None, None])
        self.assertEqual(told["goaway"][0], {"code": 0, "last": 3})
        self.assertEqual(len(self.seen("/health")), 2)

    def test_goaway_on_demand(self):
        self.control.fault({"stall": True, "path": "/health", "count": 1})
        holder = []
        thread = threading.Thread(target=lambda: holder.append(h2(self.address, get("/health"), wait_close=True)))
        thread.start()
        eventually(lambda: self.seen("/health"))
        self.control.goaway(11)
        thread.join(PATIENCE_SECONDS)
        self.assertEqual(holder[0]["goaway"][0]["code"], 11)

    def test_a_stalled_stream_leaves_the_others_alone(self):
        self.control.fault({"stall": True, "path": "/ready", "count": 1})
        self.control.fault({"generate_bytes": 5000, "stall_after_bytes": 1000, "path": "/x", "count": 1})
        told = run("nghttp", "-nv", "-t", "1", f"http://{self.address}/ready", f"http://{self.address}/x",
                   f"http://{self.address}/health")
        self.assertEqual(told.stdout.count(":status: 200"), 2, told.stdout)
        self.assertIn("recv DATA frame <length=1000", told.stdout)
        self.assertEqual([one["outcome"] for one in self.seen("/x")], ["fault:stall"])

    def test_stalled_connections_do_not_even_answer_pings(self):
        with RawConnection(self.address) as raw:
            raw.send(PREFACE + EMPTY_SETTINGS)
            raw.until(b"\0\0\0\4\1\0\0\0\0")
            self.control.fault({"stall_connections": True})
            raw.send(frame(6, 0, 0, b"abcdefgh"))
            raw.socket.settimeout(0.1)
            with self.assertRaises(TimeoutError):
                raw.until(b"abcdefgh")
            raw.socket.settimeout(PATIENCE_SECONDS)
            self.control.clear()
            raw.until(b"abcdefgh")


class LifeTest(unittest.TestCase):
    def test_a_stopping_node_says_goaway_and_finishes_its_streams(self):
        with Cluster(layout=layout({"node": "query"}), node_options=FAST, http2=True) as cluster:
            address, control = cluster.address("node"), cluster.control("node")
            control.fault({"delay_ms": 500, "path": "/ready"})
            holder = []
            thread = threading.Thread(target=lambda: holder.append(h2(address, get("/ready"), wait_close=True)))
            thread.start()
            eventually(lambda: control.seen(path="/ready")["requests"])
            cluster.kill("node", signal.SIGTERM)
            thread.join(PATIENCE_SECONDS)
            self.assertEqual(holder[0]["results"][0]["status"], 200)
            self.assertEqual(holder[0]["goaway"][0]["code"], 0)
            self.assertEqual(cluster.nodes["node"].process.returncode, 0)
            cluster.restart("node")
            self.assertEqual(h2(address, get("/health"))["results"][0]["status"], 200)
            cluster.kill("node")
            self.assertEqual(h2(address, get("/health"))["error"], "ECONNREFUSED")

    def test_without_http2_the_preface_is_a_bad_request(self):
        with Cluster(layout=layout({"node": "query"}), node_options=FAST) as cluster:
            with RawConnection(cluster.address("node")) as raw:
                raw.send(PREFACE)
                received, end = raw.rest()
            self.assertTrue(received.startswith(b"HTTP/1.1 400 "), received)
            self.assertEqual(call(cluster.address("node"), "GET", "/health").status, 200)

    def test_a_single_node_starts_a_sidecar_of_its_own(self):
        program = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "node.py")
        with tempfile.TemporaryDirectory() as folder:
            process = subprocess.Popen(["python3", program, "--node-id", "solo", "--mode", "query", "--http-bind",
                                        "127.0.0.1:0", "--object-store", folder, "--without-auth",
                                        "--exit-with-parent"], stdout=subprocess.PIPE, text=True)
            try:
                words = dict(word.split("=") for word in process.stdout.readline().split() if "=" in word)
                self.assertEqual(h2(words["address"], get("/health"))["results"][0]["status"], 200)
            finally:
                process.terminate()
                self.assertEqual(process.wait(PATIENCE_SECONDS), 0)
                process.stdout.close()


class TlsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.authority = Authority(folder.name)
        cls.certificate = cls.authority.issue("node", "IP:127.0.0.1")
        cls.cluster = Cluster(layout=layout({"node": "query", "strict": "query", "plain": "query"}), node_options=FAST,
                              options_of={"strict": ["--tls-client-ca", cls.authority.ca], "plain": ["--no-http2"]},
                              certificate=cls.certificate, http2=True).start()
        cls.addClassCleanup(cls.cluster.stop)

    def curl(self, node, *options):
        told = run("curl", "-sS", "--cacert", self.authority.ca, "-w", " %{http_version}", *options,
                   f"https://{self.cluster.address(node)}/health")
        return told.stdout, told.returncode

    def test_alpn_decides(self):
        self.assertEqual(self.curl("node", "--http2"), ("OK 2", 0))
        self.assertEqual(self.curl("node", "--http1.1"), ("OK 1.1", 0))
        self.assertEqual(self.curl("node", "--no-alpn"), ("OK 1.1", 0))
        self.assertEqual(self.curl("plain", "--http2"), ("OK 1.1", 0))

    def test_tls_1_2_is_the_oldest(self):
        self.assertEqual(self.curl("node", "--tls-max", "1.2"), ("OK 2", 0))
        self.assertNotEqual(self.curl("node", "--tls-max", "1.1")[1], 0)

    def test_client_certificates(self):
        certificate, key = self.authority.issue("client")
        self.assertEqual(self.curl("strict", "--cert", certificate, "--key", key), ("OK 2", 0))
        self.assertNotEqual(self.curl("strict")[1], 0)

    def test_streams_over_tls(self):
        told = h2(self.cluster.address("node"), get(SERIES.format(30)), get("/health"), scheme="https",
                  ca=self.authority.ca)
        self.assertEqual((told["alpn"], [one["status"] for one in told["results"]]), ("h2", [200, 200]))
        self.assertGreater(told["results"][0]["bytes"], 3_000_000)

    def test_large_answers_over_tls_in_http_1_1(self):
        told = run("curl", "-sS", "--cacert", self.authority.ca, "--http1.1", "--max-time", "20", "-w",
                   "%{size_download}", "-o", "/dev/null", f"https://{self.cluster.address('node')}{SERIES.format(30)}")
        self.assertEqual(told.returncode, 0, told.stderr)
        self.assertGreater(int(told.stdout), 3_000_000)

    def test_a_reset_over_tls(self):
        control = self.cluster.control("node")
        self.addCleanup(control.clear)
        control.fault({"generate_bytes": 500000, "reset_after_bytes": 100000, "count": 1})
        told = h2(self.cluster.address("node"), get("/x"), scheme="https", ca=self.authority.ca, wait_close=True)
        # A reset throws away what the client has not read yet, so less than that may have come, but never more.
        received = told["results"][0]["bytes"]
        self.assertTrue(0 < received <= 100000, f"{received}: {json.dumps(told)[:2000]}")
