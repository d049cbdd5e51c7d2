#ifndef SLUICE_SIM_KERNEL_DRAW_H
#define SLUICE_SIM_KERNEL_DRAW_H
/*
 * What a seed decides. Each actor has a source of its own (draw_source_of), so that taking one actor or one fault away leaves what the others do as
 * it was: that is what makes a failing run shrink.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/random.h"

/* The same numbers for the same seed, kind ("client", "node" ...) and number. */
struct random_source draw_source_of(uint64_t seed, const char *kind, uint64_t number);

/* 0 to `count` - 1; 0 when `count` is 0. */
static inline uint64_t draw_below(struct random_source *source, uint64_t count)
{
    return count == 0 ? 0 : random_u64(source) % count;
}

/* `from` to `to`, both included. */
static inline uint64_t draw_between(struct random_source *source, uint64_t from, uint64_t to)
{
    return from + draw_below(source, to - from + 1);
}

/* True in `per_million` of a million cases. Draws nothing for 0, so that a fault that does not exist changes nothing else. */
static inline bool draw_chance(struct random_source *source, uint32_t per_million)
{
    return per_million > 0 && draw_below(source, 1000000) < per_million;
}

#endif
