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
/* Accepts what is already waiting, then closes: a connection that the kernel has completed is not thrown away. NULL is allowed. */
void listener_close(struct listener *listener);

#endif
