"""Other people's clients of HTTP/2 in front of Sluice."""
import hashlib
import re
import subprocess

from harness.waiting import PATIENCE_SECONDS
from wire.lib.house import case
from wire.lib.http1_node import answer
from wire.lib.http2_house import BARE, QUERY, WRITE, serve_version
from wire.lib.http2_node import reply

LARGE = bytes(range(256)) * 4096 * 4


def run(*command, **options):
    return subprocess.run(command, capture_output=True, timeout=PATIENCE_SECONDS, check=False, **options)


@case((1,), (2,))
def curl_asks_and_uploads(house, back):
    with serve_version(house, back) as sluice:
        url = f"http://127.0.0.1:{sluice.port}"
        sluice.q1.script.put((reply if back == 2 else answer)(200, LARGE))
        got = run("curl", "-s", "--http2-prior-knowledge", url + QUERY)
        assert hashlib.sha256(got.stdout).digest() == hashlib.sha256(LARGE).digest(), (got.returncode, len(got.stdout))
        put = run("curl", "-s", "--http2-prior-knowledge", "-w", "%{http_code} %{http_version}", "--data-binary", "@-", url + WRITE,
                  input=LARGE)
        assert put.stdout == b"204 2", put
        assert sluice.i1.seen[0].body == LARGE
        both = run("curl", "-s", "--http2", "-w", "%{http_code} %{http_version}", "-d", BARE, url + WRITE)  # Upgrade: h2c
        assert both.stdout == b"204 1.1", both


@case((1,), (2,))
def nghttp_asks_many_times_on_one_connection(house, back):
    with serve_version(house, back) as sluice:
        got = run("nghttp", "-nsm", "20", f"http://127.0.0.1:{sluice.port}{QUERY}")
        assert got.returncode == 0 and len(re.findall(rb"^ *\d+ .* 200 ", got.stdout, re.M)) == 20, got.stdout.decode()
        assert len(sluice.q1.seen) == 20


@case((1,), (2,))
def h2load_gets_an_answer_to_each_request(house, back):
    with serve_version(house, back) as sluice:
        got = run("h2load", "-n", "1000", "-c", "4", "-m", "20", f"http://127.0.0.1:{sluice.port}{QUERY}").stdout.decode()
        assert "1000 succeeded, 0 failed, 0 errored, 0 timeout" in got and "1000 2xx" in got, got
