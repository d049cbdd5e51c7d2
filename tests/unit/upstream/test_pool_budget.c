/* A pool and the descriptors of the process: as many links as there may be, and who waits for one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fake/pool_stage.h"

static struct link_budget *budget(void)
{
    return &stage.roster->links;
}

static size_t links_open(void)
{
    return atomic_load(&budget()->open);
}

static void who_finds_no_descriptor_waits_for_one(void **state)
{
    (void)state;
    atomic_store(&budget()->maximum, 1);
    struct asker *busy = served(0, 0);
    assert_int_equal(links_open(), 1);
    struct asker *waiting = ask_node(1, 1);
    rig_settle(&stage.rig);
    assert_true(is_waiting(waiting));
    assert_int_equal(links_to(1), 0);
    /* The link that is idle now makes room, though its own node wants nothing. */
    give(busy);
    rig_until(&stage.rig, waiting->events == 1);
    assert_non_null(waiting->link);
    assert_int_equal(links_to(0), 0);
    assert_int_equal(links_open(), 1);
}

/* The last quarter of the descriptors: one link for each node, in each worker. */
static void a_flood_at_one_node_leaves_a_descriptor_to_the_others(void **state)
{
    (void)state;
    stage.nodes[0].maximum_links = 8;
    stage.topology.limits.queue = 8;
    atomic_store(&budget()->maximum, 4);
    for (size_t number = 0; number < 3; number++)
        served(0, number);
    struct asker *waiting = ask_node(0, 3);
    rig_settle(&stage.rig);
    assert_true(is_waiting(waiting));
    assert_int_equal(links_to(0), 3);
    served(1, 4);
    assert_int_equal(links_open(), 4);
}

/* Two links to a node are two of the process, whatever its workers: each has its part. */
static void workers_divide_the_links_to_a_node(void **state)
{
    (void)state;
    static const size_t expected[][2] = {{3, 1}, {2, 1}, {1, 2}, {0, 2}};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        atomic_store(&stage.roster->workers, (unsigned)expected[i][0]);
        struct asker *askers[3];
        for (size_t number = 0; number < 3; number++)
            askers[number] = ask_node(0, number);
        for (size_t number = 0; number < expected[i][1]; number++)
            rig_until(&stage.rig, askers[number]->link != NULL);
        rig_settle(&stage.rig);
        assert_int_equal(links_to(0), expected[i][1]);
        for (size_t number = 0; number < 3; number++) {
            pool_cancel(stage.pool, &askers[number]->ticket);
            give(askers[number]);
        }
    }
}

static void an_idle_link_of_another_node_makes_room_at_once(void **state)
{
    (void)state;
    atomic_store(&budget()->maximum, 1);
    give(served(0, 0));
    assert_int_equal(links_to(0), 1);
    served(1, 1);
    assert_int_equal(links_to(0), 0);
    assert_int_equal(links_open(), 1);
}

static void what_another_worker_leaves_is_found_within_a_second(void **state)
{
    (void)state;
    atomic_store(&budget()->maximum, 1);
    assert_true(link_budget_take(budget()));
    struct asker *waiting = ask_node(0, 0);
    rig_settle(&stage.rig);
    assert_true(is_waiting(waiting));
    link_budget_give(budget());
    pass(1100);
    rig_until(&stage.rig, waiting->events == 1);
    assert_non_null(waiting->link);
}

static void a_connection_that_does_not_come_about_gives_its_place_back(void **state)
{
    (void)state;
    atomic_store(&budget()->maximum, 5);
    close(stage.listening[0]);
    stage.listening[0] = -1;
    struct asker *asker = ask_node(0, 0);
    rig_until(&stage.rig, asker->fault != FAULT_NONE);
    roster_node_set_address(shared(1), &(struct address){.length = 0});
    asker = ask_node(1, 1);
    assert_int_equal(asker->fault, FAULT_RESOLVE);
    rig_settle(&stage.rig);
    assert_int_equal(links_open(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(who_finds_no_descriptor_waits_for_one),
        TEST(a_flood_at_one_node_leaves_a_descriptor_to_the_others),
        TEST(workers_divide_the_links_to_a_node),
        TEST(an_idle_link_of_another_node_makes_room_at_once),
        TEST(what_another_worker_leaves_is_found_within_a_second),
        TEST(a_connection_that_does_not_come_about_gives_its_place_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
