/* Work that is put off to the end of a turn, so that it is done once for all of its events. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <event2/event.h>

#include "fake/loop_actors.h"
#include "net/poller.h"

/* An event that writes its letter and puts its follower off to the turn's end. */
static void on_turn_event(evutil_socket_t fd, short what, void *argument)
{
    (void)fd;
    (void)what;
    struct actor *actor = argument;
    loop_enter(actor->trace->loop);
    write_letter(actor);
    loop_defer(actor->trace->loop, &actor->victim->task);
    loop_defer_to_turn_end(actor->trace->loop, &actor->follower->task);
    loop_leave(actor->trace->loop);
}

static void work_of_the_turns_end_comes_once_behind_all_events(void **state)
{
    (void)state;
    struct trace trace;
    struct actor actors[5];
    struct event *events[2];
    cast_actors(&trace, actors, 5);
    for (size_t i = 0; i < 2; i++) {
        /* Here the victim is a task of the event itself. */
        actors[i].victim = &actors[2 + i];
        actors[i].follower = &actors[4];
        events[i] = event_new(poller_base(loop_poller(trace.loop)), -1, 0, on_turn_event, &actors[i]);
        event_active(events[i], EV_TIMEOUT, 0);
    }
    loop_turn(trace.loop, false);
    assert_string_equal(trace.letters, "acbde");
    loop_turn(trace.loop, false);
    assert_string_equal(trace.letters, "acbde");
    for (size_t i = 0; i < 2; i++)
        event_free(events[i]);
    loop_destroy(trace.loop);
}

/* What it puts off itself (a flush) follows at once, and the next one behind that. */
static void work_of_the_turns_end_is_an_event_of_its_own(void **state)
{
    (void)state;
    struct trace trace;
    struct actor actors[3];
    cast_actors(&trace, actors, 3);
    actors[0].follower = &actors[2];
    loop_enter(trace.loop);
    loop_defer_to_turn_end(trace.loop, &actors[0].task);
    loop_defer_to_turn_end(trace.loop, &actors[1].task);
    loop_defer_to_turn_end(trace.loop, &actors[0].task);
    loop_leave(trace.loop);
    assert_string_equal(trace.letters, "");
    loop_turn(trace.loop, false);
    assert_string_equal(trace.letters, "acb");
    loop_destroy(trace.loop);
}

static void work_that_was_put_off_between_turns_does_not_wait_for_an_event(void **state)
{
    (void)state;
    struct trace trace;
    struct actor actors[4];
    cast_actors(&trace, actors, 4);
    struct event *event = event_new(poller_base(loop_poller(trace.loop)), -1, 0, on_turn_event, &actors[0]);
    actors[0].victim = &actors[2];
    actors[0].follower = &actors[3];
    loop_defer_to_turn_end(trace.loop, &actors[1].task);
    event_active(event, EV_TIMEOUT, 0);
    loop_turn(trace.loop, true);
    assert_string_equal(trace.letters, "bacd");
    event_free(event);
    loop_destroy(trace.loop);
}

static void work_of_the_turns_end_may_be_called_off(void **state)
{
    (void)state;
    struct trace trace;
    struct actor actors[3];
    cast_actors(&trace, actors, 3);
    actors[0].victim = &actors[1];
    for (size_t i = 0; i < 3; i++)
        loop_defer_to_turn_end(trace.loop, &actors[i].task);
    loop_task_cancel(trace.loop, &actors[2].task);
    loop_task_cancel(trace.loop, &actors[2].task);
    loop_turn(trace.loop, false);
    assert_string_equal(trace.letters, "a");
    /* Both queues are whole afterwards. */
    loop_defer_to_turn_end(trace.loop, &actors[2].task);
    loop_enter(trace.loop);
    loop_defer(trace.loop, &actors[1].task);
    loop_leave(trace.loop);
    loop_turn(trace.loop, false);
    assert_string_equal(trace.letters, "abc");
    loop_destroy(trace.loop);
}

/* Queued once, it stays where it is, in whichever way it is asked for again. */
static void a_task_waits_in_one_queue_only(void **state)
{
    (void)state;
    struct trace trace;
    struct actor actors[2];
    cast_actors(&trace, actors, 2);
    loop_enter(trace.loop);
    loop_defer_to_turn_end(trace.loop, &actors[0].task);
    loop_defer(trace.loop, &actors[0].task);
    loop_defer(trace.loop, &actors[1].task);
    loop_defer_to_turn_end(trace.loop, &actors[1].task);
    loop_leave(trace.loop);
    assert_string_equal(trace.letters, "b");
    loop_turn(trace.loop, false);
    assert_string_equal(trace.letters, "ba");
    loop_destroy(trace.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_of_the_turns_end_comes_once_behind_all_events),
        cmocka_unit_test(work_of_the_turns_end_is_an_event_of_its_own),
        cmocka_unit_test(work_that_was_put_off_between_turns_does_not_wait_for_an_event),
        cmocka_unit_test(work_of_the_turns_end_may_be_called_off),
        cmocka_unit_test(a_task_waits_in_one_queue_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
