"""The write-ahead log of an ingest node: writes are buffered and committed together once per flush interval.

A write that waits for durability is acknowledged when its flush is done, so one client on one connection gets about
one write per interval, as with the database. Losing the client does not lose the write: what was buffered is flushed
whether or not anybody still waits for it.
"""
import asyncio


class WalClosed(Exception):
    """The WAL does not take writes any more."""


class Wal:
    """Buffer and flush loop. `store` is used for nothing but appending segments."""

    def __init__(self, store, node_id, interval_seconds):
        self.store = store
        self.node_id = node_id
        self.interval_seconds = interval_seconds
        self.pending = []
        self.waiting = None
        self.closed = False
        self.task = None
        self.flushes = 0

    def start(self):
        self.task = asyncio.get_running_loop().create_task(self.run())

    async def append(self, segment, wait):
        """Takes a segment; with `wait` returns once it is durable. WalClosed when it was not accepted."""
        if self.closed:
            raise WalClosed()
        self.pending.append(segment)
        if self.waiting is None:
            self.waiting = asyncio.get_running_loop().create_future()
        if wait:
            await asyncio.shield(self.waiting)

    async def flush(self):
        """Commits what is buffered and releases those who wait for it."""
        if not self.pending:
            return
        segments, self.pending = self.pending, []
        waiting, self.waiting = self.waiting, None
        try:
            await self.store.run(self.store.wal_append, self.node_id, segments)
        except Exception as error:
            waiting.set_exception(error)
            waiting.exception()
            return
        self.flushes += 1
        waiting.set_result(None)

    async def run(self):
        loop = asyncio.get_running_loop()
        next_flush = loop.time()
        while not self.closed:
            next_flush = max(next_flush + self.interval_seconds, loop.time())
            await asyncio.sleep(next_flush - loop.time())
            await self.flush()

    async def close(self):
        """Refuses writes from now on, then flushes the tail."""
        self.closed = True
        await self.flush()
