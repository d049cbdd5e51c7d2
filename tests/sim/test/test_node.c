/* A database node by itself: a client speaks to it over the simulated network, without Sluice between them. */
#include "test/node_stage.h"

/* ---- queries ---- */

static void queries_get_the_answer_of_their_try(void **state)
{
    begin_world(9, PLAN_ROLE_QUERY, http_of(state));
    static const char *const targets[] = {"/query?q=x&try=", "/api/v3/query_sql?q=x&try=", "/api/v3/query_influxql?q=x&try="};
    for (size_t i = 0; i < 300; i++) {
        ask(&one, TRY_QUERY, i % 2 == 0 ? "GET" : "POST", targets[i % 3]);
        wait_for(&one);
        assert_int_equal(one.end, CLIENT_DONE);
        assert_int_equal(one.status, 200);
        assert_true(has_answer(&one, one.length));
        settle(&one, TRY_DONE);
    }
    assert_null(ledger_verdict());
    leave(&one);
    end_world();
}

static void calls_get_the_answer_of_their_try(void **state)
{
    (void)state;
    begin_world(10, PLAN_ROLE_QUERY, 2);
    for (size_t i = 0; i < 300; i++) {
        call(&one);
        wait_for(&one);
        assert_int_equal(one.end, CLIENT_DONE);
        assert_int_equal(one.status, 200);
        assert_int_equal(one.grpc_status, 0);
        ptrdiff_t length = unpack(&one);
        assert_true(length >= 0 && has_answer(&one, (size_t)length));
        settle(&one, TRY_DONE);
    }
    node->roles = PLAN_ROLE_INGEST;
    node->until_us[NODE_IS_IN_WRONG_MODE] = 1000 * SIM_S;
    call(&one);
    wait_for(&one);
    assert_int_equal(one.end, CLIENT_DONE);
    assert_int_not_equal(one.grpc_status, 0);
    assert_null(ledger_verdict());
    leave(&one);
    end_world();
}

/* ---- the process ---- */

static void a_process_that_hangs_answers_when_it_runs_again(void **state)
{
    begin_world(11, PLAN_ROLE_QUERY, http_of(state));
    life_hang(node, 3 * SIM_S);
    ask(&one, TRY_QUERY, "GET", "/query?q=x&try=");
    run_for(2900 * SIM_MS);
    assert_int_equal(one.end, CLIENT_WAITS);
    wait_for(&one);
    assert_int_equal(one.end, CLIENT_DONE);
    assert_true(has_answer(&one, one.length));
    leave(&one);
    end_world();
}

static void nobody_hears_of_a_machine_without_power(void **state)
{
    begin_world(12, PLAN_ROLE_INGEST, http_of(state));
    write_to(&one, "/write?db=x&try=");
    run_for(20 * SIM_MS);
    life_kill(node, FAULT_KIND_NODE_POWER);
    sim_timer_in(&node->step, 5 * SIM_S);
    run_for(4 * SIM_S);
    assert_int_equal(one.end, CLIENT_WAITS);
    leave(&one);
    run_for(10 * SIM_S);
    assert_int_equal(node->state, NODE_RUNNING);
    ask(&one, TRY_CATALOG, "GET", "/health?try=");
    wait_for(&one);
    assert_int_equal(one.status, 200);
    leave(&one);
    end_world();
}

static void a_node_of_two_tells_of_a_new_database(void **state)
{
    begin_world(13, PLAN_ROLE_QUERY, http_of(state));
    plan.nodes[1] = plan.nodes[0];
    struct node *other = node_create(&plan, 1);
    other->catalog_lag_us = 5 * SIM_S;
    ask(&one, TRY_CATALOG, "POST", "/api/v3/configure/database?db=d&try=");
    wait_for(&one);
    assert_int_equal(one.status, 200);
    assert_int_equal(catalog_count(node), 1);
    assert_int_equal(catalog_count(other), 0);
    run_for(5 * SIM_S);
    assert_int_equal(catalog_count(other), 1);
    ask(&one, TRY_CATALOG, "POST", "/api/v3/configure/database?db=d&try=");
    wait_for(&one);
    assert_int_equal(one.status, 409);
    ask(&one, TRY_CATALOG, "DELETE", "/api/v3/configure/database?db=d&try=");
    wait_for(&one);
    assert_int_equal(one.status, 200);
    assert_int_equal(catalog_count(node), 0);
    assert_int_equal(catalog_count(other), 1);
    node_destroy(other);
    leave(&one);
    end_world();
}

static void a_node_speaks_tls(void **state)
{
    clients = tls_far_create("DNS:client.cluster.test");
    begin_world(14, PLAN_ROLE_QUERY, http_of(state));
    tls_far_trust(clients, certificates_of_node(), node_name(node));
    for (size_t i = 0; i < 20; i++) {
        ask(&one, TRY_QUERY, "GET", "/query?q=x&try=");
        wait_for(&one);
        assert_int_equal(one.end, CLIENT_DONE);
        assert_true(has_answer(&one, one.length));
    }
    leave(&one);
    end_world();
    tls_far_destroy(clients);
    clients = NULL;
}

/* ---- everything at once ---- */

#define CROWD 12

static struct client crowd[CROWD];

static void ask_something(struct client *client, struct random_source *draw)
{
    switch (draw_below(draw, plan.nodes[0].http == 2 ? 5 : 4)) {
    case 0:
    case 1:
        write_to(client, "/api/v3/write_lp?db=x&try=");
        break;
    case 2:
        ask(client, TRY_QUERY, "GET", "/query?q=x&try=");
        break;
    case 3:
        ask(client, TRY_CATALOG, "POST", "/api/v3/configure/database?db=d&try=");
        break;
    default:
        call(client);
        break;
    }
}

/* A client whose request has ended, or which waits too long, begins the next one. */
static void go_on(struct client *client, struct random_source *draw)
{
    bool is_success = client->end == CLIENT_DONE && client->status < 300 && client->grpc_status == 0;
    if (client->number != 0 && client->end == CLIENT_WAITS && sim_now_us() < client->began_us + 10 * SIM_S)
        return;
    if (client->number != 0)
        settle(client, is_success ? TRY_DONE : client->end == CLIENT_DONE ? TRY_REFUSED : client->end == CLIENT_CUT ? TRY_CUT : TRY_LEFT);
    if (is_success && client->kind == TRY_QUERY)
        assert_true(has_answer(client, client->length));
    if (client->stream != NULL)
        peer_stream_release(client->stream);
    client->stream = NULL;
    if (client->peer != NULL && !peer_can_send(client->peer)) {
        peer_destroy(client->peer);
        client->peer = NULL;
    }
    client->number = 0;
    ask_something(client, draw);
}

/* What a crowd must have met in all its worlds together. */
static const char *const rare[] = {
    "node: a flush failed and is stored",
    "node: an error in spite of work",
    "node: answers early and ends",
    "node: closed an idle connection",
    "node: connection: close with an answer",
    "node: cut an answer in its body",
    "node: died with writes in its buffer",
    "node: hangs",
    "node: its machine lost power",
    "node: refused a write because it stops",
    "node: refused a write by its mode",
    "node: resets a stream",
    "node: sends garbage",
    "node: stopped",
};
#define RARE_COUNT (sizeof rare / sizeof *rare)

static void note_rare(void *owner, const char *name)
{
    bool *was_met = owner;
    for (size_t i = 0; i < RARE_COUNT; i++)
        was_met[i] = was_met[i] || strcmp(rare[i], name) == 0;
}

static void whatever_happens_is_no_violation(void **state)
{
    bool was_met[RARE_COUNT] = {false};
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct random_source draw = draw_source_of(seed, "crowd", 0);
        begin_world(seed, PLAN_ROLE_ALL, http_of(state));
        plan.faulty_seconds = 60;
        for (unsigned kind = FAULT_KIND_NODE_KILL; kind <= FAULT_KIND_NODE_CATALOG_LAG; kind++)
            plan.rate[kind] = kind <= FAULT_KIND_NODE_STORAGE ? 30000 : 20000;
        plan.rate[FAULT_KIND_NODE_WRONG_MODE] = 30000;
        while (sim_now_us() < 80 * SIM_S) {
            for (size_t i = 0; i < CROWD; i++)
                go_on(&crowd[i], &draw);
            run_for(50 * SIM_MS);
        }
        assert_null(ledger_verdict());
        assert_true(node_is_well(node));
        for (size_t i = 0; i < CROWD; i++)
            leave(&crowd[i]);
        end_world();
        reached_each(note_rare, was_met);
    }
    for (size_t i = 0; i < RARE_COUNT; i++)
        assert_true(was_met[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        OF_BOTH(queries_get_the_answer_of_their_try),
        cmocka_unit_test(calls_get_the_answer_of_their_try),
        OF_BOTH(a_process_that_hangs_answers_when_it_runs_again),
        OF_BOTH(nobody_hears_of_a_machine_without_power),
        OF_BOTH(a_node_of_two_tells_of_a_new_database),
        OF_BOTH(a_node_speaks_tls),
        OF_BOTH(whatever_happens_is_no_violation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
