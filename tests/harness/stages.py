"""Tests against a stage: finds those of a folder, runs each file in a process of its own, and counts.

A test file names its *stage*: `stage(binary)` gives a context manager, and what that gives is the only argument of
each test, one after the other. A stage has `recover()`, which mends what a test has broken, and `end()`, which stops
Sluice and complains if that does not go in order.
"""
import importlib
import pathlib
import sys
import time
import traceback

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS))

from harness.programs import run_files, tail, wanted  # noqa: E402  needs the path above


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
    """(name, function) in the order of the file; only those whose name has all the words."""
    short = module.__name__.rpartition(".")[2]
    found = [(f"{short}: {name.removeprefix('test_').replace('_', ' ')}", value)
             for name, value in vars(module).items() if name.startswith("test_") and callable(value)]
    return [(name, function) for name, function in found if wanted(name, words)]


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


def run_one_file(module_name, binary, words):
    """Exit status. The last line of the output counts."""
    module = importlib.import_module(module_name)
    tally = Tally()
    tests = tests_of(module, words)
    if tests:
        run_stage(tally, module.stage, binary, tests)
    print(f"{tally.passed} passed, {tally.failed} failed")
    return 1 if tally.failed else 0


def main(package, folder, long_files=()):
    """Exit status for a suite's run.py BINARY [WORD...]; `long_files` begin first."""
    if len(sys.argv) < 2:
        print("usage: run.py BINARY [WORD...]", file=sys.stderr)
        return 2
    binary, words = str(pathlib.Path(sys.argv[1]).resolve()), sys.argv[2:]
    files = sorted((path.stem for path in pathlib.Path(folder).glob("*.py")), key=lambda name: (name not in long_files, name))
    commands = {name: [__file__, f"{package}.{name}", binary, *words] for name in files}
    passed = failed = skipped = 0
    for _, file_passed, file_failed, output in run_files(commands):
        left_out = [line for line in output.splitlines() if line.startswith("skipped ")]
        passed += file_passed
        failed += file_failed
        skipped += len(left_out)
        print("\n".join([*left_out, tail(output)]), flush=True)
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    # Test files know Skip by this module's other name.
    from harness import stages
    sys.exit(stages.run_one_file(sys.argv[1], sys.argv[2], sys.argv[3:]))
