#include "kernel/draw.h"

struct random_source draw_source_of(uint64_t seed, const char *kind, uint64_t number)
{
    /* FNV-1a over the kind, then one round of the generator for each part. */
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (const char *at = kind; *at != '\0'; at++)
        hash = (hash ^ (unsigned char)*at) * UINT64_C(0x100000001b3);
    struct random_source source;
    source.state = seed;
    source.state = random_u64(&source) ^ hash;
    source.state = random_u64(&source) ^ number;
    return source;
}
