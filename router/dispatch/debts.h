#ifndef SLUICE_DISPATCH_DEBTS_H
#define SLUICE_DISPATCH_DEBTS_H
/*
 * Failing is not cheaper than working: who fails at once looks idle, and would get all the work. So a failed attempt goes on counting as load of its
 * node for about as long as a good answer takes, there or on the nodes beside it. A worker keeps a bounded number of these; beyond it the oldest is
 * forgiven.
 */
#include <stddef.h>
#include <stdint.h>

#include "net/loop.h"
#include "upstream/standings.h"

struct epoch;

#define DEBTS_MAXIMUM 1024

struct debt {
    struct roster_node *node; /* owned reference */
    uint64_t until_ms;
};

/* How long good answers take in a class, looked up now and then. */
struct debt_price {
    uint64_t until_ms;        /* as long as it holds */
    unsigned took_ms;
};

/* Of one worker. */
struct debts {
    struct loop *loop;
    struct loop_timer timer;  /* the first of them is over */
    size_t count;
    struct debt heap[DEBTS_MAXIMUM]; /* binary, by until_ms */
    struct debt_price prices[REQUEST_CLASS_COUNT];
};

void debts_init(struct debts *debts, struct loop *loop);
/* All are forgiven. */
void debts_clear(struct debts *debts);
/* The node goes on having one request more until then. */
void debts_add_until(struct debts *debts, struct roster_node *node, uint64_t until_ms);
/* The attempt has failed. */
void debts_add(struct debts *debts, const struct standings_attempt *attempt, const struct epoch *epoch);

#endif
