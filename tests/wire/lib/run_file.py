"""Runs one file of cases/: run_file.py SLUICE NAME [WORD...] runs what has all the words in "NAME: case".

Prints what failed, which faults of the router were seen in answers, and last "N passed, N failed".
"""
import concurrent.futures
import faulthandler
import importlib
import os
import pathlib
import resource
import sys
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from harness.programs import wanted  # noqa: E402  needs the path above
from harness.waiting import SCALES  # noqa: E402
from wire.lib import house  # noqa: E402
from wire.lib.http1_client import SEEN_FAULTS  # noqa: E402

CASES_AT_ONCE = 6
SECONDS_MAXIMUM = 900  # then every thread says where it is, and the file has failed
FAULTS_SEEN = "faults seen: "


def run_case(name, function, arguments, binary):
    began = time.monotonic()
    for scale in SCALES:
        building = house.House(binary, scale)
        try:
            function(building, *arguments)
            return [(name, None, time.monotonic() - began)]
        except Exception:  # whatever it is, this case has failed and the others go on
            error = traceback.format_exc(limit=-6)
        if not building.is_timed:
            break
        print(f"too slow, or wrong: {name}, with its times x{scale}\n    " + error.strip().replace("\n", "\n    "), flush=True)
    return [(name, error, time.monotonic() - began)]


def run_table(name, function, is_wanted, binary):
    results = []
    began = time.monotonic()
    try:
        for row, wrong in function(house.House(binary), is_wanted):
            results.append((row, wrong, time.monotonic() - began))
            began = time.monotonic()
    except Exception:
        results.append((name, traceback.format_exc(limit=-6), time.monotonic() - began))
    return results


def run_all(module, file, words, binary):
    """[(name, None or what went wrong, seconds)]. What the file imports may have brought other files' cases along."""
    def is_wanted(name):
        return wanted(f"{file}: {name}", words)
    results = []
    with concurrent.futures.ThreadPoolExecutor(CASES_AT_ONCE) as pool:
        running = [pool.submit(run_table, function.__name__.replace("_", " "), function, is_wanted, binary)
                   for function in house.TABLES if function.__module__ == module.__name__]
        running += [pool.submit(run_case, name, function, arguments, binary) for name, function, arguments in house.CASES
                    if function.__module__ == module.__name__ and is_wanted(name)]
        for future in concurrent.futures.as_completed(running):
            results += future.result()
    return results


def main():
    faulthandler.dump_traceback_later(SECONDS_MAXIMUM, exit=True)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    binary, file, words = os.path.abspath(sys.argv[1]), sys.argv[2], sys.argv[3:]
    module = importlib.import_module(f"wire.cases.{file}")
    results = run_all(module, file, words, binary)
    failures = [(name, error) for name, error, _ in results if error is not None]
    for name, error in failures:
        print(f"FAILED {file}: {name}\n    " + error.strip().replace("\n", "\n    "))
    if os.environ.get("VERBOSE"):
        for name, _, seconds in sorted(results, key=lambda result: result[2]):
            print(f"{seconds:6.2f} s  {file}: {name}")
    print(FAULTS_SEEN + " ".join(sorted(SEEN_FAULTS)))
    print(f"{len(results) - len(failures)} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
