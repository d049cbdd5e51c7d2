#include "world/plan.h"

#include <stddef.h>

#include "kernel/time.h"

const struct plan *the_plan;

const char *fault_kind_word(enum fault_kind kind)
{
#define FAULT_KIND_WORD(name, word) word,
    static const char *const words[FAULT_KIND_COUNT] = {FAULT_KINDS(FAULT_KIND_WORD)};
    return (unsigned)kind < FAULT_KIND_COUNT ? words[kind] : "unknown";
}

bool plan_is_quiet(const struct plan *plan)
{
    return sim_now_us() >= (uint64_t)plan->faulty_seconds * SIM_S;
}

uint32_t plan_rate(const struct plan *plan, enum fault_kind kind)
{
    /* That bytes come in small pieces is no fault: it may be so for ever. */
    return plan_is_quiet(plan) && kind != FAULT_KIND_NET_SMALL_PIECES ? 0 : plan->rate[kind];
}

bool plan_is_sick(const struct plan *plan, unsigned node)
{
    return plan->fixed.sick == node + 1;
}

unsigned plan_memory_mib(const struct plan *plan)
{
    return plan->seed % 4 == 2 ? 32 + 8 * plan->workers : 0;
}
