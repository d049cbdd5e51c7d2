#ifndef SLUICE_ROUTING_RETRY_BUDGET_H
#define SLUICE_ROUTING_RETRY_BUDGET_H
/*
 * How many repeats the whole process may make: when all nodes fail, each request must not become four. Each request brings a share of a token and
 * time brings some, too; a repeat that is not free (retry_is_free) takes one. Pure: time is an argument.
 */
#include <stdbool.h>
#include <stdint.h>

/* So much of what comes in is kept at most. */
#define RETRY_BUDGET_KEPT_S 10

struct retry_budget_rates {
    unsigned share_thousandths; /* of a token, for each request */
    unsigned floor;             /* tokens a second, whatever comes */
};

/* All zero is one that was never filled; it begins with what the floor brings in RETRY_BUDGET_KEPT_S. */
struct retry_budget {
    uint64_t balance;           /* thousandths of a token */
    uint64_t filled_ms;
    uint64_t window_ms;         /* when the present window of RETRY_BUDGET_KEPT_S began */
    uint64_t income[2];         /* by requests, thousandths: of the present window, and of the one before */
};

/* `requests` have come since the last call; `now_ms` does not go back (a little does no harm). */
void retry_budget_fill(struct retry_budget *budget, const struct retry_budget_rates *rates, uint64_t requests, uint64_t now_ms);
/* False when there is no token. */
bool retry_budget_take(struct retry_budget *budget);
/* When there will be a token though no request comes, in ms from the last fill: at least 1. */
uint64_t retry_budget_wait_ms(const struct retry_budget *budget, const struct retry_budget_rates *rates);

#endif
