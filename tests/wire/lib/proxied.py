"""Sluice with listeners for PROXY headers or on socket files, and one node behind it that demands strict HTTP."""
import contextlib
import tempfile

from harness.loopback import Diagnosis, connect, send_pieces
from wire.lib.http1_strict import Reader, read_answer
from wire.lib.scenario import ScenarioSluice
from wire.lib.strict_node import Node

GET = b'GET /query?q=1 HTTP/1.1\r\nHost: a\r\n\r\n'
LISTED = 'proxy_protocol: true, proxy_from: [127.0.0.0/8]'


class Proxied(ScenarioSluice):
    """`connect` and `ask_through` use the listener for PROXY headers."""

    def __init__(self, binary, work, settings=None, listeners=(LISTED,), unix=()):
        super().__init__(binary, work, settings=settings, listeners=listeners, unix=unix)
        self.diagnosis = Diagnosis()
        self.behind = None

    def start(self):
        super().start()
        self.behind = Node(self.node(1))
        return self

    def __exit__(self, kind, *error):
        super().__exit__(kind, *error)
        self.behind.close()
        assert kind is not None or not self.behind.errors, f'{self.behind.errors}\n{self.log()}'

    def connect(self):
        return connect(self.further_listener())

    def client_of(self, number):
        """X-Forwarded-For of a request that the node has seen."""
        return dict(self.behind.seen[number][2])['x-forwarded-for']

    def ask_through(self, *pieces):
        """Sends the pieces, each once the one before was read; the client that the node heard of."""
        with self.connect() as sock:
            assert send_pieces(sock, pieces, self.diagnosis), f'closed in the middle of {pieces!r}'
            answer = read_answer(Reader(sock))
            assert answer is not None and answer.status == 200, (pieces, answer)
        return self.client_of(-1)

    def wait_refused(self, reason, count):
        self.wait_metric(f'sluice_proxy_protocol_refused_total{{reason="{reason}"}}', count)

    def refused(self, reason):
        return self.metric(f'sluice_proxy_protocol_refused_total{{reason="{reason}"}}')


@contextlib.contextmanager
def proxied(house, *arguments, **options):
    with tempfile.TemporaryDirectory(prefix='wire.') as work, Proxied(house.binary, work, *arguments, **options) as sluice:
        yield sluice


def expect_closed(sock):
    """Closed by Sluice, and without a word."""
    try:
        answer = sock.recv(100)
    except ConnectionResetError:
        return
    assert answer == b'', answer
