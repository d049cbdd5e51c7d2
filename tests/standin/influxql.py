"""A working subset of InfluxQL: statements become SQL on the replica, results become series.

    SELECT field, tag, *, f(field), f(*), arithmetic  FROM [db.rp.]measurement  WHERE ...  GROUP BY tag, *, time(1m)
           ORDER BY time DESC  LIMIT n  OFFSET n
    SHOW DATABASES | RETENTION POLICIES | MEASUREMENTS | TAG KEYS | TAG VALUES WITH KEY = k | FIELD KEYS

Functions: count, sum, mean, min, max, first, last, median, spread, stddev. Empty time buckets are left out (as with
fill(none)); other statements are refused in words, not silently.
"""
from .influxql_reader import Reader, StatementError, tokenize
from .influxql_select import Select
from .influxql_show import Show


def parse(text, params=None):
    """A statement object: `database` it names or None, `needs_database`, and async `run(execute, catalog, request)`
    giving a list of series. StatementError for anything that is not understood."""
    reader = Reader(tokenize(text), params)
    if reader.keyword("SELECT"):
        statement = Select(reader)
    elif reader.keyword("SHOW"):
        statement = Show(reader)
    else:
        words = " ".join(value for _, value in reader.tokens[:2]).upper()
        raise StatementError(f"This feature is not implemented: {words}")
    if reader.peek()[0] != "end":
        raise StatementError(f"unexpected '{reader.peek()[1]}' in statement")
    return statement


def flatten(result):
    """(columns, rows) of a list of series for the v3 endpoint."""
    columns = ["iox::measurement"]
    for one in result:
        for name in ["time"] * ("time" in one["columns"]) + sorted(one["tags"]) + one["columns"]:
            if name not in columns:
                columns.append(name)
    rows = []
    for one in result:
        for values in one["values"]:
            cells = {"iox::measurement": one["name"], **one["tags"], **dict(zip(one["columns"], values))}
            rows.append([cells.get(name) for name in columns])
    if result and result[0]["name"] == "databases":
        return ["iox::database"], [row[1:] for row in rows]
    return columns, rows
