"""Flight's protobuf messages by hand, for clients in tests: requests to make, and answers to look into."""
import json

SQL_TYPES = b"type.googleapis.com/arrow.flight.protocol.sql."
SERVICE = "/arrow.flight.protocol.FlightService/"


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out) + bytes([value])


def message(*fields):
    """Bytes of a message from (number, value) pairs; a value is a number, text or bytes."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            value = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(value)) + value
    return out


def fields_of(data):
    """[(number, value)] of a message with varints and length-delimited fields."""
    found, at = [], 0

    def read():
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
    while at < len(data):
        tag = read()
        if tag & 7 == 0:
            found.append((tag >> 3, read()))
        else:
            length = read()
            found.append((tag >> 3, data[at:at + length]))
            at += length
    return found


def ticket(database, sql, query_type="sql", **more):
    """The Ticket that InfluxDB's own clients make."""
    return message((1, json.dumps({"database": database, "sql_query": sql, "query_type": query_type, **more})))


def packed(name, *fields):
    """A Flight SQL message in protobuf's Any."""
    return message((1, SQL_TYPES + name.encode()), (2, message(*fields)))


def statement(sql):
    """The FlightDescriptor of a Flight SQL query."""
    return message((1, 2), (2, packed("CommandStatementQuery", (1, sql))))


def endpoints_of(flight_info):
    """[(ticket bytes, number of locations)] of a FlightInfo."""
    found = []
    for number, value in fields_of(flight_info):
        if number == 3:
            parts = fields_of(value)
            inner = next(part for number, part in parts if number == 1)
            found.append((dict(fields_of(inner))[1], sum(number == 2 for number, _ in parts)))
    return found
