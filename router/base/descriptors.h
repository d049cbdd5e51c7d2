#ifndef SLUICE_BASE_DESCRIPTORS_H
#define SLUICE_BASE_DESCRIPTORS_H
/* How many descriptors the process may have open. */
#include <stddef.h>

/* SIZE_MAX: as many as it wants, or the system does not tell. */
size_t descriptors_limit(void);
/* Raises the limit to the most that the system allows us; where it refuses, the limit stays. Once, before threads start. */
void descriptors_raise_limit(void);

#endif
