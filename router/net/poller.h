#ifndef SLUICE_NET_POLLER_H
#define SLUICE_NET_POLLER_H
/*
 * What a loop waits for: descriptors that become ready, and one alarm. libevent underneath; its event base is known here, in resolver.c and in
 * signals.c alone. Another file in this one's place, and the loop turns in another world.
 *
 * One thread owns a poller; all calls come from it. Nothing is called back but from poller_wait.
 */
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct poller;

/* One kind of readiness of one descriptor. Its memory is the owner's and must not go before the poller_wait that may still call back for it. */
struct watch {
    struct event event;
};

enum watch_kind {
    WATCH_READABLE, /* calls back again and again while there is something to read (or an end, or an error), until it is removed */
    WATCH_WRITABLE, /* calls back once when there is room (or an error, or a connection); then it is to be added again */
};

/*
 * The end of the other side, while nothing is read: told without a look at the bytes that wait. libevent tells of a FIN like that, but not of a
 * reset, which it would come back for without end, so the poller has a set of its own for these.
 */
enum end_watch_state { END_WATCH_NEW, END_WATCH_ADDED, END_WATCH_TOLD };

struct end_watch {
    struct poller *poller;
    int fd;
    enum end_watch_state state;
    /* `is_reset`: closed both ways; else it has ended its sending (FIN), and may still read. */
    void (*callback)(void *owner, bool is_reset);
    void *owner;
};

/* libevent's own form, so that nothing stands between it and whoever reads; `what` means nothing. */
typedef void watch_callback(int fd, short what, void *owner);

/* `on_alarm` is for poller_set_alarm. NULL when libevent or memory fails. */
struct poller *poller_create(void (*on_alarm)(void *owner), void *owner);
/* Watches and the alarm are forgotten. NULL is allowed. */
void poller_destroy(struct poller *poller);

/*
 * Calls back for what is ready now; if nothing is, and it may, waits until something is. False when nothing can ever happen: no watch is
 * added and no alarm set.
 */
bool poller_wait(struct poller *poller, bool may_wait);
/* poller_wait returns after the callback that is running; what else was ready is told the next time. Outside of poller_wait it does nothing. */
void poller_interrupt(struct poller *poller);
/* on_alarm is called once, `delay_ms` from now or later. There is one alarm: setting moves it. */
void poller_set_alarm(struct poller *poller, uint64_t delay_ms);

/* For resolver.c and signals.c (and unit tests). */
struct event_base *poller_base(struct poller *poller);

/* It is not added yet. `callback(fd, ..., owner)` comes from poller_wait. */
void watch_init(struct watch *watch, struct poller *poller, int fd, enum watch_kind kind, watch_callback *callback, void *owner);
/* One that is added stays so. False when memory is out or the system does not watch such a descriptor. */
bool watch_add(struct watch *watch);
/* It does not call back any more. One that is not added stays so; call it before the descriptor is closed. */
void watch_remove(struct watch *watch);

/* It is not added yet. The rules for a watch's memory and for the descriptor hold here, too. */
void end_watch_init(struct end_watch *watch, struct poller *poller, int fd, void (*callback)(void *owner, bool is_reset), void *owner);
/* Calls back once; then it is to be added again. `is_end_known`: a FIN is no news any more, only a reset is. One that is added stays as it is. */
void end_watch_add(struct end_watch *watch, bool is_end_known);
/* As watch_remove. */
void end_watch_remove(struct end_watch *watch);

#endif
