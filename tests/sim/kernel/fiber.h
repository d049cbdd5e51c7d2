#ifndef SLUICE_SIM_KERNEL_FIBER_H
#define SLUICE_SIM_KERNEL_FIBER_H
/*
 * Sluice's threads: stacks of their own in one thread of ours, of which one runs at a time until it waits. A turn takes a drawn time, in which the
 * others go on. An order that real threads can have, a seed can draw; what two of them do within one turn is not interleaved but where the code
 * talks to another thread (a lock, a wakeup): there THREAD_PREEMPT may put another one in between.
 */
#include <stdbool.h>
#include <stdint.h>

struct fiber;

/* NULL when memory is out. Runs from the next step on. */
struct fiber *fiber_start(void (*run)(void *owner), void *owner);
/* Frees it; it must be over. */
void fiber_free(struct fiber *fiber);
bool fiber_is_over(const struct fiber *fiber);
/* The one that runs; NULL: the world does. */
struct fiber *fiber_now(void);

/* Of the one that runs: it waits until fiber_wake. A wake that comes before counts. */
void fiber_wait(void);
void fiber_wake(struct fiber *fiber);
/* Of the one that runs: others may run first. */
void fiber_yield(void);
/* The same, if the plan has it and draws it. */
void fiber_may_be_preempted(void);
/* CPU time of the thread; each question costs some. */
uint64_t fiber_cpu_us(void);

#endif
