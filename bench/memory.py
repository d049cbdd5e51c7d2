"""What an exchange costs that only waits: ten thousand writes in flight, each held for a second by the node.

A proxy is started anew for each row, so that nothing is left of another load. Its resident memory is read when it is
idle, and again while the nodes say that they hold the writes; the connections are counted by the nodes.
"""

import os
import resource
import signal
import time
from dataclasses import dataclass

from children import BenchError, START_SECONDS, read_line
from measure import memory_bytes
from proxies import NODES, PROXIES, STAGES
from workloads import H2load, WRITE_FIELDS, WRITE_LINES, WRITE_TARGET, Wrk

IN_FLIGHT = 10000
HELD_SHARE = 0.99           # of them, at the same time, as the nodes count: the others are on their way
SECONDS, QUICK_SECONDS = 8, 5
SAMPLE_SECONDS = 0.1
BYTES_MAXIMUM = 12 * 1024   # of Sluice, for each exchange
CONNECTIONS_MAXIMUM = 100   # of Sluice, to both nodes
DESCRIPTORS = 16000         # of one process; HTTP/1.1 downstream takes one for each exchange

SHAPES = {
    "HTTP/1.1, 10,000 connections": Wrk("write", connections=IN_FLIGHT),
    "HTTP/2, 100 connections of 100 streams": H2load(WRITE_TARGET, WRITE_LINES.encode(), WRITE_FIELDS, connections=100,
                                                     streams=100),
}


@dataclass
class Held:
    """One row of the table."""

    proxy: str
    workers: int
    shape: str
    idle_bytes: int = 0
    loaded_bytes: int = 0
    held: int = 0           # at the sample that held most
    connections: int = 0    # to nodes, the most at any time
    problem: str = ""

    @property
    def bytes_per_exchange(self):
        return (self.loaded_bytes - self.idle_bytes) / IN_FLIGHT


def require_descriptors():
    """Every child inherits it: the driver and, with HTTP/1.1, the proxy need one for each exchange."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < DESCRIPTORS:
        if hard < DESCRIPTORS:
            raise BenchError(f"memory needs {DESCRIPTORS} open files for each process, the limit is {hard}: "
                             f"raise it (`ulimit -n {DESCRIPTORS}`) or leave memory out of --workloads")
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def read_counters(nodes):
    """What the nodes count, added up, as a dict."""
    total = {}
    for process in nodes:
        process.send_signal(signal.SIGUSR1)
    for process in nodes:
        line = read_line(process.stdout, START_SECONDS)
        if not line:
            raise BenchError(f"{process.name} does not tell what it counts")
        for key, value in (word.split("=") for word in line.split()):
            total[key] = total.get(key, 0) + int(value)
    return total


def sample(held, proxy, nodes):
    counters = read_counters(nodes)
    held.connections = max(held.connections, counters["peak_connections"])
    held.held = max(held.held, counters["held"])
    held.loaded_bytes = max(held.loaded_bytes, memory_bytes(proxy.process.pid))


def load_and_sample(children, held, proxy, nodes, seconds, core):
    shape = SHAPES[held.shape]
    output = os.path.join(children.directory, "held.out")
    with open(output, "w+", encoding="utf-8", errors="replace") as file:
        process = children.start(shape.program, shape.command(children, proxy.port, seconds), core, stdout=file)
        deadline = time.monotonic() + seconds + START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            sample(held, proxy, nodes)
            time.sleep(SAMPLE_SECONDS)
        children.require_running(proxy.process)
        if process.poll() is None:
            held.problem = f"{shape.program} did not end {START_SECONDS} s after its time"
            children.end(process)
            return
        file.seek(0)
        try:
            shape.read(file.read())
        except BenchError as error:
            held.problem = str(error)
    if not held.problem and held.held < IN_FLIGHT * HELD_SHARE:
        held.problem = f"at most {held.held:,} of {IN_FLIGHT:,} were in flight at a time"


def measure_held(children, settings, stage, name, shape, cores):
    """One row. Nodes, proxy and load live for it alone."""
    held = Held(name, stage.workers, shape)
    proxy = PROXIES[name](settings, stage)
    started = [children.start_listener(node, [os.path.join(children.programs, stage.node_program), "0", node,
                                              str(stage.hold_ms)], cores[1]) for node in NODES]
    nodes = [process for process, _ in started]
    try:
        proxy.start(children, {node: port for node, (_, port) in zip(NODES, started)}, cores[0])
        read_counters(nodes)    # forgets the connections of the probes that have gone
        held.idle_bytes = memory_bytes(proxy.process.pid)
        # Health checks and what the role probes opened are not the load's: only the two ingest nodes are counted.
        load_and_sample(children, held, proxy, nodes[:2], settings.seconds_held, cores[1])
    finally:
        for process in [proxy.process] * (proxy.process is not None) + nodes:
            children.end(process)
    return held


def measure_memory(children, settings, cores, say):
    """All rows; a Sluice that does not start here (too old to speak HTTP/2) is a row with a problem."""
    require_descriptors()
    rows = []
    # The targets are absolute: a quick run does without the rivals.
    for stage in (STAGES["held"],) if settings.quick else (STAGES["held"], STAGES["held-2"]):
        for name in stage.proxies:
            is_wanted = name in settings.proxies and (name == "sluice" or not settings.quick)
            for shape in SHAPES if is_wanted else ():
                say(f"memory: {name}, {stage.workers} worker{'s' * (stage.workers > 1)}, {shape}")
                try:
                    rows.append(measure_held(children, settings, stage, name, shape, cores))
                except BenchError as error:
                    if name != "sluice":
                        raise
                    rows.append(Held(name, stage.workers, shape, problem=str(error)))
    return rows


def missed_memory_targets(rows):
    missed = []
    for row in rows:
        if row.proxy != "sluice":
            continue
        who = f"memory: Sluice, {row.workers} worker{'s' * (row.workers > 1)}, {row.shape}"
        if row.problem:
            missed.append(f"{who}: {row.problem}")
            continue
        if row.bytes_per_exchange > BYTES_MAXIMUM:
            missed.append(f"{who}: {row.bytes_per_exchange / 1024:.1f} KiB for each exchange in flight, at most "
                          f"{BYTES_MAXIMUM // 1024} are allowed")
        if row.connections > CONNECTIONS_MAXIMUM:
            missed.append(f"{who}: {row.connections} connections to two nodes, at most {CONNECTIONS_MAXIMUM} are allowed")
    return missed
