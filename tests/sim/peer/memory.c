#include "peer/memory.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/slab.h"

#define LEAST_BYTES 240

static struct slab *slab;
static size_t users;

static void *or_end(void *object)
{
    if (object != NULL)
        return object;
    fprintf(stderr, "sim: no memory for a far end\n");
    abort();
}

void peer_memory_enter(void)
{
    if (users++ == 0)
        slab = or_end(slab_create());
}

void peer_memory_leave(void)
{
    if (--users > 0)
        return;
    slab_destroy(slab);
    slab = NULL;
}

size_t peer_memory_users(void)
{
    return users;
}

void *peer_take(size_t length)
{
    return or_end(slab_take(slab, length));
}

void *peer_take_zeroed(size_t length)
{
    return or_end(slab_take_zeroed(slab, length));
}

void *peer_resize(void *object, size_t length)
{
    return or_end(slab_resize(slab, object, length));
}

void peer_give(void *object)
{
    slab_give(slab, object);
}

char *bytes_reserve_slowly(struct bytes *bytes, size_t length)
{
    size_t waiting = bytes_length(bytes);
    if (bytes->capacity - waiting < length) {
        size_t capacity = bytes->capacity == 0 ? LEAST_BYTES : bytes->capacity;
        while (capacity - waiting < length)
            capacity *= 2;
        bytes->memory = peer_resize(bytes->memory, capacity);
        bytes->capacity = capacity;
    }
    if (bytes->start > 0) {
        memmove(bytes->memory, bytes->memory + bytes->start, waiting);
        bytes->start = 0;
        bytes->end = waiting;
    }
    return bytes->memory + bytes->end;
}

void bytes_clear(struct bytes *bytes)
{
    peer_give(bytes->memory);
    *bytes = (struct bytes){0};
}
