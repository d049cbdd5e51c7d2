/* What the outcomes of attempts say of their nodes: who is set aside, by what, and how requests find out that it works again. */
#include "fake/dispatch_stage.h"

#define TIMED "m v=1 1000"

static int begin(void **state)
{
    set_up(state);
    cluster.topology.health = (struct topology_health){
        .slow_start_ms = 10000, .eject = {.failures = 5, .share = 500, .maximum_share = 500, .time_ms = 5000}};
    random_seed(&cluster.dispatch.random, 1);
    pass(1000);
    return 0;
}

static bool is_aside(unsigned node, enum request_class class)
{
    return standings_is_aside(shared(node), class);
}

/* Queries: this node says what it says, any other answers after so long. True when the request was answered with 200. */
static bool query_once(unsigned bad, void (*say)(unsigned node), uint64_t good_ms)
{
    begin_anew();
    query();
    while (stage.caller->stream != NULL) {
        if (asked_node() == bad) {
            say(bad);
            continue;
        }
        pass(good_ms);
        answer(asked_node(), 200, "[]");
    }
    return stage.caller->status == 200;
}

static void say_503(unsigned node)
{
    answer(node, 503, "");
}

static void say_exhausted(unsigned node)
{
    answer(node, 500, "Resources exhausted: no memory");
}

static void say_429(unsigned node)
{
    answer(node, 429, "");
}

static void reset(unsigned node)
{
    node_fails(node, FAULT_UPSTREAM_RESET);
}

/* One of two fails at once: nobody but it hears of it, and it gets a few of the queries. */
static void a_node_that_fails_at_once_costs_nobody_a_query(void **state)
{
    (void)state;
    static void (*const ways[])(unsigned node) = {say_503, say_exhausted, say_429, reset};
    for (size_t way = 0; way < sizeof ways / sizeof ways[0]; way++) {
        unsigned long before = atomic_load(&shared(0)->requests);
        for (unsigned i = 0; i < 500; i++)
            assert_true(query_once(0, ways[way], 16));
        unsigned long tries = atomic_load(&shared(0)->requests) - before;
        if (tries > 25)
            fail_msg("way %zu: it got %lu of 500 queries", way, tries);
        assert_true(is_aside(0, REQUEST_CLASS_QUERY));
        assert_false(is_aside(0, REQUEST_CLASS_WRITE));
        assert_false(is_aside(1, REQUEST_CLASS_QUERY));
        standings_forget(shared(0), loop_now_ms(cluster.rig.loop));
    }
    assert_in_range(atomic_load(&cluster.metrics.ejections), 4, 12);
}

/* Of the operator's two ingest nodes, one says 500 to every write: timestamped ones lose nothing. */
static void an_ingest_node_that_says_500_costs_no_timestamped_write(void **state)
{
    (void)state;
    cluster_serve(2, NODE_CAPABILITY_INGEST);
    unsigned long before = atomic_load(&shared(0)->requests);
    for (unsigned i = 0; i < 200; i++) {
        begin_anew();
        write_lines(TIMED);
        while (stage.caller->stream != NULL) {
            pass(16);
            answer(asked_node(), asked_node() == 0 ? 500 : 204, "");
            settle();
        }
        assert_int_equal(stage.caller->status, 204);
    }
    assert_true(is_aside(0, REQUEST_CLASS_WRITE));
    assert_in_range(atomic_load(&shared(0)->requests) - before, 5, 20);
}

static void a_pool_that_fails_as_a_whole_sets_nobody_aside(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        begin_anew();
        query();
        while (stage.caller->stream != NULL)
            answer(asked_node(), 503, "license");
        assert_int_equal(stage.caller->status, 503);
        pass(16);
    }
    assert_false(is_aside(0, REQUEST_CLASS_QUERY));
    assert_false(is_aside(1, REQUEST_CLASS_QUERY));
}

/* Neither the client's mistakes, nor a lack of permission, nor who leaves. */
static void what_is_not_the_nodes_fault_does_not_count(void **state)
{
    (void)state;
    take_down(1);
    static const unsigned statuses[] = {400, 401, 403, 404, 413, 422};
    for (unsigned i = 0; i < 60; i++) {
        begin_anew();
        query();
        answer(0, statuses[i % 6], "no");
    }
    roster_node_set_health(shared(1), HEALTH_UP);
    for (unsigned i = 0; i < 20; i++) {
        begin_anew();
        ask("POST", "/arrow.flight.protocol.FlightService/DoGet", "content-type: application/grpc\n", BODY_STREAM);
        send_end();
        while (stage.caller->stream != NULL) {
            node_head(asked_node(), 200, BODY_NONE, "grpc-status: 14\n");
            node_end(asked_node());
        }
        begin_anew();
        query();
        let_go(stage.caller);
    }
    for (unsigned class = 0; class < REQUEST_CLASS_COUNT; class++)
        assert_false(is_aside(0, (enum request_class)class) || is_aside(1, (enum request_class)class));
    assert_int_equal(atomic_load(&shared(0)->owed), 0);
}

static void set_aside(void)
{
    for (unsigned i = 0; i < 100 && !is_aside(0, REQUEST_CLASS_QUERY); i++)
        query_once(0, say_503, 16);
    assert_true(is_aside(0, REQUEST_CLASS_QUERY));
    begin_anew();
}

/* When its time is over one request goes there, and the others do not wait for what it finds. */
static void one_request_finds_out_whether_it_works_again(void **state)
{
    (void)state;
    set_aside();
    pass(6100);
    query();
    assert_int_equal(asked_node(), 0);
    turn_to(1);
    query();
    assert_int_equal(asked_node(), 1);
    answer(1, 200, "");
    turn_to(0);
    answer(0, 200, "");
    assert_false(is_aside(0, REQUEST_CLASS_QUERY));
    /* Slowly: a tenth of the load of the other one. */
    turn_to(1);
    begin_anew();
    unsigned long before = atomic_load(&shared(0)->requests);
    for (unsigned i = 0; i < 20; i++)
        query_once(9, NULL, 1);
    assert_in_range(atomic_load(&shared(0)->requests) - before, 0, 2);
    pass(10100);
    for (unsigned i = 0; i < 100; i++)
        query_once(9, NULL, 1);
    assert_in_range(atomic_load(&shared(0)->requests) - before, 25, 77);
}

static void a_trial_that_fails_goes_to_another_node_and_waits_longer(void **state)
{
    (void)state;
    set_aside();
    pass(6100);
    unsigned long before = atomic_load(&shared(0)->requests);
    assert_true(query_once(0, say_503, 16));
    assert_int_equal(atomic_load(&shared(0)->requests) - before, 1);
    pass(9000);
    assert_true(query_once(0, say_503, 16));
    assert_int_equal(atomic_load(&shared(0)->requests) - before, 1);
    pass(4000);
    assert_true(query_once(0, say_503, 16));
    assert_int_equal(atomic_load(&shared(0)->requests) - before, 2);
}

static void a_trial_whose_client_leaves_is_followed_by_another(void **state)
{
    (void)state;
    set_aside();
    pass(6100);
    query();
    assert_int_equal(asked_node(), 0);
    begin_anew();
    query();
    assert_int_equal(asked_node(), 0);
    answer(0, 200, "");
    assert_false(is_aside(0, REQUEST_CLASS_QUERY));
}

/* It says that it goes away: no write goes there until a probe says that it is back. */
static void a_node_whose_wal_is_shut_down_gets_no_writes(void **state)
{
    (void)state;
    cluster_serve(2, NODE_CAPABILITY_INGEST);
    for (unsigned i = 0; i < 20; i++) {
        begin_anew();
        write_lines("m v=1");
        while (stage.caller->stream != NULL) {
            if (asked_node() == 0)
                answer(0, 503, "write buffer error: error from wal: wal is shutdown and not accepting writes");
            else
                answer(1, 204, "");
        }
        assert_int_equal(stage.caller->status, 204);
    }
    assert_int_equal(atomic_load(&shared(0)->requests), 1);
    assert_int_equal(atomic_load(&cluster.metrics.retries_spent), 0);
    standings_forgive(shared(0));
    begin_anew();
    write_lines("m v=1");
    answer(asked_node(), 204, "");
    write_lines("m v=1");
    answer(asked_node(), 204, "");
    assert_int_equal(atomic_load(&shared(0)->requests), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, tear_down)
        TEST(a_node_that_fails_at_once_costs_nobody_a_query),
        TEST(an_ingest_node_that_says_500_costs_no_timestamped_write),
        TEST(a_pool_that_fails_as_a_whole_sets_nobody_aside),
        TEST(what_is_not_the_nodes_fault_does_not_count),
        TEST(one_request_finds_out_whether_it_works_again),
        TEST(a_trial_that_fails_goes_to_another_node_and_waits_longer),
        TEST(a_trial_whose_client_leaves_is_followed_by_another),
        TEST(a_node_whose_wal_is_shut_down_gets_no_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
