#ifndef SLUICE_DISPATCH_BODY_H
#define SLUICE_DISPATCH_BODY_H
/*
 * The body of a request as far as it has come, kept so that an attempt can send it again. It is a source: each attempt has a place of its
 * own in it and pulls from there as its node takes it. Bounded for each request and for all of the process; when a bound is passed everything is
 * dropped, and from then on the body cannot be sent again. While an attempt has yet to send some of it nothing is dropped: the client has been told
 * to stop, so the bounds are passed by what it had sent before.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

/* How much may be kept. */
struct body_limits {
    uint64_t each_bytes;
    uint64_t all_bytes;
    atomic_size_t *kept_bytes; /* by all requests of the process */
};

/*
 *   KEPT --a bound is passed, or memory is out--> LOST
 *    +------the answer is committed-------------> LOST, unless nothing had come
 */
enum body_state { BODY_KEPT, BODY_LOST };

struct body {
    enum body_state state;
    char *bytes;
    size_t capacity;
    size_t length;        /* kept: all that has come; lost: 0 */
    uint64_t total_bytes; /* that have come */
};

/*
 * The next piece has come; a copy of it is kept if it may be, or whatever the bounds say if it `is_needed`. False when it is needed and memory is
 * out: then the body is lost, and the attempt with it.
 */
bool body_append(struct body *body, struct text piece, const struct body_limits *limits, bool is_needed);
/* Frees what is kept; it is lost if there was any. */
void body_drop(struct body *body, atomic_size_t *kept_bytes);

/* What stands behind the first `from` bytes, which have been kept: at most `maximum` bytes of it. */
static inline struct text body_read(const struct body *body, uint64_t from, size_t maximum)
{
    size_t left = body->length - (size_t)from;
    return text_of(body->bytes + from, left < maximum ? left : maximum);
}

static inline struct text body_text(const struct body *body)
{
    return text_of(body->bytes, body->length);
}

#endif
