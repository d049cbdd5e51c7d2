/* A pool and its clients: they take turns, a full queue drops whose requests are most, and nobody takes all streams of a node. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fake/pool_stage.h"
#include "upstream/pool_parts.h"

/* Two clients, and which of them the queue tells apart is drawn at the start of each pool. */
#define A 1
static uint64_t b;

static size_t next;

static uint64_t another_client(void)
{
    struct fair_queue *queue = &stage.pool->nodes[shared(0)->slot]->waiters;
    uint64_t key = A;
    while (fair_queue_bucket(queue, key) == fair_queue_bucket(queue, A))
        key += UINT64_C(0x9e3779b97f4a7c15);
    return key;
}

static int set_up_links(void **state, unsigned links)
{
    set_up(state);
    next = 0;
    b = another_client();
    stage.nodes[0].maximum_links = links;
    stage.topology.limits.queue = 8;
    return 0;
}

static int one_link(void **state)
{
    return set_up_links(state, 1);
}

static int four_links(void **state)
{
    set_up_links(state, 4);
    stage.topology.limits.client_share = 250;
    return 0;
}

static struct asker *ask_as(uint64_t client)
{
    stage.askers[next].ticket.entry.client = client;
    return ask_node(0, next++);
}

static struct asker *served_as(uint64_t client)
{
    stage.askers[next].ticket.entry.client = client;
    return served(0, next++);
}

static void expect_served(struct asker *asker)
{
    rig_until(&stage.rig, asker->events == 1);
    assert_non_null(asker->link);
}

static void clients_take_turns(void **state)
{
    (void)state;
    struct asker *busy = served_as(A);
    struct asker *second = ask_as(A);
    struct asker *third = ask_as(A);
    struct asker *other = ask_as(b);
    give(busy);
    expect_served(second);
    give(second);
    expect_served(other);
    assert_true(is_waiting(third));
    give(other);
    expect_served(third);
}

static void a_full_queue_drops_the_oldest_of_whose_are_most(void **state)
{
    (void)state;
    stage.topology.limits.queue = 2;
    served_as(A);
    struct asker *second = ask_as(A);
    struct asker *third = ask_as(A);
    struct asker *fourth = ask_as(A);
    assert_int_equal(fourth->fault, FAULT_QUEUE_FULL);
    struct asker *other = ask_as(b);
    assert_true(is_waiting(other));
    /* Not within the verb of the other one. */
    assert_true(is_waiting(second));
    rig_settle(&stage.rig);
    assert_int_equal(second->fault, FAULT_QUEUE_FULL);
    assert_true(is_waiting(third));
    assert_true(is_waiting(other));
    /* Each has one: nobody's are more. */
    struct asker *last = ask_as(b);
    assert_int_equal(last->fault, FAULT_QUEUE_FULL);
}

static void nobody_takes_all_streams_of_a_node(void **state)
{
    (void)state;
    struct asker *first = served_as(A);
    served_as(A);
    served_as(A);
    struct asker *fourth = ask_as(A);
    rig_settle(&stage.rig);
    assert_true(is_waiting(fourth));
    assert_int_equal(links_to(0), 3);
    struct asker *other = served_as(b);
    assert_int_equal(links_to(0), 4);
    /* What the other one gives back is still for others. */
    give(other);
    rig_settle(&stage.rig);
    assert_true(is_waiting(fourth));
    give(first);
    expect_served(fourth);
}

static void who_has_less_than_its_share_takes_the_last_one(void **state)
{
    (void)state;
    stage.topology.limits.client_share = 500;
    served_as(A);
    served_as(A);
    served_as(b);
    struct asker *waiting = ask_as(A);
    rig_settle(&stage.rig);
    assert_true(is_waiting(waiting));
    served_as(b);
    struct asker *busy = ask_as(b);
    rig_settle(&stage.rig);
    assert_true(is_waiting(busy));
}

static struct asker *served_of(unsigned class, uint64_t client)
{
    stage.askers[next].ticket.class = class;
    return served_as(client);
}

/* Many clients that query leave room for writes, where a node does both. */
static void a_class_leaves_room_for_others_on_a_node_of_several_modes(void **state)
{
    (void)state;
    stage.nodes[0].capabilities = NODE_CAPABILITY_INGEST | NODE_CAPABILITY_QUERY;
    for (uint64_t client = 0; client < 3; client++)
        served_of(REQUEST_CLASS_QUERY, client * b);
    stage.askers[next].ticket.class = REQUEST_CLASS_QUERY;
    struct asker *query = ask_as(99 * b);
    rig_settle(&stage.rig);
    assert_true(is_waiting(query));
    served_of(REQUEST_CLASS_WRITE, 98 * b);
}

static void on_a_node_of_one_mode_many_clients_take_all(void **state)
{
    (void)state;
    stage.nodes[0].capabilities = NODE_CAPABILITY_QUERY;
    struct fair_queue *queue = &stage.pool->nodes[shared(0)->slot]->waiters;
    uint64_t client = 0;
    for (unsigned i = 0; i < 4; i++) {
        served_of(REQUEST_CLASS_QUERY, client);
        while (fair_queue_bucket(queue, client)->held > 0)
            client += b;
    }
    assert_int_equal(links_to(0), 4);
}

static void a_share_of_less_than_a_stream_is_none(void **state)
{
    (void)state;
    stage.topology.limits.client_share = 240;
    for (unsigned i = 0; i < 4; i++)
        served_as(A);
    assert_int_equal(links_to(0), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(clients_take_turns, one_link, tear_down),
        cmocka_unit_test_setup_teardown(a_full_queue_drops_the_oldest_of_whose_are_most, one_link, tear_down),
        cmocka_unit_test_setup_teardown(nobody_takes_all_streams_of_a_node, four_links, tear_down),
        cmocka_unit_test_setup_teardown(who_has_less_than_its_share_takes_the_last_one, four_links, tear_down),
        cmocka_unit_test_setup_teardown(a_class_leaves_room_for_others_on_a_node_of_several_modes, four_links, tear_down),
        cmocka_unit_test_setup_teardown(on_a_node_of_one_mode_many_clients_take_all, four_links, tear_down),
        cmocka_unit_test_setup_teardown(a_share_of_less_than_a_stream_is_none, four_links, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
