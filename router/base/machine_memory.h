#ifndef SLUICE_BASE_MACHINE_MEMORY_H
#define SLUICE_BASE_MACHINE_MEMORY_H
/* How much memory there is for this process. */
#include <stdint.h>

#include "base/text.h"

/*
 * The machine's memory, or what a control group that the process is in may use (cgroup v2, and v1 where a container sees its own at the root),
 * whichever is less. 0: the system does not tell. Reads a few small files.
 */
uint64_t machine_memory_bytes(void);

/* The number of kB that /proc/meminfo names MemTotal, in bytes; 0: there is none in it. */
uint64_t machine_memory_of_meminfo(struct text meminfo);
/* What a limit's file says, in bytes; 0: no limit ("max"), or nothing that could be one. */
uint64_t machine_memory_of_limit(struct text limit);

#endif
