"""A running Sluice: started on a configuration, watched by its log, stopped in order."""
import json
import os
import signal
import subprocess
import threading
import urllib.request

from harness.client import eventually

START_SECONDS = 20.0
STOP_SECONDS = 20.0
TIGHT_HEALTH = "health: {interval: 300ms, timeout: 300ms, rise: 1, fall: 4}\n"


def has_sanitizer(binary):
    """Is this a build whose memory says nothing about the router's?"""
    with open(binary, "rb") as file:
        return b"__asan_init" in file.read()


class Sluice:
    """One process. `log` collects its standard error; the addresses are those of the configuration."""

    def __init__(self, binary, folder, config, address, admin=None):
        self.binary = binary
        self.address = address
        self.admin = admin
        self.config_path = os.path.join(folder, "sluice.yaml")
        with open(self.config_path, "w", encoding="utf-8") as file:
            file.write(config)
        self.process = None
        self.log = []
        self.ready = threading.Event()
        self.watcher = None

    def start(self):
        """Returns when it accepts connections. May be called again after stop()."""
        self.ready.clear()
        self.process = subprocess.Popen([self.binary, "serve", "-c", self.config_path], stdin=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, text=True, errors="replace")
        self.watcher = threading.Thread(target=self.watch, daemon=True)
        self.watcher.start()
        if not self.ready.wait(START_SECONDS) or self.process.poll() is not None:
            self.process.kill()
            raise AssertionError(f"Sluice did not start:\n{self.log_tail()}")
        return self

    def watch(self):
        for line in self.process.stderr:
            self.log.append(line)
            if "event=ready " in line:
                self.ready.set()
        self.ready.set()

    def stop(self):
        """SIGTERM, then status 0: a sanitizer's report would make it another one."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"Sluice did not stop within {STOP_SECONDS:.0f} s of SIGTERM\n{self.log_tail()}")
        self.watcher.join(STOP_SECONDS)
        assert status == 0, f"Sluice ended with status {status}\n{self.log_tail()}"

    def kill(self):
        """For cleaning up behind a failure."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def log_tail(self, lines=40):
        return "".join(self.log[-lines:])

    def status(self):
        """The status page, as a dictionary."""
        with urllib.request.urlopen(f"http://{self.admin}/status", timeout=10) as answer:
            return json.load(answer)

    def nodes(self):
        """{node_id: its entry on the status page}."""
        return {node["node_id"]: node for node in self.status()["nodes"]}

    def wait_usable(self, wanted=True, *node_ids):
        """Until Sluice deems these nodes (without names: all) usable, or not usable."""
        def reached():
            nodes = self.nodes()
            return all(nodes[name]["usable"] == wanted for name in node_ids or nodes)
        eventually(reached, f"usable={wanted} of {', '.join(node_ids) or 'all nodes'}")

    def memory_kib(self, field):
        """VmRSS, VmHWM and so on."""
        with open(f"/proc/{self.process.pid}/status", encoding="utf-8") as file:
            for line in file:
                if line.startswith(field + ":"):
                    return int(line.split()[1])
        raise AssertionError(f"no {field} in /proc")
