#ifndef SLUICE_DISPATCH_FIRST_MESSAGE_H
#define SLUICE_DISPATCH_FIRST_MESSAGE_H
/*
 * The first message of a call's answer, kept back while nothing follows it: of a DoGet that is the schema, and a node that is short of memory says so
 * right behind it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

struct slab;

/* At most so much of it, and for so long. */
#define FIRST_MESSAGE_BYTES 65536
#define FIRST_MESSAGE_MS 1000

/* All zero: nothing has come. */
struct first_message {
    char *bytes;       /* owned */
    size_t length;
    size_t capacity;
    uint64_t since_ms; /* when its first byte came */
};

/* False, and nothing is kept of `bytes`, when they do not belong to the first message alone, are too many, or memory is out. */
bool first_message_keep(struct first_message *first, struct text bytes, struct slab *slab, uint64_t now_ms);
void first_message_drop(struct first_message *first, struct slab *slab);

static inline struct text first_message_text(const struct first_message *first)
{
    return text_of(first->bytes, first->length);
}

#endif
