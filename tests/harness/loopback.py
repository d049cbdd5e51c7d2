"""Addresses that no other test has, and what the kernel knows about connections between them."""
import itertools
import os
import random
import select
import socket
import struct
import time

from harness.waiting import PATIENCE_SECONDS

ADMIN, LISTEN, WRITEBACK, FURTHER, NODE = 21800, 21801, 21802, 21803, 21811
READ_POLL_SECONDS = 0.0002

_addresses = itertools.count(random.SystemRandom().randrange(256 * 256))


def own_address():
    """An address of 127.0.0.0/8 that nobody else uses, so its ports can be the same everywhere. They lie below the range from
    which the kernel takes the ports of clients."""
    for _ in range(1000):
        number = next(_addresses) % (256 * 254)
        address = f"127.{20 + os.getpid() % 200}.{number // 254}.{1 + number % 254}"
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((address, LISTEN))
                return address
            except OSError:
                continue
    raise OSError("no free loopback address")


def reserve_port():
    """(socket, port) on 127.0.0.1: nobody else is given the port while the socket lives, and Sluice may bind it beside us,
    because both set SO_REUSEPORT."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(("127.0.0.1", 0))
    return sock, sock.getsockname()[1]


def connect(address):
    """A TCP connection that sends each piece at once."""
    sock = socket.create_connection(address, PATIENCE_SECONDS)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def is_readable(sock, seconds=0):
    return bool(select.select([sock], [], [], seconds)[0])


class Diagnosis:
    """Asks the kernel how much of what was sent on a loopback connection its other end has not read yet (sock_diag(7))."""

    def __init__(self):
        self.netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4)  # NETLINK_SOCK_DIAG
        self.netlink.settimeout(PATIENCE_SECONDS)

    def unread(self, sock):
        """Bytes that the other end of `sock` has not read; 0 when it is gone."""
        own, other = sock.getsockname(), sock.getpeername()
        name = struct.pack("!HH", other[1], own[1]) + socket.inet_aton(other[0]).ljust(16, b"\0") + \
            socket.inet_aton(own[0]).ljust(16, b"\0") + struct.pack("=III", 0, 0xffffffff, 0xffffffff)
        request = struct.pack("=BBBBI", socket.AF_INET, socket.IPPROTO_TCP, 0, 0, 0xffffffff) + name
        # SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST
        self.netlink.send(struct.pack("=IHHII", 16 + len(request), 20, 1, 1, 0) + request)
        answer = self.netlink.recv(4096)
        kind = struct.unpack_from("=H", answer, 4)[0]
        return struct.unpack_from("=I", answer, 16 + 4 + 48 + 4)[0] if kind == 20 else 0


def send_pieces(sock, pieces, diagnosis):
    """Sends each piece once the other end has read the one before, so that no two are read as one. Stops when the other
    end says something before the last piece is out, or is gone; returns False then."""
    for number, piece in enumerate(pieces):
        if number and is_readable(sock):
            return False
        try:
            sock.sendall(piece)
        except OSError:
            return False
        deadline = time.monotonic() + PATIENCE_SECONDS
        while diagnosis.unread(sock) > 0 and not is_readable(sock, READ_POLL_SECONDS):
            assert time.monotonic() < deadline, "the other end does not read"
    return True
