/* A pool over epochs: nodes that stay, that move, that leave, and a queue that is the process's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fake/pool_stage.h"

#define TOPOLOGIES 4

/* Topologies besides the stage's own: a copy of it for each epoch that follows. */
static struct topology topologies[TOPOLOGIES];
static struct topology_node nodes[TOPOLOGIES][NODES];
static unsigned topologies_used;

static int set_up_epochs(void **state)
{
    topologies_used = 0;
    return set_up(state);
}

/* The next topology, to be changed before it is applied. */
static struct topology_node *next_nodes(void)
{
    assert_true(topologies_used < TOPOLOGIES);
    memcpy(nodes[topologies_used], stage.nodes, sizeof stage.nodes);
    topologies[topologies_used] = stage.topology;
    topologies[topologies_used].nodes = nodes[topologies_used];
    atomic_store(&topologies[topologies_used].references, 1);
    return nodes[topologies_used];
}

/* The newest topology with this many nodes is in force; the old epoch is the caller's. */
static struct epoch *apply(size_t node_count)
{
    struct epoch *old = stage.epoch;
    topologies[topologies_used].node_count = node_count;
    stage.epoch = make_epoch(stage.roster, &topologies[topologies_used++], old->number + 1);
    assert_true(pool_apply(stage.pool, stage.epoch));
    return old;
}

/* The node listens at another port from now on. */
static void move_node(struct topology_node *node, unsigned index)
{
    struct address address;
    close(stage.listening[index]);
    stage.listening[index] = far_listen(&address);
    node->port = address_port(&address);
    roster_node_set_address(shared(index), &address);
}

/* Has the router closed this connection, as seen from its far end? */
static bool is_closed(int far)
{
    char bytes[16384];
    size_t used = 0;
    rig_settle(&stage.rig);
    return far_read(far, bytes, &used, sizeof bytes) != FAR_OPEN;
}

/* ---- a node whose name has moved ---- */

static void links_to_an_old_address_go_after_their_exchanges(void **state)
{
    (void)state;
    struct address address;
    struct asker *busy = served(0, 0);
    take_in(0);
    struct asker *idle = served(0, 1);
    take_in(0);
    struct link *idle_link = idle->link;
    give(idle);
    close(stage.listening[0]);
    stage.listening[0] = far_listen(&address);
    roster_node_set_address(shared(0), &address);
    struct asker *next = served(0, 2);
    struct link *next_link = next->link;
    assert_ptr_not_equal(next_link, idle_link);
    assert_ptr_not_equal(next_link, busy->link);
    assert_int_equal(links_to(0), 2);
    give(busy);
    rig_settle(&stage.rig);
    assert_int_equal(links_to(0), 1);
    /* The same address once more is no other one. */
    roster_node_set_address(shared(0), &address);
    give(next);
    assert_int_equal(links_to(0), 1);
}

static void idle_links_to_an_old_address_go_by_themselves(void **state)
{
    (void)state;
    struct address address;
    give(served(0, 0));
    assert_int_equal(links_to(0), 1);
    assert_true(address_parse("127.0.0.1", 1, &address));
    roster_node_set_address(shared(0), &address);
    for (unsigned i = 0; i < 80; i++) {
        clock_advance(LOOP_TICK_MS);
        rig_settle(&stage.rig);
    }
    assert_int_equal(links_to(0), 0);
}

/* ---- a node that stays ---- */

static void a_node_that_stays_keeps_its_links(void **state)
{
    (void)state;
    struct asker *busy = served(0, 0);
    struct link *given = served(0, 1)->link;
    give(&stage.askers[1]);
    next_nodes()[0].weight = 7;
    struct epoch *old = apply(NODES);
    assert_int_equal(atomic_load(&old->references), 1);
    epoch_release(old);
    assert_int_equal(links_to(0), 2);
    assert_ptr_equal(ask_node(0, 2)->link, given);
    assert_int_equal(busy->failed, 0);
}

static void a_wait_goes_on_over_an_epoch(void **state)
{
    (void)state;
    struct asker *asker = ask_node(0, 0);
    next_nodes();
    epoch_release(apply(NODES));
    assert_true(is_waiting(asker));
    rig_until(&stage.rig, asker->events == 1);
    assert_non_null(asker->link);
    assert_int_equal(links_to(0), 1);
}

/* Links above a lower one stay, and nothing is dialled; a higher one is used. */
static void a_new_limit_holds_at_once(void **state)
{
    (void)state;
    served(0, 0);
    served(0, 1);
    next_nodes()[0].maximum_links = 1;
    epoch_release(apply(NODES));
    assert_true(is_waiting(ask_node(0, 2)));
    assert_int_equal(links_to(0), 2);
    next_nodes()[0].maximum_links = 3;
    epoch_release(apply(NODES));
    assert_true(is_waiting(ask_node(0, 3)));
    assert_int_equal(links_to(0), 3);
}

/* ---- a node that moves ---- */

static void idle_links_to_the_old_place_go_at_once(void **state)
{
    (void)state;
    give(served(0, 0));
    int far = take_in(0);
    move_node(next_nodes(), 0);
    epoch_release(apply(NODES));
    assert_int_equal(links_to(0), 0);
    assert_true(is_closed(far));
    served(0, 1);
    take_in(0);
}

static void a_busy_link_to_the_old_place_goes_with_its_last_stream(void **state)
{
    (void)state;
    struct asker *busy = served(0, 0);
    int far = take_in(0);
    move_node(next_nodes(), 0);
    epoch_release(apply(NODES));
    assert_int_equal(links_to(0), 1);
    assert_false(is_closed(far));
    struct asker *next = served(0, 1);
    assert_ptr_not_equal(next->link, busy->link);
    take_in(0);
    assert_int_equal(links_to(0), 2);
    give(busy);
    assert_int_equal(links_to(0), 1);
    assert_int_equal(busy->failed, 0);
    assert_true(is_closed(far));
}

static void a_retired_link_that_the_node_closes_is_forgotten(void **state)
{
    (void)state;
    struct asker *busy = served(0, 0);
    take_in(0);
    move_node(next_nodes(), 0);
    epoch_release(apply(NODES));
    close(stage.far[--stage.far_count]);
    rig_until(&stage.rig, busy->failed == 1);
    assert_int_equal(links_to(0), 0);
}

static void who_waits_gets_a_link_to_the_new_place(void **state)
{
    (void)state;
    struct asker *first = ask_node(0, 0);
    struct asker *second = ask_node(0, 1);
    move_node(next_nodes(), 0);
    epoch_release(apply(NODES));
    assert_true(is_waiting(first) && is_waiting(second));
    rig_until(&stage.rig, first->events == 1 && second->events == 1);
    assert_non_null(first->link);
    assert_non_null(second->link);
    take_in(0);
    take_in(0);
    assert_int_equal(links_to(0), 2);
}

/* The old link takes a place until it goes; then who waits gets that place. */
static void who_waits_behind_a_retired_link_gets_its_place(void **state)
{
    (void)state;
    stage.nodes[0].maximum_links = 1;
    struct asker *busy = served(0, 0);
    take_in(0);
    struct asker *second = ask_node(0, 1);
    move_node(next_nodes(), 0);
    epoch_release(apply(NODES));
    rig_settle(&stage.rig);
    assert_true(is_waiting(second));
    assert_int_equal(links_to(0), 1);
    struct link *old = busy->link;
    give(busy);
    rig_until(&stage.rig, second->events == 1);
    assert_non_null(second->link);
    assert_ptr_not_equal(second->link, old);
    take_in(0);
}

static void a_link_that_speaks_another_http_is_no_good_any_more(void **state)
{
    (void)state;
    give(served(0, 0));
    next_nodes()[0].http = TOPOLOGY_HTTP_2;
    epoch_release(apply(NODES));
    assert_int_equal(links_to(0), 0);
    assert_true(served(0, 1)->link->is_http2);
}

/* ---- a node that leaves ---- */

static void a_node_without_links_leaves_its_slot_at_once(void **state)
{
    (void)state;
    unsigned slot = shared(1)->slot;
    struct roster_node *gone = shared(1);
    next_nodes();
    struct epoch *old = apply(1);
    pool_leave(stage.pool, gone);
    epoch_release(old);
    rig_turn(&stage.rig);
    assert_null(stage.roster->slots[slot]);
    assert_int_equal(count_roster(stage.roster), 1);
}

static void a_node_leaves_with_its_last_link(void **state)
{
    (void)state;
    unsigned slot = shared(1)->slot;
    struct roster_node *gone = shared(1);
    give(served(1, 0));
    struct asker *busy = served(1, 1);
    struct asker *other = served(1, 2);
    give(other);
    assert_int_equal(pool_link_count(stage.pool, gone), 2);
    next_nodes();
    struct epoch *old = apply(1);
    pool_leave(stage.pool, gone);
    /* The idle one is closed, the busy one goes on. */
    assert_int_equal(pool_link_count(stage.pool, gone), 1);
    epoch_release(old);
    rig_turn(&stage.rig);
    assert_ptr_equal(stage.roster->slots[slot], gone);
    assert_int_equal(busy->failed, 0);
    give(busy);
    rig_turn(&stage.rig);
    assert_null(stage.roster->slots[slot]);
}

static void a_node_that_leaves_twice_leaves_once(void **state)
{
    (void)state;
    struct roster_node *gone = shared(1);
    struct asker *busy = served(1, 0);
    next_nodes();
    struct epoch *old = apply(1);
    pool_leave(stage.pool, gone);
    pool_leave(stage.pool, gone);
    epoch_release(old);
    give(busy);
    rig_turn(&stage.rig);
    assert_int_equal(count_roster(stage.roster), 1);
}

/* A slot that another node has by now. */
static void a_new_node_in_an_old_slot_has_nothing_of_the_old_one(void **state)
{
    (void)state;
    unsigned slot = shared(1)->slot;
    roster_handle handle = shared(1)->handle;
    struct roster_node *gone = shared(1);
    give(served(1, 0));
    next_nodes();
    struct epoch *old = apply(1);
    pool_leave(stage.pool, gone);
    epoch_release(old);
    rig_turn(&stage.rig);

    struct topology_node *again = next_nodes();
    again[1].node_id = "query-03";
    epoch_release(apply(NODES));
    assert_int_equal(shared(1)->slot, slot);
    assert_int_not_equal(shared(1)->handle, handle);
    assert_int_equal(links_to(1), 0);
    struct address address;
    assert_false(roster_node_get_address(shared(1), &address));
    assert_int_equal(ask_node(1, 1)->fault, FAULT_RESOLVE);
}

/* It was taken out and put back while a link was still busy: it is the same node, and what it has is served on. */
static void a_node_that_comes_back_before_its_last_link_is_gone_is_served(void **state)
{
    (void)state;
    struct roster_node *same = shared(1);
    struct asker *busy = served(1, 0);
    next_nodes();
    struct epoch *old = apply(1);
    pool_leave(stage.pool, same);
    epoch_release(old);
    next_nodes();
    epoch_release(apply(NODES));
    assert_ptr_equal(shared(1), same);
    give(busy);
    rig_turn(&stage.rig);
    struct link *link = served(1, 1)->link;
    give(&stage.askers[1]);
    assert_ptr_equal(ask_node(1, 2)->link, link);
    assert_int_equal(links_to(1), 1);
}

/* ---- the queue is the process's ---- */

static void the_queue_of_all_workers_has_one_bound(void **state)
{
    (void)state;
    stage.nodes[0].maximum_links = 1;
    struct pool *mine = stage.pool;
    struct pool *other = make_pool();
    served(0, 0);
    stage.pool = other;
    served(0, 1);
    assert_true(is_waiting(ask_node(0, 2)));
    stage.pool = mine;
    assert_true(is_waiting(ask_node(0, 3)));
    assert_int_equal(atomic_load(&shared(0)->waiting), 2);
    assert_int_equal(ask_node(0, 4)->fault, FAULT_QUEUE_FULL);
    stage.pool = other;
    assert_int_equal(ask_node(0, 5)->fault, FAULT_QUEUE_FULL);
    /* A place in it becomes free for whoever asks first. */
    pool_cancel(other, &stage.askers[2].ticket);
    stage.pool = mine;
    assert_true(is_waiting(ask_node(0, 4)));

    stage.pool = other;
    give(&stage.askers[1]);
    stage.pool = mine;
    pool_destroy(other);
}

/* Those for whom another worker dials do not wait in it, until their dial has failed. */
static void dials_of_other_workers_do_not_fill_the_queue(void **state)
{
    (void)state;
    struct pool *mine = stage.pool;
    struct pool *other = make_pool();
    served(0, 0);
    served(0, 1);
    take_in(0);
    take_in(0);
    stage.pool = other;
    close(stage.listening[0]);
    assert_true(is_waiting(ask_node(0, 2)));
    assert_true(is_waiting(ask_node(0, 3)));
    assert_int_equal(atomic_load(&shared(0)->waiting), 0);
    stage.pool = mine;
    assert_true(is_waiting(ask_node(0, 4)));
    assert_true(is_waiting(ask_node(0, 5)));
    assert_int_equal(atomic_load(&shared(0)->waiting), 2);
    assert_int_equal(ask_node(0, 6)->fault, FAULT_QUEUE_FULL);
    rig_until(&stage.rig, stage.askers[2].events == 1 && stage.askers[3].events == 1);
    assert_int_equal(stage.askers[2].fault, FAULT_CONNECT_REFUSED);
    assert_int_equal(atomic_load(&shared(0)->waiting), 2);
    give(&stage.askers[0]);
    rig_until(&stage.rig, stage.askers[4].events == 1);
    assert_int_equal(atomic_load(&shared(0)->waiting), 1);
    pool_destroy(other);
    struct address address;
    stage.listening[0] = far_listen(&address);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_epochs, tear_down)
        TEST(links_to_an_old_address_go_after_their_exchanges),
        TEST(idle_links_to_an_old_address_go_by_themselves),
        TEST(a_node_that_stays_keeps_its_links),
        TEST(a_wait_goes_on_over_an_epoch),
        TEST(a_new_limit_holds_at_once),
        TEST(idle_links_to_the_old_place_go_at_once),
        TEST(a_busy_link_to_the_old_place_goes_with_its_last_stream),
        TEST(a_retired_link_that_the_node_closes_is_forgotten),
        TEST(who_waits_gets_a_link_to_the_new_place),
        TEST(who_waits_behind_a_retired_link_gets_its_place),
        TEST(a_link_that_speaks_another_http_is_no_good_any_more),
        TEST(a_node_without_links_leaves_its_slot_at_once),
        TEST(a_node_leaves_with_its_last_link),
        TEST(a_node_that_leaves_twice_leaves_once),
        TEST(a_new_node_in_an_old_slot_has_nothing_of_the_old_one),
        TEST(a_node_that_comes_back_before_its_last_link_is_gone_is_served),
        TEST(the_queue_of_all_workers_has_one_bound),
        TEST(dials_of_other_workers_do_not_fill_the_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
