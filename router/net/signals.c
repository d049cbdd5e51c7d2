#include "net/signals.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <signal.h>
#include <stdlib.h>

#include "base/log.h"
#include "net/loop.h"
#include "net/poller.h"

static const struct {
    int number;
    const char *name;
} kinds[SIGNAL_KIND_COUNT] = {
    [SIGNAL_TERM] = {SIGTERM, "TERM"}, [SIGNAL_INT] = {SIGINT, "INT"},    [SIGNAL_HUP] = {SIGHUP, "HUP"},
    [SIGNAL_USR1] = {SIGUSR1, "USR1"}, [SIGNAL_USR2] = {SIGUSR2, "USR2"},
};

struct signal_listener {
    struct signals *signals;
    struct event event;
    signals_callback *callback; /* NULL: nobody listens */
    void *owner;
};

struct signals {
    struct loop *loop;
    struct signal_listener listeners[SIGNAL_KIND_COUNT];
};

const char *signal_kind_name(enum signal_kind kind)
{
    return kinds[kind].name;
}

static void on_signal(evutil_socket_t number, short what, void *argument)
{
    (void)number;
    (void)what;
    struct signal_listener *listener = argument;
    struct signals *signals = listener->signals;
    enum signal_kind kind = (enum signal_kind)(listener - signals->listeners);
    loop_enter(signals->loop);
    if (listener->callback != NULL)
        listener->callback(listener->owner, kind);
    else
        log_line(LOG_LEVEL_WARNING, "event=signal signal=%s action=ignored", signal_kind_name(kind));
    loop_leave(signals->loop);
}

static void mask_orders(int how)
{
    sigset_t orders;
    sigemptyset(&orders);
    for (unsigned kind = SIGNAL_HUP; kind < SIGNAL_KIND_COUNT; kind++)
        sigaddset(&orders, kinds[kind].number);
    sigprocmask(how, &orders, NULL);
}

void signals_hold(void)
{
    mask_orders(SIG_BLOCK);
}

struct signals *signals_create(struct loop *loop)
{
    struct signals *signals = calloc(1, sizeof *signals);
    if (signals == NULL)
        return NULL;
    signals->loop = loop;
    signal(SIGPIPE, SIG_IGN);
    for (unsigned kind = 0; kind < SIGNAL_KIND_COUNT; kind++) {
        struct signal_listener *listener = &signals->listeners[kind];
        listener->signals = signals;
        evsignal_assign(&listener->event, poller_base(loop_poller(loop)), kinds[kind].number, on_signal, listener);
        if (evsignal_add(&listener->event, NULL) != 0) {
            signals_destroy(signals);
            return NULL;
        }
    }
    mask_orders(SIG_UNBLOCK);
    return signals;
}

void signals_on(struct signals *signals, enum signal_kind kind, signals_callback *callback, void *owner)
{
    signals->listeners[kind].callback = callback;
    signals->listeners[kind].owner = owner;
}

void signals_destroy(struct signals *signals)
{
    if (signals == NULL)
        return;
    /* libevent gives the signals their defaults back. */
    sigset_t ours;
    sigemptyset(&ours);
    for (unsigned kind = 0; kind < SIGNAL_KIND_COUNT; kind++)
        sigaddset(&ours, kinds[kind].number);
    sigprocmask(SIG_BLOCK, &ours, NULL);
    for (unsigned kind = 0; kind < SIGNAL_KIND_COUNT; kind++) {
        if (signals->listeners[kind].signals != NULL)
            evsignal_del(&signals->listeners[kind].event);
    }
    loop_bury(signals->loop, signals, free);
}
