#!/usr/bin/env python3
"""Compare what a proxied exchange costs in Sluice, HAProxy, nghttpx, nginx and a TCP relay. See bench/README.md."""

import argparse
import glob
import os
import signal
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True  # no __pycache__ beside the sources

import report
from children import BenchError, Children, find_program, first_line
from measure import count_calls, make_counter, measure_round, memory_bytes, profile
from memory import QUICK_SECONDS as QUICK_HELD_SECONDS, SECONDS as HELD_SECONDS, measure_memory, missed_memory_targets
from nodes import measure_nodes, missed_node_targets, require_tools
from proxies import NODES, PROXIES, STAGES
from workloads import WORKLOADS

BENCH = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.join(os.path.dirname(BENCH), "build", "bench")
MEMORY, MANY_NODES = APART = ("memory", "nodes")     # what is not measured in rounds
# Many short rounds, not few long ones: the speed of a shared machine wanders from second to second, and only what was
# measured side by side can be compared.
ROUNDS, QUICK_ROUNDS = 14, 2
SECONDS, QUICK_SECONDS = 1, 0.4
DIRECT_TRIES = 3
PROFILE_SECONDS = 3
C_FLAGS = ["-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra"]
# Our C programs: sources and libraries.
PROGRAMS = {
    "responder": (["responder.c"], []),
    "relay": (["relay.c"], []),
    "h2_responder": (["h2_responder.c", "h2_answers.c", "h2_frames.c"], ["-lnghttp2"]),
    "tls_load": (["tls_load.c"], ["-lssl", "-lcrypto"]),
}


def read_settings():
    parser = argparse.ArgumentParser(description="Compare the cost of a proxied exchange; see bench/README.md.")
    parser.add_argument("--quick", action="store_true",
                        help=f"{QUICK_ROUNDS} rounds of {QUICK_SECONDS} s instead of {ROUNDS} of {SECONDS} s")
    parser.add_argument("--rounds", type=int, metavar="N", help="this many rounds; more of them give steadier ratios")
    parser.add_argument("--check", action="store_true", help="exit 1 when Sluice misses a target")
    parser.add_argument("--sluice", default="build/sluice", metavar="FILE", help="the program to measure (%(default)s)")
    parser.add_argument("--proxies", default=",".join(PROXIES), metavar="NAME,...", help="in this order (%(default)s)")
    parser.add_argument("--workloads", default=",".join([*WORKLOADS, *APART]), metavar="NAME,...", help="(%(default)s)")
    parser.add_argument("--count-with", default="auto", choices=("auto", "perf", "strace", "none"),
                        help="how system calls are counted (perf where it works, else strace)")
    parser.add_argument("--profile", metavar="NAME", help="show where this proxy spends its time (needs perf)")
    parser.add_argument("--out", metavar="FILE", help="write the report here too")
    settings = parser.parse_args()
    settings.proxies = settings.proxies.split(",")
    settings.workloads = settings.workloads.split(",")
    for given, known in ((settings.proxies, PROXIES), (settings.workloads, [*WORKLOADS, *APART])):
        for name in given:
            if name not in known:
                parser.error(f"{name}: not one of {', '.join(known)}")
    if settings.profile not in (None, *PROXIES):
        parser.error(f"{settings.profile}: not one of {', '.join(PROXIES)}")
    if settings.check and not {"sluice", "haproxy"} <= set(settings.proxies):
        parser.error("--check compares sluice with haproxy: both must be among --proxies")
    settings.rounds = settings.rounds or (QUICK_ROUNDS if settings.quick else ROUNDS)
    settings.seconds = QUICK_SECONDS if settings.quick else SECONDS
    settings.seconds_held = QUICK_HELD_SECONDS if settings.quick else HELD_SECONDS
    return settings


def pick_cores():
    """The core that is measured, and the core for everything else, the harness included."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise BenchError("two cores are needed: one for the proxy under test, one for the load and the nodes")
    os.sched_setaffinity(0, {cores[1]})
    return cores[:2]


def build_program(name):
    """Compile one of our C programs when it is older than any source."""
    sources, libraries = PROGRAMS[name]
    program = os.path.join(BUILD, name)
    os.makedirs(BUILD, exist_ok=True)
    newest = max(os.path.getmtime(path) for path in glob.glob(os.path.join(BENCH, "*.[ch]")))
    if not os.path.exists(program) or os.path.getmtime(program) < newest:
        command = [find_program("gcc", "install Debian's package gcc"), *C_FLAGS,
                   *(os.path.join(BENCH, source) for source in sources), "-o", program, *libraries]
        result = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
        if result.returncode != 0:
            raise BenchError(f"bench/{name} does not compile:\n{result.stderr}")


def say(text):
    print(text, file=sys.stderr, flush=True)


class Comparison:
    """One run: what was started for each stage, and what was measured."""

    def __init__(self, children, settings):
        self.children = children
        self.settings = settings
        self.workloads = [WORKLOADS[name] for name in settings.workloads if name not in APART]
        self.nodes = {}     # stage name -> node name -> port
        self.proxies = {}   # stage name -> proxies that answer
        self.skipped = []   # why Sluice is missing somewhere
        self.direct = {}    # workload name -> what the load side can do alone
        self.results = {}   # (proxy name, workload name) -> report.Result
        self.cores = pick_cores()

    def start(self):
        for name in dict.fromkeys(workload.stage for workload in self.workloads):
            stage = STAGES[name]
            program = os.path.join(BUILD, stage.node_program)
            self.nodes[name] = {node: self.children.start_listener(f"{name}-{node}", [program, "0", node],
                                                                   self.cores[1])[1] for node in NODES}
            self.proxies[name] = []
            for proxy in (PROXIES[kind](self.settings, stage) for kind in self.settings.proxies
                          if kind in stage.proxies):
                self.start_proxy(proxy)

    def start_proxy(self, proxy):
        """A Sluice that cannot do what a stage asks for yet is left out with a word; the others have to work."""
        try:
            proxy.start(self.children, self.nodes[proxy.stage.name], self.cores[0])
        except BenchError as error:
            if proxy.name != "sluice" or proxy.stage.name == "h1":
                raise
            if proxy.process is not None:
                self.children.end(proxy.process)
            self.skipped.append(f"{proxy.stage.name}, Sluice with {proxy.stage.downstream} to {proxy.stage.upstream}: "
                                f"{str(error).splitlines()[0]}")
            say(f"left out: {self.skipped[-1]}")
            return
        self.proxies[proxy.stage.name].append(proxy)

    def measure_direct(self):
        """The load on a node without a proxy, on the one core that they share: what the load side can do at most."""
        for workload in self.workloads:
            if STAGES[workload.stage].tls or workload.stage == "h2-h1":
                continue    # the nodes of these do not speak what the load speaks
            port = self.nodes[workload.stage][workload.node]
            loads = [workload.drive(self.children, port, self.settings.seconds, self.cores[1])
                     for _ in range(1 if self.settings.quick else DIRECT_TRIES)]
            rate = report.number(max(load.units / load.seconds for load in loads))
            unit = workload.unit if workload.unit == "GiB" else workload.unit + "s"
            self.direct[workload.name] = f"The load side alone, without a proxy, on core {self.cores[1]}: {rate} {unit}/s."

    def count(self, counter):
        """The counting runs come first, because they also fill the pools."""
        for workload in self.workloads:
            for proxy in self.proxies[workload.stage]:
                result = self.results[proxy.name, workload.name] = report.Result()
                say(f"counting system calls: {proxy.name}, {workload.name}")
                if counter is None:
                    workload.drive(self.children, proxy.port, self.settings.seconds, self.cores[1])
                else:
                    result.calls = count_calls(self.children, counter, proxy, workload, self.settings.seconds,
                                               self.cores[1])

    def measure_rounds(self):
        for number in range(self.settings.rounds):
            for workload in self.workloads:
                proxies = self.proxies[workload.stage]
                # There and back, so that no proxy always follows the same one.
                for proxy in proxies if number % 2 == 0 else reversed(proxies):
                    entry = measure_round(self.children, proxy, workload, self.settings.seconds, self.cores)
                    result = self.results[proxy.name, workload.name]
                    result.rounds.append(entry)
                    result.rss_bytes = memory_bytes(proxy.process.pid)
                    say(f"round {number + 1} of {self.settings.rounds}: {proxy.name}, {workload.name}: "
                        f"{entry.total_us:.1f} us/{workload.unit}, {entry.others:.0%} of the core lost to others")

    def profile(self, name):
        """Workload name -> lines of perf report."""
        return {workload.name: profile(self.children, proxy, workload, PROFILE_SECONDS, self.cores[1])
                for workload in self.workloads for proxy in self.proxies[workload.stage] if proxy.name == name}

    def stop(self):
        """Memory is measured on a machine where nothing else of the run is alive."""
        for process in self.children.processes:
            self.children.end(process)


def run(settings, children):
    """The whole comparison. Gives the report and the missed targets."""
    if MANY_NODES in settings.workloads:
        require_tools()
    for name in PROGRAMS:
        build_program(name)
    children.programs = BUILD
    settings.relay = os.path.join(BUILD, "relay")
    versions = [PROXIES[name](settings, None).version() for name in settings.proxies]
    comparison = Comparison(children, settings)
    comparison.start()
    counter, reason = make_counter(children, settings.count_with, comparison.cores[1])
    comparison.measure_direct()
    comparison.count(counter)
    comparison.measure_rounds()
    profiles = comparison.profile(settings.profile)
    comparison.stop()
    rows = measure_memory(children, settings, comparison.cores, say) if MEMORY in settings.workloads else []
    nodes = None
    if MANY_NODES in settings.workloads and "sluice" in settings.proxies:
        nodes = measure_nodes(children, settings, comparison.cores, say)
    measured = {workload.name: [proxy.name for proxy in comparison.proxies[workload.stage]]
                for workload in comparison.workloads}
    text = report.render(comparison.results, comparison.workloads, measured, rows, {
        "cores": os.cpu_count(),
        "versions": versions + [" ".join(first_line(["wrk", "-v"]).split()[:2]), first_line(["h2load", "--version"]),
                                first_line(["openssl", "version"])],
        "placement": f"The proxy under test alone on core {comparison.cores[0]}, one worker each; the load and the "
                     f"nodes on core {comparison.cores[1]}",
        "rounds": settings.rounds,
        "seconds": settings.seconds,
        "direct": comparison.direct,
        "profiles": profiles,
        "skipped": comparison.skipped,
        "nodes": nodes,
        "counter": counter.name if counter else None,
        "counter_reason": reason or "--count-with none",
    })
    missed = report.missed_targets(comparison.results, comparison.workloads, comparison.skipped)
    missed += missed_memory_targets(rows) + (missed_node_targets(nodes) if nodes else [])
    return text, missed if settings.check else []


def main():
    settings = read_settings()
    # Ended from outside, the run still leaves its `with` blocks, and so ends its children.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with tempfile.TemporaryDirectory(prefix="sluice-bench-") as directory, Children(directory) as children:
            text, missed = run(settings, children)
    except BenchError as error:
        say(f"bench: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    print(text, end="")
    if settings.out:
        with open(settings.out, "w", encoding="utf-8") as file:
            file.write(text)
    for sentence in missed:
        say(f"bench: target missed: {sentence}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
