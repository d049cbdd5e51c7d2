/* What is remembered of a client's streams that have ended. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "http/h2_past.h"

static struct h2_past past;

static int set_up(void **state)
{
    (void)state;
    memset(&past, 0, sizeof past);
    return 0;
}

static void a_stream_has_ended_unless_we_have_reset_it(void **state)
{
    (void)state;
    for (int32_t id = 1; id < 200; id += 2)
        h2_past_note_head(&past, id);
    h2_past_note_reset(&past, 101);
    h2_past_note_reset(&past, 7);
    for (int32_t id = 1; id < 200; id += 2)
        assert_int_equal(h2_past_find(&past, id), id == 101 || id == 7 ? H2_PAST_RESET_HERE : H2_PAST_ENDED);
}

static void streams_may_be_skipped(void **state)
{
    (void)state;
    h2_past_note_head(&past, 5);
    assert_int_equal(h2_past_find(&past, 1), H2_PAST_SKIPPED);
    assert_int_equal(h2_past_find(&past, 3), H2_PAST_SKIPPED);
    assert_int_equal(h2_past_find(&past, 5), H2_PAST_ENDED);
    h2_past_note_head(&past, 7);
    h2_past_note_head(&past, 5); /* trailers */
    assert_int_equal(h2_past_find(&past, 3), H2_PAST_SKIPPED);
    h2_past_note_head(&past, 11);
    assert_int_equal(h2_past_find(&past, 9), H2_PAST_SKIPPED);
    assert_int_equal(h2_past_find(&past, 7), H2_PAST_ENDED);
    assert_int_equal(h2_past_find(&past, 11), H2_PAST_ENDED);
}

/* Whoever may have been reset by us gets the benefit of the doubt. */
static void below_what_is_forgotten_there_is_doubt(void **state)
{
    (void)state;
    for (int32_t id = 1; id < 1000; id += 2)
        h2_past_note_head(&past, id);
    for (int32_t id = 101; id < 101 + 4 * H2_PAST_RESETS; id += 4)
        h2_past_note_reset(&past, id);
    assert_int_equal(h2_past_find(&past, 99), H2_PAST_ENDED);
    assert_int_equal(h2_past_find(&past, 103), H2_PAST_ENDED);
    h2_past_note_reset(&past, 901);
    assert_int_equal(h2_past_find(&past, 99), H2_PAST_RESET_HERE);
    assert_int_equal(h2_past_find(&past, 101), H2_PAST_RESET_HERE);
    assert_int_equal(h2_past_find(&past, 103), H2_PAST_ENDED);
    assert_int_equal(h2_past_find(&past, 105), H2_PAST_RESET_HERE);
    assert_int_equal(h2_past_find(&past, 901), H2_PAST_RESET_HERE);
    assert_int_equal(h2_past_find(&past, 903), H2_PAST_ENDED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_stream_has_ended_unless_we_have_reset_it, set_up),
        cmocka_unit_test_setup(streams_may_be_skipped, set_up),
        cmocka_unit_test_setup(below_what_is_forgotten_there_is_doubt, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
