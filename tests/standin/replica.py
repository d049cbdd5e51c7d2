"""What a node that answers queries has made of the WAL: one SQLite file per database, private to the node.

The real node polls the object store and replays what every ingest node has flushed. Here the poll only notes how far
the WAL goes (`visible`); segments are applied when somebody asks for their database. The result is the same, and a
gigabyte that nobody reads costs nothing.

A measurement is a table of rows with a hidden key (tag set and time), and a view with its name that shows the
columns in alphabetical order. Writing the same key again unites the fields and the last value wins.
"""
import os
import shutil
import sqlite3
import threading
import urllib.parse

from . import lineprotocol, timetext
from .store import Store

SEGMENTS_PER_READ = 16
ROWS_PREFIX = "rows of "
COLUMN_TYPES = {
    "tag": "TAGTEXT", "string": "TEXT", "float": "REAL", "integer": "INTEGER", "uinteger": "UBLOB",
    "boolean": "BOOLEAN",
}


def quote(name):
    return '"' + name.replace('"', '""') + '"'


def key_of(tags, time_text):
    return "\0".join(f"{name}\1{value}" for name, value in sorted(tags.items())) + "\0" + time_text


class Replica:
    """All databases of one node. `visible` is moved by the node's replication poll."""

    def __init__(self, object_store, node_id):
        self.directory = os.path.join(object_store, node_id, "replica")
        shutil.rmtree(self.directory, ignore_errors=True)
        os.makedirs(self.directory)
        self.store = Store(object_store)
        self.visible = 0
        self.databases = {}

    def database(self, name):
        if name not in self.databases:
            file_name = urllib.parse.quote(name, safe="") + ".sqlite"
            self.databases[name] = DatabaseReplica(name, os.path.join(self.directory, file_name), self.store)
        return self.databases[name]

    def close(self):
        for database in self.databases.values():
            database.close()
        self.store.close()


class DatabaseReplica:
    """One database. `catch_up` is called from pool threads; a lock makes them take turns."""

    def __init__(self, name, path, store):
        self.name = name
        self.path = path
        self.store = store
        self.lock = threading.Lock()
        self.connection = None
        self.applied = 0
        self.tables = {}
        self.floor = 0
        self.table_floors = {}

    def close(self):
        if self.connection is not None:
            self.connection.close()

    def open(self):
        self.connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        self.connection.execute("PRAGMA journal_mode=WAL")
        self.connection.execute("PRAGMA synchronous=OFF")

    def catch_up(self, visible, floor, table_floors, schema):
        """Applies the segments up to `visible`. Floors are WAL sequences at which the database or one of its
        tables was deleted; `schema` is {table: columns} of tables that exist without any data."""
        with self.lock:
            if self.connection is None:
                self.open()
            try:
                self.connection.execute("BEGIN")
                self.forget_deleted(floor, table_floors)
                for table, columns in schema.items():
                    self.ensure_columns(table, columns)
                self.replay(visible)
                self.connection.execute("COMMIT")
            except BaseException:
                self.start_over()
                raise

    def start_over(self):
        """After a failure: an empty replica that replays the WAL from its start at the next query."""
        self.connection.close()
        for suffix in ("", "-wal", "-shm"):
            if os.path.exists(self.path + suffix):
                os.remove(self.path + suffix)
        self.connection, self.tables, self.table_floors = None, {}, {}
        self.applied = self.floor

    def replay(self, visible):
        while self.applied < visible:
            segments = self.store.thread.submit(
                self.store.wal_read, self.name, self.applied, visible, SEGMENTS_PER_READ).result()
            for sequence, precision, arrival_ns, lines in segments:
                self.apply(sequence, precision, arrival_ns, lines)
                self.applied = sequence
            if len(segments) < SEGMENTS_PER_READ:
                self.applied = visible

    def forget_deleted(self, floor, table_floors):
        if floor > self.floor:
            for table in list(self.tables):
                self.drop(table)
            self.floor = floor
            self.applied = max(self.applied, floor)
        for table, table_floor in table_floors.items():
            if table_floor > self.table_floors.get(table, 0):
                self.table_floors[table] = table_floor
                self.drop(table)

    def drop(self, table):
        if self.tables.pop(table.lower(), None) is not None:
            self.connection.execute(f"DROP VIEW IF EXISTS {quote(table)}")
            self.connection.execute(f"DROP TABLE IF EXISTS {quote(ROWS_PREFIX + table)}")

    def ensure_columns(self, table, columns):
        """Creates what is missing of a table; SQLite names do not differ by case."""
        known = self.tables.get(table.lower())
        missing = {name: kind for name, kind in columns.items() if known is None or name.lower() not in known}
        if known is not None and not missing:
            return
        rows = quote(ROWS_PREFIX + table)
        if known is None:
            known = self.tables[table.lower()] = {"time": "time"}
            self.connection.execute(f"CREATE TABLE {rows} (key TEXT PRIMARY KEY, time TIME) WITHOUT ROWID")
        for name, kind in missing.items():
            if name.lower() not in known:
                self.connection.execute(f"ALTER TABLE {rows} ADD COLUMN {quote(name)} {COLUMN_TYPES[kind]}")
                known[name.lower()] = name
        shown = ", ".join(quote(name) for name in sorted(known.values()))
        self.connection.execute(f"DROP VIEW IF EXISTS {quote(table)}")
        self.connection.execute(f"CREATE VIEW {quote(table)} AS SELECT {shown} FROM {rows}")

    def apply(self, sequence, precision, arrival_ns, lines):
        """Stores the points of one segment; lines of the same shape go in together."""
        groups = {}
        for _, line in lineprotocol.split_lines(lines.decode()):
            try:
                point = lineprotocol.parse_line(line)
                time_ns = lineprotocol.to_nanoseconds(point.time, precision, arrival_ns)
            except lineprotocol.LineError:
                continue
            if self.table_floors.get(point.table, 0) >= sequence:
                continue
            time_text = timetext.from_ns(time_ns)
            shape = (point.table, tuple(point.tags), tuple((name, kind) for name, (kind, _) in point.fields.items()))
            values = [stored(value) for _, value in point.fields.values()]
            groups.setdefault(shape, []).append([key_of(point.tags, time_text), time_text, *point.tags.values(),
                                                 *values])
        for (table, tags, fields), rows in groups.items():
            self.ensure_columns(table, dict.fromkeys(tags, "tag") | dict(fields))
            self.insert(table, list(tags), [name for name, _ in fields], rows)

    def insert(self, table, tags, fields, rows):
        names = ["key", "time"] + [quote(name) for name in tags + fields]
        update = ", ".join(f"{quote(name)} = excluded.{quote(name)}" for name in fields)
        self.connection.executemany(
            f"INSERT INTO {quote(ROWS_PREFIX + table)} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))}) "
            f"ON CONFLICT (key) DO UPDATE SET {update}", rows)


def stored(value):
    """SQLite integers have 64 bits with a sign; a larger unsigned one is kept as text."""
    return str(value) if type(value) is int and value > lineprotocol.INT64_MAX else value
