#include "kernel/moves.h"

#include <stdint.h>
#include <string.h>

#include "base/machine.h"

#define MACHINES_MAXIMUM 64
#define STATES_MAXIMUM 32

static struct {
    const struct machine *machine;
    uint32_t seen[STATES_MAXIMUM];
} machines[MACHINES_MAXIMUM];

void moves_begin(void)
{
    memset(machines, 0, sizeof machines);
}

void moves_count(const struct machine *machine, unsigned from, unsigned to)
{
    unsigned place = 0;
    while (place < MACHINES_MAXIMUM - 1 && machines[place].machine != NULL && machines[place].machine != machine)
        place++;
    machines[place].machine = machine;
    machines[place].seen[from % STATES_MAXIMUM] |= MACHINE_TO(to);
}

/* The states that can be reached from the first one: a table does not say how many it has. */
static uint32_t states_of(const struct machine *machine)
{
    uint32_t states = 1;
    uint32_t before = 0;
    while (states != before) {
        before = states;
        for (unsigned from = 0; from < STATES_MAXIMUM; from++) {
            if ((before & MACHINE_TO(from)) != 0)
                states |= machine->moves[from];
        }
    }
    return states;
}

void moves_each(void (*callback)(void *owner, const struct machine *machine, unsigned from, unsigned to, bool was_seen), void *owner)
{
    for (unsigned i = 0; i < MACHINES_MAXIMUM && machines[i].machine != NULL; i++) {
        const struct machine *machine = machines[i].machine;
        uint32_t states = states_of(machine);
        for (unsigned from = 0; from < STATES_MAXIMUM; from++) {
            for (unsigned to = 0; to < STATES_MAXIMUM && (states & MACHINE_TO(from)) != 0; to++) {
                if (from != to && (machine->moves[from] & MACHINE_TO(to)) != 0)
                    callback(owner, machine, from, to, (machines[i].seen[from] & MACHINE_TO(to)) != 0);
            }
        }
    }
}
