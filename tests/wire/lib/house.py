"""Sluice as a child process in front of scripted nodes, and the runner of cases."""
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time

from wire.lib.http1_client import Client, ask
from wire.lib.http1_node import PATIENCE, Node

MODES = {"i": "ingest", "q": "query", "c": "compact", "p": "process"}
# A node that runs only what it was told to is never probed a second time, so that no probe disturbs a case.
SETTINGS = {
    "log_level": "debug",  # each failed attempt has a line there
    "timeouts": {"connect": "1s", "write_deadline": "8s", "response": "8s", "idle": "8s", "queue": "4s", "drain": "8s",
                 "linger": "200ms"},
    "health": {"interval": "1h", "timeout": "5s", "rise": 2, "fall": 3},
    "workers": 1,
}


def make_nodes(letters):
    """"iiqc" is two ingest nodes i1 and i2, a query node q1 and a compactor c1; p makes process nodes."""
    counts = {}
    nodes = []
    for letter in letters:
        counts[letter] = counts.get(letter, 0) + 1
        keys = {"plugin_dir": "/plugins"} if letter == "p" else {}
        nodes.append(Node(f"{letter}{counts[letter]}", MODES[letter], **keys))
    return nodes


def merge(base, more):
    result = dict(base)
    for key, value in more.items():
        result[key] = merge(result[key], value) if isinstance(value, dict) and key in result else value
    return result


def reserve_port():
    """A free port that nobody else is given; Sluice may bind it beside us, because both set SO_REUSEPORT."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(("127.0.0.1", 0))
    return sock, sock.getsockname()[1]


class Sluice:
    """Started on entry to a with block, when each node was probed once; on exit it must drain and end with status 0."""

    def __init__(self, binary, nodes, settings=None, tls=None):
        """`tls`: the section of one more listener, at tls_port."""
        self.nodes = nodes
        self.changed = threading.Condition()
        self.lines = []
        self.folder = tempfile.TemporaryDirectory(prefix="sluice-up-")
        reserved = [reserve_port() for _ in range(4)]
        self.reserved = [sock for sock, _ in reserved]
        self.port, self.writeback_port, self.admin_port, self.tls_port = [port for _, port in reserved]
        configuration = merge(SETTINGS, settings or {})
        configuration.update({
            "cluster_id": "wire",
            "listen": [f"127.0.0.1:{self.port}", {"address": f"127.0.0.1:{self.writeback_port}", "class": "writeback"}],
            "admin": {"address": f"127.0.0.1:{self.admin_port}"},
            "nodes": [node.configuration() for node in nodes],
        })
        if tls is not None:
            configuration["listen"].append({"address": f"127.0.0.1:{self.tls_port}", "tls": tls})
        path = os.path.join(self.folder.name, "sluice.yaml")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(configuration, file)  # JSON is YAML, too
        self.process = subprocess.Popen([binary, "serve", "-c", path], stderr=subprocess.PIPE, text=True)
        threading.Thread(target=self.read_log, daemon=True).start()

    def read_log(self):
        for line in self.process.stderr:
            with self.changed:
                self.lines.append(line.rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.lines.append("event=end_of_log")
            self.changed.notify_all()

    def wait_line(self, pattern, count=1, seconds=PATIENCE):
        def found():
            matching = [line for line in self.lines if re.search(pattern, line)]
            return len(matching) >= count or self.lines[-1:] == ["event=end_of_log"]
        with self.changed:
            in_time = self.changed.wait_for(found, seconds)
            log = "\n".join(self.lines)
            assert in_time and self.count_lines(pattern) >= count, f"no line {pattern!r} (x{count}) in:\n{log}"

    def count_lines(self, pattern):
        return len([line for line in self.lines if re.search(pattern, line)])

    def wait_ready(self):
        self.wait_line("event=ready")
        for node in self.nodes:
            self.wait_line(f"event=node_health node={node.name} ")

    def signal(self, number):
        self.process.send_signal(number)

    @contextlib.contextmanager
    def stopped(self):
        """Within the block Sluice does not run, so that several things happen to it at one time."""
        self.signal(signal.SIGSTOP)
        wait_for(lambda: self.read_proc("stat").rsplit(")", 1)[1].split()[0] == "T")
        try:
            yield
        finally:
            self.signal(signal.SIGCONT)

    def read_proc(self, name):
        with open(f"/proc/{self.process.pid}/{name}", encoding="utf-8") as file:
            return file.read()

    def memory_kib(self, key):
        return int(re.search(rf"^{key}:\s+(\d+) kB", self.read_proc("status"), re.M).group(1))

    def status(self):
        return json.loads(ask(self.admin_port, "GET", "/status").body)

    def node_status(self, name):
        return next(node for node in self.status()["nodes"] if node["node_id"] == name)

    def client(self, **options):
        return Client(self.port, **options)

    def ask(self, *arguments, **options):
        return ask(self.port, *arguments, **options)

    def end(self):
        """SIGTERM, unless it has ended; the exit status. Sanitizers speak through it, too."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("did not end after SIGTERM") from None

    def __enter__(self):
        try:
            self.wait_ready()
        except BaseException:
            self.clean_up()
            raise
        return self

    def __exit__(self, kind, *_):
        try:
            status = self.end()
            if kind is None:
                log = "\n".join(self.lines)
                assert status == 0, f"exit status {status}:\n{log}"
                assert "event=bug" not in log, log
                for node in self.nodes:
                    node.check()
        finally:
            self.clean_up()

    def clean_up(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for node in self.nodes:
            node.close()
        for sock in self.reserved:
            sock.close()
        self.folder.cleanup()


def wait_for(condition, seconds=PATIENCE, what="a condition"):
    """Looks again and again until it holds; for what nobody announces."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        pause.wait(0.002)


def let_pass(seconds):
    """For cases about time itself: the pace of a slow client, the age of a link."""
    threading.Event().wait(seconds)


class House:
    """What a case gets: the binary, and `serve`, which starts Sluice in front of fresh nodes."""

    def __init__(self, binary):
        self.binary = binary

    def serve(self, letters, settings=None, prepare=None, tls=None):
        """`prepare(nodes)` changes the nodes before Sluice starts; nodes are attributes of the result (sluice.i1)."""
        nodes = make_nodes(letters) if isinstance(letters, str) else letters
        if prepare is not None:
            prepare({node.name: node for node in nodes})
        sluice = Sluice(self.binary, nodes, settings, tls)
        for node in nodes:
            setattr(sluice, node.name, node)
        return sluice


CASES = []


def case(*rows):
    """Registers a function as one case, or as one for each row; a row is a tuple of arguments after the house."""
    def register(function):
        name = function.__name__.replace("_", " ")
        if not rows:
            CASES.append((name, function, ()))
        for row in rows:
            words = [str(word) for word in row if isinstance(word, (str, int)) and len(str(word)) < 40]
            CASES.append((f"{name}: {', '.join(word for word in words if word != '_')}", function, row))
        return function
    return register
