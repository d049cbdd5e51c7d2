"""The whole life of an exchange: deadlines, slow sides and back-pressure, and the end of Sluice itself."""
import os
import signal
import socket
import tempfile
import threading

from harness.waiting import PATIENCE_SECONDS, eventually
from wire.lib.house import case
from wire.lib.http1_client import Answer, check_fault
from wire.lib.http1_node import Script, answer, head_of
from wire.lib.http1_verbs import close, hold, leaves_body, silence
from wire.lib.large import BLOCK, LARGE, LARGE_SHA, check_growth, send_counting, sha
from wire.lib.requests import DATABASES, LINES, QUERY, WRITE

# ---- deadlines ----

@case(("a query", QUERY), ("the catalog", DATABASES), ("a v1 query", "/query?db=d&q=x"))
def a_node_that_never_answers(house, _, target):
    with house.serve("iqc", {"timeouts": {"response": house.short(300)}}) as sluice:
        for node in sluice.nodes:
            node.script = Script(*[silence] * 9)
        reply = sluice.ask("GET", target)
        check_fault(reply, 504, "upstream_timeout", target)
        assert reply.seconds > 0.25, reply.seconds


@case()
def a_slow_answer_is_whole_as_long_as_something_comes(house):
    def slow(link, _):
        link.send(head_of(200, {}, 8))
        for byte in b"patience":
            house.pause(0.15)
            link.send(bytes([byte]))
        return True
    with house.serve("iqc", {"timeouts": {"response": house.short(1000), "idle": house.short(1000)}}) as sluice:
        sluice.q1.script.put(slow)
        reply = sluice.ask("GET", QUERY)
        assert reply.is_whole and reply.body == b"patience" and reply.seconds > 1, reply


@case(("a write", WRITE, 503), ("a v1 write", "/write?db=d", 503), ("a query", "/api/v3/query_sql", 408))
def a_client_that_stops_in_its_upload(house, _, target, status):
    with house.serve("iqc", {"timeouts": {"idle": house.short(300)}}) as sluice:
        with sluice.client() as client:
            client.send("POST", target, LINES, length=10_000)
            check_fault(client.read(), status, "request_timeout", target)
            assert client.is_closed()
        node = sluice.q1 if status == 408 else sluice.i1
        assert node.link_of(node.seen[0]).ended.wait(PATIENCE_SECONDS), "the node waits for the rest for ever"


@leaves_body
def read_nothing(link, _):
    """Until the other side gives up: nothing is read, so its window closes."""
    assert link.ended.wait(PATIENCE_SECONDS)


@case(("a write", WRITE, 503), ("a query", "/api/v3/query_sql", 504))
def a_node_that_takes_nothing(house, _, target, status):
    with house.serve("iqc", {"timeouts": {"idle": house.short(400)}}) as sluice:
        for node in (sluice.i1, sluice.q1):
            node.script = Script(read_nothing)
        client = sluice.client()
        client.send("POST", target, length=len(BLOCK) * LARGE, only_head=True)
        sender = threading.Thread(target=lambda: all(client.send_raw(BLOCK) for _ in range(LARGE)))
        sender.start()
        try:
            check_fault(client.read(), status, "upstream_timeout", target)
        finally:
            for node in (sluice.i1, sluice.q1):
                for link in node.links:
                    link.note_end()
            sender.join()
            client.close()


@case()
def a_client_that_takes_nothing_is_cut_off(house):
    with house.serve("iqc", {"timeouts": {"idle": house.short(400)}}) as sluice:
        sluice.q1.script.put(answer(200, BLOCK * LARGE))
        with sluice.client(receive_buffer=4096) as client:
            client.send("GET", QUERY)
            sluice.q1.wait_seen(1)
            assert sluice.q1.link_of(sluice.q1.seen[0]).ended.wait(PATIENCE_SECONDS), "the query runs on"
            reply = client.read()
            assert reply.status == 200 and not reply.is_whole, reply.status


@case(("at once",), ("in two pieces",), ("and a reset behind it",))
def an_answer_before_the_end_of_the_upload(house, how):
    """The node refuses what it has not read: the client gets to know, and the rest of its upload goes nowhere."""
    has_head = threading.Event()

    @leaves_body
    def refuse(link, _):
        if how == "and a reset behind it":
            link.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        link.send(head_of(413, {}, 9) + b"too ")
        if how == "in two pieces":
            assert has_head.wait(PATIENCE_SECONDS)
        link.send(b"large")
        if how == "and a reset behind it":
            link.close()  # what it has not read makes this a reset
        return False
    with house.serve("iqc") as sluice:
        sluice.i1.script.put(refuse)
        with sluice.client() as client:
            client.send("POST", WRITE, BLOCK, length=len(BLOCK) * 4)
            reply = Answer()
            assert client.read_head(reply)
            has_head.set()
            assert client.read_body(reply, False), reply
            assert (reply.status, reply.body) == (413, b"too large"), reply
            assert reply.field("connection") == "close", reply
            client.send_raw(BLOCK)
            assert client.is_closed()
        assert not sluice.i1.seen[0].is_whole


# ---- back-pressure ----

@case(("with a length",), ("in chunks",))
def a_slow_reader_pauses_the_node_and_costs_no_memory(house, how):
    sent, paused = [0], threading.Event()

    def large(link, _):
        if how == "in chunks":
            link.send(head_of(200, {"Transfer-Encoding": "chunked"}) + b"%x\r\n" % (len(BLOCK) * LARGE))
        else:
            link.send(head_of(200, {}, len(BLOCK) * LARGE))
        send_counting(link, LARGE, sent, paused)
        if how == "in chunks":
            link.send(b"\r\n0\r\n\r\n")
        return True
    with house.serve("iqc") as sluice:
        assert sluice.ask("GET", QUERY).status == 200
        before_kib = sluice.memory_kib("VmHWM")
        sluice.q1.script.put(large)
        with sluice.client(receive_buffer=262144) as client:
            client.send("GET", QUERY)
            assert paused.wait(PATIENCE_SECONDS), "the node was never paused"
            assert sent[0] < len(BLOCK) * LARGE * 2 // 3, f"{sent[0]} bytes are somewhere"
            check_growth(sluice, before_kib)
            reply = client.read()
        assert reply.is_whole and sha(reply.body) == LARGE_SHA, (reply.status, len(reply.body))
        check_growth(sluice, before_kib)


@case(("with a length", False), ("in chunks", True))
def a_slow_node_pauses_the_client_and_costs_no_memory(house, _, chunked):
    release, paused, sent = threading.Event(), threading.Event(), [0]

    @leaves_body
    def read_late(link, request):
        assert release.wait(PATIENCE_SECONDS)
        link.read_body(request)
        return answer(204)(link, request)
    with house.serve("iqc") as sluice:
        assert sluice.ask("POST", WRITE, LINES).status == 204
        before_kib = sluice.memory_kib("VmHWM")
        sluice.i1.script.put(read_late)
        with sluice.client() as client:
            length = None if chunked else len(BLOCK) * LARGE
            client.send("POST", WRITE, length=length, chunked=chunked, only_head=True)
            if chunked:
                client.send_raw(b"%x\r\n" % (len(BLOCK) * LARGE))
            sender = threading.Thread(target=send_counting, args=(client, LARGE, sent, paused))
            sender.start()
            assert paused.wait(PATIENCE_SECONDS), "the client was never paused"
            assert sent[0] < len(BLOCK) * LARGE * 2 // 3, f"{sent[0]} bytes are somewhere"
            check_growth(sluice, before_kib)
            release.set()
            sender.join()
            if chunked:
                client.send_raw(b"\r\n0\r\n\r\n")
            assert client.read().status == 204
        assert sha(sluice.i1.seen[-1].body) == LARGE_SHA
        check_growth(sluice, before_kib)


# ---- logs ----

@case()
def an_access_log_that_nobody_reads_stops_nobody(house):
    """More lines than a pipe and the memory for them hold; then a reader comes, and finds whole lines."""
    with tempfile.TemporaryDirectory(prefix="sluice-fifo-") as folder:
        path = os.path.join(folder, "access.log")
        os.mkfifo(path)
        with house.serve("iqc", {"access_log": path, "log_level": "info"}) as sluice:
            target = QUERY + "&padding=" + "x" * 800
            with sluice.client() as client:
                for _ in range(1600):
                    assert client.ask("GET", target).status == 200
            sluice.wait_line("event=access_log_lost lines=[1-9]")
            reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            found = b""

            def finds_a_later_line():
                nonlocal found
                try:
                    found += os.read(reader, 1 << 20)
                except BlockingIOError:
                    pass
                assert sluice.ask("GET", QUERY + "&padding=last").status == 200
                return b"padding=last" in found
            eventually(finds_a_later_line)
            os.close(reader)
            assert all(line.startswith(b"time=") and b" id=" in line for line in found.splitlines())


# ---- the end ----

def start_query(sluice, verb):
    """A client whose query has reached the node and waits there."""
    sluice.q1.script.put(verb)
    client = sluice.client()
    client.send("GET", QUERY)
    sluice.q1.wait_seen(1)
    return client


@case((signal.SIGTERM,), (signal.SIGINT,))
def a_drain_lets_an_exchange_finish(house, number):
    release = threading.Event()
    with house.serve("iqc") as sluice:
        client = start_query(sluice, hold(release))
        idle = sluice.client()
        assert idle.ask("GET", QUERY).status == 200
        sluice.signal(number)
        assert idle.is_closed(), "an idle connection ends at once"
        idle.close()
        sluice.wait_drain()
        assert sluice.is_refused(sluice.writeback_port)
        assert sluice.process.poll() is None
        release.set()
        reply = client.read()
        assert (reply.status, reply.body, reply.is_whole) == (200, b"late", True), reply
        assert reply.field("connection") == "close", reply
        assert client.is_closed()
        client.close()
        sluice.wait_end()


@case()
def a_drain_lets_an_upload_finish(house):
    with house.serve("iqc") as sluice:
        with sluice.client() as client:
            client.send("POST", WRITE, length=2 * len(LINES), only_head=True)
            client.send_raw(LINES)
            sluice.i1.wait(lambda: sluice.i1.seen)
            sluice.signal(signal.SIGTERM)
            sluice.wait_drain()
            client.send_raw(LINES)
            reply = client.read()
            assert (reply.status, reply.field("connection")) == (204, "close"), reply
            assert client.is_closed()
        sluice.wait_end()


@case()
def a_drain_lets_a_retry_happen(house):
    release = threading.Event()
    with house.serve("iqqc") as sluice:
        sluice.q1.script = sluice.q2.script = Script(hold(release, close))
        with sluice.client() as client:
            client.send("GET", QUERY)
            eventually(lambda: sluice.q1.seen or sluice.q2.seen)
            sluice.signal(signal.SIGTERM)
            sluice.wait_drain()
            release.set()
            assert client.read().status == 200
        sluice.wait_end()


@case()
def a_drain_waits_for_the_last_byte_to_a_slow_reader(house):
    """The node is long done with the exchange; what the client has not taken yet is still owed to it."""
    size = 3 * len(BLOCK)
    with house.serve("iqc") as sluice:
        sluice.q1.script.put(answer(200, BLOCK * 3))
        with sluice.client(receive_buffer=4096) as client:
            client.send("GET", QUERY)
            eventually(lambda: sluice.q1.seen)
            sluice.signal(signal.SIGTERM)
            sluice.wait_drain()
            reply = client.read()
            assert reply.is_whole and len(reply.body) == size, (reply.status, len(reply.body))
        sluice.wait_end()


def first_of_two(link, _):
    link.send(head_of(200, {"Transfer-Encoding": "chunked"}) + b"5\r\nhello\r\n")
    link.wait_end()


@case(("a second signal", "waiting", silence), ("a second signal", "relaying", first_of_two),
      ("its time is over", "waiting", silence), ("its time is over", "relaying", first_of_two))
def a_drain_is_cut_short(house, how, state, verb):
    settings = {"timeouts": {"drain": house.short(300) if how == "its time is over" else "10m"}}
    with house.serve("iqc", settings) as sluice:
        client = start_query(sluice, verb)
        if state == "relaying":
            client.receive(None)
        sluice.signal(signal.SIGTERM)
        sluice.wait_drain()
        if how == "a second signal":
            sluice.signal(signal.SIGTERM)
        reply = client.read()
        if state == "relaying":
            assert reply.status == 200 and not reply.is_whole, reply
        else:
            check_fault(reply, 503, "draining")
            assert reply.field("connection") == "close", reply
        sluice.wait_end()
        sluice.wait_line("event=drain_cut")


@case()
def a_drain_closes_idle_connections_and_is_quick(house):
    with house.serve("iqc", {"timeouts": {"drain": "10m"}}) as sluice:
        clients = [sluice.client() for _ in range(20)]
        for client in clients:
            assert client.ask("GET", QUERY).status == 200
        sluice.signal(signal.SIGTERM)
        assert all(client.is_closed() for client in clients)
        sluice.wait_end()


@case(("nothing", b""), ("half a head", b"GET " + QUERY.encode() + b" HTTP/1.1\r\nHo"))
def a_drain_serves_the_first_request_of_who_had_connected(house, _, before):
    """A client that has just connected is about to ask; closing on it would lose that request."""
    with house.serve("iqc") as sluice:
        with sluice.client() as client:
            client.send_raw(before)
            eventually(lambda: sluice.status()["sessions"] == 1)
            sluice.signal(signal.SIGTERM)
            sluice.wait_drain()
            whole = b"GET " + QUERY.encode() + b" HTTP/1.1\r\nHost: a\r\n\r\n"
            client.send_raw(whole[len(before):])
            reply = client.read()
            assert (reply.status, reply.field("connection")) == (200, "close"), reply
            assert client.is_closed()
        sluice.wait_end()


@case()
def a_drain_takes_in_a_backlog_above_the_limit(house):
    """The last listener's backlog passes limits.connections when the first listener is closed already."""
    with house.serve("iqc", {"limits": {"connections": 200}, "timeouts": {"drain": house.short(300)}}) as sluice:
        sluice.signal(signal.SIGSTOP)
        waiting = [socket.create_connection(("127.0.0.1", sluice.writeback_port)) for _ in range(300)]
        sluice.signal(signal.SIGTERM)
        sluice.signal(signal.SIGCONT)
        sluice.wait_end()
        for client in waiting:
            client.close()


@case()
def a_drain_does_not_wait_for_a_client_whose_rest_was_dropped(house):
    """An early answer kept the connection; the rest of the body comes in the middle of the drain."""
    with house.serve("iqc", {"timeouts": {"drain": "10m"}}) as sluice:
        with sluice.client() as client:
            head = f"POST {WRITE} HTTP/1.1\r\nHost: a\r\nX-Sluice-Node: nobody\r\nContent-Length: 1000\r\n\r\n"
            client.send_raw(head.encode() + b"a" * 500)
            assert client.read().status == 421
            sluice.signal(signal.SIGTERM)
            sluice.wait_drain()
            client.send_raw(b"a" * 500)
            assert client.is_closed()
        sluice.wait_end()
