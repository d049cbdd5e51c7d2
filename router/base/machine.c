#include "base/machine.h"

#include "base/log.h"

static void report(const struct machine *machine, unsigned from, unsigned to)
{
    log_line(LOG_LEVEL_ERROR, "event=bug what=%s from=%s to=%s", machine->name, machine->state_names[from],
             machine->state_names[to]);
}

void machine_check(const struct machine *machine, unsigned from, unsigned to)
{
    if ((machine->moves[from] & MACHINE_TO(to)) == 0)
        report(machine, from, to);
}
