"""Faults on demand, and the record of what a node has seen: what the control listener offers to tests.

    POST /fault    {"status": 503, "body": "busy", "path": "/api/v3/write_lp", "count": 2}
                   {"fault": "stall"} is the same as {"stall": true}; {"fault": "status", "status": 503} works too
    GET  /fault    the faults that are still active
    POST /clear    ends all faults and forgets what was seen (?keep=seen or ?keep=faults to do one of the two)
    GET  /seen     what arrived: counts, connections and the last requests
                   (?path=, ?method=, ?limit=; ?summary=true leaves the single requests out)

A fault is a set of *effects* plus a filter: `path` (exact, or ending in * for a prefix), `method`, and `count`, the
number of requests it applies to (without it: until /clear). The first active fault that matches a request is used.

Effects on the whole node:
    refuse                      close the listening socket: connections are refused
    no_accept                   keep listening but never serve: clients connect, and hear nothing
    wal_shutdown                writes are answered as if the WAL were closed
    not_ready                   /ready answers 503
    cluster_uuid                pretend to belong to the cluster of this uuid
    goaway_after_streams        HTTP/2 connections that open now get GOAWAY with their stream of this number
    stall_connections           HTTP/2 connections stay open and nothing moves in them, PING included
Effects on one request:
    early_status                answer with this status before the body is read, then a lingering close;
                                no_linger: close at once, which resets the client if bytes are unread
    status, body, headers,      answer this instead of asking the database, after the body was read;
    reason, after_handling      after_handling: true asks the database first and throws its answer away
    generate_bytes, chunked     the same with a body of that many bytes, out of one small buffer; chunked: true
                                sends it without a length
    delay_ms                    wait before answering
    stall                       read the request, never answer
    stall_unread                neither read the body nor answer
    slow_read_bytes_per_second  read the body at this pace, from a small receive buffer
    reset_after_request_bytes   reset once this many bytes of the body were read
    slow_write_bytes_per_second send the answer at this pace
    reset_after_bytes           reset after this many bytes of the answer (head included); 0: before any
    close_after_bytes           the same with an orderly close
    stall_after_bytes           the same, but keep the connection and go silent
    close_after_response        promise keep-alive, then close
    reset_after_response        promise keep-alive, then reset
    interim                     a list of 1xx statuses to send first
    no_continue                 do not answer Expect: 100-continue
    raw                         send these characters (latin-1) instead of an answer, then close
Over HTTP/2 the bytes of an answer are those of its body, reset and close end the whole connection, stall the stream;
and there is:
    refused_stream              RST_STREAM(REFUSED_STREAM), before anybody has looked at the request
    rst_stream                  RST_STREAM with this code (a name, as in http2.py) in place of an answer, or with
    rst_after_bytes             after this many bytes of it (INTERNAL_ERROR without rst_stream)
    goaway                      "after": answer, and say GOAWAY: what comes later on this connection is ignored;
                                "before": GOAWAY with the stream before this one as the last, and no answer (for
                                streams that come one by one: others that are under way are dropped with it)
And for gRPC calls:
    grpc_status, grpc_message   a trailers-only answer; the status by name or number
    first_batch_delay_ms        DoGet: wait behind the schema; batch_delay_ms: wait behind each record batch

POST /goaway {"code": 0} says GOAWAY on all HTTP/2 connections that there are.
"""
import collections
import hashlib
import json
import time

from .http1 import Response

NODE_EFFECTS = {"refuse", "no_accept", "wal_shutdown", "not_ready", "cluster_uuid", "goaway_after_streams",
                "stall_connections"}
REQUEST_EFFECTS = {
    "early_status", "no_linger", "status", "body", "headers", "reason", "after_handling", "generate_bytes", "chunked",
    "delay_ms", "stall", "stall_unread", "slow_read_bytes_per_second", "reset_after_request_bytes",
    "slow_write_bytes_per_second", "reset_after_bytes", "close_after_bytes", "stall_after_bytes",
    "close_after_response", "reset_after_response", "interim", "no_continue", "raw",
    "refused_stream", "rst_stream", "rst_after_bytes", "goaway", "grpc_status", "grpc_message",
    "first_batch_delay_ms", "batch_delay_ms",
}
FILTERS = {"path", "method", "count"}
NUMBERS = {
    "early_status", "status", "delay_ms", "slow_read_bytes_per_second", "reset_after_request_bytes",
    "slow_write_bytes_per_second", "reset_after_bytes", "close_after_bytes", "stall_after_bytes", "count",
    "generate_bytes", "goaway_after_streams", "rst_after_bytes", "first_batch_delay_ms", "batch_delay_ms",
}
SEEN_LIMIT = 10000


class Fault:
    """One posted fault: its effects and the requests it still applies to."""

    def __init__(self, description):
        """Takes the JSON object of POST /fault; ValueError names what is wrong with it."""
        fields = dict(description)
        name = fields.pop("fault", None)
        if name is not None:
            fields.setdefault(name, fields.pop("value", True))
        unknown = set(fields) - NODE_EFFECTS - REQUEST_EFFECTS - FILTERS
        if unknown:
            raise ValueError(f"unknown fault or option {sorted(unknown)}; see the list in faults.py")
        for key in NUMBERS & set(fields):
            if isinstance(fields[key], bool) or not isinstance(fields[key], int) or fields[key] < 0:
                raise ValueError(f"{key} needs a whole number, for example {{\"{key}\": 10}}")
        self.path = fields.pop("path", None)
        self.method = fields.pop("method", None)
        self.remaining = fields.pop("count", None)
        self.effects = {key: value for key, value in fields.items() if value is not False}
        if not self.effects:
            raise ValueError("a fault without any effect")

    def applies(self, request):
        if self.remaining == 0 or not REQUEST_EFFECTS & set(self.effects):
            return False
        if self.method is not None and self.method != request.method:
            return False
        if self.path is None:
            return True
        if self.path.endswith("*"):
            return request.path.startswith(self.path[:-1])
        return request.path == self.path

    def describe(self):
        return {"effects": self.effects, "path": self.path, "method": self.method, "remaining": self.remaining}


class FaultBoard:
    """The active faults of one node, oldest first."""

    def __init__(self):
        self.faults = []

    def add(self, description):
        fault = Fault(description)
        self.faults.append(fault)
        return fault

    def clear(self):
        self.faults.clear()

    def take(self, request):
        """The effects for this request, counted down; an empty dict when nothing applies."""
        for fault in self.faults:
            if fault.applies(request):
                if fault.remaining is not None:
                    fault.remaining -= 1
                return fault.effects
        return {}

    def node_has(self, effect):
        return any(effect in fault.effects for fault in self.faults)

    def node_value(self, effect, default):
        """The value of a node-wide effect, `default` when it is not active."""
        return next((fault.effects[effect] for fault in self.faults if effect in fault.effects), default)


class Sighting:
    """One request as the node saw it; filled in while the exchange goes on. Of an HTTP/2 stream the sidecar adds
    `http2_end`: completed, cancelled (by the client, or its connection has gone) or cut (by a fault)."""

    def __init__(self, sequence, node_id, connection_number, request):
        self.sequence = sequence
        self.node_id = node_id
        self.connection = connection_number
        self.method = request.method
        self.path = request.path
        self.query = request.query
        self.headers = request.headers
        self.version = request.version
        self.body_bytes = 0
        self.digest = hashlib.sha256()
        self.complete = False
        self.status = None
        self.outcome = "open"
        self.call = None
        self.grpc_status = None
        self.http2_end = None
        self.at_ms = int(time.time() * 1000)

    def add_body(self, piece):
        self.body_bytes += len(piece)
        self.digest.update(piece)

    def describe(self):
        return {
            "sequence": self.sequence, "node_id": self.node_id, "connection": self.connection,
            "method": self.method, "path": self.path, "query": self.query, "headers": self.headers,
            "body_bytes": self.body_bytes, "body_sha256": self.digest.hexdigest(), "complete": self.complete,
            "status": self.status, "outcome": self.outcome, "at_ms": self.at_ms, "version": self.version,
            "call": self.call, "grpc_status": self.grpc_status, "http2_end": self.http2_end,
        }


class Seen:
    """The last SEEN_LIMIT requests and the count of all."""

    def __init__(self, node_id):
        self.node_id = node_id
        self.clear()

    def clear(self):
        self.total = 0
        self.counts = collections.Counter()
        self.sightings = collections.deque(maxlen=SEEN_LIMIT)

    def open(self, connection_number, request):
        self.total += 1
        self.counts[f"{request.method} {request.path}"] += 1
        sighting = Sighting(self.total, self.node_id, connection_number, request)
        self.sightings.append(sighting)
        return sighting

    def select(self, path=None, method=None):
        return [sighting for sighting in self.sightings
                if (path is None or sighting.path == path) and (method is None or sighting.method == method)]


class ControlService:
    """The service of the control listener."""

    def __init__(self, node):
        self.node = node

    async def __call__(self, connection, request):
        request.body = b"".join([piece async for piece in connection.body_pieces(request)])
        try:
            status, answer = await self.answer(request)
        except (ValueError, TypeError) as error:
            status, answer = 400, {"error": str(error)}
        body = json.dumps(answer) + "\n"
        return await connection.respond(request, Response(status, body, content_type="application/json"),
                                        request.keeps_alive())

    async def answer(self, request):
        route = (request.method, request.path)
        params = request.params()
        if route == ("POST", "/fault"):
            description = json.loads(request.body)
            if not isinstance(description, dict):
                raise ValueError("a fault is a JSON object")
            fault = self.node.faults.add(description)
            await self.node.faults_changed()
            return 200, fault.describe()
        if route == ("POST", "/goaway"):
            if self.node.http2 is None:
                raise ValueError("this node does not speak HTTP/2")
            self.node.http2.goaway(json.loads(request.body or b"{}").get("code", 0))
            return 200, {"told": len(self.node.http2.splices)}
        if route == ("GET", "/fault"):
            return 200, {"faults": [fault.describe() for fault in self.node.faults.faults]}
        if route == ("POST", "/clear"):
            if params.get("keep") != "faults":
                self.node.faults.clear()
                await self.node.faults_changed()
            if params.get("keep") != "seen":
                self.node.seen.clear()
            return 200, {"cleared": True}
        if route == ("GET", "/seen"):
            return 200, self.seen(params)
        return 404, {"error": "the control listener knows POST /fault, GET /fault, POST /clear, GET /seen, POST /goaway"}

    def seen(self, params):
        node = self.node
        chosen = node.seen.select(params.get("path"), params.get("method"))
        limit = int(params.get("limit", 0))
        answer = {
            "node_id": node.settings.node_id, "total": node.seen.total, "counts": dict(node.seen.counts),
            "matching": len(chosen), "connections_accepted": node.server.accepted,
            "connections_open": len(node.server.connections), "malformed": node.server.malformed,
            "connections_http2": len(node.http2.splices) if node.http2 else 0,
        }
        if params.get("summary") != "true":
            answer["requests"] = [sighting.describe() for sighting in chosen[-limit if limit else 0:]]
        return answer
