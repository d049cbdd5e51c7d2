#ifndef SLUICE_ROUTING_LATENCY_H
#define SLUICE_ROUTING_LATENCY_H
/*
 * How long answers take of late, as a histogram that forgets: what percentile of them had begun by when. Pure. An addition costs a few instructions;
 * the percentile is looked for anew now and then.
 */
#include <stdint.h>

/* Four buckets for each doubling: an answer counts as at most a quarter slower than it was. The last one has everything from 7 minutes on. */
#define LATENCY_BUCKETS 72
/* Of fewer answers nothing is said. */
#define LATENCY_SAMPLES_MINIMUM 100

/* Zero it before the first use. */
struct latency {
    uint32_t counts[LATENCY_BUCKETS];
    uint32_t total;
    uint32_t uncounted;   /* since the percentile was looked for */
    uint64_t p95_ms;      /* 0: not known yet */
};

void latency_add(struct latency *latency, uint64_t took_ms);
/* In so many ms, or a quarter less, 95 of 100 had begun; 0: too few are known. */
uint64_t latency_p95_ms(const struct latency *latency);

#endif
