#!/usr/bin/env python3
"""What goes over the wire, byte by byte: run.py BINARY [WORD...] runs the tests whose name has all the words.

scenarios/AREA/NAME.vtc is one behaviour, for Debian's varnishtest; its test is called "AREA/NAME". lib/scenario.py says what
may stand in its first comment lines. cases/FILE.py holds behaviours as functions, called "FILE: what it is"; each file runs in
a process of its own. The last line is "N passed, N failed".
"""
import concurrent.futures
import os
import pathlib
import re
import sys
import tempfile
import threading

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from harness.programs import run_files, tail, wanted  # noqa: E402  needs the path above
from wire.lib.run_file import FAULTS_SEEN  # noqa: E402
from wire.lib.scenario import run_scenario  # noqa: E402

SCENARIOS_AT_ONCE = 2
# Of the rows in router/base/fault.c, those that nodes, routes and Sluice's own limits cause. Not among them, because no
# client ever gets them as an answer: link_closed_unread (always repeated), upstream_stalled (the answer is cut).
UPSTREAM_FAULTS = {
    "connect_refused", "connect_timeout", "draining", "fan_out_incomplete", "memory_limit", "no_node", "node_not_named",
    "node_unknown", "queue_full", "queue_timeout", "replay_too_large", "request_timeout", "route_denied",
    "upstream_closed", "upstream_head_too_large", "upstream_malformed", "upstream_refused_role",
    "upstream_reset", "upstream_timeout", "upstream_truncated",
}
# The files that take longest begin first, so that none of them is left alone at the end.
LONG = ("framing_positions", "framing_requests", "upstream_faults", "http2_streams", "proxy_protocol", "tls")


class Tally:
    """Counted by two threads."""

    def __init__(self):
        self.lock = threading.Lock()
        self.passed = 0
        self.failed = 0

    def count(self, passed, failed, name="", output=""):
        with self.lock:
            self.passed += passed
            self.failed += failed
            if failed:
                print(f"FAILED {name}\n{output}\n", flush=True)


def run_scenarios(binary, words, tally):
    paths = {f"{path.parent.name}/{path.stem}": path for path in sorted((HERE / "scenarios").glob("*/*.vtc"))}
    with tempfile.TemporaryDirectory(prefix="wire.") as temporary, \
            concurrent.futures.ThreadPoolExecutor(SCENARIOS_AT_ONCE) as pool:
        running = {name: pool.submit(run_scenario, binary, path, temporary) for name, path in paths.items() if wanted(name, words)}
        for name, future in running.items():
            complaint = future.result()
            tally.count(complaint is None, complaint is not None, name, complaint)


def run_cases(binary, words, tally):
    """Returns the faults that clients saw in front of the nodes of the upstream cases, and that check_fault looked at."""
    files = sorted((path.stem for path in (HERE / "cases").glob("*.py")), key=lambda name: (name not in LONG, name))
    commands = {name: [str(HERE / "lib" / "run_file.py"), binary, name, *words] for name in files}
    faults = set()
    for name, passed, failed, output in run_files(commands):
        tally.count(passed, failed, name, tail(output))
        if not failed and ("too slow, or wrong" in output or os.environ.get("VERBOSE")):
            print(tail(output), flush=True)
        if name.startswith("upstream_"):
            faults |= {word for line in re.findall(f"^{FAULTS_SEEN}(.*)$", output, re.MULTILINE) for word in line.split()}
    return faults


def main():
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    binary, words = sys.argv[1], sys.argv[2:]
    tally = Tally()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        scenarios = pool.submit(run_scenarios, binary, words, tally)
        faults = run_cases(binary, words, tally)
        scenarios.result()
    if not words:
        missing = sorted(UPSTREAM_FAULTS - faults)
        tally.count(not missing, bool(missing), "every fault was answered in words that clients understand", f"not seen: {missing}")
    print(f"{tally.passed} passed, {tally.failed} failed")
    return 0 if tally.failed == 0 and tally.passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
