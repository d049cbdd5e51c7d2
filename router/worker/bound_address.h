#ifndef SLUICE_WORKER_BOUND_ADDRESS_H
#define SLUICE_WORKER_BOUND_ADDRESS_H
/*
 * From a configured address to listening sockets: TCP, where each worker binds its own (SO_REUSEPORT), or a Unix-domain socket, which is
 * bound once and shared. The workers' listeners and the operator's are opened here. Control thread only.
 *
 * bound_address_open -> bound_address_take for each worker -> bound_address_close
 */
#include <stdbool.h>

#include "net/unix_socket.h"
#include "topology/topology.h"

struct bound_address {
    char *address;            /* as configured; owned */
    char *host;               /* owned; NULL for a Unix-domain socket */
    char *path;               /* owned; of a Unix-domain socket, else NULL */
    uint16_t port;
    unsigned mode;            /* permissions of the socket's file */
    int shared_fd;            /* of a Unix-domain socket, else -1 */
    struct unix_socket file;
};

/*
 * Makes sure that nobody else listens there, unless `is_ours` says that sockets there are our own, and binds what is shared. False with *reason; then
 * nothing is left behind.
 */
bool bound_address_open(struct bound_address *bound, const struct topology_listener *listener, bool is_ours, const char **reason);
/* A socket for one worker, which it owns; -1 with *reason. */
int bound_address_take(const struct bound_address *bound, const char **reason);
/* Is it what this listener wants, but for the permissions of a socket's file? A file that somebody has taken away is not. */
bool bound_address_is_for(const struct bound_address *bound, const struct topology_listener *listener);
/* The permissions that this listener wants; those of the file stay where it says nothing. A failure is logged. */
void bound_address_set_mode(struct bound_address *bound, const struct topology_listener *listener);
/*
 * Takes the file away and lets go of the shared socket; the workers' own go on until they close them. Called while they still listen
 * (see net/unix_socket.h), and harmless a second time.
 */
void bound_address_close(struct bound_address *bound);

#endif
