"""The npm packages of the tests: what package-lock.json names, in build/npm, installed once; and the clients that use
them, each a script that does what its argument describes and prints what came of it."""
import fcntl
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
CACHE = HERE.parent.parent / "build" / "npm"
SECONDS = 300
CLIENT_SECONDS = 180


class PackagesMissing(Exception):
    """The packages are not there and cannot be installed; the text says why."""


def node_modules():
    """The folder with the packages; installs them when the lock file has changed since the last time."""
    mark = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    marker = CACHE / "installed"
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not marker.exists() or marker.read_text() != mark:
            marker.unlink(missing_ok=True)
            install()
            marker.write_text(mark)
    return CACHE / "node_modules"


def install():
    npm = shutil.which("npm")
    if npm is None:
        raise PackagesMissing("npm is not installed; deploy/install-dependencies.sh test does that")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, CACHE / name)
    count = len(json.loads((HERE / "package-lock.json").read_text())["packages"]) - 1
    print(f"npm: installing {count} packages in {os.path.relpath(CACHE)}", file=sys.stderr, flush=True)
    # The packages' own scripts are not needed, so they are not run.
    result = subprocess.run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--prefix",
                             str(CACHE)], capture_output=True, text=True, timeout=SECONDS)
    if result.returncode != 0:
        raise PackagesMissing(f"npm ci failed; without a network {CACHE} must hold what package-lock.json asks "
                              f"for:\n{result.stdout}{result.stderr}")


def javascript(script, job, environment=None):
    """Runs one of the clients in this folder: the description of its work goes in, one JSON value comes out."""
    result = subprocess.run(["node", str(HERE / script)], input=json.dumps(job), capture_output=True, text=True,
                            timeout=CLIENT_SECONDS,
                            env={**os.environ, "NODE_PATH": str(node_modules()), **(environment or {})})
    if result.returncode != 0 or not result.stdout:
        raise AssertionError(f"{script}: status {result.returncode}\n{result.stdout}{result.stderr}")
    return json.loads(result.stdout)


if __name__ == "__main__":
    try:
        node_modules()
    except PackagesMissing as missing:
        sys.exit(f"npm: {missing}")
