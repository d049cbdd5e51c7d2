"""HTTP/2 through Sluice with real programs: curl, nghttp, h2load; by prior knowledge in clear text, and over TLS."""
import re
import tempfile

from harness.client import target
from harness.waiting import eventually
from npm import packages

from real.lib.programs import run
from real.lib.stage import TOKEN, both_ports as stage  # noqa: F401
from real.cases.curl import LINES, file_with

AUTHORIZATION = f"Authorization: Bearer {TOKEN}"
FORMAT = "%{http_code} %{http_version} %{num_connects}"
POINT = "curl,n=0 value=0i 1700000000000000000"
CANCEL = 8


def curl(url, *arguments, **options):
    return run("curl", "--silent", "--show-error", "--max-time", "30", "-H", AUTHORIZATION, url, *arguments, **options)


def words_of(url, *arguments, **options):
    """What curl says of the answer: status, version, connections."""
    with tempfile.NamedTemporaryFile() as output:
        told = curl(url, "--output", output.name, "--write-out", FORMAT, *arguments, **options)
        assert told.returncode == 0, told.stderr
        return told.stdout.split()


def ways(stage):
    """(address, options, the version that must come of them)."""
    return ((stage.url, ["--http2-prior-knowledge"], "2"), (stage.tls_url, ["--cacert", stage.ca, "--http2"], "2"),
            (stage.tls_url, ["--cacert", stage.ca, "--http1.1"], "1.1"),
            (stage.tls_url, ["--cacert", stage.ca, "--no-alpn"], "1.1"))


def test_curl_writes_and_queries(stage):
    for url, options, version in ways(stage):
        database = stage.database()
        path = target("/api/v3/write_lp", db=database)
        assert words_of(url + path, *options, "--data-binary", POINT) == ["204", version, "1"], (url, options)
        stage.read_back(database, "SELECT value FROM curl", [{"value": 0}])
        path = target("/api/v3/query_sql", db=database, q="SELECT value FROM curl", format="csv")
        told = curl(url + path, *options)
        assert told.stdout == "value\n0\n", (url, options, told.stdout, told.stderr)


def test_curl_sends_and_reads_large_bodies(stage):
    with tempfile.TemporaryDirectory() as folder:
        lines = "@" + file_with(LINES, folder)
        for url, options, version in ways(stage)[:2]:
            database = stage.database()
            path = target("/api/v3/write_lp", db=database)
            assert words_of(url + path, *options, "--data-binary", lines)[:2] == ["204", version], url
            stage.read_back(database, "SELECT count(*) AS n, sum(value) AS total FROM curl",
                            [{"n": 50000, "total": sum(range(50000))}])
            path = target("/api/v3/query_sql", db=database, q="SELECT value FROM curl ORDER BY value", format="csv")
            told = curl(url + path, *options)
            assert told.stdout == "value\n" + "".join(f"{number}\n" for number in range(50000)), told.stdout[:200]


def test_curl_uploads_without_a_length(stage):
    for url, options, version in ways(stage)[:2]:
        database = stage.database()
        path = target("/api/v3/write_lp", db=database)
        assert words_of(url + path, *options, "-X", "POST", "-T", "-", stdin=LINES)[:2] == ["204", version], url
        stage.read_back(database, "SELECT count(*) AS n FROM curl", [{"n": 50000}])


def test_curl_hears_the_same_errors(stage):
    for url, options, _ in ways(stage):
        told = curl(url + "/api/v3/query_sql?db=nowhere&q=SELECT+1", *options)
        assert told.stdout == '{"error":"query error: database not found: nowhere"}', (options, told.stdout)


def test_curl_keeps_to_one_connection(stage):
    """Over TLS only: with prior knowledge this release of curl fails at its second request, whoever the server is."""
    url, options, _ = ways(stage)[1]
    outputs = [word for number in range(20) for word in (f"{url}/ping?{number}", "--output", "/dev/null")]
    for mood in ([], ["--parallel"]):
        told = run("curl", "--silent", *options, *mood, "--write-out", FORMAT + "\n", *outputs)
        lines = sorted(line for line in told.stdout.splitlines() if re.fullmatch(r"\d+ \d \d", line))
        assert lines == ["200 2 0"] * 19 + ["200 2 1"], told.stdout


def test_a_query_that_is_left_is_cancelled(stage):
    path = target("/api/v3/query_sql", db="_internal", q="SELECT repeat('x', 10000) FROM generate_series(1, 10000000)")
    job = {"url": stage.url, "requests": [{"path": path, "headers": {"authorization": f"Bearer {TOKEN}"},
                                           "cancel_after": 100000}, {"path": "/ping"}]}
    told = packages.javascript("h2.cjs", job)["results"]
    assert (told[0]["status"], told[0]["code"], told[1]["status"]) == (200, CANCEL, 200), told[0]["status"]
    eventually(lambda: any(one["outcome"] == "client_gone" for node_id in ("query-01", "processor-01")
                           for one in stage.seen(node_id, "/api/v3/query_sql")), "the node has cancelled the query")


def test_nghttp(stage):
    """Sixteen streams at once, their heads and ends as nghttp2 sees them."""
    for url in (stage.url, stage.tls_url):
        told = run("nghttp", "-nv", *[f"{url}/ping?{number}" for number in range(16)])
        assert told.stdout.count(":status: 200") == 16, told.stdout[-3000:] + told.stderr
        assert "[INVALID" not in told.stdout and "recv GOAWAY" not in told.stdout, told.stdout[-3000:]
        assert len(re.findall(r"recv SETTINGS frame", told.stdout)) >= 2, told.stdout[-3000:]


def test_h2load(stage):
    """A short one: writes and pings, several streams on each of a few connections, none fails."""
    database = stage.database()
    with tempfile.TemporaryDirectory() as folder:
        point = file_with(POINT, folder)
        for url in (stage.url, stage.tls_url):
            told = run("h2load", "-n", "400", "-c", "4", "-m", "20", "-H", AUTHORIZATION, "-d", point,
                       url + target("/api/v3/write_lp", db=database))
            assert "400 succeeded, 0 failed" in told.stdout and "400 2xx" in told.stdout, told.stdout + told.stderr
            told = run("h2load", "-n", "1000", "-c", "4", "-m", "20", f"{url}/ping")
            assert "1000 succeeded, 0 failed" in told.stdout and "1000 2xx" in told.stdout, told.stdout + told.stderr
    stage.read_back(database, "SELECT count(*) AS n FROM curl", [{"n": 1}])
