#!/usr/bin/env python3
"""Runs the tests of Sluice in front of the stand-in cluster.

usage: run.py BINARY [WORD...]      only the tests whose name contains one of the words

The last line is "N passed, N failed"; the exit status is 0 if none failed.
"""
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from harness import stages  # noqa: E402  needs the path above

if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(stages.main("cluster.cases", HERE / "cases", sys.argv[1], sys.argv[2:]))
