#include "net/listener.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log_limit.h"
#include "base/machine.h"
#include "net/loop.h"
#include "net/poller.h"
#include "net/socket.h"

#define BACKLOG 4096
/* Connections accepted in one go, so that established ones get their turn. */
#define BURST 64
/* How long to rest when descriptors or memory have run out; accepting at once would spin. */
#define REST_MS 50

/*
 *   OPEN <--pause, resume--> PAUSED
 *     |                        |
 *     +--close gracefully------+--> CLOSING --nobody is left--> CLOSED (in the grave)
 *     |                        |                                  ^
 *     +--close-----------------+----------------------------------+
 */
enum listener_state { LISTENER_OPEN, LISTENER_PAUSED, LISTENER_CLOSING, LISTENER_CLOSED };

struct listener {
    struct loop *loop;
    int fd;
    enum listener_state state;
    listener_on_accept *on_accept;
    listener_on_closed *on_closed; /* or NULL */
    void *owner;
    struct watch readable;
    struct loop_timer rest;        /* accepting goes on; set while descriptors are short */
    struct loop_timer closing;     /* CLOSING: looks whether somebody is left */
    uint64_t give_up_ms;           /* CLOSING: who is left then is lost */
    struct log_limit rest_log;
};

static const char *const state_names[] = {"open", "paused", "closing", "closed"};

#define TO(state) MACHINE_TO(LISTENER_##state)
static const uint32_t moves[] = {
    [LISTENER_OPEN] = TO(PAUSED) | TO(CLOSING) | TO(CLOSED),
    [LISTENER_PAUSED] = TO(OPEN) | TO(CLOSING) | TO(CLOSED),
    [LISTENER_CLOSING] = TO(CLOSED),
    [LISTENER_CLOSED] = 0,
};
#undef TO

static const struct machine listener_machine = {"listener", state_names, moves};

/* The only writer of the state. */
static void enter(struct listener *listener, enum listener_state next)
{
    machine_check(&listener_machine, listener->state, next);
    listener->state = next;
}

bool listener_is_free(const struct address *address, const char **reason)
{
    int fd = socket_bind(address, false);
    if (fd < 0) {
        *reason = strerror(errno);
        return false;
    }
    socket_close(fd);
    return true;
}

int listener_bind(const struct address *address, const char **reason)
{
    int fd = socket_bind(address, true);
    int error = fd < 0 ? errno : socket_listen(fd, BACKLOG);
    if (error == 0)
        return fd;
    *reason = strerror(error);
    if (fd >= 0)
        socket_close(fd);
    return -1;
}

enum accept_result { ACCEPT_DONE, ACCEPT_NOBODY, ACCEPT_SHORTAGE };

static void rest(struct listener *listener, int error)
{
    unsigned suppressed;
    enum log_level level = log_limit_level(&listener->rest_log, LOG_LEVEL_WARNING, loop_now_ms(listener->loop), &suppressed);
    log_line(level, "event=accept_rests reason=\"%s\" suppressed=%u", strerror(error), suppressed);
    watch_remove(&listener->readable);
    loop_timer_set(listener->loop, &listener->rest, loop_now_ms(listener->loop) + REST_MS);
}

static enum accept_result accept_one(struct listener *listener)
{
    int fd = socket_accept(listener->fd);
    if (fd >= 0) {
        if (listener->state == LISTENER_CLOSING)
            socket_let_all_in(fd);
        listener->on_accept(listener->owner, fd);
        return ACCEPT_DONE;
    }
    if (errno == ECONNABORTED || errno == EINTR)
        return ACCEPT_DONE;
    if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM)
        return ACCEPT_NOBODY;
    rest(listener, errno);
    return ACCEPT_SHORTAGE;
}

/* Whom it tells may pause or close it. */
static bool is_accepting(const struct listener *listener)
{
    return listener->state == LISTENER_OPEN || listener->state == LISTENER_CLOSING;
}

static enum accept_result accept_burst(struct listener *listener)
{
    enum accept_result result = ACCEPT_DONE;
    for (int i = 0; i < BURST && result == ACCEPT_DONE && is_accepting(listener); i++)
        result = accept_one(listener);
    return result;
}

static void on_readable(int fd, short what, void *argument)
{
    (void)fd;
    (void)what;
    struct listener *listener = argument;
    if (!is_accepting(listener))
        return;
    loop_enter(listener->loop);
    accept_burst(listener);
    loop_leave(listener->loop);
}

static void on_rested(void *owner)
{
    struct listener *listener = owner;
    if (is_accepting(listener))
        watch_add(&listener->readable);
}

static void on_closing(void *owner);

struct listener *listener_create(struct loop *loop, int fd, listener_on_accept *on_accept, void *owner)
{
    struct listener *listener = calloc(1, sizeof *listener);
    if (listener == NULL) {
        socket_close(fd);
        return NULL;
    }
    listener->loop = loop;
    listener->fd = fd;
    listener->on_accept = on_accept;
    listener->owner = owner;
    loop_timer_init(&listener->rest, on_rested, listener);
    loop_timer_init(&listener->closing, on_closing, listener);
    watch_init(&listener->readable, loop_poller(loop), fd, WATCH_READABLE, on_readable, listener);
    watch_add(&listener->readable);
    return listener;
}

void listener_pause(struct listener *listener)
{
    if (listener->state != LISTENER_OPEN)
        return;
    enter(listener, LISTENER_PAUSED);
    watch_remove(&listener->readable);
}

size_t listener_waiting(const struct listener *listener)
{
    return socket_waiting(listener->fd);
}

void listener_resume(struct listener *listener)
{
    if (listener->state != LISTENER_PAUSED)
        return;
    enter(listener, LISTENER_OPEN);
    watch_add(&listener->readable);
}

/* CLOSED: lets go of everything. */
static void let_go(struct listener *listener)
{
    watch_remove(&listener->readable);
    loop_timer_clear(listener->loop, &listener->rest);
    loop_timer_clear(listener->loop, &listener->closing);
    socket_close(listener->fd);
    loop_bury(listener->loop, listener, free);
}

void listener_close(struct listener *listener)
{
    if (listener == NULL || listener->state == LISTENER_CLOSED)
        return;
    enter(listener, LISTENER_CLOSED); /* ends a burst that this is called from */
    for (int i = 0; i < BACKLOG && accept_one(listener) == ACCEPT_DONE; i++)
        ;
    let_go(listener);
}

/* ---- closing without losing anybody ---- */

/* Accepts what is left; ends when that is nobody. */
static void on_closing(void *owner)
{
    struct listener *listener = owner;
    uint64_t now_ms = loop_now_ms(listener->loop);
    enum accept_result result = accept_burst(listener);
    if (listener->state != LISTENER_CLOSING)
        return;
    if (result != ACCEPT_NOBODY && now_ms < listener->give_up_ms) {
        loop_timer_set(listener->loop, &listener->closing, now_ms + (result == ACCEPT_SHORTAGE ? REST_MS : 0));
        return;
    }
    enter(listener, LISTENER_CLOSED);
    let_go(listener);
    if (listener->on_closed != NULL)
        listener->on_closed(listener->owner);
}

void listener_close_gracefully(struct listener *listener, listener_on_closed *on_closed)
{
    if (!is_accepting(listener) && listener->state != LISTENER_PAUSED)
        return;
    uint64_t now_ms = loop_now_ms(listener->loop);
    socket_begin_no_more(listener->fd);
    if (listener->state == LISTENER_PAUSED)
        watch_add(&listener->readable);
    if (listener->state != LISTENER_CLOSING)
        enter(listener, LISTENER_CLOSING);
    listener->on_closed = on_closed;
    listener->give_up_ms = now_ms + LISTENER_CLOSING_MAXIMUM_MS;
    loop_timer_set(listener->loop, &listener->closing, now_ms + LISTENER_CLOSING_MS);
}
