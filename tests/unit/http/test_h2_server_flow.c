/* The downstream HTTP/2 link when output waits, streams are given up, and clients go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fake/h2_play.h"

/* A request that nobody writes about. */
static struct h2_actor *taken_get(int32_t id)
{
    struct h2_actor *actor = get(id);
    forget();
    return actor;
}

static struct h2_actor *taken_post(int32_t id)
{
    struct h2_actor *actor = post(id);
    forget();
    return actor;
}

static void give_window(int32_t id, uint32_t bytes)
{
    far_window(&stage.far, id, bytes);
    say();
}

/* ---- congestion ---- */

static void a_stream_without_window_is_congested_and_says_when_to_go_on(void **state)
{
    (void)state;
    give_window(0, 1000000);
    struct h2_actor *slow = taken_get(1);
    struct h2_actor *quick = taken_get(3);
    struct message_head head = {.status = 200, .body = BODY_STREAM};
    stream_send_head(slow->stream, &head);
    assert_false(stream_is_congested(slow->stream));
    stream_send_data(slow->stream, long_text(65535));
    rig_settle(&stage.rig);
    stream_send_data(slow->stream, long_text(32768));
    assert_false(stream_is_congested(slow->stream));
    stream_send_data(slow->stream, TEXT("x"));
    assert_true(stream_is_congested(slow->stream));
    hear();
    assert_int_equal(stage.far.data_bytes, 65535);
    /* The other one flows. */
    far_forget(&stage.far);
    answer_with(quick, TEXT("hello"), true);
    assert_heard("3{:status=200 content-length=5} 3[hello]. ");
    /* Half of what may wait has gone. */
    give_window(1, 16384);
    hear();
    assert_transcript("");
    give_window(1, 1);
    assert_transcript("A> ");
    assert_false(stream_is_congested(slow->stream));
    give_window(1, 100000);
    assert_transcript("");
    hear();
    assert_int_equal(stage.far.data_bytes, 65535 + 32768 + 1 + 5);
}

static void a_connection_that_is_full_congests_and_says_when_to_go_on(void **state)
{
    (void)state;
    give_window(0, 100000000);
    struct h2_actor *actor = taken_get(1);
    give_window(1, 100000000);
    struct message_head head = {.status = 200, .body = BODY_STREAM};
    stream_send_head(actor->stream, &head);
    size_t sent = 0;
    while (!stream_is_congested(actor->stream)) {
        stream_send_data(actor->stream, long_text(100000));
        sent += 100000;
        rig_turn(&stage.rig);
        assert_true(sent < 100000000);
    }
    forget(); /* of what the socket took at once */
    rig_settle(&stage.rig);
    assert_transcript("");
    while (stage.used == 0)
        hear();
    assert_transcript("A> ");
    stream_send_end(actor->stream);
    let_go(actor);
    for (int i = 0; i < 100; i++)
        hear();
    assert_int_equal(stage.far.data_bytes, sent);
}

/* Whoever feeds the stream has been stopped by its congestion, and the end that he has yet to say depends on this event. */
static void a_stream_that_ends_with_its_last_byte_says_that_it_is_drained(void **state)
{
    (void)state;
    give_window(0, 1000000);
    struct h2_actor *actor = taken_get(1);
    struct message_head head = {.status = 200, .body = BODY_LENGTH, .content_length = 65535 + 40000};
    stream_send_head(actor->stream, &head);
    stream_send_data(actor->stream, long_text(65535 + 40000));
    rig_settle(&stage.rig);
    assert_true(stream_is_congested(actor->stream));
    give_window(1, 1000000);
    hear();
    assert_int_equal(stage.far.data_bytes, 65535 + 40000);
    assert_transcript("A> ");
    stream_send_end(actor->stream);
    let_go(actor);
    rig_settle(&stage.rig);
    assert_transcript("");
}

/* A frame of another stream waits for the connection when a head is to go out: the head waits, too. */
static void a_head_waits_for_a_connection_that_is_full(void **state)
{
    (void)state;
    give_window(0, 10000000);
    struct h2_actor *first = taken_get(1);
    struct h2_actor *second = taken_get(3);
    give_window(1, 10000000);
    answer_with(first, long_text(1000000), false);
    let_go(first);
    rig_settle(&stage.rig);
    answer(second, 204);
    rig_settle(&stage.rig);
    assert_transcript("");
    for (int i = 0; i < 100; i++)
        hear();
    assert_int_equal(stage.far.data_bytes, 1000000);
    assert_non_null(strstr(stage.far.words, "3{:status=204}. "));
}

static void many_congested_streams_are_all_told(void **state)
{
    (void)state;
    give_window(0, 10000000);
    struct message_head head = {.status = 200, .body = BODY_STREAM};
    for (int32_t id = 1; id < 21; id += 2) {
        struct h2_actor *actor = taken_get(id);
        assert_non_null(actor->stream);
        stream_send_head(actor->stream, &head);
        stream_send_data(actor->stream, long_text(65535 + 40000));
        assert_true(stream_is_congested(actor->stream));
    }
    while (stage.far.data_bytes < 10 * 65535)
        hear();
    far_setting(&stage.far, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1000000);
    say();
    while (stage.far.data_bytes < 10 * (65535 + 40000))
        hear();
    rig_settle(&stage.rig);
    for (char name = 'A'; name < 'K'; name++) {
        char word[] = {name, '>', ' ', '\0'};
        assert_non_null(strstr(stage.transcript, word));
    }
    assert_int_equal(stage.used, 30);
}

/* ---- ending by the owner ---- */

static void a_stream_that_is_let_go_before_its_head_is_reset(void **state)
{
    (void)state;
    let_go(taken_get(1));
    assert_heard("1!2 ");
    let_go(taken_post(3));
    assert_heard("3!2 ");
    far_data(&stage.far, 3, TEXT("late"), true);
    say();
    assert_transcript("");
    assert_heard("");
}

static void a_stream_that_is_let_go_in_the_middle_is_reset(void **state)
{
    (void)state;
    struct h2_actor *actor = taken_get(1);
    struct message_head head = {.status = 200, .body = BODY_STREAM};
    stream_send_head(actor->stream, &head);
    stream_send_data(actor->stream, TEXT("abc"));
    rig_settle(&stage.rig);
    let_go(actor);
    assert_heard("1{:status=200} 1[abc] 1!2 ");
}

static void a_reset_says_whose_doing_it_is(void **state)
{
    (void)state;
    static const struct {
        enum fault fault;
        const char *heard;
    } cases[] = {{FAULT_UPSTREAM_TRUNCATED, "1!2 "}, {FAULT_DOWNSTREAM_GONE, "3!8 "}, {FAULT_NONE, "5!2 "}};
    for (size_t i = 0; i < 3; i++) {
        struct h2_actor *actor = taken_get((int32_t)i * 2 + 1);
        stream_reset(actor->stream, cases[i].fault);
        let_go(actor);
        assert_heard(cases[i].heard);
        assert_transcript("");
    }
}

static void a_stream_that_waits_for_window_can_be_reset(void **state)
{
    (void)state;
    struct h2_actor *actor = taken_get(1);
    answer_with(actor, long_text(100000), false);
    rig_settle(&stage.rig);
    hear();
    far_forget(&stage.far);
    stream_reset(actor->stream, FAULT_UPSTREAM_TRUNCATED);
    let_go(actor);
    assert_heard("1!2 ");
    give_window(1, 100000);
    assert_heard("");
}

static void a_stream_that_waits_for_window_goes_on_when_it_is_let_go(void **state)
{
    (void)state;
    struct h2_actor *actor = taken_get(1);
    answer_with(actor, long_text(65535 + 10), true);
    let_go(actor);
    hear();
    assert_int_equal(stage.far.data_bytes, 65535);
    far_forget(&stage.far);
    far_window(&stage.far, 0, 10);
    give_window(1, 10);
    assert_heard("1[pqrstuvwxy]. ");
    assert_transcript("");
}

/* Whoever still holds a stream of a link that dies must hear of it in the same turn: afterwards there is nothing to let go. */
static void assert_told(struct h2_actor *actor)
{
    bool is_told = actor->stream == NULL;
    actor->stream = NULL;
    assert_true(is_told);
}

static void a_client_that_goes_before_an_answered_stream_is_let_go_is_gone(void **state)
{
    (void)state;
    struct h2_actor *actor = taken_get(1);
    answer_with(actor, long_text(5000), true);
    rig_settle(&stage.rig);
    far_goes();
    assert_told(actor);
    assert_transcript("A!downstream_gone closed(downstream_gone) ");
}

static void goaway_reaches_the_owner_of_an_unfinished_answer(void **state)
{
    (void)state;
    struct h2_actor *actor = taken_get(1);
    struct message_head head = {.status = 200, .body = BODY_LENGTH, .content_length = 5000};
    stream_send_head(actor->stream, &head);
    stream_send_data(actor->stream, long_text(5000));
    rig_settle(&stage.rig);
    far_goaway(&stage.far, 0, 0);
    say();
    far_goes();
    pass(2000);
    assert_null(stage.link);
    assert_told(actor);
}

/* ---- an answer that comes before the request has ended ---- */

static void an_early_answer_ends_the_upload(void **state)
{
    (void)state;
    struct h2_actor *actor = taken_post(1);
    far_data(&stage.far, 1, TEXT("abc"), false);
    say();
    answer(actor, 503);
    assert_heard("1{:status=503}. 1!0 ");
    far_data(&stage.far, 1, TEXT("def"), true);
    say();
    assert_heard("");
    assert_transcript("A[abc] ");
}

/* The end goes out with the last byte, before the owner has let go. */
static void an_early_answer_with_a_length_ends_the_upload(void **state)
{
    (void)state;
    struct h2_actor *actor = taken_post(1);
    answer_with(actor, long_text(5000), true);
    let_go(actor);
    assert_heard("1{:status=200 content-length=5000} 1[#5000]. 1!0 ");
}

static void an_early_answer_that_is_let_go_later_ends_the_upload(void **state)
{
    (void)state;
    struct h2_actor *actor = taken_post(1);
    answer_with(actor, TEXT("hello"), false);
    assert_heard("1{:status=200} 1[hello]. ");
    let_go(actor);
    assert_heard("1!0 ");
}

static void an_early_answer_waits_for_window_before_it_ends_the_upload(void **state)
{
    (void)state;
    struct h2_actor *actor = taken_post(1);
    answer_with(actor, long_text(65536), false);
    let_go(actor);
    hear();
    assert_null(strstr(stage.far.words, "1!"));
    far_forget(&stage.far);
    far_window(&stage.far, 0, 1);
    give_window(1, 1);
    assert_heard("1[p]. 1!0 ");
}

static void an_upload_that_ends_in_time_is_not_reset(void **state)
{
    (void)state;
    struct h2_actor *actor = taken_post(1);
    answer_with(actor, TEXT("hello"), false);
    assert_heard("1{:status=200} 1[hello]. ");
    far_data(&stage.far, 1, TEXT("x"), true);
    say();
    assert_transcript("A[x] A. ");
    let_go(actor);
    assert_heard("");
}

/* ---- clients that go ---- */

static void a_client_that_resets_is_gone(void **state)
{
    (void)state;
    taken_get(1);
    taken_post(3);
    struct h2_actor *busy = taken_get(5);
    struct message_head head = {.status = 200, .body = BODY_STREAM};
    stream_send_head(busy->stream, &head);
    stream_send_data(busy->stream, long_text(100000));
    rig_settle(&stage.rig);
    for (int32_t id = 1; id <= 5; id += 2)
        far_reset(&stage.far, id, 8);
    say();
    assert_transcript("A!downstream_gone B!downstream_gone C!downstream_gone ");
    rig_settle(&stage.rig);
    taken_get(7);
    assert_non_null(stage.link);
}

/* It has its answer, and whoever waits for the rest of its request must hear that it does not come. */
static void a_client_that_resets_its_upload_after_the_answer_is_gone(void **state)
{
    (void)state;
    struct h2_actor *actor = taken_post(1);
    answer_with(actor, TEXT("hello"), false);
    rig_settle(&stage.rig);
    far_reset(&stage.far, 1, 8);
    say();
    assert_transcript("A!downstream_gone ");
}

static void a_client_that_resets_what_was_let_go_disturbs_nobody(void **state)
{
    (void)state;
    struct h2_actor *actor = taken_get(1);
    answer_with(actor, long_text(100000), false);
    let_go(actor);
    rig_settle(&stage.rig);
    far_reset(&stage.far, 1, 8);
    say();
    stage.is_terse = false;
    actor = taken_get(3);
    answer(actor, 204);
    rig_settle(&stage.rig);
    assert_transcript("idle ");
}

static void a_paused_stream_hears_of_its_clients_reset(void **state)
{
    (void)state;
    struct h2_actor *actor = taken_post(1);
    stream_pause(actor->stream);
    far_data(&stage.far, 1, TEXT("abc"), true);
    say();
    far_reset(&stage.far, 1, 8);
    say();
    assert_transcript("A!downstream_gone ");
}

static void a_client_that_goes_leaves_streams_in_every_state(void **state)
{
    (void)state;
    struct message_head head = {.status = 200, .body = BODY_STREAM};
    far_head(&stage.far, 1, H2_POST, false);
    far_head(&stage.far, 3, H2_GET, true);
    far_head(&stage.far, 5, H2_GET, true);
    far_head(&stage.far, 7, H2_GET, true);
    far_head(&stage.far, 9, H2_POST, false);
    far_head(&stage.far, 11, H2_POST, false);
    say();
    forget();
    stream_send_head(stage.actors[2].stream, &head);
    answer_with(&stage.actors[3], long_text(65536), false);
    let_go(&stage.actors[3]);
    stream_reset(stage.actors[4].stream, FAULT_NONE);
    stage.actors[4].stream = NULL;
    stream_pause(stage.actors[5].stream);
    far_data(&stage.far, 11, TEXT("abc"), true);
    say();
    far_head(&stage.far, 13, H2_GET, true);
    far_frame(&stage.far, H2_HEADERS, 0, 15, "\x82", 1);
    far_flush(&stage.far);
    far_goes();
    assert_transcript("G=GET / G. A!downstream_gone B!downstream_gone C!downstream_gone F!downstream_gone "
                      "G!downstream_gone closed(downstream_gone) ");
}

static void let_go_of_the_second(void)
{
    let_go(&stage.actors[1]);
}

/* He was about to hear of it himself. */
static void who_hears_of_the_end_may_let_go_of_another_stream(void **state)
{
    (void)state;
    taken_get(1);
    taken_get(3);
    stage.interfere = let_go_of_the_second;
    far_goes();
    assert_transcript("A!downstream_gone closed(downstream_gone) ");
    /* Nothing of the link may be left in the loop. */
    for (int i = 0; i < 300; i++) {
        struct loop_timer timer;
        loop_timer_init(&timer, NULL, NULL);
        loop_timer_set(stage.rig.loop, &timer, loop_now_ms(stage.rig.loop) + (uint64_t)i * LOOP_TICK_MS);
        loop_timer_clear(stage.rig.loop, &timer);
    }
}

static void a_link_that_is_closed_tells_nobody(void **state)
{
    (void)state;
    taken_get(1);
    struct h2_actor *actor = taken_post(3);
    link_close(stage.link);
    stage.link = NULL;
    let_go(actor);
    let_go(&stage.actors[0]);
    rig_settle(&stage.rig);
    assert_transcript("");
    hear();
    assert_int_equal(stage.far.state, FAR_ENDED);
}

static void a_link_that_is_closed_in_an_event_tells_nobody(void **state)
{
    (void)state;
    stage.closes_link = true;
    far_head(&stage.far, 1, H2_GET, true);
    far_head(&stage.far, 3, H2_GET, true);
    far_flush(&stage.far);
    rig_settle(&stage.rig);
    assert_transcript("A=GET / ");
}

static void close_the_link(void)
{
    stage.interfere = NULL;
    link_close(stage.link);
    stage.link = NULL;
    let_go(&stage.actors[0]);
}

/* nghttp2 reads on to the end of the piece. */
static void a_request_behind_the_event_that_closes_the_link_leaves_nothing(void **state)
{
    (void)state;
    taken_post(1);
    stage.interfere = close_the_link;
    far_data(&stage.far, 1, TEXT("abc"), false);
    far_head(&stage.far, 3, H2_POST, false);
    far_data(&stage.far, 3, TEXT("def"), true);
    far_data(&stage.far, 1, TEXT("ghi"), true);
    say();
    assert_transcript("A[abc] ");
}

/* ---- output that stands still ---- */

static void output_of_a_stream_that_was_let_go_may_stand_still_for_a_while_only(void **state)
{
    (void)state;
    struct h2_actor *actor = taken_get(1);
    answer_with(actor, long_text(65536 + 10), false);
    let_go(actor);
    hear();
    far_forget(&stage.far);
    pass(8000);
    far_window(&stage.far, 0, 1);
    give_window(1, 1);
    assert_heard("1[p] ");
    /* It has moved. */
    pass(8000);
    assert_heard("");
    pass(4000);
    assert_heard("1!8 ");
    assert_transcript("");
    assert_non_null(stage.link);
}

static void an_upload_that_nobody_reads_does_not_keep_its_stream(void **state)
{
    (void)state;
    stage.is_terse = false;
    struct h2_actor *actor = taken_post(1);
    answer_with(actor, TEXT("hello"), false);
    rig_settle(&stage.rig);
    let_go(actor);
    pass(12000);
    assert_transcript("idle ");
}

/* Not even the resets can be told to one that reads nothing at all. */
static void a_client_that_reads_nothing_is_given_up(void **state)
{
    (void)state;
    far_window(&stage.far, 0, 100000000);
    struct h2_actor *actor = taken_get(1);
    give_window(1, 100000000);
    answer_with(actor, long_text(1048576), false);
    let_go(actor);
    pass(30000);
    assert_string_equal(stage.transcript, "closed(downstream_gone) ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_client, tear_down)
        TEST(a_stream_without_window_is_congested_and_says_when_to_go_on),
        TEST(a_connection_that_is_full_congests_and_says_when_to_go_on),
        TEST(a_stream_that_ends_with_its_last_byte_says_that_it_is_drained),
        TEST(a_head_waits_for_a_connection_that_is_full),
        TEST(many_congested_streams_are_all_told),
        TEST(a_stream_that_is_let_go_before_its_head_is_reset),
        TEST(a_stream_that_is_let_go_in_the_middle_is_reset),
        TEST(a_reset_says_whose_doing_it_is),
        TEST(a_stream_that_waits_for_window_can_be_reset),
        TEST(a_stream_that_waits_for_window_goes_on_when_it_is_let_go),
        TEST(a_client_that_goes_before_an_answered_stream_is_let_go_is_gone),
        TEST(goaway_reaches_the_owner_of_an_unfinished_answer),
        TEST(an_early_answer_ends_the_upload),
        TEST(an_early_answer_with_a_length_ends_the_upload),
        TEST(an_early_answer_that_is_let_go_later_ends_the_upload),
        TEST(an_early_answer_waits_for_window_before_it_ends_the_upload),
        TEST(an_upload_that_ends_in_time_is_not_reset),
        TEST(a_client_that_resets_is_gone),
        TEST(a_client_that_resets_its_upload_after_the_answer_is_gone),
        TEST(a_client_that_resets_what_was_let_go_disturbs_nobody),
        TEST(a_paused_stream_hears_of_its_clients_reset),
        TEST(a_client_that_goes_leaves_streams_in_every_state),
        TEST(who_hears_of_the_end_may_let_go_of_another_stream),
        TEST(a_link_that_is_closed_tells_nobody),
        TEST(a_link_that_is_closed_in_an_event_tells_nobody),
        TEST(a_request_behind_the_event_that_closes_the_link_leaves_nothing),
        TEST(output_of_a_stream_that_was_let_go_may_stand_still_for_a_while_only),
        TEST(an_upload_that_nobody_reads_does_not_keep_its_stream),
        TEST(a_client_that_reads_nothing_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
