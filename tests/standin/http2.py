"""HTTP/2 on a node's one port: connections that open with its preface are handed to the sidecar, byte by byte.

    client ==h2== Connection ~~splice~~ sidecar --HTTP/1.1, one request a stream--> InnerService -> the node

The node keeps the client's socket, so refusing, resetting and dying are as real as with HTTP/1.1. Each stream comes
back as a request on the *inner* listener, with headers `x-standin-...` that say where it came from; a gRPC call comes
as JSON (flight.py). What the sidecar shall do besides relaying the answer (cut it short, say GOAWAY) it learns from
headers of the same kind on the answer. A control line to the sidecar carries what concerns whole connections, and
brings back how each stream ended.
"""
import asyncio
import json
import os
import weakref

from .exchange import NodeService
from .http1 import ClientGone, Response, Server
from .sidecar import SOCKET_NAME

PREFIX = "x-standin-"
CUT_HEADER = "x-standin-cut"
GOAWAY_HEADER = "x-standin-goaway"
FRAMING = ("connection", "transfer-encoding")
FLUSH_TURNS = 200
FLUSH_SECONDS = 0.005
H2_CODES = {"NO_ERROR": 0, "PROTOCOL_ERROR": 1, "INTERNAL_ERROR": 2, "FLOW_CONTROL_ERROR": 3, "REFUSED_STREAM": 7,
            "CANCEL": 8, "ENHANCE_YOUR_CALM": 11, "HTTP_1_1_REQUIRED": 13}


class Half(asyncio.Protocol):
    """One end of a splice: what it hears, the other end says."""

    def __init__(self):
        self.transport = None
        self.other = None
        self.lost = asyncio.get_running_loop().create_future()
        self.blocked = False
        self.stalled = False

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.other.transport.write(data)

    def pause_writing(self):
        self.other.blocked = True
        self.other.adjust()

    def resume_writing(self):
        self.other.blocked = False
        self.other.adjust()

    def stall(self, stalled):
        self.stalled = stalled
        self.adjust()

    def adjust(self):
        """Reads, or not: not while the other end is full, nor while a fault keeps the connection silent."""
        if not self.lost.done():
            if self.blocked or self.stalled:
                self.transport.pause_reading()
            else:
                self.transport.resume_reading()

    def connection_lost(self, error):
        if not self.lost.done():
            self.lost.set_result(None)


class Http2:
    """What a node has of HTTP/2: its inner listener, its line to the sidecar, its spliced connections."""

    def __init__(self, node, directory):
        self.node = node
        self.sidecar_path = os.path.join(directory, SOCKET_NAME)
        self.inner_path = os.path.join(directory, node.settings.node_id + ".sock")
        self.inner = Server(InnerService(node, self))
        self.splices = {}
        self.resets = set()
        self.streams = weakref.WeakValueDictionary()
        self.stalled = False
        self.control = None
        self.reports = None

    async def start(self):
        await self.inner.start_unix(self.inner_path)
        reader, self.control = await asyncio.open_unix_connection(self.sidecar_path)
        self.tell({"control": self.inner_path})
        self.reports = asyncio.get_running_loop().create_task(self.read_reports(reader))

    async def read_reports(self, reader):
        """One JSON object a line: how a stream ended."""
        while line := await reader.readline():
            report = json.loads(line)
            sighting = self.streams.get(report["stream"])
            if sighting is not None:
                sighting.http2_end = report["end"]
                if "grpc_status" in report:
                    sighting.grpc_status = report["grpc_status"]

    def tell(self, command):
        self.control.write(json.dumps(command).encode() + b"\n")

    def goaway(self, code=0):
        """All present connections are told to go: their streams finish, then they close."""
        self.tell({"goaway": code})

    def stall(self, stalled):
        """Stalled connections stay open, and nothing moves in them, PING included."""
        self.stalled = stalled
        for client, sidecar in self.splices.values():
            client.stall(stalled)
            sidecar.stall(stalled)

    def greeting(self, connection):
        settings = self.node.settings
        return {
            "inner": self.inner_path, "connection": connection.number, "max_streams": settings.h2_max_streams,
            "window_bytes": settings.h2_window, "keep_alive_ms": int(settings.flight_keep_alive * 1000),
            "goaway_after_streams": self.node.faults.node_value("goaway_after_streams", None),
        }

    async def splice(self, connection):
        """Joins a client's connection with one to the sidecar; returns when both have ended."""
        loop = asyncio.get_running_loop()
        client, sidecar = Half(), Half()
        client.transport = connection.transport
        await loop.create_unix_connection(lambda: sidecar, self.sidecar_path)
        if connection.lost:
            sidecar.transport.close()
            return
        client.other, sidecar.other = sidecar, client
        sidecar.transport.write(json.dumps(self.greeting(connection)).encode() + b"\n" + bytes(connection.buffer))
        connection.buffer.clear()
        client.transport.set_write_buffer_limits()
        client.transport.set_protocol(client)
        self.splices[connection.number] = client, sidecar
        for half in (client, sidecar):
            half.stall(self.stalled)
        await asyncio.wait([client.lost, sidecar.lost], return_when=asyncio.FIRST_COMPLETED)
        if client.lost.done():
            sidecar.transport.close()
        elif connection.number in self.resets:
            await self.flush(client.transport)
            connection.reset()
        else:
            client.transport.close()
        await asyncio.wait([client.lost, sidecar.lost])
        del self.splices[connection.number]
        self.resets.discard(connection.number)

    @staticmethod
    async def flush(transport):
        for _ in range(FLUSH_TURNS):
            if transport.get_write_buffer_size() == 0:
                return
            await asyncio.sleep(FLUSH_SECONDS)

    def reset(self, number):
        """The connection of this number ends with a TCP reset: now."""
        if number in self.splices:
            self.resets.add(number)
            self.splices[number][1].transport.abort()

    async def stop(self):
        """After the outer listener has drained."""
        await self.inner.drain(0)
        self.reports.cancel()
        self.control.close()
        if os.path.exists(self.inner_path):
            os.remove(self.inner_path)


class InnerService(NodeService):
    """Requests that the sidecar has made of HTTP/2 streams."""

    def __init__(self, node, http2):
        super().__init__(node)
        self.http2 = http2

    async def __call__(self, connection, request):
        request.version = "HTTP/2"
        request.connection_number = int(request.header("x-standin-connection"))
        request.stream_key = request.header("x-standin-stream")
        request.is_grpc = request.header("x-standin-grpc") is not None
        request.headers = [(name, value) for name, value in request.headers
                           if not name.lower().startswith(PREFIX) and name.lower() not in FRAMING]
        return await super().__call__(connection, request)

    def open_sighting(self, connection, request):
        sighting = self.node.seen.open(request.connection_number, request)
        self.http2.streams[request.stream_key] = sighting
        return sighting

    async def exchange(self, connection, request, effects, sighting):
        if "goaway" in effects or "refused_stream" in effects or effects.get("rst_stream") and \
                "rst_after_bytes" not in effects:
            done = await self.refuse(connection, request, effects, sighting)
            if done:
                return False
        return await super().exchange(connection, request, effects, sighting)

    async def refuse(self, connection, request, effects, sighting):
        """The ends that come before anybody has looked at the request; False when there is none of them."""
        if effects.get("goaway") == "before":
            headers = [(GOAWAY_HEADER, "before")]
        elif "refused_stream" in effects:
            headers = [(CUT_HEADER, cut("rst_stream", 0, "REFUSED_STREAM"))]
        elif "rst_stream" in effects:
            headers = [(CUT_HEADER, cut("rst_stream", 0, effects["rst_stream"]))]
        else:
            return False
        sighting.outcome = "fault:refused"
        await connection.respond(request, Response(200, b"", headers), keep_alive=False)
        await self.linger(connection, request, sighting)
        return True

    async def send(self, connection, request, response, effects, sighting):
        if "goaway" in effects:
            response.headers.append((GOAWAY_HEADER, "after"))
        for action in ("reset", "close", "stall"):
            if f"{action}_after_bytes" in effects:
                self.cut_at(request, response, sighting, cut(action, effects[f"{action}_after_bytes"]))
            elif f"{action}_after_response" in effects:
                self.cut_at(request, response, sighting, cut(action, None))
        if "rst_after_bytes" in effects:
            code = effects.get("rst_stream", "INTERNAL_ERROR")
            self.cut_at(request, response, sighting, cut("rst_stream", effects["rst_after_bytes"], code))
        try:
            return await super().send(connection, request, response, {
                name: value for name, value in effects.items() if not name.endswith("_after_response")}, sighting)
        except (ClientGone, asyncio.CancelledError):
            # The sidecar has carried out the cut and wants no more of this answer.
            if sighting.outcome.startswith("fault:"):
                return False
            raise

    def cut_at(self, request, response, sighting, description):
        action = json.loads(description)["action"]
        sighting.outcome = f"fault:{action}"
        if action == "reset":
            self.http2.resets.add(request.connection_number)
        response.headers.append((CUT_HEADER, description))

    def set_output_limit(self, connection, effects):
        """The sidecar counts, and it counts the bytes of the answer's body only."""

    async def cut_short(self, connection, request, action):
        if action == "reset":
            self.http2.reset(request.connection_number)
            return False
        return await super().cut_short(connection, request, action)


def cut(action, after_bytes, code="INTERNAL_ERROR"):
    """What the sidecar reads: after so many bytes of the body (0: before anything, None: after the end)."""
    return json.dumps({"action": action, "after_bytes": after_bytes, "code": H2_CODES[code]})
