/* Which nodes get a channel: never a request in clear text to one that has an https url. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "net/tls_channel.h"
#include "topology/topology.h"
#include "upstream/node_tls.h"

static struct topology_node nodes[3];
static struct topology topology;
static char reason[512];

static int set_up(void **state)
{
    (void)state;
    memset(nodes, 0, sizeof nodes);
    nodes[0] = (struct topology_node){.host = "192.0.2.1", .port = 8181};
    nodes[1] = (struct topology_node){.host = "192.0.2.2", .port = 8181, .is_tls = true, .tls = {.verify = true}};
    nodes[2] = (struct topology_node){.host = "query-01.example", .port = 8181, .is_tls = true, .tls = {.verify = true}};
    topology = (struct topology){.nodes = nodes, .node_count = 3};
    return 0;
}

static void each_node_gets_what_its_url_says(void **state)
{
    (void)state;
    struct tls_channel *channel = NULL;
    struct node_tls *tls = node_tls_create(&topology, reason, sizeof reason);
    assert_non_null(tls);
    assert_true(node_tls_open(tls, 0, &channel));
    assert_null(channel);
    for (unsigned i = 1; i < 3; i++) {
        for (unsigned http = TOPOLOGY_HTTP_AUTO; http <= TOPOLOGY_HTTP_2; http++) {
            nodes[i].http = (enum topology_http)http;
            assert_true(node_tls_open(tls, i, &channel));
            assert_non_null(channel);
            tls_channel_destroy(channel);
        }
    }
    node_tls_refresh(tls);
    node_tls_destroy(tls);
}

static void without_https_there_is_nothing_in_it(void **state)
{
    (void)state;
    struct tls_channel *channel = NULL;
    topology.node_count = 1;
    struct node_tls *tls = node_tls_create(&topology, reason, sizeof reason);
    assert_non_null(tls);
    assert_true(node_tls_open(tls, 0, &channel));
    assert_null(channel);
    node_tls_refresh(tls);
    node_tls_destroy(tls);
    node_tls_destroy(NULL);
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
        cmocka_unit_test_setup(each_node_gets_what_its_url_says, set_up),
        cmocka_unit_test_setup(without_https_there_is_nothing_in_it, set_up),
        cmocka_unit_test_setup(a_node_whose_files_are_useless_is_said, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
