#ifndef SLUICE_SIM_KERNEL_PROCESS_H
#define SLUICE_SIM_KERNEL_PROCESS_H
/*
 * Sluice's process: `sluice serve -c /etc/sluice/sluice.yaml`, in fibers. What it leaves behind when it ends (descriptors, memory) is a violation.
 */
#include <stdbool.h>

#define SIM_CONFIGURATION "/etc/sluice/sluice.yaml"

/* It must not run. `on_end` is called from the world when it has ended; `status` as an exit status. */
void sim_sluice_start(void (*on_end)(void *owner, int status), void *owner);
bool sim_sluice_is_running(void);

#endif
