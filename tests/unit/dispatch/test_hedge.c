/* A query that its node keeps waiting goes to a second one beside: who wins, what becomes of the other, and what is never hedged. */
#include "fake/dispatch_stage.h"
#include "upstream/standings.h"

#define HEDGE_MS 100
#define FIRST (other_than(second))

static unsigned second; /* the node that was asked beside */

static int set_up_hedge(void **state)
{
    set_up(state);
    cluster.topology.queries_hedge_ms = HEDGE_MS;
    return 0;
}

static unsigned other_than(unsigned node)
{
    return 1 - node;
}

static unsigned long hedges(void)
{
    return atomic_load(&cluster.metrics.hedges);
}

static unsigned long won(void)
{
    return atomic_load(&cluster.metrics.hedges_won);
}

static bool was_cancelled(unsigned node)
{
    return at_node(node)->is_released;
}

/* A query at one node, and beside at the other. */
static void hedged_query(void)
{
    query();
    unsigned first = asked_node();
    pass(HEDGE_MS + LOOP_TICK_MS);
    second = asked_node();
    assert_int_not_equal(first, second);
    assert_int_equal(attempts(), 2);
}

static void in_time_nothing_happens(void **state)
{
    (void)state;
    query();
    pass(HEDGE_MS - LOOP_TICK_MS);
    assert_int_equal(attempts(), 1);
    answer(asked_node(), 200, "rows");
    assert_heard("hde");
    assert_int_equal(hedges(), 0);
}

static void it_is_off_by_itself(void **state)
{
    (void)state;
    cluster.topology.queries_hedge_ms = TOPOLOGY_HEDGE_OFF;
    query();
    pass(10000);
    assert_int_equal(attempts(), 1);
    answer(asked_node(), 200, "rows");
}

static void the_second_ones_answer_is_the_clients(void **state)
{
    (void)state;
    hedged_query();
    assert_int_equal(hedges(), 1);
    assert_int_equal(atomic_load(&cluster.metrics.retries), 1);
    node_head(second, 200, BODY_STREAM, "");
    assert_true(was_cancelled(FIRST));
    node_data(second, "rows");
    node_end(second);
    assert_heard("hde");
    assert_string_equal(stage.caller->body, "rows");
    assert_string_equal(stage.caller->node_id, shared(second)->node_id);
    assert_int_equal(stage.caller->attempts, 2);
    assert_int_equal(won(), 1);
    assert_int_equal(count_failures(0) + count_failures(1), 0);
}

static void the_first_ones_answer_ends_the_second(void **state)
{
    (void)state;
    hedged_query();
    node_head(FIRST, 200, BODY_STREAM, "");
    assert_true(was_cancelled(second));
    node_data(FIRST, "rows");
    node_end(FIRST);
    assert_heard("hde");
    assert_string_equal(stage.caller->node_id, shared(FIRST)->node_id);
    assert_int_equal(stage.caller->attempts, 2);
    assert_int_equal(won(), 0);
}

static void an_error_of_the_second_one_does_not_count(void **state)
{
    (void)state;
    static const unsigned statuses[] = {503, 500, 429, 404, 400, 401};
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        hedged_query();
        node_head(second, statuses[i], BODY_STREAM, "");
        if (!was_cancelled(second))
            node_end(second);
        assert_heard("");
        pass(HEDGE_MS * 3);
        assert_int_equal(attempts(), 2);
        answer(FIRST, 200, "rows");
        assert_heard("hde");
        assert_string_equal(stage.caller->body, "rows");
        begin_anew();
        standings_forget(shared(second), loop_now_ms(cluster.rig.loop));
    }
}

static void a_failure_of_the_second_one_does_not_count(void **state)
{
    (void)state;
    hedged_query();
    node_fails(second, FAULT_UPSTREAM_RESET);
    assert_heard("");
    answer(FIRST, 200, "rows");
    assert_heard("hde");
}

static void when_the_first_one_fails_the_second_goes_on(void **state)
{
    (void)state;
    hedged_query();
    node_fails(FIRST, FAULT_UPSTREAM_RESET);
    assert_heard("");
    assert_int_equal(attempts(), 2);
    answer(second, 200, "rows");
    assert_heard("hde");
    assert_int_equal(won(), 0);
}

static void an_error_of_the_first_one_waits_for_the_second(void **state)
{
    (void)state;
    hedged_query();
    answer(FIRST, 503, "not now");
    assert_heard("");
    answer(second, 200, "rows");
    assert_heard("hde");
    assert_int_equal(stage.caller->status, 200);
}

/* It had the whole budget of an attempt that goes to another node for an error. */
static void the_second_error_is_the_clients(void **state)
{
    (void)state;
    cluster_serve(3, NODE_CAPABILITY_QUERY);
    query();
    unsigned first = asked_node();
    pass(HEDGE_MS + LOOP_TICK_MS);
    second = asked_node();
    answer(first, 503, "not now");
    answer(second, 503, "nor here");
    assert_int_equal(attempts(), 2);
    assert_heard("hde");
    assert_string_equal(stage.caller->body, "nor here");
}

static void when_both_break_another_one_is_asked(void **state)
{
    (void)state;
    cluster_serve(3, NODE_CAPABILITY_QUERY);
    query();
    unsigned first = asked_node();
    pass(HEDGE_MS + LOOP_TICK_MS);
    second = asked_node();
    node_fails(second, FAULT_UPSTREAM_RESET);
    node_fails(first, FAULT_UPSTREAM_RESET);
    settle();
    assert_int_equal(attempts(), 3);
    assert_int_equal(asked_node(), 3 - first - second);
    answer(asked_node(), 200, "rows");
    assert_heard("hde");
    assert_int_equal(stage.caller->attempts, 3);
}

static void a_client_that_leaves_ends_both(void **state)
{
    (void)state;
    hedged_query();
    let_go(stage.caller);
    assert_true(was_cancelled(0));
    assert_true(was_cancelled(1));
}

static void the_limit_of_the_first_one_leaves_the_second(void **state)
{
    (void)state;
    cluster.topology.timeouts.response_ms = 1000;
    hedged_query();
    pass(1000 - HEDGE_MS / 2);
    assert_true(was_cancelled(FIRST));
    assert_heard("");
    answer(second, 200, "rows");
    assert_heard("hde");
    assert_int_equal(stage.caller->attempts, 2);
}

static void who_waits_for_a_link_may_win_later(void **state)
{
    (void)state;
    query();
    unsigned first = asked_node();
    cluster.pool.nodes[other_than(first)].supply = SUPPLY_WAITS;
    pass(HEDGE_MS + LOOP_TICK_MS);
    assert_int_equal(hedges(), 1);
    node_serve(other_than(first));
    answer(other_than(first), 200, "rows");
    assert_heard("hde");
    assert_true(at_node(first)->is_released);
}

static void without_a_link_the_first_one_goes_on(void **state)
{
    (void)state;
    query();
    unsigned first = asked_node();
    cluster.pool.nodes[other_than(first)].supply = SUPPLY_REFUSES;
    cluster.pool.nodes[other_than(first)].refusal = FAULT_CONNECT_REFUSED;
    pass(HEDGE_MS * 3);
    answer(first, 200, "rows");
    assert_heard("hde");
    assert_int_equal(stage.caller->attempts, 2);
}

/* ---- what is never hedged ---- */

static void without_a_token_it_waits(void **state)
{
    (void)state;
    cluster.topology.retries = (struct topology_retries){.floor = 0};
    struct retry_budget_rates rates = {.floor = 0};
    uint64_t wait_ms;
    while (roster_take_retry(cluster.roster, &rates, loop_now_ms(cluster.rig.loop), &wait_ms))
        continue;
    query();
    pass(HEDGE_MS * 3);
    assert_int_equal(attempts(), 1);
    answer(asked_node(), 200, "rows");
    assert_int_equal(atomic_load(&cluster.metrics.retries_waited), 0);
}

static void without_another_node_it_waits(void **state)
{
    (void)state;
    take_down(1);
    query();
    pass(HEDGE_MS * 3);
    assert_int_equal(attempts(), 1);
    answer(0, 200, "rows");
}

static void writes_are_never_hedged(void **state)
{
    (void)state;
    cluster_serve(2, NODE_CAPABILITY_INGEST);
    write_lines("m f=1 1\n");
    pass(1500);
    assert_int_equal(attempts(), 1);
    answer(asked_node(), 204, "");
}

static void a_named_node_is_the_one_that_is_meant(void **state)
{
    (void)state;
    ask("POST", QUERY, "content-type: application/json\nx-sluice-node: query-02\n", BODY_STREAM);
    send_words("{}");
    send_end();
    pass(HEDGE_MS * 3);
    assert_int_equal(attempts(), 1);
    answer(1, 200, "rows");
}

static void what_is_not_kept_goes_to_one_node(void **state)
{
    (void)state;
    cluster.topology.limits.replay_bytes = 1;
    query();
    pass(HEDGE_MS * 3);
    assert_int_equal(attempts(), 1);
    answer(asked_node(), 200, "rows");
}

/* Not before the node has all of it. */
static void a_client_that_sends_slowly_is_not_the_nodes_fault(void **state)
{
    (void)state;
    ask("POST", QUERY, "content-type: application/json\n", BODY_STREAM);
    send_words("{");
    pass(HEDGE_MS * 3);
    assert_int_equal(attempts(), 1);
    send_words("}");
    send_end();
    pass(HEDGE_MS / 2);
    assert_int_equal(attempts(), 1);
    pass(HEDGE_MS);
    assert_int_equal(attempts(), 2);
    answer(asked_node(), 200, "rows");
}

/* ---- by the percentile ---- */

static void answered_queries(unsigned count)
{
    while (count-- > 0) {
        query();
        answer(asked_node(), 200, "");
        begin_anew();
    }
}

static void the_percentile_counts_once_it_is_known(void **state)
{
    (void)state;
    cluster.topology.queries_hedge_ms = TOPOLOGY_HEDGE_P95;
    query();
    pass(1000);
    assert_int_equal(attempts(), 1);
    answer(asked_node(), 200, "");
    begin_anew();
    answered_queries(LATENCY_SAMPLES_MINIMUM);
    query();
    pass(3 * LOOP_TICK_MS);
    assert_int_equal(attempts(), 2);
    answer(asked_node(), 200, "");
}

/* ---- what becomes of the loser ---- */

static void who_was_outrun_looks_busy_for_as_long_as_its_answers_take(void **state)
{
    (void)state;
    hedged_query();
    unsigned slow = FIRST;
    answer(second, 200, "rows");
    assert_true(standings_took_ms(shared(slow), REQUEST_CLASS_QUERY) > HEDGE_MS);
    assert_int_equal(atomic_load(&shared(slow)->owed), 1);
    assert_int_equal(atomic_load(&shared(other_than(slow))->owed), 0);
    pass(HEDGE_MS);
    assert_int_equal(atomic_load(&shared(slow)->owed), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up_hedge, tear_down)
        TEST(in_time_nothing_happens),
        TEST(it_is_off_by_itself),
        TEST(the_second_ones_answer_is_the_clients),
        TEST(the_first_ones_answer_ends_the_second),
        TEST(an_error_of_the_second_one_does_not_count),
        TEST(a_failure_of_the_second_one_does_not_count),
        TEST(when_the_first_one_fails_the_second_goes_on),
        TEST(an_error_of_the_first_one_waits_for_the_second),
        TEST(the_second_error_is_the_clients),
        TEST(when_both_break_another_one_is_asked),
        TEST(a_client_that_leaves_ends_both),
        TEST(the_limit_of_the_first_one_leaves_the_second),
        TEST(who_waits_for_a_link_may_win_later),
        TEST(without_a_link_the_first_one_goes_on),
        TEST(without_a_token_it_waits),
        TEST(without_another_node_it_waits),
        TEST(writes_are_never_hedged),
        TEST(a_named_node_is_the_one_that_is_meant),
        TEST(what_is_not_kept_goes_to_one_node),
        TEST(a_client_that_sends_slowly_is_not_the_nodes_fault),
        TEST(the_percentile_counts_once_it_is_known),
        TEST(who_was_outrun_looks_busy_for_as_long_as_its_answers_take),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
