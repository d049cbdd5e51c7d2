#include "net/poller.h"

#include <event2/event.h>
#include <stdlib.h>

#include "base/log.h"

struct poller {
    struct event_base *base;
    struct event *alarm;
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
