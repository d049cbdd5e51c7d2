"""A node's copy of the catalog: databases, tables, tokens, nodes, triggers and the rest, by (kind, name).

The shared store holds a log of changes; a copy is the log replayed up to some sequence. A node learns of the
changes of others when its catalog sync comes round, when a WAL segment it replicates was written by a node that
knew more, and whenever it makes a change itself: a change is appended only right behind the last entry the node
knows, so on a conflict it catches up and decides again.
"""
import asyncio

from .store import Conflict

SEPARATOR = "\0"


def key(*parts):
    """The name of a thing inside another: a table in a database, a trigger in a database."""
    return SEPARATOR.join(parts)


class Catalog:
    """Owned by the event loop: it is never touched from a thread."""

    def __init__(self, store, node_id):
        self.store = store
        self.node_id = node_id
        self.sequence = 0
        self.records = {}
        self.deleted_at = {}
        self.lock = asyncio.Lock()
        self.listeners = []

    def get(self, kind, name):
        return self.records.get(kind, {}).get(name)

    def all(self, kind):
        """(name, record) pairs in the order of their creation."""
        return list(self.records.get(kind, {}).items())

    def floor(self, kind, name):
        """The WAL sequence up to which data of a deleted and re-created thing must not come back."""
        return self.deleted_at.get((kind, name), 0)

    def apply(self, entries):
        for sequence, action, kind, name, record, wal_sequence in entries:
            if sequence <= self.sequence:
                continue
            self.sequence = sequence
            if action == "put":
                self.records.setdefault(kind, {})[name] = record
            else:
                self.records.get(kind, {}).pop(name, None)
                self.deleted_at[(kind, name)] = wal_sequence
        if entries:
            for listener in self.listeners:
                listener()

    async def refresh(self):
        """Catches up with the log."""
        self.apply(await self.store.run(self.store.catalog_after, self.sequence))

    async def change(self, decide):
        """Makes a change. `decide()` looks at the catalog and returns (changes, result), changes being a list of
        (action, kind, name, record); it may raise a Refusal, and is called again after a conflict."""
        async with self.lock:
            while True:
                changes, result = decide()
                if not changes:
                    return result
                try:
                    await self.store.run(self.store.catalog_append, self.sequence, self.node_id, changes)
                except Conflict:
                    await self.refresh()
                    continue
                await self.refresh()
                return result

    async def change_caught_up(self, decide):
        """The same for decisions that must not be made on an old copy: it catches up before it decides."""
        await self.refresh()
        return await self.change(decide)

    # -- what the data path asks

    def database_exists(self, name):
        return self.get("database", name) is not None

    def columns(self, database, table):
        """{column: type} of a table; empty when the table is unknown."""
        record = self.get("table", key(database, table))
        return record["columns"] if record else {}

    def tables(self, database):
        prefix = database + SEPARATOR
        return [name[len(prefix):] for name, _ in self.all("table") if name.startswith(prefix)]

    def delete_database_changes(self, name):
        changes = [("delete", "table", key(name, table), None) for table in self.tables(name)]
        return changes + [("delete", "database", name, None)]
