#include "kernel/time.h"

#include <stdlib.h>

#include "kernel/memory.h"
#include "kernel/world.h"

/* A heap by (time, order of setting); places count from 1. */
static struct sim_timer **heap;
static size_t count;
static size_t capacity;
static uint64_t now_us;
static uint64_t orders;

uint64_t sim_now_us(void)
{
    return now_us;
}

void time_begin(void)
{
    count = 0;
    now_us = 0;
    orders = 0;
}

void time_end(void)
{
    world_free(heap);
    heap = NULL;
    count = capacity = 0;
}

void time_advance(uint64_t to_us)
{
    if (to_us > now_us)
        now_us = to_us;
}

static bool comes_before(const struct sim_timer *a, const struct sim_timer *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void put(struct sim_timer *timer, size_t place)
{
    heap[place - 1] = timer;
    timer->place = (int64_t)place;
}

static void rise(struct sim_timer *timer, size_t place)
{
    while (place > 1 && comes_before(timer, heap[place / 2 - 1])) {
        put(heap[place / 2 - 1], place);
        place /= 2;
    }
    put(timer, place);
}

static void sink(struct sim_timer *timer, size_t place)
{
    while (place * 2 <= count) {
        size_t child = place * 2;
        if (child < count && comes_before(heap[child], heap[child - 1]))
            child++;
        if (comes_before(timer, heap[child - 1]))
            break;
        put(heap[child - 1], place);
        place = child;
    }
    put(timer, place);
}

void sim_timer_init(struct sim_timer *timer, void (*on_time)(void *owner), void *owner)
{
    *timer = (struct sim_timer){.on_time = on_time, .owner = owner};
}

void sim_timer_set(struct sim_timer *timer, uint64_t at_us)
{
    sim_timer_clear(timer);
    if (count == capacity) {
        capacity = capacity == 0 ? 256 : capacity * 2;
        heap = world_realloc(heap, capacity * sizeof *heap);
        if (heap == NULL)
            abort();
    }
    timer->at_us = at_us < now_us ? now_us : at_us;
    timer->order = orders++;
    count++;
    rise(timer, count);
}

void sim_timer_in(struct sim_timer *timer, uint64_t delay_us)
{
    sim_timer_set(timer, now_us + delay_us);
}

void sim_timer_clear(struct sim_timer *timer)
{
    if (timer->place == 0)
        return;
    size_t place = (size_t)timer->place;
    struct sim_timer *last = heap[--count];
    timer->place = 0;
    if (last == timer)
        return;
    if (place > 1 && comes_before(last, heap[place / 2 - 1]))
        rise(last, place);
    else
        sink(last, place);
}

uint64_t time_of_next(void)
{
    return count == 0 ? UINT64_MAX : heap[0]->at_us;
}

bool time_step(void)
{
    if (count == 0 || heap[0]->at_us > now_us)
        return false;
    struct sim_timer *timer = heap[0];
    sim_timer_clear(timer);
    timer->on_time(timer->owner);
    return true;
}
