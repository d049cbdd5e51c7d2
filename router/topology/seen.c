#include "topology/seen.h"

#include <stdint.h>
#include <stdlib.h>

#include "topology/storage.h"

#define SLOTS_AT_FIRST 256 /* a power of two, and always at least twice the number of keys */

struct slot {
    struct text key; /* bytes NULL: free */
    size_t number;
};

struct seen {
    struct topology_storage *storage; /* owns the keys */
    struct slot *slots;
    size_t slot_count;
    size_t key_count;
};

struct seen *seen_create(void)
{
    struct seen *seen = calloc(1, sizeof *seen);
    if (seen == NULL)
        return NULL;
    seen->storage = storage_create();
    seen->slots = calloc(SLOTS_AT_FIRST, sizeof *seen->slots);
    seen->slot_count = SLOTS_AT_FIRST;
    if (seen->storage != NULL && seen->slots != NULL)
        return seen;
    seen_destroy(seen);
    return NULL;
}

void seen_destroy(struct seen *seen)
{
    if (seen == NULL)
        return;
    storage_destroy(seen->storage);
    free(seen->slots);
    free(seen);
}

/* FNV-1a; the upper half is folded in, because the table takes the lower bits. */
static size_t hash_of(struct text key)
{
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < key.length; i++)
        hash = (hash ^ (unsigned char)key.bytes[i]) * 1099511628211u;
    return (size_t)(hash ^ hash >> 32);
}

/* The slot that has the key, or the free one where it belongs. */
static struct slot *slot_of(struct slot *slots, size_t count, struct text key)
{
    size_t at = hash_of(key) & (count - 1);
    while (slots[at].key.bytes != NULL && !text_equals(slots[at].key, key))
        at = (at + 1) & (count - 1);
    return &slots[at];
}

static bool grow(struct seen *seen)
{
    size_t count = seen->slot_count * 2;
    struct slot *slots = calloc(count, sizeof *slots);
    if (slots == NULL)
        return false;
    for (size_t i = 0; i < seen->slot_count; i++) {
        if (seen->slots[i].key.bytes != NULL)
            *slot_of(slots, count, seen->slots[i].key) = seen->slots[i];
    }
    free(seen->slots);
    seen->slots = slots;
    seen->slot_count = count;
    return true;
}

bool seen_add(struct seen *seen, struct text key, size_t number, size_t *first)
{
    if (2 * (seen->key_count + 1) > seen->slot_count && !grow(seen))
        return false;
    struct slot *slot = slot_of(seen->slots, seen->slot_count, key);
    if (slot->key.bytes == NULL) {
        const char *copy = storage_copy(seen->storage, key);
        if (copy == NULL)
            return false;
        *slot = (struct slot){text_of(copy, key.length), number};
        seen->key_count++;
    }
    *first = slot->number;
    return true;
}

size_t seen_find(const struct seen *seen, struct text key)
{
    const struct slot *slot = slot_of(seen->slots, seen->slot_count, key);
    return slot->key.bytes == NULL ? SEEN_NEVER : slot->number;
}
