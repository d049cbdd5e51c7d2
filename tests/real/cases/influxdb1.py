"""InfluxDB 1.x behind Sluice as its only node, used by its own shell and by plain requests.

It knows neither /ready nor /health, so the probe comes down to /ping.
"""
import gzip
import json
import os
import tempfile

from harness.client import call, target
from harness.waiting import eventually
from harness.loopback import ADMIN, LISTEN, own_address
from harness.sluice import PATIENT_SETTINGS, Sluice

from real.lib.influxd import Influxd
from real.lib.programs import run

# What may differ between the server's own answer and the one through Sluice.
PASSING_FIELDS = {"date", "request-id", "x-request-id", "x-sluice-node", "connection", "keep-alive"}


class Influxdb1Stage:
    """influxd and a Sluice in front of it."""

    def __init__(self, binary):
        self.binary = binary
        self.folder = tempfile.TemporaryDirectory(prefix="influxdb1-")
        self.server = Influxd()
        self.sluice = None

    def __enter__(self):
        try:
            self.server.start()
            host = own_address()
            self.address, admin = f"{host}:{LISTEN}", f"{host}:{ADMIN}"
            config = (f"cluster_id: one\nlisten: [{{address: {self.address}}}]\nadmin: {{address: {admin}}}\n"
                      f"nodes:\n  - {{node_id: influxdb1, url: 'http://{self.server.address}', mode: all}}\n"
                      f"workers: 2\n{PATIENT_SETTINGS}")
            self.sluice = Sluice(self.binary, self.folder.name, config, admin).start()
            self.sluice.wait_usable()
            self.statement("CREATE DATABASE real")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error):
        if self.sluice is not None:
            self.sluice.kill()
        self.server.stop()
        self.folder.cleanup()

    def end(self):
        self.sluice.stop()

    def describe(self):
        return self.sluice.log_tail()

    def recover(self):
        assert self.sluice.is_running(), "Sluice has ended"
        if self.server.process.poll() is not None:
            self.server.start()
        self.sluice.wait_usable()

    def statement(self, text, **params):
        """The first result of a statement, through Sluice."""
        answer = call(self.address, "POST", target("/query", q=text, **params)).expect(200)
        result = answer.json["results"][0]
        assert "error" not in result, result
        return result

    def values(self, text):
        """The rows of the only series, without their times."""
        series = self.statement(text, db="real").get("series", [{"values": []}])
        return [row[1:] for row in series[0]["values"]]

    def shell(self, *arguments):
        """The `influx` shell, connected to Sluice."""
        host, port = self.address.rsplit(":", 1)
        return run("influx", "-host", host, "-port", port, *arguments, environment={"HOME": self.folder.name})


def influxdb1(binary):
    """InfluxDB 1.x as the only node."""
    return Influxdb1Stage(binary)


stage = influxdb1


# -- the probe


def test_the_probe_finds_a_node_that_knows_only_ping(stage):
    call(stage.server.address, "GET", "/ready").expect(404)
    call(stage.server.address, "GET", "/health").expect(404)
    eventually(lambda: stage.sluice.node_states()["influxdb1"]["health"] == "up", "the node is found to be up")
    assert stage.sluice.node_states()["influxdb1"]["last_probe"] == "good"


def test_ping_passes_through(stage):
    for method in ("GET", "HEAD"):
        answer = call(stage.address, method, "/ping").expect(204)
        assert answer.headers["x-influxdb-version"].startswith("1."), answer.headers
        assert answer.body == b"" and "content-length" not in answer.headers, answer.headers


# -- its own shell


def test_the_shell_inserts_selects_and_shows(stage):
    for line in ("cpu,host=a value=1.5 1700000000000000000", "cpu,host=b value=2.5 1700000001000000000"):
        result = stage.shell("-database", "real", "-execute", f"INSERT {line}")
        assert result.returncode == 0 and result.stdout + result.stderr == "", (result.stdout, result.stderr)
    result = stage.shell("-database", "real", "-format", "csv", "-execute", "SELECT host, value FROM cpu")
    assert result.stdout.splitlines() == ["name,time,host,value", "cpu,1700000000000000000,a,1.5",
                                          "cpu,1700000001000000000,b,2.5"], result
    result = stage.shell("-database", "real", "-format", "json", "-execute", "SHOW TAG VALUES WITH KEY = host")
    rows = json.loads(result.stdout)["results"][0]["series"][0]["values"]
    assert rows == [["host", "a"], ["host", "b"]], result.stdout
    assert "real" in stage.shell("-execute", "SHOW DATABASES").stdout.split()


def test_the_shell_hears_the_servers_complaints(stage):
    result = stage.shell("-database", "real", "-execute", "INSERT cpu,host=a value=notanumber")
    assert "unable to parse" in result.stdout + result.stderr, result
    result = stage.shell("-database", "real", "-execute", "SELECT FROM WHERE")
    assert "error parsing query" in result.stdout + result.stderr, result


def test_the_shell_imports_a_file(stage):
    """Plain and compressed, 20,000 points each, sent in batches."""
    for name, opener, flags in (("plain", open, []), ("zipped", gzip.open, ["-compressed"])):
        path = os.path.join(stage.folder.name, name)
        with opener(path, "wt") as file:
            file.write("# DDL\nCREATE DATABASE real\n# DML\n# CONTEXT-DATABASE: real\n")
            for number in range(20000):
                file.write(f"{name},n={number % 10} value={number}i {1700000000000000000 + number}\n")
        result = stage.shell("-import", "-path", path, *flags)
        assert result.returncode == 0 and "Failed 0 inserts" in result.stdout, (result.stdout, result.stderr)
        assert stage.values(f"SELECT count(value), sum(value) FROM {name}") == [[20000, sum(range(20000))]]


def test_the_shell_reads_a_long_answer_in_chunks(stage):
    lines = "".join(f"long value={number}i {1700000000000000000 + number}\n" for number in range(30000))
    call(stage.address, "POST", target("/write", db="real"), lines).expect(204)
    result = stage.shell("-database", "real", "-format", "csv", "-execute", "SELECT value FROM long")
    rows = result.stdout.splitlines()
    assert len(rows) == 30001 and rows[-1].endswith(",29999"), (len(rows), rows[-1])


# -- plain requests


def test_writes_in_every_framing(stage):
    number = 0
    for chunked in (False, True):
        for zipped in (False, True):
            line = f"framing,n={number} value={number}i 1700000000000000000\n"
            call(stage.address, "POST", target("/write", db="real"), line, chunked=chunked, zipped=zipped).expect(204)
            number += 1
    assert stage.values("SELECT n, value FROM framing ORDER BY time") == [[str(n), n] for n in range(4)]


def test_a_chunked_query_arrives_piece_by_piece(stage):
    lines = "".join(f"pieces value={number}i {1700000000000000000 + number}\n" for number in range(1000))
    call(stage.address, "POST", target("/write", db="real"), lines).expect(204)
    path = target("/query", db="real", q="SELECT value FROM pieces", chunked="true", chunk_size="100")
    pieces = [json.loads(line) for line in call(stage.address, "GET", path).expect(200).text.splitlines()]
    assert len(pieces) == 10, len(pieces)
    rows = [row[1] for piece in pieces for row in piece["results"][0]["series"][0]["values"]]
    assert rows == list(range(1000)), rows[:5]


def test_answers_are_the_servers_own(stage):
    """Status, fields and body of each of these are the same with and without Sluice between."""
    call(stage.address, "POST", target("/write", db="real"), "same value=1i 1700000000000000000").expect(204)
    select = target("/query", db="real", q="SELECT * FROM same")
    requests = [("GET", select, None, {}), ("GET", select + "&pretty=true", None, {}),
                ("GET", select, None, {"Accept": "application/csv"}),
                ("GET", select, None, {"Accept": "application/x-msgpack"}),
                ("GET", select, None, {"Accept-Encoding": "gzip"}),
                ("GET", target("/query", db="real", q="SELEC"), None, {}), ("GET", "/query", None, {}),
                ("GET", target("/query", db="nowhere", q="SELECT * FROM m"), None, {}),
                ("POST", target("/write", db="real"), "same value=", {}),
                ("POST", target("/write", db="real"), "same value=\"text\" 1700000000000000000", {}),
                ("POST", target("/write", db="nowhere"), "m v=1", {}), ("POST", "/write", "m v=1", {})]
    for method, path, body, headers in requests:
        direct, through = (call(address, method, path, body, headers)
                           for address in (stage.server.address, stage.address))
        assert (direct.status, direct.body) == (through.status, through.body), (path, direct.text, through.text)
        fields = [{name: value for name, value in answer.headers.items() if name not in PASSING_FIELDS}
                  for answer in (direct, through)]
        assert fields[0] == fields[1], (path, fields)


# -- outages


def test_an_outage_is_told_in_sluices_words(stage):
    stage.server.kill()
    answer = call(stage.address, "POST", target("/write", db="real"), "m value=1i 1").expect(503)
    sentence = answer.json["error"]
    assert answer.headers["x-influxdb-error"] == sentence, answer.headers
    eventually(lambda: not stage.sluice.node_states()["influxdb1"]["usable"], "the node is missed")
    result = stage.shell("-execute", "SHOW DATABASES")
    said = call(stage.address, "GET", "/ping").expect(503).json["error"]
    assert said in result.stdout + result.stderr, result
    assert result.returncode != 0, result


def test_it_comes_back(stage):
    call(stage.address, "POST", target("/write", db="real"), "kept value=7i 1700000000000000000").expect(204)
    stage.server.kill()
    stage.server.start()
    eventually(lambda: call(stage.address, "GET", "/ping").status == 204, "it answers again")
    assert stage.values("SELECT value FROM kept") == [[7]]
