/*
 * Exchanges that are no gRPC calls, between a client and two nodes: what goes through, what is tried again, how an answer ends when it
 * cannot be completed. The letters that a stream writes down are explained in fake/fake_stream.h.
 */
#include <stdio.h>

#include <sys/mman.h>

#include "fake/exchange_stage.h"
#include "observe/access_log.h"

#define QUERY "/api/v3/query_sql"
#define WRITE "/api/v3/write_lp?db=a"

static void make_nodes(unsigned capabilities)
{
    for (unsigned i = 0; i < NODES; i++)
        stage.nodes[i].capabilities = capabilities;
}

static void query(void)
{
    client_asks("POST", QUERY, "content-type: application/json\n", BODY_STREAM);
    client_data("{}");
    client_end();
}

static void write_lines(const char *lines)
{
    make_nodes(NODE_CAPABILITY_INGEST);
    client_asks("POST", WRITE, "", BODY_STREAM);
    client_data(lines);
    client_end();
}

/* ---- what goes through ---- */

static void a_query_passes_and_is_counted(void **state)
{
    (void)state;
    query();
    unsigned node = asked_node();
    assert_string_equal(at_node(node)->verbs, "hde");
    assert_string_equal(at_node(node)->target, QUERY);
    assert_string_equal(at_node(node)->body, "{}");
    assert_has(at_node(node)->fields, "X-Forwarded-For: 192.0.2.7\n");
    node_head(node, 200, BODY_STREAM, "content-type: application/json\n");
    node_data(node, "[1]");
    node_end(node);
    assert_string_equal(stage.client.verbs, "hdel");
    assert_int_equal(stage.client.status, 200);
    assert_string_equal(stage.client.body, "[1]");
    assert_string_equal(at_node(node)->verbs, "hdel");
    assert_int_equal(atomic_load(&stage.metrics.responses[REQUEST_CLASS_QUERY][2]), 1);
    assert_int_equal(atomic_load(&stage.metrics.request_bytes), 2);
    assert_int_equal(atomic_load(&stage.metrics.response_bytes), 3);
    for (unsigned status = 0; status < GRPC_STATUS_COUNT; status++)
        assert_int_equal(count_grpc((enum grpc_status)status), 0);
}

static void trailers_of_any_answer_are_passed_on(void **state)
{
    (void)state;
    query();
    node_head(asked_node(), 200, BODY_STREAM, "");
    node_data(asked_node(), "a");
    node_trailers(asked_node(), "x-checksum: 1\nconnection: close\n");
    node_end(asked_node());
    assert_string_equal(stage.client.verbs, "hdtel");
    assert_string_equal(stage.client.trailers, "x-checksum: 1\n");
}

/* Nothing is left of them: then there are none. */
static void trailers_that_may_not_travel_leave_nothing_behind(void **state)
{
    (void)state;
    query();
    node_head(asked_node(), 200, BODY_STREAM, "");
    node_trailers(asked_node(), "content-length: 1\n");
    node_end(asked_node());
    assert_string_equal(stage.client.verbs, "hel");
}

static void the_slower_side_pauses_the_faster_one(void **state)
{
    (void)state;
    client_asks("POST", QUERY, "", BODY_STREAM);
    unsigned node = asked_node();
    at_node(node)->is_congested = true;
    client_data("a");
    assert_string_equal(stage.client.verbs, "p");
    at_node(node)->is_congested = false;
    at_node(node)->stream.events->on_drained(at_node(node)->stream.owner);
    assert_string_equal(stage.client.verbs, "pr");
    client_end();
    node_head(node, 200, BODY_STREAM, "");
    stage.client.is_congested = true;
    node_data(node, "A");
    assert_string_equal(at_node(node)->verbs, "hdep");
    stage.client.is_congested = false;
    stage.client.stream.events->on_drained(stage.client.stream.owner);
    assert_string_equal(at_node(node)->verbs, "hdepr");
    node_end(node);
    assert_string_equal(stage.client.verbs, "prhdel");
}

static void an_answer_may_come_before_the_request_is_complete(void **state)
{
    (void)state;
    client_asks("POST", QUERY, "", BODY_STREAM);
    client_data("a");
    node_head(asked_node(), 400, BODY_NONE, "");
    node_end(asked_node());
    assert_string_equal(stage.client.verbs, "hel");
    assert_int_equal(stage.client.status, 400);
}

static void the_access_log_tells_calls_from_requests(void **state)
{
    (void)state;
    char path[64];
    char lines[2048];
    int fd = memfd_create("log", 0);
    const char *reason;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    stage.context.access_log = access_log_open(path, &reason);
    assert_non_null(stage.context.access_log);
    query();
    node_head(asked_node(), 200, BODY_NONE, "");
    node_end(asked_node());
    another_client();
    atomic_store(&stage.cluster->nodes[0].health, HEALTH_DOWN);
    atomic_store(&stage.cluster->nodes[1].health, HEALTH_DOWN);
    client_asks("POST", "/a.b/C", "content-type: application/grpc\n", BODY_STREAM);
    access_log_close(stage.context.access_log);
    stage.context.access_log = NULL;
    ssize_t length = pread(fd, lines, sizeof lines - 1, 0);
    close(fd);
    assert_in_range(length, 1, sizeof lines - 1);
    lines[length] = '\0';
    assert_has(lines, " class=query node=");
    assert_has(lines, " status=200 request_bytes=2 ");
    assert_has(lines, " class=flight node=- attempts=0 status=200 grpc_status=UNAVAILABLE request_bytes=0 ");
}

/* ---- what is tried again ---- */

static void a_query_is_asked_elsewhere_until_the_first_byte(void **state)
{
    (void)state;
    query();
    unsigned first = asked_node();
    node_fails(first, FAULT_UPSTREAM_RESET);
    assert_string_equal(at_node(!first)->verbs, "hde");
    assert_string_equal(at_node(!first)->body, "{}");
    node_head(!first, 200, BODY_STREAM, "");
    node_data(!first, "a");
    node_fails(!first, FAULT_UPSTREAM_RESET);
    assert_int_equal(attempts(), 2);
    /* Cut, and to be seen as that: neither an end nor trailers. */
    assert_string_equal(stage.client.verbs, "hdl");
    assert_int_equal(count_fault(FAULT_UPSTREAM_RESET), 1);
    assert_int_equal(atomic_load(&stage.metrics.retries), 1);
}

static void a_write_is_repeated_only_if_twice_is_once(void **state)
{
    (void)state;
    write_lines("m v=1 1000");
    node_fails(asked_node(), FAULT_UPSTREAM_RESET);
    assert_int_equal(attempts(), 2);
    assert_string_equal(stage.client.verbs, "");
    client_fails(FAULT_DOWNSTREAM_GONE);
    another_client();
    write_lines("m v=1");
    node_fails(asked_node(), FAULT_UPSTREAM_RESET);
    assert_int_equal(attempts(), 1);
    assert_int_equal(stage.client.status, 503);
    assert_string_equal(stage.client.verbs, "hdel");
    assert_has(stage.client.body, "\"error_code\":\"router_upstream_reset\"");
}

static void a_refusal_is_kept_from_the_client(void **state)
{
    (void)state;
    write_lines("m v=1");
    unsigned first = asked_node();
    node_head(first, 400, BODY_STREAM, "");
    node_data(first, "{\"error\":\"cannot write to a ");
    node_data(first, "read-only server\"}");
    assert_string_equal(stage.client.verbs, "");
    node_end(first);
    assert_string_equal(at_node(!first)->body, "m v=1");
    node_head(!first, 204, BODY_NONE, "");
    node_end(!first);
    assert_int_equal(stage.client.status, 204);
}

static void what_looked_like_a_refusal_and_is_none_is_passed_on_whole(void **state)
{
    (void)state;
    write_lines("m v=1");
    node_head(asked_node(), 400, BODY_STREAM, "x-a: 1\n");
    node_data(asked_node(), "unable to parse");
    node_trailers(asked_node(), "x-checksum: 1\n");
    node_end(asked_node());
    assert_int_equal(attempts(), 1);
    assert_string_equal(stage.client.verbs, "hdtel");
    assert_has(stage.client.fields, "x-a: 1\n");
    assert_string_equal(stage.client.body, "unable to parse");
    assert_string_equal(stage.client.trailers, "x-checksum: 1\n");
}

/* Each of them gets the file, and the client hears the last one, trailers included. */
static void a_fan_out_asks_every_node(void **state)
{
    (void)state;
    make_nodes(NODE_CAPABILITY_PROCESS);
    client_asks("PUT", "/api/v3/plugins/files", "", BODY_STREAM);
    client_data("def f(): pass");
    client_end();
    unsigned first = asked_node();
    node_head(first, 200, BODY_STREAM, "");
    node_data(first, "one");
    node_trailers(first, "x-node: one\n");
    node_end(first);
    assert_string_equal(stage.client.verbs, "");
    assert_string_equal(at_node(!first)->body, "def f(): pass");
    node_head(!first, 200, BODY_STREAM, "");
    node_data(!first, "two");
    node_trailers(!first, "x-node: two\n");
    node_end(!first);
    assert_string_equal(stage.client.verbs, "hdtel");
    assert_string_equal(stage.client.body, "two");
    assert_string_equal(stage.client.trailers, "x-node: two\n");
}

/* ---- time ---- */

static void whoever_waits_for_a_link_is_paused_and_served_in_time(void **state)
{
    (void)state;
    stage.pool.nodes[0].supply = stage.pool.nodes[1].supply = SUPPLY_WAITS;
    client_asks("POST", QUERY, "", BODY_STREAM);
    assert_string_equal(stage.client.verbs, "p");
    unsigned first = stage.pool.nodes[1].waiting != NULL;
    pass(1900);
    node_serve(first);
    assert_string_equal(stage.client.verbs, "pr");
    assert_string_equal(at_node(first)->verbs, "h");
    client_fails(FAULT_DOWNSTREAM_GONE);
    /* Nobody serves this one: each node has two seconds. */
    another_client();
    query();
    pass(2100);
    assert_string_equal(stage.client.verbs, "p");
    pass(2100);
    assert_int_equal(stage.client.status, 503);
    assert_int_equal(count_fault(FAULT_QUEUE_TIMEOUT), 1);
}

/* Clients give up at five seconds and must have heard by then. */
static void a_write_has_one_deadline_for_all_attempts(void **state)
{
    (void)state;
    write_lines("m v=1 1000");
    pass(3000);
    node_fails(asked_node(), FAULT_UPSTREAM_RESET);
    assert_int_equal(attempts(), 2);
    pass(980);
    assert_string_equal(stage.client.verbs, "");
    pass(60);
    assert_int_equal(stage.client.status, 503);
    assert_int_equal(attempts(), 2);
}

static void a_client_that_stops_in_the_middle_is_told(void **state)
{
    (void)state;
    client_asks("POST", QUERY, "", BODY_STREAM);
    client_data("a");
    pass(4900);
    client_data("b");
    pass(4900);
    assert_string_equal(stage.client.verbs, "");
    pass(200);
    assert_int_equal(stage.client.status, 408);
    assert_int_equal(count_fault(FAULT_REQUEST_TIMEOUT), 1);
}

/* The header is a gRPC client's; anyone else's has no meaning here. */
static void a_grpc_timeout_without_grpc_is_a_field_like_any_other(void **state)
{
    (void)state;
    client_asks("POST", QUERY, "grpc-timeout: 1S\n", BODY_STREAM);
    client_end();
    assert_has(at_node(asked_node())->fields, "grpc-timeout: 1S\n");
    pass(2000);
    assert_string_equal(stage.client.verbs, "");
}

static void a_stalled_answer_is_cut(void **state)
{
    (void)state;
    query();
    unsigned node = asked_node();
    node_head(node, 200, BODY_STREAM, "");
    pass(60100);
    assert_string_equal(stage.client.verbs, "hl");
    assert_int_equal(count_fault(FAULT_UPSTREAM_STALLED), 1);
    assert_int_equal(atomic_load(&stage.cluster->nodes[node].failures), 1);
}

/* ---- the end of the drain ---- */

static void a_drain_that_is_over_answers_who_has_heard_nothing_and_cuts_the_rest(void **state)
{
    (void)state;
    query();
    exchange_cut_all(&stage.context);
    assert_int_equal(stage.client.status, 503);
    assert_has(stage.client.body, "router_draining");
    another_client();
    query();
    node_head(asked_node(), 200, BODY_STREAM, "");
    exchange_cut_all(&stage.context);
    assert_string_equal(stage.client.verbs, "hl");
    assert_int_equal(count_fault(FAULT_DRAINING), 2);
    for (unsigned i = 0; i < NODES; i++)
        assert_int_equal(atomic_load(&stage.cluster->nodes[i].failures), 0);
}

static void a_request_that_the_codec_refuses_is_answered_and_counted(void **state)
{
    (void)state;
    struct message_head *head = received_head("X-Request-Id: mine\n");
    head->method = TEXT("POST");
    head->target = head->path = TEXT("/write");
    exchange_refuse(&stage.context, &stage.session, &stage.client.stream, head, FAULT_REQUEST_HEAD_TOO_LARGE);
    assert_int_equal(stage.client.status, 431);
    assert_string_equal(stage.client.verbs, "hdel");
    assert_has(stage.client.fields, "X-Request-Id: mine\n");
    assert_has(stage.client.fields, "X-Influxdb-Error: ");
    assert_int_equal(count_fault(FAULT_REQUEST_HEAD_TOO_LARGE), 1);
}

static void a_refused_request_of_which_nothing_was_understood_gets_an_id(void **state)
{
    (void)state;
    exchange_refuse(&stage.context, &stage.session, &stage.client.stream, received_head(""), FAULT_REQUEST_MALFORMED);
    assert_int_equal(stage.client.status, 400);
    assert_has(stage.client.fields, "X-Request-Id: ");
    assert_null(strstr(stage.client.fields, "X-Influxdb-Error"));
}

static void a_refused_call_gets_the_status_of_grpc(void **state)
{
    (void)state;
    struct message_head *head = received_head("content-type: application/grpc\nx-request-id: mine\n");
    exchange_refuse(&stage.context, &stage.session, &stage.client.stream, head, FAULT_REQUEST_MALFORMED);
    assert_int_equal(stage.client.status, 200);
    assert_has(stage.client.fields, "grpc-status: 3\n");
    assert_has(stage.client.fields, "x-request-id: mine\n");
    assert_int_equal(stage.metrics.grpc_responses[GRPC_STATUS_INVALID_ARGUMENT], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(a_query_passes_and_is_counted),
        TEST(trailers_of_any_answer_are_passed_on),
        TEST(trailers_that_may_not_travel_leave_nothing_behind),
        TEST(the_slower_side_pauses_the_faster_one),
        TEST(an_answer_may_come_before_the_request_is_complete),
        TEST(the_access_log_tells_calls_from_requests),
        TEST(a_query_is_asked_elsewhere_until_the_first_byte),
        TEST(a_write_is_repeated_only_if_twice_is_once),
        TEST(a_refusal_is_kept_from_the_client),
        TEST(what_looked_like_a_refusal_and_is_none_is_passed_on_whole),
        TEST(a_fan_out_asks_every_node),
        TEST(whoever_waits_for_a_link_is_paused_and_served_in_time),
        TEST(a_write_has_one_deadline_for_all_attempts),
        TEST(a_client_that_stops_in_the_middle_is_told),
        TEST(a_grpc_timeout_without_grpc_is_a_field_like_any_other),
        TEST(a_stalled_answer_is_cut),
        TEST(a_drain_that_is_over_answers_who_has_heard_nothing_and_cuts_the_rest),
        TEST(a_request_that_the_codec_refuses_is_answered_and_counted),
        TEST(a_refused_request_of_which_nothing_was_understood_gets_an_id),
        TEST(a_refused_call_gets_the_status_of_grpc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
