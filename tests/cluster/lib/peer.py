"""A node of few tricks and next to no cost, for tests of the router's memory: the stand-in would be the bottleneck.

    python3 peer.py                 prints "listening 127.0.0.1:PORT" and serves until its standard input ends

    POST /api/v3/write_lp           reads the body slowly, forgets it, answers 204
    POST /api/v3/write_lp?hold=1    answers only when told to
    GET  /api/v3/query_sql?bytes=N  N bytes of PATTERN, as fast as they are taken
    POST /release                   answers all that is held
    GET  /count                     how many requests are held
    GET  /ready                     200

It believes what it is told: a request head comes in one piece, and the end of a chunked body is known by its last
five bytes, which line protocol cannot contain.
"""
import asyncio
import re
import socket
import sys

PATTERN = b"0123456789abcdef" * 16384
# A small receive buffer and a pause after each PAUSE_BYTES: about 3 MiB/s on each connection.
RECEIVE_BUFFER_BYTES = 16 * 1024
PAUSE_BYTES = 64 * 1024
PAUSE_SECONDS = 0.02
LAST_CHUNK = b"0\r\n\r\n"


class Peer(asyncio.BufferedProtocol):
    """One connection. `room` is shared by all: what arrives is only looked at."""

    room = bytearray(256 * 1024)
    held = []

    def connection_made(self, transport):
        self.transport = transport
        self.left = 0                # bytes of the body to come; None: chunked
        self.tail = b""              # the last five bytes that came
        self.since_pause = 0
        self.answer = None           # what to do at the end of the body
        self.to_send = 0
        self.flowing = True

    def get_buffer(self, hint):
        return self.room

    def buffer_updated(self, length):
        if self.answer is None:
            self.start(bytes(self.room[:length]))
        else:
            self.take(bytes(self.room[max(0, length - 5):length]), length)

    def start(self, data):
        head, _, rest = data.partition(b"\r\n\r\n")
        method, path = head.split(b" ", 2)[:2]
        length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
        self.left = int(length[1]) if length else 0
        if re.search(rb"\r\ntransfer-encoding: *chunked", head, re.IGNORECASE):
            self.left = None
        self.answer = (method, path)
        self.tail = b""
        self.take(rest[-5:], len(rest))

    def take(self, tail, length):
        """`length` bytes of the body; `tail` are the last of them."""
        if self.left is None:
            self.tail = (self.tail + tail)[-5:]
            done = self.tail == LAST_CHUNK
        else:
            self.left -= length
            done = self.left <= 0
        if done:
            self.finish(*self.answer)
            return
        self.since_pause += length
        if self.since_pause >= PAUSE_BYTES:
            self.since_pause = 0
            self.transport.pause_reading()
            asyncio.get_running_loop().call_later(PAUSE_SECONDS, self.transport.resume_reading)

    def finish(self, method, path):
        self.answer = None
        if b"hold=" in path:
            self.held.append(self)
        elif path == b"/release":
            for one in self.held:
                one.no_content()
            self.held.clear()
            self.no_content()
        elif path == b"/count":
            body = b"%d" % len(self.held)
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        elif method == b"GET" and b"bytes=" in path:
            self.to_send = int(path.partition(b"bytes=")[2])
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % self.to_send)
            self.pour()
        elif method == b"GET":
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        else:
            self.no_content()

    def no_content(self):
        self.transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    def pour(self):
        while self.to_send > 0 and self.flowing:
            piece = memoryview(PATTERN)[:self.to_send]
            self.to_send -= len(piece)
            self.transport.write(piece)

    def pause_writing(self):
        self.flowing = False

    def resume_writing(self):
        self.flowing = True
        self.pour()

    def connection_lost(self, error):
        self.to_send = 0
        if self in self.held:
            self.held.remove(self)


async def main():
    loop = asyncio.get_running_loop()
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    listener.bind(("127.0.0.1", 0))
    listener.listen(4096)
    server = await loop.create_server(Peer, sock=listener, backlog=4096)
    print("listening %s:%d" % listener.getsockname(), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
