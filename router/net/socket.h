#ifndef SLUICE_NET_SOCKET_H
#define SLUICE_NET_SOCKET_H
/*
 * All calls on the sockets of connections and of listeners (unix_socket.h makes those of the second kind that stand in the file system). Each is
 * one thin call of the system, and none waits. Whoever calls them keeps the state; another file in this one's place, and the bytes go through
 * another world.
 *
 * Above net/ a socket is a number on its way between its maker (a listener, listener_bind, unix_socket_listen) and whoever takes it over: there
 * it is only handed on, closed, shared, or asked for its peer.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "net/address.h"

/* ---- connections ---- */

/* A stream socket of a family (AF_INET, AF_INET6) that does not wait and does not outlive an exec; -1 with errno. */
int socket_open(int family);
/* 0: connected or under way, which the socket's becoming writable tells; else the errno. */
int socket_connect(int fd, const struct address *address);
/* The errno of a connect that was under way, 0: it is connected. It is told once. */
int socket_error(int fd);

/* Up to `length` bytes that have come; 0 at the end of input, -1 with errno (EAGAIN: nothing has come yet; EINTR: ask again). */
ptrdiff_t socket_receive(int fd, char *bytes, size_t length);
/* The same, and the bytes stay to be received. */
ptrdiff_t socket_peek(int fd, char *bytes, size_t length);
/* How many bytes have come and were not received yet; 0 also when the system does not tell. */
size_t socket_unread(int fd);
/* How many bytes of `pieces` were taken; -1 with errno (EAGAIN, ENOBUFS: no room now; EPIPE: the other side has closed). No SIGPIPE comes. */
ptrdiff_t socket_send(int fd, struct iovec *pieces, int count);

/* The other side sees the end of input, behind everything that was sent. */
void socket_shut_down_sending(int fd);
/* Closing throws away what was not sent, and the other side sees a reset. */
void socket_reset_on_close(int fd);
/* Small pieces leave at once (no Nagle). On a Unix-domain socket nothing happens. */
void socket_no_delay(int fd);
/*
 * The other side's machine may go without a word. Its kernel is asked for a sign of life after `idle_ms` without one, and the connection fails
 * when one has been due for `timeout_ms`, an acknowledgement or room for more among them; 0: as long as the system says.
 */
void socket_expect_life(int fd, uint64_t idle_ms, uint64_t timeout_ms);
/* What has come is acknowledged at once, for now. */
void socket_quick_acknowledge(int fd);
/*
 * How many bytes of those sent the other side's kernel has acknowledged, and whether the connection is closed both ways. False when the system
 * does not tell (no TCP, an old kernel).
 */
bool socket_acknowledged(int fd, uint64_t *bytes, bool *is_closed);
/* The other end of a connected socket; length 0 when the system does not tell. */
void socket_peer(int fd, struct address *address);
/* The kernel may be given keys of TLS from now on. False when it has no kTLS, or cannot here. */
bool socket_enable_kernel_tls(int fd);

/* ---- listeners ---- */

/* Bound and not yet listening; `is_shared`: others of ours may bind the same address. -1 with errno. */
int socket_bind(const struct address *address, bool is_shared);
/* 0, or the errno. */
int socket_listen(int fd, int backlog);
/* The next connection, as socket_open makes them; -1 with errno (EAGAIN: nobody waits). */
int socket_accept(int fd);
/* How many connections wait to be accepted (TCP_INFO of a listening socket, tcp(7)); 1 where the kernel does not tell (AF_UNIX). */
size_t socket_waiting(int fd);
/*
 * Drops each SYN that begins a connection to a listening socket, and nothing else: who has begun comes through. Where the kernel refuses it,
 * connections that are begun in the last moment are lost, as without it.
 */
void socket_begin_no_more(int fd);
/* Takes that away from a connection, which inherits it from the listening socket. */
void socket_let_all_in(int fd);

/* ---- any of them ---- */

/* Its watches must have been removed. */
void socket_close(int fd);
/* One more handle of the same socket, for another thread's loop; -1 with *reason set to the system's words. */
int socket_share(int fd, const char **reason);

#endif
