#ifndef SLUICE_DISPATCH_STATE_H
#define SLUICE_DISPATCH_STATE_H
/* The dispatch's own data, for dispatch.c, hedge.c, deadlines.c and state.c (its machine, and what its record says). */
#include "dispatch/attempt.h"
#include "dispatch/choose.h"
#include "dispatch/dispatch.h"
#include "routing/policy.h"

/*
 * dispatch.h draws what its owner sees. From the inside:
 *
 *   OPENED --head of a body--> BUFFERING --its end, or enough of it--> BEGINNING
 *   OPENED --head----> BEGINNING --the verb is over--> TRYING <--again-- CHECKING, WAITING
 *                        |                             | +--a fault that timestamps decide, or a repeat that costs a token--^
 *                        |                             v
 *                        |                          RELAYING --its end--> DONE
 *                        v                             |
 *                     FAILING <--a fault, memory-------+---- (from BUFFERING, TRYING, CHECKING and WAITING, too)
 *                        +--on_failed--> DONE
 *
 * While FAILING waits to be told, memory may be out once more. The owner's reset leads to DONE from everywhere; in DONE it changes nothing.
 */
enum dispatch_state {
    DISPATCH_OPENED,
    DISPATCH_BUFFERING, /* the beginning of the body is read first; no attempt is under way, and no node is chosen */
    DISPATCH_BEGINNING, /* inside of a verb of the owner: no event may be given */
    DISPATCH_TRYING,
    DISPATCH_CHECKING,  /* do the lines have timestamps? No attempt is under way, or its whole answer is kept until this is known */
    DISPATCH_WAITING,   /* for a token: a repeat is due, no attempt is under way */
    DISPATCH_RELAYING,
    DISPATCH_FAILING,   /* on_failed is owed */
    DISPATCH_DONE,      /* nothing follows */
};

/* hedge.h draws it. */
enum hedge_state { HEDGE_POSSIBLE, HEDGE_OUT, HEDGE_OVER };

struct dispatch {
    struct stream stream;              /* first */
    struct dispatch_context *context;
    enum dispatch_state state;
    struct lease *lease;               /* ref; NULL when the epoch was left */
    struct roster_node *kept_node;     /* owned reference, when the epoch was left */
    struct choice choice;
    struct node_set tried;
    unsigned answered;                 /* nodes that gave a whole answer which is not the client's */
    unsigned attempts_before;          /* made on other nodes of a sweep (engine, fan-out), which is no retry */
    unsigned passed_over;              /* attempts that do not count (retry_was_passed_over) */
    struct screen_question question;
    struct request request;
    struct attempt *attempt;           /* &first, or second when that has taken over */
    struct attempt first;
    struct attempt *second;            /* owned: beside the first one, or in its place; NULL: never asked for */
    enum hedge_state hedge;
    bool is_paused;                    /* the owner takes no more of the answer */
    bool is_begun;                     /* the owner has the head; what else it hears may be another attempt's */
    struct lease *own_lease;           /* owned: the epoch that the owner has left before the answer was settled, or NULL */
    enum fault fault;                  /* the last one */
    uint64_t deadline_ms;              /* no attempt begins after it; 0: none */
    uint64_t stopped_since_ms;         /* we keep a write's client from sending, since then; 0: we do not */
    uint64_t stopped_ms;               /* how long we have done so, before that */
    struct loop_timer timer;
    struct loop_task fail_task;
    struct body_check check;
    struct repeat_ticket repeat;
    enum timestamp_result timestamps;  /* MORE: nobody has asked yet */
};

/* The only writer of the state. */
void dispatch_enter(struct dispatch *dispatch, enum dispatch_state next);

static inline const struct topology *dispatch_topology(const struct dispatch *dispatch)
{
    const struct lease *lease = dispatch->lease != NULL ? dispatch->lease : dispatch->context->newest;
    return lease->epoch->topology;
}

static inline const struct policy *dispatch_policy(const struct dispatch *dispatch)
{
    return policy_of(dispatch->choice.kind.class);
}

static inline uint64_t dispatch_now_ms(const struct dispatch *dispatch)
{
    return loop_now_ms(dispatch->context->loop);
}

#endif
