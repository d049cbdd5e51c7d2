/* Writes at a node by itself: a client speaks to it over the simulated network, without Sluice between them. */
#include "test/node_stage.h"

/* ---- writes ---- */

static void a_write_is_acknowledged_at_the_flush(void **state)
{
    begin_world(1, PLAN_ROLE_INGEST, http_of(state));
    static const char *const targets[] = {"/write?db=x&try=", "/api/v2/write?bucket=x&try=", "/api/v3/write_lp?db=x&try="};
    for (size_t i = 0; i < 30; i++) {
        write_to(&one, targets[i % 3]);
        wait_for(&one);
        assert_int_equal(one.end, CLIENT_DONE);
        assert_int_equal(one.status, 204);
        assert_true(one.ended_us - one.began_us < 1300 * SIM_MS);
        settle(&one, TRY_DONE);
        if (i % 5 == 0)
            run_for(300 * SIM_MS);
    }
    assert_null(ledger_verdict());
    leave(&one);
    end_world();
}

static void a_write_that_is_not_synced_is_acknowledged_at_once(void **state)
{
    begin_world(2, PLAN_ROLE_INGEST, http_of(state));
    write_to(&one, "/api/v3/write_lp?db=x&no_sync=true&try=");
    wait_for(&one);
    assert_int_equal(one.status, 204);
    assert_true(one.ended_us - one.began_us < 100 * SIM_MS);
    run_for(2 * SIM_S);
    settle(&one, TRY_DONE);
    assert_null(ledger_verdict());
    leave(&one);
    end_world();
}

static void a_process_that_dies_loses_what_it_had_buffered(void **state)
{
    begin_world(3, PLAN_ROLE_INGEST, http_of(state));
    write_to(&one, "/write?db=x&try=");
    run_for(20 * SIM_MS);
    assert_int_equal(node->wal.buffered.count, 1);
    life_kill(node, FAULT_KIND_NODE_KILL);
    assert_int_equal(node->wal.buffered.count, 0);
    wait_for(&one);
    assert_int_equal(one.end, CLIENT_CUT);
    run_for(10 * SIM_S);
    assert_int_equal(node->state, NODE_RUNNING);
    settle(&one, TRY_DONE);
    assert_string_equal(ledger_verdict(), "lost");
    leave(&one);
    end_world();
}

static void a_client_that_leaves_does_not_take_its_write_along(void **state)
{
    begin_world(4, PLAN_ROLE_INGEST, http_of(state));
    write_to(&one, "/write?db=x&try=");
    run_for(20 * SIM_MS);
    uint64_t number = one.number;
    one.open = 0;
    leave(&one);
    run_for(20 * SIM_MS);
    assert_int_equal(node->wal.buffered.count, 1);
    assert_int_equal(node->connections.count, 0);
    run_for(2 * SIM_S);
    assert_int_equal(node->wal.buffered.count, 0);
    ledger_end(number, TRY_DONE, 204);
    assert_null(ledger_verdict());
    end_world();
}

static void a_write_in_the_wrong_mode_is_refused(void **state)
{
    begin_world(5, PLAN_ROLE_INGEST, http_of(state));
    node->roles = PLAN_ROLE_QUERY;
    node->until_us[NODE_IS_IN_WRONG_MODE] = 100 * SIM_S;
    write_to(&one, "/api/v3/write_lp?db=x&try=");
    wait_for(&one);
    assert_int_equal(one.status, 500);
    assert_true(has_body(&one, "write buffer error: cannot write to a read-only server: must enable ingest mode"));
    write_to(&one, "/api/v2/write?bucket=x&try=");
    wait_for(&one);
    assert_int_equal(one.status, 400);
    assert_true(has_body(&one, "{\"code\":\"invalid\",\"message\":\"write buffer error: cannot write to a read-only server: must enable ingest mode\"}"));
    node->roles = PLAN_ROLE_COMPACT;
    write_to(&one, "/write?db=x&try=");
    wait_for(&one);
    assert_int_equal(one.status, 500);
    assert_true(has_body(&one, "write buffer error: cannot write to a compactor-only server"));
    assert_null(ledger_verdict());
    leave(&one);
    end_world();
}

static void who_asks_a_node_without_the_role_is_found(void **state)
{
    begin_world(6, PLAN_ROLE_QUERY, http_of(state));
    write_to(&one, "/write?db=x&try=");
    wait_for(&one);
    assert_string_equal(ledger_verdict(), "wrong_node");
    leave(&one);
    end_world();
    begin_world(6, PLAN_ROLE_QUERY, http_of(state));
    ask(&one, TRY_COMPACTOR, "GET", "/api/v3/enterprise/backup?try=");
    wait_for(&one);
    assert_int_equal(one.status, 503);
    assert_string_equal(ledger_verdict(), "compactor");
    leave(&one);
    end_world();
}

static void a_body_of_another_try_is_found(void **state)
{
    begin_world(7, PLAN_ROLE_INGEST, http_of(state));
    char body[64];
    begin_request(&one, TRY_WRITE_STAMPED);
    struct text other = write_body(one.number + 1, TRY_WRITE_STAMPED, body, sizeof body);
    send_head(&one, "POST", "/write?db=x&try=", body_length(one.number, TRY_WRITE_STAMPED));
    peer_send_body(one.stream, other);
    run_for(100 * SIM_MS);
    assert_string_equal(ledger_verdict(), "wrong_body");
    leave(&one);
    end_world();
}

static void a_node_that_stops_refuses_and_stores_what_it_has(void **state)
{
    begin_world(8, PLAN_ROLE_INGEST, http_of(state));
    node->version = 311;
    write_to(&one, "/write?db=x&try=");
    run_for(20 * SIM_MS);
    life_stop(node);
    sim_timer_in(&node->step, 2 * SIM_S);
    wait_for(&one);
    assert_int_equal(one.status, 204);
    settle(&one, TRY_DONE);
    write_to(&one, "/api/v3/write_lp?db=x&try=");
    wait_for(&one);
    assert_int_equal(one.status, 503);
    assert_true(has_body(&one, "write buffer error: error from wal: wal is shutdown and not accepting writes"));
    ask(&one, TRY_CATALOG, "GET", "/health?try=");
    wait_for(&one);
    assert_int_equal(one.status, 200);
    run_for(20 * SIM_S);
    assert_int_equal(node->state, NODE_RUNNING);
    assert_null(ledger_verdict());
    leave(&one);
    end_world();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        OF_BOTH(a_write_is_acknowledged_at_the_flush),
        OF_BOTH(a_write_that_is_not_synced_is_acknowledged_at_once),
        OF_BOTH(a_process_that_dies_loses_what_it_had_buffered),
        OF_BOTH(a_client_that_leaves_does_not_take_its_write_along),
        OF_BOTH(a_write_in_the_wrong_mode_is_refused),
        OF_BOTH(who_asks_a_node_without_the_role_is_found),
        OF_BOTH(a_body_of_another_try_is_found),
        OF_BOTH(a_node_that_stops_refuses_and_stores_what_it_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
