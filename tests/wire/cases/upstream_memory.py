"""limits.memory: what nobody finishes takes no more than that, and who comes then is refused, not the process ended by the kernel."""
import contextlib
import threading

from harness.sluice import has_sanitizer
from harness.waiting import PATIENCE_SECONDS, eventually
from wire.lib import http2_peer as h2
from wire.lib.house import case
from wire.lib.http1_client import check_fault
from wire.lib.http1_node import answer
from wire.lib.requests import LINES, WRITE

# One worker: 24 MiB for traffic, and refusals from 21.6 MiB on.
SMALL = {"workers": 1, "retry_after": True, "limits": {"memory": "48MiB", "request_buffer": "64KiB", "replay": "10MiB"}}


def begin_stalled_streams(sluice, connections, opened, body):
    """HTTP/2 clients with 100 uploads each, of which they send `body` and no more. Returns the uploads."""
    streams = []
    for _ in range(connections):
        client = opened.enter_context(h2.Client(sluice.port))
        for _ in range(100):
            stream = client.open("POST", WRITE, [("content-length", "1000000")], end=False)
            if body:
                stream.send_data(body)
            streams.append(stream)
        client.exchange_pings()
    return streams


def first_refused(streams):
    eventually(lambda: any(stream.is_over() and stream.status == 503 for stream in streams))
    return next(stream for stream in streams if stream.is_over() and stream.status == 503)


@case((b"",), (LINES,), (b"x" * 65000,))
def stalled_streams_take_no_more_than_the_limit(house, body):
    with house.serve("iqc", SMALL) as sluice, contextlib.ExitStack() as opened:
        streams = begin_stalled_streams(sluice, 20, opened, body)
        # Two thousand windows of 64 KiB are five times what there is.
        check_fault(first_refused(streams), 503, "memory_limit", WRITE, retry_after="1")
        assert sluice.ask("GET", "/health").status == 200
        assert sluice.metric('sluice_faults_total{fault="memory_limit"}') > 100
        if not has_sanitizer(house.binary):
            assert sluice.memory_kib("VmHWM") < 48 * 1024
        opened.close()
        eventually(lambda: sluice.ask("POST", WRITE, LINES).status == 204)


@case((1,), (2,))
def what_was_accepted_ends_well(house, version):
    go_on = threading.Event()

    def answer_late(link, request):
        assert go_on.wait(PATIENCE_SECONDS)
        return answer(204)(link, request)

    with house.serve("iqc", SMALL) as sluice, contextlib.ExitStack() as opened:
        early = opened.enter_context(h2.Client(sluice.port) if version == 2 else sluice.client())
        sluice.i1.script.put(answer_late)
        stream = early.begin("POST", WRITE, LINES) if version == 2 else early.send("POST", WRITE, LINES)
        sluice.i1.wait_seen(1)
        first_refused(begin_stalled_streams(sluice, 10, opened, b""))
        go_on.set()
        assert (stream.wait_over() if version == 2 else early.read()).status == 204


@case()
def who_only_promises_keeps_nobody_out(house):
    with house.serve("iqc", SMALL) as sluice, contextlib.ExitStack() as opened:
        first_refused(begin_stalled_streams(sluice, 10, opened, b""))
        # All of them stay connected; timeouts.idle is minutes here. From nine tenths of 384 windows to less than three quarters is more than 50.
        eventually(lambda: sluice.metric('sluice_faults_total{fault="request_timeout"}') > 50)
        eventually(lambda: sluice.ask("POST", WRITE, LINES).status == 204)
