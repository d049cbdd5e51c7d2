/*
 * What all threads know of the nodes: addresses under a sequence lock, who may be used, and whose requests are write-
 * back.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "upstream/cluster.h"

static struct topology_node nodes[TOPOLOGY_NODES_MAXIMUM];
static struct topology topology;
static struct cluster *cluster;

static int set_up(void **state)
{
    (void)state;
    memset(nodes, 0, sizeof nodes);
    nodes[0] = (struct topology_node){.host = "192.0.2.1", .port = 8181, .capabilities = NODE_CAPABILITY_INGEST};
    nodes[1] = (struct topology_node){.host = "2001:db8::2", .port = 8282, .capabilities = NODE_CAPABILITY_PROCESS};
    nodes[2] = (struct topology_node){.host = "query-01.example", .port = 8181, .capabilities = NODE_CAPABILITY_QUERY};
    topology = (struct topology){.nodes = nodes, .node_count = 3};
    cluster = cluster_create(&topology);
    return cluster == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    cluster_destroy(cluster);
    return 0;
}

static struct address parse(const char *host, uint16_t port)
{
    struct address address;
    assert_true(address_parse(host, port, &address));
    return address;
}

/* ---- addresses ---- */

static void literals_are_known_from_the_start_and_names_are_not(void **state)
{
    (void)state;
    struct address address;
    char text[ADDRESS_TEXT_BYTES];
    assert_true(cluster_get_address(cluster, 0, &address));
    assert_string_equal(address_format(&address, text, sizeof text), "192.0.2.1:8181");
    assert_true(cluster_get_address(cluster, 1, &address));
    assert_string_equal(address_format(&address, text, sizeof text), "[2001:db8::2]:8282");
    assert_false(cluster_get_address(cluster, 2, &address));
    assert_int_equal(address.length, 0);
}

static void an_address_that_is_set_comes_back_whole(void **state)
{
    (void)state;
    struct address given = parse("fe80::1", 1234);
    struct address got;
    given.socket.v6.sin6_scope_id = 7;
    cluster_set_address(cluster, 2, &given);
    assert_true(cluster_get_address(cluster, 2, &got));
    assert_int_equal(got.length, given.length);
    assert_memory_equal(&got.socket.v6, &given.socket.v6, sizeof given.socket.v6);
    /* An IPv4 address leaves nothing of the IPv6 one behind. */
    given = parse("198.51.100.9", 80);
    cluster_set_address(cluster, 2, &given);
    assert_true(cluster_get_address(cluster, 2, &got));
    assert_int_equal(got.length, given.length);
    assert_memory_equal(&got, &given, sizeof given);
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
        cluster_set_address(cluster, 2, &address);
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
    cluster_set_address(cluster, 2, &first);
    atomic_store(&is_writing, true);
    assert_int_equal(pthread_create(&writer, NULL, write_addresses, NULL), 0);
    uint32_t last = 0;
    unsigned torn = 0;
    do {
        struct address got;
        cluster_get_address(cluster, 2, &got);
        uint32_t number = got.socket.v6.sin6_scope_id;
        struct address expected = numbered(number);
        torn += memcmp(&got, &expected, sizeof got) != 0 || number < last;
        last = number;
    } while (atomic_load(&is_writing));
    pthread_join(writer, NULL);
    assert_int_equal(torn, 0);
    struct address got;
    cluster_get_address(cluster, 2, &got);
    assert_int_equal(got.socket.v6.sin6_scope_id, WRITES);
}

/* ---- who may be used ---- */

static void set_health(unsigned node, enum health_state health)
{
    atomic_store(&cluster->nodes[node].health, health);
}

static void nodes_are_usable_unless_something_is_known_against_them(void **state)
{
    (void)state;
    assert_int_equal(cluster_usable_nodes(cluster), 7);
    set_health(0, HEALTH_UP);
    set_health(1, HEALTH_DOWN);
    assert_int_equal(cluster_usable_nodes(cluster), 5);
    for (unsigned i = 1; i <= HEALTH_PASSIVE_FAILURES; i++) {
        cluster_note_connect(cluster, 0, true);
        assert_int_equal(cluster_usable_nodes(cluster), i < HEALTH_PASSIVE_FAILURES ? 5 : 4);
    }
    cluster_note_connect(cluster, 0, false);
    assert_int_equal(cluster_usable_nodes(cluster), 5);
    /* A success between two failures begins the count anew. */
    for (unsigned i = 0; i < 2 * HEALTH_PASSIVE_FAILURES; i++) {
        cluster_note_connect(cluster, 0, true);
        cluster_note_connect(cluster, 0, false);
    }
    assert_int_equal(cluster_usable_nodes(cluster), 5);
}

static void the_mask_has_room_for_the_largest_cluster(void **state)
{
    (void)state;
    cluster_destroy(cluster);
    topology.node_count = TOPOLOGY_NODES_MAXIMUM;
    cluster = cluster_create(&topology);
    assert_true(cluster_usable_nodes(cluster) == UINT64_MAX);
    set_health(63, HEALTH_DOWN);
    assert_true(cluster_usable_nodes(cluster) == UINT64_MAX >> 1);
    set_health(0, HEALTH_DOWN);
    assert_true(cluster_usable_nodes(cluster) == (UINT64_MAX >> 1 & ~UINT64_C(1)));
}

/* ---- write-back ---- */

static bool is_process(const char *host)
{
    struct address address = parse(host, 50000);
    return cluster_is_process_node(cluster, &address);
}

static void requests_of_process_nodes_are_recognised(void **state)
{
    (void)state;
    assert_true(is_process("2001:db8::2"));
    assert_false(is_process("2001:db8::3"));
    assert_false(is_process("192.0.2.1"));
    nodes[0].capabilities |= NODE_CAPABILITY_PROCESS;
    assert_true(is_process("192.0.2.1"));
    assert_true(is_process("::ffff:192.0.2.1"));
    struct address unknown = {.length = 0};
    assert_false(cluster_is_process_node(cluster, &unknown));
    unknown = parse("192.0.2.1", 1);
    unknown.length = 0;
    assert_false(cluster_is_process_node(cluster, &unknown));
    /* Nor does one behind the last node count. */
    topology.node_count = 1;
    assert_true(is_process("192.0.2.1"));
    assert_false(is_process("2001:db8::2"));
}

/* On one machine every client has the address of the node. */
static void loopback_addresses_prove_nothing(void **state)
{
    (void)state;
    struct address address = parse("127.0.0.1", 8181);
    cluster_set_address(cluster, 1, &address);
    assert_false(is_process("127.0.0.1"));
    address = parse("::1", 8181);
    cluster_set_address(cluster, 1, &address);
    assert_false(is_process("::1"));
}

/* ---- the rest ---- */

/* Before the first probe nobody knows: refusing calls until then would be worse than one attempt in vain. */
static void calls_may_go_wherever_http2_is_not_ruled_out(void **state)
{
    (void)state;
    assert_int_equal(cluster_http2_nodes(cluster), 7);
    atomic_store(&cluster->nodes[1].http_version, 1);
    assert_int_equal(cluster_http2_nodes(cluster), 5);
    atomic_store(&cluster->nodes[1].http_version, 2);
    atomic_store(&cluster->nodes[2].http_version, 1);
    assert_int_equal(cluster_http2_nodes(cluster), 3);
    topology.node_count = TOPOLOGY_NODES_MAXIMUM;
    assert_int_equal(cluster_http2_nodes(cluster), ~UINT64_C(4));
}

static void each_process_has_a_name_of_its_own(void **state)
{
    (void)state;
    struct cluster *other = cluster_create(&topology);
    static const char *const versions[] = {"1.1", "1.0", "2.0"};
    assert_int_equal(sizeof versions / sizeof versions[0], MESSAGE_VERSION_COUNT);
    for (unsigned version = 0; version < MESSAGE_VERSION_COUNT; version++) {
        char prefix[16];
        snprintf(prefix, sizeof prefix, "%s sluice-", versions[version]);
        assert_memory_equal(cluster->via[version], prefix, strlen(prefix));
        assert_int_equal(strspn(cluster->via[version] + strlen(prefix), "0123456789abcdef"), 8);
        assert_int_equal(strlen(cluster->via[version]), strlen(prefix) + 8);
    }
    assert_string_equal(cluster->via[0] + 4, cluster->via[1] + 4);
    assert_string_not_equal(cluster->via[1], other->via[1]);
    cluster_destroy(other);
    cluster_destroy(NULL);
}

static void at_the_start_nothing_has_happened(void **state)
{
    (void)state;
    assert_int_equal(atomic_load(&cluster->catalog_node), -1);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(atomic_load(&cluster->nodes[i].outstanding), 0);
        assert_int_equal(atomic_load(&cluster->nodes[i].health), HEALTH_UNKNOWN);
        assert_int_equal((uintptr_t)&cluster->nodes[i] % 64, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(literals_are_known_from_the_start_and_names_are_not),
        TEST(an_address_that_is_set_comes_back_whole),
        TEST(a_reader_never_sees_a_torn_address),
        TEST(nodes_are_usable_unless_something_is_known_against_them),
        TEST(the_mask_has_room_for_the_largest_cluster),
        TEST(requests_of_process_nodes_are_recognised),
        TEST(loopback_addresses_prove_nothing),
        TEST(calls_may_go_wherever_http2_is_not_ruled_out),
        TEST(each_process_has_a_name_of_its_own),
        TEST(at_the_start_nothing_has_happened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
