"""TLS on both sides."""
import hashlib
import os
import ssl
import subprocess
import tempfile
import threading

from harness.waiting import PATIENCE_SECONDS, eventually
from wire.lib import http2_peer as h2
from wire.lib.house import case
from wire.lib.http1_client import check_fault
from wire.lib.http1_node import head_of
from wire.lib.http2_house import FLIGHT, GRPC
from wire.lib.http2_node import message
from wire.lib.tls import TlsH2Node, TlsNode, client_context, copy_pair, make_certificates, pair, pem, raw_connect, refusal, shown_name, take_leave, tls_client, tls_nodes

QUERY = "/api/v3/query_sql?db=d&q=x"
WRITE = "/api/v3/write_lp?db=d"
V12 = ssl.TLSVersion.TLSv1_2
V13 = ssl.TLSVersion.TLSv1_3
FAILURES = "sluice_tls_handshake_failures_total"
FULL = 'sluice_tls_handshakes_total{kind="full"}'
RESUMED = 'sluice_tls_handshakes_total{kind="resumed"}'

make_certificates()


# ---- clients ----

@case(("1.2", V12), ("1.3", V13))
def a_client_with_tls(house, _, version):
    with house.serve("iqc", tls=pair("default")) as sluice:
        with tls_client(sluice, client_context(version=version)) as client:
            assert client.socket.version() == f"TLSv{version.name[-3:].replace('_', '.')}"
            assert client.ask("GET", QUERY).node == "q1"
            assert client.ask("POST", WRITE, "m v=1 1").status == 204
        seen = sluice.q1.seen[0].headers
        assert seen["x-forwarded-proto"] == "https", seen
        sluice.ask("GET", QUERY)
        assert sluice.q1.seen[1].headers["x-forwarded-proto"] == "http"


@case()
def old_versions_are_refused(house):
    with house.serve("iqc", tls=pair("default")) as sluice:
        context = client_context()
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
        assert refusal(sluice, context) is not None
    with house.serve("iqc", tls={**pair("default"), "minimum_version": "1.3"}) as sluice:
        assert refusal(sluice, client_context(version=V12)) is not None
        assert refusal(sluice, client_context(version=V13)) is None


@case(("http/1.1 alone", ["http/1.1"], "http/1.1"), ("among others", ["spdy/3", "http/1.1"], "http/1.1"), ("none", None, None))
def the_protocol_is_agreed_on(house, _, offered, chosen):
    with house.serve("iqc", tls=pair("default")) as sluice:
        with tls_client(sluice, client_context(protocols=offered)) as client:
            assert client.socket.selected_alpn_protocol() == chosen
            assert client.ask("GET", QUERY).status == 200


@case()
def a_protocol_that_nobody_knows_is_refused(house):
    with house.serve("iqc", tls=pair("default")) as sluice:
        error = refusal(sluice, client_context(protocols=["spdy/3"]))
        assert "no application protocol" in error.lower(), error
        sluice.wait_metric(FAILURES, 1)


@case()
def the_name_chooses_the_certificate(house):
    section = {**pair("default"), "certificates": [pair("wild"), pair("exact")]}
    with house.serve("iqc", tls=section) as sluice:
        for name, shown in (("a.example", "default"), ("x.b.example", "wild"), ("exact.b.example", "exact")):
            with tls_client(sluice, name=name) as client:
                assert shown_name(client) == shown, name
        done = subprocess.run(["curl", "-s", "--cacert", pem("ca.pem"), "-o", "/dev/null", "-w", "%{http_code}",
                               "--connect-to", f"y.b.example:443:127.0.0.1:{sluice.tls_port}", f"https://y.b.example{QUERY}"],
                              stdout=subprocess.PIPE, text=True, timeout=PATIENCE_SECONDS, check=False)
        assert done.stdout == "200", done


@case(("1.2", V12), ("1.3", V13))
def a_session_goes_on_at_any_worker(house, _, version):
    with house.serve("iqc", {"workers": 4}, tls=pair("default")) as sluice:
        context = client_context(version=version)
        with tls_client(sluice, context) as client:
            assert not client.socket.session_reused
            assert client.ask("GET", QUERY).status == 200
            session = client.socket.session
        for _ in range(12):
            with tls_client(sluice, context, session=session) as client:
                assert client.socket.session_reused
                assert client.ask("GET", QUERY).status == 200
        sluice.wait_metric(FULL, 1)
        sluice.wait_metric(RESUMED, 12)


@case()
def openssl_reconnects(house):
    with house.serve("iqc", tls=pair("default")) as sluice:
        said = s_client(sluice, "-reconnect", "-tls1_2")
        assert said.count("Reused, TLSv1.2") == 5, said


def s_client(sluice, *options, said=""):
    """What openssl s_client prints; `said` is typed once it is connected."""
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{sluice.tls_port}", *options], input=said,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE_SECONDS, check=False)
    return done.stdout


@case()
def a_handshake_is_not_done_twice(house):
    with house.serve("iqc", tls=pair("default")) as sluice:
        said = s_client(sluice, "-tls1_2", said="R\n")  # its word for renegotiation
        assert "RENEGOTIATING" in said and "no renegotiation" in said, said


@case()
def no_data_goes_before_the_handshake(house):
    with house.serve("iqc", tls=pair("default")) as sluice:
        # With a request, so that it waits for the answer and sees the ticket before it.
        said = s_client(sluice, "-tls1_3", "-ign_eof", said="GET /ping HTTP/1.1\nHost: x\nConnection: close\n\n")
        assert "Max Early Data: 0" in said, said


@case(("1.2", V12), ("1.3", V13))
def clients_are_known_by_certificates(house, _, version):
    def context(certificate=None):
        return client_context(version=version, certificate=certificate)
    for wish, alone, known, stranger in (("none", True, True, True), ("optional", True, True, False),
                                         ("required", False, True, False)):
        section = {**pair("default"), "client_certificate": wish}
        if wish != "none":
            section["client_ca"] = pem("ca.pem")
        with house.serve("iqc", tls=section) as sluice:
            assert (refusal(sluice, context()) is None) == alone, wish
            assert (refusal(sluice, context("client")) is None) == known, wish
            sluice.wait_line('event=tls_handshake client=127.0.0.1 .*certificate="%s' % ("CN=" if wish != "none" else '"'))
            assert (refusal(sluice, context("stranger")) is None) == stranger, wish


@case()
def clear_text_is_not_answered(house):
    with house.serve("iqc", tls=pair("default")) as sluice:
        with raw_connect(sluice) as sock:
            sock.sendall(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
            got = b""
            while piece := sock.recv(1000):
                got += piece
            assert b"HTTP" not in got, got
        sluice.wait_metric(FAILURES, 1)
        sluice.wait_line('event=tls_handshake_failed client=127.0.0.1 reason="http request"')


@case(("silent", b""), ("half a hello", b"\x16\x03\x01\x02\x00\x01\x00"))
def a_slow_handshake_is_cut(house, _, sent):
    with house.serve("iqc", {"timeouts": {"tls_handshake": house.short(300)}}, tls=pair("default")) as sluice:
        with tls_client(sluice) as other, raw_connect(sluice) as sock:
            sock.sendall(sent)
            assert sock.recv(100) == b""
            # The deadline was that of the handshake alone.
            assert other.ask("GET", QUERY).status == 200
        sluice.wait_line("event=tls_handshake_failed .*not complete in time")
        sluice.wait_metric(FAILURES, 1)


@case()
def a_drain_does_not_wait_for_a_handshake(house):
    with house.serve("iqc", {"timeouts": {"drain": "10m"}}, tls=pair("default")) as sluice:
        with raw_connect(sluice):
            eventually(lambda: sluice.status()["sessions"] == 1)
            sluice.stop()


@case()
def an_answer_that_ends_the_connection_ends_tls(house):
    with house.serve("iqc", tls=pair("default")) as sluice:
        with tls_client(sluice) as client:
            answer = client.ask("GET", QUERY, headers={"Connection": "close"})
            assert answer.is_whole and answer.field("connection") == "close"
            assert client.socket.recv(100) == b""  # without close_notify this raises


# ---- both sides ----

@case(("1.2", V12), ("1.3", V13))
def large_bodies_go_both_ways(house, _, version):
    block = os.urandom(1 << 20)
    count = 24
    digest = hashlib.sha256(block * count).hexdigest()

    def large(link, _):
        link.send(head_of(200, {}, len(block) * count))
        for _ in range(count):
            link.send(block)
        return True
    nodes = tls_nodes("iqc", version=version)
    with house.serve(nodes, {"tls": {"ca": pem("ca.pem")}, "limits": {"replay": "0"}}, tls=pair("default")) as sluice:
        with tls_client(sluice, client_context(version=version)) as client:
            sluice.q1.script.put(large)
            answer = client.ask("GET", QUERY)
            assert answer.is_whole and hashlib.sha256(answer.body).hexdigest() == digest
            assert client.ask("POST", WRITE, block * count).status == 204
            assert hashlib.sha256(sluice.i1.seen[0].body).hexdigest() == digest
        for node in nodes:
            assert node.versions[0] == f"TLSv{version.name[-3:].replace('_', '.')}"


@case(("in order", True), ("cut", False))
def an_answer_without_length_needs_a_proper_end(house, _, is_orderly):
    def until_close(link, _):
        link.send(head_of(200, {"Connection": "close"}) + b"some rows")
        if is_orderly:
            take_leave(link)
        else:
            link.close()
        return False
    nodes = tls_nodes("iqc")
    with house.serve(nodes, {"tls": {"ca": pem("ca.pem")}}) as sluice:
        sluice.q1.script.put(until_close, until_close)
        answer = sluice.ask("GET", QUERY)
        assert answer.status == 200 and answer.body == b"some rows", answer
        assert answer.is_whole == is_orderly, answer


# ---- nodes ----

def only(sluice, count=1):
    return [node.handshakes[:count] for node in sluice.nodes]


@case(("its address", "default", {"ca": "ca.pem"}, {}), ("its own authority", "self", {"ca": "self.pem"}, {}),
      ("another name", "wild", {"ca": "ca.pem"}, {"server_name": "x.b.example"}),
      ("the node's own ca", "stranger", {"ca": "ca.pem"}, {"ca": "other-ca.pem"}),
      ("unverified", "expired", {"verify": False}, {}), ("one unverified", "self", {}, {"verify": False}))
def a_node_that_is_trusted(house, _, certificate, section, own):
    def paths(keys):
        return {key: pem(value) if key == "ca" else value for key, value in keys.items()}
    options = {"tls": paths(own)} if own else {}
    nodes = tls_nodes("iqc", certificate=certificate, **options)
    with house.serve(nodes, {"tls": paths(section)}) as sluice:
        assert sluice.ask("GET", QUERY).node == "q1"
        assert sluice.ask("POST", WRITE, "m v=1").status == 204
        # The dial goes on with the session of the probe.
        assert sluice.q1.handshakes == ["full", "resumed"], sluice.q1.handshakes


@case(("another authority", "stranger", {}, "unable to get local issuer certificate"),
      ("itself", "self", {}, "self-signed certificate"), ("another name", "wild", {}, "IP address mismatch"),
      ("the wrong name", "default", {"server_name": "c.example"}, "hostname mismatch"),
      ("the past", "expired", {}, "certificate has expired"))
def a_node_with_a_certificate_of(house, _, certificate, own, reason):
    options = {"tls": own} if own else {}
    nodes = tls_nodes("iqc", certificate=certificate, **options)
    with house.serve(nodes, {"tls": {"ca": pem("ca.pem")}, "health": {"interval": "100ms", "fall": 100}}) as sluice:
        sluice.wait_line(f'(?i)event=node_tls_unverified node=q1 url=https://127.*reason="certificate not accepted: {reason}')
        for method, target in (("GET", QUERY), ("POST", WRITE)):
            answer = sluice.ask(method, target)
            assert answer.status == 503 and b"router_" in answer.body, answer
        # Nothing was said to it, and the log does not repeat itself.
        eventually(lambda: len(sluice.q1.handshakes) >= 4)
        assert sluice.count_lines("event=node_tls_unverified node=q1 ") == 1
        assert not any(node.seen or node.probes for node in sluice.nodes)


@case(*[(http, *row) for http in (1, 2) for row in (
    ("self", None, V13, "tls_unverified"), ("default", "ca.pem", V13, "tls_failed"), ("default", "ca.pem", V12, "tls_failed"))])
def a_node_that_no_longer_fits_gets_nothing(house, http, certificate, client_ca, version, fault):
    with house.serve(tls_nodes("iqc", http == 2), {"tls": {"ca": pem("ca.pem")}}) as sluice:
        assert sluice.ask("POST", WRITE, "m v=1").status == 204
        for node in sluice.nodes:
            node.show(certificate, client_ca, version)
            for link in node.links:
                link.kill()
        for method, target in (("GET", QUERY), ("POST", WRITE)):
            check_fault(sluice.ask(method, target, "m v=1" if method == "POST" else b""), 503, fault, target)
        assert len(sluice.i1.seen) == 1 and not sluice.q1.seen


@case(*[(http, name, version) for http in (1, 2) for name, version in (("1.2", V12), ("1.3", V13))])
def a_node_that_asks_who_we_are(house, http, _, version):
    nodes = tls_nodes("iqc", http == 2, client_ca="ca.pem", version=version)
    with house.serve(nodes, {"tls": {"ca": pem("ca.pem"), **pair("client")}}) as sluice:
        assert sluice.ask("GET", QUERY).node == "q1"
        assert sluice.q1.subjects[0] == {"organizationName": "plant", "commonName": "telegraf"}
    nodes = tls_nodes("iqc", http == 2, client_ca="ca.pem", version=version)
    with house.serve(nodes, {"tls": {"ca": pem("ca.pem")}}) as sluice:
        sluice.wait_line("event=node_tls_failed node=q1 ")
        assert sluice.ask("POST", WRITE, "m v=1").status == 503
        assert not any(node.seen for node in sluice.nodes)


# ---- nodes whose http is 2 ----

def call(client):
    return client.begin("POST", FLIGHT, message("ticket"), GRPC, True).wait_over()


@case(("none", ["spdy/3"]), ("http/1.1", ["http/1.1"]))
def a_node_that_must_speak_http2_and_does_not_agree_to_it_is_down(house, _, protocols):
    nodes = [*tls_nodes("ic"), TlsH2Node("q1", "query", protocols=protocols)]
    with house.serve(nodes, {"tls": {"ca": pem("ca.pem")}}) as sluice, h2.Client(sluice.port) as client:
        sluice.wait_line("event=node_version_wrong node=q1 .*h2")
        assert sluice.node_status("q1")["health"] == "down", sluice.status()
        assert call(client).grpc_status == 14
        check_fault(client.ask("GET", QUERY), 503, "no_node", QUERY)
        sluice.q1.wait(lambda: sluice.q1.handshakes)  # the node tells of its handshake when it gets to run
        assert len(sluice.q1.handshakes) == 1 and not sluice.q1.seen


@case()
def a_node_that_agrees_to_http2_no_more_is_not_dialled_in_a_loop(house):
    nodes = [*tls_nodes("ic"), TlsH2Node("q1", "query")]
    with house.serve(nodes, {"tls": {"ca": pem("ca.pem")}}) as sluice, h2.Client(sluice.port) as client:
        assert call(client).grpc_status == 0
        sluice.q1.show("default", protocols=["http/1.1"])
        for link in sluice.q1.links:
            link.kill()
        dialled = len(sluice.q1.handshakes)
        failed = call(client)
        assert failed.grpc_status == 14, failed
        plain = client.ask("GET", QUERY)
        assert plain.status == 503 and len(sluice.q1.seen) == 1, plain
        assert len(sluice.q1.handshakes) - dialled <= 8, sluice.q1.handshakes


@case()
def another_node_is_asked_when_one_is_not_trusted(house):
    nodes = [TlsNode("q1", "query", certificate="self"), *tls_nodes("ic"), TlsNode("q2", "query")]
    with house.serve(nodes, {"tls": {"ca": pem("ca.pem")}}) as sluice:
        for _ in range(6):
            assert sluice.ask("GET", QUERY).node == "q2"


@case()
def a_node_without_tls_gets_no_request(house):
    class Plain(TlsNode):
        def serve(self, link):
            self.record(self.handshakes, link.socket.recv(3))
            link.socket.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            link.socket.close()
            link.note_end()
    nodes = [Plain("q1", "query"), *tls_nodes("ic")]
    with house.serve(nodes, {"tls": {"ca": pem("ca.pem")}}) as sluice:
        sluice.wait_line("event=node_tls_failed node=q1 .*wrong version number")
        assert sluice.ask("GET", QUERY).status == 503
        assert all(first == b"\x16\x03\x01" for first in sluice.q1.handshakes)


# ---- files that change ----

@case()
def a_certificate_is_replaced(house):
    with tempfile.TemporaryDirectory(prefix="sluice-tls-") as folder:
        copy_pair("default", folder)
        section = {"certificate": f"{folder}/live.pem", "key": f"{folder}/live.key"}
        with house.serve("iqc", tls=section) as sluice, tls_client(sluice) as old:
            assert old.ask("GET", QUERY).status == 200
            copy_pair("exact", folder, key=False)
            sluice.wait_line("event=certificate_not_loaded .*does not belong to the certificate")
            with tls_client(sluice) as client:
                assert shown_name(client) == "default"
            copy_pair("exact", folder, certificate=False)
            sluice.wait_line("event=certificate_loaded")
            with tls_client(sluice, name="exact.b.example") as client:
                assert shown_name(client) == "exact"
                assert client.ask("GET", QUERY).status == 200
            assert old.ask("GET", QUERY).status == 200
            assert sluice.count_lines("event=certificate_not_loaded") == 1
            assert sluice.count_lines("event=certificate_loaded") == 1


@case()
def certificates_are_replaced_under_load(house):
    with tempfile.TemporaryDirectory(prefix="sluice-tls-") as folder:
        copy_pair("default", folder)
        section = {"certificate": f"{folder}/live.pem", "key": f"{folder}/live.key"}
        context = client_context()
        context.check_hostname = False
        with house.serve("iqc", {"workers": 2}, tls=section) as sluice:
            is_over = threading.Event()
            errors = []

            def load():
                try:
                    while not is_over.is_set():
                        with tls_client(sluice, context) as client:
                            assert client.ask("GET", QUERY).status == 200
                except Exception as error:  # told by the case
                    errors.append(error)
            threads = [threading.Thread(target=load) for _ in range(4)]
            for thread in threads:
                thread.start()
            for count, name in enumerate(("exact", "default", "wild"), 1):
                copy_pair(name, folder)
                sluice.wait_line("event=certificate_loaded", count)
            is_over.set()
            for thread in threads:
                thread.join()
            assert not errors, errors
            assert sluice.count_lines("event=certificate_loaded") == 3


@case()
def the_trust_in_nodes_is_replaced(house):
    with tempfile.TemporaryDirectory(prefix="sluice-tls-") as folder:
        copy_pair("other-ca", folder)
        nodes = tls_nodes("iqc")
        settings = {"tls": {"ca": f"{folder}/live.pem"}, "health": {"interval": "100ms", "rise": 1}}
        with house.serve(nodes, settings) as sluice:
            check_fault(sluice.ask("GET", QUERY), 503, "no_node", QUERY)
            copy_pair("ca", folder)
            sluice.wait_line("event=certificate_loaded .*side=upstream")
            sluice.wait_line("event=node_health node=q1 state=up")
            assert sluice.ask("GET", QUERY).node == "q1"
