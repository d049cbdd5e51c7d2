/* The downstream HTTP/2 link: requests in, answers out, many at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fake/h2_play.h"
#include "fake/split.h"

/* ---- the beginning ---- */

static void the_link_says_what_it_allows(void **state)
{
    (void)state;
    link_up_on_pair(true);
    assert_heard("settings(4=65536,6=16384,3=100,9=1) 0+16711681 ");
    far_put(&stage.far, H2_PREFACE, H2_PREFACE_BYTES);
    far_setting(&stage.far, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1000);
    say();
    assert_heard("acked ");
    assert_transcript("idle ");
}

static void without_its_preface_no_client_is_heard(void **state)
{
    (void)state;
    link_up_on_pair(true);
    far_put(&stage.far, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", 27);
    say();
    assert_string_equal(stage.transcript, "closed(request_malformed) ");
}

static void a_client_that_begins_with_another_frame_than_settings_is_sent_away(void **state)
{
    (void)state;
    link_up_on_pair(true);
    far_put(&stage.far, H2_PREFACE, H2_PREFACE_BYTES);
    far_head(&stage.far, 1, H2_GET, true);
    say();
    assert_heard("settings(4=65536,6=16384,3=100,9=1) 0+16711681 goaway(0,1) ");
    far_goes();
    assert_transcript("closed(downstream_gone) ");
}

static void the_first_settings_have_a_deadline(void **state)
{
    (void)state;
    link_up_on_pair(true);
    far_put(&stage.far, H2_PREFACE, H2_PREFACE_BYTES);
    say();
    pass(4900);
    assert_transcript("");
    pass(200);
    assert_transcript("closed(request_timeout) ");
}

static void a_header_block_has_a_deadline(void **state)
{
    (void)state;
    far_frame(&stage.far, H2_HEADERS, H2_END_STREAM, 1, "\x82\x86\x84", 3);
    say();
    pass(4900);
    assert_transcript("");
    pass(200);
    assert_transcript("closed(request_timeout) ");
}

static void a_header_block_that_ends_in_time_leaves_no_deadline(void **state)
{
    (void)state;
    far_frame(&stage.far, H2_HEADERS, H2_END_STREAM, 1, "\x82\x86", 2);
    say();
    pass(4900);
    far_frame(&stage.far, H2_CONTINUATION, H2_END_HEADERS, 1, "\x84\x41\x01h", 4);
    say();
    pass(10000);
    assert_transcript("A=GET / A. ");
}

/* A piece of a frame's head is no header block: the idle time watches over it. */
static void an_open_stream_waits_for_its_body_without_a_deadline(void **state)
{
    (void)state;
    post(1);
    pass(20000);
    assert_transcript("A=POST / ");
}

/* ---- requests ---- */

static void requests_come_in_pieces_of_any_size(void **state)
{
    (void)state;
    static char bytes[4096];
    size_t length = 0;
    for (struct split split = split_first(1); !split.is_done; split_next(&split)) {
        link_up_on_pair(true);
        stage.is_terse = true;
        far_greets(true);
        far_head(&stage.far, 1, ":method: POST\n:scheme: http\n:authority: h\n:path: /a?b\ncontent-length: 11\n", false);
        far_data(&stage.far, 1, TEXT("hello"), false);
        far_data(&stage.far, 1, TEXT(",world"), true);
        far_head(&stage.far, 3, H2_GET "x-long: 0123456789\n", true);
        far_head(&stage.far, 5, H2_POST "te: trailers\n", false);
        far_data(&stage.far, 5, TEXT("abc"), false);
        far_head(&stage.far, 5, "grpc-status: 0\n", true);
        memcpy(bytes, stage.far.said, length = stage.far.said_length);
        stage.far.said_length = 0;
        split.length = length;
        for (size_t from = 0, to; (to = split_end(&split, from)) > from; from = to) {
            far_put(&stage.far, bytes + from, to - from);
            far_flush(&stage.far);
            rig_turn(&stage.rig);
        }
        rig_settle(&stage.rig);
        if (strcmp(told('A'), "A=POST /a?b A[hello,world] A. ") != 0 || strcmp(told('B'), "B=GET / B. ") != 0 ||
            strcmp(told('C'), "C=POST / C[abc] C{grpc-status=0} C. ") != 0)
            fail_msg("%s: %s", split.name, stage.transcript);
        all_go();
    }
}

static void a_request_without_a_body_ends_with_its_head(void **state)
{
    (void)state;
    get(1);
    assert_int_equal(stage.last_head.body, BODY_NONE);
    assert_int_equal(stage.last_head.version, MESSAGE_HTTP_2);
    assert_transcript("A=GET / A. ");
    assert_heard("");
}

static void a_body_may_have_a_length_or_none(void **state)
{
    (void)state;
    far_head(&stage.far, 1, H2_POST "content-length: 5\n", false);
    far_data(&stage.far, 1, TEXT("hello"), true);
    say();
    assert_int_equal(stage.last_head.body, BODY_LENGTH);
    assert_int_equal(stage.last_head.content_length, 5);
    assert_transcript("A=POST / A[hello] A. ");
    far_head(&stage.far, 3, H2_POST, false);
    far_data(&stage.far, 3, TEXT("hello"), false);
    far_data(&stage.far, 3, TEXT_EMPTY, true);
    say();
    assert_int_equal(stage.last_head.body, BODY_STREAM);
    assert_transcript("B=POST / B[hello] B. ");
}

static void a_body_that_breaks_its_length_is_no_whole_request(void **state)
{
    (void)state;
    far_head(&stage.far, 1, H2_POST "content-length: 5\n", false);
    say();
    far_data(&stage.far, 1, TEXT("hell"), true);
    say();
    assert_transcript("A=POST / A[hell] A!request_malformed ");
    assert_heard("1!1 ");
    far_head(&stage.far, 3, H2_POST "content-length: 5\n", false);
    say();
    far_data(&stage.far, 3, TEXT("hello!"), true);
    say();
    assert_transcript("B=POST / B!request_malformed ");
    assert_heard("3!1 ");
}

static void trailers_come_before_the_end(void **state)
{
    (void)state;
    far_head(&stage.far, 1, H2_POST, false);
    far_data(&stage.far, 1, TEXT("abc"), false);
    far_head(&stage.far, 1, "a: b\nc: d\n", true);
    say();
    assert_transcript("A=POST / A[abc] A{a=b c=d} A. ");
}

static void trailers_of_a_paused_stream_wait_behind_its_body(void **state)
{
    (void)state;
    stage.pauses = true;
    far_head(&stage.far, 1, H2_POST, false);
    far_data(&stage.far, 1, TEXT("abc"), false);
    far_head(&stage.far, 1, "a: b\n", true);
    say();
    assert_transcript("A=POST / ");
    stream_resume(stage.actors[0].stream);
    rig_settle(&stage.rig);
    assert_transcript("A[abc] A{a=b} A. ");
}

static void pause_first(void)
{
    stage.interfere = NULL;
    stream_pause(stage.actors[0].stream);
}

static void a_pause_within_the_trailers_keeps_the_end_back(void **state)
{
    (void)state;
    far_head(&stage.far, 1, H2_POST, false);
    far_data(&stage.far, 1, TEXT("abc"), false);
    say();
    assert_transcript("A=POST / A[abc] ");
    stage.interfere = pause_first;
    far_head(&stage.far, 1, "a: b\n", true);
    say();
    assert_transcript("A{a=b} ");
    stream_resume(stage.actors[0].stream);
    rig_settle(&stage.rig);
    assert_transcript("A. ");
}

static void a_request_that_is_reset_in_the_same_read_reaches_nobody(void **state)
{
    (void)state;
    far_head(&stage.far, 1, H2_GET, true);
    far_reset(&stage.far, 1, 8);
    far_head(&stage.far, 3, H2_POST, false);
    far_data(&stage.far, 3, TEXT("abc"), true);
    far_reset(&stage.far, 3, 8);
    say();
    assert_transcript("");
    get(5);
    assert_transcript("A=GET / A. ");
}

static void a_refused_request_is_answered_and_the_others_go_on(void **state)
{
    (void)state;
    far_head(&stage.far, 1, ":method: GET\n:scheme: http\n:authority: h\n:path: no-slash\n", true);
    far_head(&stage.far, 3, H2_GET "expect: 200-maybe\n", true);
    far_head(&stage.far, 5, H2_GET, true);
    say();
    /* The first one is nghttp2's to refuse. */
    assert_transcript("A?request_expectation B=GET / B. ");
    assert_heard("1!1 3{:status=417}. ");
}

static void what_was_understood_is_handed_up_with_a_refusal(void **state)
{
    (void)state;
    static char large[2048];
    static const struct {
        const char *fields;
        const char *fault;
        const char *expected;
    } rows[] = {
        {":method: POST\n:scheme: http\n:authority: h\n:path: /write?db=d\nx-request-id: a\ncontent-length: 101\n", "request_body_too_large",
         "POST /write?db=d /write a"},
        {":method: GET\n:scheme: http\n:authority: h\n:path: /query?q\ntransfer_encoding: b\nx-request-id: b\n", "request_malformed",
         "GET /query?q /query b"},
        {":method: CONFUSE\n:scheme: http\n:authority: h\n:path: /query?q\nx-request-id: c\n", "request_method",
         "CONFUSE /query?q /query c"},
        {":method: GET\n:scheme: http\n:authority: h\n:path: /query\nexpect: x\nx-request-id: d\n", "request_expectation",
         "GET /query /query d"},
        {":method: GET\n:scheme: http\n:authority: h\n:path: /query\ncontent_length: 1\nx-request-id: e\n", "request_malformed",
         "GET /query /query e"},
        {large, "request_head_too_large", "GET /query?q /query f"},
    };
    renew_context();
    stage.settings.limits.head_bytes = 1024;
    stage.settings.limits.fields = 10;
    stage.settings.body_limit_bytes = 100;
    size_t used = text_append(large, sizeof large, 0,
                              ":method: GET\n:scheme: http\n:authority: h\n:path: /query?q\nx-request-id: f\nlarge: ");
    memset(large + used, 'a', 1300);
    large[used + 1300] = '\n';
    client_comes();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        far_head(&stage.far, (int32_t)(2 * i + 1), rows[i].fields, false);
        say();
        if (strstr(stage.transcript, rows[i].fault) == NULL || strcmp(stage.refused, rows[i].expected) != 0)
            fail_msg("%s: %s and \"%s\", not %s", rows[i].expected, stage.transcript, stage.refused, rows[i].fault);
        stage.refused[0] = '\0';
        forget();
    }
}

/* A client cannot know the limit before it has heard of it. */
static void more_streams_than_allowed_are_refused(void **state)
{
    (void)state;
    renew_context();
    stage.settings.streams_maximum = 2;
    link_up_on_pair(true);
    stage.is_terse = stage.far.is_quiet = true;
    far_put(&stage.far, H2_PREFACE, H2_PREFACE_BYTES);
    far_frame(&stage.far, H2_SETTINGS, 0, 0, NULL, 0);
    for (int32_t id = 1; id <= 5; id += 2)
        far_head(&stage.far, id, H2_GET, true);
    say();
    assert_transcript("A=GET / A. B=GET / B. ");
    assert_heard("5!7 ");
    answer(&stage.actors[0], 204);
    rig_settle(&stage.rig);
    get(7);
    assert_transcript("C=GET / C. ");
}

/* Its other streams do not suffer for it (nghttp2 by itself would end the connection). */
static void a_client_that_knows_the_limit_and_passes_it_is_refused_a_stream(void **state)
{
    (void)state;
    renew_context();
    stage.settings.streams_maximum = 1;
    client_comes();
    get(1);
    get(3);
    assert_transcript("A=GET / A. ");
    assert_heard("3!7 ");
    answer(&stage.actors[0], 204);
    rig_settle(&stage.rig);
    get(5);
    assert_transcript("B=GET / B. ");
}

/* ---- the body's limit ---- */

static void set_body_limit(uint64_t bytes)
{
    renew_context();
    stage.settings.body_limit_bytes = bytes;
    client_comes();
    stage.answers = 204;
}

static void a_length_above_the_limit_is_refused_at_once(void **state)
{
    (void)state;
    set_body_limit(10);
    far_head(&stage.far, 1, H2_POST "content-length: 11\n", false);
    say();
    assert_transcript("A?request_body_too_large ");
    assert_heard("1{:status=413}. 1!0 ");
    far_head(&stage.far, 3, H2_POST "content-length: 10\n", false);
    far_data(&stage.far, 3, TEXT("0123456789"), true);
    say();
    assert_transcript("B=POST / B[0123456789] B. ");
}

static void a_body_above_the_limit_fails_where_it_passes_it(void **state)
{
    (void)state;
    set_body_limit(10);
    post(1);
    far_data(&stage.far, 1, TEXT("0123456789"), false);
    say();
    far_data(&stage.far, 1, TEXT("x"), false);
    far_data(&stage.far, 1, TEXT("y"), true);
    say();
    assert_transcript("A=POST / A[0123456789] A!request_body_too_large ");
    assert_heard("1{:status=413}. ");
}

static void a_body_above_the_limit_in_one_piece_with_its_head_fails_too(void **state)
{
    (void)state;
    set_body_limit(10);
    far_head(&stage.far, 1, H2_POST, false);
    far_data(&stage.far, 1, TEXT("0123456789x"), true);
    say();
    assert_transcript("A?request_body_too_large ");
    assert_heard("1{:status=413}. ");
}

/* ---- back-pressure from the owner ---- */

static void a_paused_stream_gets_nothing_and_the_others_flow(void **state)
{
    (void)state;
    post(1);
    post(3);
    forget();
    stream_pause(stage.actors[0].stream);
    far_data(&stage.far, 1, TEXT("abc"), false);
    far_data(&stage.far, 3, TEXT("def"), true);
    far_data(&stage.far, 1, TEXT("ghi"), true);
    say();
    assert_transcript("B[def] B. ");
    stream_resume(stage.actors[0].stream);
    stream_resume(stage.actors[0].stream);
    rig_settle(&stage.rig);
    assert_transcript("A[abcghi] A. ");
}

static void a_pause_behind_the_last_byte_holds_back_the_end(void **state)
{
    (void)state;
    post(1);
    far_data(&stage.far, 1, TEXT("abc"), false);
    say();
    stream_pause(stage.actors[0].stream);
    far_data(&stage.far, 1, TEXT_EMPTY, true);
    say();
    assert_transcript("A=POST / A[abc] ");
    stream_resume(stage.actors[0].stream);
    rig_settle(&stage.rig);
    assert_transcript("A. ");
}

/* The window of a stream is given back as its owner takes the bytes, the connection's at once. */
static void the_window_of_a_paused_stream_stays_closed(void **state)
{
    (void)state;
    stage.far.is_quiet = false;
    struct h2_actor *actor = post(1);
    stream_pause(actor->stream);
    for (int i = 0; i < 4; i++)
        far_data(&stage.far, 1, long_text(16384), false);
    say();
    assert_transcript("A=POST / ");
    assert_heard("");
    /* One byte more than its window breaks the protocol. */
    post(3);
    for (int i = 0; i < 4; i++)
        far_data(&stage.far, 3, long_text(16384), i == 3);
    say();
    assert_transcript("B=POST / B[#65536] B. ");
    assert_heard("3+32768 3+32768 ");
    stream_resume(actor->stream);
    rig_settle(&stage.rig);
    assert_transcript("A[#65536] ");
    hear();
    size_t given = 0;
    for (const char *at = stage.far.words; (at = strstr(at, "1+")) != NULL; at += 2)
        given += strtoul(at + 2, NULL, 10);
    assert_int_equal(given, 65536);
}

/* The connection's window is worth 16 MiB: what was thrown away must come back, too. */
static void data_that_nobody_wants_gives_its_window_back(void **state)
{
    (void)state;
    stage.far.is_quiet = false;
    struct h2_actor *actor = post(1);
    answer(actor, 200);
    rig_settle(&stage.rig);
    size_t given = 0;
    size_t sent = 0;
    for (int i = 0; i < 1200; i++) {
        far_data(&stage.far, 1, long_text(16384), false);
        sent += 16384;
        while (stage.far.said_length > 0) {
            far_flush(&stage.far);
            rig_turn(&stage.rig);
        }
        far_hear_some(&stage.far, sizeof stage.far.heard);
        for (const char *at = stage.far.words; (at = strstr(at, "0+")) != NULL; at += 2)
            given += strtoul(at + 2, NULL, 10);
        far_forget(&stage.far);
    }
    assert_non_null(stage.link);
    assert_in_range(sent - given, 0, 16777216 / 2);
}

static void a_body_that_is_left_behind_does_not_hold_up_the_connection(void **state)
{
    (void)state;
    stage.pauses = true;
    stage.far.is_quiet = false;
    size_t given = 0;
    for (int32_t id = 1; id < 1000; id += 2) {
        far_head(&stage.far, id, H2_POST, false);
        for (int i = 0; i < 3; i++)
            far_data(&stage.far, id, long_text(16384), false);
        far_flush(&stage.far);
        for (int i = 0; i < 4; i++)
            rig_turn(&stage.rig);
        assert_int_equal(stage.far.said_length, 0);
        stream_reset(stage.actors[id / 2].stream, FAULT_UPSTREAM_CLOSED);
        stage.actors[id / 2].stream = NULL;
        rig_turn(&stage.rig);
        far_hear_some(&stage.far, sizeof stage.far.heard);
        for (const char *at = stage.far.words; (at = strstr(at, " 0+")) != NULL; at += 3)
            given += strtoul(at + 3, NULL, 10);
        given += strncmp(stage.far.words, "0+", 2) == 0 ? strtoul(stage.far.words + 2, NULL, 10) : 0;
        far_forget(&stage.far);
    }
    assert_non_null(stage.link);
    assert_in_range(500 * 49152 - given, 0, 16777216 / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_client, tear_down)
#define TEST_ALONE(name) cmocka_unit_test_setup_teardown(name, set_up_alone, tear_down)
        TEST_ALONE(the_link_says_what_it_allows),
        TEST_ALONE(without_its_preface_no_client_is_heard),
        TEST_ALONE(a_client_that_begins_with_another_frame_than_settings_is_sent_away),
        TEST_ALONE(the_first_settings_have_a_deadline),
        TEST(a_header_block_has_a_deadline),
        TEST(a_header_block_that_ends_in_time_leaves_no_deadline),
        TEST(an_open_stream_waits_for_its_body_without_a_deadline),
        TEST_ALONE(requests_come_in_pieces_of_any_size),
        TEST(a_request_without_a_body_ends_with_its_head),
        TEST(a_body_may_have_a_length_or_none),
        TEST(a_body_that_breaks_its_length_is_no_whole_request),
        TEST(trailers_come_before_the_end),
        TEST(trailers_of_a_paused_stream_wait_behind_its_body),
        TEST(a_pause_within_the_trailers_keeps_the_end_back),
        TEST(a_request_that_is_reset_in_the_same_read_reaches_nobody),
        TEST(a_refused_request_is_answered_and_the_others_go_on),
        TEST(what_was_understood_is_handed_up_with_a_refusal),
        TEST(more_streams_than_allowed_are_refused),
        TEST(a_client_that_knows_the_limit_and_passes_it_is_refused_a_stream),
        TEST(a_length_above_the_limit_is_refused_at_once),
        TEST(a_body_above_the_limit_fails_where_it_passes_it),
        TEST(a_body_above_the_limit_in_one_piece_with_its_head_fails_too),
        TEST(a_paused_stream_gets_nothing_and_the_others_flow),
        TEST(a_pause_behind_the_last_byte_holds_back_the_end),
        TEST(the_window_of_a_paused_stream_stays_closed),
        TEST(data_that_nobody_wants_gives_its_window_back),
        TEST(a_body_that_is_left_behind_does_not_hold_up_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
