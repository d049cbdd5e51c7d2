/* The hash: of every length, by its bytes alone, spread over the buckets of a small table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"

static void equal_texts_have_equal_hashes_wherever_they_lie(void **state)
{
    (void)state;
    char memory[700] = {0};
    for (size_t length = 0; length < 600; length++) {
        for (size_t i = 0; i < length; i++)
            memory[i] = (char)(i * 7);
        uint64_t first = hash_text(text_of(memory, length), 0);
        memmove(memory + 1, memory, length);
        memory[length + 1] = 'x';
        assert_true(hash_text(text_of(memory + 1, length), 0) == first);
        if (length == 0)
            continue;
        memory[1 + length / 2] ^= 1;
        assert_true(hash_text(text_of(memory + 1, length), 0) != first);
    }
    assert_true(hash_text(TEXT_EMPTY, 0) == hash_text(text_of("", 0), 0));
}

static void another_seed_is_another_hash(void **state)
{
    (void)state;
    assert_true(hash_text(TEXT("/api/v3/engine/alarms"), 1) != hash_text(TEXT("/api/v3/engine/alarms"), 2));
}

/* Paths that differ in a digit only: no bucket of 256 gets many times its share. */
static void paths_spread_over_a_table(void **state)
{
    (void)state;
    unsigned buckets[256] = {0};
    for (unsigned i = 0; i < 25600; i++) {
        char path[40];
        size_t length = (size_t)snprintf(path, sizeof path, "/api/v3/engine/plugin%u", i);
        buckets[hash_text(text_of(path, length), 0) % 256]++;
    }
    for (unsigned i = 0; i < 256; i++)
        assert_in_range(buckets[i], 50, 160);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_texts_have_equal_hashes_wherever_they_lie),
        cmocka_unit_test(another_seed_is_another_hash),
        cmocka_unit_test(paths_spread_over_a_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
