"""limits.memory: what nobody finishes takes no more than that, and who comes then is refused, not the process ended by the kernel."""
import contextlib

from harness.waiting import eventually
from wire.lib import http2_peer as h2
from wire.lib.house import case
from wire.lib.http1_client import check_fault
from wire.lib.requests import LINES, QUERY, WRITE

# One worker: 24 MiB for traffic, and refusals from 21.6 MiB on.
SMALL = {"workers": 1, "retry_after": True, "limits": {"memory": "48MiB", "request_buffer": "64KiB", "replay": "10MiB"}}


def begin_stalled_streams(sluice, connections, opened, body):
    """HTTP/2 clients with 100 uploads each, of which they send `body` and no more."""
    clients = []
    for _ in range(connections):
        client = opened.enter_context(h2.Client(sluice.port))
        for _ in range(100):
            stream = client.open("POST", WRITE, [("content-length", "1000000")], end=False)
            if body:
                stream.send_data(body)
        client.exchange_pings()
        clients.append(client)
    return clients


@case((b"",), (LINES,), (b"x" * 65000,))
def stalled_streams_take_no_more_than_the_limit(house, body):
    with house.serve("iqc", SMALL) as sluice, contextlib.ExitStack() as opened:
        begin_stalled_streams(sluice, 20, opened, body)
        # Two thousand windows of 64 KiB are five times what there is.
        sluice.wait_line("event=refused .*fault=memory_limit")
        check_fault(sluice.ask("POST", WRITE, LINES), 503, "memory_limit", WRITE, retry_after="1")
        check_fault(sluice.ask("GET", QUERY), 503, "memory_limit", QUERY, retry_after="1")
        assert sluice.ask("GET", "/health").status == 200
        assert sluice.metric('sluice_faults_total{fault="memory_limit"}') > 100
        assert sluice.memory_kib("VmHWM") < 48 * 1024
        opened.close()
        eventually(lambda: sluice.ask("POST", WRITE, LINES).status == 204)


@case()
def what_was_accepted_ends_well(house):
    with house.serve("iqc", SMALL) as sluice, contextlib.ExitStack() as opened:
        early = opened.enter_context(h2.Client(sluice.port))
        stream = early.open("POST", WRITE, [("content-length", str(len(LINES)))], end=False)
        early.exchange_pings()
        begin_stalled_streams(sluice, 10, opened, LINES)
        sluice.wait_line("event=refused .*fault=memory_limit")
        stream.send_data(LINES, end=True)
        stream.wait_over()
        assert stream.status == 204, stream
