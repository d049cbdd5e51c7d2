#ifndef SLUICE_SIM_KERNEL_RING_H
#define SLUICE_SIM_KERNEL_RING_H
/* A kernel's buffer of bytes, which grows up to a limit. Zero is empty. */
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/memory.h"

struct ring {
    char *bytes; /* owned */
    size_t capacity;
    size_t start;
    size_t length;
};

static inline void ring_free(struct ring *ring)
{
    world_free(ring->bytes);
    *ring = (struct ring){0};
}

static inline void ring_reserve(struct ring *ring, size_t length)
{
    if (length <= ring->capacity)
        return;
    size_t capacity = ring->capacity == 0 ? 512 : ring->capacity;
    while (capacity < length)
        capacity *= 2;
    char *larger = world_malloc(capacity);
    size_t first = ring->capacity - ring->start < ring->length ? ring->capacity - ring->start : ring->length;
    if (ring->length > 0) {
        memcpy(larger, ring->bytes + ring->start, first);
        memcpy(larger + first, ring->bytes, ring->length - first);
    }
    world_free(ring->bytes);
    *ring = (struct ring){.bytes = larger, .capacity = capacity, .length = ring->length};
}

static inline void ring_append(struct ring *ring, const char *bytes, size_t length)
{
    if (length == 0)
        return;
    ring_reserve(ring, ring->length + length);
    size_t at = (ring->start + ring->length) & (ring->capacity - 1);
    size_t first = ring->capacity - at < length ? ring->capacity - at : length;
    memcpy(ring->bytes + at, bytes, first);
    memcpy(ring->bytes, bytes + first, length - first);
    ring->length += length;
}

/* The first bytes, without taking them. */
static inline void ring_copy(const struct ring *ring, char *bytes, size_t length)
{
    if (length == 0)
        return;
    size_t first = ring->capacity - ring->start < length ? ring->capacity - ring->start : length;
    memcpy(bytes, ring->bytes + ring->start, first);
    memcpy(bytes + first, ring->bytes, length - first);
}

static inline void ring_drop(struct ring *ring, size_t length)
{
    ring->length -= length;
    ring->start = ring->length == 0 ? 0 : (ring->start + length) & (ring->capacity - 1);
}

/* Moves the first bytes of one to the end of the other. */
static inline void ring_move(struct ring *from, struct ring *to, size_t length)
{
    size_t first = from->capacity - from->start < length ? from->capacity - from->start : length;
    ring_append(to, from->bytes + from->start, first);
    ring_append(to, from->bytes, length - first);
    ring_drop(from, length);
}

#endif
