"""Java's HttpClient, which is the REST transport of influxdb3-java; skipped where there is no java."""
from real.lib.programs import CLIENTS, run
from real.lib.stage import TOKEN, clients as stage  # noqa: F401


def test_httpclient_writes_though_it_offers_h2c(stage):
    """Upgrade, HTTP2-Settings and a body in one POST: the offer is ignored and the body is not."""
    database = stage.database()
    result = run("java", str(CLIENTS / "Client.java"), stage.url, TOKEN, database)
    assert result.returncode == 0, result.stdout + result.stderr
    lines = result.stdout.split("\n")[:-1]
    assert lines == ["204 HTTP_1_1"] * 21 + ["200 HTTP_1_1"], lines
    stage.read_back(database, "SELECT count(*) AS n, sum(value) AS total FROM java",
                    [{"n": 30000, "total": sum(range(30000))}])
    seen = [one for node_id in ("ingester-01", "ingester-02") for one in stage.seen(node_id, "/api/v2/write")]
    fields = {name.lower() for one in seen for name, _ in one["headers"]}
    assert "upgrade" not in fields and "http2-settings" not in fields, fields
