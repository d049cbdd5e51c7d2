#ifndef SLUICE_SIM_KERNEL_SOCKET_H
#define SLUICE_SIM_KERNEL_SOCKET_H
/*
 * TCP as the far ends (clients and nodes) see it. Sluice's own sockets are the same objects behind descriptors (net/socket.h).
 *
 * Both ends have the buffers of a kernel: what was sent waits in the sender's until it has travelled, then in the receiver's until it is read, and
 * is acknowledged when it gets there, read or not. A close with unread data is a reset; data that reaches a closed socket is answered by one; a FIN
 * comes behind the data. Delays, pieces, losses and silence are the plan's (world/plan.h).
 *
 * Callbacks come from the world only (as an event of its own), never from inside of a call. After sim_close nothing comes any more, and the
 * socket must not be used.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "net/address.h"

struct sim_socket;

struct sim_socket_events {
    void (*on_connected)(void *owner);
    /* There is something to take by sim_receive: bytes, an end or an error. Comes again only after something new has arrived. */
    void (*on_readable)(void *owner);
    /* There is room again after sim_send took less than it was given. */
    void (*on_writable)(void *owner);
    /* A socket of sim_connect could not be connected: ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH. It must still be closed. */
    void (*on_connect_failed)(void *owner, int error);
    /* A listening socket: a connection is there. The taker calls sim_adopt, or sim_close. */
    void (*on_accept)(void *owner, struct sim_socket *connection);
};

/* An address of a far end's own machine. host 1..65535 gives 10.0.x.y; Sluice listens on 10.0.0.1 and is host 1. */
struct address sim_address(unsigned host, uint16_t port);
#define SIM_HOST_SLUICE 1

/* NULL when the address is taken. `backlog` connections at most wait to be accepted; more are not answered. */
struct sim_socket *sim_listen(const struct address *address, size_t backlog, const struct sim_socket_events *events, void *owner);
struct sim_socket *sim_connect(unsigned from_host, const struct address *address, const struct sim_socket_events *events, void *owner);
void sim_adopt(struct sim_socket *socket, const struct sim_socket_events *events, void *owner);

/* As recv without waiting: the number of bytes, 0 at the end, -1 with errno (EAGAIN, ECONNRESET, ETIMEDOUT). */
ptrdiff_t sim_receive(struct sim_socket *socket, char *bytes, size_t length);
/* As send without waiting: takes as much as there is room for; -1 with errno (EAGAIN, EPIPE, ECONNRESET). */
ptrdiff_t sim_send(struct sim_socket *socket, struct text bytes);
/* Sends a FIN behind what was sent. */
void sim_shut_down(struct sim_socket *socket);
/* NULL is allowed. */
void sim_close(struct sim_socket *socket);
/* Closes with a reset, whatever is still on its way. */
void sim_abort(struct sim_socket *socket);
/* The far end's machine loses power, or a cable is cut: nothing that is sent from now on arrives, in either direction, and nobody is told. */
void sim_cut(struct sim_socket *socket);

/*
 * A far end's machine loses its power: its connections are cut as by sim_cut, and nobody answers who connects. With power again, what still comes
 * for an old connection is answered by a reset. Its sockets are still the owner's to close.
 */
void sim_host_power(unsigned host, bool is_on);

/* Bytes of the other side are on their way, and have not arrived: for once, unless the socket is closed before. */
void sim_on_coming(struct sim_socket *socket, void (*callback)(void *owner), void *owner);

const struct address *sim_peer(const struct sim_socket *socket);

#endif
