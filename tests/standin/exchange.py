"""One request on a node, from its head to the end of its answer: the place where faults strike.

Order as in the database: the whole body is read into memory before anything looks at the request, so there is no
early 401 or 413. A body beyond every limit is counted and hashed but not kept; the answer is the same.
"""
import asyncio
import json
import socket

from .flightwire import canned_error
from .http1 import BadRequest, ClientGone, CutShort, REASONS, Response

SLOW_RECEIVE_BUFFER_BYTES = 16 * 1024
LINGER_SECONDS = 5.0
GENERATED_BLOCK_BYTES = 256 * 1024


class Panic(Exception):
    """The handler panicked: the database drops the connection without an answer."""


class StreamFailed(Exception):
    """A query failed after its 200 had left: the answer ends without its terminator."""


class NodeService:
    """The service of a node's public listener: faults, the record of what was seen, then the node's routes."""

    def __init__(self, node):
        self.node = node

    async def __call__(self, connection, request):
        sighting = self.open_sighting(connection, request)
        request.sighting = sighting
        effects = request.effects = self.node.faults.take(request)
        try:
            keep = await self.exchange(connection, request, effects, sighting)
            if sighting.outcome == "open":
                sighting.outcome = "answered"
            return keep
        except Panic:
            sighting.outcome = "panic"
            return False
        except CutShort as cut:
            sighting.outcome = f"fault:{cut.action}"
            return await self.cut_short(connection, request, cut.action)
        except (ClientGone, asyncio.CancelledError):
            sighting.outcome = "client_gone"
            raise
        except StreamFailed:
            sighting.outcome = "stream_failed"
            return False
        finally:
            connection.in_handler = False

    def open_sighting(self, connection, request):
        return self.node.seen.open(connection.number, request)

    async def exchange(self, connection, request, effects, sighting):
        self.set_output_limit(connection, effects)
        if "early_status" in effects:
            return await self.answer_early(connection, request, effects, sighting)
        if "stall_unread" in effects:
            raise CutShort("stall")
        expects = (request.header("expect") or "").lower() == "100-continue"
        if expects and request.has_body() and "no_continue" not in effects:
            await connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await self.read_body(connection, request, effects, sighting)
        connection.in_handler = True
        if connection.eof or connection.lost:
            raise ClientGone()
        if "stall" in effects:
            raise CutShort("stall")
        if "delay_ms" in effects:
            await asyncio.sleep(effects["delay_ms"] / 1000)
        response = await self.response(request, effects)
        sighting.status = response.status
        return await self.send(connection, request, response, effects, sighting)

    async def read_body(self, connection, request, effects, sighting):
        """Reads the whole body, at most the node's limit of it is kept; the rest only counts."""
        pace = effects.get("slow_read_bytes_per_second")
        reset_at = effects.get("reset_after_request_bytes")
        if pace:
            sock = connection.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SLOW_RECEIVE_BUFFER_BYTES)
        if reset_at == 0:
            raise CutShort("reset")
        piece_bytes = max(1, min(pace // 20, 65536)) if pace else 65536
        kept = bytearray()
        keep_limit = self.node.body_limit(request) + 1
        async for piece in connection.body_pieces(request, piece_bytes):
            sighting.add_body(piece)
            if len(kept) < keep_limit:
                kept += piece
            if reset_at is not None and sighting.body_bytes >= reset_at:
                raise CutShort("reset")
            if pace:
                await asyncio.sleep(len(piece) / pace)
        sighting.complete = True
        request.body = bytes(kept)

    async def response(self, request, effects):
        """The answer of the database, unless a fault puts another in its place."""
        if "grpc_status" in effects and request.is_grpc:
            return canned_error(effects["grpc_status"], effects.get("grpc_message", ""))
        if {"raw", "status", "generate_bytes"} & set(effects):
            if effects.get("after_handling"):
                await self.node.handle(request)
            return self.canned(effects.get("status", 200), effects)
        return await self.node.handle(request)

    async def send(self, connection, request, response, effects, sighting):
        if "raw" in effects:
            sighting.outcome = "fault:raw"
            await connection.write(effects["raw"].encode("latin-1"))
            return False
        for status in effects.get("interim", ()):
            await connection.write(f"HTTP/1.1 {status} {REASONS.get(status, 'Interim')}\r\n\r\n".encode())
        if "slow_write_bytes_per_second" in effects:
            response.body = paced(response.body, effects["slow_write_bytes_per_second"])
        keep = request.keeps_alive() and not self.node.server.draining
        keep = await connection.respond(request, response, keep)
        if "reset_after_response" in effects:
            raise CutShort("reset")
        if "close_after_response" in effects:
            sighting.outcome = "fault:close"
            return False
        return keep

    async def answer_early(self, connection, request, effects, sighting):
        """Answers before reading the body, then swallows what still comes for a while, then closes.

        With no_linger it closes at once: the unread bytes turn the close into a reset."""
        response = self.canned(effects["early_status"], effects)
        sighting.status = response.status
        sighting.outcome = "fault:early_status"
        await connection.respond(request, response, keep_alive=False)
        if "no_linger" not in effects:
            await self.linger(connection, request, sighting)
        return False

    @staticmethod
    async def linger(connection, request, sighting):
        """Swallows the rest of the body: a connection closed with unread bytes takes its answer with it."""
        if connection.transport.can_write_eof():
            connection.transport.write_eof()
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                async for piece in connection.body_pieces(request):
                    sighting.add_body(piece)
            sighting.complete = True
        except (TimeoutError, ClientGone, BadRequest):
            pass

    def canned(self, status, effects):
        """The answer a fault describes; a dict or list as body becomes JSON, a header with null is left out."""
        headers = {"cluster-uuid": self.node.cluster_uuid, **effects.get("headers", {})}
        headers = [(name, value) for name, value in headers.items() if value is not None]
        if "generate_bytes" in effects:
            length = effects["generate_bytes"]
            return Response(status, generated(length), headers, reason=effects.get("reason"),
                            length=None if effects.get("chunked") else length)
        body, content_type = effects.get("body", ""), None
        if not isinstance(body, str):
            body, content_type = json.dumps(body), "application/json"
        return Response(status, body, headers, content_type, effects.get("reason"))

    def set_output_limit(self, connection, effects):
        for effect in ("reset_after_bytes", "close_after_bytes", "stall_after_bytes"):
            if effect in effects:
                connection.output_limit = (effects[effect], effect.partition("_")[0])

    async def cut_short(self, connection, request, action):
        if action == "reset":
            connection.reset()
        elif action == "stall" and not connection.eof and not connection.lost:
            connection.in_handler = connection.stalled = True
            await asyncio.get_running_loop().create_future()
        return False


async def generated(length):
    """That many bytes, out of one buffer."""
    block = b"0123456789abcdef" * (GENERATED_BLOCK_BYTES // 16)
    for start in range(0, length, GENERATED_BLOCK_BYTES):
        yield block[:length - start]


async def paced(body, bytes_per_second):
    """The same body as a slow stream (a fixed one turns chunked, too)."""
    step = max(1, bytes_per_second // 20)
    pieces = body if not isinstance(body, bytes) else None
    if pieces is None:
        for start in range(0, len(body), step):
            yield body[start:start + step]
            await asyncio.sleep(step / bytes_per_second)
        return
    try:
        async for piece in pieces:
            for start in range(0, len(piece), step):
                yield piece[start:start + step]
                await asyncio.sleep(step / bytes_per_second)
    finally:
        await pieces.aclose()
