/* What answers say of nodes, for all workers: who is set aside and who is not, trials, refusals, and what lists make of it. */
#include <string.h>

#include "fake/epochs.h"
#include "upstream/lease.h"
#include "upstream/standings.h"

#define NODES 4

static struct {
    struct topology topology;
    struct topology_node nodes[NODES];
    struct roster *roster;
    struct epoch *epoch;
    struct list leases;
    struct lease *lease;
    uint64_t now_ms;
} stage;

static const struct route query_route = {.class = REQUEST_CLASS_QUERY, .capabilities = NODE_CAPABILITY_QUERY, .repeat = ROUTE_REPEAT_SAFE};
static const struct route write_route = {.class = REQUEST_CLASS_WRITE, .capabilities = NODE_CAPABILITY_INGEST, .repeat = ROUTE_REPEAT_WRITE};

static void serve(unsigned count)
{
    static const char *const names[NODES] = {"a", "b", "c", "d"};
    stage.topology.node_count = count;
    for (unsigned i = 0; i < NODES; i++)
        stage.nodes[i] = (struct topology_node){.node_id = names[i], .weight = 1, .capabilities = NODE_CAPABILITY_QUERY | NODE_CAPABILITY_INGEST};
    stage.epoch = make_epoch(stage.roster, &stage.topology, 1);
    stage.lease = lease_create(stage.epoch, &stage.leases, NULL, NULL);
}

static int set_up(void **state)
{
    (void)state;
    memset(&stage, 0, sizeof stage);
    stage.now_ms = 1000000;
    stage.topology = (struct topology){
        .nodes = stage.nodes,
        .health = {.slow_start_ms = 10000, .eject = {.failures = 5, .share = 500, .maximum_share = 500, .time_ms = 5000}}};
    stage.roster = roster_create();
    list_init(&stage.leases);
    serve(2);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    lease_release(stage.lease);
    epoch_release(stage.epoch);
    roster_destroy(stage.roster);
    return 0;
}

static void serve_anew(unsigned count)
{
    lease_release(stage.lease);
    epoch_release(stage.epoch);
    serve(count);
}

static struct roster_node *node_of(unsigned index)
{
    return stage.epoch->nodes[index];
}

static struct standings_attempt attempt_on(unsigned index)
{
    return (struct standings_attempt){.node = node_of(index), .class = REQUEST_CLASS_QUERY, .capabilities = NODE_CAPABILITY_QUERY,
                                      .begun_ms = stage.now_ms, .now_ms = stage.now_ms};
}

static enum standings_change fails(unsigned index)
{
    struct standings_attempt attempt = attempt_on(index);
    return standings_failed(&attempt, stage.epoch, 0);
}

static enum standings_change fail_times(unsigned index, unsigned count)
{
    enum standings_change change = STANDINGS_SAME;
    while (count-- > 0 && change == STANDINGS_SAME)
        change = fails(index);
    return change;
}

static void answer(unsigned index)
{
    struct standings_attempt attempt = attempt_on(index);
    standings_good(&attempt, &stage.topology.health);
}

static bool is_aside(unsigned index)
{
    return standings_is_aside(node_of(index), REQUEST_CLASS_QUERY);
}

/* One bit for each node in the list. */
static unsigned listed(const struct route *route)
{
    struct lease_kind kind = {.class = route->class, .route = route, .now_ms = stage.now_ms};
    const struct balance_view *view = lease_usable(stage.lease, &kind);
    unsigned bits = 0;
    for (size_t i = 0; i < view->count; i++)
        bits |= 1u << view->members[i].index;
    return bits;
}

static int trial(void)
{
    struct lease_kind kind = {.class = REQUEST_CLASS_QUERY, .route = &query_route, .now_ms = stage.now_ms};
    return lease_trial(stage.lease, &kind);
}

static unsigned share_of(unsigned index)
{
    struct lease_kind kind = {.class = REQUEST_CLASS_QUERY, .route = &query_route, .now_ms = stage.now_ms};
    const struct balance_view *view = lease_usable(stage.lease, &kind);
    int at = balance_view_find(view, index);
    return at < 0 ? 0 : view->members[at].share;
}

static void who_fails_is_set_aside_for_that_class(void **state)
{
    (void)state;
    answer(1);
    assert_int_equal(fail_times(0, 4), STANDINGS_SAME);
    assert_int_equal(listed(&query_route), 3);
    assert_int_equal(fails(0), STANDINGS_SET_ASIDE);
    assert_true(is_aside(0));
    assert_int_equal(listed(&query_route), 2);
    assert_int_equal(listed(&write_route), 3);
    assert_int_equal(trial(), -1);
}

static void a_good_answer_begins_the_count_anew(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(fail_times(0, 4), STANDINGS_SAME);
        for (unsigned j = 0; j < 10; j++)
            answer(0);
    }
    assert_false(is_aside(0));
}

static void a_pool_that_fails_as_a_whole_sets_nobody_aside(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(fails(0), STANDINGS_SAME);
        assert_int_equal(fails(1), STANDINGS_SAME);
        stage.now_ms += 10;
    }
    assert_int_equal(listed(&query_route), 3);
}

/* The first was set aside before it was known that the second one fails, too. */
static void who_was_set_aside_first_comes_back_when_all_fail(void **state)
{
    (void)state;
    assert_int_equal(fail_times(0, 5), STANDINGS_SET_ASIDE);
    assert_int_equal(fail_times(1, 4), STANDINGS_SAME);
    assert_int_equal(fails(1), STANDINGS_POOL_FAILS);
    assert_int_equal(listed(&query_route), 3);
}

static void never_more_than_half_are_aside(void **state)
{
    (void)state;
    serve_anew(4);
    assert_int_equal(fail_times(0, 5), STANDINGS_SET_ASIDE);
    assert_int_equal(fail_times(1, 5), STANDINGS_SET_ASIDE);
    assert_int_equal(fail_times(2, 50), STANDINGS_SAME);
    assert_int_equal(listed(&query_route), 12);
}

static void one_node_alone_stays(void **state)
{
    (void)state;
    serve_anew(1);
    assert_int_equal(fail_times(0, 50), STANDINGS_SAME);
    serve_anew(2);
    roster_node_set_health(node_of(1), HEALTH_DOWN);
    assert_int_equal(fail_times(0, 50), STANDINGS_SAME);
    assert_int_equal(listed(&query_route), 1);
}

/* Whom the other one's going leaves alone serves, though it was set aside. */
static void who_is_aside_serves_when_nobody_else_is_there(void **state)
{
    (void)state;
    fail_times(0, 5);
    roster_node_set_health(node_of(1), HEALTH_DOWN);
    assert_int_equal(listed(&query_route), 1);
    stage.now_ms++;
    answer(0);
    assert_false(is_aside(0));
}

static void one_request_of_the_process_finds_out(void **state)
{
    (void)state;
    fail_times(0, 5);
    stage.now_ms += 4999;
    assert_int_equal(trial(), -1);
    assert_false(standings_begin_trial(node_of(0), REQUEST_CLASS_QUERY, stage.now_ms));
    stage.now_ms += 1;
    assert_int_equal(trial(), 0);
    assert_int_equal(listed(&query_route), 2);
    assert_true(standings_begin_trial(node_of(0), REQUEST_CLASS_QUERY, stage.now_ms));
    assert_false(standings_begin_trial(node_of(0), REQUEST_CLASS_QUERY, stage.now_ms));
    assert_int_equal(trial(), -1);
    assert_int_equal(listed(&query_route), 2);
}

static struct standings_attempt begin_trial(unsigned index)
{
    assert_true(standings_begin_trial(node_of(index), REQUEST_CLASS_QUERY, stage.now_ms));
    struct standings_attempt attempt = attempt_on(index);
    attempt.is_trial = true;
    return attempt;
}

static void a_trial_that_fails_sets_it_aside_for_longer(void **state)
{
    (void)state;
    fail_times(0, 5);
    stage.now_ms += 5000;
    struct standings_attempt attempt = begin_trial(0);
    assert_int_equal(standings_failed(&attempt, stage.epoch, 0), STANDINGS_SET_ASIDE);
    stage.now_ms += 9999;
    assert_int_equal(trial(), -1);
    stage.now_ms += 1;
    assert_int_equal(trial(), 0);
}

static void a_trial_that_tells_nothing_is_followed_by_another(void **state)
{
    (void)state;
    fail_times(0, 5);
    stage.now_ms += 5000;
    struct standings_attempt attempt = begin_trial(0);
    standings_neutral(&attempt);
    assert_int_equal(trial(), 0);
}

/* What began before it was set aside says nothing of now. */
static void late_ends_of_old_attempts_change_nothing(void **state)
{
    (void)state;
    struct standings_attempt old = attempt_on(0);
    stage.now_ms += 10;
    fail_times(0, 5);
    old.now_ms = stage.now_ms;
    standings_good(&old, &stage.topology.health);
    assert_true(is_aside(0));
    assert_int_equal(standings_failed(&old, stage.epoch, 0), STANDINGS_SAME);
    stage.now_ms += 5000;
    assert_int_equal(trial(), 0);
    struct standings_attempt attempt = begin_trial(0);
    standings_good(&old, &stage.topology.health);
    assert_true(is_aside(0));
    standings_good(&attempt, &stage.topology.health);
    assert_false(is_aside(0));
}

static void its_share_grows_when_it_is_back(void **state)
{
    (void)state;
    fail_times(0, 5);
    stage.now_ms += 5000;
    struct standings_attempt attempt = begin_trial(0);
    standings_good(&attempt, &stage.topology.health);
    assert_int_equal(listed(&query_route), 3);
    assert_int_equal(share_of(0), 100);
    for (unsigned i = 2; i <= 10; i++) {
        stage.now_ms += i == 2 ? 2000 : 1000;
        assert_int_equal(share_of(0), 100 * i);
        assert_int_equal(share_of(1), 1000);
    }
    answer(0);
    assert_int_equal(atomic_load(&node_of(0)->standing[REQUEST_CLASS_QUERY]), STANDING_GOOD);
}

static void a_node_that_refuses_gets_no_writes_until_a_probe_is_good(void **state)
{
    (void)state;
    struct standings_attempt attempt = attempt_on(0);
    attempt.class = REQUEST_CLASS_WRITE;
    standings_refused(&attempt);
    assert_int_equal(listed(&write_route), 2);
    assert_int_equal(listed(&query_route), 3);
    standings_forgive(node_of(0));
    assert_int_equal(listed(&write_route), 3);
    /* When all refuse, all are asked; a good write that began later tells that one works again. */
    standings_refused(&attempt);
    attempt.node = node_of(1);
    standings_refused(&attempt);
    assert_int_equal(listed(&write_route), 3);
    stage.now_ms += 10;
    struct standings_attempt old = attempt;
    attempt.begun_ms = attempt.now_ms = old.now_ms = stage.now_ms;
    old.begun_ms -= 20;
    standings_good(&old, &stage.topology.health);
    assert_int_equal(listed(&write_route), 3);
    standings_good(&attempt, &stage.topology.health);
    assert_int_equal(listed(&write_route), 2);
}

static void a_node_that_comes_back_begins_anew(void **state)
{
    (void)state;
    fail_times(0, 5);
    standings_forget(node_of(0), stage.now_ms);
    assert_int_equal(listed(&query_route), 3);
    assert_int_equal(share_of(0), 1000);
    fail_times(0, 5);
    stage.now_ms += 5000;
    assert_int_equal(trial(), 0);
}

/* Where requests stay with one node there are no trials: it is in the list again. */
static void without_trials_the_time_alone_decides(void **state)
{
    (void)state;
    static const struct route catalog = {.class = REQUEST_CLASS_CATALOG, .capabilities = NODE_CAPABILITY_QUERY};
    struct standings_attempt attempt = attempt_on(0);
    attempt.class = REQUEST_CLASS_CATALOG;
    for (unsigned i = 0; i < 5; i++)
        standings_failed(&attempt, stage.epoch, 0);
    assert_int_equal(listed(&catalog), 2);
    stage.now_ms += 5000;
    assert_int_equal(listed(&catalog), 3);
    attempt.begun_ms = attempt.now_ms = stage.now_ms;
    assert_int_equal(standings_failed(&attempt, stage.epoch, 0), STANDINGS_SET_ASIDE);
    assert_int_equal(listed(&catalog), 2);
}

static void good_answers_tell_how_long_they_take(void **state)
{
    (void)state;
    assert_int_equal(standings_took_ms(node_of(0), REQUEST_CLASS_QUERY), 0);
    for (unsigned i = 0; i < 100; i++) {
        struct standings_attempt attempt = attempt_on(0);
        attempt.now_ms += 200;
        standings_good(&attempt, &stage.topology.health);
    }
    assert_in_range(standings_took_ms(node_of(0), REQUEST_CLASS_QUERY), 195, 201);
    assert_int_equal(standings_took_ms(node_of(0), REQUEST_CLASS_WRITE), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(who_fails_is_set_aside_for_that_class),
        TEST(a_good_answer_begins_the_count_anew),
        TEST(a_pool_that_fails_as_a_whole_sets_nobody_aside),
        TEST(who_was_set_aside_first_comes_back_when_all_fail),
        TEST(never_more_than_half_are_aside),
        TEST(one_node_alone_stays),
        TEST(who_is_aside_serves_when_nobody_else_is_there),
        TEST(one_request_of_the_process_finds_out),
        TEST(a_trial_that_fails_sets_it_aside_for_longer),
        TEST(a_trial_that_tells_nothing_is_followed_by_another),
        TEST(late_ends_of_old_attempts_change_nothing),
        TEST(its_share_grows_when_it_is_back),
        TEST(a_node_that_refuses_gets_no_writes_until_a_probe_is_good),
        TEST(a_node_that_comes_back_begins_anew),
        TEST(without_trials_the_time_alone_decides),
        TEST(good_answers_tell_how_long_they_take),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
