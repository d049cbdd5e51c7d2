"""The deadline of a write, which has to be over while clients still wait."""
from cluster.lib.stage import INGESTERS, Stage
from harness.sluice import TIGHT_HEALTH


def quick_writes(binary):
    """The documented layout; a write gets a second, where nobody sets it four."""
    return Stage(binary, settings=f"timeouts: {{write_deadline: 1s, write_response: 1s, connect: 500ms, queue: 500ms}}\n{TIGHT_HEALTH}")


stage = quick_writes


def test_silent_nodes_are_a_503(stage):
    """They take the write and never answer: Telegraf gives up after 5 s and would learn nothing."""
    for node_id in INGESTERS:
        stage.fault(node_id, stall=True, path="/api/v3/write_lp")
    answer = stage.write("d", "m v=1i 1").expect(503)
    assert answer.json["code"] == "unavailable", answer.text
