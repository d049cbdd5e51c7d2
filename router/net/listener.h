#ifndef SLUICE_NET_LISTENER_H
#define SLUICE_NET_LISTENER_H
/*
 * A listening socket in a loop. Sockets are bound before any thread starts (listener_bind), so that an address that is taken is an error of the
 * start; each worker binds its own to the same address and the kernel spreads the connections (SO_REUSEPORT).
 */
#include <stdbool.h>

#include "net/address.h"

struct listener;
struct loop;

/* A bound, listening, non-blocking socket, or -1 with *reason set to the system's words. */
int listener_bind(const struct address *address, const char **reason);

/*
 * False with *reason when some other process listens on the address already: with SO_REUSEPORT the kernel would let us share it and
 * take away half of its connections. Asked before the first listener_bind.
 */
bool listener_is_free(const struct address *address, const char **reason);

typedef void listener_on_accept(void *owner, int fd);

/* Takes over `fd`. NULL (and fd is closed) when memory is out. Accepts in bursts; rests a moment when descriptors run out. */
struct listener *listener_create(struct loop *loop, int fd, listener_on_accept *on_accept, void *owner);
/* Stops and restarts accepting: the limit of connections is reached, and is so no longer. */
void listener_pause(struct listener *listener);
void listener_resume(struct listener *listener);
/* How many wait to be accepted (socket_waiting). */
size_t listener_waiting(const struct listener *listener);
/*
 * Accepts what is already waiting, then closes: a connection that the kernel has completed is not thrown away. One whose handshake is not
 * over at this moment is reset. NULL is allowed.
 */
void listener_close(struct listener *listener);

typedef void listener_on_closed(void *owner);

/*
 * The same without losing anybody and without holding the loop, for an address that goes while the process stays: new connections are no longer
 * begun (their SYN is dropped, so a client asks again in a second, and finds another listener of the address or a refusal), those that are
 * begun have LISTENER_CLOSING_MS to complete, and all of them are accepted in bursts, also by a paused listener. Then the socket is closed, and
 * on_closed (may be NULL) is called from the loop. Without descriptors it waits up to LISTENER_CLOSING_MAXIMUM_MS for some.
 * A Unix-domain socket's file must be gone before: it has no SYN that could be dropped. listener_close in between is allowed; on_closed does not
 * come then.
 */
void listener_close_gracefully(struct listener *listener, listener_on_closed *on_closed);

/* As long as a SYN-ACK or its ACK may take, with one of them sent twice (RFC 6298: after 1 s). */
#define LISTENER_CLOSING_MS 1500
#define LISTENER_CLOSING_MAXIMUM_MS 10000

#endif
