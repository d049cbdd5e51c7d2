#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void close_keeping_errno(int fd)
{
    int error = errno;
    close(fd);
    errno = error;
}

/* Until the buffer is full or the file ends; false with errno set when reading fails. */
static bool read_full(int fd, char *buffer, size_t capacity, size_t *used)
{
    *used = 0;
    while (*used < capacity) {
        ssize_t got = read(fd, buffer + *used, capacity - *used);
        if (got == 0)
            return true;
        if (got < 0 && errno != EINTR)
            return false;
        *used += got > 0 ? (size_t)got : 0;
    }
    return true;
}

ptrdiff_t file_read_beginning(const char *path, char *buffer, size_t capacity)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return -1;
    size_t used;
    bool is_read = read_full(fd, buffer, capacity, &used);
    close_keeping_errno(fd);
    return is_read || used > 0 ? (ptrdiff_t)used : -1;
}

/* NULL with errno set: ENOMEM, EISDIR or EIO. */
static char *read_whole(int fd, size_t maximum, size_t *length)
{
    char *bytes = malloc(maximum + 1);
    if (bytes == NULL || read_full(fd, bytes, maximum + 1, length))
        return bytes;
    int error = errno == EISDIR ? EISDIR : EIO;
    free(bytes);
    errno = error;
    return NULL;
}

char *file_read_whole(const char *path, size_t maximum, size_t *length)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return NULL;
    char *bytes = read_whole(fd, maximum, length);
    close_keeping_errno(fd);
    return bytes;
}

static struct file_facts facts_of(const struct stat *status)
{
    return (struct file_facts){.size_bytes = (uint64_t)status->st_size,
                               .is_regular = S_ISREG(status->st_mode),
                               .is_open_to_all = (status->st_mode & S_IROTH) != 0};
}

bool file_examine(const char *path, struct file_facts *facts)
{
    struct stat status;
    *facts = (struct file_facts){0};
    /* Looked at before it is opened: there are devices that do something when they are. */
    if (stat(path, &status) != 0)
        return false;
    if (!S_ISREG(status.st_mode))
        return true;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return false;
    bool is_known = fstat(fd, &status) == 0;
    close_keeping_errno(fd);
    *facts = facts_of(&status);
    return is_known;
}

char *file_read_regular(const char *path, size_t maximum, size_t *length, struct file_facts *facts)
{
    struct stat status;
    *facts = (struct file_facts){0};
    /* Not blocking: a FIFO would be waited for until somebody writes into it. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return NULL;
    char *bytes = NULL;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        errno = ENXIO;
    } else {
        *facts = facts_of(&status);
        bytes = read_whole(fd, maximum, length);
    }
    close_keeping_errno(fd);
    return bytes;
}

static int64_t ns_of(struct timespec time)
{
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

struct file_stamp file_stamp_of(const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0)
        return (struct file_stamp){0};
    return (struct file_stamp){.device = status.st_dev,
                               .inode = status.st_ino,
                               .size_bytes = (uint64_t)status.st_size,
                               .modified_ns = ns_of(status.st_mtim),
                               .changed_ns = ns_of(status.st_ctim)};
}
