/* What all threads know of the nodes: slots and handles, addresses under a sequence lock, and who may be used. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fake/epochs.h"
#include "upstream/roster.h"

#define NODES 3

static struct roster *roster;
static struct roster_node *nodes[NODES];

static struct roster_node *admit(const char *node_id)
{
    bool is_full = true;
    struct roster_node *node = roster_admit(roster, node_id, &is_full);
    assert_non_null(node);
    assert_false(is_full);
    return node;
}

static int set_up(void **state)
{
    (void)state;
    static const char *const names[NODES] = {"ingester-01", "processor-01", "query-01"};
    roster = roster_create();
    assert_non_null(roster);
    for (unsigned i = 0; i < NODES; i++)
        nodes[i] = admit(names[i]);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (unsigned i = 0; i < NODES; i++) {
        if (nodes[i] != NULL)
            roster_node_release(nodes[i]);
    }
    assert_int_equal(count_roster(roster), 0);
    roster_destroy(roster);
    return 0;
}

static struct address parse(const char *host, uint16_t port)
{
    struct address address;
    assert_true(address_parse(host, port, &address));
    return address;
}

/* ---- slots ---- */

static void at_the_start_nothing_has_happened(void **state)
{
    (void)state;
    struct address address;
    assert_int_equal(atomic_load(&roster->catalog_node), 0);
    assert_int_equal(atomic_load(&roster->draining), 0);
    assert_int_equal(atomic_load(&roster->kept_body_bytes), 0);
    for (unsigned i = 0; i < NODES; i++) {
        assert_int_equal(atomic_load(&nodes[i]->outstanding), 0);
        assert_int_equal(atomic_load(&nodes[i]->health), HEALTH_UNKNOWN);
        assert_int_equal((uintptr_t)nodes[i] % 64, 0);
        assert_false(roster_node_get_address(nodes[i], &address));
        assert_int_equal(address.length, 0);
    }
}

static void a_node_is_known_by_its_name(void **state)
{
    (void)state;
    for (unsigned i = 0; i < NODES; i++) {
        assert_int_equal(nodes[i]->slot, i);
        assert_ptr_equal(roster->slots[i], nodes[i]);
        assert_int_not_equal(nodes[i]->handle, 0);
        assert_int_equal(nodes[i]->handle % ROSTER_SLOTS, i);
        assert_ptr_equal(nodes[i]->roster, roster);
    }
    atomic_store(&nodes[2]->requests, 7);
    struct roster_node *same = admit("query-01");
    assert_ptr_equal(same, nodes[2]);
    assert_int_equal(atomic_load(&same->requests), 7);
    roster_node_release(same);
    /* Its beginning is another name. */
    struct roster_node *other = admit("query-0");
    assert_ptr_not_equal(other, nodes[2]);
    roster_node_release(other);
}

static void a_node_stays_until_its_last_reference_goes(void **state)
{
    (void)state;
    roster_node_retain(nodes[1]);
    roster_node_release(nodes[1]);
    assert_ptr_equal(roster->slots[1], nodes[1]);
    roster_node_release(nodes[1]);
    nodes[1] = NULL;
    assert_null(roster->slots[1]);
    assert_non_null(roster->slots[0]);
    assert_non_null(roster->slots[2]);
}

/* Whoever remembers a node by its handle must not find the next one in its slot, nor the same name after it was away. */
static void a_slot_that_is_used_again_has_another_handle(void **state)
{
    (void)state;
    roster_handle seen[8] = {nodes[1]->handle};
    for (unsigned round = 1; round < 8; round++) {
        roster_node_release(nodes[1]);
        nodes[1] = admit(round % 2 == 0 ? "processor-01" : "processor-02");
        assert_int_equal(nodes[1]->slot, 1);
        assert_int_equal(nodes[1]->handle % ROSTER_SLOTS, 1);
        assert_int_equal(atomic_load(&nodes[1]->requests), 0);
        atomic_store(&nodes[1]->requests, 1);
        for (unsigned i = 0; i < round; i++)
            assert_int_not_equal(nodes[1]->handle, seen[i]);
        seen[round] = nodes[1]->handle;
    }
}

/* The number of all admissions comes to its end: 0 means nobody, so no node gets a handle without a number. */
static void handles_that_begin_anew_are_never_nobody(void **state)
{
    (void)state;
    roster->admitted = UINT32_MAX / ROSTER_SLOTS - 1;
    for (unsigned i = 0; i < 4; i++) {
        roster_node_release(nodes[0]);
        nodes[0] = admit("ingester-01");
        assert_int_equal(nodes[0]->slot, 0);
        assert_true(nodes[0]->handle >= ROSTER_SLOTS);
    }
}

static void a_full_roster_says_so(void **state)
{
    (void)state;
    static struct roster_node *many[ROSTER_SLOTS];
    char name[32];
    bool is_full;
    for (unsigned i = NODES; i < ROSTER_SLOTS; i++) {
        snprintf(name, sizeof name, "node-%u", i);
        many[i] = admit(name);
        assert_int_equal(many[i]->slot, i);
    }
    assert_null(roster_admit(roster, "one-more", &is_full));
    assert_true(is_full);
    /* One that is there is no further one. */
    roster_node_release(admit("node-77"));
    roster_node_release(many[77]);
    many[77] = admit("one-more");
    assert_int_equal(many[77]->slot, 77);
    for (unsigned i = NODES; i < ROSTER_SLOTS; i++)
        roster_node_release(many[i]);
}

#define ROUNDS 20000

/* Comes and goes, and holds what it has. */
static void *admit_and_release(void *argument)
{
    unsigned *wrong = argument;
    for (unsigned i = 0; i < ROUNDS; i++) {
        bool is_full;
        struct roster_node *node = roster_admit(roster, "guest-01", &is_full);
        *wrong += node == NULL || roster->slots[node->slot] != node || strcmp(node->node_id, "guest-01") != 0;
        if (node != NULL)
            roster_node_release(node);
    }
    return NULL;
}

/* The last release of one thread and the admission of another meet: never a node that is gone. */
static void threads_admit_and_release_the_same_node(void **state)
{
    (void)state;
    pthread_t other;
    unsigned wrong[2] = {0, 0};
    assert_int_equal(pthread_create(&other, NULL, admit_and_release, &wrong[0]), 0);
    admit_and_release(&wrong[1]);
    pthread_join(other, NULL);
    assert_int_equal(wrong[0] + wrong[1], 0);
    assert_int_equal(count_roster(roster), NODES);
}

/* ---- addresses ---- */

static void an_address_that_is_set_comes_back_whole(void **state)
{
    (void)state;
    struct address given = parse("fe80::1", 1234);
    struct address got;
    given.socket.v6.sin6_scope_id = 7;
    roster_node_set_address(nodes[2], &given);
    assert_true(roster_node_get_address(nodes[2], &got));
    assert_int_equal(got.length, given.length);
    assert_memory_equal(&got.socket.v6, &given.socket.v6, sizeof given.socket.v6);
    /* An IPv4 address leaves nothing of the IPv6 one behind. */
    given = parse("198.51.100.9", 80);
    roster_node_set_address(nodes[2], &given);
    assert_true(roster_node_get_address(nodes[2], &got));
    assert_int_equal(got.length, given.length);
    assert_memory_equal(&got, &given, sizeof given);
}

static void an_address_can_be_taken_away(void **state)
{
    (void)state;
    struct address address = parse("198.51.100.9", 80);
    unsigned before = atomic_load(&roster->addresses);
    roster_node_set_address(nodes[2], &address);
    roster_node_set_address(nodes[2], &(struct address){.length = 0});
    assert_int_equal(atomic_load(&roster->addresses), before + 2);
    assert_false(roster_node_get_address(nodes[2], &address));
    assert_int_equal(address.length, 0);
}

#define WRITES 200000

/* The address number i: each of its parts says which it is. */
static struct address numbered(uint32_t number)
{
    struct address address = {.length = sizeof address.socket.v6};
    address.socket.v6.sin6_family = AF_INET6;
    address.socket.v6.sin6_port = (uint16_t)number;
    address.socket.v6.sin6_scope_id = number;
    for (int i = 0; i < 16; i += 4)
        memcpy(address.socket.v6.sin6_addr.s6_addr + i, &number, sizeof number);
    return address;
}

static atomic_bool is_writing;

static void *write_addresses(void *argument)
{
    (void)argument;
    for (uint32_t i = 1; i <= WRITES; i++) {
        struct address address = numbered(i);
        roster_node_set_address(nodes[2], &address);
    }
    atomic_store(&is_writing, false);
    return NULL;
}

/* One writer, one reader: never half of one address and half of another. */
static void a_reader_never_sees_a_torn_address(void **state)
{
    (void)state;
    pthread_t writer;
    struct address first = numbered(1);
    roster_node_set_address(nodes[2], &first);
    atomic_store(&is_writing, true);
    assert_int_equal(pthread_create(&writer, NULL, write_addresses, NULL), 0);
    uint32_t last = 0;
    unsigned torn = 0;
    do {
        struct address got;
        roster_node_get_address(nodes[2], &got);
        uint32_t number = got.socket.v6.sin6_scope_id;
        struct address expected = numbered(number);
        torn += memcmp(&got, &expected, sizeof got) != 0 || number < last;
        last = number;
    } while (atomic_load(&is_writing));
    pthread_join(writer, NULL);
    assert_int_equal(torn, 0);
    struct address got;
    roster_node_get_address(nodes[2], &got);
    assert_int_equal(got.socket.v6.sin6_scope_id, WRITES);
}

/* ---- who may be used ---- */

/* Has the generation risen since the last call? */
static bool was_touched(void)
{
    static unsigned seen;
    unsigned before = seen;
    seen = atomic_load(&roster->generation);
    return seen != before;
}

static bool is_usable(unsigned node)
{
    return roster_node_is_usable(nodes[node], REQUEST_CLASS_WRITE);
}

static void nodes_are_usable_unless_something_is_known_against_them(void **state)
{
    (void)state;
    assert_true(is_usable(0) && is_usable(1));
    roster_node_set_health(nodes[0], HEALTH_UP);
    roster_node_set_health(nodes[1], HEALTH_DOWN);
    assert_true(is_usable(0));
    assert_false(is_usable(1));
    for (unsigned i = 1; i <= HEALTH_PASSIVE_FAILURES; i++) {
        roster_node_note_connect(nodes[0], true);
        assert_int_equal(is_usable(0), i < HEALTH_PASSIVE_FAILURES);
    }
    roster_node_note_connect(nodes[0], false);
    assert_true(is_usable(0));
    /* A success between two failures begins the count anew. */
    for (unsigned i = 0; i < 2 * HEALTH_PASSIVE_FAILURES; i++) {
        roster_node_note_connect(nodes[0], true);
        roster_node_note_connect(nodes[0], false);
    }
    assert_true(is_usable(0));
}

static void the_operator_takes_a_node_out_class_by_class(void **state)
{
    (void)state;
    roster_node_set_admin(nodes[0], REQUEST_CLASS_WRITE, NODE_ADMIN_DRAIN);
    roster_node_set_admin(nodes[0], REQUEST_CLASS_CATALOG, NODE_ADMIN_MAINT);
    for (unsigned class = 0; class < REQUEST_CLASS_COUNT; class++)
        assert_int_equal(roster_node_is_usable(nodes[0], (enum request_class)class),
                         class != REQUEST_CLASS_WRITE && class != REQUEST_CLASS_CATALOG);
    assert_true(is_usable(1));
    roster_node_set_admin(nodes[0], REQUEST_CLASS_WRITE, NODE_ADMIN_READY);
    assert_true(is_usable(0));
    /* Ready is not healthy. */
    roster_node_set_health(nodes[0], HEALTH_DOWN);
    assert_false(is_usable(0));
    assert_string_equal(node_admin_name(NODE_ADMIN_READY), "ready");
    assert_string_equal(node_admin_name(NODE_ADMIN_DRAIN), "drain");
    assert_string_equal(node_admin_name(NODE_ADMIN_MAINT), "maint");
}

static void a_node_is_silent_while_work_waits_and_nothing_comes(void **state)
{
    (void)state;
    struct roster_node *node = nodes[0];
    assert_int_equal(roster_node_silent_ms(node, 5000), 0);
    roster_node_note_heard(node, 5000);
    atomic_fetch_add(&node->outstanding, 1);
    assert_int_equal(roster_node_silent_ms(node, 5000), 0);
    assert_int_equal(roster_node_silent_ms(node, 7500), 2500);
    roster_node_note_heard(node, 7500);
    /* Near times are one, and another worker's clock may be behind. */
    roster_node_note_heard(node, 7500 + ROSTER_HEARD_STEP_MS - 1);
    assert_int_equal(roster_node_silent_ms(node, 7600), 100);
    assert_int_equal(roster_node_silent_ms(node, 7400), 0);
    atomic_fetch_sub(&node->outstanding, 1);
    assert_int_equal(roster_node_silent_ms(node, 9000), 0);
}

/* Each worker builds its lists anew then, so it must not rise with each request. */
static void the_generation_rises_when_another_set_may_be_usable(void **state)
{
    (void)state;
    was_touched();
    assert_true(roster_node_set_health(nodes[0], HEALTH_UP));
    assert_true(was_touched());
    assert_false(roster_node_set_health(nodes[0], HEALTH_UP));
    assert_false(was_touched());
    for (unsigned i = 1; i <= 2 * HEALTH_PASSIVE_FAILURES; i++) {
        roster_node_note_connect(nodes[0], true);
        assert_int_equal(was_touched(), i == HEALTH_PASSIVE_FAILURES);
    }
    roster_node_note_connect(nodes[0], false);
    assert_true(was_touched());
    roster_node_note_connect(nodes[0], false);
    assert_false(was_touched());
    roster_node_note_connect(nodes[0], true);
    roster_node_note_connect(nodes[0], false);
    assert_false(was_touched());
    assert_int_equal(roster_node_set_version(nodes[0], 2), 0);
    assert_true(was_touched());
    assert_int_equal(roster_node_set_version(nodes[0], 2), 2);
    assert_false(was_touched());
    roster_node_set_admin(nodes[0], REQUEST_CLASS_QUERY, NODE_ADMIN_DRAIN);
    assert_true(was_touched());
    struct address address = parse("198.51.100.9", 80);
    roster_node_set_address(nodes[0], &address);
    assert_false(was_touched());
}

/* ---- the rest ---- */

static void each_process_has_a_name_of_its_own(void **state)
{
    (void)state;
    struct roster *other = roster_create();
    static const char *const versions[] = {"1.1", "1.0", "2.0"};
    assert_int_equal(sizeof versions / sizeof versions[0], MESSAGE_VERSION_COUNT);
    for (unsigned version = 0; version < MESSAGE_VERSION_COUNT; version++) {
        char prefix[16];
        snprintf(prefix, sizeof prefix, "%s sluice-", versions[version]);
        assert_memory_equal(roster->via[version], prefix, strlen(prefix));
        assert_int_equal(strspn(roster->via[version] + strlen(prefix), "0123456789abcdef"), 8);
        assert_int_equal(strlen(roster->via[version]), strlen(prefix) + 8);
    }
    assert_string_equal(roster->via[0] + 4, roster->via[1] + 4);
    assert_string_not_equal(roster->via[1], other->via[1]);
    roster_destroy(other);
    roster_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(at_the_start_nothing_has_happened),
        TEST(a_node_is_known_by_its_name),
        TEST(a_node_stays_until_its_last_reference_goes),
        TEST(a_slot_that_is_used_again_has_another_handle),
        TEST(handles_that_begin_anew_are_never_nobody),
        TEST(a_full_roster_says_so),
        TEST(threads_admit_and_release_the_same_node),
        TEST(an_address_that_is_set_comes_back_whole),
        TEST(an_address_can_be_taken_away),
        TEST(a_reader_never_sees_a_torn_address),
        TEST(nodes_are_usable_unless_something_is_known_against_them),
        TEST(the_operator_takes_a_node_out_class_by_class),
        TEST(a_node_is_silent_while_work_waits_and_nothing_comes),
        TEST(the_generation_rises_when_another_set_may_be_usable),
        TEST(each_process_has_a_name_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
