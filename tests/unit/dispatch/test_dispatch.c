/*
 * The cluster as a stream, over nodes that the test plays: what goes through, what is tried again and where, how it fails, in which time, and with
 * which epoch. The letters that callers and nodes write down are explained in fake/dispatch_stage.h and fake/fake_stream.h.
 */
#include "fake/dispatch_stage.h"

#define ENGINE "/api/v3/engine/trigger"

/* ---- what goes through ---- */

static void a_request_passes(void **state)
{
    (void)state;
    query();
    unsigned node = asked_node();
    assert_string_equal(at_node(node)->verbs, "hde");
    assert_string_equal(at_node(node)->target, QUERY);
    assert_string_equal(at_node(node)->body, "{}");
    assert_has(at_node(node)->fields, "X-Forwarded-For: 192.0.2.7\n");
    assert_has(at_node(node)->fields, "Via: 2.0 sluice-");
    assert_int_equal(atomic_load(&shared(node)->outstanding), 1);
    assert_int_equal(atomic_load(&shared(node)->outstanding_of[REQUEST_CLASS_QUERY]), 1);
    node_head(node, 200, BODY_STREAM, "x-a: 1\n");
    node_data(node, "[1]");
    assert_int_equal(atomic_load(&shared(node)->outstanding), 1);
    node_trailers(node, "x-b: 2\n");
    node_end(node);
    assert_heard("hdte");
    assert_int_equal(stage.caller->status, 200);
    assert_has(stage.caller->fields, "x-a: 1\n");
    assert_string_equal(stage.caller->body, "[1]");
    assert_string_equal(stage.caller->trailers, "x-b: 2\n");
    assert_int_equal(stage.caller->attempts, 1);
    assert_string_equal(stage.caller->node_id, shared(node)->node_id);
    assert_string_equal(at_node(node)->verbs, "hdel");
    assert_int_equal(atomic_load(&shared(node)->requests), 1);
    assert_int_equal(count_failures(node), 0);
    assert_nothing_under_way();
}

static void interim_answers_go_on(void **state)
{
    (void)state;
    query();
    struct stream *stream = open_at_node(asked_node());
    struct message_head *head = received_head("");
    head->status = 103;
    stream->events->on_interim(stream->owner, head);
    assert_heard("i");
    assert_int_equal(stage.caller->status, 103);
    /* Nothing is committed by them. */
    node_fails(asked_node(), FAULT_UPSTREAM_RESET);
    assert_int_equal(attempts(), 2);
}

static void the_caller_stops_the_answer(void **state)
{
    (void)state;
    query();
    unsigned node = asked_node();
    node_head(node, 200, BODY_STREAM, "");
    IN_VERB(stream_pause(stage.caller->stream));
    IN_VERB(stream_pause(stage.caller->stream));
    assert_string_equal(at_node(node)->verbs, "hdep");
    /* A client that takes nothing is not the node's fault. */
    pass(100000);
    assert_heard("h");
    IN_VERB(stream_resume(stage.caller->stream));
    assert_string_equal(at_node(node)->verbs, "hdepr");
    pass(59000);
    assert_heard("h");
    pass(1100);
    assert_heard("hf");
    assert_failed(FAULT_UPSTREAM_STALLED);
}

static void the_node_stops_the_caller(void **state)
{
    (void)state;
    ask("POST", QUERY, "", BODY_STREAM);
    unsigned node = asked_node();
    assert_false(is_congested());
    at_node(node)->is_congested = true;
    send_words("a");
    assert_true(is_congested());
    node_drains(node);
    assert_int_equal(stage.caller->drains, 1);
    assert_false(is_congested());
    assert_string_equal(at_node(node)->body, "a");
}

static void who_is_released_in_the_middle_leaves_nothing(void **state)
{
    (void)state;
    /* Before the head. */
    assert_true(open_request("POST", QUERY, "", BODY_STREAM));
    begin_anew();
    /* While it sends, while it waits for an answer, and within one. */
    ask("POST", QUERY, "", BODY_STREAM);
    send_words("a");
    begin_anew();
    query();
    assert_int_equal(atomic_load(&shared(asked_node())->outstanding), 1);
    begin_anew();
    query();
    node_head(asked_node(), 200, BODY_STREAM, "");
    unsigned node = asked_node();
    begin_anew();
    assert_string_equal(cluster.pool.nodes[node].streams[0].verbs, "hdel");
    /* While it waits for a link. */
    cluster.pool.nodes[0].supply = cluster.pool.nodes[1].supply = SUPPLY_WAITS;
    query();
    begin_anew();
    /* After a reset nothing is heard. */
    cluster.pool.nodes[0].supply = cluster.pool.nodes[1].supply = SUPPLY_READY;
    query();
    IN_VERB(stream_reset(stage.caller->stream, FAULT_DRAINING));
    assert_int_equal(atomic_load(&shared(asked_node())->outstanding), 0);
    pass(100000);
    assert_heard("");
    let_go(stage.caller);
    assert_nothing_under_way();
    assert_int_equal(count_failures(0) + count_failures(1), 0);
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
    assert_string_equal(at_node(first)->verbs, "hdel");
    assert_int_equal(atomic_load(&shared(first)->outstanding), 0);
    node_head(!first, 200, BODY_STREAM, "");
    node_data(!first, "a");
    node_fails(!first, FAULT_UPSTREAM_RESET);
    assert_int_equal(attempts(), 2);
    assert_failed(FAULT_UPSTREAM_RESET);
    assert_heard("hdf");
    assert_int_equal(stage.caller->attempts, 2);
    assert_int_equal(count_retries(), 1);
    assert_int_equal(count_failures(first), 1);
    assert_int_equal(count_failures(!first), 1);
}

/* One that died of age says nothing about its node. */
static void a_link_that_was_closed_unread_is_tried_again_on_a_fresh_one(void **state)
{
    (void)state;
    query();
    unsigned node = asked_node();
    answer(node, 200, "");
    begin_anew();
    take_down(!node);
    query();
    node_fails(node, FAULT_LINK_CLOSED_UNREAD);
    assert_int_equal(cluster.pool.nodes[node].attempts, 2);
    assert_true(cluster.pool.nodes[node].wanted_fresh);
    assert_string_equal(at_node(node)->body, "{}");
    answer(node, 200, "");
    assert_int_equal(stage.caller->attempts, 2);
    assert_int_equal(stage.caller->status, 200);
}

static void what_no_node_takes_ends_in_the_last_fault(void **state)
{
    (void)state;
    query();
    node_fails(asked_node(), FAULT_UPSTREAM_RESET);
    node_fails(asked_node(), FAULT_UPSTREAM_CLOSED);
    assert_failed(FAULT_UPSTREAM_CLOSED);
    assert_int_equal(stage.caller->attempts, 2);
    assert_int_equal(count_retries(), 1);
}

static void what_cannot_be_sent_again_is_not(void **state)
{
    (void)state;
    char large[1100];
    memset(large, 'a', sizeof large);
    ask("POST", QUERY, "", BODY_STREAM);
    send_bytes(text_of(large, sizeof large));
    assert_int_equal(atomic_load(&cluster.roster->kept_body_bytes), 0);
    send_end();
    node_fails(asked_node(), FAULT_UPSTREAM_RESET);
    assert_failed(FAULT_UPSTREAM_RESET);
    assert_int_equal(attempts(), 1);
}

static void nothing_is_kept_once_the_answer_has_begun(void **state)
{
    (void)state;
    query();
    assert_true(atomic_load(&cluster.roster->kept_body_bytes) > 0);
    node_head(asked_node(), 200, BODY_STREAM, "");
    assert_int_equal(atomic_load(&cluster.roster->kept_body_bytes), 0);
}

/* Calls in both directions may have their answer's head before a byte of the request. */
static void nothing_is_kept_of_what_comes_after_the_answers_head(void **state)
{
    (void)state;
    ask("POST", QUERY, "", BODY_STREAM);
    node_head(asked_node(), 200, BODY_STREAM, "");
    send_words("a");
    assert_int_equal(atomic_load(&cluster.roster->kept_body_bytes), 0);
    send_words("b");
    assert_int_equal(atomic_load(&cluster.roster->kept_body_bytes), 0);
    assert_string_equal(at_node(asked_node())->body, "ab");
}

/* ---- faults of the beginning ---- */

static void a_fault_of_the_beginning_comes_from_the_loop(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        cluster.pool.nodes[i].supply = SUPPLY_REFUSES;
        cluster.pool.nodes[i].refusal = FAULT_CONNECT_REFUSED;
    }
    ask("POST", QUERY, "", BODY_STREAM);
    assert_heard("");
    /* The caller goes on meanwhile: nobody tells it to stop. */
    assert_false(is_congested());
    send_words("a");
    send_end();
    assert_heard("");
    settle();
    assert_heard("f");
    assert_failed(FAULT_CONNECT_REFUSED);
    assert_int_equal(stage.caller->attempts, 2);
    assert_int_equal(count_failures(0) + count_failures(1), 2);
    assert_int_equal(atomic_load(&shared(0)->connect_failures), 1);
    assert_nothing_under_way();
}

static void without_a_node_it_fails_without_an_attempt(void **state)
{
    (void)state;
    take_down(0);
    take_down(1);
    assert_true(open_request("POST", QUERY, "", BODY_STREAM));
    assert_false(dispatch_has_node(stage.caller->stream));
    IN_VERB(stream_send_head(stage.caller->stream, stage.caller->head));
    settle();
    assert_heard("f");
    assert_failed(FAULT_NO_NODE);
    assert_int_equal(stage.caller->attempts, 0);
    assert_string_equal(stage.caller->node_id, "");
}

static void who_lets_go_before_the_fault_hears_nothing(void **state)
{
    (void)state;
    take_down(0);
    take_down(1);
    ask("POST", QUERY, "", BODY_STREAM);
    let_go(stage.caller);
    settle();
    assert_heard("");
}

static void one_that_refuses_leaves_it_to_the_next(void **state)
{
    (void)state;
    cluster.pool.nodes[0].supply = SUPPLY_REFUSES;
    cluster.pool.nodes[0].refusal = FAULT_CONNECT_REFUSED;
    for (unsigned i = 0; i < 8; i++) {
        query();
        assert_int_equal(asked_node(), 1);
        answer(1, 200, "");
        assert_heard("he");
        begin_anew();
    }
    settle();
}

/* ---- time ---- */

static void each_node_has_its_time_in_the_queue(void **state)
{
    (void)state;
    cluster.pool.nodes[0].supply = cluster.pool.nodes[1].supply = SUPPLY_WAITS;
    ask("POST", QUERY, "", BODY_STREAM);
    assert_true(is_congested());
    unsigned first = cluster.pool.nodes[1].waiting != NULL;
    pass(1900);
    node_serve(first);
    assert_int_equal(stage.caller->drains, 1);
    assert_false(is_congested());
    assert_string_equal(at_node(first)->verbs, "h");
    begin_anew();
    /* Nobody serves this one. */
    query();
    pass(2100);
    assert_heard("");
    pass(2100);
    assert_heard("f");
    assert_failed(FAULT_QUEUE_TIMEOUT);
    assert_int_equal(stage.caller->attempts, 2);
}

static void who_cannot_be_served_goes_elsewhere(void **state)
{
    (void)state;
    cluster.pool.nodes[0].supply = cluster.pool.nodes[1].supply = SUPPLY_WAITS;
    query();
    unsigned first = cluster.pool.nodes[1].waiting != NULL;
    node_cannot_serve(first, FAULT_CONNECT_TIMEOUT);
    node_serve(!first);
    assert_string_equal(at_node(!first)->body, "{}");
    answer(!first, 200, "");
    assert_heard("he");
    assert_int_equal(atomic_load(&shared(first)->connect_failures), 1);
}

static void a_silent_node_is_left_for_the_next(void **state)
{
    (void)state;
    query();
    unsigned first = asked_node();
    pass(59000);
    assert_int_equal(attempts(), 1);
    pass(1100);
    assert_int_equal(attempts(), 2);
    assert_string_equal(at_node(first)->verbs, "hdel");
    assert_true(cluster.pool.nodes[first].suspected > 0);
    assert_int_equal(cluster.pool.nodes[!first].suspected, 0);
    pass(60100);
    assert_failed(FAULT_UPSTREAM_TIMEOUT);
}

/* Clients give up at five seconds: nothing begins that could not end by then. What a node works on goes on. */
static void no_attempt_of_a_write_begins_after_its_deadline(void **state)
{
    (void)state;
    cluster_serve(3, NODE_CAPABILITY_INGEST);
    write_lines("m v=1 1000");
    pass(3000);
    node_fails(asked_node(), FAULT_UPSTREAM_RESET);
    settle();
    assert_int_equal(attempts(), 2);
    pass(1100);
    assert_non_null(stage.caller->stream);
    node_fails(asked_node(), FAULT_UPSTREAM_RESET);
    settle();
    assert_failed(FAULT_UPSTREAM_RESET);
    assert_int_equal(attempts(), 2);
}

static void a_slow_write_stays_a_success(void **state)
{
    (void)state;
    cluster_serve(2, NODE_CAPABILITY_INGEST);
    write_lines("m v=1");
    pass(29900);
    answer(asked_node(), 204, "");
    assert_heard("he");
    assert_int_equal(stage.caller->status, 204);
    /* This one is never answered. */
    begin_anew();
    write_lines("m v=1 1000");
    pass(30050);
    assert_failed(FAULT_UPSTREAM_TIMEOUT);
    assert_int_equal(attempts(), 1);
}

static void who_waits_for_a_link_at_the_deadline_waits_no_longer(void **state)
{
    (void)state;
    cluster_serve(3, NODE_CAPABILITY_INGEST);
    for (unsigned i = 0; i < 3; i++)
        cluster.pool.nodes[i].supply = SUPPLY_WAITS;
    write_lines("m v=1 1000");
    pass(1990);
    pass(1950);
    assert_non_null(stage.caller->stream);
    pass(100);
    assert_failed(FAULT_QUEUE_TIMEOUT);
}

/* A client that we stop sends its last byte later: all of that is our time, whoever it was that took nothing. */
static void the_deadline_counts_what_kept_the_client_waiting(void **state)
{
    (void)state;
    cluster_serve(3, NODE_CAPABILITY_INGEST);
    cluster.pool.nodes[0].is_slow = cluster.pool.nodes[1].is_slow = cluster.pool.nodes[2].is_slow = true;
    for (unsigned i = 0; i < 3; i++)
        cluster.pool.nodes[i].supply = SUPPLY_WAITS;
    ask("POST", WRITE, "", BODY_STREAM);
    pass(1500);
    unsigned node = cluster.pool.nodes[0].waiting != NULL ? 0 : cluster.pool.nodes[1].waiting != NULL ? 1 : 2;
    node_serve(node);
    send_words("m v=1 1000\n");
    pass(1500);
    node_drains(node);
    /* The client's own time is not counted. */
    pass(3000);
    send_words("m v=2 2000\n");
    node_drains(node);
    send_end();
    pass(900);
    node_fails(node, FAULT_UPSTREAM_RESET);
    settle();
    assert_int_equal(stage.caller->event_count, 0);
    pass(150);
    assert_failed(FAULT_QUEUE_TIMEOUT);
}

/* ---- epochs ---- */

/* The epoch that a request began with is its own until its answer begins, whatever is in force. */
static void a_request_is_served_by_the_nodes_that_it_began_with(void **state)
{
    (void)state;
    query();
    unsigned first = asked_node();
    struct epoch *old = cluster.epoch;
    epoch_retain(old);
    cluster_reload(1);
    node_fails(first, FAULT_UPSTREAM_RESET);
    assert_int_equal(cluster.pool.nodes[!first].attempts, 1);
    node_head(!first, 200, BODY_STREAM, "");
    /* Now the answer comes, and the epoch may go; the node's name stays. */
    dispatch_leave_epoch(stage.caller->stream);
    lease_release(stage.caller->lease);
    stage.caller->lease = NULL;
    assert_int_equal(cluster.leases.count, 1);
    assert_int_equal(atomic_load(&old->references), 1);
    epoch_release(old);
    assert_string_equal(dispatch_node_id(stage.caller->stream), first != 0 ? "query-01" : "query-02");
    node_data(!first, "a");
    node_end(!first);
    assert_string_equal(stage.caller->node_id, first != 0 ? "query-01" : "query-02");
    /* A failed attempt counts as load a little longer. */
    pass(200);
    assert_int_equal(count_roster(cluster.roster), 1);
}

/* A path that a node of an earlier configuration answered: another one has its slot by now. */
static void a_remembered_node_that_is_gone_is_not_asked(void **state)
{
    (void)state;
    cluster_serve(2, NODE_CAPABILITY_PROCESS);
    ask("GET", ENGINE, "", BODY_NONE);
    if (asked_node() == 0)
        answer(0, 405, "");
    answer(1, 200, "done");
    roster_handle remembered = shared(1)->handle;
    begin_anew();
    cluster_reload(1);
    rig_turn(&cluster.rig);
    cluster.nodes[1].node_id = "query-03";
    cluster_reload(2);
    assert_int_equal(shared(1)->slot, remembered % ROSTER_SLOTS);
    roster_node_set_health(shared(1), HEALTH_UP);
    /* The stranger is busy: only memory would lead there. */
    atomic_store(&shared(1)->outstanding, 1);
    ask("GET", ENGINE, "", BODY_NONE);
    assert_int_equal(asked_node(), 0);
    let_go(stage.caller);
    atomic_store(&shared(1)->outstanding, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(a_request_passes),
        TEST(interim_answers_go_on),
        TEST(the_caller_stops_the_answer),
        TEST(the_node_stops_the_caller),
        TEST(who_is_released_in_the_middle_leaves_nothing),
        TEST(a_query_is_asked_elsewhere_until_the_first_byte),
        TEST(a_link_that_was_closed_unread_is_tried_again_on_a_fresh_one),
        TEST(what_no_node_takes_ends_in_the_last_fault),
        TEST(what_cannot_be_sent_again_is_not),
        TEST(nothing_is_kept_once_the_answer_has_begun),
        TEST(nothing_is_kept_of_what_comes_after_the_answers_head),
        TEST(a_fault_of_the_beginning_comes_from_the_loop),
        TEST(without_a_node_it_fails_without_an_attempt),
        TEST(who_lets_go_before_the_fault_hears_nothing),
        TEST(one_that_refuses_leaves_it_to_the_next),
        TEST(each_node_has_its_time_in_the_queue),
        TEST(who_cannot_be_served_goes_elsewhere),
        TEST(a_silent_node_is_left_for_the_next),
        TEST(no_attempt_of_a_write_begins_after_its_deadline),
        TEST(a_slow_write_stays_a_success),
        TEST(who_waits_for_a_link_at_the_deadline_waits_no_longer),
        TEST(the_deadline_counts_what_kept_the_client_waiting),
        TEST(a_request_is_served_by_the_nodes_that_it_began_with),
        TEST(a_remembered_node_that_is_gone_is_not_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
