/*
 * Answers that say that another node should be asked, and bodies whose lines say whether one may be: refusals, checks, sweeps over the nodes. The
 * letters that callers and nodes write down are explained in fake/dispatch_stage.h and fake/fake_stream.h.
 */
#include "fake/dispatch_stage.h"

#define ENGINE "/api/v3/engine/trigger"
#define NOT_FOUND "{error: \"not found\"}"

/* Bodies whose check is under way. */
static size_t checks(void)
{
    return cluster.dispatch.checks.waiting.count;
}

/* ---- writes ---- */

static void a_write_is_repeated_only_if_twice_is_once(void **state)
{
    (void)state;
    cluster_serve(2, NODE_CAPABILITY_INGEST);
    write_lines("m v=1 1000");
    node_fails(asked_node(), FAULT_UPSTREAM_RESET);
    settle();
    assert_int_equal(attempts(), 2);
    answer(asked_node(), 204, "");
    assert_int_equal(stage.caller->status, 204);
    begin_anew();
    write_lines("m v=1");
    node_fails(asked_node(), FAULT_UPSTREAM_RESET);
    settle();
    assert_int_equal(attempts(), 1);
    assert_failed(FAULT_UPSTREAM_RESET);
}

static void a_body_is_looked_at_once_however_often_it_fails(void **state)
{
    (void)state;
    cluster_serve(3, NODE_CAPABILITY_INGEST);
    write_lines("m v=1 1000");
    assert_int_equal(checks(), 0);
    node_fails(asked_node(), FAULT_UPSTREAM_RESET);
    /* The answer comes from the loop, and nothing is under way until it is there. */
    assert_int_equal(checks(), 1);
    assert_int_equal(attempts(), 1);
    assert_true(is_congested());
    settle();
    assert_int_equal(checks(), 0);
    assert_int_equal(attempts(), 2);
    node_fails(asked_node(), FAULT_UPSTREAM_RESET);
    assert_int_equal(checks(), 0);
    assert_int_equal(attempts(), 3);
    answer(asked_node(), 204, "");
    assert_int_equal(stage.caller->attempts, 3);
}

struct unasked {
    enum fault fault;
    bool is_stuck;     /* the end of the request has not left */
    bool is_alone;     /* no other node is usable */
    bool is_too_large; /* to be kept */
    unsigned attempts; /* that are made in all */
};

/* Whatever the lines say, the decision is the same. */
static void a_body_is_not_looked_at_when_it_decides_nothing(void **state)
{
    (void)state;
    static const struct unasked rows[] = {
        {FAULT_CONNECT_REFUSED, false, false, false, 2},
        {FAULT_UPSTREAM_RESET, true, false, false, 2},
        {FAULT_UPSTREAM_RESET, false, true, false, 1},
        {FAULT_UPSTREAM_RESET, false, false, true, 1},
    };
    char large[1100];
    memset(large, '\n', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cluster_serve(2, NODE_CAPABILITY_INGEST);
        /* Both links are new ones. */
        cluster.pool.nodes[0].link.used = cluster.pool.nodes[1].link.used = 0;
        write_lines(rows[i].is_too_large ? large : "m v=1");
        unsigned first = asked_node();
        roster_node_set_health(shared(!first), rows[i].is_alone ? HEALTH_DOWN : HEALTH_UP);
        at_node(first)->is_stuck = rows[i].is_stuck;
        node_fails(first, rows[i].fault);
        assert_int_equal(checks(), 0);
        if (attempts() != rows[i].attempts)
            fail_msg("row %zu: %u attempts", i, attempts());
        begin_anew();
        roster_node_set_health(shared(0), HEALTH_UP);
        roster_node_set_health(shared(1), HEALTH_UP);
        roster_node_note_connect(shared(first), false);
    }
}

/* What has come of it may be complete lines; what is still to come may not. */
static void a_body_that_is_not_complete_is_not_looked_at(void **state)
{
    (void)state;
    cluster_serve(2, NODE_CAPABILITY_INGEST);
    ask("POST", WRITE, "", BODY_STREAM);
    send_words("m v=1 1000\n");
    node_fails(asked_node(), FAULT_UPSTREAM_RESET);
    assert_int_equal(checks(), 0);
}

static void who_lets_go_during_the_check_hears_nothing(void **state)
{
    (void)state;
    cluster_serve(2, NODE_CAPABILITY_INGEST);
    write_lines("m v=1 1000");
    node_fails(asked_node(), FAULT_UPSTREAM_RESET);
    assert_int_equal(checks(), 1);
    let_go(stage.caller);
    assert_int_equal(checks(), 0);
    settle();
    assert_int_equal(attempts(), 1);
    assert_heard("");
}

static void a_refusal_is_kept_from_the_caller(void **state)
{
    (void)state;
    cluster_serve(2, NODE_CAPABILITY_INGEST);
    write_lines("m v=1");
    unsigned first = asked_node();
    node_head(first, 400, BODY_STREAM, "");
    node_data(first, "{\"error\":\"cannot write to a ");
    node_data(first, "read-only server\"}");
    assert_heard("");
    node_end(first);
    assert_string_equal(at_node(!first)->body, "m v=1");
    answer(!first, 204, "");
    assert_int_equal(stage.caller->status, 204);
    assert_int_equal(checks(), 0);
}

static void when_all_refuse_the_caller_hears_of_it(void **state)
{
    (void)state;
    cluster_serve(2, NODE_CAPABILITY_INGEST);
    write_lines("m v=1");
    answer(asked_node(), 400, "{\"error\":\"cannot write to a read-only server\"}");
    answer(asked_node(), 503, "{\"error\":\"cannot write to a read-only server\"}");
    assert_failed(FAULT_UPSTREAM_REFUSED_ROLE);
    assert_int_equal(attempts(), 2);
}

static void what_looked_like_a_refusal_and_is_none_is_passed_on_whole(void **state)
{
    (void)state;
    cluster_serve(2, NODE_CAPABILITY_INGEST);
    write_lines("m v=1");
    node_head(asked_node(), 400, BODY_STREAM, "x-a: 1\n");
    node_data(asked_node(), "unable to parse");
    node_trailers(asked_node(), "x-checksum: 1\n");
    assert_heard("");
    node_end(asked_node());
    assert_int_equal(attempts(), 1);
    assert_heard("hdte");
    assert_has(stage.caller->fields, "x-a: 1\n");
    assert_string_equal(stage.caller->body, "unable to parse");
    assert_string_equal(stage.caller->trailers, "x-checksum: 1\n");
}

/* The page of some proxy, or of a node that knows no such route: its first words are enough, and none of it is the client's. */
static void a_refusal_may_be_of_any_length(void **state)
{
    (void)state;
    char words[700];
    memset(words, 'x', sizeof words - 1);
    words[sizeof words - 1] = '\0';
    cluster_serve(2, NODE_CAPABILITY_INGEST);
    write_lines("m v=1");
    unsigned first = asked_node();
    node_head(first, 404, BODY_STREAM, "");
    /* Its beginning tells; the rest is not waited for. */
    node_data(first, words);
    assert_int_equal(attempts(), 1);
    node_data(first, words);
    assert_heard("");
    assert_int_equal(attempts(), 2);
    answer(!first, 204, "");
    assert_int_equal(stage.caller->status, 204);
    begin_anew();
    /* The other way round: words that a client acts on are its own, however long. */
    write_lines("m v=1");
    first = asked_node();
    node_head(first, 404, BODY_STREAM, "");
    node_data(first, "database not found: ");
    for (int i = 0; i < 3; i++)
        node_data(first, words);
    node_end(first);
    assert_int_equal(stage.caller->status, 404);
    assert_int_equal(stage.caller->body_length, 20 + 3 * (sizeof words - 1));
}

static void what_is_too_long_for_a_refusal_is_passed_on_at_once(void **state)
{
    (void)state;
    char words[700];
    memset(words, 'x', sizeof words - 1);
    words[sizeof words - 1] = '\0';
    cluster_serve(2, NODE_CAPABILITY_INGEST);
    write_lines("m v=1");
    node_head(asked_node(), 400, BODY_STREAM, "");
    node_data(asked_node(), words);
    assert_heard("");
    node_data(asked_node(), words);
    assert_heard("hdd");
    assert_int_equal(stage.caller->body_length, 2 * strlen(words));
    node_data(asked_node(), "y");
    node_end(asked_node());
    assert_heard("hddde");
}

/* A node that breaks off inside such an answer has failed like any other. */
static void an_answer_that_breaks_off_while_it_is_kept_is_tried_again(void **state)
{
    (void)state;
    cluster_serve(2, NODE_CAPABILITY_INGEST);
    write_lines("m v=1 1000");
    node_head(asked_node(), 503, BODY_STREAM, "");
    node_data(asked_node(), "{");
    node_fails(asked_node(), FAULT_UPSTREAM_TRUNCATED);
    settle();
    assert_heard("");
    assert_int_equal(attempts(), 2);
}

/* ---- one after the other ---- */

/* Each of them gets the file, and the caller hears the last one. */
static void a_fan_out_asks_every_node(void **state)
{
    (void)state;
    cluster_serve(2, NODE_CAPABILITY_PROCESS);
    ask("PUT", "/api/v3/plugins/files", "", BODY_STREAM);
    send_words("def f(): pass");
    send_end();
    unsigned first = asked_node();
    answer(first, 200, "one");
    assert_heard("");
    assert_string_equal(at_node(!first)->body, "def f(): pass");
    node_head(!first, 200, BODY_STREAM, "");
    node_data(!first, "two");
    node_trailers(!first, "x-node: two\n");
    node_end(!first);
    assert_heard("hdte");
    assert_string_equal(stage.caller->body, "two");
    assert_string_equal(stage.caller->trailers, "x-node: two\n");
    assert_int_equal(count_failures(first), 0);
}

static void a_fan_out_that_misses_a_node_is_not_begun(void **state)
{
    (void)state;
    cluster_serve(2, NODE_CAPABILITY_PROCESS);
    take_down(1);
    assert_false(open_request("PUT", "/api/v3/plugins/files", "", BODY_STREAM));
    assert_int_equal(stage.caller->refusal, FAULT_FAN_OUT_INCOMPLETE);
}

static void a_fan_out_ends_with_the_first_that_says_no(void **state)
{
    (void)state;
    cluster_serve(2, NODE_CAPABILITY_PROCESS);
    ask("PUT", "/api/v3/plugins/files", "", BODY_NONE);
    answer(asked_node(), 500, "no");
    assert_heard("hde");
    assert_int_equal(stage.caller->status, 500);
    assert_int_equal(attempts(), 1);
}

static void an_engine_route_is_looked_for_and_remembered(void **state)
{
    (void)state;
    cluster_serve(3, NODE_CAPABILITY_PROCESS);
    ask("GET", ENGINE, "", BODY_NONE);
    unsigned first = asked_node();
    answer(first, 404, NOT_FOUND);
    unsigned second = asked_node();
    assert_int_not_equal(second, first);
    answer(second, 405, "");
    unsigned third = asked_node();
    answer(third, 200, "done");
    assert_heard("hde");
    assert_int_equal(stage.caller->attempts, 3);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(count_failures(i), 0);
    for (unsigned i = 0; i < 6; i++) {
        begin_anew();
        ask("GET", ENGINE, "", BODY_NONE);
        assert_int_equal(asked_node(), third);
        answer(third, 200, "done");
    }
}

static void the_last_of_all_has_the_last_word(void **state)
{
    (void)state;
    cluster_serve(2, NODE_CAPABILITY_PROCESS);
    ask("GET", ENGINE, "", BODY_NONE);
    answer(asked_node(), 404, NOT_FOUND);
    assert_heard("");
    answer(asked_node(), 404, NOT_FOUND);
    assert_heard("hde");
    assert_int_equal(stage.caller->status, 404);
    assert_string_equal(stage.caller->body, NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(a_write_is_repeated_only_if_twice_is_once),
        TEST(a_body_is_looked_at_once_however_often_it_fails),
        TEST(a_body_is_not_looked_at_when_it_decides_nothing),
        TEST(a_body_that_is_not_complete_is_not_looked_at),
        TEST(who_lets_go_during_the_check_hears_nothing),
        TEST(a_refusal_is_kept_from_the_caller),
        TEST(when_all_refuse_the_caller_hears_of_it),
        TEST(what_looked_like_a_refusal_and_is_none_is_passed_on_whole),
        TEST(a_refusal_may_be_of_any_length),
        TEST(what_is_too_long_for_a_refusal_is_passed_on_at_once),
        TEST(an_answer_that_breaks_off_while_it_is_kept_is_tried_again),
        TEST(a_fan_out_asks_every_node),
        TEST(a_fan_out_that_misses_a_node_is_not_begun),
        TEST(a_fan_out_ends_with_the_first_that_says_no),
        TEST(an_engine_route_is_looked_for_and_remembered),
        TEST(the_last_of_all_has_the_last_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
