#include <stdlib.h>
#include <string.h>

#include "check/ledger.h"

/*
 * The names are literals, so most calls are answered by the pointer alone; the same words may stand at two addresses, so a new pointer is
 * compared by its letters once.
 */
#define PLACES 4096 /* a power of two, far more than there are names */
#define NAMES_MAXIMUM (PLACES / 2)

static struct {
    const char *seen[PLACES];         /* by address */
    const char *names[NAMES_MAXIMUM]; /* once each */
    size_t seen_count;
    size_t name_count;
} book;

static size_t place_of(const char *name)
{
    size_t at = (size_t)((uintptr_t)name * UINT64_C(0x9e3779b97f4a7c15) >> 40) % PLACES;
    while (book.seen[at] != NULL && book.seen[at] != name)
        at = (at + 1) % PLACES;
    return at;
}

static bool is_named(const char *name)
{
    for (size_t i = 0; i < book.name_count; i++) {
        if (strcmp(book.names[i], name) == 0)
            return true;
    }
    return false;
}

void reached(const char *name)
{
    size_t at = place_of(name);
    if (book.seen[at] != NULL || book.seen_count >= NAMES_MAXIMUM)
        return;
    book.seen[at] = name;
    book.seen_count++;
    if (!is_named(name))
        book.names[book.name_count++] = name;
}

void reached_each(void (*on_name)(void *owner, const char *name), void *owner)
{
    for (size_t i = 0; i < book.name_count; i++)
        on_name(owner, book.names[i]);
}

void reached_clear(void)
{
    memset(&book, 0, sizeof book);
}
