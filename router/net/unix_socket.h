#ifndef SLUICE_NET_UNIX_SOCKET_H
#define SLUICE_NET_UNIX_SOCKET_H
/*
 * A listening socket in the file system. Unlike a port it outlives its process: a file that nobody listens behind any more is replaced,
 * one that somebody does is an error, and anything that is no socket is never touched.
 *
 * unix_socket_listen -> (dup for each worker: SO_REUSEPORT does not exist here) -> unix_socket_remove, while it still listens, so
 * that no successor can have put its own file there.
 */
#include <stdbool.h>
#include <sys/types.h>
#include <sys/un.h>

struct unix_socket {
    char path[sizeof((struct sockaddr_un *)NULL)->sun_path]; /* "": no file of ours */
    dev_t device;                                          /* of the file that we made */
    ino_t inode;
};

/*
 * A listening, non-blocking socket, or -1 with *reason set. `mode` are the file's permissions, 0: as the umask leaves them. A path that does
 * not fit is an error.
 */
int unix_socket_listen(const char *path, unsigned mode, struct unix_socket *made, const char **reason);

/* Is the file still the one that was made? */
bool unix_socket_is_there(const struct unix_socket *made);
/* Other permissions for the file that was made; 0: they stay. False with *reason. */
bool unix_socket_set_mode(const struct unix_socket *made, unsigned mode, const char **reason);
/* Removes the file if it is still the one that was made; nothing happens a second time. */
void unix_socket_remove(struct unix_socket *made);

#endif
