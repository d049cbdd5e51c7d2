"""Line protocol: lines out of a body, points out of lines, nanoseconds out of timestamps.

`parse_line` follows the grammar with escapes and quoted strings and says what is wrong in the database's words, as
far as clients show them. `looks_clean` is a quick check of a large body: True only when every line certainly
parses, so that megabytes need not be taken apart by an interpreter before they are acknowledged.
"""
import re

PRECISIONS = {
    "second": "s", "s": "s", "millisecond": "ms", "ms": "ms", "microsecond": "us", "us": "us", "u": "us",
    "nanosecond": "ns", "ns": "ns", "n": "ns", "auto": "auto",
}
FACTORS = {"s": 10 ** 9, "ms": 10 ** 6, "us": 10 ** 3, "ns": 1}
INT64_MIN, INT64_MAX, UINT64_MAX = -2 ** 63, 2 ** 63 - 1, 2 ** 64 - 1
ORIGINAL_LINE_CHARACTERS = 20
QUOTED_CHARACTERS = 10

NAME = re.compile(r"(?:[^,\s\\]|\\.)+")
TAG_KEY = re.compile(r"(?:[^,=\s\\]|\\.)+")
TAG_VALUE = re.compile(r"(?:[^,\s\\]|\\.)+")
FIELD_KEY = re.compile(r"(?:[^=\s\\]|\\.)+")
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
NUMBER = re.compile(r"(-?[0-9]+)([iu])|-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
BOOLEAN = re.compile(r"true|True|TRUE|t|T|false|False|FALSE|f|F")
TIMESTAMP = re.compile(r"-?[0-9]+")
ESCAPED = re.compile(r"\\([,= ])")
ESCAPED_IN_STRING = re.compile(r'\\(["\\])')

# Possessive quantifiers stand on single characters only: Python before 3.11.5 gets them wrong on groups.
CLEAN_VALUE = (rb'(?:-?[0-9]{1,18}i|[0-9]{1,18}u|-?[0-9]++(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?'
               rb'|true|True|TRUE|false|False|FALSE|[tTfF]|"[^"\\\n]*+")')
CLEAN_KEY = rb'[^,=\s\\"#]++'
CLEAN_LINES = re.compile(
    rb'(?:' + CLEAN_KEY + rb'(?:,' + CLEAN_KEY + rb'=' + CLEAN_KEY + rb')* '
    + CLEAN_KEY + rb'=' + CLEAN_VALUE + rb'(?:,' + CLEAN_KEY + rb'=' + CLEAN_VALUE + rb')*'
    rb'(?: -?[0-9]{1,19})?(?:\n|\Z))*\Z')
CLEAN_BLOCK_BYTES = 64 * 1024
PLAIN_LINE = re.compile(r'([^,\s\\"#]+)((?:,[^,=\s\\"]+=[^,=\s\\"]+)*) '
                        r'([^,=\s\\"]+=(?:[^,\s\\"]+|"[^"\\]*")(?:,[^,=\s\\"]+=(?:[^,\s\\"]+|"[^"\\]*"))*)'
                        r'(?: (-?[0-9]+))?\Z')
PLAIN_FIELD = re.compile(r'([^,=]+)=("[^"]*"|[^,]+)')


class LineError(Exception):
    """A line that is not accepted; the text is what the answer shows for it."""


class Point:
    """One parsed line. `tags` is {name: text}, `fields` is {name: (type, value)}, `time` is None if absent."""

    __slots__ = ("table", "tags", "fields", "time")

    def __init__(self, table, tags, fields, time):
        self.table = table
        self.tags = tags
        self.fields = fields
        self.time = time


def shorten(text):
    return text if len(text) <= QUOTED_CHARACTERS else text[:QUOTED_CHARACTERS] + "..."


def got(text):
    return f"got `{shorten(text)}`" if text else "got end of input"


def trailing(text):
    return LineError(f"Could not parse entire line. Found trailing content: `{shorten(text)}`")


def unescape(text):
    return ESCAPED.sub(r"\1", text) if "\\" in text else text


def split_lines(body):
    """(line number, line) of every line with content; a quoted string may hold newlines."""
    number = 0
    pending, pending_number = None, 0
    for physical in body.split("\n"):
        number += 1
        if pending is not None:
            physical = pending + "\n" + physical
        start = number if pending is None else pending_number
        if '"' in physical and string_is_open(physical):
            pending, pending_number = physical, start
            continue
        pending = None
        line = physical.strip(" \t\r\n")
        if line and not line.startswith("#"):
            yield start, line
    if pending is not None:
        yield pending_number, pending.strip(" \t\r\n")


def string_is_open(line):
    """Whether a quoted field value is still open at the end; a quote elsewhere is an ordinary character."""
    if "\\" not in line and line.count('"') % 2 == 0 and '"' not in line.partition(" ")[0]:
        return False
    position = 0
    while position < len(line) and line[position] != " ":
        position += 2 if line[position] == "\\" else 1
    for match in re.finditer(r'="((?:[^"\\]|\\.)*)("?)', line[position:], re.DOTALL):
        if not match[2]:
            return True
    return False


def parse_plain(line):
    """The Point of a line without escapes, several times as fast; None when it needs the full grammar."""
    match = PLAIN_LINE.match(line)
    if not match:
        return None
    table, tag_text, field_text, stamp = match.groups()
    pairs = [pair.split("=") for pair in tag_text[1:].split(",")] if tag_text else []
    tags = dict(pairs)
    fields, count = {}, 0
    for name, text in PLAIN_FIELD.findall(field_text):
        parsed = parse_value(text, 0)
        if parsed is None or parsed[2] != len(text):
            return None
        fields[name] = parsed[:2]
        count += 1
    if len(tags) != len(pairs) or len(fields) != count:
        return None
    return Point(table, tags, fields, int(stamp) if stamp else None)


def parse_line(line):
    """A Point, or LineError."""
    plain = parse_plain(line)
    return plain if plain is not None else parse_full(line)


def parse_full(line):
    """A Point by the whole grammar, or LineError."""
    match = NAME.match(line)
    if not match or line[match.end():match.end() + 1] == "\\":
        raise LineError("Measurements, tag keys and values, and field keys may not end with a backslash"
                        if "\\" in line[:2] else f"Expected measurement, {got(line)}")
    table = unescape(match[0])
    tags, position = parse_tags(line, match.end())
    if line[position:position + 1] != " ":
        raise LineError(f"Expected at least one space character, {got(line[position:])}")
    while line[position:position + 1] == " ":
        position += 1
    fields, position = parse_fields(line, position)
    rest = line[position:]
    if not rest.strip(" "):
        return Point(table, tags, fields, None)
    stamp_start = position + len(rest) - len(rest.lstrip(" "))
    match = TIMESTAMP.match(line, stamp_start)
    if not match or stamp_start == position:
        raise trailing(rest)
    leftover = line[match.end():].lstrip(" ")
    if leftover:
        raise trailing(leftover)
    return Point(table, tags, fields, int(match[0]))


def parse_tags(line, position):
    tags = {}
    first = position + 1
    while line[position:position + 1] == ",":
        key = TAG_KEY.match(line, position + 1)
        if not key:
            raise LineError(f"Expected tag key, {got(line[position + 1:])}")
        if line[key.end():key.end() + 1] != "=":
            raise LineError(f"Tag set malformed: could not find equals sign in `{shorten(line[first:])}`")
        value = TAG_VALUE.match(line, key.end() + 1)
        if not value:
            raise LineError(f"Expected tag value, {got(line[key.end() + 1:])}")
        name = unescape(key[0])
        if name in tags:
            raise LineError(f"invalid line protocol - multiple instances of '{name}' tag found")
        tags[name] = unescape(value[0])
        position = value.end()
    return tags, position


def parse_fields(line, position):
    fields = {}
    while True:
        start = position
        key = FIELD_KEY.match(line, position)
        parsed = None
        if key and line[key.end():key.end() + 1] == "=":
            parsed = parse_value(line, key.end() + 1)
        if parsed is None:
            if not fields:
                raise LineError("No fields were provided")
            raise trailing(line[start if len(fields) == 1 else start - 1:])
        kind, value, position = parsed
        name = unescape(key[0])
        if name in fields:
            raise LineError(f"invalid line protocol - multiple instances of '{name}' field found")
        fields[name] = (kind, value)
        if line[position:position + 1] != ",":
            return fields, position
        position += 1


def parse_value(line, position):
    """(type, value, end) of a field value, None when there is none. Out of range is a LineError."""
    match = STRING.match(line, position)
    if match:
        text = match[1]
        return "string", ESCAPED_IN_STRING.sub(r"\1", text) if "\\" in text else text, match.end()
    match = NUMBER.match(line, position)
    if match:
        if match[2] == "i":
            return "integer", in_range(int(match[1]), INT64_MIN, INT64_MAX, line), match.end()
        if match[2] == "u":
            return "uinteger", in_range(int(match[1]), 0, UINT64_MAX, line), match.end()
        return "float", float(match[0]), match.end()
    match = BOOLEAN.match(line, position)
    if match:
        return "boolean", match[0][0] in "tT", match.end()
    return None


def in_range(value, lowest, highest, line):
    if not lowest <= value <= highest:
        raise LineError(f"Unable to parse integer value '{value}'")
    return value


def to_nanoseconds(stamp, precision, arrival_ns):
    """The time of a point. Auto guesses the unit by magnitude; without a stamp it is the arrival, truncated."""
    if stamp is None:
        factor = FACTORS.get(precision, 1)
        return arrival_ns - arrival_ns % factor
    if precision == "auto":
        size = abs(stamp)
        precision = "s" if size < 5 * 10 ** 9 else "ms" if size < 5 * 10 ** 12 else \
            "us" if size < 5 * 10 ** 15 else "ns"
    nanoseconds = stamp * FACTORS[precision]
    if not INT64_MIN <= nanoseconds <= INT64_MAX:
        raise LineError(f"timestamp out of range: {stamp}")
    return nanoseconds


def describe_error(number, line, message):
    """The object that stands in the `data` of an error answer."""
    return {"original_line": line[:ORIGINAL_LINE_CHARACTERS], "line_number": number, "error_message": message}


def looks_clean(body):
    """True when every line of the body (bytes) is plain enough to be known as valid without taking it apart.

    Checks block by block, so that other threads get their turn between them.
    """
    start = 0
    while start < len(body):
        end = body.find(b"\n", min(start + CLEAN_BLOCK_BYTES, len(body))) + 1 or len(body)
        if not CLEAN_LINES.match(body[start:end]):
            return False
        start = end
    return True
