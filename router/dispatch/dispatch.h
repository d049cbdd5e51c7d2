#ifndef SLUICE_DISPATCH_DISPATCH_H
#define SLUICE_DISPATCH_DISPATCH_H
/*
 * The cluster as a stream. Whoever wants something of the cluster opens a dispatch, sends the request on its stream and hears the answer: which
 * node, tickets and links, attempts, what is kept of the body, screening, retries and the nodes' deadlines are inside. Nothing above knows that
 * there was a second node, nothing below knows that there is a client.
 *
 *   dispatch_open -> stream_send_head (the head of dispatch_request) -> stream_send_data ... stream_send_end -> events -> stream_release
 *
 *   OPENED --head--> BUFFERING --the body, or enough of it--> TRYING --an answer begins--> RELAYING --its end--> DONE
 *                                                              |   ^                          |
 *                                                    attempt failed|again                     +--it breaks (on_failed)--> DONE
 *                                                              v   |
 *                            CHECKING (has each line of the body its timestamp?), WAITING (for a token of the budget of repeats)
 *                                                              |
 *                                                              +--give up (on_failed with the fault that the client should hear)--> DONE
 *
 * No node is asked before the body has come, or limits.request_buffer of it: a client that begins an upload and stops holds memory of its own, and no
 * link. (A gRPC call is asked at once: its client may wait for an answer before it says more.)
 *
 * on_head comes once, with an answer that is the client's: nothing is repeated from there on. on_failed before it says that there is no
 * answer; after it, that the answer is cut. Interim answers may come before. Back-pressure is that of any stream, both ways.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/log_limit.h"
#include "base/random.h"
#include "dispatch/checks.h"
#include "dispatch/debts.h"
#include "dispatch/repeats.h"
#include "dispatch/request.h"
#include "dispatch/vigil.h"
#include "http/stream.h"
#include "net/loop.h"
#include "routing/classify.h"
#include "routing/latency.h"
#include "upstream/lease.h"

struct header_field;
struct metrics;
struct pool;
struct pool_verbs;

/* What all dispatches of a worker share. The worker fills and owns it; dispatch_context_init makes the rest ready. */
struct dispatch_context {
    struct loop *loop;
    struct roster *roster;
    struct lease *newest;                      /* ref: of the epoch that is in force */
    struct pool *pool;
    const struct pool_verbs *pool_verbs;       /* how links are asked of it */
    struct metrics *metrics;                   /* this worker's slice */
    struct header_field *fields;               /* room for MESSAGE_FIELDS_MAXIMUM + 8: the head that is being sent */
    struct random_source random;
    struct log_limit failures[ROSTER_SLOTS];   /* of the lines about each node's failed attempts */
    roster_handle nodes_of_paths[256];         /* who answered for an engine path, by hash; 0: nobody */
    struct body_checks checks;
    struct vigils vigils;
    struct repeats repeats;
    struct debts debts;
    struct latency query_latency;              /* of queries by HTTP, to the head of the answer; only where queries.hedge asks for it */
    struct log_limit ejections;                /* of the lines about nodes that are set aside */
    struct log_limit readmissions;             /* and of those that come back */
};
void dispatch_context_init(struct dispatch_context *context);
/* No dispatch may be left. */
void dispatch_context_clear(struct dispatch_context *context);

/* What is asked of the cluster. The texts and the head must stay until the stream is released. */
struct dispatch_request {
    struct lease *lease;                       /* ref: held by the caller; see dispatch_leave_epoch */
    const struct route *route;                 /* of the lease's classifier */
    enum request_class class;
    const struct message_head *head;
    struct request_origin origin;
    bool is_grpc;
    uint64_t started_ms;
    uint64_t call_deadline_ms;                 /* gRPC: as the client said; 0: none */
};

/*
 * A stream to the cluster, whose owner is to be set before its head is sent; or NULL with the fault that the client should hear: the named node
 * does not exist, a fan-out cannot be complete, no memory.
 */
struct stream *dispatch_open(struct dispatch_context *context, const struct dispatch_request *request, enum fault *fault);

/* Is there a node now that could be asked? */
bool dispatch_has_node(struct stream *stream);

/* What the record says: how many attempts were made, and the node of the newest one ("" before the first). Valid until the release. */
unsigned dispatch_attempts(const struct stream *stream);
const char *dispatch_node_id(const struct stream *stream);

/*
 * The answer has begun: the lease is not needed any more, and the caller may release it. (Limits are those of the newest epoch from then on.)
 */
void dispatch_leave_epoch(struct stream *stream);

#endif
