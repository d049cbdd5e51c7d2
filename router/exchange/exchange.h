#ifndef SLUICE_EXCHANGE_EXCHANGE_H
#define SLUICE_EXCHANGE_EXCHANGE_H
/*
 * An exchange: one request and its response, from the head that a session hands over to the record that is written once. The first
 * file to read.
 *
 *  head --> NEW --class, lease--> OPEN --the answer's head--> RELAYING --its end--> DONE
 *            |                      |                            |                   ^
 *            +-- refused, local ----+-- no answer: the fault's --+-- cut ------------+
 *
 *  state      what is true in it                                                   deadline
 *  NEW        nothing is chosen                                                    -
 *  OPEN       has a stream to the cluster; the request's body flows                idle between the client's bytes
 *  RELAYING   the head has gone to the client                                      idle while the client takes nothing
 *  DONE       the record is written; both streams are released; in the grave       -
 *
 * (A response may also begin while the client still uploads.) A gRPC call with a grpc-timeout has that as its deadline in each state, until the
 * end of the answer.
 *
 * An exchange joins two streams, the client's and the cluster's (dispatch/dispatch.h), and keeps what is the client's: the head, the deadlines
 * of the client's own slowness, and the record. Which node answers, and after how many attempts, is the dispatch's business.
 *
 * Who does what: exchange.c begins; relay.c moves the answer; life.c owns the state, the deadlines and the end; grpc_call.c is what is special
 * about gRPC; local.c the routes that are Sluice's own. The exchange never asks which HTTP it talks.
 *
 * An exchange belongs to its worker's context, which lists it; nobody else keeps a pointer to it longer than an event.
 */
#include <stdint.h>

#include "base/fault.h"
#include "base/list.h"
#include "base/log_limit.h"
#include "base/random.h"

struct access_log;
struct dispatch_context;
struct lease;
struct loop;
struct message_head;
struct metrics;
struct session;
struct stream;

/* What all exchanges of a worker share. Filled by the worker, which owns it; everything it points to outlives it. */
struct exchange_context {
    struct loop *loop;
    struct lease *lease;                       /* ref: of the newest epoch */
    struct dispatch_context *dispatch;
    struct access_log *access_log;             /* or NULL */
    struct metrics *metrics;                   /* this worker's slice */
    struct header_field *fields;               /* room for MESSAGE_FIELDS_MAXIMUM + 8: the head that is being sent */
    struct list exchanges;                     /* of struct exchange, under way */
    struct random_source random;               /* of request ids */
    struct log_limit refusal_log;              /* of exchange_refuse */
};

/* A request's head has arrived on `stream`. The exchange owns the stream from here on. */
void exchange_start(struct exchange_context *context, struct session *session, struct stream *stream,
                    const struct message_head *head);

/* The codec refused the request: answers it with the fault. `head` is what is known of the request, or NULL. */
void exchange_refuse(struct exchange_context *context, struct session *session, struct stream *stream,
                     const struct message_head *head, enum fault fault);

/* Another epoch is in force (context->lease): exchanges whose answer has begun let go of the one that they began with. */
void exchange_leave_epochs(struct exchange_context *context);

/* Cuts everything that is under way (the drain's time is over). */
void exchange_cut_all(struct exchange_context *context);

/*
 * From the loop, once a second: when little memory is left (MEMORY_PRESSURE_RISING), those of the oldest exchanges end as request_timeout whose
 * client has begun a body and sent nothing for 5 s.
 */
void exchange_shed_silent(struct exchange_context *context);

#endif
