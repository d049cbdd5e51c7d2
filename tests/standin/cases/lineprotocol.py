"""The line protocol parser, by tables of lines."""
import unittest

from standin import lineprotocol
from standin.lineprotocol import LineError, looks_clean, parse_full, parse_line, split_lines, to_nanoseconds
from standin.timetext import from_ns, to_ns

GOOD = [
    ("m v=1", "m", {}, {"v": ("float", 1.0)}, None),
    ("m,a=b,c=d v=1i 5", "m", {"a": "b", "c": "d"}, {"v": ("integer", 1)}, 5),
    ("m v=-9223372036854775808i", "m", {}, {"v": ("integer", -2 ** 63)}, None),
    ("m v=18446744073709551615u", "m", {}, {"v": ("uinteger", 2 ** 64 - 1)}, None),
    ("m v=1.5e-3,w=t,x=FALSE -7", "m", {},
     {"v": ("float", 0.0015), "w": ("boolean", True), "x": ("boolean", False)}, -7),
    ('m s="a b,c=d" 1', "m", {}, {"s": ("string", "a b,c=d")}, 1),
    (r'm s="say \"hi\" \\ \x" 1', "m", {}, {"s": ("string", r'say "hi" \ \x')}, 1),
    (r"my\ table,t\,a\=g=x\ y f\ 1=2 3", "my table", {"t,a=g": "x y"}, {"f 1": ("float", 2.0)}, 3),
    ('m s="two\nlines" 4', "m", {}, {"s": ("string", "two\nlines")}, 4),
    ("m,a=b  v=1  6", "m", {"a": "b"}, {"v": ("float", 1.0)}, 6),
    ('m,t="q" v=1', "m", {"t": '"q"'}, {"v": ("float", 1.0)}, None),
]
BAD = [
    ("m", "Expected at least one space character, got end of input"),
    ("m v=1 100 200", "Could not parse entire line. Found trailing content: `200`"),
    ("m v=.5 1", "No fields were provided"),
    ("m v=5. 2", "Could not parse entire line. Found trailing content: `. 2`"),
    ("m v=+5 5", "No fields were provided"),
    ("m v=1 abcdefghijklmnop", "Could not parse entire line. Found trailing content: ` abcdefghi...`"),
    ("m v=1,w= 5", "Could not parse entire line. Found trailing content: `w= 5`"),
    ("m v=1,w=2,x=3,y= 5", "Could not parse entire line. Found trailing content: `,y= 5`"),
    ("m v=1,v=2 5", "invalid line protocol - multiple instances of 'v' field found"),
    ("m,t v=1 5", "Tag set malformed: could not find equals sign in `t v=1 5`"),
    ("m,t= v=1 5", "Expected tag value, got ` v=1 5`"),
    ("m,=a v=1 5", "Expected tag key, got `=a v=1 5`"),
    ("m\tv=1 5", "Expected at least one space character, got `\tv=1 5`"),
    ("m v=1\t5", "Could not parse entire line. Found trailing content: `\t5`"),
    ("m v=9223372036854775808i", "Unable to parse integer value '9223372036854775808'"),
]


class LineTest(unittest.TestCase):
    def test_good_lines(self):
        for line, table, tags, fields, time in GOOD:
            for parse in (parse_line, parse_full):
                with self.subTest(line=line, parse=parse.__name__):
                    point = parse(line)
                    self.assertEqual((point.table, point.tags, point.fields, point.time),
                                     (table, tags, fields, time))

    def test_bad_lines(self):
        for line, message in BAD:
            with self.subTest(line=line), self.assertRaises(LineError) as caught:
                parse_line(line)
            self.assertEqual(str(caught.exception), message)

    def test_lines_are_numbered_past_comments_blanks_and_newlines_in_strings(self):
        body = '# comment\n\nm v=1\r\nm s="a\nb" 1\n  m v=2\n'
        self.assertEqual(list(split_lines(body)), [(3, "m v=1"), (4, 'm s="a\nb" 1'), (6, "m v=2")])

    def test_quick_check_agrees_with_the_grammar(self):
        for line, *_ in GOOD:
            if looks_clean(line.encode()):
                parse_full(line)
        for line, _ in BAD:
            if "multiple instances" not in line and "v=1,v=2" not in line:
                self.assertFalse(looks_clean(line.encode()), line)
        plain = b"cpu,host=a usage=1.5,n=3i,s=\"x y\",ok=true 1700000000\n"
        self.assertTrue(looks_clean(plain * 5000))
        self.assertFalse(looks_clean(plain * 5000 + b"cpu usage=\n" + plain * 10))


class TimeTest(unittest.TestCase):
    def test_precisions(self):
        for stamp, precision, expected in (
                (1, "s", 10 ** 9), (1, "ms", 10 ** 6), (1, "us", 1000), (1, "ns", 1),
                (4_999_999_999, "auto", 4_999_999_999 * 10 ** 9), (5_000_000_000, "auto", 5_000_000_000 * 10 ** 6),
                (5 * 10 ** 12, "auto", 5 * 10 ** 15), (5 * 10 ** 15, "auto", 5 * 10 ** 15)):
            with self.subTest(stamp=stamp, precision=precision):
                self.assertEqual(to_nanoseconds(stamp, precision, 0), expected)

    def test_missing_stamp_is_arrival_truncated_to_the_precision(self):
        self.assertEqual(to_nanoseconds(None, "s", 1_700_000_000_123_456_789), 1_700_000_000 * 10 ** 9)
        self.assertEqual(to_nanoseconds(None, "auto", 123), 123)

    def test_out_of_range(self):
        with self.assertRaises(LineError):
            to_nanoseconds(10 ** 12, "s", 0)

    def test_text_sorts_and_comes_back(self):
        moments = [-1, 0, 1, 10 ** 9, 1_700_000_000_123_000_000, 1_700_000_000_123_456_000, 1_700_000_001 * 10 ** 9]
        texts = [from_ns(moment) for moment in moments]
        self.assertEqual(texts, sorted(texts))
        self.assertEqual([to_ns(text) for text in texts], moments)
        self.assertEqual(texts[1:4], ["1970-01-01T00:00:00", "1970-01-01T00:00:00.000000001", "1970-01-01T00:00:01"])


class DescribeTest(unittest.TestCase):
    def test_original_line_is_cut(self):
        described = lineprotocol.describe_error(3, "m" * 50, "text")
        self.assertEqual(described, {"original_line": "m" * 20, "line_number": 3, "error_message": "text"})
