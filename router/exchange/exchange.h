#ifndef SLUICE_EXCHANGE_EXCHANGE_H
#define SLUICE_EXCHANGE_EXCHANGE_H
/*
 * An exchange: one request and its response, from the head that a session hands over to the record that is written once. The first
 * file to read.
 *
 *  head --> NEW --class, node--> WAITING --link--> SENDING --request complete--> AWAITING --head--> RELAYING --end--> DONE
 *            |                    |   ^               |                             |  ^               |               ^
 *            |                    |   +--again--------+-----------------------------+  |               +-- cut --------+
 *            |                    |   +--again-- SCREENING <--head that may refuse-----+                               |
 *            |                    |                   |                                                                |
 *            +--refused-----------+--give up----------+--give up: the fault's answer-----------------------------------+
 *
 *  state      what is true in it                                                         deadline
 *  NEW        nothing is chosen                                                          -
 *  WAITING    a node is chosen, the ticket waits in the pool; the client is paused       queue
 *  SENDING    has an upstream stream; the request's body flows                           idle, between bytes
 *  AWAITING   the request is sent; nothing has gone to the client                        write_deadline or response
 *  SCREENING  the head is kept back, because its body may say that the node refused      the same
 *  RELAYING   the head has gone to the client: committed, no retry from here             response, or idle if the client stalls
 *  DONE       the record is written; the streams are released; in the grave              -
 *
 * (A response may also begin in SENDING, while the client still uploads.) A gRPC call with a grpc-timeout has that as its deadline in each
 * state, until the end of the answer, and is not cut for its node's silence before.
 *
 * Who does what: exchange.c owns the state and the client's side; attempt.c one try on one node; relay.c the response; replay.c the
 * part of the body that can be sent again; grpc_call.c what is special about gRPC; local.c the routes that are Sluice's own. "Again" and "give up" are verdicts of
 * routing/retry.h. The exchange never asks which HTTP it talks: both sides are streams.
 *
 * An exchange belongs to its worker's context, which lists it; nobody else keeps a pointer to it longer than an event.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/log_limit.h"
#include "base/random.h"
#include "net/buffer.h"
#include "observe/metrics.h"
#include "routing/balance.h"
#include "routing/classify.h"
#include "topology/topology.h"

struct access_log;
struct cluster;
struct loop;
struct message_head;
struct pool;
struct pool_verbs;
struct session;
struct stream;

/* What all exchanges of a worker share. Filled by the worker, which owns it; everything it points to outlives it. */
struct exchange_context {
    struct loop *loop;
    const struct topology *topology;
    const struct classifier *classifier;
    struct cluster *cluster;
    struct pool *pool;
    const struct pool_verbs *pool_verbs;       /* how links are asked of it */
    struct access_log *access_log;             /* or NULL */
    struct metrics *metrics;                   /* this worker's slice */
    struct header_field *fields;               /* room for MESSAGE_FIELDS_MAXIMUM + 8: the head that is being sent */
    struct balance_state balance[REQUEST_CLASS_COUNT];
    struct list exchanges;                     /* of struct exchange, under way */
    uint64_t replay_bytes;                     /* kept by all of them, at most limits.replay_total_bytes */
    struct random_source random;
    struct log_limit failures[TOPOLOGY_NODES_MAXIMUM]; /* by node: of failed attempts */
    uint32_t engine_nodes[256];                /* who answered for an engine path, by hash: index + 1, 0 for nobody */
};

/* A request's head has arrived on `stream`. The exchange owns the stream from here on. */
void exchange_start(struct exchange_context *context, struct session *session, struct stream *stream,
                    const struct message_head *head);

/*
 * The codec refused the request: answers it with the fault and writes its record. `head` is what was understood of the request; its method,
 * target, path and fields may be missing.
 */
void exchange_refuse(struct exchange_context *context, struct session *session, struct stream *stream,
                     const struct message_head *head, enum fault fault);

/* Cuts everything that is under way (the drain's time is over). */
void exchange_cut_all(struct exchange_context *context);

#endif
