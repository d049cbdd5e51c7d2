"""Running the real programs: found on the PATH, bounded in time, their output kept."""
import hashlib
import json
import os
import pathlib
import shutil
import subprocess

from cluster.runner import Skip

HERE = pathlib.Path(__file__).resolve().parent
CACHE = HERE.parent.parent / "build" / "npm"
SECONDS = 60


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


def node_modules():
    """The folder with the packages of package-lock.json: installed once, and then only when the lock file changes."""
    lock = (HERE / "package-lock.json").read_bytes()
    mark = hashlib.sha256(lock).hexdigest()
    marker = CACHE / "installed"
    if not marker.exists() or marker.read_text() != mark:
        CACHE.mkdir(parents=True, exist_ok=True)
        marker.unlink(missing_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, CACHE / name)
        # The packages' own scripts are not needed, so they are not run.
        result = run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--prefix",
                     str(CACHE))
        if result.returncode != 0:
            raise AssertionError(f"npm ci failed; without a network {CACHE} must hold what package-lock.json asks "
                                 f"for:\n{result.stdout}{result.stderr}")
        marker.write_text(mark)
    return CACHE / "node_modules"


def javascript(script, *arguments):
    """Runs a script of this folder; it prints one JSON value."""
    result = run("node", str(HERE / script), *arguments, environment={"NODE_PATH": str(node_modules())})
    assert result.returncode == 0, f"{script} {' '.join(arguments)}:\n{result.stdout}{result.stderr}"
    return json.loads(result.stdout)
