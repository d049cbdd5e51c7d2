/* The fleet alone: its workers are made and have no threads, so what is sent to them stays on its way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake/epochs.h"
#include "net/loop.h"
#include "topology/topology.h"
#include "worker/fleet.h"

static void on_applied(void *owner, bool is_applied)
{
    (void)owner;
    (void)is_applied;
    fail_msg("nobody answers");
}

/* A socket's file that comes with a change is taken away by a drain that is quicker than the change. */
static void test_drain_while_a_change_is_on_its_way(void **state)
{
    (void)state;
    char folder[] = "/tmp/sluice-fleet-XXXXXX";
    char path[64], address[80], reason[512] = "";
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/a.sock", folder);
    snprintf(address, sizeof address, "unix:%s", path);
    struct topology_listener listener = {.address = address, .path = path};
    struct topology before = {0}, after = {.listeners = &listener, .listener_count = 1};
    struct loop *loop = loop_create();
    struct roster *roster = roster_create();
    struct epoch *first = make_epoch(roster, &before, 1);
    struct epoch *second = make_epoch(roster, &after, 2);
    struct fleet *fleet = fleet_create(loop, first, 2, reason, sizeof reason);
    assert_non_null(fleet);

    struct fleet_change *change = fleet_prepare(fleet, second, reason, sizeof reason);
    assert_non_null(change);
    fleet_apply(fleet, change, on_applied, NULL);
    assert_int_equal(access(path, F_OK), 0);
    fleet_drain(fleet);
    assert_int_not_equal(access(path, F_OK), 0);

    /* What never arrived is given back: the sanitizer of the build would tell. */
    fleet_destroy(fleet);
    loop_destroy(loop);
    epoch_release(first);
    epoch_release(second);
    assert_int_equal(count_roster(roster), 0);
    roster_destroy(roster);
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drain_while_a_change_is_on_its_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
