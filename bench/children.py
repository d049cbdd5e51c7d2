"""Child processes of a benchmark run: started on one core, watched, and ended by pid whatever happens.

A Children object owns every process that it started. Leaving its `with` block ends them; should the harness itself be
killed, the kernel sends them SIGTERM (PR_SET_PDEATHSIG).
"""

import ctypes
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import time

PR_SET_PDEATHSIG = 1
START_SECONDS = 10
END_SECONDS = 5
LIBC = ctypes.CDLL(None, use_errno=True)


class BenchError(Exception):
    """The run cannot go on; the text says why, and what to do."""


def find_program(name, remedy):
    """Full path of a program. Debian keeps the proxies in /usr/sbin, which is not on every user's PATH."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if path is None:
        raise BenchError(f"{name}: not found; {remedy}")
    return path


def first_line(command):
    """What a program prints first, as its version."""
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    lines = result.stdout.strip().splitlines()
    return lines[0] if lines else "version unknown"


def free_ports(count):
    """Distinct TCP ports of loopback that nobody listens on, below the range that outgoing connections are given."""
    ports, tries = set(), 0
    while len(ports) < count:
        tries += 1
        if tries > 1000:
            raise BenchError("no free ports between 10000 and 32000 on 127.0.0.1")
        port = random.randrange(10000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        ports.add(port)
    return list(ports)


def descendants(pid):
    """A process and all its descendants: nginx works in a child of the process that was started."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="ascii", errors="replace") as file:
                    parents.setdefault(int(file.read().rsplit(")", 1)[1].split()[1]), []).append(int(name))
            except OSError:
                continue
    found = [pid]
    for parent in found:
        found.extend(parents.get(parent, []))
    return found


class Children:
    """Everything that one run started."""

    def __init__(self, directory):
        self.directory = directory
        self.processes = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            self.end(process)

    def start(self, name, command, core, **popen):
        """Start a process on one core; what it says goes to NAME.log in the run's directory."""

        def settle():
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            os.sched_setaffinity(0, {core})

        with open(os.path.join(self.directory, f"{name}.log"), "ab") as log:
            popen.setdefault("stdout", log)
            popen.setdefault("stderr", log)
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, cwd=self.directory, preexec_fn=settle,
                                       **popen)
        process.name = name
        self.processes.append(process)
        return process

    def start_listener(self, name, command, core):
        """Start one of our own C programs on a port of its choice; gives the process and the port."""
        process = self.start(name, command, core, stdout=subprocess.PIPE)
        line = read_line(process.stdout, START_SECONDS)
        if not line.startswith("listening on "):
            raise BenchError(f"{name} did not start: {self.last_words(process)}")
        return process, int(line.split()[-1])

    def require_running(self, process):
        if process.poll() is not None:
            raise BenchError(f"{process.name} ended with status {process.returncode}: {self.last_words(process)}")

    def last_words(self, process):
        with open(os.path.join(self.directory, f"{process.name}.log"), encoding="utf-8", errors="replace") as log:
            return log.read().strip()[-2000:] or "it said nothing"

    def end(self, process):
        """Ask, wait, insist. The descendants are gathered first, so that none outlives its parent."""
        if process.poll() is not None:
            return
        members = descendants(process.pid)
        process.terminate()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            for pid in members:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            process.wait()


def read_line(pipe, seconds):
    """One line from an unbuffered or fresh pipe, or "" when none comes in time."""
    ready, _, _ = select.select([pipe], [], [], seconds)
    return pipe.readline().decode(errors="replace") if ready else ""


def wait_until(condition, seconds):
    """Ask until the answer is true; False when the time is over."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
