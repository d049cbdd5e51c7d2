#include "dispatch/body.h"

#include <stdlib.h>
#include <string.h>

void body_drop(struct body *body, atomic_size_t *kept_bytes)
{
    if (body->capacity > 0)
        atomic_fetch_sub_explicit(kept_bytes, body->capacity, memory_order_relaxed);
    free(body->bytes);
    body->bytes = NULL;
    body->capacity = 0;
    if (body->total_bytes > 0)
        body->state = BODY_LOST;
    body->length = 0;
}

/* Takes `bytes` from what all requests may keep; false when that is not left. */
static bool reserve(const struct body_limits *limits, size_t bytes, bool is_needed)
{
    size_t before = atomic_fetch_add_explicit(limits->kept_bytes, bytes, memory_order_relaxed);
    if (is_needed || before + bytes <= limits->all_bytes)
        return true;
    atomic_fetch_sub_explicit(limits->kept_bytes, bytes, memory_order_relaxed);
    return false;
}

/* Doubles, so that many small pieces cost few copies, but never past what may be kept or is needed. */
static bool grow(struct body *body, size_t wanted, const struct body_limits *limits, bool is_needed)
{
    size_t capacity = body->capacity * 2 > wanted ? body->capacity * 2 : wanted;
    if (capacity > limits->each_bytes)
        capacity = wanted > limits->each_bytes ? wanted : (size_t)limits->each_bytes;
    if (!reserve(limits, capacity - body->capacity, false)) {
        capacity = wanted;
        if (!reserve(limits, capacity - body->capacity, is_needed))
            return false;
    }
    char *larger = realloc(body->bytes, capacity);
    if (larger == NULL) {
        atomic_fetch_sub_explicit(limits->kept_bytes, capacity - body->capacity, memory_order_relaxed);
        return false;
    }
    body->bytes = larger;
    body->capacity = capacity;
    return true;
}

bool body_append(struct body *body, struct text piece, const struct body_limits *limits, bool is_needed)
{
    body->total_bytes += piece.length;
    if (body->state == BODY_LOST || piece.length == 0)
        return true;
    size_t wanted = body->length + piece.length;
    bool may_keep = is_needed || wanted <= limits->each_bytes;
    if (!may_keep || (wanted > body->capacity && !grow(body, wanted, limits, is_needed))) {
        body_drop(body, limits->kept_bytes);
        return !is_needed;
    }
    memcpy(body->bytes + body->length, piece.bytes, piece.length);
    body->length = wanted;
    return true;
}
