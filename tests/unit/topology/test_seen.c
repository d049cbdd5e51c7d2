#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "topology/seen.h"

static void a_key_keeps_its_first_number(void **state)
{
    (void)state;
    struct seen *seen = seen_create();
    size_t first = 0;
    assert_int_equal(seen_find(seen, TEXT("a")), SEEN_NEVER);
    assert_true(seen_add(seen, TEXT("a"), 7, &first));
    assert_int_equal(first, 7);
    assert_true(seen_add(seen, TEXT("a"), 9, &first));
    assert_int_equal(first, 7);
    assert_int_equal(seen_find(seen, TEXT("a")), 7);
    assert_int_equal(seen_find(seen, TEXT("b")), SEEN_NEVER);
    seen_destroy(seen);
    seen_destroy(NULL);
}

/* Keys are bytes, and their copies outlive what they were made from. */
static void keys_are_copied_bytes(void **state)
{
    (void)state;
    struct seen *seen = seen_create();
    size_t first = 0;
    char key[] = {'a', '\0', 'b'};
    assert_true(seen_add(seen, text_of(key, 3), 1, &first));
    assert_true(seen_add(seen, text_of(key, 1), 2, &first));
    assert_int_equal(first, 2);
    assert_true(seen_add(seen, TEXT_EMPTY, 3, &first));
    assert_int_equal(seen_find(seen, text_of(key, 3)), 1);
    key[2] = 'c';
    assert_int_equal(seen_find(seen, text_of(key, 3)), SEEN_NEVER);
    assert_int_equal(seen_find(seen, TEXT("")), 3);
    seen_destroy(seen);
}

/* Far beyond the first table, so that it grows several times. */
static void many_keys_are_all_found(void **state)
{
    (void)state;
    struct seen *seen = seen_create();
    for (size_t turn = 0; turn < 2; turn++) {
        for (size_t i = 0; i < 20000; i++) {
            char key[32];
            size_t first = 0;
            snprintf(key, sizeof key, "node-%zu", i);
            assert_true(seen_add(seen, text_of_string(key), turn * 100000 + i, &first));
            assert_int_equal(first, i);
        }
    }
    assert_int_equal(seen_find(seen, TEXT("node-19999")), 19999);
    assert_int_equal(seen_find(seen, TEXT("node-20000")), SEEN_NEVER);
    seen_destroy(seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_keeps_its_first_number),
        cmocka_unit_test(keys_are_copied_bytes),
        cmocka_unit_test(many_keys_are_all_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
