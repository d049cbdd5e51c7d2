#ifndef SLUICE_UPSTREAM_POOL_PARTS_H
#define SLUICE_UPSTREAM_POOL_PARTS_H
/* The pool's own data, for pool.c (links and who waits for them) and pool_nodes.c (which nodes there are). */
#include "net/loop.h"
#include "upstream/dial.h"
#include "upstream/pool.h"
#include "upstream/roster.h"

/* One per node that this worker knows. */
struct pool_node {
    struct pool *pool;
    struct roster_node *shared;  /* owned reference */
    struct epoch *epoch;         /* owned reference: the newest one that has the node, at `index` */
    unsigned index;
    bool is_leaving;             /* no epoch has it any more: it goes with its last link */
    struct list open;            /* of pooled_link that have room, last used first */
    struct list dials;           /* of pooled_link that are connecting */
    struct list waiters;         /* of pool_ticket, first come first */
    struct list full;            /* of pooled_link that have none, and of retired ones */
    unsigned place;              /* roster_node_place of the address to which the links lead */
    uint64_t connects;           /* so far: the numbers of links */
    size_t dialled_room;         /* streams that the dials will have room for */
    size_t counted;              /* of the waiters, in shared->waiting: those above dialled_room */
    size_t links;                /* open, full and dialling */
    struct loop_task serve_task; /* waiters and links with room, or room for one more link, have come together */
};

/*
 *   DIALING --ready--> FULL <--room, no room--> OPEN        any --failed, closed, dropped--> GONE
 *                        |
 *                        +--the node is elsewhere now--> RETIRED --its last stream ends--> GONE
 */
enum pooled_state { POOLED_DIALING, POOLED_OPEN, POOLED_FULL, POOLED_RETIRED, POOLED_GONE };

/* A link and its place in the pool; it lives a little longer than a link that dies while it has streams. */
struct pooled_link {
    struct list_node node;
    struct pool_node *owner;
    enum pooled_state state;
    uint64_t number;        /* in the order of connecting */
    unsigned expected;      /* streams that it should have room for; while dialling */
    unsigned streams;       /* taken and not given back */
    struct dial dial;
    struct link *link;      /* when it is ready */
    uint64_t idle_since_ms; /* without streams */
};

struct pool {
    struct loop *loop;
    struct pool_settings settings;
    struct epoch *epoch;    /* owned reference: whose limits and timeouts hold; NULL before the first */
    struct loop_timer sweep;
    bool is_starved;        /* somebody waits because the process has no descriptor for a further link */
    struct loop_task feed_task; /* one may be left */
    struct pool_node *nodes[ROSTER_SLOTS];
};

/* Its lists are empty: makes it ready to serve. */
void pool_node_start(struct pool_node *node);
/* An idle link, or any at the pool's end: closed at once. */
void pooled_drop(struct pooled_link *pooled);
void pooled_cancel_dial(struct pooled_link *pooled);
/* Nothing new goes on the link: it closes at once when it is idle, else with its last stream. */
void pooled_retire(struct pooled_link *pooled);
/* pool_take, at this node. */
struct stream *pool_node_take(struct pool_node *node, struct pool_ticket *ticket, struct link **link, enum fault *fault);
/* A node that is leaving and has no link any more leaves its slot. */
void pool_node_bury_if_left(struct pool_node *node);

#endif
