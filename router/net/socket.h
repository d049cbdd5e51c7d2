#ifndef SLUICE_NET_SOCKET_H
#define SLUICE_NET_SOCKET_H
/*
 * A socket on its way between its maker (a listener, listener_bind, unix_socket_listen) and whoever takes it over: above net/ it is a number that is
 * handed on, and this is all that may be done with it.
 */

/* Nobody takes it over. */
void socket_close(int fd);
/* One more handle of the same socket, for another thread's loop; -1 with *reason set to the system's words. */
int socket_share(int fd, const char **reason);

#endif
