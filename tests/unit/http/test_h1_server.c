/* The downstream link: requests in, responses out, and when the connection lives on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fake/measured.h"
#include "fake/server_play.h"
#include "fake/split.h"

#define NO_CONTENT "HTTP/1.1 204 No Content\r\n\r\n"
#define NO_CONTENT_CLOSE "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"

/* ---- what is read ---- */

static void assert_measured(const struct measured *m, const struct split *split)
{
    client_comes();
    for (size_t from = 0, to; (to = split_end(split, from)) > from; from = to) {
        /* A client that was refused may find nobody to send the rest to. */
        far_send(stage.far, text_of(m->input + from, to - from));
        rig_turn(&stage.rig);
        rig_turn(&stage.rig);
    }
    rig_settle(&stage.rig);
    bool is_over = far_read(stage.far, stage.heard, &stage.heard_length, sizeof stage.heard) != FAR_OPEN;
    const char *end = is_over && stage.transcript[stage.used - 1] == ']' ? " close" : "";
    char seen[512];
    snprintf(seen, sizeof seen, "%.400s%s", stage.transcript, end);
    if (strcmp(seen, m->expected) != 0)
        fail_msg("row %u, \"%.200s\" %s: %s, not %s", m->row, m->input, split->name, seen, m->expected);
    /* After a refusal the connection ends. */
    assert_int_equal(is_over, strchr(m->expected, '(') != NULL || strstr(m->expected, "close") != NULL);
    client_goes();
}

static void each_measured_request_is_read_strictly(void **state)
{
    (void)state;
    client_goes();
    for (size_t i = 0; i < MEASURED_REQUESTS; i++) {
        const struct measured *m = &measured_requests[i];
        for (struct split split = split_first(m->length); !split.is_done; split_next(&split))
            assert_measured(m, &split);
    }
}

static void requests_come_in_pieces_of_any_size(void **state)
{
    (void)state;
    static const char input[] = "\r\nPOST /a?b HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\nhello world"
                                "POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                                "5;x\r\nhello\r\n6\r\n world\r\n0\r\nT: 1\r\n\r\nGET /d HTTP/1.1\r\nHost: h\r\n\r\n";
    client_goes();
    struct measured m = {0, input, sizeof input - 1, "POST /a?b[hello world];POST /c[hello world];GET /d[]"};
    for (struct split split = split_first(m.length); !split.is_done; split_next(&split))
        assert_measured(&m, &split);
}

static void pipelined_requests_are_answered_one_by_one(void **state)
{
    (void)state;
    stage.answers = 0;
    say_words("GET /1 HTTP/1.1\r\nHost: h\r\n\r\nPOST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcGET /3 "
              "HTTP/1.1\r\n");
    assert_transcript("GET /1[]");
    answer(201);
    rig_settle(&stage.rig);
    assert_transcript("GET /1[];POST /2[abc]");
    answer(202);
    rig_settle(&stage.rig);
    assert_transcript("GET /1[];POST /2[abc]");
    say_words("Host: h\r\n\r\n");
    assert_transcript("GET /1[];POST /2[abc];GET /3[]");
    answer(204);
    assert_heard("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\nHTTP/1.1 202 Accepted\r\nContent-Length: "
                 "0\r\n\r\n" NO_CONTENT);
    assert_int_equal(stage.closed, 0);
}

static void the_link_tells_when_a_head_begins_and_when_it_is_idle(void **state)
{
    (void)state;
    say_words("GET / HT");
    assert_int_equal(stage.heads_started, 1);
    assert_int_equal(stage.idle, 0);
    say_words("TP/1.1\r\nHost");
    assert_int_equal(stage.heads_started, 1);
    say_words(": h\r\n\r\n");
    assert_int_equal(stage.idle, 1);
    /* A head that is whole at once needs no deadline. */
    say_words(GET_HEAD "\r\n");
    assert_int_equal(stage.heads_started, 1);
    assert_int_equal(stage.idle, 2);
}

/* A line of HTTP/0.9 is all that such a client sends. What comes behind a first line changes nothing, in whatever pieces it comes. */
static void a_first_line_of_another_version_is_not_waited_for(void **state)
{
    (void)state;
    static const struct {
        const char *said;
        const char *expected;
    } rows[] = {
        {"GET /\r\n", "(400)"},
        {"\r\nGET /\r\n", "(400)"},
        {"GET / HTTP/3.0\r\n", "(505)"},
        {"GET / HTTP/3.0\r\nX: a\nb", "(505)"},
        {"GET  / HTTP/1.1\r\nX: a", "(400)"},
        {"GET / HTTP/1.1\r\nX: a\nb", "(400)"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (size_t piece = strlen(rows[i].said); piece > 0; piece--) {
            client_goes();
            client_comes();
            for (size_t at = 0; at < strlen(rows[i].said); at += piece) {
                size_t left = strlen(rows[i].said) - at;
                say(text_of(rows[i].said + at, left < piece ? left : piece));
            }
            if (strcmp(stage.transcript, rows[i].expected) != 0)
                fail_msg("\"%s\" in pieces of %zu: %s", rows[i].said, piece, stage.transcript);
        }
    }
    client_goes();
    client_comes();
    say_words("GET / HTTP/1.1\r\n");
    assert_transcript("");
}

static void a_body_above_the_limit_is_refused(void **state)
{
    (void)state;
    stage.settings.body_limit_bytes = 10;
    say_words(POST_HEAD "Content-Length: 10\r\n\r\n0123456789");
    assert_transcript("POST /[0123456789]");
    say_words(POST_HEAD "Content-Length: 11\r\n\r\n0123456789");
    assert_transcript("POST /[0123456789];(413)");
    assert_heard(NO_CONTENT "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    client_goes();
    client_comes();
    say_words(CHUNKED_HEAD "5\r\nabcde\r\n6\r\nfghijk\r\n");
    assert_transcript("POST /[abcde(413)");
    assert_int_equal(stage.failed, 1);
    assert_int_equal(hear(), FAR_ENDED);
}

/* ---- back-pressure ---- */

static void a_paused_stream_gets_nothing(void **state)
{
    (void)state;
    stage.pauses = true;
    stage.answers = 0;
    say_words(POST_HEAD "Content-Length: 6\r\n\r\nabc");
    assert_transcript("POST /[");
    say_words("def");
    assert_transcript("POST /[");
    stream_resume(stage.stream);
    rig_settle(&stage.rig);
    assert_transcript("POST /[abcdef]");
    stage.pauses = false;
    answer(204);
    say_words(GET_HEAD "\r\n");
    assert_transcript("POST /[abcdef];GET /[]");
}

static void a_pause_behind_the_last_byte_holds_back_the_end(void **state)
{
    (void)state;
    stage.answers = 0;
    say_words(CHUNKED_HEAD "3\r\nabc\r\n");
    assert_transcript("POST /[abc");
    stream_pause(stage.stream);
    say_words("0\r\n\r\n");
    assert_transcript("POST /[abc");
    stream_resume(stage.stream);
    stream_resume(stage.stream);
    rig_settle(&stage.rig);
    assert_transcript("POST /[abc]");
}

static void a_paused_upload_does_not_fill_the_memory(void **state)
{
    (void)state;
    static char body[1048576];
    memset(body, 'x', sizeof body);
    stage.pauses = true;
    say_words(POST_HEAD "Content-Length: 10000000\r\n\r\n");
    for (int i = 0; i < 100; i++) {
        far_send(stage.far, text_of(body, sizeof body));
        rig_turn(&stage.rig);
    }
    assert_true(conn_input_bytes(stage.link->conn) <= 65536 + LOOP_SCRATCH_BYTES);
}

static void a_congested_response_says_when_to_go_on(void **state)
{
    (void)state;
    static char body[1000000];
    memset(body, 'x', sizeof body);
    stage.answers = 0;
    say_words(GET_HEAD "\r\n");
    struct message_head head = {.status = 200, .body = BODY_LENGTH, .content_length = sizeof body};
    stream_send_head(stage.stream, &head);
    assert_false(stream_is_congested(stage.stream));
    stream_send_data(stage.stream, text_of(body, sizeof body));
    assert_true(stream_is_congested(stage.stream));
    stream_send_end(stage.stream);
    while (stage.drained == 0)
        hear();
    assert_false(stream_is_congested(stage.stream));
    stream_release(stage.stream);
    stage.stream = NULL;
    while (stage.heard_length < sizeof body)
        hear();
    rig_settle(&stage.rig);
    assert_int_equal(stage.drained, 1);
    assert_int_equal(stage.idle, 1);
}

/* ---- responses ---- */

static void send_response(unsigned status, enum body_kind body, const char *data)
{
    struct message_head head = {.status = status, .body = body, .content_length = strlen(data)};
    struct stream *stream = stage.stream;
    stage.stream = NULL;
    stream_send_head(stream, &head);
    stream_send_data(stream, TEXT_EMPTY);
    stream_send_data(stream, text_of_string(data));
    stream_send_end(stream);
    stream_release(stream);
}

static void responses_are_framed_for_who_asked(void **state)
{
    (void)state;
    stage.answers = 0;
    say_words(GET_HEAD "\r\n");
    send_response(200, BODY_LENGTH, "hello");
    assert_heard("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    say_words(GET_HEAD "\r\n");
    send_response(200, BODY_STREAM, "hello");
    assert_heard("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    say_words("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    send_response(200, BODY_LENGTH, "hello");
    assert_heard("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello");
    assert_int_equal(stage.closed, 0);
    /* HTTP/1.0 knows no chunks: the end of the connection ends the body. */
    say_words("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    send_response(200, BODY_STREAM, "hello");
    assert_int_equal(hear(), FAR_ENDED);
    assert_heard("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello");
}

static void a_client_is_told_how_long_its_connection_is_kept(void **state)
{
    (void)state;
    stage.answers = 0;
    stage.settings.keep_alive_s = 7;
    say_words(GET_HEAD "\r\n");
    send_response(200, BODY_LENGTH, "hello");
    assert_heard("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\nKeep-Alive: timeout=7\r\n\r\nhello");
    say_words("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    send_response(200, BODY_LENGTH, "hello");
    assert_heard("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\nKeep-Alive: timeout=7\r\n\r\nhello");
    say_words(GET_HEAD "Connection: close\r\n\r\n");
    send_response(200, BODY_LENGTH, "hello");
    assert_int_equal(hear(), FAR_ENDED);
    assert_heard("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
}

static void a_response_to_head_has_no_body(void **state)
{
    (void)state;
    stage.answers = 0;
    say_words("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
    send_response(200, BODY_LENGTH, "hello");
    assert_heard("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    say_words("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
    send_response(200, BODY_STREAM, "hello");
    assert_heard("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    /* What follows was not a HEAD, as far as anybody can tell: its error has a body. */
    stage.answers = 0;
    say_words(GET_HEAD "\r\n");
    send_response(200, BODY_LENGTH, "hello");
    assert_heard("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
}

static void interim_answers_come_before_the_final_one(void **state)
{
    (void)state;
    stage.answers = 0;
    say_words(POST_HEAD "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    struct message_head go_on = {.status = 100};
    stream_send_interim(stage.stream, &go_on);
    assert_heard("HTTP/1.1 100 Continue\r\n\r\n");
    say_words("abc");
    assert_transcript("POST /[abc]");
    struct message_head hints = {.status = 103, .flags = MESSAGE_ANNOUNCES_LENGTH, .body = BODY_LENGTH, .content_length = 3};
    stream_send_interim(stage.stream, &hints);
    answer(204);
    assert_heard("HTTP/1.1 103 Early Hints\r\n\r\n" NO_CONTENT);
    /* HTTP/1.0 has never heard of them. */
    say_words("POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc");
    stream_send_interim(stage.stream, &hints);
    answer(204);
    assert_heard(NO_CONTENT_CLOSE);
}

static void a_large_head_is_sent_whole(void **state)
{
    (void)state;
    static char value[40000];
    memset(value, 'v', sizeof value);
    struct header_field field = {TEXT("X-Large"), text_of(value, sizeof value), HEADER_OTHER};
    struct message_head head = {.status = 204, .fields = &field, .field_count = 1};
    stage.answers = 0;
    say_words(GET_HEAD "\r\n");
    stream_send_head(stage.stream, &head);
    stream_send_end(stage.stream);
    stream_release(stage.stream);
    hear();
    assert_int_equal(stage.heard_length, sizeof "HTTP/1.1 204 No Content\r\nX-Large: \r\n\r\n" - 1 + sizeof value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(each_measured_request_is_read_strictly),
        TEST(requests_come_in_pieces_of_any_size),
        TEST(pipelined_requests_are_answered_one_by_one),
        TEST(the_link_tells_when_a_head_begins_and_when_it_is_idle),
        TEST(a_first_line_of_another_version_is_not_waited_for),
        TEST(a_body_above_the_limit_is_refused),
        TEST(a_paused_stream_gets_nothing),
        TEST(a_pause_behind_the_last_byte_holds_back_the_end),
        TEST(a_paused_upload_does_not_fill_the_memory),
        TEST(a_congested_response_says_when_to_go_on),
        TEST(responses_are_framed_for_who_asked),
        TEST(a_client_is_told_how_long_its_connection_is_kept),
        TEST(a_response_to_head_has_no_body),
        TEST(interim_answers_come_before_the_final_one),
        TEST(a_large_head_is_sent_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
