/* The first message of a DoGet is kept back for a moment: what fails right behind it goes to another node, and the caller hears of one answer. */
#include "fake/dispatch_stage.h"

#define DO_GET "/arrow.flight.protocol.FlightService/DoGet"
#define GRPC "content-type: application/grpc\n"

/* A message of so many bytes, in its prefix. */
static void node_message(unsigned node, size_t length)
{
    char bytes[600] = {0};
    bytes[3] = (char)(length >> 8);
    bytes[4] = (char)length;
    memset(bytes + 5, 'm', length);
    struct stream *stream = open_at_node(node);
    stream->events->on_data(stream->owner, text_of(bytes, 5 + length));
}

static void call(void)
{
    ask("POST", DO_GET, GRPC, BODY_STREAM);
    send_words("ticket");
    send_end();
}

/* The schema has come from the first node; that node. */
static unsigned begin_answer(void)
{
    call();
    unsigned first = asked_node();
    node_head(first, 200, BODY_STREAM, GRPC "x-a: 1\n");
    assert_heard("h");
    node_message(first, 100);
    assert_heard("h");
    return first;
}

static void a_second_message_lets_the_first_one_go(void **state)
{
    (void)state;
    unsigned first = begin_answer();
    node_message(first, 10);
    assert_heard("hdd");
    node_message(first, 10);
    node_trailers(first, "grpc-status: 14\n");
    node_end(first);
    assert_heard("hdddte");
    assert_int_equal(attempts(), 1);
    assert_int_equal(atomic_load(&cluster.roster->kept_body_bytes), 0);
}

static void an_answer_of_one_message_is_whole(void **state)
{
    (void)state;
    unsigned first = begin_answer();
    node_trailers(first, "grpc-status: 0\n");
    assert_heard("hdt");
    node_end(first);
    assert_heard("hdte");
    assert_int_equal(attempts(), 1);
}

/* The caller has the first node's head, and hears the second one's messages behind it. */
static void what_fails_behind_the_schema_goes_to_another_node(void **state)
{
    (void)state;
    static const char *const trailers[] = {"grpc-status: 8\ngrpc-message: Resources exhausted\n", "grpc-status: 14\n"};
    for (size_t i = 0; i < 3; i++) {
        unsigned first = begin_answer();
        if (i < 2)
            node_trailers(first, trailers[i]);
        else
            node_fails(first, FAULT_UPSTREAM_RESET);
        assert_int_equal(attempts(), 2);
        assert_string_equal(at_node(!first)->body, "ticket");
        node_head(!first, 200, BODY_STREAM, GRPC "x-a: 2\n");
        assert_heard("h");
        node_message(!first, 100);
        node_message(!first, 20);
        node_trailers(!first, "grpc-status: 0\n");
        node_end(!first);
        assert_heard("hddte");
        assert_has(stage.caller->fields, "x-a: 1\n");
        assert_string_equal(stage.caller->trailers, "grpc-status: 0\n");
        begin_anew();
    }
}

/* The second one's error ends the answer that has begun. */
static void a_second_node_that_fails_ends_the_answer(void **state)
{
    (void)state;
    unsigned first = begin_answer();
    node_trailers(first, "grpc-status: 8\n");
    node_head(!first, 200, BODY_NONE, GRPC "grpc-status: 8\ngrpc-message: x\n");
    node_end(!first);
    assert_heard("hte");
    assert_has(stage.caller->trailers, "grpc-status: 8\ngrpc-message: x\n");
    begin_anew();
    first = begin_answer();
    node_fails(first, FAULT_UPSTREAM_RESET);
    node_head(!first, 404, BODY_STREAM, "");
    assert_heard("hf");
    assert_failed(FAULT_UPSTREAM_FAILED);
}

static void without_another_node_the_status_is_the_callers(void **state)
{
    (void)state;
    take_down(1);
    begin_answer();
    node_trailers(0, "grpc-status: 8\n");
    node_end(0);
    assert_heard("hdte");
    assert_string_equal(stage.caller->trailers, "grpc-status: 8\n");
}

static void it_is_kept_for_a_second(void **state)
{
    (void)state;
    unsigned first = begin_answer();
    pass(980);
    assert_heard("h");
    pass(60);
    assert_heard("hd");
    node_trailers(first, "grpc-status: 8\n");
    node_end(first);
    assert_heard("hdte");
    assert_int_equal(attempts(), 1);
}

/* Before the first byte nothing is kept: a node that thinks may think. */
static void a_head_alone_waits_for_the_node(void **state)
{
    (void)state;
    call();
    node_head(asked_node(), 200, BODY_STREAM, GRPC);
    pass(30000);
    assert_heard("h");
    node_fails(asked_node(), FAULT_UPSTREAM_RESET);
    assert_int_equal(attempts(), 2);
}

static void what_is_too_long_is_not_kept(void **state)
{
    (void)state;
    call();
    unsigned first = asked_node();
    node_head(first, 200, BODY_STREAM, GRPC);
    struct stream *stream = open_at_node(first);
    char bytes[4000] = {0};
    bytes[1] = 1; /* 16 MiB */
    for (unsigned i = 0; i < 17; i++) {
        assert_heard(i < 17 ? "h" : "hdd");
        if (i < 16)
            stream->events->on_data(stream->owner, text_of(bytes, sizeof bytes));
    }
    stream->events->on_data(stream->owner, text_of(bytes, sizeof bytes));
    assert_heard("hdd");
}

/* A client that still sends cannot be repeated; another call than DoGet is not kept. */
static void only_a_whole_do_get_is_kept(void **state)
{
    (void)state;
    ask("POST", DO_GET, GRPC, BODY_STREAM);
    node_head(asked_node(), 200, BODY_STREAM, GRPC);
    node_message(asked_node(), 10);
    assert_heard("hd");
    begin_anew();
    ask("POST", "/arrow.flight.protocol.FlightService/DoAction", GRPC, BODY_STREAM);
    send_end();
    node_head(asked_node(), 200, BODY_STREAM, GRPC);
    node_message(asked_node(), 10);
    assert_heard("hd");
}

/* A reload takes the epoch from the caller; the dispatch keeps it as long as another node may be asked. */
static void the_epoch_stays_until_the_answer_is_settled(void **state)
{
    (void)state;
    unsigned first = begin_answer();
    cluster_reload(2);
    dispatch_leave_epoch(stage.caller->stream);
    lease_release(stage.caller->lease);
    stage.caller->lease = NULL;
    assert_int_equal(cluster.leases.count, 2);
    node_fails(first, FAULT_UPSTREAM_RESET);
    assert_int_equal(attempts(), 2);
    node_head(!first, 200, BODY_STREAM, GRPC);
    node_message(!first, 100);
    assert_int_equal(cluster.leases.count, 2);
    node_message(!first, 100);
    assert_int_equal(cluster.leases.count, 1);
    node_trailers(!first, "grpc-status: 0\n");
    node_end(!first);
    assert_heard("hddte");
}

static void who_lets_go_leaves_nothing(void **state)
{
    (void)state;
    begin_answer();
    cluster_reload(2);
    dispatch_leave_epoch(stage.caller->stream);
    lease_release(stage.caller->lease);
    stage.caller->lease = NULL;
    let_go(stage.caller);
    assert_int_equal(cluster.leases.count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(a_second_message_lets_the_first_one_go),
        TEST(an_answer_of_one_message_is_whole),
        TEST(what_fails_behind_the_schema_goes_to_another_node),
        TEST(a_second_node_that_fails_ends_the_answer),
        TEST(without_another_node_the_status_is_the_callers),
        TEST(it_is_kept_for_a_second),
        TEST(a_head_alone_waits_for_the_node),
        TEST(what_is_too_long_is_not_kept),
        TEST(only_a_whole_do_get_is_kept),
        TEST(the_epoch_stays_until_the_answer_is_settled),
        TEST(who_lets_go_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
