"""Scenarios of varnishtest: the Sluice that one wants, and its run. Its first comment lines are its wishes:

    # node mode: ingest, io_threads: 8    a node, in order: node-1, node-2, ...; without any there is one with mode: all
    # set limits.streams: 5               a key of the configuration
    # short timeouts.idle: 500ms          a time that the scenario is about; a run that fails is repeated with longer ones
    # listen proxy_protocol: true         one more listener with these keys: ${listen1}, ${listen2}, ...
    # unix mode: "0600"                   the same on a socket file: ${unix1}, ...
    # yaml routes: [{...}]                a line of YAML as it stands
    # probes 1 3                          only these nodes answer the first probe (default: all), the others are down

    server s1 -listen "${node1}" {...} -start          the scripted node node-1
    client c1 -connect "${sluice}" {...} -run          also ${writeback}, ${admin}, ${address}, ${pid}
    shell { ${wait_for} event=drain ${work}/sluice.log }           a line of sluice.log or access.log

Every scenario gets an address of 127.0.0.0/8 for itself, so ports can be the same everywhere:

    ADDRESS:21800 admin    ADDRESS:21801 listener    ADDRESS:21802 writeback    ADDRESS:21811... nodes 1, 2, ...
    ADDRESS:21803... further listeners                     WORK/1.sock, ... listeners in the file system

A scripted node must not be disturbed by health probes. So the nodes' ports are first held by a server that answers
the one probe which each node gets at the start; once Sluice says that all are up they are let go, and the test's own
servers take their place. The next probe would come after an hour.
"""
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading

from harness.loopback import ADMIN, FURTHER, LISTEN, NODE, WRITEBACK, own_address
from harness.programs import tail
from harness.sluice import PATIENT_TIMEOUTS, Sluice

from harness.waiting import PATIENCE_SECONDS, SCALES

# Two limits behind each other, both only for what has failed: varnishtest's own tells more.
VARNISHTEST_SECONDS = 2 * PATIENCE_SECONDS
SCENARIO_SECONDS = 3 * PATIENCE_SECONDS

DEFAULTS = {
    'workers': '1',
    'health.interval': '1h',
    'health.timeout': '60s',
    'health.fall': '1',
    'health.all_down': 'refuse',
    'limits.request_buffer': '0',  # a node gets a body as it comes
    **{f'timeouts.{name}': value for name, value in PATIENT_TIMEOUTS.items()},
}

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
                conn.settimeout(PATIENCE_SECONDS)
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


class ScenarioSluice(Sluice):
    """Sluice at an address of its own. `settings`: dotted keys of the configuration to texts of YAML; `nodes`: one text a node,
    as in "mode: ingest, io_threads: 8"; `probed`: numbers of the nodes whose probe is answered, the others are down;
    `listeners` and `unix`: the keys besides the address of further listeners, one text each."""

    def __init__(self, binary, work, nodes=(), settings=None, yaml='', probed=None, listeners=(), unix=()):
        self.work = work
        self.address = own_address()
        self.scripted = list(nodes) or ['mode: all']
        self.settings = dict(DEFAULTS, access_log=os.path.join(work, 'access.log'), **(settings or {}))
        self.yaml = yaml
        self.listeners = list(listeners)
        self.unix = list(unix)
        self.probed = set(range(1, len(self.scripted) + 1)) if probed is None else set(probed)
        super().__init__(binary, work, self._config_text(), f'{self.address}:{ADMIN}')

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
        for number in range(1, len(self.scripted) + 1):
            macros['node%d' % number] = '%s:%d' % self.node(number)
        for number in range(1, len(self.listeners) + 1):
            macros['listen%d' % number] = '%s:%d' % self.further_listener(number)
        for number in range(1, len(self.unix) + 1):
            macros['unix%d' % number] = self.unix_path(number)
        return macros

    def _config_text(self):
        further = [('%s:%d' % self.further_listener(number), keys) for number, keys in enumerate(self.listeners, 1)]
        further += [('unix:' + self.unix_path(number), keys) for number, keys in enumerate(self.unix, 1)]
        lines = ['cluster_id: wire', 'listen:', '  - %s:%d' % (self.address, LISTEN),
                 '  - {address: "%s:%d", class: writeback}' % (self.address, WRITEBACK)]
        lines += ['  - {address: "%s", %s}' % (address, keys) for address, keys in further]
        lines += ['admin: {address: "%s:%d"}' % (self.address, ADMIN), 'nodes:']
        for number, node in enumerate(self.scripted, 1):
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

    def start(self):
        """Returns when each node was probed, and its port is free for the test."""
        answerers = [ProbeAnswerer(*self.node(number), is_http2='http: 2' in self.scripted[number - 1])
                     for number in sorted(self.probed)]
        try:
            super().start()
            for number in range(1, len(self.scripted) + 1):
                self.wait_line('event=node_health node=node-%d state=%s' % (number, 'up' if number in self.probed else 'down'))
        except BaseException:
            self.kill()
            raise
        finally:
            for answerer in answerers:
                answerer.close()
        return self


def read_wishes(path, scale):
    """(arguments of ScenarioSluice, are short times among them): the directives in the comments at the top of a scenario."""
    is_timed = False
    wishes = {'nodes': [], 'settings': {}, 'yaml': '', 'probed': None, 'listeners': [], 'unix': []}
    with open(path, encoding='utf-8') as file:
        for line in file:
            if not line.startswith('#'):
                break
            match = re.match(r'# (node|set|short|yaml|probes|listen|unix) (.*)', line)
            if match is None:
                continue
            word, rest = match.groups()
            if word == 'node':
                wishes['nodes'].append(rest)
            elif word == 'listen':
                wishes['listeners'].append(rest)
            elif word == 'unix':
                wishes['unix'].append(rest)
            elif word == 'yaml':
                wishes['yaml'] += rest + '\n'
            elif word == 'probes':
                wishes['probed'] = [int(number) for number in rest.split() if number != 'none']
            elif word == 'short':
                is_timed = True
                key, _, value = rest.partition(': ')
                wishes['settings'][key] = '%dms' % (int(value.removesuffix('ms')) * scale)
            else:
                key, _, value = rest.partition(': ')
                wishes['settings'][key] = value
    return wishes, is_timed


def run_varnishtest(sluice, path):
    """None when it passes, else what to print."""
    command = ['varnishtest', '-t', '%d' % VARNISHTEST_SECONDS, '-v']
    for name, value in sluice.macros().items():
        command += ['-D', '%s=%s' % (name, value)]
    try:
        done = subprocess.run([*command, str(path)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=SCENARIO_SECONDS, env=dict(os.environ, TMPDIR=sluice.work), check=False)
    except subprocess.TimeoutExpired as expired:
        return 'no end within %d s\n%s' % (SCENARIO_SECONDS, tail((expired.stdout or b'').decode('utf-8', 'replace')))
    return tail(done.stdout.decode('utf-8', 'replace')) if done.returncode != 0 else None


def run_once(binary, path, wishes, temporary):
    """None when it passes, else what to print."""
    work = tempfile.mkdtemp(prefix=path.stem + '.', dir=temporary)
    complaint = None
    try:
        sluice = ScenarioSluice(binary, work, **wishes)
        with sluice:
            complaint = run_varnishtest(sluice, path)
    except (OSError, AssertionError) as error:
        return '%s\n%s: %s' % (complaint or '', type(error).__name__, error)
    if complaint is None:
        shutil.rmtree(work, ignore_errors=True)
        return None
    return complaint + '\n---- sluice.log\n' + tail(sluice.log())


def run_scenario(binary, path, temporary):
    """As run_once. One with short times is tried again with longer ones: on a slow machine they may have been too short."""
    if re.search(r'^ *shell \{\n(?! *set -e\n)', path.read_text(encoding='utf-8'), re.MULTILINE):
        return 'a shell of several lines begins with "set -e", for otherwise only its last command counts'
    for scale in SCALES:
        wishes, is_timed = read_wishes(path, scale)
        complaint = run_once(binary, path, wishes, temporary)
        if complaint is None or not is_timed:
            break
        print('too slow, or wrong: %s/%s, with its times x%d' % (path.parent.name, path.stem, scale), flush=True)
    return complaint
