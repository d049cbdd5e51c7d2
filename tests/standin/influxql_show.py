"""The SHOW statements of InfluxQL, answered from the catalog and the replica's schema."""
from .auth import may_use
from .influxql_reader import StatementError, series
from .replica import quote
from .system import TAG

FIELD_TYPES = {"Utf8": "string", "Float64": "float", "Int64": "integer", "UInt64": "unsigned", "Boolean": "boolean"}


class Show:
    """One statement; `database` is what it names itself or None."""

    def __init__(self, reader):
        self.database = None
        self.table = None
        self.keys = None
        for words in (("DATABASES",), ("RETENTION", "POLICIES"), ("MEASUREMENTS",), ("TAG", "KEYS"),
                      ("TAG", "VALUES"), ("FIELD", "KEYS")):
            if reader.keyword(*words):
                self.what = " ".join(words)
                break
        else:
            raise StatementError(f"This feature is not implemented: SHOW {reader.peek()[1].upper()}")
        self.needs_database = self.what != "DATABASES"
        if reader.keyword("ON"):
            self.database = reader.name()
        if reader.keyword("FROM"):
            named, self.table = reader.source()
            self.database = self.database or named
        if self.what == "TAG VALUES":
            self.keys = self.read_keys(reader)
        self.limit = reader.number() if reader.keyword("LIMIT") else None

    @staticmethod
    def read_keys(reader):
        if not reader.keyword("WITH", "KEY"):
            raise StatementError("expected WITH KEY")
        if reader.mark("="):
            return [reader.name()]
        if not reader.keyword("IN"):
            raise StatementError("expected = or IN after WITH KEY")
        reader.expect_mark("(")
        keys = [reader.name()]
        while reader.mark(","):
            keys.append(reader.name())
        reader.expect_mark(")")
        return keys

    async def run(self, execute, catalog, request):
        if self.what == "DATABASES":
            names = ["_internal"] + [name for name, _ in catalog.all("database")]
            return [series("databases", ["name"], [[name] for name in names if may_use(request, name, "read")])]
        if self.what == "RETENTION POLICIES":
            return [series("", ["name", "duration", "shardGroupDuration", "replicaN", "default"],
                           [["autogen", "0s", "168h0m0s", 1, True]])]
        tables = await read_schema(execute, self.table)
        if self.what == "MEASUREMENTS":
            names = [[name] for name in sorted(tables)]
            return [series("measurements", ["name"], names[:self.limit])] if names else []
        return await getattr(self, self.what.lower().replace(" ", "_"))(execute, tables)

    async def tag_keys(self, execute, tables):
        result = []
        for table in sorted(tables):
            tags = tags_of(tables[table])
            if tags:
                result.append(series(table, ["tagKey"], [[tag] for tag in tags][:self.limit]))
        return result

    async def field_keys(self, execute, tables):
        result = []
        for table in sorted(tables):
            tags = tags_of(tables[table])
            rows = [[name, FIELD_TYPES[data_type]] for name, data_type in sorted(tables[table].items())
                    if name not in tags and data_type in FIELD_TYPES]
            result.append(series(table, ["fieldKey", "fieldType"], rows[:self.limit]))
        return result

    async def tag_values(self, execute, tables):
        result = []
        for table in sorted(tables):
            rows = []
            for tag in self.keys:
                if tag in tables[table]:
                    _, values = await execute(f"SELECT DISTINCT {quote(tag)} FROM {quote(table)} "
                                              f"WHERE {quote(tag)} IS NOT NULL ORDER BY 1")
                    rows += [[tag, value] for (value,) in values]
            if rows:
                result.append(series(table, ["key", "value"], rows[:self.limit]))
        return result


async def read_schema(execute, only=None):
    """{table: {column: SQL type}} of the database, or of one table of it."""
    _, rows = await execute("SELECT table_name, column_name, data_type FROM information_schema.columns")
    tables = {}
    for table, column, data_type in rows:
        if only is None or table == only:
            tables.setdefault(table, {})[column] = data_type
    return tables


def tags_of(columns):
    return sorted(name for name, data_type in columns.items() if data_type == TAG)
