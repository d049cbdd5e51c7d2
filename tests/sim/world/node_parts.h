#ifndef SLUICE_SIM_WORLD_NODE_PARTS_H
#define SLUICE_SIM_WORLD_NODE_PARTS_H
/*
 * What the files of a node share. From the ground up: node_routes (what is asked for), node_catalog, node_head (what a head may hold), node_connection,
 * node_answer (how an answer is sent), node_deeds (what goes wrong with a request), node_wal, node_write, node_query, node_calls (the work),
 * node_request (from head to answer), node_plugin, node_life (the process: its states, and what goes wrong with it).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/random.h"
#include "check/ledger.h"
#include "kernel/socket.h"
#include "kernel/time.h"
#include "peer/peer.h"
#include "world/node.h"
#include "world/node_routes.h"

/*
 *   RUNNING --asked to stop--> STOPPING --> DOWN --> (HANGING) --> STARTING --> RUNNING
 *   RUNNING --hangs--> HANGING --> RUNNING           any --killed, power--> DOWN
 */
enum node_state {
    NODE_RUNNING,
    NODE_STOPPING, /* its WAL is closed; it listens for a while yet */
    NODE_HANGING,  /* the kernel takes connections and bytes, the process does not run */
    NODE_DOWN,
    NODE_STARTING, /* it serves, and says that it is not ready */
    NODE_STATE_COUNT
};

/* What ails a running node, until a time. */
enum node_condition { NODE_IS_SLOW, NODE_HAS_NO_STORAGE, NODE_IS_IN_WRONG_MODE, NODE_CONDITION_COUNT };

struct node_wal {
    struct list buffered; /* of requests' in_wal: applied, and lost when the process dies */
    struct list flushing; /* on their way to the object store */
    struct sim_timer tick;
    struct sim_timer stored;
};

struct node_plugin;
struct node_catalog;

struct node {
    const struct plan *plan;
    unsigned index;
    enum node_state state;       /* written by life_enter alone */
    enum node_state after_hanging;
    enum fault_kind reason;      /* of a state other than RUNNING */
    unsigned roles;              /* those it runs with now */
    unsigned version;            /* 309: 3.9 */
    unsigned moves;              /* how often it got another address */
    unsigned host;
    struct random_source draw;   /* of how it works */
    struct random_source faults[FAULT_KIND_COUNT]; /* of what goes wrong, each kind by itself: one taken away changes no other */
    struct address address;
    struct sim_socket *listener; /* NULL: it does not listen */
    struct list connections;
    struct sim_timer look;       /* every second */
    struct sim_timer step;       /* to the next state */
    struct sim_timer blow;       /* when `strike` does */
    enum fault_kind strike;      /* what the process waits for; FAULT_KIND_COUNT: nothing */
    uint64_t until_us[NODE_CONDITION_COUNT];
    struct node_wal wal;
    struct node_catalog *catalog;
    uint64_t catalog_lag_us;
    struct node_plugin *plugin;  /* NULL: it runs none */
    char id[16];
    char name[32];
};

/* How a connection ends. */
enum node_ending {
    NODE_ENDING_NOT,
    NODE_ENDING_WHEN_IDLE, /* in order, unless requests have come meanwhile */
    NODE_ENDING_ORDERLY,
    NODE_ENDING_RESET,
};

struct node_connection {
    struct list_node link;
    struct node *node;
    struct peer *peer;
    struct list requests;
    struct sim_timer timer;
    enum node_ending ending;
    bool is_of_sluice; /* else a test speaks to the node directly */
};

/* What goes wrong with one request, and when. */
enum node_deed {
    NODE_DEED_NONE,
    NODE_DEED_ERROR,
    NODE_DEED_CUT,
    NODE_DEED_EARLY,
    NODE_DEED_CLOSE,
    NODE_DEED_GOAWAY,
    NODE_DEED_REFUSED_STREAM,
    NODE_DEED_RESET_STREAM,
    NODE_DEED_GARBAGE,
};

enum node_deed_time { NODE_AT_HEAD, NODE_IN_BODY, NODE_BEFORE_WORK, NODE_IN_WORK, NODE_AFTER_WORK, NODE_IN_ANSWER };

enum node_step {
    NODE_STEP_ARRIVING, /* its body is not whole */
    NODE_STEP_WORKING,
    NODE_STEP_ANSWERING,
    NODE_STEP_ANSWERED,
};

enum node_body {
    NODE_BODY_ARRIVING,
    NODE_BODY_WRONG, /* still arriving, and the ledger knows */
    NODE_BODY_WHOLE,
};

enum node_method { NODE_METHOD_OTHER, NODE_METHOD_POST, NODE_METHOD_DELETE };

/* What an answer has that few have. */
enum node_extra {
    NODE_EXTRA_INTERIM = 1,  /* a 103 before it */
    NODE_EXTRA_TRAILERS = 2, /* of a chunked one, or of HTTP/2 */
    NODE_EXTRA_LONG_FIELD = 4,
};

enum node_source { NODE_SOURCE_TEXT, NODE_SOURCE_TRY };

struct node_answer {
    unsigned status;
    unsigned grpc_status;
    enum node_source source;
    unsigned extras;               /* enum node_extra, or-ed */
    const char *content_type;      /* NULL: none */
    struct text text;              /* of NODE_SOURCE_TEXT; static, or in the request's own */
    uint64_t length;
    uint64_t offset;
    uint64_t cut_at;               /* UINT64_MAX: nowhere */
    uint64_t stall_us;             /* how long it stands still there first */
    uint64_t pause_us;             /* between pieces */
    uint32_t message_left;         /* gRPC: of the present message */
    uint32_t prefix_left;          /* of its prefix */
    char prefix[5];
    bool has_length;               /* else chunked */
};

#define NODE_TEXT_BYTES 320

struct node_request {
    struct list_node link;
    struct list_node in_wal;
    struct node *node;
    struct node_connection *connection; /* NULL: nobody waits any more */
    struct peer_stream *stream;         /* the same */
    const struct node_route *route;
    uint64_t number;                    /* 0: it names none that is known */
    uint64_t database;                  /* the hash of its name; 0: the target names none */
    uint64_t body_bytes;
    uint64_t patience_us;               /* grpc-timeout; 0: none */
    enum try_kind kind;
    enum node_method method;
    int pinned_to;                      /* the node of its trigger; -1: none is told */
    enum node_body body;
    enum node_step step;
    enum node_deed deed;
    enum node_deed_time deed_time;
    bool is_no_sync;
    struct sim_timer timer;
    struct node_answer answer;
    size_t text_used;
    char text[NODE_TEXT_BYTES];         /* the beginning of the body, then the answer */
};

/* ---- node.c ---- */

/* Does this fault strike now? */
bool node_suffers(struct node *node, enum fault_kind kind);

/* ---- node_connection.c ---- */

void connection_open(struct node *node, struct sim_socket *socket);
/* In `delay_us`; what was ordered last holds. */
void connection_end_in(struct node_connection *connection, enum node_ending ending, uint64_t delay_us);
/* As the process dies: its kernel closes or resets them all. */
void connections_die(struct node *node);
/* Without a word to anybody: the end of the world, or of power. */
void connections_drop(struct node *node);
void connections_freeze(struct node *node, bool is_frozen);
void connections_drain(struct node *node);

/* ---- node_request.c ---- */

void request_arrives(struct node_connection *connection, struct peer_stream *stream, const struct peer_head *head);
/* Nobody waits for it any more. What it began in the WAL goes on. */
void request_leave(struct node_request *request);
/* The same, and its stream is reset. */
void request_reset(struct node_request *request, uint32_t code);
/* GOAWAY whose last stream is the one before it; it is gone. */
void request_go_away_before(struct node_request *request);

/* ---- node_head.c ---- */

/* Of a client's request: what Sluice should have kept back or said is a violation (odd_head). */
void head_check(const struct node_request *request, const struct peer_head *head);

/* ---- node_answer.c ---- */

/* The database's own: text that lasts. A status of 204 has none. */
void answer_text(struct node_request *request, unsigned status, const char *content_type, struct text text);
void answer_format(struct node_request *request, unsigned status, const char *content_type, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* The answer that belongs to the try; to none, a short text. */
void answer_of_try(struct node_request *request);
/* The call ends with this status at once; `message` is static. */
void answer_grpc_error(struct node_request *request, unsigned grpc_status, const char *message);
/* Sends what was said by one of those above, later by `delay_us` (and more when the node is slow). */
void answer_in(struct node_request *request, uint64_t delay_us);
void answer_goes_on(struct node_request *request);
/* Cuts it off where it is. */
void answer_cut(struct node_request *request);

/* ---- node_deeds.c ---- */

void deed_draw(struct node_request *request);
/* If the request's deed is due now, it is done. True: the request is over or answered, and must not be touched. An error only changes the answer. */
bool deed_is_done(struct node_request *request, enum node_deed_time now);
/* Behind an answer that was sent whole. True: the node does not want the rest of the request. */
bool deed_after_answer(struct node_request *request);

/* ---- node_wal.c ---- */

void wal_init(struct node *node);
void wal_take(struct node_request *request);
/* Flushes what there is at once. */
void wal_hurry(struct node *node);
/* The process dies: what was buffered is undone, what was on its way may have got there. */
void wal_lose(struct node *node);
/* The end of the world: nothing becomes of it. */
void wal_drop(struct node *node);

/* ---- the work: a whole request ---- */

void write_serve(struct node_request *request);
/* The write's answer when its flush is over. */
void write_stored(struct node_request *request, bool is_stored);
void query_serve(struct node_request *request);
void flight_serve(struct node_request *request);
void call_serve(struct node_request *request);

/* ---- node_catalog.c ---- */

/* The cluster's one catalog, of names by their hashes: the first to ask makes it, the last to leave frees it. */
struct node_catalog *catalog_join(void);
void catalog_leave(struct node_catalog *catalog);
/* False: it is there already, or is not; or the catalog is full. */
bool catalog_add(struct node *node, uint64_t name);
bool catalog_remove(struct node *node, uint64_t name);
/* How many names this node knows of by now. */
size_t catalog_count(const struct node *node);

/* ---- node_plugin.c ---- */

struct node_plugin *plugin_create(struct node *node);
void plugin_destroy(struct node_plugin *plugin);
/* The process dies: nobody waits for the answer of a write-back. */
void plugin_die(struct node_plugin *plugin);

/* ---- node_life.c ---- */

void life_begin(struct node *node);
void life_end(struct node *node);
void life_kill(struct node *node, enum fault_kind reason);
void life_stop(struct node *node);
/* A flush takes this long from now on: dying in the middle of one is what hurts most. */
void life_flushes(struct node *node, uint64_t duration_us);
void life_hang(struct node *node, uint64_t duration_us);
bool life_ails(const struct node *node, enum node_condition condition);

#endif
