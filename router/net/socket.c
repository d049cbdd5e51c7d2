#include "net/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

void socket_close(int fd)
{
    close(fd);
}

int socket_share(int fd, const char **reason)
{
    int shared = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (shared < 0)
        *reason = strerror(errno);
    return shared;
}
