/* The upstream link: is the node still there? When it is asked for a sign of life, and what follows from its silence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fake/h2_play.h"

static void the_node_says_something(void)
{
    far_ping(&stage.far, true);
    say();
}

static void a_node_that_is_silent_while_a_stream_waits_is_asked_and_left(void **state)
{
    (void)state;
    ask("GET");
    forget();
    pass(1950);
    assert_heard("");
    pass(100);
    assert_heard("ping ");
    assert_false(link_has_room(stage.link));
    pass(1300);
    assert_transcript("");
    pass(200);
    assert_transcript("A!link_silent closed(link_silent) ");
}

static void any_byte_shows_that_it_is_there(void **state)
{
    (void)state;
    ask("GET");
    for (unsigned i = 0; i < 3; i++) {
        far_forget(&stage.far);
        pass(2050);
        assert_heard("ping ");
        the_node_says_something();
        assert_true(link_has_room(stage.link));
    }
    pass(1000);
    far_head(&stage.far, 1, ":status: 204\n", true);
    forget();
    say();
    assert_transcript("A=204 A. ");
}

static void room_comes_back_with_the_answer_and_is_told(void **state)
{
    (void)state;
    ask("GET");
    pass(2050);
    forget();
    the_node_says_something();
    assert_transcript("room ");
}

static void nobody_is_asked_while_nothing_waits(void **state)
{
    (void)state;
    struct h2_actor *actor = ask("GET");
    far_head(&stage.far, 1, ":status: 204\n", true);
    say();
    let_go(actor);
    rig_settle(&stage.rig);
    hear();
    far_forget(&stage.far);
    pass(50000);
    assert_heard("");
    assert_true(link_has_room(stage.link));
}

/* Who asks at the end of a silence that concerned nobody gets its own two seconds. */
static void the_silence_before_a_request_does_not_count(void **state)
{
    (void)state;
    pass(4000);
    ask("GET");
    pass(1900);
    assert_heard("");
    pass(150);
    assert_heard("ping ");
}

static void a_link_that_was_idle_for_long_is_asked_with_its_next_request(void **state)
{
    (void)state;
    pass(5000);
    submit("GET");
    assert_heard("ping 1" H2_ASKED);
    assert_true(link_has_room(stage.link));
    submit("GET");
    forget();
    pass(1550);
    assert_false(link_has_room(stage.link));
    assert_transcript("");
    pass(1550);
    assert_transcript("A!link_silent B!link_silent closed(link_silent) ");
}

static void a_link_that_was_idle_for_long_and_answers_is_as_good_as_any(void **state)
{
    (void)state;
    pass(5000);
    struct h2_actor *actor = ask("GET");
    the_node_says_something();
    far_head(&stage.far, 1, ":status: 204\n", true);
    forget();
    say();
    assert_transcript("A=204 A. ");
    let_go(actor);
    pass(20000);
    assert_true(link_has_room(stage.link));
}

static void a_suspected_link_is_asked_at_once(void **state)
{
    (void)state;
    ask("GET");
    link_suspect(stage.link);
    link_suspect(stage.link);
    rig_settle(&stage.rig);
    assert_heard("ping ");
    assert_false(link_has_room(stage.link));
    the_node_says_something();
    assert_true(link_has_room(stage.link));
    link_suspect(stage.link);
    forget();
    pass(1550);
    assert_transcript("A!link_silent closed(link_silent) ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_node, tear_down)
        TEST(a_node_that_is_silent_while_a_stream_waits_is_asked_and_left),
        TEST(any_byte_shows_that_it_is_there),
        TEST(room_comes_back_with_the_answer_and_is_told),
        TEST(nobody_is_asked_while_nothing_waits),
        TEST(the_silence_before_a_request_does_not_count),
        TEST(a_link_that_was_idle_for_long_is_asked_with_its_next_request),
        TEST(a_link_that_was_idle_for_long_and_answers_is_as_good_as_any),
        TEST(a_suspected_link_is_asked_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
