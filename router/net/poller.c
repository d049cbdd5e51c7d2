#include "net/poller.h"

#include <event2/event.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/log.h"
#include "base/machine.h"

struct poller {
    struct event_base *base;
    struct event *alarm;
    struct event *ends;  /* NULL until there is an end_watch: `ends_fd` has something to tell */
    int ends_fd;
    void (*on_alarm)(void *owner);
    void *owner;
};

/* Else libevent writes to standard error by itself, in words of its own, and waits for its reader. */
static void on_libevent_message(int severity, const char *message)
{
    char quoted[512];
    enum log_level level = severity >= EVENT_LOG_WARN ? LOG_LEVEL_WARNING : severity == EVENT_LOG_MSG ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG;
    log_line(level, "event=libevent message=%s", log_quote(quoted, sizeof quoted, text_of_string(message)));
}

static void on_timeout(evutil_socket_t fd, short what, void *argument)
{
    (void)fd;
    (void)what;
    struct poller *poller = argument;
    poller->on_alarm(poller->owner);
}

static struct event_base *create_base(void)
{
    struct event_config *config = event_config_new();
    if (config == NULL)
        return NULL;
    /* Each poller belongs to one thread, so libevent needs no locks. */
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    struct event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

struct poller *poller_create(void (*on_alarm)(void *owner), void *owner)
{
    struct poller *poller = calloc(1, sizeof *poller);
    if (poller == NULL)
        return NULL;
    event_set_log_callback(on_libevent_message);
    poller->on_alarm = on_alarm;
    poller->owner = owner;
    poller->ends_fd = -1;
    poller->base = create_base();
    if (poller->base != NULL)
        poller->alarm = event_new(poller->base, -1, 0, on_timeout, poller);
    if (poller->alarm == NULL) {
        poller_destroy(poller);
        return NULL;
    }
    return poller;
}

void poller_destroy(struct poller *poller)
{
    if (poller == NULL)
        return;
    if (poller->alarm != NULL)
        event_free(poller->alarm);
    if (poller->ends != NULL)
        event_free(poller->ends);
    if (poller->ends_fd >= 0)
        close(poller->ends_fd);
    if (poller->base != NULL)
        event_base_free(poller->base);
    free(poller);
}

bool poller_wait(struct poller *poller, bool may_wait)
{
    return event_base_loop(poller->base, EVLOOP_ONCE | (may_wait ? 0 : EVLOOP_NONBLOCK)) == 0;
}

void poller_interrupt(struct poller *poller)
{
    event_base_loopbreak(poller->base);
}

void poller_set_alarm(struct poller *poller, uint64_t delay_ms)
{
    struct timeval delay = {(time_t)(delay_ms / 1000), (suseconds_t)(delay_ms % 1000 * 1000)};
    event_add(poller->alarm, &delay);
}

struct event_base *poller_base(struct poller *poller)
{
    return poller->base;
}

void watch_init(struct watch *watch, struct poller *poller, int fd, enum watch_kind kind, watch_callback *callback, void *owner)
{
    short what = kind == WATCH_READABLE ? EV_READ | EV_PERSIST : EV_WRITE;
    event_assign(&watch->event, poller->base, fd, what, callback, owner);
}

bool watch_add(struct watch *watch)
{
    return event_add(&watch->event, NULL) == 0;
}

void watch_remove(struct watch *watch)
{
    event_del(&watch->event);
}

/* ---- ends ---- */

static const char *const end_state_names[] = {"new", "added", "told"};

#define TO(state) MACHINE_TO(END_WATCH_##state)
static const uint32_t end_moves[] = {
    [END_WATCH_NEW] = TO(ADDED),
    [END_WATCH_ADDED] = TO(TOLD) | TO(NEW),
    [END_WATCH_TOLD] = TO(ADDED) | TO(NEW),
};
#undef TO

static const struct machine end_machine = {"end_watch", end_state_names, end_moves};

/* The only writer of the state, which begins as NEW. */
static void enter_end(struct end_watch *watch, enum end_watch_state next)
{
    machine_check(&end_machine, watch->state, next);
    watch->state = next;
}

/* One at a time, so that poller_interrupt leaves the others for the next turn. */
static void on_end(evutil_socket_t fd, short what, void *argument)
{
    (void)what;
    (void)argument;
    struct epoll_event event;
    if (epoll_wait(fd, &event, 1, 0) != 1)
        return;
    struct end_watch *watch = event.data.ptr;
    enter_end(watch, END_WATCH_TOLD);
    watch->callback(watch->owner, (event.events & (EPOLLERR | EPOLLHUP)) != 0);
}

static bool has_ends(struct poller *poller)
{
    if (poller->ends != NULL)
        return true;
    if (poller->ends_fd < 0)
        poller->ends_fd = epoll_create1(EPOLL_CLOEXEC);
    if (poller->ends_fd < 0)
        return false;
    poller->ends = event_new(poller->base, poller->ends_fd, EV_READ | EV_PERSIST, on_end, poller);
    return poller->ends != NULL && event_add(poller->ends, NULL) == 0;
}

void end_watch_init(struct end_watch *watch, struct poller *poller, int fd, void (*callback)(void *owner, bool is_reset), void *owner)
{
    *watch = (struct end_watch){.poller = poller, .fd = fd, .callback = callback, .owner = owner};
}

void end_watch_add(struct end_watch *watch, bool is_end_known)
{
    struct epoll_event event = {.events = EPOLLONESHOT | (is_end_known ? 0 : EPOLLRDHUP), .data.ptr = watch};
    if (watch->state == END_WATCH_ADDED || !has_ends(watch->poller))
        return;
    int operation = watch->state == END_WATCH_NEW ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    if (epoll_ctl(watch->poller->ends_fd, operation, watch->fd, &event) == 0)
        enter_end(watch, END_WATCH_ADDED);
}

void end_watch_remove(struct end_watch *watch)
{
    struct epoll_event unused = {0};
    if (watch->state == END_WATCH_NEW)
        return;
    epoll_ctl(watch->poller->ends_fd, EPOLL_CTL_DEL, watch->fd, &unused);
    enter_end(watch, END_WATCH_NEW);
}
