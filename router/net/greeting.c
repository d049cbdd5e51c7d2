#include "net/greeting.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/loop.h"
#include "net/proxy_protocol.h"

/*
 *   WAITING --header whole--> OVER (the socket goes to the owner)
 *      |----closed, bad, late or greeting_close----> OVER (the socket is closed)
 */
enum greeting_state { GREETING_WAITING, GREETING_OVER };

struct greeting {
    struct list_node node;  /* in the owner's list */
    struct list *greetings; /* ref */
    struct loop *loop;
    const struct greeting_events *events;
    void *owner;
    int fd;
    enum greeting_state state;
    char *taken;            /* the beginning of a header that did not come in one piece; NULL: nothing yet */
    size_t taken_length;
    struct event readable;
    struct loop_task first_look;
    struct loop_timer timer;
};

static void destroy_greeting(void *object)
{
    struct greeting *greeting = object;
    free(greeting->taken);
    free(greeting);
}

/* The socket is left to the caller. */
static void enter_over(struct greeting *greeting)
{
    greeting->state = GREETING_OVER;
    event_del(&greeting->readable);
    loop_task_cancel(greeting->loop, &greeting->first_look);
    loop_timer_clear(greeting->loop, &greeting->timer);
    list_remove(greeting->greetings, &greeting->node);
    loop_bury(greeting->loop, greeting, destroy_greeting);
}

static void fail(struct greeting *greeting, enum greeting_end end)
{
    struct address sender;
    address_of_peer(greeting->fd, &sender);
    enter_over(greeting);
    close(greeting->fd);
    greeting->events->on_failed(greeting->owner, &sender, end);
}

/* Takes bytes out of the socket that have been seen in it. */
static bool consume(int fd, char *bytes, size_t length)
{
    ssize_t got;
    do {
        got = recv(fd, bytes, length, MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    return got == (ssize_t)length;
}

/* Keeps `length` bytes more of the header. */
static void take(struct greeting *greeting, size_t length)
{
    if (greeting->taken == NULL)
        greeting->taken = malloc(PROXY_PROTOCOL_BYTES_MAXIMUM);
    if (greeting->taken == NULL)
        fail(greeting, GREETING_END_NO_MEMORY);
    else if (!consume(greeting->fd, greeting->taken + greeting->taken_length, length))
        fail(greeting, GREETING_END_TRUNCATED);
    else
        greeting->taken_length += length;
}

static void complete(struct greeting *greeting, const struct proxy_protocol_header *header)
{
    char *scratch = loop_scratch(greeting->loop);
    if (!consume(greeting->fd, scratch, header->length - greeting->taken_length)) {
        fail(greeting, GREETING_END_TRUNCATED);
        return;
    }
    int fd = greeting->fd;
    enter_over(greeting);
    greeting->events->on_greeted(greeting->owner, fd, header->client.length > 0 ? &header->client : NULL);
}

static void look(struct greeting *greeting)
{
    struct proxy_protocol_header header;
    char *scratch = loop_scratch(greeting->loop);
    size_t before = greeting->taken_length;
    if (before > 0)
        memcpy(scratch, greeting->taken, before);
    ssize_t seen = recv(greeting->fd, scratch + before, PROXY_PROTOCOL_BYTES_MAXIMUM - before, MSG_PEEK | MSG_DONTWAIT);
    if (seen < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return;
    if (seen <= 0) {
        fail(greeting, before == 0 ? GREETING_END_SILENT : GREETING_END_TRUNCATED);
        return;
    }
    switch (proxy_protocol_parse(text_of(scratch, before + (size_t)seen), &header)) {
    case PROXY_PROTOCOL_MORE:
        take(greeting, (size_t)seen);
        break;
    case PROXY_PROTOCOL_WHOLE:
        complete(greeting, &header);
        break;
    case PROXY_PROTOCOL_BAD:
        fail(greeting, GREETING_END_MALFORMED);
        break;
    }
}

static void on_readable(evutil_socket_t fd, short what, void *argument)
{
    (void)fd;
    (void)what;
    struct greeting *greeting = argument;
    if (greeting->state == GREETING_OVER)
        return;
    loop_enter(greeting->loop);
    look(greeting);
    loop_leave(greeting->loop);
}

/* A header that has come with the connection costs no registration with epoll. */
static void run_first_look(void *owner)
{
    struct greeting *greeting = owner;
    look(greeting);
    if (greeting->state == GREETING_WAITING)
        event_add(&greeting->readable, NULL);
}

static void on_deadline(void *owner)
{
    fail(owner, GREETING_END_TIMEOUT);
}

struct greeting *greeting_create(struct loop *loop, int fd, uint64_t deadline_ms, const struct greeting_events *events,
                                 void *owner, struct list *greetings)
{
    struct greeting *greeting = calloc(1, sizeof *greeting);
    if (greeting == NULL) {
        close(fd);
        return NULL;
    }
    greeting->loop = loop;
    greeting->fd = fd;
    greeting->events = events;
    greeting->owner = owner;
    greeting->greetings = greetings;
    event_assign(&greeting->readable, loop_base(loop), fd, EV_READ | EV_PERSIST, on_readable, greeting);
    loop_task_init(&greeting->first_look, run_first_look, greeting);
    loop_timer_init(&greeting->timer, on_deadline, greeting);
    list_node_init(&greeting->node);
    list_append(greetings, &greeting->node);
    loop_timer_set(loop, &greeting->timer, deadline_ms);
    loop_defer(loop, &greeting->first_look);
    return greeting;
}

void greeting_hurry(struct greeting *greeting, uint64_t deadline_ms)
{
    if (greeting->state == GREETING_WAITING && greeting->timer.deadline_ms > deadline_ms)
        loop_timer_set(greeting->loop, &greeting->timer, deadline_ms);
}

void greeting_close(struct greeting *greeting)
{
    if (greeting->state == GREETING_OVER)
        return;
    enter_over(greeting);
    close(greeting->fd);
}

struct greeting *greeting_of_node(struct list_node *node)
{
    return LIST_OWNER(node, struct greeting, node);
}
