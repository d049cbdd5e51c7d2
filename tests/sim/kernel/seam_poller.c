/* net/poller.h in the world: a loop waits for simulated sockets, posts and its alarm, and is told in an order that the seed draws. */
#include "net/poller.h"

#include <stdlib.h>

#include "kernel/descriptor.h"
#include "kernel/draw.h"
#include "kernel/fiber.h"
#include "kernel/poller.h"
#include "kernel/tcp.h"
#include "kernel/time.h"
#include "world/plan.h"

enum alarm_state { ALARM_OFF, ALARM_SET, ALARM_DUE };
/* IDLE: the loop runs, or has not begun. */
enum poller_state { POLLER_IDLE, POLLER_WAITING, POLLER_CALLING, POLLER_INTERRUPTED };

struct poller {
    enum poller_state state;
    enum alarm_state alarm_state;
    struct fiber *fiber;      /* of poller_wait */
    struct sim_timer alarm;
    struct list posts;
    int *queue;               /* descriptors to look at */
    size_t queued;
    size_t capacity;
    struct random_source draws;
    void (*on_alarm)(void *owner);
    void *owner;
};

static uint64_t poller_number;

static void wake(struct poller *poller)
{
    if (poller->state == POLLER_WAITING)
        fiber_wake(poller->fiber);
}

static void on_alarm_time(void *owner)
{
    struct poller *poller = owner;
    poller->alarm_state = ALARM_DUE;
    wake(poller);
}

struct poller *poller_create(void (*on_alarm)(void *owner), void *owner)
{
    struct poller *poller = calloc(1, sizeof *poller);
    if (poller == NULL)
        return NULL;
    poller->on_alarm = on_alarm;
    poller->owner = owner;
    poller->draws = draw_source_of(the_plan->seed, "poller", poller_number++);
    list_init(&poller->posts);
    sim_timer_init(&poller->alarm, on_alarm_time, poller);
    return poller;
}

void poller_destroy(struct poller *poller)
{
    if (poller == NULL)
        return;
    sim_timer_clear(&poller->alarm);
    free(poller->queue);
    free(poller);
}

void poller_interrupt(struct poller *poller)
{
    if (poller->state == POLLER_CALLING)
        poller->state = POLLER_INTERRUPTED;
}

void poller_set_alarm(struct poller *poller, uint64_t delay_ms)
{
    poller->alarm_state = ALARM_SET;
    sim_timer_in(&poller->alarm, delay_ms * SIM_MS);
}

struct event_base *poller_base(struct poller *poller)
{
    (void)poller;
    return NULL;
}

/* ---- posts ---- */

void post_init(struct post *post, struct poller *poller, void (*run)(void *owner), void *owner)
{
    list_node_init(&post->node);
    post->poller = poller;
    post->run = run;
    post->owner = owner;
}

void post_send(struct post *post)
{
    if (list_node_is_linked(&post->node))
        return;
    list_append(&post->poller->posts, &post->node);
    wake(post->poller);
}

void post_cancel(struct post *post)
{
    list_remove(&post->poller->posts, &post->node);
}

/* ---- watches ---- */

static struct poller *poller_of(const struct watch *watch)
{
    return (struct poller *)(void *)watch->event.ev_base;
}

void watch_init(struct watch *watch, struct poller *poller, int fd, enum watch_kind kind, watch_callback *callback, void *owner)
{
    watch->event.ev_base = (struct event_base *)(void *)poller;
    watch->event.ev_fd = fd;
    watch->event.ev_events = (short)kind;
    watch->event.ev_evcallback.evcb_cb_union.evcb_callback = callback;
    watch->event.ev_evcallback.evcb_arg = owner;
}

static struct watch **slot_of(struct watch *watch)
{
    struct descriptor *descriptor = descriptor_of(watch->event.ev_fd);
    if (descriptor == NULL)
        return NULL;
    return watch->event.ev_events == WATCH_READABLE ? &descriptor->readable : &descriptor->writable;
}

bool watch_add(struct watch *watch)
{
    struct watch **slot = slot_of(watch);
    if (slot == NULL)
        return false;
    *slot = watch;
    poller_look_at(watch->event.ev_fd);
    return true;
}

void watch_remove(struct watch *watch)
{
    struct watch **slot = slot_of(watch);
    if (slot != NULL && *slot == watch)
        *slot = NULL;
}

/* ---- ends ---- */

void end_watch_init(struct end_watch *watch, struct poller *poller, int fd, void (*callback)(void *owner, bool is_reset), void *owner)
{
    *watch = (struct end_watch){.poller = poller, .fd = fd, .callback = callback, .owner = owner};
}

void end_watch_add(struct end_watch *watch, bool is_end_known)
{
    struct descriptor *descriptor = descriptor_of(watch->fd);
    if (descriptor == NULL || watch->state == END_WATCH_ADDED)
        return;
    watch->state = END_WATCH_ADDED;
    descriptor->ended = watch;
    descriptor->is_end_known = is_end_known;
    poller_look_at(watch->fd);
}

void end_watch_remove(struct end_watch *watch)
{
    struct descriptor *descriptor = descriptor_of(watch->fd);
    watch->state = END_WATCH_NEW;
    if (descriptor != NULL && descriptor->ended == watch)
        descriptor->ended = NULL;
}

static bool has_end(const struct descriptor *descriptor)
{
    return descriptor->ended != NULL && (tcp_is_reset(descriptor->socket) || (!descriptor->is_end_known && tcp_has_ended(descriptor->socket)));
}

static void call_end(struct poller *poller, int fd)
{
    struct descriptor *descriptor = descriptor_of(fd);
    if (descriptor == NULL || descriptor->socket == NULL || !has_end(descriptor) || descriptor->ended->poller != poller)
        return;
    struct end_watch *watch = descriptor->ended;
    descriptor->ended = NULL;
    watch->state = END_WATCH_TOLD;
    watch->callback(watch->owner, tcp_is_reset(descriptor->socket));
}

/* ---- what is ready ---- */

static bool is_ready(const struct descriptor *descriptor)
{
    return descriptor->socket != NULL && (has_end(descriptor) || (descriptor->readable != NULL && tcp_is_readable(descriptor->socket)) ||
                                          (descriptor->writable != NULL && tcp_is_writable(descriptor->socket)));
}

void poller_look_at(int fd)
{
    struct descriptor *descriptor = descriptor_of(fd);
    if (descriptor == NULL || descriptor->state == DESCRIPTOR_QUEUED || !is_ready(descriptor))
        return;
    const struct watch *watch = descriptor->readable != NULL ? descriptor->readable : descriptor->writable;
    struct poller *poller = watch != NULL ? poller_of(watch) : descriptor->ended->poller;
    if (poller->queued == poller->capacity) {
        poller->capacity = poller->capacity == 0 ? 64 : poller->capacity * 2;
        poller->queue = realloc(poller->queue, poller->capacity * sizeof *poller->queue);
        if (poller->queue == NULL)
            abort();
    }
    poller->queue[poller->queued++] = fd;
    descriptor->state = DESCRIPTOR_QUEUED;
    wake(poller);
}

static void call(struct watch *watch)
{
    watch->event.ev_evcallback.evcb_cb_union.evcb_callback(watch->event.ev_fd, 0, watch->event.ev_evcallback.evcb_arg);
}

/* The number may have been closed and given to another thread since it was queued. */
static bool is_for(const struct poller *poller, const struct watch *watch)
{
    return watch != NULL && poller_of(watch) == poller;
}

/* Reading before writing or after it, as the seed wants. */
static void call_for(struct poller *poller, int fd)
{
    struct descriptor *descriptor = descriptor_of(fd);
    if (descriptor == NULL)
        return;
    descriptor->state = DESCRIPTOR_OPEN;
    unsigned first = (unsigned)draw_below(&poller->draws, 2);
    for (unsigned i = 0; i < 2; i++) {
        descriptor = descriptor_of(fd);
        if (descriptor == NULL || descriptor->socket == NULL)
            return;
        if (i == first && is_for(poller, descriptor->readable) && tcp_is_readable(descriptor->socket)) {
            call(descriptor->readable);
        } else if (i != first && is_for(poller, descriptor->writable) && tcp_is_writable(descriptor->socket)) {
            struct watch *watch = descriptor->writable;
            descriptor->writable = NULL;
            call(watch);
        }
    }
    call_end(poller, fd);
    poller_look_at(fd);
}

static void call_alarm(struct poller *poller)
{
    if (poller->alarm_state != ALARM_DUE)
        return;
    poller->alarm_state = ALARM_OFF;
    poller->on_alarm(poller->owner);
}

static void call_posts(struct poller *poller)
{
    for (size_t left = poller->posts.count; left > 0 && poller->posts.count > 0; left--) {
        struct post *post = LIST_OWNER(list_take_first(&poller->posts), struct post, node);
        post->run(post->owner);
    }
}

bool poller_wait(struct poller *poller, bool may_wait)
{
    poller->fiber = fiber_now();
    poller->state = POLLER_WAITING;
    bool has_news = poller->queued > 0 || poller->posts.count > 0 || poller->alarm_state == ALARM_DUE;
    if (has_news || !may_wait)
        fiber_yield();
    else
        fiber_wait();
    poller->state = POLLER_CALLING;
    /* Others may be queued while these are called. */
    size_t count = poller->queued;
    size_t alarm_place = draw_below(&poller->draws, count + 1);
    size_t posts_place = draw_below(&poller->draws, count + 1);
    for (size_t i = 0; i <= count && poller->state == POLLER_CALLING; i++) {
        if (i == alarm_place)
            call_alarm(poller);
        if (i == posts_place && poller->state == POLLER_CALLING)
            call_posts(poller);
        if (i == count || poller->state != POLLER_CALLING)
            break;
        size_t chosen = draw_below(&poller->draws, count - i);
        int fd = poller->queue[chosen];
        /* The last of these takes its place, and the last of all that one's. */
        poller->queue[chosen] = poller->queue[count - i - 1];
        poller->queue[count - i - 1] = poller->queue[--poller->queued];
        call_for(poller, fd);
    }
    poller->state = POLLER_IDLE;
    return true;
}
