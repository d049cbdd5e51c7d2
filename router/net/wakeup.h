#ifndef SLUICE_NET_WAKEUP_H
#define SLUICE_NET_WAKEUP_H
/*
 * One thread wakes another one's loop. It carries nothing: the sender first leaves its message where both can see it (an atomic, or a list
 * under a lock), then wakes; on_wakeup looks. Messages that come before the loop has looked share one call, and none is missed.
 *
 * wakeup_create and wakeup_destroy belong to the loop's thread (or come before it starts and after it ended); wakeup_send to any.
 */
struct loop;
struct wakeup;

/* NULL when descriptors or memory are out. on_wakeup is called from the loop. */
struct wakeup *wakeup_create(struct loop *loop, void (*on_wakeup)(void *owner), void *owner);
/* From any thread; never waits. What the caller has written before is seen by on_wakeup. */
void wakeup_send(struct wakeup *wakeup);
/* Nobody may send any more; on_wakeup is not called any more. NULL is allowed. */
void wakeup_destroy(struct wakeup *wakeup);

#endif
