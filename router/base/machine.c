#include "base/machine.h"

#include "base/log.h"

void machine_report(const struct machine *machine, unsigned from, unsigned to)
{
    log_line(LOG_LEVEL_ERROR, "event=bug what=%s from=%s to=%s", machine->name, machine->state_names[from],
             machine->state_names[to]);
}
