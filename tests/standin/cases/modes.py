"""The wrong-mode matrix, from wrong_mode.tsv, against one node of each kind; and what a stopping node says."""
import os
import signal
import unittest

from harness.client import call
from harness.waiting import eventually
from standin.cluster import FAST, Cluster
from standin.lib.support import RawConnection, write

MATRIX = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "wrong_mode.tsv")
MODES = {"ingest": "ingest", "ingest-parquet": "ingest", "query": "query", "compact": "compact",
         "process": "process", "process-query": "process,query", "ingest-310": "ingest", "ingest-311": "ingest"}
OPTIONS = {
    "ingest-parquet": ["--storage-engine", "parquet"],
    "process-query": ["--trigger", "echo=echo@nodes:process-query", "--trigger", "missing=404"],
    "ingest-310": ["--version-quirk", "3.10", "--shutdown-flush", "10s"],
    "ingest-311": ["--version-quirk", "3.11", "--shutdown-flush", "10s"],
}


def layout(modes):
    return [{"node_id": name, "mode": mode, "cores": 4, "io_threads": 1, "datafusion_threads": 3}
            for name, mode in modes.items()]


def read_matrix():
    with open(MATRIX, encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if not line.startswith("#"):
                yield number, line.rstrip("\n").split("\t")


class ModesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(layout=layout(MODES), node_options=FAST, options_of=OPTIONS).start()
        cls.addClassCleanup(cls.cluster.stop)

    def test_matrix(self):
        self.assertEqual(write(self.cluster.address("ingest"), "d", "m v=1").status, 204)
        for name in MODES:
            eventually(lambda name=name: b'"d"' in call(self.cluster.address(name), "GET",
                                                        "/api/v3/configure/database?format=json").body)
        for number, (node, method, target, body, status, expected) in read_matrix():
            with self.subTest(line=number, node=node, request=f"{method} {target}"):
                answer = call(self.cluster.address(node), method, target, body or None)
                self.assertEqual(answer.status, int(status), answer.text)
                self.assertIn("cluster-uuid", answer.headers)
                if expected.startswith("="):
                    self.assertEqual(answer.text, expected[1:])
                else:
                    self.assertIn(expected, answer.text)

    def test_v1_query_on_a_stub_executor_drops_the_connection(self):
        with RawConnection(self.cluster.address("compact")) as raw:
            raw.send(b"GET /query?db=d&q=select+1 HTTP/1.1\r\nhost: x\r\n\r\n")
            self.assertEqual(raw.rest(), (b"", "closed"))

    def test_writes_to_a_stopping_node(self):
        closed = "write buffer error: error from wal: wal is shutdown and not accepting writes"
        for node, v3_status, v2_status, v2_code in (("ingest-310", 500, 400, "invalid"),
                                                    ("ingest-311", 503, 503, "unavailable")):
            with self.subTest(node=node):
                address = self.cluster.address(node)
                self.cluster.signal(node, signal.SIGTERM)
                answer = eventually(lambda address=address: refused(write(address, "d", "m v=1")))
                self.assertEqual((answer.status, answer.text), (v3_status, closed))
                answer = call(address, "POST", "/api/v2/write?bucket=d", "m v=1")
                self.assertEqual((answer.status, answer.text),
                                 (v2_status, f'{{"code":"{v2_code}","message":"{closed}"}}'))
                self.assertEqual(call(address, "GET", "/health").text, "OK")
                self.cluster.kill(node)

    def test_process_mode_needs_a_plugin_folder(self):
        entries = layout({"lonely": "query"})
        cluster = Cluster(layout=entries, options_of={"lonely": ["--mode", "process"]})
        self.addCleanup(cluster.stop)
        with self.assertRaisesRegex(Exception, "needs --plugin-dir"):
            cluster.start()


def refused(answer):
    return answer if answer.status >= 400 else None
