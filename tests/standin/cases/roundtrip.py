"""What is written through one process is read through another: writes, queries, the catalog, restarts."""
import json
import signal
import threading
import time
import unittest

from harness.client import call, target
from harness.waiting import PATIENCE_SECONDS, eventually, timed
from standin.cases.modes import layout
from standin.cluster import FAST, Cluster
from standin.lib.support import sql, write

TYPES = 'all,host=a f=1.5,i=-2i,u=18446744073709551615u,b=t,s="x, \\"y\\"" 1700000000123456789'
ROW = {"b": True, "f": 1.5, "host": "a", "i": -2, "s": 'x, "y"', "time": "2023-11-14T22:13:20.123456789",
       "u": 18446744073709551615}
FORMATS = {
    "json": '[{"a":"x","time":"1970-01-01T00:00:01","v":1.0},{"time":"1970-01-01T00:00:02","v":2.0}]',
    "jsonl": '{"a":"x","time":"1970-01-01T00:00:01","v":1.0}\n{"time":"1970-01-01T00:00:02","v":2.0}\n',
    "csv": "a,time,v\nx,1970-01-01T00:00:01,1.0\n,1970-01-01T00:00:02,2.0\n",
    "pretty": "+---+---------------------+-----+\n| a | time                | v   |\n"
              "+---+---------------------+-----+\n| x | 1970-01-01T00:00:01 | 1.0 |\n"
              "|   | 1970-01-01T00:00:02 | 2.0 |\n+---+---------------------+-----+",
}
CPU = "\n".join(f"cpu,host={host} usage={value},n={value}i {second}" for host, value, second in
                (("a", 1, 1), ("a", 3, 2), ("b", 10, 61), ("b", 20, 62)))
INFLUXQL = [
    ("select usage from cpu where host = 'a' order by time desc limit 1",
     [{"name": "cpu", "columns": ["time", "usage"], "values": [[2, 3.0]]}]),
    ("select mean(usage), count(n) from cpu group by host",
     [{"name": "cpu", "tags": {"host": "a"}, "columns": ["time", "mean", "count"], "values": [[0, 2.0, 2]]},
      {"name": "cpu", "tags": {"host": "b"}, "columns": ["time", "mean", "count"], "values": [[0, 15.0, 2]]}]),
    ("select sum(n) from cpu where time >= 0 and time < 100s group by time(1m)",
     [{"name": "cpu", "columns": ["time", "sum"], "values": [[0, 4], [60, 30]]}]),
    ("select last(usage), host from cpu", "mixing aggregate and non-aggregate"),
    ("select max(usage) from cpu", [{"name": "cpu", "columns": ["time", "max"], "values": [[62, 20.0]]}]),
    ("select n from cpu where host =~ /^b/ and usage > 10 + 5",
     [{"name": "cpu", "columns": ["time", "n"], "values": [[62, 20]]}]),
    ("select usage * 2 as twice from cpu limit 1 offset 1",
     [{"name": "cpu", "columns": ["time", "twice"], "values": [[2, 6.0]]}]),
    ("select nothing from cpu", None),
    ("select * from nothing", None),
    ("show measurements", [{"name": "measurements", "columns": ["name"], "values": [["cpu"]]}]),
    ("show tag keys from cpu", [{"name": "cpu", "columns": ["tagKey"], "values": [["host"]]}]),
    ("show field keys", [{"name": "cpu", "columns": ["fieldKey", "fieldType"],
                          "values": [["n", "integer"], ["usage", "float"]]}]),
    ("show tag values with key = host", [{"name": "cpu", "columns": ["key", "value"],
                                          "values": [["host", "a"], ["host", "b"]]}]),
    ("create database x", "This feature is not implemented: CREATE DATABASE"),
    ("drop series from cpu", "This feature is not implemented: DROP SERIES"),
]


class RoundTripTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        nodes = layout({"writer": "ingest", "reader": "query", "lazy": "query"})
        lazy = ["--catalog-sync-interval", "1h", "--replication-interval", "1h"]
        cls.cluster = Cluster(layout=nodes, node_options=FAST, options_of={"lazy": lazy}).start()
        cls.addClassCleanup(cls.cluster.stop)
        cls.writer, cls.reader = cls.cluster.address("writer"), cls.cluster.address("reader")

    def rows(self, database, query):
        answer = sql(self.reader, database, query)
        return json.loads(answer.body) if answer.status == 200 else None

    def test_all_types_by_all_three_endpoints(self):
        for number, path in enumerate(("/api/v3/write_lp?db=t{}", "/write?db=t{}", "/api/v2/write?bucket=t{}")):
            answer = call(self.writer, "POST", path.format(number), TYPES)
            self.assertEqual((answer.status, answer.body), (204, b""))
            eventually(lambda number=number: self.rows(f"t{number}", 'select * from "all"') == [ROW], path)

    def test_formats(self):
        write(self.writer, "formats", "m,a=x v=1 1\nm v=2 2")
        eventually(lambda: len(self.rows("formats", "select * from m") or ()) == 2)
        for form, expected in FORMATS.items():
            self.assertEqual(sql(self.reader, "formats", "select * from m order by time", form).text, expected)
        body = json.dumps({"db": "formats", "q": "select v from m where v = $wanted", "params": {"wanted": 2},
                           "format": "csv"})
        self.assertEqual(call(self.reader, "POST", "/api/v3/query_sql", body).text, "v\n2.0\n")

    def test_a_write_waits_for_the_flush_and_shares_it(self):
        def attempt(scale):
            with Cluster(layout=layout({"slow": "ingest"}), node_options=["--wal-flush-interval", f"{scale}s"]) as cluster:
                address = cluster.address("slow")
                write(address, "d", "m v=1")
                started = time.monotonic()
                threads = [threading.Thread(target=write, args=(address, "d", f"m v={n}")) for n in range(8)]
                for thread in threads:
                    thread.start()
                self.assertEqual(write(address, "d", "m v=1", no_sync="true").status, 204)
                without_sync = time.monotonic() - started
                for thread in threads:
                    thread.join()
                took = time.monotonic() - started
            self.assertLess(without_sync, 0.85 * scale)
            self.assertGreater(took, 0.85 * scale)
            self.assertLess(took, 3 * scale)
        timed(attempt)

    def test_same_point_again_unites_fields_and_the_last_value_wins(self):
        write(self.writer, "upsert", "m,a=x v=1,w=5 1")
        write(self.writer, "upsert", "m,a=x v=2 1")
        expected = [{"a": "x", "time": "1970-01-01T00:00:01", "v": 2.0, "w": 5.0}]
        eventually(lambda: self.rows("upsert", "select * from m") == expected)

    def test_partial_writes(self):
        lines = "m v=1 1\nm v=\nm v=\"text\" 2\nm v=3 3"
        answer = write(self.writer, "partial", lines)
        self.assertEqual(answer.status, 400)
        self.assertEqual(json.loads(answer.body), {
            "error": "partial write of line protocol occurred",
            "data": [{"original_line": "m v=", "line_number": 2, "error_message": "No fields were provided"},
                     {"original_line": 'm v="text" 2', "line_number": 3, "error_message":
                      "invalid column type for column 'v', expected iox::column_type::field::float, got "
                      "iox::column_type::field::string"}]})
        eventually(lambda: self.rows("partial", "select v from m") == [{"v": 1.0}, {"v": 3.0}])
        answer = write(self.writer, "partial", "m v=7 7\nm v=", accept_partial="false")
        self.assertEqual((answer.status, json.loads(answer.body)["error"]), (400, "line protocol parsing error"))
        answer = call(self.writer, "POST", "/api/v2/write?bucket=partial", "m v=7 7\nm v=")
        self.assertEqual((answer.status, json.loads(answer.body)["code"]), (400, "invalid"))
        write(self.writer, "partial", "m v=9 9")
        eventually(lambda: {"v": 9.0} in self.rows("partial", "select v from m"))
        self.assertNotIn({"v": 7.0}, self.rows("partial", "select v from m"))

    def test_refused_writes(self):
        for path, body, status, text in (
                ("/api/v3/write_lp?db=x", "", 400, "incoming write was empty"),
                ("/api/v2/write?bucket=x", " \n", 400, '{"code":"invalid","message":"incoming write was empty"}'),
                ("/api/v3/write_lp", "m v=1", 400, "missing query parameter 'db'"),
                ("/api/v3/write_lp?db=x&precision=h", "m v=1", 400, "unknown variant `h`"),
                ("/write?db=x&precision=m", "m v=1", 400, "invalid precision: m"),
                ("/api/v3/write_lp?db=_x", "m v=1", 400, "did not start with a number or letter"),
                ("/api/v3/write_lp?db=x&accept_partial=maybe", "m v=1", 400, "not `true` or `false`"),
                ("/api/v3/write_lp?db=x", b"m v=\"\xff\"", 400, "not valid utf8")):
            with self.subTest(path=path, body=body):
                answer = call(self.writer, "POST", path, body)
                self.assertEqual(answer.status, status)
                self.assertIn(text, answer.text)

    def test_large_bodies_take_the_quick_path_to_the_same_rows(self):
        lines = "".join(f"m,host=h{number % 7} v={number}i {number}\n" for number in range(20000))
        self.assertEqual(write(self.writer, "large", lines, precision="s").status, 204)
        self.assertEqual(write(self.writer, "large", lines + "m v=\n", precision="s").status, 400)
        query = "select count(*) as n, sum(v) as s, count(distinct host) as h from m"
        eventually(lambda: self.rows("large", query) == [{"n": 20000, "s": 199990000, "h": 7}])

    def test_sql_dialect_and_refusals(self):
        write(self.writer, "sql", "m v=1 1700000000")
        eventually(lambda: self.rows("sql", "select * from m"))
        for query in ("select v from m where time = '2023-11-14T22:13:20Z'", "select v from iox.m",
                      "select v from m where time > now() - interval '100000 days'",
                      "select date_bin(interval '1 hour', time) as b, max(v) as v from m group by 1"):
            with self.subTest(query=query):
                self.assertEqual(self.rows("sql", query)[0]["v"], 1.0)
        self.assertEqual([row["table_name"] for row in self.rows("sql", "show tables")
                          if row["table_schema"] == "iox"], ["m"])
        for query, status, text in (("select * from nope", 400, "table 'public.iox.nope' not found"),
                                    ("delete from m", 400, "only SELECT"), ("selec", 400, "only SELECT"),
                                    ("select ((", 400, "SQL error")):
            with self.subTest(query=query):
                answer = sql(self.reader, "sql", query)
                self.assertEqual(answer.status, status)
                self.assertIn(text, answer.text)

    def test_influxql_on_the_v1_endpoint(self):
        write(self.writer, "iql", CPU)
        eventually(lambda: len(self.rows("iql", "select * from cpu") or ()) == 4)
        for query, expected in INFLUXQL:
            with self.subTest(query=query):
                answer = call(self.reader, "GET", target("/query", db="iql", q=query, epoch="s"))
                self.assertEqual(answer.status, 200)
                result = json.loads(answer.body)["results"][0]
                if isinstance(expected, str):
                    self.assertIn(expected, result["error"])
                else:
                    self.assertEqual(result.get("series"), expected)

    def test_v1_forms_of_request_and_answer(self):
        write(self.writer, "v1", "m v=1 1\nm v=2 2\nm v=3 3")
        eventually(lambda: len(self.rows("v1", "select * from m") or ()) == 3)
        form = {"content-type": "application/x-www-form-urlencoded"}
        answer = call(self.reader, "POST", "/query?db=v1", "q=select+v+from+m;show+databases", form)
        first, second = json.loads(answer.body)["results"]
        self.assertEqual(first["series"][0]["values"][0], ["1970-01-01T00:00:01Z", 1.0])
        self.assertIn(["v1"], second["series"][0]["values"])
        answer = call(self.reader, "GET", target("/query", db="v1", q="select v from m", chunked="true",
                                                 chunk_size="2", epoch="ms"))
        documents = [json.loads(line)["results"][0] for line in answer.text.splitlines()]
        self.assertEqual([one["series"][0]["values"] for one in documents], [[[1000, 1.0], [2000, 2.0]], [[3000, 3.0]]])
        self.assertEqual([one.get("partial") for one in documents], [True, None])
        answer = call(self.reader, "GET", target("/query", db="v1", q="select v from m limit 1"),
                      headers={"accept": "text/csv"})
        self.assertEqual(answer.text, "name,tags,time,v\nm,,1970-01-01T00:00:01Z,1.0\n")
        answer = call(self.reader, "GET", target("/query", db="nope", q="select v from m"))
        self.assertEqual(json.loads(answer.body), {"results": [{"statement_id": 0,
                                                                "error": "database not found: nope"}]})
        self.assertEqual(call(self.reader, "GET", "/query?db=v1").status, 400)

    def test_influxql_on_the_v3_endpoint(self):
        write(self.writer, "iql3", CPU)
        eventually(lambda: len(self.rows("iql3", "select * from cpu") or ()) == 4)
        answer = call(self.reader, "GET", target("/api/v3/query_influxql", db="iql3", format="csv",
                                                 q="select max(n) from cpu group by host"))
        self.assertEqual(answer.text, "iox::measurement,time,host,max\ncpu,1970-01-01T00:00:02,a,3\n"
                                      "cpu,1970-01-01T00:01:02,b,20\n")

    def test_other_nodes_learn_of_catalog_changes_by_sync_and_data_by_replication(self):
        lazy = self.cluster.address("lazy")
        self.assertEqual(call(self.writer, "POST", "/api/v3/configure/database", '{"db":"fresh"}').status, 200)
        eventually(lambda: sql(self.reader, "fresh", "select 1 as one").status == 200)
        self.assertEqual(sql(lazy, "fresh", "select 1 as one").status, 404)
        self.assertEqual(call(lazy, "POST", "/api/v3/configure/database", '{"db":"fresh"}').status, 409)
        self.assertEqual(sql(lazy, "fresh", "select 1 as one").status, 200)

    def test_deleted_data_does_not_come_back(self):
        write(self.writer, "gone", "m v=1 1\nn v=1 1")
        eventually(lambda: self.rows("gone", "select * from n"))
        self.assertEqual(call(self.reader, "DELETE", "/api/v3/configure/table?db=gone&table=m").status, 200)
        self.assertEqual(sql(self.reader, "gone", "select * from m").status, 400)
        self.assertEqual(call(self.reader, "DELETE", "/api/v3/configure/database?db=gone").status, 200)
        self.assertEqual(call(self.reader, "DELETE", "/api/v3/configure/database?db=gone").status, 404)
        eventually(lambda: b'"gone"' not in call(self.writer, "GET", "/api/v3/configure/database?format=json").body)
        write(self.writer, "gone", "m v=2 2")
        eventually(lambda: self.rows("gone", "select v from m") == [{"v": 2.0}])
        self.assertEqual(sql(self.reader, "gone", "select * from n").status, 400)


class LifeTest(unittest.TestCase):
    def test_acknowledged_writes_survive_a_kill_and_the_address_stays(self):
        with Cluster(layout=layout({"writer": "ingest", "reader": "query"}), node_options=FAST) as cluster:
            writer, reader = cluster.address("writer"), cluster.address("reader")
            self.assertEqual(write(writer, "d", "m v=1 1").status, 204)
            first = json.loads(call(writer, "GET", "/ping").body)["process_id"]
            cluster.kill("writer")
            cluster.kill("reader", signal.SIGTERM)
            self.assertEqual(cluster.nodes["reader"].process.returncode, 0)
            self.assertRaises(OSError, call, writer, "GET", "/health")
            cluster.restart("writer")
            cluster.restart("reader")
            self.assertNotEqual(json.loads(call(writer, "GET", "/ping").body)["process_id"], first)
            self.assertEqual(cluster.address("reader"), reader)
            self.assertEqual(json.loads(sql(reader, "d", "select v from m").body), [{"v": 1.0}])

    def test_node_stop_by_another_node(self):
        with Cluster(layout=layout({"one": "ingest", "two": "query"}), node_options=FAST) as cluster:
            two = cluster.address("two")
            stop = "/api/v3/enterprise/configure/node/stop"
            cluster.nodes["one"].expected_to_end = True
            self.assertEqual(call(two, "POST", stop, '{"node_id":"one"}').status, 200)
            self.assertEqual(cluster.nodes["one"].process.wait(PATIENCE_SECONDS), 0)
            nodes = "select state from system.nodes where node_id = 'one'"
            eventually(lambda: sql(two, "_internal", nodes).text == '[{"state":"stopped"}]')
            self.assertEqual(call(two, "POST", stop, '{"node_id":"one"}').status, 400)
            remove = "/api/v3/enterprise/configure/node/remove"
            self.assertEqual(call(two, "POST", remove, '{"node_id":"two"}').status, 409)
            self.assertEqual(call(two, "POST", remove, '{"node_id":"one"}').status, 200)
