#ifndef SLUICE_EXCHANGE_STATE_H
#define SLUICE_EXCHANGE_STATE_H
/* The exchange's own data, for the files of this folder only; exchange.h explains the states. */
#include "base/fault.h"
#include "base/slab.h"
#include "base/grpc_status.h"
#include "exchange/exchange.h"
#include "exchange/replay.h"
#include "http/grpc.h"
#include "http/message.h"
#include "http/stream.h"
#include "net/address.h"
#include "net/loop.h"
#include "routing/retry.h"
#include "upstream/pool.h"

/* The longest that sanitise_is_request_id takes, with room to align what follows. */
#define REQUEST_ID_BYTES 132

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
    struct message_head *trailers;   /* owned copy, or NULL */
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
    bool is_tls;                         /* the client came by TLS */
    char request_id[REQUEST_ID_BYTES];
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
    struct message_head *request_trailers; /* owned copy, or NULL: sent behind the body, again with each attempt */

    /* a gRPC call (grpc_call.c) */
    bool is_grpc;
    bool was_unavailable;                /* a node said UNAVAILABLE, and another one was asked */
    bool may_send_status;                /* the answer has begun and is open to a status of ours at its end */
    bool has_grpc_status;
    enum grpc_status grpc_status;        /* the node's */

    /* time and record */
    struct loop_timer timer;
    uint64_t started_ms;
    uint64_t deadline_ms;                /* a write's: for all attempts; a gRPC call's: for the whole answer; 0: none */
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
/* Committed, and the answer will not be completed: ends so that the client can tell. */
void exchange_break(struct exchange *exchange, enum fault fault);
/* Writes the record, releases what is left, and buries the exchange. */
void exchange_finish(struct exchange *exchange);

static inline bool exchange_is_write(const struct exchange *exchange)
{
    return exchange->class == REQUEST_CLASS_WRITE || exchange->class == REQUEST_CLASS_WRITEBACK;
}

/* The client has said until when it waits for the end of the answer. */
static inline bool exchange_has_call_deadline(const struct exchange *exchange)
{
    return exchange->is_grpc && exchange->deadline_ms != 0;
}

static inline void exchange_drop_held(struct exchange *exchange, struct held_response *held)
{
    struct slab *slab = loop_slab(exchange->context->loop);
    slab_give(slab, held->head);
    slab_give(slab, held->trailers);
    slab_give(slab, held);
}

/* attempt.c */

/* Chooses a node and begins an attempt; ends in WAITING, SENDING or AWAITING, or answers when there is no node. */
void attempt_start(struct exchange *exchange);
/* The request body goes to the node, if there is one, and into the replay. */
void attempt_send_data(struct exchange *exchange, struct text bytes);
/* exchange->request_trailers have come. */
void attempt_send_trailers(struct exchange *exchange);
void attempt_send_end(struct exchange *exchange);
/* The attempt is over with a fault before anything went to the client: again or give up. */
void attempt_fail(struct exchange *exchange, enum fault fault);
/* Lets go of ticket, stream and link, cancelling what is under way. */
void attempt_release(struct exchange *exchange);
/* The attempt is over with a complete answer that is not for the client (a refusal, a fan-out): the next node. False: none left. */
bool attempt_next(struct exchange *exchange);

/* The node has said that it cannot: another node is asked, if the call may be repeated and one is left. Else false, and nothing is done. */
bool attempt_elsewhere(struct exchange *exchange, enum fault fault);

/* The node has answered: catalog requests stay with it, an engine path is asked there first next time. */
void attempt_remember_node(struct exchange *exchange);

extern const struct stream_events relay_upstream_events;

/* relay.c: the upstream stream's events, and the commitment of what was kept back. */
void relay_held(struct exchange *exchange);

/* grpc_call.c */

/* Finds out from the request's head whether this is a gRPC call, and until when. */
void grpc_call_begin(struct exchange *exchange);
/* In a head for the node, puts what is left of the client's grpc-timeout in its place; the value may lie in `buffer`. */
void grpc_call_shorten_timeout(const struct exchange *exchange, struct message_head *out,
                               char buffer[GRPC_TIMEOUT_BYTES]);
/* A trailers-only answer that says UNAVAILABLE, the first one of this call. */
bool grpc_call_is_unavailable(const struct exchange *exchange, const struct message_head *head);
/* A whole answer without grpc-status is none: the client would take it for the node's UNKNOWN. */
bool grpc_call_lacks_status(const struct exchange *exchange, const struct message_head *head);
/* Remembers the status in trailers, or in the head of a trailers-only answer. */
void grpc_call_note_status(struct exchange *exchange, const struct message_head *head);
/* How the call has ended, for the record: UNKNOWN when nobody said. */
enum grpc_status grpc_call_status(const struct exchange *exchange);
/* A committed answer that broke with exchange->fault gets the fault's status at its end, while it is open to it. */
void grpc_call_send_fault(struct exchange *exchange);

/* local.c: answers a route of ROUTE_TARGET_SLUICE. */
void local_answer(struct exchange *exchange);

#endif
