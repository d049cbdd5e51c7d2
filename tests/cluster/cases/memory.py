"""How much memory Sluice takes for bodies of any size and for many exchanges at once.

With an ASan build the traffic runs at a tenth of the size and only its outcome counts: a sanitizer's memory says
nothing about the router's.
"""
import os
import resource
import selectors
import socket
import subprocess
import sys
import tempfile
import threading
import time

from harness.client import call, together
from cluster.lib.peer import PATTERN
from harness.stages import Skip
from harness.waiting import PATIENCE_SECONDS, eventually
from harness.loopback import ADMIN, LISTEN, own_address
from harness.sluice import PATIENT_SETTINGS, Sluice, has_sanitizer

MIB = 1 << 20
CEILING_KIB = 64 * 1024
WORKERS = 2
REPLAY_TOTAL_MIB = 16
WRITES = 200
WRITE_BYTES = 10 * MIB
RESPONSE_BYTES = 1024 * MIB
SLOW_BYTES_PER_SECOND = 1 * MIB
SLOW_SECONDS = 1.0
WAITING = 2000
TRANSFER_SECONDS = 900  # for one whole transfer among many, on a machine that does other things, too
WRITE_LINE = b"memory,host=a value=1i 1700000000000000000\n"


class MemoryStage:
    """One peer as the only node, and for each test a Sluice of its own: peaks do not go away again."""

    def __init__(self, binary):
        self.binary = binary
        self.is_sanitized = has_sanitizer(binary)
        self.scale = 10 if self.is_sanitized else 1
        self.folder = tempfile.TemporaryDirectory(prefix="memory-")
        self.peer = None
        self.sluice = None

    def __enter__(self):
        raise_descriptor_limit()
        self.peer = subprocess.Popen([sys.executable, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib", "peer.py")],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.peer_address = self.peer.stdout.readline().split()[1]
        return self

    def __exit__(self, *error):
        if self.sluice is not None:
            self.sluice.kill()
        self.peer.stdin.close()
        self.peer.wait(PATIENCE_SECONDS)
        self.peer.stdout.close()
        self.folder.cleanup()

    def fresh(self):
        """A new Sluice; the one before must have ended in order."""
        self.end()
        host = own_address()
        self.address = f"{host}:{LISTEN}"
        config = (f"cluster_id: c\nlisten: [{{address: {self.address}}}]\nadmin: {{address: {host}:{ADMIN}}}\n"
                  f"nodes:\n  - {{node_id: n, url: 'http://{self.peer_address}', mode: all}}\n"
                  f"workers: {WORKERS}\nlimits: {{replay_total: {REPLAY_TOTAL_MIB}MiB}}\n"
                  f"{PATIENT_SETTINGS}")
        self.sluice = Sluice(self.binary, self.folder.name, config, f"{host}:{ADMIN}").start()
        self.sluice.wait_usable()
        return self.sluice

    def end(self):
        if self.sluice is not None:
            self.sluice.stop()

    def recover(self):
        assert self.peer.poll() is None, "the peer has ended"

    def describe(self):
        return self.sluice.log_tail() if self.sluice else ""

    def check_peak(self, ceiling_kib):
        """The note for the output; fails above the ceiling."""
        peak_kib = self.sluice.memory_kib("VmHWM")
        if self.is_sanitized:
            return "memory not judged: sanitizer"
        assert peak_kib < ceiling_kib, f"VmHWM {peak_kib / 1024:.1f} MiB, at most {ceiling_kib / 1024:.0f} allowed"
        return f"VmHWM {peak_kib / 1024:.1f} MiB"


def memory(binary):
    """A cheap node and a Sluice for each test."""
    return MemoryStage(binary)


stage = memory


def raise_descriptor_limit():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def connect(address, receive_buffer=None):
    host, port = address.rsplit(":", 1)
    sock = socket.socket()
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.settimeout(TRANSFER_SECONDS)
    sock.connect((host, int(port)))
    return sock


def read_head(sock):
    """(status, the bytes of the body that came with the head)."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(4096)
        assert piece, f"closed after {data!r}"
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    return int(head.split()[1]), rest


# -- a large response to a slow reader


class PatternReader:
    """Reads a body and compares each byte with the pattern that the peer sends."""

    def __init__(self, sock, first):
        self.sock = sock
        self.room = memoryview(bytearray(256 * 1024))
        self.doubled = memoryview(PATTERN * 2)
        self.position = 0
        self.check(first)

    def check(self, data):
        offset = self.position % len(PATTERN)
        assert data == self.doubled[offset:offset + len(data)], f"other bytes than the node's near {self.position}"
        self.position += len(data)

    def read(self, limit):
        length = self.sock.recv_into(self.room, min(limit, len(self.room)))
        assert length, f"the answer ended after {self.position} bytes"
        self.check(self.room[:length])


def test_a_huge_response_to_a_slow_reader(stage):
    total = RESPONSE_BYTES // stage.scale
    sluice = stage.fresh()
    with connect(stage.address, receive_buffer=64 * 1024) as sock:
        sock.sendall(b"GET /api/v3/query_sql?bytes=%d HTTP/1.1\r\nHost: h\r\n\r\n" % total)
        status, first = read_head(sock)
        assert status == 200, status
        reader = PatternReader(sock, first)
        began = time.monotonic()
        pause = threading.Event()
        while (elapsed := time.monotonic() - began) < SLOW_SECONDS:
            if reader.position <= elapsed * SLOW_BYTES_PER_SECOND:
                reader.read(64 * 1024)
            else:
                pause.wait(0.01)
        slow_kib = sluice.memory_kib("VmHWM")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * MIB)
        while reader.position < total:
            reader.read(total - reader.position)
    return f"{stage.check_peak(CEILING_KIB)}, {slow_kib / 1024:.1f} MiB while the reader was slow"


# -- many large uploads to a slow node


def upload(address, request):
    with connect(address) as sock:
        sock.sendall(request)
        return read_head(sock)[0]


def test_many_large_uploads_to_a_slow_node(stage):
    stage.fresh()
    lines = WRITE_LINE * (WRITE_BYTES // len(WRITE_LINE))
    head = b"POST /api/v3/write_lp?db=d HTTP/1.1\r\nHost: h\r\n"
    step = 64 * 1024
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(lines[start:start + step]), lines[start:start + step])
                      for start in range(0, len(lines), step))
    requests = (b"%sContent-Length: %d\r\n\r\n%s" % (head, len(lines), lines),
                b"%sTransfer-Encoding: chunked\r\n\r\n%s0\r\n\r\n" % (head, chunks))
    uploads = [lambda request=requests[number % 2]: upload(stage.address, request)
               for number in range(WRITES // stage.scale)]
    statuses = together(uploads)
    assert set(statuses) == {204}, {status: statuses.count(status) for status in set(statuses)}
    return stage.check_peak(CEILING_KIB + WORKERS * REPLAY_TOTAL_MIB * 1024)


# -- many exchanges that wait


def answers(sockets):
    """Reads one status from each socket."""
    statuses = []
    with selectors.DefaultSelector() as selector:
        for sock in sockets:
            selector.register(sock, selectors.EVENT_READ)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(statuses) < len(sockets):
            assert time.monotonic() < deadline, f"{len(statuses)} of {len(sockets)} were answered"
            for key, _ in selector.select(1):
                selector.unregister(key.fileobj)
                statuses.append(read_head(key.fileobj)[0])
    return statuses


def test_many_waiting_exchanges(stage):
    count = WAITING // stage.scale
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 2 * count + 100:
        raise Skip(f"needs {2 * count + 100} file descriptors")
    sluice = stage.fresh()
    request = b"POST /api/v3/write_lp?db=d&hold=1 HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s" % (
        len(WRITE_LINE), WRITE_LINE)
    before_kib = sluice.memory_kib("VmRSS")
    sockets = [connect(stage.address) for _ in range(count)]
    eventually(lambda: sluice.status()["sessions"] == count, "all clients are connected")
    idle_kib = sluice.memory_kib("VmRSS")
    for sock in sockets:
        sock.sendall(request)
    eventually(lambda: int(call(stage.peer_address, "GET", "/count").text) == count, "all writes wait at the node")
    waiting_kib = sluice.memory_kib("VmRSS")
    call(stage.peer_address, "POST", "/release").expect(204)
    statuses = answers(sockets)
    for sock in sockets:
        sock.close()
    assert set(statuses) == {204}, {status: statuses.count(status) for status in set(statuses)}
    if stage.is_sanitized:
        return "memory not judged: sanitizer"
    each_bytes = (waiting_kib - before_kib) * 1024 // count
    assert each_bytes < 8192, f"{each_bytes} bytes for each waiting exchange"
    return (f"{each_bytes} bytes for each waiting exchange with its two connections, of which "
            f"{(idle_kib - before_kib) * 1024 // count} for an idle client")
