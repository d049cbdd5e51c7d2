#ifndef SLUICE_UPSTREAM_ROSTER_H
#define SLUICE_UPSTREAM_ROSTER_H
/*
 * What all threads know of the nodes at run time. A node is known by its node_id and outlives the topologies that name it: its health,
 * counters, administrative state and address stay when the configuration is read again. It stands in a slot, by which each worker's pool finds
 * it, for as long as somebody holds a reference: epochs (upstream/epoch.h) and pools that still have links.
 *
 *   roster_admit (control, for each node of a new epoch) -> roster_node_retain ... roster_node_release: the last one frees node and slot
 *
 * Workers read the atomics of a node and count on them; the control thread writes health, version, address and administrative state.
 * Whatever changes who may be used calls roster_touch, and each worker builds its lists anew (upstream/lease.h).
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/memory_limit.h"
#include "http/message.h"
#include "net/address.h"
#include "routing/health.h"
#include "routing/retry_budget.h"
#include "routing/standing.h"
#include "routing/slow_write.h"
#include "topology/topology.h"
#include "upstream/link_budget.h"

struct lock;
struct roster;
struct wakeup;

/* A reload may replace every node while all old ones still have links. */
#define ROSTER_SLOTS (2 * TOPOLOGY_NODES_MAXIMUM)

/* A node by a number that no other node has, whatever its slot holds later: its slot is in the lower bits. 0: no node. */
typedef uint32_t roster_handle;

/* What the operator has said of a node, for each class. */
enum node_admin {
    NODE_ADMIN_READY,
    NODE_ADMIN_DRAIN, /* gets nothing new; what is under way goes on */
    NODE_ADMIN_MAINT, /* the same, and its health is of no interest: it may be away */
};
/* "ready", "drain", "maint". */
const char *node_admin_name(enum node_admin admin);

/* The halves stand on cache lines of their own: the first is written with each attempt, the second rarely. */
struct roster_node {
    _Alignas(64) atomic_uint outstanding;    /* attempts under way, all workers */
    atomic_uint outstanding_of[REQUEST_CLASS_COUNT];
    atomic_uint waiting;                     /* exchanges that wait for a link while none is dialled for them, all workers */
    atomic_ulong requests;                   /* attempts begun since start */
    atomic_ulong failures;                   /* attempts that ended in a fault of the node */
    atomic_uint write_average;               /* slow_write_average: acknowledgements, all workers (of two at once, one may be lost) */
    atomic_uint owed;                        /* failed attempts that still count as load, all workers (dispatch/debts.h) */
    _Atomic uint64_t heard_ms;               /* when it was heard last, or got work while it had none */
    atomic_uint good[REQUEST_CLASS_COUNT];   /* answers; this and what follows is for upstream/standings.h */
    atomic_uint bad_in_row[REQUEST_CLASS_COUNT];
    atomic_uint took[REQUEST_CLASS_COUNT];   /* an average of good answers; 0: there was none */
    _Alignas(64) atomic_uint health;         /* enum health_state; writer: control */
    atomic_uint suspected;                   /* it is silent while work waits, and was not probed since; writers: workers, control takes it back */
    atomic_uint tls_failed;                  /* the last probe failed by TLS; writer: control */
    atomic_uint connect_failures;            /* in a row, live traffic; reset by a connection that came about */
    atomic_uint admin[REQUEST_CLASS_COUNT];  /* enum node_admin; writer: control */
    atomic_uint standing[REQUEST_CLASS_COUNT]; /* enum standing_state, for those who do not hold the lock; writer: standings.c */
    _Atomic uint64_t since_ms[REQUEST_CLASS_COUNT]; /* of that */
    _Atomic uint64_t until_ms[REQUEST_CLASS_COUNT];
    _Atomic uint64_t refused_ms;             /* when it said that it serves no writes; 0: it has not */
    struct standing standings[REQUEST_CLASS_COUNT]; /* under the roster's lock */
    atomic_uint http_version;                /* 0: not known yet, 1, 2; writers: control, and pools that learn it by ALPN */
    atomic_uint http2_streams;               /* that it allows on a connection, 0: not known yet; any thread that learns it */
    atomic_uint address_version;             /* odd while the address is being written (a sequence lock) */
    _Atomic uint64_t address_words[4];
    struct roster *roster;
    unsigned slot;
    roster_handle handle;
    atomic_uint references;
    char node_id[];
};

struct roster {
    atomic_uint generation;                  /* rises when another set of nodes may be usable */
    atomic_uint addresses;                   /* rises when an address changes */
    atomic_ulong writeback_cursor;           /* strict round robin over all workers */
    atomic_uint catalog_node;                /* handle of the sticky node of class catalog, or 0 */
    atomic_uint draining;                    /* SIGTERM was seen */
    atomic_size_t kept_body_bytes;           /* of requests, by all workers: at most limits.replay_total */
    atomic_size_t memory_bytes;              /* of traffic, by all workers (base/memory_account.h), without kept bodies */
    atomic_size_t memory_maximum_bytes;      /* limits.memory less what the process needs for itself; 0: not known yet, nothing is refused */
    atomic_uint workers;                     /* among which each node's limit of links is divided; 0 counts as 1 */
    struct link_budget links;
    atomic_ulong requests;                   /* that the budget of repeats has not heard of yet */
    uint64_t started_ms;
    char via[MESSAGE_VERSION_COUNT][40];     /* by the version that came in: "1.1 sluice-" and 8 hexadecimal digits, random for each process */
    struct wakeup *suspicions;               /* ref: of the prober, as long as workers run; or NULL */
    struct lock *lock;                       /* of what follows */
    struct retry_budget retry_budget;
    uint32_t admitted;                       /* nodes so far: makes handles different */
    struct roster_node *slots[ROSTER_SLOTS];
};

/* What traffic takes, kept bodies included. */
static inline size_t roster_memory_bytes(const struct roster *roster)
{
    return atomic_load_explicit(&roster->memory_bytes, memory_order_relaxed) +
           atomic_load_explicit(&roster->kept_body_bytes, memory_order_relaxed);
}
static inline enum memory_pressure roster_memory_pressure(const struct roster *roster)
{
    return memory_pressure_of(roster_memory_bytes(roster), atomic_load_explicit(&roster->memory_maximum_bytes, memory_order_relaxed));
}
/* How much of all bodies together may be kept now; `wanted_bytes`: limits.replay_total. */
static inline size_t roster_kept_body_maximum(const struct roster *roster, uint64_t wanted_bytes)
{
    return memory_limit_of_bodies(wanted_bytes, roster_memory_bytes(roster),
                                  atomic_load_explicit(&roster->memory_maximum_bytes, memory_order_relaxed));
}

/* NULL when memory is out. */
struct roster *roster_create(void);
/* All nodes must have been released. NULL is allowed. */
void roster_destroy(struct roster *roster);

/*
 * The node of this name with one more reference, made if it is not there; NULL when memory is out or when so many nodes of earlier
 * configurations still have links that there is no slot (*is_full).
 */
struct roster_node *roster_admit(struct roster *roster, const char *node_id, bool *is_full);
void roster_node_retain(struct roster_node *node);
/* From any thread. */
void roster_node_release(struct roster_node *node);

/* Who is usable may have changed. */
static inline void roster_touch(struct roster *roster)
{
    atomic_fetch_add_explicit(&roster->generation, 1, memory_order_release);
}

/* Control only. Length 0: the node has no address until it is set again. The address that it has is no change. */
void roster_node_set_address(struct roster_node *node, const struct address *address);
/* False while the node has no address. */
bool roster_node_get_address(const struct roster_node *node, struct address *address);

/* Rises when the node gets another address: links that were made before lead elsewhere. */
static inline unsigned roster_node_place(const struct roster_node *node)
{
    return atomic_load_explicit(&node->address_version, memory_order_acquire);
}

/* May the node get new requests of this class? */
bool roster_node_is_usable(const struct roster_node *node, enum request_class class);
/* Would it be usable but for the results of probes? What the operator said, failed TLS and failed connections of live traffic are none. */
bool roster_node_is_down_by_probes(const struct roster_node *node, enum request_class class);

/* Control only: true when the state changed. */
bool roster_node_set_health(struct roster_node *node, enum health_state health);
void roster_node_set_tls_failed(struct roster_node *node, bool failed);
void roster_node_set_admin(struct roster_node *node, enum request_class class, enum node_admin admin);
/* Which HTTP the node speaks; returns what was known before. */
unsigned roster_node_set_version(struct roster_node *node, unsigned version);

/* Live traffic: the node has said nothing for long although something waits for it. It is probed at once. From any thread. */
void roster_node_suspect(struct roster_node *node);
/* It is down, or connections do not come about: nothing is to be expected of it. What the operator said of it does not matter here. */
bool roster_node_is_lost(const struct roster_node *node);

/* The node has acknowledged a write. */
static inline void roster_node_note_write(struct roster_node *node, uint64_t took_ms)
{
    slow_write_average before = atomic_load_explicit(&node->write_average, memory_order_relaxed);
    atomic_store_explicit(&node->write_average, slow_write_add(before, took_ms), memory_order_relaxed);
}

/* Live traffic saw a connect-class failure, or a connection that came about. */
void roster_node_note_connect(struct roster_node *node, bool failed);
/* It said something, or got work while it had none: from now on it may be silent. Near times are one, so that answers in pieces write seldom. */
#define ROSTER_HEARD_STEP_MS 20
static inline void roster_node_note_heard(struct roster_node *node, uint64_t now_ms)
{
    if (now_ms >= atomic_load_explicit(&node->heard_ms, memory_order_relaxed) + ROSTER_HEARD_STEP_MS)
        atomic_store_explicit(&node->heard_ms, now_ms, memory_order_relaxed);
}
/* For how long has nothing come though work waits? */
uint64_t roster_node_silent_ms(const struct roster_node *node, uint64_t now_ms);

/* The node has another place: which HTTP it speaks and whether connections come about there is not known yet. */
void roster_node_forget_place(struct roster_node *node);

/* So many requests have come: they bring tokens for repeats. */
static inline void roster_count_requests(struct roster *roster, unsigned count)
{
    atomic_fetch_add_explicit(&roster->requests, count, memory_order_relaxed);
}
/* From any thread. Takes a token for a repeat; false when the process has none, and then there may be one in *wait_ms. */
bool roster_take_retry(struct roster *roster, const struct retry_budget_rates *rates, uint64_t now_ms, uint64_t *wait_ms);

#endif
