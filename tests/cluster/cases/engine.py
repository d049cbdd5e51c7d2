"""Request triggers that live on one node, and plugins that write back through Sluice."""
from harness.client import call, target
from cluster.lib.stage import INGESTERS, PLUGIN_NODES
from cluster.lib.stage import full as stage

ENGINE = "/api/v3/engine/"


def wrong_asked(stage, right, path):
    """How often nodes other than the right one were asked."""
    return sum(count for node_id, count in stage.seen_count(path).items() if node_id != right)


def test_a_pinned_trigger_is_found_and_remembered(stage):
    for name, right in (("pinned", "processor-02"), ("first", "processor-01")):
        for number in range(10):
            answer = stage.call("POST", f"{ENGINE}{name}?n={number}", f"body {number}").expect(200)
            assert answer.node == right and answer.json["node_id"] == right, answer.text
            assert answer.json["body"] == f"body {number}" and answer.json["query"] == {"n": str(number)}, answer.text
        # Each of the two workers may have to find out for itself; the nodes without plugins are no candidates.
        assert wrong_asked(stage, right, ENGINE + name) <= 2, stage.seen_count(ENGINE + name)
        assert len(stage.seen(right, ENGINE + name)) == 10, "a plugin ran more than once for one request"


def test_only_nodes_that_run_plugins_are_asked(stage):
    stage.recover()
    answer = stage.call("GET", ENGINE + "nowhere").expect(404)
    assert answer.text == '{error: "not found"}', answer.text
    counts = stage.seen_count(ENGINE + "nowhere")
    assert {node_id for node_id, count in counts.items() if count} == set(PLUGIN_NODES), counts


def test_a_404_of_the_plugin_itself_is_an_answer(stage):
    stage.recover()
    for _ in range(3):
        answer = stage.call("GET", ENGINE + "missing").expect(404)
        assert answer.node == "processor-02" and "the plugin has no such thing" in answer.text, answer.text
    assert len(stage.seen("processor-02", ENGINE + "missing")) == 3


def test_a_trigger_whose_node_is_down_is_a_503(stage):
    """The other node's "not found" would tell the client that the trigger does not exist."""
    stage.cluster.kill("processor-02")
    answer = stage.call("GET", ENGINE + "pinned").expect(503)
    assert answer.json["code"] == "unavailable", answer.text


# -- write-back


def test_the_writeback_listener_alternates(stage):
    """Strictly, over connections and workers."""
    database = stage.database()
    path = target("/api/v3/write_lp", db=database)
    nodes = [call(stage.cluster.writeback, "POST", path, f"m v={number}i {number + 1}").expect(204).node
             for number in range(10)]
    assert all(one != next_one for one, next_one in zip(nodes, nodes[1:])), nodes
    stage.read(database, "SELECT count(*) AS n FROM m", [{"n": 10}])


def test_a_plugin_writes_through_it(stage):
    stage.recover()
    database = stage.database()
    for number in range(6):
        answer = stage.call("POST", target(ENGINE + "write", db=database), f"m v={number}i {number + 1}").expect(200)
        assert answer.json["status"] == 204, answer.text
    counts = stage.seen_count("/api/v3/write_lp")
    assert [counts[node_id] for node_id in INGESTERS] == [3, 3], counts
    stage.read(database, "SELECT count(*) AS n FROM m", [{"n": 6}])


def test_a_writeback_goes_to_the_next_node_when_the_connection_fails(stage):
    database = stage.database()
    path = target("/api/v3/write_lp", db=database)
    stage.cluster.kill("ingester-01")
    for number in range(4):
        answer = call(stage.cluster.writeback, "POST", path, f"m v={number}i {number + 1}").expect(204)
        assert answer.node == "ingester-02", answer.node
    stage.cluster.kill("ingester-02")
    call(stage.cluster.writeback, "POST", path, "m v=9i 9").expect(503)
    stage.recover()
    stage.read(database, "SELECT count(*) AS n FROM m", [{"n": 4}])


def test_a_writeback_is_never_sent_twice(stage):
    """The node resets after it has read the body: whether it stored it nobody knows, and plugins retry on their own."""
    stage.recover()
    for node_id in INGESTERS:
        stage.fault(node_id, reset_after_bytes=0, path="/api/v3/write_lp")
    call(stage.cluster.writeback, "POST", target("/api/v3/write_lp", db="d"), "m v=1i 1").expect(503)
    assert sum(stage.seen_count("/api/v3/write_lp").values()) == 1, stage.seen_count("/api/v3/write_lp")


def test_only_writes_are_served_there_as_writeback(stage):
    """Everything else on that listener is routed as on the other one."""
    path = target("/api/v3/query_sql", db="_internal", q="SELECT 1 AS one", format="json")
    assert call(stage.cluster.writeback, "GET", path).expect(200).json == [{"one": 1}]
