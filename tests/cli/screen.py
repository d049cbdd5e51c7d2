"""A terminal for one command: a pseudo-terminal, and what stands on its screen."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

from command import SECONDS, environment
from harness.sluice import ENDS_WITH_US

SEQUENCE = re.compile(r'\x1b\[(\??)([0-9;]*)([A-Za-z])|\n|\r|[^\x1b\r\n]+')


class Screen:
    """Runs `sluice ARGUMENTS` on a terminal of so many rows and columns; `with` ends the process, and so does the end of ours."""

    def __init__(self, arguments, rows=24, columns=80, term='xterm'):
        self.master, self.terminal = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(self.terminal)
        self.written = ''
        self.pending = ''
        self.is_alternate = False
        self.is_cursor_hidden = False
        self.row = self.column = 0
        self.lines = []
        self.scrolled = 0
        # setsid makes it the terminal that Ctrl-C and a hang-up come from, and becomes the command.
        self.process = subprocess.Popen([*ENDS_WITH_US, 'setsid', '--ctty', os.environ['SLUICE'], *arguments], stdin=self.terminal,
                                        stdout=self.terminal, stderr=self.terminal, env=environment(TERM=term))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.terminal)

    def resize(self, rows, columns):
        self.rows, self.columns = rows, columns
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))

    def type(self, keys):
        os.write(self.master, keys.encode())

    def attributes(self):
        return termios.tcgetattr(self.terminal)

    def wait(self):
        return self.process.wait(SECONDS)

    # ---- reading ----

    def _read(self, limit):
        """False when nothing came within `limit` seconds."""
        if not select.select([self.master], [], [], limit)[0]:
            return False
        text = os.read(self.master, 65536).decode(errors='replace')
        self.written += text
        self._show(text)
        return True

    def _show(self, text):
        self.pending += text
        while self.pending:
            match = SEQUENCE.match(self.pending)
            if match is None:
                if len(self.pending) > 32:
                    raise AssertionError(f'no control sequence: {self.pending[:32]!r}')
                return  # a sequence that is not whole yet
            self.pending = self.pending[match.end():]
            self._obey(match)

    def _obey(self, match):
        private, numbers, verb = match.groups()
        if verb is None and match.group(0) == '\r':
            self.column = 0
        elif verb is None and match.group(0) == '\n':
            self._feed_line()
        elif verb is None:
            self.lines.extend([''] * (self.row + 1 - len(self.lines)))
            line, text = self.lines[self.row], match.group(0)
            self.lines[self.row] = line[:self.column] + text + line[self.column + len(text):]
            self.column += len(text)
        elif private and numbers == '1049':
            self.is_alternate, self.lines, self.row, self.column = verb == 'h', [], 0, 0
        elif private and numbers == '25':
            self.is_cursor_hidden = verb == 'l'
        elif verb == 'H':
            self.row = self.column = 0
        elif verb == 'K':
            self.lines[self.row] = self.lines[self.row][:self.column]
        elif verb == 'J':
            del self.lines[self.row + 1:]
        else:
            raise AssertionError(f'an unknown control sequence: {match.group(0)!r}')

    def _feed_line(self):
        self.row += 1
        if self.row == self.rows:
            self.scrolled += 1
            self.row -= 1
            del self.lines[:1]

    def wait_for(self, condition, words):
        """Reads until `condition(lines)` holds."""
        until = time.monotonic() + SECONDS
        while not condition(self.lines):
            if time.monotonic() > until or (self.process.poll() is not None and not self._read(0)):
                raise AssertionError(f'never seen: {words}\n' + '\n'.join(self.lines))
            self._read(0.1)

    def read_to_end(self):
        """Everything that the process writes until it ends."""
        until = time.monotonic() + SECONDS
        while self.process.poll() is None and time.monotonic() < until:
            self._read(0.1)
        while self._read(0):
            pass
        return self.written

    def send_signal(self, number=signal.SIGTERM):
        os.kill(self.process.pid, number)
