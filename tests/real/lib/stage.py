"""The stand-in cluster with Sluice in front of it, for real clients: authentication is on."""
import tempfile

from cluster.lib.stage import LAYOUT, Stage
from harness.loopback import FURTHER, own_address
from standin.certificates import Authority
from standin.flightmessages import SERVICE

TOKEN = "apiv3_a-token-for-real-clients"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


class ClientStage(Stage):
    """As the cluster tests have it; what the clients wrote is read with the token."""

    def read_back(self, database, text, wanted):
        self.read(database, text, wanted, headers=BEARER)

    def lose_ingest_nodes(self):
        for node_id in ("ingester-01", "ingester-02"):
            self.cluster.kill(node_id)

    @property
    def url(self):
        return f"http://{self.address}"


def clients(binary):
    """The documented layout; a token is needed for everything but the probes."""
    return ClientStage(binary, LAYOUT, token=TOKEN)


class TwoPorts(ClientStage):
    """Sluice has two listeners, clear text and TLS, and each of them serves every client."""

    def __init__(self, binary, encrypted_nodes=False):
        self.folder = tempfile.TemporaryDirectory(prefix="certificates-")
        self.authority = Authority(self.folder.name)
        host = own_address()
        certificate, key = self.authority.issue("sluice", f"IP:{host}", "DNS:localhost")
        self.tls_address = f"{host}:{FURTHER}"
        listener = f"{{address: {self.tls_address}, tls: {{certificate: {certificate}, key: {key}}}}}"
        more = {}
        if encrypted_nodes:
            more = {"certificate": self.authority.issue("node", "IP:127.0.0.1"),
                    "extra": f"tls: {{ca: {self.authority.ca}}}\n"}
        super().__init__(binary, LAYOUT, token=TOKEN, http2=True, more_listeners=[listener],
                         node_options=["--flight-keep-alive", "200ms"], **more)

    def __exit__(self, *error):
        super().__exit__(*error)
        self.folder.cleanup()

    @property
    def ca(self):
        return self.authority.ca

    @property
    def tls_url(self):
        return f"https://{self.tls_address}"

    def calls(self, method="DoGet"):
        """{node_id: the Flight calls that a node saw}, of nodes that saw one."""
        seen = {node_id: self.seen(node_id, SERVICE + method) for node_id in self.cluster.nodes}
        return {node_id: calls for node_id, calls in seen.items() if calls}

    def lose_query_nodes(self):
        for node_id in ("query-01", "processor-01"):
            self.cluster.kill(node_id)


def both_ports(binary):
    """Nodes in clear text, HTTP/2 and Flight included."""
    return TwoPorts(binary)


def encrypted(binary):
    """The same with nodes that speak TLS."""
    return TwoPorts(binary, encrypted_nodes=True)
