/* Which HTTP a clear-text node is asked in, probe by probe. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "routing/version_search.h"

static struct version_search search;
static unsigned known;

static int set_up(void **state)
{
    (void)state;
    search = (struct version_search){0};
    known = 0;
    return 0;
}

/* One probe of a node that does this when it is asked in HTTP/2 and in HTTP/1: '2' and '1' answer, 'x' closes, '.' is silent. */
static bool probe(char to_http2, char to_http1)
{
    bool is_http2 = version_search_begin(&search, known);
    char deed = is_http2 ? to_http2 : to_http1;
    if (is_http2 && deed == 'x') {
        if (!version_search_failed(&search, known))
            return true;
        deed = to_http1;
    } else if (is_http2 && deed == '.') {
        version_search_silent(&search, known);
    }
    if (deed == '1' || deed == '2') {
        unsigned found = version_search_answered(&search, known, (unsigned)(deed - '0'));
        known = found != 0 ? found : known;
    } else if (to_http1 == deed && !(is_http2 && deed == '.')) {
        version_search_unanswered(&search, known);
    }
    return is_http2;
}

static void one_answer_settles_it(void **state)
{
    (void)state;
    assert_true(probe('2', '1'));
    assert_int_equal(known, 2);
    assert_true(probe('2', '1'));
}

static void a_close_is_the_word_of_an_old_node(void **state)
{
    (void)state;
    assert_true(probe('x', '1'));
    assert_int_equal(known, 1);
    for (unsigned i = 0; i < 15; i++)
        assert_false(probe('x', '1'));
    assert_true(probe('2', '1'));
    assert_int_equal(known, 2);
}

static void a_missed_first_answer_is_none(void **state)
{
    (void)state;
    assert_true(probe('.', '1'));
    assert_false(probe('2', '1'));
    assert_int_equal(known, 0);
    assert_true(probe('2', '1'));
    assert_int_equal(known, 2);
}

static void silence_twice_is_the_word_of_an_old_node(void **state)
{
    (void)state;
    probe('.', '1');
    probe('.', '1');
    assert_true(probe('.', '1'));
    assert_false(probe('.', '1'));
    assert_int_equal(known, 1);
    for (unsigned i = 0; i < 14; i++)
        assert_false(probe('.', '1'));
    assert_true(probe('.', '1'));
    assert_false(probe('.', '1'));
    assert_int_equal(known, 1);
}

/* It starts: nothing of what it did before its first answer counts. */
static void a_node_that_is_not_there_yet_is_asked_in_http2_again(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++)
        assert_true(probe('x', 'x'));
    assert_true(probe('2', '1'));
    assert_int_equal(known, 2);
    set_up(NULL);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(probe('.', '.'), i % 2 == 0);
    assert_true(probe('2', '1'));
    assert_int_equal(known, 2);
}

static void a_node_that_spoke_http2_must_fail_three_times(void **state)
{
    (void)state;
    probe('2', '1');
    probe('x', '1');
    probe('x', '1');
    assert_int_equal(known, 2);
    probe('2', '1');
    probe('x', '1');
    probe('x', '1');
    probe('x', '1');
    assert_int_equal(known, 1);
    assert_false(probe('2', '1'));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(one_answer_settles_it, set_up),
        cmocka_unit_test_setup(a_close_is_the_word_of_an_old_node, set_up),
        cmocka_unit_test_setup(a_missed_first_answer_is_none, set_up),
        cmocka_unit_test_setup(silence_twice_is_the_word_of_an_old_node, set_up),
        cmocka_unit_test_setup(a_node_that_is_not_there_yet_is_asked_in_http2_again, set_up),
        cmocka_unit_test_setup(a_node_that_spoke_http2_must_fail_three_times, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
