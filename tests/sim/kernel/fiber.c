/* Its check of longjmp takes another stack for a frame that is gone. */
#undef _FORTIFY_SOURCE
#include "kernel/fiber.h"

#include <setjmp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "kernel/draw.h"
#include "kernel/memory.h"
#include "kernel/time.h"
#include "kernel/world.h"
#include "world/plan.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#define HAS_ASAN 1
#endif

#define STACK_BYTES (512 * 1024)
#define FIBERS_MAXIMUM 32

/* STARTED -> READY <-> WAITING; READY -> RUNNING -> READY, WAITING or OVER */
enum fiber_state { FIBER_READY, FIBER_RUNNING, FIBER_WAITING, FIBER_OVER };

struct fiber {
    enum fiber_state state;
    bool was_woken;       /* while it ran or was ready */
    uint64_t free_at_us;  /* its turn takes until then */
    uint64_t cpu_us;
    ucontext_t context;   /* for the first time; from then on `place`, which costs no system call */
    bool has_begun;
    jmp_buf place;
    void *stack;
    void *fake_stack;     /* the sanitizer's */
    void (*run)(void *owner);
    void *owner;
};

static struct fiber *fibers[FIBERS_MAXIMUM];
static unsigned fiber_count;
static struct fiber *running;
static jmp_buf outside;
#ifdef HAS_ASAN
static void *outside_fake_stack;
static const void *outside_stack;
static size_t outside_stack_bytes;
#endif
static struct random_source draws;
static const struct plan *plan_now;
/* Stacks that are over are used again: making one costs more than a run of few requests. */
static void *spare_stacks[FIBERS_MAXIMUM];
static unsigned spare_count;

void fibers_begin(const struct plan *plan)
{
    plan_now = plan;
    draws = draw_source_of(plan->seed, "threads", 0);
    fiber_count = 0;
}

void fibers_end(void)
{
    for (unsigned i = 0; i < fiber_count; i++) {
        munmap(fibers[i]->stack, STACK_BYTES);
        world_free(fibers[i]);
    }
    fiber_count = 0;
}

static void leave(struct fiber *fiber)
{
#ifdef HAS_ASAN
    __sanitizer_start_switch_fiber(fiber->state == FIBER_OVER ? NULL : &fiber->fake_stack, outside_stack, outside_stack_bytes);
#endif
    if (_setjmp(fiber->place) == 0)
        _longjmp(outside, 1);
#ifdef HAS_ASAN
    __sanitizer_finish_switch_fiber(fiber->fake_stack, &outside_stack, &outside_stack_bytes);
#endif
}

static void begin(void)
{
#ifdef HAS_ASAN
    __sanitizer_finish_switch_fiber(NULL, &outside_stack, &outside_stack_bytes);
#endif
    struct fiber *fiber = running;
    fiber->run(fiber->owner);
    fiber->state = FIBER_OVER;
    leave(fiber);
}

static void enter(struct fiber *fiber)
{
    fiber->state = FIBER_RUNNING;
    running = fiber;
#ifdef HAS_ASAN
    __sanitizer_start_switch_fiber(&outside_fake_stack, fiber->stack, STACK_BYTES);
#endif
    if (_setjmp(outside) == 0) {
        if (fiber->has_begun)
            _longjmp(fiber->place, 1);
        fiber->has_begun = true;
        setcontext(&fiber->context);
    }
#ifdef HAS_ASAN
    __sanitizer_finish_switch_fiber(outside_fake_stack, NULL, NULL);
#endif
    running = NULL;
}

static void *take_stack(void)
{
    if (spare_count > 0)
        return spare_stacks[--spare_count];
    void *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return stack == MAP_FAILED ? NULL : stack;
}

struct fiber *fiber_start(void (*run)(void *owner), void *owner)
{
    struct fiber *fiber = fiber_count == FIBERS_MAXIMUM ? NULL : world_calloc(1, sizeof *fiber);
    if (fiber == NULL)
        return NULL;
    fiber->stack = take_stack();
    if (fiber->stack == NULL) {
        world_free(fiber);
        return NULL;
    }
    fiber->run = run;
    fiber->owner = owner;
    fiber->free_at_us = sim_now_us() + draw_between(&draws, 1, 100);
    getcontext(&fiber->context);
    fiber->context.uc_stack.ss_sp = fiber->stack;
    fiber->context.uc_stack.ss_size = STACK_BYTES;
    fiber->context.uc_link = NULL;
    makecontext(&fiber->context, begin, 0);
    fibers[fiber_count++] = fiber;
    return fiber;
}

void fiber_free(struct fiber *fiber)
{
    for (unsigned i = 0; i < fiber_count; i++) {
        if (fibers[i] == fiber)
            fibers[i] = fibers[--fiber_count];
    }
    spare_stacks[spare_count++] = fiber->stack;
    world_free(fiber);
}

bool fiber_is_over(const struct fiber *fiber)
{
    return fiber->state == FIBER_OVER;
}

struct fiber *fiber_now(void)
{
    return running;
}

/* A turn takes some microseconds, and now and then the machine has something else to do. */
static void end_turn(struct fiber *fiber)
{
    uint64_t cost_us = draw_between(&draws, 2, 40);
    fiber->cpu_us += cost_us;
    if (draw_chance(&draws, plan_rate(plan_now, FAULT_KIND_THREAD_STALL)))
        cost_us += draw_between(&draws, 1, 500) * SIM_MS;
    fiber->free_at_us = sim_now_us() + cost_us;
}

void fiber_wait(void)
{
    struct fiber *fiber = running;
    fiber->state = fiber->was_woken ? FIBER_READY : FIBER_WAITING;
    fiber->was_woken = false;
    end_turn(fiber);
    leave(fiber);
}

void fiber_yield(void)
{
    struct fiber *fiber = running;
    fiber->state = FIBER_READY;
    end_turn(fiber);
    leave(fiber);
}

void fiber_wake(struct fiber *fiber)
{
    if (fiber->state == FIBER_WAITING)
        fiber->state = FIBER_READY;
    else
        fiber->was_woken = true;
}

void fiber_may_be_preempted(void)
{
    if (running != NULL && draw_chance(&draws, plan_rate(plan_now, FAULT_KIND_THREAD_PREEMPT)))
        fiber_yield();
}

uint64_t fiber_cpu_us(void)
{
    if (running == NULL)
        return 0;
    running->cpu_us += draw_between(&draws, 20, 400);
    return running->cpu_us;
}

bool fibers_step(void)
{
    struct fiber *ready[FIBERS_MAXIMUM];
    unsigned count = 0;
    for (unsigned i = 0; i < fiber_count; i++) {
        if (fibers[i]->state == FIBER_READY && fibers[i]->free_at_us <= sim_now_us())
            ready[count++] = fibers[i];
    }
    if (count == 0)
        return false;
    enter(ready[count == 1 ? 0 : draw_below(&draws, count)]);
    return true;
}

uint64_t fibers_next(void)
{
    uint64_t next_us = UINT64_MAX;
    for (unsigned i = 0; i < fiber_count; i++) {
        if (fibers[i]->state == FIBER_READY && fibers[i]->free_at_us < next_us)
            next_us = fibers[i]->free_at_us;
    }
    return next_us;
}
