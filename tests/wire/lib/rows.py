"""Tables of cases: rows from a text file of tables/.

One case a line: NAME EXPECTATION BYTES. In BYTES a $ is CR LF, backslash escapes are Python's, {N*text} repeats text (and may be
nested). <X> stands for a text that the test knows. Lines that begin with # are comments.
"""
import os
import re

TABLES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tables")


class Row:
    def __init__(self, line_number, name, expectation, data):
        self.line_number = line_number
        self.name = name
        self.expectation = expectation
        self.data = data


def decode(text):
    again = 1
    while again:
        text, again = re.subn(r'\{(\d+)\*([^{}]*)\}', lambda match: int(match.group(1)) * match.group(2), text)
    return text.replace('$', '\r\n').encode('latin-1').decode('unicode_escape').encode('latin-1')


def read_rows(name):
    """The rows of tables/NAME.txt."""
    path = os.path.join(TABLES, name + '.txt')
    rows = []
    names = set()
    with open(path, encoding='utf-8') as file:
        for number, line in enumerate(file, 1):
            line = line.rstrip('\n')
            if not line.strip() or line.startswith('#'):
                continue
            name, expectation, data = line.split(None, 2)
            if name in names:
                raise ValueError('%s:%d: %s comes twice' % (path, number, name))
            names.add(name)
            rows.append(Row(number, name, expectation, decode(data)))
    return rows
