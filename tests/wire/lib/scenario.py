"""Starts one Sluice for one test: its own loopback address, a configuration, nodes whose first probe is answered.

Every test gets an address of 127.0.0.0/8 for itself, so ports never collide and can be the same everywhere:

    ADDRESS:21800 admin    ADDRESS:21801 listener    ADDRESS:21802 writeback    ADDRESS:21811... nodes 1, 2, ...
    ADDRESS:21803... further listeners                     WORK/1.sock, ... listeners in the file system

A scripted node must not be disturbed by health probes. So the nodes' ports are first held by a server that answers
the one probe which each node gets at the start; once Sluice says that all are up they are let go, and the test's own
servers take their place. The next probe would come after an hour.
"""
import itertools
import os
import random
import re
import signal
import socket
import subprocess
import threading
import time

ADMIN, LISTEN, WRITEBACK, FURTHER, NODE = 21800, 21801, 21802, 21803, 21811
START_SECONDS = 20
STOP_SECONDS = 20

DEFAULTS = {
    'workers': '1',
    'health.interval': '1h',
    'timeouts.drain': '3s',
}

_addresses = itertools.count(random.SystemRandom().randrange(256 * 256))


def next_address():
    """An address nobody else uses: free when its listener port can be bound."""
    for _ in range(1000):
        number = next(_addresses) % (256 * 254)
        address = '127.%d.%d.%d' % (20 + os.getpid() % 200, number // 254, 1 + number % 254)
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((address, LISTEN))
                return address
            except OSError:
                continue
    raise OSError('no free loopback address')


# SETTINGS, the acknowledgement of the other side's, and HEADERS on stream 1 with :status 200 and END_STREAM.
H2_SETTINGS = bytes.fromhex('000000040000000000' '000000040100000000')
H2_ANSWER = bytes.fromhex('000001010500000001' '88')


class ProbeAnswerer:
    """Holds a node's port and answers each request with 200 until it is closed."""

    def __init__(self, address, port, is_http2=False):
        self.is_http2 = is_http2
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((address, port))
        self.listener.listen(16)
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            with conn:
                conn.settimeout(5)
                try:
                    head = b''
                    while (b'SM\r\n\r\n' if self.is_http2 else b'\r\n\r\n') not in head:
                        piece = conn.recv(4096)
                        if not piece:
                            break
                        head += piece
                    if self.is_http2:
                        self._answer_http2(conn, head)
                    else:
                        conn.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
                        conn.recv(1)
                except OSError:
                    pass

    @staticmethod
    def _answer_http2(conn, start):
        """One request, whatever it is."""
        conn.sendall(H2_SETTINGS)
        data = start[24:]
        kind = None
        while kind != 1:  # HEADERS
            while len(data) < 9 or len(data) < 9 + int.from_bytes(data[:3], 'big'):
                piece = conn.recv(4096)
                if not piece:
                    return
                data += piece
            kind, data = data[3], data[9 + int.from_bytes(data[:3], 'big'):]
        conn.sendall(H2_ANSWER)
        while conn.recv(4096):
            pass

    def close(self):
        # shutdown, because close alone does not wake accept.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()


class Sluice:
    """One running router. `settings`: dotted keys of the configuration to texts of YAML; `nodes`: one text a node, as
    in "mode: ingest, io_threads: 8"; `probed`: numbers of the nodes whose probe is answered, the others are down;
    `listeners` and `unix`: the keys besides the address of further listeners, one text each."""

    def __init__(self, binary, work, nodes=(), settings=None, yaml='', probed=None, listeners=(), unix=()):
        self.binary = os.path.abspath(binary)
        self.work = work
        self.address = next_address()
        self.nodes = list(nodes) or ['mode: all']
        self.settings = dict(DEFAULTS, access_log=os.path.join(work, 'access.log'), **(settings or {}))
        self.yaml = yaml
        self.listeners = list(listeners)
        self.unix = list(unix)
        self.probed = set(range(1, len(self.nodes) + 1)) if probed is None else set(probed)
        self.config = os.path.join(work, 'sluice.yaml')
        self.log = os.path.join(work, 'sluice.log')
        self.process = None

    def node(self, number):
        return self.address, NODE + number - 1

    def address_of_listener(self):
        return self.address, LISTEN

    def further_listener(self, number=1):
        return self.address, FURTHER + number - 1

    def unix_path(self, number=1):
        return os.path.join(self.work, '%d.sock' % number)

    def macros(self):
        """What a scenario may name as ${...}."""
        macros = {
            'sluice': '%s:%d' % (self.address, LISTEN),
            'writeback': '%s:%d' % (self.address, WRITEBACK),
            'admin': '%s:%d' % (self.address, ADMIN),
            'address': self.address,
            'pid': str(self.process.pid),
            'work': self.work,
            'binary': self.binary,
            'wait_for': os.path.join(os.path.dirname(os.path.abspath(__file__)), 'wait_for.sh'),
        }
        for number in range(1, len(self.nodes) + 1):
            macros['node%d' % number] = '%s:%d' % self.node(number)
        for number in range(1, len(self.listeners) + 1):
            macros['listen%d' % number] = '%s:%d' % self.further_listener(number)
        for number in range(1, len(self.unix) + 1):
            macros['unix%d' % number] = self.unix_path(number)
        return macros

    def config_text(self):
        further = [('%s:%d' % self.further_listener(number), keys) for number, keys in enumerate(self.listeners, 1)]
        further += [('unix:' + self.unix_path(number), keys) for number, keys in enumerate(self.unix, 1)]
        lines = ['cluster_id: wire', 'listen:', '  - %s:%d' % (self.address, LISTEN),
                 '  - {address: "%s:%d", class: writeback}' % (self.address, WRITEBACK)]
        lines += ['  - {address: "%s", %s}' % (address, keys) for address, keys in further]
        lines += ['admin: {address: "%s:%d"}' % (self.address, ADMIN), 'nodes:']
        for number, node in enumerate(self.nodes, 1):
            version = '' if 'http:' in node else ', http: 1'  # a scripted node hears the probes that its scenario expects
            lines.append('  - {node_id: node-%d, url: "http://%s:%d", %s%s}' % ((number,) + self.node(number) + (node, version)))
        sections = {}
        for key, value in self.settings.items():
            section, _, name = key.rpartition('.')
            sections.setdefault(section, []).append('%s: %s' % (name, value))
        lines += sections.pop('', [])
        for section, entries in sections.items():
            lines.append(section + ':')
            lines += ['  ' + entry for entry in entries]
        return '\n'.join(lines) + '\n' + self.yaml

    def read_log(self):
        try:
            with open(self.log, encoding='utf-8', errors='replace') as file:
                return file.read()
        except FileNotFoundError:
            return ''

    def _wait_until_ready(self):
        deadline = time.monotonic() + START_SECONDS
        wanted = {'node=node-%d state=%s' % (number, 'up' if number in self.probed else 'down')
                  for number in range(1, len(self.nodes) + 1)}
        while True:
            log = self.read_log()
            seen = set(re.findall(r'event=node_health (node=\S+ state=\S+)', log))
            if 'event=ready' in log and wanted <= seen:
                return
            if self.process.poll() is not None:
                raise RuntimeError('sluice ended with status %d before it was ready' % self.process.returncode)
            if time.monotonic() > deadline:
                raise RuntimeError('sluice was not ready after %d s: log has %s' % (START_SECONDS, sorted(seen)))
            time.sleep(0.01)

    def start(self):
        with open(self.config, 'w', encoding='utf-8') as file:
            file.write(self.config_text())
        answerers = [ProbeAnswerer(*self.node(number), is_http2='http: 2' in self.nodes[number - 1])
                     for number in sorted(self.probed)]
        try:
            with open(self.log, 'wb') as log:
                self.process = subprocess.Popen([self.binary, 'serve', '-c', self.config], stdout=log, stderr=log,
                                                stdin=subprocess.DEVNULL, cwd=self.work)
            self._wait_until_ready()
        except BaseException:
            self.kill()
            raise
        finally:
            for answerer in answerers:
                answerer.close()

    def stop(self):
        """Ends it in order; returns None, or what was wrong with the way it ended."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            return 'sluice did not end within %d s of SIGTERM' % STOP_SECONDS
        return None if status == 0 else 'sluice ended with status %d' % status

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
