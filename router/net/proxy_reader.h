#ifndef SLUICE_NET_PROXY_READER_H
#define SLUICE_NET_PROXY_READER_H
/*
 * A connection whose first bytes are a PROXY protocol header: takes over an accepted socket, reads that header and not a byte more, and
 * gives the socket back with the client that was announced. What comes behind it, TLS or HTTP, is still unread then.
 *
 * How: the socket is looked into (MSG_PEEK) first. As long as the header is incomplete everything in the socket belongs to it and is
 * taken out, so a level-triggered event does not fire again until more has come; once it is complete, exactly its rest is taken.
 *
 * proxy_reader_create -> one of the events, from the loop only, or proxy_reader_close. Each one hangs on the owner's list meanwhile.
 */
#include <stdint.h>

#include "base/list.h"
#include "net/address.h"

struct proxy_reader;
struct loop;

enum proxy_reader_end {
    PROXY_READER_END_SILENT,    /* closed without a byte: how load balancers look whether a port is open */
    PROXY_READER_END_TRUNCATED, /* closed, or reset, inside the header */
    PROXY_READER_END_MALFORMED,
    PROXY_READER_END_TIMEOUT,   /* no whole header until the deadline */
    PROXY_READER_END_NO_MEMORY,
};

struct proxy_reader_events {
    /* The socket is the owner's again. `client` is NULL when none was announced. */
    void (*on_header_read)(void *owner, int fd, const struct address *client);
    /* The socket is closed; `sender` was at its other end. */
    void (*on_failed)(void *owner, const struct address *sender, enum proxy_reader_end end);
};

/* Takes over `fd`. NULL (and it is closed) when memory is out. The first look is taken when the present event has been handled. */
struct proxy_reader *proxy_reader_create(struct loop *loop, int fd, uint64_t deadline_ms, const struct proxy_reader_events *events,
                                         void *owner, struct list *readers);
/* Moves the deadline nearer; one that is nearer already stays. */
void proxy_reader_hurry(struct proxy_reader *reader, uint64_t deadline_ms);
/* Closes at once; no event follows. */
void proxy_reader_close(struct proxy_reader *reader);

/* The reader that hangs on its list by this node. */
struct proxy_reader *proxy_reader_of_node(struct list_node *node);

#endif
