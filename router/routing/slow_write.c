#include "routing/slow_write.h"

/* Sixteenths of a millisecond; each acknowledgement has an eighth of the weight. */
#define UNITS 16
#define WEIGHT 8
#define TOOK_MAXIMUM_MS 3600000

/* A node may take so many times as long as of late; another one must be so many times quicker. */
#define OWN_TIMES 2
#define OTHER_TIMES 2

slow_write_average slow_write_add(slow_write_average average, uint64_t took_ms)
{
    uint64_t sample = (took_ms < TOOK_MAXIMUM_MS ? took_ms : TOOK_MAXIMUM_MS) * UNITS;
    uint64_t next = average == 0 ? sample : ((uint64_t)average * (WEIGHT - 1) + sample) / WEIGHT;
    return next == 0 ? 1 : (slow_write_average)next;
}

uint64_t slow_write_average_ms(slow_write_average average)
{
    return ((uint64_t)average + UNITS - 1) / UNITS;
}

bool slow_write_is_late(const struct slow_write_question *question)
{
    uint64_t own_ms = slow_write_average_ms(question->own);
    uint64_t other_ms = slow_write_average_ms(question->other);
    return question->waited_ms >= SLOW_WRITE_MINIMUM_MS && question->waited_ms >= own_ms * OWN_TIMES && other_ms != 0 &&
           question->waited_ms >= other_ms * OTHER_TIMES;
}
