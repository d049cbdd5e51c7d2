#!/usr/bin/env python3
"""The commands that talk to a running Sluice, against an admin listener that answers as each test tells it (fake_admin.py).

usage: run.py SLUICE [NAME...]     NAME: only the tests whose name contains it; the last line is `N passed, N failed`
"""
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))  # for harness


def main():
    os.environ['SLUICE'] = os.path.abspath(sys.argv[1])
    loader = unittest.TestLoader()
    loader.testNamePatterns = [f'*{name}*' for name in sys.argv[2:]] or None
    result = unittest.TextTestRunner(verbosity=1, stream=sys.stderr).run(loader.discover(HERE))
    failed = len(result.failures) + len(result.errors)
    print(f'{result.testsRun - failed} passed, {failed} failed')
    return 1 if failed or not result.testsRun else 0


if __name__ == '__main__':
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main())
