"""TLS on both sides: clients of both versions in front, nodes with certificates of their own behind."""
from real.lib.stage import encrypted as stage  # noqa: F401
from real.cases.flight import OK, check_written_and_queried, do_get
from real.cases.http2 import test_curl_sends_and_reads_large_bodies, test_curl_writes_and_queries  # noqa: F401


def test_the_official_client_writes_and_queries(stage):
    check_written_and_queried(stage, stage.tls_url)
    check_written_and_queried(stage, stage.url)


def test_a_large_result(stage):
    told = do_get(stage, "SELECT value, repeat('x', 1000) AS padding FROM generate_series(1, 20000)", over_tls=True)
    assert told["code"] == OK and sum(told["sizes"]) > 20_000_000, (told["code"], told["details"])
