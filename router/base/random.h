#ifndef SLUICE_BASE_RANDOM_H
#define SLUICE_BASE_RANDOM_H
/*
 * Random numbers that spread load, tell requests apart and keep timers out of step. Each owner has a generator of its own, seeded once;
 * nothing secret may hang on the numbers, because a few of them give away the rest.
 *
 * The generator is SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014): one owner never gets the same
 * 64 bits twice before all of them have come.
 */
#include <stdint.h>

struct random_source {
    uint64_t state;
};

/* Seeds from the kernel's entropy (getrandom); without it, from what differs between owners and starts. The only place that asks for entropy. */
void random_seed_from_system(struct random_source *source);
/* The same numbers for the same seed. */
static inline void random_seed(struct random_source *source, uint64_t seed)
{
    source->state = seed;
}

static inline uint64_t random_u64(struct random_source *source)
{
    uint64_t z = source->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static inline uint32_t random_u32(struct random_source *source)
{
    return (uint32_t)(random_u64(source) >> 32);
}

#endif
