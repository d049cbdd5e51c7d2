#!/usr/bin/env python3
"""Wire scenarios: run.py BINARY [name-filter...]

Each *.vtc is one behaviour, for Debian's varnishtest. Its first comment lines say what Sluice it wants; run.py starts
that Sluice (see lib/scenario.py), runs the scenario, ends Sluice with SIGTERM and demands exit status 0.

    # node mode: ingest, io_threads: 8    a node, in order: node-1, node-2, ...; without any there is one with mode: all
    # set timeouts.idle: 500ms            a key of the configuration
    # listen proxy_protocol: true         one more listener with these keys: ${listen1}, ${listen2}, ...
    # unix mode: "0600"                   the same on a socket file: ${unix1}, ...
    # yaml routes: [{...}]                a line of YAML as it stands
    # probes 1 3                          only these nodes answer the first probe (default: all), the others are down

    server s1 -listen "${node1}" {...} -start          the scripted node node-1
    client c1 -connect "${sluice}" {...} -run          also ${writeback}, ${admin}, ${address}, ${pid}
    shell { ${wait_for} event=drain ${work}/sluice.log }           a line of sluice.log or access.log

The table tests (TABLES below) are programs of their own, which count by row. The last line is "N passed, N failed".
"""
import concurrent.futures
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(HERE)
sys.path.insert(0, TESTS)

from wire.lib.scenario import Sluice  # noqa: E402  needs the path above

JOBS = 3
SCENARIO_SECONDS = 30
TAIL_LINES = 60
LINE_COLUMNS = 240
TABLES = ('up_grid.py', 'cases/framing_requests.py', 'cases/framing_positions.py', 'cases/framing_answers.py',
          'cases/proxy_protocol.py', 'cases/tls.py', 'cases/http2_self.py', 'h2_grid.py', 'cases/http2_heads.py')


def read_wishes(path):
    """The directives in the comments at the top of a scenario, as arguments of Sluice."""
    wishes = {'nodes': [], 'settings': {}, 'yaml': '', 'probed': None, 'listeners': [], 'unix': []}
    with open(path, encoding='utf-8') as file:
        for line in file:
            if not line.startswith('#'):
                break
            match = re.match(r'# (node|set|yaml|probes|listen|unix) (.*)', line)
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
            else:
                key, _, value = rest.partition(': ')
                wishes['settings'][key] = value
    return wishes


def shorten(line):
    return line if len(line) <= LINE_COLUMNS else line[:LINE_COLUMNS] + ' ...'


def tail(text):
    return '\n'.join(shorten(line) for line in text.splitlines()[-TAIL_LINES:])


def run_scenario(binary, path, temporary):
    """None when it passes, else what to print."""
    work = tempfile.mkdtemp(prefix=os.path.basename(path) + '.', dir=temporary)
    try:
        sluice = Sluice(binary, work, **read_wishes(path))
        sluice.start()
    except (OSError, RuntimeError, ValueError) as error:
        return 'cannot start: %s\n%s' % (error, tail(sluice.read_log()))
    complaints = []
    command = ['varnishtest', '-t', str(SCENARIO_SECONDS - 10), '-v']
    for name, value in sluice.macros().items():
        command += ['-D', '%s=%s' % (name, value)]
    try:
        done = subprocess.run(command + [path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=SCENARIO_SECONDS, env=dict(os.environ, TMPDIR=work), check=False)
        output = done.stdout.decode('utf-8', 'replace')
        if done.returncode != 0:
            complaints.append(tail(output))
    except subprocess.TimeoutExpired as expired:
        output = (expired.stdout or b'').decode('utf-8', 'replace')
        complaints.append('no end within %d s\n%s' % (SCENARIO_SECONDS, tail(output)))
    end = sluice.stop()
    if end is not None:
        complaints.append(end)
    if not complaints:
        shutil.rmtree(work, ignore_errors=True)
        return None
    return '\n'.join(complaints) + '\n---- sluice.log\n' + tail(sluice.read_log())


def run_table(binary, name):
    """(passed, failed, output) of a table test, whose last line counts its rows."""
    done = subprocess.run([sys.executable, os.path.join(HERE, name), binary], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, env=dict(os.environ, PYTHONPATH=TESTS), check=False)
    output = done.stdout.decode('utf-8', 'replace')
    match = re.search(r'^(\d+) passed, (\d+) failed\s*\Z', output, re.MULTILINE)
    if match is None:
        return 0, 1, output
    passed, failed = int(match.group(1)), int(match.group(2))
    return passed, failed + (1 if done.returncode != 0 and failed == 0 else 0), output


def main():
    if len(sys.argv) < 2:
        print('usage: run.py BINARY [name-filter...]', file=sys.stderr)
        return 2
    binary, filters = sys.argv[1], sys.argv[2:]

    def is_wanted(name):
        return not filters or any(word in name for word in filters)

    scenarios = sorted(name for name in (os.path.relpath(path, HERE) for path in glob.glob(HERE + '/scenarios/*/*.vtc')) if is_wanted(name))
    tables = [name for name in TABLES if is_wanted(name)]
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix='wire.') as temporary, \
            concurrent.futures.ThreadPoolExecutor(JOBS) as executor:
        running_tables = [(name, executor.submit(run_table, binary, name)) for name in tables]
        running = [(name, executor.submit(run_scenario, binary, os.path.join(HERE, name), temporary))
                   for name in scenarios]
        for name, future in running_tables:
            table_passed, table_failed, output = future.result()
            passed += table_passed
            failed += table_failed
            if table_failed:
                print('FAILED %s\n%s' % (name, tail(output)), flush=True)
        for name, future in running:
            complaint = future.result()
            if complaint is None:
                passed += 1
            else:
                failed += 1
                print('FAILED %s\n%s\n' % (name, complaint), flush=True)
    print('%d passed, %d failed' % (passed, failed))
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == '__main__':
    sys.exit(main())
