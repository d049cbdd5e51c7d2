#ifndef SLUICE_DISPATCH_REPEATS_H
#define SLUICE_DISPATCH_REPEATS_H
/*
 * One worker's part in the budget of repeats (routing/retry_budget.h), which the roster keeps for the whole process. Who finds no token waits for
 * one, first come, first served; how long is its own business.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "net/loop.h"
#include "routing/retry_budget.h"

struct metrics;
struct roster;

/* Of one worker. */
struct repeats {
    struct loop *loop;
    struct roster *roster;         /* ref */
    struct metrics *metrics;       /* ref */
    struct list waiting;           /* of struct repeat_ticket */
    struct loop_timer timer;       /* when there may be a token for the first of them */
    struct retry_budget_rates rates; /* those in force when somebody asked last */
    unsigned uncounted;            /* requests that the budget has not heard of yet */
};

/* Embedded in whoever repeats; zero it before first use. */
struct repeat_ticket {
    struct list_node node;
    struct repeats *waits_in;      /* NULL: it does not wait */
    void (*on_token)(void *owner);
    void *owner;
};

void repeats_init(struct repeats *repeats, struct loop *loop, struct roster *roster, struct metrics *metrics);
/* Nobody may wait. */
void repeats_clear(struct repeats *repeats);

/* One more request has come. */
void repeats_count_request(struct repeats *repeats);
/* A token was taken; nobody waits for one, and who waits already comes first. */
bool repeats_try(struct repeats *repeats, const struct retry_budget_rates *rates);
/* True: a token was taken. False: the ticket waits, and on_token comes later, from the loop, unless repeats_cancel. */
bool repeats_take(struct repeats *repeats, struct repeat_ticket *ticket, const struct retry_budget_rates *rates);
/* Harmless when it does not wait. */
void repeats_cancel(struct repeat_ticket *ticket);

#endif
