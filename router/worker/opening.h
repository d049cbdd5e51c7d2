#ifndef SLUICE_WORKER_OPENING_H
#define SLUICE_WORKER_OPENING_H
/*
 * From a configured address to a listening socket: TCP, where each worker binds its own (SO_REUSEPORT), or a Unix-domain socket, which is
 * bound once and shared. The workers' listeners and the operator's are opened here. Main thread, before the workers start.
 *
 * opening_open -> opening_take for each worker -> opening_close
 */
#include <stdbool.h>

#include "net/unix_socket.h"
#include "topology/topology.h"

struct opening {
    const struct topology_listener *listener; /* ref */
    int shared_fd;                            /* of a Unix-domain socket, else -1 */
    struct unix_socket file;
};

/* Makes sure that nobody else listens there, and binds what is shared. False with *reason; then nothing is left behind. */
bool opening_open(struct opening *opening, const struct topology_listener *listener, const char **reason);
/* A socket for one worker, which it owns; -1 with *reason. */
int opening_take(const struct opening *opening, const char **reason);
/*
 * Takes the file away and lets go of the shared socket; the workers' own go on until they close them. Called while they still listen
 * (see net/unix_socket.h), and harmless a second time.
 */
void opening_close(struct opening *opening);

#endif
