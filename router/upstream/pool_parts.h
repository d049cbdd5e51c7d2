#ifndef SLUICE_UPSTREAM_POOL_PARTS_H
#define SLUICE_UPSTREAM_POOL_PARTS_H
/* The pool's own data, for pool.c (links), pool_waiters.c (who waits for them) and pool_nodes.c (which nodes there are). */
#include "net/loop.h"
#include "upstream/dial.h"
#include "upstream/fair_queue.h"
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
    struct fair_queue waiters;   /* of pool_ticket */
    size_t held;                 /* streams that are out, of all clients */
    unsigned held_of[REQUEST_CLASS_COUNT]; /* of them */
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
    uint64_t seed;          /* of the queues' hashes */
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

/* All workers add up who waits without a connection on its way to them. Called whenever one of the two has changed. */
void pool_node_count_waiting(struct pool_node *node);
void pool_node_put_waiter(struct pool_node *node, struct pool_ticket *ticket);
/* It is served, or has failed. */
void pool_node_take_waiter(struct pool_node *node, struct pool_ticket *ticket);
/* The next one fails. */
void pool_node_fail_waiter(struct pool_node *node, enum fault fault);
/*
 * A dial failed. As many waiters as it had room for, and that have no other dial, hear of it, and the place that became free is for the
 * next; when no link to the node is left at all, every waiter hears of it, because none of them is about to be served.
 */
void pool_node_fail_waiters(struct pool_node *node, size_t room, enum fault fault);
/* May the ticket wait? In a full queue for a client that has fewer requests there than another one: pool_node_drop_excess then drops one of those. */
enum fault pool_node_admit_to_queue(struct pool_node *node, const struct pool_ticket *ticket);
void pool_node_drop_excess(struct pool_node *node);

/*
 * limits.client_share: a client that holds so much of the `capacity` of streams leaves as much free for others. While more is free, anybody may take
 * it. A share of less than one stream is none. On a node of several modes a class leaves as much for requests of other classes.
 */
bool pool_node_may_serve(struct pool_node *node, const struct pool_ticket *ticket, size_t capacity);
/* The client of the ticket has one stream more, or less. */
void pool_node_hold(struct pool_node *node, const struct pool_ticket *ticket);
void pool_node_let_go(struct pool_node *node, const struct pool_ticket *ticket);
/* Of those who wait and may be served: the first in turn, the one after `ticket`; NULL: there is none. */
struct pool_ticket *pool_node_first_to_serve(struct pool_node *node, size_t capacity);
struct pool_ticket *pool_node_next_to_serve(struct pool_node *node, struct pool_ticket *ticket, size_t capacity);

/* A node that is leaving and has no link any more leaves its slot. */
void pool_node_bury_if_left(struct pool_node *node);

#endif
