/* One configuration in force: which node of the roster each entry is, and who holds it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fake/epochs.h"
#include "routing/classify.h"
#include "upstream/epoch.h"

#define NODES 3

static struct roster *roster;
static struct topology topology;
static struct topology_node nodes[NODES];
static char reason[512];

static int set_up(void **state)
{
    (void)state;
    static const char *const names[NODES] = {"query-01", "query-02", "query-03"};
    for (unsigned i = 0; i < NODES; i++)
        nodes[i] = (struct topology_node){.node_id = names[i], .host = "192.0.2.1", .capabilities = NODE_CAPABILITY_QUERY};
    topology = (struct topology){.nodes = nodes, .node_count = NODES};
    atomic_store(&topology.references, 1);
    reason[0] = '\0';
    roster = roster_create();
    return roster == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_int_equal(count_roster(roster), 0);
    assert_int_equal(atomic_load(&topology.references), 1);
    roster_destroy(roster);
    return 0;
}

static void each_entry_has_its_node(void **state)
{
    (void)state;
    /* Slots and indices are not the same thing. */
    bool is_full;
    struct roster_node *before = roster_admit(roster, "other-01", &is_full);
    struct roster_node *known = roster_admit(roster, "query-03", &is_full);
    struct epoch *epoch = epoch_create(roster, &topology, 5, reason, sizeof reason);
    assert_non_null(epoch);
    assert_int_equal(epoch->number, 5);
    assert_ptr_equal(epoch->topology, &topology);
    assert_int_equal(atomic_load(&topology.references), 2);
    assert_non_null(epoch->classifier);
    assert_ptr_equal(epoch->nodes[2], known);
    for (unsigned i = 0; i < NODES; i++) {
        assert_string_equal(epoch->nodes[i]->node_id, nodes[i].node_id);
        assert_int_equal(epoch->index_of_slot[epoch->nodes[i]->slot], i);
        assert_int_equal(epoch_find(epoch, epoch->nodes[i]), i);
        assert_int_equal(epoch_find_handle(epoch, epoch->nodes[i]->handle), i);
    }
    assert_int_equal(epoch->index_of_slot[before->slot], EPOCH_NO_INDEX);
    assert_int_equal(epoch->index_of_slot[ROSTER_SLOTS - 1], EPOCH_NO_INDEX);
    assert_int_equal(epoch_find(epoch, before), -1);
    assert_int_equal(epoch_find_handle(epoch, before->handle), -1);
    assert_int_equal(epoch_find_handle(epoch, 0), -1);
    epoch_release(epoch);
    roster_node_release(before);
    roster_node_release(known);
}

/* Nothing that remembers a node finds a stranger: neither by the slot, nor after the node was away. */
static void a_node_that_is_gone_is_not_found(void **state)
{
    (void)state;
    struct epoch *first = make_epoch(roster, &topology, 1);
    struct roster_node *second_node = first->nodes[1];
    roster_handle handle = second_node->handle;
    struct topology_node other_nodes[] = {nodes[0], nodes[2]};
    struct topology other = {.nodes = other_nodes, .node_count = 2};
    struct epoch *second = make_epoch(roster, &other, 2);
    assert_int_equal(epoch_find(second, second_node), -1);
    assert_int_equal(epoch_find_handle(second, handle), -1);
    assert_int_equal(epoch_find(second, first->nodes[2]), 1);
    /* What both have is one and the same. */
    assert_ptr_equal(second->nodes[0], first->nodes[0]);
    epoch_release(first);
    /* The slot is free now, and the next one of whatever name takes it. */
    struct epoch *third = make_epoch(roster, &topology, 3);
    assert_int_equal(third->nodes[1]->slot, handle % ROSTER_SLOTS);
    assert_int_equal(epoch_find_handle(third, handle), -1);
    assert_int_equal(epoch_find_handle(second, third->nodes[1]->handle), -1);
    assert_int_equal(epoch_find(second, third->nodes[1]), -1);
    epoch_release(third);
    epoch_release(second);
    assert_int_equal(atomic_load(&other.references), 1);
}

static void the_last_one_to_let_go_frees_it(void **state)
{
    (void)state;
    struct epoch *epoch = make_epoch(roster, &topology, 1);
    epoch_retain(epoch);
    epoch_retain(epoch);
    epoch_release(epoch);
    epoch_release(epoch);
    assert_int_equal(count_roster(roster), NODES);
    assert_int_equal(atomic_load(&topology.references), 2);
    epoch_release(epoch);
    assert_int_equal(count_roster(roster), 0);
    epoch_release(NULL);
}

/* Nodes outlive the epoch that brought them, with whatever is known of them. */
static void nodes_outlive_epochs(void **state)
{
    (void)state;
    struct epoch *first = make_epoch(roster, &topology, 1);
    roster_node_set_health(first->nodes[1], HEALTH_DOWN);
    struct roster_node *node = first->nodes[1];
    struct epoch *second = make_epoch(roster, &topology, 2);
    epoch_release(first);
    assert_ptr_equal(second->nodes[1], node);
    assert_false(roster_node_is_usable(second->nodes[1], REQUEST_CLASS_QUERY));
    epoch_release(second);
}

static void without_a_slot_there_is_no_epoch(void **state)
{
    (void)state;
    static struct roster_node *many[ROSTER_SLOTS];
    char name[32];
    bool is_full;
    for (unsigned i = 0; i < ROSTER_SLOTS - 1; i++) {
        snprintf(name, sizeof name, "old-%u", i);
        many[i] = roster_admit(roster, name, &is_full);
    }
    assert_null(epoch_create(roster, &topology, 1, reason, sizeof reason));
    assert_non_null(strstr(reason, "too many nodes of earlier configurations"));
    /* The one that was admitted has left again. */
    assert_int_equal(count_roster(roster), ROSTER_SLOTS - 1);
    for (unsigned i = 0; i < ROSTER_SLOTS - 1; i++)
        roster_node_release(many[i]);
}

static void certificates_that_cannot_be_read_are_said(void **state)
{
    (void)state;
    nodes[1].is_tls = nodes[1].tls.verify = true;
    nodes[1].tls.ca = "/nowhere/at/all.pem";
    assert_null(epoch_create(roster, &topology, 1, reason, sizeof reason));
    assert_non_null(strstr(reason, "/nowhere/at/all.pem"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(each_entry_has_its_node),
        TEST(a_node_that_is_gone_is_not_found),
        TEST(the_last_one_to_let_go_frees_it),
        TEST(nodes_outlive_epochs),
        TEST(without_a_slot_there_is_no_epoch),
        TEST(certificates_that_cannot_be_read_are_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
