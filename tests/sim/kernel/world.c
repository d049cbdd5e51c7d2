#include "kernel/world.h"

#include <stddef.h>

#include "kernel/descriptor.h"
#include "kernel/moves.h"
#include "kernel/time.h"
#include "world/plan.h"

static uint64_t fingerprint;

void world_begin(const struct plan *plan)
{
    the_plan = plan;
    fingerprint = plan->seed;
    time_begin();
    tcp_begin(plan);
    names_begin(plan);
    files_begin();
    moves_begin();
    descriptors_begin(plan);
    memory_begin(plan);
    tls_begin(plan);
    fibers_begin(plan);
}

void world_end(void)
{
    fibers_end();
    names_end();
    files_end();
    tcp_end();
    time_end();
}

uint64_t world_fingerprint(void)
{
    return fingerprint;
}

void world_note(uint64_t word)
{
    fingerprint = (fingerprint ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    fingerprint ^= fingerprint >> 29;
}

bool world_run_until(bool (*is_over)(void *owner), void *owner, uint64_t end_us)
{
    while (!is_over(owner)) {
        if (time_step()) {
            tcp_collect();
            continue;
        }
        if (fibers_step()) {
            world_note(sim_now_us());
            tcp_collect();
            continue;
        }
        uint64_t next_us = time_of_next();
        uint64_t fibers_us = fibers_next();
        next_us = fibers_us < next_us ? fibers_us : next_us;
        if (next_us > end_us) {
            time_advance(end_us);
            return false;
        }
        time_advance(next_us);
    }
    return true;
}

static bool never(void *owner)
{
    (void)owner;
    return false;
}

void world_run(uint64_t end_us)
{
    world_run_until(never, NULL, end_us);
}
