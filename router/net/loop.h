#ifndef SLUICE_NET_LOOP_H
#define SLUICE_NET_LOOP_H
/*
 * One thread's event loop: a poller (libevent) underneath, and on top of it the three things that keep callbacks safe.
 *
 *   tasks   work that a command postpones, so that it never calls back before it returns. A task runs at the end of the event
 *           that is being handled (loop_leave), outside of any caller.
 *           loop_defer_to_turn_end waits longer, until every event of the turn has been handled: what many events add to is then done
 *           once for all of them (one write for the streams of a link).
 *           loop_post_next_turn is for work that would hold the loop: it is done in slices, with a look at the sockets between them.
 *   timers  deadlines in a wheel: setting and clearing one is a few pointer writes and never a system call. They fire up to one
 *           tick (LOOP_TICK_MS) late, never early.
 *   grave   objects that died during this turn. They are destroyed after the turn, because the poller may still hold a watch
 *           of theirs; until then their entry points must return at once.
 *
 * Every callback from the poller brackets its work with loop_enter and loop_leave. All calls come from the loop's own thread,
 * except loop_wake.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

struct loop;
struct memory_account;
struct poller;
struct slab;

#define LOOP_TICK_MS 16
/* CPU time that long work may take between two looks at the sockets. */
#define LOOP_SLICE_US 2000
/* The size of the buffer that all reads of a loop share. */
#define LOOP_SCRATCH_BYTES 65536
/* The same for bytes that TLS has yet to decrypt; with one record (16 KiB) that was incomplete before, they still fit into the scratch. */
#define LOOP_RAW_BYTES 49152

struct loop_task {
    struct list_node node;
    struct list *queue; /* ref: the loop's list that it was put into last */
    void (*run)(void *owner);
    void *owner;
};

struct loop_timer {
    struct list_node node;
    uint64_t deadline_ms;
    void (*on_deadline)(void *owner);
    void *owner;
};

/* NULL when libevent or memory fails. */
struct loop *loop_create(void);
/* Destroys what is in the grave; timers and tasks are forgotten. NULL is allowed. */
void loop_destroy(struct loop *loop);

/* For whoever watches a descriptor in this loop. */
struct poller *loop_poller(struct loop *loop);

/* One turn: dispatches what is ready (waiting for it if it may), then empties the grave. False when nothing can ever happen. */
bool loop_turn(struct loop *loop, bool may_wait);
/* Turns until loop_stop. */
void loop_run(struct loop *loop);
/* Makes loop_run return after the present turn. */
void loop_stop(struct loop *loop);

/* Counts the turns: what became readable in the same turn in which something was sent was there before. */
uint64_t loop_turn_number(const struct loop *loop);

/* Milliseconds of the monotonic clock, as of the last loop_enter. */
uint64_t loop_now_ms(const struct loop *loop);

void loop_enter(struct loop *loop);
void loop_leave(struct loop *loop);

void loop_task_init(struct loop_task *task, void (*run)(void *owner), void *owner);
/* Queues the task once; a task that is queued stays where it is. */
void loop_defer(struct loop *loop, struct loop_task *task);
/* The same, once the turn's events are over. */
void loop_defer_to_turn_end(struct loop *loop, struct loop_task *task);
/*
 * Runs the task after the loop has looked at its sockets again: what it finds there comes first. A task that posts itself from its run works in
 * slices: it asks loop_slice_is_over after each piece of work (of well under a millisecond), and when it is, posts itself and returns. In one turn
 * all such tasks together get LOOP_SLICE_US of the thread's CPU time; who has none left waits its turn, in the order of posting.
 */
void loop_post_next_turn(struct loop *loop, struct loop_task *task);
/* In a task of loop_post_next_turn: is the slice of this turn used up? A system call each time. */
bool loop_slice_is_over(const struct loop *loop);
void loop_task_cancel(struct loop *loop, struct loop_task *task);

void loop_timer_init(struct loop_timer *timer, void (*on_deadline)(void *owner), void *owner);
/* Fires once at `deadline_ms` (clock of loop_now_ms) or up to a tick later; a timer that is set is moved. */
void loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t deadline_ms);
void loop_timer_clear(struct loop *loop, struct loop_timer *timer);

static inline bool loop_timer_is_set(const struct loop_timer *timer)
{
    return list_node_is_linked(&timer->node);
}

/*
 * `destroy(object)` is called after this turn. Room for the note is asked for long before it is needed; when memory stays out until all of it is in
 * use, the object is leaked rather than freed early.
 */
void loop_bury(struct loop *loop, void *object, void (*destroy)(void *object));

/* Memory for the small objects of everything that lives in this loop; it lasts until the loop's grave has been emptied for the last time. */
struct slab *loop_slab(struct loop *loop);
/*
 * Where the memory of what lives in this loop is counted: NULL until it is set, which is done before anything lives there. The account must outlast
 * the loop.
 */
void loop_set_account(struct loop *loop, struct memory_account *account);
struct memory_account *loop_account(const struct loop *loop);

/* LOOP_SCRATCH_BYTES that are valid until the present callback returns. */
char *loop_scratch(struct loop *loop);
/* LOOP_RAW_BYTES beside them, for TLS. */
char *loop_raw(struct loop *loop);

#endif
