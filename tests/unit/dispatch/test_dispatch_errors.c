/* Answers that are errors: which of them send the request to another node, which the client gets as they are, and what a writer hears instead. */
#include "fake/dispatch_stage.h"

#define EXHAUSTED "Resources exhausted: no memory"

struct read_row {
    unsigned status;
    const char *words;
    unsigned attempts; /* that are made in all */
};

static void a_query_goes_to_another_node_for_what_that_may_do_better(void **state)
{
    (void)state;
    static const struct read_row rows[] = {
        {429, EXHAUSTED, 2}, {500, EXHAUSTED, 2}, {502, "", 2},          {503, "", 2}, {504, "a page", 2},
        {500, "no", 1},      {501, "", 1},        {400, EXHAUSTED, 1}, {404, "", 1}, {401, "", 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        query();
        answer(asked_node(), rows[i].status, rows[i].words);
        if (attempts() != rows[i].attempts)
            fail_msg("%u: %u attempts", rows[i].status, attempts());
        if (rows[i].attempts == 2)
            answer(asked_node(), 200, "");
        assert_int_equal(stage.caller->status, rows[i].attempts == 2 ? 200 : rows[i].status);
        begin_anew();
    }
}

/* One other node is asked; what that says is the client's, with all of its words. */
static void the_second_error_of_a_query_is_the_clients(void **state)
{
    (void)state;
    cluster_serve(3, NODE_CAPABILITY_QUERY);
    query();
    answer(asked_node(), 503, "");
    node_head(asked_node(), 429, BODY_STREAM, "x-a: 1\n");
    assert_heard("h");
    node_data(asked_node(), EXHAUSTED);
    node_end(asked_node());
    assert_int_equal(attempts(), 2);
    assert_heard("hde");
    assert_string_equal(stage.caller->body, EXHAUSTED);
}

static void without_another_node_the_error_is_the_clients(void **state)
{
    (void)state;
    take_down(1);
    query();
    answer(0, 503, "not now");
    assert_int_equal(attempts(), 1);
    assert_int_equal(stage.caller->status, 503);
    assert_string_equal(stage.caller->body, "not now");
}

/* Its beginning tells, and the node's rest is not waited for. */
static void a_long_error_is_judged_by_its_beginning(void **state)
{
    (void)state;
    char page[1500];
    memset(page, 'x', sizeof page - 1);
    page[sizeof page - 1] = '\0';
    memcpy(page, EXHAUSTED, strlen(EXHAUSTED));
    query();
    node_head(asked_node(), 500, BODY_STREAM, "");
    node_data(asked_node(), page);
    assert_int_equal(attempts(), 2);
    assert_heard("");
    memset(page, 'x', strlen(EXHAUSTED));
    begin_anew();
    query();
    node_head(asked_node(), 500, BODY_STREAM, "");
    node_data(asked_node(), page);
    assert_int_equal(attempts(), 1);
    assert_heard("hdd");
    assert_int_equal(stage.caller->body_length, sizeof page - 1);
}

struct write_row {
    const char *lines;
    unsigned status;
    const char *words;
    unsigned attempts;
    unsigned heard; /* 0: a fault of ours */
};

#define TIMED "m v=1 1000"
#define UNTIMED "m v=1"
#define STORE "{\"code\":\"invalid\",\"message\":\"write buffer error: error from wal: object store error: x\"}"
#define TOO_OLD "{\"code\":\"invalid\",\"message\":\"write buffer error: Catalog modification failed: node is running an older version\"}"

static const struct write_row writes[] = {
    /* Twice is once: another node. */
    {TIMED, 500, "disk full", 2, 204},
    {TIMED, 503, "", 2, 204},
    {TIMED, 400, STORE, 2, 204},
    {TIMED, 429, "", 2, 204},
    /* Twice is twice: the node's own 5xx, but no 4xx that is its fault. */
    {UNTIMED, 500, "disk full", 1, 500},
    {UNTIMED, 503, "", 1, 503},
    {UNTIMED, 400, STORE, 1, 0},
    {UNTIMED, 429, "", 1, 0},
    /* Nothing was done. */
    {UNTIMED, 404, "", 2, 204},
    {UNTIMED, 405, "", 2, 204},
    {UNTIMED, 400, TOO_OLD, 2, 204},
    {UNTIMED, 503, "WAL is shutting down", 2, 204},
    /* The client's own, and what nobody knows. */
    {TIMED, 400, "unable to parse", 1, 400},
    {TIMED, 422, "{\"error\":\"partial write of line protocol occurred\"}", 1, 422},
    {TIMED, 413, "max request size exceeded", 1, 413},
    {TIMED, 400, "words that nobody has seen", 1, 400},
};

static void a_write_goes_on_by_what_its_error_means(void **state)
{
    (void)state;
    cluster_serve(2, NODE_CAPABILITY_INGEST);
    for (size_t i = 0; i < sizeof writes / sizeof writes[0]; i++) {
        write_lines(writes[i].lines);
        answer(asked_node(), writes[i].status, writes[i].words);
        settle();
        if (attempts() != writes[i].attempts)
            fail_msg("row %zu: %u attempts", i, attempts());
        if (writes[i].attempts == 2)
            answer(asked_node(), 204, "");
        if (stage.caller->status != writes[i].heard)
            fail_msg("row %zu: the caller heard %u", i, stage.caller->status);
        if (writes[i].heard == 0)
            assert_failed(FAULT_UPSTREAM_FAILED);
        if (writes[i].heard == writes[i].status)
            assert_string_equal(stage.caller->body, writes[i].words);
        begin_anew();
    }
}

/* The caller hears nothing while the lines are looked at, and then all of the answer. */
static void an_answer_waits_for_the_check_of_the_lines(void **state)
{
    (void)state;
    cluster_serve(2, NODE_CAPABILITY_INGEST);
    write_lines(UNTIMED);
    node_head(asked_node(), 500, BODY_STREAM, "x-a: 1\n");
    node_data(asked_node(), "disk full");
    node_trailers(asked_node(), "x-b: 2\n");
    node_end(asked_node());
    assert_heard("");
    assert_int_equal(cluster.dispatch.checks.waiting.count, 1);
    settle();
    assert_heard("hdte");
    assert_has(stage.caller->fields, "x-a: 1\n");
    assert_string_equal(stage.caller->body, "disk full");
}

static void who_lets_go_while_an_answer_waits_hears_nothing(void **state)
{
    (void)state;
    cluster_serve(2, NODE_CAPABILITY_INGEST);
    write_lines(TIMED);
    answer(asked_node(), 500, "");
    let_go(stage.caller);
    settle();
    assert_int_equal(attempts(), 1);
    assert_heard("");
}

static void each_error_is_counted_by_its_cause(void **state)
{
    (void)state;
    cluster_serve(2, NODE_CAPABILITY_INGEST);
    write_lines(UNTIMED);
    answer(asked_node(), 400, "words that nobody has seen");
    begin_anew();
    write_lines(UNTIMED);
    answer(asked_node(), 404, "");
    answer(asked_node(), 400, "unable to parse");
    assert_int_equal(atomic_load(&cluster.metrics.node_errors[ANSWER_CAUSE_UNKNOWN]), 1);
    assert_int_equal(atomic_load(&cluster.metrics.node_errors[ANSWER_CAUSE_ROLE]), 1);
    assert_int_equal(atomic_load(&cluster.metrics.node_errors[ANSWER_CAUSE_CLIENT]), 1);
}

/* ---- calls ---- */

#define CALL "/arrow.flight.protocol.FlightService/DoGet"

static void call(void)
{
    ask("POST", CALL, "content-type: application/grpc\n", BODY_STREAM);
    send_end();
}

static void a_call_goes_to_another_node_when_memory_is_short(void **state)
{
    (void)state;
    call();
    node_head(asked_node(), 200, BODY_NONE, "grpc-status: 8\ngrpc-message: Resources exhausted\n");
    node_end(asked_node());
    assert_int_equal(attempts(), 2);
    node_head(asked_node(), 200, BODY_NONE, "grpc-status: 8\ngrpc-message: Resources exhausted\n");
    node_end(asked_node());
    assert_heard("he");
    assert_has(stage.caller->fields, "grpc-status: 8\n");
}

static void a_calls_own_deadline_is_the_clients(void **state)
{
    (void)state;
    call();
    node_head(asked_node(), 200, BODY_NONE, "grpc-status: 8\ngrpc-message: grpc-timeout elapsed\n");
    node_end(asked_node());
    assert_int_equal(attempts(), 1);
    assert_has(stage.caller->fields, "grpc-status: 8\n");
}

/* ---- the budget ---- */

static void spend_all(void)
{
    uint64_t wait_ms;
    struct retry_budget_rates rates = {.floor = cluster.topology.retries.floor};
    while (roster_take_retry(cluster.roster, &rates, loop_now_ms(cluster.rig.loop), &wait_ms))
        ;
}

static void a_repeat_waits_for_a_token(void **state)
{
    (void)state;
    cluster.topology.retries = (struct topology_retries){.floor = 10};
    pass(20);
    spend_all();
    query();
    node_fails(asked_node(), FAULT_UPSTREAM_RESET);
    assert_int_equal(attempts(), 1);
    assert_heard("");
    assert_int_equal(atomic_load(&cluster.metrics.retries_waited), 1);
    pass(90);
    assert_int_equal(attempts(), 1);
    pass(40);
    assert_int_equal(attempts(), 2);
    assert_int_equal(atomic_load(&cluster.metrics.retries_spent), 1);
    answer(asked_node(), 200, "");
    assert_int_equal(stage.caller->status, 200);
}

/* First come, first served, whoever comes when there is a token again. */
static void tokens_go_round_in_the_order_of_asking(void **state)
{
    (void)state;
    cluster.topology.retries = (struct topology_retries){.floor = 10};
    pass(20);
    spend_all();
    for (unsigned i = 0; i < 2; i++) {
        turn_to(i);
        query();
        node_fails(asked_node(), FAULT_UPSTREAM_RESET);
    }
    assert_int_equal(attempts(), 2);
    pass(130);
    assert_int_equal(attempts(), 3);
    answer(asked_node(), 200, "");
    assert_int_equal(stage.callers[0].status, 200);
    assert_int_equal(stage.callers[1].status, 0);
    pass(100);
    answer(asked_node(), 200, "");
    assert_int_equal(stage.callers[1].status, 200);
}

static void a_write_waits_until_its_deadline(void **state)
{
    (void)state;
    cluster_serve(2, NODE_CAPABILITY_INGEST);
    cluster.topology.retries = (struct topology_retries){.floor = 0};
    write_lines(TIMED);
    node_fails(asked_node(), FAULT_UPSTREAM_RESET);
    settle();
    pass(3900);
    assert_heard("");
    pass(200);
    assert_failed(FAULT_UPSTREAM_RESET);
    assert_int_equal(attempts(), 1);
    assert_int_equal(atomic_load(&cluster.metrics.retries_expired), 1);
    assert_int_equal(cluster.dispatch.repeats.waiting.count, 0);
}

static void what_was_not_read_needs_no_token(void **state)
{
    (void)state;
    cluster.topology.retries = (struct topology_retries){.floor = 0};
    query();
    node_fails(asked_node(), FAULT_UPSTREAM_REFUSED_STREAM);
    assert_int_equal(attempts(), 2);
    answer(asked_node(), 200, "");
    begin_anew();
    query();
    at_node(asked_node())->is_stuck = true;
    node_fails(asked_node(), FAULT_UPSTREAM_RESET);
    assert_int_equal(attempts(), 2);
    assert_int_equal(atomic_load(&cluster.metrics.retries_spent), 0);
}

static void who_lets_go_waits_no_more(void **state)
{
    (void)state;
    cluster.topology.retries = (struct topology_retries){.floor = 0};
    query();
    node_fails(asked_node(), FAULT_UPSTREAM_RESET);
    assert_int_equal(cluster.dispatch.repeats.waiting.count, 1);
    let_go(stage.caller);
    assert_int_equal(cluster.dispatch.repeats.waiting.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(a_query_goes_to_another_node_for_what_that_may_do_better),
        TEST(the_second_error_of_a_query_is_the_clients),
        TEST(without_another_node_the_error_is_the_clients),
        TEST(a_long_error_is_judged_by_its_beginning),
        TEST(a_write_goes_on_by_what_its_error_means),
        TEST(an_answer_waits_for_the_check_of_the_lines),
        TEST(who_lets_go_while_an_answer_waits_hears_nothing),
        TEST(each_error_is_counted_by_its_cause),
        TEST(a_call_goes_to_another_node_when_memory_is_short),
        TEST(a_calls_own_deadline_is_the_clients),
        TEST(a_repeat_waits_for_a_token),
        TEST(tokens_go_round_in_the_order_of_asking),
        TEST(a_write_waits_until_its_deadline),
        TEST(what_was_not_read_needs_no_token),
        TEST(who_lets_go_waits_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
