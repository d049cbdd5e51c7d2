#!/usr/bin/env python3
"""PROXY headers in every cut, and the life of socket files: proxy_protocol.py BINARY [name-filter...]

Each function below whose name begins with "test_" is one case; its last line is "N passed, N failed".
"""
import os
import re
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback

from wire.lib.scenario import Sluice
from wire.lib.http1_strict import PATIENCE_SECONDS, Diagnosis, Reader, connect, is_readable, read_answer, send_pieces
from wire.lib.strict_node import Node

SIGNATURE = b'\r\n\r\n\0\r\nQUIT\n'
V1 = b'PROXY TCP4 192.0.2.7 192.0.2.1 4660 443\r\n'
GET = b'GET /query?q=1 HTTP/1.1\r\nHost: a\r\n\r\n'
LISTED = 'proxy_protocol: true, proxy_from: [127.0.0.0/8]'


def v2(client='192.0.2.7', command=0x21, family=None, tlvs=b'', length=None):
    kind = socket.AF_INET6 if ':' in client else socket.AF_INET
    packed = socket.inet_pton(kind, client)
    block = packed + packed + struct.pack('!HH', 4660, 443) + tlvs
    family = family if family is not None else 0x21 if ':' in client else 0x11
    return SIGNATURE + struct.pack('!BBH', command, family, len(block) if length is None else length) + block


def tlv(kind, value):
    return struct.pack('!BH', kind, len(value)) + value


MALFORMED = {
    'a request': GET,
    'a TLS hello': b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
    'the preface of HTTP/2': b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'v1 with LF': V1.replace(b'\r', b'') + GET,
    'v1 with a wrong family': V1.replace(b'TCP4', b'TCP6') + GET,
    'v1 with a leading zero': V1.replace(b'4660', b'04660') + GET,
    'v1 with a port too many': V1.replace(b'443', b'443 443') + GET,
    'v1 with a port out of range': V1.replace(b'4660', b'65536') + GET,
    'v1 without an end': b'PROXY UNKNOWN ' + b'a' * 200,
    'v2 of version 3': v2(command=0x31) + GET,
    'v2 with command 2': v2(command=0x22) + GET,
    'v2 with family 4': v2(family=0x41) + GET,
    'v2 that is too short for its family': v2(family=0x21) + GET,
    'v2 with a TLV that is too long': v2(tlvs=b'\4\0\2x') + GET,
    'v2 with a block that is too large': v2(tlvs=tlv(4, bytes(2048))),
    'v2 with a signature that breaks': SIGNATURE[:-1] + b'\r' + GET,
}


# ---- a running Sluice ----

class House:
    """Sluice with one listener for PROXY headers and a node behind it."""

    def __init__(self, binary, settings=None, listeners=(LISTED,), unix=()):
        self.folder = tempfile.TemporaryDirectory(prefix='wire.')
        self.sluice = Sluice(binary, self.folder.name, settings=settings, listeners=listeners, unix=unix)
        self.diagnosis = Diagnosis()

    def __enter__(self):
        self.sluice.start()
        self.node = Node(self.sluice.node(1))
        return self

    def __exit__(self, kind, *_):
        end = self.sluice.stop()
        log = self.sluice.read_log()
        self.node.close()
        self.folder.cleanup()
        if kind is None:
            assert end is None and not self.node.errors, f'{end} {self.node.errors}\n{log}'

    def connect(self):
        sock = connect(self.sluice.further_listener())
        sock.settimeout(PATIENCE_SECONDS)
        return sock

    def client_of(self, number):
        """X-Forwarded-For of a request that the node has seen."""
        return dict(self.node.seen[number][2])['x-forwarded-for']

    def ask_through(self, *pieces):
        """Sends the pieces, each once the one before was read; the client that the node heard of."""
        with self.connect() as sock:
            assert send_pieces(sock, pieces[:-1], self.diagnosis), 'closed in the middle of %r' % (pieces,)
            sock.sendall(pieces[-1])
            answer = read_answer(Reader(sock))
            assert answer is not None and answer.status == 200, (pieces, answer)
        return self.client_of(-1)

    def refused(self, reason):
        return int(re.search(r'refused_total\{reason="%s"\} (\d+)' % reason, self.metrics()).group(1))

    def metrics(self):
        return self.ask_admin('/metrics')

    def ask_admin(self, path):
        with connect((self.sluice.address, 21800)) as sock:
            sock.sendall(b'GET %s HTTP/1.1\r\nHost: a\r\n\r\n' % path.encode())
            return read_answer(Reader(sock)).body.decode()

    def wait_line(self, pattern):
        wait_until(lambda: re.search(pattern, self.sluice.read_log()), 'line ' + pattern)


def wait_until(condition, what):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, 'waited for ' + what
        time.sleep(0.005)


def expect_closed(sock):
    """Closed by Sluice, and without a word."""
    try:
        answer = sock.recv(100)
    except ConnectionResetError:
        return
    assert answer == b'', answer


# ---- headers ----

def test_header_byte_by_byte(binary):
    with House(binary) as house:
        for header in (V1, v2(), v2('2001:db8::7', tlvs=tlv(4, b'noop'))):
            wanted = '2001:db8::7' if b'\x20\x01\x0d\xb8' in header else '192.0.2.7'
            pieces = [header[i:i + 1] for i in range(len(header))]
            assert house.ask_through(*pieces, GET) == wanted
            assert house.ask_through(*pieces[:-1], pieces[-1] + GET) == wanted


def test_header_and_request_cut_at_every_place(binary):
    with House(binary) as house:
        for header in (V1, v2()):
            whole = header + GET
            for cut in range(1, len(whole)):
                client = house.ask_through(whole[:cut], whole[cut:])
                assert client == '192.0.2.7', (client, cut)


def test_header_and_requests_in_one_segment(binary):
    with House(binary) as house:
        with house.connect() as sock:
            sock.sendall(v2('2001:db8::7') + GET * 5)
            reader = Reader(sock)
            assert [read_answer(reader).status for _ in range(5)] == [200] * 5
        assert [house.client_of(number) for number in range(5)] == ['2001:db8::7'] * 5


def test_header_in_front_of_a_large_body(binary):
    body = bytes(300000)
    with House(binary) as house:
        with house.connect() as sock:
            sock.sendall(v2() + b'POST /write?db=d HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n' % len(body) + body)
            assert read_answer(Reader(sock)).status == 200
        assert house.node.seen[0][3] == body


def test_tlvs_are_skipped(binary):
    with House(binary) as house:
        for tlvs in (tlv(0x01, b'h2'), tlv(0xea, b'\1vpce-0123'), tlv(4, b'') * 100, tlv(4, bytes(2048 - 12 - 3))):
            assert house.ask_through(v2(tlvs=tlvs) + GET) == '192.0.2.7', tlvs


def test_who_announces_nobody_is_the_client(binary):
    local = '127.0.0.1'
    with House(binary) as house:
        for header in (v2(command=0x20), SIGNATURE + b'\x20\0\0\0', SIGNATURE + b'\x21\0\0\0', b'PROXY UNKNOWN\r\n',
                       b'PROXY UNKNOWN 1 2 3 4\r\n', SIGNATURE + b'\x21\x31\0\xd8' + bytes(216)):
            assert house.ask_through(header + GET) == local, header
            assert house.ask_through(header[:9], header[9:] + GET) == local, header


def test_malformed_headers_are_closed_at_once(binary):
    with House(binary, {'timeouts.request_head': '9s'}) as house:
        for number, (name, data) in enumerate(MALFORMED.items(), 1):
            with house.connect() as sock:
                began = time.monotonic()
                sock.sendall(data)
                expect_closed(sock)
                assert time.monotonic() - began < 5, name
            wait_until(lambda: house.refused('malformed') == number, name)
        house.wait_line('event=proxy_protocol_refused listener=.* sender=127.0.0.1 reason=malformed')
        assert not house.node.seen
        # Whoever can connect cannot fill the log.
        assert house.sluice.read_log().count('proxy_protocol_refused') < len(MALFORMED)


def test_no_header_within_the_deadline(binary):
    with House(binary, {'timeouts.request_head': '200ms'}) as house:
        with house.connect() as silent, house.connect() as slow:
            slow.sendall(V1[:20])
            expect_closed(silent)
            expect_closed(slow)
        wait_until(lambda: house.refused('timeout') == 2, 'two timeouts')
        house.wait_line('reason=timeout')


def test_half_a_header_does_not_spin(binary):
    """While half a header waits, Sluice sleeps: hardly any CPU time passes until the deadline."""
    def ticks(pid):
        with open('/proc/%d/stat' % pid, encoding='utf-8') as file:
            fields = file.read().rsplit(')', 1)[1].split()
        return int(fields[11]) + int(fields[12])
    with House(binary, {'timeouts.request_head': '1s'}) as house:
        with house.connect() as first, house.connect() as second:
            assert send_pieces(first, [V1[:20]], house.diagnosis) and send_pieces(second, [v2()[:20]], house.diagnosis)
            before = ticks(house.sluice.process.pid)
            expect_closed(first)
            expect_closed(second)
            spent = ticks(house.sluice.process.pid) - before
        assert spent <= 20, '%d ticks of 10 ms in a second' % spent


def test_closing_inside_a_header(binary):
    with House(binary) as house:
        for cut in (1, 20, len(V1) - 1):
            with house.connect() as sock:
                send_pieces(sock, [V1[:cut]], house.diagnosis)
        wait_until(lambda: house.refused('truncated') == 3, 'three truncated headers')
        with house.connect() as sock:  # all in one, with the end of the stream behind it
            sock.sendall(V1[:20])
            sock.shutdown(socket.SHUT_WR)
            expect_closed(sock)
        wait_until(lambda: house.refused('truncated') == 4, 'one more')


def test_health_checks_make_no_noise(binary):
    with House(binary) as house:
        for number in range(20):
            with house.connect() as sock:
                if number % 2:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        assert house.ask_through(V1 + GET) == '192.0.2.7'
        wait_until(lambda: '"sessions": 0' in house.ask_admin('/status'), 'an empty house')
        assert 'proxy_protocol' not in house.sluice.read_log()
        assert sum(house.refused(word) for word in ('unlisted', 'malformed', 'truncated', 'timeout')) == 0


def test_waiting_headers_count_against_the_limit(binary):
    with House(binary, {'limits.connections': '3', 'timeouts.request_head': '9s'}) as house:
        waiting = [house.connect() for _ in range(3)]
        house.wait_line('event=connection_limit .*connections=3')
        with house.connect() as late:
            late.sendall(V1 + GET)
            assert house.diagnosis.unread(late) > 0 and not is_readable(late)
            waiting.pop().close()
            assert read_answer(Reader(late)).status == 200
        for sock in waiting:
            sock.sendall(V1 + GET)
            assert read_answer(Reader(sock)).status == 200
            sock.close()


def test_a_header_on_its_way_when_the_drain_begins(binary):
    """Who finishes it within the grace gets its answer, and the word to close; who does not is closed."""
    with House(binary, {'timeouts.request_head': '9s'}) as house:
        with house.connect() as quick, house.connect() as silent:
            assert send_pieces(quick, [V1[:20]], house.diagnosis)
            wait_until(lambda: '"sessions": 2' in house.ask_admin('/status'), 'two connections')
            house.sluice.process.send_signal(signal.SIGTERM)
            house.wait_line('event=drain')
            quick.sendall(V1[20:] + GET)
            answer = read_answer(Reader(quick))
            assert answer.status in (200, 503) and answer.is_last, (answer.status, answer.fields)
            expect_closed(silent)
        assert house.sluice.process.wait(PATIENCE_SECONDS) == 0
        assert 'drain_cut' not in house.sluice.read_log()


def test_curl_speaks_it(binary):
    with House(binary) as house:
        command = ['curl', '-s', '-o', '/dev/null', '-w', '%{http_code}', '--haproxy-protocol', '--max-time', '9',
                   'http://%s:%d/query?q=1' % house.sluice.further_listener()]
        assert subprocess.run(command, capture_output=True, check=True).stdout == b'200'
        assert house.client_of(0) == '127.0.0.1'


# ---- socket files ----

def run_curl(path, target='/query?q=1', *more):
    command = ['curl', '-s', '-o', '/dev/null', '-w', '%{http_code}', '--max-time', '9', '--unix-socket', path, *more,
               'http://sluice' + target]
    return subprocess.run(command, capture_output=True, check=False).stdout.decode()


def test_curl_through_a_socket_file(binary):
    with House(binary, {'workers': '2'}, unix=('mode: "0660"',)) as house:
        path = house.sluice.unix_path()
        for _ in range(10):
            assert run_curl(path) == '200'
        assert run_curl(path, '/write?db=d', '--data-binary', 'x' * 100000) == '200'
        assert house.client_of(0) == 'unknown'
    assert not os.path.exists(path)


def test_a_connection_in_the_backlog_is_served_by_the_drain(binary):
    """Nobody who has connected before the file went away is thrown out."""
    with House(binary, unix=('mode: "0660"',)) as house:
        house.sluice.process.send_signal(signal.SIGSTOP)
        socks = []
        for _ in range(5):
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(PATIENCE_SECONDS)
            sock.connect(house.sluice.unix_path())
            sock.sendall(GET)
            socks.append(sock)
        house.sluice.process.send_signal(signal.SIGTERM)
        house.sluice.process.send_signal(signal.SIGCONT)
        for sock in socks:
            assert read_answer(Reader(sock)).status in (200, 503)
            sock.close()


def start_again(house):
    """Another process with the same configuration: (exit status, what it said)."""
    done = subprocess.run([house.sluice.binary, 'serve', '-c', house.sluice.config], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=PATIENCE_SECONDS, check=False)
    return done.returncode, done.stdout.decode()


def move_ports(house):
    """Changes the configuration so that only the socket file is in the way of a second process."""
    with open(house.sluice.config, encoding='utf-8') as file:
        text = file.read()
    with open(house.sluice.config, 'w', encoding='utf-8') as file:
        file.write(re.sub(r':2180(\d)', r':2182\1', text))


def test_a_second_process_leaves_the_socket_alone(binary):
    with House(binary, unix=('mode: "0660"',)) as house:
        move_ports(house)
        status, output = start_again(house)
        assert status == 1 and 'another process listens there' in output, output
        assert run_curl(house.sluice.unix_path()) == '200'


def test_restart_over_a_stale_socket_file(binary):
    with House(binary, unix=('mode: "0660"',)) as house:
        path = house.sluice.unix_path()
        house.sluice.kill()
        assert os.path.exists(path) and run_curl(path) == '000'
        house.node.close()
        house.sluice.start()
        house.node = Node(house.sluice.node(1))
        assert run_curl(path) == '200'
    assert not os.path.exists(path)


def test_a_file_that_is_no_socket_is_never_deleted(binary):
    with House(binary, unix=('mode: "0660"',)) as house:
        path = house.sluice.unix_path()
        assert house.sluice.stop() is None
        with open(path, 'w', encoding='utf-8') as file:
            file.write('precious')
        status, output = start_again(house)
        assert status == 1 and 'no socket' in output, output
        with open(path, encoding='utf-8') as file:
            assert file.read() == 'precious'


def test_a_failed_start_leaves_no_socket_file(binary):
    """The second of two paths cannot be bound: the first one is taken away again."""
    with House(binary, unix=('mode: "0660"', 'mode: "0660"')) as house:
        assert house.sluice.stop() is None
        os.mkdir(house.sluice.unix_path(2))
        status, output = start_again(house)
        assert status == 1 and 'no socket' in output, output
        assert not os.path.exists(house.sluice.unix_path(1))


def test_a_successor_may_start_while_the_old_one_drains(binary):
    """The file goes away when the drain begins, so the old process cannot take its successor's with it at its end."""
    with House(binary, unix=('mode: "0660"',)) as house:
        path = house.sluice.unix_path()
        release = threading.Event()
        house.node.answer = lambda node, sock, request: release.wait(PATIENCE_SECONDS) and \
            sock.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n') is None
        with connect(house.sluice.address_of_listener()) as busy:
            busy.sendall(GET)
            assert house.node.wait_seen(1)
            house.sluice.process.send_signal(signal.SIGTERM)
            wait_until(lambda: not os.path.exists(path), 'the file to go')
            holder = socket.socket(socket.AF_UNIX)
            holder.bind(path)
            release.set()
            assert read_answer(Reader(busy)).status == 200
        assert house.sluice.process.wait(PATIENCE_SECONDS) == 0
        assert os.path.exists(path)
        holder.close()


def test_admin_on_a_socket_file(binary):
    with tempfile.TemporaryDirectory(prefix='wire.') as work:
        sluice = Sluice(binary, work)
        path = os.path.join(work, 'admin.sock')
        sluice.config_text = lambda text=sluice.config_text(): re.sub(
            r'admin: .*', 'admin: {address: "unix:%s", mode: "0600"}' % path, text)
        sluice.start()
        try:
            assert run_curl(path, '/status') == '200'
            assert os.stat(path).st_mode & 0o777 == 0o600
        finally:
            end = sluice.stop()
        assert end is None, end
        assert not os.path.exists(path)


def main():
    binary, filters = sys.argv[1], sys.argv[2:]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    passed = failed = 0
    for name, test in sorted(globals().items()):
        if not name.startswith('test_') or (filters and not any(word in name for word in filters)):
            continue
        try:
            test(binary)
            passed += 1
        except Exception:
            failed += 1
            print('FAILED %s\n%s' % (name, traceback.format_exc(limit=-6)))
    print('%d passed, %d failed' % (passed, failed))
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == '__main__':
    sys.exit(main())
