#ifndef SLUICE_UPSTREAM_LINK_BUDGET_H
#define SLUICE_UPSTREAM_LINK_BUDGET_H
/*
 * Connections to nodes, of all workers: as many as the process has descriptors for beside its clients' connections and the reserve (accepting,
 * probes, admin, files). Who finds none left waits, as for a busy link. Lock-free; from any thread.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct link_budget {
    atomic_size_t open;
    atomic_size_t maximum; /* 0: as many as anybody wants */
};

static inline bool link_budget_take(struct link_budget *budget)
{
    size_t maximum = atomic_load_explicit(&budget->maximum, memory_order_relaxed);
    size_t before = atomic_fetch_add_explicit(&budget->open, 1, memory_order_relaxed);
    if (maximum == 0 || before < maximum)
        return true;
    atomic_fetch_sub_explicit(&budget->open, 1, memory_order_relaxed);
    return false;
}

/* What is kept for whoever has few links: a quarter of all. */
static inline size_t link_budget_reserve(const struct link_budget *budget)
{
    return atomic_load_explicit(&budget->maximum, memory_order_relaxed) / 4;
}

/* Is more than that left, so that anybody may take a link? */
static inline bool link_budget_is_ample(const struct link_budget *budget)
{
    size_t maximum = atomic_load_explicit(&budget->maximum, memory_order_relaxed);
    return maximum == 0 || atomic_load_explicit(&budget->open, memory_order_relaxed) + link_budget_reserve(budget) < maximum;
}

static inline void link_budget_give(struct link_budget *budget)
{
    atomic_fetch_sub_explicit(&budget->open, 1, memory_order_relaxed);
}

#endif
