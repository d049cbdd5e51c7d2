#ifndef SLUICE_FAKE_LOOP_ACTORS_H
#define SLUICE_FAKE_LOOP_ACTORS_H
/* Tasks and timers that write a letter each time they are called, and call others on and off. The clock is the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake/clock.h"
#include "net/loop.h"

/* What callbacks did, as letters in the order of their doing. */
struct trace {
    struct loop *loop;
    char letters[256];
    size_t count;
};

struct actor {
    struct trace *trace;
    char letter;
    struct loop_task task;
    struct loop_timer timer;
    struct actor *victim;   /* whose task or timer is called off by this one */
    struct actor *follower; /* whose task is deferred by this one */
    uint64_t again_ms;      /* the timer is set anew, this much later */
};

static inline void write_letter(struct actor *actor)
{
    assert_true(actor->trace->count < sizeof actor->trace->letters - 1);
    actor->trace->letters[actor->trace->count++] = actor->letter;
}

static void act(void *owner)
{
    struct actor *actor = owner;
    struct loop *loop = actor->trace->loop;
    write_letter(actor);
    if (actor->victim != NULL) {
        loop_task_cancel(loop, &actor->victim->task);
        loop_timer_clear(loop, &actor->victim->timer);
    }
    if (actor->follower != NULL)
        loop_defer(loop, &actor->follower->task);
    if (actor->again_ms != 0)
        loop_timer_set(loop, &actor->timer, loop_now_ms(loop) + actor->again_ms);
}

static inline void cast_actors(struct trace *trace, struct actor *actors, size_t count)
{
    *trace = (struct trace){.loop = loop_create()};
    assert_non_null(trace->loop);
    for (size_t i = 0; i < count; i++) {
        actors[i] = (struct actor){.trace = trace, .letter = (char)('a' + i)};
        loop_task_init(&actors[i].task, act, &actors[i]);
        loop_timer_init(&actors[i].timer, act, &actors[i]);
    }
}

#endif
