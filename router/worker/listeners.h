#ifndef SLUICE_WORKER_LISTENERS_H
#define SLUICE_WORKER_LISTENERS_H
/*
 * One worker's way in: its listening sockets, what a connection passes behind them, and its sessions. A reload adds, changes and closes
 * listeners while connections go on; a listener that is closed lasts until the last connection that came through it has gone.
 *
 * Connections are counted for the whole process: at limits.connections every worker stops to accept, and goes on when there is room again.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"
#include "base/log_limit.h"
#include "downstream/session.h"
#include "net/loop.h"

struct epoch;
struct metrics;
struct tls_server;

/* Shared by all workers of the process. */
struct connection_limit {
    atomic_size_t open;      /* connections, those included whose PROXY header has not come */
    atomic_size_t maximum;   /* written by the control thread */
    atomic_size_t wanted;    /* places of idle connections, for clients that wait to be accepted; whichever worker has idle ones gives them */
};

/* One of an epoch's listeners, as a worker is to have it. */
struct listener_plan {
    int fd;                  /* a bound socket, which the worker takes over; -1: the one that it has of this address */
    struct tls_server *tls;  /* ref; NULL for clear text */
    atomic_bool *is_missing; /* ref: set when the worker has no socket of this address; the next epoch brings one */
};

struct listeners_settings {
    struct loop *loop;
    const struct session_handler *handler; /* its owner is `owner` */
    void *owner;
    const struct h1_settings *h1;          /* ref */
    struct h2_context *h2;                 /* ref */
    struct buffer_pool *buffers;           /* ref */
    struct metrics *metrics;               /* ref */
    struct connection_limit *limit;        /* ref */
    /* A connection has gone, or its PROXY header did not come. */
    void (*on_gone)(void *owner);
};

/*
 * May they accept?
 *
 *   ACCEPTING <--the limit of connections, room--> RESTING        both --listeners_drain--> DRAINING
 *
 * While they rest, as many idle connections as clients wait are told to go, in any worker that has some: those that were idle for longest.
 */
enum listeners_state { LISTENERS_ACCEPTING, LISTENERS_RESTING, LISTENERS_DRAINING };

struct listeners {
    struct listeners_settings settings;
    enum listeners_state state;
    struct list current;                   /* of struct worker_listener: those of the newest epoch */
    struct list closed;                    /* of struct worker_listener: those that still have connections */
    struct list sessions;
    struct list idle;                      /* those of them that are between two requests, longest first */
    uint64_t wanted_ms;                    /* when this worker counted who waits, the last time */
    struct list proxy_readers;                 /* connections on their way to a session */
    struct log_limit abuse_log;
    struct log_limit limit_log;            /* of the limit of connections */
    struct loop_timer room_timer;          /* RESTING: is there room again? Else: has another worker reached the limit? */
    atomic_size_t count;                   /* this worker's connections; readable from any thread */
};

void listeners_init(struct listeners *listeners, const struct listeners_settings *settings);

/*
 * `plans` has one entry for each listener of the epoch's topology; all sockets in it are taken over, also when this fails. False when memory is
 * out: then the listeners that could not be made are missing.
 */
bool listeners_apply(struct listeners *listeners, struct epoch *epoch, const struct listener_plan *plans);

/* No new connections; those that there are end with their present answers. */
void listeners_drain(struct listeners *listeners);
/* Closes everything at once. */
void listeners_close(struct listeners *listeners);

#endif
