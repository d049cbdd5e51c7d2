"""Finds the tests of a folder, runs them one after the other, and counts.

A test file names its *stage*: `stage(binary)` gives a context manager, and what that gives is the only argument of
each test. Files that name the same stage share it, so a cluster is started once. A stage has `recover()`, which
mends what a test has broken, and `end()`, which stops Sluice and complains if that does not go in order.
"""
import importlib
import pathlib
import sys
import time
import traceback


class Skip(Exception):
    """The test cannot run here; its text says why."""


class Tally:
    """What has passed and failed so far."""

    def __init__(self):
        self.passed = 0
        self.failed = 0
        self.skipped = 0

    def run(self, name, function, *arguments):
        """Runs one test; an exception fails it, and its text is printed."""
        began = time.monotonic()
        try:
            note = function(*arguments)
        except Skip as skip:
            self.skipped += 1
            print(f"skipped {name}: {skip}", flush=True)
            return True
        except Exception:
            self.failed += 1
            print(f"FAILED  {name}\n{traceback.format_exc()}", flush=True)
            return False
        self.passed += 1
        print(f"ok      {name} ({time.monotonic() - began:.2f} s)" + (f": {note}" if note else ""), flush=True)
        return True


def tests_of(module, words):
    """(name, function) in the order of the file; with words, only those whose name contains one of them."""
    short = module.__name__.rpartition(".")[2]
    found = [(f"{short}: {name.removeprefix('test_').replace('_', ' ')}", value)
             for name, value in vars(module).items() if name.startswith("test_") and callable(value)]
    return [(name, function) for name, function in found if not words or any(word in name for word in words)]


def run_stage(tally, make_stage, binary, tests):
    try:
        with make_stage(binary) as stage:
            for name, function in tests:
                if not tally.run(name, function, stage):
                    print(stage.describe(), flush=True)
                stage.recover()
            label = f"{make_stage.__name__} stage"
            tally.run(f"{label}: Sluice survives its tests and ends in order", stage.end)
    except Exception:
        tally.failed += 1
        print(f"FAILED  stage {make_stage.__name__}\n{traceback.format_exc()}", flush=True)


def main(package, folder, binary, words):
    """Exit status for run.py."""
    binary = str(pathlib.Path(binary).resolve())
    tally = Tally()
    by_stage = {}
    for path in sorted(pathlib.Path(folder).glob("*.py")):
        module = importlib.import_module(f"{package}.{path.stem}")
        by_stage.setdefault(module.stage, []).extend(tests_of(module, words))
    for make_stage, tests in by_stage.items():
        if tests:
            run_stage(tally, make_stage, binary, tests)
    sys.stdout.flush()
    print(f"{tally.passed} passed, {tally.failed} failed" + (f", {tally.skipped} skipped" if tally.skipped else ""))
    return 1 if tally.failed or not tally.passed else 0
