#include "topology/storage.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>

/* A usual configuration fits in one chunk; a piece larger than a chunk gets one of its own. */
#define CHUNK_BYTES 16384

struct chunk {
    struct chunk *next;
    size_t used;
    size_t capacity;
    alignas(max_align_t) char bytes[];
};

struct topology_storage {
    struct chunk *chunks; /* the first is the one being filled */
};

struct topology_storage *storage_create(void)
{
    return calloc(1, sizeof(struct topology_storage));
}

void storage_destroy(struct topology_storage *storage)
{
    if (storage == NULL)
        return;
    for (struct chunk *chunk = storage->chunks; chunk != NULL;) {
        struct chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
    free(storage);
}

static struct chunk *add_chunk(struct topology_storage *storage, size_t wanted)
{
    size_t capacity = wanted > CHUNK_BYTES ? wanted : CHUNK_BYTES;
    struct chunk *chunk = calloc(1, sizeof *chunk + capacity);
    if (chunk == NULL)
        return NULL;
    chunk->capacity = capacity;
    chunk->next = storage->chunks;
    storage->chunks = chunk;
    return chunk;
}

void *storage_take(struct topology_storage *storage, size_t count, size_t size)
{
    const size_t grain = alignof(max_align_t);
    if (size != 0 && count > (SIZE_MAX / 2) / size)
        return NULL;
    size_t wanted = (count * size + grain - 1) / grain * grain;
    struct chunk *chunk = storage->chunks;
    if (chunk == NULL || chunk->capacity - chunk->used < wanted)
        chunk = add_chunk(storage, wanted);
    if (chunk == NULL)
        return NULL;
    void *piece = chunk->bytes + chunk->used;
    chunk->used += wanted;
    return piece;
}

char *storage_copy(struct topology_storage *storage, struct text text)
{
    char *copy = storage_take(storage, text.length + 1, 1);
    if (copy != NULL && text.length > 0)
        memcpy(copy, text.bytes, text.length);
    return copy;
}
