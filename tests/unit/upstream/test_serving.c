/* What a cluster can be asked for, as those see it who look at all nodes. */
#include <string.h>

#include "fake/epochs.h"
#include "upstream/serving.h"

enum { INGESTER, QUERY, BOTH, NODES };

static struct roster *roster;
static struct topology topology;
static struct topology_node nodes[NODES];
static struct epoch *epoch;

static int set_up(void **state)
{
    (void)state;
    static const char *const names[NODES] = {"ingester-01", "query-01", "both-01"};
    static const unsigned capabilities[NODES] = {NODE_CAPABILITY_INGEST, NODE_CAPABILITY_QUERY, NODE_CAPABILITY_INGEST | NODE_CAPABILITY_QUERY};
    for (unsigned i = 0; i < NODES; i++)
        nodes[i] = (struct topology_node){.node_id = names[i], .capabilities = capabilities[i], .weight = 1};
    topology = (struct topology){.nodes = nodes, .node_count = NODES};
    roster = roster_create();
    epoch = make_epoch(roster, &topology, 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    epoch_release(epoch);
    roster_destroy(roster);
    return 0;
}

/* "wq": the kinds that can be served, by their first letters; e is the engine, c compaction. */
static const char *served(void)
{
    static char letters[SERVING_KINDS + 1];
    size_t used = 0;
    for (size_t i = 0; i < SERVING_KINDS; i++) {
        if (serving_any(epoch, &serving_kinds[i]))
            letters[used++] = serving_kinds[i].name.bytes[0];
    }
    letters[used] = '\0';
    return letters;
}

/* The nodes that may get requests, as bits. */
static unsigned taking(void)
{
    unsigned bits = 0;
    for (unsigned i = 0; i < NODES; i++)
        bits |= serving_takes_any(epoch, i, serving_all_down(epoch)) ? 1u << i : 0;
    return bits;
}

static void take_down(unsigned node)
{
    roster_node_set_health(epoch->nodes[node], HEALTH_DOWN);
}

static void who_is_usable_serves(void **state)
{
    (void)state;
    assert_string_equal(served(), "wq");
    take_down(QUERY);
    assert_string_equal(served(), "wq");
    assert_int_equal(serving_all_down(epoch), 0);
    assert_int_equal(taking(), 1u << INGESTER | 1u << BOTH);
}

static void where_all_are_down_they_serve(void **state)
{
    (void)state;
    take_down(QUERY);
    take_down(BOTH);
    /* Writes have an ingester that is well: the other one gets queries only. */
    assert_int_equal(serving_all_down(epoch), 1u << 1);
    assert_string_equal(serving_kinds[1].name.bytes, "query");
    assert_string_equal(served(), "wq");
    assert_int_equal(taking(), 1u << INGESTER | 1u << QUERY | 1u << BOTH);
    assert_true(serving_takes(epoch->nodes[BOTH], REQUEST_CLASS_QUERY, true));
    assert_false(serving_takes(epoch->nodes[BOTH], REQUEST_CLASS_WRITE, false));
    /* Drained, or without TLS: those stay out, and nobody else is left. */
    roster_node_set_admin(epoch->nodes[QUERY], REQUEST_CLASS_QUERY, NODE_ADMIN_MAINT);
    assert_int_equal(taking(), 1u << INGESTER | 1u << BOTH);
    roster_node_set_tls_failed(epoch->nodes[BOTH], true);
    assert_int_equal(serving_all_down(epoch), 0);
    assert_string_equal(served(), "w");
}

static void unless_they_are_to_be_refused(void **state)
{
    (void)state;
    topology.health.all_down = TOPOLOGY_ALL_DOWN_REFUSE;
    take_down(QUERY);
    take_down(BOTH);
    assert_int_equal(serving_all_down(epoch), 0);
    assert_string_equal(served(), "w");
    assert_int_equal(taking(), 1u << INGESTER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(who_is_usable_serves),
        TEST(where_all_are_down_they_serve),
        TEST(unless_they_are_to_be_refused),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
