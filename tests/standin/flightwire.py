"""How the sidecar and flight.py talk of a gRPC call: JSON, one object a line, behind a header that says so.

    {"columns": [[name, kind, metadata or null], ...]}   the schema: becomes the first FlightData
    {"rows": n, "values": [[column], ...]}               a record batch
    {"metadata": {...}}  {"message": {...}}              initial metadata, and the one message of a unary answer
    {"end": {trailer: value}}                            grpc-status 0
    {"error": {"code": n, "message": text}}              grpc-status n; as the first line it is a trailers-only answer
"""
import json

from .http1 import Response

FLIGHT_HEADER = ("x-standin-flight", "1")
MESSAGE_BYTES = 2000
CODES = {"OK": 0, "CANCELLED": 1, "UNKNOWN": 2, "INVALID_ARGUMENT": 3, "DEADLINE_EXCEEDED": 4, "NOT_FOUND": 5,
         "PERMISSION_DENIED": 7, "RESOURCE_EXHAUSTED": 8, "UNIMPLEMENTED": 12, "INTERNAL": 13, "UNAVAILABLE": 14,
         "UNAUTHENTICATED": 16}


class CallFailed(Exception):
    """A gRPC status that is an error; ends the call."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = CODES[code]
        self.message = message[:MESSAGE_BYTES]


def line(**fields):
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def error_line(code, message):
    return line(error={"code": code, "message": message})


def answer(lines):
    """The inner answer around lines (bytes, or an async generator of them)."""
    return Response(200, lines, [FLIGHT_HEADER])


def canned_error(code, message):
    """What the faults grpc_status and grpc_message ask for; a code by name or number."""
    return answer(error_line(CODES.get(code, code), message))
