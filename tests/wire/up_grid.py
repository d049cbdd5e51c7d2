#!/usr/bin/env python3
"""Sluice against nodes that fail in every way: up_grid.py SLUICE [WORD...] runs the cases whose name has all the words.

Its last line is "N passed, N failed". Each cell of upstream_faults.txt and each registered case counts once.
"""
import concurrent.futures
import importlib
import os
import sys
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from wire.cases import upstream_faults as up_faults  # noqa: E402  (the path comes first)
from wire.lib.http1_client import SEEN_FAULTS  # noqa: E402
from wire.lib.house import CASES, House  # noqa: E402

MODULES = tuple(f"wire.cases.upstream_{name}" for name in ("writes", "routes", "health", "links", "life"))
AT_ONCE = 6
# Of the rows in router/base/fault.c, those that nodes, routes and Sluice's own limits cause. Not among them, because no
# client ever gets them as an answer: link_closed_unread (always repeated), upstream_stalled (the answer is cut).
UPSTREAM_FAULTS = {
    "connect_refused", "connect_timeout", "draining", "fan_out_incomplete", "no_node", "node_not_named",
    "node_unknown", "queue_full", "queue_timeout", "replay_too_large", "request_timeout", "route_denied",
    "upstream_closed", "upstream_head_too_large", "upstream_malformed", "upstream_refused_role",
    "upstream_reset", "upstream_timeout", "upstream_truncated",
}


def run_case(name, function, arguments, house):
    began = time.monotonic()
    try:
        function(house, *arguments)
        return [(name, None, time.monotonic() - began)]
    except Exception:  # whatever it is, this case has failed and the others go on
        return [(name, traceback.format_exc(limit=-6), time.monotonic() - began)]


def run_row(name, verb, link, cells, house):
    began = time.monotonic()
    try:
        return [(cell, error, time.monotonic() - began) for cell, error in up_faults.run_row(house, verb, link, cells)]
    except Exception:
        return [(name, traceback.format_exc(limit=-6), time.monotonic() - began)]


def jobs(house, words):
    wanted = lambda name: all(word in name for word in words)  # noqa: E731
    for name, function, arguments in CASES:
        if wanted(name):
            yield lambda n=name, f=function, a=arguments: run_case(n, f, a, house)
    for name, verb, link, cells in up_faults.make_cases():
        chosen = {column: cell for column, cell in cells.items() if wanted(f"{name} {column}")}
        if chosen:
            yield lambda n=name, v=verb, k=link, c=chosen: run_row(n, v, k, c, house)


def check_faults_seen():
    """The faults of the upstream side, each with an answer that check_fault has looked at."""
    missing = sorted(UPSTREAM_FAULTS - SEEN_FAULTS)
    error = f"not seen: {missing}" if missing else None
    return [("every fault was answered in words that clients understand", error, 0.0)]


def report(results):
    """Prints what failed and the count; the exit status."""
    failures = [(name, error) for name, error, _ in results if error is not None]
    for name, error in failures:
        print(f"FAILED {name}\n    " + error.strip().replace("\n", "\n    "))
    if os.environ.get("VERBOSE"):
        for name, _, seconds in sorted(results, key=lambda result: result[2]):
            print(f"{seconds:6.2f} s  {name}")
    print(f"{len(results) - len(failures)} passed, {len(failures)} failed")
    return 1 if failures or not results else 0


def main():
    house = House(os.path.abspath(sys.argv[1]))
    words = sys.argv[2:]
    for module in MODULES:
        importlib.import_module(module)
    results = []
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for future in concurrent.futures.as_completed([pool.submit(job) for job in jobs(house, words)]):
            results += future.result()
    if not words:
        results += check_faults_seen()
    return report(results)


if __name__ == "__main__":
    sys.exit(main())
