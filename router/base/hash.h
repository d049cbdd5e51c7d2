#ifndef SLUICE_BASE_HASH_H
#define SLUICE_BASE_HASH_H
/*
 * The hash of a text, for tables in memory: XXH3 (https://xxhash.com), compiled into its callers. It differs between versions of the library,
 * so it is never stored or sent. Where clients choose what is hashed and a long bucket would hurt, the seed must be one that they cannot know.
 */
#include <stdint.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/text.h"

static inline uint64_t hash_text(struct text text, uint64_t seed)
{
    return XXH3_64bits_withSeed(text.bytes, text.length, seed);
}

#endif
