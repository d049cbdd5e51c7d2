#ifndef SLUICE_BASE_FAULT_H
#define SLUICE_BASE_FAULT_H
/*
 * Everything that can go wrong with an exchange, as one table. The reply, the retry decision, health, the log and the
 * metrics all read the same row, so a failure has one name everywhere.
 */
#include <stdbool.h>
#include <stdint.h>

enum fault {
    FAULT_NONE,
    /* the client's request */
    FAULT_REQUEST_MALFORMED,
    FAULT_REQUEST_VERSION,
    FAULT_REQUEST_METHOD,
    FAULT_REQUEST_HEAD_TOO_LARGE,
    FAULT_REQUEST_TARGET_TOO_LONG,
    FAULT_REQUEST_BODY_TOO_LARGE,
    FAULT_REQUEST_EXPECTATION,
    FAULT_REQUEST_TRANSFER_CODING,
    FAULT_REQUEST_LENGTH,
    FAULT_REQUEST_PATH_AMBIGUOUS,
    FAULT_REQUEST_TIMEOUT,
    FAULT_REQUEST_LOOP,
    FAULT_ROUTE_DENIED,
    FAULT_NODE_NOT_NAMED,
    FAULT_NODE_UNKNOWN,
    FAULT_DOWNSTREAM_GONE,
    FAULT_DOWNSTREAM_ABUSE,
    FAULT_GRPC_DEADLINE,
    /* finding a node */
    FAULT_NO_NODE,
    FAULT_QUEUE_FULL,
    FAULT_QUEUE_TIMEOUT,
    FAULT_DRAINING,
    FAULT_RESOLVE,
    FAULT_CONNECT_REFUSED,
    FAULT_CONNECT_TIMEOUT,
    FAULT_CONNECT_FAILED,
    FAULT_UPSTREAM_VERSION,
    FAULT_TLS_FAILED,
    FAULT_TLS_UNVERIFIED,
    /* talking to it */
    FAULT_LINK_CLOSED_UNREAD,
    FAULT_UPSTREAM_REFUSED_STREAM,
    FAULT_UPSTREAM_CLOSED,
    FAULT_UPSTREAM_RESET,
    FAULT_UPSTREAM_TIMEOUT,
    FAULT_LINK_SILENT,
    FAULT_UPSTREAM_MALFORMED,
    FAULT_UPSTREAM_HEAD_TOO_LARGE,
    FAULT_UPSTREAM_TRUNCATED,
    FAULT_UPSTREAM_STALLED,
    FAULT_UPSTREAM_REFUSED_ROLE,
    FAULT_UPSTREAM_UNAVAILABLE,
    FAULT_UPSTREAM_FAILED,
    /* ourselves */
    FAULT_OUT_OF_MEMORY,
    FAULT_MEMORY_LIMIT,
    FAULT_REPLAY_TOO_LARGE,
    FAULT_FAN_OUT_INCOMPLETE,
    FAULT_COUNT
};

/* May the same request go to a node once more? */
enum fault_repeat {
    FAULT_REPEAT_NEVER,   /* another try would end the same way, or the client is gone */
    FAULT_REPEAT_UNSENT,  /* provably nothing of the request was processed: any method may be repeated */
    FAULT_REPEAT_UNKNOWN, /* the node may have acted on it: only what is safe to do twice */
};

enum fault_blame { FAULT_BLAME_NOBODY, FAULT_BLAME_DOWNSTREAM, FAULT_BLAME_UPSTREAM, FAULT_BLAME_SLUICE };

struct fault_row {
    const char *name;        /* stable identifier: `error_code` in bodies, `fault=` in logs, a label in metrics */
    const char *text;        /* one sentence for the client; none of the words clients act on (docs/clients.md#words-in-errors) */
    uint16_t http_status;    /* for a query or an administrative request */
    uint16_t write_status;   /* for a write: 503 wherever a later try may succeed, because clients drop 4xx */
    uint8_t grpc_status;     /* enum grpc_status: UNAVAILABLE wherever a later try may succeed (see fault.c) */
    enum fault_repeat repeat;
    enum fault_blame blame;
    bool counts_for_health;  /* a connect-class failure in live traffic (routing/health.h) */
};

/* The row of a fault; always valid. */
const struct fault_row *fault_row(enum fault fault);

#endif
