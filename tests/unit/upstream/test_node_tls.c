/* Which nodes get a channel: never a request in clear text to one that has an https url. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "net/tls_channel.h"
#include "upstream/cluster.h"
#include "upstream/node_tls.h"

static struct topology_node nodes[3];
static struct topology topology;
static struct cluster *cluster;
static char reason[512];

static int set_up(void **state)
{
    (void)state;
    memset(nodes, 0, sizeof nodes);
    nodes[0] = (struct topology_node){.host = "192.0.2.1", .port = 8181};
    nodes[1] = (struct topology_node){.host = "192.0.2.2", .port = 8181, .is_tls = true, .tls = {.verify = true}};
    nodes[2] = (struct topology_node){.host = "query-01.example", .port = 8181, .is_tls = true, .tls = {.verify = true}};
    topology = (struct topology){.nodes = nodes, .node_count = 3};
    cluster = cluster_create(&topology);
    return cluster == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    node_tls_destroy(cluster->tls);
    cluster_destroy(cluster);
    return 0;
}

static void each_node_gets_what_its_url_says(void **state)
{
    (void)state;
    struct tls_channel *channel = NULL;
    cluster->tls = node_tls_create(&topology, reason, sizeof reason);
    assert_non_null(cluster->tls);
    assert_true(node_tls_open(cluster, 0, TLS_OFFER_HTTP_1_1, &channel));
    assert_null(channel);
    for (unsigned i = 1; i < 3; i++) {
        assert_true(node_tls_open(cluster, i, TLS_OFFER_BOTH, &channel));
        assert_non_null(channel);
        tls_channel_destroy(channel);
    }
    node_tls_refresh(cluster->tls);
}

static void without_a_channel_there_is_no_connection(void **state)
{
    (void)state;
    struct tls_channel *channel = NULL;
    assert_true(node_tls_open(cluster, 0, TLS_OFFER_HTTP_1_1, &channel));
    assert_false(node_tls_open(cluster, 1, TLS_OFFER_HTTP_1_1, &channel));
    assert_null(channel);
}

static void a_node_whose_files_are_useless_is_said(void **state)
{
    (void)state;
    nodes[2].tls.ca = "/nowhere/at/all.pem";
    assert_null(node_tls_create(&topology, reason, sizeof reason));
    assert_non_null(strstr(reason, "/nowhere/at/all.pem"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_node_gets_what_its_url_says, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_a_channel_there_is_no_connection, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_node_whose_files_are_useless_is_said, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
