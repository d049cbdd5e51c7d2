#ifndef SLUICE_SIM_KERNEL_MOVES_H
#define SLUICE_SIM_KERNEL_MOVES_H
/* Which moves of which state machine of the router a run has seen. */
#include <stdbool.h>

struct machine;

void moves_begin(void);
void moves_count(const struct machine *machine, unsigned from, unsigned to);
/* Each move that a machine's table allows, of the machines that have moved at all; a move to the same state is none. */
void moves_each(void (*callback)(void *owner, const struct machine *machine, unsigned from, unsigned to, bool was_seen), void *owner);

#endif
