"""What cases of TLS need: certificates, clients that speak it, and nodes that do."""
import os
import shutil
import socket
import ssl
import subprocess

from harness.waiting import PATIENCE_SECONDS
from wire.lib.house import MODES
from wire.lib.http1_client import Client
from wire.lib.http1_node import Node
from wire.lib.http2_node import H2Node
from wire.lib.http2_peer import TlsSocket

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
CERTIFICATES = os.path.join(ROOT, "build", "test-tls")


def make_certificates():
    subprocess.run([os.path.join(ROOT, "tests", "certificates.sh")], check=True, timeout=60)


def pem(name):
    return os.path.join(CERTIFICATES, name)


def pair(name):
    """The keys of a configuration for NAME.pem and NAME.key."""
    return {"certificate": pem(f"{name}.pem"), "key": pem(f"{name}.key")}


def copy_pair(name, folder, certificate=True, key=True):
    """Puts a pair at FOLDER/live.*, each file with one rename, as deployment tools do it."""
    for suffix, is_wanted in ((".pem", certificate), (".key", key)):
        if is_wanted:
            shutil.copy(pem(name + suffix), os.path.join(folder, "fresh"))
            os.rename(os.path.join(folder, "fresh"), os.path.join(folder, "live" + suffix))


def client_context(ca="ca.pem", version=None, protocols=None, certificate=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(pem(ca))
    if version is not None:
        context.minimum_version = context.maximum_version = version
    if protocols is not None:
        context.set_alpn_protocols(protocols)
    if certificate is not None:
        context.load_cert_chain(pem(f"{certificate}.pem"), pem(f"{certificate}.key"))
    return context


def tls_client(sluice, context=None, name="a.example", session=None):
    """A client whose handshake is done. What the other side does not close in order raises, as it should."""
    context = context or client_context()
    return Client(sluice.tls_port, wrap=lambda sock: context.wrap_socket(
        sock, server_hostname=name, session=session, suppress_ragged_eofs=False))


def shown_name(client):
    return dict(item[0] for item in client.socket.getpeercert()["subject"])["commonName"]


def refusal(sluice, context, name="a.example"):
    """The error that a client gets, in its handshake or (over TLS 1.3) with the first bytes; None when it gets an answer."""
    try:
        with tls_client(sluice, context, name) as client:
            client.socket.sendall(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
            return None if client.socket.recv(100) else "closed"
    except (ssl.SSLError, OSError) as error:
        return str(error)


class TlsNode(Node):
    """A node that speaks TLS. `handshakes` has a word for each connection: resumed, full, or the error."""

    def __init__(self, name, mode, certificate="default", client_ca=None, version=None, **keys):
        self.handshakes = []
        self.subjects = []
        self.versions = []
        self.show(certificate, client_ca, version)
        super().__init__(name, mode, **keys)

    def show(self, certificate, client_ca=None, version=None, protocols=("http/1.1",)):
        """For connections from now on."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem(f"{certificate}.pem"), pem(f"{certificate}.key"))
        context.set_alpn_protocols(list(protocols))
        if version is not None:
            context.minimum_version = context.maximum_version = version
        if client_ca is not None:
            context.load_verify_locations(pem(client_ca))
            context.verify_mode = ssl.CERT_REQUIRED
        self.context = context

    def configuration(self):
        return {**super().configuration(), "url": f"https://127.0.0.1:{self.port}"}

    def wrap(self, sock):
        return self.context.wrap_socket(sock, server_side=True, suppress_ragged_eofs=False)

    def serve(self, link):
        try:
            link.socket = self.wrap(link.socket)
        except (ssl.SSLError, OSError) as error:
            self.record(self.handshakes, str(error))
            link.socket.close()
            link.note_end()
            return
        self.versions.append(link.socket.version())
        subject = link.socket.getpeercert()
        self.subjects.append(subject and dict(item[0] for item in subject["subject"]))
        self.record(self.handshakes, "resumed" if link.socket.session_reused else "full")
        super().serve(link)


class TlsH2Node(TlsNode, H2Node):
    """The same with HTTP/2; `protocols` are what it agrees to."""

    def __init__(self, name, mode, protocols=("h2",), **keys):
        self.protocols = protocols
        super().__init__(name, mode, **keys)

    def show(self, certificate, client_ca=None, version=None, protocols=None):
        super().show(certificate, client_ca, version, protocols or self.protocols)

    def wrap(self, sock):
        return TlsSocket(sock, self.context)


def tls_nodes(letters, speaks_http2=False, **options):
    """As make_nodes, but all of them speak TLS with the same options."""
    kind = TlsH2Node if speaks_http2 else TlsNode
    return [kind(f"{letter}1", MODES[letter], **options) for letter in letters]


def take_leave(link):
    """close_notify, then the end."""
    try:
        link.socket.settimeout(PATIENCE_SECONDS)
        link.socket.unwrap()
    except (ssl.SSLError, OSError):
        pass
    link.close()


def raw_connect(sluice):
    sock = socket.create_connection(("127.0.0.1", sluice.tls_port))
    sock.settimeout(PATIENCE_SECONDS)
    return sock
