#ifndef SLUICE_ROUTING_TIMESTAMP_CHECK_H
#define SLUICE_ROUTING_TIMESTAMP_CHECK_H
/*
 * Is a body line protocol whose every line ends in an integer timestamp? Then a node that gets it twice stores it once (same table, tags
 * and time). The question is answered in slices, because a body may be long and inflate to more: each step looks at a bounded number of bytes.
 *
 * timestamp_check_begin -> timestamp_check_step until the result is not MORE -> timestamp_check_end
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

struct timestamp_check;

enum timestamp_result {
    TIMESTAMP_MORE,
    TIMESTAMP_EACH_LINE, /* or no line at all: nothing that could be stored twice */
    TIMESTAMP_DOUBT,     /* a line without one, a string that does not close, no gzip, or more than the maximum */
};

/* `body` must stay until the end. `is_gzip`: it is inflated first, at most `inflated_maximum_bytes` of it. NULL when memory is out. */
struct timestamp_check *timestamp_check_begin(struct text body, bool is_gzip, uint64_t inflated_maximum_bytes);
/* Looks at about `budget_bytes` more, of gzip and of what it inflates to together (and at some 16 KiB of each at least). */
enum timestamp_result timestamp_check_step(struct timestamp_check *check, size_t budget_bytes);
/* NULL is allowed. */
void timestamp_check_end(struct timestamp_check *check);

#endif
