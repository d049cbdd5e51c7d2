#include "http/h2_budget.h"

/* A page with many panels that is closed cancels all of its queries at once; then again a moment later. */
#define RESETS_MAXIMUM 200
#define RESETS_PER_SECOND 40
/* In units of a small frame. */
#define CONTROL_MAXIMUM 4000
#define CONTROL_PER_SECOND 400
/* A client may give window for each frame twice (stream and connection) and measure the path with a ping. */
#define CREDIT_PER_DATA 10

static const struct {
    const char *name;
    uint32_t cost;
} expenses[] = {
    [H2_EXPENSE_RESET] = {"reset", 1},
    [H2_EXPENSE_SETTINGS] = {"settings", 40},
    [H2_EXPENSE_PING] = {"ping", 10},
    [H2_EXPENSE_EMPTY_DATA] = {"empty_data", 20},
    [H2_EXPENSE_PRIORITY] = {"priority", 4},
    [H2_EXPENSE_WINDOW_UPDATE] = {"window_update", 2},
    [H2_EXPENSE_UNKNOWN] = {"unknown_frame", 4},
    [H2_EXPENSE_STALE] = {"stale_frame", 10},
    [H2_EXPENSE_HEADER_LIST] = {"header_list", CONTROL_MAXIMUM + 1},
    [H2_EXPENSE_UNREADABLE] = {"unreadable", CONTROL_MAXIMUM + 1},
};

const char *h2_expense_name(enum h2_expense expense)
{
    return expenses[expense].name;
}

void h2_budget_start(struct h2_budget *budget, uint64_t now_ms)
{
    *budget = (struct h2_budget){
        .refilled_ms = now_ms, .resets_left = RESETS_MAXIMUM, .control_left = CONTROL_MAXIMUM};
}

static uint32_t refilled(uint32_t left, uint64_t more, uint32_t maximum)
{
    return left + more > maximum ? maximum : left + (uint32_t)more;
}

/* In whole steps of the slower bucket's token, so that frequent calls lose nothing to rounding. */
static void refill(struct h2_budget *budget, uint64_t now_ms)
{
    const uint64_t step_ms = 1000 / RESETS_PER_SECOND;
    uint64_t steps = (now_ms - budget->refilled_ms) / step_ms;
    if (steps == 0)
        return;
    budget->refilled_ms += steps * step_ms;
    budget->resets_left = refilled(budget->resets_left, steps, RESETS_MAXIMUM);
    budget->control_left =
        refilled(budget->control_left, steps * CONTROL_PER_SECOND / RESETS_PER_SECOND, CONTROL_MAXIMUM);
}

bool h2_budget_spend(struct h2_budget *budget, enum h2_expense expense, uint64_t now_ms)
{
    refill(budget, now_ms);
    uint32_t *left = expense == H2_EXPENSE_RESET ? &budget->resets_left : &budget->control_left;
    if (*left < expenses[expense].cost) {
        *left = 0;
        return false;
    }
    *left -= expenses[expense].cost;
    return true;
}

void h2_budget_credit_data(struct h2_budget *budget)
{
    budget->control_left = refilled(budget->control_left, CREDIT_PER_DATA, CONTROL_MAXIMUM);
}
