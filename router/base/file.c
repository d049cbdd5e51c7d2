#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

ptrdiff_t file_read_beginning(const char *path, char *buffer, size_t capacity)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return -1;
    size_t used = 0;
    ssize_t got = 1;
    while (used < capacity && got != 0) {
        got = read(fd, buffer + used, capacity - used);
        if (got < 0 && errno != EINTR)
            break;
        used += got > 0 ? (size_t)got : 0;
    }
    int error = errno;
    close(fd);
    errno = error;
    return got < 0 && used == 0 ? -1 : (ptrdiff_t)used;
}
