#include "check/invariants.h"

#include <limits.h>

#include "kernel/time.h"
#include "world/plan.h"

#define NAME(value, word) [value] = word

const char *try_kind_name(enum try_kind kind)
{
    static const char *const names[TRY_KIND_COUNT] = {
        NAME(TRY_WRITE_STAMPED, "write_stamped"), NAME(TRY_WRITE_PLAIN, "write_plain"), NAME(TRY_QUERY, "query"),
        NAME(TRY_FLIGHT, "flight"),               NAME(TRY_CATALOG, "catalog"),         NAME(TRY_WRITEBACK, "writeback"),
        NAME(TRY_COMPACTOR, "compactor"),         NAME(TRY_ENGINE, "engine"),           NAME(TRY_FAN_OUT, "fan_out"),
        NAME(TRY_LOCAL, "local"),                 NAME(TRY_HOSTILE, "hostile"),
        NAME(TRY_FLOOD, "flood"),
    };
    return (unsigned)kind < TRY_KIND_COUNT ? names[kind] : "unknown";
}

const char *try_end_name(enum try_end end)
{
    static const char *const names[] = {
        NAME(TRY_OPEN, "open"), NAME(TRY_DONE, "done"), NAME(TRY_REFUSED, "refused"), NAME(TRY_CUT, "cut"), NAME(TRY_LEFT, "left"),
    };
    return (unsigned)end <= TRY_LEFT ? names[end] : "unknown";
}

unsigned invariant_attempts_maximum(enum try_kind kind)
{
    switch (kind) {
    case TRY_WRITEBACK:
        return 2;
    case TRY_ENGINE:
    case TRY_FAN_OUT:
        return 4 * the_plan->node_count;
    case TRY_LOCAL:
    case TRY_HOSTILE:
        return 0;
    case TRY_FLOOD:
        return UINT_MAX;
    default:
        return 4;
    }
}

static bool is_change(const struct try_entry *entry)
{
    return entry->kind != TRY_QUERY && entry->kind != TRY_FLOOD && entry->kind != TRY_FLIGHT && entry->kind != TRY_LOCAL && entry->kind != TRY_HOSTILE;
}

static bool is_write(const struct try_entry *entry)
{
    return entry->kind == TRY_WRITE_STAMPED || entry->kind == TRY_WRITE_PLAIN || entry->kind == TRY_WRITEBACK;
}

/* What one try must not do twice: nodes tell only of such calls. Timestamps make an ordinary write harmless; a plugin's stays with its one fallback hop. */
static bool is_once(const struct try_entry *entry)
{
    switch ((enum try_kind)entry->kind) {
    case TRY_WRITE_PLAIN:
    case TRY_WRITEBACK:
    case TRY_CATALOG:
    case TRY_COMPACTOR:
    case TRY_ENGINE:
        return true;
    default:
        return false;
    }
}

static void report(const char *rule, const struct try_entry *entry, const char *words)
{
    ledger_violation(rule, "try %llu (%s of client %u, begun at %.6f s, %s %u, %u attempts, applied %u, durable %u, undone %u): %s",
                     (unsigned long long)entry->number, try_kind_name((enum try_kind)entry->kind), entry->client,
                     (double)entry->begun_us / 1e6, try_end_name((enum try_end)entry->end), entry->status, entry->attempts, entry->applied,
                     entry->durable, entry->undone, words);
}

static void report_at(const char *rule, const struct try_entry *entry, unsigned node, const char *words)
{
    ledger_violation(rule, "node %u: try %llu (%s of client %u, begun at %.6f s, %s %u, %u attempts, applied %u, durable %u, undone %u): %s",
                     node, (unsigned long long)entry->number, try_kind_name((enum try_kind)entry->kind), entry->client,
                     (double)entry->begun_us / 1e6, try_end_name((enum try_end)entry->end), entry->status, entry->attempts, entry->applied,
                     entry->durable, entry->undone, words);
}

/* Since when, by node. */
static uint64_t drained_us[PLAN_NODES_MAXIMUM];

void invariant_drain(unsigned node)
{
    drained_us[node] = sim_now_us();
}

void invariant_ready(unsigned node)
{
    drained_us[node] = UINT64_MAX;
}

void invariant_of_attempt(const struct try_entry *entry, unsigned node, bool has_role)
{
    if (entry->kind == TRY_HOSTILE) {
        report_at("smuggled", entry, node, "what a hostile client hid in its bytes has reached a node");
        return;
    }
    if (entry->attempts == 4)
        reached("client: a request is tried for the fourth time");
    if (!has_role)
        report_at("wrong_node", entry, node, "this node may not be asked this");
    if (entry->begun_us > drained_us[node])
        report_at("drained", entry, node, "the operator had taken this node out");
    if (entry->attempts > invariant_attempts_maximum((enum try_kind)entry->kind))
        report_at("attempts", entry, node, "more attempts than the policy allows");
}

void invariant_of_applied(const struct try_entry *entry, unsigned node)
{
    if (!is_change(entry))
        report_at("smuggled", entry, node, "applied, and it asks for no change");
    else if (is_once(entry) && entry->applied > 1)
        report_at("twice", entry, node, "applied a second time");
}

void invariant_of_durable(const struct try_entry *entry, unsigned node)
{
    if (entry->durable > entry->applied)
        report_at("book", entry, node, "durable without being applied");
}

void invariant_of_undone(const struct try_entry *entry, unsigned node)
{
    if (entry->undone + entry->durable > entry->applied)
        report_at("lost", entry, node, "something durable was undone");
}

/* By the plan: is there any node that may be asked this? A process that was started with few descriptors takes few connections for its whole life. */
static bool can_be_served(enum try_kind kind)
{
    static const unsigned roles[TRY_KIND_COUNT] = {
        [TRY_WRITE_STAMPED] = PLAN_ROLE_INGEST, [TRY_WRITE_PLAIN] = PLAN_ROLE_INGEST, [TRY_WRITEBACK] = PLAN_ROLE_INGEST,
        [TRY_QUERY] = PLAN_ROLE_QUERY,          [TRY_FLIGHT] = PLAN_ROLE_QUERY,       [TRY_CATALOG] = PLAN_ROLE_ALL,
        [TRY_COMPACTOR] = PLAN_ROLE_COMPACT,    [TRY_ENGINE] = PLAN_ROLE_PROCESS,     [TRY_FAN_OUT] = PLAN_ROLE_QUERY,
    };
    if (kind == TRY_LOCAL)
        return true;
    for (unsigned i = 0; i < the_plan->node_count; i++) {
        const struct plan_node *node = &the_plan->nodes[i];
        if ((node->roles & roles[kind]) != 0 && (kind != TRY_FLIGHT || node->http == 2))
            return true;
    }
    return false;
}

/* Begun in peace, and ended before the run's end, at which Sluice is told to end. */
static bool was_in_peace(const struct try_entry *entry)
{
    return entry->begun_us > (uint64_t)(the_plan->faulty_seconds + INVARIANT_RECOVERY_SECONDS) * SIM_S &&
           sim_now_us() < (uint64_t)(the_plan->faulty_seconds + the_plan->quiet_seconds) * SIM_S;
}

static bool was_not_served(const struct try_entry *entry)
{
    return entry->end == TRY_CUT || entry->end == TRY_LEFT || (entry->end == TRY_REFUSED && entry->status >= 500);
}

void invariant_of_end(const struct try_entry *entry)
{
    if (is_write(entry) && entry->end == TRY_DONE && entry->durable == 0)
        report("lost", entry, "acknowledged, and durable nowhere");
    if (entry->kind != TRY_HOSTILE && was_not_served(entry) && was_in_peace(entry) && can_be_served((enum try_kind)entry->kind))
        report("not_served", entry, "the faults are over, and this can be served");
}

void invariant_of_close(const struct try_entry *entry)
{
    if (entry->end == TRY_OPEN)
        report("open_try", entry, "the run is over, and the try is not");
}
