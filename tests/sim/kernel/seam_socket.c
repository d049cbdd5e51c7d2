/* net/socket.h in the world: Sluice's descriptors. */
#include "net/socket.h"

#include <errno.h>
#include <string.h>

#include "base/descriptors.h"
#include "kernel/descriptor.h"
#include "kernel/draw.h"
#include "kernel/poller.h"
#include "kernel/tcp.h"
#include "world/plan.h"

static struct descriptor table[DESCRIPTORS_MAXIMUM];
static size_t open_count;
static size_t limit;
static size_t lowest; /* nothing is free below */

void descriptors_begin(const struct plan *plan)
{
    struct random_source draws = draw_source_of(plan->seed, "descriptors", 0);
    memset(table, 0, sizeof table);
    open_count = lowest = 0;
    /* docs/operations.md: clients get half of what the reserve leaves. With fewer places than clients some would wait in peace, too. */
    uint64_t least = 64 + 4 * plan->node_count + 2 * plan->clients;
    limit = draw_chance(&draws, plan->rate[FAULT_KIND_DESCRIPTORS_SHORT]) ? draw_between(&draws, least > 160 ? least : 160, 400) : DESCRIPTORS_MAXIMUM;
}

size_t descriptors_limit(void)
{
    return limit == DESCRIPTORS_MAXIMUM ? SIZE_MAX : limit;
}

void descriptors_raise_limit(void)
{
}

struct descriptor *descriptor_of(int fd)
{
    int place = fd - DESCRIPTOR_FIRST;
    if (place < 0 || place >= DESCRIPTORS_MAXIMUM || table[place].state == DESCRIPTOR_FREE)
        return NULL;
    return &table[place];
}

size_t descriptor_count(void)
{
    return open_count;
}

/* Whoever holds the others lets go of them when the faults are over. */
static bool is_short(void)
{
    return open_count >= DESCRIPTORS_MAXIMUM || (plan_rate(the_plan, FAULT_KIND_DESCRIPTORS_SHORT) > 0 && open_count >= limit);
}

static int take_descriptor(void)
{
    if (is_short()) {
        errno = EMFILE;
        return -1;
    }
    while (table[lowest].state != DESCRIPTOR_FREE)
        lowest++;
    open_count++;
    table[lowest] = (struct descriptor){.state = DESCRIPTOR_OPEN};
    return (int)lowest + DESCRIPTOR_FIRST;
}

void socket_close(int fd)
{
    struct descriptor *descriptor = descriptor_of(fd);
    if (descriptor == NULL)
        return;
    if (descriptor->socket != NULL)
        tcp_close(descriptor->socket);
    /* A place that its poller is still to look at is found free there. */
    *descriptor = (struct descriptor){0};
    open_count--;
    if ((size_t)(fd - DESCRIPTOR_FIRST) < lowest)
        lowest = (size_t)(fd - DESCRIPTOR_FIRST);
}

void descriptors_close_all(void)
{
    for (int fd = DESCRIPTOR_FIRST; open_count > 0; fd++)
        socket_close(fd);
}

static void on_news(struct sim_socket *socket, unsigned news)
{
    (void)news;
    poller_look_at(socket->fd);
}

static const struct tcp_owner by_descriptor = {.on_news = on_news};

static void give(int fd, struct sim_socket *socket)
{
    descriptor_of(fd)->socket = socket;
    socket->fd = fd;
    socket->owner_kind = &by_descriptor;
}

static struct sim_socket *socket_of(int fd)
{
    struct descriptor *descriptor = descriptor_of(fd);
    return descriptor == NULL ? NULL : descriptor->socket;
}

int socket_open(int family)
{
    if (family != AF_INET) {
        errno = EAFNOSUPPORT;
        return -1;
    }
    return take_descriptor();
}

int socket_connect(int fd, const struct address *address)
{
    struct sim_socket *socket = tcp_connect(SIM_HOST_SLUICE, address);
    const struct descriptor *descriptor = descriptor_of(fd);
    tcp_keep_alive(socket, descriptor->alive_us, descriptor->alive_limit_us);
    give(fd, socket);
    return 0;
}

int socket_error(int fd)
{
    struct sim_socket *socket = socket_of(fd);
    int error = socket->error;
    socket->error = 0;
    return error;
}

ptrdiff_t socket_receive(int fd, char *bytes, size_t length)
{
    return tcp_receive(socket_of(fd), bytes, length, false);
}

ptrdiff_t socket_peek(int fd, char *bytes, size_t length)
{
    return tcp_receive(socket_of(fd), bytes, length, true);
}

ptrdiff_t socket_send(int fd, struct iovec *pieces, int count)
{
    struct sim_socket *socket = socket_of(fd);
    ptrdiff_t sent = 0;
    for (int i = 0; i < count; i++) {
        if (pieces[i].iov_len == 0)
            continue;
        ptrdiff_t length = tcp_send(socket, text_of(pieces[i].iov_base, pieces[i].iov_len));
        if (length < 0)
            return sent > 0 ? sent : -1;
        sent += length;
        if ((size_t)length < pieces[i].iov_len)
            break;
    }
    return sent;
}

void socket_shut_down_sending(int fd)
{
    tcp_shut_down(socket_of(fd));
}

void socket_reset_on_close(int fd)
{
    socket_of(fd)->resets_on_close = true;
}

void socket_no_delay(int fd)
{
    (void)fd;
}

void socket_expect_life(int fd, uint64_t idle_ms, uint64_t timeout_ms)
{
    struct descriptor *descriptor = descriptor_of(fd);
    descriptor->alive_us = (idle_ms + 999) / 1000 * SIM_S;
    descriptor->alive_limit_us = timeout_ms * SIM_MS;
}

size_t socket_unread(int fd)
{
    return socket_of(fd)->in.length;
}

void socket_quick_acknowledge(int fd)
{
    (void)fd;
}

bool socket_acknowledged(int fd, uint64_t *bytes, bool *is_closed)
{
    const struct sim_socket *socket = socket_of(fd);
    *bytes = tcp_acknowledged_bytes(socket);
    *is_closed = socket->state == TCP_STATE_FAILED;
    return true;
}

void socket_peer(int fd, struct address *address)
{
    *address = socket_of(fd)->remote;
}

bool socket_enable_kernel_tls(int fd)
{
    (void)fd;
    return false;
}

/* ---- listeners ---- */

int socket_bind(const struct address *address, bool is_shared)
{
    if (address->socket.any.sa_family != AF_INET) {
        errno = EADDRNOTAVAIL;
        return -1;
    }
    if (!is_shared && tcp_is_taken(address)) {
        errno = EADDRINUSE;
        return -1;
    }
    int fd = take_descriptor();
    if (fd >= 0)
        give(fd, tcp_listen(address, 0, true));
    return fd;
}

int socket_listen(int fd, int backlog)
{
    socket_of(fd)->backlog = (size_t)backlog;
    return 0;
}

int socket_accept(int fd)
{
    struct sim_socket *listener = socket_of(fd);
    if (listener->queue_count == 0) {
        errno = EAGAIN;
        return -1;
    }
    int accepted = take_descriptor();
    if (accepted >= 0)
        give(accepted, tcp_accept(listener));
    return accepted;
}

size_t socket_waiting(int fd)
{
    return socket_of(fd)->queue_count;
}

void socket_begin_no_more(int fd)
{
    socket_of(fd)->begins_no_more = true;
}

void socket_let_all_in(int fd)
{
    (void)fd;
}

int socket_share(int fd, const char **reason)
{
    (void)fd;
    *reason = "this world has no Unix-domain sockets";
    return -1;
}
