#ifndef SLUICE_CLI_ADMIN_CLIENT_H
#define SLUICE_CLI_ADMIN_CLIENT_H
/*
 * One HTTP/1.1 request to the admin listener of a running Sluice, over TCP or a Unix-domain socket; blocking, with one time limit
 * for all of it.
 *
 * Neither side keeps the connection. The answer goes through the same strict parser as a node's (http/h1_parse, http/h1_body), its
 * body is kept whole in memory up to ADMIN_BODY_BYTES_MAXIMUM.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

#define ADMIN_BODY_BYTES_MAXIMUM ((size_t)64 << 20)
#define ADMIN_PROBLEM_CAPACITY 512
#define ADMIN_TARGET_CAPACITY 1024

struct admin_request {
    const char *method; /* "GET" or "POST"; a POST carries X-Sluice-Admin: 1 and an empty body */
    const char *target; /* path and query, percent-encoded (admin_target_append) */
    const char *token;  /* goes out as Authorization: Bearer; NULL: none */
    uint64_t limit_ms;  /* from the call until the last byte of the answer; looking a host's name up is not counted */
    int cancel_fd;      /* the call ends as soon as this can be read; -1: never */
};

enum admin_outcome {
    ADMIN_ANSWERED,  /* a whole answer, whatever its status */
    ADMIN_FAILED,    /* `problem` says why, and what to do about it */
    ADMIN_CANCELLED, /* by cancel_fd */
};

struct admin_reply {
    unsigned status;
    char *body; /* owned; NUL-terminated, may be NULL when body_bytes is 0 */
    size_t body_bytes;
    char problem[ADMIN_PROBLEM_CAPACITY];
};

/* "host:port", "[::1]:port", "unix:/path"; false when `address` is none of them. */
bool admin_address_is_valid(const char *address);

/* `address` is valid. `reply` is overwritten; admin_reply_clear it whatever the outcome. */
enum admin_outcome admin_call(const char *address, const struct admin_request *request, struct admin_reply *reply);
void admin_reply_clear(struct admin_reply *reply);

/*
 * Appends text to a request target, percent-encoding all but the unreserved characters (RFC 3986 section 2.3); `target` has
 * ADMIN_TARGET_CAPACITY bytes. Returns the new length; ADMIN_TARGET_CAPACITY when it does not fit.
 */
size_t admin_target_append(char *target, size_t used, struct text text);

#endif
