#ifndef SLUICE_EXCHANGE_REPLAY_H
#define SLUICE_EXCHANGE_REPLAY_H
/*
 * The request body as far as it has been read, kept so that an attempt can be repeated. Bounded for each exchange and for all of a
 * worker together; when a bound is passed everything is dropped and the exchange can no longer repeat its body.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

struct replay {
    char *bytes;
    size_t length;
    size_t capacity;
    bool is_lost; /* bytes were read that are not here */
};

/* Keeps a copy. `*total` counts what all replays of the worker hold. */
void replay_append(struct replay *replay, struct text bytes, size_t maximum, uint64_t *total, uint64_t total_maximum);
/* Frees it; what was kept is lost if there was any. */
void replay_drop(struct replay *replay, uint64_t *total);

static inline struct text replay_text(const struct replay *replay)
{
    return text_of(replay->bytes, replay->length);
}

#endif
