/* Who waits for a node that says nothing: when the node is suspected, and who is sent elsewhere when it is lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fake/dispatch_stage.h"

static bool take_suspicion(unsigned node)
{
    return atomic_exchange(&shared(node)->suspected, 0) != 0;
}

static void lose(unsigned node)
{
    roster_node_set_health(shared(node), HEALTH_DOWN);
    pass(300);
    settle();
    pass(300);
}

/* ---- suspicion ---- */

static void a_node_that_is_silent_while_somebody_waits_is_suspected(void **state)
{
    (void)state;
    query();
    unsigned node = asked_node();
    pass(1900);
    assert_false(take_suspicion(node));
    pass(400);
    assert_true(take_suspicion(node));
    assert_int_equal(cluster.pool.nodes[node].suspected, 1);
    /* Not with each look, but again after as long a silence. */
    pass(1600);
    assert_false(take_suspicion(node));
    pass(700);
    assert_true(take_suspicion(node));
    assert_false(take_suspicion(!node));
}

static void a_node_from_which_something_comes_is_not(void **state)
{
    (void)state;
    query();
    unsigned node = asked_node();
    for (unsigned i = 0; i < 4; i++) {
        pass(1500);
        cluster.pool.nodes[node].link.heard_ms = loop_now_ms(cluster.rig.loop);
    }
    assert_false(take_suspicion(node));
}

static void an_answer_to_somebody_else_shows_that_it_is_there(void **state)
{
    (void)state;
    cluster_serve(1, NODE_CAPABILITY_QUERY);
    query();
    pass(1500);
    stage.caller = &stage.callers[1];
    query();
    answer(0, 200, "");
    pass(1500);
    assert_false(take_suspicion(0));
    pass(700);
    assert_true(take_suspicion(0));
}

static void a_slow_client_is_not_the_silence_of_the_node(void **state)
{
    (void)state;
    cluster_serve(1, NODE_CAPABILITY_INGEST);
    ask("POST", WRITE, "", BODY_STREAM);
    send_words("m v=1 1000\n");
    pass(4000);
    assert_false(take_suspicion(0));
    cluster.pool.nodes[0].streams[0].congests = true;
    send_words("m v=2 2000\n");
    pass(2300);
    assert_true(take_suspicion(0));
}

/* ---- the node is lost ---- */

static void a_query_goes_elsewhere_at_once(void **state)
{
    (void)state;
    query();
    unsigned node = asked_node();
    lose(node);
    assert_int_equal(attempts(), 2);
    assert_string_equal(at_node(!node)->body, "{}");
    answer(!node, 200, "");
    assert_heard("he");
}

static void a_write_with_timestamps_goes_elsewhere_and_a_bare_one_waits(void **state)
{
    (void)state;
    cluster_serve(2, NODE_CAPABILITY_INGEST);
    write_lines("m v=1 1000");
    unsigned node = asked_node();
    lose(node);
    assert_int_equal(attempts(), 2);
    answer(!node, 204, "");
    assert_heard("he");
    begin_anew();
    roster_node_set_health(shared(node), HEALTH_UP);
    cluster.pool.nodes[0].attempts = cluster.pool.nodes[1].attempts = 0;
    write_lines("m v=1");
    node = asked_node();
    lose(node);
    assert_int_equal(attempts(), 1);
    assert_heard("");
    answer(node, 204, "");
    assert_heard("he");
}

static void an_answer_that_comes_while_timestamps_are_looked_at_is_the_answer(void **state)
{
    (void)state;
    cluster_serve(2, NODE_CAPABILITY_INGEST);
    write_lines("m v=1 1000");
    unsigned node = asked_node();
    roster_node_set_health(shared(node), HEALTH_DOWN);
    clock_advance(300);
    rig_turn(&cluster.rig);
    answer(node, 204, "");
    settle();
    assert_heard("he");
    assert_int_equal(stage.caller->attempts, 1);
}

static void a_fault_that_comes_while_timestamps_are_looked_at_waits_for_them(void **state)
{
    (void)state;
    cluster_serve(2, NODE_CAPABILITY_INGEST);
    write_lines("m v=1 1000");
    unsigned node = asked_node();
    roster_node_set_health(shared(node), HEALTH_DOWN);
    clock_advance(300);
    rig_turn(&cluster.rig);
    if (attempts() == 1)
        node_fails(node, FAULT_UPSTREAM_RESET);
    settle();
    assert_int_equal(attempts(), 2);
    answer(!node, 204, "");
    assert_heard("he");
}

static void who_waits_for_a_link_to_it_goes_elsewhere(void **state)
{
    (void)state;
    cluster.pool.nodes[0].supply = cluster.pool.nodes[1].supply = SUPPLY_WAITS;
    query();
    unsigned node = cluster.pool.nodes[1].waiting != NULL;
    cluster.pool.nodes[!node].supply = SUPPLY_READY;
    lose(node);
    assert_null(cluster.pool.nodes[node].waiting);
    answer(!node, 200, "");
    assert_heard("he");
}

static void what_has_begun_stays(void **state)
{
    (void)state;
    query();
    unsigned node = asked_node();
    node_head(node, 200, BODY_STREAM, "");
    lose(node);
    assert_int_equal(attempts(), 1);
    node_end(node);
    assert_heard("he");
}

static void without_another_node_it_is_waited_for(void **state)
{
    (void)state;
    cluster_serve(1, NODE_CAPABILITY_QUERY);
    query();
    lose(0);
    assert_int_equal(attempts(), 1);
    answer(0, 200, "");
    assert_heard("he");
}

/* ---- a node that is slower than the others ---- */

static void acknowledge_quickly(unsigned node)
{
    for (unsigned i = 0; i < 20; i++)
        roster_node_note_write(shared(node), 50);
}

static void a_late_write_goes_to_a_node_that_is_quicker(void **state)
{
    (void)state;
    cluster_serve(2, NODE_CAPABILITY_INGEST);
    acknowledge_quickly(0);
    acknowledge_quickly(1);
    write_lines("m v=1 1000");
    unsigned node = asked_node();
    pass(1900);
    settle();
    assert_int_equal(attempts(), 1);
    pass(400);
    settle();
    pass(300);
    assert_int_equal(attempts(), 2);
    answer(!node, 204, "");
    assert_heard("he");
}

static void a_late_write_stays_where_all_are_slow_and_where_it_has_no_times(void **state)
{
    (void)state;
    cluster_serve(2, NODE_CAPABILITY_INGEST);
    for (unsigned i = 0; i < 20; i++) {
        roster_node_note_write(shared(0), 1900);
        roster_node_note_write(shared(1), 1900);
    }
    write_lines("m v=1 1000");
    pass(3700);
    settle();
    pass(200);
    assert_int_equal(attempts(), 1);
    answer(asked_node(), 204, "");
    begin_anew();
    for (unsigned i = 0; i < 100; i++) {
        acknowledge_quickly(0);
        acknowledge_quickly(1);
    }
    cluster.pool.nodes[0].attempts = cluster.pool.nodes[1].attempts = 0;
    write_lines("m v=1");
    pass(3000);
    settle();
    pass(300);
    assert_int_equal(attempts(), 1);
}

/* Whoever is slow costs no repeat that somebody with a fault would need. */
static void a_late_write_without_a_token_stays(void **state)
{
    (void)state;
    cluster_serve(2, NODE_CAPABILITY_INGEST);
    cluster.topology.retries.floor = 0;
    acknowledge_quickly(0);
    acknowledge_quickly(1);
    write_lines("m v=1 1000");
    pass(2300);
    settle();
    pass(600);
    assert_int_equal(attempts(), 1);
    answer(asked_node(), 204, "");
    assert_heard("he");
}

static void acknowledgements_are_measured(void **state)
{
    (void)state;
    cluster_serve(1, NODE_CAPABILITY_INGEST);
    write_lines("m v=1");
    pass(700);
    answer(0, 204, "");
    assert_in_range(slow_write_average_ms(atomic_load(&shared(0)->write_average)), 700, 760);
    begin_anew();
    write_lines("m v=1");
    pass(5000);
    answer(0, 400, "{}");
    assert_in_range(slow_write_average_ms(atomic_load(&shared(0)->write_average)), 700, 760);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(a_node_that_is_silent_while_somebody_waits_is_suspected),
        TEST(a_node_from_which_something_comes_is_not),
        TEST(an_answer_to_somebody_else_shows_that_it_is_there),
        TEST(a_slow_client_is_not_the_silence_of_the_node),
        TEST(a_query_goes_elsewhere_at_once),
        TEST(a_write_with_timestamps_goes_elsewhere_and_a_bare_one_waits),
        TEST(an_answer_that_comes_while_timestamps_are_looked_at_is_the_answer),
        TEST(a_fault_that_comes_while_timestamps_are_looked_at_waits_for_them),
        TEST(who_waits_for_a_link_to_it_goes_elsewhere),
        TEST(what_has_begun_stays),
        TEST(without_another_node_it_is_waited_for),
        TEST(a_late_write_goes_to_a_node_that_is_quicker),
        TEST(a_late_write_stays_where_all_are_slow_and_where_it_has_no_times),
        TEST(a_late_write_without_a_token_stays),
        TEST(acknowledgements_are_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
