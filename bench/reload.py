#!/usr/bin/env python3
"""Change the cluster under load, and show that no client notices: reloads that add and remove query nodes, the share of a
node that is new, a drain. See bench/README.md."""

import argparse
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True  # no __pycache__ beside the sources

from children import BenchError, Children, START_SECONDS, find_program, free_ports, wait_until
from measure import memory_bytes
from proxies import fill
from run import BUILD, build_program, pick_cores, say
from workloads import QUERY_FIELDS, QUERY_TARGET, WRITE_FIELDS, WRITE_LINES, WRITE_TARGET, read_h2load

RELOADS = 1000
FIRST_RELOADS = 10              # after them memory is looked at for the first time
GROWTH_MAXIMUM_BYTES = 2 * 1024 * 1024
SHARE_SECONDS = 3               # in which a new node has got its share
SHARE_WINDOW_SECONDS = 0.5      # over which a share is measured
SHARE_TOLERANCE = 0.2           # of 1/n
DRAIN_WAIT = "30s"
QUIET_SECONDS = 1               # in which a drained node gets nothing
# 64 connections; name: h2load's options, target, body, fields. Each sends a number of requests again and again, so
# that each request counts: none is cut off by the end of a time.
LOADS = {
    "writes": (["--h1", "-c31", "-m1", "-n20000"], WRITE_TARGET, WRITE_LINES.encode(), WRITE_FIELDS),
    "queries": (["--h1", "-c32", "-m1", "-n20000"], QUERY_TARGET, b"", QUERY_FIELDS),
    "HTTP/2 queries": (["-c1", "-m16", "-n20000"], QUERY_TARGET, b"", QUERY_FIELDS),
}
# Who plays which node: both versions of HTTP stand behind Sluice.
RESPONDERS = ("responder", "h2_responder")
RESPONDERS_EACH = 4


def read_settings():
    parser = argparse.ArgumentParser(description="Change the cluster under load; see bench/README.md.")
    parser.add_argument("--sluice", default="build/sluice", metavar="FILE", help="the program to measure (%(default)s)")
    parser.add_argument("--reloads", type=int, default=RELOADS, metavar="N", help="an even number (%(default)s)")
    settings = parser.parse_args()
    if settings.reloads <= FIRST_RELOADS or settings.reloads % 2 != 0:
        parser.error(f"--reloads: an even number above {FIRST_RELOADS}")
    return settings


class Load:
    """One load program that is started again and again until it is told to stop. Any error is kept and ends it."""

    def __init__(self, children, name, port, core):
        self.children, self.name, self.core = children, name, core
        options, target, body, fields = LOADS[name]
        self.command = [find_program("h2load", "install Debian's package nghttp2-client"), "-t1", *options]
        if body:
            path = os.path.join(children.directory, "reload-body")
            with open(path, "wb") as file:
                file.write(body)
            self.command += ["-d", path]
        for entry in fields:
            self.command += ["-H", entry]
        self.command.append(f"http://127.0.0.1:{port}{target}")
        self.answers = 0
        self.problem = None
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stopping.is_set() and self.problem is None:
            process = self.children.start("h2load", self.command, self.core, stdout=subprocess.PIPE, text=True)
            output, _ = process.communicate()
            try:
                self.answers += read_h2load(output)[0]
            except BenchError as error:
                self.problem = f"{self.name}: {error}"

    def stop(self):
        self.stopping.set()
        self.thread.join()


class Stage:
    """Sluice with its nodes and its load."""

    def __init__(self, children, program, cores):
        self.children, self.program, self.cores = children, program, cores
        self.port, self.admin_port = free_ports(2)
        self.path = os.path.join(children.directory, "sluice-nodes.yaml")
        self.ports = [children.start_listener(name, [os.path.join(BUILD, name), "0", name], cores[1])[1]
                      for name in RESPONDERS for _ in range(RESPONDERS_EACH)]
        # Of either version: an ingest node, a query node, a query node that comes and goes, the rest.
        self.nodes = {"ingest-1": ("ingest", 0), "ingest-2": ("ingest", 4), "query-1": ("query", 1),
                      "query-2": ("query", 5), "compact-1": ("compact", 3)}
        self.write()
        self.process = children.start("reload-sluice", [program, "serve", "-c", self.path], cores[0])
        self.wait(lambda: all(self.is_up(name) for name in self.nodes), "its nodes to be up")
        self.loads = [Load(children, name, self.port, cores[1]) for name in LOADS]

    def write(self):
        """The whole file at once: it may be read at any time."""
        entries = []
        for name, (mode, port) in self.nodes.items():
            keys = ", io_threads: 4" if mode == "ingest" else ""
            # A real node speaks both versions; before its first probe it is asked by HTTP/1.1.
            keys += ", http: 2" if port >= RESPONDERS_EACH else ""
            entries.append(f'  - {{node_id: {name}, mode: {mode}, url: "http://127.0.0.1:{self.ports[port]}"{keys}}}')
        text = fill("sluice-nodes.yaml", {"port": self.port, "admin_port": self.admin_port, "health": "interval: 2s",
                                          "nodes": "\n".join(entries)})
        with open(self.path + ".new", "w", encoding="ascii") as file:
            file.write(text)
        os.rename(self.path + ".new", self.path)

    def ask(self, method, path):
        return json.loads(self.ask_text(method, path))

    def ask_text(self, method, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=START_SECONDS)
        try:
            connection.request(method, path, headers={"X-Sluice-Admin": "1"})
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def status(self):
        """Node name -> what the status says of it; empty while Sluice does not answer yet."""
        try:
            return {node["node_id"]: node for node in self.ask("GET", "/status")["nodes"]}
        except ConnectionRefusedError:
            return {}

    def is_up(self, name):
        return self.status().get(name, {}).get("health") == "up"

    def command(self, *arguments):
        """A command of Sluice, as an operator gives it."""
        result = subprocess.run([self.program, *arguments, "--admin", f"127.0.0.1:{self.admin_port}"],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if result.returncode != 0:
            raise BenchError(f"sluice {' '.join(arguments)} ended with status {result.returncode}: {result.stdout}")

    def check(self):
        self.children.require_running(self.process)
        for load in self.loads:
            if load.problem:
                raise BenchError(load.problem)

    def wait(self, condition, what):
        def is_done():
            self.children.require_running(self.process)
            return condition()
        if not wait_until(is_done, START_SECONDS):
            raise BenchError(f"waited {START_SECONDS} s in vain for {what}: {self.children.last_words(self.process)}")

    def retries(self):
        """Attempts after the first of all exchanges: what clients did not have to see."""
        return int(re.search(r"^sluice_retries_total (\d+)$", self.ask_text("GET", "/metrics"), re.MULTILINE).group(1))

    def memory(self):
        return memory_bytes(self.process.pid)

    def stop_loads(self):
        """Answers by name of the load; each request of each load was answered well."""
        for load in self.loads:
            load.stop()
        self.check()
        return {load.name: load.answers for load in self.loads}


def soak(stage, reloads):
    """Every other reload adds a query node of a name that never was; the next one removes it when it has got requests.
    Memory after the first ten reloads, and at the end."""
    first_bytes = 0
    for number in range(1, reloads + 1):
        if number % 2 == 1:
            name = f"query-new-{number}"
            stage.nodes[name] = ("query", 2 if number % 4 == 1 else 6)
        else:
            stage.wait(lambda: stage.status()[name]["requests"] > 0, f"requests to {name}")
            del stage.nodes[name]
        stage.write()
        answer = stage.ask("POST", "/reload")
        if not answer["applied"]:
            raise BenchError(f"reload {number} was not applied: {answer}")
        stage.check()
        if number == FIRST_RELOADS:
            first_bytes = stage.memory()
        if number % 100 == 0:
            say(f"reload {number}: {stage.memory() / 1024:,.0f} KiB")
    return first_bytes, stage.memory()


def shares(before, after):
    """The share of each query node in the queries between two looks at the status."""
    counts = {name: after[name]["requests"] - before.get(name, {}).get("requests", 0)
              for name in after if after[name]["mode"] == ["query"]}
    total = sum(counts.values())
    return {name: count / total for name, count in counts.items()} if total else {}


def add_node(stage):
    """A third query node of the same kind as the first; seconds until it has its share, and the shares of all then."""
    stage.nodes["query-3"] = ("query", 2)
    stage.write()
    stage.command("reload")
    begun_at = time.monotonic()
    before = stage.status()
    while time.monotonic() - begun_at < 10 * SHARE_SECONDS:
        time.sleep(SHARE_WINDOW_SECONDS)
        after = stage.status()
        measured = shares(before, after)
        if abs(measured.get("query-3", 0) * len(measured) - 1) <= SHARE_TOLERANCE:
            return time.monotonic() - begun_at, measured
        before = after
    raise BenchError(f"query-3 has not got its share after {10 * SHARE_SECONDS} s: {measured}")


def drain_node(stage, name):
    """What is under way when the drain begins, seconds until nothing is, and requests that came later."""
    before = 0

    def is_busy():
        nonlocal before
        before = stage.status()[name]["outstanding"]
        return before > 0

    stage.wait(is_busy, f"requests under way on {name}")
    begun_at = time.monotonic()
    stage.command("drain", name, "--wait", DRAIN_WAIT)
    seconds = time.monotonic() - begun_at
    first = stage.status()
    time.sleep(QUIET_SECONDS)
    second = stage.status()
    if second[name]["outstanding"] != 0:
        raise BenchError(f"{name} is drained, but {second[name]['outstanding']} requests are under way")
    others = sum(second[node]["requests"] - first[node]["requests"] for node in second if node != name)
    late = second[name]["requests"] - first[name]["requests"]
    stage.command("ready", name)
    return before, seconds, late, others


def run(settings, children):
    """The report, and each missed target as a sentence."""
    for name in RESPONDERS:
        build_program(name)
    stage = Stage(children, os.path.abspath(settings.sluice), pick_cores())
    missed = []
    share_seconds, measured = add_node(stage)
    outstanding, drain_seconds, late, others = drain_node(stage, "query-1")
    del stage.nodes["query-3"]
    begun_at = time.monotonic()
    first_bytes, last_bytes = soak(stage, settings.reloads)
    soak_seconds = time.monotonic() - begun_at
    answers = stage.stop_loads()
    growth = last_bytes - first_bytes
    lines = [
        "Load: 64 connections; answered, all well: "
        + ", ".join(f"{count:,} {name}" for name, count in answers.items())
        + f"; requests that were sent again: {stage.retries()}.",
        f"Reloads: {settings.reloads:,} in {soak_seconds:.0f} s, each adding or removing a query node; resident memory after "
        f"{FIRST_RELOADS} of them {first_bytes / 1024:,.0f} KiB, at the end {last_bytes / 1024:,.0f} KiB "
        f"({growth / 1024:+,.0f} KiB).",
        f"New query node: its share after {share_seconds:.1f} s (over {SHARE_WINDOW_SECONDS} s: "
        + ", ".join(f"{name} {share:.1%}" for name, share in measured.items()) + ").",
        f"Drain of query-1: {outstanding} requests under way before, none after {drain_seconds:.2f} s; in the next "
        f"{QUIET_SECONDS} s {late} requests to it, {others:,} to the others.",
    ]
    if growth > GROWTH_MAXIMUM_BYTES:
        missed.append(f"memory grew by {growth / 1024:,.0f} KiB, at most {GROWTH_MAXIMUM_BYTES / 1024:,.0f} are allowed")
    if share_seconds > SHARE_SECONDS:
        missed.append(f"the new node had its share after {share_seconds:.1f} s, at most {SHARE_SECONDS} are allowed")
    if late:
        missed.append(f"a drained node got {late} requests")
    return "\n".join(lines) + "\n", missed


def main():
    settings = read_settings()
    # Ended from outside, the run still leaves its `with` blocks, and so ends its children.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with tempfile.TemporaryDirectory(prefix="sluice-reload-") as directory, Children(directory) as children:
            text, missed = run(settings, children)
    except BenchError as error:
        say(f"reload: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    print(text, end="")
    for sentence in missed:
        say(f"reload: target missed: {sentence}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
