/* Tasks, timers and the grave, with a clock that the test moves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <event2/event.h>

#include "fake/loop_actors.h"
#include "net/poller.h"

/* Moves the clock and lets what is due happen. */
static void pass(struct trace *trace, uint64_t ms)
{
    clock_advance(ms);
    loop_turn(trace->loop, false);
}

/* The same after a suspension: the first turn is the sockets', the timers come in the next. */
static void pass_suspended(struct trace *trace, uint64_t ms)
{
    pass(trace, ms);
    pass(trace, LOOP_TICK_MS);
}

/* ---- tasks ---- */

static void a_task_runs_when_the_event_is_left(void **state)
{
    (void)state;
    struct trace trace;
    struct actor actors[3];
    cast_actors(&trace, actors, 3);
    loop_enter(trace.loop);
    loop_defer(trace.loop, &actors[1].task);
    loop_defer(trace.loop, &actors[0].task);
    loop_defer(trace.loop, &actors[1].task);
    assert_string_equal(trace.letters, "");
    loop_enter(trace.loop);
    loop_leave(trace.loop);
    assert_string_equal(trace.letters, "");
    loop_leave(trace.loop);
    assert_string_equal(trace.letters, "ba");
    loop_enter(trace.loop);
    loop_leave(trace.loop);
    assert_string_equal(trace.letters, "ba");
    loop_destroy(trace.loop);
}

static void tasks_may_call_others_on_and_off(void **state)
{
    (void)state;
    struct trace trace;
    struct actor actors[5];
    cast_actors(&trace, actors, 5);
    actors[0].victim = &actors[1];
    actors[0].follower = &actors[3];
    actors[2].follower = &actors[0];
    actors[3].victim = &actors[4];
    loop_enter(trace.loop);
    for (size_t i = 0; i < 3; i++)
        loop_defer(trace.loop, &actors[i].task);
    loop_defer(trace.loop, &actors[4].task);
    loop_task_cancel(trace.loop, &actors[4].task);
    loop_task_cancel(trace.loop, &actors[4].task);
    actors[4].follower = &actors[1];
    loop_leave(trace.loop);
    /* a calls b off and d on; c calls a on, which calls d on once more. */
    assert_string_equal(trace.letters, "acdad");
    loop_destroy(trace.loop);
}

/* ---- timers ---- */

static void a_timer_fires_once_never_early_and_a_tick_late_at_most(void **state)
{
    (void)state;
    for (uint64_t phase = 0; phase < LOOP_TICK_MS; phase++) {
        for (uint64_t delay = 0; delay <= 3 * LOOP_TICK_MS; delay++) {
            struct trace trace;
            struct actor actor;
            clock_advance(LOOP_TICK_MS - clock_now_ms() % LOOP_TICK_MS + phase);
            cast_actors(&trace, &actor, 1);
            loop_timer_set(trace.loop, &actor.timer, clock_now_ms() + delay);
            uint64_t waited = 0;
            for (; trace.count == 0 && waited <= delay + LOOP_TICK_MS; waited++)
                pass(&trace, 1);
            assert_int_equal(trace.count, 1);
            assert_in_range(waited, delay, delay + LOOP_TICK_MS);
            pass(&trace, 20000);
            assert_int_equal(trace.count, 1);
            loop_destroy(trace.loop);
        }
    }
}

static const uint64_t far_delays_ms[] = {8175,  8176,  8191,  8192,  8193,    8208,
                                         16383, 16384, 16400, 60000, 3600000, 86400000};

static void a_far_timer_waits_its_rounds(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof far_delays_ms / sizeof far_delays_ms[0]; i++) {
        uint64_t delay = far_delays_ms[i];
        struct trace trace;
        struct actor actor;
        cast_actors(&trace, &actor, 1);
        loop_timer_set(trace.loop, &actor.timer, clock_now_ms() + delay);
        /* In steps, so that each round is walked through, ... */
        uint64_t step = delay / 100 + 1;
        uint64_t passed = 0;
        while (passed + step < delay) {
            pass(&trace, step);
            passed += step;
        }
        pass(&trace, delay - passed - 1);
        assert_int_equal(trace.count, 0);
        pass(&trace, 1 + LOOP_TICK_MS);
        assert_int_equal(trace.count, 1);
        /* ... and in one jump. */
        loop_timer_set(trace.loop, &actor.timer, clock_now_ms() + delay);
        pass(&trace, delay - 1);
        assert_int_equal(trace.count, 1);
        pass(&trace, 1 + LOOP_TICK_MS);
        assert_int_equal(trace.count, 2);
        loop_destroy(trace.loop);
    }
}

static void the_last_deadline_of_all_never_comes(void **state)
{
    (void)state;
    struct trace trace;
    struct actor actors[2];
    cast_actors(&trace, actors, 2);
    loop_timer_set(trace.loop, &actors[0].timer, UINT64_MAX);
    loop_timer_set(trace.loop, &actors[1].timer, clock_now_ms() + 50000);
    for (int i = 0; i < 200; i++)
        pass(&trace, 1000);
    assert_string_equal(trace.letters, "b");
    loop_destroy(trace.loop);
}

/* A near timer and one of a later round share a slot; only the near one is due. */
static void timers_of_two_rounds_share_a_slot(void **state)
{
    (void)state;
    struct trace trace;
    struct actor actors[2];
    cast_actors(&trace, actors, 2);
    loop_timer_set(trace.loop, &actors[0].timer, clock_now_ms() + 100 + 512 * LOOP_TICK_MS);
    loop_timer_set(trace.loop, &actors[1].timer, clock_now_ms() + 100);
    pass(&trace, 100 + LOOP_TICK_MS);
    assert_string_equal(trace.letters, "b");
    pass(&trace, 512 * LOOP_TICK_MS - LOOP_TICK_MS - 1);
    assert_string_equal(trace.letters, "b");
    pass(&trace, 1 + LOOP_TICK_MS);
    assert_string_equal(trace.letters, "ba");
    loop_destroy(trace.loop);
}

/* After the first has fired, the loop finds the other by itself, wherever in the wheel the two are. */
static void the_next_timer_is_found_in_any_slot(void **state)
{
    (void)state;
    static const uint64_t distances[] = {2, 31, 62, 63, 64, 65, 66, 127, 128, 129, 200, 320, 510, 511, 512, 513, 700};
    for (uint64_t begin = 0; begin < 64; begin++) {
        for (size_t i = 0; i < sizeof distances / sizeof distances[0]; i++) {
            struct trace trace;
            struct actor actors[2];
            while (clock_now_ms() / LOOP_TICK_MS % 64 != begin)
                clock_advance(LOOP_TICK_MS);
            cast_actors(&trace, actors, 2);
            uint64_t deadline = clock_now_ms() + distances[i] * LOOP_TICK_MS;
            loop_timer_set(trace.loop, &actors[0].timer, clock_now_ms());
            loop_timer_set(trace.loop, &actors[1].timer, deadline);
            while (clock_now_ms() < deadline + LOOP_TICK_MS)
                pass(&trace, LOOP_TICK_MS);
            assert_string_equal(trace.letters, "ab");
            loop_destroy(trace.loop);
        }
    }
}

static void a_deadline_that_has_passed_fires_in_the_next_tick(void **state)
{
    (void)state;
    struct trace trace;
    struct actor actors[2];
    cast_actors(&trace, actors, 2);
    loop_timer_set(trace.loop, &actors[0].timer, 0);
    loop_timer_set(trace.loop, &actors[1].timer, clock_now_ms() - 1);
    loop_turn(trace.loop, false);
    pass(&trace, LOOP_TICK_MS);
    assert_string_equal(trace.letters, "ab");
    loop_destroy(trace.loop);
}

static void a_timer_that_is_set_again_is_moved(void **state)
{
    (void)state;
    struct trace trace;
    struct actor actors[2];
    cast_actors(&trace, actors, 2);
    uint64_t begin = clock_now_ms();
    loop_timer_set(trace.loop, &actors[0].timer, begin + 100);
    loop_timer_set(trace.loop, &actors[1].timer, begin + 5000);
    loop_timer_set(trace.loop, &actors[0].timer, begin + 9000);
    loop_timer_set(trace.loop, &actors[1].timer, begin + 200);
    pass(&trace, 150);
    assert_string_equal(trace.letters, "");
    pass(&trace, 50 + LOOP_TICK_MS);
    assert_string_equal(trace.letters, "b");
    pass(&trace, 8000);
    assert_string_equal(trace.letters, "b");
    pass(&trace, 800);
    assert_string_equal(trace.letters, "ba");
    loop_destroy(trace.loop);
}

static void a_timer_that_is_cleared_does_not_fire(void **state)
{
    (void)state;
    struct trace trace;
    struct actor actor;
    cast_actors(&trace, &actor, 1);
    loop_timer_clear(trace.loop, &actor.timer);
    loop_timer_set(trace.loop, &actor.timer, clock_now_ms() + 100);
    loop_timer_clear(trace.loop, &actor.timer);
    loop_timer_clear(trace.loop, &actor.timer);
    pass(&trace, 30000);
    assert_int_equal(trace.count, 0);
    loop_timer_set(trace.loop, &actor.timer, clock_now_ms() + 100);
    pass(&trace, 100 + LOOP_TICK_MS);
    assert_int_equal(trace.count, 1);
    loop_destroy(trace.loop);
}

/* a and b are due together: whichever comes first takes the other away. */
static void one_callback_may_clear_another_that_is_due(void **state)
{
    (void)state;
    struct trace trace;
    struct actor actors[4];
    cast_actors(&trace, actors, 4);
    actors[0].victim = &actors[1];
    actors[1].victim = &actors[0];
    actors[3].victim = &actors[2];
    uint64_t deadline = clock_now_ms() + 100;
    for (size_t i = 0; i < 4; i++)
        loop_timer_set(trace.loop, &actors[i].timer, deadline);
    pass(&trace, 100 + LOOP_TICK_MS);
    assert_string_equal(trace.letters, "acd");
    loop_destroy(trace.loop);
}

static void a_callback_may_set_its_own_timer_again(void **state)
{
    (void)state;
    struct trace trace;
    struct actor actors[2];
    cast_actors(&trace, actors, 2);
    actors[0].again_ms = 1000;
    loop_timer_set(trace.loop, &actors[0].timer, clock_now_ms() + 1000);
    loop_timer_set(trace.loop, &actors[1].timer, clock_now_ms() + 3500);
    for (int i = 0; i < 400; i++)
        pass(&trace, 10);
    assert_string_equal(trace.letters, "aaab");
    loop_destroy(trace.loop);
}

/* A suspended machine: an hour is gone at once. A period fires once and not 3600 times. */
static void a_jump_of_the_clock_is_no_burst(void **state)
{
    (void)state;
    struct trace trace;
    struct actor actors[10];
    cast_actors(&trace, actors, 10);
    actors[0].again_ms = 1000;
    for (size_t i = 0; i < 10; i++)
        loop_timer_set(trace.loop, &actors[i].timer, clock_now_ms() + 1000 + i * 350000);
    pass(&trace, 3600000);
    assert_int_equal(trace.count, 0);
    pass(&trace, LOOP_TICK_MS);
    assert_int_equal(trace.count, 10);
    for (char letter = 'a'; letter <= 'j'; letter++)
        assert_non_null(strchr(trace.letters, letter));
    pass(&trace, 900);
    assert_int_equal(trace.count, 10);
    pass(&trace, 100 + LOOP_TICK_MS);
    assert_int_equal(trace.count, 11);
    loop_destroy(trace.loop);
}

/* ---- timers, against a model ---- */

#define MODEL_TIMERS 100

struct model_timer {
    struct loop_timer timer;
    uint64_t deadline_ms; /* 0: not set */
    unsigned fired_early;
    unsigned fired_unset;
};

static void on_model_deadline(void *owner)
{
    struct model_timer *timer = owner;
    timer->fired_unset += timer->deadline_ms == 0;
    timer->fired_early += timer->deadline_ms > clock_now_ms();
    timer->deadline_ms = 0;
}

static uint32_t next_random(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

/* Sets a timer near or far, or clears it. */
static void disturb(struct loop *loop, struct model_timer *timer, uint32_t *seed)
{
    if (next_random(seed) % 4 == 0) {
        loop_timer_clear(loop, &timer->timer);
        timer->deadline_ms = 0;
        return;
    }
    uint32_t span = next_random(seed) % 3 == 0 ? 40000 : 200;
    timer->deadline_ms = clock_now_ms() + next_random(seed) % span;
    loop_timer_set(loop, &timer->timer, timer->deadline_ms);
}

/* `count` timers; in one of `rest` turns something is done to one of them, the others just pass. */
static void keep_to_the_model(size_t count, uint32_t rest)
{
    struct model_timer timers[MODEL_TIMERS] = {{.deadline_ms = 0}};
    struct trace trace = {.loop = loop_create()};
    uint32_t seed = 20260801;
    for (size_t i = 0; i < count; i++)
        loop_timer_init(&timers[i].timer, on_model_deadline, &timers[i]);
    for (int round = 0; round < 50000; round++) {
        loop_enter(trace.loop);
        if (next_random(&seed) % rest == 0)
            disturb(trace.loop, &timers[next_random(&seed) % count], &seed);
        loop_leave(trace.loop);
        if (next_random(&seed) % 3 == 0)
            continue;
        if (next_random(&seed) % 500 == 0)
            pass_suspended(&trace, next_random(&seed) % 30000);
        else
            pass(&trace, next_random(&seed) % 20);
        for (size_t i = 0; i < count; i++) {
            bool is_overdue = timers[i].deadline_ms != 0 && timers[i].deadline_ms + LOOP_TICK_MS <= clock_now_ms();
            if (is_overdue || timers[i].fired_early > 0 || timers[i].fired_unset > 0)
                fail_msg("round %d, timer %zu: overdue %d, early %u, not set %u", round, i, is_overdue,
                         timers[i].fired_early, timers[i].fired_unset);
        }
    }
    loop_destroy(trace.loop);
}

/* Few timers, so that each wakes the loop for itself, and many, so that they meet. */
static void timers_keep_to_the_model_whatever_is_done_to_them(void **state)
{
    (void)state;
    keep_to_the_model(1, 3000);
    keep_to_the_model(3, 500);
    keep_to_the_model(MODEL_TIMERS, 1);
}

/* ---- the grave ---- */

struct corpse {
    struct trace *trace;
    char letter;
    struct corpse *next; /* buried by this one's destructor */
};

static void destroy_corpse(void *object)
{
    struct corpse *corpse = object;
    corpse->trace->letters[corpse->trace->count++] = corpse->letter;
    if (corpse->next != NULL)
        loop_bury(corpse->trace->loop, corpse->next, destroy_corpse);
}

static void the_dead_stay_until_the_turn_is_over(void **state)
{
    (void)state;
    struct trace trace = {.loop = loop_create()};
    struct corpse heir = {&trace, 'z', NULL};
    struct corpse corpses[3] = {{&trace, 'x', &heir}, {&trace, 'y', NULL}, {&trace, 'w', NULL}};
    loop_enter(trace.loop);
    loop_bury(trace.loop, &corpses[0], destroy_corpse);
    loop_bury(trace.loop, &corpses[1], destroy_corpse);
    loop_leave(trace.loop);
    assert_string_equal(trace.letters, "");
    loop_turn(trace.loop, false);
    assert_string_equal(trace.letters, "xyz");
    loop_turn(trace.loop, false);
    assert_string_equal(trace.letters, "xyz");
    loop_bury(trace.loop, &corpses[2], destroy_corpse);
    loop_destroy(trace.loop);
    assert_string_equal(trace.letters, "xyzw");
}

static void a_grave_holds_any_number(void **state)
{
    (void)state;
    struct trace trace = {.loop = loop_create()};
    struct corpse corpses[200];
    for (size_t i = 0; i < 200; i++) {
        corpses[i] = (struct corpse){&trace, (char)('0' + i % 10), NULL};
        loop_bury(trace.loop, &corpses[i], destroy_corpse);
    }
    loop_turn(trace.loop, false);
    assert_int_equal(trace.count, 200);
    for (size_t i = 0; i < 200; i++)
        assert_int_equal(trace.letters[i], '0' + i % 10);
    loop_destroy(trace.loop);
}

/* ---- running ---- */

struct stopper {
    struct loop *loop;
    struct corpse corpse;
    struct loop_task task;
    unsigned events;
    unsigned tasks;
};

static void run_stopper_task(void *owner)
{
    ((struct stopper *)owner)->tasks++;
}

static void on_stop_event(evutil_socket_t fd, short what, void *argument)
{
    (void)fd;
    (void)what;
    struct stopper *stopper = argument;
    loop_enter(stopper->loop);
    stopper->events++;
    loop_bury(stopper->loop, &stopper->corpse, destroy_corpse);
    loop_defer(stopper->loop, &stopper->task);
    loop_stop(stopper->loop);
    loop_leave(stopper->loop);
}

static void the_turn_that_stops_the_loop_is_finished(void **state)
{
    (void)state;
    struct trace trace = {.loop = loop_create()};
    struct stopper stopper = {.loop = trace.loop, .corpse = {&trace, 'x', NULL}};
    struct timeval now = {0, 0};
    loop_task_init(&stopper.task, run_stopper_task, &stopper);
    event_base_once(poller_base(loop_poller(trace.loop)), -1, EV_TIMEOUT, on_stop_event, &stopper, &now);
    loop_run(trace.loop);
    assert_int_equal(stopper.events, 1);
    assert_int_equal(stopper.tasks, 1);
    assert_string_equal(trace.letters, "x");
    /* It stays stopped. */
    loop_run(trace.loop);
    assert_int_equal(stopper.events, 1);
    loop_destroy(trace.loop);
}

static void time_stands_still_during_an_event(void **state)
{
    (void)state;
    struct loop *loop = loop_create();
    loop_enter(loop);
    uint64_t begin = loop_now_ms(loop);
    assert_int_equal(begin, clock_now_ms());
    clock_advance(70);
    loop_enter(loop);
    assert_int_equal(loop_now_ms(loop), begin);
    loop_leave(loop);
    loop_leave(loop);
    loop_enter(loop);
    assert_int_equal(loop_now_ms(loop), begin + 70);
    loop_leave(loop);
    loop_destroy(loop);
    loop_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_task_runs_when_the_event_is_left),
        cmocka_unit_test(tasks_may_call_others_on_and_off),
        cmocka_unit_test(a_timer_fires_once_never_early_and_a_tick_late_at_most),
        cmocka_unit_test(a_far_timer_waits_its_rounds),
        cmocka_unit_test(the_last_deadline_of_all_never_comes),
        cmocka_unit_test(timers_of_two_rounds_share_a_slot),
        cmocka_unit_test(the_next_timer_is_found_in_any_slot),
        cmocka_unit_test(a_deadline_that_has_passed_fires_in_the_next_tick),
        cmocka_unit_test(a_timer_that_is_set_again_is_moved),
        cmocka_unit_test(a_timer_that_is_cleared_does_not_fire),
        cmocka_unit_test(one_callback_may_clear_another_that_is_due),
        cmocka_unit_test(a_callback_may_set_its_own_timer_again),
        cmocka_unit_test(a_jump_of_the_clock_is_no_burst),
        cmocka_unit_test(timers_keep_to_the_model_whatever_is_done_to_them),
        cmocka_unit_test(the_dead_stay_until_the_turn_is_over),
        cmocka_unit_test(a_grave_holds_any_number),
        cmocka_unit_test(the_turn_that_stops_the_loop_is_finished),
        cmocka_unit_test(time_stands_still_during_an_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
