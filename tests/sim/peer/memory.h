#ifndef SLUICE_SIM_PEER_MEMORY_H
#define SLUICE_SIM_PEER_MEMORY_H
/*
 * The far ends' memory: small objects that come and go with each request, kept in lists of their size (base/slab.h) for as long as anybody uses
 * them, and no longer. A far end never runs out of it: the process ends instead.
 */
#include <stddef.h>

#include "base/text.h"

/* Whoever may take something says so first, and says when everything has been given back. */
void peer_memory_enter(void);
void peer_memory_leave(void);
/* Peers, streams and contexts of TLS that are left: 0 at the end of a run. */
size_t peer_memory_users(void);

void *peer_take(size_t length);
void *peer_take_zeroed(size_t length);
void *peer_resize(void *object, size_t length);
void peer_give(void *object);

/* Bytes in a row that are added at the end and taken from the front. All zeros: empty. */
struct bytes {
    char *memory;
    size_t start;
    size_t end;
    size_t capacity;
};

static inline size_t bytes_length(const struct bytes *bytes)
{
    return bytes->end - bytes->start;
}

static inline char *bytes_first(const struct bytes *bytes)
{
    return bytes->memory + bytes->start;
}

static inline struct text bytes_text(const struct bytes *bytes)
{
    return bytes->end == bytes->start ? TEXT_EMPTY : text_of(bytes->memory + bytes->start, bytes->end - bytes->start);
}

/* Makes room for `length` more, which are written there and then counted by bytes_commit. */
char *bytes_reserve_slowly(struct bytes *bytes, size_t length);
static inline char *bytes_reserve(struct bytes *bytes, size_t length)
{
    return bytes->capacity - bytes->end >= length ? bytes->memory + bytes->end : bytes_reserve_slowly(bytes, length);
}

static inline void bytes_commit(struct bytes *bytes, size_t length)
{
    bytes->end += length;
}

static inline void bytes_add(struct bytes *bytes, struct text added)
{
    if (added.length == 0)
        return;
    memcpy(bytes_reserve(bytes, added.length), added.bytes, added.length);
    bytes->end += added.length;
}

/* Takes `length` bytes off the front. */
static inline void bytes_drop(struct bytes *bytes, size_t length)
{
    bytes->start += length;
    if (bytes->start == bytes->end)
        bytes->start = bytes->end = 0;
}

void bytes_clear(struct bytes *bytes);

#endif
