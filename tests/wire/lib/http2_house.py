"""What the cases of HTTP/2 share: Sluice between sides that each speak one version or the other."""
from wire.lib import http2_peer as h2
from wire.lib.house import MODES
from wire.lib.http1_node import Node, answer, head_of
from wire.lib.http1_verbs import then_silence
from wire.lib.http2_node import H2Node, fields_of, hang, reply

QUERY = "/api/v3/query_sql?db=d&q=SELECT+1"
WRITE = "/api/v3/write_lp?db=d"
FLIGHT = "/arrow.flight.protocol.FlightService/DoGet"
LINES = b"cpu,host=a usage=1 1700000000000000000\ncpu,host=b usage=2 1700000000000000001\n"
BARE = b"cpu,host=a usage=1\n"
GRPC = {"content-type": "application/grpc", "te": "trailers"}

SHORT = head_of(200, {"Content-Type": "application/json"}, 100) + b'{"half":'

# (the client's version, the node's version): every pair that HTTP/2 has a part in
VERSIONS = ((2, 1), (1, 2), (2, 2))


def make_nodes(letters, **keys):
    """"IiQc": a capital speaks HTTP/2, a small letter HTTP/1.1. They are named i1, i2, q1, c1. `keys` are for H2Node."""
    counts = {}
    nodes = []
    for letter in letters:
        small = letter.lower()
        counts[small] = counts.get(small, 0) + 1
        name = f"{small}{counts[small]}"
        plugin = {"plugin_dir": "/plugins"} if small == "p" else {}
        if letter == small:
            nodes.append(Node(name, MODES[small], http=1, **plugin))
        else:
            nodes.append(H2Node(name, MODES[small], **plugin, **keys))
    return nodes


def serve(house, letters, settings=None, **keys):
    return house.serve(make_nodes(letters, **keys), settings)


def serve_version(house, version, settings=None):
    """One ingest node, one query node and a compactor, all of this version."""
    return serve(house, "IQC" if version == 2 else "iqc", settings)


def connect(sluice, version):
    return h2.Client(sluice.port) if version == 2 else sluice.client()


def say(version, status, body=b"", **fields):
    """A verb for a node of this version."""
    return reply(status, body, **fields) if version == 2 else answer(status, body, **fields)


def pause_of(version):
    """A verb that never answers."""
    return hang if version == 2 else then_silence(b"")


def half_of(version):
    """A verb that sends half an answer."""
    def half(stream, _):
        stream.send_head(fields_of(200, {"content_type": "application/json"}))
        stream.send_data(b'{"half":')
        hang(stream, _)
    return half if version == 2 else then_silence(SHORT)


def check_alive(sluice, version=2):
    """Somebody else is served as if nothing had happened."""
    with connect(sluice, version) as client:
        answered = client.ask("GET", QUERY)
        assert answered.status == 200 and answered.is_whole, answered
