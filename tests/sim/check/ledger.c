#include "check/ledger.h"

#include <stdarg.h>
#include <stdio.h>

#include "check/invariants.h"
#include "check/tally.h"
#include "kernel/memory.h"
#include "kernel/time.h"
#include "world/plan.h"

/* One broken rule often breaks a thousand tries: the first ones say enough. */
#define VIOLATIONS_PRINTED 5
#define RULE_BYTES 32

/* The book of the running world. Entry n - 1 is the try with the number n. */
static struct {
    struct try_entry *entries;
    size_t count;
    size_t capacity;
    uint64_t ends[TRY_LEFT + 1];
    unsigned violations;
    char verdict[RULE_BYTES];
} book;

static void forget_entries(void)
{
    world_free(book.entries);
    book.entries = NULL;
    book.count = 0;
    book.capacity = 0;
}

void ledger_open(void)
{
    forget_entries();
    memset(book.ends, 0, sizeof book.ends);
    book.violations = 0;
    book.verdict[0] = '\0';
    reached_clear();
    tally_clear();
    for (unsigned node = 0; node < PLAN_NODES_MAXIMUM; node++)
        invariant_ready(node);
}

static void make_room(void)
{
    if (book.count < book.capacity)
        return;
    size_t capacity = book.capacity == 0 ? 1024 : book.capacity * 2;
    book.entries = world_realloc(book.entries, capacity * sizeof *book.entries);
    book.capacity = capacity;
}

static struct try_entry *entry_of(uint64_t number)
{
    return number >= 1 && number <= book.count ? &book.entries[number - 1] : NULL;
}

uint64_t ledger_begin(enum try_kind kind, unsigned client)
{
    make_room();
    struct try_entry *entry = &book.entries[book.count++];
    *entry = (struct try_entry){
        .number = book.count,
        .begun_us = sim_now_us(),
        .client = client,
        .kind = (uint8_t)kind,
        .end = TRY_OPEN,
    };
    book.ends[TRY_OPEN]++;
    return entry->number;
}

void ledger_end(uint64_t number, enum try_end end, unsigned status)
{
    struct try_entry *entry = entry_of(number);
    if (entry == NULL || entry->end != TRY_OPEN) {
        ledger_violation("book", "try %llu ends (%s %u), but is not open", (unsigned long long)number, try_end_name(end), status);
        return;
    }
    entry->end = (uint8_t)end;
    entry->status = (uint16_t)status;
    book.ends[TRY_OPEN]--;
    book.ends[end]++;
    invariant_of_end(entry);
    tally_of_end(entry, sim_now_us());
}

enum try_kind ledger_kind(uint64_t number)
{
    const struct try_entry *entry = entry_of(number);
    return entry == NULL ? TRY_KIND_COUNT : (enum try_kind)entry->kind;
}

bool ledger_knows(uint64_t number)
{
    return entry_of(number) != NULL;
}

/* A node speaks of this try: its entry, or NULL when nobody has begun it. */
static struct try_entry *entry_at(uint64_t number, unsigned node, const char *what)
{
    struct try_entry *entry = entry_of(number);
    if (entry == NULL)
        ledger_violation("book", "node %u: try %llu was %s, but nobody has begun it", node, (unsigned long long)number, what);
    return entry;
}

static void count(uint8_t *counter)
{
    if (*counter < UINT8_MAX)
        (*counter)++;
}

void ledger_attempt(uint64_t number, unsigned node, bool has_role)
{
    struct try_entry *entry = entry_at(number, node, "attempted");
    if (entry == NULL)
        return;
    count(&entry->attempts);
    invariant_of_attempt(entry, node, has_role);
    tally_of_attempt(entry, node);
}

void ledger_passed_over(uint64_t number, unsigned node)
{
    struct try_entry *entry = entry_at(number, node, "passed over");
    if (entry != NULL && entry->attempts > 0)
        entry->attempts--;
}

void ledger_applied(uint64_t number, unsigned node)
{
    struct try_entry *entry = entry_at(number, node, "applied");
    if (entry == NULL)
        return;
    count(&entry->applied);
    invariant_of_applied(entry, node);
}

void ledger_durable(uint64_t number, unsigned node)
{
    struct try_entry *entry = entry_at(number, node, "made durable");
    if (entry == NULL)
        return;
    count(&entry->durable);
    invariant_of_durable(entry, node);
}

void ledger_undone(uint64_t number, unsigned node)
{
    struct try_entry *entry = entry_at(number, node, "undone");
    if (entry == NULL)
        return;
    count(&entry->undone);
    invariant_of_undone(entry, node);
}

void ledger_violation(const char *rule, const char *format, ...)
{
    if (book.violations == 0)
        snprintf(book.verdict, sizeof book.verdict, "%s", rule);
    if (book.violations++ >= VIOLATIONS_PRINTED)
        return;
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "violation %s at %.6f s: ", rule, (double)sim_now_us() / 1e6);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}

const char *ledger_verdict(void)
{
    return book.violations == 0 ? NULL : book.verdict;
}

uint64_t ledger_count(void)
{
    return book.count;
}

uint64_t ledger_count_of(enum try_end end)
{
    return book.ends[end];
}

void ledger_close(void)
{
    for (size_t i = 0; book.ends[TRY_OPEN] > 0 && i < book.count; i++)
        invariant_of_close(&book.entries[i]);
    if (book.violations > VIOLATIONS_PRINTED)
        fprintf(stderr, "violations: %u more\n", book.violations - VIOLATIONS_PRINTED);
    forget_entries();
}
