#ifndef SLUICE_SIM_WORLD_PLAN_H
#define SLUICE_SIM_WORLD_PLAN_H
/*
 * What a seed's world is made of: how many of everything, and which faults exist at all, how often. A swarm draws a plan from each seed; shrinking a
 * failing run takes parts of its plan away.
 */
#include <stdbool.h>
#include <stdint.h>

/* name, what the number means. Rates of `a request`, `a connection` or `a second` are per million. */
#define FAULT_KINDS(X)                                                                                                   \
    X(NET_DELAY, "net_delay")                 /* a piece of bytes travels for up to 2 s; of a piece */                   \
    X(NET_RESET, "net_reset")                 /* a connection is reset at a drawn byte of its life; of a connection */   \
    X(NET_SILENCE, "net_silence")             /* it goes silent at a drawn byte, for seconds or for ever; of a connection */ \
    X(NET_SMALL_PIECES, "net_small_pieces")   /* reads and writes give one to a few bytes; of a call */                  \
    X(NET_REFUSE, "net_refuse")               /* a connect is refused; of a connect */                                   \
    X(NET_SLOW_CONNECT, "net_slow_connect")   /* a connect takes up to 5 s, or never comes back; of a connect */         \
    X(NET_SMALL_BUFFERS, "net_small_buffers") /* both kernels' buffers are small; of a connection */                     \
    X(MEMORY_SHORT, "memory_short")           /* an allocation of Sluice's fails; of an allocation */                    \
    X(DESCRIPTORS_SHORT, "descriptors_short") /* Sluice's process may have few descriptors; of a run */                  \
    X(THREAD_STALL, "thread_stall")           /* a thread of Sluice does not run for up to 500 ms; of a turn */          \
    X(THREAD_PREEMPT, "thread_preempt")       /* another thread runs in the middle of a turn; of a chance to */          \
    X(NODE_KILL, "node_kill")                 /* a node's process dies and comes back; of a node's second */             \
    X(NODE_POWER, "node_power")               /* its machine does: nobody is told; of a node's second */                 \
    X(NODE_STOP, "node_stop")                 /* it is asked to stop, refuses as it does, ends, comes back; of a second */ \
    X(NODE_SILENT, "node_silent")             /* its process hangs: the kernel takes bytes, nobody reads; of a second */ \
    X(NODE_SLOW, "node_slow")                 /* it answers late for a time; of a second */                              \
    X(NODE_STORAGE, "node_storage")           /* its object store fails: 500 to writes, 503 to /ready; of a second */    \
    X(NODE_WRONG_MODE, "node_wrong_mode")     /* it runs in another mode than configured for a time; of a second */      \
    X(NODE_ERROR, "node_error")               /* an answer is 429, 500, 502, 503, 504 or gRPC's kin; of a request */     \
    X(NODE_CUT, "node_cut")                   /* an answer is cut in its middle; of a request */                         \
    X(NODE_EARLY, "node_early")               /* it answers before the body is whole, and may close; of a request */     \
    X(NODE_CLOSE, "node_close")               /* it closes an idle or a just used connection; of a request */            \
    X(NODE_GOAWAY, "node_goaway")             /* GOAWAY, before or after the stream; of a request */                     \
    X(NODE_REFUSED_STREAM, "node_refused_stream") /* RST_STREAM REFUSED_STREAM; of a request */                          \
    X(NODE_RESET_STREAM, "node_reset_stream") /* RST_STREAM of another code, any time; of a request */                   \
    X(NODE_GARBAGE, "node_garbage")           /* bytes that are no HTTP; of a request */                                 \
    X(NODE_CATALOG_LAG, "node_catalog_lag")   /* it learns of catalog changes up to 10 s late; of a run */               \
    X(CLIENT_LEAVES, "client_leaves")         /* a client closes or resets any time; of a request */                     \
    X(CLIENT_SLOW_READER, "client_slow_reader") /* it reads slowly or not; of a request */                               \
    X(CLIENT_SLOW_BODY, "client_slow_body")   /* its body comes slowly or stops; of a request */                         \
    X(CLIENT_PIPELINES, "client_pipelines")   /* HTTP/1 requests behind each other; of a request */                      \
    X(CLIENT_HALF_CLOSE, "client_half_close") /* FIN behind the request; of a request */                                 \
    X(CLIENT_HOSTILE, "client_hostile")       /* smuggling, floods, rapid resets, slowloris; of a request */             \
    X(NAME_MOVES, "name_moves")               /* a node's name gets another address, and the node moves; of a second */  \
    X(NAME_FAILS, "name_fails")               /* the name server fails for seconds; of a second */                       \
    X(OPERATOR_RELOADS, "operator_reloads")   /* a reload with another configuration; of a second */                     \
    X(OPERATOR_BAD_FILE, "operator_bad_file") /* a reload that must be refused, two compactors among them; of a second */ \
    X(OPERATOR_STEERS, "operator_steers")     /* drain, maintenance and ready of nodes; of a second */                   \
    X(OPERATOR_TERMINATES, "operator_terminates") /* TERM while clients work; of a run */                                \
    X(TLS_CLIENTS, "tls_clients")             /* clients speak TLS; of a connection */                                   \
    X(TLS_NODES, "tls_nodes")                 /* all nodes do; of a run */

#define FAULT_KIND_VALUE(name, word) FAULT_KIND_##name,
enum fault_kind { FAULT_KINDS(FAULT_KIND_VALUE) FAULT_KIND_COUNT };

#define PLAN_NODES_MAXIMUM 8

enum plan_role {
    PLAN_ROLE_INGEST = 1,
    PLAN_ROLE_QUERY = 2,
    PLAN_ROLE_COMPACT = 4,
    PLAN_ROLE_PROCESS = 8,
    PLAN_ROLE_ALL = 15
};

struct plan_node {
    unsigned roles; /* enum plan_role, or-ed */
    unsigned http;  /* 1: HTTP/1.1 only; 2: both (HTTP/2 by prior knowledge, as the database does) */
    bool is_named;  /* configured by a name, not an address */
};

/* What a case (tests/sim/cases.txt) fixes; 0: as the seed draws it. */
struct plan_case {
    unsigned sick;         /* 1 + the only node that has faults of nodes */
    unsigned error_status; /* what each error says */
    unsigned silent_ms;    /* the sick node goes silent 10 s after the start, for so long */
    unsigned late_ms;      /* its answers come so much later than those of others, in the seconds of faults */
    unsigned patience_ms;  /* how long each client waits */
};

struct plan {
    uint64_t seed;
    unsigned workers;           /* threads of Sluice, 1 to 3 */
    unsigned clients;
    unsigned faulty_seconds;    /* faults happen in these */
    unsigned quiet_seconds;     /* and in these no more: everything must work again */
    unsigned node_count;
    uint32_t rate[FAULT_KIND_COUNT]; /* per million; 0: this fault does not exist */
    struct plan_node nodes[PLAN_NODES_MAXIMUM];
    struct plan_case fixed;
    const char *bounds;         /* ref: of check/tally.h; NULL: none */
};

const char *fault_kind_word(enum fault_kind kind);

/* The seconds of faults are over. */
bool plan_is_quiet(const struct plan *plan);
/* Nothing draws a fault any more once the plan is quiet: every actor asks here before it draws one. */
uint32_t plan_rate(const struct plan *plan, enum fault_kind kind);

/* Is this node the one that a case makes sick? */
bool plan_is_sick(const struct plan *plan, unsigned node);

/* limits.memory of this world, in MiB: with it a connection of HTTP/2 can promise as much as there is. 0: the machine's, which is plenty. */
unsigned plan_memory_mib(const struct plan *plan);

/* The plan of the running world. */
extern const struct plan *the_plan;

#endif
