"""What is read while a proxy works: its CPU time, its system calls, its memory."""

import os
import re
import signal
import subprocess
from dataclasses import dataclass

from children import BenchError, START_SECONDS, descendants, find_program, read_line, wait_until

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

# Counted one by one where the kernel has a tracepoint for them; the total counts all others too.
NAMED_CALLS = """read readv recvfrom recvmsg write writev sendto sendmsg splice epoll_wait epoll_pwait epoll_ctl ioctl
accept4 connect close shutdown setsockopt getsockopt getsockname getpeername fcntl futex clock_gettime timerfd_settime
getrandom getpid gettid brk mmap munmap madvise""".split()
TRACEPOINT_FOLDERS = ("/sys/kernel/tracing/events", "/sys/kernel/debug/tracing/events")


@dataclass
class Round:
    """One timed round of one proxy under one workload."""

    units: float        # requests, or what else the workload counts
    seconds: float
    user_us: float      # per unit
    system_us: float    # per unit
    busy: float         # share of its core that the proxy used, 0 to 1
    others: float       # share of that core that other processes took, or the hypervisor

    @property
    def total_us(self):
        return self.user_us + self.system_us


def cpu_seconds(pids):
    """User and system time of some processes, all threads included, also those that ended."""
    user = system = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        user += int(fields[11])
        system += int(fields[12])
    return user / TICKS_PER_SECOND, system / TICKS_PER_SECOND


def core_seconds(core):
    """Time that a core spent on anything, and in total: both grow."""
    with open("/proc/stat", encoding="ascii") as file:
        for line in file:
            words = line.split()
            if words[0] == f"cpu{core}":
                times = [int(word) for word in words[1:9]]
                idle = times[3] + times[4]
                return (sum(times) - idle) / TICKS_PER_SECOND, sum(times) / TICKS_PER_SECOND
    raise BenchError(f"/proc/stat does not know cpu{core}")


def memory_bytes(pid):
    """Resident memory of the largest process of a proxy: its worker, where there are several."""
    largest = 0
    for member in descendants(pid):
        with open(f"/proc/{member}/status", encoding="ascii", errors="replace") as file:
            found = re.search(r"^VmRSS:\s+(\d+) kB", file.read(), re.MULTILINE)
        if found:
            largest = max(largest, int(found.group(1)) * 1024)
    return largest


def measure_round(children, proxy, workload, seconds, cores):
    pids = descendants(proxy.process.pid)
    user_before, system_before = cpu_seconds(pids)
    busy_before, core_before = core_seconds(cores[0])
    load = workload.drive(children, proxy.port, seconds, cores[1])
    user_after, system_after = cpu_seconds(pids)
    busy_after, core_after = core_seconds(cores[0])
    children.require_running(proxy.process)
    user, system = user_after - user_before, system_after - system_before
    wall = core_after - core_before
    return Round(load.units, load.seconds, user / load.units * 1e6, system / load.units * 1e6,
                 (user + system) / wall, max(0.0, busy_after - busy_before - user - system) / wall)


class PerfCounter:
    """Counts in the kernel, by tracepoints: exact, and the proxy keeps its pace."""

    name = "perf stat"

    def __init__(self, children, core):
        self.children, self.core = children, core
        self.program = find_program("perf", "install Debian's package linux-perf")
        folder = next((path for path in TRACEPOINT_FOLDERS if os.access(f"{path}/raw_syscalls", os.R_OK)), None)
        if folder is None:
            raise BenchError("the kernel shows no tracepoints to this user")
        self.events = ["raw_syscalls:sys_enter"] + [f"syscalls:sys_enter_{call}" for call in NAMED_CALLS
                                                    if os.path.isdir(f"{folder}/syscalls/sys_enter_{call}")]
        self.output = os.path.join(children.directory, "perf.csv")
        self.pipes = [os.path.join(children.directory, f"perf.{name}") for name in ("control", "done")]
        for path in self.pipes:
            os.mkfifo(path)

    def start(self, pids):
        command = [self.program, "stat", "-x,", "-o", self.output, "-e", ",".join(self.events),
                   "-p", ",".join(map(str, pids)), "-D", "-1", "--control", "fifo:" + ",".join(self.pipes)]
        # Both ends of a fifo are opened here first, so that neither side waits for the other.
        control, done = (os.open(path, os.O_RDWR) for path in self.pipes)
        self.process = self.children.start("perf", command, self.core)
        try:
            os.write(control, b"enable\n")
            with os.fdopen(done, "rb", buffering=0) as answer:
                if read_line(answer, START_SECONDS).strip("\0\n") != "ack":
                    raise BenchError(f"perf did not attach: {self.children.last_words(self.process)}")
        finally:
            os.close(control)

    def stop(self):
        """System calls by name since start, the total under None."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(START_SECONDS)
        calls = {}
        with open(self.output, encoding="ascii", errors="replace") as file:
            for line in file:
                fields = line.split(",")
                if len(fields) > 2 and fields[0].isdigit():
                    name = fields[2].partition("sys_enter_")[2] or None
                    calls[name] = int(fields[0])
        return calls


class StraceCounter:
    """Stops the proxy at each call: right to a few per cent, because a slow proxy finds more events per wait."""

    name = "strace -c"

    def __init__(self, children, core):
        self.children, self.core = children, core
        self.program = find_program("strace", "install Debian's package strace or linux-perf")
        self.output = os.path.join(children.directory, "strace.txt")
        self.said = os.path.join(children.directory, "strace.log")

    def start(self, pids):
        command = [self.program, "-f", "-c", "-U", "calls,name", "-o", self.output]
        for pid in pids:
            command += ["-p", str(pid)]
        before = self.attachments()
        self.process = self.children.start("strace", command, self.core)
        if not wait_until(lambda: self.attachments() - before >= len(pids), START_SECONDS):
            raise BenchError(f"strace did not attach: {self.children.last_words(self.process)}")

    def attachments(self):
        if not os.path.exists(self.said):
            return 0
        with open(self.said, encoding="utf-8", errors="replace") as file:
            return file.read().count(" attached")

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(START_SECONDS)
        calls = {}
        with open(self.output, encoding="ascii", errors="replace") as file:
            for line in file:
                words = line.split()
                if len(words) == 2 and words[0].isdigit():
                    calls[None if words[1] == "total" else words[1]] = int(words[0])
        return calls


def make_counter(children, choice, core):
    """A counter, or the reason why there is none, as (counter, reason)."""
    reasons = []
    for kind in (PerfCounter, StraceCounter):
        if choice in ("auto", kind.name.split()[0]):
            try:
                return kind(children, core), ""
            except BenchError as error:
                reasons.append(str(error))
    return None, "; ".join(reasons)


def count_calls(children, counter, proxy, workload, seconds, core):
    """System calls per unit by name, total under None, over a whole run of the load, the connecting included."""
    counter.start(descendants(proxy.process.pid))
    load = workload.drive(children, proxy.port, seconds, core)
    calls = counter.stop()
    if None not in calls:
        raise BenchError(f"{counter.name} gave no total: {children.last_words(counter.process)}")
    return {name: count / load.units for name, count in calls.items() if count}


def profile(children, proxy, workload, seconds, core):
    """The libraries and functions where a proxy spends its time under a workload, as the lines of perf report."""
    program = find_program("perf", "install Debian's package linux-perf")
    samples = os.path.join(children.directory, "perf.data")
    pids = ",".join(map(str, descendants(proxy.process.pid)))
    process = children.start("perf-record", [program, "record", "-q", "-F", "2999", "-o", samples, "-p", pids], core)
    workload.drive(children, proxy.port, seconds, core)
    process.send_signal(signal.SIGINT)
    process.wait(START_SECONDS)
    lines = []
    for sort in ("dso", "dso,symbol"):
        command = [program, "report", "-i", samples, "--stdio", "--no-children", "-q", "--sort", sort,
                   "--percent-limit", "0.7"]
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        lines += [re.sub(r"[ -]+$", "", line) for line in result.stdout.splitlines() if line.strip()] + [""]
    if not any(lines):
        raise BenchError(f"perf record got no samples: {children.last_words(process)} {result.stderr}")
    return lines[:-1]
