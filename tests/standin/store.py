"""The shared object store: one SQLite file in WAL mode that every node of a cluster opens.

Three things live in it: who the cluster is, the catalog's log, and the WAL segments of all ingest nodes.
SQLite admits one writer at a time across processes, so the sequence numbers of both logs are in commit order, and a
reader that has seen number n has seen everything below it.

All calls block; each Store has one thread of its own and is awaited through `run()`. synchronous=OFF: killing a
process loses nothing that was committed, and nobody pulls the plug on a test machine.
"""
import asyncio
import concurrent.futures
import fcntl
import gzip
import json
import os
import sqlite3
import uuid

FILE_NAME = "store.sqlite"
BUSY_TIMEOUT_SECONDS = 60.0
COMPRESS_FROM_BYTES = 64 * 1024

SCHEMA = """
CREATE TABLE IF NOT EXISTS cluster (one INTEGER PRIMARY KEY CHECK (one = 1), cluster_uuid TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS catalog_log (
    sequence INTEGER PRIMARY KEY, node_id TEXT NOT NULL, action TEXT NOT NULL, kind TEXT NOT NULL,
    name TEXT NOT NULL, record TEXT, wal_sequence INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS wal (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, node_id TEXT NOT NULL, database TEXT NOT NULL,
    precision TEXT NOT NULL, arrival_ns INTEGER NOT NULL, encoding TEXT NOT NULL,
    catalog_sequence INTEGER NOT NULL, payload BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS wal_by_database ON wal (database, sequence);
"""


class Conflict(Exception):
    """Another node appended to the catalog first: catch up and decide again."""


class Segment:
    """Line protocol of one accepted write on its way through the WAL."""

    __slots__ = ("database", "precision", "arrival_ns", "encoding", "catalog_sequence", "payload")

    def __init__(self, database, precision, arrival_ns, lines, catalog_sequence):
        self.database = database
        self.precision = precision
        self.arrival_ns = arrival_ns
        self.catalog_sequence = catalog_sequence
        self.encoding, self.payload = encode_payload(lines)


def encode_payload(lines):
    """(encoding, bytes) as stored: large payloads are compressed."""
    if len(lines) >= COMPRESS_FROM_BYTES:
        return "gzip", gzip.compress(lines, compresslevel=1, mtime=0)
    return "identity", lines


def decode_payload(encoding, payload):
    return gzip.decompress(payload) if encoding == "gzip" else payload


class Store:
    """One connection to the shared file and the thread that uses it."""

    def __init__(self, directory):
        os.makedirs(directory, exist_ok=True)
        self.path = os.path.join(directory, FILE_NAME)
        self.thread = concurrent.futures.ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        self.connection = self.thread.submit(self.open).result()

    def open(self):
        # Going over to the write-ahead log does not wait for other connections, so nodes that start together take turns.
        with open(self.path + ".starting", "w", encoding="ascii") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            return self.open_in_turn()

    def open_in_turn(self):
        connection = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=OFF")
        connection.executescript("BEGIN IMMEDIATE;" + SCHEMA + "COMMIT;")
        connection.execute("INSERT OR IGNORE INTO cluster VALUES (1, ?)", (str(uuid.uuid4()),))
        return connection

    async def run(self, function, *arguments):
        """Calls a method of this store in its thread."""
        return await asyncio.get_running_loop().run_in_executor(self.thread, function, *arguments)

    def close(self):
        self.thread.submit(self.connection.close).result()
        self.thread.shutdown()

    # -- called in the store's thread

    def cluster_uuid(self):
        return self.connection.execute("SELECT cluster_uuid FROM cluster").fetchone()[0]

    def catalog_after(self, sequence):
        """The catalog log behind `sequence`: (sequence, action, kind, name, record, wal_sequence) tuples."""
        rows = self.connection.execute(
            "SELECT sequence, action, kind, name, record, wal_sequence FROM catalog_log WHERE sequence > ? "
            "ORDER BY sequence", (sequence,)).fetchall()
        return [(number, action, kind, name, json.loads(record) if record else None, wal_sequence)
                for number, action, kind, name, record, wal_sequence in rows]

    def catalog_append(self, expected_sequence, node_id, changes):
        """Appends changes (action, kind, name, record) if the log still ends at `expected_sequence`."""
        connection = self.connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            last = connection.execute("SELECT coalesce(max(sequence), 0) FROM catalog_log").fetchone()[0]
            if last != expected_sequence:
                raise Conflict()
            wal_sequence = connection.execute("SELECT coalesce(max(sequence), 0) FROM wal").fetchone()[0]
            for offset, (action, kind, name, record) in enumerate(changes, start=1):
                connection.execute(
                    "INSERT INTO catalog_log VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (last + offset, node_id, action, kind, name, json.dumps(record), wal_sequence))
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise

    def wal_append(self, node_id, segments):
        """One group commit."""
        connection = self.connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.executemany(
                "INSERT INTO wal (node_id, database, precision, arrival_ns, encoding, catalog_sequence, payload) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(node_id, segment.database, segment.precision, segment.arrival_ns, segment.encoding,
                  segment.catalog_sequence, segment.payload) for segment in segments])
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise

    def wal_head(self):
        """(last sequence, the catalog sequence its writers knew)."""
        return self.connection.execute(
            "SELECT coalesce(max(sequence), 0), coalesce((SELECT catalog_sequence FROM wal ORDER BY sequence DESC "
            "LIMIT 1), 0) FROM wal").fetchone()

    def wal_read(self, database, after, up_to, limit):
        """Segments of a database with after < sequence <= up_to: (sequence, precision, arrival_ns, lines)."""
        rows = self.connection.execute(
            "SELECT sequence, precision, arrival_ns, encoding, payload FROM wal WHERE database = ? AND "
            "sequence > ? AND sequence <= ? ORDER BY sequence LIMIT ?", (database, after, up_to, limit))
        return [(sequence, precision, arrival_ns, decode_payload(encoding, payload))
                for sequence, precision, arrival_ns, encoding, payload in rows]
