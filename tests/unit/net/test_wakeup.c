/* A thread wakes another one's loop: every message is seen, several share a call, and none comes after the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/thread.h"
#include "fake/descriptors.h"
#include "fake/rig.h"
#include "net/wakeup.h"

#define MESSAGES 20000

static struct rig rig;
static struct wakeup *wakeup;
static atomic_uint sent;
static unsigned calls;
static unsigned seen;

static void on_wakeup(void *owner)
{
    assert_ptr_equal(owner, &rig);
    rig_expect_turning(&rig);
    calls++;
    seen = atomic_load_explicit(&sent, memory_order_relaxed);
}

static int set_up(void **state)
{
    (void)state;
    rig_start(&rig);
    atomic_store(&sent, 0);
    calls = 0;
    seen = 0;
    wakeup = wakeup_create(rig.loop, on_wakeup, &rig);
    return wakeup == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    wakeup_destroy(wakeup);
    rig_stop(&rig);
    return 0;
}

static void several_share_a_call(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        atomic_fetch_add(&sent, 1);
        wakeup_send(wakeup);
    }
    assert_int_equal(calls, 0);
    rig_settle(&rig);
    assert_int_equal(calls, 1);
    assert_int_equal(seen, 3);
    wakeup_send(wakeup);
    rig_settle(&rig);
    assert_int_equal(calls, 2);
}

static void send_many(void *owner)
{
    (void)owner;
    for (unsigned i = 0; i < MESSAGES; i++) {
        atomic_fetch_add_explicit(&sent, 1, memory_order_relaxed);
        wakeup_send(wakeup);
    }
}

/* Whenever the last one comes, the loop looks after it. */
static void no_message_of_another_thread_is_missed(void **state)
{
    (void)state;
    struct thread *threads[2] = {thread_start(send_many, NULL), thread_start(send_many, NULL)};
    assert_non_null(threads[0]);
    assert_non_null(threads[1]);
    rig_until(&rig, seen == 2 * MESSAGES);
    thread_join(threads[0]);
    thread_join(threads[1]);
    assert_in_range(calls, 1, 2 * MESSAGES);
}

static void nothing_comes_after_the_end(void **state)
{
    (void)state;
    wakeup_send(wakeup);
    wakeup_destroy(wakeup);
    wakeup = NULL;
    rig_settle(&rig);
    assert_int_equal(calls, 0);
    wakeup_destroy(NULL);
}

static void without_descriptors_there_is_none(void **state)
{
    (void)state;
    struct rlimit before = descriptors_exhaust();
    struct wakeup *another = wakeup_create(rig.loop, on_wakeup, &rig);
    descriptors_give_back(before);
    assert_null(another);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(several_share_a_call),
        TEST(no_message_of_another_thread_is_missed),
        TEST(nothing_comes_after_the_end),
        TEST(without_descriptors_there_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
