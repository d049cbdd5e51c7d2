"""Tokens of InfluxQL and a reader with a position in them; shared by the statements."""
import re

TOKEN = re.compile(r"""\s*(?:
    (?P<string>'(?:[^'\\]|\\.)*') | (?P<quoted>"(?:[^"\\]|\\.)*") | (?P<duration>\d+(?:ns|us|ms|[uµsmhdw])\b)
  | (?P<number>\d+(?:\.\d+)?) | (?P<word>[A-Za-z_][A-Za-z0-9_]*) | (?P<param>\$[A-Za-z_]\w*)
  | (?P<mark>=~|!~|!=|<>|<=|>=|::|[-+*/%(),.=<>])
)""", re.VERBOSE)
REGEX = re.compile(r"\s*/((?:[^/\\]|\\.)*)/")


class StatementError(Exception):
    """The statement cannot be run; the text is for the client."""


def tokenize(text):
    """(kind, text) pairs. Kinds: word, name (a quoted identifier), string, number, duration, regex, param, mark."""
    tokens, position = [], 0
    while text[position:].strip():
        after_match_mark = bool(tokens) and tokens[-1] in (("mark", "=~"), ("mark", "!~"))
        match = REGEX.match(text, position) if after_match_mark else TOKEN.match(text, position)
        if not match:
            raise StatementError(f"invalid InfluxQL statement at pos {position}")
        if after_match_mark:
            kind, value = "regex", match[1].replace("\\/", "/")
        else:
            kind, value = match.lastgroup, match[0].strip()
        if kind in ("quoted", "string"):
            kind = "name" if kind == "quoted" else kind
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
        tokens.append((kind, value))
        position = match.end()
    return tokens


def split_statements(text):
    """The statements of a query, split at semicolons outside of quotes."""
    parts = re.findall(r"""(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^;])+""", text)
    return [part.strip() for part in parts if part.strip()]


class Reader:
    """The tokens of a statement and a position in them."""

    def __init__(self, tokens, params):
        self.tokens = tokens
        self.position = 0
        self.params = params or {}

    def peek(self, offset=0):
        index = self.position + offset
        return self.tokens[index] if index < len(self.tokens) else ("end", "")

    def next(self):
        token = self.peek()
        self.position += 1
        return token

    def keyword(self, *words):
        """Consumes these words if they come next."""
        for offset, word in enumerate(words):
            kind, value = self.peek(offset)
            if kind != "word" or value.upper() != word:
                return False
        self.position += len(words)
        return True

    def mark(self, text):
        if self.peek() == ("mark", text):
            self.position += 1
            return True
        return False

    def expect_mark(self, text):
        if not self.mark(text):
            raise StatementError(f"expected {text}, found {self.peek()[1] or 'end of statement'}")

    def name(self):
        kind, value = self.next()
        if kind not in ("name", "word"):
            raise StatementError(f"expected identifier, found {value or 'end of statement'}")
        return value

    def number(self):
        kind, value = self.next()
        if kind != "number":
            raise StatementError(f"expected number, found {value or 'end of statement'}")
        return int(float(value))

    def source(self):
        """(database or None, measurement) from measurement, db.rp.measurement or db..measurement."""
        parts = [self.name()]
        while self.mark("."):
            parts.append("" if self.peek() == ("mark", ".") else self.name())
        return (parts[0] if len(parts) == 3 else None), parts[-1]


def series(name, columns, values, tags=None):
    """One series of a result, as the v1 answer has it; times are still ISO text."""
    return {"name": name, "tags": tags or {}, "columns": columns, "values": values}
