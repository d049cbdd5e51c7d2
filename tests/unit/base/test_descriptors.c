/* The limit of descriptors: as the system has it, and raised as far as it goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "base/descriptors.h"

static void the_limit_is_raised_to_the_most_that_is_allowed(void **state)
{
    (void)state;
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit tight = {.rlim_cur = 64, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    assert_int_equal(descriptors_limit(), 64);
    descriptors_raise_limit();
    assert_true(before.rlim_max == RLIM_INFINITY ? descriptors_limit() > 64 : descriptors_limit() == before.rlim_max);
    descriptors_raise_limit();
    assert_true(descriptors_limit() > 64);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_true(before.rlim_cur == RLIM_INFINITY ? descriptors_limit() == SIZE_MAX : descriptors_limit() == before.rlim_cur);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_limit_is_raised_to_the_most_that_is_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
