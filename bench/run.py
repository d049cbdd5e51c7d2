#!/usr/bin/env python3
"""Compare what a small proxied exchange costs in Sluice, HAProxy, nginx and a TCP relay. See bench/README.md."""

import argparse
import os
import signal
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True  # no __pycache__ beside the sources

import report
from children import BenchError, Children, find_program, first_line
from measure import CONNECTIONS, count_calls, drive, make_counter, measure_round, memory_bytes
from proxies import PROXIES

BENCH = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.join(os.path.dirname(BENCH), "build", "bench")
WORKLOADS = ("write", "query")
NODES = ("ingest-1", "ingest-2", "query-1", "compact-1")
# Many short rounds, not few long ones: the speed of a shared machine wanders from second to second, and only what was
# measured side by side can be compared.
ROUNDS, QUICK_ROUNDS = 14, 3
SECONDS = 1
DIRECT_TRIES = 3
C_FLAGS = ["-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra"]


def read_settings():
    parser = argparse.ArgumentParser(description="Compare the cost of a proxied exchange; see bench/README.md.")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROUNDS} rounds instead of {ROUNDS}")
    parser.add_argument("--rounds", type=int, metavar="N", help="this many rounds; more of them give steadier ratios")
    parser.add_argument("--check", action="store_true", help="exit 1 when Sluice misses a target")
    parser.add_argument("--sluice", default="build/sluice", metavar="FILE", help="the program to measure (%(default)s)")
    parser.add_argument("--proxies", default=",".join(PROXIES), metavar="NAME,...", help="in this order (%(default)s)")
    parser.add_argument("--workloads", default=",".join(WORKLOADS), metavar="NAME,...", help="(%(default)s)")
    parser.add_argument("--count-with", default="auto", choices=("auto", "perf", "strace"),
                        help="how system calls are counted (perf where it works, else strace)")
    parser.add_argument("--out", metavar="FILE", help="write the report here too")
    settings = parser.parse_args()
    settings.proxies = settings.proxies.split(",")
    settings.workloads = settings.workloads.split(",")
    for given, known in ((settings.proxies, PROXIES), (settings.workloads, WORKLOADS)):
        for name in given:
            if name not in known:
                parser.error(f"{name}: not one of {', '.join(known)}")
    if settings.check and not {"sluice", "haproxy"} <= set(settings.proxies):
        parser.error("--check compares sluice with haproxy: both must be among --proxies")
    settings.rounds = settings.rounds or (QUICK_ROUNDS if settings.quick else ROUNDS)
    return settings


def pick_cores():
    """The core that is measured, and the core for everything else, the harness included."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise BenchError("two cores are needed: one for the proxy under test, one for the load and the nodes")
    os.sched_setaffinity(0, {cores[1]})
    return cores[:2]


def build_program(name):
    """Compile one of our C programs when it is older than its source."""
    source, program = os.path.join(BENCH, f"{name}.c"), os.path.join(BUILD, name)
    os.makedirs(BUILD, exist_ok=True)
    if not os.path.exists(program) or os.path.getmtime(program) < os.path.getmtime(source):
        command = [find_program("gcc", "install Debian's package gcc"), *C_FLAGS, source, "-o", program]
        result = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
        if result.returncode != 0:
            raise BenchError(f"{source} does not compile:\n{result.stderr}")
    return program


def say(text):
    print(text, file=sys.stderr, flush=True)


def measure_direct(children, settings, node_ports, core):
    """wrk on a responder without a proxy, on the one core that they share: what the load side can do at most."""
    rates = []
    for workload in settings.workloads:
        port = node_ports["ingest-1" if workload == "write" else "query-1"]
        loads = [drive(children, port, workload, SECONDS, core) for _ in range(DIRECT_TRIES)]
        rates.append(f"{max(load.requests / load.seconds for load in loads):,.0f} requests/s ({workload})")
    return (f"The load side alone, wrk straight to a responder on core {core}: {', '.join(rates)}, "
            f"the best of {DIRECT_TRIES}.")


def measure_all(children, settings, proxies, cores, counter):
    """Every proxy under every workload: first the counting runs, because they also fill the pools; then the rounds."""
    results = {(proxy.name, workload): report.Result() for proxy in proxies for workload in settings.workloads}
    for workload in settings.workloads:
        for proxy in proxies:
            say(f"counting system calls: {proxy.name}, {workload}")
            if counter is None:
                drive(children, proxy.port, workload, SECONDS, cores[1])
            else:
                calls = count_calls(children, counter, proxy, workload, SECONDS, cores[1])
                results[proxy.name, workload].calls = calls
    for number in range(settings.rounds):
        for workload in settings.workloads:
            # There and back, so that no proxy always follows the same one.
            for proxy in proxies if number % 2 == 0 else reversed(proxies):
                entry = measure_round(children, proxy, workload, SECONDS, cores)
                results[proxy.name, workload].rounds.append(entry)
                results[proxy.name, workload].rss_bytes = memory_bytes(proxy.process.pid)
                say(f"round {number + 1} of {settings.rounds}: {proxy.name}, {workload}: "
                    f"{entry.total_us:.1f} us/request, {entry.others:.0%} of the core lost to others")
    return results


def run(settings, children):
    """The whole comparison. Gives the report and the missed targets."""
    cores = pick_cores()
    responder, settings.relay = build_program("responder"), build_program("relay")
    proxies = [PROXIES[name](settings) for name in settings.proxies]
    versions = [proxy.version() for proxy in proxies] + [" ".join(first_line(["wrk", "-v"]).split()[:2])]
    node_ports = {name: children.start_listener(name, [responder, "0", name], cores[1])[1] for name in NODES}
    for proxy in proxies:
        proxy.start(children, node_ports, cores[0])
    counter, reason = make_counter(children, settings.count_with, cores[1])
    direct = measure_direct(children, settings, node_ports, cores[1])
    results = measure_all(children, settings, proxies, cores, counter)
    text = report.render(results, settings.proxies, settings.workloads, {
        "cores": os.cpu_count(),
        "versions": versions,
        "load": f"wrk, {CONNECTIONS} connections, one request at a time each; the proxy alone on core {cores[0]}, "
                f"wrk and four responders on core {cores[1]}",
        "rounds": settings.rounds,
        "seconds": SECONDS,
        "direct": direct,
        "counter": counter.name if counter else None,
        "counter_reason": reason,
    })
    return text, report.missed_targets(results, settings.workloads) if settings.check else []


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
