"""One stand-in node: the main program.

    python3 tests/standin/node.py --node-id ingester-01 --mode ingest --http-bind 127.0.0.1:0 --object-store DIR

prints one line when it serves, and runs until SIGTERM or SIGINT:

    listening node_id=ingester-01 mode=ingest address=127.0.0.1:40217 control=-

SIGTERM goes as in the database: the WAL is closed and flushed first (writes fail, /health still says OK), then the
listener closes, requests in flight are finished within --shutdown-timeout, exit status 0.
"""
import asyncio
import collections
import concurrent.futures
import functools
import gc
import json
import os
import signal
import ssl
import sys
import time
import uuid

if not __package__:
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    __package__ = "standin"
    import standin  # noqa: F401  the package must be loaded before its modules are imported by relative names

from . import auth, flight, routes, system
from .catalog import Catalog
from .engine import MISSING_PLUGIN_EXIT_STATUS, PREFIX, Engine
from .exchange import NodeService
from .faults import ControlService, FaultBoard, Seen
from .http1 import Response, Server
from .http2 import Http2
from .modes import Refusal, refuse_text
from .nodestate import node_change
from .replica import Replica
from .settings import parse_settings
from .sidecar import Sidecar
from .store import Store
from .v1query import UNLIMITED
from .wal import Wal
from .write import KnownBodies, WriteFailed, decode_body

QUERY_THREADS = 64
BODY_THREADS = 4
RECENT_QUERIES = 1000
PARENT_CHECK_SECONDS = 0.5


class QuerySlots:
    """The semaphore that v1 queries wait for; its limit can change while it is in use."""

    def __init__(self, limit):
        self.limit = limit
        self.used = 0
        self.changed = asyncio.Condition()

    def set_limit(self, limit):
        self.limit = limit

    async def __aenter__(self):
        async with self.changed:
            await self.changed.wait_for(lambda: self.limit is None or self.used < self.limit)
            self.used += 1

    async def __aexit__(self, *error):
        async with self.changed:
            self.used -= 1
            self.changed.notify_all()


async def exit_without(parent):
    """Ends this process at once when its parent is gone: no node may outlive a test that was killed."""
    if os.getppid() != parent:
        os._exit(1)


def tls_context(settings):
    """What the listener needs for TLS, or None for clear text."""
    if settings.tls_cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=settings.tls_client_ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(settings.tls_cert, settings.tls_key)
    context.set_alpn_protocols(["http/1.1"] if settings.no_http2 else ["h2", "http/1.1"])
    if settings.tls_client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


class Node:
    """Everything one node is. Created and used in the event loop's thread."""

    def __init__(self, settings):
        self.settings = settings
        self.process_id = str(uuid.uuid4())
        self.started_at = time.time()
        self.store = Store(settings.object_store)
        self.catalog = Catalog(self.store, settings.node_id)
        self.wal_store = Store(settings.object_store)
        self.wal = Wal(self.wal_store, settings.node_id, settings.wal_flush_interval)
        answers_queries = {"query", "process"} & settings.modes
        self.replica = Replica(settings.object_store, settings.node_id) if answers_queries else None
        self.engine = Engine(settings)
        self.authenticator = auth.Authenticator(settings, self.catalog)
        self.faults = FaultBoard()
        self.seen = Seen(settings.node_id)
        self.known_bodies = KnownBodies()
        self.query_slots = QuerySlots(settings.max_concurrent_queries)
        self.recent_queries = collections.deque(maxlen=RECENT_QUERIES)
        self.request_counts = collections.Counter()
        self.captures = {}
        self.pool = concurrent.futures.ThreadPoolExecutor(BODY_THREADS, thread_name_prefix="body")
        self.query_pool = concurrent.futures.ThreadPoolExecutor(QUERY_THREADS, thread_name_prefix="query")
        self.server = Server(NodeService(self), tls_context(settings))
        self.sidecar = None
        self.http2 = None
        self.control = Server(ControlService(self))
        self.cluster_uuid = None
        self.stopping = asyncio.Event()
        self.tasks = []

    # -- helpers for handlers

    async def in_pool(self, function, *arguments):
        return await asyncio.get_running_loop().run_in_executor(self.pool, function, *arguments)

    async def in_query_pool(self, function, *arguments):
        return await asyncio.get_running_loop().run_in_executor(self.query_pool, function, *arguments)

    def body_limit(self, request):
        """How much of a body is worth keeping: v1 queries have no limit."""
        return UNLIMITED if request.path == "/query" else self.settings.max_http_request_size

    def json_body(self, request):
        """The body as a JSON object."""
        try:
            fields = json.loads(decode_body(request, self.settings.max_http_request_size))
        except WriteFailed as failed:
            raise failed.refusal()
        except ValueError as error:
            raise refuse_text(400, f"serde json error: {error}")
        if not isinstance(fields, dict):
            raise refuse_text(400, "serde json error: invalid type: expected a map")
        return fields

    def remember_query(self, kind, text):
        self.recent_queries.append((kind, text, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())))

    def system_snapshot(self, database):
        return system.snapshot(self, database)

    async def faults_changed(self):
        """Brings the listener in line with the node-wide faults."""
        if self.faults.node_has("refuse"):
            self.server.stop_listening()
        elif not self.server.draining:
            await self.server.listen_again()
        self.server.freeze(self.faults.node_has("no_accept"))
        if self.http2 is not None:
            self.http2.stall(self.faults.node_has("stall_connections"))

    # -- one request

    async def handle(self, request):
        """The answer of the database: preflight, authentication, then the route; gRPC goes its own way."""
        if request.is_grpc:
            return await flight.handle(self, request)
        if request.method == "OPTIONS":
            response = Response(204, headers=[
                ("access-control-allow-methods", "*"), ("access-control-allow-headers", "*"),
                ("access-control-max-age", "86400")])
        else:
            try:
                self.authenticator.check(request)
                handler = routes.find(request)
                response = await handler(self, request) if handler else Response(404, "Not found")
            except Refusal as refusal:
                response = refusal.response
        if response.status < 300:
            response.headers.append(("access-control-allow-origin", "*"))
        response.headers.append(("cluster-uuid", self.faults.node_value("cluster_uuid", self.cluster_uuid)))
        known = (request.method, request.path) in routes.ROUTES
        path = request.path if known else PREFIX if request.path.startswith(PREFIX) else "other"
        self.request_counts[(request.method, path, str(response.status))] += 1
        return response

    # -- background

    def repeat(self, interval_seconds, function):
        async def run():
            while True:
                await asyncio.sleep(interval_seconds)
                await function()
        self.tasks.append(asyncio.get_running_loop().create_task(run()))

    async def replicate(self):
        """Notes how far the WAL of the cluster goes, and learns what its writers knew of the catalog."""
        sequence, catalog_sequence = await self.replica.store.run(self.replica.store.wal_head)
        if catalog_sequence > self.catalog.sequence:
            await self.catalog.refresh()
        self.replica.visible = sequence

    def notice_stop(self):
        """Somebody asked for this node to stop."""
        record = self.catalog.get("node", self.settings.node_id)
        if record and record["instance_id"] == self.process_id and record["state"] == "stopping":
            self.stopping.set()

    async def register(self, state):
        """Writes this node's state into the catalog."""
        settings = self.settings
        record = {
            "instance_id": self.process_id, "mode": sorted(set(settings.mode) | (settings.modes & {"process"})),
            "core_count": os.cpu_count(), "cli_params": {"node-id": settings.node_id, "mode": ",".join(settings.mode)},
        }
        await self.catalog.change_caught_up(lambda: ([node_change(settings.node_id, record, state)], None))

    # -- life

    async def start(self):
        """Returns when the node serves."""
        settings = self.settings
        self.cluster_uuid = await self.store.run(self.store.cluster_uuid)
        await self.catalog.refresh()
        missing = self.engine.missing_plugin(self.catalog)
        if missing:
            print(f"panicked: plugin file {missing} of a registered trigger is missing", file=sys.stderr)
            sys.exit(MISSING_PLUGIN_EXIT_STATUS)
        await self.register("running")
        self.catalog.listeners.append(self.notice_stop)
        self.repeat(settings.catalog_sync_interval, self.catalog.refresh)
        if self.replica is not None:
            await self.replicate()
            self.repeat(settings.replication_interval, self.replicate)
        if settings.exit_with_parent:
            self.repeat(PARENT_CHECK_SECONDS, functools.partial(exit_without, os.getppid()))
        self.wal.start()
        if not settings.no_http2:
            await self.start_http2()
        self.server.frozen = settings.serve_delay > 0
        await self.server.start(*settings.http_bind)
        if settings.control_bind:
            await self.control.start(*settings.control_bind)
        await asyncio.sleep(settings.serve_delay)
        self.server.freeze(False)

    async def start_http2(self):
        directory = self.settings.h2_dir
        if directory is None:
            self.sidecar = Sidecar().start()
            directory = self.sidecar.directory
        self.http2 = Http2(self, directory)
        await self.http2.start()
        self.server.http2 = self.http2

    def listening_line(self):
        address = ":".join(map(str, self.server.address))
        control = ":".join(map(str, self.control.address)) if self.control.address else "-"
        return (f"listening node_id={self.settings.node_id} mode={','.join(self.settings.mode)} "
                f"address={address} control={control}")

    async def stop(self):
        """The graceful end: WAL first, then the listener, then the connections."""
        await self.register("stopped")
        await self.wal.close()
        await asyncio.sleep(self.settings.shutdown_flush)
        if self.http2 is not None:
            self.http2.goaway()
        await self.server.drain(self.settings.shutdown_timeout)
        if self.http2 is not None:
            await self.http2.stop()
        if self.sidecar is not None:
            self.sidecar.stop()
        await self.control.drain(0)
        for task in self.tasks:
            task.cancel()
        self.query_pool.shutdown()
        self.pool.shutdown()
        if self.replica is not None:
            self.replica.close()
        self.wal_store.close()
        self.store.close()


async def main(arguments):
    settings = parse_settings(arguments)
    gc.freeze()
    node = Node(settings)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, node.stopping.set)
    await node.start()
    print(node.listening_line(), flush=True)
    await node.stopping.wait()
    await node.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
