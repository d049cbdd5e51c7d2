#ifndef SLUICE_SIM_WORLD_CLIENT_LINK_H
#define SLUICE_SIM_WORLD_CLIENT_LINK_H
/*
 * The connections of one client, kept alive between its requests as its original does: a few of HTTP/1.1, or one of HTTP/2 and another beside it while
 * that one goes away.
 *
 *   NONE --take--> OPEN --half-closed, or in doubt--> LAST --+
 *                   +--the other side ended it---------------+--> OVER --next take--> NONE
 */
#include <stdbool.h>

#include "kernel/draw.h"
#include "peer/peer.h"
#include "world/plan.h"

enum client_link_state {
    CLIENT_LINK_NONE, /* no connection */
    CLIENT_LINK_OPEN,
    CLIENT_LINK_LAST, /* takes no new request */
    CLIENT_LINK_OVER, /* nothing happens on it any more; it is destroyed with the next take */
};

struct client_link {
    enum client_link_state state;
    struct peer *peer;
    unsigned streams; /* requests under way */
    uint64_t opened_us;
};

#define CLIENT_LINKS 4

struct client_links {
    const struct plan *plan;
    struct random_source *random; /* the client's */
    unsigned host;
    uint16_t port;
    enum peer_version version;
    struct client_link all[CLIENT_LINKS];
};

/* A link that takes a request now, opened if need be; NULL when all are busy. Not from inside of a peer's callback. */
struct client_link *client_link_take(struct client_links *links);
/* Ends it now. With a reset, or in order. Not from inside of a peer's callback; no request of it hears anything any more. */
void client_link_abort(struct client_link *link);
void client_link_close(struct client_link *link);
/* A request was given up without a word on it: it takes no new one, as if it were dead. */
void client_link_doubt(struct client_link *link);
/* HTTP/1.1: from now on requests go out behind those that have no answer yet. */
void client_link_pipeline(struct client_link *link);
/* A FIN behind the request that was sent. */
void client_link_half_close(struct client_link *link);
void client_links_close(struct client_links *links);

#endif
