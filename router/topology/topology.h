#ifndef SLUICE_TOPOLOGY_TOPOLOGY_H
#define SLUICE_TOPOLOGY_TOPOLOGY_H
/*
 * The topology: what the operator asked for, as immutable data.
 *
 * topology_read (topology/build.h) makes one from files; from then on nobody writes to it. It is counted: each worker and each
 * command that keeps it holds a reference, and the last topology_release frees everything, strings included. All
 * pointers in it are owned by it.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/network.h"
#include "net/tls_client.h"
#include "net/tls_server.h"
#include "topology/findings.h"

/* What a request is; see routing/classify.h for how one is found. The order is that of the tables and reports. */
enum request_class {
    REQUEST_CLASS_WRITE,
    REQUEST_CLASS_WRITEBACK,
    REQUEST_CLASS_QUERY,
    REQUEST_CLASS_FLIGHT,
    REQUEST_CLASS_ENGINE,
    REQUEST_CLASS_CATALOG,
    REQUEST_CLASS_PLUGIN,
    REQUEST_CLASS_COMPACTION,
    REQUEST_CLASS_NODE,
    REQUEST_CLASS_SYSTEM,
    REQUEST_CLASS_UNKNOWN,
};
#define REQUEST_CLASS_COUNT 11

/* "write", "writeback", ...: the word used in configuration, logs and metrics. */
const char *request_class_name(enum request_class class);
/* False when `name` (not terminated) is no class. */
bool request_class_from_name(const char *name, size_t length, enum request_class *class);

/* One bit per mode that the operator named; `all` is kept apart from the four that it stands for (lint cares). */
enum node_mode {
    NODE_MODE_INGEST = 1 << 0,
    NODE_MODE_QUERY = 1 << 1,
    NODE_MODE_COMPACT = 1 << 2,
    NODE_MODE_PROCESS = 1 << 3,
    NODE_MODE_ALL = 1 << 4,
    NODE_MODE_WEBUI = 1 << 5, /* from 3.11; serves no request that Sluice routes, and `all` does not hold it */
};
#define NODE_MODE_COUNT 6

/* "ingest", "query", ...: the word of one mode, and its bit; false when `name` (not terminated) is no mode. */
const char *node_mode_name(enum node_mode mode);
bool node_mode_from_name(const char *name, size_t length, enum node_mode *mode);
/* "query,process": the modes in the order of the enum, cut at `capacity`, which must not be 0. Returns `buffer`. */
const char *node_modes_describe(unsigned modes, char *buffer, size_t capacity);

/* Which of its two storage engines the cluster runs: they share out a node's cores differently. */
enum storage_engine {
    STORAGE_ENGINE_UPGRADED, /* the default of new clusters from 3.11: each thread pool may have a thread for each core */
    STORAGE_ENGINE_PARQUET,  /* the two thread pools share the cores */
};
#define STORAGE_ENGINE_COUNT 2

/* "upgraded", "parquet". */
const char *storage_engine_name(enum storage_engine engine);

/* A node has a capability when a mode gives it: `all` gives each, a plugin_dir gives process to any mode. */
enum node_capability {
    NODE_CAPABILITY_INGEST = 1 << 0,
    NODE_CAPABILITY_QUERY = 1 << 1,
    NODE_CAPABILITY_COMPACT = 1 << 2,
    NODE_CAPABILITY_PROCESS = 1 << 3,
};

/* How a node is spoken to; AUTO: as the probe found out. */
enum topology_http { TOPOLOGY_HTTP_AUTO, TOPOLOGY_HTTP_1, TOPOLOGY_HTTP_2 };
/* How TLS is spoken to a node; for a clear-text one nothing of it matters. */
struct topology_node_tls {
    const char *ca;             /* file with the authorities; NULL: the system's */
    struct tls_pair pair;       /* shown to nodes that ask; certificate NULL: nothing */
    bool verify;
    enum tls_version minimum_version;
};

struct topology_node {
    const char *node_id;
    const char *url;            /* as written; NULL when a layout without urls was read (check and plan only) */
    const char *host;           /* from url: name or address literal, brackets removed */
    uint16_t port;              /* from url; 8181 when absent */
    bool is_tls;                /* https */
    struct topology_node_tls tls; /* what the node leaves open is that of the topology */
    const char *server_name;    /* the name in the node's certificate where it is not `host`, or NULL */
    unsigned modes;             /* enum node_mode bits */
    unsigned capabilities;      /* enum node_capability bits */
    const char *plugin_dir;     /* or NULL */
    unsigned cores;             /* 0: not given */
    unsigned io_threads;        /* 0: not given */
    unsigned datafusion_threads;/* 0: not given */
    unsigned given_weight;      /* 0: not given */
    unsigned weight;            /* for writes; at least 1. The given one, else the threads that can take them: see weight_of in build.c */
    unsigned maximum_links;     /* open connections to it, of the process */
    enum topology_http http;
    unsigned line;              /* where the node stands in the file */
};

struct topology_networks {
    struct network *items;
    size_t count;
};

struct topology_listener {
    const char *address;        /* as written, host:port or unix:/path; NULL: there is none (admin) */
    const char *host;           /* NULL for a Unix-domain socket */
    uint16_t port;
    const char *path;           /* of a Unix-domain socket, or NULL */
    unsigned mode;              /* permissions of that file; 0: as the umask leaves them */
    bool proxy_protocol;        /* each connection begins with a PROXY header */
    struct topology_networks proxy_from; /* who may send one; not asked on a Unix-domain socket */
    enum request_class class;   /* of every write that arrives here: WRITE, or WRITEBACK */
    bool is_tls;
    struct tls_pair pair;       /* tls.certificate and tls.key as written; the first of tls.pairs, too */
    struct tls_server_settings tls;
    unsigned line;
};

/* A route that the operator added; it is looked up before the built-in table. */
struct topology_route {
    const char *method;         /* "GET", or "*" for any */
    const char *path;           /* exact, or a prefix when it ends with an asterisk (then stored without the asterisk) */
    bool is_prefix;
    enum request_class class;
    unsigned line;
};

/* All in milliseconds. 0 switches a timeout off where the schema allows it. */
struct topology_timeouts {
    uint64_t connect_ms;          /* one TCP connect to a node, and the TLS handshake */
    uint64_t write_deadline_ms;   /* a write's last byte until the last attempt may begin: clients give up at 5 s */
    uint64_t write_response_ms;   /* write sent until response head, for each attempt */
    uint64_t response_ms;         /* request sent until response head, for every class but write and writeback */
    uint64_t idle_ms;             /* a client that neither sends nor takes, in the middle of a message */
    uint64_t request_head_ms;     /* first byte of a head until its end */
    uint64_t keep_alive_ms;       /* an idle downstream connection */
    uint64_t upstream_idle_ms;    /* an idle upstream link */
    uint64_t queue_ms;            /* waiting for a link when a node's links are all busy */
    uint64_t drain_ms;            /* SIGTERM until the remaining exchanges are cut */
    uint64_t tls_handshake_ms;    /* a client's TLS handshake */
    uint64_t linger_ms;           /* reading on after an early answer, so that the client gets to read it */
};

struct topology_limits {
    uint64_t head_bytes;          /* request or response head, target included */
    uint64_t target_bytes;
    uint64_t fields;              /* header fields in a head */
    uint64_t body_bytes;          /* request body; 0: no limit here, the node has its own */
    uint64_t replay_bytes;        /* of one request body, kept so that an attempt can be repeated */
    uint64_t request_buffer_bytes; /* of a body, read before a node is asked */
    uint64_t upload_bytes_per_s;  /* of a large body, at least; 0: none */
    unsigned client_share;        /* thousandths of a node's streams: who holds so many leaves as many free; 0: nobody has to */
    uint64_t replay_total_bytes;  /* of all of them in the process */
    uint64_t memory_bytes;        /* of the process; 0: by the machine */
    uint64_t buffer_bytes;        /* per direction and connection before the fast side is paused */
    uint64_t connections;         /* downstream connections of the process */
    uint64_t streams;             /* requests at a time on one HTTP/2 connection of a client */
    uint64_t upstream_links;      /* default of maximum_links */
    uint64_t queue;               /* exchanges of the process waiting for a link to one node */
};

/* When a node's own answers set it aside. Shares are thousandths. */
struct topology_eject {
    unsigned failures;            /* in a row; 0: never */
    unsigned share;               /* of the answers of a window */
    unsigned maximum_share;       /* of a class's nodes at a time */
    uint64_t time_ms;             /* the first time; it doubles */
};

struct topology_retries {
    unsigned share;               /* thousandths of a repeat that each request earns */
    unsigned floor;               /* repeats a second, whatever comes */
};

/* What becomes of a kind of requests when probes say of all its nodes that they are down. */
enum topology_all_down { TOPOLOGY_ALL_DOWN_SERVE, TOPOLOGY_ALL_DOWN_REFUSE };

struct topology_health {
    const char *path;             /* first choice, "/ready"; on 404 "/health" is asked instead */
    const char *token_file;       /* file with the bearer token for probes, or NULL */
    uint64_t interval_ms;
    uint64_t timeout_ms;
    unsigned rise;                /* good results in a row before a node that was down is up */
    unsigned fall;                /* bad results in a row before a node that was up is down */
    enum topology_all_down all_down;
    uint64_t slow_start_ms;       /* until a node that was set aside has its whole share again */
    struct topology_eject eject;
};

/* Where a key that a reload cannot change was written; for one that was not written, the file as a whole. */
struct topology_origin {
    const char *key; /* as in the schema: "workers" */
    struct place place;
};

/* Which requests stay together on a node while it can take them. */
/* queries.hedge, beside a duration */
#define TOPOLOGY_HEDGE_OFF 0
#define TOPOLOGY_HEDGE_P95 UINT64_MAX

enum topology_affinity { TOPOLOGY_AFFINITY_NONE, TOPOLOGY_AFFINITY_DATABASE };

enum topology_unknown { TOPOLOGY_UNKNOWN_CATALOG, TOPOLOGY_UNKNOWN_DENY };

struct topology {
    const char *cluster_id;       /* or NULL in a bare layout */
    enum storage_engine storage_engine;
    struct topology_listener *listeners;
    size_t listener_count;
    struct tls_pair *certificates;  /* of all listeners, one after the other */
    size_t certificate_count;
    struct topology_listener admin; /* address NULL: no admin listener */
    const char *admin_hosts;      /* names by which it may be asked, with commas between, or NULL */
    const char *admin_token_file; /* or NULL: no token is asked for */
    struct topology_node *nodes;
    size_t node_count;
    struct topology_route *routes;
    size_t route_count;
    enum topology_unknown unknown;
    bool retry_after;             /* send Retry-After with Sluice's own 503; off by default (docs/clients.md#retry-after) */
    bool trust_forwarded;         /* keep X-Forwarded-* of the client instead of replacing them */
    const char *access_log;       /* path, "-" for standard output, or NULL for none ("none" in the file) */
    unsigned workers;             /* 0: one a core */
    struct topology_timeouts timeouts;
    struct topology_limits limits;
    struct topology_health health;
    struct topology_retries retries;
    enum topology_affinity queries_affinity;
    uint64_t queries_hedge_ms;    /* TOPOLOGY_HEDGE_OFF, TOPOLOGY_HEDGE_P95, or how long a query waits */
    enum topology_affinity writes_affinity;
    struct topology_node_tls tls; /* for nodes that do not say otherwise */
    const char *log_level;        /* error, warning, info, debug */
    struct topology_origin *origins; /* of each key that a reload cannot change; for changes.c */
    size_t origin_count;
    atomic_uint references;
    struct topology_storage *storage; /* owns this struct and everything above; only for build.c and topology.c */
};

/* At most this many nodes in a cluster. */
#define TOPOLOGY_NODES_MAXIMUM 1024
/* Rules compare each with each. */
#define TOPOLOGY_LISTENERS_MAXIMUM 64
#define TOPOLOGY_CERTIFICATES_MAXIMUM 256
#define TOPOLOGY_ROUTES_MAXIMUM 1024
/* In each proxy_from; they are tried one by one for each connection. */
#define TOPOLOGY_NETWORKS_MAXIMUM 64

void topology_retain(struct topology *topology);
/* NULL is allowed. Frees everything with the last reference. */
void topology_release(struct topology *topology);

#endif
