"""What the tests of the stand-in share: writes and queries at a node, and a raw socket."""
import socket

from harness.client import call, target
from harness.waiting import PATIENCE_SECONDS


def write(address, database, lines, **params):
    return call(address, "POST", target("/api/v3/write_lp", db=database, **params), lines)


def sql(address, database, text, form="json"):
    return call(address, "GET", target("/api/v3/query_sql", db=database, q=text, format=form))


class RawConnection:
    """A TCP connection that sends and receives bytes as they are."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS)
        self.received = b""

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def until(self, mark):
        """Reads until the mark was received; returns everything up to its end and keeps the rest."""
        while mark not in self.received:
            piece = self.socket.recv(65536)
            if not piece:
                raise AssertionError(f"closed before {mark!r}, got {self.received!r}")
            self.received += piece
        end = self.received.index(mark) + len(mark)
        taken, self.received = self.received[:end], self.received[end:]
        return taken

    def rest(self):
        """Everything up to the end, and how it ended: closed or reset."""
        while True:
            try:
                piece = self.socket.recv(65536)
            except ConnectionResetError:
                return self.received, "reset"
            if not piece:
                return self.received, "closed"
            self.received += piece
