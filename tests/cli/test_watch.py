"""sluice status --watch on a terminal of 80x24."""
import os
import select
import signal
import subprocess
import sys
import termios
import threading
import unittest

from command import SECONDS
from fake_admin import FakeAdmin, answer, node, status
from harness.waiting import eventually
from screen import Screen

# A test that is about to be aborted. Its terminal stays open beyond its end, so a hang-up is not what ends the command.
ABORTED = f"""
import os, signal, sys
sys.path[:0] = {sys.path[:2]!r}
from screen import Screen
screen = Screen(['status', '--watch', '--admin', sys.argv[1]])
if os.fork() == 0:
    sys.stdin.read()
    os._exit(0)
print(screen.process.pid, flush=True)
signal.pause()
"""
FOOTER = 'every second; q ends'


def three(**keys):
    return [node(1, node_id='ingester-01', mode=['ingest'], **keys), node(2, node_id='query-01'), node(3, node_id='compactor-01', mode=['compact'])]


def shows(*words):
    """All words stand on the screen, and the screen is whole."""
    return lambda lines: bool(lines) and lines[-1] == FOOTER and all(any(word in line for line in lines) for word in words)


class Watch(unittest.TestCase):
    def end(self, screen, status_wanted=0):
        """The process has ended by itself, and the terminal is as it was."""
        screen.read_to_end()
        self.assertEqual(screen.wait(), status_wanted)
        self.assertFalse(screen.is_alternate)
        self.assertFalse(screen.is_cursor_hidden)
        self.assertEqual(screen.attributes(), screen.before)

    def test_it_is_drawn_anew(self):
        answers = iter(range(10 ** 9))
        with FakeAdmin(lambda request: answer(200, status(three(outstanding=next(answers) + 1000)))) as admin:
            with Screen(['status', '--watch', '--admin', admin.address]) as screen:
                screen.wait_for(shows('ingester-01', 'query-01', 'compactor-01', ' 1000 '), 'the first answer')
                self.assertTrue(screen.is_alternate)
                self.assertTrue(screen.is_cursor_hidden)
                self.assertEqual(screen.attributes()[3] & (termios.ICANON | termios.ECHO), 0)
                self.assertEqual(screen.lines[1], '3 nodes: 3 well, 1000 outstanding')
                self.assertEqual(len(screen.lines), 7)
                screen.wait_for(shows(' 1001 '), 'the second answer')
                screen.wait_for(shows(' 1002 '), 'the third answer')
                self.assertEqual(screen.scrolled, 0)
                screen.type('q')
                self.end(screen)
            self.assertTrue(all(request.target == '/status' for request in admin.requests))

    def test_a_thousand_nodes(self):
        nodes = [node(number) for number in range(1, 1001)]
        nodes[899].update(health='down', usable=False)
        with FakeAdmin({'GET /status': answer(200, status(nodes))}) as admin:
            with Screen(['status', '--watch', '--admin', admin.address]) as screen:
                screen.wait_for(shows('query-0900'), 'the node that is down')
                self.assertEqual(len(screen.lines), 24)
                self.assertEqual(screen.lines[3].split()[:3], ['query-0900', 'query', 'down'])
                self.assertEqual(screen.lines[22], 'and 981 more, none of them in worse trouble')
                self.assertEqual([line for line in screen.lines if len(line) > 80], [])
                self.assertEqual(screen.scrolled, 0)
                screen.type('q')
                self.end(screen)

    def test_a_shorter_table_leaves_nothing_behind(self):
        documents = [status([node(number) for number in range(1, 1001)]), status(three())]
        with FakeAdmin(lambda request: answer(200, documents.pop(0) if len(documents) > 1 else documents[0])) as admin:
            with Screen(['status', '--watch', '--admin', admin.address]) as screen:
                screen.wait_for(lambda lines: len(lines) == 24, 'a full screen')
                screen.wait_for(lambda lines: len(lines) == 7 and shows('compactor-01')(lines), 'three nodes alone')
                screen.type('q')
                self.end(screen)

    def test_another_size(self):
        with FakeAdmin({'GET /status': answer(200, status([node(number) for number in range(1, 1001)]))}) as admin:
            with Screen(['status', '--watch', '--admin', admin.address]) as screen:
                screen.wait_for(shows('and 981 more'), '24 rows')
                screen.resize(50, 120)
                screen.wait_for(shows('and 955 more'), '50 rows')
                screen.resize(10, 40)
                screen.wait_for(lambda lines: len(lines) == 10 and shows('and 995 more')(lines), '10 rows')
                self.assertEqual([line for line in screen.lines if len(line) > 40], [])
                screen.type('q')
                self.end(screen)

    def test_ctrl_c(self):
        with FakeAdmin({'GET /status': answer(200, status(three()))}) as admin:
            with Screen(['status', '--watch', '--admin', admin.address]) as screen:
                screen.wait_for(shows('query-01'), 'the table')
                screen.type('\x03')
                self.end(screen)

    def test_a_signal_ends_it_and_the_terminal_is_given_back(self):
        with FakeAdmin({'GET /status': answer(200, status(three()))}) as admin:
            for number in (signal.SIGTERM, signal.SIGHUP):
                with Screen(['status', '--watch', '--admin', admin.address]) as screen:
                    screen.wait_for(shows('query-01'), 'the table')
                    screen.send_signal(number)
                    self.end(screen, -number)

    def test_other_keys_mean_nothing(self):
        with FakeAdmin({'GET /status': answer(200, status(three()))}) as admin:
            with Screen(['status', '--watch', '--admin', admin.address]) as screen:
                screen.wait_for(shows('query-01'), 'the table')
                asked = len(admin.requests)
                screen.type('x\x1b[A\x1a')
                screen.wait_for(lambda lines: len(admin.requests) > asked + 2, 'further requests')
                self.assertEqual(len(screen.lines), 7)
                screen.type('q')
                self.end(screen)

    def test_it_ends_while_an_answer_is_awaited(self):
        asked = threading.Event()

        def silence(request):
            asked.set()

        for key in ('q', '\x03'):
            asked.clear()
            with FakeAdmin(silence) as admin:
                with Screen(['status', '--watch', '--timeout', '1h', '--admin', admin.address]) as screen:
                    screen.wait_for(lambda lines: asked.is_set(), 'a request')
                    screen.type(key)
                    self.end(screen)

    def test_a_sluice_that_goes_and_comes(self):
        is_there = threading.Event()
        is_there.set()
        with FakeAdmin(lambda request: answer(200, status(three())) if is_there.is_set() else b'') as admin:
            with Screen(['status', '--watch', '--admin', admin.address]) as screen:
                screen.wait_for(shows('query-01'), 'the table')
                is_there.clear()
                screen.wait_for(lambda lines: len(lines) == 2 and lines[0].startswith(f'{admin.address}: the connection was closed'), 'the problem')
                self.assertLessEqual(len(screen.lines[0]), 80)
                is_there.set()
                screen.wait_for(shows('query-01'), 'the table again')
                screen.type('q')
                self.end(screen)

    def test_two_share_the_screen(self):
        nodes = [node(number) for number in range(1, 101)]
        with FakeAdmin({'GET /status': answer(200, status(nodes))}) as first, FakeAdmin({'GET /status': answer(200, status(three()))}) as second:
            with Screen(['status', '--watch', '--admin', first.address, '--admin', second.address]) as screen:
                screen.wait_for(shows(first.address, second.address, 'and 93 more', 'compactor-01'), 'both tables')
                self.assertEqual(len(screen.lines), 18)
                screen.type('q')
                self.end(screen)

    def test_more_than_the_screen_holds_is_cut(self):
        with FakeAdmin({'GET /status': answer(200, status(three()))}) as admin:
            with Screen(['status', '--watch', *(['--admin', admin.address] * 6)], rows=12) as screen:
                screen.wait_for(shows('ingester-01'), 'a table')
                self.assertEqual((len(screen.lines), screen.scrolled), (12, 0))
                screen.type('q')
                self.end(screen)

    def test_the_terminal_hangs_up(self):
        with FakeAdmin({'GET /status': answer(200, status(three()))}) as admin:
            with Screen(['status', '--watch', '--admin', admin.address]) as screen:
                screen.wait_for(shows('query-01'), 'the table')
                os.close(screen.terminal)
                os.close(screen.master)
                try:
                    self.assertIn(screen.wait(), (0, -signal.SIGHUP))
                finally:
                    screen.master, screen.terminal = os.pipe()

    def test_an_aborted_test_leaves_none_behind(self):
        with FakeAdmin({'GET /status': answer(200, status(three()))}) as admin:
            with subprocess.Popen([sys.executable, '-c', ABORTED, admin.address], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as aborted:
                command = os.pidfd_open(int(aborted.stdout.readline()))
                try:
                    eventually(lambda: admin.requests, 'a command that runs')
                    aborted.kill()
                    aborted.wait()
                    self.assertEqual(select.select([command], [], [], SECONDS)[0], [command], 'the command goes on')
                finally:
                    os.close(command)
