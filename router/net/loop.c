#include "net/loop.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/slab.h"
#include "net/poller.h"

#define SLOTS 512
#define WORDS (SLOTS / 64)
/* A tick that is later than this was not just busy. */
#define LATE_MS 50
/* Room in the grave from the start. */
#define GRAVE_FIRST 256

struct grave_entry {
    void *object;
    void (*destroy)(void *object);
};

struct loop {
    struct poller *poller;         /* its alarm wakes the loop for the next occupied slot of the wheel */
    struct slab *slab;
    struct memory_account *account; /* ref, or NULL */
    uint64_t now_ms;
    uint64_t turn_number;
    uint64_t tick_armed_ms;        /* when the alarm comes; 0: not armed */
    uint64_t wheel_done;           /* ticks up to and including this one have been looked at */
    struct list_node slots[SLOTS]; /* heads of rings of timers, by tick % SLOTS; those of a later round stay */
    uint64_t occupied[WORDS];      /* one bit per slot that may hold timers */
    struct list tasks;
    struct list turn_end_tasks;
    struct list slices[2];         /* tasks of loop_post_next_turn: those that are due, and those that came since */
    unsigned due;                  /* which of them is due */
    uint64_t slice_ends_us;        /* by the thread's CPU time */
    bool sockets_first;            /* a tick came much too late: it was put off once */
    unsigned depth;                /* nested loop_enter calls; tasks run when the outermost leaves */
    bool stopping;
    struct grave_entry *grave;
    size_t grave_count;
    size_t grave_capacity;
    char scratch[LOOP_SCRATCH_BYTES];
    char raw[LOOP_RAW_BYTES];
};

static void on_tick(void *owner);

/* While half of the room is left, so that a moment without memory costs nothing. */
static bool widen_grave(struct loop *loop)
{
    size_t capacity = loop->grave_capacity == 0 ? GRAVE_FIRST : loop->grave_capacity * 2;
    struct grave_entry *grave = realloc(loop->grave, capacity * sizeof *grave);
    if (grave == NULL)
        return false;
    loop->grave = grave;
    loop->grave_capacity = capacity;
    return true;
}

struct loop *loop_create(void)
{
    struct loop *loop = calloc(1, sizeof *loop);
    if (loop == NULL)
        return NULL;
    for (size_t i = 0; i < SLOTS; i++)
        list_node_init(&loop->slots[i]);
    list_init(&loop->tasks);
    list_init(&loop->turn_end_tasks);
    list_init(&loop->slices[0]);
    list_init(&loop->slices[1]);
    loop->poller = poller_create(on_tick, loop);
    loop->slab = slab_create();
    if (loop->poller == NULL || loop->slab == NULL || !widen_grave(loop)) {
        loop_destroy(loop);
        return NULL;
    }
    loop->now_ms = clock_monotonic_ms();
    loop->wheel_done = loop->now_ms / LOOP_TICK_MS;
    return loop;
}

static void empty_grave(struct loop *loop)
{
    /* A destructor may bury more; the index walks on until nothing new came. */
    for (size_t i = 0; i < loop->grave_count; i++) {
        struct grave_entry entry = loop->grave[i];
        entry.destroy(entry.object);
    }
    loop->grave_count = 0;
}

void loop_destroy(struct loop *loop)
{
    if (loop == NULL)
        return;
    empty_grave(loop);
    poller_destroy(loop->poller);
    slab_destroy(loop->slab);
    free(loop->grave);
    free(loop);
}

void loop_set_account(struct loop *loop, struct memory_account *account)
{
    loop->account = account;
    slab_count_in(loop->slab, account);
}

struct memory_account *loop_account(const struct loop *loop)
{
    return loop->account;
}

struct slab *loop_slab(struct loop *loop)
{
    return loop->slab;
}

struct poller *loop_poller(struct loop *loop)
{
    return loop->poller;
}

/* As an event of its own, so that what it writes is flushed behind it. */
static void run_as_event(struct loop *loop, struct list_node *node)
{
    struct loop_task *task = LIST_OWNER(node, struct loop_task, node);
    loop_enter(loop);
    task->run(task->owner);
    loop_leave(loop);
}

static void run_turn_end_tasks(struct loop *loop)
{
    struct list_node *node;
    while ((node = list_take_first(&loop->turn_end_tasks)) != NULL)
        run_as_event(loop, node);
}

/* True when some are to run after the next look at the sockets. Those that did not get their slice in the last turn go before later ones. */
static bool make_slices_due(struct loop *loop)
{
    if (loop->slices[loop->due].count == 0)
        loop->due ^= 1;
    return loop->slices[loop->due].count > 0;
}

static void run_slices(struct loop *loop)
{
    struct list *due = &loop->slices[loop->due];
    loop->slice_ends_us = clock_thread_cpu_us() + LOOP_SLICE_US;
    do {
        run_as_event(loop, list_take_first(due));
    } while (due->count > 0 && !loop_slice_is_over(loop));
}

bool loop_turn(struct loop *loop, bool may_wait)
{
    loop->turn_number++;
    /* What was asked for between two turns must not wait for the next event. */
    run_turn_end_tasks(loop);
    bool has_slices = make_slices_due(loop);
    may_wait = may_wait && !has_slices;
    bool has_events = poller_wait(loop->poller, may_wait);
    /* An event may have called them off. */
    if (has_slices && loop->slices[loop->due].count > 0)
        run_slices(loop);
    run_turn_end_tasks(loop);
    empty_grave(loop);
    return has_events || has_slices;
}

void loop_run(struct loop *loop)
{
    while (!loop->stopping && loop_turn(loop, true))
        ;
}

void loop_stop(struct loop *loop)
{
    loop->stopping = true;
    poller_interrupt(loop->poller);
}

uint64_t loop_turn_number(const struct loop *loop)
{
    return loop->turn_number;
}

uint64_t loop_now_ms(const struct loop *loop)
{
    return loop->now_ms;
}

void loop_enter(struct loop *loop)
{
    if (loop->depth++ == 0)
        loop->now_ms = clock_monotonic_ms();
}

void loop_leave(struct loop *loop)
{
    if (loop->depth == 1) {
        struct list_node *node;
        while ((node = list_take_first(&loop->tasks)) != NULL) {
            struct loop_task *task = LIST_OWNER(node, struct loop_task, node);
            task->run(task->owner);
        }
    }
    loop->depth--;
}

void loop_task_init(struct loop_task *task, void (*run)(void *owner), void *owner)
{
    list_node_init(&task->node);
    task->queue = NULL;
    task->run = run;
    task->owner = owner;
}

static inline void put_into(struct list *queue, struct loop_task *task)
{
    if (list_node_is_linked(&task->node))
        return;
    task->queue = queue;
    list_append(queue, &task->node);
}

void loop_defer(struct loop *loop, struct loop_task *task)
{
    put_into(&loop->tasks, task);
}

void loop_defer_to_turn_end(struct loop *loop, struct loop_task *task)
{
    put_into(&loop->turn_end_tasks, task);
}

void loop_post_next_turn(struct loop *loop, struct loop_task *task)
{
    put_into(&loop->slices[loop->due ^ 1], task);
}

bool loop_slice_is_over(const struct loop *loop)
{
    return clock_thread_cpu_us() >= loop->slice_ends_us;
}

void loop_task_cancel(struct loop *loop, struct loop_task *task)
{
    (void)loop;
    list_remove(task->queue, &task->node);
}

void loop_timer_init(struct loop_timer *timer, void (*on_deadline)(void *owner), void *owner)
{
    list_node_init(&timer->node);
    timer->deadline_ms = 0;
    timer->on_deadline = on_deadline;
    timer->owner = owner;
}

/* The wheel's rings need no count, so a timer can leave without knowing which slot it is in. */
static void ring_join(struct list_node *head, struct list_node *node)
{
    node->next = head;
    node->previous = head->previous;
    head->previous->next = node;
    head->previous = node;
}

static void ring_leave(struct list_node *node)
{
    node->previous->next = node->next;
    node->next->previous = node->previous;
    list_node_init(node);
}

/* The tick after which a deadline has passed. */
static uint64_t tick_of(uint64_t deadline_ms)
{
    return deadline_ms / LOOP_TICK_MS + 1;
}

static void arm_tick(struct loop *loop, uint64_t at_ms)
{
    if (loop->tick_armed_ms != 0 && loop->tick_armed_ms <= at_ms)
        return;
    poller_set_alarm(loop->poller, at_ms > loop->now_ms ? at_ms - loop->now_ms : 0);
    loop->tick_armed_ms = at_ms;
}

void loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t deadline_ms)
{
    loop_timer_clear(loop, timer);
    timer->deadline_ms = deadline_ms;
    uint64_t tick = tick_of(deadline_ms);
    if (tick <= loop->wheel_done)
        tick = loop->wheel_done + 1;
    size_t slot = tick % SLOTS;
    ring_join(&loop->slots[slot], &timer->node);
    loop->occupied[slot / 64] |= UINT64_C(1) << slot % 64;
    /* A deadline of a later round still needs a look in this one, because the slot comes by before. */
    uint64_t visit = tick - loop->wheel_done > SLOTS ? loop->wheel_done + SLOTS : tick;
    arm_tick(loop, visit * LOOP_TICK_MS);
}

void loop_timer_clear(struct loop *loop, struct loop_timer *timer)
{
    (void)loop;
    ring_leave(&timer->node);
}

static void fire_slot(struct loop *loop, size_t slot, uint64_t tick)
{
    struct list_node due;
    list_node_init(&due);
    struct list_node *head = &loop->slots[slot];
    for (struct list_node *node = head->next; node != head;) {
        struct loop_timer *timer = LIST_OWNER(node, struct loop_timer, node);
        node = node->next;
        if (tick_of(timer->deadline_ms) > tick)
            continue;
        ring_leave(&timer->node);
        ring_join(&due, &timer->node);
    }
    if (head->next == head)
        loop->occupied[slot / 64] &= ~(UINT64_C(1) << slot % 64);
    /* One timer's callback may clear another that is due: it then leaves this list by itself. */
    while (due.next != &due) {
        struct loop_timer *timer = LIST_OWNER(due.next, struct loop_timer, node);
        ring_leave(&timer->node);
        timer->on_deadline(timer->owner);
    }
}

/* Arms the tick for the next slot that holds timers; a slot whose timers were all cleared costs one idle wake. */
static void arm_next(struct loop *loop)
{
    loop->tick_armed_ms = 0;
    for (uint64_t ahead = 1; ahead <= SLOTS; ahead++) {
        size_t slot = (loop->wheel_done + ahead) % SLOTS;
        if (slot % 64 == 0 && loop->occupied[slot / 64] == 0) {
            ahead += 63;
            continue;
        }
        if ((loop->occupied[slot / 64] >> slot % 64 & 1) != 0) {
            arm_tick(loop, (loop->wheel_done + ahead) * LOOP_TICK_MS);
            return;
        }
    }
}

/*
 * After a suspension (SIGSTOP, a frozen machine) the alarm comes before libevent has looked at the sockets: deadlines would fire for
 * answers that have long arrived. One round of sockets goes first. True when the tick was put off.
 */
static bool put_off(struct loop *loop)
{
    bool is_late = loop->now_ms > loop->tick_armed_ms + LATE_MS;
    loop->sockets_first = is_late && !loop->sockets_first;
    if (!loop->sockets_first)
        return false;
    loop->tick_armed_ms = 0;
    arm_tick(loop, loop->now_ms + LOOP_TICK_MS);
    return true;
}

static void on_tick(void *owner)
{
    struct loop *loop = owner;
    loop_enter(loop);
    if (put_off(loop)) {
        loop_leave(loop);
        return;
    }
    uint64_t now_tick = loop->now_ms / LOOP_TICK_MS;
    /* After a pause (a suspended machine) one round over all slots finds everything that is due. */
    if (now_tick > loop->wheel_done + SLOTS)
        loop->wheel_done = now_tick - SLOTS;
    while (loop->wheel_done < now_tick) {
        loop->wheel_done++;
        size_t slot = loop->wheel_done % SLOTS;
        if ((loop->occupied[slot / 64] >> slot % 64 & 1) != 0)
            fire_slot(loop, slot, now_tick);
    }
    arm_next(loop);
    loop_leave(loop);
}

void loop_bury(struct loop *loop, void *object, void (*destroy)(void *object))
{
    if (loop->grave_count >= loop->grave_capacity / 2)
        widen_grave(loop);
    if (loop->grave_count < loop->grave_capacity)
        loop->grave[loop->grave_count++] = (struct grave_entry){object, destroy};
}

char *loop_scratch(struct loop *loop)
{
    return loop->scratch;
}

char *loop_raw(struct loop *loop)
{
    return loop->raw;
}
