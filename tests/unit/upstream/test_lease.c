/* One worker's hold on an epoch: its lists of who can serve what, the addresses of process-capable nodes, and its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fake/epochs.h"
#include "upstream/lease.h"

enum { INGESTER, PROCESSOR, QUERY, BOTH, NODES };

static struct roster *roster;
static struct topology topology;
static struct topology_node nodes[NODES];
static struct epoch *epoch;
static struct list leases;
static struct lease *lease;

static struct {
    unsigned count;
    struct lease *lease;
    size_t left; /* in the list */
    bool was_held; /* its epoch was still there */
} ended;

static const struct route write_route = {.capabilities = NODE_CAPABILITY_INGEST};
static const struct route query_route = {.capabilities = NODE_CAPABILITY_QUERY};
static const struct route any_route = {.capabilities = 0};
/* As with the built-in routes that a query node or, better, an ingest node serves. */
static const struct route preferring_route = {
    .capabilities = NODE_CAPABILITY_INGEST | NODE_CAPABILITY_QUERY, .preferred = NODE_CAPABILITY_INGEST};

static void on_ended(void *owner, struct lease *over)
{
    (void)owner;
    ended.count++;
    ended.lease = over;
    ended.left = leases.count;
    ended.was_held = atomic_load(&over->epoch->references) > 0 && over->epoch->nodes[0]->references > 0;
}

static int set_up(void **state)
{
    (void)state;
    static const char *const names[NODES] = {"ingester-01", "processor-01", "query-01", "both-01"};
    static const unsigned capabilities[NODES] = {NODE_CAPABILITY_INGEST, NODE_CAPABILITY_PROCESS, NODE_CAPABILITY_QUERY,
                                                 NODE_CAPABILITY_INGEST | NODE_CAPABILITY_QUERY};
    memset(&ended, 0, sizeof ended);
    for (unsigned i = 0; i < NODES; i++)
        nodes[i] = (struct topology_node){.node_id = names[i], .capabilities = capabilities[i], .weight = i + 1};
    topology = (struct topology){.nodes = nodes, .node_count = NODES};
    roster = roster_create();
    assert_non_null(roster);
    epoch = make_epoch(roster, &topology, 1);
    list_init(&leases);
    lease = lease_create(epoch, &leases, on_ended, NULL);
    return lease == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (lease != NULL)
        lease_release(lease);
    assert_int_equal(leases.count, 0);
    epoch_release(epoch);
    assert_int_equal(count_roster(roster), 0);
    roster_destroy(roster);
    return 0;
}

/* The members of a view as bits, in the order of the configuration. */
static unsigned members_of(const struct balance_view *view)
{
    unsigned bits = 0;
    for (size_t i = 0; i < view->count; i++) {
        assert_true(i == 0 || view->members[i].index > view->members[i - 1].index);
        assert_int_equal(view->members[i].weight, nodes[view->members[i].index].weight);
        bits |= 1u << view->members[i].index;
    }
    return bits;
}

static unsigned usable(enum request_class class, const struct route *route)
{
    return members_of(lease_usable(lease, &(struct lease_kind){class, route, false, false, 0}));
}

static unsigned preferred(enum request_class class, const struct route *route)
{
    return members_of(lease_preferred(lease, &(struct lease_kind){class, route, false, false, 0}));
}

static unsigned for_calls(void)
{
    return members_of(lease_usable(lease, &(struct lease_kind){REQUEST_CLASS_FLIGHT, &any_route, true, false, 0}));
}

#define BIT(node) (1u << (node))
#define ALL (BIT(INGESTER) | BIT(PROCESSOR) | BIT(QUERY) | BIT(BOTH))

/* ---- views ---- */

static void a_route_is_served_by_whoever_can(void **state)
{
    (void)state;
    assert_int_equal(usable(REQUEST_CLASS_WRITE, &write_route), BIT(INGESTER) | BIT(BOTH));
    assert_int_equal(usable(REQUEST_CLASS_QUERY, &query_route), BIT(QUERY) | BIT(BOTH));
    assert_int_equal(usable(REQUEST_CLASS_CATALOG, &any_route), ALL);
}

static void a_preference_makes_a_list_of_its_own(void **state)
{
    (void)state;
    assert_int_equal(usable(REQUEST_CLASS_CATALOG, &preferring_route), BIT(INGESTER) | BIT(QUERY) | BIT(BOTH));
    assert_int_equal(preferred(REQUEST_CLASS_CATALOG, &preferring_route), BIT(INGESTER) | BIT(BOTH));
    /* Without a preference it is the same list. */
    struct lease_kind kind = {REQUEST_CLASS_QUERY, &query_route, false, false, 0};
    assert_ptr_equal(lease_preferred(lease, &kind), lease_usable(lease, &kind));
    /* Nobody of them is usable: the list is empty, and the other one is not. */
    roster_node_set_health(epoch->nodes[INGESTER], HEALTH_DOWN);
    roster_node_set_health(epoch->nodes[BOTH], HEALTH_DOWN);
    assert_int_equal(preferred(REQUEST_CLASS_CATALOG, &preferring_route), 0);
    assert_int_equal(usable(REQUEST_CLASS_CATALOG, &preferring_route), BIT(QUERY));
}

static void lists_follow_the_roster(void **state)
{
    (void)state;
    assert_int_equal(usable(REQUEST_CLASS_QUERY, &query_route), BIT(QUERY) | BIT(BOTH));
    roster_node_set_health(epoch->nodes[QUERY], HEALTH_DOWN);
    assert_int_equal(usable(REQUEST_CLASS_QUERY, &query_route), BIT(BOTH));
    roster_node_set_health(epoch->nodes[QUERY], HEALTH_UP);
    roster_node_set_health(epoch->nodes[BOTH], HEALTH_UP);
    assert_int_equal(usable(REQUEST_CLASS_QUERY, &query_route), BIT(QUERY) | BIT(BOTH));
    for (unsigned i = 0; i < HEALTH_PASSIVE_FAILURES; i++)
        roster_node_note_connect(epoch->nodes[BOTH], true);
    assert_int_equal(usable(REQUEST_CLASS_QUERY, &query_route), BIT(QUERY));
    roster_node_note_connect(epoch->nodes[BOTH], false);
    assert_int_equal(usable(REQUEST_CLASS_QUERY, &query_route), BIT(QUERY) | BIT(BOTH));
    /* Each class has its own. */
    roster_node_set_admin(epoch->nodes[BOTH], REQUEST_CLASS_WRITE, NODE_ADMIN_DRAIN);
    assert_int_equal(usable(REQUEST_CLASS_WRITE, &write_route), BIT(INGESTER));
    assert_int_equal(usable(REQUEST_CLASS_QUERY, &query_route), BIT(QUERY) | BIT(BOTH));
}

/* One that a reload has brought may not be there at all; before any has answered, all are taken. */
static void a_node_that_no_probe_has_reached_waits_while_others_are_up(void **state)
{
    (void)state;
    struct lease_kind all = {REQUEST_CLASS_QUERY, &query_route, false, true, 0};
    assert_int_equal(usable(REQUEST_CLASS_QUERY, &query_route), BIT(QUERY) | BIT(BOTH));
    roster_node_set_health(epoch->nodes[QUERY], HEALTH_UP);
    assert_int_equal(usable(REQUEST_CLASS_QUERY, &query_route), BIT(QUERY));
    assert_int_equal(members_of(lease_usable(lease, &all)), BIT(QUERY) | BIT(BOTH));
    /* Those of another kind change nothing. */
    assert_int_equal(usable(REQUEST_CLASS_WRITE, &write_route), BIT(INGESTER) | BIT(BOTH));
    roster_node_set_health(epoch->nodes[QUERY], HEALTH_DOWN);
    assert_int_equal(usable(REQUEST_CLASS_QUERY, &query_route), BIT(BOTH));
    roster_node_set_health(epoch->nodes[QUERY], HEALTH_UP);
    roster_node_set_health(epoch->nodes[BOTH], HEALTH_UP);
    assert_int_equal(usable(REQUEST_CLASS_QUERY, &query_route), BIT(QUERY) | BIT(BOTH));
}

/* Probes that all fail may be wrong; what the operator says, TLS, and connections that do not come about are not. */
static void where_all_are_down_those_serve_that_only_probes_keep_out(void **state)
{
    (void)state;
    struct lease_kind calls = {REQUEST_CLASS_QUERY, &query_route, true, false, 0};
    roster_node_set_health(epoch->nodes[QUERY], HEALTH_DOWN);
    assert_int_equal(usable(REQUEST_CLASS_QUERY, &query_route), BIT(BOTH));
    roster_node_set_health(epoch->nodes[BOTH], HEALTH_DOWN);
    assert_int_equal(usable(REQUEST_CLASS_QUERY, &query_route), BIT(QUERY) | BIT(BOTH));
    /* The wrong role stays the wrong one, and one that is well is enough. */
    assert_int_equal(usable(REQUEST_CLASS_WRITE, &write_route), BIT(INGESTER));
    roster_node_set_version(epoch->nodes[QUERY], 1);
    assert_int_equal(members_of(lease_usable(lease, &calls)), BIT(BOTH));
    roster_node_set_admin(epoch->nodes[QUERY], REQUEST_CLASS_QUERY, NODE_ADMIN_DRAIN);
    assert_int_equal(usable(REQUEST_CLASS_QUERY, &query_route), BIT(BOTH));
    roster_node_set_tls_failed(epoch->nodes[BOTH], true);
    assert_int_equal(usable(REQUEST_CLASS_QUERY, &query_route), 0);
    roster_node_set_tls_failed(epoch->nodes[BOTH], false);
    assert_int_equal(usable(REQUEST_CLASS_QUERY, &query_route), BIT(BOTH));
    for (unsigned i = 0; i < HEALTH_PASSIVE_FAILURES; i++)
        roster_node_note_connect(epoch->nodes[BOTH], true);
    assert_int_equal(usable(REQUEST_CLASS_QUERY, &query_route), 0);
}

static void where_all_are_down_nobody_serves_if_that_is_asked_for(void **state)
{
    (void)state;
    topology.health.all_down = TOPOLOGY_ALL_DOWN_REFUSE;
    roster_node_set_health(epoch->nodes[QUERY], HEALTH_DOWN);
    roster_node_set_health(epoch->nodes[BOTH], HEALTH_DOWN);
    assert_int_equal(usable(REQUEST_CLASS_QUERY, &query_route), 0);
}

/* A request must not look at all nodes: what nobody has touched is not built again. */
static void a_list_is_built_once_for_a_generation(void **state)
{
    (void)state;
    assert_int_equal(usable(REQUEST_CLASS_QUERY, &query_route), BIT(QUERY) | BIT(BOTH));
    /* Behind the roster's back, as nobody does it. */
    atomic_store(&epoch->nodes[QUERY]->health, HEALTH_DOWN);
    assert_int_equal(usable(REQUEST_CLASS_QUERY, &query_route), BIT(QUERY) | BIT(BOTH));
    roster_touch(roster);
    assert_int_equal(usable(REQUEST_CLASS_QUERY, &query_route), BIT(BOTH));
}

/* A list that was built, then skipped while the roster changed to and fro, is not taken for a new one. */
static void a_list_that_was_not_asked_for_is_not_forgotten(void **state)
{
    (void)state;
    assert_int_equal(usable(REQUEST_CLASS_QUERY, &query_route), BIT(QUERY) | BIT(BOTH));
    roster_node_set_health(epoch->nodes[QUERY], HEALTH_DOWN);
    /* Another list learns of the change first. */
    assert_int_equal(usable(REQUEST_CLASS_CATALOG, &any_route), ALL & ~BIT(QUERY));
    assert_int_equal(usable(REQUEST_CLASS_QUERY, &query_route), BIT(BOTH));
}

/* Before the first probe nobody knows: refusing calls until then would be worse than one attempt in vain. */
static void calls_may_go_wherever_http2_is_not_ruled_out(void **state)
{
    (void)state;
    assert_int_equal(for_calls(), ALL);
    roster_node_set_version(epoch->nodes[PROCESSOR], 1);
    assert_int_equal(for_calls(), ALL & ~BIT(PROCESSOR));
    roster_node_set_version(epoch->nodes[PROCESSOR], 2);
    roster_node_set_version(epoch->nodes[QUERY], 1);
    assert_int_equal(for_calls(), ALL & ~BIT(QUERY));
    /* What the configuration says goes before what was found out. */
    nodes[QUERY].http = TOPOLOGY_HTTP_2;
    nodes[BOTH].http = TOPOLOGY_HTTP_1;
    roster_touch(roster);
    assert_int_equal(for_calls(), ALL & ~BIT(BOTH));
    /* Others do not mind. */
    assert_int_equal(usable(REQUEST_CLASS_FLIGHT, &any_route), ALL);
}

static void two_workers_have_lists_of_their_own(void **state)
{
    (void)state;
    struct list others;
    list_init(&others);
    struct lease *other = lease_create(epoch, &others, NULL, NULL);
    struct lease_kind kind = {REQUEST_CLASS_QUERY, &query_route, false, false, 0};
    assert_ptr_not_equal(lease_usable(other, &kind), lease_usable(lease, &kind));
    assert_int_equal(members_of(lease_usable(other, &kind)), BIT(QUERY) | BIT(BOTH));
    lease_release(other);
}

static void every_kind_there_is_has_room(void **state)
{
    (void)state;
    static struct balance_view *seen[2 * REQUEST_CLASS_COUNT];
    size_t count = 0;
    for (unsigned class = 0; class < REQUEST_CLASS_COUNT; class++) {
        for (unsigned http2 = 0; http2 < 2; http2++) {
            struct lease_kind kind = {(enum request_class)class, &query_route, http2 != 0, false, 0};
            struct balance_view *view = lease_usable(lease, &kind);
            assert_int_equal(members_of(view), BIT(QUERY) | BIT(BOTH));
            for (size_t i = 0; i < count; i++)
                assert_ptr_not_equal(seen[i], view);
            seen[count++] = view;
        }
    }
}

/* ---- write-back ---- */

static struct address parse(const char *host, uint16_t port)
{
    struct address address;
    assert_true(address_parse(host, port, &address));
    return address;
}

static void place(unsigned node, const char *host)
{
    struct address address = parse(host, 8181);
    roster_node_set_address(epoch->nodes[node], &address);
}

static bool is_process(const char *host)
{
    struct address address = parse(host, 50000);
    return lease_is_process_node(lease, &address);
}

static void requests_of_process_nodes_are_recognised(void **state)
{
    (void)state;
    assert_false(is_process("2001:db8::2"));
    place(PROCESSOR, "2001:db8::2");
    place(INGESTER, "192.0.2.1");
    assert_true(is_process("2001:db8::2"));
    assert_false(is_process("2001:db8::3"));
    assert_false(is_process("192.0.2.1"));
    /* The last four bytes are the same, the address is not. */
    assert_false(is_process("2001:db9::2"));
    assert_false(is_process("0.0.0.2"));
    struct address unknown = {.length = 0};
    assert_false(lease_is_process_node(lease, &unknown));
    unknown = parse("2001:db8::2", 1);
    unknown.length = 0;
    assert_false(lease_is_process_node(lease, &unknown));
}

/* A listener for both families shows IPv4 clients that way. */
static void an_ipv4_mapped_address_is_the_ipv4_one(void **state)
{
    (void)state;
    place(PROCESSOR, "192.0.2.7");
    assert_true(is_process("192.0.2.7"));
    assert_true(is_process("::ffff:192.0.2.7"));
    assert_false(is_process("::ffff:192.0.2.8"));
    assert_false(is_process("::192.0.2.7"));
}

static void a_node_that_moves_takes_its_name_along(void **state)
{
    (void)state;
    place(PROCESSOR, "192.0.2.7");
    assert_true(is_process("192.0.2.7"));
    place(PROCESSOR, "192.0.2.8");
    assert_false(is_process("192.0.2.7"));
    assert_true(is_process("192.0.2.8"));
    roster_node_set_address(epoch->nodes[PROCESSOR], &(struct address){.length = 0});
    assert_false(is_process("192.0.2.8"));
}

/* On one machine every client has the address of the node. */
static void loopback_addresses_prove_nothing(void **state)
{
    (void)state;
    static const char *const hosts[] = {"127.0.0.1", "::1", "::ffff:127.0.0.1", "127.8.8.8"};
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        place(PROCESSOR, hosts[i]);
        assert_false(is_process(hosts[i]));
    }
}

static void many_process_nodes_are_all_found(void **state)
{
    (void)state;
    static struct topology_node many[200];
    static char names[200][16];
    char host[32];
    for (unsigned i = 0; i < 200; i++) {
        text_append(names[i], sizeof names[i], 0, "processor-%u", i);
        many[i] = (struct topology_node){.node_id = names[i], .capabilities = NODE_CAPABILITY_PROCESS};
    }
    struct topology large = {.nodes = many, .node_count = 200};
    struct epoch *next = make_epoch(roster, &large, 2);
    struct lease *newer = lease_create(next, &leases, NULL, NULL);
    for (unsigned i = 0; i < 200; i++) {
        text_append(host, sizeof host, 0, "10.%u.0.%u", i % 5, i / 5);
        struct address address = parse(host, 8181);
        roster_node_set_address(next->nodes[i], &address);
    }
    for (unsigned i = 0; i < 200; i++) {
        text_append(host, sizeof host, 0, "10.%u.0.%u", i % 5, i / 5);
        struct address address = parse(host, 50000);
        assert_true(lease_is_process_node(newer, &address));
        text_append(host, sizeof host, 0, "10.%u.1.%u", i % 5, i / 5);
        address = parse(host, 50000);
        assert_false(lease_is_process_node(newer, &address));
    }
    lease_release(newer);
    epoch_release(next);
}

/* ---- life ---- */

static void a_lease_keeps_its_epoch_until_nobody_uses_it(void **state)
{
    (void)state;
    assert_int_equal(atomic_load(&epoch->references), 2);
    lease_retain(lease);
    assert_int_equal(atomic_load(&epoch->references), 2);
    lease_release(lease);
    assert_int_equal(ended.count, 0);
    assert_int_equal(leases.count, 1);
    struct lease *over = lease;
    lease = NULL;
    lease_release(over);
    assert_int_equal(ended.count, 1);
    assert_ptr_equal(ended.lease, over);
    assert_int_equal(ended.left, 0);
    assert_true(ended.was_held);
    assert_int_equal(atomic_load(&epoch->references), 1);
}

/* The worker has gone on to the next epoch, an exchange has not. */
static void the_last_user_of_an_old_lease_ends_it(void **state)
{
    (void)state;
    struct epoch *next = make_epoch(roster, &topology, 2);
    struct lease *newer = lease_create(next, &leases, NULL, NULL);
    lease_retain(lease);
    lease_release(lease);
    assert_int_equal(leases.count, 2);
    assert_int_equal(usable(REQUEST_CLASS_QUERY, &query_route), BIT(QUERY) | BIT(BOTH));
    lease_release(lease);
    lease = newer;
    assert_int_equal(ended.count, 1);
    assert_int_equal(ended.left, 1);
    assert_int_equal(atomic_load(&epoch->references), 1);
    epoch_release(next);
    assert_int_equal(atomic_load(&next->references), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(a_route_is_served_by_whoever_can),
        TEST(a_preference_makes_a_list_of_its_own),
        TEST(lists_follow_the_roster),
        TEST(a_node_that_no_probe_has_reached_waits_while_others_are_up),
        TEST(a_list_is_built_once_for_a_generation),
        TEST(a_list_that_was_not_asked_for_is_not_forgotten),
        TEST(where_all_are_down_those_serve_that_only_probes_keep_out),
        TEST(where_all_are_down_nobody_serves_if_that_is_asked_for),
        TEST(calls_may_go_wherever_http2_is_not_ruled_out),
        TEST(two_workers_have_lists_of_their_own),
        TEST(every_kind_there_is_has_room),
        TEST(requests_of_process_nodes_are_recognised),
        TEST(an_ipv4_mapped_address_is_the_ipv4_one),
        TEST(a_node_that_moves_takes_its_name_along),
        TEST(loopback_addresses_prove_nothing),
        TEST(many_process_nodes_are_all_found),
        TEST(a_lease_keeps_its_epoch_until_nobody_uses_it),
        TEST(the_last_user_of_an_old_lease_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
