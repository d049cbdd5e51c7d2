"""Five stand-in nodes in the documented layout, and a Sluice configuration that fits them.

As a program it starts the nodes, writes the configuration, prints who is where, optionally runs a command, and keeps
going until SIGINT or SIGTERM; a node that dies is reported and nothing else, for killing one is part of a
demonstration:

    python3 tests/standin/cluster.py --config-out /tmp/sluice.yaml --run build/sluice serve -c {config}

As a class it serves tests:

    with Cluster(node_options=FAST) as cluster:
        cluster.control("ingester-01").fault({"status": 503, "count": 1})
        cluster.kill("ingester-02")
        cluster.restart("ingester-02")          # same address, same data
"""
import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.request

if not __package__:
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    __package__ = "standin"
    import standin  # noqa: F401  the package must be loaded before its modules are imported by relative names

from .sidecar import Sidecar

NODE_PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "node.py")
START_SECONDS = 60.0
STOP_SECONDS = 60.0
FAST = ["--wal-flush-interval", "20ms", "--replication-interval", "10ms", "--catalog-sync-interval", "50ms",
        "--shutdown-flush", "50ms"]
LAYOUT = (
    {"node_id": "ingester-01", "mode": "ingest", "cores": 48, "io_threads": 16, "datafusion_threads": 32},
    {"node_id": "ingester-02", "mode": "ingest", "cores": 48, "io_threads": 16, "datafusion_threads": 32},
    {"node_id": "query-01", "mode": "query", "cores": 48, "io_threads": 4, "datafusion_threads": 44},
    {"node_id": "compactor-01", "mode": "compact", "cores": 32, "io_threads": 4, "datafusion_threads": 28},
    {"node_id": "processor-01", "mode": "process,query", "cores": 16, "io_threads": 4, "datafusion_threads": 12},
)
DEMO_TRIGGERS = ["echo=echo@nodes:processor-01", "write=write@nodes:processor-01", "slow=slow@nodes:processor-01"]


class ClusterError(Exception):
    """A node did not start or did not stop."""


class Control:
    """The control listener of one node."""

    def __init__(self, address):
        self.address = address

    def call(self, method, path, fields=None):
        data = None if fields is None else json.dumps(fields).encode()
        request = urllib.request.Request(f"http://{self.address}{path}", data, method=method)
        with urllib.request.urlopen(request, timeout=START_SECONDS) as answer:
            return json.load(answer)

    def fault(self, fields):
        return self.call("POST", "/fault", fields)

    def clear(self):
        return self.call("POST", "/clear")

    def goaway(self, code=0):
        return self.call("POST", "/goaway", {"code": code})

    def seen(self, **filters):
        """What the node saw; filters are path, method, limit, summary."""
        query = "&".join(f"{name}={value}" for name, value in filters.items())
        return self.call("GET", f"/seen?{query}")


class NodeProcess:
    """One node's process: its arguments, and its addresses, which a restart keeps."""

    def __init__(self, entry, arguments, log_path, on_exit):
        self.entry = entry
        self.arguments = arguments
        self.log_path = log_path
        self.on_exit = on_exit
        self.address = None
        self.control_address = None
        self.process = None
        self.expected_to_end = False
        self.listening = threading.Event()

    @property
    def node_id(self):
        return self.entry["node_id"]

    def launch(self, http_port):
        """Starts the process; `wait_listening` tells when it serves."""
        arguments = list(self.arguments)
        arguments += ["--http-bind", self.address or f"127.0.0.1:{http_port}"]
        arguments += ["--control-bind", self.control_address or "127.0.0.1:0"]
        self.expected_to_end = False
        self.listening = threading.Event()
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([sys.executable, NODE_PROGRAM, *arguments], stdin=subprocess.DEVNULL,
                                            stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True)
        threading.Thread(target=self.watch, args=(self.process, self.listening), daemon=True).start()

    def watch(self, process, listening):
        """Reads the listening line, then waits for the end of the process. It may learn of that after the next one was
        started, so it has an event of its own."""
        for line in process.stdout:
            words = dict(word.split("=", 1) for word in line.split() if "=" in word)
            if line.startswith("listening "):
                self.address, self.control_address = words["address"], words["control"]
                listening.set()
        process.stdout.close()
        process.wait()
        listening.set()
        if not self.expected_to_end and process is self.process:
            self.on_exit(self)

    def wait_listening(self):
        if not self.listening.wait(START_SECONDS) or self.process.poll() is not None:
            with open(self.log_path, encoding="utf-8", errors="replace") as log:
                raise ClusterError(f"{self.node_id} did not start:\n{log.read()[-2000:]}")

    def end(self, number):
        """Sends a signal and waits for the end."""
        self.expected_to_end = True
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(number)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise ClusterError(f"{self.node_id} did not stop within {STOP_SECONDS:.0f} s and was killed")


class Cluster:
    """The nodes of one cluster on loopback. Not thread safe; `start` and `stop` come in pairs."""

    def __init__(self, directory=None, base_port=0, layout=LAYOUT, node_options=(), options_of=None, token=None,
                 cluster_id="demo-cluster", listen="127.0.0.1:0", admin="127.0.0.1:0", writeback="127.0.0.1:0",
                 on_exit=None, http2=False, certificate=None, more_listeners=()):
        """`base_port` 0 takes free ports, otherwise the nodes get base_port, base_port + 1, ... `node_options` go to
        every node, `options_of` {node_id: [...]} to one; `token` turns authentication on. The last addresses are
        those of the router in the configuration; port 0 there is replaced by a free one. With `http2` the nodes speak
        that, too, and gRPC; `certificate` (certificate file, key file) makes them speak TLS. `more_listeners` are
        further entries of the router's `listen`, in YAML."""
        self.temporary = directory is None
        self.directory = directory or tempfile.mkdtemp(prefix="standin-")
        self.base_port = base_port
        self.layout = layout
        self.cluster_id = cluster_id
        self.token = token
        self.listen, self.admin, self.writeback = (with_port(one) for one in (listen, admin, writeback))
        self.sidecar = Sidecar(os.path.join(self.directory, "logs", "sidecar.log")) if http2 else None
        self.certificate = certificate
        self.more_listeners = more_listeners
        self.on_exit = on_exit or (lambda node: None)
        self.nodes = {}
        os.makedirs(os.path.join(self.directory, "logs"), exist_ok=True)
        for entry in layout:
            arguments = self.arguments_of(entry) + list(node_options) + list((options_of or {}).get(
                entry["node_id"], []))
            log_path = os.path.join(self.directory, "logs", entry["node_id"] + ".log")
            self.nodes[entry["node_id"]] = NodeProcess(entry, arguments, log_path, self.on_exit)

    def arguments_of(self, entry):
        arguments = ["--node-id", entry["node_id"], "--mode", entry["mode"], "--cluster-id", self.cluster_id,
                     "--object-store", os.path.join(self.directory, "object-store"), "--exit-with-parent"]
        if self.token:
            path = os.path.join(self.directory, "token.json")
            with open(path, "w", encoding="utf-8") as file:
                json.dump({"token": self.token}, file)
            arguments += ["--token-file", path, "--disable-authz", "health,ping,metrics,ready"]
        else:
            arguments += ["--without-auth"]
        if "process" in entry["mode"]:
            plugin_dir = self.plugin_dir(entry["node_id"])
            os.makedirs(plugin_dir, exist_ok=True)
            arguments += ["--plugin-dir", plugin_dir, "--writeback-url", f"http://{self.writeback}"]
        if self.certificate:
            arguments += ["--tls-cert", self.certificate[0], "--tls-key", self.certificate[1]]
        return arguments

    @property
    def scheme(self):
        return "https" if self.certificate else "http"

    def plugin_dir(self, node_id):
        return os.path.join(self.directory, "plugins", node_id)

    def __enter__(self):
        return self.start()

    def __exit__(self, *error):
        self.stop()

    def start(self):
        """Starts all nodes at once and returns when all of them serve."""
        try:
            if self.sidecar is not None:
                self.sidecar.start()
            for node in self.nodes.values():
                node.arguments += ["--h2-dir", self.sidecar.directory] if self.sidecar else ["--no-http2"]
            for number, node in enumerate(self.nodes.values()):
                node.launch(self.base_port + number if self.base_port else 0)
            for node in self.nodes.values():
                node.wait_listening()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self):
        """Stops what still runs, all at once, and removes a temporary folder."""
        for node in self.nodes.values():
            node.expected_to_end = True
            if node.process is not None and node.process.poll() is None:
                node.process.terminate()
        for node in self.nodes.values():
            node.end(signal.SIGTERM)
        if self.sidecar is not None:
            self.sidecar.stop()
        if self.temporary:
            shutil.rmtree(self.directory, ignore_errors=True)

    def kill(self, node_id, number=signal.SIGKILL):
        """Ends one node; SIGTERM lets it go in order."""
        self.nodes[node_id].end(number)

    def signal(self, node_id, number):
        """Sends a signal without waiting for what comes of it."""
        self.nodes[node_id].expected_to_end = True
        self.nodes[node_id].process.send_signal(number)

    def restart(self, node_id):
        """Starts a node that has ended, at the address it had."""
        node = self.nodes[node_id]
        if node.process.poll() is None:
            raise ClusterError(f"{node_id} is still running")
        node.launch(0)
        node.wait_listening()

    def address(self, node_id):
        return self.nodes[node_id].address

    def pid(self, node_id):
        return self.nodes[node_id].process.pid

    def control(self, node_id):
        return Control(self.nodes[node_id].control_address)

    def config_text(self):
        """The Sluice configuration for these nodes."""
        lines = [f"cluster_id: {self.cluster_id}", "listen:", f"  - address: {self.listen}",
                 f"  - {{address: {self.writeback}, class: writeback}}",
                 *(f"  - {listener}" for listener in self.more_listeners), f"admin: {{address: {self.admin}}}", "nodes:"]
        for node in self.nodes.values():
            entry = node.entry
            mode = f'"{entry["mode"]}"' if "," in entry["mode"] else entry["mode"]
            plugin_dir = f', plugin_dir: "{self.plugin_dir(node.node_id)}"' if "process" in entry["mode"] else ""
            lines.append(
                f'  - {{node_id: {node.node_id}, url: "{self.scheme}://{node.address}", mode: {mode}{plugin_dir}, '
                f'cores: {entry["cores"]}, io_threads: {entry["io_threads"]}, '
                f'datafusion_threads: {entry["datafusion_threads"]}}}')
        return "\n".join(lines) + "\n"

    def write_config(self, path=None):
        """Writes the configuration and returns its path."""
        path = path or os.path.join(self.directory, "sluice.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.config_text())
        return path


def with_port(address):
    """The address with a free port in place of port 0."""
    host, _, port = address.rpartition(":")
    if port != "0":
        return address
    with socket.socket() as probe:
        probe.bind((host, 0))
        return f"{host}:{probe.getsockname()[1]}"


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(prog="cluster.py", allow_abbrev=False,
                                     description="Starts five stand-in nodes and keeps them until SIGINT.")
    add = parser.add_argument
    add("--directory", default=None, help="where data, logs and plugins go; by default a temporary folder")
    add("--ports", type=int, default=0, metavar="BASE", help="node ports BASE..BASE+4; by default free ones")
    add("--listen", default="127.0.0.1:8181", help="the router's address in the configuration")
    add("--admin", default="127.0.0.1:8180", help="the router's admin address in the configuration")
    add("--writeback", default="127.0.0.1:8191", help="the router's write-back listener in the configuration")
    add("--config-out", default=None, metavar="FILE")
    add("--token", default=None, help="turn authentication on with this admin token")
    add("--no-http2", action="store_true", help="nodes that answer HTTP/1.1 only")
    add("--node-option", action="append", default=[], metavar="OPTION=VALUE",
        help="passed to every node, for example --node-option=--wal-flush-interval=100ms")
    add("--run", nargs=argparse.REMAINDER, default=None, metavar="COMMAND",
        help="run this with {config} replaced by the configuration's path; must come last")
    return parser.parse_args(arguments)


def report_exit(node):
    print(f"node {node.node_id} (pid {node.process.pid}) ended with status {node.process.returncode}", flush=True)


def main(arguments):
    options = parse_arguments(arguments)
    ending = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ending.set())
    triggers = [word for trigger in DEMO_TRIGGERS for word in ("--trigger", trigger)]
    cluster = Cluster(directory=options.directory, base_port=options.ports, token=options.token,
                      node_options=options.node_option, options_of={"processor-01": triggers},
                      listen=options.listen, admin=options.admin, writeback=options.writeback, on_exit=report_exit,
                      http2=not options.no_http2)
    command, status = None, 0
    with cluster:
        config = cluster.write_config(options.config_out)
        for node in cluster.nodes.values():
            print(f"node {node.node_id:<12} mode {node.entry['mode']:<13} http://{node.address} "
                  f"control {node.control_address} pid {node.process.pid}", flush=True)
        print(f"config {config}", flush=True)
        try:
            if options.run:
                command = subprocess.Popen([word.replace("{config}", config) for word in options.run],
                                           start_new_session=True)
                print(f"command pid {command.pid}", flush=True)
            while not ending.wait(0.1):
                if command is not None and command.poll() is not None:
                    status = command.returncode
                    print(f"command ended with status {status}", flush=True)
                    break
        finally:
            stop_command(command)
    return status


def stop_command(command):
    """SIGTERM, then SIGKILL for one that does not listen."""
    if command is None or command.poll() is not None:
        return
    command.terminate()
    try:
        command.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        command.kill()
        command.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
