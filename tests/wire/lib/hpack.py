"""HPACK (RFC 7541) for tests: a strict, complete decoder, and an encoder that does what it is told.

The encoder writes literals without indexing unless a test asks for more, so what goes out is what the test wrote down, valid or not.
"""

STATIC = [(name, value) for name, _, value in (line.partition("=") for line in (
    ":authority", ":method=GET", ":method=POST", ":path=/", ":path=/index.html", ":scheme=http", ":scheme=https", ":status=200",
    ":status=204", ":status=206", ":status=304", ":status=400", ":status=404", ":status=500", "accept-charset",
    "accept-encoding=gzip, deflate", "accept-language", "accept-ranges", "accept", "access-control-allow-origin", "age", "allow",
    "authorization", "cache-control", "content-disposition", "content-encoding", "content-language", "content-length",
    "content-location", "content-range", "content-type", "cookie", "date", "etag", "expect", "expires", "from", "host", "if-match",
    "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "last-modified", "link", "location", "max-forwards",
    "proxy-authenticate", "proxy-authorization", "range", "referer", "refresh", "retry-after", "server", "set-cookie",
    "strict-transport-security", "transfer-encoding", "user-agent", "vary", "via", "www-authenticate"))]
TABLE_BYTES = 4096
ENTRY_BYTES = 32  # what an entry counts beside its text
# The lengths of the Huffman codes of 0 to 255 and of the end, in base 36. The codes follow: shorter before longer, and within one
# length in the order of what they stand for.
HUFFMAN_LENGTHS = (
    "dnsssssssoussussssssssusssssssss6aacd68baa8b8666555666666678f6cad67777777777777777777777878djde6f56565666577666567655677777fbe"
    "dskmkkmmmnmnnnnnonoomnonnnnlmnmnnomlkmmnnlnmmolmnnllmlnmnnkmmmnmmnqqkjmnmpqqqrrqopjlqrrqrollqqsrrrkoklmllnmmppooqnqrqqrrrrrsrr"
    "rrrqu")


class HpackError(Exception):
    """What no peer may send."""


def huffman_codes():
    lengths = [int(letter, 36) for letter in HUFFMAN_LENGTHS]
    codes = {}
    code = length = 0
    for symbol in sorted(range(257), key=lambda each: (lengths[each], each)):
        code <<= lengths[symbol] - length
        length = lengths[symbol]
        codes[symbol] = (length, code)
        code += 1
    return codes


HUFFMAN = huffman_codes()
SYMBOLS = {code: symbol for symbol, code in HUFFMAN.items()}
END_OF_STRING = 256


def huffman_encode(data):
    bits = count = 0
    for byte in data:
        length, code = HUFFMAN[byte]
        bits, count = bits << length | code, count + length
    padding = -count % 8
    return ((bits << padding) | ((1 << padding) - 1)).to_bytes((count + padding) // 8, "big")


def huffman_decode(data):
    result = bytearray()
    length = code = 0
    for byte in data:
        for shift in range(7, -1, -1):
            length, code = length + 1, code << 1 | (byte >> shift & 1)
            symbol = SYMBOLS.get((length, code))
            if symbol == END_OF_STRING:
                raise HpackError("the end symbol inside a string")
            if symbol is not None:
                result.append(symbol)
                length = code = 0
    if length > 7 or code != (1 << length) - 1:
        raise HpackError("padding that is not the beginning of the end symbol")
    return bytes(result)


# ---- encoding ----

def integer(value, bits, flags=0):
    limit = (1 << bits) - 1
    if value < limit:
        return bytes([flags | value])
    result = [flags | limit]
    value -= limit
    while value >= 128:
        result.append(value & 127 | 128)
        value >>= 7
    return bytes(result + [value])


def as_bytes(text):
    return text if isinstance(text, bytes) else text.encode("latin-1")


def string(text, huffman=False):
    data = as_bytes(text)
    if not huffman:
        return integer(len(data), 7) + data
    packed = huffman_encode(data)
    return integer(len(packed), 7, 0x80) + packed


def literal(name, value, huffman=False):
    """A field without indexing."""
    return b"\0" + string(name, huffman) + string(value, huffman)


def indexed_literal(name, value):
    """A field that enters the dynamic table."""
    return b"\x40" + string(name) + string(value)


def index(number):
    """A field that one of the tables has: 1 to 61 the static one, 62 the newest of the dynamic one."""
    return integer(number, 7, 0x80)


def table_size(value):
    return integer(value, 5, 0x20)


def encode(fields, huffman=False):
    return b"".join(literal(name, value, huffman) for name, value in fields)


# ---- decoding ----

class Decoder:
    """One direction of a connection. `maximum` is the table size that our SETTINGS allow."""

    def __init__(self, maximum=TABLE_BYTES):
        self.maximum = maximum
        self.limit = maximum
        self.dynamic = []  # newest first
        self.used = 0
        self.data = b""
        self.at = 0

    def byte(self):
        if self.at >= len(self.data):
            raise HpackError("a header block ends in a field")
        self.at += 1
        return self.data[self.at - 1]

    def integer(self, first, bits):
        value = first & ((1 << bits) - 1)
        if value < (1 << bits) - 1:
            return value
        for shift in range(0, 35, 7):
            byte = self.byte()
            value += (byte & 127) << shift
            if byte < 128:
                return value
        raise HpackError("an integer that is too long")

    def string(self):
        first = self.byte()
        length = self.integer(first, 7)
        if self.at + length > len(self.data):
            raise HpackError("a string beyond the end of its header block")
        data = self.data[self.at:self.at + length]
        self.at += length
        return (huffman_decode(data) if first & 0x80 else data).decode("latin-1")

    def entry(self, number):
        if 1 <= number <= len(STATIC):
            return STATIC[number - 1]
        if 0 <= number - len(STATIC) - 1 < len(self.dynamic):
            return self.dynamic[number - len(STATIC) - 1]
        raise HpackError(f"index {number} is in no table")

    def evict(self):
        while self.used > self.limit:
            name, value = self.dynamic.pop()
            self.used -= len(name) + len(value) + ENTRY_BYTES

    def add(self, name, value):
        self.dynamic.insert(0, (name, value))
        self.used += len(name) + len(value) + ENTRY_BYTES
        self.evict()

    def literal(self, first, bits):
        number = self.integer(first, bits)
        name = self.entry(number)[0] if number else self.string()
        return name, self.string()

    def resize(self, first, fields):
        if fields:
            raise HpackError("a table size behind a field")
        self.limit = self.integer(first, 5)
        if self.limit > self.maximum:
            raise HpackError(f"table size {self.limit} where {self.maximum} is allowed")
        self.evict()

    def decode(self, data):
        """[(name, value)] of a whole header block."""
        self.data, self.at = data, 0
        fields = []
        while self.at < len(data):
            first = self.byte()
            if first & 0x80:
                fields.append(self.entry(self.integer(first, 7)))
            elif first & 0x40:
                fields.append(self.literal(first, 6))
                self.add(*fields[-1])
            elif first & 0x20:
                self.resize(first, fields)
            else:
                fields.append(self.literal(first, 4))
        return fields
