/* Where the nodes are: literals at once, names by DNS, and neither for a node that is gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fake/clock.h"
#include "fake/epochs.h"
#include "fake/name_server.h"
#include "fake/rig.h"
#include "upstream/names.h"

#define NODES 3
#define TOPOLOGIES 3

static struct rig rig;
static struct name_server server;
static struct roster *roster;
static struct names *names;
static struct epoch *epoch; /* in force */
static struct topology topologies[TOPOLOGIES];
static struct topology_node nodes[TOPOLOGIES][NODES];

static int set_up(void **state)
{
    (void)state;
    rig_start(&rig);
    name_server_start(&server);
    roster = roster_create();
    names = names_create(rig.loop);
    epoch = NULL;
    return roster == NULL || names == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    names_destroy(names);
    epoch_release(epoch);
    rig_settle(&rig);
    rig_stop(&rig);
    assert_int_equal(count_roster(roster), 0);
    roster_destroy(roster);
    name_server_stop(&server);
    return 0;
}

/* Time passes in small steps, as for a machine that is awake. */
static void pass(uint64_t ms)
{
    for (uint64_t passed = 0; passed < ms; passed += LOOP_TICK_MS) {
        clock_advance(LOOP_TICK_MS);
        rig_turn(&rig);
    }
}

/* The hosts of query-01, query-02, ... are these from now on. */
static void apply(size_t count, const char *const hosts[])
{
    static const char *const ids[NODES] = {"query-01", "query-02", "query-03"};
    unsigned next = epoch == NULL ? 0 : (unsigned)epoch->number;
    assert_true(next < TOPOLOGIES && count <= NODES);
    for (unsigned i = 0; i < count; i++)
        nodes[next][i] = (struct topology_node){.node_id = ids[i], .host = hosts[i], .port = 8181};
    topologies[next] = (struct topology){.nodes = nodes[next], .node_count = count};
    struct epoch *old = epoch;
    epoch = make_epoch(roster, &topologies[next], next + 1);
    assert_true(names_apply(names, epoch));
    epoch_release(old);
    /* A name is asked for at once, which is the next tick of the clock. */
    pass(2 * LOOP_TICK_MS);
}

static void assert_at(unsigned node, const char *expected)
{
    struct address address;
    char buffer[ADDRESS_TEXT_BYTES];
    assert_true(roster_node_get_address(epoch->nodes[node], &address));
    assert_string_equal(address_format(&address, buffer, sizeof buffer), expected);
}

static bool is_placed(unsigned node)
{
    struct address address;
    return roster_node_get_address(epoch->nodes[node], &address);
}

#define answer_until(condition) rig_until(&rig, (name_server_answer(&server), condition))

static void literals_are_known_from_the_start_and_names_are_not(void **state)
{
    (void)state;
    apply(3, (const char *const[]){"192.0.2.1", "2001:db8::2", "one.test"});
    assert_at(0, "192.0.2.1:8181");
    assert_at(1, "[2001:db8::2]:8181");
    assert_false(is_placed(2));
    answer_until(is_placed(2));
    assert_at(2, "10.0.0.1:8181");
}

static void a_literal_that_stays_is_no_change(void **state)
{
    (void)state;
    apply(1, (const char *const[]){"192.0.2.1"});
    unsigned before = atomic_load(&roster->addresses);
    apply(1, (const char *const[]){"192.0.2.1"});
    assert_int_equal(atomic_load(&roster->addresses), before);
    apply(1, (const char *const[]){"192.0.2.2"});
    assert_at(0, "192.0.2.2:8181");
    assert_int_equal(atomic_load(&roster->addresses), before + 1);
}

/* Nobody asks in the next `ms`, and somebody does soon afterwards. */
static void assert_asked_after(uint64_t ms)
{
    rig_settle(&rig);
    name_server_answer(&server);
    unsigned asked = server.asked;
    pass(ms - 100);
    name_server_answer(&server);
    assert_int_equal(server.asked, asked);
    pass(300);
    answer_until(server.asked > asked);
    rig_settle(&rig);
}

static void an_answer_holds_as_long_as_it_says(void **state)
{
    (void)state;
    server.ttl_s = 7;
    apply(1, (const char *const[]){"one.test"});
    answer_until(is_placed(0));
    assert_asked_after(7000);
    assert_at(0, "10.0.0.1:8181");
    server.ttl_s = 1;
    assert_asked_after(7000 - 200);
    assert_asked_after(1000 - 200);
}

static void what_has_no_time_holds_for_a_while(void **state)
{
    (void)state;
    server.ttl_s = 0;
    apply(1, (const char *const[]){"one.test"});
    answer_until(is_placed(0));
    assert_asked_after(NAMES_HOLD_MS);
}

static void a_name_that_appears_is_found_soon(void **state)
{
    (void)state;
    apply(1, (const char *const[]){"moves.test"});
    answer_until(server.asked > 0);
    assert_asked_after(1000);
    assert_asked_after(2000 - 200);
    server.moves_first = 9;
    server.moves_count = 1;
    assert_asked_after(4000 - 200);
    answer_until(is_placed(0));
    assert_at(0, "10.0.0.9:8181");
}

static unsigned moves;

static void on_moved(void *owner, struct roster_node *node)
{
    assert_ptr_equal(owner, &moves);
    assert_ptr_equal(node, epoch->nodes[0]);
    moves++;
}

/* moves.test has other addresses; the next question brings them. */
static void change(unsigned char first, unsigned char count)
{
    unsigned asked = server.asked;
    server.moves_first = first;
    server.moves_count = count;
    pass(1200);
    /* Of both families. */
    answer_until(server.asked >= asked + 2);
    rig_settle(&rig);
}

static void a_node_moves_only_when_its_name_has_left_its_address(void **state)
{
    (void)state;
    moves = 0;
    names_set_listener(names, on_moved, &moves);
    server.ttl_s = 1;
    server.moves_first = 2;
    server.moves_count = 1;
    apply(1, (const char *const[]){"moves.test"});
    answer_until(is_placed(0));
    assert_int_equal(moves, 1);
    change(1, 3);
    assert_at(0, "10.0.0.2:8181");
    assert_int_equal(moves, 1);
    unsigned place = roster_node_place(epoch->nodes[0]);
    change(5, 2);
    assert_at(0, "10.0.0.5:8181");
    assert_int_equal(moves, 2);
    assert_int_not_equal(roster_node_place(epoch->nodes[0]), place);
    names_set_listener(names, NULL, NULL);
}

static void a_name_has_further_places(void **state)
{
    (void)state;
    struct address places[NAMES_PLACES_MAXIMUM];
    char words[ADDRESS_TEXT_BYTES];
    apply(2, (const char *const[]){"four.test", "192.0.2.1"});
    assert_int_equal(names_places(names, epoch->nodes[0], places), 0);
    answer_until(is_placed(0));
    assert_int_equal(names_places(names, epoch->nodes[1], places), 1);
    assert_int_equal(names_places(names, epoch->nodes[0], places), 4);
    assert_string_equal(address_format(&places[2], words, sizeof words), "10.0.0.3:8181");
    struct address third = places[2];
    names_confirm(names, epoch->nodes[0], &third);
    assert_at(0, "10.0.0.3:8181");
    assert_int_equal(names_places(names, epoch->nodes[0], places), 4);
    assert_true(address_same_host(&places[0], &third));
    /* An address that the name has no more is not confirmed, nor one of a literal. */
    struct address strange;
    assert_true(address_parse("192.0.2.66", 8181, &strange));
    names_confirm(names, epoch->nodes[0], &strange);
    names_confirm(names, epoch->nodes[1], &strange);
    assert_at(0, "10.0.0.3:8181");
    assert_at(1, "192.0.2.1:8181");
}

static void where_nobody_connects_the_name_is_asked_for_again(void **state)
{
    (void)state;
    apply(2, (const char *const[]){"one.test", "192.0.2.1"});
    answer_until(is_placed(0));
    rig_settle(&rig);
    unsigned asked = server.asked;
    names_ask_again(names, epoch->nodes[1]);
    names_ask_again(names, epoch->nodes[0]);
    pass(500);
    name_server_answer(&server);
    assert_int_equal(server.asked, asked);
    pass(700);
    answer_until(server.asked > asked);
    /* Later than a second after the last question: at once. */
    pass(3000);
    rig_settle(&rig);
    asked = server.asked;
    names_ask_again(names, epoch->nodes[0]);
    pass(3 * LOOP_TICK_MS);
    answer_until(server.asked > asked);
}

/* A name that goes on is not asked for by a reload, nor is its address taken away. */
static void a_name_that_stays_goes_on(void **state)
{
    (void)state;
    apply(2, (const char *const[]){"one.test", "192.0.2.2"});
    answer_until(is_placed(0));
    rig_settle(&rig);
    unsigned asked = server.asked;
    apply(2, (const char *const[]){"one.test", "192.0.2.3"});
    assert_at(0, "10.0.0.1:8181");
    rig_settle(&rig);
    name_server_answer(&server);
    assert_int_equal(server.asked, asked);
}

/* The address before is that of somebody else now. */
static void another_name_has_no_address_until_it_is_answered(void **state)
{
    (void)state;
    apply(1, (const char *const[]){"one.test"});
    answer_until(is_placed(0));
    apply(1, (const char *const[]){"four.test"});
    assert_false(is_placed(0));
    answer_until(is_placed(0));
    assert_at(0, "10.0.0.1:8181");
    apply(1, (const char *const[]){"192.0.2.9"});
    assert_at(0, "192.0.2.9:8181");
    /* Nobody asks for the name any more. */
    rig_settle(&rig);
    unsigned asked = server.asked;
    pass(NAMES_HOLD_MAXIMUM_MS + 1000);
    name_server_answer(&server);
    assert_int_equal(server.asked, asked);
}

/* A question may still be under way when nobody wants the answer. */
static void a_node_that_is_gone_is_let_go(void **state)
{
    (void)state;
    apply(2, (const char *const[]){"192.0.2.1", "silent.test"});
    rig_settle(&rig);
    assert_int_equal(count_roster(roster), 2);
    apply(1, (const char *const[]){"192.0.2.1"});
    assert_int_equal(count_roster(roster), 1);
    pass(2000);
    name_server_answer(&server);
    assert_at(0, "192.0.2.1:8181");
}

static void an_address_stays_while_its_name_cannot_be_resolved(void **state)
{
    (void)state;
    struct address address;
    apply(1, (const char *const[]){"none.test"});
    assert_true(address_parse("192.0.2.77", 8181, &address));
    roster_node_set_address(epoch->nodes[0], &address);
    answer_until(server.asked >= 1);
    for (unsigned i = 0; i < 20; i++) {
        rig_settle(&rig);
        name_server_answer(&server);
    }
    assert_at(0, "192.0.2.77:8181");
    /* It is asked for again, so the answer was heard. */
    unsigned asked = server.asked;
    pass(NAMES_RETRY_MAXIMUM_MS + 500);
    answer_until(server.asked > asked);
    assert_at(0, "192.0.2.77:8181");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(literals_are_known_from_the_start_and_names_are_not),
        TEST(a_literal_that_stays_is_no_change),
        TEST(an_answer_holds_as_long_as_it_says),
        TEST(what_has_no_time_holds_for_a_while),
        TEST(a_name_that_appears_is_found_soon),
        TEST(a_node_moves_only_when_its_name_has_left_its_address),
        TEST(a_name_has_further_places),
        TEST(where_nobody_connects_the_name_is_asked_for_again),
        TEST(a_name_that_stays_goes_on),
        TEST(another_name_has_no_address_until_it_is_answered),
        TEST(a_node_that_is_gone_is_let_go),
        TEST(an_address_stays_while_its_name_cannot_be_resolved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
