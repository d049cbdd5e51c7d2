"""gRPC: balanced by call, errors in its own words, deadlines, and a second try that nobody notices or none at all."""
import re
import threading
import time
from urllib.parse import unquote

from harness.waiting import eventually
from wire.lib import http2_peer as h2
from wire.lib.house import case
from wire.lib.http1_node import Script
from wire.lib.http2_house import FLIGHT, GRPC, QUERY, connect, serve
from wire.lib.http2_node import close, fields_of, grpc_refusal, grpc_reply, hang, hold, leaves_body, message, reply, reset

UNAVAILABLE, DEADLINE_EXCEEDED, INTERNAL, UNKNOWN = 14, 4, 13, 2
CALL = message("ticket")
PART = message("schema") + message("rows")
OTHER_CALLS = tuple(f"/arrow.flight.protocol.FlightService/{name}" for name in ("GetFlightInfo", "DoAction", "Handshake", "DoPut"))


def call(client, fields=(), body=CALL, path=FLIGHT):
    return client.begin("POST", path, body, {**GRPC, **dict(fields)}, True)


def check_router_error(stream, status):
    """One HEADERS frame that says what every gRPC library understands."""
    stream.wait(lambda: stream.is_ended, "an end")
    assert stream.is_trailers_only and stream.status == 200 and not stream.pieces, stream
    assert stream.field("content-type") == "application/grpc" and stream.grpc_status == status, stream
    text = stream.field("grpc-message")
    assert text and re.fullmatch(r"[ -~]{1,1000}", text) and unquote(text), stream
    assert stream.field("content-length") is None and stream.node is None, stream
    assert stream.reset_code in (None, h2.NO_ERROR), stream


def two_nodes(sluice, *verbs):
    """Whoever is asked first takes the first verb."""
    sluice.q1.script = sluice.q2.script = Script(*verbs)


def seen(sluice):
    return len(sluice.q1.seen) + len(sluice.q2.seen)


def first_part(then):
    """A verb that commits: a head and two whole messages, then something else."""
    def verb(stream, request):
        stream.send_head(fields_of(200, {"content_type": "application/grpc"}))
        stream.send_data(PART)
        then(stream, request)
    return verb


def schema_only(then):
    """A verb that has not committed yet, for a second: a head and the first message, then something else."""
    def verb(stream, request):
        stream.send_head(fields_of(200, {"content_type": "application/grpc"}))
        stream.send_data(message("schema"))
        then(stream, request)
    return verb


# ---- where calls go ----

@case()
def calls_on_one_connection_are_shared_out(house):
    with serve(house, "IQQC") as sluice, connect(sluice, 2) as client:
        for _ in range(60):
            answered = call(client).wait_over()
            assert answered.grpc_status == 0 and answered.body.endswith(b"}"), answered
        counts = [len(sluice.q1.seen), len(sluice.q2.seen)]
        assert min(counts) >= 10 and sum(counts) == 60, counts  # two coins: fails less than once in ten million runs


@case()
def a_busy_node_gets_no_call_while_another_is_idle(house):
    release = threading.Event()
    with serve(house, "IQQC") as sluice, connect(sluice, 2) as client:
        two_nodes(sluice, hold(release, grpc_reply()))
        slow = call(client)
        eventually(lambda: seen(sluice) == 1)
        idle = sluice.q2 if sluice.q1.seen else sluice.q1
        for _ in range(12):
            assert call(client).wait_over().node == idle.name
        release.set()
        assert slow.wait_over().grpc_status == 0


@case(*[(path.rpartition("/")[2], path) for path in OTHER_CALLS])
def every_method_of_flight_reaches_a_query_node(house, _, path):
    with serve(house, "IPQC") as sluice, connect(sluice, 2) as client:
        for _ in range(3):
            assert call(client, path=path).wait_over().node == "q1"
        assert [request.target for request in sluice.q1.seen] == [path] * 3


@case()
def metadata_travels_as_it_is(house):
    own = {"authorization": "Bearer x", "database": "d", "x-trace-bin": "AAECAw==", "grpc-encoding": "identity",
           "grpc-accept-encoding": "identity, deflate, gzip", "user-agent": "grpc-python/1 grpc-c/2", "iox-debug": "true"}
    with serve(house, "IQC") as sluice, connect(sluice, 2) as client:
        client.begin("POST", FLIGHT, CALL, [*GRPC.items(), *own.items(), ("x-two", "1"), ("x-two", "2")], True).wait_over()
        got = sluice.q1.seen[0]
        assert {name: got.headers.get(name) for name in own} == own, got.headers
        assert [value for name, value in got.fields if name == "x-two"] == ["1", "2"], got.fields
        assert got.headers["te"] == "trailers" and got.headers["content-type"] == "application/grpc", got.headers
        assert "content-length" not in got.headers and "grpc-timeout" not in got.headers, got.headers


@case()
def both_sides_talk_before_either_has_finished(house):
    def converse(stream, _):
        stream.send_head(fields_of(200, {"content_type": "application/grpc"}))
        for number in range(1, 4):
            stream.wait_received(len(message("one")) * number)
            stream.send_data(message(f"re {number}"))
        stream.wait(lambda: stream.is_ended, "the client's end")
        stream.send_head([("grpc-status", "0")], end=True)
    with serve(house, "IQC") as sluice, connect(sluice, 2) as client:
        sluice.q1.script.put(leaves_body(converse))
        stream = client.open("POST", OTHER_CALLS[3], GRPC, end=False)
        stream.wait_head()  # before a byte of the request's body
        for number in range(1, 4):
            stream.send_data(message("one"))
            stream.wait_received(len(message("re 1")) * number)
        assert not stream.is_over()
        stream.send_end()
        assert stream.wait_over().grpc_status == 0 and stream.body == b"".join(message(f"re {n}") for n in (1, 2, 3)), stream


# ---- our own errors ----

@case((True,), (False,))
def no_node_is_unavailable(house, has_body):
    with serve(house, "IQC") as sluice, connect(sluice, 2) as client:
        sluice.q1.refuse()
        check_router_error(call(client, body=CALL if has_body else b""), UNAVAILABLE)
        assert not sluice.q1.seen


@case()
def an_error_comes_before_the_request_has_ended(house):
    with serve(house, "IQC") as sluice, connect(sluice, 2) as client:
        sluice.q1.refuse()
        stream = client.open("POST", OTHER_CALLS[3], GRPC, end=False)
        stream.send_data(CALL)
        check_router_error(stream, UNAVAILABLE)
        stream.wait_reset(h2.NO_ERROR)
        sluice.q1.accept()
        assert client.ask("GET", QUERY).status == 200


@case(("application/grpc+proto",), ("application/grpc;charset=utf-8",))
def the_beginning_of_the_content_type_makes_a_call(house, kind):
    with serve(house, "IQC") as sluice, connect(sluice, 2) as client:
        sluice.q1.refuse()
        check_router_error(call(client, {"content-type": kind}), UNAVAILABLE)
        plain = client.ask("POST", "/api/v3/query_sql", b"{}", {"content-type": "application/json"})
        assert plain.status == 503 and plain.field("content-type") == "application/json", plain


@case()
def a_drain_that_is_cut_says_unavailable(house):
    with serve(house, "IQC", {"timeouts": {"drain": house.short(200)}}) as sluice, connect(sluice, 2) as client:
        sluice.q1.script.put(hang)
        stream = call(client)
        sluice.q1.wait_seen(1)
        sluice.process.terminate()
        check_router_error(stream, UNAVAILABLE)
        sluice.wait_end()


# ---- deadlines ----

@case((300, "m"), (300000, "u"))
def a_deadline_before_the_first_byte(house, amount, unit):
    with serve(house, "IQC") as sluice, connect(sluice, 2) as client:
        sluice.q1.script.put(hang)
        stream = call(client, {"grpc-timeout": f"{house.milliseconds(amount)}{unit}"})
        check_router_error(stream, DEADLINE_EXCEEDED)
        assert stream.seconds > 0.25, stream.seconds
        sluice.q1.seen[0].stream.wait_reset(h2.CANCEL)


@case()
def a_deadline_after_the_first_byte(house):
    with serve(house, "IQC") as sluice, connect(sluice, 2) as client:
        sluice.q1.script.put(first_part(hang))
        stream = call(client, {"grpc-timeout": f"{house.milliseconds(400)}m"}).wait_over()
        assert stream.seconds > 0.3, stream.seconds
        assert stream.body == PART, stream
        assert stream.grpc_status == DEADLINE_EXCEEDED or stream.reset_code in (h2.CANCEL, h2.INTERNAL_ERROR), stream
        sluice.q1.seen[0].stream.wait_reset(h2.CANCEL)


@case()
def a_deadline_spans_both_tries(house):
    with serve(house, "IQQC") as sluice, connect(sluice, 2) as client:
        def refuse_late(stream, request):
            house.pause(0.25)
            grpc_refusal(UNAVAILABLE)(stream, request)
        two_nodes(sluice, refuse_late, hang)
        stream = call(client, {"grpc-timeout": f"{house.milliseconds(500)}m"})
        check_router_error(stream, DEADLINE_EXCEEDED)
        assert stream.seconds > 0.4, stream.seconds
        later = max(sluice.q1.seen[0], sluice.q2.seen[0], key=lambda request: request.at)
        assert seconds_of(later.headers["grpc-timeout"]) <= 0.00026 * house.milliseconds(1000), later.headers


def seconds_of(timeout):
    amount, unit = re.fullmatch("([0-9]{1,8})([HMSmun])", timeout).groups()
    return int(amount) * {"H": 3600, "M": 60, "S": 1, "m": 1e-3, "u": 1e-6, "n": 1e-9}[unit]


@case(("300S",), ("59999m",), ("60000000u",), ("99999999u",), ("1H",), ("2M",), ("99999999H",))
def a_deadline_is_passed_on_and_never_longer(house, timeout):
    with serve(house, "IQC") as sluice, connect(sluice, 2) as client:
        began = time.monotonic()
        assert call(client, {"grpc-timeout": timeout}).wait_over().grpc_status == 0
        spent = time.monotonic() - began
        passed = seconds_of(sluice.q1.seen[0].headers["grpc-timeout"])
        step = 3600 if timeout == "99999999H" else 1.1  # in eight digits only a whole hour can be taken off this one
        assert seconds_of(timeout) - spent - step <= passed <= seconds_of(timeout), (passed, timeout)


@case()
def an_expired_deadline_asks_no_node(house):
    with serve(house, "IQC") as sluice, connect(sluice, 2) as client:
        check_router_error(call(client, {"grpc-timeout": "0m"}), DEADLINE_EXCEEDED)
        assert not sluice.q1.seen


# ---- a second try ----

@case()
def unavailable_is_tried_once_elsewhere(house):
    with serve(house, "IQQC") as sluice, connect(sluice, 2) as client:
        two_nodes(sluice, grpc_refusal(UNAVAILABLE))
        answered = call(client).wait_over()
        assert answered.grpc_status == 0 and seen(sluice) == 2, answered
        assert [request.body for node in (sluice.q1, sluice.q2) for request in node.seen] == [CALL] * 2


@case()
def unavailable_everywhere_is_the_nodes_own_word(house):
    """It may be a permission that is missing, so the node's text has to arrive."""
    with serve(house, "IQQQC") as sluice, connect(sluice, 2) as client:
        refusals = Script(*[grpc_refusal(UNAVAILABLE, "not%20allowed")] * 9)
        sluice.q1.script = sluice.q2.script = sluice.q3.script = refusals
        answered = call(client).wait_over()
        assert answered.grpc_status == UNAVAILABLE and answered.field("grpc-message") == "not%20allowed", answered
        assert answered.is_trailers_only and seen(sluice) + len(sluice.q3.seen) == 2, seen(sluice)


@case()
def unavailable_never_ejects_a_node(house):
    with serve(house, "IQC") as sluice, connect(sluice, 2) as client:
        sluice.q1.script.put(*[grpc_refusal(UNAVAILABLE)] * 20)
        for _ in range(20):
            assert call(client).wait_over().grpc_status == UNAVAILABLE
        assert sluice.node_status("q1")["health"] == "up"
        assert call(client).wait_over().grpc_status == 0
        assert len(sluice.q1.seen) == 21


@case(("Resources exhausted", 2), ("grpc-timeout%20elapsed", 1))
def exhausted_memory_is_asked_about_and_the_calls_own_deadline_is_not(house, words, tries):
    with serve(house, "IQQC") as sluice, connect(sluice, 2) as client:
        two_nodes(sluice, grpc_refusal(8, words))
        answered = call(client).wait_over()
        assert answered.grpc_status == (0 if tries == 2 else 8), answered
        assert seen(sluice) == tries


@case(*[(status,) for status in (1, 2, 3, 5, 7, 12, 13, 16)])
def any_other_status_is_final(house, status):
    with serve(house, "IQQC") as sluice, connect(sluice, 2) as client:
        two_nodes(sluice, grpc_refusal(status, "so%20it%20is"))
        answered = call(client).wait_over()
        assert (answered.grpc_status, answered.field("grpc-message")) == (status, "so%20it%20is"), answered
        assert seen(sluice) == 1


@case((404,), (500,))
def an_answer_that_is_not_grpc_is_passed_on(house, status):
    """gRPC libraries make a status of their own from it."""
    with serve(house, "IQQC") as sluice, connect(sluice, 2) as client:
        two_nodes(sluice, reply(status, b"{}", content_type="application/json"))
        answered = call(client).wait_over()
        assert (answered.status, answered.body) == (status, b"{}") and answered.is_whole, answered
        assert seen(sluice) == 1


@case(("reset", reset(h2.INTERNAL_ERROR)), ("refused", reset(h2.REFUSED_STREAM)), ("lost", close))
def a_call_that_fails_before_the_first_byte_is_repeated(house, _, verb):
    with serve(house, "IQQC") as sluice, connect(sluice, 2) as client:
        two_nodes(sluice, verb)
        assert call(client).wait_over().grpc_status == 0 and seen(sluice) == 2


def ends_with(status):
    return lambda stream, _: stream.send_head([("grpc-status", str(status)), ("grpc-message", "late")], end=True)


@case(("memory", ends_with(8)), ("unavailable", ends_with(14)), ("reset", reset(h2.INTERNAL_ERROR)), ("lost", close))
def what_fails_behind_the_schema_goes_to_another_node(house, _, then):
    with serve(house, "IQQC") as sluice, connect(sluice, 2) as client:
        two_nodes(sluice, schema_only(then))
        answered = call(client).wait_over()
        assert answered.grpc_status == 0 and seen(sluice) == 2, answered
        assert b"schema" not in answered.body and answered.body.endswith(b"}"), answered


@case()
def an_error_of_the_query_behind_the_schema_is_the_clients(house):
    with serve(house, "IQQC") as sluice, connect(sluice, 2) as client:
        two_nodes(sluice, schema_only(ends_with(13)))
        answered = call(client).wait_over()
        assert answered.grpc_status == INTERNAL and answered.body == message("schema") and seen(sluice) == 1, answered


@case()
def a_head_does_not_wait_for_the_first_message(house):
    release = threading.Event()
    def verb(stream, request):
        stream.send_head(fields_of(200, {"content_type": "application/grpc"}))
        hold(release, lambda late, _: (late.send_data(message("rows")), ends_with(0)(late, None)))(stream, request)
    with serve(house, "IQQC") as sluice, connect(sluice, 2) as client:
        two_nodes(sluice, verb)
        answered = call(client)
        answered.wait(lambda: answered.status == 200, "a head")
        assert not answered.pieces and not answered.is_ended, answered
        release.set()
        assert answered.wait_over().body == message("rows") and answered.grpc_status == 0, answered


@case()
def nothing_is_repeated_after_the_second_message(house):
    refuse = ends_with(14)
    with serve(house, "IQQC") as sluice, connect(sluice, 2) as client:
        two_nodes(sluice, first_part(refuse))
        answered = call(client).wait_over()
        assert answered.grpc_status == UNAVAILABLE and answered.trailer("grpc-message") == "late", answered
        assert answered.body == PART and seen(sluice) == 1


@case(("reset", reset(h2.INTERNAL_ERROR)), ("lost", close), ("no trailers", lambda stream, _: stream.send_end()))
def a_call_that_breaks_off_never_ends_well(house, _, then):
    with serve(house, "IQQC") as sluice, connect(sluice, 2) as client:
        two_nodes(sluice, first_part(then))
        answered = call(client).wait_over()
        assert answered.body == PART and seen(sluice) == 1, answered
        if answered.reset_code is None:
            assert answered.grpc_status in (UNAVAILABLE, INTERNAL, UNKNOWN), answered
        else:
            assert answered.reset_code == h2.INTERNAL_ERROR and not answered.is_ended, answered
        assert call(client).wait_over().grpc_status == 0


@case()
def a_message_that_breaks_off_ends_no_better(house):
    def half(stream, _):
        stream.send_head(fields_of(200, {"content_type": "application/grpc"}))
        stream.send_data(message("rows")[:-2])
        stream.reset(h2.INTERNAL_ERROR)
    with serve(house, "IQC") as sluice, connect(sluice, 2) as client:
        sluice.q1.script.put(half)
        answered = call(client).wait_over()
        assert answered.reset_code == h2.INTERNAL_ERROR or answered.grpc_status in (UNAVAILABLE, INTERNAL, UNKNOWN), answered


@case()
def a_cancelled_call_is_cancelled_at_the_node(house):
    with serve(house, "IQC") as sluice, connect(sluice, 2) as client:
        sluice.q1.script.put(first_part(hang))
        stream = call(client).wait_received(1)
        stream.reset(h2.CANCEL)
        sluice.q1.seen[0].stream.wait_reset(h2.CANCEL)
        assert call(client).wait_over().grpc_status == 0
        assert len({request.link_number for request in sluice.q1.seen}) == 1


# ---- what libraries say beside their calls ----

@case()
def measuring_the_path_is_no_abuse(house):
    """grpc-go sends a ping and window with each DATA frame that it reads while no other ping is under way: 4,000 small messages, each as
    soon as the one before has come."""
    came = threading.Semaphore(0)

    def rows(stream, _):
        stream.send_head(fields_of(200, {"content_type": "application/grpc"}))
        for _ in range(4000):
            stream.send_data(message(b"row"))
            came.acquire(timeout=60)
        stream.send_head([("grpc-status", "0")], end=True)

    def measure(stream):
        if stream.received:
            stream.peer.send(h2.ping())
            came.release()
    with serve(house, "IQC") as sluice, connect(sluice, 2) as client:
        sluice.q1.script.put(rows)
        client.on_stream = measure
        answered = call(client).wait_over()
        assert answered.grpc_status == 0 and answered.received == 4000 * len(message(b"row")), answered
        assert not client.goaways and sluice.count_lines("event=abuse") == 0
