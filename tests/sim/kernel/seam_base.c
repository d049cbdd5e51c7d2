/* base/{clock,random,thread,processors,machine}.h in the world. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/processors.h"
#include "base/random.h"
#include "base/thread.h"
#include "kernel/draw.h"
#include "kernel/fiber.h"
#include "kernel/moves.h"
#include "kernel/time.h"
#include "world/plan.h"

/* 2026-11-26T00:00:00Z */
#define BEGINNING_MS UINT64_C(1795651200000)
/* The machine had been up for some days. */
#define UPTIME_MS UINT64_C(1000000000)

uint64_t clock_monotonic_ms(void)
{
    return UPTIME_MS + sim_now_us() / 1000;
}

uint64_t clock_wall_ms(void)
{
    return BEGINNING_MS + sim_now_us() / 1000;
}

uint64_t clock_thread_cpu_us(void)
{
    return fiber_cpu_us();
}

void random_seed_from_system(struct random_source *source)
{
    static uint64_t number;
    *source = draw_source_of(the_plan->seed, "entropy", number++);
}

size_t processors_usable(void)
{
    return 2;
}

/* ---- threads ---- */

struct thread {
    struct fiber *fiber;
    struct fiber *joiner; /* waits for it */
    void (*run)(void *owner);
    void *owner;
};

static void run_thread(void *owner)
{
    struct thread *thread = owner;
    thread->run(thread->owner);
    if (thread->joiner != NULL)
        fiber_wake(thread->joiner);
}

struct thread *thread_start(void (*run)(void *owner), void *owner)
{
    struct thread *thread = calloc(1, sizeof *thread);
    if (thread == NULL)
        return NULL;
    thread->run = run;
    thread->owner = owner;
    thread->fiber = fiber_start(run_thread, thread);
    if (thread->fiber != NULL)
        return thread;
    free(thread);
    return NULL;
}

void thread_join(struct thread *thread)
{
    if (thread == NULL)
        return;
    thread->joiner = fiber_now();
    while (!fiber_is_over(thread->fiber))
        fiber_wait();
    fiber_free(thread->fiber);
    free(thread);
}

/* ---- locks ---- */

struct lock {
    struct fiber *holder;
};

struct lock *lock_create(void)
{
    return calloc(1, sizeof(struct lock));
}

void lock_destroy(struct lock *lock)
{
    free(lock);
}

void lock_take(struct lock *lock)
{
    fiber_may_be_preempted();
    while (lock->holder != NULL)
        fiber_yield();
    lock->holder = fiber_now();
}

void lock_give(struct lock *lock)
{
    lock->holder = NULL;
    fiber_may_be_preempted();
}

/* ---- state machines ---- */

void machine_check(const struct machine *machine, unsigned from, unsigned to)
{
    moves_count(machine, from, to);
    if ((machine->moves[from] & MACHINE_TO(to)) == 0)
        log_line(LOG_LEVEL_ERROR, "event=bug what=%s from=%s to=%s", machine->name, machine->state_names[from],
                 machine->state_names[to]);
}
