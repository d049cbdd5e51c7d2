"""Nodes whose probes are good and whose answers are not: who hears of it, who is set aside, and how one comes back."""
from harness.waiting import eventually
from wire.lib.house import case
from wire.lib.http1_node import answer
from wire.lib.http1_verbs import close, reset
from wire.lib.requests import BARE, LINES, QUERY, WRITE

WAL = "write buffer error: error from wal: wal is shutdown and not accepting writes"
EXHAUSTED = "Resources exhausted: Failed to allocate additional 1048576 bytes"
LONG_ASIDE = {"health": {"eject": {"time": "5m"}}}


def ejected(sluice, name):
    return sluice.node_status(name)["ejected"]


def ask_until(sluice, name, wanted, ask):
    """Goes on asking until the node is set aside for these classes."""
    for _ in range(200):
        if ejected(sluice, name) == wanted:
            return
        ask()
    raise AssertionError(f"{name} is set aside for {ejected(sluice, name)}, not {wanted}")


@case(("503", answer(503, "busy")), ("500", answer(500, EXHAUSTED)), ("429", answer(429, EXHAUSTED)), ("reset", reset), ("close", close))
def a_query_node_that_fails_at_once_costs_no_query(house, _, verb):
    with house.serve("iqqc", LONG_ASIDE) as sluice:
        sluice.q1.script.put(*[verb] * 1000)
        replies = []
        ask_until(sluice, "q1", ["query"], lambda: replies.append(sluice.ask("GET", QUERY)))
        tries = len(sluice.q1.seen)
        replies += [sluice.ask("GET", QUERY) for _ in range(50)]
        assert {(reply.status, reply.node) for reply in replies} == {(200, "q2")}, replies
        # Five in a row, and then no more than what nobody else could serve.
        assert tries <= 6 and len(sluice.q1.seen) == tries, (tries, len(sluice.q1.seen))
        sluice.wait_line("event=node_set_aside node=q1 class=query reason=answers")
        assert sluice.metric('sluice_node_ejected{node="q1",class="query"}') == 1
        sluice.wait_metric("sluice_node_ejections_total", 1)
        assert sluice.node_status("q1")["health"] == "up"


@case(("500", answer(500, "disk full")), ("503", answer(503, "")), ("v2's word for all", answer(400, '{"code":"invalid","message":"' + WAL + '"}')))
def an_ingest_node_that_fails_at_once_costs_no_timestamped_write(house, _, verb):
    with house.serve("iiqc", LONG_ASIDE) as sluice:
        sluice.i1.script.put(*[verb] * 1000)
        replies = [sluice.ask("POST", WRITE, LINES) for _ in range(60)]
        assert {(reply.status, reply.node) for reply in replies} == {(204, "i2")}, replies
        assert len(sluice.i1.seen) <= 6, len(sluice.i1.seen)


@case()
def who_is_set_aside_for_queries_serves_what_names_it(house):
    with house.serve("iqqc", LONG_ASIDE) as sluice:
        sluice.q1.script.put(*[answer(503)] * 5)
        ask_until(sluice, "q1", ["query"], lambda: sluice.ask("GET", QUERY))
        assert sluice.ask("GET", "/metrics", b"", {"X-Sluice-Node": "q1"}).node == "q1"


@case()
def a_pool_that_fails_as_a_whole_sets_nobody_aside(house):
    with house.serve("iqqc", LONG_ASIDE) as sluice:
        for node in (sluice.q1, sluice.q2):
            node.script.put(*[answer(503, "the license has ended")] * 1000)
        replies = [sluice.ask("GET", QUERY) for _ in range(60)]
        assert {(reply.status, reply.body) for reply in replies} == {(503, b"the license has ended")}, replies
        assert ejected(sluice, "q1") == [] and ejected(sluice, "q2") == []
        assert len(sluice.q1.seen) > 20 and len(sluice.q2.seen) > 20


@case((401,), (403,), (400,), (404,))
def a_clients_mistakes_set_nobody_aside(house, status):
    with house.serve("iqqc", LONG_ASIDE) as sluice:
        sluice.q1.script.put(*[answer(status, "no")] * 1000)
        replies = [sluice.ask("GET", QUERY).status for _ in range(60)]
        assert status in replies and 200 in replies, replies
        assert ejected(sluice, "q1") == []


@case()
def one_request_brings_a_node_back(house):
    with house.serve("iqqc", {"health": {"eject": {"time": "100ms"}, "slow_start": 0}}) as sluice:
        sluice.q1.script.put(*[answer(503)] * 5)
        def is_set_aside():
            """It may be back before anybody looks at its status."""
            sluice.ask("GET", QUERY)
            return sluice.count_lines("event=node_set_aside node=q1") > 0
        eventually(is_set_aside, "q1 is set aside")
        def is_back():
            assert sluice.ask("GET", QUERY).status == 200
            return ejected(sluice, "q1") == []
        eventually(is_back, "q1 is back")
        sluice.wait_line("event=node_readmitted node=q1 class=query")
        eventually(lambda: sluice.ask("GET", QUERY).node == "q1", "q1 serves again")


@case()
def a_node_whose_wal_is_shut_down_gets_one_write(house):
    with house.serve("iiqc") as sluice:  # the next probe comes in an hour
        sluice.i1.script.put(*[answer(503, WAL)] * 1000)
        replies = [sluice.ask("POST", WRITE, BARE) for _ in range(20)]
        assert {(reply.status, reply.node) for reply in replies} == {(204, "i2")}, replies
        assert len(sluice.i1.seen) == 1
        assert sluice.metric("sluice_retries_spent_total") == 0


@case()
def a_good_probe_lets_a_node_that_refused_try_again(house):
    with house.serve("iiqc", {"health": {"interval": "100ms", "timeout": "60s"}}) as sluice:
        sluice.i1.script.put(answer(503, WAL))
        eventually(lambda: sluice.ask("POST", WRITE, BARE).status == 204 and len(sluice.i1.seen) == 1, "i1 has refused a write")
        eventually(lambda: sluice.ask("POST", WRITE, BARE).node == "i1", "i1 takes writes again")


# ---- the budget of repeats ----

@case()
def repeats_beyond_the_budget_wait_for_a_token(house):
    with house.serve("iqqc", {"retries": {"share": 0, "floor": 1}, "health": {"eject": {"failures": 0}}}) as sluice:
        for node in (sluice.q1, sluice.q2):
            node.script.put(*[reset] * 100)
        # Ten seconds of the floor are there at the start.
        for _ in range(11):
            assert sluice.ask("GET", QUERY).status == 502
        assert sluice.metric("sluice_retries_spent_total") == 11
        assert sluice.metric("sluice_retries_waited_total") >= 1
        assert sluice.metric("sluice_retries_expired_total") == 0


@case()
def what_was_not_read_is_repeated_without_a_token(house):
    with house.serve("iiqc", {"retries": {"share": 0, "floor": 1}}) as sluice:
        sluice.i1.refuse()
        assert {sluice.ask("POST", WRITE, BARE).status for _ in range(30)} == {204}
        assert sluice.metric("sluice_retries_spent_total") == 0


@case()
def a_write_that_finds_no_token_ends_at_its_deadline(house):
    with house.serve("iiqc", {"timeouts": {"write_deadline": house.short(300)}, "retries": {"share": 0, "floor": 1},
                              "health": {"eject": {"failures": 0}}}) as sluice:
        for node in (sluice.i1, sluice.i2):
            node.script.put(*[answer(500, "disk full")] * 100)
        replies = [sluice.ask("POST", WRITE, LINES) for _ in range(14)]
        assert {reply.status for reply in replies} <= {500, 503}, replies
        eventually(lambda: sluice.metric("sluice_retries_expired_total") >= 1, "a write has waited in vain")
