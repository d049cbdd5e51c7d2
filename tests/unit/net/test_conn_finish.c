/* conn_finish: the last byte gets out, and nobody is waited for without end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fake/conn_stage.h"

static void finish_sends_everything_then_lingers(void **state)
{
    (void)state;
    struct conn *conn = stage.owner.conn;
    write_near(pattern(GOT_BYTES));
    conn_finish(conn, 500);
    conn_finish(conn, 500);
    while (listen_far() == FAR_OPEN)
        rig_turn(&stage.rig);
    assert_int_equal(stage.heard_length, GOT_BYTES);
    assert_pattern(stage.heard, GOT_BYTES);
    /* Who has finished wants to send no more. */
    assert_int_equal(stage.owner.drained, 0);
    /* It listens on, so that a sender is not reset, and drops what it hears. */
    say_far("still sending");
    rig_settle(&stage.rig);
    assert_int_equal(stage.owner.offers, 0);
    assert_int_equal(stage.owner.finished, 0);
    close(stage.far);
    stage.far = -1;
    rig_settle(&stage.rig);
    assert_int_equal(stage.owner.finished, 1);
    assert_int_equal(stage.owner.ended, 0);
}

static void lingering_has_a_deadline(void **state)
{
    (void)state;
    write_near(TEXT("answer"));
    conn_finish(stage.owner.conn, 500);
    rig_settle(&stage.rig);
    pass(450);
    assert_int_equal(stage.owner.finished, 0);
    pass(50);
    assert_int_equal(stage.owner.finished, 1);
    listen_far();
    assert_heard("answer");
}

static void finish_without_linger_closes_after_the_output(void **state)
{
    (void)state;
    write_near(TEXT("answer"));
    conn_finish(stage.owner.conn, 0);
    rig_settle(&stage.rig);
    assert_int_equal(stage.owner.finished, 1);
    assert_int_equal(listen_far(), FAR_ENDED);
    assert_heard("answer");
}

static void finish_with_nothing_to_send_ends_all_the_same(void **state)
{
    (void)state;
    conn_finish(stage.owner.conn, 0);
    assert_int_equal(stage.owner.finished, 0);
    rig_settle(&stage.rig);
    assert_int_equal(stage.owner.finished, 1);
    assert_int_equal(listen_far(), FAR_ENDED);
}

static void a_client_that_sends_without_end_is_not_heard_for_ever(void **state)
{
    (void)state;
    conn_finish(stage.owner.conn, 1000000);
    struct text flood = pattern(60000);
    size_t sent = 0;
    while (stage.owner.finished == 0 && sent < 16 * 1048576) {
        sent += far_send(stage.far, flood);
        rig_turn(&stage.rig);
    }
    assert_int_equal(stage.owner.finished, 1);
    assert_in_range(sent, 4 * 1048576, 5 * 1048576);
}

static void a_client_that_takes_nothing_is_given_up(void **state)
{
    (void)state;
    write_near(pattern(GOT_BYTES));
    conn_finish(stage.owner.conn, 500);
    rig_settle(&stage.rig);
    pass(9900);
    assert_int_equal(stage.owner.finished, 0);
    pass(200);
    assert_int_equal(stage.owner.finished, 1);
}

/* A slow reader that makes progress is served to the end. */
static void a_client_that_takes_slowly_gets_everything(void **state)
{
    (void)state;
    write_near(pattern(GOT_BYTES));
    conn_finish(stage.owner.conn, 0);
    for (size_t room = 50000; stage.heard_length < GOT_BYTES; room += 50000) {
        far_read(stage.far, stage.heard, &stage.heard_length, room < GOT_BYTES ? room : GOT_BYTES);
        pass(1000);
    }
    assert_pattern(stage.heard, GOT_BYTES);
    assert_int_equal(stage.owner.finished, 1);
}

static void a_client_that_only_stopped_sending_gets_everything(void **state)
{
    (void)state;
    write_near(pattern(GOT_BYTES));
    conn_finish(stage.owner.conn, 500);
    rig_settle(&stage.rig);
    shutdown(stage.far, SHUT_WR);
    rig_settle(&stage.rig);
    while (stage.heard_length < GOT_BYTES && listen_far() == FAR_OPEN)
        rig_turn(&stage.rig);
    assert_int_equal(stage.heard_length, GOT_BYTES);
    assert_pattern(stage.heard, GOT_BYTES);
    pass(500);
    assert_int_equal(stage.owner.finished, 1);
}

static void finishing_ends_when_the_other_side_is_gone(void **state)
{
    (void)state;
    write_near(pattern(GOT_BYTES));
    conn_finish(stage.owner.conn, 500);
    rig_settle(&stage.rig);
    close(stage.far);
    stage.far = -1;
    rig_until(&stage.rig, stage.owner.finished == 1);
    assert_int_equal(stage.owner.ended, 0);
}

static void an_owner_may_finish_in_an_offer(void **state)
{
    (void)state;
    stage.owner.closes_with = finish_conn;
    stage.owner.closes_at = 1;
    stage.owner.consumes = 1;
    say_far("abc");
    rig_settle(&stage.rig);
    say_far("def");
    rig_settle(&stage.rig);
    assert_int_equal(stage.owner.offers, 1);
    assert_int_equal(listen_far(), FAR_ENDED);
    pass(100);
    assert_int_equal(stage.owner.finished, 1);
}

static void finish_now(void *owner)
{
    conn_finish(owner, 100);
}

/* The end was on its way to the owner when the owner finished: it hears that it has finished, and nothing else. */
static void a_finish_after_an_end_that_is_on_its_way(void **state)
{
    (void)state;
    struct loop_task finish;
    loop_task_init(&finish, finish_now, stage.owner.conn);
    conn_pause(stage.owner.conn);
    close(stage.far);
    stage.far = -1;
    /* The kernel refuses it, which ends the conn; the finish comes before the task that would tell so. */
    write_near(TEXT("x"));
    loop_defer(stage.rig.loop, &finish);
    rig_settle(&stage.rig);
    assert_int_equal(stage.owner.ended, 0);
    assert_int_equal(stage.owner.finished, 1);
}

static void a_conn_that_is_finishing_can_be_closed(void **state)
{
    (void)state;
    write_near(pattern(GOT_BYTES));
    conn_finish(stage.owner.conn, 500);
    rig_settle(&stage.rig);
    conn_close(stage.owner.conn);
    pass(20000);
    assert_int_equal(stage.owner.finished + stage.owner.ended, 0);
    stage.owner.conn = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(finish_sends_everything_then_lingers),
        TEST(lingering_has_a_deadline),
        TEST(finish_without_linger_closes_after_the_output),
        TEST(finish_with_nothing_to_send_ends_all_the_same),
        TEST(a_client_that_sends_without_end_is_not_heard_for_ever),
        TEST(a_client_that_takes_nothing_is_given_up),
        TEST(a_client_that_takes_slowly_gets_everything),
        TEST(a_client_that_only_stopped_sending_gets_everything),
        TEST(finishing_ends_when_the_other_side_is_gone),
        TEST(an_owner_may_finish_in_an_offer),
        TEST(a_finish_after_an_end_that_is_on_its_way),
        TEST(a_conn_that_is_finishing_can_be_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
