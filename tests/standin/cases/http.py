"""The HTTP/1.1 side: framing in both directions, pipelining, Expect, and refusing what is ambiguous."""
import gzip
import json
import re
import unittest

from harness.client import call
from harness.waiting import eventually
from standin.cases.modes import layout
from standin.cluster import FAST, Cluster
from standin.http1 import BadRequest, parse_head
from standin.lib.support import RawConnection, sql

CHUNKED_WRITE = (b"POST /api/v3/write_lp?db=%b HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
                 b"4;x=y\r\nm v=\r\n3\r\n1 1\r\n0\r\ntrailer: a\r\n\r\n")
AMBIGUOUS = [
    b"GET / HTTP/1.1\nhost: x",
    b"GET / HTTP/1.1\r\nhost : x",
    b"GET / HTTP/1.1\r\n folded: x",
    b"GET  / HTTP/1.1\r\nhost: x",
    b"GET / HTTP/2.0\r\nhost: x",
    b"POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2",
    b"POST / HTTP/1.1\r\ncontent-length: +1",
    b"POST / HTTP/1.1\r\ncontent-length: 3\r\ntransfer-encoding: chunked",
    b"POST / HTTP/1.1\r\ntransfer-encoding: gzip, chunked",
    b"POST / HTTP/1.0\r\ntransfer-encoding: chunked",
]


class HeadTest(unittest.TestCase):
    def test_ambiguous_heads_are_refused(self):
        for head in AMBIGUOUS:
            with self.subTest(head=head), self.assertRaises(BadRequest):
                parse_head(head)

    def test_a_plain_head(self):
        request = parse_head(b"POST /a?b=c%20d&e HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nX: 1\r\nx:  2 ")
        self.assertEqual((request.method, request.path, request.content_length), ("POST", "/a", 5))
        self.assertEqual(request.params(), {"b": "c d", "e": ""})
        self.assertEqual(request.header_values("X"), ["1", "2"])
        self.assertTrue(request.keeps_alive())


class WireTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(layout=layout({"one": "ingest,query"}), node_options=FAST).start()
        cls.addClassCleanup(cls.cluster.stop)
        cls.address = cls.cluster.address("one")
        cls.control = cls.cluster.control("one")

    def setUp(self):
        self.control.clear()

    def rows(self, database):
        return json.loads(sql(self.address, database, "select * from m").body)

    def test_chunked_write_is_read_back(self):
        with RawConnection(self.address) as raw:
            raw.send(CHUNKED_WRITE % b"chunked")
            self.assertIn(b" 204 ", raw.until(b"\r\n\r\n"))
        eventually(lambda: self.rows("chunked") == [{"time": "1970-01-01T00:00:01", "v": 1.0}])
        seen = self.control.seen(path="/api/v3/write_lp")["requests"]
        self.assertEqual([(one["body_bytes"], one["complete"]) for one in seen], [(7, True)])

    def test_pipelined_requests_are_answered_in_order(self):
        with RawConnection(self.address) as raw:
            raw.send(b"GET /nope HTTP/1.1\r\nhost: x\r\n\r\n" + CHUNKED_WRITE % b"pipe"
                     + b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            received, end = raw.rest()
        statuses = re.findall(rb"HTTP/1\.1 (\d{3}) ", received)
        self.assertEqual((statuses, end), ([b"404", b"204", b"200"], "closed"))
        self.assertEqual(self.control.seen()["total"], 3)

    def test_expect_is_answered_before_the_body(self):
        with RawConnection(self.address) as raw:
            raw.send(b"POST /api/v3/write_lp?db=e HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n"
                     b"expect: 100-continue\r\n\r\n")
            self.assertEqual(raw.until(b"\r\n\r\n"), b"HTTP/1.1 100 Continue\r\n\r\n")
            raw.send(b"m v=1")
            self.assertIn(b" 204 ", raw.until(b"\r\n\r\n"))

    def test_gzip_body_with_two_members(self):
        body = gzip.compress(b"m v=1 1\n") + gzip.compress(b"m v=2 2\n")
        answer = call(self.address, "POST", "/api/v3/write_lp?db=gz", body, {"content-encoding": "gzip"})
        self.assertEqual(answer.status, 204)
        eventually(lambda: len(self.rows("gz")) == 2)

    def test_bad_encodings(self):
        for encoding, body, text in (("br", b"m v=1", "unacceptable content-encoding: br"),
                                     ("gzip", b"m v=1", "error decoding gzip stream"),
                                     ("gzip", gzip.compress(b"m v=1")[:-4], "error decoding gzip stream")):
            with self.subTest(encoding=encoding):
                answer = call(self.address, "POST", "/api/v3/write_lp?db=x", body, {"content-encoding": encoding})
                self.assertEqual(answer.status, 400)
                self.assertIn(text, answer.text)

    def test_too_large_before_and_after_decompression(self):
        limit = 10485760
        for body, headers in ((b"x" * (limit + 1), {}), (gzip.compress(b"x" * (limit + 1)),
                                                         {"content-encoding": "gzip"})):
            answer = call(self.address, "POST", "/api/v3/write_lp?db=x", body, headers)
            self.assertEqual((answer.status, answer.text), (413, "max request size (10485760 bytes) exceeded"))
        answer = call(self.address, "POST", "/api/v2/write?bucket=x", b"x" * (limit + 1))
        self.assertEqual((answer.status, json.loads(answer.body)["code"]), (413, "request too large"))

    def test_head_and_options(self):
        answer = call(self.address, "HEAD", "/health")
        self.assertEqual((answer.status, answer.body), (404, b""))
        answer = call(self.address, "OPTIONS", "/anything")
        self.assertEqual(answer.status, 204)
        self.assertEqual(answer.headers["access-control-max-age"], "86400")

    def test_malformed_request_gets_400_and_close(self):
        with RawConnection(self.address) as raw:
            raw.send(b"GET / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\n")
            received, end = raw.rest()
        self.assertTrue(received.startswith(b"HTTP/1.1 400 "), received)
        self.assertEqual(end, "closed")

    def test_large_results_are_streamed_and_a_client_that_leaves_cancels(self):
        query = "/api/v3/query_sql?db=_internal&q=select+repeat('x',100000)+from+generate_series(1,1000000)"
        with RawConnection(self.address) as raw:
            raw.send(f"GET {query} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
            self.assertIn(b"transfer-encoding: chunked", raw.until(b"\r\n\r\n"))
        eventually(lambda: self.control.seen(path="/api/v3/query_sql")["requests"][0]["outcome"] == "client_gone")

    def test_a_query_that_fails_midway_ends_without_a_terminator(self):
        query = ("/api/v3/query_sql?db=_internal&q=select+case+when+value=5000+then+raise_error('x')+else+value+end"
                 "+as+v,repeat('x',100)+from+generate_series(1,10000)")
        with RawConnection(self.address) as raw:
            raw.send(f"GET {query} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
            received, end = raw.rest()
        self.assertTrue(received.startswith(b"HTTP/1.1 200 OK"))
        self.assertFalse(received.endswith(b"0\r\n\r\n"))
        self.assertEqual(end, "closed")
