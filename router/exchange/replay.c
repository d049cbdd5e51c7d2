#include "exchange/replay.h"

#include <stdlib.h>

void replay_drop(struct replay *replay, uint64_t *total)
{
    *total -= replay->capacity;
    free(replay->bytes);
    *replay = (struct replay){.is_lost = replay->is_lost || replay->length > 0};
}

/* Doubles, so that many small pieces cost few copies, but never past what may be kept. */
static bool grow(struct replay *replay, size_t wanted, size_t maximum, uint64_t *total)
{
    size_t capacity = replay->capacity * 2 > wanted ? replay->capacity * 2 : wanted;
    if (capacity > maximum)
        capacity = maximum;
    char *larger = realloc(replay->bytes, capacity);
    if (larger == NULL)
        return false;
    *total += capacity - replay->capacity;
    replay->bytes = larger;
    replay->capacity = capacity;
    return true;
}

void replay_append(struct replay *replay, struct text bytes, size_t maximum, uint64_t *total, uint64_t total_maximum)
{
    if (replay->is_lost || bytes.length == 0)
        return;
    size_t wanted = replay->length + bytes.length;
    uint64_t others = *total - replay->capacity;
    uint64_t left = total_maximum > others ? total_maximum - others : 0;
    if (left < maximum)
        maximum = (size_t)left;
    if (wanted > maximum || (wanted > replay->capacity && !grow(replay, wanted, maximum, total))) {
        replay_drop(replay, total);
        replay->is_lost = true;
        return;
    }
    memcpy(replay->bytes + replay->length, bytes.bytes, bytes.length);
    replay->length = wanted;
}
