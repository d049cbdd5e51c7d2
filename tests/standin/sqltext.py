"""SQL as the database's clients write it, made into SQL that SQLite runs.

Rewritten: time literals (to the stored form), interval arithmetic, casts with ::, `timestamp '...'`, SHOW TABLES,
and generate_series(a, b[, step]) with its column `value`, which gives any number of rows without storing them.
Anything else is passed through; a text that looks like a time is taken for one wherever it stands.
"""
import math
import re

from . import timetext

READ_WORDS = ("select", "with", "show", "explain", "values")
STRING = re.compile(r"'((?:[^']|'')*)'")
SERIES = re.compile(r"generate_series\s*\(\s*(-?\d+)\s*,\s*(-?\d+)\s*(?:,\s*(-?\d+)\s*)?\)", re.IGNORECASE)
MOVED = re.compile(r"(now\(\)|'[^']*'|[A-Za-z_]\w*)\s*([+-])\s*interval\s+'([^']+)'", re.IGNORECASE)
INTERVAL_WORD = re.compile(r"\binterval\s+(?=')", re.IGNORECASE)
TIMESTAMP_WORD = re.compile(r"\btimestamp\s+(?=')", re.IGNORECASE)
CAST = re.compile(r"::\s*\w+")
COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
SOURCE = re.compile(r"\b(?:from|join)\s+((?:\"[^\"]+\"|\w+)(?:\s*\.\s*(?:\"[^\"]+\"|\w+))*)", re.IGNORECASE)
SHOW_TABLES = ("SELECT table_catalog, table_schema, table_name, table_type FROM information_schema.tables "
               "ORDER BY table_schema, table_name")


def first_word(sql):
    words = COMMENT.sub(" ", sql).split(None, 1)
    return words[0].lower().rstrip("(;") if words else ""


def is_read_only(sql):
    return first_word(sql) in READ_WORDS


def reads_user_tables(sql):
    """Whether a FROM or JOIN names anything but system tables and generated rows."""
    for source in SOURCE.findall(sql):
        name = source.replace('"', "").lower()
        if not name.startswith(("system.", "information_schema.", "generate_series")):
            return True
    return False


def series(match):
    start, stop, step = int(match[1]), int(match[2]), int(match[3] or 1)
    if step == 0 or (stop - start) * step < 0:
        return "(SELECT 0 AS value WHERE 0)"
    order = "<=" if step > 0 else ">="
    return (f"(WITH RECURSIVE series(value) AS (SELECT {start} UNION ALL SELECT value + {step} FROM series "
            f"WHERE value + {step} {order} {stop}) SELECT value FROM series)")


def rewrite(sql):
    """The SQL for SQLite."""
    if re.fullmatch(r"\s*show\s+tables\s*;?\s*", sql, re.IGNORECASE):
        return SHOW_TABLES
    sql = CAST.sub("", TIMESTAMP_WORD.sub("", sql))
    sql = MOVED.sub(r"time_shift(\1, '\2', '\3')", sql)
    sql = INTERVAL_WORD.sub("", sql)
    sql = STRING.sub(lambda match: f"'{timetext.canonical(match[1])}'", sql)
    return SERIES.sub(series, sql)


class First:
    """Aggregate: the value with the lowest time. Last is the same with the highest."""

    def __init__(self):
        self.best = None
        self.value = None

    def better(self, time):
        return self.best is None or time < self.best

    def step(self, value, time):
        if value is not None and self.better(time):
            self.best, self.value = time, value

    def finalize(self):
        return self.value


class Last(First):
    def better(self, time):
        return self.best is None or time >= self.best


class Spread:
    """Aggregate: highest minus lowest value."""

    def __init__(self):
        self.values = []

    def step(self, value):
        if isinstance(value, (int, float)):
            self.values.append(value)

    def finalize(self):
        return max(self.values) - min(self.values) if self.values else None


class Median(Spread):
    def finalize(self):
        ordered, middle = sorted(self.values), len(self.values) // 2
        if not ordered:
            return None
        return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


class StandardDeviation(Spread):
    def finalize(self):
        if len(self.values) < 2:
            return None
        mean = sum(self.values) / len(self.values)
        return math.sqrt(sum((value - mean) ** 2 for value in self.values) / (len(self.values) - 1))


def regexp(pattern, text):
    return text is not None and re.search(pattern, str(text)) is not None


def register(connection, now_ns):
    """Gives a connection the functions that rewritten statements use."""
    now = timetext.from_ns(now_ns)
    create = connection.create_function
    create("now", 0, lambda: now)
    create("time_shift", 3, lambda text, sign, interval: timetext.shifted(text, sign, interval), deterministic=True)
    create("date_bin", 2, timetext.binned, deterministic=True)
    create("to_timestamp", 1, lambda text: timetext.canonical(text) if isinstance(text, str) else
           timetext.from_ns(text * 10 ** 9), deterministic=True)
    create("repeat", 2, lambda text, count: text * count)
    create("regexp", 2, regexp, deterministic=True)
    for name, count, aggregate in (("influx_first", 2, First), ("influx_last", 2, Last), ("spread", 1, Spread),
                                   ("median", 1, Median), ("stddev", 1, StandardDeviation)):
        connection.create_aggregate(name, count, aggregate)
