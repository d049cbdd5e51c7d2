#include "routing/latency.h"

#define PER_DOUBLING_BITS 2
#define PER_DOUBLING (1u << PER_DOUBLING_BITS)
/* So often the percentile is looked for. */
#define LOOK_EVERY 32
/* With so many, each counts half from now on. */
#define KEPT_MAXIMUM 2048

/* 0, 1, 2 and 3 ms have buckets of their own; from there on the highest bit and the two behind it tell. */
static unsigned bucket_of(uint64_t took_ms)
{
    if (took_ms < PER_DOUBLING)
        return (unsigned)took_ms;
    unsigned highest = 63 - (unsigned)__builtin_clzll(took_ms);
    unsigned behind = (unsigned)(took_ms >> (highest - PER_DOUBLING_BITS)) & (PER_DOUBLING - 1);
    unsigned bucket = (highest - PER_DOUBLING_BITS + 1) * PER_DOUBLING + behind;
    return bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1;
}

/* The first time that is above all of the bucket's. */
static uint64_t end_of_ms(unsigned bucket)
{
    if (bucket < PER_DOUBLING)
        return bucket + 1;
    unsigned doubling = bucket / PER_DOUBLING - 1;
    return (uint64_t)(PER_DOUBLING + bucket % PER_DOUBLING + 1) << doubling;
}

static void look(struct latency *latency)
{
    uint32_t above = 0;
    unsigned bucket = LATENCY_BUCKETS;
    latency->uncounted = 0;
    while (bucket > 0 && (above + latency->counts[bucket - 1]) * 20 <= latency->total)
        above += latency->counts[--bucket];
    latency->p95_ms = bucket == 0 ? 0 : end_of_ms(bucket - 1);
}

static void forget_half(struct latency *latency)
{
    latency->total = 0;
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
        latency->counts[i] /= 2;
        latency->total += latency->counts[i];
    }
}

void latency_add(struct latency *latency, uint64_t took_ms)
{
    latency->counts[bucket_of(took_ms)]++;
    latency->total++;
    latency->uncounted++;
    if (latency->total >= KEPT_MAXIMUM)
        forget_half(latency);
    if (latency->total >= LATENCY_SAMPLES_MINIMUM && (latency->uncounted >= LOOK_EVERY || latency->p95_ms == 0))
        look(latency);
}

uint64_t latency_p95_ms(const struct latency *latency)
{
    return latency->p95_ms;
}
