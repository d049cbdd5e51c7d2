#ifndef SLUICE_SIM_WORLD_OPERATOR_CALL_H
#define SLUICE_SIM_WORLD_OPERATOR_CALL_H
/* One call of the admin listener, on a connection of its own, from Sluice's machine. */
#include "base/text.h"
#include "kernel/time.h"
#include "peer/peer.h"

#define OPERATOR_ANSWER_BYTES 131072

/* Embedded in the operator; zero it before its first use. One call at a time. */
struct operator_call {
    struct peer *peer;           /* NULL: no call is under way */
    struct peer_stream *stream;
    struct sim_timer patience;
    unsigned status;
    size_t length;
    char body[OPERATOR_ANSWER_BYTES];
    /* The answer came whole; or `status` is 0: it did not. Another call may begin only later. */
    void (*on_end)(void *owner, unsigned status, struct text body);
    void *owner;
};

struct operator_order {
    struct text method;
    struct text target;
    struct text host;     /* what it calls the listener */
    bool has_header;      /* X-Sluice-Admin, which a change needs */
};

bool operator_call_is_under_way(const struct operator_call *call);
void operator_call_begin(struct operator_call *call, const struct operator_order *order);
/* Nobody hears its end. */
void operator_call_drop(struct operator_call *call);

#endif
