/* Which nodes a request may go to, and which is next: named ones, all of them, remembered ones, and the balance of each class. */
#include "fake/cluster_stage.h"

#include "dispatch/choose.h"
#include "routing/policy.h"

static struct choice choice;
static struct route route;

static int set_up(void **state)
{
    (void)state;
    cluster_start();
    cluster_serve(3, NODE_CAPABILITY_QUERY);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    cluster_stop();
    return 0;
}

static struct lease *lease(void)
{
    return cluster.dispatch.newest;
}

/* A request of this class, by a route that any query node serves. */
static enum fault begin(enum request_class class, enum route_target target, const char *lines)
{
    route = (struct route){.class = class, .capabilities = NODE_CAPABILITY_QUERY, .target = target};
    choice = (struct choice){.kind = {.class = class, .route = &route}};
    struct message_head *head = received_request("POST", "/path", lines, BODY_STREAM);
    return choice_begin(&choice, lease(), head);
}

static int pick(const struct node_set *tried)
{
    return choice_pick(&choice, lease(), &cluster.dispatch, TEXT("/path"), tried);
}

static struct node_set tried(unsigned bits)
{
    struct node_set set = {{0}};
    for (unsigned i = 0; i < NODES; i++) {
        if ((bits >> i & 1) != 0)
            node_set_add(&set, i);
    }
    return set;
}

static int pick_but(unsigned bits)
{
    struct node_set set = tried(bits);
    return pick(&set);
}

/* ---- nodes that no probe has reached ---- */

static void unknown_nodes_come_after_those_that_are_up(void **state)
{
    (void)state;
    roster_node_set_health(lease()->epoch->nodes[1], HEALTH_UP);
    assert_int_equal(begin(REQUEST_CLASS_QUERY, ROUTE_TARGET_ONE, ""), FAULT_NONE);
    for (int i = 0; i < 20; i++)
        assert_int_equal(pick(NULL), 1);
    struct node_set set = tried(2);
    assert_true(choice_has_untried(&choice, lease(), &set));
    int next = pick_but(2);
    assert_true(next == 0 || next == 2);
    assert_int_equal(pick_but(7), -1);
}

/* A database is made on the first node at the start, and listed a moment later, when a probe has reached another one. */
static void a_sticky_node_stays_though_only_another_is_known_to_be_up(void **state)
{
    (void)state;
    begin(REQUEST_CLASS_CATALOG, ROUTE_TARGET_ONE, "");
    assert_int_equal(pick(NULL), 0);
    choice_remember(&choice, &cluster.dispatch, TEXT("/path"), shared(0));
    roster_node_set_health(shared(1), HEALTH_UP);
    assert_int_equal(pick(NULL), 0);
    take_down(0);
    assert_int_equal(pick(NULL), 1);
}

static void a_named_node_and_a_sweep_take_unknown_ones(void **state)
{
    (void)state;
    roster_node_set_health(lease()->epoch->nodes[1], HEALTH_UP);
    char lines[64];
    snprintf(lines, sizeof lines, "x-sluice-node: %s\n", lease()->epoch->nodes[2]->node_id);
    assert_int_equal(begin(REQUEST_CLASS_QUERY, ROUTE_TARGET_ONE, lines), FAULT_NONE);
    assert_int_equal(pick(NULL), 2);
    assert_int_equal(begin(REQUEST_CLASS_PLUGIN, ROUTE_TARGET_NAMED_OR_ALL, ""), FAULT_NONE);
    assert_int_equal(pick(NULL), 0);
    assert_int_equal(pick_but(1), 1);
    assert_int_equal(pick_but(3), 2);
}

/* ---- whom it is for ---- */

static void a_named_node_is_asked_and_no_other(void **state)
{
    (void)state;
    assert_int_equal(begin(REQUEST_CLASS_QUERY, ROUTE_TARGET_ONE, "x-sluice-node: query-02\n"), FAULT_NONE);
    assert_int_equal(choice.target, CHOICE_NAMED);
    assert_int_equal(choice_count(&choice, lease()), 1);
    assert_int_equal(pick(NULL), 1);
    assert_int_equal(pick_but(1), 1);
    assert_int_equal(pick_but(2), -1);
    struct node_set set = tried(2);
    assert_false(choice_has_untried(&choice, lease(), &set));
    assert_true(choice_has_untried(&choice, lease(), NULL));
    /* Even if it is away. */
    take_down(1);
    assert_int_equal(pick(NULL), -1);
    assert_false(choice_has_untried(&choice, lease(), NULL));
}

static void a_name_must_be_one_that_fits(void **state)
{
    (void)state;
    assert_int_equal(begin(REQUEST_CLASS_QUERY, ROUTE_TARGET_ONE, "x-sluice-node: query-04\n"), FAULT_NODE_UNKNOWN);
    assert_int_equal(begin(REQUEST_CLASS_QUERY, ROUTE_TARGET_ONE, "x-sluice-node: query-0\n"), FAULT_NODE_UNKNOWN);
    cluster.nodes[1].capabilities = NODE_CAPABILITY_INGEST;
    assert_int_equal(begin(REQUEST_CLASS_QUERY, ROUTE_TARGET_ONE, "x-sluice-node: query-02\n"), FAULT_NODE_UNKNOWN);
}

static void some_routes_must_have_a_name(void **state)
{
    (void)state;
    assert_int_equal(begin(REQUEST_CLASS_NODE, ROUTE_TARGET_NAMED, ""), FAULT_NODE_NOT_NAMED);
    assert_int_equal(begin(REQUEST_CLASS_NODE, ROUTE_TARGET_NAMED, "x-sluice-node: query-03\n"), FAULT_NONE);
    assert_int_equal(pick(NULL), 2);
    assert_int_equal(begin(REQUEST_CLASS_PLUGIN, ROUTE_TARGET_NAMED_OR_ONE, ""), FAULT_NONE);
    assert_int_equal(choice.target, CHOICE_ONE);
}

static void a_fan_out_is_for_all_or_nobody(void **state)
{
    (void)state;
    assert_int_equal(begin(REQUEST_CLASS_PLUGIN, ROUTE_TARGET_NAMED_OR_ALL, ""), FAULT_NONE);
    assert_int_equal(choice.target, CHOICE_FAN_OUT);
    assert_int_equal(choice_count(&choice, lease()), 3);
    assert_int_equal(pick(NULL), 0);
    assert_int_equal(pick_but(1), 1);
    assert_int_equal(pick_but(3), 2);
    assert_int_equal(pick_but(7), -1);
    roster_node_set_admin(shared(1), REQUEST_CLASS_PLUGIN, NODE_ADMIN_DRAIN);
    assert_int_equal(begin(REQUEST_CLASS_PLUGIN, ROUTE_TARGET_NAMED_OR_ALL, ""), FAULT_FAN_OUT_INCOMPLETE);
    assert_int_equal(begin(REQUEST_CLASS_PLUGIN, ROUTE_TARGET_NAMED_OR_ALL, "x-sluice-node: query-01\n"), FAULT_NONE);
    assert_int_equal(choice.target, CHOICE_NAMED);
}

/* Each node gets it anew, so what cannot be kept is not begun. */
static void a_fan_out_of_too_long_a_body_is_refused(void **state)
{
    (void)state;
    assert_int_equal(begin(REQUEST_CLASS_PLUGIN, ROUTE_TARGET_NAMED_OR_ALL, ""), FAULT_NONE);
    struct message_head *head = received_request("PUT", "/path", "", BODY_LENGTH);
    head->content_length = cluster.topology.limits.replay_bytes;
    assert_int_equal(choice_begin(&choice, lease(), head), FAULT_NONE);
    head->content_length++;
    assert_int_equal(choice_begin(&choice, lease(), head), FAULT_REPLAY_TOO_LARGE);
}

/* ---- the next one ---- */

static void only_usable_nodes_are_picked(void **state)
{
    (void)state;
    begin(REQUEST_CLASS_QUERY, ROUTE_TARGET_ONE, "");
    take_down(0);
    roster_node_set_admin(shared(2), REQUEST_CLASS_QUERY, NODE_ADMIN_DRAIN);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(pick(NULL), 1);
    assert_int_equal(pick_but(2), -1);
    struct node_set set = tried(2);
    assert_false(choice_has_untried(&choice, lease(), &set));
    /* How many could serve it does not depend on their state. */
    assert_int_equal(choice_count(&choice, lease()), 3);
}

static void queries_go_to_the_less_busy_of_two(void **state)
{
    (void)state;
    begin(REQUEST_CLASS_QUERY, ROUTE_TARGET_ONE, "");
    unsigned picks[NODES] = {0};
    atomic_store(&shared(1)->outstanding, 10);
    for (unsigned i = 0; i < 300; i++)
        picks[pick(NULL)]++;
    assert_int_equal(picks[1], 0);
    assert_true(picks[0] > 100 && picks[2] > 100);
    atomic_store(&shared(1)->outstanding, 0);
}

/* One hangs: nothing has come from it for a while, and it looks slow before it answers. */
static void queries_leave_a_silent_node_alone_before_it_answers(void **state)
{
    (void)state;
    begin(REQUEST_CLASS_QUERY, ROUTE_TARGET_ONE, "");
    choice.kind.now_ms = 100000;
    for (unsigned i = 0; i < 3; i++) {
        roster_node_note_heard(shared(i), i == 0 ? 98000 : 100000);
        atomic_store(&shared(i)->outstanding, i == 0 ? 1 : 5);
    }
    for (int i = 0; i < 50; i++)
        assert_int_not_equal(pick(NULL), 0);
    roster_node_note_heard(shared(0), 100000);
    unsigned picks = 0;
    for (int i = 0; i < 50; i++)
        picks += pick(NULL) == 0;
    assert_true(picks > 20);
    for (unsigned i = 0; i < 3; i++)
        atomic_store(&shared(i)->outstanding, 0);
}

/* Which node requests with this target and these fields go to; -1 when not all go to one. */
static int home_of(enum request_class class, const char *target, const char *lines)
{
    int home = -2;
    route = (struct route){.class = class, .capabilities = NODE_CAPABILITY_QUERY};
    for (int i = 0; i < 40; i++) {
        choice = (struct choice){.kind = {.class = class, .route = &route}};
        assert_int_equal(choice_begin(&choice, lease(), received_request("POST", target, lines, BODY_STREAM)), FAULT_NONE);
        int node = pick(NULL);
        home = home == -2 || home == node ? node : -1;
    }
    return home;
}

static void requests_of_one_database_stay_together_if_that_is_asked_for(void **state)
{
    (void)state;
    assert_int_equal(home_of(REQUEST_CLASS_QUERY, "/api/v3/query_sql?q=SELECT+1&db=plant", ""), -1);
    cluster.topology.queries_affinity = TOPOLOGY_AFFINITY_DATABASE;
    int home = home_of(REQUEST_CLASS_QUERY, "/api/v3/query_sql?q=SELECT+1&db=plant", "");
    assert_true(home >= 0);
    /* However it is named. */
    assert_int_equal(home_of(REQUEST_CLASS_FLIGHT, "/arrow.flight.protocol.FlightService/DoGet", "database: plant\n"), home);
    assert_int_equal(home_of(REQUEST_CLASS_QUERY, "/api/v2/query?bucket=plant", ""), home);
    assert_int_equal(home_of(REQUEST_CLASS_QUERY, "/api/v3/query_sql", ""), -1);
    /* Writes have their own key, and all others have none. */
    assert_int_equal(home_of(REQUEST_CLASS_WRITE, "/api/v3/write_lp?db=plant", ""), -1);
    cluster.topology.writes_affinity = TOPOLOGY_AFFINITY_DATABASE;
    assert_int_equal(home_of(REQUEST_CLASS_WRITE, "/api/v3/write_lp?db=plant", ""), home);
    assert_int_equal(home_of(REQUEST_CLASS_WRITEBACK, "/api/v3/write_lp?db=plant", ""), -1);
    /* It is full, or gone: then all go to the next one, and back again. */
    atomic_store(&shared((unsigned)home)->waiting, 1);
    int next = home_of(REQUEST_CLASS_QUERY, "/query?db=plant", "");
    assert_true(next >= 0 && next != home);
    atomic_store(&shared((unsigned)home)->waiting, 0);
    assert_int_equal(home_of(REQUEST_CLASS_QUERY, "/query?db=plant", ""), home);
    struct node_set set = tried(1u << home);
    assert_int_equal(pick(&set), next);
    take_down((unsigned)home);
    assert_int_equal(home_of(REQUEST_CLASS_QUERY, "/query?db=plant", ""), next);
    /* Everybody is full: where there is least to do. */
    for (unsigned i = 0; i < 3; i++)
        atomic_store(&shared(i)->waiting, 1);
    assert_int_equal(home_of(REQUEST_CLASS_QUERY, "/query?db=plant", ""), -1);
    for (unsigned i = 0; i < 3; i++)
        atomic_store(&shared(i)->waiting, 0);
}

static void write_backs_go_round_over_all_workers(void **state)
{
    (void)state;
    begin(REQUEST_CLASS_WRITEBACK, ROUTE_TARGET_ONE, "");
    for (unsigned i = 0; i < 9; i++)
        assert_int_equal(pick(NULL), i % 3);
    /* Another worker has had one; a repeat takes none. */
    atomic_fetch_add(&cluster.roster->writeback_cursor, 1);
    assert_int_equal(pick(NULL), 1);
    assert_true(pick_but(2) >= 0);
    assert_int_equal(pick(NULL), 2);
}

/* ---- what is remembered ---- */

static void catalog_requests_stay_where_the_last_one_went(void **state)
{
    (void)state;
    begin(REQUEST_CLASS_CATALOG, ROUTE_TARGET_ONE, "");
    assert_int_equal(pick(NULL), 0);
    choice_remember(&choice, &cluster.dispatch, TEXT("/path"), shared(2));
    assert_int_equal(atomic_load(&cluster.roster->catalog_node), shared(2)->handle);
    assert_int_equal(pick(NULL), 2);
    assert_int_equal(pick_but(4), 0);
    take_down(2);
    assert_int_equal(pick(NULL), 0);
}

static void engine_paths_have_their_node(void **state)
{
    (void)state;
    begin(REQUEST_CLASS_ENGINE, ROUTE_TARGET_ONE, "");
    choice_remember(&choice, &cluster.dispatch, TEXT("/path"), shared(1));
    atomic_store(&shared(1)->outstanding, 100);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(pick(NULL), 1);
    assert_int_not_equal(pick_but(2), 1);
    /* Only this path, and only while it can be asked. */
    for (unsigned i = 0; i < 10; i++)
        assert_int_not_equal(choice_pick(&choice, lease(), &cluster.dispatch, TEXT("/other"), NULL), 1);
    take_down(1);
    assert_int_not_equal(pick(NULL), 1);
    atomic_store(&shared(1)->outstanding, 0);
}

static void other_classes_remember_nothing(void **state)
{
    (void)state;
    begin(REQUEST_CLASS_QUERY, ROUTE_TARGET_ONE, "");
    choice_remember(&choice, &cluster.dispatch, TEXT("/path"), shared(1));
    assert_int_equal(atomic_load(&cluster.roster->catalog_node), 0);
    for (size_t i = 0; i < sizeof cluster.dispatch.nodes_of_paths / sizeof cluster.dispatch.nodes_of_paths[0]; i++)
        assert_int_equal(cluster.dispatch.nodes_of_paths[i], 0);
}

/* The slot has another node by now. */
static void a_node_that_is_gone_is_not_remembered(void **state)
{
    (void)state;
    begin(REQUEST_CLASS_CATALOG, ROUTE_TARGET_ONE, "");
    choice_remember(&choice, &cluster.dispatch, TEXT("/path"), shared(2));
    cluster_reload(2);
    assert_int_equal(pick(NULL), 0);
    cluster.nodes[2].node_id = "query-04";
    cluster_reload(3);
    assert_int_equal(shared(2)->slot, 2);
    assert_int_equal(pick(NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(unknown_nodes_come_after_those_that_are_up),
        TEST(a_sticky_node_stays_though_only_another_is_known_to_be_up),
        TEST(a_named_node_and_a_sweep_take_unknown_ones),
        TEST(a_named_node_is_asked_and_no_other),
        TEST(a_name_must_be_one_that_fits),
        TEST(some_routes_must_have_a_name),
        TEST(a_fan_out_is_for_all_or_nobody),
        TEST(a_fan_out_of_too_long_a_body_is_refused),
        TEST(only_usable_nodes_are_picked),
        TEST(queries_go_to_the_less_busy_of_two),
        TEST(queries_leave_a_silent_node_alone_before_it_answers),
        TEST(requests_of_one_database_stay_together_if_that_is_asked_for),
        TEST(write_backs_go_round_over_all_workers),
        TEST(catalog_requests_stay_where_the_last_one_went),
        TEST(engine_paths_have_their_node),
        TEST(other_classes_remember_nothing),
        TEST(a_node_that_is_gone_is_not_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
