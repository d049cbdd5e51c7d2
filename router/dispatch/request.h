#ifndef SLUICE_DISPATCH_REQUEST_H
#define SLUICE_DISPATCH_REQUEST_H
/*
 * A request on its way to the cluster: what the client said, and how a node is to see it. Each attempt sends it anew.
 */
#include <stdbool.h>
#include <stdint.h>

#include "dispatch/body.h"
#include "http/message.h"

struct roster;
struct stream;
struct topology;

/* Who asks: the values go into the head for the node. All texts must stay until the dispatch is released. */
struct request_origin {
    const char *client_host;    /* as address_format_host says it */
    uint64_t client_key;        /* the same for each request of a client: a hash of its address */
    struct text request_id;
    bool is_tls;                /* the client came by TLS */
};

struct request {
    const struct message_head *head; /* ref */
    struct request_origin origin;
    bool is_grpc;
    bool is_complete;           /* the client's message has ended */
    uint64_t started_ms;
    uint64_t call_deadline_ms;  /* gRPC: until when the client waits for the end of the answer; 0: it has not said */
    struct body body;
    struct message_head *trailers; /* owned copy, or NULL: they go behind the body, again with each attempt */
};

/*
 * Sends the request's head on a node's stream, made anew from what was understood; `fields` has room for MESSAGE_FIELDS_MAXIMUM + 8. What is
 * left of a grpc-timeout takes its place. Returns the fault when the request must not be forwarded.
 */
enum fault request_send_head(const struct request *request, const struct roster *roster, const struct topology *topology,
                             uint64_t now_ms, struct header_field *fields, struct stream *stream);
/* Sends the trailers that may travel on, if there are any. */
void request_send_trailers(const struct request *request, struct header_field *fields, struct stream *stream);

/* The body is gzip, as its head says. */
bool request_is_gzip(const struct request *request);

#endif
