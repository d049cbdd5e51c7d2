#ifndef SLUICE_EXCHANGE_STATE_H
#define SLUICE_EXCHANGE_STATE_H
/* The exchange's own data, for the files of this folder only; exchange.h explains the states. */
#include "base/fault.h"
#include "exchange/exchange.h"
#include "exchange/replay.h"
#include "http/message.h"
#include "http/stream.h"
#include "net/address.h"
#include "net/loop.h"
#include "routing/retry.h"
#include "upstream/pool.h"

enum exchange_state {
    EXCHANGE_NEW,
    EXCHANGE_WAITING,
    EXCHANGE_SENDING,
    EXCHANGE_AWAITING,
    EXCHANGE_SCREENING,
    EXCHANGE_RELAYING,
    EXCHANGE_DONE,
};

/* A response that is kept back until its body has shown what it means. */
struct held_response {
    struct message_head *head;       /* owned copy */
    bool is_complete;
    bool is_cut;                     /* more came than fits, and was dropped: it must not be relayed */
    size_t length;
    char body[RETRY_REFUSAL_BYTES];
};

struct exchange {
    struct list_node node;               /* in context->exchanges */
    struct exchange_context *context;
    enum exchange_state state;
    struct stream *downstream;           /* until released */
    struct message_head *head;           /* owned copy of the request's head */
    enum request_class class;
    const struct route *route;           /* ref: classifier */
    uint64_t candidates;                 /* nodes that can serve it */
    uint64_t tried;
    uint64_t answered;                   /* of them, those that gave a whole answer */
    bool request_received;               /* the client's message is complete */
    bool downstream_paused;
    bool upstream_paused;
    bool is_fan_out;                     /* goes to each candidate in turn; the last answer is relayed */
    char request_id[132];
    size_t request_id_length;
    char client_host[ADDRESS_TEXT_BYTES];

    /* the present attempt */
    unsigned node_index;
    unsigned attempts;
    unsigned attempts_before;            /* made on other nodes of a sweep (engine, fan-out), which is no retry */
    struct pool_ticket ticket;
    struct link *link;                   /* out of the pool while there is an upstream stream */
    struct stream *upstream;
    bool link_was_reused;
    bool is_counted;                     /* in the node's outstanding count */
    struct held_response *held;
    struct replay replay;

    /* time and record */
    struct loop_timer timer;
    uint64_t started_ms;
    uint64_t deadline_ms;                /* for all attempts; 0: none */
    uint64_t active_ms;                  /* the last byte in either direction; in WAITING, when the wait began */
    uint64_t waited_ms;                  /* spent in WAITING by all attempts */
    uint64_t request_bytes;
    uint64_t response_bytes;
    unsigned status;
    enum fault fault;                    /* the last one, FAULT_NONE if the answer is the node's */
};

/* The only writer of the state. */
void exchange_enter(struct exchange *exchange, enum exchange_state next);
/* Sets the deadline that belongs to the present state. */
void exchange_arm(struct exchange *exchange);
/* Answers with the fault's own words and ends; the upstream side must be released. */
void exchange_answer_fault(struct exchange *exchange, enum fault fault);
/* Writes the record, releases what is left, and buries the exchange. */
void exchange_finish(struct exchange *exchange);

static inline bool exchange_is_write(const struct exchange *exchange)
{
    return exchange->class == REQUEST_CLASS_WRITE || exchange->class == REQUEST_CLASS_WRITEBACK;
}

/* attempt.c */

/* Chooses a node and begins an attempt; ends in WAITING, SENDING or AWAITING, or answers when there is no node. */
void attempt_start(struct exchange *exchange);
/* The request body goes to the node, if there is one, and into the replay. */
void attempt_send_data(struct exchange *exchange, struct text bytes);
void attempt_send_end(struct exchange *exchange);
/* The attempt is over with a fault before anything went to the client: again or give up. */
void attempt_fail(struct exchange *exchange, enum fault fault);
/* Lets go of ticket, stream and link, cancelling what is under way. */
void attempt_release(struct exchange *exchange);
/* The attempt is over with a complete answer that is not for the client (a refusal, a fan-out): the next node. False: none left. */
bool attempt_next(struct exchange *exchange);

/* The node has answered: catalog requests stay with it, an engine path is asked there first next time. */
void attempt_remember_node(struct exchange *exchange);

extern const struct stream_events relay_upstream_events;

/* relay.c: the upstream stream's events, and the commitment of what was kept back. */
void relay_held(struct exchange *exchange);

/* local.c: answers a route of ROUTE_TARGET_SLUICE. */
void local_answer(struct exchange *exchange);

#endif
