"""The stand-in cluster with Sluice in front of it, for real clients: authentication is on."""
from cluster.stage import LAYOUT, Stage

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
