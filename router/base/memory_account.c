#include "base/memory_account.h"

const char *memory_kind_name(enum memory_kind kind)
{
    static const char *const names[MEMORY_KIND_COUNT] = {
        [MEMORY_OBJECTS] = "objects",
        [MEMORY_BUFFERS] = "buffers",
        [MEMORY_INPUT] = "input",
        [MEMORY_WINDOWS] = "windows",
    };
    return names[kind];
}

void memory_account_settle(struct memory_account *account)
{
    if (account->total != NULL)
        atomic_fetch_add_explicit(account->total, (size_t)account->gathered, memory_order_relaxed);
    account->gathered = 0;
}

bool memory_account_is_even(const struct memory_account *account, enum memory_kind *kind)
{
    for (unsigned i = 0; i < MEMORY_KIND_COUNT; i++) {
        *kind = (enum memory_kind)i;
        if (account->used[i] != 0)
            return false;
    }
    return true;
}
