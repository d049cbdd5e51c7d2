#ifndef SLUICE_ROUTING_UPLOAD_RATE_H
#define SLUICE_ROUTING_UPLOAD_RATE_H
/*
 * Does a client that sends a large body make progress? Judged over windows of time in which it was free to send: while we stop it, nothing counts.
 * A single stall shorter than a window is no harm. Pure; all zero: no window has begun.
 */
#include <stdbool.h>
#include <stdint.h>

#define UPLOAD_RATE_WINDOW_MS 5000

struct upload_rate {
    uint64_t since_ms;   /* the window's beginning; 0: there is none */
    uint64_t from_bytes; /* of the body, that had come until then */
};

/* A window begins: `bytes` of the body have come. */
static inline void upload_rate_begin(struct upload_rate *rate, uint64_t bytes, uint64_t now_ms)
{
    *rate = (struct upload_rate){now_ms, bytes};
}

/* The client is stopped. */
static inline void upload_rate_stop(struct upload_rate *rate)
{
    rate->since_ms = 0;
}

/* When to look; 0: there is no window. */
static inline uint64_t upload_rate_due_ms(const struct upload_rate *rate)
{
    return rate->since_ms == 0 ? 0 : rate->since_ms + UPLOAD_RATE_WINDOW_MS;
}

/* True when the window is over and fewer than `least_bytes_per_s` came in it. Else the next one begins, if it is over. */
bool upload_rate_is_low(struct upload_rate *rate, uint64_t least_bytes_per_s, uint64_t bytes, uint64_t now_ms);

#endif
