#ifndef SLUICE_DOWNSTREAM_REPLY_H
#define SLUICE_DOWNSTREAM_REPLY_H
/* Answers that Sluice makes itself: faults, and the few routes that are its own. Each ends and releases the stream. */
#include <stdbool.h>

#include "base/fault.h"
#include "base/text.h"

struct stream;

/* Which web pages may read the answer (CORS). */
enum reply_origins {
    REPLY_ORIGINS_ANY,       /* of any origin, as the database allows it */
    REPLY_ORIGINS_PREFLIGHT, /* the same, and whatever they want to send: for OPTIONS */
    REPLY_ORIGINS_OWN,       /* none but its own: the operator's */
};

struct reply {
    unsigned status;
    struct text content_type;  /* empty: no body */
    struct text body;
    struct text request_id;    /* empty: not sent */
    struct text v1_error;      /* value of X-Influxdb-Error; empty: not sent */
    enum reply_origins origins;
    unsigned retry_after_s;    /* 0: not sent */
    bool ends_connection;      /* no further request is heard on this connection */
};

/* Sends the answer, ends the stream and releases it. */
void reply_send(struct stream *stream, const struct reply *reply);

struct reply_fault {
    enum fault fault;
    bool is_write;             /* class write or writeback: the row's write_status counts */
    bool is_grpc;              /* trailers-only: HTTP 200 and the row's grpc_status (docs/clients.md#grpc-errors) */
    struct text path;          /* of the request, as far as it is known: the v1 API's get X-Influxdb-Error, too */
    struct text request_id;
    unsigned retry_after_s;    /* 0: not sent; only with a 503 */
};

/*
 * One JSON body that every client understands: `error` and `message` (the same sentence), `code` (words of the v2 API), `error_code`
 * (the fault's name). To a gRPC client a head that is all of the answer: grpc-status, and the sentence as grpc-message. Returns the
 * HTTP status that was sent.
 */
unsigned reply_send_fault(struct stream *stream, const struct reply_fault *fault);

#endif
