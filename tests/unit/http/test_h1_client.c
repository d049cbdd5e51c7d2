/* The upstream link: requests out, answers in, and whether another request may follow on the same connection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake/client_play.h"
#include "fake/split.h"

/* ---- what a node may answer ---- */

struct answered {
    const char *method;
    const char *answer;
    const char *expected; /* and, when the answer is whole, whether the link is kept */
};

#define KEPT " kept"
#define DROPPED " dropped"
#define MALFORMED "(upstream_malformed)"

static const struct answered answers[] = {
    {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "200[hello]" KEPT},
    {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "200[]" KEPT},
    {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n0\r\nT: 1\r\n\r\n",
     "200[hello]" KEPT},
    {"GET", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", "200[hello]" DROPPED},
    {"GET", "HTTP/1.1 200 OK\r\nConnection: close\t\r\nContent-Length: 5\r\n\r\nhello", "200[hello]" DROPPED},
    {"GET", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", "200[hello]" DROPPED},
    {"GET", "HTTP/1.1 204 No Content\r\n\r\n", "204[]" KEPT},
    {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "200[]" KEPT},
    {"HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "200[]" KEPT},
    {"GET", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 x\r\n\r\n", "204[]" KEPT},
    {"GET", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 102 x\r\n\r\nHTTP/1.1 204 x\r\n\r\n",
     "!103 !102 204[]" KEPT},
    /* Row 36: no body, whatever the length says; what looks like one is poison. */
    {"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", "304[]" KEPT},
    {"GET", "HTTP/1.1 204 x\r\nContent-Length: 3\r\n\r\n", "204[]" DROPPED},
    {"GET", "HTTP/1.1 304 x\r\nContent-Length: 3\r\n\r\nabc", "304[]" DROPPED},
    {"GET", "HTTP/1.1 100 x\r\nContent-Length: 3\r\n\r\nHTTP/1.1 204 x\r\n\r\n", "204[]" KEPT},
    {"HEAD", "HTTP/1.1 200 x\r\nContent-Length: 3\r\n\r\nabc", "200[]" DROPPED},
    /* Row 37. */
    {"GET", "HTTP/1.1 2 OK\r\nContent-Length: 0\r\n\r\n", MALFORMED},
    {"GET", "HTTP/1.1  OK\r\nContent-Length: 0\r\n\r\n", MALFORMED},
    {"GET", "HTTP/1.1 0200 OK\r\nContent-Length: 0\r\n\r\n", MALFORMED},
    {"GET", "HTTP/1.1 999 OK\r\nContent-Length: 0\r\n\r\n", MALFORMED},
    {"GET", "HTTP/0.9 200 OK\r\nContent-Length: 0\r\n\r\n", MALFORMED},
    {"GET", "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", MALFORMED},
    /* Row 38: the second answer belongs to nobody. */
    {"GET", "HTTP/1.1 204 x\r\n\r\nHTTP/1.1 200 x\r\nContent-Length: 4\r\n\r\nevil", "204[]" DROPPED},
    {"GET", "HTTP/1.1 200 x\r\nContent-Length: 1\r\n\r\nab", "200[a]" DROPPED},
    {"GET", "HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nx", "200[]" DROPPED},
    /* Row 39. */
    {"GET", "HTTP/1.1 200 a\x01\r\nContent-Length: 0\r\n\r\n", MALFORMED},
    {"GET", "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n", MALFORMED},
    /* What could be read in two ways, and what is no HTTP at all. */
    {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", MALFORMED},
    {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", MALFORMED},
    {"GET", "HTTP/1.1 200 OK\r\nX: a\r\n folded\r\n\r\n", MALFORMED},
    {"GET", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n", MALFORMED},
    {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcXX", "200[abc" MALFORMED},
    {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n", "200[" MALFORMED},
    {"GET", "\r\n\r\n", MALFORMED},
    {"GET", "SSH-2.0-OpenSSH_9\r\n\r\n", MALFORMED},
};

static void assert_answered(const struct answered *a, const struct split *split)
{
    node_comes();
    ask(a->method);
    size_t length = strlen(a->answer);
    for (size_t from = 0, to; (to = split_end(split, from)) > from; from = to) {
        far_send(stage.far, text_of(a->answer + from, to - from));
        rig_turn(&stage.rig);
        rig_turn(&stage.rig);
    }
    char seen[256];
    const char *end = "";
    if (stage.stream != NULL && stage.ended > 0) {
        let_go();
        end = is_kept() ? KEPT : DROPPED;
    }
    snprintf(seen, sizeof seen, "%.200s%s", stage.transcript, end);
    if (strcmp(seen, a->expected) != 0)
        fail_msg("\"%.*s\" %s: %s, not %s", (int)length, a->answer, split->name, seen, a->expected);
    assert_int_equal(stage.failed, strchr(a->expected, '(') != NULL);
    all_go();
}

static void each_answer_gets_its_verdict_however_it_is_cut(void **state)
{
    (void)state;
    all_go();
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        for (struct split split = split_first(strlen(answers[i].answer)); !split.is_done; split_next(&split))
            assert_answered(&answers[i], &split);
    }
}

static void a_node_may_not_say_wait_for_ever(void **state)
{
    (void)state;
    ask("GET");
    for (int i = 0; i < 20; i++)
        say_words("HTTP/1.1 102 Processing\r\n\r\n");
    assert_int_equal(stage.failed, 0);
    say_words("HTTP/1.1 102 Processing\r\n\r\n");
    assert_int_equal(stage.failed, 1);
}

static void a_head_above_the_limit_is_refused(void **state)
{
    (void)state;
    static char fields[70000];
    size_t used = (size_t)sprintf(fields, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 101; i++)
        used += (size_t)sprintf(fields + used, "X: y\r\n");
    sprintf(fields + used, "\r\n");
    ask("GET");
    say_words(fields);
    assert_transcript("(upstream_head_too_large)");
    all_go();
    node_comes();
    ask("GET");
    memset(fields + 17, 'x', sizeof fields - 17);
    say(text_of(fields, sizeof fields));
    assert_transcript("(upstream_head_too_large)");
}

/* ---- how an answer may end ---- */

static void a_body_until_the_end_of_the_connection_is_whole(void **state)
{
    (void)state;
    ask("GET");
    hear();
    say_words("HTTP/1.1 200 OK\r\n\r\nhello");
    node_goes();
    assert_transcript("200[hello]");
    assert_int_equal(stage.failed, 0);
    let_go();
    assert_int_equal(stage.closed, 0);
    assert_null(stage.link);
}

static void a_reset_does_not_end_a_body_properly(void **state)
{
    (void)state;
    open_stream();
    send_head("POST", BODY_LENGTH, 3);
    stream_send_data(stage.stream, TEXT("abc"));
    stream_send_end(stage.stream);
    rig_settle(&stage.rig);
    say_words("HTTP/1.1 200 OK\r\n\r\nhello");
    /* What it has not read makes its close a reset. */
    node_goes();
    assert_transcript("200[hello(upstream_truncated)");
    assert_int_equal(stage.closed, 1);
}

static void an_answer_that_is_cut_is_truncated(void **state)
{
    (void)state;
    static const char *const cut[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhell\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhell",
    };
    all_go();
    for (size_t i = 0; i < sizeof cut / sizeof cut[0]; i++) {
        node_comes();
        ask("GET");
        hear();
        say_words(cut[i]);
        node_goes();
        assert_transcript("200[hell(upstream_truncated)");
        assert_int_equal(stage.closed, 1);
    }
    node_comes();
    ask("GET");
    hear();
    say_words("HTTP/1.1 200 O");
    node_goes();
    assert_transcript("(upstream_truncated)");
}

static void a_node_that_goes_without_a_word_has_closed_or_reset(void **state)
{
    (void)state;
    ask("GET");
    hear();
    node_goes();
    assert_transcript("(upstream_closed)");
    assert_int_equal(stage.closed, 1);
    node_comes();
    ask("GET");
    node_goes();
    assert_transcript("(upstream_reset)");
}

/* A complete answer stays good although the connection ends before its owner lets go of it. */
static void a_whole_answer_survives_the_end_of_the_connection(void **state)
{
    (void)state;
    ask("GET");
    hear();
    say_words("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    node_goes();
    assert_transcript("200[hello]");
    let_go();
    assert_int_equal(stage.failed + stage.closed, 0);
    assert_null(stage.link);
}

static void an_idle_link_that_ends_or_speaks_is_closed(void **state)
{
    (void)state;
    node_goes();
    assert_int_equal(stage.closed, 1);
    node_comes();
    say_words("HTTP/1.1 408 Request Timeout\r\n\r\n");
    assert_int_equal(stage.closed, 1);
    assert_int_equal(stage.closed_fault, FAULT_UPSTREAM_MALFORMED);
    assert_transcript("");
}

/* ---- requests ---- */

static void requests_follow_each_other_on_one_connection(void **state)
{
    (void)state;
    for (unsigned i = 1; i <= 3; i++) {
        assert_true(link_has_room(stage.link));
        ask("GET");
        assert_int_equal(stage.link->used, i);
        assert_false(link_has_room(stage.link));
        assert_null(link_open_stream(stage.link));
        assert_heard("GET / HTTP/1.1\r\nHost: n\r\n\r\n");
        say_words("HTTP/1.1 204 No Content\r\n\r\n");
        assert_int_equal(stage.ended, i);
        let_go();
    }
    assert_int_equal(stage.closed, 0);
}

static void bodies_are_framed_by_length_or_in_chunks(void **state)
{
    (void)state;
    open_stream();
    send_head("POST", BODY_LENGTH, 5);
    stream_send_data(stage.stream, TEXT("he"));
    stream_send_data(stage.stream, TEXT_EMPTY);
    stream_send_data(stage.stream, TEXT("llo"));
    stream_send_end(stage.stream);
    stream_send_end(stage.stream);
    assert_heard("POST / HTTP/1.1\r\nHost: n\r\nContent-Length: 5\r\n\r\nhello");
    say_words("HTTP/1.1 204 No Content\r\n\r\n");
    let_go();
    open_stream();
    send_head("POST", BODY_STREAM, 0);
    send_head("POST", BODY_STREAM, 0);
    stream_send_data(stage.stream, TEXT("he"));
    stream_send_data(stage.stream, TEXT_EMPTY);
    stream_send_data(stage.stream, TEXT("llo"));
    stream_send_end(stage.stream);
    stream_send_end(stage.stream);
    assert_heard("POST / HTTP/1.1\r\nHost: n\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n");
}

static void an_upload_that_is_too_fast_is_congested(void **state)
{
    (void)state;
    static char body[1000000];
    memset(body, 'x', sizeof body);
    open_stream();
    send_head("POST", BODY_LENGTH, sizeof body);
    stream_send_data(stage.stream, text_of(body, sizeof body));
    assert_true(stream_is_congested(stage.stream));
    while (stage.drained == 0)
        hear();
    assert_false(stream_is_congested(stage.stream));
}

/* The kernel has a request when it has the last byte of its body, of its last chunk, or of its head: asked also when the node has gone. */
static void a_request_has_left_when_its_last_byte_has(void **state)
{
    (void)state;
    open_stream();
    send_head("POST", BODY_LENGTH, 5);
    stream_send_data(stage.stream, TEXT("1234"));
    rig_settle(&stage.rig);
    assert_false(stream_has_left(stage.stream));
    stream_send_data(stage.stream, TEXT("5"));
    assert_false(stream_has_left(stage.stream)); /* it waits for the end of the event */
    rig_settle(&stage.rig);
    assert_true(stream_has_left(stage.stream));
}

static void a_chunked_request_has_left_with_its_last_chunk(void **state)
{
    (void)state;
    open_stream();
    send_head("POST", BODY_STREAM, 0);
    stream_send_data(stage.stream, TEXT("all of it"));
    rig_settle(&stage.rig);
    assert_false(stream_has_left(stage.stream));
    stream_send_end(stage.stream);
    rig_settle(&stage.rig);
    assert_true(stream_has_left(stage.stream));
}

static void a_request_without_a_body_has_left_with_its_head(void **state)
{
    (void)state;
    open_stream();
    send_head("GET", BODY_NONE, 0);
    assert_false(stream_has_left(stage.stream));
    rig_settle(&stage.rig);
    assert_true(stream_has_left(stage.stream));
}

/* An answer before the end of the request is heard; the link cannot be used again. */
static void an_early_answer_is_heard_and_ends_the_link(void **state)
{
    (void)state;
    open_stream();
    send_head("POST", BODY_LENGTH, 1000);
    stream_send_data(stage.stream, TEXT("only the beginning"));
    rig_settle(&stage.rig);
    hear();
    say_words("HTTP/1.1 413 x\r\nContent-Length: 0\r\n\r\n");
    assert_transcript("413[]");
    let_go();
    assert_null(stage.link);
    assert_int_equal(hear(), FAR_ENDED);
    assert_int_equal(stage.closed, 0);
}

static void a_paused_answer_waits(void **state)
{
    (void)state;
    stage.pauses = true;
    ask("GET");
    say_words("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc");
    assert_transcript("200[");
    say_words("def");
    assert_transcript("200[");
    stream_resume(stage.stream);
    stream_resume(stage.stream);
    rig_settle(&stage.rig);
    assert_transcript("200[abcdef]");
    let_go();
    assert_true(is_kept());
    /* An answer without a body has an end all the same, and that waits, too. */
    ask("GET");
    say_words("HTTP/1.1 204 No Content\r\n\r\n");
    assert_transcript("200[abcdef]204[");
    stream_resume(stage.stream);
    rig_settle(&stage.rig);
    assert_transcript("200[abcdef]204[]");
    let_go();
    assert_true(is_kept());
}

/* Whoever pauses a stream that has nothing more to say leaves no paused link behind. */
static void a_link_is_not_paused_for_the_next_request(void **state)
{
    (void)state;
    ask("GET");
    say_words("HTTP/1.1 204 No Content\r\n\r\n");
    stream_pause(stage.stream);
    let_go();
    assert_true(is_kept());
    ask("GET");
    say_words("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc");
    assert_transcript("204[]200[abc]");
}

static void a_stream_that_was_paused_and_never_used_leaves_no_paused_link(void **state)
{
    (void)state;
    open_stream();
    stream_pause(stage.stream);
    let_go();
    assert_int_equal(stage.link->used, 0);
    ask("GET");
    hear();
    say_words("HTTP/1.1 204 No Content\r\n\r\n");
    assert_transcript("204[]");
    let_go();
    assert_true(is_kept());
}

static void a_reset_cancels_at_once_and_silently(void **state)
{
    (void)state;
    ask("GET");
    hear();
    say_words("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc");
    stream_reset(stage.stream, FAULT_DOWNSTREAM_GONE);
    stream_release(stage.stream);
    assert_int_equal(hear(), FAR_ENDED);
    assert_transcript("200[abc");
    assert_int_equal(stage.closed + stage.failed, 0);
    stage.link = NULL;
}

static void letting_go_before_the_end_closes_the_link(void **state)
{
    (void)state;
    ask("GET");
    hear();
    let_go();
    assert_null(stage.link);
    assert_int_equal(hear(), FAR_ENDED);
    assert_int_equal(stage.closed + stage.failed, 0);
}

static void a_large_head_is_sent_whole(void **state)
{
    (void)state;
    static char value[40000];
    memset(value, 'v', sizeof value);
    struct header_field field = {TEXT("X-Large"), text_of(value, sizeof value), HEADER_OTHER};
    struct message_head head = {.method = TEXT("GET"), .target = TEXT("/"), .authority = TEXT("n"), .fields = &field,
                                .field_count = 1};
    open_stream();
    stream_send_head(stage.stream, &head);
    hear();
    assert_int_equal(stage.heard_length, sizeof "GET / HTTP/1.1\r\nHost: n\r\nX-Large: \r\n\r\n" - 1 + sizeof value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(each_answer_gets_its_verdict_however_it_is_cut),
        TEST(a_node_may_not_say_wait_for_ever),
        TEST(a_head_above_the_limit_is_refused),
        TEST(a_body_until_the_end_of_the_connection_is_whole),
        TEST(a_reset_does_not_end_a_body_properly),
        TEST(an_answer_that_is_cut_is_truncated),
        TEST(a_node_that_goes_without_a_word_has_closed_or_reset),
        TEST(a_whole_answer_survives_the_end_of_the_connection),
        TEST(an_idle_link_that_ends_or_speaks_is_closed),
        TEST(requests_follow_each_other_on_one_connection),
        TEST(bodies_are_framed_by_length_or_in_chunks),
        TEST(an_upload_that_is_too_fast_is_congested),
        TEST(a_request_has_left_when_its_last_byte_has),
        TEST(a_chunked_request_has_left_with_its_last_chunk),
        TEST(a_request_without_a_body_has_left_with_its_head),
        TEST(an_early_answer_is_heard_and_ends_the_link),
        TEST(a_paused_answer_waits),
        TEST(a_link_is_not_paused_for_the_next_request),
        TEST(a_stream_that_was_paused_and_never_used_leaves_no_paused_link),
        TEST(a_reset_cancels_at_once_and_silently),
        TEST(letting_go_before_the_end_closes_the_link),
        TEST(a_large_head_is_sent_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
