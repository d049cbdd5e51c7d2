#include "kernel/memory.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/draw.h"
#include "kernel/fiber.h"
#include "kernel/world.h"
#include "world/plan.h"

/* The linker's: where the program lies. */
extern char __executable_start;

/* The names that the linker gives to the real calls and to ours. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
char *__real_strdup(const char *words);
void __real_free(void *block);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
char *__wrap_strdup(const char *words);
char *__wrap_strndup(const char *words, size_t maximum);
void __wrap_free(void *block);

struct block {
    void *start; /* NULL: a free place */
    void *asker; /* the code that asked for it */
};

/* Open addressing; a power of two. Deleted places are closed by moving their successors. */
static struct block *blocks;
static size_t capacity;
static size_t count;
static size_t bytes;
static bool may_fail;
static struct random_source draws;

void memory_begin(const struct plan *plan)
{
    draws = draw_source_of(plan->seed, "memory", 0);
    may_fail = false;
    count = bytes = 0;
    if (blocks != NULL)
        memset(blocks, 0, capacity * sizeof *blocks);
}

size_t memory_blocks(void)
{
    return count;
}

size_t memory_bytes(void)
{
    return bytes;
}

void memory_each_asker(void (*on_asker)(void *owner, ptrdiff_t place, size_t bytes), void *owner)
{
    for (size_t i = 0; i < capacity; i++) {
        if (blocks[i].start != NULL)
            on_asker(owner, (char *)blocks[i].asker - &__executable_start, malloc_usable_size(blocks[i].start));
    }
}

void memory_may_fail(void)
{
    may_fail = true;
}

static void *or_die(void *block)
{
    if (block == NULL)
        abort();
    return block;
}

void *world_malloc(size_t size)
{
    return or_die(__real_malloc(size));
}

void *world_calloc(size_t number, size_t size)
{
    return or_die(__real_calloc(number, size));
}

void *world_realloc(void *block, size_t size)
{
    return or_die(__real_realloc(block, size));
}

void world_free(void *block)
{
    __real_free(block);
}

static size_t home_of(const void *block)
{
    return (size_t)((uintptr_t)block * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (capacity - 1);
}

static void put(struct block block)
{
    size_t place = home_of(block.start);
    while (blocks[place].start != NULL)
        place = (place + 1) & (capacity - 1);
    blocks[place] = block;
}

static void grow(void)
{
    struct block *before = blocks;
    size_t capacity_before = capacity;
    capacity = capacity == 0 ? 65536 : capacity * 2;
    blocks = __real_calloc(capacity, sizeof *blocks);
    if (blocks == NULL)
        abort();
    for (size_t i = 0; i < capacity_before; i++) {
        if (before[i].start != NULL)
            put(before[i]);
    }
    __real_free(before);
}

static void *note(void *block, void *asker)
{
    if (block == NULL || fiber_now() == NULL)
        return block;
    if ((count + 1) * 2 > capacity)
        grow();
    put((struct block){block, asker});
    count++;
    bytes += malloc_usable_size(block);
    return block;
}

static void forget(void *block)
{
    if (block == NULL || capacity == 0)
        return;
    size_t place = home_of(block);
    while (blocks[place].start != NULL && blocks[place].start != block)
        place = (place + 1) & (capacity - 1);
    if (blocks[place].start == NULL)
        return;
    count--;
    bytes -= malloc_usable_size(block);
    size_t hole = place;
    for (size_t next = (hole + 1) & (capacity - 1); blocks[next].start != NULL; next = (next + 1) & (capacity - 1)) {
        size_t distance = (next - home_of(blocks[next].start)) & (capacity - 1);
        if (distance >= ((next - hole) & (capacity - 1))) {
            blocks[hole] = blocks[next];
            hole = next;
        }
    }
    blocks[hole].start = NULL;
}

static bool is_out(void)
{
    return may_fail && fiber_now() != NULL && draw_chance(&draws, plan_rate(the_plan, FAULT_KIND_MEMORY_SHORT));
}

void *__wrap_malloc(size_t size)
{
    return is_out() ? NULL : note(__real_malloc(size), __builtin_return_address(0));
}

void *__wrap_calloc(size_t number, size_t size)
{
    return is_out() ? NULL : note(__real_calloc(number, size), __builtin_return_address(0));
}

void *__wrap_realloc(void *block, size_t size)
{
    if (is_out())
        return NULL;
    forget(block);
    void *larger = __real_realloc(block, size);
    note(larger == NULL ? block : larger, __builtin_return_address(0));
    return larger;
}

char *__wrap_strdup(const char *words)
{
    return is_out() ? NULL : note(__real_strdup(words), __builtin_return_address(0));
}

char *__wrap_strndup(const char *words, size_t maximum)
{
    size_t length = strnlen(words, maximum);
    char *copy = __wrap_malloc(length + 1);
    if (copy == NULL)
        return NULL;
    memcpy(copy, words, length);
    copy[length] = '\0';
    return copy;
}

void __wrap_free(void *block)
{
    forget(block);
    __real_free(block);
}
