#include "base/fault.h"

#define NEVER FAULT_REPEAT_NEVER
#define UNSENT FAULT_REPEAT_UNSENT
#define UNKNOWN FAULT_REPEAT_UNKNOWN
#define DOWNSTREAM FAULT_BLAME_DOWNSTREAM
#define UPSTREAM FAULT_BLAME_UPSTREAM
#define SLUICE FAULT_BLAME_SLUICE

/*
 * gRPC (base/grpc_status.h): 14 is the one code that every library takes for "later, perhaps". 8 is for requests that are too large and for
 * nothing else, because pyarrow makes an invalid argument of it (docs/clients.md#grpc-errors), which a node that is short of memory is not.
 */
static const struct fault_row rows[FAULT_COUNT] = {
    [FAULT_NONE] = {"none", "no fault", 200, 200, 0, NEVER, FAULT_BLAME_NOBODY, false},

    [FAULT_REQUEST_MALFORMED] = {"request_malformed", "the request is not valid HTTP", 400, 400, 3, NEVER, DOWNSTREAM,
                                 false},
    [FAULT_REQUEST_VERSION] = {"request_version", "this version of HTTP is not spoken here", 505, 505, 12, NEVER, DOWNSTREAM,
                               false},
    [FAULT_REQUEST_METHOD] = {"request_method", "this method is not forwarded", 405, 405, 12, NEVER, DOWNSTREAM, false},
    [FAULT_REQUEST_HEAD_TOO_LARGE] = {"request_head_too_large", "the request's header fields exceed the limit", 431,
                                      431, 3, NEVER, DOWNSTREAM, false},
    [FAULT_REQUEST_TARGET_TOO_LONG] = {"request_target_too_long", "the request's URL exceeds the limit", 414, 414, 3,
                                       NEVER, DOWNSTREAM, false},
    [FAULT_REQUEST_BODY_TOO_LARGE] = {"request_body_too_large", "the request's body exceeds the router's limit", 413,
                                      413, 8, NEVER, DOWNSTREAM, false},
    [FAULT_REQUEST_EXPECTATION] = {"request_expectation", "only the expectation 100-continue can be met", 417, 417, 12,
                                   NEVER, DOWNSTREAM, false},
    [FAULT_REQUEST_TRANSFER_CODING] = {"request_transfer_coding", "only the transfer coding chunked is understood", 501,
                                       501, 12, NEVER, DOWNSTREAM, false},
    [FAULT_REQUEST_LENGTH] = {"request_length", "a body in HTTP/1.0 needs a Content-Length", 411, 411, 3, NEVER, DOWNSTREAM,
                              false},
    [FAULT_REQUEST_PATH_AMBIGUOUS] = {"request_path_ambiguous",
                                      "the path could be read as another one; send it in its plain form", 400, 400, 3,
                                      NEVER, DOWNSTREAM, false},
    [FAULT_REQUEST_TIMEOUT] = {"request_timeout", "the request did not arrive in time", 408, 503, 4, NEVER, DOWNSTREAM,
                               false},
    [FAULT_REQUEST_LOOP] = {"request_loop", "the request has passed this router before", 508, 508, 13, NEVER,
                            DOWNSTREAM, false},
    [FAULT_ROUTE_DENIED] = {"route_denied", "the router's configuration does not forward this path", 403, 403, 12,
                            NEVER, DOWNSTREAM, false},
    [FAULT_NODE_NOT_NAMED] = {"node_not_named",
                              "this route speaks of one node; name it in the header X-Sluice-Node", 421, 421, 3, NEVER,
                              DOWNSTREAM, false},
    [FAULT_NODE_UNKNOWN] = {"node_unknown", "the header X-Sluice-Node names no suitable node of this cluster", 421, 421,
                            3, NEVER, DOWNSTREAM, false},
    [FAULT_DOWNSTREAM_GONE] = {"downstream_gone", "the client closed the connection", 499, 499, 1, NEVER, DOWNSTREAM,
                               false},

    /* Nobody reads the answer, because the connection goes with it; should one do so, a batch caught in it must come again. */
    [FAULT_DOWNSTREAM_ABUSE] = {"abuse", "this connection asks for more work than clients do", 429, 503, 8, NEVER,
                                DOWNSTREAM, false},
    [FAULT_GRPC_DEADLINE] = {"grpc_deadline", "the time that the call's grpc-timeout allows is over", 504, 503, 4, NEVER,
                             DOWNSTREAM, false},

    [FAULT_NO_NODE] = {"no_node", "no usable node can serve this request at the moment", 503, 503, 14, NEVER, UPSTREAM,
                       false},
    [FAULT_QUEUE_FULL] = {"queue_full", "too many requests wait for this node", 503, 503, 14, UNSENT, SLUICE, false},
    [FAULT_QUEUE_TIMEOUT] = {"queue_timeout", "no connection to a node became free in time", 503, 503, 14, UNSENT,
                             SLUICE, false},
    [FAULT_DRAINING] = {"draining", "the router is shutting down", 503, 503, 14, NEVER, SLUICE, false},
    [FAULT_RESOLVE] = {"resolve", "the node's name has no address", 503, 503, 14, UNSENT, UPSTREAM, true},
    [FAULT_CONNECT_REFUSED] = {"connect_refused", "the node refused the connection", 503, 503, 14, UNSENT, UPSTREAM,
                               true},
    [FAULT_CONNECT_TIMEOUT] = {"connect_timeout", "the node did not accept the connection in time", 503, 503, 14,
                               UNSENT, UPSTREAM, true},
    [FAULT_CONNECT_FAILED] = {"connect_failed", "the node cannot be reached", 503, 503, 14, UNSENT, UPSTREAM, true},
    [FAULT_UPSTREAM_VERSION] = {"upstream_version", "the node does not speak HTTP/2, which gRPC needs", 503, 503, 14,
                                UNSENT, UPSTREAM, false},
    [FAULT_TLS_FAILED] = {"tls_failed", "the TLS handshake with the node failed", 503, 503, 14, UNSENT, UPSTREAM, true},
    [FAULT_TLS_UNVERIFIED] = {"tls_unverified", "the node's certificate is not one that the router trusts", 503, 503, 14,
                              UNSENT, UPSTREAM, true},

    [FAULT_LINK_CLOSED_UNREAD] = {"link_closed_unread",
                                  "the node closed a kept-alive connection before it read the request", 503, 503, 14,
                                  UNSENT, UPSTREAM, false},
    [FAULT_UPSTREAM_REFUSED_STREAM] = {"refused_stream", "the node refused the request before it read it", 503, 503, 14,
                                       UNSENT, UPSTREAM, false},
    [FAULT_UPSTREAM_CLOSED] = {"upstream_closed", "the node closed the connection without an answer", 502, 503, 14,
                               UNKNOWN, UPSTREAM, false},
    [FAULT_UPSTREAM_RESET] = {"upstream_reset", "the node reset the connection without an answer", 502, 503, 14,
                              UNKNOWN, UPSTREAM, false},
    [FAULT_UPSTREAM_TIMEOUT] = {"upstream_timeout", "the node did not answer in time", 504, 503, 4, UNKNOWN, UPSTREAM,
                                false},
    [FAULT_LINK_SILENT] = {"link_silent", "the connection to the node has died without a word", 504, 503, 14, UNKNOWN, UPSTREAM,
                           false},
    [FAULT_UPSTREAM_MALFORMED] = {"upstream_malformed", "the node's answer is not valid HTTP", 502, 503, 13, UNKNOWN,
                                  UPSTREAM, false},
    [FAULT_UPSTREAM_HEAD_TOO_LARGE] = {"upstream_head_too_large", "the node's header fields exceed the limit", 502, 503,
                                       13, NEVER, UPSTREAM, false},
    [FAULT_UPSTREAM_TRUNCATED] = {"upstream_truncated", "the node's answer ended too early", 502, 503, 14, UNKNOWN,
                                  UPSTREAM, false},
    [FAULT_UPSTREAM_STALLED] = {"upstream_stalled", "the node stopped in the middle of its answer", 504, 503, 14,
                                UNKNOWN, UPSTREAM, false},
    [FAULT_UPSTREAM_REFUSED_ROLE] = {"upstream_refused_role", "the node refused the request without acting on it", 503,
                                     503, 14, UNSENT, UPSTREAM, false},
    /* The node's own word, also for a lack of permission: the client hears it from the node unless another node says something else. */
    [FAULT_UPSTREAM_UNAVAILABLE] = {"upstream_unavailable", "the node cannot serve this call at the moment", 503, 503, 14,
                                    UNKNOWN, UPSTREAM, false},
    [FAULT_UPSTREAM_FAILED] = {"upstream_failed", "the node could not carry out the request", 503, 503, 14, UNKNOWN, UPSTREAM,
                               false},

    [FAULT_OUT_OF_MEMORY] = {"out_of_memory", "the router has no memory or descriptors left for this request", 503, 503,
                             14, NEVER, SLUICE, false},
    [FAULT_MEMORY_LIMIT] = {"memory_limit", "the router's memory is in use, so nothing new is begun; repeat the request later", 503, 503, 14,
                            NEVER, SLUICE, false},
    [FAULT_REPLAY_TOO_LARGE] = {"replay_too_large",
                                "this route sends the body to more than one node and the body exceeds the replay limit",
                                413, 413, 8, NEVER, DOWNSTREAM, false},
    [FAULT_FAN_OUT_INCOMPLETE] = {"fan_out_incomplete",
                                  "not every node that needs this request is usable; repeat it when all are", 503, 503,
                                  14, NEVER, UPSTREAM, false},
};

const struct fault_row *fault_row(enum fault fault)
{
    return &rows[(unsigned)fault < FAULT_COUNT ? fault : FAULT_NONE];
}
