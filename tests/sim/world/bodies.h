#ifndef SLUICE_SIM_WORLD_BODIES_H
#define SLUICE_SIM_WORLD_BODIES_H
/*
 * The line protocol that belongs to a try of a write (check/ledger.h): what a client sends and a node must get. Pure functions of the number and the kind.
 *
 * Lines are `m,c=CC,try=NUMBER v=NNNNNNNi TIMESTAMP\n`. A TRY_WRITE_PLAIN has at least one line without a timestamp; the others have one in each.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "check/ledger.h"

bool body_is_of_a_write(enum try_kind kind);

/* Most bodies are a few lines; few are larger than what Sluice keeps to send again. Never 0. */
uint64_t body_length(uint64_t number, enum try_kind kind);

/* Fills `buffer` with the bytes from `offset` on and returns how many there were: fewer than `capacity` at the end. */
size_t body_copy(uint64_t number, enum try_kind kind, uint64_t offset, char *buffer, size_t capacity);

/* Is `piece` what stands at `offset`, and not longer than the body? */
bool body_is(uint64_t number, enum try_kind kind, uint64_t offset, struct text piece);

/* All of it, or as much as there is room for. */
struct text write_body(uint64_t number, enum try_kind kind, char *buffer, size_t capacity);

#endif
