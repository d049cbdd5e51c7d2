/* The limit of descriptors: as the system has it, unlimited, unknown, and raised as far as it goes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "base/descriptors.h"

static struct rlimit limit_now;
static int refuses;

/* These come before the C library's. */
int getrlimit(__rlimit_resource_t resource, struct rlimit *limit)
{
    assert_int_equal(resource, RLIMIT_NOFILE);
    *limit = limit_now;
    errno = EPERM;
    return refuses;
}

int setrlimit(__rlimit_resource_t resource, const struct rlimit *limit)
{
    assert_int_equal(resource, RLIMIT_NOFILE);
    limit_now = *limit;
    return 0;
}

static void the_limit_is_the_systems(void **state)
{
    (void)state;
    refuses = 0;
    limit_now = (struct rlimit){.rlim_cur = 1024, .rlim_max = 4096};
    assert_int_equal(descriptors_limit(), 1024);
    limit_now.rlim_cur = RLIM_INFINITY;
    assert_true(descriptors_limit() == SIZE_MAX);
    refuses = -1;
    limit_now.rlim_cur = 1024;
    assert_true(descriptors_limit() == SIZE_MAX);
}

static void it_is_raised_to_the_most_that_is_allowed(void **state)
{
    (void)state;
    refuses = 0;
    limit_now = (struct rlimit){.rlim_cur = 1024, .rlim_max = 4096};
    descriptors_raise_limit();
    assert_int_equal(descriptors_limit(), 4096);
    descriptors_raise_limit();
    assert_int_equal(descriptors_limit(), 4096);
    refuses = -1;
    limit_now.rlim_cur = 1024;
    descriptors_raise_limit();
    assert_int_equal(limit_now.rlim_cur, 1024);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_limit_is_the_systems),
        cmocka_unit_test(it_is_raised_to_the_most_that_is_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
