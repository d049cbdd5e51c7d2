/* Requests that come when their connection is about to be closed for being idle. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fake/session_stage.h"

/* What has come and is no HTTP/2; returns how much. */
static size_t hear_raw(void)
{
    rig_settle(&stage.rig);
    ssize_t got = read(stage.far.fd, stage.far.heard, sizeof stage.far.heard);
    return got > 0 ? (size_t)got : 0;
}

/* What it is told of the 5 seconds are 4.5: behind that its request may cross the end, so the answer is the last one here. */
static void a_late_request_is_the_last_one(void **state)
{
    (void)state;
    say_words(GET_1);
    for (int i = 0; i < 3; i++) {
        pass(4400);
        say_words(GET_1);
    }
    assert_transcript("h1:/x h1:/x h1:/x h1:/x ");
    pass(4500);
    say_words(GET_1);
    rig_settle(&stage.rig);
    assert_non_null(memmem(stage.far.heard, hear_raw(), "Connection: close\r\n", 19));
    close(stage.far.fd);
    stage.far.fd = -1;
    rig_settle(&stage.rig);
    assert_transcript("h1:/x h1:/x h1:/x h1:/x h1:/x closed(none) ");
}

static void a_late_request_of_http_2_is_followed_by_goaway(void **state)
{
    (void)state;
    greet();
    say_words("");
    get(1);
    pass(4400);
    get(3);
    hear();
    assert_string_equal(stage.far.words, "1{:status=204}. 3{:status=204}. ");
    pass(4500);
    get(5);
    hear();
    assert_non_null(strstr(stage.far.words, "5{:status=204}. "));
    assert_non_null(strstr(stage.far.words, "goaway(2147483647,0)"));
    /* One that comes with it is served, too. */
    get(7);
    hear();
    assert_non_null(strstr(stage.far.words, "7{:status=204}. "));
}

static void a_client_is_told_a_little_less_than_it_gets(void **state)
{
    (void)state;
    static const struct {
        uint64_t keep_alive_ms, told_s;
    } rows[] = {{0, 0}, {100, 0}, {1000, 0}, {2000, 1}, {10000, 9}, {50000, 45}, {60000, 55}, {310000, 305}, {86400000, 86395}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(session_told_keep_alive_s(rows[i].keep_alive_ms), rows[i].told_s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(a_late_request_is_the_last_one),
        TEST(a_late_request_of_http_2_is_followed_by_goaway),
        TEST(a_client_is_told_a_little_less_than_it_gets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
