#ifndef SLUICE_SIM_KERNEL_NAMES_H
#define SLUICE_SIM_KERNEL_NAMES_H
/* The name server of the world. */
#include <stdint.h>

#include "net/address.h"

/* `name` has the address from now on (its old ones are gone); `host` 0: the name does not exist any more. */
void sim_name_set(const char *name, unsigned host);
/* Questions are answered with an error for the next `duration_us`. */
void sim_names_fail(uint64_t duration_us);

#endif
