#include "dispatch/outcome.h"

#include "base/log.h"
#include "dispatch/attempt.h"
#include "dispatch/dispatch.h"
#include "observe/metrics.h"
#include "routing/policy.h"
#include "upstream/epoch.h"
#include "upstream/standings.h"

static uint64_t now_ms(const struct attempt *attempt)
{
    return loop_now_ms(attempt->context->loop);
}

/* ---- counters and the log ---- */

/* A dead node fails every attempt: one line per node and worker in a second tells as much as all of them. */
static void log_failure(struct attempt *attempt, enum fault fault)
{
    unsigned suppressed;
    enum log_level level =
        log_limit_level(&attempt->context->failures[attempt->node->slot], LOG_LEVEL_INFO, now_ms(attempt), &suppressed);
    log_line(level,
             "event=attempt_failed id=%.*s class=%s node=%s attempt=%u fault=%s suppressed=%u",
             (int)attempt->request->origin.request_id.length, attempt->request->origin.request_id.bytes,
             request_class_name(attempt->class), attempt->node->node_id, attempt->number, fault_row(fault)->name,
             suppressed);
}

static void count(struct attempt *attempt, enum attempt_outcome outcome, enum fault fault)
{
    struct roster_node *node = attempt->node;
    atomic_fetch_sub_explicit(&node->outstanding, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&node->outstanding_of[attempt->class], 1, memory_order_relaxed);
    bool is_swept = outcome == ATTEMPT_REFUSED && policy_of(attempt->class)->refusal == POLICY_REFUSAL_ENGINE;
    if (attempt->cause != ANSWER_CAUSE_NONE)
        metrics_add(&attempt->context->metrics->node_errors[attempt->cause], 1);
    if (outcome == ATTEMPT_ANSWERED || outcome == ATTEMPT_PART || outcome == ATTEMPT_CANCELLED || is_swept)
        return;
    log_failure(attempt, fault);
    /* That may be a lack of permission. */
    if (fault == FAULT_UPSTREAM_UNAVAILABLE)
        return;
    const struct fault_row *row = fault_row(fault);
    if (row->blame == FAULT_BLAME_UPSTREAM)
        atomic_fetch_add_explicit(&node->failures, 1, memory_order_relaxed);
    if (row->counts_for_health)
        roster_node_note_connect(node, true);
}

/* ---- how the node stands ---- */

/* What an outcome says of the node in this class. */
enum telling { TELLS_NOTHING, TELLS_GOOD, TELLS_BAD };

static enum telling telling_of_answer(const struct attempt *attempt)
{
    if (attempt->cause == ANSWER_CAUSE_NONE)
        return TELLS_GOOD;
    if (answer_counts_against_node(attempt->class, attempt->status, attempt->cause))
        return TELLS_BAD;
    /* Others than the client's are known as nobody's fault; of a node on trial even those show that it answers. */
    return attempt->purpose == ATTEMPT_TRIAL && attempt->cause != ANSWER_CAUSE_UNAVAILABLE ? TELLS_GOOD : TELLS_NOTHING;
}

/* Connections that do not come about are counted for all classes of the node (roster_node_note_connect). */
static enum telling telling_of_fault(const struct attempt *attempt, enum fault fault)
{
    switch (fault) {
    case FAULT_UPSTREAM_CLOSED:
    case FAULT_UPSTREAM_RESET:
    case FAULT_UPSTREAM_TIMEOUT:
    case FAULT_UPSTREAM_MALFORMED:
    case FAULT_UPSTREAM_TRUNCATED:
    case FAULT_UPSTREAM_STALLED:
        return TELLS_BAD;
    default:
        return attempt->purpose == ATTEMPT_TRIAL && fault_row(fault)->counts_for_health ? TELLS_BAD : TELLS_NOTHING;
    }
}

static enum telling telling_of(const struct attempt *attempt, enum attempt_outcome outcome, enum fault fault)
{
    switch (outcome) {
    case ATTEMPT_ANSWERED:
    case ATTEMPT_ERRED:
        return telling_of_answer(attempt);
    case ATTEMPT_PART:
        return TELLS_GOOD;
    case ATTEMPT_FAILED:
        return telling_of_fault(attempt, fault);
    case ATTEMPT_REFUSED:
    case ATTEMPT_CANCELLED:
        break;
    }
    return TELLS_NOTHING;
}

static void log_change(struct attempt *attempt, enum standings_change change)
{
    unsigned suppressed;
    if (change == STANDINGS_SAME)
        return;
    enum log_level level = log_limit_level(&attempt->context->ejections, LOG_LEVEL_WARNING, now_ms(attempt), &suppressed);
    if (change == STANDINGS_POOL_FAILS) {
        log_line(level, "event=nodes_readmitted class=%s reason=all_fail suppressed=%u", request_class_name(attempt->class), suppressed);
        return;
    }
    metrics_add(&attempt->context->metrics->ejections, 1);
    uint64_t until_ms = atomic_load_explicit(&attempt->node->until_ms[attempt->class], memory_order_relaxed);
    uint64_t left_ms = until_ms > now_ms(attempt) ? until_ms - now_ms(attempt) : 0;
    log_line(level, "event=node_set_aside node=%s class=%s reason=answers for_ms=%llu suppressed=%u", attempt->node->node_id,
             request_class_name(attempt->class), (unsigned long long)left_ms, suppressed);
}

static void log_readmission(struct attempt *attempt)
{
    unsigned suppressed;
    enum log_level level = log_limit_level(&attempt->context->readmissions, LOG_LEVEL_INFO, now_ms(attempt), &suppressed);
    log_line(level, "event=node_readmitted node=%s class=%s suppressed=%u", attempt->node->node_id, request_class_name(attempt->class),
             suppressed);
}

static void note_standing(struct attempt *attempt, enum attempt_outcome outcome, enum fault fault)
{
    const struct epoch *epoch = attempt->context->newest->epoch;
    const struct standings_attempt ended = {
        .node = attempt->node,
        .class = attempt->class,
        .capabilities = attempt->capabilities,
        .is_trial = attempt->purpose == ATTEMPT_TRIAL,
        .begun_ms = attempt->begun_ms,
        .now_ms = now_ms(attempt),
    };
    switch (telling_of(attempt, outcome, fault)) {
    case TELLS_GOOD:
        if (standings_good(&ended, &epoch->topology->health))
            log_readmission(attempt);
        break;
    case TELLS_BAD:
        debts_add(&attempt->context->debts, &ended, epoch);
        log_change(attempt, standings_failed(&ended, epoch, random_u32(&attempt->context->random)));
        break;
    case TELLS_NOTHING:
        if (outcome == ATTEMPT_REFUSED && policy_of(attempt->class)->refusal == POLICY_REFUSAL_WRITE)
            standings_refused(&ended);
        else
            standings_neutral(&ended);
        break;
    }
}

void outcome_count(struct attempt *attempt, enum attempt_outcome outcome, enum fault fault)
{
    count(attempt, outcome, fault);
    note_standing(attempt, outcome, fault);
}
