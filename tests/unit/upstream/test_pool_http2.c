/* Links that carry many streams: shared while there is room, added to when there is none, and left when the node says goodbye. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fake/pool_http2_stage.h"

/* ---- one link for many ---- */

static void many_streams_share_a_link(void **state)
{
    (void)state;
    struct link *link = served(0, 0)->link;
    node_comes(100);
    for (size_t i = 1; i < ASKERS; i++)
        assert_ptr_equal(ask_node(0, i)->link, link);
    assert_int_equal(links_to(0), 1);
    assert_int_equal(link->used, ASKERS);
}

static void one_dial_is_enough_for_many(void **state)
{
    (void)state;
    for (size_t i = 0; i < ASKERS; i++)
        assert_true(is_waiting(ask_node(0, i)));
    assert_int_equal(links_to(0), 1);
    node_comes(100);
    for (size_t i = 0; i < ASKERS; i++) {
        assert_int_equal(stage.askers[i].events, 1);
        assert_int_equal(stage.askers[i].turn, i + 1);
        assert_ptr_equal(stage.askers[i].link, stage.askers[0].link);
    }
}

static void a_failed_dial_is_heard_by_all_who_wait_for_it(void **state)
{
    (void)state;
    close(stage.listening[0]);
    for (size_t i = 0; i < ASKERS; i++)
        ask_node(0, i);
    if (stage.askers[0].fault == FAULT_NONE)
        rig_until(&stage.rig, stage.askers[ASKERS - 1].events == 1);
    for (size_t i = 0; i < ASKERS; i++)
        assert_int_equal(stage.askers[i].fault, FAULT_CONNECT_REFUSED);
    assert_int_equal(links_to(0), 0);
    struct address address;
    stage.listening[0] = far_listen(&address);
}

/* ---- as many streams as the node takes ---- */

static void a_full_link_makes_the_pool_dial_another(void **state)
{
    (void)state;
    served(0, 0);
    node_comes(2);
    struct asker *second = ask_node(0, 1);
    assert_ptr_equal(second->link, stage.askers[0].link);
    struct asker *third = ask_node(0, 2);
    assert_true(is_waiting(third));
    assert_int_equal(links_to(0), 2);
    node_comes(2);
    assert_ptr_not_equal(third->link, second->link);
    assert_ptr_equal(ask_node(0, 3)->link, third->link);
    /* No third link is allowed. */
    struct asker *fifth = ask_node(0, 4);
    assert_true(is_waiting(fifth));
    rig_settle(&stage.rig);
    assert_int_equal(fifth->events, 0);
    assert_int_equal(links_to(0), 2);
    struct link *freed = second->link;
    give(second);
    rig_turn(&stage.rig);
    assert_ptr_equal(fifth->link, freed);
}

static void a_node_that_allows_more_serves_who_waits(void **state)
{
    (void)state;
    stage.nodes[0].maximum_links = 1;
    served(0, 0);
    struct h2_far *far = node_comes(1);
    struct asker *second = ask_node(0, 1);
    struct asker *third = ask_node(0, 2);
    rig_settle(&stage.rig);
    assert_int_equal(second->events + third->events, 0);
    far_setting(far, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 2);
    say(far);
    assert_ptr_equal(second->link, stage.askers[0].link);
    assert_int_equal(third->events, 0);
    far_setting(far, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 3);
    say(far);
    assert_ptr_equal(third->link, stage.askers[0].link);
}

/* More were promised by the dial than the node takes. */
static void who_was_expected_to_fit_on_a_dial_waits_on(void **state)
{
    (void)state;
    for (size_t i = 0; i < 5; i++)
        ask_node(0, i);
    rig_until(&stage.rig, stage.askers[0].events == 1);
    for (size_t i = 0; i < 5; i++) {
        assert_non_null(stage.askers[i].stream);
        send_request(&stage.askers[i]);
    }
    struct h2_far *far = node_comes(2);
    far_hear_some(far, sizeof far->heard);
    for (int32_t id = 1; id <= 9; id += 2) {
        far_head(far, id, ":status: 204\n", true);
        say(far);
        far_hear_some(far, sizeof far->heard);
    }
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(stage.askers[i].status, 204);
    assert_int_equal(links_to(0), 1);
}

/* ---- links are kept ---- */

static void a_link_whose_streams_have_ended_is_kept(void **state)
{
    (void)state;
    struct asker *asker = asked(0);
    struct h2_far *far = node_comes(100);
    struct link *link = asker->link;
    for (int32_t id = 1; id <= 9; id += 2) {
        far_head(far, id, ":status: 204\n", true);
        say(far);
        assert_int_equal(asker->status, 204);
        assert_null(asker->link);
        assert_ptr_equal(asked(0)->link, link);
    }
    assert_int_equal(links_to(0), 1);
}

/* A node that takes one stream at a time is no reason to dial for each request. */
static void a_link_for_one_stream_is_kept_behind_an_answer_without_a_body(void **state)
{
    (void)state;
    struct asker *asker = served(0, 0);
    struct h2_far *far = node_comes(1);
    struct link *link = asker->link;
    send_request(asker);
    rig_settle(&stage.rig);
    far_head(far, 1, ":status: 204\n", true);
    say(far);
    assert_int_equal(asker->status, 204);
    assert_int_equal(links_to(0), 1);
    assert_ptr_equal(served(0, 1)->link, link);
}

static void a_link_for_one_stream_is_kept_behind_a_cancelled_request(void **state)
{
    (void)state;
    struct asker *asker = served(0, 0);
    struct h2_far *far = node_comes(1);
    send_request(asker);
    rig_settle(&stage.rig);
    give(asker);
    rig_settle(&stage.rig);
    assert_int_equal(links_to(0), 1);
    far_hear_some(far, sizeof far->heard);
    assert_non_null(strstr(far->words, "1!8 "));
    served(0, 1);
    assert_int_equal(links_to(0), 1);
}

static void a_stream_that_is_reset_takes_no_other_along(void **state)
{
    (void)state;
    struct asker *first = asked(0);
    struct h2_far *far = node_comes(100);
    struct asker *second = asked(1);
    struct link *link = second->link;
    far_reset(far, 1, 7);
    say(far);
    assert_int_equal(first->failed, 1);
    assert_int_equal(first->failure, FAULT_UPSTREAM_REFUSED_STREAM);
    assert_int_equal(second->failed, 0);
    assert_ptr_equal(ask_node(0, 2)->link, link);
}

static void an_idle_link_is_closed_after_its_time(void **state)
{
    (void)state;
    give(served(0, 0));
    struct h2_far *far = node_comes(100);
    struct asker *asker = served(0, 1);
    for (unsigned i = 0; i < 14; i++) {
        pass(1500);
        far_ping(far, true);
        say(far);
    }
    assert_int_equal(links_to(0), 1);
    give(asker);
    pass(6500);
    assert_int_equal(links_to(0), 0);
}

static void who_wants_a_fresh_link_shares_none(void **state)
{
    (void)state;
    struct asker *first = served(0, 0);
    node_comes(100);
    stage.askers[1].ticket.wants_fresh = true;
    struct asker *second = ask_node(0, 1);
    assert_true(is_waiting(second));
    rig_until(&stage.rig, second->events == 1);
    assert_ptr_not_equal(second->link, first->link);
    assert_int_equal(second->link->used, 1);
}

/* The link comes back while it has no room for a moment; that it has room again says nothing new to one that stood among the open ones. */
static void who_waits_for_a_fresh_link_gets_the_place_of_one_that_comes_back_without_room(void **state)
{
    (void)state;
    stage.nodes[0].maximum_links = 1;
    struct asker *first = served(0, 0);
    struct h2_far *far = node_comes(2);
    send_request(first);
    rig_settle(&stage.rig);
    stage.askers[1].ticket.wants_fresh = true;
    struct asker *second = ask_node(0, 1);
    assert_true(is_waiting(second));
    far_setting(far, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1);
    say(far);
    give(first);
    rig_until(&stage.rig, second->events == 1);
    assert_non_null(second->link);
    assert_int_equal(second->link->used, 1);
}

/* ---- goodbyes ---- */

static void a_link_that_says_goodbye_is_not_taken_any_more(void **state)
{
    (void)state;
    struct asker *first = asked(0);
    struct h2_far *far = node_comes(100);
    far_goaway(far, 0x7fffffff, 0);
    say(far);
    assert_int_equal(first->failed, 0);
    struct asker *second = ask_node(0, 1);
    assert_true(is_waiting(second));
    rig_until(&stage.rig, second->events == 1);
    assert_ptr_not_equal(second->link, first->link);
    assert_int_equal(links_to(0), 2);
    far_head(far, 1, ":status: 204\n", true);
    say(far);
    assert_int_equal(first->status, 204);
    assert_int_equal(first->failed, 0);
    assert_int_equal(links_to(0), 1);
}

static void an_idle_link_that_says_goodbye_is_closed(void **state)
{
    (void)state;
    give(served(0, 0));
    struct h2_far *far = node_comes(100);
    far_goaway(far, 0, 0);
    say(far);
    assert_int_equal(links_to(0), 0);
    served(0, 1);
}

static void a_connection_that_ends_fails_all_its_streams(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4; i++)
        asked(i);
    node_comes(100);
    close(stage.far[--stage.far_count]);
    for (size_t i = 0; i < 4; i++)
        rig_until(&stage.rig, (pass(16), stage.askers[i].failed == 1));
    rig_settle(&stage.rig);
    assert_int_equal(links_to(0), 0);
    served(0, 5);
}

static void who_waits_behind_a_connection_that_ends_is_dialled_for(void **state)
{
    (void)state;
    stage.nodes[0].maximum_links = 1;
    asked(0);
    node_comes(1);
    struct asker *second = ask_node(0, 1);
    rig_settle(&stage.rig);
    assert_int_equal(second->events, 0);
    close(stage.far[--stage.far_count]);
    rig_until(&stage.rig, (pass(16), second->events == 1));
    assert_non_null(second->link);
}

/* A node that takes none at the moment: its link is no use, and another one is no better, but somebody waits. */
static void a_link_that_loses_its_room_is_not_given_out(void **state)
{
    (void)state;
    struct asker *first = asked(0);
    struct h2_far *far = node_comes(5);
    far_setting(far, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 0);
    say(far);
    struct asker *second = ask_node(0, 1);
    assert_true(is_waiting(second));
    assert_int_equal(links_to(0), 2);
    far_setting(far, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 5);
    say(far);
    assert_int_equal(second->events, 1);
    assert_int_equal(first->failed, 0);
}

/* ---- which HTTP ---- */

static void a_node_of_unknown_version_is_dialled_as_the_asker_needs_it(void **state)
{
    (void)state;
    stage.nodes[0].http = TOPOLOGY_HTTP_AUTO;
    struct asker *plain = served(0, 0);
    assert_false(plain->link->is_http2);
    stage.askers[1].ticket.needs_http2 = true;
    struct asker *grpc = served(0, 1);
    assert_true(grpc->link->is_http2);
    /* What is there serves everybody who has no such need. */
    assert_ptr_equal(ask_node(0, 2)->link, grpc->link);
}

static void the_probe_says_which_version_is_spoken(void **state)
{
    (void)state;
    stage.nodes[0].http = TOPOLOGY_HTTP_AUTO;
    atomic_store(&shared(0)->http_version, 2);
    assert_true(served(0, 0)->link->is_http2);
    stage.nodes[1].http = TOPOLOGY_HTTP_AUTO;
    atomic_store(&shared(1)->http_version, 1);
    struct asker *asker = ask_node(1, 1);
    rig_until(&stage.rig, asker->events == 1);
    assert_false(asker->link->is_http2);
}

static void grpc_is_refused_where_http_2_is_not_spoken(void **state)
{
    (void)state;
    stage.nodes[0].http = TOPOLOGY_HTTP_1;
    atomic_store(&shared(0)->http_version, 2);
    stage.askers[0].ticket.needs_http2 = true;
    assert_int_equal(ask_node(0, 0)->fault, FAULT_UPSTREAM_VERSION);
    stage.nodes[0].http = TOPOLOGY_HTTP_AUTO;
    atomic_store(&shared(0)->http_version, 1);
    assert_int_equal(ask_node(0, 0)->fault, FAULT_UPSTREAM_VERSION);
    assert_int_equal(links_to(0), 0);
}

/* The dial that is under way speaks HTTP/1: it is no good to this one. */
static void grpc_does_not_wait_for_an_http_1_dial(void **state)
{
    (void)state;
    stage.nodes[0].http = TOPOLOGY_HTTP_AUTO;
    struct asker *plain = ask_node(0, 0);
    pool_cancel(stage.pool, &plain->ticket);
    stage.askers[1].ticket.needs_http2 = true;
    struct asker *grpc = ask_node(0, 1);
    assert_true(is_waiting(grpc));
    rig_until(&stage.rig, grpc->events == 1);
    assert_non_null(grpc->link);
    assert_true(grpc->link->is_http2);
}

/* Another's word about the version comes while it waits. */
static void grpc_that_waits_hears_when_the_node_turns_out_to_speak_http_1(void **state)
{
    (void)state;
    stage.nodes[0].http = TOPOLOGY_HTTP_AUTO;
    stage.nodes[0].maximum_links = 1;
    struct asker *plain = served(0, 0);
    stage.askers[1].ticket.needs_http2 = true;
    struct asker *grpc = ask_node(0, 1);
    assert_true(is_waiting(grpc));
    atomic_store(&shared(0)->http_version, 1);
    give(plain);
    rig_settle(&stage.rig);
    assert_int_equal(grpc->events, 1);
    assert_int_equal(grpc->fault, FAULT_UPSTREAM_VERSION);
}

/* One that cannot be served must not keep the others from the dial that serves them. */
static void who_waits_behind_grpc_is_served_by_the_link_that_does_not_suit_it(void **state)
{
    (void)state;
    stage.nodes[0].http = TOPOLOGY_HTTP_AUTO;
    stage.nodes[0].maximum_links = 1;
    struct asker *first = served(0, 0);
    stage.askers[1].ticket.needs_http2 = true;
    struct asker *grpc = ask_node(0, 1);
    struct asker *plain = ask_node(0, 2);
    give(first);
    rig_settle(&stage.rig);
    assert_int_equal(plain->events, 1);
    assert_false(plain->link->is_http2);
    assert_int_equal(grpc->events, 0);
    give(plain);
    rig_until(&stage.rig, grpc->events == 1);
    assert_true(grpc->link != NULL && grpc->link->is_http2);
}

/* ---- the end ---- */

static void a_pool_ends_with_links_and_dials(void **state)
{
    (void)state;
    give(served(0, 0));
    node_comes(100);
    stage.askers[1].ticket.wants_fresh = true;
    pool_cancel(stage.pool, &ask_node(0, 1)->ticket);
    assert_int_equal(links_to(0), 2);
}

/* ---- fresh links ---- */

/* All of them were on a link that died unread: no dial for each. */
static void those_who_want_a_fresh_link_share_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < ASKERS; i++) {
        stage.askers[i].ticket.wants_fresh = true;
        ask_node(0, i);
    }
    node_comes(100);
    rig_settle(&stage.rig);
    for (size_t i = 0; i < ASKERS; i++) {
        rig_until(&stage.rig, stage.askers[i].events == 1);
        assert_non_null(stage.askers[i].link);
    }
    assert_true(links_to(0) <= 2);
}

/* ---- links without room ---- */

/* The node takes nothing more on the only link, and nobody has a stream on it. */
static void leave_a_full_link(void)
{
    struct asker *asker = served(0, 0);
    struct h2_far *far = node_comes(100);
    send_request(asker);
    rig_settle(&stage.rig);
    far_setting(far, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 0);
    say(far);
    struct asker *second = ask_node(0, 1);
    assert_null(second->link);
    pool_cancel(stage.pool, &second->ticket);
    give(asker);
}

static void a_full_link_without_streams_ends_with_its_time(void **state)
{
    (void)state;
    leave_a_full_link();
    pass(8000);
    assert_int_equal(links_to(0), 0);
}

/* The leak sanitizer has the last word. */
static void a_pool_ends_with_full_links(void **state)
{
    (void)state;
    leave_a_full_link();
    assert_true(links_to(0) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_http2, tear_down_http2)
        TEST(many_streams_share_a_link),
        TEST(one_dial_is_enough_for_many),
        TEST(a_failed_dial_is_heard_by_all_who_wait_for_it),
        TEST(a_full_link_makes_the_pool_dial_another),
        TEST(a_node_that_allows_more_serves_who_waits),
        TEST(who_was_expected_to_fit_on_a_dial_waits_on),
        TEST(a_link_whose_streams_have_ended_is_kept),
        TEST(a_link_for_one_stream_is_kept_behind_an_answer_without_a_body),
        TEST(a_link_for_one_stream_is_kept_behind_a_cancelled_request),
        TEST(a_stream_that_is_reset_takes_no_other_along),
        TEST(an_idle_link_is_closed_after_its_time),
        TEST(who_wants_a_fresh_link_shares_none),
        TEST(who_waits_for_a_fresh_link_gets_the_place_of_one_that_comes_back_without_room),
        TEST(a_link_that_says_goodbye_is_not_taken_any_more),
        TEST(an_idle_link_that_says_goodbye_is_closed),
        TEST(a_connection_that_ends_fails_all_its_streams),
        TEST(who_waits_behind_a_connection_that_ends_is_dialled_for),
        TEST(a_link_that_loses_its_room_is_not_given_out),
        TEST(a_node_of_unknown_version_is_dialled_as_the_asker_needs_it),
        TEST(the_probe_says_which_version_is_spoken),
        TEST(grpc_is_refused_where_http_2_is_not_spoken),
        TEST(grpc_does_not_wait_for_an_http_1_dial),
        TEST(grpc_that_waits_hears_when_the_node_turns_out_to_speak_http_1),
        TEST(who_waits_behind_grpc_is_served_by_the_link_that_does_not_suit_it),
        TEST(a_pool_ends_with_links_and_dials),
        TEST(those_who_want_a_fresh_link_share_it),
        TEST(a_full_link_without_streams_ends_with_its_time),
        TEST(a_pool_ends_with_full_links),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
