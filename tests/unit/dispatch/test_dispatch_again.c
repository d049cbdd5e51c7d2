/* A body that is sent again: no faster than the second node takes it, all of it, and nothing is kept longer than it is needed. */
#include "fake/dispatch_stage.h"

#define PIECE 50000
#define PIECES 4

static char large[PIECES * PIECE];

static uint64_t sum_of(size_t length)
{
    return fake_sum(0, text_of(large, length));
}

static void fill_large(uint64_t replay_bytes)
{
    for (size_t i = 0; i < sizeof large; i++)
        large[i] = (char)(i * 7 + i / 251);
    cluster.topology.limits.replay_bytes = replay_bytes;
    cluster.topology.limits.replay_total_bytes = 4 * sizeof large;
}

static void send_piece(unsigned number)
{
    send_bytes(text_of(large + (size_t)number * PIECE, PIECE));
}

/* The second node takes a piece at a time: it is given no more, whatever is kept. */
static void a_slow_second_node_gets_what_it_takes(void **state)
{
    (void)state;
    fill_large(sizeof large);
    ask("POST", QUERY, "", BODY_STREAM);
    for (unsigned i = 0; i < PIECES; i++)
        send_piece(i);
    send_end();
    unsigned first = asked_node();
    assert_int_equal(at_node(first)->data_bytes, sizeof large);
    cluster.pool.nodes[!first].is_slow = true;
    node_fails(first, FAULT_UPSTREAM_RESET);
    assert_string_equal(at_node(!first)->verbs, "h");
    uint64_t before = 0;
    for (unsigned i = 0; at_node(!first)->data_bytes < sizeof large; i++) {
        assert_true(i < 8);
        assert_true(is_congested());
        assert_null(strchr(at_node(!first)->verbs, 'e'));
        node_drains(!first);
        assert_in_range(at_node(!first)->data_bytes - before, 1, 65536);
        before = at_node(!first)->data_bytes;
    }
    assert_int_equal(at_node(!first)->data_sum, sum_of(sizeof large));
    assert_string_equal(strchr(at_node(!first)->verbs, 'e'), "e");
    answer(!first, 200, "");
    assert_int_equal(stage.caller->status, 200);
}

/* A request whose first two pieces have come, with so many bytes that may be kept; the node that was asked. */
static unsigned begin_upload(size_t kept_bytes)
{
    fill_large(kept_bytes);
    ask("POST", QUERY, "", BODY_STREAM);
    send_piece(0);
    send_piece(1);
    return asked_node();
}

/* The caller is told to stop, goes on when the node has caught up, and what comes then goes straight through. */
static void the_caller_stays_stopped_until_the_second_node_has_caught_up(void **state)
{
    (void)state;
    unsigned first = begin_upload(sizeof large);
    cluster.pool.nodes[!first].is_slow = true;
    node_fails(first, FAULT_UPSTREAM_RESET);
    assert_true(is_congested());
    /* On its way already when it was told to stop. */
    send_piece(2);
    assert_string_equal(at_node(!first)->verbs, "h");
    for (unsigned i = 0; i < 8 && at_node(!first)->data_bytes < 3 * PIECE; i++) {
        assert_true(is_congested());
        assert_int_equal(stage.caller->drains, 0);
        node_drains(!first);
    }
    assert_true(is_congested());
    node_drains(!first);
    assert_int_equal(stage.caller->drains, 1);
    assert_false(is_congested());
    send_piece(3);
    send_end();
    assert_int_equal(at_node(!first)->data_bytes, sizeof large);
    assert_int_equal(at_node(!first)->data_sum, sum_of(sizeof large));
    answer(!first, 200, "");
    assert_int_equal(stage.caller->status, 200);
}

/* What is under way to the second node passes the limit: it arrives, and only then nothing is kept any more. */
static void nothing_is_lost_above_the_limit_while_a_node_catches_up(void **state)
{
    (void)state;
    unsigned first = begin_upload(2 * PIECE + 10);
    cluster.pool.nodes[!first].is_slow = true;
    node_fails(first, FAULT_UPSTREAM_RESET);
    send_piece(2);
    for (unsigned i = 0; i < 8 && is_congested(); i++)
        node_drains(!first);
    assert_int_equal(at_node(!first)->data_bytes, 3 * PIECE);
    assert_int_equal(stage.caller->drains, 1);
    send_piece(3);
    assert_int_equal(atomic_load(&cluster.roster->kept_body_bytes), 0);
    send_end();
    assert_int_equal(at_node(!first)->data_bytes, sizeof large);
    assert_int_equal(at_node(!first)->data_sum, sum_of(sizeof large));
    answer(!first, 200, "");
    assert_int_equal(stage.caller->status, 200);
}

/* The same while the second attempt waits for a link. */
static void nothing_is_lost_above_the_limit_while_an_attempt_waits(void **state)
{
    (void)state;
    unsigned first = begin_upload(2 * PIECE + 10);
    cluster.pool.nodes[!first].supply = SUPPLY_WAITS;
    node_fails(first, FAULT_UPSTREAM_RESET);
    send_piece(2);
    node_serve(!first);
    assert_int_equal(at_node(!first)->data_sum, sum_of(3 * PIECE));
    send_piece(3);
    send_end();
    assert_int_equal(at_node(!first)->data_sum, sum_of(sizeof large));
}

/* An answer that begins before the node has all of the request: the rest still goes there, and is freed then. */
static void an_early_answer_does_not_cut_what_is_sent_again(void **state)
{
    (void)state;
    fill_large(sizeof large);
    ask("POST", QUERY, "", BODY_STREAM);
    for (unsigned i = 0; i < PIECES; i++)
        send_piece(i);
    send_end();
    unsigned first = asked_node();
    cluster.pool.nodes[!first].is_slow = true;
    node_fails(first, FAULT_UPSTREAM_RESET);
    node_head(!first, 200, BODY_STREAM, "");
    assert_true(atomic_load(&cluster.roster->kept_body_bytes) > 0);
    for (unsigned i = 0; i < 8 && at_node(!first)->data_bytes < sizeof large; i++)
        node_drains(!first);
    assert_int_equal(at_node(!first)->data_sum, sum_of(sizeof large));
    assert_int_equal(atomic_load(&cluster.roster->kept_body_bytes), 0);
    node_end(!first);
    assert_heard("he");
}

static void a_second_node_that_takes_nothing_is_given_up(void **state)
{
    (void)state;
    fill_large(sizeof large);
    ask("POST", QUERY, "", BODY_STREAM);
    send_piece(0);
    unsigned first = asked_node();
    cluster.pool.nodes[!first].is_slow = true;
    node_fails(first, FAULT_UPSTREAM_RESET);
    pass(4900);
    assert_non_null(stage.caller->stream);
    pass(200);
    assert_failed(FAULT_UPSTREAM_TIMEOUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(a_slow_second_node_gets_what_it_takes),
        TEST(the_caller_stays_stopped_until_the_second_node_has_caught_up),
        TEST(nothing_is_lost_above_the_limit_while_a_node_catches_up),
        TEST(nothing_is_lost_above_the_limit_while_an_attempt_waits),
        TEST(an_early_answer_does_not_cut_what_is_sent_again),
        TEST(a_second_node_that_takes_nothing_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
