#ifndef SLUICE_SIM_KERNEL_TIME_H
#define SLUICE_SIM_KERNEL_TIME_H
/*
 * The world's clock and what happens in it. Time stands still while code runs and jumps to the next event when nobody has anything to do. Events of
 * the same moment happen in the order in which they were set. There is one world in a process.
 */
#include <stdbool.h>
#include <stdint.h>

#define SIM_MS UINT64_C(1000)
#define SIM_S UINT64_C(1000000)

/* Owned by whoever sets it; zero it or call sim_timer_init before its first use. */
struct sim_timer {
    uint64_t at_us;
    uint64_t order;
    int64_t place; /* in the heap, from 1; 0: not set */
    void (*on_time)(void *owner);
    void *owner;
};

/* Microseconds since the world began. */
uint64_t sim_now_us(void);

void sim_timer_init(struct sim_timer *timer, void (*on_time)(void *owner), void *owner);
/* Happens once at `at_us`, or at once when that is past; a timer that is set is moved. Never from inside of this call. */
void sim_timer_set(struct sim_timer *timer, uint64_t at_us);
void sim_timer_in(struct sim_timer *timer, uint64_t delay_us);
void sim_timer_clear(struct sim_timer *timer);
static inline bool sim_timer_is_set(const struct sim_timer *timer)
{
    return timer->place > 0;
}

#endif
