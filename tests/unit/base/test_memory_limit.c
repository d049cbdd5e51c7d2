#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/machine_memory.h"
#include "base/memory_limit.h"

#define MIB(n) ((uint64_t)(n) * 1024 * 1024)

static void memory_is_short_when_a_tenth_is_left(void **state)
{
    (void)state;
    assert_int_equal(memory_pressure_of(749, 1000), MEMORY_PRESSURE_NONE);
    assert_int_equal(memory_pressure_of(750, 1000), MEMORY_PRESSURE_RISING);
    assert_int_equal(memory_pressure_of(899, 1000), MEMORY_PRESSURE_RISING);
    assert_int_equal(memory_pressure_of(900, 1000), MEMORY_PRESSURE_SHORT);
    assert_int_equal(memory_pressure_of(5000, 1000), MEMORY_PRESSURE_SHORT);
    assert_int_equal(memory_pressure_of(SIZE_MAX, 0), MEMORY_PRESSURE_NONE);
    assert_int_equal(memory_pressure_of(SIZE_MAX / 2, SIZE_MAX), MEMORY_PRESSURE_NONE);
}

static void traffic_gets_what_the_process_leaves(void **state)
{
    (void)state;
    assert_int_equal(memory_limit_of_traffic(MIB(1024), MIB(100000), 2), MIB(1024 - 16 - 2 * 8));
    /* An eighth of the machine is for others. */
    assert_int_equal(memory_limit_of_traffic(0, MIB(8192), 4), MIB(8192 - 1024 - 16 - 4 * 8));
    /* Many workers on little memory: half of it is still for traffic. */
    assert_int_equal(memory_limit_of_traffic(MIB(64), 0, 64), MIB(32));
    assert_int_equal(memory_limit_of_traffic(0, 0, 4), 0);
    assert_int_equal(memory_limit_least_bytes(1), MIB(40));
    assert_int_equal(memory_limit_of_traffic(memory_limit_least_bytes(8), 0, 8), memory_limit_least_bytes(8) / 2);
}

static void bodies_take_half_at_most_and_nothing_more_when_memory_is_short(void **state)
{
    (void)state;
    assert_int_equal(memory_limit_of_bodies(400, 0, 1000), 400);
    assert_int_equal(memory_limit_of_bodies(600, 0, 1000), 500);
    assert_int_equal(memory_limit_of_bodies(400, 899, 1000), 400);
    assert_int_equal(memory_limit_of_bodies(400, 900, 1000), 0);
    assert_int_equal(memory_limit_of_bodies(400, SIZE_MAX, 0), 400);
}

static void the_system_s_files_are_understood(void **state)
{
    (void)state;
    assert_int_equal(machine_memory_of_meminfo(TEXT("MemTotal:       16303428 kB\nMemFree:          207484 kB\n")), UINT64_C(16303428) * 1024);
    assert_int_equal(machine_memory_of_meminfo(TEXT("MemFree: 1 kB\n")), 0);
    assert_int_equal(machine_memory_of_meminfo(TEXT("MemTotal:")), 0);
    assert_int_equal(machine_memory_of_meminfo(TEXT("MemTotal: 99999999999999999999 kB\n")), 0);
    assert_int_equal(machine_memory_of_limit(TEXT("536870912\n")), 536870912);
    assert_int_equal(machine_memory_of_limit(TEXT("max\n")), 0);
    assert_int_equal(machine_memory_of_limit(TEXT("9223372036854771712\n")), 0);
    assert_int_equal(machine_memory_of_limit(TEXT_EMPTY), 0);
    assert_true(machine_memory_bytes() > MIB(16));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_short_when_a_tenth_is_left),
        cmocka_unit_test(traffic_gets_what_the_process_leaves),
        cmocka_unit_test(bodies_take_half_at_most_and_nothing_more_when_memory_is_short),
        cmocka_unit_test(the_system_s_files_are_understood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
