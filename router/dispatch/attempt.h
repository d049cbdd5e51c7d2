#ifndef SLUICE_DISPATCH_ATTEMPT_H
#define SLUICE_DISPATCH_ATTEMPT_H
/*
 * One try of a request on one node: waits for a link, sends the request as the node takes it, keeps back an answer that may be a refusal, and
 * gives the answer on. It ends in exactly one outcome, which is counted and reported in one place (attempt.c, end_with).
 *
 *   NONE --start--> WAITING --link--> OPEN --head--> RELAYING --end--> NONE (ANSWERED)
 *                      |               |  +--head that may refuse--> HOLDING --it is the client's--> RELAYING
 *                      |               |                                |
 *                      +---------------+--------------------------------+--fault, refusal, cancelled--> NONE
 *
 *   state     what is true in it
 *   NONE      there is no attempt: no ticket, no link, no stream
 *   WAITING   the ticket waits in the pool
 *   OPEN      has a stream of a node; the request goes out, no head of an answer has come
 *   HOLDING   a head has come and is kept back with what follows; when all of it is there, the owner may take its time to decide
 *   RELAYING  the answer goes to the owner: nothing can be taken back
 *
 * A gRPC answer with a body goes through AWAITING_TRAILERS before RELAYING: it may not end there. Before that a DoGet is BEGUN: its head has gone to
 * the owner, its first message is kept back, and another attempt may still take its place. From all of them a fault or the owner leads to NONE.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/fault.h"
#include "dispatch/first_message.h"
#include "dispatch/request.h"
#include "dispatch/screen.h"
#include "dispatch/vigil.h"
#include "http/stream.h"
#include "upstream/pool.h"

struct dispatch_context;
struct held_answer;
struct link;

enum attempt_state { ATTEMPT_NONE, ATTEMPT_WAITING, ATTEMPT_OPEN, ATTEMPT_HOLDING, ATTEMPT_BEGUN, ATTEMPT_AWAITING_TRAILERS, ATTEMPT_RELAYING };

/* How much of the request has gone. */
enum attempt_progress {
    ATTEMPT_SENDING, /* its end has not been given to the stream */
    ATTEMPT_SENT,    /* all of it was given to the stream */
    ATTEMPT_LEFT,    /* set when the attempt ends: its last byte was gone (stream_has_left), so the node may read it to its end */
};

enum attempt_outcome {
    ATTEMPT_ANSWERED,    /* the whole answer went to the owner */
    ATTEMPT_REFUSED,     /* the node said that it did nothing; its answer is dropped */
    ATTEMPT_ERRED,       /* the node's answer is an error that another one may not have; it is dropped */
    ATTEMPT_PART,        /* of a fan-out: this node has done it; its answer is dropped */
    ATTEMPT_FAILED,      /* by a fault */
    ATTEMPT_CANCELLED,   /* the owner gave it up: the client has gone, or its time is over */
};

/* A trial finds out about a node that was set aside (upstream/standings.h). */
enum attempt_purpose { ATTEMPT_FOR_ITSELF, ATTEMPT_TRIAL };

/* What becomes of a kept answer. */
enum attempt_verdict { ATTEMPT_RELAY, ATTEMPT_DROP, ATTEMPT_LATER };

struct attempt;

/* All are called from the loop, or by a verb that says so. */
struct attempt_events {
    /* The node takes more of the request. */
    void (*on_drained)(void *owner);
    void (*on_interim)(void *owner, const struct message_head *head);
    /* The answer: committed with its head; or, if it is BEGUN then, with on_settled, before which the attempt may fail and another one follow. */
    void (*on_head)(void *owner, const struct message_head *head);
    void (*on_settled)(void *owner);
    void (*on_data)(void *owner, struct text bytes);
    void (*on_trailers)(void *owner, const struct message_head *trailers);
    /*
     * A kept answer is complete, or as long as can be kept (`is_whole` is false), and turns out to be this. When it is dropped the attempt ends in
     * the outcome that belongs to the verdict; LATER, for a whole one: attempt_relay_held or attempt_end follows.
     */
    enum attempt_verdict (*on_screened)(void *owner, enum screen_result result, bool is_whole);
    /* The node is lost and nothing of an answer has come. The owner may end the attempt; else it goes on, and this comes again. */
    void (*on_lost)(void *owner);
    /* The node has had the whole request for `waited_ms`, and nothing of an answer has come. Comes now and then; the same holds. */
    void (*on_waiting)(void *owner, uint64_t waited_ms);
    /* The attempt is over and holds nothing any more; another may be started within the call. After ANSWERED nothing follows. */
    void (*on_outcome)(void *owner, enum attempt_outcome outcome, enum fault fault);
};

/* Embedded in its owner; zero it before first use. */
struct attempt {
    enum attempt_state state;
    struct dispatch_context *context;
    const struct topology *topology;    /* ref: of the epoch that the request began with */
    struct request *request;            /* ref */
    const struct screen_question *question; /* ref */
    enum request_class class;
    unsigned capabilities;              /* of the route */
    const struct attempt_events *events;
    void *owner;
    struct roster_node *node;           /* ref: the newest one, also when the attempt is over */
    unsigned number;                    /* of all attempts of the request, for the log */
    struct vigil vigil;
    struct pool_ticket ticket;
    struct link *link;                  /* out of the pool while there is a stream */
    struct stream *stream;
    uint64_t sent_bytes;                /* of the body, given to the stream */
    enum attempt_progress progress;
    bool link_was_reused;               /* others came before it on the link */
    bool link_is_spent;                 /* of an attempt that has failed: its link is over, or takes nothing new */
    enum attempt_purpose purpose;       /* set before it starts */
    struct held_answer *held;
    struct first_message first;         /* BEGUN */
    unsigned status;                    /* of the answer */
    enum answer_cause cause;            /* why the answer is an error, as far as it has come */
    uint64_t begun_ms;
    uint64_t active_ms;                 /* the last byte in either direction; in WAITING, when the wait began */
};

/*
 * Begins on the node. FAULT_NONE: it waits, or the request goes out already (no event has been called). Else the attempt is over with this fault
 * and has been counted, but on_outcome is not called.
 */
enum fault attempt_start(struct attempt *attempt, struct roster_node *node, bool wants_fresh_link);
/* More of the body has been appended (`piece` is its last part), or its end or its trailers have come. No event is called. */
void attempt_feed(struct attempt *attempt, struct text piece);
/* Ends by a decision of the owner; without on_outcome. Nothing happens when there is none. */
void attempt_end(struct attempt *attempt, enum attempt_outcome outcome, enum fault fault);

/* BEGUN: what is kept goes to the owner, and the answer is committed. */
void attempt_settle(struct attempt *attempt);
/* HOLDING, of an answer that was decided about LATER: it goes to the owner, to its end. */
void attempt_relay_held(struct attempt *attempt);

/* Something of the answer has gone to the owner. */
static inline bool attempt_is_committed(const struct attempt *attempt)
{
    return attempt->state == ATTEMPT_AWAITING_TRAILERS || attempt->state == ATTEMPT_RELAYING;
}

/* Some of what has come of the body is still to be sent: it must be kept, and what comes behind it, too. */
bool attempt_is_behind(const struct attempt *attempt);
/* Cannot take more of the request now; on_drained says when it can. */
bool attempt_is_congested(const struct attempt *attempt);
/* Is the request's last byte gone? (stream_has_left) */
bool attempt_has_left(const struct attempt *attempt);
/* Stops and starts the answer. */
void attempt_pause(struct attempt *attempt);
void attempt_resume(struct attempt *attempt);

#endif
