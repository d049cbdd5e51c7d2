"""PROXY headers in every cut."""
import signal
import socket
import struct
import subprocess

from harness.loopback import is_readable, send_pieces
from harness.waiting import PATIENCE_SECONDS, eventually
from wire.lib.house import case
from wire.lib.http1_strict import Reader, read_answer
from wire.lib.proxied import GET, expect_closed, proxied

SIGNATURE = b'\r\n\r\n\0\r\nQUIT\n'
V1 = b'PROXY TCP4 192.0.2.7 192.0.2.1 4660 443\r\n'


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


@case()
def header_byte_by_byte(house):
    with proxied(house) as sluice:
        for header in (V1, v2(), v2('2001:db8::7', tlvs=tlv(4, b'noop'))):
            wanted = '2001:db8::7' if b'\x20\x01\x0d\xb8' in header else '192.0.2.7'
            pieces = [header[i:i + 1] for i in range(len(header))]
            assert sluice.ask_through(*pieces, GET) == wanted
            assert sluice.ask_through(*pieces[:-1], pieces[-1] + GET) == wanted


@case()
def header_and_request_cut_at_every_place(house):
    with proxied(house) as sluice:
        for header in (V1, v2()):
            whole = header + GET
            for cut in range(1, len(whole)):
                client = sluice.ask_through(whole[:cut], whole[cut:])
                assert client == '192.0.2.7', (client, cut)


@case()
def header_and_requests_in_one_segment(house):
    with proxied(house) as sluice:
        with sluice.connect() as sock:
            sock.sendall(v2('2001:db8::7') + GET * 5)
            reader = Reader(sock)
            assert [read_answer(reader).status for _ in range(5)] == [200] * 5
        assert [sluice.client_of(number) for number in range(5)] == ['2001:db8::7'] * 5


@case()
def header_in_front_of_a_large_body(house):
    body = bytes(300000)
    with proxied(house) as sluice:
        with sluice.connect() as sock:
            sock.sendall(v2() + b'POST /write?db=d HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n' % len(body) + body)
            assert read_answer(Reader(sock)).status == 200
        assert sluice.behind.seen[0][3] == body


@case()
def tlvs_are_skipped(house):
    with proxied(house) as sluice:
        for tlvs in (tlv(0x01, b'h2'), tlv(0xea, b'\1vpce-0123'), tlv(4, b'') * 100, tlv(4, bytes(2048 - 12 - 3))):
            assert sluice.ask_through(v2(tlvs=tlvs) + GET) == '192.0.2.7', tlvs


@case()
def who_announces_nobody_is_the_client(house):
    local = '127.0.0.1'
    with proxied(house) as sluice:
        for header in (v2(command=0x20), SIGNATURE + b'\x20\0\0\0', SIGNATURE + b'\x21\0\0\0', b'PROXY UNKNOWN\r\n',
                       b'PROXY UNKNOWN 1 2 3 4\r\n', SIGNATURE + b'\x21\x31\0\xd8' + bytes(216)):
            assert sluice.ask_through(header + GET) == local, header
            assert sluice.ask_through(header[:9], header[9:] + GET) == local, header


@case()
def malformed_headers_are_closed_at_once(house):
    with proxied(house) as sluice:
        for number, data in enumerate(MALFORMED.values(), 1):
            with sluice.connect() as sock:
                sock.sendall(data)
                expect_closed(sock)
            sluice.wait_refused('malformed', number)
        sluice.wait_line('event=proxy_protocol_refused listener=.* sender=127.0.0.1 reason=malformed')
        assert not sluice.behind.seen


@case()
def whoever_can_connect_cannot_fill_the_log(house):
    """A hundred in one moment are refused, and one line tells of them."""
    with proxied(house) as sluice:
        with sluice.stopped():
            socks = [sluice.connect() for _ in range(100)]
            for sock in socks:
                sock.sendall(GET)
        for sock in socks:
            expect_closed(sock)
            sock.close()
        sluice.wait_refused('malformed', 100)
        assert 1 <= sluice.count_lines('proxy_protocol_refused') < 20


@case()
def no_header_within_the_deadline(house):
    with proxied(house, {'timeouts.request_head': house.short(200)}) as sluice:
        with sluice.connect() as silent, sluice.connect() as slow:
            slow.sendall(V1[:20])
            expect_closed(silent)
            expect_closed(slow)
        sluice.wait_refused('timeout', 2)
        sluice.wait_line('reason=timeout')


@case()
def half_a_header_does_not_spin(house):
    """While half a header waits, Sluice sleeps: hardly any CPU time passes until the deadline."""
    def ticks(pid):
        with open('/proc/%d/stat' % pid, encoding='utf-8') as file:
            fields = file.read().rsplit(')', 1)[1].split()
        return int(fields[11]) + int(fields[12])
    with proxied(house, {'timeouts.request_head': house.short(1000)}) as sluice:
        with sluice.connect() as first, sluice.connect() as second:
            assert send_pieces(first, [V1[:20]], sluice.diagnosis) and send_pieces(second, [v2()[:20]], sluice.diagnosis)
            before = ticks(sluice.process.pid)
            expect_closed(first)
            expect_closed(second)
            spent = ticks(sluice.process.pid) - before
        assert spent <= 20, '%d ticks of 10 ms in a second' % spent


@case()
def closing_inside_a_header(house):
    with proxied(house) as sluice:
        for cut in (1, 20, len(V1) - 1):
            with sluice.connect() as sock:
                send_pieces(sock, [V1[:cut]], sluice.diagnosis)
        sluice.wait_refused('truncated', 3)
        with sluice.connect() as sock:  # all in one, with the end of the stream behind it
            sock.sendall(V1[:20])
            sock.shutdown(socket.SHUT_WR)
            expect_closed(sock)
        sluice.wait_refused('truncated', 4)


@case()
def health_checks_make_no_noise(house):
    with proxied(house) as sluice:
        for number in range(20):
            with sluice.connect() as sock:
                if number % 2:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        assert sluice.ask_through(V1 + GET) == '192.0.2.7'
        eventually(lambda: sluice.status()['sessions'] == 0, 'an empty house')
        assert 'proxy_protocol' not in sluice.log()
        assert sum(sluice.refused(word) for word in ('unlisted', 'malformed', 'truncated', 'timeout')) == 0


@case()
def waiting_headers_count_against_the_limit(house):
    with proxied(house, {'limits.connections': '3'}) as sluice:
        waiting = [sluice.connect() for _ in range(3)]
        sluice.wait_line('event=connection_limit .*connections=3')
        with sluice.connect() as late:
            late.sendall(V1 + GET)
            assert sluice.diagnosis.unread(late) > 0 and not is_readable(late)
            waiting.pop().close()
            assert read_answer(Reader(late)).status == 200
        for sock in waiting:
            sock.sendall(V1 + GET)
            assert read_answer(Reader(sock)).status == 200
            sock.close()


@case()
def a_header_on_its_way_when_the_drain_begins(house):
    """Who finishes it within the grace gets its answer, and the word to close; who does not is closed."""
    with proxied(house) as sluice:
        with sluice.connect() as quick, sluice.connect() as silent:
            assert send_pieces(quick, [V1[:20]], sluice.diagnosis)
            eventually(lambda: sluice.status()['sessions'] == 2, 'two connections')
            sluice.signal(signal.SIGTERM)
            sluice.wait_line('event=worker_drain')
            quick.sendall(V1[20:] + GET)
            answer = read_answer(Reader(quick))
            assert answer.status in (200, 503) and answer.is_last, (answer.status, answer.fields)
            expect_closed(silent)
        sluice.wait_end()
        assert 'drain_cut' not in sluice.log()


@case()
def curl_speaks_it(house):
    with proxied(house) as sluice:
        command = ['curl', '-s', '-o', '/dev/null', '-w', '%{http_code}', '--haproxy-protocol', '--max-time', '%d' % PATIENCE_SECONDS,
                   'http://%s:%d/query?q=1' % sluice.further_listener()]
        assert subprocess.run(command, capture_output=True, check=True).stdout == b'200'
        assert sluice.client_of(0) == '127.0.0.1'
