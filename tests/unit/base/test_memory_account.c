#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory_account.h"

#define STEP MEMORY_ACCOUNT_STEP_BYTES

static void the_total_is_never_a_step_away(void **state)
{
    (void)state;
    atomic_size_t total = 0;
    struct memory_account accounts[2] = {{.total = &total}, {.total = &total}};
    size_t truth = 0;
    for (unsigned i = 0; i < 10000; i++) {
        struct memory_account *account = &accounts[i % 2];
        size_t bytes = (i * 7919) % (STEP / 3);
        memory_account_take(account, MEMORY_BUFFERS, bytes);
        truth += bytes;
        if (i % 3 == 0) {
            memory_account_give(account, MEMORY_BUFFERS, account->used[MEMORY_BUFFERS] / 2);
            truth = accounts[0].used[MEMORY_BUFFERS] + accounts[1].used[MEMORY_BUFFERS];
        }
        size_t counted = atomic_load(&total);
        assert_true(counted < truth + 2 * STEP && truth < counted + 2 * STEP);
    }
    for (unsigned i = 0; i < 2; i++) {
        memory_account_give(&accounts[i], MEMORY_BUFFERS, accounts[i].used[MEMORY_BUFFERS]);
        memory_account_settle(&accounts[i]);
    }
    assert_int_equal(atomic_load(&total), 0);
}

static void a_small_message_costs_no_atomic(void **state)
{
    (void)state;
    atomic_size_t total = 0;
    struct memory_account account = {.total = &total};
    for (unsigned i = 0; i < 1000; i++) {
        memory_account_take(&account, MEMORY_OBJECTS, 4096);
        memory_account_give(&account, MEMORY_OBJECTS, 4096);
        assert_int_equal(atomic_load(&total), 0);
    }
}

static void an_account_says_which_kind_was_not_given_back(void **state)
{
    (void)state;
    struct memory_account account = {0};
    enum memory_kind kind;
    assert_true(memory_account_is_even(&account, &kind));
    memory_account_take(&account, MEMORY_WINDOWS, 2 * STEP);
    assert_false(memory_account_is_even(&account, &kind));
    assert_int_equal(kind, MEMORY_WINDOWS);
    assert_string_equal(memory_kind_name(kind), "windows");
    memory_account_give(&account, MEMORY_WINDOWS, 2 * STEP);
    assert_true(memory_account_is_even(&account, &kind));
    memory_account_take(NULL, MEMORY_INPUT, 1);
    memory_account_give(NULL, MEMORY_INPUT, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_total_is_never_a_step_away),
        cmocka_unit_test(a_small_message_costs_no_atomic),
        cmocka_unit_test(an_account_says_which_kind_was_not_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
