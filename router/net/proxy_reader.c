#include "net/proxy_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/machine.h"
#include "net/loop.h"
#include "net/poller.h"
#include "net/proxy_protocol.h"
#include "net/socket.h"

/*
 *   WAITING --header whole--> OVER (the socket goes to the owner)
 *      |----closed, bad, late or proxy_reader_close----> OVER (the socket is closed)
 */
enum proxy_reader_state { PROXY_READER_WAITING, PROXY_READER_OVER };

struct proxy_reader {
    struct list_node node;  /* in the owner's list */
    struct list *readers;   /* ref */
    struct loop *loop;
    const struct proxy_reader_events *events;
    void *owner;
    int fd;
    enum proxy_reader_state state;
    char *taken;            /* the beginning of a header that did not come in one piece; NULL: nothing yet */
    size_t taken_length;
    struct watch readable;
    struct loop_task first_look;
    struct loop_timer timer;
};

static const char *const state_names[] = {"waiting", "over"};
static const uint32_t moves[] = {[PROXY_READER_WAITING] = MACHINE_TO(PROXY_READER_OVER), [PROXY_READER_OVER] = 0};
static const struct machine reader_machine = {"proxy_reader", state_names, moves};

static void destroy_reader(void *object)
{
    struct proxy_reader *reader = object;
    free(reader->taken);
    free(reader);
}

/* The socket is left to the caller. */
static void enter_over(struct proxy_reader *reader)
{
    machine_check(&reader_machine, reader->state, PROXY_READER_OVER);
    reader->state = PROXY_READER_OVER;
    watch_remove(&reader->readable);
    loop_task_cancel(reader->loop, &reader->first_look);
    loop_timer_clear(reader->loop, &reader->timer);
    list_remove(reader->readers, &reader->node);
    loop_bury(reader->loop, reader, destroy_reader);
}

static void fail(struct proxy_reader *reader, enum proxy_reader_end end)
{
    struct address sender;
    socket_peer(reader->fd, &sender);
    enter_over(reader);
    socket_close(reader->fd);
    reader->events->on_failed(reader->owner, &sender, end);
}

/* Takes bytes out of the socket that have been seen in it. */
static bool consume(int fd, char *bytes, size_t length)
{
    ptrdiff_t got;
    do {
        got = socket_receive(fd, bytes, length);
    } while (got < 0 && errno == EINTR);
    return got == (ptrdiff_t)length;
}

/* Keeps `length` bytes more of the header. */
static void take(struct proxy_reader *reader, size_t length)
{
    if (reader->taken == NULL)
        reader->taken = malloc(PROXY_PROTOCOL_BYTES_MAXIMUM);
    if (reader->taken == NULL)
        fail(reader, PROXY_READER_END_NO_MEMORY);
    else if (!consume(reader->fd, reader->taken + reader->taken_length, length))
        fail(reader, PROXY_READER_END_TRUNCATED);
    else
        reader->taken_length += length;
}

static void complete(struct proxy_reader *reader, const struct proxy_protocol_header *header)
{
    char *scratch = loop_scratch(reader->loop);
    if (!consume(reader->fd, scratch, header->length - reader->taken_length)) {
        fail(reader, PROXY_READER_END_TRUNCATED);
        return;
    }
    int fd = reader->fd;
    enter_over(reader);
    reader->events->on_header_read(reader->owner, fd, header->client.length > 0 ? &header->client : NULL);
}

static void look(struct proxy_reader *reader)
{
    struct proxy_protocol_header header;
    char *scratch = loop_scratch(reader->loop);
    size_t before = reader->taken_length;
    if (before > 0)
        memcpy(scratch, reader->taken, before);
    ptrdiff_t seen = socket_peek(reader->fd, scratch + before, PROXY_PROTOCOL_BYTES_MAXIMUM - before);
    if (seen < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return;
    if (seen <= 0) {
        fail(reader, before == 0 ? PROXY_READER_END_SILENT : PROXY_READER_END_TRUNCATED);
        return;
    }
    switch (proxy_protocol_parse(text_of(scratch, before + (size_t)seen), &header)) {
    case PROXY_PROTOCOL_MORE:
        take(reader, (size_t)seen);
        break;
    case PROXY_PROTOCOL_WHOLE:
        complete(reader, &header);
        break;
    case PROXY_PROTOCOL_BAD:
        fail(reader, PROXY_READER_END_MALFORMED);
        break;
    }
}

static void on_readable(int fd, short what, void *argument)
{
    (void)fd;
    (void)what;
    struct proxy_reader *reader = argument;
    if (reader->state == PROXY_READER_OVER)
        return;
    loop_enter(reader->loop);
    look(reader);
    loop_leave(reader->loop);
}

/* A header that has come with the connection costs no registration with epoll. */
static void run_first_look(void *owner)
{
    struct proxy_reader *reader = owner;
    look(reader);
    if (reader->state == PROXY_READER_WAITING)
        watch_add(&reader->readable);
}

static void on_deadline(void *owner)
{
    fail(owner, PROXY_READER_END_TIMEOUT);
}

struct proxy_reader *proxy_reader_create(struct loop *loop, int fd, uint64_t deadline_ms, const struct proxy_reader_events *events,
                                         void *owner, struct list *readers)
{
    struct proxy_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL) {
        socket_close(fd);
        return NULL;
    }
    reader->loop = loop;
    reader->fd = fd;
    reader->events = events;
    reader->owner = owner;
    reader->readers = readers;
    watch_init(&reader->readable, loop_poller(loop), fd, WATCH_READABLE, on_readable, reader);
    loop_task_init(&reader->first_look, run_first_look, reader);
    loop_timer_init(&reader->timer, on_deadline, reader);
    list_node_init(&reader->node);
    list_append(readers, &reader->node);
    loop_timer_set(loop, &reader->timer, deadline_ms);
    loop_defer(loop, &reader->first_look);
    return reader;
}

void proxy_reader_hurry(struct proxy_reader *reader, uint64_t deadline_ms)
{
    if (reader->state == PROXY_READER_WAITING && reader->timer.deadline_ms > deadline_ms)
        loop_timer_set(reader->loop, &reader->timer, deadline_ms);
}

void proxy_reader_close(struct proxy_reader *reader)
{
    if (reader->state == PROXY_READER_OVER)
        return;
    enter_over(reader);
    socket_close(reader->fd);
}

struct proxy_reader *proxy_reader_of_node(struct list_node *node)
{
    return LIST_OWNER(node, struct proxy_reader, node);
}
