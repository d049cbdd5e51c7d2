/* The downstream HTTP/2 link on its way out: drained in order, or ended because the client asks for too much. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fake/h2_play.h"

static void drain(void)
{
    link_drain(stage.link);
}

/* ---- idle ---- */

static void the_link_says_once_that_it_is_idle(void **state)
{
    (void)state;
    stage.is_terse = false;
    far_ping(&stage.far, false);
    say();
    assert_transcript("");
    stage.answers = 204;
    get(1);
    far_ping(&stage.far, false);
    say();
    assert_transcript("A=GET / A. idle ");
    far_head(&stage.far, 3, H2_GET, true);
    far_head(&stage.far, 5, H2_GET, true);
    say();
    assert_transcript("B=GET / B. C=GET / C. idle ");
}

/* ---- drain ---- */

static void an_idle_link_is_drained_with_two_words(void **state)
{
    (void)state;
    drain();
    assert_heard("goaway(2147483647,0) ping ");
    far_ping(&stage.far, true);
    say();
    assert_heard("goaway(0,0) ");
    assert_int_equal(stage.far.state, FAR_ENDED);
    far_goes();
    assert_transcript("closed(downstream_gone) ");
}

static void a_ping_that_is_not_answered_holds_nothing_up(void **state)
{
    (void)state;
    drain();
    pass(900);
    assert_heard("goaway(2147483647,0) ping ");
    pass(200);
    assert_heard("goaway(0,0) ");
    /* It does not close its side either. */
    pass(1100);
    assert_transcript("closed(downstream_gone) ");
}

static void streams_that_crossed_the_notice_are_served(void **state)
{
    (void)state;
    struct h2_actor *first = get(1);
    drain();
    drain();
    rig_settle(&stage.rig);
    struct h2_actor *second = get(3);
    far_ping(&stage.far, true);
    say();
    assert_heard("goaway(2147483647,0) ping goaway(3,0) ");
    assert_transcript("A=GET / A. B=GET / B. ");
    /* Too late. */
    far_head(&stage.far, 5, H2_GET, true);
    say();
    assert_transcript("");
    answer(first, 200);
    assert_heard("1{:status=200}. ");
    assert_int_equal(stage.far.state, FAR_OPEN);
    answer(second, 204);
    assert_heard("3{:status=204}. ");
    assert_int_equal(stage.far.state, FAR_ENDED);
    far_goes();
    assert_transcript("closed(downstream_gone) ");
}

static void a_drain_waits_for_long_answers(void **state)
{
    (void)state;
    struct h2_actor *actor = get(1);
    answer_with(actor, long_text(65536), true);
    let_go(actor);
    drain();
    far_ping(&stage.far, true);
    say();
    pass(3000);
    hear();
    assert_int_equal(stage.far.data_bytes, 65535);
    far_window(&stage.far, 0, 1);
    far_window(&stage.far, 1, 1);
    say();
    hear();
    assert_int_equal(stage.far.data_bytes, 65536);
    assert_int_equal(stage.far.state, FAR_ENDED);
}

static void a_drain_before_the_clients_first_word_still_serves_it(void **state)
{
    (void)state;
    all_go();
    link_up_on_pair(true);
    drain();
    rig_settle(&stage.rig);
    far_greets(true);
    far_head(&stage.far, 1, H2_GET, true);
    far_ping(&stage.far, true);
    stage.answers = 204;
    say();
    assert_transcript("A=GET / A. ");
    hear();
    assert_int_equal(stage.far.state, FAR_ENDED);
}

static void a_header_block_in_a_drain_has_its_whole_time(void **state)
{
    (void)state;
    struct h2_actor *actor = get(1);
    drain();
    rig_settle(&stage.rig);
    pass(900);
    far_frame(&stage.far, H2_HEADERS, H2_END_STREAM, 3, "\x82\x86", 2);
    say();
    pass(300);
    far_frame(&stage.far, H2_CONTINUATION, H2_END_HEADERS, 3, "\x84\x41\x01h", 4);
    say();
    assert_transcript("A=GET / A. B=GET / B. ");
    answer(actor, 204);
}

static void trailers_after_the_last_goaway_do_not_end_the_link(void **state)
{
    (void)state;
    struct h2_actor *actor = get(1);
    far_head(&stage.far, 3, H2_POST, false);
    say();
    drain();
    far_ping(&stage.far, true);
    say();
    pass(950);
    far_frame(&stage.far, H2_HEADERS, H2_END_STREAM, 3, "\x40\x01", 2);
    say();
    pass(200);
    far_frame(&stage.far, H2_CONTINUATION, H2_END_HEADERS, 3, "a\x01" "b", 3);
    say();
    assert_transcript("A=GET / A. B=POST / B{a=b} B. ");
    answer(actor, 204);
}

static void a_client_that_sends_goaway_is_answered_first(void **state)
{
    (void)state;
    struct h2_actor *actor = get(1);
    far_goaway(&stage.far, 0, 0);
    say();
    assert_heard("");
    answer(actor, 204);
    assert_heard("1{:status=204}. ");
    assert_int_equal(stage.far.state, FAR_ENDED);
    far_goes();
    assert_transcript("A=GET / A. closed(downstream_gone) ");
}

/* Nobody pinged: it proves nothing, and the client's GOAWAY is no drain of ours. */
static void an_answer_to_no_ping_is_not_taken_for_one_behind_our_goaway(void **state)
{
    (void)state;
    struct h2_actor *actor = get(1);
    far_goaway(&stage.far, 0, 0);
    far_ping(&stage.far, true);
    say();
    assert_heard("");
    answer(actor, 204);
    assert_heard("1{:status=204}. ");
}

/* ---- broken rules ---- */

static void a_broken_rule_ends_the_connection_with_its_name(void **state)
{
    (void)state;
    struct h2_actor *actor = get(1);
    far_window(&stage.far, 0, 0x7fffffff);
    say();
    assert_heard("goaway(1,3) ");
    assert_null(actor->stream);
    assert_transcript("A=GET / A. A!downstream_gone ");
    far_goes();
    assert_transcript("closed(downstream_gone) ");
}

static void a_header_block_that_cannot_be_read_ends_the_connection(void **state)
{
    (void)state;
    far_frame(&stage.far, H2_HEADERS, H2_END_STREAM | H2_END_HEADERS, 1, "\xff\xff\xff\xff\xff\xff", 6);
    say();
    assert_heard("goaway(1,9) ");
    assert_transcript("");
}

/* ---- abuse ---- */

static void speak_reset(int number)
{
    far_head(&stage.far, number * 2 + 1, H2_GET, true);
    far_reset(&stage.far, number * 2 + 1, 8);
}

static void speak_error(int number)
{
    far_head(&stage.far, number * 2 + 1, H2_GET "content-length: 1\n", true);
}

static void speak_settings(int number)
{
    (void)number;
    far_frame(&stage.far, H2_SETTINGS, 0, 0, NULL, 0);
}

static void speak_ping(int number)
{
    (void)number;
    far_ping(&stage.far, false);
}

static void speak_empty_data(int number)
{
    (void)number;
    far_data(&stage.far, 1, TEXT_EMPTY, false);
}

static void speak_priority(int number)
{
    far_frame(&stage.far, H2_PRIORITY, 0, number * 2 + 3, "\0\0\0\0\1", 5);
}

static void speak_window(int number)
{
    (void)number;
    far_window(&stage.far, 0, 1);
}

static void speak_unknown(int number)
{
    (void)number;
    far_frame(&stage.far, 99, 0, 0, "x", 1);
}

static void begin_upload(void)
{
    far_head(&stage.far, 1, H2_POST, false);
    say();
}

static void resets_run_out(void **state)
{
    (void)state;
    flood(speak_reset, 200, 20);
    rig_settle(&stage.rig);
    assert_transcript("");
    far_head(&stage.far, 1001, H2_GET, true);
    far_reset(&stage.far, 1001, 8);
    say();
    assert_abuse("reset");
}

static void streams_that_we_must_reset_run_out(void **state)
{
    (void)state;
    flood(speak_error, 250, 20);
    assert_abuse("reset");
}

static void settings_run_out(void **state)
{
    (void)state;
    flood(speak_settings, 98, 10);
    assert_transcript("");
    flood(speak_settings, 10, 5);
    assert_abuse("settings");
}

static void pings_run_out(void **state)
{
    (void)state;
    flood(speak_ping, 390, 10);
    assert_transcript("");
    flood(speak_ping, 20, 10);
    assert_abuse("ping");
}

static void empty_data_runs_out(void **state)
{
    (void)state;
    begin_upload();
    flood(speak_empty_data, 190, 10);
    assert_transcript("A=POST / ");
    flood(speak_empty_data, 20, 10);
    assert_abuse("empty_data");
}

static void priorities_run_out(void **state)
{
    (void)state;
    flood(speak_priority, 1100, 50);
    assert_abuse("priority");
}

static void window_updates_run_out(void **state)
{
    (void)state;
    flood(speak_window, 1900, 100);
    assert_transcript("");
    flood(speak_window, 200, 100);
    assert_abuse("window_update");
}

static void unknown_frames_run_out(void **state)
{
    (void)state;
    flood(speak_unknown, 1100, 100);
    assert_abuse("unknown_frame");
}

/* As much as one read brings. */
static void a_flood_in_one_piece_is_abuse_too(void **state)
{
    (void)state;
    static const struct {
        void (*speak)(int number);
        int count;
        const char *kind;
    } floods[] = {{speak_ping, 3800, "ping"},
                  {speak_settings, 7000, "settings"},
                  {speak_reset, 1500, "reset"},
                  {speak_priority, 4000, "priority"},
                  {speak_window, 4000, "window_update"}};
    for (size_t i = 0; i < sizeof floods / sizeof floods[0]; i++) {
        all_go();
        client_comes();
        flood(floods[i].speak, floods[i].count, floods[i].count);
        assert_abuse(floods[i].kind);
    }
}

/* A budget is for a time: what comes slowly is no abuse. */
static void what_comes_slowly_is_no_abuse(void **state)
{
    (void)state;
    for (int second = 0; second < 20; second++) {
        for (int i = 0; i < 30; i++)
            speak_ping(i);
        for (int i = 0; i < 30; i++)
            speak_reset(second * 30 + i);
        say();
        hear();
        far_forget(&stage.far);
        pass(1000);
    }
    assert_transcript("");
    get(2001);
    assert_transcript("A=GET / A. ");
}

/* As grpc-go does, which measures the path: a ping and window for each DATA frame, at any rate. */
static void a_client_that_answers_our_data_is_no_abuser(void **state)
{
    (void)state;
    struct h2_actor *actor = get(1);
    struct message_head head = {.status = 200, .body = BODY_STREAM};
    stream_send_head(actor->stream, &head);
    for (int i = 0; i < 3000; i++) {
        stream_send_data(actor->stream, TEXT("x"));
        rig_turn(&stage.rig);
        far_window(&stage.far, 0, 1);
        far_window(&stage.far, 1, 1);
        far_ping(&stage.far, false);
        far_flush(&stage.far);
        rig_turn(&stage.rig);
        far_hear_some(&stage.far, sizeof stage.far.heard);
        far_forget(&stage.far);
    }
    assert_transcript("A=GET / A. ");
}

static void a_client_that_pings_with_its_own_data_is_no_abuser(void **state)
{
    (void)state;
    begin_upload();
    for (int i = 0; i < 1000; i++) {
        far_data(&stage.far, 1, TEXT("x"), false);
        far_ping(&stage.far, false);
        far_flush(&stage.far);
        rig_turn(&stage.rig);
        far_hear_some(&stage.far, sizeof stage.far.heard);
        far_forget(&stage.far);
    }
    assert_transcript("A=POST / A[#1000] ");
}

/* As browsers and curl do. */
static void a_client_that_enlarges_each_window_is_no_abuser(void **state)
{
    (void)state;
    stage.answers = 204;
    for (int i = 0; i < 3000; i++) {
        far_head(&stage.far, 2 * i + 1, H2_GET, true);
        far_window(&stage.far, 2 * i + 1, 100000);
        far_flush(&stage.far);
        rig_turn(&stage.rig);
        far_hear_some(&stage.far, sizeof stage.far.heard);
        far_forget(&stage.far);
        stage.actor_count = 0;
        assert_int_equal(stage.link->end_reason == NULL, true);
        forget();
    }
}

/* Bytes that nobody wants buy nothing: this stream was answered and reset. */
static void data_without_a_reader_buys_no_pings(void **state)
{
    (void)state;
    answer(post(1), 204);
    hear();
    forget();
    for (int i = 0; i < 500; i++) {
        far_data(&stage.far, 1, TEXT("x"), false);
        far_ping(&stage.far, false);
    }
    say();
    assert_abuse("ping");
}

/* The same few bytes of HPACK again and again. */
static void a_head_that_unfolds_without_end_is_abuse(void **state)
{
    (void)state;
    static uint8_t block[8192];
    static char lines[8192];
    size_t used = text_append(lines, sizeof lines, 0, H2_GET "x-a: ");
    memset(lines + used, 'a', 2000);
    lines[used + 2000] = '\n';
    size_t length = far_block(&stage.far, lines, block, sizeof block);
    /* The entry that was added last is number 62. */
    memset(block + length, 0xbe, 60);
    far_frame(&stage.far, H2_HEADERS, H2_END_STREAM | H2_END_HEADERS, 1, block, length + 60);
    say();
    assert_abuse("header_list");
}

static void an_abuser_takes_its_streams_along(void **state)
{
    (void)state;
    get(1);
    far_head(&stage.far, 3, H2_POST, false);
    say();
    forget();
    for (int i = 0; i < 450; i++)
        speak_ping(i);
    far_head(&stage.far, 5, H2_GET, true);
    say();
    far_goes();
    assert_transcript("A!abuse B!abuse closed(abuse) ");
}

static void an_abuser_that_does_not_read_is_cut_off(void **state)
{
    (void)state;
    far_window(&stage.far, 0, 100000000);
    struct h2_actor *actor = get(1);
    far_window(&stage.far, 1, 100000000);
    say();
    answer_with(actor, long_text(1000000), false);
    let_go(actor);
    rig_settle(&stage.rig);
    forget();
    for (int i = 0; i < 1100; i++)
        speak_priority(i);
    say();
    assert_transcript("closed(abuse) ");
}

static size_t answer_on_bytes(void *owner, struct text bytes)
{
    answer(owner, 204);
    return bytes.length;
}

static const struct conn_events answering_events = {.on_bytes = answer_on_bytes};

/* Another connection's event, in the same turn but behind the flood's, answers on a session that has sent GOAWAY. */
static void an_answer_behind_goaway_changes_nothing(void **state)
{
    (void)state;
    struct h2_actor *actor = get(1);
    forget();
    int near;
    int far = far_pair(&near);
    struct conn_settings settings = {.events = &answering_events, .owner = actor, .pool = &stage.rig.buffers,
                                     .high_water_bytes = 65536, .input_maximum_bytes = 65536};
    struct conn *conn = conn_accept(stage.rig.loop, near, &settings);
    rig_turn(&stage.rig);
    for (int i = 0; i < 450; i++)
        speak_ping(i);
    far_flush(&stage.far);
    far_send(far, TEXT("x"));
    rig_settle(&stage.rig);
    conn_close(conn);
    close(far);
    assert_transcript("");
    hear();
    assert_non_null(strstr(stage.far.words, "goaway(1,11) "));
    far_goes();
    assert_transcript("closed(abuse) ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_client, tear_down)
        TEST(the_link_says_once_that_it_is_idle),
        TEST(an_idle_link_is_drained_with_two_words),
        TEST(a_ping_that_is_not_answered_holds_nothing_up),
        TEST(streams_that_crossed_the_notice_are_served),
        TEST(a_drain_waits_for_long_answers),
        TEST(a_drain_before_the_clients_first_word_still_serves_it),
        TEST(a_header_block_in_a_drain_has_its_whole_time),
        TEST(trailers_after_the_last_goaway_do_not_end_the_link),
        TEST(a_client_that_sends_goaway_is_answered_first),
        TEST(an_answer_to_no_ping_is_not_taken_for_one_behind_our_goaway),
        TEST(a_broken_rule_ends_the_connection_with_its_name),
        TEST(a_header_block_that_cannot_be_read_ends_the_connection),
        TEST(resets_run_out),
        TEST(streams_that_we_must_reset_run_out),
        TEST(settings_run_out),
        TEST(pings_run_out),
        TEST(empty_data_runs_out),
        TEST(priorities_run_out),
        TEST(window_updates_run_out),
        TEST(unknown_frames_run_out),
        TEST(a_flood_in_one_piece_is_abuse_too),
        TEST(what_comes_slowly_is_no_abuse),
        TEST(a_client_that_answers_our_data_is_no_abuser),
        TEST(a_client_that_pings_with_its_own_data_is_no_abuser),
        TEST(a_client_that_enlarges_each_window_is_no_abuser),
        TEST(data_without_a_reader_buys_no_pings),
        TEST(a_head_that_unfolds_without_end_is_abuse),
        TEST(an_abuser_takes_its_streams_along),
        TEST(an_abuser_that_does_not_read_is_cut_off),
        TEST(an_answer_behind_goaway_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
