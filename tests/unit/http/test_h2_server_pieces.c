/* The downstream HTTP/2 link: in which pieces a body is given up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake/h2_play.h"

static unsigned pieces;

static void count_piece(void)
{
    pieces++;
}

/* Each piece that is given up may be a chunk of its own towards a node: a frame for each byte makes two of them, not a hundred. */
static void small_frames_of_one_read_are_given_together(void **state)
{
    (void)state;
    struct h2_actor *actor = post(1);
    pieces = 0;
    stage.interfere = count_piece;
    for (int i = 0; i < 100; i++)
        far_data(&stage.far, 1, TEXT("x"), false);
    say();
    assert_int_equal(pieces, 2);
    far_data(&stage.far, 1, TEXT("y"), false);
    say();
    assert_int_equal(pieces, 3);
    /* The order is kept, whatever comes between them, and the end comes last. */
    forget();
    far_data(&stage.far, 1, TEXT("a"), false);
    far_data(&stage.far, 1, TEXT("b"), false);
    far_data(&stage.far, 1, long_text(600), false);
    far_data(&stage.far, 1, TEXT("c"), true);
    stage.interfere = NULL;
    say();
    assert_transcript("A[#603] A. ");
    answer(actor, 204);
}

static void a_large_frame_is_given_where_it_is(void **state)
{
    (void)state;
    struct h2_actor *actor = post(1);
    pieces = 0;
    stage.interfere = count_piece;
    for (int i = 0; i < 5; i++)
        far_data(&stage.far, 1, long_text(600), false);
    say();
    assert_int_equal(pieces, 5);
    stage.interfere = NULL;
    answer(actor, 204);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_client, tear_down)
        TEST(small_frames_of_one_read_are_given_together),
        TEST(a_large_frame_is_given_where_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
