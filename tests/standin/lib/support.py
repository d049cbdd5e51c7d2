"""What the tests of the stand-in share: a node client, a raw socket, and waiting for a condition."""
import http.client
import socket
import threading
import time
import urllib.parse

DEADLINE_SECONDS = 10.0
POLL_SECONDS = 0.01


def eventually(condition, what="the condition"):
    """Polls until condition() is truthy and returns its value; fails loudly at the deadline."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    pause = threading.Event()
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {DEADLINE_SECONDS:.0f} s")
        pause.wait(POLL_SECONDS)


class Answer:
    """Status, headers (lower case) and body of one answer."""

    def __init__(self, response):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()
        self.text = self.body.decode()


def call(address, method, target, body=None, headers=None):
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection(address, timeout=DEADLINE_SECONDS)
    try:
        connection.request(method, target, body, headers or {})
        return Answer(connection.getresponse())
    finally:
        connection.close()


def target(path, **params):
    return path + "?" + urllib.parse.urlencode(params)


def write(address, database, lines, **params):
    return call(address, "POST", target("/api/v3/write_lp", db=database, **params), lines)


def sql(address, database, text, form="json"):
    return call(address, "GET", target("/api/v3/query_sql", db=database, q=text, format=form))


class RawConnection:
    """A TCP connection that sends and receives bytes as they are."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=DEADLINE_SECONDS)
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
