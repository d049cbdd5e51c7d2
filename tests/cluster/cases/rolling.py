"""A steady stream of writes while ingest nodes are stopped, killed and started again.

Every point has a tag of its own, so SQL tells for each whether it is there and how often. With timestamps a point
that is sent twice is stored once; without them a second copy would be a second row.
"""
import http.client
import threading

from harness.client import Client, target
from harness.waiting import PATIENCE_SECONDS, eventually
from cluster.lib.stage import INGESTERS
from cluster.lib.stage import full as stage

WRITERS = 8
FIRST_NS = 1700000000000000000


class Stream:
    """Clients that write one point after the other on kept-alive connections, until stopped."""

    def __init__(self, stage, timestamped):
        self.stage = stage
        self.timestamped = timestamped
        self.database = stage.database()
        self.acknowledged = {}       # (writer, number): the node that took it
        self.refused = {}            # (writer, number): status, or the exception of a broken connection
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.write, args=(writer,), daemon=True) for writer in range(WRITERS)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *error):
        self.stopping.set()
        for thread in self.threads:
            thread.join(PATIENCE_SECONDS)

    def write(self, writer):
        path = target("/api/v3/write_lp", db=self.database, precision="nanosecond")
        number = 0
        with Client(self.stage.address) as client:
            while not self.stopping.is_set():
                time_text = f" {FIRST_NS + number}" if self.timestamped else ""
                line = f"steady,point={writer}-{number} v={number}i{time_text}\n"
                try:
                    answer = client.call("POST", path, line)
                    if answer.status == 204:
                        self.acknowledged[(writer, number)] = answer.node
                    else:
                        self.refused[(writer, number)] = f"{answer.status} {answer.text.strip()}"
                except (OSError, http.client.HTTPException) as error:
                    self.refused[(writer, number)] = repr(error)
                    client.connection.close()
                number += 1

    def wait_for(self, node_id, count=20):
        """Until `count` more points were acknowledged, all of them by any node, or at least one by this one."""
        before = len(self.acknowledged)
        eventually(lambda: len(self.acknowledged) >= before + count, f"{count} more writes")
        eventually(lambda: node_id is None or node_id in list(self.acknowledged.values())[before:],
                   f"a write is taken by {node_id}")

    def stored(self):
        """{(writer, number): copies}, once everything acknowledged is visible."""
        count = [{"n": len(self.acknowledged)}]

        def visible():
            rows = self.stage.sql(self.database, "SELECT count(DISTINCT point) AS n FROM steady")
            return rows[0]["n"] >= count[0]["n"]
        try:
            eventually(visible, "all that was acknowledged is stored")
        except AssertionError:
            pass                     # the caller names what is missing
        rows = self.stage.sql(self.database, "SELECT point, count(*) AS n FROM steady GROUP BY point")
        return {tuple(map(int, row["point"].split("-"))): row["n"] for row in rows}

    def check(self):
        """Each acknowledged point is there exactly once, nothing is there twice."""
        stored = self.stored()
        missing = sorted(set(self.acknowledged) - set(stored))
        doubled = sorted(point for point, copies in stored.items() if copies != 1)
        assert not missing, f"{len(missing)} acknowledged points are missing: {missing[:10]}"
        assert not doubled, f"{len(doubled)} points are there more than once: {doubled[:10]}"
        unacknowledged = sum(point in stored for point in self.refused)
        return (f"{len(self.acknowledged)} acknowledged, {len(self.refused)} refused, of which {unacknowledged} "
                f"were stored all the same")


def roll(stage, stream, end):
    """Ends each ingest node under traffic, lets the other one work, and starts it again."""
    for node_id in INGESTERS:
        stream.wait_for(node_id)
        end(node_id)
        stream.wait_for(None)
        stage.cluster.restart(node_id)
        stream.wait_for(node_id)


def terminate(stage):
    return lambda node_id: stage.cluster.kill(node_id, number=15)


def test_a_rolling_restart_costs_no_client_anything(stage):
    """SIGTERM: timestamped writes see neither an error nor a loss."""
    with Stream(stage, timestamped=True) as stream:
        roll(stage, stream, terminate(stage))
    note = stream.check()
    assert not stream.refused, f"{note}: {list(stream.refused.items())[:5]}"
    return note


def test_killed_nodes_lose_nothing_that_was_acknowledged(stage):
    """SIGKILL: what the node held in memory is sent again to the other one."""
    with Stream(stage, timestamped=True) as stream:
        roll(stage, stream, stage.cluster.kill)
    note = stream.check()
    assert not stream.refused, f"{note}: {list(stream.refused.items())[:5]}"
    return note


def test_points_without_a_time_are_never_stored_twice(stage):
    """SIGKILL again: whether the dead node stored such a point nobody knows, so the client hears a 503."""
    with Stream(stage, timestamped=False) as stream:
        roll(stage, stream, stage.cluster.kill)
    note = stream.check()
    odd = [text for text in stream.refused.values() if not text.startswith("503 ")]
    assert not odd, odd[:5]
    return note


def lost_answer(stage, line):
    """Writes a line to nodes of which the first one asked stores it and resets the connection before it answers."""
    database = stage.database()
    stage.fault("ingester-01", reset_after_bytes=0, path="/api/v3/write_lp")
    # Round robin: of any two writes on one worker one goes there first; until it has.
    with Client(stage.address) as client:
        for number in range(1, 5):
            answer = client.call("POST", target("/api/v3/write_lp", db=database, precision="nanosecond"),
                                 line.format(number=number))
            if stage.seen("ingester-01", "/api/v3/write_lp"):
                return database, number, answer
    raise AssertionError("ingester-01 was never asked")


def test_a_lost_answer_with_a_time_is_repaired(stage):
    """The point is stored twice, which is once, and the client hears nothing of it."""
    database, number, answer = lost_answer(stage, "m v={number}i 170000000000000000{number}")
    assert answer.expect(204).node == "ingester-02"
    stage.read(database, "SELECT v FROM m ORDER BY v", [{"v": one} for one in range(1, number + 1)])


def test_a_lost_answer_without_a_time_is_not(stage):
    """A second copy would get a time of its own: the client hears a 503, and there is one point."""
    database, number, answer = lost_answer(stage, "m v={number}i")
    assert "without an answer" in answer.expect(503).json["error"], answer.text
    # A later write shows that there is nothing more to come.
    stage.cluster.control("ingester-01").clear()
    stage.write(database, "m v=9i").expect(204)
    stage.read(database, "SELECT v FROM m ORDER BY v", [{"v": one} for one in [*range(1, number + 1), 9]])
