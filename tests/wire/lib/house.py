"""What a case gets: Sluice in front of scripted nodes; and how a file of cases registers them."""
import os
import socket
import tempfile
import threading

from harness.loopback import reserve_port
from harness.sluice import PATIENT_TIMEOUTS, Sluice
from harness.waiting import PATIENCE_SECONDS, eventually
from wire.lib.http1_client import Client, ask
from wire.lib.http1_node import Node

MODES = {"i": "ingest", "q": "query", "c": "compact", "p": "process"}
# A node that runs only what it was told to is never probed a second time, so that no probe disturbs a case.
SETTINGS = {
    "log_level": "debug",  # each failed attempt has a line there
    "timeouts": PATIENT_TIMEOUTS,
    "health": {"interval": "1h", "timeout": "60s", "rise": 2, "fall": 1},
    # Nodes get bodies as they come, for cases in which they meet a part, and little is kept of them, for cases about memory.
    "limits": {"request_buffer": 0, "replay": "1MiB"},
    "workers": 1,
}


def make_nodes(letters):
    """"iiqc" is two ingest nodes i1 and i2, a query node q1 and a compactor c1; p makes process nodes."""
    counts = {}
    nodes = []
    for letter in letters:
        counts[letter] = counts.get(letter, 0) + 1
        keys = {"plugin_dir": "/plugins"} if letter == "p" else {}
        nodes.append(Node(f"{letter}{counts[letter]}", MODES[letter], **keys))
    return nodes


def merge(base, more):
    result = dict(base)
    for key, value in more.items():
        result[key] = merge(result[key], value) if isinstance(value, dict) and key in result else value
    return result


# Its own view of the file system, in which $0 is /etc/hosts. Who is not root is root there.
OWN_HOSTS = ("unshare", "-m" if os.geteuid() == 0 else "-rm", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"')


class WireSluice(Sluice):
    """Started on entry to a with block, when each node was probed once; on exit it must end in order, and the nodes must not
    have seen what no peer may send."""

    def __init__(self, binary, nodes, settings=None, tls=None):
        """`tls`: the section of one more listener, at tls_port."""
        self.nodes = nodes
        self.temporary = tempfile.TemporaryDirectory(prefix="sluice-wire-")
        reserved = [reserve_port() for _ in range(4)]
        self.reserved = [sock for sock, _ in reserved]
        self.port, self.writeback_port, self.admin_port, self.tls_port = [port for _, port in reserved]
        self.configuration = configuration = merge(SETTINGS, settings or {})
        configuration.update({
            "cluster_id": "wire",
            "listen": [f"127.0.0.1:{self.port}", {"address": f"127.0.0.1:{self.writeback_port}", "class": "writeback"}],
            "admin": {"address": f"127.0.0.1:{self.admin_port}"},
            "nodes": [node.configuration() for node in nodes],
        })
        if tls is not None:
            configuration["listen"].append({"address": f"127.0.0.1:{self.tls_port}", "tls": tls})
        super().__init__(binary, self.temporary.name, configuration, f"127.0.0.1:{self.admin_port}")
        for node in nodes:
            setattr(self, node.name, node)  # sluice.i1

    def __enter__(self):
        try:
            self.start()
            for node in self.nodes:
                self.wait_line(f"event=node_health node={node.name} ")
        except BaseException:
            self.clean_up()
            raise
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self.stop()
                for node in self.nodes:
                    node.check()
        finally:
            self.clean_up()

    def clean_up(self):
        self.kill()
        for node in self.nodes:
            node.close()
        for sock in self.reserved:
            sock.close()
        self.temporary.cleanup()

    def show_hosts(self, *lines):
        """These are the lines of /etc/hosts for this Sluice, from its start or from now on."""
        path = f"{self.temporary.name}/hosts"
        with open(path, "w", encoding="utf-8") as file:
            file.write("".join(f"{line}\n" for line in ("127.0.0.1 localhost", *lines)))
        self.launcher = (*OWN_HOSTS, path)
        return self

    def configured(self, nodes=None, **keys):
        """The configuration with other nodes, or other values of top-level keys (mappings are merged)."""
        changed = merge(self.configuration, keys)
        if nodes is not None:
            changed["nodes"] = [node.configuration() for node in nodes]
        return changed

    def adopt(self, *nodes):
        """Nodes that a reload is about to bring: they end with the case."""
        self.nodes = [*self.nodes, *nodes]
        for node in nodes:
            setattr(self, node.name, node)
        return self.nodes

    @staticmethod
    def is_refused(port):
        """Does nothing listen there any more? A socket that closes while this connection is in its queue resets it: that is the
        moment before, not yet the answer."""
        try:
            socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS).close()
            return False
        except ConnectionResetError:
            return False
        except ConnectionRefusedError:
            return True

    def wait_drain(self):
        """Until the drain has begun: the listener that clients know takes nobody any more."""
        eventually(lambda: self.is_refused(self.port), "a listener that is closed")

    def client(self, **options):
        return Client(self.port, **options)

    def ask(self, *arguments, **options):
        return ask(self.port, *arguments, **options)


class House:
    """What a case gets: the binary, and `serve`, which makes a Sluice in front of fresh nodes."""

    def __init__(self, binary, scale=1):
        self.binary = binary
        self.scale = scale
        self.is_timed = False

    def milliseconds(self, count):
        """A time that the case is about, for one that has to pass before something else does. On a machine that is too slow for it
        the case would fail, so a case that has asked for one is tried again with all of them longer."""
        self.is_timed = True
        return count * self.scale

    def short(self, milliseconds):
        """The same as a value of the configuration."""
        return f"{self.milliseconds(milliseconds)}ms"

    def pause(self, seconds):
        """Lets that much of such a time pass: the pace of a slow client, the age of a link."""
        threading.Event().wait(self.milliseconds(seconds * 1000) / 1000)

    def serve(self, letters, settings=None, prepare=None, tls=None):
        """`prepare(nodes)` changes the nodes before Sluice starts; nodes are attributes of the result (sluice.i1)."""
        nodes = make_nodes(letters) if isinstance(letters, str) else letters
        if prepare is not None:
            prepare({node.name: node for node in nodes})
        return WireSluice(self.binary, nodes, settings, tls)


CASES = []   # (name, function, its arguments behind the house)
TABLES = []  # functions whose rows are cases


def case(*rows):
    """Registers a function as one case, or as one for each row; a row is a tuple of arguments after the house."""
    def register(function):
        name = function.__name__.replace("_", " ")
        if not rows:
            CASES.append((name, function, ()))
        for row in rows:
            words = [str(word) for word in row if isinstance(word, (str, int)) and len(str(word)) < 40]
            CASES.append((f"{name}: {', '.join(word for word in words if word != '_')}", function, row))
        return function
    return register


def table(function):
    """Registers a generator whose rows share a Sluice: `function(house, wanted)` yields (name of the row, None or what is wrong)
    for each row whose name is `wanted(name)`."""
    TABLES.append(function)
    return function
