"""Writes on each endpoint and in each framing reach an ingest node and can be read back."""
import hashlib

from harness.client import target
from cluster.lib.stage import INGESTERS
from cluster.lib.stage import full as stage

FRAMINGS = [{"chunked": chunked, "zipped": zipped} for chunked in (False, True) for zipped in (False, True)]


def write_and_read(stage, path, parameter):
    """The same endpoint with and without chunks and gzip: four points, all of them read back."""
    database = stage.database()
    for number, framing in enumerate(FRAMINGS):
        lines = f"home,room=r{number} temp={number}.5 {1700000000000000000 + number}\n"
        answer = stage.call("POST", target(path, **{parameter: database}), lines, **framing).expect(204)
        assert answer.node in INGESTERS, f"{answer.node} took a write ({framing})"
        assert answer.body == b"" and "transfer-encoding" not in answer.headers, answer.headers
    wanted = [{"room": f"r{number}", "temp": number + 0.5} for number in range(len(FRAMINGS))]
    stage.read(database, "SELECT room, temp FROM home ORDER BY room", wanted)


def test_v3(stage):
    write_and_read(stage, "/api/v3/write_lp", "db")


def test_v2(stage):
    write_and_read(stage, "/api/v2/write", "bucket")


def test_v1(stage):
    write_and_read(stage, "/write", "db")


def test_both_ingest_nodes_take_their_share(stage):
    database = stage.database()
    taken = [stage.write(database, f"m v={number} {number}").expect(204).node for number in range(1, 21)]
    counts = {node_id: taken.count(node_id) for node_id in INGESTERS}
    # Equal weights; each of the two workers counts for itself.
    assert sum(counts.values()) == 20 and min(counts.values()) >= 8, counts


def test_the_node_gets_the_very_bytes(stage):
    """A body of a quarter of a megabyte in chunks of 7 bytes is the same body on the other side."""
    database = stage.database()
    lines = "".join(f"m,n={number} v={number}i {number + 1}\n" for number in range(10000))
    answer = stage.call("POST", target("/api/v3/write_lp", db=database), lines, chunked=True).expect(204)
    sighting = stage.seen(answer.node, "/api/v3/write_lp")[-1]
    assert sighting["body_sha256"] == hashlib.sha256(lines.encode()).hexdigest(), sighting
    stage.read(database, "SELECT count(*) AS n FROM m", [{"n": 10000}])


def test_a_client_error_passes_through(stage):
    """400 with the database's own words, from the first node that was asked, and asked once."""
    stage.recover()
    answer = stage.write(stage.database(), "this is no line protocol\n").expect(400)
    assert answer.node in INGESTERS and "data" in answer.json, answer.text
    counts = stage.seen_count("/api/v3/write_lp")
    assert sum(counts.values()) == 1, counts


def test_no_sync_and_parameters_arrive_as_they_were(stage):
    stage.recover()
    database = stage.database()
    path = f"/api/v3/write_lp?db={database}&precision=second&no_sync=true&accept_partial=false"
    answer = stage.call("POST", path, "m v=1i 1700000000").expect(204)
    assert stage.seen(answer.node, "/api/v3/write_lp")[0]["query"] == path.partition("?")[2]
    stage.read(database, "SELECT v FROM m", [{"v": 1}])
