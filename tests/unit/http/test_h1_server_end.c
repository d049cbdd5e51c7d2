/* The downstream link: early answers, cut answers, draining, and every way in which it ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fake/measured.h"
#include "fake/server_play.h"
#include "fake/split.h"

#define NO_CONTENT "HTTP/1.1 204 No Content\r\n\r\n"
#define NO_CONTENT_CLOSE "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
#define UNAVAILABLE "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
#define UNAVAILABLE_CLOSE "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

static void pass(uint64_t ms)
{
    clock_advance(ms + LOOP_TICK_MS);
    rig_settle(&stage.rig);
}

/* ---- the client wants it ---- */

static void a_client_that_says_close_is_closed(void **state)
{
    (void)state;
    say_words(GET_HEAD "Connection: close\r\n\r\n" NEXT);
    assert_transcript("GET /[]");
    assert_int_equal(hear(), FAR_ENDED);
    assert_heard(NO_CONTENT_CLOSE);
    assert_int_equal(stage.closed, 0);
    client_goes();
    assert_int_equal(stage.closed, 1);
}

static void an_idle_client_that_goes_ends_the_link(void **state)
{
    (void)state;
    say_words(GET_HEAD "\r\n");
    client_goes();
    assert_int_equal(stage.closed, 1);
    assert_int_equal(stage.failed, 0);
}

static void a_client_that_goes_before_its_answer_fails_the_stream(void **state)
{
    (void)state;
    stage.answers = 0;
    say_words(GET_HEAD "\r\n");
    client_goes();
    assert_transcript("GET /[](gone)");
    assert_int_equal(stage.failed, 1);
    assert_int_equal(stage.closed, 1);
}

static void a_client_that_goes_in_its_upload_fails_the_stream(void **state)
{
    (void)state;
    say_words(POST_HEAD "Content-Length: 6\r\n\r\nabc");
    client_goes();
    assert_transcript("POST /[abc(gone)");
    assert_int_equal(stage.failed, 1);
    assert_int_equal(stage.closed, 1);
}

/* Pipelined bytes behind the request do not hide that the client has gone. */
static void a_client_that_pipelines_and_goes_is_noticed(void **state)
{
    (void)state;
    stage.answers = 0;
    say_words(GET_HEAD "\r\n" NEXT "GET /third HT");
    client_goes();
    assert_transcript("GET /[](gone)");
    assert_int_equal(stage.closed, 1);
}

/* ---- a client that ends its sending only ---- */

static void client_ends_its_sending(void)
{
    assert_int_equal(shutdown(stage.far, SHUT_WR), 0);
    rig_settle(&stage.rig);
}

static void a_half_closed_client_gets_its_answer(void **state)
{
    (void)state;
    stage.answers = 0;
    stage.may_read = true;
    say_words(POST_HEAD "Content-Length: 3\r\n\r\nabc" NEXT);
    client_ends_its_sending();
    assert_transcript("POST /[abc]");
    answer(204);
    rig_settle(&stage.rig);
    assert_int_equal(hear(), FAR_ENDED);
    assert_heard(NO_CONTENT_CLOSE);
    assert_int_equal(stage.closed, 1);
    assert_int_equal(stage.failed, 0);
}

static void a_half_closed_client_that_goes_is_noticed(void **state)
{
    (void)state;
    stage.answers = 0;
    stage.may_read = true;
    say_words(POST_HEAD "Content-Length: 3\r\n\r\nabc");
    client_ends_its_sending();
    assert_int_equal(stage.failed, 0);
    client_goes();
    assert_transcript("POST /[abc](gone)");
    assert_int_equal(stage.closed, 1);
}

static void a_half_closed_client_whose_request_is_not_whole_has_gone(void **state)
{
    (void)state;
    stage.may_read = true;
    say_words(POST_HEAD "Content-Length: 6\r\n\r\nabc");
    client_ends_its_sending();
    assert_transcript("POST /[abc(gone)");
    assert_int_equal(stage.closed, 1);
}

/* Nobody reads the upload at the moment: what lies in the kernel is counted. */
static void a_paused_upload_that_can_no_longer_be_whole_is_noticed(void **state)
{
    (void)state;
    stage.may_read = stage.pauses = true;
    say_words(POST_HEAD "Content-Length: 600\r\n\r\n");
    say_words("abc");
    client_ends_its_sending();
    assert_transcript("POST /[(gone)");
    assert_int_equal(stage.closed, 1);
}

static void a_paused_upload_that_may_be_whole_goes_on(void **state)
{
    (void)state;
    stage.answers = 204;
    stage.may_read = stage.pauses = true;
    say_words(POST_HEAD "Content-Length: 6\r\n\r\n");
    say_words("abcdef");
    client_ends_its_sending();
    assert_int_equal(stage.failed, 0);
    stream_resume(stage.stream);
    rig_settle(&stage.rig);
    assert_transcript("POST /[abcdef]");
    assert_int_equal(hear(), FAR_ENDED);
    assert_heard(NO_CONTENT_CLOSE);
}

static void a_paused_upload_whose_client_resets_is_noticed(void **state)
{
    (void)state;
    stage.may_read = stage.pauses = true;
    say_words(POST_HEAD "Transfer-Encoding: chunked\r\n\r\n");
    say_words("3\r\nabc");
    client_ends_its_sending();
    assert_int_equal(stage.failed, 0);
    client_goes();
    assert_transcript("POST /[(gone)");
    assert_int_equal(stage.closed, 1);
}

/* More waits behind the request than is read: the conn has stopped reading by itself. */
static void a_client_that_pipelines_much_and_goes_is_noticed(void **state)
{
    (void)state;
    static char much[600000];
    stage.answers = 0;
    memset(much, 'a', sizeof much);
    say_words(GET_HEAD "\r\n");
    (void)far_send(stage.far, text_of(much, sizeof much));
    rig_settle(&stage.rig);
    assert_int_equal(stage.failed, 0);
    client_ends_its_sending();
    assert_transcript("GET /[](gone)");
    assert_int_equal(stage.closed, 1);
}

/* ---- answers before the end of the request ---- */

static void a_small_rest_of_an_upload_is_read_and_dropped(void **state)
{
    (void)state;
    stage.refuses = 503;
    say_words(POST_HEAD "Content-Length: 10\r\n\r\nabc");
    assert_transcript("POST /[");
    assert_heard(UNAVAILABLE);
    stage.refuses = 0;
    say_words("defg");
    say_words("hij" NEXT);
    assert_transcript("POST /[;GET /next[]");
    assert_heard(NO_CONTENT);
    assert_int_equal(stage.closed, 0);
}

/* All in one arrival: the rest must not be taken for the next request, and the next request must not be dropped. */
static void a_small_rest_that_is_already_there_is_dropped(void **state)
{
    (void)state;
    stage.refuses = 503;
    say_words(POST_HEAD "Content-Length: 20\r\n\r\nGET / HTTP/1.1\r\nHost" NEXT);
    assert_transcript("POST /[;GET /next[");
    assert_heard(UNAVAILABLE UNAVAILABLE);
    assert_int_equal(stage.closed, 0);
}

static void a_large_rest_ends_the_connection(void **state)
{
    (void)state;
    stage.refuses = 503;
    say_words(POST_HEAD "Content-Length: 1000000\r\n\r\nabc");
    assert_heard(UNAVAILABLE_CLOSE);
    assert_int_equal(stage.closed, 0);
    /* The client may go on sending for a while and still read its answer. */
    say_words("more and more");
    pass(500);
    assert_int_equal(stage.closed, 1);
}

static void a_rest_of_unknown_length_ends_the_connection(void **state)
{
    (void)state;
    stage.refuses = 503;
    say_words(CHUNKED_HEAD "3\r\nabc\r\n");
    assert_int_equal(hear(), FAR_ENDED);
    assert_heard(UNAVAILABLE_CLOSE);
}

/* Such a client may never send the body, or send the next request at once: nobody can tell. */
static void a_client_that_waits_for_100_is_not_waited_for(void **state)
{
    (void)state;
    stage.refuses = 503;
    say_words(POST_HEAD "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    assert_int_equal(hear(), FAR_ENDED);
    assert_heard(UNAVAILABLE_CLOSE);
}

static void a_rest_that_never_comes_has_a_deadline_to_be_set(void **state)
{
    (void)state;
    stage.refuses = 503;
    say_words(POST_HEAD "Content-Length: 10\r\n\r\nabc");
    assert_int_equal(stage.heads_started, 1);
    assert_int_equal(stage.idle, 0);
    say_words("defghij");
    assert_int_equal(stage.idle, 1);
}

/* ---- cut answers ---- */

static void begin_response(enum body_kind body)
{
    struct message_head head = {.status = 200, .body = body, .content_length = 100};
    stream_send_head(stage.stream, &head);
    stream_send_data(stage.stream, TEXT("half"));
    rig_turn(&stage.rig);
}

static void a_cut_answer_never_looks_whole(void **state)
{
    (void)state;
    static const enum body_kind bodies[] = {BODY_LENGTH, BODY_STREAM};
    static const char *const heard[] = {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
                                        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"};
    stage.answers = 0;
    for (int i = 0; i < 4; i++) {
        say_words(GET_HEAD "\r\n");
        begin_response(bodies[i % 2]);
        /* Letting go before the end is a cut, too. */
        if (i < 2)
            stream_reset(stage.stream, FAULT_UPSTREAM_TRUNCATED);
        else
            stream_release(stage.stream);
        stage.stream = NULL;
        assert_int_equal(hear(), FAR_ENDED);
        assert_string_equal(stage.heard, heard[i % 2]);
        assert_int_equal(stage.failed, 0);
        client_goes();
        assert_int_equal(stage.closed, 1);
        client_comes();
    }
}

/* On a TCP connection, because only there can a reset be seen. */
static void client_comes_by_tcp(void)
{
    struct address address;
    int listening = far_listen(&address);
    stage.far = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(stage.far, &address.socket.any, address.length), 0);
    struct conn_settings settings = {.events = &h1_server_conn_events,
                                     .pool = &stage.rig.buffers,
                                     .high_water_bytes = 65536,
                                     .input_maximum_bytes = 100000};
    struct conn *conn = conn_accept(stage.rig.loop, far_accept(listening), &settings);
    stage.link = h1_server_create(stage.rig.loop, conn, &stage.settings, &stage_link_events, &stage);
    stage.stream = NULL;
    stage.closed = stage.used = 0;
    close(listening);
}

struct old_request {
    const char *words;
    bool pauses;
};

/* Whatever of the request is still to come: it is whole, its body is on its way, nobody reads that, it was refused. */
static void a_cut_answer_to_http_1_0_is_a_reset(void **state)
{
    (void)state;
    static const struct old_request rows[] = {
        {"GET / HTTP/1.0\r\n\r\n", false},
        {"POST / HTTP/1.0\r\nContent-Length: 6\r\n\r\nabc", false},
        {"POST / HTTP/1.0\r\nContent-Length: 6\r\n\r\nabc", true},
        {"GET / HTTP/1.0\r\nBad Name: 1\r\n\r\n", false},
    };
    stage.answers = 0;
    stage.keeps_refused = true;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        client_goes();
        client_comes_by_tcp();
        stage.pauses = rows[i].pauses;
        far_send(stage.far, text_of_string(rows[i].words));
        rig_until(&stage.rig, stage.stream != NULL);
        begin_response(BODY_STREAM);
        stream_reset(stage.stream, FAULT_UPSTREAM_TRUNCATED);
        rig_until(&stage.rig, stage.closed == 1);
        stage.link = NULL;
        char heard[256];
        size_t length = 0;
        enum far_state end;
        while ((end = far_read(stage.far, heard, &length, sizeof heard)) == FAR_OPEN)
            ;
        assert_int_equal(end, FAR_RESET);
    }
}

/* ---- the owner wants it ---- */

static void a_draining_link_says_so_in_its_next_answer(void **state)
{
    (void)state;
    say_words(GET_HEAD "\r\n");
    link_drain(stage.link);
    rig_settle(&stage.rig);
    assert_heard(NO_CONTENT);
    assert_int_equal(stage.closed, 0);
    say_words(GET_HEAD "\r\n");
    assert_int_equal(hear(), FAR_ENDED);
    assert_heard(NO_CONTENT_CLOSE);
}

static void a_link_that_drains_during_an_answer_ends_after_it(void **state)
{
    (void)state;
    stage.answers = 0;
    say_words(GET_HEAD "\r\n" NEXT);
    link_drain(stage.link);
    answer(204);
    assert_int_equal(hear(), FAR_ENDED);
    assert_heard(NO_CONTENT_CLOSE);
    assert_transcript("GET /[]");
}

static void an_answer_may_end_the_connection(void **state)
{
    (void)state;
    stage.answers = 0;
    say_words(GET_HEAD "\r\n");
    struct message_head head = {.status = 204, .flags = MESSAGE_ENDS_CONNECTION};
    stream_send_head(stage.stream, &head);
    stream_send_end(stage.stream);
    stream_release(stage.stream);
    assert_int_equal(hear(), FAR_ENDED);
    assert_heard(NO_CONTENT_CLOSE);
}

static void a_link_closes_at_once_and_silently(void **state)
{
    (void)state;
    stage.answers = 0;
    say_words(GET_HEAD "\r\n");
    link_close(stage.link);
    link_close(stage.link);
    rig_settle(&stage.rig);
    assert_int_not_equal(hear(), FAR_OPEN);
    assert_heard("");
    assert_int_equal(stage.closed + stage.failed, 0);
    stage.link = NULL;
}

/* Verbs of a stream whose link has died in the same turn do nothing. */
static void a_dead_stream_takes_its_verbs_in_silence(void **state)
{
    (void)state;
    stage.answers = 0;
    say_words(POST_HEAD "Content-Length: 3\r\n\r\n");
    struct message_head head = {.status = 204};
    link_close(stage.link);
    stage.link = NULL;
    stream_send_interim(stage.stream, &head);
    stream_send_head(stage.stream, &head);
    stream_send_data(stage.stream, TEXT("x"));
    stream_send_end(stage.stream);
    stream_pause(stage.stream);
    stream_resume(stage.stream);
    stream_is_congested(stage.stream);
    stream_reset(stage.stream, FAULT_NONE);
    stream_release(stage.stream);
    rig_settle(&stage.rig);
    assert_int_equal(stage.closed + stage.failed, 0);
}

static void a_downstream_link_opens_no_streams(void **state)
{
    (void)state;
    assert_null(link_open_stream(stage.link));
    assert_false(link_has_room(stage.link));
}

/* ---- refusals ---- */

/* The refusal after a HEAD belongs to nobody's HEAD: its body is not left out. */
static void a_refusal_after_a_head_request_has_its_body(void **state)
{
    (void)state;
    stage.answers = 0;
    say_words("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
    answer(204);
    assert_heard(NO_CONTENT);
    stage.body_text = "no";
    say_words("GET / HTTP/1.1\n");
    assert_transcript("HEAD /[];(400)");
    assert_heard("HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
}

/* However the bytes were cut, and whatever stands behind the flaw or the limit. */
static void what_was_understood_is_handed_up_with_a_refusal(void **state)
{
    (void)state;
    static char large[1024];
    static const struct {
        const char *input;
        const char *expected;
    } rows[] = {
        {"POST /write?db=d HTTP/1.1\r\nHost: h\r\nX-Request-Id: a\r\nContent-Length: 5000\r\n\r\n",
         "POST /write?db=d /write a"},
        {"POST /write HTTP/1.1\r\nHost: h\r\nX-Request-Id: b\r\nTransfer-Encoding: gzip\r\n\r\n", "POST /write /write b"},
        {"GET /query HTTP/1.1\r\nHost: h\r\nX-Request-Id: c\r\nBad Name: 1\r\n\r\n", "GET /query /query c"},
        {"GET /query HTTP/1.1\r\nHost: h\r\nBad Name: 1\r\nX-Request-Id: d\r\n\r\n", "GET /query /query -"},
        {"GET /query HTTP/1.1\r\nX-Request-Id: e\r\n\r\n", "GET /query /query e"},
        {"GET http://h/query HTTP/1.1\r\nHost: h\r\nX-Request-Id: f\r\nExpect: x\r\n\r\n", "GET /query /query f"},
        {"GET /query HTTP/1.1\r\nHost: h\r\nX-Request-Id: g\r\nA: \nX-Request-Id: h\r\n\r\n", "GET /query /query g"},
        {large, "GET /query?q /query i"},
        {"\1", ""},
    };
    stage.settings.limits.head_bytes = 256;
    stage.settings.body_limit_bytes = 100;
    size_t used = text_append(large, sizeof large, 0, "GET /query?q HTTP/1.1\r\nX-Request-Id: i\r\nA: ");
    memset(large + used, 'a', 600);
    client_goes();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (struct split split = split_first(strlen(rows[i].input)); !split.is_done; split_next(&split)) {
            client_comes();
            for (size_t from = 0, to; (to = split_end(&split, from)) > from; from = to) {
                far_send(stage.far, text_of(rows[i].input + from, to - from));
                rig_turn(&stage.rig);
            }
            rig_settle(&stage.rig);
            if (strcmp(stage.refused, rows[i].expected) != 0)
                fail_msg("\"%.80s\" %s: %s, not %s", rows[i].input, split.name, stage.refused, rows[i].expected);
            client_goes();
            stage.refused[0] = '\0';
        }
    }
}

/* Its rest is no body, whatever its owner asks for. */
static void a_refused_request_cannot_be_resumed(void **state)
{
    (void)state;
    stage.keeps_refused = true;
    say_words("GET / HTTP/1.1\r\nHost: h\r\nBad Name: 1\r\n\r\nGET /next HTTP/1.1\r\nHost: h\r\n\r\n");
    stream_resume(stage.stream);
    say_words("GET /third HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_transcript("(400)");
    answer(400);
    rig_settle(&stage.rig);
    assert_transcript("(400)");
    assert_heard("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

static void a_refused_head_request_is_answered_without_a_body(void **state)
{
    (void)state;
    stage.body_text = "no";
    say_words("HEAD / HTTP/1.1\r\nHost: h\r\nBad Name: 1\r\n\r\n");
    assert_heard("HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\nConnection: close\r\n\r\n");
}

/* The one who was refused may be gone before its refusal is written. */
static void a_client_that_is_refused_and_gone_harms_nobody(void **state)
{
    (void)state;
    far_send(stage.far, TEXT("GET / HTTP/1.1\n\n"));
    client_goes();
    assert_transcript("(400)");
    assert_int_equal(stage.closed, 1);
}

static void a_link_closes_over_a_request_that_it_has_refused(void **state)
{
    (void)state;
    stage.keeps_refused = true;
    say_words("GET / HTTP/1.1\r\nHost: h\r\nBad Name: 1\r\n\r\n");
    link_close(stage.link);
    stage.link = NULL;
    stream_release(stage.stream);
    assert_int_equal(hear(), FAR_ENDED);
    assert_heard("");
    assert_int_equal(stage.closed + stage.failed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(a_client_that_says_close_is_closed),
        TEST(an_idle_client_that_goes_ends_the_link),
        TEST(a_client_that_goes_before_its_answer_fails_the_stream),
        TEST(a_client_that_goes_in_its_upload_fails_the_stream),
        TEST(a_client_that_pipelines_and_goes_is_noticed),
        TEST(a_half_closed_client_gets_its_answer),
        TEST(a_half_closed_client_that_goes_is_noticed),
        TEST(a_half_closed_client_whose_request_is_not_whole_has_gone),
        TEST(a_paused_upload_that_can_no_longer_be_whole_is_noticed),
        TEST(a_paused_upload_that_may_be_whole_goes_on),
        TEST(a_paused_upload_whose_client_resets_is_noticed),
        TEST(a_client_that_pipelines_much_and_goes_is_noticed),
        TEST(a_small_rest_of_an_upload_is_read_and_dropped),
        TEST(a_small_rest_that_is_already_there_is_dropped),
        TEST(a_large_rest_ends_the_connection),
        TEST(a_rest_of_unknown_length_ends_the_connection),
        TEST(a_client_that_waits_for_100_is_not_waited_for),
        TEST(a_rest_that_never_comes_has_a_deadline_to_be_set),
        TEST(a_cut_answer_never_looks_whole),
        TEST(a_cut_answer_to_http_1_0_is_a_reset),
        TEST(a_draining_link_says_so_in_its_next_answer),
        TEST(a_link_that_drains_during_an_answer_ends_after_it),
        TEST(an_answer_may_end_the_connection),
        TEST(a_link_closes_at_once_and_silently),
        TEST(a_dead_stream_takes_its_verbs_in_silence),
        TEST(a_downstream_link_opens_no_streams),
        TEST(a_refusal_after_a_head_request_has_its_body),
        TEST(what_was_understood_is_handed_up_with_a_refusal),
        TEST(a_refused_request_cannot_be_resumed),
        TEST(a_refused_head_request_is_answered_without_a_body),
        TEST(a_client_that_is_refused_and_gone_harms_nobody),
        TEST(a_link_closes_over_a_request_that_it_has_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
