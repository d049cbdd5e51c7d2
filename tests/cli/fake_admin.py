"""An admin listener that answers as a test tells it, over TCP or on a socket file."""
import json
import os
import socket
import threading

REASONS = {200: 'OK', 400: 'Bad Request', 401: 'Unauthorized', 403: 'Forbidden', 404: 'Not Found', 422: 'Unprocessable Content'}


def answer(status, body, fields=()):
    """A whole answer with a length."""
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = [f'HTTP/1.1 {status} {REASONS[status]}', 'Content-Type: application/json', f'Content-Length: {len(body)}', *fields]
    return '\r\n'.join(head).encode() + b'\r\n\r\n' + body


def chunked(body, size):
    """The same, in chunks of `size` bytes."""
    body = json.dumps(body).encode()
    pieces = [body[i:i + size] for i in range(0, len(body), size)]
    head = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n'
    return head + b''.join(b'%x\r\n%s\r\n' % (len(piece), piece) for piece in pieces) + b'0\r\n\r\n'


class Request:
    def __init__(self, head):
        lines = head.decode('latin-1').split('\r\n')
        self.method, self.target, self.version = lines[0].split(' ')
        self.fields = {name.lower(): value.strip() for name, _, value in (line.partition(':') for line in lines[1:] if line)}


class FakeAdmin:
    """`replies`: bytes by "METHOD target", or a function of the Request that gives bytes; None: accept, and say nothing until the end.
    Requests are kept in `requests`."""

    def __init__(self, replies, address='127.0.0.1', path=None):
        self.replies = replies
        self.requests = []
        self.path = path
        self.closing = threading.Event()
        if path is not None:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.bind(path)
            self.address = 'unix:' + path
        else:
            self.socket = socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET)
            self.socket.bind((address, 0))
            self.port = self.socket.getsockname()[1]
            self.address = f'[{address}]:{self.port}' if ':' in address else f'{address}:{self.port}'
        self.socket.listen(16)
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.closing.set()
        # shutdown, because close alone does not wake accept.
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join()
        if self.path is not None:
            os.unlink(self.path)

    def _serve(self):
        while True:
            try:
                conn, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(conn,), daemon=True).start()

    def _talk(self, conn):
        with conn:
            conn.settimeout(20)
            try:
                head = b''
                while b'\r\n\r\n' not in head:
                    piece = conn.recv(4096)
                    if not piece:
                        return
                    head += piece
                request = Request(head.partition(b'\r\n\r\n')[0])
                self.requests.append(request)
                reply = self.replies(request) if callable(self.replies) else self.replies.get(
                    f'{request.method} {request.target}', answer(404, {'error': 'no such route'}))
                if reply is None:
                    self.closing.wait(20)
                else:
                    conn.sendall(reply)
            except OSError:
                pass


def node(number, **keys):
    """One of /status; by default a query node that is well."""
    return dict({
        'node_id': f'query-{number:04d}', 'mode': ['query'], 'url': f'http://10.0.0.1:{number}', 'health': 'up', 'usable': True,
        'admin': {'write': 'ready', 'query': 'ready', 'flight': 'ready'}, 'since_s': 3600, 'last_probe': 'good', 'outstanding': 0,
        'requests': number, 'failures': 0}, **keys)


def status(nodes, **keys):
    return dict({'version': '9.8.7', 'epoch': 5, 'uptime_s': 86400 * 3 + 3600 * 4, 'cluster_id': 'plant', 'workers': 2, 'sessions': 118,
                 'draining': False, 'nodes': nodes}, **keys)
