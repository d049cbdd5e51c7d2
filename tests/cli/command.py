"""Runs one command of the sluice under test."""
import os
import shutil
import subprocess
import tempfile
import unittest

from harness.sluice import ENDS_WITH_US

# Nothing here waits this long unless something is broken.
SECONDS = 60


def environment(**more):
    return {**{name: value for name, value in os.environ.items() if name != 'SLUICE_ADMIN'}, **more}


class CommandTest(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.work = tempfile.mkdtemp(prefix='sluice-cli.')
        self.addCleanup(shutil.rmtree, self.work, True)

    def file(self, name, text):
        path = os.path.join(self.work, name)
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text)
        return path

    def sluice(self, *arguments, **variables):
        return subprocess.run([*ENDS_WITH_US, os.environ['SLUICE'], *arguments], env=environment(**variables), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=SECONDS, check=False)

    def expect(self, arguments, status, out, error, **variables):
        """The whole output of both kinds; `out` and `error` may be patterns (re.compile)."""
        result = self.sluice(*arguments, **variables)
        for wanted, got in ((out, result.stdout), (error, result.stderr)):
            if isinstance(wanted, str):
                self.assertEqual(got, wanted, arguments)
            else:
                self.assertRegex(got, wanted, arguments)
        self.assertEqual(result.returncode, status, arguments)
        return result
