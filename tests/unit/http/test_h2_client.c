/* The upstream HTTP/2 link: many requests out, answers in, and what becomes of them when the node says no. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fake/h2_play.h"
#include "fake/split.h"

/* ---- requests ---- */

static void the_link_says_what_it_allows(void **state)
{
    (void)state;
    link_up_on_pair(false);
    rig_settle(&stage.rig);
    far_hear_preface(&stage.far);
    assert_heard("settings(4=65536,6=16384,3=100,9=1,2=0) 0+16711681 ");
}

/* A request need not wait for the node's settings. */
static void the_first_request_goes_out_with_the_preface(void **state)
{
    (void)state;
    link_up_on_pair(false);
    stage.far.is_quiet = true;
    struct h2_actor *actor = open_stream();
    send_head(actor, "GET", BODY_NONE, 0);
    stream_send_end(actor->stream);
    rig_turn(&stage.rig);
    far_hear_preface(&stage.far);
    far_hear_some(&stage.far, sizeof stage.far.heard);
    assert_string_equal(stage.far.words, "1" H2_ASKED);
}

static void a_request_has_its_pseudo_fields_first(void **state)
{
    (void)state;
    struct header_field fields[] = {{TEXT("X-Name"), TEXT("Value"), HEADER_OTHER},
                                    {TEXT("Authorization"), TEXT("Bearer t"), HEADER_AUTHORIZATION}};
    struct message_head head = {.method = TEXT("POST"), .target = TEXT("/a?b"), .authority = TEXT("n:1"), .fields = fields,
                                .field_count = 2, .body = BODY_LENGTH, .content_length = 5, .flags = MESSAGE_ACCEPTS_TRAILERS};
    struct h2_actor *actor = open_stream();
    stream_send_head(actor->stream, &head);
    stream_send_data(actor->stream, TEXT("hello"));
    stream_send_end(actor->stream);
    assert_heard("1{:method=POST :scheme=http :authority=n:1 :path=/a?b te=trailers content-length=5 x-name=Value "
                 "never:authorization=Bearer t} 1[hello]. ");
}

static void bodies_of_requests_have_a_length_or_none(void **state)
{
    (void)state;
    struct h2_actor *actor = open_stream();
    send_head(actor, "POST", BODY_STREAM, 0);
    stream_send_data(actor->stream, TEXT("abc"));
    hear();
    stream_send_data(actor->stream, TEXT("def"));
    stream_send_end(actor->stream);
    assert_heard("1{:method=POST :scheme=http :authority=n :path=/} 1[abc] 1[def]. ");
    actor = open_stream();
    send_head(actor, "POST", BODY_LENGTH, 6);
    stream_send_data(actor->stream, TEXT("abc"));
    hear();
    stream_send_data(actor->stream, TEXT("def"));
    assert_heard("3{:method=POST :scheme=http :authority=n :path=/ content-length=6} 3[abc] 3[def]. ");
    stream_send_end(actor->stream);
    actor = open_stream();
    send_head(actor, "POST", BODY_STREAM, 0);
    stream_send_end(actor->stream);
    assert_heard("5{:method=POST :scheme=http :authority=n :path=/} 5[]. ");
}

static void a_request_may_have_trailers(void **state)
{
    (void)state;
    struct header_field field = {TEXT("A"), TEXT("b"), HEADER_OTHER};
    struct message_head trailers = {.fields = &field, .field_count = 1};
    struct h2_actor *actor = upload();
    stream_send_data(actor->stream, TEXT("abc"));
    stream_send_trailers(actor->stream, &trailers);
    stream_send_end(actor->stream);
    assert_heard("1[abc] 1{a=b}. ");
}

static void many_requests_share_the_link(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++)
        ask("GET");
    for (int i = 49; i >= 0; i--)
        far_head(&stage.far, i * 2 + 1, ":status: 204\n", true);
    say();
    for (int i = 0; i < 50; i++) {
        assert_non_null(strstr(stage.transcript, ". "));
        let_go(&stage.actors[i]);
    }
    assert_heard("");
    assert_int_equal(stage.link->used, 50);
    assert_true(link_has_room(stage.link));
}

/* ---- answers ---- */

static void answers_come_in_pieces_of_any_size(void **state)
{
    (void)state;
    static char bytes[4096];
    size_t length = 0;
    for (struct split split = split_first(1); !split.is_done; split_next(&split)) {
        node_comes();
        for (int i = 0; i < 3; i++)
            ask("GET");
        far_head(&stage.far, 1, ":status: 103\nlink: a\n", false);
        far_head(&stage.far, 1, ":status: 200\ncontent-length: 11\n", false);
        far_data(&stage.far, 1, TEXT("hello"), false);
        far_head(&stage.far, 3, ":status: 204\n", true);
        far_data(&stage.far, 1, TEXT(",world"), true);
        far_head(&stage.far, 5, ":status: 200\ncontent-type: application/grpc\n", false);
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
        if (strcmp(told('A'), "A~103 A=200 A[hello,world] A. ") != 0 || strcmp(told('B'), "B=204 B. ") != 0 ||
            strcmp(told('C'), "C=200 C[abc] C{grpc-status=0} C. ") != 0)
            fail_msg("%s: %s", split.name, stage.transcript);
        all_go();
    }
}

static void an_answer_says_how_long_its_body_is(void **state)
{
    (void)state;
    ask("GET");
    far_head(&stage.far, 1, ":status: 200\ncontent-length: 3\n", false);
    say();
    assert_int_equal(stage.last_head.body, BODY_LENGTH);
    assert_int_equal(stage.last_head.content_length, 3);
    ask("HEAD");
    far_head(&stage.far, 3, ":status: 200\ncontent-length: 3\n", true);
    say();
    assert_int_equal(stage.last_head.body, BODY_NONE);
    assert_true(message_has(&stage.last_head, MESSAGE_ANNOUNCES_LENGTH));
    assert_int_equal(stage.last_head.content_length, 3);
    ask("GET");
    far_head(&stage.far, 5, ":status: 200\n", false);
    say();
    assert_int_equal(stage.last_head.body, BODY_STREAM);
    assert_transcript("A=200 B=200 B. C=200 ");
}

static void an_answer_of_trailers_only_ends_with_its_head(void **state)
{
    (void)state;
    upload();
    far_head(&stage.far, 1, ":status: 200\ngrpc-status: 12\n", true);
    say();
    assert_int_equal(stage.last_head.body, BODY_NONE);
    assert_int_equal(stage.field_count, 1);
    assert_transcript("A=200 A. ");
}

static void interim_answers_are_told_but_for_100(void **state)
{
    (void)state;
    ask("GET");
    far_head(&stage.far, 1, ":status: 100\n", false);
    far_head(&stage.far, 1, ":status: 103\n", false);
    far_head(&stage.far, 1, ":status: 204\n", true);
    say();
    assert_transcript("A~103 A=204 A. ");
}

static void too_many_interim_answers_are_malformed(void **state)
{
    (void)state;
    stage.is_terse = true;
    ask("GET");
    for (int i = 0; i < 20; i++)
        far_head(&stage.far, 1, ":status: 100\n", false);
    say();
    assert_transcript("");
    far_head(&stage.far, 1, ":status: 100\n", false);
    say();
    assert_transcript("A!upstream_malformed ");
    assert_heard("1!8 ");
    ask("GET");
}

/* Nothing of what follows a fault in the same piece is told. */
static void an_answer_behind_a_malformed_one_is_not_told(void **state)
{
    (void)state;
    ask("GET");
    for (int i = 0; i < 21; i++)
        far_head(&stage.far, 1, ":status: 100\n", false);
    far_head(&stage.far, 1, ":status: 200\n", false);
    far_data(&stage.far, 1, TEXT("abc"), true);
    say();
    assert_string_equal(told('A'), "A!upstream_malformed ");
}

static void malformed_answers_fail_their_stream_alone(void **state)
{
    (void)state;
    static const char *const heads[] = {
        ":status: 099\n",  ":status: 600\n", ":status: abc\n", "a: b\n", ":status: 200\nconnection: close\n",
        ":status: 200\ntransfer-encoding: chunked\n", ":status: 200\ncontent-length: x\n", ":status: 101\n",
    };
    stage.is_terse = true;
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        struct h2_actor *actor = ask("GET");
        far_head(&stage.far, (int32_t)i * 2 + 1, heads[i], false);
        say();
        char expected[64];
        snprintf(expected, sizeof expected, "%c!upstream_malformed ", actor->name);
        if (strcmp(stage.transcript, expected) != 0)
            fail_msg("%s: %s", heads[i], stage.transcript);
        forget();
    }
    assert_non_null(stage.link);
}

static void a_body_that_breaks_its_length_fails(void **state)
{
    (void)state;
    ask("GET");
    far_head(&stage.far, 1, ":status: 200\ncontent-length: 5\n", false);
    say();
    far_data(&stage.far, 1, TEXT("hell"), true);
    say();
    assert_string_equal(told('A'), "A=200 A[hell] A!upstream_malformed ");
    assert_heard("1!1 ");
}

static void a_head_above_the_limit_fails(void **state)
{
    (void)state;
    static char lines[40000];
    size_t used = text_append(lines, sizeof lines, 0, ":status: 200\nx-long: ");
    memset(lines + used, 'x', 30000);
    lines[used + 30000] = '\n';
    ask("GET");
    far_head(&stage.far, 1, lines, true);
    say();
    assert_string_equal(told('A'), "A!upstream_head_too_large ");
    assert_non_null(stage.link);
}

static void pushes_are_refused(void **state)
{
    (void)state;
    uint8_t payload[256] = {0, 0, 0, 2};
    ask("GET");
    size_t length = far_block(&stage.far, H2_GET, payload + 4, sizeof payload - 4);
    far_frame(&stage.far, H2_PUSH_PROMISE, H2_END_HEADERS, 1, payload, length + 4);
    say();
    assert_transcript("A!upstream_malformed closed(upstream_malformed) ");
}

/* ---- back-pressure ---- */

static void a_paused_answer_waits_and_its_window_closes(void **state)
{
    (void)state;
    stage.far.is_quiet = false;
    stage.pauses = true;
    struct h2_actor *slow = ask("GET");
    far_head(&stage.far, 1, ":status: 200\n", false);
    for (int i = 0; i < 4; i++)
        far_data(&stage.far, 1, long_text(16384), false);
    say();
    assert_transcript("A=200 ");
    assert_heard("");
    stage.pauses = false;
    ask("GET");
    far_head(&stage.far, 3, ":status: 200\n", false);
    far_data(&stage.far, 3, TEXT("abc"), true);
    say();
    assert_transcript("B=200 B[abc] B. ");
    stream_resume(slow->stream);
    rig_settle(&stage.rig);
    assert_transcript("A[#65536] ");
    assert_heard("1+32768 1+32768 ");
}

static void resume_the_first(void)
{
    stream_resume(stage.actors[0].stream);
}

/* Resumed while a piece is read in which more comes for it. */
static void data_behind_a_resume_waits_for_what_came_before(void **state)
{
    (void)state;
    struct h2_actor *slow = ask("GET");
    ask("GET");
    far_head(&stage.far, 1, ":status: 200\n", false);
    say();
    stream_pause(slow->stream);
    far_data(&stage.far, 1, TEXT("abc"), false);
    say();
    stage.then = resume_the_first;
    far_head(&stage.far, 3, ":status: 204\n", true);
    far_data(&stage.far, 1, TEXT("def"), true);
    say();
    assert_string_equal(told('A'), "A=200 A[abcdef] A. ");
}

static void a_request_has_left_when_end_stream_has(void **state)
{
    (void)state;
    struct h2_actor *actor = upload();
    stream_send_data(actor->stream, long_text(65535));
    rig_settle(&stage.rig);
    assert_false(stream_has_left(actor->stream));
    stream_send_data(actor->stream, long_text(10));
    stream_send_end(actor->stream);
    rig_settle(&stage.rig);
    assert_false(stream_has_left(actor->stream)); /* without a window its end cannot go */
    far_window(&stage.far, 0, 40000);
    far_window(&stage.far, 1, 40000);
    say();
    rig_settle(&stage.rig);
    assert_true(stream_has_left(actor->stream));
}

/* The node reads nothing, and the kernel's room is used up: what is sent now stays in the conn. */
static struct h2_actor *fill_the_socket(size_t conn_bytes)
{
    struct h2_actor *actor = upload();
    far_window(&stage.far, 0, 1 << 24);
    far_window(&stage.far, 1, 1 << 24);
    say();
    while (conn_output_bytes(stage.link->conn) <= conn_bytes) {
        stream_send_data(actor->stream, long_text(16384));
        rig_settle(&stage.rig);
    }
    return actor;
}

/* A reset of the stream goes behind it; only the end of the connection would keep it back. */
static void a_request_whose_end_is_in_the_conn_has_left(void **state)
{
    (void)state;
    struct h2_actor *actor = fill_the_socket(0);
    assert_false(stream_has_left(actor->stream));
    stream_send_end(actor->stream);
    rig_settle(&stage.rig);
    assert_true(conn_output_bytes(stage.link->conn) > 0);
    assert_true(stream_has_left(actor->stream));
    stream_reset(actor->stream, FAULT_UPSTREAM_TIMEOUT);
    let_go(actor);
    hear();
    hear();
    assert_non_null(strstr(stage.far.words, "1[]. 1!8 "));
}

static void the_end_of_a_request_that_is_reset_does_not_leave(void **state)
{
    (void)state;
    fill_the_socket(65536);
    struct h2_actor *late = open_stream();
    send_head(late, "POST", BODY_LENGTH, 10);
    hear();
    rig_settle(&stage.rig);
    while (!conn_is_congested(stage.link->conn)) {
        stream_send_data(stage.actors[0].stream, long_text(16384));
        rig_settle(&stage.rig);
    }
    stream_send_data(late->stream, long_text(10));
    stream_send_end(late->stream);
    rig_settle(&stage.rig);
    assert_false(stream_has_left(late->stream));
    stream_reset(late->stream, FAULT_UPSTREAM_TIMEOUT);
    let_go(late);
    far_forget(&stage.far);
    for (unsigned i = 0; i < 10; i++)
        hear();
    assert_null(strstr(stage.far.words, "3["));
    assert_non_null(strstr(stage.far.words, "3!8 "));
}

/* nghttp2 may have made its frame already, and no reset overtakes it. */
static void a_request_that_ends_with_a_head_that_waits_has_left(void **state)
{
    (void)state;
    fill_the_socket(65536);
    struct h2_actor *late = submit("POST");
    rig_settle(&stage.rig);
    assert_true(stream_has_left(late->stream));
    stream_reset(late->stream, FAULT_UPSTREAM_TIMEOUT);
    let_go(late);
    for (unsigned i = 0; i < 10; i++)
        hear();
    assert_non_null(strstr(stage.far.words, "3{:method=POST :scheme=http :authority=n :path=/}. 3!8 "));
}

static void an_upload_without_window_is_congested(void **state)
{
    (void)state;
    struct h2_actor *actor = upload();
    stream_send_data(actor->stream, long_text(65535));
    rig_settle(&stage.rig);
    stream_send_data(actor->stream, long_text(32769));
    assert_true(stream_is_congested(actor->stream));
    far_window(&stage.far, 0, 40000);
    far_window(&stage.far, 1, 40000);
    say();
    assert_transcript("A> ");
    hear();
    assert_int_equal(stage.far.data_bytes, 65535 + 32769);
}

/* ---- what the node refuses ---- */

static void a_reset_before_the_head_may_have_been_read(void **state)
{
    (void)state;
    stage.is_terse = true;
    ask("GET");
    far_reset(&stage.far, 1, 2);
    say();
    assert_transcript("A!upstream_reset ");
    ask("GET");
    far_head(&stage.far, 3, ":status: 103\n", false);
    far_reset(&stage.far, 3, 8);
    say();
    assert_transcript("B~103 B!upstream_reset ");
}

static void a_refused_stream_was_not_read(void **state)
{
    (void)state;
    ask("GET");
    far_reset(&stage.far, 1, 7);
    say();
    assert_transcript("A!refused_stream ");
    assert_true(link_has_room(stage.link));
}

static void a_reset_behind_the_head_cuts_the_answer(void **state)
{
    (void)state;
    ask("GET");
    far_head(&stage.far, 1, ":status: 200\n", false);
    far_data(&stage.far, 1, TEXT("abc"), false);
    far_reset(&stage.far, 1, 7);
    say();
    assert_string_equal(told('A'), "A=200 A[abc] A!upstream_truncated ");
}

/* RFC 9113 section 8.1: the node has answered and does not want the rest of the request. */
static void a_reset_behind_the_whole_answer_takes_nothing_away(void **state)
{
    (void)state;
    struct h2_actor *actor = upload();
    far_head(&stage.far, 1, ":status: 200\n", false);
    far_data(&stage.far, 1, TEXT("abc"), true);
    far_reset(&stage.far, 1, 0);
    say();
    assert_transcript("A=200 A[abc] A. ");
    stream_send_data(actor->stream, TEXT("late"));
    stream_send_end(actor->stream);
    let_go(actor);
    assert_heard("");
}

static void a_paused_answer_that_is_whole_survives_a_reset(void **state)
{
    (void)state;
    stage.pauses = true;
    struct h2_actor *actor = upload();
    far_head(&stage.far, 1, ":status: 200\n", false);
    far_data(&stage.far, 1, TEXT("abc"), true);
    far_reset(&stage.far, 1, 0);
    say();
    assert_transcript("A=200 ");
    stream_resume(actor->stream);
    rig_settle(&stage.rig);
    assert_transcript("A[abc] A. ");
}

static void an_answer_to_half_a_request_lets_go_of_the_rest(void **state)
{
    (void)state;
    struct h2_actor *actor = upload();
    far_head(&stage.far, 1, ":status: 503\n", true);
    say();
    assert_transcript("A=503 A. ");
    let_go(actor);
    assert_heard("1!8 ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_node, tear_down)
#define TEST_ALONE(name) cmocka_unit_test_setup_teardown(name, set_up_alone, tear_down)
        TEST_ALONE(the_link_says_what_it_allows),
        TEST_ALONE(the_first_request_goes_out_with_the_preface),
        TEST(a_request_has_its_pseudo_fields_first),
        TEST(bodies_of_requests_have_a_length_or_none),
        TEST(a_request_may_have_trailers),
        TEST(many_requests_share_the_link),
        TEST_ALONE(answers_come_in_pieces_of_any_size),
        TEST(an_answer_says_how_long_its_body_is),
        TEST(an_answer_of_trailers_only_ends_with_its_head),
        TEST(interim_answers_are_told_but_for_100),
        TEST(too_many_interim_answers_are_malformed),
        TEST(an_answer_behind_a_malformed_one_is_not_told),
        TEST(malformed_answers_fail_their_stream_alone),
        TEST(a_body_that_breaks_its_length_fails),
        TEST(a_head_above_the_limit_fails),
        TEST(pushes_are_refused),
        TEST(a_paused_answer_waits_and_its_window_closes),
        TEST(data_behind_a_resume_waits_for_what_came_before),
        TEST(an_upload_without_window_is_congested),
        TEST(a_request_has_left_when_end_stream_has),
        TEST(a_request_whose_end_is_in_the_conn_has_left),
        TEST(the_end_of_a_request_that_is_reset_does_not_leave),
        TEST(a_request_that_ends_with_a_head_that_waits_has_left),
        TEST(a_reset_before_the_head_may_have_been_read),
        TEST(a_refused_stream_was_not_read),
        TEST(a_reset_behind_the_head_cuts_the_answer),
        TEST(a_reset_behind_the_whole_answer_takes_nothing_away),
        TEST(a_paused_answer_that_is_whole_survives_a_reset),
        TEST(an_answer_to_half_a_request_lets_go_of_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
