/* kernel/socket.h: a far end's face of TCP. */
#include "kernel/socket.h"

#include <errno.h>

#include "kernel/tcp.h"

static void on_news(struct sim_socket *socket, unsigned news)
{
    const struct sim_socket_events *events = socket->events;
    if ((news & TCP_NEWS_FAILED) != 0) {
        int error = socket->error;
        socket->error = 0;
        events->on_connect_failed(socket->owner, error);
        return;
    }
    if ((news & TCP_NEWS_CONNECTED) != 0 && events->on_connected != NULL)
        events->on_connected(socket->owner);
    /* Each of them may have closed it: then it has no owner any more. */
    if (socket->owner_kind != NULL && (news & TCP_NEWS_READABLE) != 0 && events->on_readable != NULL)
        events->on_readable(socket->owner);
    if (socket->owner_kind != NULL && (news & TCP_NEWS_WRITABLE) != 0 && socket->wants_room && events->on_writable != NULL)
        events->on_writable(socket->owner);
    while ((news & TCP_NEWS_ACCEPT) != 0 && socket->queue_count > 0 && events->on_accept != NULL) {
        struct sim_socket *connection = tcp_accept(socket);
        events->on_accept(socket->owner, connection);
        if (socket->owner_kind == NULL || socket->queue_count == 0)
            break;
    }
}

static const struct tcp_owner far_end = {.on_news = on_news};

void sim_adopt(struct sim_socket *socket, const struct sim_socket_events *events, void *owner)
{
    socket->owner_kind = &far_end;
    socket->events = events;
    socket->owner = owner;
    if (tcp_is_readable(socket))
        tcp_tell(socket, TCP_NEWS_READABLE);
}

struct sim_socket *sim_listen(const struct address *address, size_t backlog, const struct sim_socket_events *events, void *owner)
{
    struct sim_socket *socket = tcp_listen(address, backlog, false);
    if (socket == NULL)
        return NULL;
    socket->owner_kind = &far_end;
    socket->events = events;
    socket->owner = owner;
    return socket;
}

struct sim_socket *sim_connect(unsigned from_host, const struct address *address, const struct sim_socket_events *events, void *owner)
{
    struct sim_socket *socket = tcp_connect(from_host, address);
    socket->owner_kind = &far_end;
    socket->events = events;
    socket->owner = owner;
    return socket;
}

ptrdiff_t sim_receive(struct sim_socket *socket, char *bytes, size_t length)
{
    return tcp_receive(socket, bytes, length, false);
}

ptrdiff_t sim_send(struct sim_socket *socket, struct text bytes)
{
    return tcp_send(socket, bytes);
}

void sim_shut_down(struct sim_socket *socket)
{
    tcp_shut_down(socket);
}

void sim_close(struct sim_socket *socket)
{
    if (socket != NULL)
        tcp_close(socket);
}

void sim_abort(struct sim_socket *socket)
{
    socket->resets_on_close = true;
    tcp_close(socket);
}

void sim_cut(struct sim_socket *socket)
{
    tcp_cut(socket->connection);
}

const struct address *sim_peer(const struct sim_socket *socket)
{
    return &socket->remote;
}
