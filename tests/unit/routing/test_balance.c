/* Who gets a request: exact shares, even spread, and never a node that is not a candidate. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "routing/balance.h"

struct balance_stage {
    struct balance_view view;
    struct node_set tried;
    uint32_t outstanding[TOPOLOGY_NODES_MAXIMUM];
};

static struct balance_stage stage;

static int set_up(void **state)
{
    (void)state;
    memset(&stage, 0, sizeof stage);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    balance_view_clear(&stage.view);
    return 0;
}

static uint32_t next_random(uint32_t *seed)
{
    /* xorshift32 */
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

static uint32_t outstanding(const void *owner, unsigned index)
{
    return ((const struct balance_stage *)owner)->outstanding[index];
}

/* The view consists of the nodes of the mask, whose weights are given by index. */
static void build(struct balance_view *view, uint64_t mask, const uint32_t *weights)
{
    struct balance_candidate candidates[64];
    size_t count = 0;
    for (unsigned i = 0; i < 64; i++) {
        if ((mask >> i & 1) != 0)
            candidates[count++] = (struct balance_candidate){.index = (uint16_t)i, .weight = weights == NULL ? 1 : weights[i]};
    }
    assert_true(balance_view_build(view, candidates, count));
}

static struct balance_question ask(enum balance_method method)
{
    return (struct balance_question){.method = method, .sticky = -1, .outstanding = outstanding, .owner = &stage};
}

static int pick(enum balance_method method)
{
    struct balance_question question = ask(method);
    return balance_pick(&question, &stage.view);
}

static void without_candidates_there_is_no_node(void **state)
{
    (void)state;
    for (int method = BALANCE_WEIGHTED; method <= BALANCE_FIRST; method++) {
        struct balance_question question = ask((enum balance_method)method);
        question.sticky = 1;
        build(&stage.view, 0, NULL);
        assert_int_equal(balance_pick(&question, &stage.view), -1);
        build(&stage.view, 7, NULL);
        stage.tried = (struct node_set){{7}};
        question.tried = &stage.tried;
        assert_int_equal(balance_pick(&question, &stage.view), -1);
        assert_int_equal(balance_pick_preferred(&question, &stage.view, &stage.view), -1);
    }
}

/* Over each cycle, from its first pick on, every node serves exactly its weight. */
static void weights_are_exact_over_each_cycle(void **state)
{
    (void)state;
    static const uint32_t weights[][5] = {{1, 1, 1, 1, 1}, {5, 1, 1, 1, 1}, {16, 16, 12, 4, 2}, {20, 1, 7, 3, 9}};
    for (size_t w = 0; w < sizeof(weights) / sizeof(weights[0]); w++) {
        unsigned cycle = 0;
        for (size_t i = 0; i < 5; i++)
            cycle += weights[w][i];
        balance_view_clear(&stage.view);
        build(&stage.view, 31, weights[w]);
        for (int round = 0; round < 7; round++) {
            unsigned served[5] = {0};
            for (unsigned i = 0; i < cycle; i++)
                served[pick(BALANCE_WEIGHTED)]++;
            for (size_t i = 0; i < 5; i++)
                assert_int_equal(served[i], weights[w][i]);
        }
    }
}

static void weights_are_spread_smoothly(void **state)
{
    (void)state;
    static const uint32_t weights[64] = {5, 1, 1};
    build(&stage.view, 7, weights);
    /* The well-known example: never more than two in a row within a cycle of 5:1:1. */
    static const int expected[] = {0, 0, 1, 0, 2, 0, 0};
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(pick(BALANCE_WEIGHTED), expected[i]);
}

/* A node that leaves and comes back neither starves nor is flooded. */
static void weights_hold_after_a_node_was_away(void **state)
{
    (void)state;
    static const uint32_t weights[64] = {4, 2, 1};
    build(&stage.view, 7, weights);
    for (int i = 0; i < 3; i++)
        pick(BALANCE_WEIGHTED);
    build(&stage.view, 6, weights);
    unsigned served[3] = {0};
    for (int i = 0; i < 3000; i++)
        served[pick(BALANCE_WEIGHTED)]++;
    assert_int_equal(served[0], 0);
    assert_in_range(served[1], 1998, 2002);
    build(&stage.view, 7, weights);
    unsigned after[3] = {0};
    for (int i = 0; i < 70; i++)
        after[pick(BALANCE_WEIGHTED)]++;
    assert_in_range(after[0], 38, 42);
    assert_in_range(after[1], 18, 22);
    assert_in_range(after[2], 8, 12);
}

/* Many changes of the view in a row, as while a cluster restarts, do not put one node before the others. */
static void a_view_that_is_built_again_keeps_its_turns(void **state)
{
    (void)state;
    unsigned served[5] = {0};
    for (int i = 0; i < 500; i++) {
        build(&stage.view, 31, NULL);
        served[pick(BALANCE_WEIGHTED)]++;
    }
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(served[i], 100);
}

static void a_heavier_weight_counts_from_its_change_on(void **state)
{
    (void)state;
    uint32_t weights[64] = {1, 1000};
    build(&stage.view, 3, weights);
    for (int i = 0; i < 10; i++)
        pick(BALANCE_WEIGHTED);
    weights[0] = 1000;
    build(&stage.view, 3, weights);
    unsigned served[2] = {0};
    for (int i = 0; i < 1000; i++)
        served[pick(BALANCE_WEIGHTED)]++;
    assert_in_range(served[0], 495, 505);
}

static void a_weight_of_zero_counts_as_one(void **state)
{
    (void)state;
    static const uint32_t weights[64] = {0};
    build(&stage.view, 3, weights);
    unsigned served[2] = {0};
    for (int i = 0; i < 10; i++)
        served[pick(BALANCE_WEIGHTED)]++;
    assert_int_equal(served[0], 5);
}

/* A thousand nodes with the largest weights, and a virtual time that has come to its end. */
static void a_full_view_neither_overflows_nor_starves_anybody(void **state)
{
    (void)state;
    static struct balance_candidate candidates[TOPOLOGY_NODES_MAXIMUM];
    static unsigned served[TOPOLOGY_NODES_MAXIMUM];
    for (unsigned i = 0; i < TOPOLOGY_NODES_MAXIMUM; i++)
        candidates[i] = (struct balance_candidate){.index = (uint16_t)i, .weight = i % 2 == 0 ? UINT32_MAX : 1};
    stage.view.now = (UINT64_C(1) << 62) - 1000;
    assert_true(balance_view_build(&stage.view, candidates, TOPOLOGY_NODES_MAXIMUM));
    for (int i = 0; i < 10 * TOPOLOGY_NODES_MAXIMUM / 2; i++)
        served[pick(BALANCE_WEIGHTED)]++;
    for (size_t i = 0; i < TOPOLOGY_NODES_MAXIMUM; i += 2)
        assert_int_equal(served[i], 10);
    assert_true(stage.view.now < UINT64_C(1) << 62);
    assert_true(balance_view_build(&stage.view, candidates, 2));
    candidates[0].weight = 1;
    stage.view.now = UINT64_C(1) << 62;
    assert_true(balance_view_build(&stage.view, candidates, 2));
    unsigned after[2] = {0};
    for (int i = 0; i < 100; i++)
        after[pick(BALANCE_WEIGHTED)]++;
    assert_in_range(after[0], 49, 51);
}

/* For each set of up to eight candidates and each policy: the pick is one of them, and a preferred one if there is one. */
/* One node answers slowly, so what it gets stays there: it gets less than its turns, and the others share the rest by their weights. */
static void who_has_more_to_do_for_its_weight_gets_fewer(void **state)
{
    (void)state;
    static const uint32_t weights[] = {4, 4, 2};
    unsigned served[3] = {0};
    uint32_t seed = 2463534242u;
    build(&stage.view, 7, weights);
    stage.outstanding[0] = 100;
    for (int i = 0; i < 3000; i++) {
        struct balance_question question = ask(BALANCE_WEIGHTED);
        question.random = next_random(&seed);
        served[balance_pick(&question, &stage.view)]++;
    }
    assert_int_equal(served[0], 0);
    /* Its 1200 turns go to the others two to one, with their own 1200 and 600; among these the heavier one, too, is the one that has less to do. */
    assert_in_range(served[1], 1950, 2450);
    assert_int_equal(served[1] + served[2], 3000);
    /* The load for the weight counts, not the load: 8 of 4 is as much as 4 of 2. */
    stage.outstanding[0] = 7;
    stage.outstanding[1] = 7;
    stage.outstanding[2] = 3;
    memset(served, 0, sizeof served);
    for (int i = 0; i < 3000; i++) {
        struct balance_question question = ask(BALANCE_WEIGHTED);
        question.random = next_random(&seed);
        served[balance_pick(&question, &stage.view)]++;
    }
    assert_int_equal(served[0], 1200);
    assert_int_equal(served[1], 1200);
    assert_int_equal(served[2], 600);
}

/* All that is under way stays under way for as long as its node needs: a node that is ten times as slow serves a tenth or so. */
static void a_slow_node_fills_up_to_its_weight_and_no_further(void **state)
{
    (void)state;
    static const uint32_t weights[] = {3, 3, 3};
    unsigned served[3] = {0};
    unsigned ends[3][4000] = {{0}};
    uint32_t seed = 2463534242u;
    build(&stage.view, 7, weights);
    for (unsigned now = 0; now < 3000; now++) {
        for (unsigned node = 0; node < 3; node++)
            stage.outstanding[node] -= ends[node][now];
        struct balance_question question = ask(BALANCE_WEIGHTED);
        question.random = next_random(&seed);
        int node = balance_pick(&question, &stage.view);
        served[node]++;
        stage.outstanding[node]++;
        ends[node][now + (node == 0 ? 100 : 10)]++;
        assert_in_range(stage.outstanding[0], 0, 12);
    }
    assert_in_range(served[0], 1, 400);
}

static void a_part_of_a_share_is_a_part_of_the_weight(void **state)
{
    (void)state;
    struct balance_candidate candidates[] = {{.index = 0, .weight = 4, .share = 100}, {.index = 1, .weight = 4}};
    unsigned served[2] = {0};
    uint32_t seed = 2463534242u;
    assert_true(balance_view_build(&stage.view, candidates, 2));
    stage.outstanding[0] = 1;
    stage.outstanding[1] = 10;
    for (int i = 0; i < 1100; i++) {
        struct balance_question question = ask(BALANCE_WEIGHTED);
        question.random = next_random(&seed);
        served[balance_pick(&question, &stage.view)]++;
    }
    /* 2 of a tenth is more than 11 of all. */
    assert_int_equal(served[0], 0);
    stage.outstanding[0] = stage.outstanding[1] = 0;
    served[0] = 0;
    for (int i = 0; i < 1100; i++)
        served[0] += pick(BALANCE_WEIGHTED) == 0;
    assert_in_range(served[0], 99, 101);
}

static void no_method_picks_an_unusable_node(void **state)
{
    (void)state;
    static const uint32_t weights[64] = {1, 2, 3, 4, 5, 6, 7, 8};
    struct balance_view preferred = {0};
    uint32_t seed = 1;
    for (unsigned i = 0; i < 8; i++)
        stage.outstanding[i] = 7 - i;
    for (int method = BALANCE_WEIGHTED; method <= BALANCE_FIRST; method++) {
        for (uint64_t usable = 1; usable < 256; usable++) {
            build(&stage.view, usable, weights);
            for (int round = 0; round < 50; round++) {
                struct balance_question question = ask((enum balance_method)method);
                uint64_t wanted = next_random(&seed) & usable;
                uint64_t tried = next_random(&seed) & next_random(&seed) & 255;
                build(&preferred, wanted, weights);
                stage.tried = (struct node_set){{tried}};
                question.tried = &stage.tried;
                question.random = next_random(&seed);
                question.cursor = seed;
                int index = balance_pick_preferred(&question, &preferred, &stage.view);
                assert_int_equal(balance_has_untried(&stage.view, &stage.tried), index >= 0);
                if ((usable & ~tried) == 0) {
                    assert_int_equal(index, -1);
                    continue;
                }
                assert_in_range(index, 0, 7);
                assert_true((usable & ~tried) >> index & 1);
                if ((wanted & ~tried) != 0)
                    assert_true(wanted >> index & 1);
            }
        }
    }
    balance_view_clear(&preferred);
}

static void of_two_the_less_busy_one_is_taken(void **state)
{
    (void)state;
    uint32_t seed = 7;
    struct balance_question question = ask(BALANCE_LEAST_OUTSTANDING);
    build(&stage.view, 3, NULL);
    stage.outstanding[0] = 3;
    stage.outstanding[1] = 2;
    for (int i = 0; i < 1000; i++) {
        question.random = next_random(&seed);
        assert_int_equal(balance_pick(&question, &stage.view), 1);
    }
    stage.outstanding[1] = 4;
    for (int i = 0; i < 1000; i++) {
        question.random = next_random(&seed);
        assert_int_equal(balance_pick(&question, &stage.view), 0);
    }
}

/* Eight times at most, so that a node that is alone with a long request gets others again before the rest are full. */
static void silence_counts_as_load(void **state)
{
    (void)state;
    assert_int_equal(balance_load(0, 60000, 0), 0);
    assert_int_equal(balance_load(3, 0, 0), 3);
    assert_int_equal(balance_load(3, 199, 0), 3);
    assert_int_equal(balance_load(3, 200, 0), 6);
    assert_int_equal(balance_load(3, 1000, 200), 6);
    assert_int_equal(balance_load(3, 999, 200), 3);
    assert_int_equal(balance_load(3, 1399, 0), 21);
    assert_int_equal(balance_load(3, UINT64_MAX, 10000), 24);
}

/* ---- requests that stay together ---- */

static uint64_t full_nodes;

static bool is_full(const void *owner, unsigned index)
{
    (void)owner;
    return (full_nodes >> index & 1) != 0;
}

static void build_named(uint64_t mask, const uint32_t *weights)
{
    struct balance_candidate candidates[64];
    size_t count = 0;
    uint32_t seed = 88675123;
    for (unsigned i = 0; i < 64; i++) {
        uint64_t name = (uint64_t)next_random(&seed) << 32 | next_random(&seed);
        if ((mask >> i & 1) != 0)
            candidates[count++] = (struct balance_candidate){.index = (uint16_t)i, .weight = weights == NULL ? 1 : weights[i], .name = name};
    }
    assert_true(balance_view_build(&stage.view, candidates, count));
}

#define KEYS 4000

/* Where each of many keys goes; how many go to each of the first eight nodes. */
static void place(int *nodes, unsigned *of_node, bool is_weighted)
{
    struct balance_question question = ask(BALANCE_WEIGHTED);
    uint32_t seed = 2463534242u;
    memset(of_node, 0, 8 * sizeof *of_node);
    for (int i = 0; i < KEYS; i++) {
        uint64_t key = (uint64_t)next_random(&seed) << 32 | next_random(&seed);
        nodes[i] = balance_pick_near(&question, &stage.view, key, is_weighted, is_full);
        if (nodes[i] >= 0)
            of_node[nodes[i]]++;
    }
}

static void keys_spread_by_weight(void **state)
{
    (void)state;
    static const uint32_t weights[] = {1, 2, 4, 1};
    int nodes[KEYS];
    unsigned of_node[8];
    full_nodes = 0;
    build_named(15, weights);
    place(nodes, of_node, true);
    for (int i = 0; i < 4; i++)
        assert_in_range(of_node[i], KEYS / 8 * weights[i] * 85 / 100, KEYS / 8 * weights[i] * 115 / 100);
    place(nodes, of_node, false);
    for (int i = 0; i < 4; i++)
        assert_in_range(of_node[i], KEYS / 4 * 90 / 100, KEYS / 4 * 110 / 100);
}

static void only_keys_of_a_node_that_leaves_move(void **state)
{
    (void)state;
    int before[KEYS], after[KEYS];
    unsigned of_node[8];
    full_nodes = 0;
    build_named(15, NULL);
    place(before, of_node, true);
    build_named(11, NULL);
    place(after, of_node, true);
    for (int i = 0; i < KEYS; i++)
        assert_true(before[i] == 2 ? after[i] != 2 : after[i] == before[i]);
    assert_true(of_node[0] > KEYS / 4 && of_node[1] > KEYS / 4 && of_node[3] > KEYS / 4);
    /* A node that is full is the same as one that is not there; so is one that was tried. */
    int full[KEYS];
    build_named(15, NULL);
    full_nodes = 4;
    place(full, of_node, true);
    assert_memory_equal(full, after, sizeof full);
    full_nodes = 15;
    place(full, of_node, true);
    assert_int_equal(full[0], -1);
    full_nodes = 0;
    struct balance_question question = ask(BALANCE_WEIGHTED);
    question.tried = &stage.tried;
    for (int i = 0; i < 4; i++) {
        int node = balance_pick_near(&question, &stage.view, 12345, true, is_full);
        assert_false(node_set_has(&stage.tried, (unsigned)node));
        node_set_add(&stage.tried, (unsigned)node);
    }
    assert_int_equal(balance_pick_near(&question, &stage.view, 12345, true, is_full), -1);
}

static void idle_nodes_share_evenly(void **state)
{
    (void)state;
    static const uint32_t weights[64] = {1, 9, 1, 1, 1};
    unsigned served[5] = {0};
    uint32_t seed = 99;
    struct balance_question question = ask(BALANCE_LEAST_OUTSTANDING);
    build(&stage.view, 31, weights);
    for (int i = 0; i < 50000; i++) {
        question.random = next_random(&seed);
        served[balance_pick(&question, &stage.view)]++;
    }
    for (size_t i = 0; i < 5; i++)
        assert_in_range(served[i], 9500, 10500);
}

/* The busiest of all is never taken when each choice has another beside it; the idlest wins whenever it is drawn. */
static void the_busiest_node_is_spared(void **state)
{
    (void)state;
    unsigned served[4] = {0};
    uint32_t seed = 4;
    struct balance_question question = ask(BALANCE_LEAST_OUTSTANDING);
    build(&stage.view, 15, NULL);
    static const uint32_t busy[] = {10, 0, 5, 7};
    memcpy(stage.outstanding, busy, sizeof busy);
    for (int i = 0; i < 60000; i++) {
        question.random = next_random(&seed);
        served[balance_pick(&question, &stage.view)]++;
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
    static const uint32_t weights[64] = {9, 1, 1, 1};
    struct balance_question question = ask(BALANCE_ROUND_ROBIN);
    build(&stage.view, 15, weights);
    stage.outstanding[0] = 5;
    for (question.cursor = 0; question.cursor < 20; question.cursor++)
        assert_int_equal(balance_pick(&question, &stage.view), question.cursor % 4);
    build(&stage.view, 0xd, weights);
    static const int expected[] = {0, 2, 3};
    for (question.cursor = 0; question.cursor < 20; question.cursor++)
        assert_int_equal(balance_pick(&question, &stage.view), expected[question.cursor % 3]);
    question.cursor = UINT64_MAX;
    assert_int_equal(balance_pick(&question, &stage.view), expected[UINT64_MAX % 3]);
    /* One that was tried is passed over. */
    stage.tried = (struct node_set){{1 << 2}};
    question.tried = &stage.tried;
    question.cursor = 1;
    assert_int_equal(balance_pick(&question, &stage.view), 3);
}

static void sticky_stays_and_falls_back_in_order(void **state)
{
    (void)state;
    struct balance_view preferred = {0};
    struct balance_question question = ask(BALANCE_STICKY);
    build(&stage.view, 15, NULL);
    assert_int_equal(balance_pick(&question, &stage.view), 0);
    build(&preferred, 0xc, NULL);
    assert_int_equal(balance_pick_preferred(&question, &preferred, &stage.view), 2);
    /* Where the last change was made beats the preference: only that node surely knows of it. */
    question.sticky = 1;
    assert_int_equal(balance_pick_preferred(&question, &preferred, &stage.view), 1);
    build(&stage.view, 0xd, NULL);
    assert_int_equal(balance_pick_preferred(&question, &preferred, &stage.view), 2);
    build(&stage.view, 0x1, NULL);
    build(&preferred, 0, NULL);
    assert_int_equal(balance_pick_preferred(&question, &preferred, &stage.view), 0);
    /* A node that a reload took away. */
    question.sticky = 1023;
    assert_int_equal(balance_pick(&question, &stage.view), 0);
    balance_view_clear(&preferred);
}

static void first_is_the_first_in_the_configuration(void **state)
{
    (void)state;
    struct balance_view preferred = {0};
    struct balance_question question = ask(BALANCE_FIRST);
    build(&stage.view, 15, NULL);
    assert_int_equal(balance_pick(&question, &stage.view), 0);
    build(&stage.view, 14, NULL);
    assert_int_equal(balance_pick(&question, &stage.view), 1);
    build(&preferred, 8, NULL);
    assert_int_equal(balance_pick_preferred(&question, &preferred, &stage.view), 3);
    balance_view_clear(&preferred);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_candidates_there_is_no_node),
        TEST(weights_are_exact_over_each_cycle),
        TEST(weights_are_spread_smoothly),
        TEST(weights_hold_after_a_node_was_away),
        TEST(a_view_that_is_built_again_keeps_its_turns),
        TEST(a_heavier_weight_counts_from_its_change_on),
        TEST(a_weight_of_zero_counts_as_one),
        TEST(a_full_view_neither_overflows_nor_starves_anybody),
        TEST(who_has_more_to_do_for_its_weight_gets_fewer),
        TEST(a_slow_node_fills_up_to_its_weight_and_no_further),
        TEST(a_part_of_a_share_is_a_part_of_the_weight),
        TEST(no_method_picks_an_unusable_node),
        TEST(of_two_the_less_busy_one_is_taken),
        TEST(silence_counts_as_load),
        TEST(keys_spread_by_weight),
        TEST(only_keys_of_a_node_that_leaves_move),
        TEST(idle_nodes_share_evenly),
        TEST(the_busiest_node_is_spared),
        TEST(round_robin_is_strict),
        TEST(sticky_stays_and_falls_back_in_order),
        TEST(first_is_the_first_in_the_configuration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
