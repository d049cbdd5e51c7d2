/* Links to nodes: dialled once, kept, handed on in order, bounded, and given up when nobody needs them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fake/descriptors.h"
#include "fake/pool_stage.h"

static void use(const struct asker *asker)
{
    asker->link->used++;
}

/* ---- links ---- */

static void the_first_link_is_dialled(void **state)
{
    (void)state;
    struct asker *asker = ask_node(0, 0);
    assert_true(is_waiting(asker));
    assert_int_equal(links_to(0), 1);
    take_in(0);
    rig_until(&stage.rig, asker->events == 1);
    assert_non_null(asker->link);
    assert_false(link_has_room(asker->link));
    assert_int_equal(asker->link->used, 1);
    assert_int_equal(links_to(1), 0);
}

static void a_link_that_is_given_back_is_taken_again_at_once(void **state)
{
    (void)state;
    struct asker *asker = served(0, 0);
    struct link *link = asker->link;
    for (int i = 0; i < 3; i++) {
        give(asker);
        asker = ask_node(0, 0);
        assert_ptr_equal(asker->link, link);
        rig_settle(&stage.rig);
        assert_int_equal(asker->events, 0);
    }
    assert_int_equal(links_to(0), 1);
}

static void the_link_used_last_is_taken_first(void **state)
{
    (void)state;
    struct asker *first = served(0, 0);
    struct asker *second = served(0, 1);
    struct link *older = first->link;
    struct link *newer = second->link;
    assert_ptr_not_equal(older, newer);
    give(first);
    give(second);
    assert_ptr_equal(ask_node(0, 2)->link, newer);
    assert_ptr_equal(ask_node(0, 3)->link, older);
}

static void nodes_do_not_share_their_links(void **state)
{
    (void)state;
    give(served(0, 0));
    struct asker *asker = ask_node(1, 1);
    assert_null(asker->link);
    take_in(1);
    rig_until(&stage.rig, asker->events == 1);
    assert_int_equal(links_to(0), 1);
    assert_int_equal(links_to(1), 1);
}

static void a_link_that_has_no_room_is_dropped(void **state)
{
    (void)state;
    struct asker *asker = served(0, 0);
    stream_reset(asker->stream, FAULT_NONE);
    asker->stream = NULL;
    give(asker);
    assert_int_equal(links_to(0), 0);
    rig_settle(&stage.rig);
    served(0, 1);
}

static void an_idle_link_that_the_node_closes_is_forgotten(void **state)
{
    (void)state;
    struct asker *asker = served(0, 0);
    take_in(0);
    give(asker);
    close(stage.far[--stage.far_count]);
    rig_until(&stage.rig, links_to(0) == 0);
    asker = ask_node(0, 0);
    assert_null(asker->link);
    rig_until(&stage.rig, asker->events == 1);
}

/* ---- waiting ---- */

static void who_waits_is_served_in_order(void **state)
{
    (void)state;
    struct asker *first = served(0, 0);
    struct asker *second = served(0, 1);
    struct asker *third = ask_node(0, 2);
    struct asker *fourth = ask_node(0, 3);
    rig_settle(&stage.rig);
    assert_int_equal(third->events + fourth->events, 0);
    assert_int_equal(links_to(0), 2);
    struct link *link = second->link;
    give(second);
    assert_int_equal(third->events, 0);
    rig_turn(&stage.rig);
    assert_ptr_equal(third->link, link);
    assert_int_equal(fourth->events, 0);
    link = first->link;
    give(first);
    rig_turn(&stage.rig);
    assert_ptr_equal(fourth->link, link);
    assert_true(third->turn < fourth->turn);
}

static void two_links_that_come_back_at_once_serve_two(void **state)
{
    (void)state;
    struct asker *first = served(0, 0);
    struct asker *second = served(0, 1);
    struct asker *third = ask_node(0, 2);
    struct asker *fourth = ask_node(0, 3);
    give(first);
    give(second);
    rig_turn(&stage.rig);
    assert_int_equal(third->events + fourth->events, 2);
    assert_true(third->link != NULL && fourth->link != NULL && third->link != fourth->link);
}

static void the_queue_has_a_bound(void **state)
{
    (void)state;
    served(0, 0);
    served(0, 1);
    ask_node(0, 2);
    ask_node(0, 3);
    struct asker *asker = ask_node(0, 4);
    assert_int_equal(asker->fault, FAULT_QUEUE_FULL);
    assert_false(is_waiting(asker));
    /* A place in it becomes free when somebody leaves it. */
    pool_cancel(stage.pool, &stage.askers[2].ticket);
    assert_true(is_waiting(ask_node(0, 4)));
}

/* Those for whom a dial is under way do not count: they are about to be served. */
static void who_is_dialled_for_does_not_fill_the_queue(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4; i++)
        assert_true(is_waiting(ask_node(0, i)));
    assert_int_equal(ask_node(0, 4)->fault, FAULT_QUEUE_FULL);
    rig_until(&stage.rig, stage.askers[0].events == 1 && stage.askers[1].events == 1);
    assert_int_equal(stage.askers[2].events + stage.askers[3].events, 0);
}

static void a_ticket_that_is_cancelled_hears_nothing(void **state)
{
    (void)state;
    struct asker *asker = ask_node(0, 0);
    pool_cancel(stage.pool, &asker->ticket);
    pool_cancel(stage.pool, &asker->ticket);
    assert_false(is_waiting(asker));
    take_in(0);
    rig_settle(&stage.rig);
    assert_int_equal(asker->events, 0);
    /* The link that was dialled for it is there for the next. */
    assert_non_null(ask_node(0, 1)->link);
}

static void a_dial_without_a_waiter_does_not_fill_the_queue(void **state)
{
    (void)state;
    stage.nodes[0].maximum_links = 1;
    struct asker *asker = ask_node(0, 0);
    pool_cancel(stage.pool, &asker->ticket);
    asker = ask_node(0, 1);
    assert_int_equal(asker->fault, FAULT_NONE);
    rig_until(&stage.rig, asker->events == 1);
    assert_non_null(asker->link);
}

/* A link dies while it is out: its place goes to who waits. */
static void a_place_that_becomes_free_is_dialled_for(void **state)
{
    (void)state;
    stage.nodes[0].maximum_links = 1;
    served(0, 0);
    struct asker *second = ask_node(0, 1);
    struct asker *third = ask_node(0, 2);
    take_in(0);
    close(stage.far[--stage.far_count]);

    rig_until(&stage.rig, second->events == 1);
    assert_non_null(second->link);
    assert_int_equal(third->events, 0);
    /* Likewise when it comes back without room. */
    stream_reset(second->stream, FAULT_NONE);
    second->stream = NULL;
    give(second);
    rig_until(&stage.rig, third->events == 1);
    assert_non_null(third->link);
}

/* ---- a fresh link ---- */

static void who_wants_a_fresh_link_gets_no_used_one(void **state)
{
    (void)state;
    struct asker *first = served(0, 0);
    struct link *used = first->link;
    use(first);
    give(first);
    stage.askers[1].ticket.wants_fresh = true;
    struct asker *second = ask_node(0, 1);
    assert_null(second->link);
    rig_until(&stage.rig, second->events == 1);
    assert_ptr_not_equal(second->link, used);
    assert_int_equal(second->link->used, 1);
}

static void a_used_link_that_comes_back_is_not_for_who_wants_a_fresh_one(void **state)
{
    (void)state;
    struct asker *first = served(0, 0);
    struct link *used = first->link;
    stage.askers[1].ticket.wants_fresh = true;
    struct asker *second = ask_node(0, 1);
    struct asker *third = ask_node(0, 2);
    use(first);
    give(first);
    rig_until(&stage.rig, second->events == 1 && third->events == 1);
    assert_ptr_not_equal(second->link, used);
    assert_ptr_equal(third->link, used);
}

static void an_idle_link_makes_room_for_a_fresh_one(void **state)
{
    (void)state;
    stage.nodes[0].maximum_links = 1;
    struct asker *first = served(0, 0);
    use(first);
    give(first);
    stage.askers[1].ticket.wants_fresh = true;
    struct asker *second = ask_node(0, 1);
    assert_int_equal(links_to(0), 1);
    rig_until(&stage.rig, second->events == 1);
    assert_non_null(second->link);
    assert_int_equal(second->link->used, 1);
}

/* One that was dialled after the wish is fresh, whoever has used it meanwhile. */
static void a_link_that_was_dialled_later_is_fresh(void **state)
{
    (void)state;
    stage.nodes[0].maximum_links = 1;
    struct asker *first = served(0, 0);
    struct asker *second = ask_node(0, 1);
    stage.askers[2].ticket.wants_fresh = true;
    struct asker *third = ask_node(0, 2);
    /* The place that becomes free is dialled for, and the new link goes to who came first. */
    link_close(first->link);
    give(first);
    rig_until(&stage.rig, second->events == 1);
    use(second);
    give(second);
    rig_until(&stage.rig, third->events == 1);
    assert_non_null(third->link);
    assert_int_equal(third->link->used, 2);
    assert_int_equal(links_to(0), 1);
}

/* ---- failures ---- */

static void when_nothing_is_left_everybody_hears_of_the_failure(void **state)
{
    (void)state;
    stage.nodes[0].maximum_links = 1;
    close(stage.listening[0]);
    struct asker *askers[3];
    for (size_t i = 0; i < 3; i++)
        askers[i] = ask_node(0, i);
    if (askers[0]->fault == FAULT_NONE) {
        for (size_t i = 0; i < 3; i++)
            rig_until(&stage.rig, askers[i]->events == 1);
    }
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(askers[i]->fault, FAULT_CONNECT_REFUSED);
    assert_int_equal(links_to(0), 0);
    struct address address;
    stage.listening[0] = far_listen(&address);
}

static void who_can_still_be_served_by_another_link_waits_on(void **state)
{
    (void)state;
    struct asker *first = served(0, 0);
    take_in(0);
    close(stage.listening[0]);
    struct asker *second = ask_node(0, 1);
    struct asker *third = ask_node(0, 2);
    rig_until(&stage.rig, second->fault == FAULT_CONNECT_REFUSED);
    give(first);
    rig_settle(&stage.rig);
    /* Either a dial of its own has failed, too, or it got the link that came back. */
    assert_int_equal(third->events, 1);
    struct address address;
    stage.listening[0] = far_listen(&address);
}

/* The place of a dial that failed is for who had none: it is tried, too, and hears of it. */
static void the_place_of_a_failed_dial_is_dialled_again(void **state)
{
    (void)state;
    served(0, 0);
    take_in(0);
    close(stage.listening[0]);
    struct asker *second = ask_node(0, 1);
    struct asker *third = ask_node(0, 2);
    rig_until(&stage.rig, second->events == 1);
    assert_int_equal(second->fault, FAULT_CONNECT_REFUSED);
    assert_int_equal(third->events, 0);
    rig_until(&stage.rig, third->events == 1);
    assert_int_equal(third->fault, FAULT_CONNECT_REFUSED);
    assert_int_equal(links_to(0), 1);
    struct address address;
    stage.listening[0] = far_listen(&address);
}

/* A listener whose queue is full lets the kernel drop what comes. */
static void a_dial_has_a_deadline(void **state)
{
    (void)state;
    struct address address;
    int crowded = far_listen(&address);
    listen(crowded, 0);
    int crowd[3];
    for (size_t i = 0; i < 3; i++) {
        crowd[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        connect(crowd[i], &address.socket.any, address.length);
    }
    roster_node_set_address(shared(0), &address);
    struct asker *asker = ask_node(0, 0);
    pass(900);
    assert_int_equal(asker->events, 0);
    pass(200);
    assert_int_equal(asker->fault, FAULT_CONNECT_TIMEOUT);
    assert_int_equal(links_to(0), 0);
    for (size_t i = 0; i < 3; i++)
        close(crowd[i]);
    close(crowded);
}

static void a_node_without_an_address_cannot_be_dialled(void **state)
{
    (void)state;
    roster_node_set_address(shared(0), &(struct address){.length = 0});
    assert_int_equal(ask_node(0, 0)->fault, FAULT_RESOLVE);
    assert_int_equal(links_to(0), 0);
}

static void our_own_lack_is_not_the_nodes_fault(void **state)
{
    (void)state;
    struct rlimit before = descriptors_exhaust();
    struct asker *asker = ask_node(0, 0);
    descriptors_give_back(before);
    assert_int_equal(asker->fault, FAULT_OUT_OF_MEMORY);
    served(0, 1);
}

static void a_connection_that_comes_about_forgives_failures(void **state)
{
    (void)state;
    roster_node_note_connect(shared(0), true);
    roster_node_note_connect(shared(0), true);
    served(0, 0);
    assert_int_equal(atomic_load(&shared(0)->connect_failures), 0);
}

/* ---- care ---- */

static void idle_links_are_closed_after_their_time(void **state)
{
    (void)state;
    struct asker *first = served(0, 0);
    struct asker *second = served(0, 1);
    give(first);
    pass(3000);
    give(second);
    pass(1500);
    assert_int_equal(links_to(0), 2);
    /* The first has been idle for 5 s now, plus at most the second between two sweeps. */
    pass(1600);
    assert_int_equal(links_to(0), 1);
    pass(3000);
    assert_int_equal(links_to(0), 0);
    served(0, 2);
}

static void idle_links_of_a_suspected_node_are_dropped_unless_they_were_heard_lately(void **state)
{
    (void)state;
    struct asker *first = ask_node(0, 0);
    struct asker *second = ask_node(0, 1);
    take_in(0);
    take_in(0);
    rig_settle(&stage.rig);
    give(first);
    pool_suspect(stage.pool, shared(0));
    assert_int_equal(links_to(0), 2);
    pass(1500);
    pool_suspect(stage.pool, shared(1));
    assert_int_equal(links_to(0), 2);
    /* The one that is out is the business of whoever has it. */
    pool_suspect(stage.pool, shared(0));
    assert_int_equal(links_to(0), 1);
    assert_non_null(second->link);
}

static void a_link_that_is_out_is_not_idle(void **state)
{
    (void)state;
    served(0, 0);
    pass(20000);
    assert_int_equal(links_to(0), 1);
}

static void a_pool_ends_with_dials_and_idle_links(void **state)
{
    (void)state;
    give(served(0, 0));
    stage.askers[1].ticket.wants_fresh = true;
    use(served(0, 2));
    give(&stage.askers[2]);
    pool_cancel(stage.pool, &ask_node(0, 1)->ticket);
    pool_cancel(stage.pool, &ask_node(1, 3)->ticket);
    assert_int_equal(links_to(1), 1);
}

/* ---- 0 ---- */

static void without_a_limit_an_idle_link_stays(void **state)
{
    (void)state;
    stage.topology.timeouts.upstream_idle_ms = 0;
    give(served(0, 0));
    for (int i = 0; i < 100; i++) {
        clock_advance(1000);
        rig_settle(&stage.rig);
    }
    assert_int_equal(links_to(0), 1);
}

/* For a busy link nobody waits, for a dial everybody. */
static void without_a_queue_only_a_dial_is_waited_for(void **state)
{
    (void)state;
    stage.topology.timeouts.queue_ms = 0;
    stage.nodes[0].maximum_links = 1;
    struct asker *first = ask_node(0, 0);
    assert_true(is_waiting(first));
    assert_int_equal(ask_node(0, 1)->fault, FAULT_QUEUE_FULL);
    rig_until(&stage.rig, first->events == 1);
    assert_non_null(first->link);
    assert_int_equal(ask_node(0, 1)->fault, FAULT_QUEUE_FULL);
    give(first);
    assert_non_null(ask_node(0, 1)->link);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(the_first_link_is_dialled),
        TEST(a_link_that_is_given_back_is_taken_again_at_once),
        TEST(the_link_used_last_is_taken_first),
        TEST(nodes_do_not_share_their_links),
        TEST(a_link_that_has_no_room_is_dropped),
        TEST(an_idle_link_that_the_node_closes_is_forgotten),
        TEST(who_waits_is_served_in_order),
        TEST(two_links_that_come_back_at_once_serve_two),
        TEST(the_queue_has_a_bound),
        TEST(who_is_dialled_for_does_not_fill_the_queue),
        TEST(a_ticket_that_is_cancelled_hears_nothing),
        TEST(a_dial_without_a_waiter_does_not_fill_the_queue),
        TEST(a_place_that_becomes_free_is_dialled_for),
        TEST(who_wants_a_fresh_link_gets_no_used_one),
        TEST(a_used_link_that_comes_back_is_not_for_who_wants_a_fresh_one),
        TEST(an_idle_link_makes_room_for_a_fresh_one),
        TEST(a_link_that_was_dialled_later_is_fresh),
        TEST(when_nothing_is_left_everybody_hears_of_the_failure),
        TEST(who_can_still_be_served_by_another_link_waits_on),
        TEST(the_place_of_a_failed_dial_is_dialled_again),
        TEST(a_dial_has_a_deadline),
        TEST(a_node_without_an_address_cannot_be_dialled),
        TEST(our_own_lack_is_not_the_nodes_fault),
        TEST(a_connection_that_comes_about_forgives_failures),
        TEST(idle_links_are_closed_after_their_time),
        TEST(idle_links_of_a_suspected_node_are_dropped_unless_they_were_heard_lately),
        TEST(a_link_that_is_out_is_not_idle),
        TEST(a_pool_ends_with_dials_and_idle_links),
        TEST(without_a_limit_an_idle_link_stays),
        TEST(without_a_queue_only_a_dial_is_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
