#!/usr/bin/env python3
"""Runs the tests of Sluice with real servers and real clients.

usage: run.py BINARY [WORD...]      only the tests whose name contains one of the words

The last line is "N passed, N failed"; the exit status is 0 if none failed. A client that is not installed is skipped,
which the output says.
"""
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from harness import stages  # noqa: E402  needs the path above

if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(stages.main("real.cases", HERE / "cases", sys.argv[1], sys.argv[2:]))
