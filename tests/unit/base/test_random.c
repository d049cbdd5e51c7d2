/* The generator: the published sequence, apart for each owner, and entropy that may be missing. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>

#include <cmocka.h>

#include "base/random.h"

static bool entropy_is_missing;
static unsigned entropy_asked;

/* Comes before the C library's. */
ssize_t getrandom(void *buffer, size_t length, unsigned flags)
{
    (void)flags;
    entropy_asked++;
    if (entropy_is_missing) {
        errno = ENOSYS;
        return -1;
    }
    memset(buffer, 0x5a, length);
    return (ssize_t)length;
}

/* The numbers that the authors' own code gives. */
static void the_sequence_is_the_published_one(void **state)
{
    (void)state;
    struct random_source source;
    random_seed(&source, 1234567);
    assert_true(random_u64(&source) == UINT64_C(6457827717110365317));
    assert_true(random_u64(&source) == UINT64_C(3203168211198807973));
    assert_true(random_u64(&source) == UINT64_C(9817491932198370423));
    assert_true(random_u64(&source) == UINT64_C(4593380528125082431));
    assert_true(random_u32(&source) == UINT64_C(16408922859458223821) >> 32);
}

static void the_seed_comes_from_the_system_once(void **state)
{
    (void)state;
    struct random_source source;
    struct random_source same;
    entropy_asked = 0;
    random_seed_from_system(&source);
    random_seed(&same, UINT64_C(0x5a5a5a5a5a5a5a5a));
    for (unsigned i = 0; i < 100; i++)
        assert_true(random_u64(&source) == random_u64(&same));
    assert_int_equal(entropy_asked, 1);
}

static void owners_differ_even_without_entropy(void **state)
{
    (void)state;
    struct random_source sources[2];
    entropy_is_missing = true;
    random_seed_from_system(&sources[0]);
    random_seed_from_system(&sources[1]);
    entropy_is_missing = false;
    assert_true(random_u64(&sources[0]) != random_u64(&sources[1]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sequence_is_the_published_one),
        cmocka_unit_test(the_seed_comes_from_the_system_once),
        cmocka_unit_test(owners_differ_even_without_entropy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
