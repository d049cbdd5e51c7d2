#!/usr/bin/env python3
"""Runs the tests of Sluice in front of the stand-in cluster.

usage: run.py BINARY [WORD...]      only the tests whose name ("FILE: what it is") has all the words

The last line is "N passed, N failed"; the exit status is 0 if none failed.
"""
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from harness import stages  # noqa: E402  needs the path above

if __name__ == "__main__":
    sys.exit(stages.main("cluster.cases", HERE / "cases", long_files=("memory", "failover", "rolling")))
