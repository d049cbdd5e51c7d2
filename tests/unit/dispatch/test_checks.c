/* Bodies that are looked at in slices: one slice a turn for all of them, each in its turn, and none after it was called off. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "dispatch/checks.h"
#include "fake/clock.h"
#include "fake/rig.h"

#define CHECKS 4
/* The size of a body; a step looks at 16 KiB of it. */
#define BODY_BYTES (64 * 16384)
/* So many steps make a slice: with each of them the clock of CPU time is looked at. */
#define STEPS_IN_SLICE 8

struct asker {
    struct body_check check;
    unsigned answers;
    unsigned turn; /* of the answer */
    enum timestamp_result result;
    struct asker *calls_off; /* when it has its answer */
};

static struct rig rig;
static struct body_checks checks;
static struct asker askers[CHECKS];
static char *body; /* lines with timestamps */
static unsigned turns;

static void on_checked(void *owner, enum timestamp_result result)
{
    struct asker *asker = owner;
    rig_expect_turning(&rig);
    asker->answers++;
    asker->turn = turns;
    asker->result = result;
    if (asker->calls_off != NULL)
        body_check_cancel(&checks, &asker->calls_off->check);
}

static int set_up(void **state)
{
    (void)state;
    memset(askers, 0, sizeof askers);
    turns = 0;
    rig_start(&rig);
    body_checks_init(&checks, rig.loop);
    for (size_t i = 0; i < CHECKS; i++) {
        askers[i].check.on_checked = on_checked;
        askers[i].check.owner = &askers[i];
    }
    body = malloc(BODY_BYTES);
    for (size_t i = 0; i < BODY_BYTES; i += 8)
        memcpy(body + i, "m f=1 5\n", 8);
    clock_look_us = LOOP_SLICE_US / STEPS_IN_SLICE;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    clock_look_us = 0;
    for (size_t i = 0; i < CHECKS; i++)
        body_check_cancel(&checks, &askers[i].check);
    assert_int_equal(checks.waiting.count, 0);
    body_checks_clear(&checks);
    rig_stop(&rig);
    free(body);
    return 0;
}

static void start(size_t number, struct text bytes, bool is_gzip)
{
    assert_true(body_check_start(&checks, &askers[number].check, bytes, is_gzip));
    assert_int_equal(askers[number].answers, 0);
}

static void start_large(size_t number)
{
    start(number, text_of(body, BODY_BYTES), false);
}

static void turn(void)
{
    turns++;
    rig_turn(&rig);
}

static void a_short_body_has_its_answer_in_the_next_turn(void **state)
{
    (void)state;
    start(0, TEXT("m f=1 5"), false);
    start(1, TEXT("m f=1"), false);
    start(2, TEXT("m f=1 5"), true);
    start(3, TEXT_EMPTY, false);
    turn();
    turn();
    assert_int_equal(askers[0].result, TIMESTAMP_EACH_LINE);
    assert_int_equal(askers[1].result, TIMESTAMP_DOUBT);
    assert_int_equal(askers[2].result, TIMESTAMP_DOUBT);
    assert_int_equal(askers[3].result, TIMESTAMP_EACH_LINE);
    for (size_t i = 0; i < CHECKS; i++)
        assert_int_equal(askers[i].answers, 1);
    for (unsigned i = 0; i < 10; i++)
        turn();
    for (size_t i = 0; i < CHECKS; i++)
        assert_int_equal(askers[i].answers, 1);
}

/* The bodies of many writes that failed together: a turn costs what it costs for one. */
static void all_bodies_together_get_one_slice_a_turn(void **state)
{
    (void)state;
    start_large(0);
    while (askers[0].answers == 0 && turns < 1000)
        turn();
    unsigned for_one = turns;
    assert_int_equal(askers[0].result, TIMESTAMP_EACH_LINE);
    assert_true(for_one >= BODY_BYTES / 16384 / STEPS_IN_SLICE);
    turns = 0;
    askers[0].answers = 0;
    for (size_t i = 0; i < CHECKS; i++)
        start_large(i);
    while (checks.waiting.count > 0 && turns < 1000) {
        uint64_t before = clock_shown_cpu_us;
        turn();
        assert_true(clock_shown_cpu_us - before <= LOOP_SLICE_US + 4 * clock_look_us);
    }
    assert_in_range(turns, CHECKS * (for_one - 1), CHECKS * (for_one + 1));
    for (size_t i = 0; i < CHECKS; i++) {
        assert_int_equal(askers[i].answers, 1);
        assert_int_equal(askers[i].result, TIMESTAMP_EACH_LINE);
    }
}

/* Taken in turns, all would be done when all of them are late. */
static void first_come_is_served_first(void **state)
{
    (void)state;
    start_large(0);
    start_large(1);
    start(2, TEXT("m f=1 5"), false);
    while (askers[2].answers == 0 && turns < 1000)
        turn();
    assert_int_equal(askers[0].answers, 1);
    assert_int_equal(askers[1].answers, 1);
    assert_int_equal(askers[2].answers, 1);
    /* The first is done when half of the time of both has gone. */
    assert_in_range(askers[0].turn * 2, askers[1].turn - 2, askers[1].turn + 2);
    assert_true(askers[2].turn - askers[1].turn <= 1);
}

static void a_check_that_is_called_off_says_nothing(void **state)
{
    (void)state;
    body_check_cancel(&checks, &askers[0].check);
    start_large(0);
    start_large(1);
    turn();
    body_check_cancel(&checks, &askers[0].check);
    body_check_cancel(&checks, &askers[0].check);
    assert_int_equal(checks.waiting.count, 1);
    while (askers[1].answers == 0 && turns < 1000)
        turn();
    assert_int_equal(askers[0].answers, 0);
    assert_int_equal(askers[1].answers, 1);
    /* It can be asked again. */
    start(0, TEXT("m f=1 5"), false);
    turn();
    turn();
    assert_int_equal(askers[0].answers, 1);
}

static void an_answer_may_call_off_another(void **state)
{
    (void)state;
    start(0, TEXT("m f=1 5"), false);
    start(1, TEXT("m f=1 5"), false);
    askers[0].calls_off = &askers[1];
    turn();
    turn();
    assert_int_equal(askers[0].answers, 1);
    assert_int_equal(askers[1].answers, 0);
    assert_int_equal(checks.waiting.count, 0);
}

/* 64 MiB of lines in less than 64 KiB: that so much is behind it is answer enough. */
static void a_bomb_is_in_doubt(void **state)
{
    (void)state;
    enum { TIMES = 64 };
    z_stream stream = {0};
    assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    size_t capacity = 1 << 20;
    char *bomb = malloc(capacity);
    stream.next_out = (unsigned char *)bomb;
    stream.avail_out = (unsigned)capacity;
    for (unsigned i = 0; i < TIMES; i++) {
        stream.next_in = (unsigned char *)body;
        stream.avail_in = BODY_BYTES;
        deflate(&stream, i + 1 == TIMES ? Z_FINISH : Z_NO_FLUSH);
    }
    size_t length = capacity - stream.avail_out;
    deflateEnd(&stream);
    start(0, text_of(bomb, length), true);
    while (askers[0].answers == 0 && turns < 10000)
        turn();
    assert_int_equal(askers[0].result, TIMESTAMP_DOUBT);
    free(bomb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(a_short_body_has_its_answer_in_the_next_turn),
        TEST(all_bodies_together_get_one_slice_a_turn),
        TEST(first_come_is_served_first),
        TEST(a_check_that_is_called_off_says_nothing),
        TEST(an_answer_may_call_off_another),
        TEST(a_bomb_is_in_doubt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
