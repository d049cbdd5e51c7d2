/* A node that ends its links with requests unread: how long one is sent again. */
#define ATTEMPTS 64
#include "fake/dispatch_stage.h"

/* Both nodes can do anything; what is asked next is the first on its link, or not, and the link is about to end, or not. */
static void set_links(bool are_used, bool are_ending)
{
    for (unsigned i = 0; i < NODES; i++) {
        cluster.pool.nodes[i].link.used = are_used;
        cluster.pool.nodes[i].ends_link = are_ending;
    }
}

static int set_up_both(void **state)
{
    set_up(state);
    cluster_serve(2, NODE_CAPABILITY_INGEST | NODE_CAPABILITY_QUERY);
    return 0;
}

/* Passed over so often; false when no other attempt followed. */
static bool pass_over(unsigned count, enum fault fault)
{
    for (unsigned i = 0; i < count && stage.caller->stream != NULL; i++) {
        set_links(true, true);
        node_fails(cluster.pool.asked, fault);
    }
    return stage.caller->stream != NULL;
}

static void who_is_passed_over_has_not_been_tried(void **state)
{
    (void)state;
    static const enum fault faults[] = {FAULT_UPSTREAM_REFUSED_STREAM, FAULT_LINK_CLOSED_UNREAD};
    for (size_t i = 0; i < 2; i++) {
        set_links(true, true);
        query();
        assert_true(pass_over(40, faults[i]));
        answer(cluster.pool.asked, 200, "");
        assert_heard("he");
        assert_int_equal(stage.caller->attempts, 41);
        begin_anew();
        set_links(true, true);
        write_lines("m f=1\n");
        assert_true(pass_over(40, faults[i]));
        answer(cluster.pool.asked, 204, "");
        assert_heard("he");
        begin_anew();
    }
}

/* The first on its link: the node serves nobody. And where the link lives, the node refuses this very request. */
static void a_node_that_serves_nobody_is_tried_four_times(void **state)
{
    (void)state;
    for (int is_used = 0; is_used < 2; is_used++) {
        set_links(true, true);
        query();
        assert_true(pass_over(10, FAULT_UPSTREAM_REFUSED_STREAM));
        /* What is under way began behind another one, so where the link ends it is passed over once more. */
        unsigned left = is_used ? 4 : 5;
        for (unsigned i = 0; i < left; i++) {
            assert_non_null(stage.caller->stream);
            set_links(is_used, !is_used);
            node_fails(cluster.pool.asked, FAULT_UPSTREAM_REFUSED_STREAM);
        }
        assert_failed(FAULT_UPSTREAM_REFUSED_STREAM);
        assert_int_equal(stage.caller->attempts, 10 + left);
        begin_anew();
    }
}

static void it_ends_when_the_time_is_over(void **state)
{
    (void)state;
    set_links(true, true);
    write_lines("m f=1\n");
    assert_true(pass_over(10, FAULT_UPSTREAM_REFUSED_STREAM));
    pass(3900);
    assert_true(pass_over(10, FAULT_UPSTREAM_REFUSED_STREAM));
    pass(200);
    assert_false(pass_over(1, FAULT_UPSTREAM_REFUSED_STREAM));
    assert_failed(FAULT_UPSTREAM_REFUSED_STREAM);
    begin_anew();

    /* Without a deadline: the time that it may wait for a link. */
    set_links(true, true);
    query();
    assert_true(pass_over(10, FAULT_UPSTREAM_REFUSED_STREAM));
    pass(2000);
    assert_true(pass_over(3, FAULT_UPSTREAM_REFUSED_STREAM));
    assert_false(pass_over(1, FAULT_UPSTREAM_REFUSED_STREAM));
    assert_failed(FAULT_UPSTREAM_REFUSED_STREAM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_both, tear_down)
        TEST(who_is_passed_over_has_not_been_tried),
        TEST(a_node_that_serves_nobody_is_tried_four_times),
        TEST(it_ends_when_the_time_is_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
