#include "check/tally.h"

#include <stdio.h>
#include <string.h>

#include "check/invariants.h"
#include "kernel/time.h"
#include "world/plan.h"

/* What took longer counts as this. */
#define TIMES_MS 30000

struct tally {
    uint64_t asked;
    uint64_t failed;
    uint64_t answered;
    uint64_t longest_ms;
    uint64_t attempts[PLAN_NODES_MAXIMUM];
    uint32_t times[TIMES_MS + 1]; /* of those that were answered, by milliseconds */
};

static struct tally tallies[TRY_KIND_COUNT];

void tally_clear(void)
{
    memset(tallies, 0, sizeof tallies);
}

/* What is begun in peace shows nothing. */
static bool is_of_case(const struct try_entry *entry)
{
    return entry->begun_us < the_plan->faulty_seconds * SIM_S;
}

/* A client that sends its request in a circle (508) hears what it deserves. */
static bool has_failed(const struct try_entry *entry)
{
    bool is_refused = entry->status == 429 || (entry->status >= 500 && entry->status != 508);
    return entry->end == TRY_CUT || entry->end == TRY_LEFT || is_refused;
}

void tally_of_end(const struct try_entry *entry, uint64_t now_us)
{
    struct tally *tally = &tallies[entry->kind];
    uint64_t took_ms = (now_us - entry->begun_us) / 1000;
    if (!is_of_case(entry))
        return;
    tally->asked++;
    if (has_failed(entry)) {
        tally->failed++;
        return;
    }
    tally->answered++;
    tally->times[took_ms < TIMES_MS ? took_ms : TIMES_MS]++;
    if (took_ms > tally->longest_ms)
        tally->longest_ms = took_ms;
}

void tally_of_attempt(const struct try_entry *entry, unsigned node)
{
    if (is_of_case(entry))
        tallies[entry->kind].attempts[node]++;
}

static uint64_t p99_ms(const struct tally *tally)
{
    uint64_t above = 0;
    uint64_t at = TIMES_MS;
    while (at > 0 && (above + tally->times[at]) * 100 <= tally->answered)
        above += tally->times[at--];
    return at;
}

static uint64_t share_of(const struct tally *tally, unsigned sick)
{
    uint64_t all = 0;
    for (unsigned i = 0; i < PLAN_NODES_MAXIMUM; i++)
        all += tally->attempts[i];
    return all == 0 ? 0 : tally->attempts[sick] * 1000 / all;
}

/* *is_least: the bound is a lower one. False: there is no such word. */
static bool find_value(const struct tally *tally, const char *word, unsigned sick, uint64_t *value, bool *is_least)
{
    *is_least = strcmp(word, "tried") == 0 || strcmp(word, "asked") == 0;
    if (strcmp(word, "failed") == 0)
        *value = tally->failed;
    else if (strcmp(word, "longest_ms") == 0)
        *value = tally->longest_ms;
    else if (strcmp(word, "p99_ms") == 0)
        *value = p99_ms(tally);
    else if (strcmp(word, "share") == 0)
        *value = share_of(tally, sick);
    else if (strcmp(word, "tried") == 0)
        *value = tally->attempts[sick];
    else if (strcmp(word, "asked") == 0)
        *value = tally->asked;
    else
        return false;
    return true;
}

static const struct tally *tally_named(const char *name)
{
    for (unsigned kind = 0; kind < TRY_KIND_COUNT; kind++) {
        if (strcmp(try_kind_name((enum try_kind)kind), name) == 0)
            return &tallies[kind];
    }
    return NULL;
}

static void judge_one(const char *bound, unsigned sick)
{
    char kind[32];
    char word[32];
    unsigned long long limit;
    uint64_t value;
    bool is_least;
    const struct tally *tally;
    if (sscanf(bound, "%31[^.].%31[^=]=%llu", kind, word, &limit) != 3 || (tally = tally_named(kind)) == NULL ||
        !find_value(tally, word, sick, &value, &is_least)) {
        ledger_violation("bound", "\"%s\" is no bound", bound);
        return;
    }
    printf("  %s.%s: %llu, of %llu asked (bound: at %s %llu)\n", kind, word, (unsigned long long)value, (unsigned long long)tally->asked,
           is_least ? "least" : "most", limit);
    if (is_least ? value < limit : value > limit)
        ledger_violation("bound", "%s.%s is %llu, and may be %llu", kind, word, (unsigned long long)value, limit);
}

void tally_judge(const char *bounds, unsigned sick)
{
    char copy[512];
    char *rest = copy;
    snprintf(copy, sizeof copy, "%s", bounds);
    for (char *bound; (bound = strsep(&rest, ",")) != NULL;)
        judge_one(bound, sick);
}
