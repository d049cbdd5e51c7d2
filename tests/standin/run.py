#!/usr/bin/env python3
"""Runs the stand-in's own tests, each file of cases/ in a process of its own.

usage: run.py [WORD...]      only the tests whose name ("FILE: method", without test_) has all the words

The last line is "N passed, N failed"; the exit status is 0 if none failed.
"""
import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from harness.programs import run_files, tail, wanted  # noqa: E402  needs the path above

LONG = ("flight", "http2", "roundtrip")


def tests_of(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from tests_of(test)
        else:
            yield test


def run_one_file(name, words):
    """Exit status. The last line of the output counts."""
    found = tests_of(unittest.defaultTestLoader.loadTestsFromName(f"standin.cases.{name}"))
    suite = unittest.TestSuite(test for test in found
                               if wanted(f"{name}: {test.id().rpartition('.')[2].removeprefix('test_')}", words))
    result = unittest.TextTestRunner(verbosity=1, stream=sys.stdout).run(suite)
    failed = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - failed} passed, {failed} failed")
    return 1 if failed else 0


def main(words):
    files = sorted((path.stem for path in (HERE / "cases").glob("*.py")), key=lambda name: (name not in LONG, name))
    commands = {name: [__file__, "--file", name, *words] for name in files}
    passed = failed = 0
    for name, file_passed, file_failed, output in run_files(commands):
        passed += file_passed
        failed += file_failed
        print(f"---- {name}\n{tail(output)}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(run_one_file(sys.argv[2], sys.argv[3:]) if sys.argv[1:2] == ["--file"] else main(sys.argv[1:]))
