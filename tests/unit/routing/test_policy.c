/* The table of classes: each has a row, and what the rows say fits together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "routing/policy.h"

static void each_class_has_its_balance(void **state)
{
    (void)state;
    assert_int_equal(policy_of(REQUEST_CLASS_WRITE)->balance, BALANCE_WEIGHTED);
    assert_int_equal(policy_of(REQUEST_CLASS_WRITEBACK)->balance, BALANCE_ROUND_ROBIN);
    assert_int_equal(policy_of(REQUEST_CLASS_QUERY)->balance, BALANCE_LEAST_OUTSTANDING);
    assert_int_equal(policy_of(REQUEST_CLASS_FLIGHT)->balance, BALANCE_LEAST_OUTSTANDING);
    assert_int_equal(policy_of(REQUEST_CLASS_CATALOG)->balance, BALANCE_STICKY);
    assert_int_equal(policy_of(REQUEST_CLASS_UNKNOWN)->balance, BALANCE_STICKY);
    assert_int_equal(policy_of(REQUEST_CLASS_COMPACTION)->balance, BALANCE_FIRST);
}

static void each_kind_of_requests_has_its_own_affinity(void **state)
{
    (void)state;
    struct topology topology = {.queries_affinity = TOPOLOGY_AFFINITY_DATABASE};
    for (unsigned class = 0; class < REQUEST_CLASS_COUNT; class++)
        assert_int_equal(policy_affinity_of(&topology, (enum request_class)class) == TOPOLOGY_AFFINITY_DATABASE,
                         class == REQUEST_CLASS_QUERY || class == REQUEST_CLASS_FLIGHT);
    topology = (struct topology){.writes_affinity = TOPOLOGY_AFFINITY_DATABASE};
    for (unsigned class = 0; class < REQUEST_CLASS_COUNT; class++)
        assert_int_equal(policy_affinity_of(&topology, (enum request_class)class) == TOPOLOGY_AFFINITY_DATABASE, class == REQUEST_CLASS_WRITE);
}

static void each_row_is_complete(void **state)
{
    (void)state;
    for (int class = 0; class < REQUEST_CLASS_COUNT; class ++) {
        const struct policy *policy = policy_of((enum request_class) class);
        assert_in_range(policy->attempts_maximum, 2, 4);
    }
}

static void write_back_has_one_fallback_hop(void **state)
{
    (void)state;
    assert_int_equal(policy_of(REQUEST_CLASS_WRITEBACK)->attempts_maximum, 2);
}

/* Clients of writes give up after five seconds, whatever a node still does: no other class may be cut that early. */
static void writes_alone_have_a_deadline_for_all_attempts(void **state)
{
    (void)state;
    for (int class = 0; class < REQUEST_CLASS_COUNT; class ++) {
        bool is_write = class == REQUEST_CLASS_WRITE || class == REQUEST_CLASS_WRITEBACK;
        const struct policy *policy = policy_of((enum request_class) class);
        assert_int_equal(policy->deadline == POLICY_DEADLINE_WRITE, is_write);
        assert_int_equal(policy->refusal == POLICY_REFUSAL_WRITE, is_write);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_class_has_its_balance),
        cmocka_unit_test(each_kind_of_requests_has_its_own_affinity),
        cmocka_unit_test(each_row_is_complete),
        cmocka_unit_test(write_back_has_one_fallback_hop),
        cmocka_unit_test(writes_alone_have_a_deadline_for_all_attempts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
