"""Listeners on socket files, and the life of these files."""
import os
import re
import signal
import socket
import subprocess
import tempfile
import threading

from harness.loopback import connect
from harness.sluice import note_problem
from harness.waiting import PATIENCE_SECONDS, eventually
from wire.lib.house import case
from wire.lib.http1_strict import Reader, read_answer
from wire.lib.proxied import GET, proxied
from wire.lib.scenario import ScenarioSluice


def run_curl(path, target='/query?q=1', *more):
    command = ['curl', '-s', '-o', '/dev/null', '-w', '%{http_code}', '--max-time', '%d' % PATIENCE_SECONDS, '--unix-socket', path, *more,
               'http://sluice' + target]
    return subprocess.run(command, capture_output=True, check=False).stdout.decode()


@case()
def curl_through_a_socket_file(house):
    with proxied(house, {'workers': '2'}, unix=('mode: "0660"',)) as sluice:
        path = sluice.unix_path()
        for _ in range(10):
            assert run_curl(path) == '200'
        assert run_curl(path, '/write?db=d', '--data-binary', 'x' * 100000) == '200'
        assert sluice.client_of(0) == 'unknown'
    assert not os.path.exists(path)


@case()
def a_connection_in_the_backlog_is_served_by_the_drain(house):
    """Nobody who has connected before the file went away is thrown out."""
    with proxied(house, unix=('mode: "0660"',)) as sluice:
        sluice.signal(signal.SIGSTOP)
        socks = []
        for _ in range(5):
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(PATIENCE_SECONDS)
            sock.connect(sluice.unix_path())
            sock.sendall(GET)
            socks.append(sock)
        sluice.signal(signal.SIGTERM)
        sluice.signal(signal.SIGCONT)
        for sock in socks:
            assert read_answer(Reader(sock)).status in (200, 503)
            sock.close()


def start_again(sluice):
    """Another process with the same configuration: (exit status, what it said)."""
    done = subprocess.run([sluice.binary, 'serve', '-c', sluice.config_path], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=PATIENCE_SECONDS, check=False)
    output = done.stdout.decode()
    for line in output.splitlines():
        note_problem(line)
    return done.returncode, output


def move_ports(sluice):
    """Changes the configuration so that only the socket file is in the way of a second process."""
    with open(sluice.config_path, encoding='utf-8') as file:
        text = file.read()
    with open(sluice.config_path, 'w', encoding='utf-8') as file:
        file.write(re.sub(r':2180(\d)', r':2182\1', text))


@case()
def a_second_process_leaves_the_socket_alone(house):
    with proxied(house, unix=('mode: "0660"',)) as sluice:
        move_ports(sluice)
        status, output = start_again(sluice)
        assert status == 1 and 'another process listens there' in output, output
        assert run_curl(sluice.unix_path()) == '200'


@case()
def restart_over_a_stale_socket_file(house):
    with proxied(house, unix=('mode: "0660"',)) as sluice:
        path = sluice.unix_path()
        sluice.kill()
        assert os.path.exists(path) and run_curl(path) == '000'
        sluice.behind.close()
        sluice.start()
        assert run_curl(path) == '200'
    assert not os.path.exists(path)


@case()
def a_file_that_is_no_socket_is_never_deleted(house):
    with proxied(house, unix=('mode: "0660"',)) as sluice:
        path = sluice.unix_path()
        sluice.stop()
        with open(path, 'w', encoding='utf-8') as file:
            file.write('precious')
        status, output = start_again(sluice)
        assert status == 1 and 'no socket' in output, output
        with open(path, encoding='utf-8') as file:
            assert file.read() == 'precious'


@case()
def a_failed_start_leaves_no_socket_file(house):
    """The second of two paths cannot be bound: the first one is taken away again."""
    with proxied(house, unix=('mode: "0660"', 'mode: "0660"')) as sluice:
        sluice.stop()
        os.mkdir(sluice.unix_path(2))
        status, output = start_again(sluice)
        assert status == 1 and 'no socket' in output, output
        assert not os.path.exists(sluice.unix_path(1))


@case()
def a_successor_may_start_while_the_old_one_drains(house):
    """The file goes away when the drain begins, so the old process cannot take its successor's with it at its end."""
    with proxied(house, unix=('mode: "0660"',)) as sluice:
        path = sluice.unix_path()
        release = threading.Event()
        sluice.behind.answer = lambda node, sock, request: release.wait(PATIENCE_SECONDS) and \
            sock.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n') is None
        with connect(sluice.address_of_listener()) as busy:
            busy.sendall(GET)
            assert sluice.behind.wait_seen(1)
            sluice.signal(signal.SIGTERM)
            eventually(lambda: not os.path.exists(path), 'the file to go')
            holder = socket.socket(socket.AF_UNIX)
            holder.bind(path)
            release.set()
            assert read_answer(Reader(busy)).status == 200
        sluice.wait_end()
        assert os.path.exists(path)
        holder.close()


@case()
def admin_on_a_socket_file(house):
    with tempfile.TemporaryDirectory(prefix='wire.') as work:
        path = os.path.join(work, 'admin.sock')
        sluice = ScenarioSluice(house.binary, work)
        sluice.config_text = re.sub('admin: .*', 'admin: {address: "unix:%s"}' % path, sluice.config_text)
        with sluice:
            assert run_curl(path, '/status', '-H', 'Host: localhost') == '200'
            assert run_curl(path, '/status') == '403', 'a name that nobody has listed'
            assert os.stat(path).st_mode & 0o777 == 0o600
        assert not os.path.exists(path)
