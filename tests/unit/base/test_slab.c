#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory_account.h"
#include "base/slab.h"

/* How gcc says it, and clang. */
#if defined(__SANITIZE_ADDRESS__)
#define KEEPS 0
#elif defined(__has_feature)
#define KEEPS !__has_feature(address_sanitizer)
#else
#define KEEPS 1
#endif

static void what_is_given_back_is_taken_again(void **state)
{
    (void)state;
    struct slab *slab = slab_create();
    char *first = slab_take(slab, 100);
    char *second = slab_take(slab, 100);
    assert_non_null(first);
    assert_ptr_not_equal(first, second);
    memset(first, 1, 100);
    memset(second, 2, 100);
    slab_give(slab, first);
    char *third = slab_take(slab, 80);
    if (KEEPS)
        assert_ptr_equal(third, first); /* of the same class, 65 to 128 bytes */
    slab_give(slab, second);
    slab_give(slab, third);
    slab_give(slab, NULL);
    slab_destroy(slab);
}

static void objects_are_aligned_and_large_enough(void **state)
{
    (void)state;
    struct slab *slab = slab_create();
    for (size_t length = 0; length < 6000; length += 13) {
        char *object = slab_take(slab, length);
        assert_non_null(object);
        assert_int_equal((uintptr_t)object % 16, 0);
        memset(object, 0xa5, length);
        slab_give(slab, object);
    }
    slab_destroy(slab);
}

static void zeroed_means_zeroed_also_the_second_time(void **state)
{
    (void)state;
    struct slab *slab = slab_create();
    static const char zero[200];
    for (unsigned i = 0; i < 3; i++) {
        char *object = slab_take_zeroed(slab, sizeof zero);
        assert_memory_equal(object, zero, sizeof zero);
        memset(object, 0xff, sizeof zero);
        slab_give(slab, object);
    }
    slab_destroy(slab);
}

static void an_object_that_grows_keeps_what_is_in_it(void **state)
{
    (void)state;
    struct slab *slab = slab_create();
    char *object = slab_resize(slab, NULL, 10);
    memcpy(object, "0123456789", 10);
    for (size_t length = 20; length < 10000; length *= 2) {
        object = slab_resize(slab, object, length);
        assert_memory_equal(object, "0123456789", 10);
    }
    slab_give(slab, object);
    slab_destroy(slab);
}

/* More than is kept goes back to the system; nothing leaks either way. */
static void a_slab_keeps_a_bounded_amount(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    struct slab *slab = slab_create();
    static void *objects[COUNT];
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < COUNT; i++)
            assert_non_null(objects[i] = slab_take(slab, 2000));
        for (unsigned i = 0; i < COUNT; i++)
            slab_give(slab, objects[i]);
    }
    assert_in_range(slab_kept_bytes(slab), KEEPS ? 4 * 1024 * 1024 - 2048 : 0, 4 * 1024 * 1024);
    slab_destroy(slab);
}

static void an_object_of_no_slab_goes_to_any_or_back_to_the_system(void **state)
{
    (void)state;
    struct slab *slab = slab_create();
    void *given = slab_take_unpooled(100);
    void *kept = slab_take_unpooled(100);
    memset(kept, 1, 100);
    assert_int_equal(slab_usable_bytes(kept), 100);
    slab_give(slab, given);
    assert_int_equal(slab_kept_bytes(slab), 0);
    slab_destroy(slab);
    slab_give_unpooled(kept);
    slab_give_unpooled(NULL);
}

static void what_somebody_has_is_counted_and_what_waits_is_not(void **state)
{
    (void)state;
    struct memory_account account = {0};
    struct slab *slab = slab_create();
    slab_count_in(slab, &account);
    void *object = slab_take(slab, 100);
    void *large = slab_take(slab, 100000);
    assert_int_equal(account.used[MEMORY_OBJECTS], slab_usable_bytes(object) + slab_usable_bytes(large));
    object = slab_resize(slab, object, 5000);
    assert_int_equal(account.used[MEMORY_OBJECTS], slab_usable_bytes(object) + slab_usable_bytes(large));
    slab_give(slab, slab_take_unpooled(100));
    assert_int_equal(account.used[MEMORY_OBJECTS], slab_usable_bytes(object) + slab_usable_bytes(large));
    slab_give(slab, large);
    slab_give(slab, object);
    assert_int_equal(account.used[MEMORY_OBJECTS], 0);
    slab_destroy(slab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_given_back_is_taken_again),
        cmocka_unit_test(objects_are_aligned_and_large_enough),
        cmocka_unit_test(zeroed_means_zeroed_also_the_second_time),
        cmocka_unit_test(an_object_that_grows_keeps_what_is_in_it),
        cmocka_unit_test(a_slab_keeps_a_bounded_amount),
        cmocka_unit_test(an_object_of_no_slab_goes_to_any_or_back_to_the_system),
        cmocka_unit_test(what_somebody_has_is_counted_and_what_waits_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
