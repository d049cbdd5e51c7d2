#ifndef SLUICE_OBSERVE_ACCESS_LOG_H
#define SLUICE_OBSERVE_ACCESS_LOG_H
/*
 * One line for each finished exchange, key=value, gathered in memory and written in whole lines. Each worker has its own; the file is opened
 * for appending, so the lines of several workers do not mix. A log that nobody reads holds nothing up: what does not fit into the memory for it is lost, and
 * counted in a line of the ordinary log. Tokens never get here: the query values `p`, `u` and `token` are
 * written as "-" and header fields are not logged.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/fault.h"
#include "base/grpc_status.h"
#include "base/text.h"
#include "topology/topology.h"

struct access_log;

struct access_record {
    const char *client_host;
    struct text method;
    struct text target;
    enum request_class class;
    const char *node_id;      /* of the last attempt, or NULL */
    unsigned attempts;
    unsigned status;          /* 0: nothing was sent */
    bool is_grpc;
    enum grpc_status grpc_status; /* of a gRPC call */
    uint64_t request_bytes;   /* of the bodies */
    uint64_t response_bytes;
    uint64_t duration_ms;
    enum fault fault;
    struct text request_id;
};

/* `path` "-" is standard output. NULL with *reason set (static text) when it cannot be opened. */
struct access_log *access_log_open(const char *path, const char **reason);
void access_log_write(struct access_log *log, const struct access_record *record);
/* Writes out what is gathered, as far as that goes without waiting, and says how many lines were lost; the owner calls it about once a second. */
void access_log_flush(struct access_log *log);
/* Flushes, with a short wait for a reader that lags, and closes; NULL is allowed. */
void access_log_close(struct access_log *log);

/* One record as one line with its line end; returns the length. For access_log_write and its tests. */
size_t access_log_format(const struct access_record *record, char *buffer, size_t capacity);

#endif
