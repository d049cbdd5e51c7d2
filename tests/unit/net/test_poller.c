/* What a loop waits for: watches of both kinds, the alarm, an interruption, and nothing at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/poller.h"

struct watcher {
    struct watch watch;
    int fd;
    unsigned calls;
    struct poller *interrupts; /* from its callback; or NULL */
};

static struct poller *poller;
static struct watcher readers[2];
static struct watcher writer;
static int far[2];
static unsigned alarms;

static void on_alarm(void *owner)
{
    assert_ptr_equal(owner, &alarms);
    alarms++;
}

static void on_ready(int fd, short what, void *owner)
{
    (void)what;
    struct watcher *watcher = owner;
    assert_int_equal(fd, watcher->fd);
    watcher->calls++;
    if (watcher->interrupts != NULL)
        poller_interrupt(watcher->interrupts);
}

static int set_up(void **state)
{
    (void)state;
    alarms = 0;
    poller = poller_create(on_alarm, &alarms);
    if (poller == NULL)
        return -1;
    for (unsigned i = 0; i < 2; i++) {
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0)
            return -1;
        readers[i] = (struct watcher){.fd = pair[0]};
        far[i] = pair[1];
        watch_init(&readers[i].watch, poller, pair[0], WATCH_READABLE, on_ready, &readers[i]);
    }
    writer = (struct watcher){.fd = readers[0].fd};
    watch_init(&writer.watch, poller, writer.fd, WATCH_WRITABLE, on_ready, &writer);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    watch_remove(&writer.watch);
    for (unsigned i = 0; i < 2; i++) {
        watch_remove(&readers[i].watch);
        close(readers[i].fd);
        close(far[i]);
    }
    poller_destroy(poller);
    return 0;
}

static void what_can_be_read_is_told_until_the_watch_is_removed(void **state)
{
    (void)state;
    assert_true(watch_add(&readers[0].watch));
    assert_true(poller_wait(poller, false));
    assert_int_equal(readers[0].calls, 0);
    assert_int_equal(write(far[0], "x", 1), 1);
    assert_true(poller_wait(poller, true));
    assert_true(poller_wait(poller, true));
    assert_int_equal(readers[0].calls, 2);
    watch_remove(&readers[0].watch);
    watch_remove(&readers[0].watch);
    poller_wait(poller, false);
    assert_int_equal(readers[0].calls, 2);
    assert_true(watch_add(&readers[0].watch));
    assert_true(watch_add(&readers[0].watch));
    poller_wait(poller, true);
    assert_int_equal(readers[0].calls, 3);
}

static void the_end_of_input_is_something_to_read(void **state)
{
    (void)state;
    assert_true(watch_add(&readers[0].watch));
    assert_int_equal(shutdown(far[0], SHUT_WR), 0);
    poller_wait(poller, true);
    assert_int_equal(readers[0].calls, 1);
}

static void room_is_told_once(void **state)
{
    (void)state;
    assert_true(watch_add(&readers[0].watch));
    assert_true(watch_add(&writer.watch));
    poller_wait(poller, true);
    poller_wait(poller, false);
    assert_int_equal(writer.calls, 1);
    assert_true(watch_add(&writer.watch));
    poller_wait(poller, true);
    assert_int_equal(writer.calls, 2);
    assert_int_equal(readers[0].calls, 0);
}

/* ---- ends ---- */

struct end_seen {
    unsigned ends, resets;
};

static void on_end(void *owner, bool is_reset)
{
    struct end_seen *seen = owner;
    seen->ends += !is_reset;
    seen->resets += is_reset;
}

/* Bytes that wait do not hide it, and they are no event themselves. */
static void an_end_is_told_once_and_a_reset_behind_it(void **state)
{
    (void)state;
    struct end_seen seen = {0};
    struct end_watch ended;
    end_watch_init(&ended, poller, readers[0].fd, on_end, &seen);
    end_watch_add(&ended, false);
    end_watch_add(&ended, false);
    assert_int_equal(write(far[0], "x", 1), 1);
    poller_wait(poller, false);
    assert_int_equal(seen.ends + seen.resets, 0);
    assert_int_equal(shutdown(far[0], SHUT_WR), 0);
    for (unsigned i = 0; i < 3; i++)
        poller_wait(poller, false);
    assert_int_equal(seen.ends, 1);
    end_watch_add(&ended, true);
    poller_wait(poller, false);
    assert_int_equal(seen.ends + seen.resets, 1);
    assert_int_equal(shutdown(far[0], SHUT_RDWR), 0);
    for (unsigned i = 0; i < 3; i++)
        poller_wait(poller, false);
    assert_int_equal(seen.resets, 1);
    end_watch_add(&ended, false);
    end_watch_remove(&ended);
    end_watch_remove(&ended);
    poller_wait(poller, false);
    assert_int_equal(seen.ends + seen.resets, 2);
}

static void each_of_several_ends_is_told(void **state)
{
    (void)state;
    struct end_seen seen[2] = {{0}};
    struct end_watch ended[2];
    for (unsigned i = 0; i < 2; i++) {
        end_watch_init(&ended[i], poller, readers[i].fd, on_end, &seen[i]);
        end_watch_add(&ended[i], false);
        assert_int_equal(shutdown(far[i], SHUT_WR), 0);
    }
    for (unsigned i = 0; i < 4; i++)
        poller_wait(poller, false);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(seen[i].ends, 1);
        end_watch_remove(&ended[i]);
    }
}

static void a_descriptor_that_is_closed_cannot_be_watched(void **state)
{
    (void)state;
    struct watch watch;
    int fd = dup(far[0]);
    close(fd);
    watch_init(&watch, poller, fd, WATCH_READABLE, on_ready, NULL);
    assert_false(watch_add(&watch));
}

static void the_alarm_comes_once_and_setting_moves_it(void **state)
{
    (void)state;
    poller_set_alarm(poller, 60000);
    assert_true(poller_wait(poller, false));
    assert_int_equal(alarms, 0);
    poller_set_alarm(poller, 1);
    while (alarms == 0)
        assert_true(poller_wait(poller, true));
    assert_int_equal(alarms, 1);
    assert_false(poller_wait(poller, true));
    poller_set_alarm(poller, 0);
    assert_true(poller_wait(poller, true));
    assert_int_equal(alarms, 2);
}

static void without_a_watch_and_an_alarm_nothing_can_happen(void **state)
{
    (void)state;
    assert_false(poller_wait(poller, true));
    assert_false(poller_wait(poller, false));
    assert_true(watch_add(&readers[0].watch));
    assert_true(poller_wait(poller, false));
    watch_remove(&readers[0].watch);
    assert_false(poller_wait(poller, true));
}

static void an_interruption_leaves_the_rest_for_the_next_time(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        readers[i].interrupts = poller;
        assert_true(watch_add(&readers[i].watch));
        assert_int_equal(write(far[i], "x", 1), 1);
    }
    poller_wait(poller, true);
    assert_int_equal(readers[0].calls + readers[1].calls, 1);
    poller_wait(poller, true);
    assert_int_equal(readers[0].calls + readers[1].calls, 2);
}

static void outside_of_waiting_an_interruption_does_nothing(void **state)
{
    (void)state;
    assert_true(watch_add(&readers[0].watch));
    assert_int_equal(write(far[0], "x", 1), 1);
    poller_interrupt(poller);
    poller_wait(poller, true);
    assert_int_equal(readers[0].calls, 1);
}

static void no_poller_can_be_destroyed(void **state)
{
    (void)state;
    poller_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_can_be_read_is_told_until_the_watch_is_removed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_end_of_input_is_something_to_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(room_is_told_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_end_is_told_once_and_a_reset_behind_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_of_several_ends_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_descriptor_that_is_closed_cannot_be_watched, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_alarm_comes_once_and_setting_moves_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_a_watch_and_an_alarm_nothing_can_happen, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_interruption_leaves_the_rest_for_the_next_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(outside_of_waiting_an_interruption_does_nothing, set_up, tear_down),
        cmocka_unit_test(no_poller_can_be_destroyed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
