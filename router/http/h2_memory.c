#include "http/h2_memory.h"

#include <stdint.h>
#include <string.h>

#include "base/slab.h"

/* The slab has nothing. NULL: neither has the reserve. */
static void *take_reserved(struct h2_memory *memory, size_t length)
{
    if (length <= H2_MEMORY_SMALL_BYTES && memory->small_count > 0)
        return memory->small[--memory->small_count];
    if (length <= H2_MEMORY_LARGE_BYTES && memory->large_count > 0)
        return memory->large[--memory->large_count];
    return NULL;
}

/* nghttp2 makes and drops a dozen small objects for each request. */
static void *take(size_t length, void *owner)
{
    struct h2_memory *memory = owner;
    void *object = slab_take(memory->slab, length);
    return object != NULL ? object : take_reserved(memory, length);
}

static void give(void *object, void *owner)
{
    struct h2_memory *memory = owner;
    slab_give(memory->slab, object);
}

static void *take_zeroed(size_t count, size_t length, void *owner)
{
    if (length != 0 && count > SIZE_MAX / length)
        return NULL;
    void *object = take(count * length, owner);
    if (object != NULL)
        memset(object, 0, count * length);
    return object;
}

static void *resize(void *object, size_t length, void *owner)
{
    struct h2_memory *memory = owner;
    void *larger = slab_resize(memory->slab, object, length);
    if (larger != NULL)
        return larger;
    larger = take_reserved(memory, length);
    if (larger == NULL || object == NULL)
        return larger;
    /* It grows, so the present one is whole in it. */
    size_t usable = slab_usable_bytes(object);
    memcpy(larger, object, usable < length ? usable : length);
    slab_give(memory->slab, object);
    return larger;
}

void h2_memory_init(struct h2_memory *memory, struct slab *slab)
{
    *memory = (struct h2_memory){.verbs = {memory, take, give, take_zeroed, resize}, .slab = slab};
}

void h2_memory_clear(struct h2_memory *memory)
{
    while (memory->small_count > 0)
        slab_give_unpooled(memory->small[--memory->small_count]);
    while (memory->large_count > 0)
        slab_give_unpooled(memory->large[--memory->large_count]);
}

bool h2_memory_refill(struct h2_memory *memory)
{
    void *object;
    while (memory->small_count < H2_MEMORY_SMALL && (object = slab_take_unpooled(H2_MEMORY_SMALL_BYTES)) != NULL)
        memory->small[memory->small_count++] = object;
    while (memory->large_count < H2_MEMORY_LARGE && (object = slab_take_unpooled(H2_MEMORY_LARGE_BYTES)) != NULL)
        memory->large[memory->large_count++] = object;
    return memory->small_count == H2_MEMORY_SMALL && memory->large_count == H2_MEMORY_LARGE;
}
