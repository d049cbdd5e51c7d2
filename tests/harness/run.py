#!/usr/bin/env python3
"""What the suites trust the harness with, shown with programs that only look like Sluice.

usage: run.py [WORD...]      only the tests whose name (method, without test_) has all the words

The last line is "N passed, N failed"; the exit status is 0 if none failed.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS))

from harness.programs import wanted  # noqa: E402  needs the path above
from harness.sluice import Sluice  # noqa: E402

BUG = "2026-01-01T00:00:00.000Z error event=bug what=door from=shut to=shut"
REPORT = "==7==ERROR: AddressSanitizer: heap-use-after-free on address 0x602000000010"


class HarnessTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="harness-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.problems = os.path.join(self.folder, "problems")
        before = os.environ.get("SLUICE_PROBLEMS")
        os.environ["SLUICE_PROBLEMS"] = self.problems
        self.addCleanup(lambda: os.environ.pop("SLUICE_PROBLEMS") if before is None else os.environ.update(SLUICE_PROBLEMS=before))

    def program(self, *lines, status=0):
        """Says that it is ready, then these lines, and ends with SIGTERM."""
        path = os.path.join(self.folder, "program")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"#!{sys.executable}\nimport signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit({status}))\n"
                       f"print(*{('event=ready', *lines, 'event=said')!r}, sep='\\n', flush=True)\nsignal.pause()\n")
        os.chmod(path, 0o755)
        sluice = Sluice(path, self.folder, "").start()
        self.addCleanup(sluice.kill)
        sluice.wait_line("event=said")
        return sluice

    def noted(self):
        if not os.path.exists(self.problems):
            return []
        with open(self.problems, encoding="utf-8") as file:
            return file.read().splitlines()


class End(HarnessTest):
    def test_an_end_in_order_is_none_to_complain_of(self):
        self.program("event=bugle", "an error").stop()
        self.assertEqual(self.noted(), [])

    def test_a_bug_or_a_report_fails_the_end(self):
        for line in (BUG, REPORT, "router/net/conn.c:7:3: runtime error: signed integer overflow"):
            with self.assertRaisesRegex(AssertionError, line.split()[-1]):
                self.program(line).stop()

    def test_another_exit_status_fails_the_end(self):
        with self.assertRaisesRegex(AssertionError, "status 3"):
            self.program(status=3).stop()

    def test_a_bug_of_one_that_is_killed_is_noted(self):
        self.program(BUG).kill()
        self.assertEqual(self.noted(), [BUG])

    def test_a_bug_is_noted_though_its_test_fails_for_another_reason(self):
        with self.assertRaisesRegex(ZeroDivisionError, "zero"):
            sluice = self.program(BUG)
            try:
                raise ZeroDivisionError("by zero")
            finally:
                sluice.kill()
        self.assertEqual(self.noted(), [BUG])


class Suite(HarnessTest):
    def run_suite(self, body):
        """(exit status, output) of a copy of run.sh whose one suite runs this body."""
        for name in ("tests/law", "build"):
            os.makedirs(os.path.join(self.folder, name), exist_ok=True)
        shutil.copy(TESTS / "run.sh", os.path.join(self.folder, "tests"))
        with open(os.path.join(self.folder, "tests/law/law.py"), "w", encoding="utf-8") as file:
            file.write(f"import os\n{body}\nprint('1 passed, 0 failed')\n")
        done = subprocess.run([os.path.join(self.folder, "tests/run.sh")], env={**os.environ, "ONLY": "law", "TEST": ""},
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        return done.returncode, done.stdout

    def test_what_passes_passes(self):
        status, output = self.run_suite("")
        self.assertEqual((status, output.splitlines()[0]), (0, "law: 1 passed, 0 failed"), output)

    def test_a_noted_bug_fails_a_suite_whose_tests_have_passed(self):
        status, output = self.run_suite(f"open(os.environ['SLUICE_PROBLEMS'], 'w').write({BUG!r})")
        self.assertEqual(status, 1, output)
        self.assertIn(BUG, output)
        self.assertIn("law: 1 passed, 1 failed", output)

    def test_it_fails_no_later_run(self):
        self.run_suite(f"open(os.environ['SLUICE_PROBLEMS'], 'w').write({BUG!r})")
        self.assertEqual(self.run_suite("")[0], 0)


def main(words):
    found = [test for case in (End, Suite) for test in unittest.defaultTestLoader.loadTestsFromTestCase(case)]
    suite = unittest.TestSuite(test for test in found if wanted(test.id().rpartition(".")[2].removeprefix("test_"), words))
    result = unittest.TextTestRunner(verbosity=1, stream=sys.stdout).run(suite)
    failed = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
