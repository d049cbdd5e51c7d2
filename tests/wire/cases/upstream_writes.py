"""Writes and write-back: who gets them, who gets them next, and what the client hears."""
import gzip
import threading

from harness.waiting import PATIENCE_SECONDS, eventually
from wire.lib.house import case
from wire.lib.http1_client import Client, ask, check_fault
from wire.lib.http1_node import Script, answer
from wire.lib.http1_verbs import close, hold, leaves_body, reset, silence
from wire.lib.requests import BARE, LINES, WRITE

READ_ONLY = "write buffer error: cannot write to a read-only server: must enable ingest mode"
COMPACTOR_ONLY = "write buffer error: cannot write to a compactor-only server"
WAL = "write buffer error: error from wal: wal is shutdown"
PARTIAL = (b'{"error":"partial write of line protocol occurred","data":[{"error_message":"invalid column type",'
           b'"line_number":2,"original_line":"cpu,host=b usage=tw"}]}')


def names(nodes):
    return {node.name: len(node.seen) for node in nodes}


# ---- write-back ----

@case()
def write_back_goes_round_robin(house):
    with house.serve("iiiqc") as sluice:
        order = [ask(sluice.writeback_port, "POST", WRITE, LINES).node for _ in range(9)]
        assert order == ["i1", "i2", "i3"] * 3, order


@case()
def write_back_goes_round_robin_whatever_the_weights_and_other_writes(house):
    def prepare(nodes):
        nodes["i1"].keys["io_threads"] = 8
    with house.serve("iiqc", prepare=prepare) as sluice:
        order = []
        for _ in range(3):
            order.append(ask(sluice.writeback_port, "POST", WRITE, LINES).node)
            sluice.ask("POST", WRITE, LINES)
            order.append(ask(sluice.writeback_port, "POST", "/write?db=d", LINES).node)
        assert order == ["i1", "i2"] * 3, order


@case()
def write_back_hops_once_when_a_node_refuses_connections(house):
    with house.serve("iiiqc") as sluice:
        sluice.i1.refuse()
        reply = ask(sluice.writeback_port, "POST", WRITE, LINES)
        assert reply.status == 204, reply
        assert sorted(names([sluice.i2, sluice.i3]).values()) == [0, 1]


@case(("first",), ("after a success",))
def write_back_asks_no_third_node(house, when):
    with house.serve("iiiqc") as sluice:
        if when == "after a success":
            for _ in range(3):
                ask(sluice.writeback_port, "POST", WRITE, LINES)
            for node in (sluice.i1, sluice.i2):
                for link in node.links:
                    link.kill()
            before = len(sluice.i3.seen)
        else:
            before = 0
        sluice.i1.refuse()
        sluice.i2.refuse()
        check_fault(ask(sluice.writeback_port, "POST", WRITE, LINES), 503, "connect_refused")
        assert len(sluice.i3.seen) == before
        sluice.wait_line("event=attempt_failed", 2)


@case((500,), (502,), (503,), (401,), (403,), (400,), (422,))
def write_back_takes_a_status_as_the_answer(house, status):
    with house.serve("iiqc") as sluice:
        sluice.i1.script.put(answer(status, "no", content_type="text/plain"))
        reply = ask(sluice.writeback_port, "POST", WRITE, LINES)
        assert (reply.status, reply.body, reply.node) == (status, b"no", "i1"), reply
        assert not sluice.i2.seen


@case()
def the_write_back_listener_serves_other_requests_as_ever(house):
    with house.serve("iiqc") as sluice:
        assert ask(sluice.writeback_port, "GET", "/api/v3/query_sql?db=d&q=x").node == "q1"
        assert ask(sluice.writeback_port, "GET", "/api/v3/enterprise/backup").node == "c1"


# ---- writes: which node ----

@case(("equal", [4, 4, 4], [4, 4, 4]),
      ("three two one", [12, 8, 4], [6, 4, 2]),
      ("sixteen to two", [16, 2, 2], [16, 2, 2]))
def writes_are_weighted_by_io_threads(house, _, threads, expected):
    def prepare(nodes):
        for name, count in zip(("i1", "i2", "i3"), threads):
            nodes[name].keys["io_threads"] = count
    with house.serve("iiiqc", prepare=prepare) as sluice:
        with sluice.client() as client:
            for _ in range(sum(expected)):
                assert client.ask("POST", WRITE, LINES).status == 204
        seen = list(names([sluice.i1, sluice.i2, sluice.i3]).values())
        assert seen == expected, seen


@case()
def a_write_never_leaves_the_ingest_nodes(house):
    with house.serve("iqcp") as sluice:
        for target in ("/write?db=d", "/api/v2/write?bucket=d", WRITE):
            assert sluice.ask("POST", target, LINES).node == "i1"
        sluice.i1.refuse()
        for link in sluice.i1.links:
            link.kill()
        check_fault(sluice.ask("POST", WRITE, LINES), 503, "connect_refused")
        assert names([sluice.q1, sluice.c1, sluice.p1]) == {"q1": 0, "c1": 0, "p1": 0}


@case()
def a_refused_connection_sends_a_write_to_the_other_node(house):
    with house.serve("iiqc") as sluice:
        sluice.i1.refuse()
        reply = sluice.ask("POST", WRITE, BARE)
        assert (reply.status, reply.node) == (204, "i2"), reply
        assert sluice.i2.seen[0].body == BARE


@case(("v1", "/write?db=d"), ("v2", "/api/v2/write?bucket=d"), ("v3", WRITE))
def all_nodes_refuse_connections(house, _, target):
    with house.serve("iiqc") as sluice:
        sluice.i1.refuse()
        sluice.i2.refuse()
        check_fault(sluice.ask("POST", target, LINES), 503, "connect_refused", target)


@case()
def retry_after_is_sent_with_a_503_if_the_operator_wants_it(house):
    with house.serve("iqc", {"retry_after": True}) as sluice:
        sluice.i1.refuse()
        check_fault(sluice.ask("POST", WRITE, LINES), 503, "connect_refused", retry_after="1")


@case()
def a_long_upload_waits_for_the_second_node(house):
    body = LINES * 40_000  # 3 MB: far more than is kept for a repetition
    with house.serve("iiqc") as sluice:
        sluice.i1.refuse()
        reply = sluice.ask("POST", WRITE, body)
        assert (reply.status, reply.node) == (204, "i2"), reply
        assert sluice.i2.seen[0].body == body


# ---- writes: refusals ----

def json_refusal(text):
    return f'{{"code":"invalid","message":"{text}"}}'


@case(("v1 read-only", "/write?db=d", 500, READ_ONLY),
      ("v2 read-only", "/api/v2/write?bucket=d", 400, json_refusal(READ_ONLY)),
      ("v3 read-only", WRITE, 500, READ_ONLY),
      ("v2 compactor", "/api/v2/write?bucket=d", 400, json_refusal(COMPACTOR_ONLY)),
      ("v3 compactor", WRITE, 500, COMPACTOR_ONLY),
      ("v1 wal 500", "/write?db=d", 500, WAL),
      ("v2 wal 400", "/api/v2/write?bucket=d", 400, json_refusal(WAL)),
      ("v3 wal 503", WRITE, 503, WAL),
      ("v1 no route", "/write?db=d", 404, "Not found"),
      ("v2 no route", "/api/v2/write?bucket=d", 404, ""),
      ("v3 a long page", WRITE, 404, "<html>" + "no such page " * 5000),
      ("v3 no method", WRITE, 405, "<html>Method Not Allowed</html>"))
def a_node_that_refuses_unseen_is_passed_over(house, _, target, status, body):
    with house.serve("iiqc") as sluice:
        sluice.i1.script.put(answer(status, body))
        reply = sluice.ask("POST", target, BARE)
        assert (reply.status, reply.node, reply.body) == (204, "i2", b""), reply
        assert names([sluice.i1, sluice.i2]) == {"i1": 1, "i2": 1}
        assert sluice.i2.seen[0].body == BARE


@case(("v2", "/api/v2/write?bucket=d", 400), ("v1", "/write?db=d", 500), ("v3", WRITE, 503), ("no route", WRITE, 404), ("no method", WRITE, 405))
def a_refusal_by_all_nodes_is_a_503_that_no_client_drops(house, _, target, status):
    with house.serve("iiqc") as sluice:
        for node in (sluice.i1, sluice.i2):
            node.script.put(answer(status, json_refusal(READ_ONLY)))
        check_fault(sluice.ask("POST", target, BARE), 503, "upstream_refused_role", target)
        assert names([sluice.i1, sluice.i2]) == {"i1": 1, "i2": 1}


STORE = "write buffer error: error from wal: object store error: no route"


@case(("v2 role 404", "/api/v2/write?bucket=d", 404, b""), ("v1 role 405", "/write?db=d", 405, b""),
      ("v3 500", WRITE, 500, b"disk full"), ("v3 503", WRITE, 503, b"busy"), ("v3 429", WRITE, 429, b""),
      ("v2 object store", "/api/v2/write?bucket=d", 400, json_refusal(STORE)),
      ("v2 too old", "/api/v2/write?bucket=d", 400, json_refusal("write buffer error: Catalog modification failed: node is running an older version")))
def a_timestamped_write_goes_elsewhere_when_it_is_the_nodes_fault(house, _, target, status, body):
    with house.serve("iiqc") as sluice:
        sluice.i1.script.put(answer(status, body))
        reply = sluice.ask("POST", target, LINES)
        assert (reply.status, reply.node) == (204, "i2"), reply
        assert sluice.i2.seen[0].body == LINES


@case(("v2 object store", "/api/v2/write?bucket=d", 400, json_refusal(STORE)), ("v3 429", WRITE, 429, b""))
def a_4xx_that_is_the_nodes_fault_becomes_a_503_that_no_client_drops(house, _, target, status, body):
    with house.serve("iiqc") as sluice:
        sluice.i1.script.put(answer(status, body))
        check_fault(sluice.ask("POST", target, BARE), 503, "upstream_failed", target)
        assert not sluice.i2.seen


@case(("partial write", 400, PARTIAL),
      ("long partial write", 400, PARTIAL[:-2] + b"," + b",".join([PARTIAL[64:-2]] * 80) + b"]}"),
      ("quoted refusal", 400, b'{"error":"line protocol parsing error","data":{"original_line":"wal is shutdown"}}'),
      ("refusal further on", 400, b'{"error":"bad line: write buffer error: cannot write to a read-only server"}'),
      ("other write buffer error", 500, b"write buffer error: object store failed"),
      ("empty", 400, b""),
      ("unknown database of 1.x", 404, b'{"error":"database not found: \\"d\\""}'),
      ("limit", 422, b'{"error":"table limit"}'),
      ("size", 413, b"max request size (10485760 bytes) exceeded"),
      ("no token", 401, b'{"error": "the request was not authenticated"}'),
      ("no permission", 403, b""),
      ("busy", 503, b"busy"),
      ("failure", 500, b"oh"))
def a_nodes_own_error_reaches_the_client_as_it_is(house, _, status, body):
    with house.serve("iiqc") as sluice:
        sluice.i1.script.put(answer(status, body, content_type="application/x-own", cluster_uuid="u-1"))
        reply = sluice.ask("POST", WRITE, BARE if status >= 500 else LINES)
        assert reply.is_whole and (reply.status, reply.body, reply.node) == (status, body, "i1"), reply
        assert reply.field("content-type") == "application/x-own" and reply.field("cluster-uuid") == "u-1", reply
        assert not sluice.i2.seen


@case(("curl", {}, "7"), ("the JavaScript client", {"User-Agent": "influxdb-client-js/1.35.0"}, None))
def a_nodes_retry_after_passes(house, _, fields, expected):
    with house.serve("iiqc") as sluice:
        sluice.i1.script.put(answer(503, "busy", retry_after="7"))
        reply = sluice.ask("POST", WRITE, BARE, fields)
        assert (reply.status, reply.field("retry-after")) == (503, expected), reply


# ---- writes: the outcome is unknown ----

@case()
def a_body_that_was_not_kept_is_not_repeated(house):
    body = LINES * 40_000
    with house.serve("iiqc") as sluice:
        sluice.i1.script.put(close)
        check_fault(sluice.ask("POST", WRITE, body), 503, "upstream_closed")
        assert not sluice.i2.seen


@case(("within", 15_000, 204), ("beyond", 30_000, 503))
def what_an_exchange_keeps_has_a_bound(house, _, size, status):
    settings = {"limits": {"replay": "20KiB", "replay_total": "20KiB"}}
    body = LINES * (size // len(LINES))
    with house.serve("iiqc", settings) as sluice:
        sluice.i1.script.put(reset)
        assert sluice.ask("POST", WRITE, body).status == status
        # What was kept is given back: the next one finds room again.
        sluice.i1.script = sluice.i2.script = Script(reset)
        assert sluice.ask("POST", WRITE, LINES * 100).status == 204


@case()
def what_is_kept_for_one_exchange_is_missing_for_another(house):
    settings = {"limits": {"replay": "20KiB", "replay_total": "20KiB"}}
    release = threading.Event()
    body = LINES * (15_000 // len(LINES))
    with house.serve("iiqc", settings) as sluice:
        sluice.i1.script = sluice.i2.script = Script(hold(release, answer(204)), reset)
        with sluice.client() as first:
            first.send("POST", WRITE, body)
            eventually(lambda: [request for request in sluice.i1.seen + sluice.i2.seen if request.is_whole])
            check_fault(sluice.ask("POST", WRITE, body), 503, "upstream_reset")
            release.set()
            assert first.read().status == 204
        sluice.i1.script = sluice.i2.script = Script(reset)
        assert sluice.ask("POST", WRITE, body).status == 204


@case(("concatenated members", gzip.compress(LINES) + gzip.compress(LINES), 204),
      ("second member bare", gzip.compress(LINES) + gzip.compress(BARE), 503),
      ("truncated", gzip.compress(LINES)[:-6], 503),
      ("not gzip", LINES, 503),
      ("bomb of timestamps", gzip.compress(LINES * 400_000), 503))
def timestamps_are_looked_for_in_gzip(house, _, body, status):
    with house.serve("iiqc") as sluice:
        sluice.i1.script.put(close)
        reply = sluice.ask("POST", WRITE, body, {"Content-Encoding": "gzip"})
        assert reply.status == status, reply
        assert len(sluice.i2.seen) == (1 if status == 204 else 0)


def goes_within_the_body(bytes_read, how):
    """A node that leaves when it has read so much of a body, and never sees its end."""
    @leaves_body
    def verb(link, _):
        link.read_exactly(bytes_read, [])
        return how(link, None)
    return verb


@case(*[(framing, read, how) for framing in ("length", "chunked") for read in (0, 5000) for how in ("close", "reset")])
def a_node_that_goes_within_an_upload_has_not_applied_it(house, framing, read, how):
    """What it has is no request, so another node gets it, though the lines have no time."""
    pieces = [BARE * 300, BARE * 300]
    with house.serve("iiqc") as sluice:
        sluice.i1.script.put(goes_within_the_body(read, {"close": close, "reset": reset}[how]))
        with sluice.client() as client:
            client.send("POST", WRITE, length=sum(map(len, pieces)), only_head=True, chunked=framing == "chunked")
            frame = (lambda piece: b"%x\r\n%s\r\n" % (len(piece), piece)) if framing == "chunked" else bytes
            if read > 0:
                client.send_raw(frame(pieces[0]))
            sluice.wait_line("event=attempt_failed .*node=i1")
            if read == 0:
                client.send_raw(frame(pieces[0]))
            client.send_raw(frame(pieces[1]) + (b"0\r\n\r\n" if framing == "chunked" else b""))
            reply = client.read()
        assert (reply.status, reply.node) == (204, "i2"), reply
        assert [request.body for request in sluice.i2.seen] == [b"".join(pieces)]


@case()
def an_upload_that_is_no_longer_kept_ends_with_its_node(house):
    with house.serve("iiqc", {"limits": {"replay": "20KiB"}}) as sluice:
        sluice.i1.script.put(goes_within_the_body(30_000, reset))
        with sluice.client() as client:
            client.send("POST", WRITE, length=500_000, only_head=True)
            client.send_raw(LINES * 1000)
            sluice.wait_line("event=attempt_failed")
            client.send_raw(LINES)
            check_fault(client.read(), 503, "upstream_reset")
            assert client.is_closed()
        assert not sluice.i2.seen


@case()
def all_tries_of_a_write_end_within_the_deadline(house):
    settings = {"timeouts": {"connect": house.short(600), "write_deadline": house.short(1000)}}
    with house.serve("iiiiqc", settings) as sluice:
        for node in (sluice.i1, sluice.i2, sluice.i3, sluice.i4):
            node.block()
        reply = sluice.ask("POST", WRITE, LINES)
        assert reply.status == 503 and reply.seconds > 0.9, (reply, reply.seconds)
        assert sluice.count_lines("event=attempt_failed") <= 2, sluice.log_tail()


@case(("v1", "/write?db=d"), ("v3", WRITE))
def a_node_that_never_answers_a_write_has_its_time(house, _, target):
    with house.serve("iiqc", {"timeouts": {"write_deadline": house.short(100), "write_response": house.short(500)}}) as sluice:
        sluice.i1.script.put(silence)
        reply = sluice.ask("POST", target, LINES)
        check_fault(reply, 503, "upstream_timeout", target)
        assert reply.seconds > 0.45, reply.seconds
        assert not sluice.i2.seen
        assert sluice.i1.links[-1].ended.wait(PATIENCE_SECONDS), "the node still holds the write"


@case()
def a_slow_upload_does_not_count_against_the_deadline(house):
    with house.serve("iiqc", {"timeouts": {"write_deadline": house.short(300)}}) as sluice:
        with sluice.client() as client:
            client.send("POST", WRITE, length=10 * len(LINES), only_head=True)
            for _ in range(9):
                client.send_raw(LINES)
                house.pause(0.06)
            client.send_raw(LINES)
            reply = client.read()
        assert reply.status == 204 and reply.seconds > 0.3, (reply, reply.seconds)


@case()
def a_node_that_still_reads_after_its_own_end_gets_a_bare_write_once(house):
    """FIN alone does not prove that a request was not read: the node may have closed one direction only."""
    with house.serve("iiqc") as sluice:
        assert sluice.ask("POST", WRITE, LINES).node == "i1"
        assert sluice.ask("POST", WRITE, LINES).node == "i2"
        with Client(sluice.port) as client:
            client.ask("OPTIONS", "/")
            with sluice.stopped():
                client.send("POST", WRITE, BARE)
                for link in sluice.i1.links + sluice.i2.links:
                    if not link.ended.is_set():
                        link.socket.shutdown(1)
            reply = client.read()
        bare = [request for node in (sluice.i1, sluice.i2) for request in node.seen if request.body == BARE]
        assert len(bare) == 1, f"{len(bare)} nodes have it; {reply}"
