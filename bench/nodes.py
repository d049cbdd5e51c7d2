"""What many nodes cost: a small write and a small query, the start and the probes with 1,000 nodes and with 3.

Times are too restless on a shared machine for a bound of three per cent. So requests are judged by what can be counted:
instructions in user space (callgrind) and system calls. One client sends them, one after the other, when there is a
warm link to each node; then nothing but the number of nodes differs. What Sluice does by the second, with or without
requests, is taken off: valgrind and strace make a request slow, so there would be too much of it in each. The row of the
probes has it, too.
"""

import http.client
import json
import os
import re
import socket
import subprocess
import time
from dataclasses import dataclass, field
from statistics import median

from children import BenchError, START_SECONDS, find_program, free_ports, wait_until
from measure import cpu_seconds, make_counter
from proxies import fill
from workloads import QUERY_FIELDS, QUERY_TARGET, WRITE_FIELDS, WRITE_LINES, WRITE_TARGET, read_h2load, run_load

FEW, MANY = 3, 1000
# How many nodes of which modes; a responder plays all of a line's, at addresses of their own.
CLUSTERS = {FEW: {"ingest": 1, "query": 1, "compact": 1},
            MANY: {"ingest": 400, "query": 500, "process,query": 99, "compact": 1}}
MODE_KEYS = {"ingest": ", io_threads: 4"}
FIRST_HOST = 127 << 24 | 1

REQUESTS = {"write": (WRITE_TARGET, WRITE_LINES.encode(), WRITE_FIELDS),
            "query": (QUERY_TARGET, b"", QUERY_FIELDS)}
COUNTS = {"instructions": "instructions", "calls": "system calls"}  # what is judged, and how a reader knows it
COUNTED = 4000                          # requests
WARM_UP = 2000                          # requests of one round; as many rounds as it takes
WARM_UP_ROUNDS = 20
STARTS, QUICK_STARTS = 5, 3
PROBED_SECONDS, QUICK_PROBED_SECONDS = 30, 10
VALGRIND_SECONDS = 120                  # for what valgrind makes slow
NO_PROBES, PROBES = "interval: 1h, timeout: 60s", "interval: 2s"    # the first probes under valgrind are slow

RATIO_MAXIMUM = 1.03
START_MAXIMUM_SECONDS = 1.0
PROBES_MAXIMUM = 0.07                   # of a core


@dataclass
class Cost:
    """Of one request: what was counted, and what as long a time without requests has of it."""

    instructions: float = 0
    idle_instructions: float = 0
    calls: float = 0                # 0: not counted
    idle_calls: float = 0

    def net(self, what):
        return getattr(self, what) - getattr(self, f"idle_{what}")


@dataclass
class NodeCosts:
    """All that was measured; None: it was not."""

    requests: dict = field(default_factory=dict)    # (name of REQUESTS, number of nodes) -> Cost
    listening_seconds: dict = field(default_factory=dict)   # number of nodes -> from the start of the program
    probed_seconds: dict = field(default_factory=dict)      # the same, until each node is known to be up
    probing_share: dict = field(default_factory=dict)       # number of nodes -> of a core
    counter: str = ""
    probed_for_seconds: float = 0

    def ratio(self, name, what):
        return self.requests[name, MANY].net(what) / self.requests[name, FEW].net(what)


class Cluster:
    """Sluice in front of so many nodes. It is started on entry, and ended with its nodes at the end of the block."""

    def __init__(self, bench, count, health, prefix=()):
        self.bench, self.count, self.prefix = bench, count, prefix
        self.process = None
        self.responders = []
        children = bench.children
        entries = []
        for modes, nodes in CLUSTERS[count].items():
            name = modes.replace(",", "-")
            process, port = children.start_listener(f"{name}-nodes", [os.path.join(children.programs, "responder"), "0",
                                                                      name, str(nodes)], bench.cores[1])
            self.responders.append(process)
            for number in range(nodes):
                host = socket.inet_ntoa((FIRST_HOST + number).to_bytes(4, "big"))
                entries.append(f'  - {{node_id: {name}-{number + 1}, url: "http://{host}:{port}", mode: "{modes}", '
                               f'plugin_dir: /plugins{MODE_KEYS.get(modes, "")}}}')
        self.port, self.admin_port = free_ports(2)
        self.path = os.path.join(children.directory, "sluice-nodes.yaml")
        with open(self.path, "w", encoding="ascii") as file:
            file.write(fill("sluice-nodes.yaml", {"port": self.port, "admin_port": self.admin_port, "health": health,
                                                  "nodes": "\n".join(entries)}))

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_):
        self.end()

    def start(self):
        self.started_at = time.monotonic()
        self.process = self.bench.children.start(
            "nodes-sluice", [*self.prefix, self.bench.program, "serve", "-c", self.path], self.bench.cores[0])
        self.wait(self.is_listening, "does not listen")
        self.listening_seconds = time.monotonic() - self.started_at

    def wait(self, condition, problem):
        if not wait_until(lambda: self.bench.children.require_running(self.process) or condition(), VALGRIND_SECONDS):
            raise BenchError(f"Sluice with {self.count} nodes {problem}: {self.bench.children.last_words(self.process)}")

    def is_listening(self):
        """To clients and to the operator: the second comes last."""
        try:
            for port in (self.port, self.admin_port):
                socket.create_connection(("127.0.0.1", port), START_SECONDS).close()
            return True
        except ConnectionRefusedError:
            return False

    def is_probed(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=VALGRIND_SECONDS)
        connection.request("GET", "/status")
        nodes = json.load(connection.getresponse())["nodes"]
        connection.close()
        return len(nodes) == self.count and all(node["health"] == "up" for node in nodes)

    def wait_probed(self):
        self.wait(self.is_probed, "has not found all of them up")
        return time.monotonic() - self.started_at

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def send(self, name, count):
        """So many requests of one client, one after the other."""
        target, body, fields = REQUESTS[name]
        command = [find_program("h2load", "install Debian's package nghttp2-client"), "--h1", "-t1", "-c1", "-m1",
                   f"-n{count}"]
        if body:
            path = os.path.join(self.bench.children.directory, "nodes-body")
            with open(path, "wb") as file:
                file.write(body)
            command += ["-d", path]
        for entry in fields:
            command += ["-H", entry]
        output = run_load(self.bench.children, "h2load", [*command, f"http://127.0.0.1:{self.port}{target}"],
                          VALGRIND_SECONDS, self.bench.cores[1])
        answers = read_h2load(output)[0]
        if answers != count:
            raise BenchError(f"h2load: {answers} of {count} requests were answered")

    def warm_up(self, name):
        """Until a round of requests opens no link any more."""
        for _ in range(WARM_UP_ROUNDS):
            before = self.descriptors()
            self.send(name, WARM_UP)
            if self.descriptors() == before:
                return
        raise BenchError(f"Sluice still opens links to its {self.count} nodes after {WARM_UP_ROUNDS * WARM_UP} requests")

    def end(self):
        for process in [self.process] * (self.process is not None) + self.responders:
            self.bench.children.end(process)


def require_tools():
    """Asked before a long run, not at its end."""
    for name in ("valgrind", "callgrind_control"):
        find_program(name, "install Debian's package valgrind, or leave nodes out of --workloads")


class NodesBench:
    def __init__(self, children, settings, cores, say):
        self.children, self.settings, self.cores, self.say = children, settings, cores, say
        self.program = os.path.abspath(settings.sluice)

    def count_instructions(self, costs, count):
        dump = os.path.join(self.children.directory, f"callgrind-{count}")
        with Cluster(self, count, NO_PROBES, ("valgrind", "--tool=callgrind", f"--callgrind-out-file={dump}")) as cluster:
            cluster.wait_probed()
            for number, name in enumerate(REQUESTS):
                self.say(f"nodes: counting instructions: {name}, {count} nodes")
                cluster.warm_up(name)
                self.control(cluster, "-z")
                begun_at = time.monotonic()
                cluster.send(name, COUNTED)
                self.control(cluster, "-d")     # writes down, and begins anew
                time.sleep(time.monotonic() - begun_at)
                self.control(cluster, "-d")
                loaded, idle = (read_instructions(f"{dump}.{2 * number + part}") for part in (1, 2))
                cost = costs.requests.setdefault((name, count), Cost())
                cost.instructions, cost.idle_instructions = loaded / COUNTED, idle / COUNTED

    def control(self, cluster, option):
        """Asks callgrind to count from zero (-z), or to write down what it has counted and do the same (-d)."""
        result = subprocess.run(["callgrind_control", option, str(cluster.process.pid)], stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, timeout=VALGRIND_SECONDS, check=False)
        if result.returncode != 0 or "OK" not in result.stdout:
            raise BenchError(f"callgrind_control {option}: {result.stdout}")

    def count_calls(self, costs, count):
        counter, reason = make_counter(self.children, self.settings.count_with, self.cores[1])
        if counter is None:
            costs.counter = f"not counted: {reason or '--count-with none'}"
            return
        costs.counter = counter.name
        with Cluster(self, count, NO_PROBES) as cluster:
            cluster.wait_probed()
            for name in REQUESTS:
                self.say(f"nodes: counting system calls: {name}, {count} nodes")
                cluster.warm_up(name)
                counter.start([cluster.process.pid])
                begun_at = time.monotonic()
                cluster.send(name, COUNTED)
                seconds = time.monotonic() - begun_at
                calls = counter.stop()
                if calls.get("connect"):
                    raise BenchError(f"{calls['connect']} links were opened while system calls were counted")
                counter.start([cluster.process.pid])
                time.sleep(seconds)
                idle = counter.stop()
                cost = costs.requests.setdefault((name, count), Cost())
                cost.calls, cost.idle_calls = calls[None] / COUNTED, idle.get(None, 0) / COUNTED

    def time_starts(self, costs, count):
        listening, probed = [], []
        for number in range(QUICK_STARTS if self.settings.quick else STARTS):
            with Cluster(self, count, PROBES) as cluster:
                probed.append(cluster.wait_probed())
                listening.append(cluster.listening_seconds)
            self.say(f"nodes: start {number + 1}: {count} nodes, {listening[-1]:.3f} s to listening")
        costs.listening_seconds[count], costs.probed_seconds[count] = median(listening), median(probed)

    def measure_probes(self, costs, count):
        costs.probed_for_seconds = QUICK_PROBED_SECONDS if self.settings.quick else PROBED_SECONDS
        self.say(f"nodes: probing {count} nodes for {costs.probed_for_seconds} s")
        with Cluster(self, count, PROBES) as cluster:
            cluster.wait_probed()
            time.sleep(2)   # one round of probes: what is the start's is over
            pids = [cluster.process.pid]
            begun_at, begun_seconds = time.monotonic(), sum(cpu_seconds(pids))
            time.sleep(costs.probed_for_seconds)
            costs.probing_share[count] = (sum(cpu_seconds(pids)) - begun_seconds) / (time.monotonic() - begun_at)


def read_instructions(path):
    with open(path, encoding="ascii", errors="replace") as file:
        found = re.search(r"^totals: (\d+)", file.read(), re.MULTILINE)
    if not found:
        raise BenchError(f"callgrind wrote no total to {os.path.basename(path)}")
    return int(found.group(1))


def measure_nodes(children, settings, cores, say):
    bench, costs = NodesBench(children, settings, cores, say), NodeCosts()
    for count in CLUSTERS:
        bench.count_instructions(costs, count)
        bench.count_calls(costs, count)
        bench.time_starts(costs, count)
        bench.measure_probes(costs, count)
    return costs


def missed_node_targets(costs):
    """Each missed target as one sentence. What could not be measured is missed."""
    missed = []
    for name in REQUESTS:
        for what, title in COUNTS.items():
            if getattr(costs.requests[name, MANY], what) == 0:
                missed.append(f"nodes: {title} of a {name}: {costs.counter}")
            elif costs.ratio(name, what) > RATIO_MAXIMUM:
                missed.append(f"nodes: a {name} with {MANY:,} nodes takes {costs.ratio(name, what):.3f} of the {title} that "
                              f"it takes with {FEW}, at most {RATIO_MAXIMUM} is allowed")
    if costs.listening_seconds[MANY] >= START_MAXIMUM_SECONDS:
        missed.append(f"nodes: Sluice listens {costs.listening_seconds[MANY]:.2f} s after its start with {MANY:,} nodes, "
                      f"less than {START_MAXIMUM_SECONDS:.0f} s is allowed")
    if costs.probing_share[MANY] > PROBES_MAXIMUM:
        missed.append(f"nodes: the probes of {MANY:,} nodes take {costs.probing_share[MANY]:.1%} of a core, at most "
                      f"{PROBES_MAXIMUM:.0%} are allowed")
    return missed
