#include "dispatch/first_message.h"

#include <string.h>

#include "base/slab.h"

/* gRPC: a byte that says whether it is compressed, and the length in four. */
#define PREFIX_BYTES 5
#define LEAST_BYTES 1024

/* Where the message ends, prefix included; while that is not known, the most that may be kept. */
static size_t end_of(const struct first_message *first)
{
    const unsigned char *prefix = (const unsigned char *)first->bytes;
    if (first->length < PREFIX_BYTES)
        return FIRST_MESSAGE_BYTES;
    return PREFIX_BYTES + ((size_t)prefix[1] << 24 | (size_t)prefix[2] << 16 | (size_t)prefix[3] << 8 | prefix[4]);
}

static bool make_room(struct first_message *first, size_t wanted, struct slab *slab)
{
    size_t capacity = first->capacity * 2 > wanted ? first->capacity * 2 : wanted;
    if (wanted <= first->capacity)
        return true;
    if (capacity < LEAST_BYTES)
        capacity = LEAST_BYTES;
    char *larger = slab_resize(slab, first->bytes, capacity);
    if (larger == NULL)
        return false;
    first->bytes = larger;
    first->capacity = capacity;
    return true;
}

bool first_message_keep(struct first_message *first, struct text bytes, struct slab *slab, uint64_t now_ms)
{
    size_t before = first->length;
    if (bytes.length > FIRST_MESSAGE_BYTES - before || !make_room(first, before + bytes.length, slab))
        return false;
    if (before == 0)
        first->since_ms = now_ms;
    if (bytes.length > 0)
        memcpy(first->bytes + before, bytes.bytes, bytes.length);
    first->length += bytes.length;
    if (first->length <= end_of(first))
        return true;
    first->length = before;
    return false;
}

void first_message_drop(struct first_message *first, struct slab *slab)
{
    slab_give(slab, first->bytes);
    *first = (struct first_message){0};
}
