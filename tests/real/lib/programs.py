"""Running the real programs: found on the PATH, bounded in time, their output kept."""
import json
import os
import pathlib
import shutil
import subprocess

from harness.stages import Skip
from npm.packages import node_modules

CLIENTS = pathlib.Path(__file__).resolve().parent.parent / "clients"
SECONDS = 180  # for a program that does not end; never decides a pass


def program(name):
    """The program's path; the test is skipped without it."""
    path = shutil.which(name)
    if path is None:
        raise Skip(f"{name} is not installed")
    return path


def run(name, *arguments, stdin=None, environment=None):
    """Runs a program to its end: CompletedProcess with text output."""
    return subprocess.run([program(name), *arguments], input=stdin, capture_output=True, text=True, timeout=SECONDS,
                          env={**os.environ, **(environment or {})})


def javascript(script, *arguments, environment=None):
    """Runs a script of the folder clients; it prints one JSON value."""
    program("npm")
    result = run("node", str(CLIENTS / script), *arguments, environment={
        "NODE_PATH": str(node_modules()), **(environment or {})})
    assert result.returncode == 0, f"{script} {' '.join(arguments)}:\n{result.stdout}{result.stderr}"
    return json.loads(result.stdout)
