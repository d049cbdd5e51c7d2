/* The downstream HTTP/2 link: what a stream that is refused costs its client, and floods of frames that nobody waits for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fake/h2_play.h"

/* One stream is open, and it is all that is allowed. */
static void fill_up(void)
{
    stage.settings.streams_maximum = 1;
    renew_context();
    client_comes();
    get(1);
    forget();
}

/* ---- refused, and then silence ---- */

static void a_refused_stream_and_silence_harm_nobody(void **state)
{
    (void)state;
    fill_up();
    far_head(&stage.far, 3, H2_GET, true);
    say();
    assert_heard("3!7 ");
    pass(6000);
    assert_transcript("");
    answer(&stage.actors[0], 204);
    assert_heard("1{:status=204}. ");
}

static void a_malformed_stream_and_silence_harm_nobody(void **state)
{
    (void)state;
    get(1);
    forget();
    far_head(&stage.far, 3, H2_GET "connection: close\n", true);
    say();
    assert_heard("3!1 ");
    pass(6000);
    assert_transcript("");
    answer(&stage.actors[0], 204);
    assert_heard("1{:status=204}. ");
}

/* Half of a head that is refused anyway is still half of a head. */
static void half_a_head_is_not_waited_for_for_ever(void **state)
{
    (void)state;
    get(1);
    forget();
    uint8_t block[1000];
    size_t length = far_block(&stage.far, H2_GET, block, sizeof block);
    far_frame(&stage.far, H2_HEADERS, H2_END_STREAM, 3, block, length);
    say();
    pass(6000);
    assert_transcript("A!request_timeout closed(request_timeout) ");
}

/* ---- the budget of refused streams ---- */

static void speak_one_too_many(int number)
{
    far_head(&stage.far, 3 + 2 * number, H2_GET, true);
}

static void a_refused_stream_is_paid_for_once(void **state)
{
    (void)state;
    fill_up();
    flood(speak_one_too_many, 190, 1);
    assert_transcript("");
    for (int i = 190; i < 210; i++)
        speak_one_too_many(i);
    say();
    assert_abuse("reset");
}

/* Many libraries take "as many as you like" for granted until they have read otherwise. */
static void who_could_not_know_the_limit_pays_nothing_for_it(void **state)
{
    (void)state;
    stage.settings.streams_maximum = 1;
    renew_context();
    link_up_on_pair(true);
    stage.is_terse = true;
    far_put(&stage.far, H2_PREFACE, H2_PREFACE_BYTES);
    far_frame(&stage.far, H2_SETTINGS, 0, 0, NULL, 0);
    far_head(&stage.far, 1, H2_GET, true);
    flood(speak_one_too_many, 400, 20);
    assert_transcript("A=GET / A. ");
    far_frame(&stage.far, H2_SETTINGS, H2_ACK, 0, NULL, 0);
    for (int i = 400; i < 610; i++)
        speak_one_too_many(i);
    say();
    assert_abuse("reset");
}

/* ---- frames that nobody waits for ---- */

/* Trailers that may have been on their way. */
static void speak_head_of_the_past(int number)
{
    (void)number;
    far_head(&stage.far, 1, H2_GET, true);
}

static void speak_answer_to_no_ping(int number)
{
    (void)number;
    far_ping(&stage.far, true);
}

static void send_goaway(int number)
{
    (void)number;
    far_goaway(&stage.far, 0, 0);
}

static void frames_that_nobody_waits_for_run_out(void **state)
{
    (void)state;
    static const struct {
        void (*speak)(int number);
        int spared;
        const char *kind;
    } floods[] = {{speak_head_of_the_past, 380, "stale_frame"},
                  {speak_answer_to_no_ping, 380, "ping"},
                  {send_goaway, 95, "settings"}};
    for (size_t i = 0; i < sizeof floods / sizeof floods[0]; i++) {
        renew_context();
        client_comes();
        answer(post(1), 204); /* before its end, so it is reset */
        get(3); /* a link without streams reads nothing behind GOAWAY */
        hear();
        far_forget(&stage.far);
        forget();
        flood(floods[i].speak, floods[i].spared, 10);
        if (strstr(stage.transcript, "abuse") != NULL)
            fail_msg("%s too early: %s", floods[i].kind, stage.transcript);
        flood(floods[i].speak, 40, 10);
        assert_abuse(floods[i].kind);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_client, tear_down)
        TEST(a_refused_stream_and_silence_harm_nobody),
        TEST(a_malformed_stream_and_silence_harm_nobody),
        TEST(half_a_head_is_not_waited_for_for_ever),
        TEST(a_refused_stream_is_paid_for_once),
        TEST(who_could_not_know_the_limit_pays_nothing_for_it),
        TEST(frames_that_nobody_waits_for_run_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
