"""The proxies that are compared, each with the configuration that gives it the same job.

The job: writes to the two ingest nodes, queries to the query node, backups to the compactor, the rest to the query
node; one worker, connections to the nodes kept alive, the client's address forwarded, no access log.
"""

import http.client
import os

from children import BenchError, START_SECONDS, find_program, first_line, free_ports, wait_until

WRITE_PATHS = ("/api/v3/write_lp", "/api/v2/write", "/write")
BACKUP_PATH = "/api/v3/enterprise/backup"

# Method, target, body, expected status, and the nodes that may answer: asked of each proxy before anything is measured.
ROLE_PROBES = (
    ("POST", "/api/v3/write_lp?db=bench", "cpu value=1 1704067200\n", 204, ("ingest-1", "ingest-2")),
    ("POST", "/api/v3/query_sql", '{"db":"bench","q":"SELECT 1"}', 200, ("query-1",)),
    ("GET", BACKUP_PATH, None, 200, ("compact-1",)),
)

HAPROXY_CONFIGURATION = """\
global
    maxconn 4000
    nbthread 1

defaults
    mode http
    timeout connect 1s
    timeout client 60s
    timeout server 60s
    timeout http-request 10s
    timeout http-keep-alive 60s
    option http-keep-alive
    option forwardfor
    option redispatch
    retries 2
    http-reuse always
    balance roundrobin
    option httpchk
    http-check send meth GET uri /health ver HTTP/1.1 hdr Host node
    default-server check inter 2s

frontend influxdb
    bind 127.0.0.1:{port}
    acl is_write path {write_paths}
    acl is_backup path_beg {backup_path}
    use_backend ingest if is_write
    use_backend compact if is_backup
    default_backend query

backend ingest
    server ingest-1 127.0.0.1:{ingest_1}
    server ingest-2 127.0.0.1:{ingest_2}

backend query
    server query-1 127.0.0.1:{query_1}

backend compact
    server compact-1 127.0.0.1:{compact_1}
"""

NGINX_CONFIGURATION = """\
{user}daemon off;
worker_processes 1;
worker_rlimit_nofile 8192;
pid nginx.pid;
error_log stderr error;

events {{
    worker_connections 4000;
}}

http {{
    access_log off;
    keepalive_timeout 60s;
    keepalive_requests 1000000000;
    client_max_body_size 10m;
    client_body_temp_path nginx-body;
    proxy_temp_path nginx-proxy;
    fastcgi_temp_path nginx-fastcgi;
    uwsgi_temp_path nginx-uwsgi;
    scgi_temp_path nginx-scgi;

    upstream ingest {{
        server 127.0.0.1:{ingest_1};
        server 127.0.0.1:{ingest_2};
        keepalive 128;
        keepalive_requests 1000000000;
    }}
    upstream query {{
        server 127.0.0.1:{query_1};
        keepalive 128;
        keepalive_requests 1000000000;
    }}
    upstream compact {{
        server 127.0.0.1:{compact_1};
        keepalive 128;
        keepalive_requests 1000000000;
    }}

    proxy_http_version 1.1;
    proxy_request_buffering off;
    proxy_set_header Connection "";
    proxy_set_header Host $host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;

    server {{
        listen 127.0.0.1:{port} backlog=1024;
{write_locations}
        location {backup_path} {{ proxy_pass http://compact; }}
        location / {{ proxy_pass http://query; }}
    }}
}}
"""

SLUICE_CONFIGURATION = """\
cluster_id: bench
workers: 1
listen:
  - address: 127.0.0.1:{port}
admin: {{address: "127.0.0.1:{admin_port}"}}
nodes:
  - {{node_id: ingest-1, url: "http://127.0.0.1:{ingest_1}", mode: ingest, io_threads: 4}}
  - {{node_id: ingest-2, url: "http://127.0.0.1:{ingest_2}", mode: ingest, io_threads: 4}}
  - {{node_id: query-1, url: "http://127.0.0.1:{query_1}", mode: query}}
  - {{node_id: compact-1, url: "http://127.0.0.1:{compact_1}", mode: compact}}
"""


class Proxy:
    """One proxy under test. `start` sets process and port; command and configuration belong to the subclass."""

    name = ""
    knows_http = True

    def __init__(self, settings):
        self.settings = settings
        self.process = None
        self.port = None

    def start(self, children, node_ports, core):
        """node_ports: node name -> port. Returns when the proxy routes each role to the right node."""
        self.port, admin_port = free_ports(2)
        values = {name.replace("-", "_"): port for name, port in node_ports.items()}
        path = os.path.join(children.directory, f"{self.name}.conf")
        with open(path, "w", encoding="ascii") as file:
            file.write(self.configuration(dict(values, port=self.port, admin_port=admin_port)))
        self.process = children.start(self.name, self.command(path), core)
        self.await_routes(children)

    def await_routes(self, children):
        problems = []

        def is_routing():
            children.require_running(self.process)
            problems[:] = self.probe_problems()
            return not problems

        if not wait_until(is_routing, START_SECONDS):
            raise BenchError(f"{self.name} is not ready after {START_SECONDS} s: {'; '.join(problems)}\n"
                             f"its log: {children.last_words(self.process)}")

    def probe_problems(self):
        problems = []
        for method, target, body, status, nodes in ROLE_PROBES:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
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


class Sluice(Proxy):
    name = "sluice"

    def program(self):
        path = os.path.abspath(self.settings.sluice)
        if not os.access(path, os.X_OK):
            raise BenchError(f"{self.settings.sluice}: no such program; run `make` first, "
                             "or leave sluice out of --proxies")
        return path

    def version(self):
        return first_line([self.program(), "--version"])

    def configuration(self, values):
        return SLUICE_CONFIGURATION.format(**values)

    def command(self, path):
        return [self.program(), "serve", "-c", path]


class Haproxy(Proxy):
    name = "haproxy"

    def program(self):
        return find_program("haproxy", "install Debian's package haproxy")

    def version(self):
        return first_line([self.program(), "-v"]).split(" - ")[0]

    def configuration(self, values):
        return HAPROXY_CONFIGURATION.format(write_paths=" ".join(WRITE_PATHS), backup_path=BACKUP_PATH, **values)

    def command(self, path):
        return [self.program(), "-db", "-f", path]


class Nginx(Proxy):
    name = "nginx"

    def program(self):
        return find_program("nginx", "install Debian's package nginx")

    def version(self):
        return first_line([self.program(), "-v"]).replace("nginx version: ", "")

    def configuration(self, values):
        locations = "\n".join(f"        location = {path} {{ proxy_pass http://ingest; }}" for path in WRITE_PATHS)
        user = "user root;\n" if os.geteuid() == 0 else ""
        return NGINX_CONFIGURATION.format(user=user, write_locations=locations, backup_path=BACKUP_PATH, **values)

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


PROXIES = {proxy.name: proxy for proxy in (Sluice, Haproxy, Nginx, Relay)}
