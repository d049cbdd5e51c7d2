#ifndef SLUICE_SIM_KERNEL_MEMORY_H
#define SLUICE_SIM_KERNEL_MEMORY_H
/*
 * Memory of Sluice's process: what its own code asks for (the linker gives us its calls of malloc and kin; libraries keep theirs) is counted, and
 * MEMORY_SHORT lets a call fail.
 */
#include <stddef.h>

/* The world's own memory, which is not counted and does not run out: Sluice's threads come through its code. */
void *world_malloc(size_t size);
void *world_calloc(size_t count, size_t size);
void *world_realloc(void *block, size_t size);
void world_free(void *block);

/* Blocks that were asked for and not freed. */
size_t memory_blocks(void);
size_t memory_bytes(void);
/* For each of them, where in the program the code stands that asked for it (addr2line -e). */
void memory_each_asker(void (*on_asker)(void *owner, ptrdiff_t place, size_t bytes), void *owner);
/* From now on calls may fail: a process that has not started yet would only not start. */
void memory_may_fail(void);

#endif
