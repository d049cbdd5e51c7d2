"""A node for the table tests: answers every request and remembers what it saw."""
import socket
import threading

from harness.waiting import PATIENCE_SECONDS
from wire.lib.http1_strict import Reader


class Node:
    """`answer(node, sock, request)` sends the answer and returns whether the connection stays; without it each request
    gets 200."""

    def __init__(self, address, answer=None):
        self.answer = answer or plain_answer
        self.lock = threading.Condition()
        self.seen = []       # complete requests: (method, target, fields, body)
        self.begun = 0       # heads
        self.errors = []     # what no proxy may send
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(address)
        self.listener.listen(4096)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reader = Reader(sock)
        with sock:
            while True:
                try:
                    head = reader.head()
                    if head is None:
                        return
                    with self.lock:
                        self.begun += 1
                    start, fields = head
                    method, target, version = start.split(' ')
                    if version != 'HTTP/1.1' or [name for name, _ in fields].count('host') != 1:
                        raise ValueError('bad head %r' % (head,))
                    request = (method, target, fields, reader.body(fields))
                except (EOFError, OSError):
                    return
                except ValueError as error:
                    with self.lock:
                        self.errors.append(str(error))
                    return
                with self.lock:
                    self.seen.append(request)
                    self.lock.notify_all()
                try:
                    if not self.answer(self, sock, request):
                        return
                except OSError:
                    return

    def wait_seen(self, count):
        """Until that many requests were seen."""
        with self.lock:
            return self.lock.wait_for(lambda: len(self.seen) >= count, PATIENCE_SECONDS)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def plain_answer(_node, sock, request):
    body = b'%s %s %s' % (request[0].encode(), request[1].encode('latin-1'), request[3])
    if request[0] == 'HEAD':
        sock.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n' % len(body))
    else:
        sock.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s' % (len(body), body))
    return True
