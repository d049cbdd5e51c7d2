"""Request heads that are valid HTTP/2 and those that are not: the rows of tables/http2_heads.txt.

Each row runs in front of a node of HTTP/1 and one of HTTP/2, twice: as plain literals, and in Huffman code. All rows share one
connection: what is refused is the stream. A row's request must not reach any node when it is refused.
"""
from wire.lib import http2_peer as h2
from wire.lib.house import table
from wire.lib.hpack import encode
from wire.lib.http2_house import QUERY, connect, serve_version
from wire.lib.rows import read_rows

GOOD = ":method: %s | :scheme: http | :path: /api/v3/query_sql?q=%s | :authority: a"


def fields_of(row):
    text = row.data.replace(b"<G>", (GOOD % ("GET", row.name)).encode()).replace(b"<P>", (GOOD % ("POST", row.name)).encode())
    parts = [part.partition(": ") for part in text.decode("latin-1").split(" | ")]
    # Without a value the separator has lost its blank.
    return [(name, value) if separator else (name.removesuffix(":"), "") for name, separator, value in parts]


def run_row(row, client, nodes, huffman):
    """What is wrong, or None."""
    before = [len(node.seen) for node in nodes]
    stream = client.new_stream()
    stream.method = "GET"
    client.send(h2.headers(stream.number, encode(fields_of(row), huffman), end=True))
    stream.wait_over()
    if client.is_closed:
        return f"the connection ends: {client.goaways}"
    seen = [request for node, count in zip(nodes, before) for request in node.seen[count:]]
    if row.expectation == "200":
        if stream.status not in (200, 204) or len(seen) != 1:
            return f"not served: {stream}"
        return None
    if seen:
        return f"a node saw it: {seen[0].fields if hasattr(seen[0], 'fields') else seen[0].headers}"
    is_reset = stream.reset_code == h2.PROTOCOL_ERROR and stream.fields is None
    good = {"rst": is_reset, "no": is_reset or stream.status == 400}.get(row.expectation, str(stream.status) == row.expectation)
    return None if good else f"not {row.expectation}: {stream}"


def try_row(row, client, nodes, huffman):
    try:
        wrong = run_row(row, client, nodes, huffman)
    except (AssertionError, OSError) as error:
        wrong = f"{type(error).__name__}: {error}"
    return wrong and f"http2_heads.txt:{row.line_number}: {wrong}"[:400]


@table
def heads_in_front_of_both_versions(house, wanted):
    rows = read_rows("http2_heads")
    for version in (1, 2):
        with serve_version(house, version) as sluice:
            client = connect(sluice, 2)
            for huffman in (False, True):
                for row in rows:
                    name = f"{row.name}, {'Huffman code' if huffman else 'literals'}, to HTTP/{version}"
                    if wanted(name):
                        yield name, try_row(row, client, sluice.nodes, huffman)
                    if client.is_closed:
                        client.close()
                        client = connect(sluice, 2)
            assert client.ask("GET", QUERY).status == 200, "the connection no longer serves"
            client.close()
