#include "http/h2_budget.h"

/* A page with many panels that is closed cancels all of its queries at once; then again a moment later. */
#define RESETS_MINIMUM 200
#define RESETS_PER_STREAM 2
/* The whole bucket is full again after this many steps. */
#define STEP_MS 25
#define STEPS_TO_FULL 200
/* In units of a small frame. */
#define CONTROL_MAXIMUM 4000
#define CONTROL_PER_SECOND 400
#define PING_COST 10
#define WINDOW_COST 2
#define LATE_RESET_COST 4

static const struct {
    const char *name;
    uint32_t cost;
    bool is_answer; /* credit pays for it */
} expenses[] = {
    [H2_EXPENSE_RESET] = {"reset", 1, false},
    [H2_EXPENSE_LATE_RESET] = {"late_reset", LATE_RESET_COST, true},
    [H2_EXPENSE_SETTINGS] = {"settings", 40, true},
    [H2_EXPENSE_PING] = {"ping", PING_COST, true},
    [H2_EXPENSE_EMPTY_DATA] = {"empty_data", 20, false},
    [H2_EXPENSE_PRIORITY] = {"priority", 4, false},
    [H2_EXPENSE_WINDOW_UPDATE] = {"window_update", WINDOW_COST, true},
    [H2_EXPENSE_UNKNOWN] = {"unknown_frame", 4, false},
    [H2_EXPENSE_STALE] = {"stale_frame", 10, false},
    [H2_EXPENSE_HEADER_LIST] = {"header_list", CONTROL_MAXIMUM + 1, false},
    [H2_EXPENSE_UNREADABLE] = {"unreadable", CONTROL_MAXIMUM + 1, false},
};

static const uint32_t credits[] = {
    [H2_OCCASION_REQUEST] = WINDOW_COST + LATE_RESET_COST,
    [H2_OCCASION_DATA_RECEIVED] = PING_COST + WINDOW_COST,
    /* Window for the stream and for the connection, given back in small pieces: a frame of 16 KiB in pieces of 4, and some more. */
    [H2_OCCASION_DATA_SENT] = PING_COST + 10 * WINDOW_COST,
};
_Static_assert(sizeof credits / sizeof credits[0] == H2_OCCASION_COUNT, "one for each");

const char *h2_expense_name(enum h2_expense expense)
{
    return expenses[expense].name;
}

void h2_budget_start(struct h2_budget *budget, uint32_t streams_maximum, uint64_t now_ms)
{
    uint32_t resets = streams_maximum * RESETS_PER_STREAM;
    resets = resets < RESETS_MINIMUM ? RESETS_MINIMUM : resets;
    *budget = (struct h2_budget){
        .refilled_ms = now_ms, .resets_maximum = resets, .resets_left = resets, .control_left = CONTROL_MAXIMUM};
}

static uint32_t refilled(uint32_t left, uint64_t steps, uint32_t a_step, uint32_t maximum)
{
    return steps > STEPS_TO_FULL || left + steps * a_step > maximum ? maximum : left + (uint32_t)steps * a_step;
}

/* In whole steps, so that frequent calls lose nothing to rounding. */
static void refill(struct h2_budget *budget, uint64_t now_ms)
{
    uint64_t steps = (now_ms - budget->refilled_ms) / STEP_MS;
    if (steps == 0)
        return;
    budget->refilled_ms += steps * STEP_MS;
    budget->resets_left = refilled(budget->resets_left, steps, budget->resets_maximum / STEPS_TO_FULL, budget->resets_maximum);
    budget->control_left = refilled(budget->control_left, steps, CONTROL_PER_SECOND * STEP_MS / 1000, CONTROL_MAXIMUM);
}

bool h2_budget_spend(struct h2_budget *budget, enum h2_expense expense, uint64_t now_ms)
{
    refill(budget, now_ms);
    uint32_t *left = expense == H2_EXPENSE_RESET ? &budget->resets_left : &budget->control_left;
    uint32_t cost = expenses[expense].cost;
    if (expenses[expense].is_answer) {
        uint32_t paid = budget->credit < cost ? (uint32_t)budget->credit : cost;
        budget->credit -= paid;
        cost -= paid;
    }
    if (*left < cost) {
        *left = 0;
        return false;
    }
    *left -= cost;
    return true;
}

void h2_budget_credit(struct h2_budget *budget, enum h2_occasion occasion)
{
    budget->credit += credits[occasion];
}
