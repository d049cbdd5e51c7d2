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

static void query(void)
{
    client_asks("POST", QUERY, "content-type: application/json\n", BODY_STREAM);
    client_data("{}");
    client_end();
}

static void write_lines(const char *lines)
{
    serve_with(2, NODE_CAPABILITY_INGEST);
    client_asks("POST", WRITE, "", BODY_STREAM);
    client_data(lines);
    client_end();
}

/* ---- what Sluice answers itself ---- */

static unsigned ask_health(const char *target)
{
    client_asks("GET", target, "", BODY_NONE);
    unsigned status = stage.client.status;
    another_client();
    return status;
}

static void it_is_ready_while_it_serves_something_and_does_not_drain(void **state)
{
    (void)state;
    static const char *const paths[] = {"/ready", "/health", "/api/v1/health"};
    char target[64];
    serve_with(2, NODE_CAPABILITY_QUERY);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        assert_int_equal(ask_health(paths[i]), 200);
        snprintf(target, sizeof target, "%s?class=query", paths[i]);
        assert_int_equal(ask_health(target), 200);
        snprintf(target, sizeof target, "%s?class=write", paths[i]);
        assert_int_equal(ask_health(target), 503);
        atomic_store(&cluster.roster->draining, 1);
        assert_int_equal(ask_health(paths[i]), 503);
        snprintf(target, sizeof target, "%s?class=query", paths[i]);
        assert_int_equal(ask_health(target), 503);
        atomic_store(&cluster.roster->draining, 0);
    }
    take_down(0);
    assert_int_equal(ask_health("/ready"), 200);
    take_down(1);
    assert_int_equal(ask_health("/ready"), 503);
    assert_int_equal(ask_health("/ready?class=nothing"), 400);
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
    assert_int_equal(atomic_load(&cluster.metrics.responses[REQUEST_CLASS_QUERY][2]), 1);
    assert_int_equal(atomic_load(&cluster.metrics.request_bytes), 2);
    assert_int_equal(atomic_load(&cluster.metrics.response_bytes), 3);
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
    take_down(0);
    take_down(1);
    client_asks("POST", "/a.b/C", "content-type: application/grpc\n", BODY_STREAM);
    settle();
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
    assert_int_equal(atomic_load(&cluster.metrics.retries), 1);
}

static void a_write_is_repeated_only_if_twice_is_once(void **state)
{
    (void)state;
    write_lines("m v=1 1000");
    node_fails(asked_node(), FAULT_UPSTREAM_RESET);
    settle();
    assert_int_equal(attempts(), 2);
    assert_string_equal(stage.client.verbs, "");
    client_fails(FAULT_DOWNSTREAM_GONE);
    another_client();
    write_lines("m v=1");
    node_fails(asked_node(), FAULT_UPSTREAM_RESET);
    settle();
    assert_int_equal(attempts(), 1);
    assert_int_equal(stage.client.status, 503);
    assert_string_equal(stage.client.verbs, "hdel");
    assert_has(stage.client.body, "\"error_code\":\"router_upstream_reset\"");
}

/* ---- time ---- */

static void whoever_waits_for_a_link_is_paused_and_served_in_time(void **state)
{
    (void)state;
    cluster.pool.nodes[0].supply = cluster.pool.nodes[1].supply = SUPPLY_WAITS;
    client_asks("POST", QUERY, "", BODY_STREAM);
    assert_string_equal(stage.client.verbs, "p");
    unsigned first = cluster.pool.nodes[1].waiting != NULL;
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
static void no_attempt_of_a_write_begins_after_its_deadline(void **state)
{
    (void)state;
    write_lines("m v=1 1000");
    pass(3000);
    node_fails(asked_node(), FAULT_UPSTREAM_RESET);
    settle();
    assert_int_equal(attempts(), 2);
    pass(1100);
    assert_string_equal(stage.client.verbs, "");
    node_fails(asked_node(), FAULT_UPSTREAM_RESET);
    settle();
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

static void client_sends(size_t count)
{
    static char many[70000];
    memset(many, 'a', sizeof many);
    assert_in_range(count, 1, sizeof many);
    stage.client.stream.events->on_data(stage.client.stream.owner, text_of(many, count));
}

/* A link is for who makes progress. */
static void a_large_body_must_come_in_time(void **state)
{
    (void)state;
    cluster.topology.limits.request_buffer_bytes = 65536;
    cluster.topology.limits.upload_bytes_per_s = 500;
    client_asks("POST", QUERY, "", BODY_STREAM);
    client_sends(66000);
    for (unsigned i = 0; i < 20; i++) {
        pass(1000);
        client_sends(600);
    }
    assert_string_equal(stage.client.verbs, "");
    /* A byte now and then keeps timeouts.idle away, and no more. */
    for (unsigned i = 0; i < 15; i++) {
        pass(900);
        if (!stage.client.is_released)
            client_sends(1);
    }
    assert_int_equal(stage.client.status, 408);
    assert_int_equal(count_fault(FAULT_REQUEST_TIMEOUT), 1);
}

/* Nor is it the client's fault when the node takes nothing. */
static void who_is_stopped_is_not_slow(void **state)
{
    (void)state;
    cluster.topology.limits.request_buffer_bytes = 65536;
    cluster.topology.limits.upload_bytes_per_s = 500;
    cluster.topology.timeouts.idle_ms = 60000;
    client_asks("POST", QUERY, "", BODY_STREAM);
    client_sends(66000);
    unsigned node = asked_node();
    at_node(node)->is_congested = true;
    client_sends(1);
    assert_string_equal(stage.client.verbs, "p");
    pass(20000);
    assert_string_equal(stage.client.verbs, "p");
    node_drains(node);
    assert_string_equal(stage.client.verbs, "pr");
    /* From now on it is. */
    pass(4000);
    assert_string_equal(stage.client.verbs, "pr");
    pass(1100);
    assert_int_equal(stage.client.status, 408);
}

static void a_small_body_has_its_idle_time_and_a_limit_of_0_is_none(void **state)
{
    (void)state;
    cluster.topology.limits.request_buffer_bytes = 65536;
    cluster.topology.limits.upload_bytes_per_s = 500;
    cluster.topology.timeouts.idle_ms = 60000;
    client_asks("POST", QUERY, "", BODY_STREAM);
    client_sends(65536);
    pass(20000);
    assert_string_equal(stage.client.verbs, "");
    client_fails(FAULT_DOWNSTREAM_GONE);
    another_client();
    cluster.topology.limits.upload_bytes_per_s = 0;
    client_asks("POST", QUERY, "", BODY_STREAM);
    client_sends(66000);
    pass(20000);
    assert_string_equal(stage.client.verbs, "");
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
    assert_int_equal(atomic_load(&shared(node)->failures), 1);
}

/* ---- epochs ---- */

/* Until its answer begins, a request may be sent to any node of the configuration that it began with. */
static void an_exchange_keeps_its_epoch_until_its_answer_begins(void **state)
{
    (void)state;
    query();
    unsigned first = asked_node();
    reload(1);
    assert_int_equal(cluster.leases.count, 2);
    rig_turn(&cluster.rig);
    assert_int_equal(count_roster(cluster.roster), 2);
    node_fails(first, FAULT_UPSTREAM_RESET);
    assert_int_equal(cluster.pool.nodes[!first].attempts, 1);
    assert_int_equal(cluster.leases.count, 2);
    node_head(!first, 200, BODY_STREAM, "");
    /* The newest one is the only one that is needed now. */
    assert_int_equal(cluster.leases.count, 1);
    assert_has(stage.client.fields, first != 0 ? "X-Sluice-Node: query-01\n" : "X-Sluice-Node: query-02\n");
    node_data(!first, "a");
    node_end(!first);
    assert_string_equal(stage.client.verbs, "hdel");
}

static void an_answer_that_has_begun_lets_the_epoch_go(void **state)
{
    (void)state;
    query();
    unsigned node = asked_node();
    node_head(node, 200, BODY_STREAM, "");
    assert_int_equal(cluster.leases.count, 1);
    struct roster_node *gone = shared(1);
    cluster_reload(1);
    assert_int_equal(cluster.leases.count, 2);
    stage.context.lease = cluster.dispatch.newest;
    exchange_leave_epochs(&stage.context);
    assert_int_equal(cluster.leases.count, 1);
    rig_turn(&cluster.rig);
    /* A node that answers stays until it has answered. */
    assert_int_equal(count_roster(cluster.roster), node == 1 ? 2 : 1);
    if (node == 1)
        assert_int_equal(atomic_load(&gone->outstanding), 1);
    node_data(node, "a");
    node_end(node);
    assert_string_equal(stage.client.verbs, "hdel");
    rig_turn(&cluster.rig);
    assert_int_equal(count_roster(cluster.roster), 1);
}

/* The limits that hold for it are those of the newest one from then on. */
static void a_client_of_an_old_epoch_is_cut_by_the_new_limits(void **state)
{
    (void)state;
    query();
    unsigned node = asked_node();
    node_head(node, 200, BODY_STREAM, "");
    cluster.topology.timeouts.idle_ms = 1000;
    reload(2);
    stage.client.is_congested = true;
    node_data(node, "a");
    pass(900);
    assert_string_equal(stage.client.verbs, "hd");
    pass(200);
    assert_string_equal(stage.client.verbs, "hdl");
    assert_int_equal(count_fault(FAULT_DOWNSTREAM_GONE), 1);
}

static void an_exchange_that_ends_lets_its_epoch_go(void **state)
{
    (void)state;
    query();
    reload(2);
    assert_int_equal(cluster.leases.count, 2);
    client_fails(FAULT_DOWNSTREAM_GONE);
    assert_int_equal(cluster.leases.count, 1);
    /* One that was refused, too. */
    another_client();
    take_down(0);
    take_down(1);
    query();
    reload(2);
    settle();
    assert_int_equal(stage.client.status, 503);
    assert_int_equal(cluster.leases.count, 1);
}

/* ---- a second attempt ---- */

/* It goes no faster than the node takes it, and the client is stopped meanwhile. */
static void a_client_is_paused_while_a_slow_second_node_catches_up(void **state)
{
    (void)state;
    client_asks("POST", QUERY, "", BODY_STREAM);
    client_data("a");
    unsigned first = asked_node();
    cluster.pool.nodes[!first].is_slow = true;
    node_fails(first, FAULT_UPSTREAM_RESET);
    assert_string_equal(at_node(!first)->verbs, "h");
    client_data("b");
    assert_string_equal(stage.client.verbs, "p");
    node_drains(!first);
    assert_string_equal(stage.client.verbs, "p");
    node_drains(!first);
    assert_string_equal(stage.client.verbs, "pr");
    client_data("c");
    client_end();
    assert_string_equal(at_node(!first)->body, "abc");
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
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(atomic_load(&shared(i)->failures), 0);
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
    assert_int_equal(cluster.metrics.grpc_responses[GRPC_STATUS_INVALID_ARGUMENT], 1);
}

/* ---- a client that ends its sending only ---- */

static void behind_a_write_it_may_still_read_behind_a_query_it_has_gone(void **state)
{
    (void)state;
    static const struct {
        const char *method, *target;
        enum body_kind body;
        bool stays;
    } rows[] = {
        {"POST", "/api/v3/write_lp?db=d", BODY_LENGTH, true},
        {"POST", "/api/v3/configure/database", BODY_LENGTH, true},
        {"GET", "/api/v3/query_sql?db=d&q=1", BODY_NONE, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        client_asks(rows[i].method, rows[i].target, "", rows[i].body);
        assert_int_equal(stage.client.stream.events->on_half_closed(stage.client.stream.owner), rows[i].stays);
        client_fails(FAULT_DOWNSTREAM_GONE);
        another_client();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(it_is_ready_while_it_serves_something_and_does_not_drain),
        TEST(a_query_passes_and_is_counted),
        TEST(trailers_of_any_answer_are_passed_on),
        TEST(trailers_that_may_not_travel_leave_nothing_behind),
        TEST(the_slower_side_pauses_the_faster_one),
        TEST(an_answer_may_come_before_the_request_is_complete),
        TEST(the_access_log_tells_calls_from_requests),
        TEST(a_query_is_asked_elsewhere_until_the_first_byte),
        TEST(a_write_is_repeated_only_if_twice_is_once),
        TEST(whoever_waits_for_a_link_is_paused_and_served_in_time),
        TEST(no_attempt_of_a_write_begins_after_its_deadline),
        TEST(a_client_that_stops_in_the_middle_is_told),
        TEST(a_large_body_must_come_in_time),
        TEST(who_is_stopped_is_not_slow),
        TEST(a_small_body_has_its_idle_time_and_a_limit_of_0_is_none),
        TEST(behind_a_write_it_may_still_read_behind_a_query_it_has_gone),
        TEST(a_grpc_timeout_without_grpc_is_a_field_like_any_other),
        TEST(a_stalled_answer_is_cut),
        TEST(an_exchange_keeps_its_epoch_until_its_answer_begins),
        TEST(an_answer_that_has_begun_lets_the_epoch_go),
        TEST(a_client_of_an_old_epoch_is_cut_by_the_new_limits),
        TEST(an_exchange_that_ends_lets_its_epoch_go),
        TEST(a_client_is_paused_while_a_slow_second_node_catches_up),
        TEST(a_drain_that_is_over_answers_who_has_heard_nothing_and_cuts_the_rest),
        TEST(a_request_that_the_codec_refuses_is_answered_and_counted),
        TEST(a_refused_request_of_which_nothing_was_understood_gets_an_id),
        TEST(a_refused_call_gets_the_status_of_grpc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
