#ifndef SLUICE_DOWNSTREAM_ACCEPTOR_H
#define SLUICE_DOWNSTREAM_ACCEPTOR_H
/*
 * What a connection passes between accept and session. On a plain listener, nothing. With proxy_protocol, two checks: its sender must be one of
 * proxy_from (on a Unix-domain socket the file's permissions have said so already), and it must say for whom it connects.
 * Whoever fails is closed without an answer, counted, and logged once a second at most.
 *
 * The worker owns the acceptor and the list of connections whose header is being read, which it counts against its limit of connections.
 */
#include <stdbool.h>

#include "base/list.h"
#include "base/log_limit.h"
#include "net/address.h"
#include "observe/metrics.h"
#include "topology/topology.h"

struct loop;

struct acceptor_events {
    /* In: the socket is the owner's; `client` is NULL when the socket's own address holds. */
    void (*on_admitted)(void *owner, int fd, const struct address *client);
    /* A connection has ended without a session, before its PROXY header was read; only from the loop. */
    void (*on_rejected)(void *owner);
};

struct acceptor {
    struct loop *loop;
    const struct topology_listener *listener; /* ref */
    const struct acceptor_events *events;
    void *owner;
    struct list *proxy_readers;               /* ref: the worker's */
    struct metrics *metrics;                  /* ref */
    uint64_t header_ms;                       /* how long a header may take */
    struct log_limit refusal_log;
};

/*
 * Takes over an accepted socket. Without proxy_protocol on_admitted is called before this returns. False: it is closed already, and no event
 * follows.
 */
bool acceptor_admit(struct acceptor *acceptor, int fd);

/* Headers that are on their way get a grace of a second. */
void acceptor_drain(struct loop *loop, struct list *proxy_readers);
/* Closes all of them at once, without events. */
void acceptor_close(struct list *proxy_readers);

#endif
