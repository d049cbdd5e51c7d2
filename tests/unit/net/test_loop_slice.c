/* Long work in slices: the sockets are looked at between them, all of it together gets a bounded time, and nobody is passed over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "fake/loop_actors.h"
#include "net/poller.h"

/* Work of many pieces, which posts itself until it is done. */
struct work {
    struct trace *trace;
    char letter;
    unsigned pieces;   /* left */
    uint64_t piece_us; /* of CPU time, each */
    struct loop_task task;
    struct work *calls_off;
    struct work *starts;
};

static void run_slice(void *owner)
{
    struct work *work = owner;
    struct loop *loop = work->trace->loop;
    do {
        assert_true(work->trace->count < sizeof work->trace->letters - 1);
        work->trace->letters[work->trace->count++] = work->letter;
        clock_work(work->piece_us);
        work->pieces--;
    } while (work->pieces > 0 && !loop_slice_is_over(loop));
    if (work->calls_off != NULL)
        loop_task_cancel(loop, &work->calls_off->task);
    if (work->starts != NULL)
        loop_post_next_turn(loop, &work->starts->task);
    if (work->pieces > 0)
        loop_post_next_turn(loop, &work->task);
}

static void cast_works(struct trace *trace, struct work *works, size_t count)
{
    *trace = (struct trace){.loop = loop_create()};
    assert_non_null(trace->loop);
    for (size_t i = 0; i < count; i++) {
        works[i] = (struct work){.trace = trace, .letter = (char)('a' + i), .pieces = 1, .piece_us = 500};
        loop_task_init(&works[i].task, run_slice, &works[i]);
    }
}

/* What a turn did, as letters. */
static const char *turn(struct trace *trace, bool may_wait)
{
    memset(trace->letters, 0, sizeof trace->letters);
    trace->count = 0;
    loop_turn(trace->loop, may_wait);
    return trace->letters;
}

/* A turn that may wait does not, as long as there is work. */
static void a_slice_ends_with_its_time_and_goes_on_in_the_next_turn(void **state)
{
    (void)state;
    struct trace trace;
    struct work work;
    cast_works(&trace, &work, 1);
    work.pieces = 10;
    loop_post_next_turn(trace.loop, &work.task);
    assert_string_equal(turn(&trace, true), "aaaa");
    assert_string_equal(turn(&trace, true), "aaaa");
    assert_string_equal(turn(&trace, true), "aa");
    assert_string_equal(turn(&trace, false), "");
    loop_destroy(trace.loop);
}

static void on_socket(evutil_socket_t fd, short what, void *argument)
{
    (void)what;
    struct trace *trace = argument;
    char byte;
    loop_enter(trace->loop);
    assert_int_equal(read(fd, &byte, 1), 1);
    trace->letters[trace->count++] = byte;
    loop_leave(trace->loop);
}

static void what_comes_meanwhile_goes_first(void **state)
{
    (void)state;
    struct trace trace;
    struct work work;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    cast_works(&trace, &work, 1);
    work.pieces = 8;
    struct event *event = event_new(poller_base(loop_poller(trace.loop)), ends[0], EV_READ | EV_PERSIST, on_socket, &trace);
    event_add(event, NULL);
    /* Posted and readable at once: the sockets go before the first slice, too. */
    loop_post_next_turn(trace.loop, &work.task);
    assert_int_equal(write(ends[1], "1", 1), 1);
    assert_string_equal(turn(&trace, true), "1aaaa");
    assert_int_equal(write(ends[1], "2", 1), 1);
    assert_string_equal(turn(&trace, true), "2aaaa");
    event_free(event);
    close(ends[0]);
    close(ends[1]);
    loop_destroy(trace.loop);
}

/* One turn's time is for all of them; who got none is first in the next turn, and who goes on is behind the others. */
static void works_share_the_time_of_a_turn_by_turns(void **state)
{
    (void)state;
    struct trace trace;
    struct work works[3];
    cast_works(&trace, works, 3);
    works[0].pieces = 6;
    works[1].pieces = 2;
    works[2].pieces = 5;
    for (size_t i = 0; i < 3; i++)
        loop_post_next_turn(trace.loop, &works[i].task);
    assert_string_equal(turn(&trace, false), "aaaa");
    assert_string_equal(turn(&trace, false), "bbcc");
    assert_string_equal(turn(&trace, false), "aacc");
    assert_string_equal(turn(&trace, false), "c");
    loop_destroy(trace.loop);
}

static void a_piece_that_takes_too_long_is_the_only_one_of_its_turn(void **state)
{
    (void)state;
    struct trace trace;
    struct work works[2];
    cast_works(&trace, works, 2);
    works[0].piece_us = 10 * LOOP_SLICE_US;
    works[0].pieces = 2;
    for (size_t i = 0; i < 2; i++)
        loop_post_next_turn(trace.loop, &works[i].task);
    assert_string_equal(turn(&trace, false), "a");
    assert_string_equal(turn(&trace, false), "b");
    assert_string_equal(turn(&trace, false), "a");
    loop_destroy(trace.loop);
}

static void a_post_waits_in_one_queue_and_may_be_called_off(void **state)
{
    (void)state;
    struct trace trace;
    struct work works[4];
    cast_works(&trace, works, 4);
    works[0].calls_off = &works[1];
    works[2].starts = &works[3];
    for (size_t i = 0; i < 3; i++) {
        loop_post_next_turn(trace.loop, &works[i].task);
        loop_post_next_turn(trace.loop, &works[i].task);
        loop_defer(trace.loop, &works[i].task);
    }
    /* The one that is started during the turn has to wait for the sockets. */
    assert_string_equal(turn(&trace, false), "ac");
    loop_task_cancel(trace.loop, &works[1].task);
    assert_string_equal(turn(&trace, false), "d");
    works[1].pieces = 1;
    loop_post_next_turn(trace.loop, &works[1].task);
    loop_task_cancel(trace.loop, &works[1].task);
    assert_string_equal(turn(&trace, false), "");
    loop_destroy(trace.loop);
}

/* Its slices are events: what they defer runs behind each, and what they put off to the turn's end still does in this turn. */
static void a_slice_is_an_event_of_its_own(void **state)
{
    (void)state;
    struct trace trace;
    struct actor actors[3];
    cast_actors(&trace, actors, 3);
    actors[0].follower = &actors[2];
    loop_post_next_turn(trace.loop, &actors[0].task);
    loop_post_next_turn(trace.loop, &actors[1].task);
    assert_string_equal(turn(&trace, false), "acb");
    loop_destroy(trace.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slice_ends_with_its_time_and_goes_on_in_the_next_turn),
        cmocka_unit_test(what_comes_meanwhile_goes_first),
        cmocka_unit_test(works_share_the_time_of_a_turn_by_turns),
        cmocka_unit_test(a_piece_that_takes_too_long_is_the_only_one_of_its_turn),
        cmocka_unit_test(a_post_waits_in_one_queue_and_may_be_called_off),
        cmocka_unit_test(a_slice_is_an_event_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
