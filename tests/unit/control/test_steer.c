/* The operator's word on a node: which classes it is about, how long is waited, and what is still under way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "control/steer.h"
#include "fake/epochs.h"

#define NODES 2
#define ALL_CLASSES ((1u << REQUEST_CLASS_COUNT) - 1)
#define BIT(class) (1u << REQUEST_CLASS_##class)

static struct roster *roster;
static struct topology topology;
static struct topology_node nodes[NODES];
static struct epoch *epoch;
static struct steering steering;
static struct steering_order order;
static const char *error;

static int set_up(void **state)
{
    (void)state;
    nodes[0] = (struct topology_node){.node_id = "query-01", .capabilities = NODE_CAPABILITY_QUERY};
    nodes[1] = (struct topology_node){.node_id = "a b/c%", .capabilities = NODE_CAPABILITY_QUERY};
    topology = (struct topology){.nodes = nodes, .node_count = NODES};
    roster = roster_create();
    assert_non_null(roster);
    epoch = make_epoch(roster, &topology, 1);
    steering = (struct steering){.node = NULL};
    error = NULL;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    steering_end(&steering);
    epoch_release(epoch);
    assert_int_equal(count_roster(roster), 0);
    roster_destroy(roster);
    return 0;
}

static unsigned steer(enum node_admin admin, const char *node_id, const char *query)
{
    steering_end(&steering);
    order = (struct steering_order){.state = admin, .node_id = text_of_string(node_id), .query = text_of_string(query), .wait_ms = 7};
    return steering_begin(&steering, epoch, &order, &error);
}

/* The classes in which the node is in this state. */
static unsigned classes_in(enum node_admin admin)
{
    unsigned bits = 0;
    for (unsigned class = 0; class < REQUEST_CLASS_COUNT; class++)
        bits |= (atomic_load(&epoch->nodes[0]->admin[class]) == admin ? 1u : 0u) << class;
    return bits;
}

struct row {
    const char *query;
    unsigned classes;
};

static void a_word_stands_for_its_classes(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"", ALL_CLASSES},
        {"class=all", ALL_CLASSES},
        {"class=", ALL_CLASSES},
        {"class=write", BIT(WRITE) | BIT(WRITEBACK)},
        {"class=query", BIT(QUERY) | BIT(FLIGHT)},
        {"class=writeback", BIT(WRITEBACK)},
        {"class=flight", BIT(FLIGHT)},
        {"class=catalog", BIT(CATALOG)},
        {"wait=1s&class=engine", BIT(ENGINE)},
        {"klass=query", ALL_CLASSES},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(steer(NODE_ADMIN_READY, "query-01", "class=all"), 200);
        assert_int_equal(steer(NODE_ADMIN_DRAIN, "query-01", rows[i].query), 200);
        assert_int_equal(classes_in(NODE_ADMIN_DRAIN), rows[i].classes);
        assert_int_equal(classes_in(NODE_ADMIN_READY), ALL_CLASSES & ~rows[i].classes);
        assert_int_equal(steering.classes, rows[i].classes);
    }
}

/* A node that takes both can be drained of writes alone. */
static void words_add_up(void **state)
{
    (void)state;
    steer(NODE_ADMIN_DRAIN, "query-01", "class=write");
    steer(NODE_ADMIN_MAINT, "query-01", "class=catalog");
    assert_int_equal(classes_in(NODE_ADMIN_DRAIN), BIT(WRITE) | BIT(WRITEBACK));
    assert_int_equal(classes_in(NODE_ADMIN_MAINT), BIT(CATALOG));
    steer(NODE_ADMIN_READY, "query-01", "class=write");
    assert_int_equal(classes_in(NODE_ADMIN_DRAIN), 0);
    assert_int_equal(classes_in(NODE_ADMIN_MAINT), BIT(CATALOG));
    assert_int_equal(atomic_load(&epoch->nodes[1]->admin[REQUEST_CLASS_CATALOG]), NODE_ADMIN_READY);
}

static void workers_hear_of_it(void **state)
{
    (void)state;
    unsigned before = atomic_load(&roster->generation);
    steer(NODE_ADMIN_DRAIN, "query-01", "class=query");
    assert_int_not_equal(atomic_load(&roster->generation), before);
    assert_false(roster_node_is_usable(epoch->nodes[0], REQUEST_CLASS_QUERY));
    assert_true(roster_node_is_usable(epoch->nodes[0], REQUEST_CLASS_WRITE));
}

static void what_is_wrong_is_said_and_changes_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *node_id;
        const char *query;
        unsigned status;
        const char *words;
    } rows[] = {
        {"query-01", "class=queries", 400, "no such class"},
        {"query-01", "class=QUERY", 400, "no such class"},
        {"query-01", "wait=soon", 400, "wait is no duration"},
        {"query-01", "wait=30", 400, "wait is no duration"},
        {"query-01", "wait=601s", 400, "wait is no duration up to 10m"},
        {"query-1", "", 404, "no node"},
        {"query-011", "", 404, "no node"},
        {"", "", 404, "no node"},
        {"query-01%20", "", 404, "no node"},
        {"query-01%00", "", 404, "no node"},
        {"query-01%00x", "", 404, "no node"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        error = NULL;
        unsigned status = steer(NODE_ADMIN_DRAIN, rows[i].node_id, rows[i].query);
        if (status != rows[i].status)
            fail_msg("row %zu: %u", i, status);
        assert_non_null(error);
        assert_non_null(strstr(error, rows[i].words));
        assert_null(steering.node);
    }
    assert_int_equal(classes_in(NODE_ADMIN_READY), ALL_CLASSES);
    char name[300];
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(steer(NODE_ADMIN_DRAIN, name, ""), 404);
}

static void names_come_percent_encoded(void **state)
{
    (void)state;
    assert_int_equal(steer(NODE_ADMIN_DRAIN, "a%20b%2fc%25", ""), 200);
    assert_ptr_equal(steering.node, epoch->nodes[1]);
    assert_int_equal(steer(NODE_ADMIN_DRAIN, "a b/c%", ""), 200);
    assert_int_equal(steer(NODE_ADMIN_DRAIN, "%71uery-0%31", ""), 200);
    assert_ptr_equal(steering.node, epoch->nodes[0]);
}

static void the_wait_is_a_duration(void **state)
{
    (void)state;
    steer(NODE_ADMIN_DRAIN, "query-01", "");
    assert_int_equal(order.wait_ms, 0);
    steer(NODE_ADMIN_DRAIN, "query-01", "class=query&wait=30s");
    assert_int_equal(order.wait_ms, 30000);
    steer(NODE_ADMIN_DRAIN, "query-01", "wait=10m");
    assert_int_equal(order.wait_ms, 600000);
}

static void it_is_done_when_nothing_of_its_classes_is_under_way(void **state)
{
    (void)state;
    struct roster_node *node = epoch->nodes[0];
    atomic_store(&node->outstanding_of[REQUEST_CLASS_QUERY], 2);
    atomic_store(&node->outstanding_of[REQUEST_CLASS_FLIGHT], 1);
    atomic_store(&node->outstanding_of[REQUEST_CLASS_WRITE], 5);
    steer(NODE_ADMIN_DRAIN, "query-01", "class=query");
    assert_int_equal(steering_outstanding(&steering), 3);
    assert_false(steering_is_done(&steering));
    atomic_store(&node->outstanding_of[REQUEST_CLASS_QUERY], 0);
    atomic_store(&node->outstanding_of[REQUEST_CLASS_FLIGHT], 0);
    assert_int_equal(steering_outstanding(&steering), 0);
    assert_true(steering_is_done(&steering));
    steer(NODE_ADMIN_MAINT, "query-01", "");
    assert_int_equal(steering_outstanding(&steering), 5);
    assert_false(steering_is_done(&steering));
    /* Ready is done at once. */
    steer(NODE_ADMIN_READY, "query-01", "");
    assert_true(steering_is_done(&steering));
}

/* Somebody waits for a node that a reload takes out meanwhile. */
static void a_node_that_is_waited_for_stays(void **state)
{
    (void)state;
    steer(NODE_ADMIN_DRAIN, "query-01", "wait=30s");
    epoch_release(epoch);
    topology.node_count = 1;
    topology.nodes = &nodes[1];
    epoch = make_epoch(roster, &topology, 2);
    assert_int_equal(count_roster(roster), 2);
    assert_true(steering_is_done(&steering));
    steering_end(&steering);
    steering_end(&steering);
    assert_int_equal(count_roster(roster), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(a_word_stands_for_its_classes),
        TEST(words_add_up),
        TEST(workers_hear_of_it),
        TEST(what_is_wrong_is_said_and_changes_nothing),
        TEST(names_come_percent_encoded),
        TEST(the_wait_is_a_duration),
        TEST(it_is_done_when_nothing_of_its_classes_is_under_way),
        TEST(a_node_that_is_waited_for_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
