/* A conn over a socket pair: what is offered when, back-pressure both ways, and the ends that it notices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fake/conn_stage.h"

/* ---- reading ---- */

static void what_is_not_consumed_comes_again(void **state)
{
    (void)state;
    stage.owner.consumes = 2;
    say_far("hello");
    rig_settle(&stage.rig);
    assert_int_equal(stage.owner.offers, 1);
    assert_got("he");
    assert_int_equal(conn_input_bytes(stage.owner.conn), 3);
    say_far("X");
    rig_settle(&stage.rig);
    assert_int_equal(stage.owner.offers, 2);
    assert_int_equal(stage.owner.offered_length, 4);
    assert_memory_equal(stage.owner.offered, "lloX", 4);
    stage.owner.consumes = SIZE_MAX;
    conn_resume(stage.owner.conn);
    rig_settle(&stage.rig);
    assert_int_equal(stage.owner.offers, 3);
    assert_got("helloX");
}

static void a_paused_conn_is_silent_until_it_resumes(void **state)
{
    (void)state;
    stage.owner.consumes = 3;
    say_far("abcdef");
    rig_settle(&stage.rig);
    conn_pause(stage.owner.conn);
    conn_pause(stage.owner.conn);
    say_far("ghi");
    rig_settle(&stage.rig);
    assert_int_equal(stage.owner.offers, 1);
    stage.owner.consumes = SIZE_MAX;
    conn_resume(stage.owner.conn);
    conn_resume(stage.owner.conn);
    assert_int_equal(stage.owner.offers, 1);
    rig_settle(&stage.rig);
    assert_got("abcdefghi");
    assert_int_equal(conn_input_bytes(stage.owner.conn), 0);
}

/* The owner may have consumed all and still have something to do: resuming offers even nothing, once. */
static void resuming_offers_the_kept_input_even_if_it_is_empty(void **state)
{
    (void)state;
    conn_pause(stage.owner.conn);
    conn_resume(stage.owner.conn);
    rig_settle(&stage.rig);
    assert_int_equal(stage.owner.offers, 1);
    assert_int_equal(stage.owner.offered_length, 0);
    conn_resume(stage.owner.conn);
    conn_pause(stage.owner.conn);
    rig_settle(&stage.rig);
    assert_int_equal(stage.owner.offers, 1);
}

static void an_owner_may_stop_in_the_middle_of_an_offer(void **state)
{
    (void)state;
    stage.owner.consumes = 4;
    stage.owner.pauses = true;
    say_far("one two three");
    for (size_t taken = 4; taken < 13; taken += 4) {
        rig_settle(&stage.rig);
        assert_int_equal(stage.owner.got_length, taken);
        conn_resume(stage.owner.conn);
    }
    rig_settle(&stage.rig);
    assert_got("one two three");
}

/* An owner that understands nothing does not make the router hold everything. */
static void kept_input_has_a_bound(void **state)
{
    (void)state;
    stage.owner.consumes = 0;
    struct text all = pattern(GOT_BYTES);
    size_t sent = 0;
    for (int i = 0; i < 200; i++) {
        sent += far_send(stage.far, text_of(all.bytes + sent, all.length - sent));
        rig_turn(&stage.rig);
    }
    assert_true(sent < all.length);
    assert_in_range(conn_input_bytes(stage.owner.conn), 100000, 100000 + LOOP_SCRATCH_BYTES);
    stage.owner.consumes = SIZE_MAX;
    conn_resume(stage.owner.conn);
    while (stage.owner.got_length < all.length) {
        size_t before = stage.owner.got_length + sent;
        sent += far_send(stage.far, text_of(all.bytes + sent, all.length - sent));
        rig_turn(&stage.rig);
        assert_true(stage.owner.got_length + sent > before || sent == all.length);
    }
    assert_pattern(stage.owner.got, all.length);
}

/* Whatever the pieces, the pauses and the appetite: each byte is consumed once and in order. */
static void no_byte_is_lost_or_doubled(void **state)
{
    (void)state;
    uint32_t seed = 7;
    struct text all = pattern(300000);
    size_t sent = 0;
    for (int i = 0; i < 20000 && stage.owner.got_length < all.length; i++) {
        seed = seed * 1664525 + 1013904223;
        size_t piece = seed >> 8 & 127;
        piece = piece < all.length - sent ? piece : all.length - sent;
        sent += far_send(stage.far, text_of(all.bytes + sent, piece));
        stage.owner.consumes = seed >> 16 & 63;
        stage.owner.pauses = (seed >> 24 & 7) == 0;
        if ((seed >> 28 & 3) == 0)
            conn_resume(stage.owner.conn);
        rig_turn(&stage.rig);
    }
    stage.owner.consumes = SIZE_MAX;
    stage.owner.pauses = false;
    conn_resume(stage.owner.conn);
    rig_settle(&stage.rig);
    assert_true(sent > 100000);
    assert_int_equal(stage.owner.got_length, sent);
    assert_pattern(stage.owner.got, sent);
}

/* ---- writing ---- */

static void output_goes_out_when_the_event_is_over(void **state)
{
    (void)state;
    write_near(TEXT("one "));
    char *room = conn_reserve(stage.owner.conn, 100);
    assert_non_null(room);
    memcpy(room, "two ", 4);
    conn_commit(stage.owner.conn, 4);
    write_near(TEXT("three"));
    assert_int_equal(listen_far(), FAR_OPEN);
    assert_heard("");
    assert_int_equal(conn_output_bytes(stage.owner.conn), 13);
    assert_int_equal(conn_sent_bytes(stage.owner.conn), 0);
    rig_turn(&stage.rig);
    listen_far();
    assert_heard("one two three");
    assert_int_equal(conn_output_bytes(stage.owner.conn), 0);
    assert_int_equal(conn_sent_bytes(stage.owner.conn), 13);
    assert_int_equal(stage.owner.drained, 0);
}

static void congestion_is_told_and_so_is_its_end(void **state)
{
    (void)state;
    for (unsigned round = 1; round <= 2; round++) {
        stage.heard_length = 0;
        write_near(pattern(GOT_BYTES));
        assert_true(conn_is_congested(stage.owner.conn));
        rig_settle(&stage.rig);
        assert_true(conn_is_congested(stage.owner.conn));
        assert_int_equal(stage.owner.drained, round - 1);
        while (stage.heard_length < GOT_BYTES) {
            size_t left = conn_output_bytes(stage.owner.conn);
            assert_int_equal(stage.owner.drained, left <= 32768 ? round : round - 1);
            assert_int_equal(listen_far(), FAR_OPEN);
            rig_turn(&stage.rig);
        }
        assert_pattern(stage.heard, GOT_BYTES);
        assert_false(conn_is_congested(stage.owner.conn));
        assert_int_equal(stage.owner.drained, round);
        /* It is told once. */
        write_near(TEXT("."));
        rig_settle(&stage.rig);
        assert_int_equal(stage.owner.drained, round);
        listen_far();
    }
    assert_int_equal(conn_sent_bytes(stage.owner.conn), 2 * GOT_BYTES + 2);
}

static void output_up_to_the_mark_is_no_congestion(void **state)
{
    (void)state;
    write_near(pattern(65536));
    assert_false(conn_is_congested(stage.owner.conn));
    rig_settle(&stage.rig);
    listen_far();
    rig_settle(&stage.rig);
    assert_int_equal(stage.owner.drained, 0);
    write_near(pattern(65537));
    assert_true(conn_is_congested(stage.owner.conn));
    rig_settle(&stage.rig);
    listen_far();
    rig_settle(&stage.rig);
    assert_int_equal(stage.owner.drained, 1);
}

/* ---- the other side ends ---- */

static void an_orderly_end_comes_after_the_last_bytes(void **state)
{
    (void)state;
    say_far("last words");
    close(stage.far);
    stage.far = -1;
    rig_settle(&stage.rig);
    assert_got("last words");
    assert_int_equal(stage.owner.ended, 1);
    assert_int_equal(stage.owner.end, CONN_END_CLOSED);
}

static void a_paused_conn_hears_of_the_end_when_it_resumes(void **state)
{
    (void)state;
    conn_pause(stage.owner.conn);
    say_far("last words");
    close(stage.far);
    stage.far = -1;
    rig_settle(&stage.rig);
    assert_int_equal(stage.owner.ended, 0);
    conn_resume(stage.owner.conn);
    rig_settle(&stage.rig);
    assert_got("last words");
    assert_int_equal(stage.owner.ended, 1);
    assert_int_equal(stage.owner.end, CONN_END_CLOSED);
}

/* A local socket that is closed with unread bytes resets the other. */
static void a_reset_is_told_from_an_orderly_end(void **state)
{
    (void)state;
    write_near(TEXT("unread"));
    rig_turn(&stage.rig);
    close(stage.far);
    stage.far = -1;
    rig_settle(&stage.rig);
    assert_int_equal(stage.owner.ended, 1);
    assert_int_equal(stage.owner.end, CONN_END_RESET);
}

static void a_paused_conn_notices_the_end_by_writing(void **state)
{
    (void)state;
    conn_pause(stage.owner.conn);
    close(stage.far);
    stage.far = -1;
    rig_settle(&stage.rig);
    assert_int_equal(stage.owner.ended, 0);
    write_near(TEXT("into the void"));
    rig_settle(&stage.rig);
    assert_int_equal(stage.owner.ended, 1);
    assert_int_equal(stage.owner.end, CONN_END_RESET);
}

/* ---- the other side's end, for an owner that wants to know at once ---- */

static struct {
    unsigned asked;
    bool stays;
} half;

static bool on_peer_closed(void *owner)
{
    assert_ptr_equal(owner, &stage.owner);
    rig_expect_turning(&stage.rig);
    half.asked++;
    return half.stays;
}

static void want_ends(bool stays)
{
    static struct conn_events wanting;
    wanting = events;
    wanting.on_peer_closed = on_peer_closed;
    half.asked = 0;
    half.stays = stays;
    conn_set_owner(stage.owner.conn, &wanting, &stage.owner);
}

static void close_far(void)
{
    close(stage.far);
    stage.far = -1;
    rig_settle(&stage.rig);
}

static void half_close_far(void)
{
    assert_int_equal(shutdown(stage.far, SHUT_WR), 0);
    rig_settle(&stage.rig);
}

static void a_paused_conn_is_told_of_the_end(void **state)
{
    (void)state;
    want_ends(false);
    conn_pause(stage.owner.conn);
    say_far("never read");
    assert_int_equal(conn_unread_bytes(stage.owner.conn), 10);
    half_close_far();
    assert_int_equal(half.asked, 1);
    assert_int_equal(stage.owner.ended, 1);
    assert_int_equal(stage.owner.end, CONN_END_CLOSED);
    assert_int_equal(stage.owner.offers, 0);
}

static void a_paused_conn_is_told_of_a_reset(void **state)
{
    (void)state;
    want_ends(true);
    conn_pause(stage.owner.conn);
    say_far("never read");
    close_far();
    assert_int_equal(half.asked, 0);
    assert_int_equal(stage.owner.ended, 1);
    assert_int_equal(stage.owner.end, CONN_END_RESET);
}

/* Unread input beyond the bound pauses the conn by itself. */
static void an_end_behind_too_much_input_is_told(void **state)
{
    (void)state;
    want_ends(false);
    stage.owner.consumes = 0;
    static char much[150000];
    assert_int_equal(far_send(stage.far, text_of(much, sizeof much)), sizeof much);
    rig_settle(&stage.rig);
    assert_int_equal(stage.owner.ended, 0);
    half_close_far();
    assert_int_equal(stage.owner.ended, 1);
}

static void who_may_still_read_is_written_to(void **state)
{
    (void)state;
    want_ends(true);
    say_far("all of it");
    half_close_far();
    assert_got("all of it");
    assert_int_equal(half.asked, 1);
    assert_int_equal(stage.owner.ended, 0);
    write_near(TEXT("the answer"));
    rig_settle(&stage.rig);
    assert_int_equal(listen_far(), FAR_OPEN);
    assert_heard("the answer");
    conn_finish(stage.owner.conn, 1000);
    rig_settle(&stage.rig);
    assert_int_equal(stage.owner.finished, 1);
    assert_int_equal(listen_far(), FAR_ENDED);
}

static void who_may_still_read_and_goes_is_noticed(void **state)
{
    (void)state;
    want_ends(true);
    half_close_far();
    assert_int_equal(stage.owner.ended, 0);
    close_far();
    assert_int_equal(stage.owner.ended, 1);
    assert_int_equal(stage.owner.end, CONN_END_RESET);
}

static void what_a_paused_conn_was_told_comes_again_behind_the_bytes(void **state)
{
    (void)state;
    want_ends(true);
    conn_pause(stage.owner.conn);
    say_far("the rest");
    half_close_far();
    assert_int_equal(half.asked, 1);
    half.stays = false;
    conn_resume(stage.owner.conn);
    rig_settle(&stage.rig);
    assert_got("the rest");
    assert_int_equal(half.asked, 2);
    assert_int_equal(stage.owner.ended, 1);
    assert_int_equal(stage.owner.end, CONN_END_CLOSED);
}

/* What the other side said before it left is heard, even though an answer can no longer reach it. */
static void words_before_the_end_are_heard_although_writing_fails(void **state)
{
    (void)state;
    say_far("final answer");
    close(stage.far);
    stage.far = -1;
    write_near(TEXT("more of the request"));
    rig_settle(&stage.rig);
    assert_got("final answer");
    assert_int_equal(stage.owner.ended, 1);
}

static void commands_after_the_end_do_nothing(void **state)
{
    (void)state;
    shutdown(stage.far, SHUT_RDWR);
    rig_settle(&stage.rig);
    assert_int_equal(stage.owner.ended, 1);
    assert_null(stage.owner.conn);
    conn_close(NULL);
    conn_abort(NULL);
}

/* ---- the owner ends ---- */

static void no_event_comes_after_a_close(void **state)
{
    (void)state;
    static void (*const ways[])(struct owner *) = {close_conn, abort_conn};
    for (size_t i = 0; i < 2; i++) {
        say_far("abc");
        write_near(TEXT("lost"));
        conn_resume(stage.owner.conn);
        ways[i](&stage.owner);
        ways[i](&stage.owner);
        rig_settle(&stage.rig);
        assert_int_equal(stage.owner.offers + stage.owner.ended + stage.owner.finished, 0);
        assert_int_not_equal(listen_far(), FAR_OPEN);
        assert_heard("");
        stage.owner.conn = NULL;
        tear_down(NULL);
        set_up(NULL);
    }
}

static void an_owner_may_close_in_an_offer(void **state)
{
    (void)state;
    static void (*const ways[])(struct owner *) = {close_conn, abort_conn};
    for (size_t i = 0; i < 2; i++) {
        stage.owner.closes_with = ways[i];
        stage.owner.closes_at = 2;
        stage.owner.consumes = 1;
        say_far("abc");
        rig_settle(&stage.rig);
        say_far("def");
        rig_settle(&stage.rig);
        assert_int_equal(stage.owner.offers, 2);
        assert_int_equal(stage.owner.ended, 0);
        assert_int_not_equal(listen_far(), FAR_OPEN);
        stage.owner.conn = NULL;
        tear_down(NULL);
        set_up(NULL);
    }
}

static void an_owner_may_close_when_drained(void **state)
{
    (void)state;
    stage.owner.closes_with = close_conn;
    write_near(pattern(GOT_BYTES));
    while (stage.owner.drained == 0) {
        listen_far();
        rig_turn(&stage.rig);
    }
    rig_settle(&stage.rig);
    assert_int_equal(stage.owner.drained, 1);
    stage.owner.conn = NULL;
}

static void a_conn_may_change_hands(void **state)
{
    (void)state;
    static struct owner second;
    second = (struct owner){.rig = &stage.rig, .consumes = SIZE_MAX};
    stage.owner.consumes = 1;
    say_far("abc");
    rig_settle(&stage.rig);
    second.conn = stage.owner.conn;
    conn_set_owner(stage.owner.conn, &events, &second);
    say_far("d");
    rig_settle(&stage.rig);
    assert_got("a");
    assert_int_equal(second.got_length, 3);
    assert_memory_equal(second.got, "bcd", 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(what_is_not_consumed_comes_again),
        TEST(a_paused_conn_is_silent_until_it_resumes),
        TEST(resuming_offers_the_kept_input_even_if_it_is_empty),
        TEST(an_owner_may_stop_in_the_middle_of_an_offer),
        TEST(kept_input_has_a_bound),
        TEST(no_byte_is_lost_or_doubled),
        TEST(output_goes_out_when_the_event_is_over),
        TEST(congestion_is_told_and_so_is_its_end),
        TEST(output_up_to_the_mark_is_no_congestion),
        TEST(an_orderly_end_comes_after_the_last_bytes),
        TEST(a_paused_conn_hears_of_the_end_when_it_resumes),
        TEST(a_reset_is_told_from_an_orderly_end),
        TEST(a_paused_conn_notices_the_end_by_writing),
        TEST(a_paused_conn_is_told_of_the_end),
        TEST(a_paused_conn_is_told_of_a_reset),
        TEST(an_end_behind_too_much_input_is_told),
        TEST(who_may_still_read_is_written_to),
        TEST(who_may_still_read_and_goes_is_noticed),
        TEST(what_a_paused_conn_was_told_comes_again_behind_the_bytes),
        TEST(words_before_the_end_are_heard_although_writing_fails),
        TEST(commands_after_the_end_do_nothing),
        TEST(no_event_comes_after_a_close),
        TEST(an_owner_may_close_in_an_offer),
        TEST(an_owner_may_close_when_drained),
        TEST(a_conn_may_change_hands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
