"""The companion process that speaks HTTP/2: starts it and ends it. What it does stands in sidecar/main.cjs.

One serves any number of nodes; it listens on a Unix socket in a folder of its own, where the nodes put theirs.
"""
import os
import shutil
import subprocess
import sys
import tempfile

from npm.packages import PackagesMissing, node_modules

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sidecar", "main.cjs")
SOCKET_NAME = "sidecar.sock"
STOP_SECONDS = 60.0


class SidecarError(Exception):
    """It did not start."""


class Sidecar:
    """The process. It ends with the program that started it, for it reads that one's pipe."""

    def __init__(self, log_path=os.devnull):
        self.log_path = log_path
        self.directory = None
        self.process = None

    def start(self):
        """Returns when it listens."""
        node = shutil.which("node")
        if node is None:
            raise SidecarError("HTTP/2 needs node (deploy/install-dependencies.sh test installs it); "
                               "--no-http2 does without")
        self.directory = tempfile.mkdtemp(prefix="standin-h2-")
        try:
            modules = str(node_modules())
        except PackagesMissing as missing:
            print(f"no Arrow Flight: {missing}", file=sys.stderr)
            modules = ""
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([node, PROGRAM, os.path.join(self.directory, SOCKET_NAME)],
                                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                                            env={**os.environ, "NODE_PATH": modules}, start_new_session=True)
        if self.process.stdout.readline() != b"listening\n":
            self.stop()
            raise SidecarError(f"the HTTP/2 sidecar did not start; see {self.log_path}")
        return self

    def stop(self):
        """Ends it and removes its folder. Those whom it serves are cut off, so it is stopped after the nodes."""
        if self.process is not None:
            self.process.stdin.close()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process.stdout.close()
        if self.directory is not None:
            shutil.rmtree(self.directory, ignore_errors=True)
