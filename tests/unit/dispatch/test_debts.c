/* A failed attempt goes on counting as load for about the time of a good answer. */
#include "fake/cluster_stage.h"

static int set_up(void **state)
{
    (void)state;
    cluster_start();
    pass(1000);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    cluster_stop();
    return 0;
}

static struct standings_attempt attempt_on(unsigned node, uint64_t took_ms)
{
    uint64_t now_ms = loop_now_ms(cluster.rig.loop);
    return (struct standings_attempt){.node = shared(node), .class = REQUEST_CLASS_QUERY, .capabilities = NODE_CAPABILITY_QUERY,
                                      .begun_ms = now_ms - took_ms, .now_ms = now_ms};
}

static void answer_in(unsigned node, uint64_t took_ms)
{
    struct standings_attempt attempt = attempt_on(node, took_ms);
    standings_good(&attempt, &cluster.topology.health);
}

static void fail_in(unsigned node, uint64_t took_ms)
{
    struct standings_attempt attempt = attempt_on(node, took_ms);
    debts_add(&cluster.dispatch.debts, &attempt, cluster.epoch);
}

static unsigned owed(unsigned node)
{
    return atomic_load(&shared(node)->owed);
}

static void a_failure_counts_as_long_as_a_good_answer_of_the_other(void **state)
{
    (void)state;
    answer_in(1, 400);
    fail_in(0, 0);
    assert_int_equal(owed(0), 1);
    assert_int_equal(owed(1), 0);
    pass(380);
    assert_int_equal(owed(0), 1);
    pass(60);
    assert_int_equal(owed(0), 0);
}

/* What it took itself counts already. */
static void the_time_of_the_failure_is_taken_off(void **state)
{
    (void)state;
    answer_in(1, 400);
    fail_in(0, 300);
    pass(60);
    assert_int_equal(owed(0), 1);
    pass(80);
    assert_int_equal(owed(0), 0);
    fail_in(0, 500);
    assert_int_equal(owed(0), 0);
}

static void without_any_answer_it_costs_a_little(void **state)
{
    (void)state;
    fail_in(0, 0);
    pass(80);
    assert_int_equal(owed(0), 1);
    pass(60);
    assert_int_equal(owed(0), 0);
}

/* In whatever order they end. */
static void each_ends_at_its_own_time(void **state)
{
    (void)state;
    answer_in(1, 400);
    static const uint64_t took_ms[] = {100, 300, 0, 200, 50, 350};
    for (size_t i = 0; i < sizeof took_ms / sizeof took_ms[0]; i++)
        fail_in(0, took_ms[i]);
    static const struct {
        uint64_t pass_ms;
        unsigned owed;
    } rows[] = {{30, 6}, {40, 5}, {50, 4}, {100, 3}, {100, 2}, {50, 1}, {60, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        pass(rows[i].pass_ms);
        if (owed(0) != rows[i].owed)
            fail_msg("row %zu: %u", i, owed(0));
    }
}

static void their_number_is_bounded(void **state)
{
    (void)state;
    answer_in(1, 400);
    for (unsigned i = 0; i < DEBTS_MAXIMUM + 100; i++)
        fail_in(i % 2, 0);
    assert_int_equal(owed(0) + owed(1), DEBTS_MAXIMUM);
    pass(500);
    assert_int_equal(owed(0) + owed(1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(a_failure_counts_as_long_as_a_good_answer_of_the_other),
        TEST(the_time_of_the_failure_is_taken_off),
        TEST(without_any_answer_it_costs_a_little),
        TEST(each_ends_at_its_own_time),
        TEST(their_number_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
