#ifndef SLUICE_BASE_PROCESSORS_H
#define SLUICE_BASE_PROCESSORS_H
/* The cores of the machine. */
#include <stddef.h>

/* How many of them this process may use (its affinity); 1 when the system does not tell. */
size_t processors_usable(void);

#endif
