"""SELECT of InfluxQL: parsed into SQL fragments, run on the replica, split into one series per tag set."""
import itertools
import time

from . import timetext
from .influxql_reader import StatementError, series
from .influxql_show import read_schema, tags_of
from .replica import quote

FUNCTIONS = {"count": "count", "sum": "sum", "mean": "avg", "min": "min", "max": "max", "median": "median",
             "spread": "spread", "stddev": "stddev", "first": "influx_first", "last": "influx_last"}
SELECTOR_TIME = {"first": 'min("time")', "last": 'max("time")', "min": '"time"', "max": '"time"'}
NUMERIC = ("Float64", "Int64", "UInt64")
COMPARISONS = {"=": "=", "!=": "<>", "<>": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


def literal(value):
    """A value as SQL."""
    if isinstance(value, bool):
        return str(int(value))
    return repr(value) if isinstance(value, (int, float)) else "'" + str(value).replace("'", "''") + "'"


class Field:
    """One item of the select list: SQL, the name of its column, and the aggregate functions in it.

    `column` is the argument when the item is nothing but one call."""

    def __init__(self, sql, name, calls=(), star=None, column=None):
        self.sql = sql
        self.name = name
        self.calls = tuple(calls)
        self.star = star
        self.column = column


class Select:
    """One statement. Everything that does not depend on the schema is decided while parsing."""

    needs_database = True

    def __init__(self, reader):
        self.reader = reader
        self.names = set()
        self.lower_bound = None
        self.fields = [self.read_field()]
        while reader.mark(","):
            self.fields.append(self.read_field())
        if not reader.keyword("FROM"):
            raise StatementError("expected FROM")
        self.database, self.table = reader.source()
        self.where = self.read_or() if reader.keyword("WHERE") else "1"
        self.group_tags, self.group_all, self.bucket = [], False, None
        if reader.keyword("GROUP", "BY"):
            self.read_group()
        if reader.keyword("FILL"):
            reader.expect_mark("(")
            reader.next()
            reader.expect_mark(")")
        self.descending = False
        if reader.keyword("ORDER", "BY"):
            if reader.name().lower() != "time":
                raise StatementError("only ORDER BY time supported at this time")
            self.descending = reader.keyword("DESC")
            reader.keyword("ASC")
        self.limit = reader.number() if reader.keyword("LIMIT") else None
        self.offset = reader.number() if reader.keyword("OFFSET") else 0

    # -- parsing

    def read_field(self):
        field = self.read_sum()
        if self.reader.keyword("AS"):
            field.name = self.reader.name()
        return field

    def read_sum(self):
        return self.read_operators(("+", "-"), lambda: self.read_operators(("*", "/", "%"), self.read_operand))

    def read_operators(self, marks, operand):
        left = operand()
        while left.star is None and self.reader.peek()[0] == "mark" and self.reader.peek()[1] in marks:
            operator = self.reader.next()[1]
            right = operand()
            sql = f"({left.sql} {operator} {'1.0 * ' if operator == '/' else ''}{right.sql})"
            names = [name for name in (left.name, right.name) if name]
            left = Field(sql, "_".join(names), left.calls + right.calls)
        return left

    def read_operand(self):
        reader = self.reader
        if reader.mark("("):
            inner = self.read_sum()
            reader.expect_mark(")")
            return inner
        if reader.mark("*"):
            return Field(None, "", star="*")
        if reader.mark("-"):
            inner = self.read_operand()
            return Field(f"(-{inner.sql})", inner.name, inner.calls)
        kind, value = reader.next()
        if kind in ("number", "string"):
            return Field(value if kind == "number" else literal(value), "")
        if kind == "param":
            if value[1:] not in reader.params:
                raise StatementError(f"missing value for parameter {value}")
            return Field(literal(reader.params[value[1:]]), "")
        if kind == "word" and value.lower() in ("true", "false"):
            return Field(literal(value.lower() == "true"), "")
        if kind == "word" and reader.mark("("):
            return self.read_call(value.lower())
        if kind in ("word", "name"):
            if reader.mark("::"):
                reader.name()
            self.names.add(value)
            return Field(quote(value), value)
        raise StatementError(f"unexpected '{value or 'end of statement'}' in statement")

    def read_call(self, function):
        if function not in FUNCTIONS:
            raise StatementError(f"undefined function {function}()")
        if self.reader.mark("*"):
            self.reader.expect_mark(")")
            return Field(None, function, (function,), star=function)
        column = self.reader.name()
        self.reader.expect_mark(")")
        self.names.add(column)
        return Field(call(function, column), function, (function,), column=column)

    def read_or(self):
        sql = self.read_and()
        while self.reader.keyword("OR"):
            sql = f"({sql} OR {self.read_and()})"
        return sql

    def read_and(self):
        sql = self.read_condition()
        while self.reader.keyword("AND"):
            sql = f"({sql} AND {self.read_condition()})"
        return sql

    def read_condition(self):
        reader = self.reader
        if reader.peek()[0] in ("word", "name") and reader.peek()[1].lower() == "time":
            reader.next()
            operator = self.read_comparison()
            bound = timetext.from_ns(self.read_time())
            if operator in (">", ">="):
                self.lower_bound = bound
            return f'"time" {operator} {literal(bound)}'
        start = reader.position
        if reader.mark("("):
            sql = self.read_or()
            if reader.mark(")"):
                return f"({sql})"
            reader.position = start
        left = self.read_sum()
        for mark, negated in (("=~", ""), ("!~", "NOT ")):
            if reader.mark(mark):
                return f"{negated}coalesce({left.sql}, '') REGEXP {literal(reader.next()[1])}"
        if reader.peek()[0] != "mark" or reader.peek()[1] not in COMPARISONS:
            return left.sql
        return f"{left.sql} {self.read_comparison()} {self.read_sum().sql}"

    def read_comparison(self):
        kind, value = self.reader.next()
        if kind != "mark" or value not in COMPARISONS:
            raise StatementError(f"expected a comparison, found {value or 'end of statement'}")
        return COMPARISONS[value]

    def read_time(self):
        """Nanoseconds of now(), a literal, an integer or an integer with a unit, plus or minus durations."""
        kind, value = self.reader.next()
        if kind == "word" and value.lower() == "now":
            self.reader.expect_mark("(")
            self.reader.expect_mark(")")
            total = time.time_ns()
        elif kind in ("string", "number", "duration"):
            try:
                total = timetext.to_ns(value) if kind == "string" else int(value) if kind == "number" else \
                    timetext.interval_ns(value)
            except ValueError as error:
                raise StatementError(f"invalid time: {error}")
        else:
            raise StatementError(f"expected a time, found {value or 'end of statement'}")
        while self.reader.peek() in (("mark", "+"), ("mark", "-")):
            sign = 1 if self.reader.next()[1] == "+" else -1
            total += sign * timetext.interval_ns(self.reader.next()[1])
        return total

    def read_group(self):
        reader = self.reader
        while True:
            if reader.mark("*"):
                self.group_all = True
            elif reader.keyword("TIME"):
                reader.expect_mark("(")
                self.bucket = reader.next()[1]
                reader.expect_mark(")")
            else:
                self.group_tags.append(reader.name())
            if not reader.mark(","):
                break

    # -- running

    async def run(self, execute, catalog, request):
        """Series, one per tag set; none when the measurement does not exist or no point matches."""
        columns = (await read_schema(execute, self.table)).get(self.table)
        if columns is None:
            return []
        tags = sorted(tags_of(columns)) if self.group_all else self.group_tags
        fields = self.expand(columns, tags)
        if not fields:
            return []
        aggregate = any(field.calls for field in fields)
        if aggregate and not all(field.calls or field.sql == '"time"' for field in fields):
            raise StatementError("mixing aggregate and non-aggregate columns is not supported")
        if self.bucket and not aggregate:
            raise StatementError("GROUP BY requires at least one aggregate function")
        fields = [field for field in fields if field.sql != '"time"']
        _, rows = await execute(self.sql(columns, fields, tags, aggregate))
        return self.split(fields, tags, rows)

    def expand(self, columns, tags):
        fields = []
        for field in self.fields:
            if field.star is None:
                fields.append(field)
                continue
            for name in sorted(columns):
                if name == "time" or name in tags:
                    continue
                if field.star == "*":
                    fields.append(Field(quote(name), name))
                elif name not in tags_of(columns) and (field.star in ("count", "first", "last")
                                                       or columns[name] in NUMERIC):
                    fields.append(Field(call(field.star, name), f"{field.star}_{name}", (field.star,), column=name))
        return fields

    def sql(self, columns, fields, tags, aggregate):
        """time, the fields, the tags, and a last column that is 0 for a row without any point."""
        absent = (self.names | set(tags)) - set(columns)
        padding = "".join(f", NULL AS {quote(name)}" for name in sorted(absent))
        source = f"(SELECT *{padding} FROM {quote(self.table)})"
        values = ", ".join(field.sql for field in fields)
        keys = "".join(f", {quote(tag)}" for tag in tags)
        direction = "DESC" if self.descending else "ASC"
        if not aggregate:
            present = " OR ".join(f"{field.sql} IS NOT NULL" for field in fields)
            return (f'SELECT "time", {values}{keys}, 1 FROM {source} WHERE ({self.where}) AND ({present}) '
                    f'ORDER BY {keys[2:] + ", " if tags else ""}"time" {direction}')
        moment, where = literal(self.lower_bound or timetext.from_ns(0)), f"({self.where})"
        if self.bucket:
            moment = f'date_bin({literal(self.bucket)}, "time")'
        elif len(fields) == 1 and fields[0].column and fields[0].calls[0] in SELECTOR_TIME:
            moment = SELECTOR_TIME[fields[0].calls[0]]
            where += f" AND {quote(fields[0].column)} IS NOT NULL"
        group = ([quote(tag) for tag in tags] + ["bucket_start"]) if self.bucket else [quote(tag) for tag in tags]
        having = f" GROUP BY {', '.join(group)}" if group else ""
        order = f" ORDER BY {keys[2:] + ', ' if tags else ''}bucket_start {direction}" if group else ""
        return (f"SELECT {moment} AS bucket_start, {values}{keys}, count(*) FROM {source} "
                f"WHERE {where}{having}{order}")

    def split(self, fields, tags, rows):
        names, used = ["time"], {}
        for field in fields:
            name = field.name or "expr"
            names.append(f"{name}_{used[name]}" if name in used else name)
            used[name] = used.get(name, 0) + 1
        width = 1 + len(fields)
        result = []
        for values, group in itertools.groupby(rows, key=lambda row: row[width:width + len(tags)]):
            points = [list(row[:width]) for row in group if row[-1]]
            end = None if self.limit is None else self.offset + self.limit
            points = points[self.offset:end]
            if points:
                result.append(series(self.table, names, points,
                                     {tag: value or "" for tag, value in zip(tags, values)}))
        return result


def call(function, column):
    extra = ', "time"' if function in ("first", "last") else ""
    return f"{FUNCTIONS[function]}({quote(column)}{extra})"
