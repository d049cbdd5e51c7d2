"""Times as text: how they are stored, compared and printed.

A time is stored as ISO text in UTC without a zone and with 0, 3, 6 or 9 digits of fraction, the way the database
prints it. Such texts sort as the times they stand for, so SQLite compares them correctly.
"""
import datetime
import functools
import re

EPOCH = datetime.datetime(1970, 1, 1)
LITERAL = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?(?:Z|[+-]00:?00)?\Z")
INTERVAL = re.compile(r"(-?\d+(?:\.\d+)?)\s*([A-Za-z]+)")
UNIT_NS = {
    "ns": 1, "u": 10 ** 3, "us": 10 ** 3, "µ": 10 ** 3, "ms": 10 ** 6, "s": 10 ** 9, "m": 60 * 10 ** 9,
    "h": 3600 * 10 ** 9, "d": 86400 * 10 ** 9, "w": 7 * 86400 * 10 ** 9,
    "nanosecond": 1, "microsecond": 10 ** 3, "millisecond": 10 ** 6, "second": 10 ** 9, "minute": 60 * 10 ** 9,
    "hour": 3600 * 10 ** 9, "day": 86400 * 10 ** 9, "week": 7 * 86400 * 10 ** 9,
}


@functools.lru_cache(maxsize=4096)
def whole_seconds(seconds):
    return (EPOCH + datetime.timedelta(seconds=seconds)).isoformat()


def from_ns(nanoseconds):
    """ISO text of nanoseconds since 1970."""
    seconds, fraction = divmod(nanoseconds, 10 ** 9)
    text = whole_seconds(seconds)
    if not fraction:
        return text
    digits = f"{fraction:09d}"
    while digits.endswith("000"):
        digits = digits[:-3]
    return f"{text}.{digits}"


def to_ns(text):
    """Nanoseconds since 1970 of ISO text; ValueError if it is none."""
    match = LITERAL.match(text)
    if not match:
        raise ValueError(f"'{text}' is no time")
    day, minutes, seconds, fraction = match.groups()
    moment = datetime.datetime.fromisoformat(f"{day}T{minutes or '00:00'}:{seconds or '00'}")
    whole = (moment - EPOCH) // datetime.timedelta(seconds=1)
    return whole * 10 ** 9 + int((fraction or "").ljust(9, "0") or 0)


def canonical(text):
    """The stored form of a time literal; anything else is given back as it is."""
    return from_ns(to_ns(text)) if LITERAL.match(text) else text


def interval_ns(text):
    """Nanoseconds of '1 hour 30 minutes' or '10s'; ValueError for an unknown unit."""
    total = 0
    for amount, unit in INTERVAL.findall(text):
        size = UNIT_NS.get(unit) or UNIT_NS.get(unit.lower().rstrip("s"))
        if size is None:
            raise ValueError(f"unknown unit '{unit}' in interval '{text}'")
        total += int(float(amount) * size)
    if not total:
        raise ValueError(f"'{text}' is no interval")
    return total


def shifted(text, sign, interval):
    """A time moved by an interval."""
    return from_ns(to_ns(text) + (1 if sign == "+" else -1) * interval_ns(interval))


def binned(interval, text):
    """The start of the interval-sized bin, counted from 1970, in which a time lies."""
    if text is None:
        return None
    size = interval_ns(interval)
    return from_ns(to_ns(text) // size * size)
