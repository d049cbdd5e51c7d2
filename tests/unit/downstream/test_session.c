/* One accepted connection: which HTTP it speaks shows with its first bytes, and each of its phases has a deadline. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fake/session_stage.h"
#include "fake/split.h"

/* ---- which HTTP it is ---- */

static void feed_in_pieces(const char *bytes, size_t length, const char *expected)
{
    for (struct split split = split_first(length); !split.is_done; split_next(&split)) {
        client_goes();
        client_comes();
        for (size_t from = 0, to; (to = split_end(&split, from)) > from; from = to) {
            far_put(&stage.far, bytes + from, to - from);
            far_flush(&stage.far);
            rig_turn(&stage.rig);
            rig_turn(&stage.rig);
        }
        rig_settle(&stage.rig);
        if (strcmp(stage.transcript, expected) != 0)
            fail_msg("%s: %s", split.name, stage.transcript);
    }
}

static void the_preface_makes_it_http_2(void **state)
{
    (void)state;
    static char bytes[1024];
    greet();
    far_head(&stage.far, 1, ":method: GET\n:scheme: http\n:authority: h\n:path: /x\n", true);
    size_t length = stage.far.said_length;
    memcpy(bytes, stage.far.said, length);
    stage.far.said_length = 0;
    feed_in_pieces(bytes, length, "h2:/x ");
    hear();
    assert_string_equal(stage.far.words, "1{:status=204}. ");
}

static void anything_else_is_http_1(void **state)
{
    (void)state;
    feed_in_pieces(GET_1, sizeof GET_1 - 1, "h1:/x ");
    static const char post[] = "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n";
    feed_in_pieces(post, sizeof post - 1, "h1:/x ");
}

/* Each beginning of the preface may become something else. */
static void what_only_begins_like_the_preface_is_http_1(void **state)
{
    (void)state;
    for (size_t length = 1; length < H2_PREFACE_BYTES; length++) {
        char bytes[64];
        memcpy(bytes, H2_PREFACE, length);
        bytes[length] = 'x';
        client_goes();
        client_comes();
        say(bytes, length);
        assert_int_equal(session()->state, SESSION_NEW);
        assert_transcript("");
        say(bytes + length, 1);
        if (stage.sessions.count > 0)
            assert_false(session()->state == SESSION_OPEN && session()->link->is_http2);
    }
}

static void without_a_context_nobody_speaks_http_2(void **state)
{
    (void)state;
    client_goes();
    stage.settings.h2 = NULL;
    client_comes();
    say(H2_PREFACE, H2_PREFACE_BYTES);
    assert_string_equal(stage.transcript, "request_version ");
}

static void what_comes_behind_the_preface_is_not_lost(void **state)
{
    (void)state;
    greet();
    for (int32_t id = 1; id <= 9; id += 2)
        far_head(&stage.far, id, ":method: GET\n:scheme: http\n:authority: h\n:path: /x\n", true);
    stage.keeps = false;
    say_words("");
    assert_transcript("h2:/x h2:/x h2:/x h2:/x h2:/x ");
}

/* ---- deadlines ---- */

static void a_client_that_says_nothing_is_sent_away(void **state)
{
    (void)state;
    pass(1900);
    assert_transcript("");
    pass(200);
    assert_transcript("closed(request_timeout) ");
}

static void half_a_preface_is_nothing(void **state)
{
    (void)state;
    pass(1000);
    say_words("PRI * HT");
    pass(900);
    assert_transcript("");
    pass(200);
    assert_transcript("closed(request_timeout) ");
}

static void a_preface_without_settings_is_sent_away(void **state)
{
    (void)state;
    pass(1000);
    say(H2_PREFACE, H2_PREFACE_BYTES);
    pass(2500);
    assert_transcript("closed(request_timeout) ");
}

static void a_client_that_goes_while_greeting_is_gone(void **state)
{
    (void)state;
    say_words("PR");
    close(stage.far.fd);
    stage.far.fd = -1;
    rig_settle(&stage.rig);
    assert_transcript("closed(downstream_gone) ");
}

/* HTTP/2 has words for the end, and a request that crosses them is served. */
static void an_idle_http_2_client_is_told_to_go(void **state)
{
    (void)state;
    greet();
    say_words("");
    get(1);
    assert_transcript("h2:/x ");
    pass(4900);
    hear();
    assert_string_equal(stage.far.words, "1{:status=204}. ");
    pass(200);
    hear();
    assert_non_null(strstr(stage.far.words, "goaway(2147483647,0)"));
    get(3);
    assert_transcript("h2:/x h2:/x ");
    far_ping(&stage.far, true);
    say_words("");
    hear();
    assert_non_null(strstr(stage.far.words, "3{:status=204}. "));
    assert_non_null(strstr(stage.far.words, "goaway(3,0)"));
    close(stage.far.fd);
    stage.far.fd = -1;
    rig_settle(&stage.rig);
    assert_transcript("h2:/x h2:/x closed(downstream_gone) ");
}

static void an_idle_http_2_client_that_does_not_go_is_left(void **state)
{
    (void)state;
    greet();
    say_words("");
    pass(5100);
    assert_transcript("");
    pass(2500);
    assert_int_equal(stage.sessions.count, 0);
    assert_non_null(strstr(stage.transcript, "closed("));
}

static void a_client_with_a_request_under_way_is_not_idle(void **state)
{
    (void)state;
    stage.keeps = true;
    greet();
    say_words("");
    get(1);
    pass(20000);
    assert_transcript("h2:/x ");
    answer();
    pass(4900);
    assert_int_equal(stage.sessions.count, 1);
}

static void pings_keep_nobody(void **state)
{
    (void)state;
    greet();
    say_words("");
    for (int i = 0; i < 10; i++) {
        pass(800);
        far_ping(&stage.far, false);
        far_flush(&stage.far);
        if (stage.sessions.count == 0)
            break;
    }
    assert_int_equal(stage.sessions.count, 0);
}

/* ---- drain ---- */

static void a_session_that_drains_while_greeting_serves_one_request(void **state)
{
    (void)state;
    session_drain(session());
    pass(500);
    greet();
    far_head(&stage.far, 1, ":method: GET\n:scheme: http\n:authority: h\n:path: /x\n", true);
    far_ping(&stage.far, true);
    say_words("");
    assert_string_equal(stage.transcript, "h2:/x ");
    hear();
    assert_non_null(strstr(stage.far.words, "1{:status=204}. "));
    assert_int_equal(stage.far.state, FAR_ENDED);
}

static void a_session_that_drains_while_greeting_has_a_second(void **state)
{
    (void)state;
    session_drain(session());
    pass(900);
    assert_transcript("");
    pass(200);
    assert_transcript("closed(request_timeout) ");
}

static void a_session_that_drains_finishes_its_answer(void **state)
{
    (void)state;
    stage.keeps = true;
    greet();
    say_words("");
    get(1);
    session_drain(session());
    pass(3000);
    assert_transcript("h2:/x ");
    answer();
    hear();
    assert_non_null(strstr(stage.far.words, "1{:status=204}. "));
    assert_int_equal(stage.far.state, FAR_ENDED);
}

/* Between two requests, for as long as it may still get one. */
static void who_is_idle_stands_in_the_list(void **state)
{
    (void)state;
    static const char request[] = "GET /x HTTP/1.1\r\nhost: h\r\n\r\n";
    assert_int_equal(stage.idle.count, 0);
    say_words(request);
    assert_transcript("h1:/x ");
    assert_int_equal(stage.idle.count, 1);
    /* The beginning of a head is one of a request. */
    say_words("GET /y HT");
    assert_int_equal(stage.idle.count, 0);
    stage.keeps = true;
    say_words("TP/1.1\r\nhost: h\r\n\r\n");
    assert_int_equal(stage.idle.count, 0);
    answer();
    rig_settle(&stage.rig);
    assert_int_equal(stage.idle.count, 1);
    session_drain(session());
    assert_int_equal(stage.idle.count, 0);
    /* What comes within the grace is answered, and is the last. */
    stage.keeps = false;
    pass(500);
    say_words(request);
    assert_int_equal(stage.idle.count, 0);
    hear();
    assert_int_equal(stage.far.state, FAR_ENDED);
}

static void who_goes_while_idle_leaves_the_list(void **state)
{
    (void)state;
    greet();
    say_words("");
    get(1);
    assert_int_equal(stage.idle.count, 1);
    session_close(session());
    assert_int_equal(stage.idle.count, 0);
}

static void a_session_that_is_closed_tells_nobody(void **state)
{
    (void)state;
    session_close(session());
    rig_settle(&stage.rig);
    assert_transcript("");
    hear();
    assert_int_equal(stage.far.state, FAR_ENDED);
}

static void abuse(void)
{
    greet();
    for (int i = 0; i < 450; i++)
        far_ping(&stage.far, false);
    say_words("");
    hear();
    close(stage.far.fd);
    stage.far.fd = -1;
    rig_settle(&stage.rig);
    assert_transcript("closed(abuse) ");
}

static void abuse_ends_the_session(void **state)
{
    (void)state;
    abuse();
}

static void abuse_is_logged_once_a_second(void **state)
{
    (void)state;
    pass(100);
    for (unsigned i = 0; i < 4; i++) {
        client_goes();
        client_comes();
        abuse();
        assert_int_equal(stage.abuse_log.suppressed, i);
    }
    pass(1000);
    client_goes();
    client_comes();
    abuse();
    assert_int_equal(stage.abuse_log.suppressed, 0);
}

/* ---- keep_alive: 0 ---- */

static void without_a_limit_an_idle_client_stays(void **state)
{
    (void)state;
    stage.settings.keep_alive_ms = 0;
    for (int version = 1; version <= 2; version++) {
        client_goes();
        client_comes();
        if (version == 2) {
            greet();
            say_words("");
            get(1);
        } else {
            say_words(GET_1);
        }
        pass(100000);
        assert_transcript(version == 2 ? "h2:/x " : "h1:/x ");
        if (version == 2)
            get(3);
        else
            say_words(GET_1);
        assert_transcript(version == 2 ? "h2:/x h2:/x " : "h1:/x h1:/x ");
    }
}

static void without_a_limit_a_drain_ends_an_idle_client_all_the_same(void **state)
{
    (void)state;
    stage.settings.keep_alive_ms = 0;
    client_goes();
    client_comes();
    greet();
    say_words("");
    get(1);
    session_drain(session());
    pass(5000);
    assert_int_equal(stage.sessions.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(the_preface_makes_it_http_2),
        TEST(anything_else_is_http_1),
        TEST(what_only_begins_like_the_preface_is_http_1),
        TEST(without_a_context_nobody_speaks_http_2),
        TEST(what_comes_behind_the_preface_is_not_lost),
        TEST(a_client_that_says_nothing_is_sent_away),
        TEST(half_a_preface_is_nothing),
        TEST(a_preface_without_settings_is_sent_away),
        TEST(a_client_that_goes_while_greeting_is_gone),
        TEST(an_idle_http_2_client_is_told_to_go),
        TEST(an_idle_http_2_client_that_does_not_go_is_left),
        TEST(a_client_with_a_request_under_way_is_not_idle),
        TEST(pings_keep_nobody),
        TEST(who_is_idle_stands_in_the_list),
        TEST(who_goes_while_idle_leaves_the_list),
        TEST(a_session_that_drains_while_greeting_serves_one_request),
        TEST(a_session_that_drains_while_greeting_has_a_second),
        TEST(a_session_that_drains_finishes_its_answer),
        TEST(a_session_that_is_closed_tells_nobody),
        TEST(abuse_ends_the_session),
        TEST(abuse_is_logged_once_a_second),
        TEST(without_a_limit_an_idle_client_stays),
        TEST(without_a_limit_a_drain_ends_an_idle_client_all_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
