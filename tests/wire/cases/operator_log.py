"""What clients can cause at will leaves a bounded number of lines in the log."""
import re
import socket
import time

from harness.waiting import PATIENCE_SECONDS
from wire.lib.house import case

FLOOD = 40


def send_malformed(sluice):
    """A request without Host, which the codec refuses."""
    with socket.create_connection(("127.0.0.1", sluice.port), PATIENCE_SECONDS) as sock:
        sock.sendall(b"GET /health HTTP/1.1\r\n\r\n")
        answer = b""
        while piece := sock.recv(4096):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 400 "), answer


def fill_the_house(sluice):
    """The one connection that may be there comes, and goes when that was seen."""
    count = sluice.count_lines("event=connection_limit ") + 1
    with socket.create_connection(("127.0.0.1", sluice.port), PATIENCE_SECONDS):
        sluice.wait_line("event=connection_limit ", count)


@case(("refused requests", "refused", "info", {}, send_malformed),
      ("connections at the limit", "connection_limit", "warning", {"limits": {"connections": 1}}, fill_the_house))
def a_flood_leaves_one_line_a_second(house, _, event, level, settings, cause):
    with house.serve("iqc", settings) as sluice:  # at level debug every line is there
        began = time.monotonic()
        for _ in range(FLOOD):
            cause(sluice)
        sluice.wait_line(f"event={event} ", FLOOD)
        seconds = time.monotonic() - began
        below = shown = 0
        for line in [line for line in sluice.lines if f"event={event} " in line]:
            assert f" suppressed={below}" in line, line
            if re.search(rf" {level} event=", line):
                shown, below = shown + 1, 0
            else:
                assert " debug event=" in line, line
                below += 1
        assert 1 <= shown <= 2 + seconds, (shown, seconds)


def refuse_an_order(sluice):
    assert sluice.order("/log-level?level=loud")[0] == 400


@case(("refused requests", "refused", send_malformed), ("orders that are refused", "admin", refuse_an_order))
def what_is_not_written_is_counted(house, _, event, cause):
    with house.serve("iqc", {"log_level": "info"}) as sluice:
        before = sluice.metric("sluice_log_lines_suppressed_total")
        for _ in range(FLOOD):
            cause(sluice)
        sluice.wait_line(f"event={event} ")
        shown = sluice.count_lines(f"event={event} ")
        assert shown < FLOOD and shown + sluice.metric("sluice_log_lines_suppressed_total") - before == FLOOD, shown
        assert [sluice.metric(f'sluice_log_lines_lost_total{{log="{name}"}}') for name in ("standard_error", "access")] == [0, 0]
