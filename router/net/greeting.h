#ifndef SLUICE_NET_GREETING_H
#define SLUICE_NET_GREETING_H
/*
 * A connection whose first bytes are a PROXY protocol header: takes over an accepted socket, reads that header and not a byte more, and
 * gives the socket back with the client that was announced. What comes behind it, TLS or HTTP, is still unread then.
 *
 * How: the socket is looked into (MSG_PEEK) first. As long as the header is incomplete everything in the socket belongs to it and is
 * taken out, so a level-triggered event does not fire again until more has come; once it is complete, exactly its rest is taken.
 *
 * greeting_create -> one of the events, from the loop only, or greeting_close. Each one hangs on the owner's list meanwhile.
 */
#include <stdint.h>

#include "base/list.h"
#include "net/address.h"

struct greeting;
struct loop;

enum greeting_end {
    GREETING_END_SILENT,    /* closed without a byte: how load balancers look whether a port is open */
    GREETING_END_TRUNCATED, /* closed, or reset, inside the header */
    GREETING_END_MALFORMED,
    GREETING_END_TIMEOUT,   /* no whole header until the deadline */
    GREETING_END_NO_MEMORY,
};

struct greeting_events {
    /* The socket is the owner's again. `client` is NULL when none was announced. */
    void (*on_greeted)(void *owner, int fd, const struct address *client);
    /* The socket is closed; `sender` was at its other end. */
    void (*on_failed)(void *owner, const struct address *sender, enum greeting_end end);
};

/* Takes over `fd`. NULL (and it is closed) when memory is out. The first look is taken when the present event has been handled. */
struct greeting *greeting_create(struct loop *loop, int fd, uint64_t deadline_ms, const struct greeting_events *events,
                                 void *owner, struct list *greetings);
/* Moves the deadline nearer; one that is nearer already stays. */
void greeting_hurry(struct greeting *greeting, uint64_t deadline_ms);
/* Closes at once; no event follows. */
void greeting_close(struct greeting *greeting);

/* The greeting that hangs on its list by this node. */
struct greeting *greeting_of_node(struct list_node *node);

#endif
