#include "net/listener.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log_limit.h"
#include "net/loop.h"

#define BACKLOG 4096
/* Connections accepted in one go, so that established ones get their turn. */
#define BURST 64
/* How long to rest when descriptors or memory have run out; accepting at once would spin. */
#define REST_MS 50

struct listener {
    struct loop *loop;
    int fd;
    bool is_paused;
    listener_on_accept *on_accept;
    void *owner;
    struct event readable;
    struct loop_timer rest;
    struct log_limit rest_log;
};

static int open_socket(const struct address *address, bool is_shared)
{
    int on = 1;
    int fd = socket(address->socket.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        (is_shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) ||
        bind(fd, &address->socket.any, address->length) != 0) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

bool listener_is_free(const struct address *address, const char **reason)
{
    int fd = open_socket(address, false);
    if (fd < 0) {
        *reason = strerror(errno);
        return false;
    }
    close(fd);
    return true;
}

int listener_bind(const struct address *address, const char **reason)
{
    int fd = open_socket(address, true);
    if (fd < 0 || listen(fd, BACKLOG) != 0) {
        *reason = strerror(errno);
        if (fd >= 0)
            close(fd);
        return -1;
    }
    return fd;
}

/* False when there is nothing more to accept now. */
static bool accept_one(struct listener *listener)
{
    int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        listener->on_accept(listener->owner, fd);
        return true;
    }
    if (errno == ECONNABORTED || errno == EINTR)
        return true;
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        unsigned suppressed;
        const char *reason = strerror(errno);
        enum log_level level = log_limit_level(&listener->rest_log, LOG_LEVEL_WARNING, loop_now_ms(listener->loop), &suppressed);
        log_line(level, "event=accept_rests reason=\"%s\" suppressed=%u", reason, suppressed);
        event_del(&listener->readable);
        loop_timer_set(listener->loop, &listener->rest, loop_now_ms(listener->loop) + REST_MS);
    }
    return false;
}

static void on_readable(evutil_socket_t fd, short what, void *argument)
{
    (void)fd;
    (void)what;
    struct listener *listener = argument;
    loop_enter(listener->loop);
    for (int i = 0; i < BURST && !listener->is_paused && accept_one(listener); i++)
        ;
    loop_leave(listener->loop);
}

static void on_rested(void *owner)
{
    struct listener *listener = owner;
    if (!listener->is_paused)
        event_add(&listener->readable, NULL);
}

struct listener *listener_create(struct loop *loop, int fd, listener_on_accept *on_accept, void *owner)
{
    struct listener *listener = calloc(1, sizeof *listener);
    if (listener == NULL) {
        close(fd);
        return NULL;
    }
    listener->loop = loop;
    listener->fd = fd;
    listener->on_accept = on_accept;
    listener->owner = owner;
    loop_timer_init(&listener->rest, on_rested, listener);
    event_assign(&listener->readable, loop_base(loop), fd, EV_READ | EV_PERSIST, on_readable, listener);
    event_add(&listener->readable, NULL);
    return listener;
}

void listener_pause(struct listener *listener)
{
    listener->is_paused = true;
    event_del(&listener->readable);
}

void listener_resume(struct listener *listener)
{
    if (!listener->is_paused)
        return;
    listener->is_paused = false;
    event_add(&listener->readable, NULL);
}

static void destroy_listener(void *object)
{
    free(object);
}

void listener_close(struct listener *listener)
{
    if (listener == NULL)
        return;
    listener->is_paused = true; /* ends a burst that this is called from */
    event_del(&listener->readable);
    loop_timer_clear(listener->loop, &listener->rest);
    for (int i = 0; i < BACKLOG && accept_one(listener); i++)
        ;
    loop_timer_clear(listener->loop, &listener->rest);
    close(listener->fd);
    loop_bury(listener->loop, listener, destroy_listener);
}
