"""The cluster program: its configuration, the command it runs, and that a dead node is reported and nothing else."""
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import unittest

from harness.client import call
from harness.waiting import PATIENCE_SECONDS, eventually
from standin.cases.modes import layout
from standin.cluster import FAST, Cluster
from standin.lib.support import RawConnection

PROGRAM = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "cluster.py")
COMMAND = [sys.executable, "-c", "import sys, signal; print(open(sys.argv[1]).read(), flush=True); signal.pause()"]


class ProgramTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        options = [f"--node-option={one}" for one in FAST]
        self.process = subprocess.Popen(
            [sys.executable, PROGRAM, "--directory", folder.name, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0",
             "--writeback", "127.0.0.1:0", *options, "--run", *COMMAND, "{config}"],
            stdout=subprocess.PIPE, text=True)
        self.lines = []
        reader = threading.Thread(target=lambda: self.lines.extend(iter(self.process.stdout.readline, "")))
        reader.start()
        self.addCleanup(self.process.stdout.close)
        self.addCleanup(reader.join)
        self.addCleanup(self.process.wait)
        self.addCleanup(self.process.terminate)

    def output(self, pattern):
        return eventually(lambda: re.findall(pattern, "".join(self.lines)), pattern)

    def test_program(self):
        self.output(r"node_id: processor-01")
        nodes = self.output(r"node (\S+) +mode (\S+) +http://(\S+) control (\S+) pid (\d+)")
        self.assertEqual([(name, mode) for name, mode, *_ in nodes], [
            ("ingester-01", "ingest"), ("ingester-02", "ingest"), ("query-01", "query"), ("compactor-01", "compact"),
            ("processor-01", "process,query")])
        printed = self.output(r'node_id: (\S+), url: "http://([^"]+)"')
        self.assertEqual(printed, [(name, address) for name, _, address, *_ in nodes])
        uuids = {call(address, "GET", "/health").headers["cluster-uuid"] for _, _, address, *_ in nodes}
        self.assertEqual(len(uuids), 1)
        os.kill(int(nodes[2][4]), signal.SIGKILL)
        self.output(r"node query-01 \(pid \d+\) ended with status -9")
        self.assertEqual(call(nodes[0][2], "GET", "/health").status, 200)
        self.process.send_signal(signal.SIGINT)
        self.assertEqual(self.process.wait(PATIENCE_SECONDS), 0)
        for _, _, address, *_ in nodes:
            self.assertRaises(OSError, call, address, "GET", "/health")


class StopTest(unittest.TestCase):
    def test_a_stopping_node_finishes_what_it_has_begun(self):
        with Cluster(layout=layout({"one": "query"}), node_options=FAST) as cluster:
            control = cluster.control("one")
            query = "/api/v3/query_sql?db=_internal&q=select+sleep(400)+as+slept"
            with RawConnection(cluster.address("one")) as busy, RawConnection(cluster.address("one")) as idle:
                busy.send(f"GET {query} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
                idle.send(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
                idle.until(b"\r\n\r\nOK")
                eventually(lambda: control.seen()["counts"].get("GET /api/v3/query_sql"))
                cluster.signal("one", signal.SIGTERM)
                self.assertEqual(idle.rest(), (b"", "closed"))
                received, end = busy.rest()
            self.assertIn(b'{"slept":400}', received)
            self.assertTrue(received.endswith(b"0\r\n\r\n"))
            self.assertEqual(end, "closed")
            self.assertEqual(cluster.nodes["one"].process.wait(PATIENCE_SECONDS), 0)
