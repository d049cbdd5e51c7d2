/*
 * gRPC calls between a client and two nodes: deadlines, statuses, trailers, a second node's opinion. The letters that a stream writes
 * down: h head, d data, t trailers, e end, p pause, r resume, x reset, l let go.
 */
#include "fake/exchange_stage.h"

#define GET_INFO "/arrow.flight.protocol.FlightService/GetFlightInfo"
#define GRPC "content-type: application/grpc\n"

/* A call whose request is one message. */
static void call(const char *path, const char *lines)
{
    char all[512];
    text_append(all, sizeof all, 0, GRPC "%s", lines);
    client_asks("POST", path, all, BODY_STREAM);
    client_data("ticket");
    client_end();
}

/* ---- what goes through ---- */

static void a_call_passes_piece_by_piece(void **state)
{
    (void)state;
    client_asks("POST", GET_INFO, GRPC "authorization: Bearer t\n", BODY_STREAM);
    unsigned node = asked_node();
    /* Nothing is held back: neither the head nor a piece nor the end. */
    assert_string_equal(at_node(node)->verbs, "h");
    assert_has(at_node(node)->fields, "authorization: Bearer t\n");
    assert_has(at_node(node)->fields, "Via: 2.0 sluice-");
    client_data("a");
    assert_string_equal(at_node(node)->verbs, "hd");
    node_head(node, 200, BODY_STREAM, GRPC "x-initial: 1\n");
    assert_string_equal(stage.client.verbs, "h");
    assert_has(stage.client.fields, "x-initial: 1\n");
    assert_has(stage.client.fields, node == 0 ? "X-Sluice-Node: query-01\n" : "X-Sluice-Node: query-02\n");
    node_data(node, "A");
    assert_string_equal(stage.client.verbs, "hd");
    client_data("b");
    client_end();
    assert_string_equal(at_node(node)->verbs, "hdde");
    node_trailers(node, "grpc-status: 0\nx-influxdata-partitions: 3\n");
    assert_string_equal(stage.client.verbs, "hdt");
    node_end(node);
    assert_string_equal(stage.client.verbs, "hdtel");
    assert_string_equal(stage.client.trailers, "grpc-status: 0\nx-influxdata-partitions: 3\n");
    assert_string_equal(stage.client.body, "A");
    assert_int_equal(count_grpc(GRPC_STATUS_OK), 1);
    assert_int_equal(atomic_load(&cluster.metrics.responses[REQUEST_CLASS_FLIGHT][2]), 1);
}

static void a_status_of_the_node_is_passed_on_and_counted(void **state)
{
    (void)state;
    call(GET_INFO, "");
    node_head(asked_node(), 200, BODY_NONE, GRPC "grpc-status: 7\ngrpc-message: no%20token\n");
    node_end(asked_node());
    assert_string_equal(stage.client.verbs, "hel");
    assert_has(stage.client.fields, "grpc-status: 7\ngrpc-message: no%20token\n");
    assert_int_equal(count_grpc(GRPC_STATUS_PERMISSION_DENIED), 1);
    assert_int_equal(attempts(), 1);
}

/* Without grpc-status the answer is a broken one of the node, and a client must not take it for a whole one. */
static void an_answer_without_a_status_is_broken(void **state)
{
    (void)state;
    call(GET_INFO, "");
    node_head(asked_node(), 200, BODY_STREAM, GRPC);
    node_data(asked_node(), "A");
    node_end(asked_node());
    assert_string_equal(stage.client.verbs, "hdtel");
    assert_has(stage.client.trailers, "grpc-status: 13\n");
    assert_int_equal(count_grpc(GRPC_STATUS_INTERNAL), 1);
    assert_int_equal(count_grpc(GRPC_STATUS_OK), 0);
}

static void a_status_in_front_of_a_body_means_nothing(void **state)
{
    (void)state;
    call(GET_INFO, "");
    node_head(asked_node(), 200, BODY_STREAM, GRPC "grpc-status: 14\n");
    /* Nor is another node asked about it. */
    assert_string_equal(stage.client.verbs, "h");
    node_end(asked_node());
    assert_int_equal(count_grpc(GRPC_STATUS_INTERNAL), 1);
    assert_int_equal(count_grpc(GRPC_STATUS_UNAVAILABLE), 0);
}

static void trailers_of_a_request_reach_the_node_before_the_end(void **state)
{
    (void)state;
    client_asks("POST", GET_INFO, GRPC, BODY_STREAM);
    client_data("a");
    client_trailers("x-checksum: 1\ntransfer-encoding: chunked\nauthorization: Bearer other\n");
    client_end();
    assert_string_equal(at_node(asked_node())->verbs, "hdte");
    assert_string_equal(at_node(asked_node())->trailers, "x-checksum: 1\n");
    /* A repeated attempt is the same request. */
    unsigned first = asked_node();
    node_fails(first, FAULT_UPSTREAM_RESET);
    assert_string_equal(at_node(!first)->verbs, "hdte");
    assert_string_equal(at_node(!first)->trailers, "x-checksum: 1\n");
}

static void a_cancelled_call_is_cancelled_on_the_node(void **state)
{
    (void)state;
    call(GET_INFO, "");
    client_fails(FAULT_DOWNSTREAM_GONE);
    assert_string_equal(at_node(asked_node())->verbs, "hdel");
    assert_string_equal(stage.client.verbs, "l");
    assert_int_equal(count_grpc(GRPC_STATUS_CANCELLED), 1);
}

/* The codec has closed the connection: an answer to it would be talking to nobody. */
static void an_attacker_gets_no_answer(void **state)
{
    (void)state;
    call(GET_INFO, "");
    client_fails(FAULT_DOWNSTREAM_ABUSE);
    assert_string_equal(stage.client.verbs, "l");
    assert_int_equal(count_fault(FAULT_DOWNSTREAM_ABUSE), 0); /* the connection is counted, once */
}

/* ---- which node ---- */

static void calls_go_to_nodes_that_speak_http2(void **state)
{
    (void)state;
    roster_node_set_version(shared(0), 1);
    call(GET_INFO, "");
    assert_int_equal(cluster.pool.nodes[0].attempts, 0);
    assert_int_equal(cluster.pool.nodes[1].attempts, 1);
    node_fails(1, FAULT_UPSTREAM_RESET);
    assert_int_equal(cluster.pool.nodes[0].attempts, 0);
    assert_has(stage.client.fields, "grpc-status: 14\n");
}

/* Nobody knew better: but a node must not take a call for a request of its own HTTP routes. */
static void a_call_is_not_sent_over_http1(void **state)
{
    (void)state;
    cluster.pool.nodes[0].link.is_http2 = cluster.pool.nodes[1].link.is_http2 = false;
    call(GET_INFO, "");
    settle();
    assert_int_equal(attempts(), 0);
    assert_string_equal(stage.client.verbs, "hel");
    assert_has(stage.client.fields, "grpc-status: 14\n");
    assert_int_equal(count_fault(FAULT_UPSTREAM_VERSION), 1);
    assert_int_equal(atomic_load(&shared(0)->connect_failures), 0);
}

static void the_path_of_a_call_does_not_matter(void **state)
{
    (void)state;
    call("/api/v3/write_lp", "");
    assert_int_equal(attempts(), 1);
    assert_int_equal(atomic_load(&cluster.metrics.responses[REQUEST_CLASS_WRITE][5]), 0);
    client_fails(FAULT_DOWNSTREAM_GONE);
    assert_int_equal(atomic_load(&cluster.metrics.responses[REQUEST_CLASS_FLIGHT][0]), 1);
}

/* ---- faults ---- */

static void a_fault_is_told_in_one_head(void **state)
{
    (void)state;
    take_down(0);
    take_down(1);
    call(GET_INFO, "x-request-id: id-1\n");
    settle();
    assert_string_equal(stage.client.verbs, "hel");
    assert_int_equal(stage.client.status, 200);
    assert_int_equal(stage.client.body_kind, BODY_NONE);
    assert_has(stage.client.fields, "content-type: application/grpc\n");
    assert_has(stage.client.fields, "grpc-status: 14\ngrpc-message: no usable node");
    assert_has(stage.client.fields, "x-request-id: id-1\n");
    assert_int_equal(count_grpc(GRPC_STATUS_UNAVAILABLE), 1);
    assert_int_equal(count_fault(FAULT_NO_NODE), 1);
}

static void begin_answer(unsigned node)
{
    node_head(node, 200, BODY_STREAM, GRPC);
    node_data(node, "A");
    assert_string_equal(stage.client.verbs, "hd");
}

static void a_broken_answer_ends_with_the_status_of_its_fault(void **state)
{
    (void)state;
    call(GET_INFO, "");
    begin_answer(asked_node());
    node_fails(asked_node(), FAULT_UPSTREAM_TRUNCATED);
    assert_string_equal(stage.client.verbs, "hdtel");
    assert_has(stage.client.trailers, "grpc-status: 14\ngrpc-message: the node's answer ended too early\n");
    assert_int_equal(count_grpc(GRPC_STATUS_UNAVAILABLE), 1);
    assert_int_equal(count_fault(FAULT_UPSTREAM_TRUNCATED), 1);
}

/* Trailers would wait behind what the client does not take; it sees a reset instead. */
static void a_client_that_takes_nothing_gets_a_reset(void **state)
{
    (void)state;
    call(GET_INFO, "");
    node_head(asked_node(), 200, BODY_STREAM, GRPC);
    stage.client.is_congested = true;
    node_data(asked_node(), "A");
    assert_string_equal(at_node(asked_node())->verbs, "hdep");
    node_fails(asked_node(), FAULT_UPSTREAM_RESET);
    assert_string_equal(stage.client.verbs, "hdl");
}

/* Fewer bytes than announced, and then an end: that would be malformed rather than told. */
static void an_announced_length_leaves_no_room_for_a_status(void **state)
{
    (void)state;
    call(GET_INFO, "");
    node_head(asked_node(), 200, BODY_LENGTH, GRPC);
    node_fails(asked_node(), FAULT_UPSTREAM_RESET);
    assert_string_equal(stage.client.verbs, "hl");
}

static void a_status_is_sent_once(void **state)
{
    (void)state;
    call(GET_INFO, "");
    begin_answer(asked_node());
    node_trailers(asked_node(), "grpc-status: 0\n");
    node_fails(asked_node(), FAULT_UPSTREAM_RESET);
    assert_string_equal(stage.client.verbs, "hdtl");
    assert_string_equal(stage.client.trailers, "grpc-status: 0\n");
}

static void a_drain_that_is_over_says_so(void **state)
{
    (void)state;
    call(GET_INFO, "");
    begin_answer(asked_node());
    exchange_cut_all(&stage.context);
    assert_string_equal(stage.client.verbs, "hdtel");
    assert_has(stage.client.trailers, "grpc-status: 14\n");
    assert_int_equal(count_fault(FAULT_DRAINING), 1);
}

static void a_stalled_answer_ends_with_a_status(void **state)
{
    (void)state;
    call(GET_INFO, "");
    begin_answer(asked_node());
    pass(59000);
    assert_string_equal(stage.client.verbs, "hd");
    pass(1100);
    assert_string_equal(stage.client.verbs, "hdtel");
    assert_has(stage.client.trailers, "grpc-status: 14\n");
    assert_int_equal(count_fault(FAULT_UPSTREAM_STALLED), 1);
}

/* ---- deadlines ---- */

static void a_deadline_before_the_answer_is_told_in_one_head(void **state)
{
    (void)state;
    call(GET_INFO, "grpc-timeout: 3S\n");
    assert_has(at_node(asked_node())->fields, "grpc-timeout: 3S\n");
    pass(2980);
    assert_string_equal(stage.client.verbs, "");
    pass(60);
    assert_string_equal(stage.client.verbs, "hel");
    assert_has(stage.client.fields, "grpc-status: 4\n");
    /* Let go before its answer was complete: the query is cancelled. */
    assert_string_equal(at_node(asked_node())->verbs, "hdel");
    assert_int_equal(count_grpc(GRPC_STATUS_DEADLINE_EXCEEDED), 1);
    assert_int_equal(count_fault(FAULT_GRPC_DEADLINE), 1);
    assert_int_equal(attempts(), 1);
}

static void a_deadline_within_the_answer_is_told_in_trailers(void **state)
{
    (void)state;
    call(GET_INFO, "grpc-timeout: 3S\n");
    begin_answer(asked_node());
    /* Pieces do not move it. */
    for (unsigned i = 0; i < 5; i++) {
        pass(500);
        node_data(asked_node(), ".");
    }
    pass(480);
    assert_string_equal(stage.client.verbs, "hdddddd");
    pass(60);
    assert_string_equal(stage.client.verbs, "hddddddtel");
    assert_has(stage.client.trailers, "grpc-status: 4\n");
    assert_string_equal(at_node(asked_node())->verbs, "hdel");
    assert_int_equal(count_grpc(GRPC_STATUS_DEADLINE_EXCEEDED), 1);
}

static void a_deadline_holds_while_the_call_waits_and_while_it_is_sent(void **state)
{
    (void)state;
    cluster.pool.nodes[0].supply = cluster.pool.nodes[1].supply = SUPPLY_WAITS;
    client_asks("POST", GET_INFO, GRPC "grpc-timeout: 500m\n", BODY_STREAM);
    pass(560);
    assert_has(stage.client.fields, "grpc-status: 4\n");
    another_client();
    cluster.pool.nodes[0].supply = cluster.pool.nodes[1].supply = SUPPLY_READY;
    client_asks("POST", GET_INFO, GRPC "grpc-timeout: 500m\n", BODY_STREAM);
    client_data("a");
    pass(560);
    assert_has(stage.client.fields, "grpc-status: 4\n");
    assert_int_equal(count_fault(FAULT_GRPC_DEADLINE), 2);
}

static void a_call_without_time_is_not_sent(void **state)
{
    (void)state;
    client_asks("POST", GET_INFO, GRPC "grpc-timeout: 0S\n", BODY_STREAM);
    assert_string_equal(stage.client.verbs, "hel");
    assert_has(stage.client.fields, "grpc-status: 4\n");
    assert_int_equal(attempts(), 0);
}

static void the_node_is_told_what_is_left(void **state)
{
    (void)state;
    cluster.pool.nodes[0].supply = cluster.pool.nodes[1].supply = SUPPLY_WAITS;
    call(GET_INFO, "grpc-timeout: 10S\n");
    pass(160);
    unsigned first = cluster.pool.nodes[1].waiting != NULL;
    node_serve(first);
    assert_has(at_node(first)->fields, "grpc-timeout: 9840m\n");
    /* The next one gets what the first has left over. */
    pass(1600);
    cluster.pool.nodes[!first].supply = SUPPLY_READY;
    node_fails(first, FAULT_UPSTREAM_RESET);
    assert_has(at_node(!first)->fields, "grpc-timeout: 8240m\n");
    assert_has_not(at_node(!first)->fields, "grpc-timeout: 10S");
    pass(8300);
    assert_has(stage.client.fields, "grpc-status: 4\n");
}

static void no_timeout_is_invented_and_none_that_is_malformed_obeyed(void **state)
{
    (void)state;
    call(GET_INFO, "");
    assert_has_not(at_node(asked_node())->fields, "grpc-timeout");
    client_fails(FAULT_DOWNSTREAM_GONE);
    another_client();
    call(GET_INFO, "grpc-timeout: 3 S\n");
    /* The node's own judgement is asked for. */
    assert_has(at_node(asked_node())->fields, "grpc-timeout: 3 S\n");
    pass(10000);
    assert_string_equal(stage.client.verbs, "");
}

/* Planning is silent; the client has said for how long that may be. */
static void a_silent_node_is_not_cut_before_the_clients_time_is_over(void **state)
{
    (void)state;
    call(GET_INFO, "grpc-timeout: 5M\n");
    pass(120000);
    assert_string_equal(stage.client.verbs, "");
    begin_answer(asked_node());
    pass(120000);
    assert_string_equal(stage.client.verbs, "hd");
    pass(60100);
    assert_string_equal(stage.client.verbs, "hdtel");
    assert_has(stage.client.trailers, "grpc-status: 4\n");
}

static void a_silent_node_is_cut_after_our_time_when_the_client_names_none(void **state)
{
    (void)state;
    call(GET_INFO, "");
    unsigned first = asked_node();
    pass(60100);
    /* Safe to repeat: the other node gets as long. */
    assert_string_equal(at_node(first)->verbs, "hdel");
    assert_string_equal(at_node(!first)->verbs, "hde");
    pass(60100);
    assert_string_equal(stage.client.verbs, "hel");
    assert_has(stage.client.fields, "grpc-status: 4\n");
    assert_int_equal(count_fault(FAULT_UPSTREAM_TIMEOUT), 1);
}

/* Interactive calls: the client says one thing and waits for the answer before it says more. */
static void a_client_that_waits_for_its_turn_is_not_slow(void **state)
{
    (void)state;
    client_asks("POST", "/arrow.flight.protocol.FlightService/Handshake", GRPC, BODY_STREAM);
    client_data("a");
    pass(30000);
    assert_string_equal(stage.client.verbs, "");
    begin_answer(asked_node());
    client_data("b");
    client_end();
    assert_string_equal(at_node(asked_node())->verbs, "hdde");
}

/* A client that takes nothing holds memory here and on the node, whatever time it has. */
static void a_client_that_takes_nothing_is_cut_in_spite_of_its_deadline(void **state)
{
    (void)state;
    call(GET_INFO, "grpc-timeout: 5M\n");
    node_head(asked_node(), 200, BODY_STREAM, GRPC);
    stage.client.is_congested = true;
    node_data(asked_node(), "A");
    pass(5100);
    assert_string_equal(stage.client.verbs, "hdl");
    assert_int_equal(count_fault(FAULT_DOWNSTREAM_GONE), 1);
}

static void a_node_that_takes_nothing_of_a_call_is_given_up(void **state)
{
    (void)state;
    cluster.pool.nodes[0].is_slow = cluster.pool.nodes[1].is_slow = true;
    client_asks("POST", GET_INFO, GRPC "grpc-timeout: 5M\n", BODY_STREAM);
    client_data("a");
    assert_string_equal(stage.client.verbs, "p");
    unsigned first = asked_node();
    pass(5100);
    /* The next one gets as long; meanwhile nothing more is taken of the client. */
    assert_true(at_node(first)->is_released);
    assert_false(at_node(!first)->is_released);
    assert_string_equal(stage.client.verbs, "p");
    pass(5100);
    assert_string_equal(stage.client.verbs, "phel");
    assert_has(stage.client.fields, "grpc-status: 4\n");
    assert_int_equal(count_fault(FAULT_UPSTREAM_TIMEOUT), 1);
}

/* ---- a second opinion ---- */

static void say_unavailable(unsigned node, const char *message)
{
    char lines[256];
    text_append(lines, sizeof lines, 0, GRPC "grpc-status: 14\ngrpc-message: %s\n", message);
    node_head(node, 200, BODY_NONE, lines);
    node_end(node);
}

static void another_node_is_asked_about_unavailable(void **state)
{
    (void)state;
    call(GET_INFO, "grpc-timeout: 10S\n");
    unsigned first = asked_node();
    say_unavailable(first, "one");
    assert_string_equal(stage.client.verbs, "");
    assert_string_equal(at_node(first)->verbs, "hdel");
    assert_string_equal(at_node(!first)->verbs, "hde");
    assert_string_equal(at_node(!first)->body, "ticket");
    begin_answer(!first);
    node_trailers(!first, "grpc-status: 0\n");
    node_end(!first);
    assert_int_equal(count_grpc(GRPC_STATUS_OK), 1);
    assert_int_equal(count_grpc(GRPC_STATUS_UNAVAILABLE), 0);
    assert_int_equal(count_fault(FAULT_UPSTREAM_UNAVAILABLE), 0);
    assert_int_equal(atomic_load(&cluster.metrics.retries), 1);
    /* It may have been a lack of permission: nothing is held against the node. */
    assert_int_equal(atomic_load(&shared(first)->failures), 0);
    assert_int_equal(atomic_load(&shared(first)->connect_failures), 0);
    assert_true(roster_node_is_usable(shared(0), REQUEST_CLASS_FLIGHT) && roster_node_is_usable(shared(1), REQUEST_CLASS_FLIGHT));
}

/* One more is asked, not all: a lack of permission is the same everywhere. */
static void the_second_node_has_the_last_word(void **state)
{
    (void)state;
    serve_with(3, NODE_CAPABILITY_QUERY);
    call(GET_INFO, "");
    say_unavailable(asked_node(), "one");
    unsigned second = asked_node();
    say_unavailable(second, "two");
    assert_string_equal(stage.client.verbs, "hel");
    assert_has(stage.client.fields, "grpc-status: 14\ngrpc-message: two\n");
    assert_has(stage.client.fields, cluster.nodes[second].node_id);
    assert_int_equal(count_grpc(GRPC_STATUS_UNAVAILABLE), 1);
    assert_int_equal(attempts(), 2);
    for (enum fault fault = FAULT_NONE + 1; fault < FAULT_COUNT; fault++)
        assert_int_equal(count_fault(fault), 0);
}

static void where_no_other_node_is_left_the_nodes_own_words_are_passed_on(void **state)
{
    (void)state;
    take_down(1);
    call(GET_INFO, "");
    say_unavailable(0, "one");
    assert_string_equal(stage.client.verbs, "hel");
    assert_has(stage.client.fields, "grpc-message: one\n");
    assert_has(stage.client.fields, "X-Sluice-Node: query-01\n");
}

/* What cannot be done twice without harm, or not said twice, is not. */
static void unavailable_is_final_for_what_cannot_be_repeated(void **state)
{
    (void)state;
    call("/arrow.flight.protocol.FlightService/DoExchange", "");
    say_unavailable(asked_node(), "one");
    assert_has(stage.client.fields, "grpc-message: one\n");

    another_client();
    client_asks("POST", GET_INFO, GRPC, BODY_STREAM);
    char large[1100];
    memset(large, 'a', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    client_data(large);
    client_end();
    say_unavailable(asked_node(), "two");
    assert_has(stage.client.fields, "grpc-message: two\n");
    assert_int_equal(attempts(), 1);
}

static void only_a_node_that_cannot_is_asked_about(void **state)
{
    (void)state;
    call(GET_INFO, "");
    node_head(asked_node(), 200, BODY_NONE, GRPC "grpc-status: 13\n");
    node_end(asked_node());
    assert_has(stage.client.fields, "grpc-status: 13\n");
    assert_int_equal(count_grpc(GRPC_STATUS_INTERNAL), 1);

    /* A head has gone out, so it is too late. */
    another_client();
    call(GET_INFO, "");
    node_head(asked_node(), 200, BODY_STREAM, GRPC);
    node_trailers(asked_node(), "grpc-status: 14\n");
    node_end(asked_node());
    assert_string_equal(stage.client.verbs, "htel");
    assert_string_equal(stage.client.trailers, "grpc-status: 14\n");
    assert_int_equal(attempts(), 1);
}

/* A refused stream was not acted on; one node alone gets it again. */
static void a_refused_stream_is_sent_again(void **state)
{
    (void)state;
    take_down(1);
    call("/arrow.flight.protocol.FlightService/DoExchange", "");
    node_fails(0, FAULT_UPSTREAM_REFUSED_STREAM);
    assert_int_equal(cluster.pool.nodes[0].attempts, 2);
    assert_string_equal(at_node(0)->verbs, "hde");
    assert_int_equal(atomic_load(&shared(0)->connect_failures), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(a_call_passes_piece_by_piece),
        TEST(a_status_of_the_node_is_passed_on_and_counted),
        TEST(an_answer_without_a_status_is_broken),
        TEST(a_status_in_front_of_a_body_means_nothing),
        TEST(trailers_of_a_request_reach_the_node_before_the_end),
        TEST(a_cancelled_call_is_cancelled_on_the_node),
        TEST(an_attacker_gets_no_answer),
        TEST(calls_go_to_nodes_that_speak_http2),
        TEST(a_call_is_not_sent_over_http1),
        TEST(the_path_of_a_call_does_not_matter),
        TEST(a_fault_is_told_in_one_head),
        TEST(a_broken_answer_ends_with_the_status_of_its_fault),
        TEST(a_client_that_takes_nothing_gets_a_reset),
        TEST(an_announced_length_leaves_no_room_for_a_status),
        TEST(a_status_is_sent_once),
        TEST(a_drain_that_is_over_says_so),
        TEST(a_stalled_answer_ends_with_a_status),
        TEST(a_deadline_before_the_answer_is_told_in_one_head),
        TEST(a_deadline_within_the_answer_is_told_in_trailers),
        TEST(a_deadline_holds_while_the_call_waits_and_while_it_is_sent),
        TEST(a_call_without_time_is_not_sent),
        TEST(the_node_is_told_what_is_left),
        TEST(no_timeout_is_invented_and_none_that_is_malformed_obeyed),
        TEST(a_silent_node_is_not_cut_before_the_clients_time_is_over),
        TEST(a_silent_node_is_cut_after_our_time_when_the_client_names_none),
        TEST(a_client_that_waits_for_its_turn_is_not_slow),
        TEST(a_client_that_takes_nothing_is_cut_in_spite_of_its_deadline),
        TEST(a_node_that_takes_nothing_of_a_call_is_given_up),
        TEST(another_node_is_asked_about_unavailable),
        TEST(the_second_node_has_the_last_word),
        TEST(where_no_other_node_is_left_the_nodes_own_words_are_passed_on),
        TEST(unavailable_is_final_for_what_cannot_be_repeated),
        TEST(only_a_node_that_cannot_is_asked_about),
        TEST(a_refused_stream_is_sent_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
