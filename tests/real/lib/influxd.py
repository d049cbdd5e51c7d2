"""Debian's InfluxDB 1.x on a temporary folder and a free port."""
import os
import re
import signal
import subprocess
import tempfile
import threading

from harness.sluice import ENDS_WITH_US
from harness.waiting import PATIENCE_SECONDS
from real.lib.programs import program

CONFIG = """reporting-enabled = false
bind-address = "127.0.0.1:0"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
  query-log-enabled = false
[monitor]
  store-enabled = false
[http]
  bind-address = "{address}"
"""


class Influxd:
    """One server. `address` is kept by a restart."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="influxd-")
        self.address = None
        self.process = None
        self.log = []

    def start(self):
        """Returns when it serves."""
        config = os.path.join(self.folder.name, "influxdb.conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write(CONFIG.format(folder=self.folder.name, address=self.address or "127.0.0.1:0"))
        self.process = subprocess.Popen([*ENDS_WITH_US, program("influxd"), "-config", config], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        listening = threading.Event()
        threading.Thread(target=self.watch, args=(self.process, listening), daemon=True).start()
        if not listening.wait(PATIENCE_SECONDS) or self.process.poll() is not None:
            self.process.kill()
            raise AssertionError("influxd did not start:\n" + "".join(self.log[-20:]))
        return self

    def watch(self, process, listening):
        for line in process.stderr:
            self.log.append(line)
            match = re.search(r'msg="Listening on HTTP".* addr=(\S+)', line)
            if match:
                self.address = match[1]
                listening.set()
        listening.set()
        process.stderr.close()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(PATIENCE_SECONDS)

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
        self.folder.cleanup()
