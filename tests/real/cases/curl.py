"""curl in its less usual moods."""
import gzip
import os
import tempfile
import threading


from harness.waiting import PATIENCE_SECONDS, eventually
from real.lib.programs import SECONDS, run
from real.lib.stage import TOKEN, clients as stage  # noqa: F401

FORMAT = "%{http_code} %{http_version} %{num_connects} %{time_total}\n"
LINES = "".join(f"curl,n={number} value={number}i {1700000000000000000 + number}\n" for number in range(50000))


def curl(stage, database, *arguments, path="/api/v3/write_lp", stdin=None):
    """Runs curl on a write endpoint: (exit status, the words of FORMAT, what -v told)."""
    with tempfile.NamedTemporaryFile() as output:
        result = run("curl", "--silent", "--show-error", "--verbose", "--max-time", str(SECONDS), "--output", output.name,
                     "--write-out", FORMAT, "-H", f"Authorization: Bearer {TOKEN}",
                     f"{stage.url}{path}?db={database}", *arguments, stdin=stdin)
    return result.returncode, result.stdout.split() or ["nothing"], result.stderr


def file_with(text, folder):
    path = os.path.join(folder, "lines")
    with open(path, "wb") as file:
        file.write(text if isinstance(text, bytes) else text.encode())
    return path


def check_written(stage, database, count):
    stage.read_back(database, "SELECT count(*) AS n, sum(value) AS total FROM curl",
                    [{"n": count, "total": sum(range(count))}])


def test_expect_continue_with_a_large_body(stage):
    """Above 1 MiB curl asks first, and waits a whole second if nobody says 100."""
    database = stage.database()
    assert len(LINES) > 1 << 20, len(LINES)
    with tempfile.TemporaryDirectory() as folder:
        status, words, told = curl(stage, database, "--data-binary", "@" + file_with(LINES, folder))
    assert (status, words[0]) == (0, "204"), (status, words, told[-2000:])
    assert "> Expect: 100-continue" in told and "< HTTP/1.1 100 Continue" in told, told[-2000:]
    assert "Done waiting for 100-continue" not in told, told[-2000:]
    check_written(stage, database, 50000)


def test_expect_continue_without_any_node(stage):
    """The final answer comes in place of the 100, and the body stays at home."""
    stage.lose_ingest_nodes()
    eventually(lambda: not any(stage.sluice.node_states()[name]["usable"] for name in ("ingester-01", "ingester-02")),
               "Sluice knows that there is nobody")
    with tempfile.TemporaryDirectory() as folder:
        status, words, told = curl(stage, "d", "--data-binary", "@" + file_with(LINES, folder))
    assert (status, words[0]) == (0, "503"), (status, words, told[-2000:])
    assert "100 Continue" not in told, told[-2000:]


def test_upload_from_a_pipe(stage):
    """-T - does not know the length: chunked, and with Expect."""
    database = stage.database()
    status, words, told = curl(stage, database, "-X", "POST", "-T", "-", stdin=LINES)
    assert (status, words[0]) == (0, "204"), (status, words, told[-2000:])
    assert "> Transfer-Encoding: chunked" in told, told[-2000:]
    check_written(stage, database, 50000)


def test_upgrade_to_http2_is_ignored(stage):
    """--http2 in clear text offers h2c on a POST with a body; the answer is plain HTTP/1.1."""
    database = stage.database()
    status, words, told = curl(stage, database, "--http2", "--data-binary", "curl,n=0 value=0i 1700000000000000000")
    assert (status, words[:2]) == (0, ["204", "1.1"]), (status, words, told[-2000:])
    assert "> Upgrade: h2c" in told and "101 Switching" not in told, told[-2000:]
    check_written(stage, database, 1)


def test_http_1_0(stage):
    database = stage.database()
    status, words, told = curl(stage, database, "-0", "--data-binary", "curl,n=0 value=0i 1700000000000000000")
    assert (status, words[0]) == (0, "204"), (status, words, told[-2000:])
    check_written(stage, database, 1)


def test_http_1_0_gets_a_streamed_answer_by_closing(stage):
    """The node's answer is chunked, which HTTP/1.0 does not know: the end is the end of the connection."""
    result = run("curl", "--silent", "--show-error", "-0", "-i", "-H", f"Authorization: Bearer {TOKEN}", "-G",
                 f"{stage.url}/api/v3/query_sql", "-d", "db=_internal", "-d", "format=csv", "--data-urlencode",
                 "q=SELECT value FROM generate_series(1, 1000)")
    assert result.returncode == 0 and " 200 " in result.stdout.splitlines()[0], result.stdout[:1000]
    assert "transfer-encoding" not in result.stdout.lower(), result.stdout[:1000]
    assert result.stdout.split("value\n")[1].splitlines() == [str(n) for n in range(1, 1001)], result.stdout[-200:]


def test_gzip_from_a_file(stage):
    database = stage.database()
    with tempfile.TemporaryDirectory() as folder:
        path = file_with(gzip.compress(LINES.encode()), folder)
        status, words, told = curl(stage, database, "-H", "Content-Encoding: gzip", "--data-binary", "@" + path)
    assert (status, words[0]) == (0, "204"), (status, words, told[-2000:])
    check_written(stage, database, 50000)


def test_one_connection_for_several_requests(stage):
    result = run("curl", "--silent", "--write-out", "%{http_code} %{num_connects}\n", "--output", os.devnull,
                 "--output", os.devnull, "--output", os.devnull, *[f"{stage.url}/ping"] * 3)
    assert result.stdout.splitlines() == ["200 1", "200 0", "200 0"], result.stdout


def test_retry_until_a_node_is_back(stage):
    """--retry repeats on 503; there is no Retry-After, so it waits a second."""
    database = stage.database()
    stage.lose_ingest_nodes()
    outcome = []
    thread = threading.Thread(target=lambda: outcome.append(
        curl(stage, database, "--retry", "5", "--data-binary", "curl,n=0 value=0i 1700000000000000000")))
    thread.start()

    def has_failed_once():
        with open(stage.access_log, encoding="utf-8") as file:
            return any(f"db={database}" in line and " status=503 " in line for line in file)
    eventually(has_failed_once, "curl has heard a 503")
    stage.cluster.restart("ingester-01")
    thread.join(PATIENCE_SECONDS)
    status, words, told = outcome[0]
    assert (status, words[0]) == (0, "204"), (status, words, told[-2000:])
    check_written(stage, database, 1)


def test_a_form_content_type_is_not_interpreted(stage):
    """-d says application/x-www-form-urlencoded even of line protocol."""
    database = stage.database()
    status, words, told = curl(stage, database, "-d", "curl,n=a%20b&c=d value=0i 1700000000000000000", path="/write")
    assert (status, words[0]) == (0, "204") and "x-www-form-urlencoded" in told, (status, words, told[-2000:])
    stage.read_back(database, "SELECT n FROM curl", [{"n": "a%20b&c=d"}])


def test_http2_to_nodes_that_do_not_speak_it(stage):
    """The nodes of this stage answer HTTP/1.1 only; a client by HTTP/2 does not notice."""
    database = stage.database()
    with tempfile.TemporaryDirectory() as folder:
        status, words, told = curl(stage, database, "--http2-prior-knowledge", "--data-binary",
                                   "@" + file_with(LINES, folder))
    assert (status, words[:2]) == (0, ["204", "2"]), (status, words, told[-2000:])
    check_written(stage, database, 50000)
    result = run("curl", "--silent", "--show-error", "--http2-prior-knowledge", "-H", f"Authorization: Bearer {TOKEN}",
                 "-G", f"{stage.url}/api/v3/query_sql", "-d", "db=" + database, "-d", "format=csv", "--data-urlencode",
                 "q=SELECT value FROM curl ORDER BY value")
    assert result.stdout == "value\n" + "".join(f"{number}\n" for number in range(50000)), result.stdout[:200]
