"""The options of a node. Those the database has keep its names and meaning; the rest say so in their help."""
import argparse
import re

MODES = ("ingest", "query", "compact", "process", "all")
UNIT_SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
VERSIONS = {"3.10": "3.10.5", "3.11": "3.11.2"}


def duration(text):
    """Seconds from 250ms, 1s, 10m; a bare number is milliseconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h|d)?", text)
    if not match:
        raise argparse.ArgumentTypeError(f"'{text}' is no duration; write it like 250ms or 1s")
    return float(match[1]) * UNIT_SECONDS[match[2] or "ms"]


def address(text):
    """(host, port) from host:port."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit():
        raise argparse.ArgumentTypeError(f"'{text}' is no address; write it like 127.0.0.1:8181")
    return host.strip("[]"), int(port)


def mode_list(text):
    modes = [word.strip() for word in text.split(",")]
    for mode in modes:
        if mode not in MODES:
            raise argparse.ArgumentTypeError(f"unknown mode '{mode}'; the modes are {', '.join(MODES)}")
    return modes


def word_list(text):
    return [word.strip() for word in text.split(",") if word.strip()]


def build_parser():
    parser = argparse.ArgumentParser(
        prog="node.py", description="Behaves on the wire as one influxdb3 Enterprise node.", allow_abbrev=False)
    add = parser.add_argument
    add("--node-id", required=True)
    add("--cluster-id", default=None)
    add("--mode", type=mode_list, default=["all"])
    add("--http-bind", type=address, default=("127.0.0.1", 8181))
    add("--object-store", required=True, metavar="DIR", help="folder that all nodes of a cluster share")
    add("--plugin-dir", default=None, metavar="DIR")
    add("--wal-flush-interval", type=duration, default=1.0)
    add("--replication-interval", type=duration, default=0.25)
    add("--catalog-sync-interval", type=duration, default=10.0)
    add("--max-http-request-size", type=int, default=10485760, metavar="BYTES")
    add("--max-concurrent-queries", type=int, default=None)
    add("--shutdown-timeout", type=duration, default=30.0)
    add("--tls-cert", default=None, metavar="FILE", help="serve TLS with this certificate and --tls-key")
    add("--tls-key", default=None, metavar="FILE")
    auth = parser.add_mutually_exclusive_group()
    auth.add_argument("--without-auth", action="store_true")
    auth.add_argument("--token-file", default=None, metavar="FILE",
                      help="admin token: a JSON object with 'token', or the bare token")
    add("--disable-authz", type=word_list, default=[], help="of: health,ping,metrics,ready,pprof,node_stop")
    add("--package-manager", choices=("discover", "disabled"), default="discover")
    own = parser.add_argument_group("only in the stand-in")
    add = own.add_argument
    add("--control-bind", type=address, default=None, help="listener for faults and for what was seen")
    add("--no-http2", action="store_true", help="answer HTTP/1.1 only")
    add("--h2-dir", default=None, metavar="DIR", help="folder of a running sidecar; without it the node starts one")
    add("--h2-max-streams", type=int, default=200, help="SETTINGS_MAX_CONCURRENT_STREAMS")
    add("--h2-window", type=int, default=1 << 20, metavar="BYTES", help="window of a stream and of a connection")
    add("--flight-keep-alive", type=duration, default=5.0, help="how often a silent DoGet sends an empty batch")
    add("--tls-client-ca", default=None, metavar="FILE", help="ask clients for a certificate that this CA signed")
    add("--version-quirk", choices=tuple(VERSIONS), default="3.11", help="imitate this release where they differ")
    add("--version-string", default=None, help="what /ping reports; by default follows --version-quirk")
    add("--storage-engine", choices=("upgraded", "parquet"), default="upgraded")
    add("--stub-executor", action="store_true", help="queries hit the unimplemented executor (405; v1: a panic)")
    add("--trigger", action="append", default=[], metavar="PATH=KIND[@nodes:a,b]",
        help="a built-in request trigger; KIND is echo, write, 404, slow or error")
    add("--writeback-url", type=word_list, default=[], help="where the trigger kind 'write' posts to, in turn")
    add("--serve-delay", type=duration, default=0.0, help="listen but do not serve for this long at start")
    add("--shutdown-flush", type=duration, default=0.2,
        help="after SIGTERM: how long writes are refused while the listener is still open")
    add("--exit-with-parent", action="store_true", help="die when the process that started this one is gone")
    return parser


def parse_settings(arguments):
    """The options as an object with `modes` (a set, process implied by a plugin folder); exits on bad ones."""
    parser = build_parser()
    settings = parser.parse_args(arguments)
    if not re.fullmatch(r"[A-Za-z0-9-]+", settings.node_id):
        parser.error(f"node-id '{settings.node_id}' may only have letters, digits and hyphens")
    if settings.cluster_id == settings.node_id:
        parser.error("cluster-id must differ from the node-id")
    if "process" in settings.mode and not settings.plugin_dir:
        parser.error("mode 'process' needs --plugin-dir")
    if (settings.tls_cert is None) != (settings.tls_key is None):
        parser.error("--tls-cert and --tls-key go together")
    settings.version = settings.version_string or VERSIONS[settings.version_quirk]
    settings.explicit_modes = frozenset(settings.mode)
    settings.modes = set(settings.mode)
    if "all" in settings.modes:
        settings.modes |= {"ingest", "query", "compact"}
    if settings.plugin_dir:
        settings.modes.add("process")
    return settings
