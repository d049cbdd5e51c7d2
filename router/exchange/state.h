#ifndef SLUICE_EXCHANGE_STATE_H
#define SLUICE_EXCHANGE_STATE_H
/* The exchange's own data, for the files of this folder only; exchange.h explains the states. */
#include <stdbool.h>

#include "base/fault.h"
#include "base/grpc_status.h"
#include "exchange/exchange.h"
#include "http/message.h"
#include "http/stream.h"
#include "net/address.h"
#include "net/loop.h"
#include "routing/classify.h"
#include "routing/upload_rate.h"

enum exchange_state { EXCHANGE_NEW, EXCHANGE_OPEN, EXCHANGE_RELAYING, EXCHANGE_DONE };

/* Who has been told to stop, because the other side takes no more. Independent of each other and of the state. */
enum exchange_pause {
    EXCHANGE_PAUSED_REQUEST = 1 << 0, /* the client's stream: the cluster takes no more of the request */
    EXCHANGE_PAUSED_ANSWER = 1 << 1,  /* the cluster's stream: the client takes no more of the answer */
};

/* How a gRPC call stands. */
enum grpc_call_state {
    GRPC_CALL_NONE,         /* no gRPC */
    GRPC_CALL_WAITING,      /* nothing of an answer */
    GRPC_CALL_ANSWERING,    /* the answer has begun and is open to a status at its end */
    GRPC_CALL_STATED,       /* the node has given its status: grpc_status */
    GRPC_CALL_CLOSED,       /* no status can follow, and the node gave none */
};

struct exchange {
    struct list_node node;               /* in context->exchanges */
    struct exchange_context *context;
    enum exchange_state state;
    unsigned paused;                     /* enum exchange_pause bits */
    struct lease *lease;                 /* held, until the answer has begun and a newer epoch is in force */
    struct stream *downstream;           /* until released */
    struct stream *cluster;              /* the dispatch's; until released */
    struct message_head *head;           /* owned copy of the request's head */
    enum request_class class;
    const struct route *route;           /* ref: the lease's classifier */
    bool request_received;               /* the client's message is complete */
    bool is_tls;                         /* the client came by TLS */
    char request_id[132];
    size_t request_id_length;
    char client_host[ADDRESS_TEXT_BYTES];
    uint64_t client_key;                 /* session.h */

    enum grpc_call_state call;
    enum grpc_status grpc_status;

    struct loop_timer timer;
    uint64_t started_ms;
    uint64_t call_deadline_ms;           /* a gRPC call's, for the whole answer; 0: none */
    uint64_t active_ms;                  /* when the client last gave or took a byte */
    uint64_t request_bytes;
    struct upload_rate upload;           /* of a body that is longer than what is read first */
    uint64_t response_bytes;
    unsigned status;
    enum fault fault;                    /* the last one, FAULT_NONE if the answer is the node's */
};

static inline bool exchange_is_write(const struct exchange *exchange)
{
    return exchange->class == REQUEST_CLASS_WRITE || exchange->class == REQUEST_CLASS_WRITEBACK;
}

static inline bool exchange_is_grpc(const struct exchange *exchange)
{
    return exchange->call != GRPC_CALL_NONE;
}

static inline struct text exchange_request_id(const struct exchange *exchange)
{
    return text_of(exchange->request_id, exchange->request_id_length);
}

/* ---- life.c ---- */

/* The only writer of the state. */
void exchange_enter(struct exchange *exchange, enum exchange_state next);
/* The client may send, from now on or still: it must make progress with a large body (limits.upload_rate). */
void exchange_watch_upload(struct exchange *exchange);
/* Sets the deadline that belongs to the present state. */
void exchange_arm(struct exchange *exchange);
/* For exchange->timer. */
void exchange_on_deadline(void *owner);
/* Answers with the fault's own words and ends; nothing may have gone to the client. */
void exchange_answer_fault(struct exchange *exchange, enum fault fault);
/* The answer has begun and will not be completed: ends so that the client can tell. */
void exchange_break(struct exchange *exchange, enum fault fault);
/* Ends with the fault, whether the client has seen something of an answer or not. */
void exchange_give_up(struct exchange *exchange, enum fault fault);
/* Writes the record, releases what is left, and buries the exchange. */
void exchange_finish(struct exchange *exchange);
/* The limits that hold: of the epoch that the exchange began with, or of the newest. */
const struct topology *exchange_topology(const struct exchange *exchange);
/* The answer has begun, and the epoch that the exchange holds is not the newest: lets go of it. */
void exchange_leave_epoch(struct exchange *exchange);
/* One finished request, for metrics and access log. */
struct access_record;
void exchange_record(struct exchange_context *context, const struct access_record *record);

/* ---- relay.c ---- */

/* The events of the cluster's stream: the answer's way to the client. */
extern const struct stream_events relay_events;

/* ---- grpc_call.c ---- */

/* Finds out from the request's head whether this is a gRPC call, and until when. */
void grpc_call_begin(struct exchange *exchange);
/* The answer's head goes to the client. */
void grpc_call_commit(struct exchange *exchange, const struct message_head *head);
/* Trailers go to the client; true when they lack a status that must stand there. */
bool grpc_call_note_trailers(struct exchange *exchange, const struct message_head *trailers);
/* How the call has ended, for the record: UNKNOWN when nobody said. */
enum grpc_status grpc_call_status(const struct exchange *exchange);
/* A committed answer that broke with exchange->fault gets the fault's status at its end, while it is open to it. */
void grpc_call_send_fault(struct exchange *exchange);

/* ---- local.c ---- */

/* Answers a route of ROUTE_TARGET_SLUICE. */
void local_answer(struct exchange *exchange);

#endif
