#ifndef SLUICE_SIM_WORLD_CLIENT_TRY_H
#define SLUICE_SIM_WORLD_CLIENT_TRY_H
/*
 * One request of a client from its first byte to its end, with the faults of clients that the plan draws for it: leaving early, reading slowly,
 * a body that comes slowly or stops, a FIN behind the request.
 *
 * A try ends once: its answer came whole, it was cut, or the client left. Then the ledger hears it, the owner hears it, and the try is gone.
 */
#include "base/list.h"
#include "kernel/time.h"
#include "world/client_answer.h"
#include "world/client_link.h"

enum client_framing {
    CLIENT_NO_BODY,
    CLIENT_LENGTH,
    CLIENT_CHUNKED, /* HTTP/1.1: chunks as small as the original's; HTTP/2: without a length */
};

/* Texts must stay until client_try_start returns, `body` until the try has ended. */
struct client_request {
    enum try_kind kind;
    struct text method;
    struct text path;                /* and its query; the try's number is added to it */
    const struct peer_field *fields;
    size_t field_count;
    struct text body;                /* a write's stands in world/bodies.h and is empty here */
    enum client_framing framing;
    uint64_t budget_us;              /* how long the original waits */
    unsigned facts;                  /* enum answer_fact */
    unsigned tag;                    /* the owner's own word, given back with the end */
};

/* How a try ended. */
struct client_end {
    enum try_end end;
    unsigned status; /* of HTTP, or what gRPC's code means; 0 without an answer */
    enum peer_cut cut; /* TRY_CUT */
    unsigned tag;
};

/* Who asks; embedded in the client. */
struct client_asker {
    const struct plan *plan;
    struct random_source *random;
    unsigned client;
    uint64_t end_us; /* of the run */
    struct client_links *links;
    struct list tries;
    void (*on_end)(void *owner, const struct client_end *end);
    void *owner;
};

/*
 * Asks; on `link` behind what is under way there (pipelining), or where there is room. Returns the link that it went out on, or NULL when
 * there was none, and nothing was asked. Not from inside of a peer's callback.
 */
struct client_link *client_try_start(struct client_asker *asker, const struct client_request *request, struct client_link *link);
/* Drops all that is under way, without a word to the ledger. */
void client_tries_drop(struct client_asker *asker);

#endif
