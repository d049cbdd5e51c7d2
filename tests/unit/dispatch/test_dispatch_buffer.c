/* A body is read before a node is asked for it: all of a small one, the beginning of a large one. */
#include "fake/dispatch_stage.h"

#define BUFFER_BYTES 100

static int set_up_buffering(void **state)
{
    int result = set_up(state);
    cluster.topology.limits.request_buffer_bytes = BUFFER_BYTES;
    return result;
}

static void send_many(size_t count)
{
    static char many[4096];
    memset(many, 'a', sizeof many);
    assert_in_range(count, 1, sizeof many);
    send_bytes(text_of(many, count));
}

static void no_node_is_asked_before_a_small_body_has_come(void **state)
{
    (void)state;
    ask("POST", QUERY, "", BODY_STREAM);
    assert_int_equal(attempts(), 0);
    assert_false(is_congested());
    send_words("{");
    /* A client that stops here holds no link, for as long as its owner lets it. */
    pass(60000);
    assert_int_equal(attempts(), 0);
    assert_heard("");
    send_words("}");
    send_end();
    unsigned node = asked_node();
    assert_string_equal(at_node(node)->body, "{}");
    assert_string_equal(at_node(node)->verbs, "hde");
    answer(node, 200, "[1]");
    assert_heard("hde");
}

static void enough_of_a_large_body_asks(void **state)
{
    (void)state;
    ask("POST", QUERY, "", BODY_STREAM);
    send_many(BUFFER_BYTES - 1);
    assert_int_equal(attempts(), 0);
    send_words("b");
    unsigned node = asked_node();
    assert_int_equal(strlen(at_node(node)->body), BUFFER_BYTES);
    send_words("c");
    assert_int_equal(strlen(at_node(node)->body), BUFFER_BYTES + 1);
    send_end();
    node_fails(node, FAULT_UPSTREAM_RESET);
    assert_int_equal(attempts(), 2);
    assert_int_equal(strlen(at_node(asked_node())->body), BUFFER_BYTES + 1);
    answer(asked_node(), 200, "[1]");
    assert_heard("hde");
}

/* Bounds hold while a body is read, too: of one request, and of all. */
static void what_may_not_be_kept_goes_on_at_once(void **state)
{
    (void)state;
    cluster.topology.limits.replay_bytes = 50;
    ask("POST", QUERY, "", BODY_STREAM);
    send_many(40);
    assert_int_equal(attempts(), 0);
    send_many(20);
    assert_int_equal(strlen(at_node(asked_node())->body), 60);
    assert_int_equal(atomic_load(&cluster.roster->kept_body_bytes), 0);
    begin_anew();
    cluster.topology.limits.replay_bytes = 1024;
    cluster.topology.limits.replay_total_bytes = 30;
    ask("POST", QUERY, "", BODY_STREAM);
    send_many(30);
    assert_int_equal(attempts(), 0);
    send_many(1);
    assert_int_equal(strlen(at_node(asked_node())->body), 31);
    assert_int_equal(atomic_load(&cluster.roster->kept_body_bytes), 0);
    /* Of a queued one as well. */
    begin_anew();
    cluster.pool.nodes[0].supply = cluster.pool.nodes[1].supply = SUPPLY_WAITS;
    ask("POST", QUERY, "", BODY_STREAM);
    send_many(25);
    send_many(25);
    assert_true(is_congested());
    unsigned node = cluster.pool.nodes[1].waiting != NULL;
    node_serve(node);
    assert_int_equal(strlen(at_node(node)->body), 50);
}

static void who_leaves_within_its_body_leaves_nothing(void **state)
{
    (void)state;
    ask("POST", QUERY, "", BODY_STREAM);
    send_words("{");
    IN_VERB(stream_pause(stage.caller->stream));
    pass(100);
    let_go(stage.caller);
    assert_nothing_under_way();
    assert_int_equal(attempts(), 0);
}

static void some_are_asked_for_at_once(void **state)
{
    (void)state;
    ask("GET", QUERY "?q=a", "", BODY_NONE);
    assert_int_equal(attempts(), 1);
    begin_anew();
    ask("POST", "/arrow.flight.protocol.FlightService/DoPut", "content-type: application/grpc\n", BODY_STREAM);
    assert_int_equal(attempts(), 1);
    begin_anew();
    /* Nobody sends a body that no node takes. */
    take_down(0);
    take_down(1);
    ask("POST", QUERY, "", BODY_STREAM);
    settle();
    assert_int_equal(attempts(), 0);
    assert_failed(FAULT_NO_NODE);
}

/* What counts is when the last byte came, however long that took. */
static void a_writes_deadline_begins_behind_its_body(void **state)
{
    (void)state;
    cluster_serve(2, NODE_CAPABILITY_INGEST);
    ask("POST", WRITE, "", BODY_STREAM);
    send_words("m v=1 1000\n");
    pass(10000);
    send_end();
    pass(3900);
    node_fails(asked_node(), FAULT_UPSTREAM_RESET);
    settle();
    assert_int_equal(attempts(), 2);
    answer(asked_node(), 204, "");
    assert_heard("he");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_buffering, tear_down)
        TEST(no_node_is_asked_before_a_small_body_has_come),
        TEST(enough_of_a_large_body_asks),
        TEST(what_may_not_be_kept_goes_on_at_once),
        TEST(who_leaves_within_its_body_leaves_nothing),
        TEST(some_are_asked_for_at_once),
        TEST(a_writes_deadline_begins_behind_its_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
