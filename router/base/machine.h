#ifndef SLUICE_BASE_MACHINE_H
#define SLUICE_BASE_MACHINE_H
/*
 * A state machine as a table: which state may follow which. The one function that writes a state asks here first; a move that the table does not
 * have is a bug of ours and is logged, but it is made: what depends on the state copes better with a surprising one than with a stale one.
 */
#include <stdint.h>

struct machine {
    const char *name;               /* for the log: "h1_server" */
    const char *const *state_names; /* by state */
    const uint32_t *moves;          /* by state: one bit for each state that may follow */
};

#define MACHINE_TO(state) (UINT32_C(1) << (state))

/* Before a state is written. A move that the table does not have is logged: event=bug what=<machine> from=... to=... */
void machine_check(const struct machine *machine, unsigned from, unsigned to);

#endif
