#ifndef SLUICE_ROUTING_SLOW_WRITE_H
#define SLUICE_ROUTING_SLOW_WRITE_H
/*
 * When a write that may be sent twice has waited long enough for its node. Where the object store is slow, all nodes are, and a second copy of each
 * write would make it slower: so only a node that is slower than the rest is left. Pure.
 */
#include <stdbool.h>
#include <stdint.h>

/* How long a node has taken of late to acknowledge a write, as an average that forgets. All zero: nothing is known yet. */
typedef uint32_t slow_write_average;

/* With one more acknowledgement. */
slow_write_average slow_write_add(slow_write_average average, uint64_t took_ms);
/* 0: nothing is known yet. */
uint64_t slow_write_average_ms(slow_write_average average);

/* However quick a node is otherwise: no write is late before. */
#define SLOW_WRITE_MINIMUM_MS 2000

struct slow_write_question {
    uint64_t waited_ms;          /* since the node has all of it */
    slow_write_average own;      /* of its node */
    slow_write_average other;    /* of the quickest one that could take it instead */
};
/* Is it late by its node's own measure, while another node would have been much quicker? */
bool slow_write_is_late(const struct slow_write_question *question);

#endif
