#include "net/unix_socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 4096

static int open_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* Nobody listens behind the file: connecting is refused only then. A full backlog or a socket of another kind is somebody. */
static bool is_stale(const struct sockaddr_un *name)
{
    int fd = open_socket();
    if (fd < 0)
        return false;
    bool is_refused = connect(fd, (const struct sockaddr *)name, sizeof *name) != 0 && errno == ECONNREFUSED;
    close(fd);
    return is_refused;
}

/* Makes way for the new file; false with *reason. */
static bool clear_path(const struct sockaddr_un *name, const char **reason)
{
    struct stat status;
    if (lstat(name->sun_path, &status) != 0) {
        *reason = strerror(errno);
        return errno == ENOENT;
    }
    if (!S_ISSOCK(status.st_mode)) {
        *reason = "a file that is no socket is in the way; move it, or choose another path";
        return false;
    }
    if (!is_stale(name)) {
        *reason = "another process listens there";
        return false;
    }
    if (unlink(name->sun_path) == 0)
        return true;
    *reason = strerror(errno);
    return false;
}

/* Before bind, the mode keeps the file from being open to more than it should be even for a moment; the umask takes its part, so
 * it is set once more. */
static bool bind_file(int fd, const struct sockaddr_un *name, unsigned mode, struct unix_socket *made)
{
    struct stat status;
    if ((mode != 0 && fchmod(fd, mode) != 0) || bind(fd, (const struct sockaddr *)name, sizeof *name) != 0)
        return false;
    if (lstat(name->sun_path, &status) == 0 && (mode == 0 || chmod(name->sun_path, mode) == 0) &&
        listen(fd, BACKLOG) == 0) {
        made->device = status.st_dev;
        made->inode = status.st_ino;
        return true;
    }
    int error = errno;
    unlink(name->sun_path);
    errno = error;
    return false;
}

int unix_socket_listen(const char *path, unsigned mode, struct unix_socket *made, const char **reason)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    *made = (struct unix_socket){0};
    *reason = "the path is too long";
    if (length >= sizeof name.sun_path)
        return -1;
    memcpy(name.sun_path, path, length);
    if (!clear_path(&name, reason))
        return -1;
    int fd = open_socket();
    if (fd >= 0 && bind_file(fd, &name, mode, made)) {
        memcpy(made->path, path, length);
        return fd;
    }
    *reason = strerror(errno);
    if (fd >= 0)
        close(fd);
    return -1;
}

bool unix_socket_is_there(const struct unix_socket *made)
{
    struct stat status;
    return made->path[0] != '\0' && lstat(made->path, &status) == 0 && S_ISSOCK(status.st_mode) &&
           status.st_dev == made->device && status.st_ino == made->inode;
}

bool unix_socket_set_mode(const struct unix_socket *made, unsigned mode, const char **reason)
{
    *reason = "the file is another one";
    if (mode == 0)
        return true;
    if (!unix_socket_is_there(made))
        return false;
    *reason = "";
    if (chmod(made->path, mode) == 0)
        return true;
    *reason = strerror(errno);
    return false;
}

void unix_socket_remove(struct unix_socket *made)
{
    if (unix_socket_is_there(made))
        unlink(made->path);
    made->path[0] = '\0';
}
