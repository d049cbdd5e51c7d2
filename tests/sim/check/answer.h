#ifndef SLUICE_SIM_CHECK_ANSWER_H
#define SLUICE_SIM_CHECK_ANSWER_H
/*
 * The answer that belongs to a try (check/ledger.h), piece by piece: what a node sends and what a client must get. Pure functions of the number.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "check/ledger.h"

/* Fills `buffer` with the bytes from `offset` on and returns how many there were: fewer than `capacity` at the end. */
size_t answer_copy(uint64_t number, uint64_t offset, char *buffer, size_t capacity);

/* Is `piece` what stands at `offset`, and not longer than the answer? */
bool answer_is(uint64_t number, uint64_t offset, struct text piece);

#endif
