#!/usr/bin/env python3
"""Sluice and HTTP/2 on either side: h2_grid.py SLUICE [WORD...] runs the cases whose name has all the words.

Its last line is "N passed, N failed".
"""
import concurrent.futures
import faulthandler
import importlib
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from wire.up_grid import report, run_case  # noqa: E402  (the path comes first)
from wire.lib.house import CASES, House  # noqa: E402

MODULES = tuple(f"wire.cases.http2_{name}" for name in (
    "sniff", "versions", "streams", "drain", "upstream", "crossings", "grpc", "abuse", "tools"))
AT_ONCE = 6
SECONDS_MAXIMUM = 240  # then every thread says where it is, and the suite has failed


def main():
    faulthandler.dump_traceback_later(SECONDS_MAXIMUM, exit=True)
    house = House(os.path.abspath(sys.argv[1]))
    words = sys.argv[2:]
    for module in MODULES:
        importlib.import_module(module)
    # What they import brings cases of HTTP/1 along.
    wanted = [each for each in CASES if each[1].__module__ in MODULES and all(word in each[0] for word in words)]
    results = []
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        running = [pool.submit(run_case, name, function, arguments, house) for name, function, arguments in wanted]
        for future in concurrent.futures.as_completed(running):
            results += future.result()
    return report(results)


if __name__ == "__main__":
    sys.exit(main())
