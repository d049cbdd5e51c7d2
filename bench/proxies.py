"""The proxies that are compared, each with the configuration that gives it the same job (configs/ has them, with reasons).

The job: writes to the two ingest nodes, queries to the query node, backups to the compactor, the rest to the query
node; one worker, connections to the nodes kept alive or shared, the client's address forwarded, no access log.
"""

import http.client
import os
import re
import resource
import ssl
import subprocess
from dataclasses import dataclass

from children import BenchError, START_SECONDS, find_program, first_line, free_ports, wait_until

CONFIGURATIONS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "configs")
WRITE_PATHS = ("/api/v3/write_lp", "/api/v2/write", "/write")
BACKUP_PATH = "/api/v3/enterprise/backup"
FLIGHT_PATH = "/arrow.flight.protocol.FlightService/"
NODES = ("ingest-1", "ingest-2", "query-1", "compact-1")
CLIENT_CONNECTIONS = 12000

# Method, target, body, expected status, and the nodes that may answer: asked of each proxy before anything is measured.
ROLE_PROBES = (
    ("POST", "/api/v3/write_lp?db=bench", "cpu value=1 1704067200\n", 204, ("ingest-1", "ingest-2")),
    ("POST", "/api/v3/query_sql", '{"db":"bench","q":"SELECT 1"}', 200, ("query-1",)),
    ("GET", BACKUP_PATH, None, 200, ("compact-1",)),
)


@dataclass(frozen=True)
class Stage:
    """What is spoken on both sides of the proxies, and which of them take part."""

    name: str
    proxies: tuple
    downstream: str = "HTTP/1.1"
    upstream: str = "HTTP/1.1"
    tls: bool = False
    grpc: bool = False
    workers: int = 1
    hold_ms: int = 0        # how long a node holds each write

    @property
    def node_program(self):
        return "h2_responder" if self.upstream == "HTTP/2" else "responder"


H2_PROXIES = ("sluice", "haproxy", "nghttpx")
STAGES = {stage.name: stage for stage in (
    Stage("h1", ("sluice", "haproxy", "nginx", "relay")),
    Stage("h2", H2_PROXIES, "HTTP/2", "HTTP/2"),
    Stage("grpc", H2_PROXIES, "HTTP/2", "HTTP/2", grpc=True),
    Stage("h2-h1", H2_PROXIES, "HTTP/2", "HTTP/1.1"),
    Stage("tls", H2_PROXIES, "TLS 1.3, HTTP/1.1", "HTTP/1.1", tls=True),
    Stage("held", H2_PROXIES, "HTTP/1.1 and HTTP/2", "HTTP/2", hold_ms=1000),
    Stage("held-2", ("sluice",), "HTTP/1.1 and HTTP/2", "HTTP/2", workers=2, hold_ms=1000),
)}


def make_certificate(directory):
    """A self-signed ECDSA P-256 certificate, as (certificate, key, both in one file)."""
    certificate, key, both = (os.path.join(directory, name) for name in ("server.crt", "server.key", "server.pem"))
    if not os.path.exists(both):
        command = [find_program("openssl", "install Debian's package openssl"), "req", "-x509", "-nodes", "-days", "2",
                   "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", "/CN=localhost",
                   "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", certificate]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise BenchError(f"openssl made no certificate: {result.stderr}")
        with open(both, "w", encoding="ascii") as file:
            for path in (certificate, key):
                with open(path, encoding="ascii") as part:
                    file.write(part.read())
    return certificate, key, both


def fill(template, values):
    """The text of a file in configs/ with each @name@ replaced."""
    with open(os.path.join(CONFIGURATIONS, template), encoding="ascii") as file:
        return re.sub(r"@([a-z0-9_]+)@", lambda match: str(values[match.group(1)]) if match.group(1) in values
                      else match.group(0), file.read())


def ask_h2(url, body_path=None, fields=()):
    """One exchange by HTTP/2 with prior knowledge; all fields of the answer, trailers included, by name."""
    command = [find_program("nghttp", "install Debian's package nghttp2-client"), "-nv", "--no-dep", "--timeout=2"]
    for field in fields:
        command += ["-H", field]
    if body_path:
        command += ["-d", body_path]
    result = subprocess.run(command + [url], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            errors="replace", check=False)
    return dict(re.findall(r"recv \(stream_id=\d+\) (:?[a-z0-9-]+): (.*)", result.stdout))


class Proxy:
    """One proxy under test. `start` sets process and port; command and configuration belong to the subclass."""

    name = ""
    template = ""
    knows_http = True

    def __init__(self, settings, stage):
        self.settings = settings
        self.stage = stage
        self.process = None
        self.port = None

    def start(self, children, node_ports, core):
        """node_ports: node name -> port. Returns when the proxy routes each role to the right node."""
        self.port, admin_port = free_ports(2)
        values = {name.replace("-", "_"): port for name, port in node_ports.items()}
        values.update(port=self.port, admin_port=admin_port, backup_path=BACKUP_PATH)
        values.update(self.options(make_certificate(children.directory) if self.stage.tls else None))
        path = os.path.join(children.directory, f"{self.stage.name}-{self.template}")
        with open(path, "w", encoding="ascii") as file:
            file.write(fill(self.template, values))
        self.process = children.start(f"{self.stage.name}-{self.name}", self.command(path), core)
        self.await_routes(children)

    def await_routes(self, children):
        problems = []

        def is_routing():
            children.require_running(self.process)
            problems[:] = self.probe_problems() or self.h2_problems(children.directory)
            return not problems

        if not wait_until(is_routing, START_SECONDS):
            raise BenchError(f"{self.name} is not ready after {START_SECONDS} s: {'; '.join(problems)}\n"
                             f"its log: {children.last_words(self.process)}")

    def connect(self):
        if not self.stage.tls:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=4)
        # The harness made the certificate a moment ago: there is nothing to learn from verifying it.
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=4,
                                           context=ssl._create_unverified_context())

    def probe_problems(self):
        problems = []
        for method, target, body, status, nodes in ROLE_PROBES:
            connection = self.connect()
            try:
                connection.request(method, target, body)
                response = connection.getresponse()
                response.read()
                node = response.getheader("x-node")
                if response.status != status or (self.knows_http and node not in nodes):
                    problems.append(f"{method} {target}: {response.status} from {node}, "
                                    f"expected {status} from {' or '.join(nodes)}")
            except (OSError, http.client.HTTPException) as error:
                problems.append(f"{method} {target}: {error}")
            finally:
                connection.close()
        return problems

    def h2_problems(self, directory):
        """The same for clear-text HTTP/2, and for a gRPC call with its trailers where that is the workload."""
        if "HTTP/2" not in self.stage.downstream:
            return []
        url = f"http://127.0.0.1:{self.port}"
        answer = ask_h2(url + "/api/v3/query_sql?db=bench&q=SELECT")
        if (answer.get(":status"), answer.get("x-node")) != ("200", "query-1"):
            return [f"a query by HTTP/2: {answer or 'no answer'}, expected 200 from query-1"]
        if not self.stage.grpc:
            return []
        path = os.path.join(directory, "grpc-probe")
        with open(path, "wb") as file:
            file.write(b"\0\0\0\0\x05hello")
        answer = ask_h2(f"{url}{FLIGHT_PATH}GetFlightInfo", path, ("te: trailers", "content-type: application/grpc"))
        if (answer.get(":status"), answer.get("x-node"), answer.get("grpc-status")) != ("200", "query-1", "0"):
            return [f"a gRPC call: {answer or 'no answer'}, expected 200 from query-1 and grpc-status 0"]
        return []


class Sluice(Proxy):
    name = "sluice"
    template = "sluice.yaml"

    def program(self):
        path = os.path.abspath(self.settings.sluice)
        if not os.access(path, os.X_OK):
            raise BenchError(f"{self.settings.sluice}: no such program; run `make` first, "
                             "or leave sluice out of --proxies")
        return path

    def version(self):
        return first_line([self.program(), "--version"])

    def options(self, certificate):
        # A node that speaks HTTP/1.1 is found out by the probe, as it is for most users.
        version = ', http: "2"' if self.stage.upstream == "HTTP/2" else ""
        tls = f", tls: {{certificate: {certificate[0]}, key: {certificate[1]}}}" if certificate else ""
        return {"workers": self.stage.workers, "listen_options": tls, "node_options": version}

    def command(self, path):
        return [self.program(), "serve", "-c", path]


class Haproxy(Proxy):
    name = "haproxy"
    template = "haproxy.cfg"

    def program(self):
        return find_program("haproxy", "install Debian's package haproxy")

    def version(self):
        return first_line([self.program(), "-v"]).split(" - ")[0]

    def options(self, certificate):
        return {
            "write_paths": " ".join(WRITE_PATHS),
            "connections": CLIENT_CONNECTIONS,
            "server_options": " proto h2" if self.stage.upstream == "HTTP/2" else "",
            "bind_options": f" ssl crt {certificate[2]} alpn h2,http/1.1" if certificate else "",
            "tls_global": "    ssl-default-bind-options ssl-min-ver TLSv1.2" if certificate else "",
        }

    def command(self, path):
        return [self.program(), "-db", "-f", path]


class Nghttpx(Proxy):
    name = "nghttpx"
    template = "nghttpx.conf"

    def program(self):
        return find_program("nghttpx", "install Debian's package nghttp2-proxy")

    def version(self):
        return first_line([self.program(), "--version"])

    def options(self, certificate):
        return {
            "write_paths": ":".join(WRITE_PATHS),
            "descriptors": resource.getrlimit(resource.RLIMIT_NOFILE)[1],
            "frontend_options": "" if certificate else ";no-tls",
            "backend_options": ";proto=h2" if self.stage.upstream == "HTTP/2" else ";proto=http/1.1",
            "tls": f"private-key-file={certificate[1]}\ncertificate-file={certificate[0]}" if certificate else "",
        }

    def command(self, path):
        return [self.program(), f"--conf={path}"]


class Nginx(Proxy):
    name = "nginx"
    template = "nginx.conf"

    def program(self):
        return find_program("nginx", "install Debian's package nginx")

    def version(self):
        return first_line([self.program(), "-v"]).replace("nginx version: ", "")

    def options(self, _):
        locations = "\n".join(f"        location = {path} {{ proxy_pass http://ingest; }}" for path in WRITE_PATHS)
        return {"user": "user root;\n" if os.geteuid() == 0 else "", "write_locations": locations}

    def command(self, path):
        return [self.program(), "-p", os.path.dirname(path), "-e", "stderr", "-c", path]


class Relay(Proxy):
    name = "relay"
    knows_http = False

    def version(self):
        return "bench/relay.c"

    def start(self, children, node_ports, core):
        ports = [str(node_ports["ingest-1"]), str(node_ports["ingest-2"])]
        self.process, self.port = children.start_listener(self.name, [self.settings.relay, "0"] + ports, core)
        self.await_routes(children)


PROXIES = {proxy.name: proxy for proxy in (Sluice, Haproxy, Nghttpx, Nginx, Relay)}
