#include "topology/schema.h"

#include <inttypes.h>

/* scope, offset, width */
#define TOPOLOGY(field) SCHEMA_SCOPE_TOPOLOGY, offsetof(struct topology, field), sizeof(((struct topology *)0)->field)
#define NODE(field) SCHEMA_SCOPE_NODE, offsetof(struct topology_node, field), sizeof(((struct topology_node *)0)->field)
#define ROUTE(field) \
    SCHEMA_SCOPE_ROUTE, offsetof(struct topology_route, field), sizeof(((struct topology_route *)0)->field)
#define LISTENER(field) \
    SCHEMA_SCOPE_LISTENER, offsetof(struct topology_listener, field), sizeof(((struct topology_listener *)0)->field)
#define CERTIFICATE(field) \
    SCHEMA_SCOPE_CERTIFICATE, offsetof(struct tls_pair, field), sizeof(((struct tls_pair *)0)->field)
/* A URL or an address sets several fields, so its offset is that of the whole struct. */
#define WHOLE(scope, type) scope, 0, sizeof(type)
#define NOTHING SCHEMA_SCOPE_TOPOLOGY, 0, 0

/* The value of a macro as text. */
#define DIGITS(n) DIGITS_OF(n)
#define DIGITS_OF(n) #n

#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)
#define GIB(n) ((uint64_t)(n) << 30)
#define SECONDS(n) ((uint64_t)(n) * 1000)
#define MINUTES(n) SECONDS((n) * 60)
#define HOURS(n) MINUTES((n) * 60)

/* Timeouts that may be 0 say in `zero` what that means; the others would let an exchange hang or never start. */
const struct schema_row schema_rows[] = {
    {"cluster_id", SCHEMA_TEXT, TOPOLOGY(cluster_id), .minimum = 1, .maximum = 128, .change = SCHEMA_CHANGE_REFUSED,
     .help = "the --cluster-id of every node; must differ from each node_id"},

    {"storage_engine", SCHEMA_CHOICE, TOPOLOGY(storage_engine), .fallback = "upgraded", .words = "upgraded parquet",
     .help = "that of the cluster; parquet where it is older than 3.11 and was not upgraded since"},

    {"listen", SCHEMA_LIST, NOTHING,
     .help = "where clients connect: a list of addresses, or of mappings with the keys below"},
    {"listen[].address", SCHEMA_ADDRESS, WHOLE(SCHEMA_SCOPE_LISTENER, struct topology_listener), .is_required = true,
     .help = "host:port, an IPv6 address in brackets; port 0 lets the system choose; or unix:/absolute/path"},
    {"listen[].mode", SCHEMA_FILE_MODE, LISTENER(mode),
     .help = "permissions of a Unix-domain socket, as \"0660\"; by default what the umask leaves"},
    {"listen[].proxy_protocol", SCHEMA_BOOLEAN, LISTENER(proxy_protocol), .fallback = "false",
     .help = "each connection must begin with a PROXY protocol header, version 1 or 2"},
    {"listen[].proxy_from", SCHEMA_NETWORKS, LISTENER(proxy_from),
     .help = "addresses of the load balancers that may send it; all others are closed at once"},
    {"listen[].class", SCHEMA_CLASS, LISTENER(class), .words = "writeback",
     .help = "every write that arrives here is of this class; for plugins that write back"},

    {"listen[].tls", SCHEMA_SECTION, NOTHING,
     .help = "clients speak TLS here; certificate files are read again when they change"},
    {"listen[].tls.certificate", SCHEMA_TEXT, LISTENER(pair.certificate), .minimum = 1, .maximum = 4096,
     .help = "PEM file: the certificate, then those that lead to its authority"},
    {"listen[].tls.key", SCHEMA_TEXT, LISTENER(pair.key), .minimum = 1, .maximum = 4096,
     .help = "PEM file: the private key; without it, it is in the certificate's file"},
    {"listen[].tls.certificates", SCHEMA_LIST, NOTHING,
     .help = "more of them: the host that a client names (SNI) decides, else the first one"},
    {"listen[].tls.certificates[].certificate", SCHEMA_TEXT, CERTIFICATE(certificate), .minimum = 1, .maximum = 4096,
     .is_required = true,
     .help = "PEM file: a certificate, then those that lead to its authority"},
    {"listen[].tls.certificates[].key", SCHEMA_TEXT, CERTIFICATE(key), .minimum = 1, .maximum = 4096,
     .help = "PEM file: its private key; without it, it is in the certificate's file"},
    {"listen[].tls.minimum_version", SCHEMA_CHOICE, LISTENER(tls.minimum_version), .fallback = "1.2", .words = "1.2 1.3",
     .help = "the oldest TLS that is spoken"},
    {"listen[].tls.kernel", SCHEMA_BOOLEAN, LISTENER(tls.kernel), .fallback = "false",
     .help = "let the kernel encrypt what is sent (kTLS) where it can; else nothing changes"},
    {"listen[].tls.client_certificate", SCHEMA_CHOICE, LISTENER(tls.client_certificate), .fallback = "none",
     .words = "none optional required",
     .help = "whether clients are asked for a certificate of client_ca"},
    {"listen[].tls.client_ca", SCHEMA_TEXT, LISTENER(tls.client_ca), .minimum = 1, .maximum = 4096,
     .help = "PEM file: the authorities that vouch for clients"},

    {"admin", SCHEMA_SECTION, NOTHING,
     .help = "the operator's own listener: status and metrics; without it there is none"},
    {"admin.address", SCHEMA_ADDRESS, TOPOLOGY(admin), .is_required = true,
     .help = "host:port on the loopback interface or unix:/absolute/path, because it speaks no TLS"},
    {"admin.mode", SCHEMA_FILE_MODE, TOPOLOGY(admin.mode),
     .help = "permissions of a Unix-domain socket; by default \"0600\": its owner alone"},
    {"admin.hosts", SCHEMA_TEXT, TOPOLOGY(admin_hosts), .minimum = 1, .maximum = 4096,
     .help = "names it is asked by, besides localhost and addresses, with commas between; others are refused"},
    {"admin.token_file", SCHEMA_TEXT, TOPOLOGY(admin_token_file), .minimum = 1, .maximum = 4096,
     .help = "file with a token each request must bring (Bearer, or Basic as the password); read anew for each"},

    {"nodes", SCHEMA_LIST, NOTHING,
     .help = "the influxdb3 processes of the cluster, at most " DIGITS(TOPOLOGY_NODES_MAXIMUM)},
    {"nodes[].node_id", SCHEMA_TEXT, NODE(node_id), .minimum = 1, .maximum = 128, .is_required = true,
     .help = "the node's --node-id: letters, digits and hyphens"},
    {"nodes[].url", SCHEMA_URL, WHOLE(SCHEMA_SCOPE_NODE, struct topology_node),
     .help = "http:// or https://, host and port (8181 when absent); `serve` needs it"},
    {"nodes[].mode", SCHEMA_MODES, NODE(modes), .words = "ingest query compact process all webui",
     .is_required = true,
     .help = "the node's --mode: several with commas between, or a list"},
    {"nodes[].plugin_dir", SCHEMA_TEXT, NODE(plugin_dir), .minimum = 1, .maximum = 4096,
     .help = "the node's --plugin-dir; it makes a node of any mode able to run plugins"},
    {"nodes[].weight", SCHEMA_INTEGER, NODE(given_weight), .minimum = 1, .maximum = 1000,
     .help = "its share of the writes, beside the weights of the others; default by its cores or threads"},
    {"nodes[].cores", SCHEMA_INTEGER, NODE(cores), .minimum = 2, .maximum = 4096,
     .help = "the node's --num-cores: its share of the writes without a weight, or else io_threads, or else 1"},
    {"nodes[].io_threads", SCHEMA_INTEGER, NODE(io_threads), .minimum = 1, .maximum = 4096,
     .help = "the node's --num-io-threads; its share of the writes with storage_engine: parquet"},
    {"nodes[].datafusion_threads", SCHEMA_INTEGER, NODE(datafusion_threads), .minimum = 1, .maximum = 4096,
     .help = "the node's --datafusion-num-threads"},
    {"nodes[].maximum_links", SCHEMA_INTEGER, NODE(maximum_links), .minimum = 1, .maximum = 65536,
     .help = "open connections to this node, divided evenly among workers; default limits.upstream_links"},
    {"nodes[].http", SCHEMA_CHOICE, NODE(http), .fallback = "auto", .words = "auto 1 2",
     .help = "HTTP version towards this node: 2 carries many requests on a connection; auto asks the node"},

    {"nodes[].tls", SCHEMA_SECTION, NOTHING,
     .help = "how TLS is spoken to this node, where it differs from the section tls"},
    {"nodes[].tls.ca", SCHEMA_TEXT, NODE(tls.ca), .minimum = 1, .maximum = 4096,
     .help = "as tls.ca"},
    {"nodes[].tls.certificate", SCHEMA_TEXT, NODE(tls.pair.certificate), .minimum = 1, .maximum = 4096,
     .help = "as tls.certificate"},
    {"nodes[].tls.key", SCHEMA_TEXT, NODE(tls.pair.key), .minimum = 1, .maximum = 4096,
     .help = "as tls.key"},
    {"nodes[].tls.verify", SCHEMA_BOOLEAN, NODE(tls.verify),
     .help = "as tls.verify"},
    {"nodes[].tls.server_name", SCHEMA_TEXT, NODE(server_name), .minimum = 1, .maximum = 253,
     .help = "the name in the node's certificate; default the host of its url"},

    {"tls", SCHEMA_SECTION, NOTHING,
     .help = "how TLS is spoken to nodes with an https:// url; files are read again when they change"},
    {"tls.ca", SCHEMA_TEXT, TOPOLOGY(tls.ca), .minimum = 1, .maximum = 4096,
     .help = "PEM file: the authorities that vouch for nodes; default those of the system"},
    {"tls.certificate", SCHEMA_TEXT, TOPOLOGY(tls.pair.certificate), .minimum = 1, .maximum = 4096,
     .help = "PEM file: the certificate that is shown to nodes that ask for one"},
    {"tls.key", SCHEMA_TEXT, TOPOLOGY(tls.pair.key), .minimum = 1, .maximum = 4096,
     .help = "PEM file: its private key; without it, it is in the certificate's file"},
    {"tls.verify", SCHEMA_BOOLEAN, TOPOLOGY(tls.verify), .fallback = "true",
     .help = "whether a node must show a certificate for its name; false lets anybody answer"},
    {"tls.minimum_version", SCHEMA_CHOICE, TOPOLOGY(tls.minimum_version), .fallback = "1.2", .words = "1.2 1.3",
     .help = "the oldest TLS that is spoken to nodes"},

    {"routes", SCHEMA_LIST, NOTHING,
     .help = "routes of your own, looked up in order before the built-in table"},
    {"routes[].method", SCHEMA_TOKEN, ROUTE(method), .fallback = "*", .minimum = 1, .maximum = 32,
     .help = "GET, POST, ...; * for any"},
    {"routes[].path", SCHEMA_TARGET, ROUTE(path), .minimum = 1, .maximum = 4096, .is_required = true,
     .help = "an exact path, or a prefix when it ends with an asterisk"},
    {"routes[].class", SCHEMA_CLASS, ROUTE(class),
     .words = "write writeback query flight engine catalog plugin compaction node unknown", .is_required = true,
     .help = "the class whose nodes and policy such a request gets"},

    {"unknown", SCHEMA_CHOICE, TOPOLOGY(unknown), .fallback = "catalog", .words = "catalog deny",
     .help = "a path that no route names: pass it on as class catalog, or deny it"},
    {"workers", SCHEMA_INTEGER, TOPOLOGY(workers), .fallback = "0", .minimum = 1, .maximum = 1024,
     .zero = "one for each core", .change = SCHEMA_CHANGE_RESTART,
     .help = "threads that carry traffic"},
    {"access_log", SCHEMA_TEXT, TOPOLOGY(access_log), .fallback = "none", .minimum = 1, .maximum = 4096,
     .help = "a file, - for standard output, or none"},
    {"log_level", SCHEMA_WORD, TOPOLOGY(log_level), .fallback = "info", .words = "error warning info debug",
     .help = "how much goes to standard error"},
    {"retry_after", SCHEMA_BOOLEAN, TOPOLOGY(retry_after), .fallback = "false",
     .help = "send Retry-After with Sluice's own 503; several clients misread it"},
    {"trust_forwarded", SCHEMA_BOOLEAN, TOPOLOGY(trust_forwarded), .fallback = "false",
     .help = "keep X-Forwarded-* of the client; only behind a proxy that sets them"},

    {"timeouts", SCHEMA_SECTION, NOTHING,
     .help = "how long each wait may last"},
    {"timeouts.connect", SCHEMA_DURATION, TOPOLOGY(timeouts.connect_ms), .fallback = "1s", .minimum = 10,
     .maximum = MINUTES(1),
     .help = "one TCP connect to a node, and the TLS handshake"},
    {"timeouts.write_deadline", SCHEMA_DURATION, TOPOLOGY(timeouts.write_deadline_ms), .fallback = "4s",
     .minimum = 100, .maximum = MINUTES(10),
     .help = "a write's last byte until the last attempt may begin; Telegraf gives up at 5s"},
    {"timeouts.write_response", SCHEMA_DURATION, TOPOLOGY(timeouts.write_response_ms), .fallback = "30s",
     .minimum = 100, .maximum = HOURS(1),
     .help = "write sent until response head, for each attempt, while the client waits"},
    {"timeouts.response", SCHEMA_DURATION, TOPOLOGY(timeouts.response_ms), .fallback = "10m", .minimum = 100,
     .maximum = HOURS(24), .zero = "no limit",
     .help = "request sent until response head, and a pause in the answer, for everything but writes"},
    {"timeouts.idle", SCHEMA_DURATION, TOPOLOGY(timeouts.idle_ms), .fallback = "60s", .minimum = 100,
     .maximum = HOURS(24), .zero = "no limit",
     .help = "a client that neither sends the rest of its request nor takes the rest of its answer"},
    {"timeouts.request_head", SCHEMA_DURATION, TOPOLOGY(timeouts.request_head_ms), .fallback = "10s", .minimum = 100,
     .maximum = MINUTES(10),
     .help = "first byte of a request head until its end"},
    {"timeouts.tls_handshake", SCHEMA_DURATION, TOPOLOGY(timeouts.tls_handshake_ms), .fallback = "5s", .minimum = 100,
     .maximum = MINUTES(1),
     .help = "a client's TLS handshake"},
    {"timeouts.keep_alive", SCHEMA_DURATION, TOPOLOGY(timeouts.keep_alive_ms), .fallback = "310s", .minimum = 100,
     .maximum = HOURS(24), .zero = "no limit",
     .help = "an idle connection of a client"},
    {"timeouts.upstream_idle", SCHEMA_DURATION, TOPOLOGY(timeouts.upstream_idle_ms), .fallback = "55s",
     .minimum = 100, .maximum = HOURS(24), .zero = "no limit",
     .help = "an idle connection to a node; below what middleboxes between cut"},
    {"timeouts.queue", SCHEMA_DURATION, TOPOLOGY(timeouts.queue_ms), .fallback = "2s", .minimum = 10,
     .maximum = HOURS(1), .zero = "do not wait",
     .help = "waiting for a connection while all of a node's are busy"},
    {"timeouts.drain", SCHEMA_DURATION, TOPOLOGY(timeouts.drain_ms), .fallback = "30s", .minimum = 100,
     .maximum = HOURS(24), .zero = "cut at once",
     .help = "SIGTERM until exchanges that still run are cut"},
    {"timeouts.linger", SCHEMA_DURATION, TOPOLOGY(timeouts.linger_ms), .fallback = "2s", .minimum = 100,
     .maximum = MINUTES(1), .zero = "close at once",
     .help = "reading on after an early answer, so that the client gets to read it"},

    {"limits", SCHEMA_SECTION, NOTHING,
     .help = "how large each thing may grow"},
    {"limits.head", SCHEMA_SIZE, TOPOLOGY(limits.head_bytes), .fallback = "80KiB", .minimum = KIB(4),
     .maximum = MIB(1),
     .help = "request or response head, target included"},
    {"limits.target", SCHEMA_SIZE, TOPOLOGY(limits.target_bytes), .fallback = "64KiB", .minimum = 256,
     .maximum = MIB(1),
     .help = "path and query string of a request"},
    {"limits.fields", SCHEMA_INTEGER, TOPOLOGY(limits.fields), .fallback = "100", .minimum = 8, .maximum = 1000,
     .help = "header fields in a head"},
    {"limits.body", SCHEMA_SIZE, TOPOLOGY(limits.body_bytes), .fallback = "0", .minimum = KIB(1),
     .maximum = GIB(1024), .zero = "no limit here, the node has its own",
     .help = "request body"},
    {"limits.replay", SCHEMA_SIZE, TOPOLOGY(limits.replay_bytes), .fallback = "10MiB", .minimum = KIB(1),
     .maximum = GIB(1), .zero = "keep nothing",
     .help = "of one request body, kept so that the request can be repeated"},
    {"limits.replay_total", SCHEMA_SIZE, TOPOLOGY(limits.replay_total_bytes), .fallback = "128MiB", .minimum = KIB(1),
     .maximum = GIB(64), .zero = "keep nothing",
     .help = "of all kept bodies of the process"},
    {"limits.memory", SCHEMA_SIZE, TOPOLOGY(limits.memory_bytes), .fallback = "0", .minimum = MIB(32), .maximum = GIB(1024),
     .zero = "what the machine or its control group has, less an eighth",
     .help = "of the whole process; when traffic has taken nine tenths of its part, new requests are refused"},
    {"limits.request_buffer", SCHEMA_SIZE, TOPOLOGY(limits.request_buffer_bytes), .fallback = "64KiB", .minimum = 1, .maximum = MIB(64),
     .zero = "nothing, a node gets the body as it comes",
     .help = "of a request body, read before a node is asked, so that who stops in it holds no connection"},
    {"limits.client_share", SCHEMA_SHARE, TOPOLOGY(limits.client_share), .fallback = "0.25", .minimum = 0, .maximum = 500,
     .help = "of a node's streams: who holds so many leaves as many free for other clients; 0: anybody takes all"},
    {"limits.upload_rate", SCHEMA_SIZE, TOPOLOGY(limits.upload_bytes_per_s), .fallback = "500B", .minimum = 1, .maximum = GIB(1),
     .zero = "as slowly as it likes",
     .help = "a second, at least, over 5 s, of a body above limits.request_buffer; else request_timeout"},
    {"limits.buffer", SCHEMA_SIZE, TOPOLOGY(limits.buffer_bytes), .fallback = "64KiB", .minimum = KIB(4),
     .maximum = MIB(16),
     .help = "per direction and connection before the fast side is paused"},
    {"limits.connections", SCHEMA_INTEGER, TOPOLOGY(limits.connections), .fallback = "20000", .minimum = 1,
     .maximum = 1000000,
     .help = "connections of clients to the process"},
    {"limits.streams", SCHEMA_INTEGER, TOPOLOGY(limits.streams), .fallback = "100", .minimum = 1, .maximum = 10000,
     .help = "requests at a time on one HTTP/2 connection of a client"},
    {"limits.upstream_links", SCHEMA_INTEGER, TOPOLOGY(limits.upstream_links), .fallback = "4096", .minimum = 1,
     .maximum = 65536,
     .help = "open connections of the process to one node, divided evenly among workers; each has one at least"},
    {"limits.queue", SCHEMA_INTEGER, TOPOLOGY(limits.queue), .fallback = "16384", .minimum = 1, .maximum = 1000000,
     .zero = "do not wait",
     .help = "exchanges of the process that wait for a connection to one node"},

    {"health", SCHEMA_SECTION, NOTHING,
     .help = "how nodes are probed"},
    {"health.path", SCHEMA_TARGET, TOPOLOGY(health.path), .fallback = "/ready", .minimum = 1, .maximum = 1024,
     .help = "what is asked; /health instead where a node does not know it"},
    {"health.token_file", SCHEMA_TEXT, TOPOLOGY(health.token_file), .minimum = 1, .maximum = 4096,
     .help = "file with a token for the probes, unless the nodes run with --disable-authz"},
    {"health.interval", SCHEMA_DURATION, TOPOLOGY(health.interval_ms), .fallback = "2s", .minimum = 100,
     .maximum = HOURS(1),
     .help = "between two probes of a node"},
    {"health.timeout", SCHEMA_DURATION, TOPOLOGY(health.timeout_ms), .fallback = "1s", .minimum = 10,
     .maximum = MINUTES(1),
     .help = "until a probe counts as failed"},
    {"health.rise", SCHEMA_INTEGER, TOPOLOGY(health.rise), .fallback = "2", .minimum = 1, .maximum = 100,
     .help = "good results in a row before a node is up again"},
    {"health.fall", SCHEMA_INTEGER, TOPOLOGY(health.fall), .fallback = "3", .minimum = 1, .maximum = 100,
     .help = "bad results in a row before a node is down"},
    {"health.all_down", SCHEMA_CHOICE, TOPOLOGY(health.all_down), .fallback = "serve", .words = "serve refuse",
     .help = "when probes say that all nodes of a class are down: use them all the same, or refuse"},
    {"health.slow_start", SCHEMA_DURATION, TOPOLOGY(health.slow_start_ms), .fallback = "10s", .minimum = 100,
     .maximum = MINUTES(10), .zero = "all of it at once",
     .help = "until a node that comes back from being set aside has its whole share again"},

    {"health.eject", SCHEMA_SECTION, NOTHING,
     .help = "when a node's own answers set it aside for a class, though its probes are good"},
    {"health.eject.failures", SCHEMA_INTEGER, TOPOLOGY(health.eject.failures), .fallback = "5", .minimum = 1,
     .maximum = 1000, .zero = "never",
     .help = "failures in a row that set it aside"},
    {"health.eject.share", SCHEMA_SHARE, TOPOLOGY(health.eject.share), .fallback = "0.5", .minimum = 10, .maximum = 1000,
     .help = "of its answers in 10 s, once twice as many as health.eject.failures have come"},
    {"health.eject.time", SCHEMA_DURATION, TOPOLOGY(health.eject.time_ms), .fallback = "5s", .minimum = 100,
     .maximum = MINUTES(5),
     .help = "for how long; it doubles with each time in a row, up to 5m, and is spread a little"},
    {"health.eject.maximum_share", SCHEMA_SHARE, TOPOLOGY(health.eject.maximum_share), .fallback = "0.5", .minimum = 0,
     .maximum = 1000,
     .help = "of a class's usable nodes that may be set aside at a time"},

    {"queries", SCHEMA_SECTION, NOTHING,
     .help = "how queries, Flight calls among them, are shared out"},
    {"queries.affinity", SCHEMA_CHOICE, TOPOLOGY(queries_affinity), .fallback = "none", .words = "none database",
     .help = "database: those that name one database go to one node while it has a free connection"},
    {"queries.hedge", SCHEMA_DURATION, TOPOLOGY(queries_hedge_ms), .fallback = "off", .minimum = 1, .maximum = MINUTES(10),
     .words = "off p95",
     .help = "a query by HTTP without an answer for so long goes to a second node; p95: for longer than 95 %"},
    {"writes", SCHEMA_SECTION, NOTHING,
     .help = "how writes are shared out"},
    {"writes.affinity", SCHEMA_CHOICE, TOPOLOGY(writes_affinity), .fallback = "none", .words = "none database",
     .help = "database: those to one database go to one node while it has a free connection"},

    {"retries", SCHEMA_SECTION, NOTHING,
     .help = "how many repeats the process may make; those of what was not read, or refused by role, are free"},
    {"retries.share", SCHEMA_SHARE, TOPOLOGY(retries.share), .fallback = "0.2", .minimum = 0, .maximum = 1000,
     .help = "of a repeat, earned with each request; at most those of 10 s are kept"},
    {"retries.floor", SCHEMA_INTEGER, TOPOLOGY(retries.floor), .fallback = "10", .minimum = 1, .maximum = 100000,
     .help = "repeats a second that may be made at any time"},
};
const size_t schema_row_count = sizeof schema_rows / sizeof schema_rows[0];

static const char *const change_names[] = {
    [SCHEMA_CHANGE_RELOAD] = "reload",
    [SCHEMA_CHANGE_RESTART] = "restart",
    [SCHEMA_CHANGE_REFUSED] = "restart; a reload with another value is refused",
};

static const char *const type_names[] = {
    [SCHEMA_SECTION] = "mapping",
    [SCHEMA_LIST] = "list",
    [SCHEMA_TEXT] = "text",
    [SCHEMA_TARGET] = "path",
    [SCHEMA_TOKEN] = "method",
    [SCHEMA_INTEGER] = "integer",
    [SCHEMA_SIZE] = "size",
    [SCHEMA_DURATION] = "duration",
    [SCHEMA_SHARE] = "share",
    [SCHEMA_BOOLEAN] = "boolean",
    [SCHEMA_MODES] = "modes",
    [SCHEMA_NETWORKS] = "networks",
    [SCHEMA_FILE_MODE] = "file mode",
    [SCHEMA_ADDRESS] = "address",
    [SCHEMA_URL] = "URL",
    [SCHEMA_CLASS] = "class",
    [SCHEMA_CHOICE] = "word",
    [SCHEMA_WORD] = "word",
};

const char *schema_type_name(enum schema_type type)
{
    return type_names[type];
}

const char *schema_change_name(enum schema_change change)
{
    return change_names[change];
}

const struct schema_row *schema_find(struct text path)
{
    for (size_t i = 0; i < schema_row_count; i++) {
        if (text_equals(text_of_string(schema_rows[i].path), path))
            return &schema_rows[i];
    }
    return NULL;
}

struct text schema_key(const struct schema_row *row)
{
    const char *dot = strrchr(row->path, '.');
    return text_of_string(dot == NULL ? row->path : dot + 1);
}

/* "timeouts.connect" stands in "timeouts", "unknown" in "". */
static bool stands_in(const struct schema_row *row, const char *section)
{
    size_t length = strlen(row->path) - schema_key(row).length;
    struct text prefix = text_of(row->path, length > 0 ? length - 1 : 0);
    return text_equals(prefix, text_of_string(section));
}

/* Asked for each key of each node: so the lengths decide first. */
const struct schema_row *schema_find_key(const char *section, struct text key)
{
    size_t above = strlen(section);
    size_t key_at = above == 0 ? 0 : above + 1;
    if (key.length == 0 || memchr(key.bytes, '.', key.length) != NULL)
        return NULL;
    for (size_t i = 0; i < schema_row_count; i++) {
        const char *path = schema_rows[i].path;
        if (strlen(path) == key_at + key.length && memcmp(path + key_at, key.bytes, key.length) == 0 &&
            memcmp(path, section, above) == 0 && (above == 0 || path[above] == '.'))
            return &schema_rows[i];
    }
    return NULL;
}

/* One slip in a short word, two in a longer one; with more, the guess would only mislead. */
static size_t tolerated_distance(size_t length)
{
    return length <= 4 ? 1 : length <= 8 ? 2 : 3;
}

const struct schema_row *schema_suggest(const char *section, struct text key)
{
    const struct schema_row *best = NULL;
    size_t best_distance = tolerated_distance(key.length) + 1;
    for (size_t i = 0; i < schema_row_count; i++) {
        size_t distance = text_distance(key, schema_key(&schema_rows[i]));
        if (stands_in(&schema_rows[i], section) && distance < best_distance) {
            best = &schema_rows[i];
            best_distance = distance;
        }
    }
    for (size_t i = 0; i < schema_row_count && best == NULL; i++) {
        if (text_equals(schema_key(&schema_rows[i]), key))
            best = &schema_rows[i];
    }
    return best;
}

/* "0.25", "1": without zeroes at the end. */
static const char *describe_share(uint64_t thousandths, char *buffer, size_t capacity)
{
    size_t used = text_append(buffer, capacity, 0, "%" PRIu64, thousandths / 1000);
    unsigned rest = (unsigned)(thousandths % 1000);
    for (unsigned place = 100; rest > 0; rest %= place, place /= 10)
        used = text_append(buffer, capacity, used, place == 100 ? ".%u" : "%u", rest / place);
    return buffer;
}

const char *schema_describe_quantity(const struct schema_row *row, uint64_t value, char *buffer, size_t capacity)
{
    static const struct {
        uint64_t duration;
        uint64_t size;
        const char *duration_unit;
        const char *size_unit;
    } units[] = {
        {HOURS(1), GIB(1), "h", "GiB"},
        {MINUTES(1), MIB(1), "m", "MiB"},
        {SECONDS(1), KIB(1), "s", "KiB"},
        {1, 1, "ms", "B"},
    };
    if (row->type == SCHEMA_SHARE)
        return describe_share(value, buffer, capacity);
    if (row->type == SCHEMA_DURATION && row->words != NULL && (value == 0 || value == UINT64_MAX)) {
        struct text rest = text_of_string(row->words);
        struct text first = text_cut(&rest, ' ');
        text_append(buffer, capacity, 0, "%.*s", TEXT_ARGUMENTS(value == 0 ? first : rest));
        return buffer;
    }
    if (row->type == SCHEMA_INTEGER || value == 0) {
        text_append(buffer, capacity, 0, "%" PRIu64, value);
        return buffer;
    }
    bool is_duration = row->type == SCHEMA_DURATION;
    size_t i = 0;
    while (value % (is_duration ? units[i].duration : units[i].size) != 0)
        i++; /* ends at the factor 1 */
    text_append(buffer, capacity, 0, "%" PRIu64 "%s", value / (is_duration ? units[i].duration : units[i].size),
                is_duration ? units[i].duration_unit : units[i].size_unit);
    return buffer;
}

bool schema_word_index(const struct schema_row *row, struct text word, unsigned *index)
{
    *index = 0;
    for (struct text rest = text_of_string(row->words); rest.bytes != NULL; (*index)++) {
        if (text_equals(text_cut(&rest, ' '), word))
            return true;
    }
    return false;
}

/* Edit distance without regard to case; 0 for a beginning of three letters or more ("warn" for "warning"). */
static size_t word_distance(struct text word, struct text candidate)
{
    char lower[64];
    if (word.length > sizeof lower)
        return SIZE_MAX;
    for (size_t i = 0; i < word.length; i++)
        lower[i] = text_lower(word.bytes[i]);
    struct text folded = text_of(lower, word.length);
    return word.length >= 3 && text_starts_with(candidate, folded) ? 0 : text_distance(candidate, folded);
}

struct text schema_suggest_word(const char *words, struct text word)
{
    struct text best = TEXT_EMPTY;
    size_t best_distance = tolerated_distance(word.length) + 1;
    for (struct text rest = text_of_string(words); rest.bytes != NULL;) {
        struct text candidate = text_cut(&rest, ' ');
        size_t distance = word_distance(word, candidate);
        if (distance < best_distance) {
            best = candidate;
            best_distance = distance;
        }
    }
    return best;
}
