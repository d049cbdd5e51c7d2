"""The tool against others' HTTP/2: lib/http2_peer.py and lib/http2_node.py with nghttpd, nghttp, nghttpx and curl.

What the tool says about Sluice is worth something only if it understands the rest of the world.
"""
import contextlib
import hashlib
import os
import random
import socket
import ssl
import subprocess
import tempfile
import threading

from harness.sluice import ENDS_WITH_US
from harness.waiting import PATIENCE_SECONDS, eventually
from wire.lib import hpack, http2_peer as h2
from wire.lib.house import case
from wire.lib.http1_node import Script
from wire.lib.http2_node import GRPC, H2Node, grpc_reply, message, reply, reset

LARGE = bytes(range(256)) * 4096 * 3


def free_port():
    """Below the range from which the kernel takes the ports of clients: none of them can come in between."""
    while True:
        port = random.randrange(10000, 30000)
        try:
            socket.create_server(("127.0.0.1", port)).close()
            return port
        except OSError:
            continue


def is_listening(port):
    try:
        socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS).close()
        return True
    except ConnectionRefusedError:
        return False


@contextlib.contextmanager
def running(program, *arguments, port):
    process = subprocess.Popen([*ENDS_WITH_US, program, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: is_listening(port), program)
        yield
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def nghttpd(*options):
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "file"), "wb") as file:
            file.write(LARGE)
        with running("nghttpd", "-a", "127.0.0.1", "-d", folder, *options, port, *certificate(folder, options), port=port):
            yield port


def certificate(folder, options):
    if "--no-tls" in options:
        return ()
    key, cert = os.path.join(folder, "key"), os.path.join(folder, "cert")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "1",
                    "-subj", "/CN=localhost"], check=True, capture_output=True)
    return key, cert


@contextlib.contextmanager
def node(**keys):
    made = H2Node("q1", "query", **keys)
    try:
        yield made
        made.check()
    finally:
        made.close()


@contextlib.contextmanager
def nghttpx(made):
    port = free_port()
    with running("nghttpx", f"-f127.0.0.1,{port};no-tls", f"-b127.0.0.1,{made.port};;proto=h2", "--workers=1", "--errorlog-file=/dev/null",
                 "--conf=/dev/null", port=port):
        yield port


def run(*command):
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE_SECONDS, check=False)
    return done.stdout


# ---- HPACK against the examples of RFC 7541, appendix C ----

@case()
def hpack_reads_the_examples_of_its_rfc(_house):
    decoder = hpack.Decoder()
    for block, fields in (
            ("828684418cf1e3c2e5f23a6ba0ab90f4ff", [(":method", "GET"), (":scheme", "http"), (":path", "/"),
                                                    (":authority", "www.example.com")]),
            ("828684be5886a8eb10649cbf", [(":method", "GET"), (":scheme", "http"), (":path", "/"),
                                          (":authority", "www.example.com"), ("cache-control", "no-cache")]),
            ("828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
             [(":method", "GET"), (":scheme", "https"), (":path", "/index.html"), (":authority", "www.example.com"),
              ("custom-key", "custom-value")])):
        assert decoder.decode(bytes.fromhex(block)) == fields
    assert decoder.used == 164 and len(decoder.dynamic) == 3


@case()
def hpack_writes_what_it_reads(_house):
    for byte in range(256):
        fields = [("name", chr(byte) * 5)]
        for huffman in (False, True):
            assert hpack.Decoder().decode(hpack.encode(fields, huffman)) == fields
    decoder = hpack.Decoder()
    block = hpack.indexed_literal("a", "b" * 4000) + hpack.index(62) * 2
    assert decoder.decode(block) == [("a", "b" * 4000)] * 3
    assert decoder.decode(hpack.indexed_literal("c", "d" * 100) + hpack.index(62)) == [("c", "d" * 100)] * 2
    assert len(decoder.dynamic) == 1, "the older entry has to go"


@case()
def hpack_refuses_what_it_must(_house):
    for block in (b"\xc6", b"\x80", b"\x00\x85aaa", b"\x00\x01a\x81\x00", b"\x3f\xe2\x1f", b"\x00\x01a\x84\xff\xff\xff\xff"):
        try:
            fields = hpack.Decoder().decode(block)
        except hpack.HpackError:
            continue
        raise AssertionError(f"{block!r} was read as {fields}")


# ---- our client ----

@case()
def our_client_with_nghttpd(_house):
    with nghttpd("--no-tls", "--trailer=grpc-status: 0") as port, h2.Client(port) as client:
        answer = client.ask("GET", "/file")
        assert (answer.status, answer.body) == (200, LARGE) and answer.is_whole, answer
        assert answer.trailers == [("grpc-status", "0")], answer
        assert client.ask("GET", "/missing").status == 404
        assert client.ask("HEAD", "/file").is_whole
        assert client.exchange_pings()


@case()
def our_client_over_tls(_house):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    with nghttpd() as port, h2.Client(port, tls=context) as client:
        assert client.socket.protocol() == "h2"
        answer = client.ask("GET", "/file")
        assert (answer.status, answer.body) == (200, LARGE), answer


@case()
def our_client_withholds_its_window(_house):
    with nghttpd("--no-tls") as port, h2.Client(port, window=1000, gives_window=False) as client:
        stalled = client.begin("GET", "/file").wait_received(1000)
        assert client.exchange_pings() and stalled.received == 1000
        client.send(h2.window_update(stalled.number, 500))
        stalled.wait_received(1500)
        assert client.exchange_pings() and stalled.received == 1500
        stalled.reset()
        assert client.exchange_pings()


@case()
def our_client_breaks_the_rules(_house):
    with nghttpd("--no-tls") as port:
        with h2.Client(port) as client:
            client.new_stream().send_head(h2.request_fields("GET", "/file", [("Upper", "case")]), end=True)
            client.streams[1].wait_reset(h2.PROTOCOL_ERROR)
            assert client.ask("GET", "/file").status == 200
        with h2.Client(port) as client:
            client.send(h2.continuation(1, b""))
            assert client.wait_goaway().code == h2.PROTOCOL_ERROR
            client.wait_closed()


# ---- our node ----

@case()
def curl_with_our_node(_house):
    with node() as made:
        url = f"http://127.0.0.1:{made.port}/api/v3/query_sql?q=1"
        assert run("curl", "-s", "--http2-prior-knowledge", url) == b'{"node": "q1"}'
        assert run("curl", "-s", "--http2-prior-knowledge", "-d", "x=1", url) == b'{"node": "q1"}'
        assert [request.method for request in made.seen] == ["GET", "POST"]
        assert made.seen[1].body == b"x=1" and made.seen[1].headers["content-length"] == "3", made.seen[1].headers
        made.script.put(reply(200, LARGE))
        assert run("curl", "-s", "--http2-prior-knowledge", url) == LARGE


@case()
def nghttp_with_our_node(_house):
    with node() as made:
        made.script.put(grpc_reply(message("one")))
        output = run("nghttp", "-v", f"http://127.0.0.1:{made.port}/x").decode()
        assert ":status: 200" in output and "grpc-status: 0" in output, output
        made.script.put(reset(h2.REFUSED_STREAM))
        assert "error_code=REFUSED_STREAM(0x07)" in run("nghttp", "-v", f"http://127.0.0.1:{made.port}/x").decode()


@case()
def our_client_and_our_node_with_nghttpx_between(_house):
    with node() as made, nghttpx(made) as port, h2.Client(port) as client:
        made.script.put(reply(200, LARGE))
        assert client.ask("GET", "/").body == LARGE
        assert client.ask("POST", "/", LARGE).status == 200
        assert hashlib.sha256(made.seen[-1].body).digest() == hashlib.sha256(LARGE).digest()
        made.script.put(grpc_reply(message("one"), status=5, text="no such thing"))
        answer = client.ask("POST", "/", message("q"), {"content-type": "application/grpc", "te": "trailers"})
        assert answer.grpc_status == 5 and answer.trailer("grpc-message") == "no such thing", answer
        release = threading.Event()

        def late(stream, request):
            release.wait(PATIENCE_SECONDS)
            reply(200, "late", **GRPC)(stream, request)
        made.script = Script(late)
        first = client.begin("GET", "/first")
        assert client.ask("GET", "/second").status == 200
        assert not first.is_over()
        release.set()
        assert first.wait_over().body == b"late"
