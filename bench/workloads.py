"""The workloads: which program loads a proxy with what, what is counted, and what Sluice has to reach.

A clean run is the only one that counts: any error, any answer of 400 and above, is a BenchError.
"""

import os
import re
import subprocess
from dataclasses import dataclass

from children import BenchError, find_program
from proxies import FLIGHT_PATH

BENCH = os.path.dirname(os.path.abspath(__file__))
GIBIBYTE = 1024 ** 3
SLACK_SECONDS = 30
WRITE_TARGET = "/api/v3/write_lp?db=bench&precision=second"
QUERY_TARGET = "/api/v3/query_sql?db=bench&format=json&q=SELECT%20host%2Cusage_user%20FROM%20cpu"
WRITE_LINES = "".join(
    f"cpu,host=server{i:02},region=us-west usage_user={20 + i}.5,usage_system={5 + i}.25,usage_idle={73 - 2 * i}.25 "
    f"{1704067200 + i}\n" for i in range(1, 11))
# A ticket as the clients of Arrow Flight send it, in one gRPC message: flags, length, bytes.
TICKET = b'{"database":"bench","sql_query":"SELECT host, usage_user FROM cpu","query_type":"sql"}'
GRPC_CALL = b"\0" + len(TICKET).to_bytes(4, "big") + TICKET
GRPC_FIELDS = ("content-type: application/grpc", "te: trailers", "user-agent: grpc-c++/1.60.0",
               "authorization: Bearer apiv3_bench")
WRITE_FIELDS = ("content-type: text/plain; charset=utf-8", "authorization: Bearer apiv3_bench")
QUERY_FIELDS = ("authorization: Bearer apiv3_bench",)


@dataclass
class Load:
    """What a load program got done."""

    units: float
    seconds: float


def run_load(children, name, command, seconds, core):
    """Standard output of a load program that ended well."""
    process = children.start(name, command, core, stdout=subprocess.PIPE, text=True)
    try:
        output, _ = process.communicate(timeout=seconds + SLACK_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{name} did not end {seconds + SLACK_SECONDS} s after its start") from error
    if process.returncode != 0:
        raise BenchError(f"{name} failed with status {process.returncode}: {output} {children.last_words(process)}")
    return output


def read_result(name, output):
    """The line `RESULT requests=N microseconds=N kind=N...` of our own programs; every other number counts errors."""
    found = re.search(r"^RESULT (.*)$", output, re.MULTILINE)
    if not found:
        raise BenchError(f"{name} gave no result: {output}")
    values = {key: int(value) for key, value in (word.split("=") for word in found.group(1).split())}
    requests, microseconds = values.pop("requests"), values.pop("microseconds")
    errors = ", ".join(f"{count} {kind}" for kind, count in values.items() if count)
    if errors or requests == 0:
        raise BenchError(f"{name}: {requests} requests, errors: {errors or 'none, but no answer'}")
    return Load(requests, microseconds / 1e6)


def read_h2load(output):
    """What h2load says of its run, as (answers, seconds, bytes of bodies)."""
    done = re.search(r"^requests: .* (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout$", output, re.MULTILINE)
    codes = re.search(r"^status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx$", output, re.MULTILINE)
    time = re.search(r"^finished in ([0-9.]+)(us|ms|s),", output, re.MULTILINE)
    data = re.search(r"^traffic: .* \((\d+)\) data$", output, re.MULTILINE)
    if not (done and codes and time and data):
        raise BenchError(f"h2load gave no result: {output}")
    succeeded, *errors = map(int, done.groups())
    if any(errors) or any(map(int, codes.groups()[1:])) or succeeded == 0:
        raise BenchError(f"h2load: {done.group(0)}; {codes.group(0)}")
    seconds = float(time.group(1)) * {"us": 1e-6, "ms": 1e-3, "s": 1}[time.group(2)]
    return succeeded, seconds, int(data.group(1))


class Driver:
    """A load program. Subclasses give its name, its command and what its output says."""

    program = ""

    def drive(self, children, port, seconds, core):
        return self.read(run_load(children, self.program, self.command(children, port, seconds), seconds, core))


@dataclass(frozen=True)
class Wrk(Driver):
    """HTTP/1.1, one request at a time on each connection."""

    script_workload: str
    connections: int = 64
    program = "wrk"

    @property
    def says(self):
        return f"wrk, {self.connections:,} connections, one request at a time each"

    def command(self, _, port, seconds):
        # It knows whole seconds only.
        return [find_program("wrk", "install Debian's package wrk"), "-t1", f"-c{self.connections}",
                f"-d{max(1, round(seconds))}s", "--timeout", f"{SLACK_SECONDS}s", "-s", os.path.join(BENCH, "load.lua"),
                f"http://127.0.0.1:{port}/", "--", self.script_workload]

    def read(self, output):
        return read_result("wrk", output)


@dataclass(frozen=True)
class H2load(Driver):
    """HTTP/2 by prior knowledge in clear text; a number of streams at a time on each connection."""

    target: str
    body: bytes = b""               # empty: GET
    fields: tuple = ()
    connections: int = 8
    streams: int = 16
    window_bits: tuple = (30, 30)   # of a stream, of a connection
    answers_per_second: int = 0     # how many are fetched, whatever time it takes; 0: as many as the time allows
    counts_bytes: bool = False
    program = "h2load"

    @property
    def says(self):
        stream, connection = self.window_bits
        return (f"h2load, {self.connections} connections with {self.streams} streams at a time each, "
                f"windows of 2^{stream}-1 bytes for a stream and 2^{connection}-1 for a connection")

    def command(self, children, port, seconds):
        command = [find_program("h2load", "install Debian's package nghttp2-client"), "-t1", f"-c{self.connections}",
                   f"-m{self.streams}", f"-w{self.window_bits[0]}", f"-W{self.window_bits[1]}",
                   f"-n{round(self.answers_per_second * seconds)}" if self.answers_per_second else
                   f"-D{round(seconds * 1000)}ms"]
        if self.body:
            path = os.path.join(children.directory, f"body-{len(self.body)}")
            with open(path, "wb") as file:
                file.write(self.body)
            command += ["-d", path]
        for entry in self.fields:
            command += ["-H", entry]
        return command + [f"http://127.0.0.1:{port}{self.target}"]

    def read(self, output):
        answers, took, data_bytes = read_h2load(output)
        return Load(data_bytes / GIBIBYTE if self.counts_bytes else answers, took)


@dataclass(frozen=True)
class TlsLoad(Driver):
    """New TLS connections with one small write each, by tls_load.c."""

    kind: str
    connections: int = 16
    program = "tls_load"

    @property
    def says(self):
        return f"tls_load.c, {self.connections} connections at a time, one small write on each"

    def command(self, children, port, seconds):
        return [os.path.join(children.programs, "tls_load"), str(port), self.kind, str(self.connections),
                str(round(seconds * 1000))]

    def read(self, output):
        return read_result("tls_load", output)


@dataclass(frozen=True)
class Workload:
    """One row of WORKLOADS. goal: the CPU time that Sluice may take, as a share of what its best rival takes."""

    name: str
    stage: str
    title: str
    load: object
    goal: float = None              # None: shown, not judged
    rivals: tuple = ("haproxy", "nghttpx")
    unit: str = "request"
    calls_maximum: float = None     # system calls of Sluice per unit
    node: str = "ingest-1"          # who answers it, where a node can be loaded directly
    scale: tuple = ("us", 1.0)      # in which CPU time per unit is written, and how many us that is

    def drive(self, children, port, seconds, core):
        return self.load.drive(children, port, seconds, core)


QUERY = H2load(QUERY_TARGET, fields=QUERY_FIELDS)
H1_RIVALS = ("haproxy", "nginx")
WRITE = H2load(WRITE_TARGET, WRITE_LINES.encode(), WRITE_FIELDS)

WORKLOADS = {workload.name: workload for workload in (
    Workload("write", "h1", "10-line write, HTTP/1.1", Wrk("write"), 1.0, H1_RIVALS, calls_maximum=5.0),
    Workload("query", "h1", "small query, HTTP/1.1", Wrk("query"), 1.0, H1_RIVALS, calls_maximum=5.0, node="query-1"),
    Workload("h2-write", "h2", "10-line write, HTTP/2 to HTTP/2", WRITE, 0.9),
    Workload("h2-query", "h2", "small query, HTTP/2 to HTTP/2", QUERY, 0.9, node="query-1"),
    Workload("h2-h1-write", "h2-h1", "10-line write, HTTP/2 to HTTP/1.1", WRITE, 0.9),
    Workload("h2-h1-query", "h2-h1", "small query, HTTP/2 to HTTP/1.1", QUERY, 0.9, node="query-1"),
    Workload("grpc-call", "grpc", "gRPC unary call", H2load(FLIGHT_PATH + "GetFlightInfo", GRPC_CALL, GRPC_FIELDS), 0.9,
             unit="call", node="query-1"),
    # A call streams 256 messages of 64 KiB. gRPC clients begin with 64 KiB windows and widen them to some MiB as they
    # learn the bandwidth: here they are wide from the start. No call is cut at the end of a round.
    Workload("grpc-stream", "grpc", "gRPC server streaming, 64 KiB messages",
             H2load(FLIGHT_PATH + "DoGet", GRPC_CALL, GRPC_FIELDS, streams=2, window_bits=(22, 24),
                    answers_per_second=96, counts_bytes=True), 1.0, unit="GiB", node="query-1", scale=("ms", 1000.0)),
    Workload("handshake", "tls", "full TLS handshake (1.3, X25519, ECDSA P-256)", TlsLoad("full"), 1.0,
             unit="handshake"),
    Workload("resumption", "tls", "resumed TLS handshake (1.3, ticket and X25519)", TlsLoad("resumed"),
             unit="handshake"),
)}
