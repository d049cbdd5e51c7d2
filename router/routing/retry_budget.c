#include "routing/retry_budget.h"

#define TOKEN 1000
#define WINDOW_MS (RETRY_BUDGET_KEPT_S * 1000)

/* What time brought is kept for RETRY_BUDGET_KEPT_S, and so is what requests brought, in the busier of two windows. */
static uint64_t maximum_of(const struct retry_budget *budget, const struct retry_budget_rates *rates)
{
    uint64_t by_requests = budget->income[0] > budget->income[1] ? budget->income[0] : budget->income[1];
    return (uint64_t)rates->floor * TOKEN * RETRY_BUDGET_KEPT_S + by_requests;
}

static void move_window(struct retry_budget *budget, uint64_t now_ms)
{
    uint64_t passed_ms = now_ms - budget->window_ms;
    if (passed_ms < WINDOW_MS)
        return;
    budget->income[1] = passed_ms < 2 * WINDOW_MS ? budget->income[0] : 0;
    budget->income[0] = 0;
    budget->window_ms = now_ms;
}

void retry_budget_fill(struct retry_budget *budget, const struct retry_budget_rates *rates, uint64_t requests, uint64_t now_ms)
{
    if (budget->filled_ms == 0) {
        budget->balance = (uint64_t)rates->floor * TOKEN * RETRY_BUDGET_KEPT_S;
        budget->filled_ms = budget->window_ms = now_ms;
    }
    if (now_ms > budget->filled_ms) {
        uint64_t passed_ms = now_ms - budget->filled_ms;
        /* A token a second is a thousandth of one each millisecond. */
        budget->balance += (passed_ms < WINDOW_MS ? passed_ms : WINDOW_MS) * rates->floor;
        budget->filled_ms = now_ms;
        move_window(budget, now_ms);
    }
    uint64_t brought = requests * rates->share_thousandths;
    budget->income[0] += brought;
    budget->balance += brought;
    uint64_t maximum = maximum_of(budget, rates);
    if (budget->balance > maximum)
        budget->balance = maximum;
}

bool retry_budget_take(struct retry_budget *budget)
{
    if (budget->balance < TOKEN)
        return false;
    budget->balance -= TOKEN;
    return true;
}

uint64_t retry_budget_wait_ms(const struct retry_budget *budget, const struct retry_budget_rates *rates)
{
    uint64_t missing = budget->balance < TOKEN ? TOKEN - budget->balance : 0;
    uint64_t wait_ms = rates->floor == 0 ? WINDOW_MS : (missing + rates->floor - 1) / rates->floor;
    return wait_ms == 0 ? 1 : wait_ms;
}
