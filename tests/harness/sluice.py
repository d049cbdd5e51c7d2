"""The program under test: one Sluice on one configuration, watched by its log and its admin page, and ended in order.

    with Sluice(binary, folder, config, admin) as sluice:    what a test needs is there; the end of the block judges the end
        sluice.wait_line("event=drain")

Every suite starts Sluice by this class. What the end has to be: exit status 0, no bug in the log, no report of a sanitizer.
A bug or a report fails the suite whatever becomes of the test: also when it kills this Sluice, or is tried again and then passes.
"""
import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import threading

from harness.waiting import PATIENCE_SECONDS, eventually

# Probes so frequent that a test hears soon of a node that has gone, and so patient that a busy machine makes none of them fail. Where all nodes
# of a kind are down nobody is asked, so that a test can wait for that; that they are, by default, has tests of its own.
TIGHT_HEALTH = "health: {interval: 300ms, timeout: 60s, rise: 1, fall: 4, all_down: refuse}\n"
# Deadlines that no test is about: longer than a test's patience, so that none of them does what the test waits for.
PATIENT_TIMEOUTS = {"connect": "1m", "write_deadline": "10m", "write_response": "10m", "response": "10m", "idle": "10m", "request_head": "10m",
                    "tls_handshake": "1m", "queue": "10m", "drain": "10m", "linger": "1m"}
PATIENT_SETTINGS = f"timeouts: {json.dumps(PATIENT_TIMEOUTS)}\n{TIGHT_HEALTH}"  # for configurations as text
PROBLEM = re.compile(r"event=bug\b|(ERROR|WARNING|SUMMARY): \w+Sanitizer|runtime error: ")
# Whatever becomes of the test, its Sluice does not outlive it.
ENDS_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")
END_OF_LOG = "(the end of the log)"


def note_problem(line):
    """Tells tests/run.sh, which fails the suite then. For each line that a Sluice says."""
    path = os.environ.get("SLUICE_PROBLEMS")
    if path and PROBLEM.search(line):
        with open(path, "a", encoding="utf-8") as file:
            file.write(line.rstrip("\n") + "\n")


def has_sanitizer(binary):
    """Is this a build whose memory says nothing about the router's?"""
    with open(binary, "rb") as file:
        return re.search(rb"__[at]san_init", file.read()) is not None


class Sluice:
    """One process at a time. `config`: text of YAML, or a dictionary; `folder`: where sluice.yaml and sluice.log go;
    `admin`: the admin page's address, as http.client understands it, for what asks that page."""

    def __init__(self, binary, folder, config, admin=None):
        self.binary = os.path.abspath(binary)
        self.folder = folder
        self.config_text = config if isinstance(config, str) else json.dumps(config)  # JSON is YAML, too
        self.config_path = os.path.join(folder, "sluice.yaml")
        self.log_path = os.path.join(folder, "sluice.log")
        self.admin = admin
        self.launcher = ()           # words of a command that runs another one, for a process in surroundings of its own
        self.process = None
        self.lines = []              # of the log of the process that was started last
        self.changed = threading.Condition()
        self.watcher = None

    # ---- its life ----

    def start(self):
        """Returns when it accepts connections. May be called again behind the end of the process before."""
        with open(self.config_path, "w", encoding="utf-8") as file:
            file.write(self.config_text)
        self.lines = []
        self.process = subprocess.Popen([*self.launcher, *ENDS_WITH_US, self.binary, "serve", "-c", self.config_path], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=self.folder, text=True,
                                        errors="replace")
        self.watcher = threading.Thread(target=self._watch, args=(self.process.stdout,), daemon=True)
        self.watcher.start()
        try:
            self.wait_line("event=ready")
        except BaseException:
            self.kill()
            raise
        return self

    def _watch(self, stream):
        with stream, open(self.log_path, "w", encoding="utf-8", buffering=1) as file:
            for line in stream:
                file.write(line)
                note_problem(line)
                with self.changed:
                    self.lines.append(line.rstrip("\n"))
                    self.changed.notify_all()
        with self.changed:
            self.lines.append(END_OF_LOG)
            self.changed.notify_all()

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def wait_end(self):
        """Until the process has ended by itself or by a signal that was sent; how it ended is judged."""
        try:
            status = self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"Sluice did not end within {PATIENCE_SECONDS:.0f} s\n{self.log_tail()}") from None
        self.watcher.join(PATIENCE_SECONDS)
        problems = [line for line in self.lines if PROBLEM.search(line)]
        assert status == 0 and not problems, f"Sluice ended with status {status} {problems[:3]}\n{self.log_tail(80)}"

    def stop(self):
        """SIGTERM, unless it has ended already; then as wait_end."""
        if self.is_running():
            self.process.terminate()
        self.wait_end()

    def kill(self):
        """For tests of a sudden end, and for cleaning up behind a failure."""
        if self.is_running():
            self.process.kill()
        if self.process is not None:
            self.process.wait()
            self.watcher.join(PATIENCE_SECONDS)

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self.stop()
        finally:
            self.kill()

    @contextlib.contextmanager
    def stopped(self):
        """Within the block Sluice does not run, so that several things happen to it at one time."""
        self.signal(signal.SIGSTOP)
        eventually(lambda: self.read_proc("stat").rsplit(")", 1)[1].split()[0] == "T", "a process that stands still")
        try:
            yield
        finally:
            self.signal(signal.SIGCONT)

    # ---- its log ----

    def wait_line(self, pattern, count=1):
        """Until `count` lines match; the last of them. Fails at once when the log ends before."""
        def enough():
            return self.lines[-1:] == [END_OF_LOG] or self.count_lines(pattern) >= count
        with self.changed:
            self.changed.wait_for(enough, PATIENCE_SECONDS)
            found = [line for line in self.lines if re.search(pattern, line)]
        assert len(found) >= count, f"no line {pattern!r} (x{count}) in:\n{self.log_tail(200)}"
        return found[count - 1]

    def count_lines(self, pattern):
        return sum(re.search(pattern, line) is not None for line in list(self.lines))

    def log(self):
        return "\n".join(self.lines)

    def log_tail(self, count=40):
        return "\n".join(self.lines[-count:])

    # ---- its admin page ----

    def ask_admin(self, path):
        """The body of an answer, whatever its status."""
        connection = http.client.HTTPConnection(self.admin, timeout=PATIENCE_SECONDS)
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def order(self, path, **headers):
        """(status, answer) of a POST to the admin page, with the header that a change needs unless `headers` says otherwise."""
        fields = {"X-Sluice-Admin": "1"} if not headers else {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection(self.admin, timeout=PATIENCE_SECONDS)
        try:
            connection.request("POST", path, headers=fields)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def rewrite(self, config):
        """Another configuration in the file that a reload reads: text of YAML, or a dictionary."""
        self.config_text = config if isinstance(config, str) else json.dumps(config)
        with open(self.config_path, "w", encoding="utf-8") as file:
            file.write(self.config_text)

    def reload(self, config=None):
        """Brings a configuration into force; the number of its epoch."""
        if config is not None:
            self.rewrite(config)
        status, answer = self.order("/reload")
        assert status == 200 and answer["applied"] is True, answer
        return answer["epoch"]

    def status(self):
        """The status page, as a dictionary."""
        return json.loads(self.ask_admin("/status"))

    def node_states(self):
        """{node_id: its entry on the status page}."""
        return {node["node_id"]: node for node in self.status()["nodes"]}

    def node_status(self, node_id):
        return self.node_states()[node_id]

    def wait_usable(self, wanted=True, *node_ids):
        """Until Sluice deems these nodes (without names: all) usable, or not usable."""
        def reached():
            nodes = self.node_states()
            return all(nodes[name]["usable"] == wanted for name in node_ids or nodes)
        eventually(reached, f"usable={wanted} of {', '.join(node_ids) or 'all nodes'}")

    def metric(self, name):
        """The value of a sample; `name` has its labels, too."""
        return int(re.search(rf"^{re.escape(name)} (\d+)$", self.ask_admin("/metrics"), re.MULTILINE).group(1))

    def wait_metric(self, name, count):
        """Until it is that much, and not more."""
        eventually(lambda: self.metric(name) >= count, f"{name} {count}")
        assert self.metric(name) == count, (name, self.metric(name))

    # ---- its process ----

    def read_proc(self, name):
        with open(f"/proc/{self.process.pid}/{name}", encoding="utf-8") as file:
            return file.read()

    def memory_kib(self, field):
        """VmRSS, VmHWM and so on."""
        return int(re.search(rf"^{field}:\s+(\d+) kB", self.read_proc("status"), re.MULTILINE).group(1))
