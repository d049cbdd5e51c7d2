#include "swarm/shrink.h"

#include <string.h>

#include "swarm/child.h"

static bool still_fails(const struct plan *plan, const char *rule)
{
    struct run_result result;
    return child_run(plan, false, true, &result) && strcmp(result.rule, rule) == 0;
}

/* Keeps the change in `smaller` if the run still fails. */
static bool try_it(struct plan *plan, const struct plan *smaller, const char *rule)
{
    if (!still_fails(smaller, rule))
        return false;
    *plan = *smaller;
    return true;
}

/* Halves at first, then single kinds: most of them have nothing to do with it. */
static void take_faults(struct plan *plan, const char *rule)
{
    for (unsigned step = FAULT_KIND_COUNT / 2; step > 0; step /= 2) {
        for (unsigned first = 0; first < FAULT_KIND_COUNT; first += step) {
            struct plan smaller = *plan;
            bool is_smaller = false;
            for (unsigned kind = first; kind < first + step && kind < FAULT_KIND_COUNT; kind++) {
                is_smaller = is_smaller || smaller.rate[kind] > 0;
                smaller.rate[kind] = 0;
            }
            if (is_smaller)
                try_it(plan, &smaller, rule);
        }
    }
}

static void take_numbers(struct plan *plan, const char *rule)
{
    for (bool goes_on = true; goes_on && plan->clients > 1;) {
        struct plan smaller = *plan;
        smaller.clients = plan->clients / 2;
        goes_on = try_it(plan, &smaller, rule);
    }
    for (bool goes_on = true; goes_on && plan->faulty_seconds > 1;) {
        struct plan smaller = *plan;
        smaller.faulty_seconds = plan->faulty_seconds / 2;
        goes_on = try_it(plan, &smaller, rule);
    }
    if (plan->workers > 1) {
        struct plan smaller = *plan;
        smaller.workers = 1;
        try_it(plan, &smaller, rule);
    }
}

void shrink(struct plan *plan, const char *rule)
{
    take_faults(plan, rule);
    take_numbers(plan, rule);
    take_faults(plan, rule);
}
