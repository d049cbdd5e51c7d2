#ifndef SLUICE_BASE_MEMORY_ACCOUNT_H
#define SLUICE_BASE_MEMORY_ACCOUNT_H
/*
 * How much memory a thread's traffic takes, by kind. Counting is an addition without a lock; what has gathered is added to the process's total
 * when it is MEMORY_ACCOUNT_STEP_BYTES or more, so the total is never further from the truth than that for each account.
 *
 * An account has one thread that writes to it. Whoever takes memory counts it with the same kind and the same number of bytes that are taken off
 * when it is given back: at the end of the thread each kind is back to 0.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum memory_kind {
    MEMORY_OBJECTS, /* small objects of the loop's slab: requests, heads, streams, what nghttp2 keeps */
    MEMORY_BUFFERS, /* blocks of queues: what waits to be written, and what a stream has received */
    MEMORY_INPUT,   /* bytes of connections that were read and are not understood yet */
    MEMORY_WINDOWS, /* granted to HTTP/2 clients for request bodies and not used yet: what they may send at any moment */
    MEMORY_KIND_COUNT
};
/* "objects", ...: the label in metrics. */
const char *memory_kind_name(enum memory_kind kind);

#define MEMORY_ACCOUNT_STEP_BYTES (256 * 1024)

/* Zero is an account of a process without a total. */
struct memory_account {
    atomic_size_t *total; /* ref: of the process; NULL: none */
    ptrdiff_t gathered;   /* and not in the total yet */
    size_t used[MEMORY_KIND_COUNT];
};

/* Adds what has gathered to the total. */
void memory_account_settle(struct memory_account *account);

/* NULL is no account: nothing is counted. */
static inline void memory_account_take(struct memory_account *account, enum memory_kind kind, size_t bytes)
{
    if (account == NULL)
        return;
    account->used[kind] += bytes;
    account->gathered += (ptrdiff_t)bytes;
    if (account->gathered >= MEMORY_ACCOUNT_STEP_BYTES)
        memory_account_settle(account);
}

static inline void memory_account_give(struct memory_account *account, enum memory_kind kind, size_t bytes)
{
    if (account == NULL)
        return;
    account->used[kind] -= bytes;
    account->gathered -= (ptrdiff_t)bytes;
    if (account->gathered <= -MEMORY_ACCOUNT_STEP_BYTES)
        memory_account_settle(account);
}

/* For the end of a thread: true when each kind is back to 0. Else *kind is the first one that is not. */
bool memory_account_is_even(const struct memory_account *account, enum memory_kind *kind);

#endif
