#ifndef SLUICE_NET_RESOLVER_H
#define SLUICE_NET_RESOLVER_H
/*
 * Names to addresses, without blocking the loop: /etc/hosts, then the name servers of /etc/resolv.conf (both read again when the next question
 * comes after all others have been answered). Only questions and answers: when to ask again, and which of the addresses to use, is the
 * caller's. c-ares underneath.
 *
 *   resolver_create -> resolver_start -> on_resolved once, from the loop only, or resolver_cancel -> resolver_destroy
 */
#include <stddef.h>
#include <stdint.h>

#include "net/address.h"

struct loop;
struct resolver;
struct resolver_request;

/* Of the addresses of a name, so many are handed over at most. */
#define RESOLVER_ADDRESSES_MAXIMUM 32

struct resolver_answer {
    const struct address *addresses; /* the likeliest to be reached first (RFC 6724); valid until on_resolved returns */
    size_t count;                    /* 0: there is none, see `reason` */
    unsigned ttl_s;                  /* the shortest of the records' (RFC 1035 section 3.2.1); 0 for the hosts file and literals */
    const char *reason;              /* NULL when there are addresses, else static words for the log */
};

/* The request is over when this is called: it must not be cancelled any more. */
typedef void resolver_on_resolved(void *owner, const struct resolver_answer *answer);

/* NULL when memory is out. */
struct resolver *resolver_create(struct loop *loop);

/*
 * Asks for the addresses of `host`, of both families; each comes with `port`. A literal is its own answer. A name server that says nothing is
 * asked three times, within 14 seconds. NULL when memory or descriptors are out.
 */
struct resolver_request *resolver_start(struct resolver *resolver, const char *host, uint16_t port,
                                        resolver_on_resolved *on_resolved, void *owner);
/* on_resolved does not come any more. NULL is allowed. */
void resolver_cancel(struct resolver_request *request);

/* Cancels what is under way. NULL is allowed. */
void resolver_destroy(struct resolver *resolver);

#endif
