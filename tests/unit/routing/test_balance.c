/* Who gets a request: exact shares, even spread, and never a node that is not a candidate. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "routing/balance.h"

#define ALL(count) (~(uint64_t)0 >> (TOPOLOGY_NODES_MAXIMUM - (count)))

static uint32_t next_random(uint32_t *seed)
{
    /* xorshift32 */
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

static struct balance_question ask(enum balance_policy policy, const struct balance_node *nodes, size_t count)
{
    return (struct balance_question){
        .policy = policy, .nodes = nodes, .node_count = count, .candidates = ALL(count), .sticky = -1};
}

static void each_class_has_its_policy(void **state)
{
    (void)state;
    assert_int_equal(balance_policy_of(REQUEST_CLASS_WRITE), BALANCE_WEIGHTED);
    assert_int_equal(balance_policy_of(REQUEST_CLASS_WRITEBACK), BALANCE_ROUND_ROBIN);
    assert_int_equal(balance_policy_of(REQUEST_CLASS_QUERY), BALANCE_LEAST_OUTSTANDING);
    assert_int_equal(balance_policy_of(REQUEST_CLASS_FLIGHT), BALANCE_LEAST_OUTSTANDING);
    assert_int_equal(balance_policy_of(REQUEST_CLASS_CATALOG), BALANCE_STICKY);
    assert_int_equal(balance_policy_of(REQUEST_CLASS_UNKNOWN), BALANCE_STICKY);
    assert_int_equal(balance_policy_of(REQUEST_CLASS_COMPACTION), BALANCE_FIRST);
    for (int class = 0; class < REQUEST_CLASS_COUNT; class ++)
        assert_true(strlen(balance_policy_name(balance_policy_of((enum request_class) class))) > 0);
}

static void without_candidates_there_is_no_node(void **state)
{
    (void)state;
    struct balance_node nodes[3] = {{1, 0}, {1, 0}, {1, 0}};
    struct balance_state memory = {0};
    for (int policy = BALANCE_WEIGHTED; policy <= BALANCE_FIRST; policy++) {
        struct balance_question question = ask((enum balance_policy)policy, nodes, 3);
        question.candidates = 0;
        question.preferred = ALL(3);
        question.sticky = 1;
        assert_int_equal(balance_pick(&question, &memory), -1);
        /* Bits beyond the nodes are none either. */
        question.candidates = (uint64_t)1 << 3 | (uint64_t)1 << 63;
        assert_int_equal(balance_pick(&question, &memory), -1);
        question.node_count = 0;
        question.candidates = ~(uint64_t)0;
        assert_int_equal(balance_pick(&question, &memory), -1);
    }
}

/* Over each cycle, from its first pick on, every node serves exactly its weight. */
static void weights_are_exact_over_each_cycle(void **state)
{
    (void)state;
    static const uint32_t weights[][5] = {{1, 1, 1, 1, 1}, {5, 1, 1, 1, 1}, {16, 16, 12, 4, 2}, {20, 1, 7, 3, 9}};
    for (size_t w = 0; w < sizeof(weights) / sizeof(weights[0]); w++) {
        struct balance_node nodes[5];
        unsigned cycle = 0;
        for (size_t i = 0; i < 5; i++) {
            nodes[i] = (struct balance_node){weights[w][i], 0};
            cycle += weights[w][i];
        }
        struct balance_state memory = {0};
        struct balance_question question = ask(BALANCE_WEIGHTED, nodes, 5);
        for (int round = 0; round < 7; round++) {
            unsigned served[5] = {0};
            for (unsigned i = 0; i < cycle; i++)
                served[balance_pick(&question, &memory)]++;
            for (size_t i = 0; i < 5; i++)
                assert_int_equal(served[i], weights[w][i]);
        }
    }
}

static void weights_are_spread_smoothly(void **state)
{
    (void)state;
    struct balance_node nodes[3] = {{5, 0}, {1, 0}, {1, 0}};
    struct balance_state memory = {0};
    struct balance_question question = ask(BALANCE_WEIGHTED, nodes, 3);
    /* The well-known example: never more than two in a row within a cycle of 5:1:1. */
    static const int expected[] = {0, 0, 1, 0, 2, 0, 0};
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(balance_pick(&question, &memory), expected[i]);
}

/* A node that leaves and comes back neither starves nor is flooded. */
static void weights_hold_after_a_node_was_away(void **state)
{
    (void)state;
    struct balance_node nodes[3] = {{4, 0}, {2, 0}, {1, 0}};
    struct balance_state memory = {0};
    struct balance_question question = ask(BALANCE_WEIGHTED, nodes, 3);
    for (int i = 0; i < 3; i++)
        balance_pick(&question, &memory);
    question.candidates = 6;
    unsigned served[3] = {0};
    for (int i = 0; i < 3000; i++)
        served[balance_pick(&question, &memory)]++;
    assert_int_equal(served[0], 0);
    assert_in_range(served[1], 1998, 2002);
    question.candidates = 7;
    unsigned after[3] = {0};
    for (int i = 0; i < 70; i++)
        after[balance_pick(&question, &memory)]++;
    assert_in_range(after[0], 38, 42);
    assert_in_range(after[1], 18, 22);
    assert_in_range(after[2], 8, 12);
}

static void a_weight_of_zero_counts_as_one(void **state)
{
    (void)state;
    struct balance_node nodes[2] = {{0, 0}, {0, 0}};
    struct balance_state memory = {0};
    struct balance_question question = ask(BALANCE_WEIGHTED, nodes, 2);
    unsigned served[2] = {0};
    for (int i = 0; i < 10; i++)
        served[balance_pick(&question, &memory)]++;
    assert_int_equal(served[0], 5);
}

static void huge_weights_do_not_overflow(void **state)
{
    (void)state;
    struct balance_node nodes[TOPOLOGY_NODES_MAXIMUM];
    for (size_t i = 0; i < TOPOLOGY_NODES_MAXIMUM; i++)
        nodes[i] = (struct balance_node){UINT32_MAX, UINT32_MAX};
    struct balance_state memory = {0};
    struct balance_question question = ask(BALANCE_WEIGHTED, nodes, TOPOLOGY_NODES_MAXIMUM);
    unsigned served[TOPOLOGY_NODES_MAXIMUM] = {0};
    for (int i = 0; i < 10 * TOPOLOGY_NODES_MAXIMUM; i++)
        served[balance_pick(&question, &memory)]++;
    for (size_t i = 0; i < TOPOLOGY_NODES_MAXIMUM; i++)
        assert_int_equal(served[i], 10);
}

/* For each set of up to eight candidates and each policy: the pick is one of them, and a preferred one if there is one.
 */
static void no_policy_picks_an_unusable_node(void **state)
{
    (void)state;
    struct balance_node nodes[8];
    for (size_t i = 0; i < 8; i++)
        nodes[i] = (struct balance_node){(uint32_t)i + 1, (uint32_t)(7 - i)};
    uint32_t seed = 1;
    for (int policy = BALANCE_WEIGHTED; policy <= BALANCE_FIRST; policy++) {
        struct balance_state memory = {0};
        for (uint64_t candidates = 1; candidates < 256; candidates++) {
            for (int round = 0; round < 50; round++) {
                struct balance_question question = ask((enum balance_policy)policy, nodes, 8);
                question.candidates = candidates;
                question.random = next_random(&seed);
                question.cursor = seed;
                question.preferred = next_random(&seed) & 255;
                int pick = balance_pick(&question, &memory);
                assert_in_range(pick, 0, 7);
                assert_true((candidates >> pick & 1) != 0);
                if ((candidates & question.preferred) != 0)
                    assert_true((question.preferred >> pick & 1) != 0);
            }
        }
    }
}

static void of_two_the_less_busy_one_is_taken(void **state)
{
    (void)state;
    struct balance_node nodes[2] = {{1, 3}, {1, 2}};
    uint32_t seed = 7;
    struct balance_question question = ask(BALANCE_LEAST_OUTSTANDING, nodes, 2);
    for (int i = 0; i < 1000; i++) {
        question.random = next_random(&seed);
        assert_int_equal(balance_pick(&question, NULL), 1);
    }
    nodes[1].outstanding = 4;
    for (int i = 0; i < 1000; i++) {
        question.random = next_random(&seed);
        assert_int_equal(balance_pick(&question, NULL), 0);
    }
}

static void idle_nodes_share_evenly(void **state)
{
    (void)state;
    struct balance_node nodes[5] = {{1, 0}, {9, 0}, {1, 0}, {1, 0}, {1, 0}};
    unsigned served[5] = {0};
    uint32_t seed = 99;
    struct balance_question question = ask(BALANCE_LEAST_OUTSTANDING, nodes, 5);
    for (int i = 0; i < 50000; i++) {
        question.random = next_random(&seed);
        served[balance_pick(&question, NULL)]++;
    }
    for (size_t i = 0; i < 5; i++)
        assert_in_range(served[i], 9500, 10500);
}

/* The busiest of all is never taken when each choice has another beside it; the idlest wins whenever it is drawn. */
static void the_busiest_node_is_spared(void **state)
{
    (void)state;
    struct balance_node nodes[4] = {{1, 10}, {1, 0}, {1, 5}, {1, 7}};
    unsigned served[4] = {0};
    uint32_t seed = 4;
    struct balance_question question = ask(BALANCE_LEAST_OUTSTANDING, nodes, 4);
    for (int i = 0; i < 60000; i++) {
        question.random = next_random(&seed);
        served[balance_pick(&question, NULL)]++;
    }
    assert_int_equal(served[0], 0);
    /* The idlest is in half of the six pairs, the next in two of them alone, the third in one. */
    assert_in_range(served[1], 29000, 31000);
    assert_in_range(served[2], 19000, 21000);
    assert_in_range(served[3], 9000, 11000);
}

static void round_robin_is_strict(void **state)
{
    (void)state;
    struct balance_node nodes[4] = {{9, 5}, {1, 0}, {1, 0}, {1, 0}};
    struct balance_question question = ask(BALANCE_ROUND_ROBIN, nodes, 4);
    for (question.cursor = 0; question.cursor < 20; question.cursor++)
        assert_int_equal(balance_pick(&question, NULL), question.cursor % 4);
    question.candidates = 0xd;
    static const int expected[] = {0, 2, 3};
    for (question.cursor = 0; question.cursor < 20; question.cursor++)
        assert_int_equal(balance_pick(&question, NULL), expected[question.cursor % 3]);
    question.cursor = UINT64_MAX;
    assert_int_equal(balance_pick(&question, NULL), expected[UINT64_MAX % 3]);
}

static void sticky_stays_and_falls_back_in_order(void **state)
{
    (void)state;
    struct balance_node nodes[4] = {{1, 0}, {1, 9}, {1, 0}, {1, 0}};
    struct balance_question question = ask(BALANCE_STICKY, nodes, 4);
    assert_int_equal(balance_pick(&question, NULL), 0);
    question.preferred = 0xc;
    assert_int_equal(balance_pick(&question, NULL), 2);
    /* Where the last change was made beats the preference: only that node surely knows of it. */
    question.sticky = 1;
    assert_int_equal(balance_pick(&question, NULL), 1);
    question.candidates = 0xd;
    assert_int_equal(balance_pick(&question, NULL), 2);
    question.candidates = 0x1;
    assert_int_equal(balance_pick(&question, NULL), 0);
    /* A node that a reload took away. */
    question.sticky = 63;
    assert_int_equal(balance_pick(&question, NULL), 0);
    question.sticky = 64;
    assert_int_equal(balance_pick(&question, NULL), 0);
}

static void first_is_the_first_in_the_configuration(void **state)
{
    (void)state;
    struct balance_node nodes[4] = {{1, 9}, {9, 0}, {1, 0}, {1, 0}};
    struct balance_question question = ask(BALANCE_FIRST, nodes, 4);
    assert_int_equal(balance_pick(&question, NULL), 0);
    question.candidates = 0xe;
    assert_int_equal(balance_pick(&question, NULL), 1);
    question.preferred = 0x8;
    assert_int_equal(balance_pick(&question, NULL), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_class_has_its_policy),
        cmocka_unit_test(without_candidates_there_is_no_node),
        cmocka_unit_test(weights_are_exact_over_each_cycle),
        cmocka_unit_test(weights_are_spread_smoothly),
        cmocka_unit_test(weights_hold_after_a_node_was_away),
        cmocka_unit_test(a_weight_of_zero_counts_as_one),
        cmocka_unit_test(huge_weights_do_not_overflow),
        cmocka_unit_test(no_policy_picks_an_unusable_node),
        cmocka_unit_test(of_two_the_less_busy_one_is_taken),
        cmocka_unit_test(idle_nodes_share_evenly),
        cmocka_unit_test(the_busiest_node_is_spared),
        cmocka_unit_test(round_robin_is_strict),
        cmocka_unit_test(sticky_stays_and_falls_back_in_order),
        cmocka_unit_test(first_is_the_first_in_the_configuration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
