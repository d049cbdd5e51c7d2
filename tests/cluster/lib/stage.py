"""What tests need to have running: a stand-in cluster, and Sluice in front of it."""
import itertools
import os

from harness.client import call, target
from harness.loopback import ADMIN, LISTEN, WRITEBACK, own_address
from harness.sluice import PATIENT_SETTINGS, Sluice
from harness.waiting import eventually
from standin.cluster import FAST, LAYOUT, Cluster

INGESTERS = ("ingester-01", "ingester-02")
# A second node that can run plugins: what belongs to one of them, and what to both, can only be told apart with two.
PLUGIN_NODES = ("processor-01", "processor-02")
FULL_LAYOUT = LAYOUT + (
    {"node_id": "processor-02", "mode": "process,query", "cores": 16, "io_threads": 4, "datafusion_threads": 12},)
FULL_OPTIONS = {
    # Two releases that word a closed WAL differently.
    "ingester-02": ["--version-quirk", "3.10"],
    "processor-01": ["--trigger", "first=echo@nodes:processor-01", "--trigger", "write=write@nodes:processor-01"],
    "processor-02": ["--trigger", "pinned=echo@nodes:processor-02", "--trigger", "missing=404@nodes:processor-02"],
}


class Stage:
    """A cluster and Sluice. `cluster` and `sluice` may be used freely; recover() mends what a test broke."""

    def __init__(self, binary, layout=LAYOUT, options_of=None, token=None, extra="", node_options=(),
                 settings=PATIENT_SETTINGS, **more):
        """`settings` and `extra` go into the configuration; `more` are further options of the cluster."""
        self.host = own_address()
        self.cluster = Cluster(layout=layout, node_options=[*FAST, *node_options], options_of=options_of, token=token,
                               listen=f"{self.host}:{LISTEN}", admin=f"{self.host}:{ADMIN}",
                               writeback=f"{self.host}:{WRITEBACK}", **more)
        self.access_log = os.path.join(self.cluster.directory, "access.log")
        self.binary = binary
        self.extra = f"workers: 2\naccess_log: {self.access_log}\n{settings}{extra}"
        self.sluice = None
        self.numbers = itertools.count(1)

    def __enter__(self):
        cluster = self.cluster.start()
        try:
            self.sluice = Sluice(self.binary, cluster.directory, cluster.config_text() + self.extra, cluster.admin)
            self.sluice.start()
            self.sluice.wait_usable()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error):
        if self.sluice is not None:
            self.sluice.kill()
        self.cluster.stop()

    def end(self):
        self.sluice.stop()

    def describe(self):
        return "the end of Sluice's log:\n" + self.sluice.log_tail()

    def recover(self):
        """All nodes run, no fault is active, nothing was seen, and Sluice knows."""
        assert self.sluice.is_running(), f"Sluice ended with status {self.sluice.process.returncode}"
        for node_id, node in self.cluster.nodes.items():
            if node.process.poll() is not None:
                self.cluster.restart(node_id)
            self.cluster.control(node_id).clear()
        self.sluice.wait_usable()

    # -- requests through Sluice

    @property
    def address(self):
        return self.cluster.listen

    def database(self):
        """A name that no other test uses."""
        return f"db{next(self.numbers)}"

    def call(self, method, path, body=None, headers=None, **framing):
        return call(self.address, method, path, body, headers, **framing)

    def write(self, database, lines, headers=None):
        return self.call("POST", target("/api/v3/write_lp", db=database), lines, headers)

    def sql(self, database, text, headers=None):
        """Rows as dictionaries; the answer must be a 200."""
        path = target("/api/v3/query_sql", db=database, q=text, format="json")
        return self.call("GET", path, headers=headers).expect(200).json

    def read(self, database, text, wanted, headers=None):
        """Asks until the rows are the wanted ones: what was acknowledged is visible to queries a little later."""
        path = target("/api/v3/query_sql", db=database, q=text, format="json")
        last = [None]

        def matches():
            last[0] = self.call("GET", path, headers=headers)
            return last[0].status == 200 and last[0].json == wanted
        try:
            eventually(matches, text)
        except AssertionError as error:
            raise AssertionError(f"{error}; the last answer was {last[0].status} {last[0].body[:500]!r}, "
                                 f"wanted {wanted}") from None

    # -- what the nodes saw

    def seen(self, node_id, path):
        """The requests for a path that arrived at a node."""
        return self.cluster.control(node_id).seen(path=path)["requests"]

    def seen_count(self, path):
        """{node_id: how many requests for a path arrived there}."""
        return {node_id: len(self.seen(node_id, path)) for node_id in self.cluster.nodes}

    def fault(self, node_id, **effects):
        self.cluster.control(node_id).fault(effects)


def full(binary):
    """The documented layout with a second processing node, without authentication."""
    return Stage(binary, FULL_LAYOUT, FULL_OPTIONS)
