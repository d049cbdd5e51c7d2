#!/usr/bin/env python3
"""Compares what `sluice` says with what was expected of it, character by character.

usage: run.py SLUICE

NAME.yaml + NAME.expect           `sluice check NAME.yaml`; the status must be 1 when an error is expected, else 0
../../config/NAME.yaml +
config/NAME.expect                the same for the layouts that come with Sluice
commands/NAME.cmd + NAME.expect   any other command line, run in config/; output of both kinds, then "exit STATUS"

A configuration without an .expect is a failure, and so is an .expect without a configuration.
"""
import difflib
import pathlib
import re
import shlex
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
CONFIG = HERE.parent.parent / "config"
CERTIFICATES = HERE.parent / "certificates.sh"  # makes build/test-tls, which some configurations name


def run(sluice, arguments, folder):
    return subprocess.run([sluice, *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=20)


def check(sluice, source, expected):
    result = run(sluice, ["check", source.name], source.parent)
    status = 1 if re.search(r"^\S+: error: ", expected, re.MULTILINE) else 0
    if result.returncode != status:
        return f"exit status {result.returncode}, not {status}\n{result.stdout}"
    return difference(expected, result.stdout)


def command(sluice, source, expected):
    result = run(sluice, shlex.split(source.read_text()), CONFIG)
    return difference(expected, f"{result.stdout}exit {result.returncode}\n")


def difference(expected, got):
    return "".join(difflib.unified_diff(expected.splitlines(True), got.splitlines(True), "expected", "got"))


def pairs():
    """(source, file with the expectation, how to run it), for every source and for every expectation."""
    for sources, expectations, suffix, how in (
        (HERE, HERE, ".yaml", check),
        (CONFIG, HERE / "config", ".yaml", check),
        (HERE / "commands", HERE / "commands", ".cmd", command),
    ):
        names = {path.stem for path in sources.glob("*" + suffix)} | {path.stem for path in expectations.glob("*.expect")}
        for name in sorted(names):
            yield sources / (name + suffix), expectations / (name + ".expect"), how


def main():
    sluice = str(pathlib.Path(sys.argv[1]).resolve())
    subprocess.run([CERTIFICATES], check=True, timeout=60)
    passed = failed = 0
    for source, expectation, how in pairs():
        missing = [path for path in (source, expectation) if not path.exists()]
        problem = f"{missing[0].name} is missing" if missing else how(sluice, source, expectation.read_text())
        if problem:
            print(f"FAILED {source.parent.name}/{source.name}\n{problem}")
            failed += 1
        else:
            passed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main())
