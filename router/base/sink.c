#include "base/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* A reader that lags for a moment loses nothing; the most that a process may ask for by default. */
#define PIPE_BYTES (1024 * 1024)

static enum sink_kind kind_of(int fd)
{
    struct stat status;
    if (fstat(fd, &status) != 0 || S_ISREG(status.st_mode))
        return SINK_FILE;
    return S_ISSOCK(status.st_mode) ? SINK_SOCKET : SINK_PIPE;
}

bool sink_open(struct sink *sink, const char *path, const char **reason)
{
    if (strcmp(path, "-") == 0) {
        sink_adopt(sink, STDOUT_FILENO);
        return true;
    }
    const int flags = O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    sink->fd = open(path, O_WRONLY | flags, 0640);
    /* A FIFO whose reader has yet to come: as its own reader we need not wait for it. */
    if (sink->fd < 0 && errno == ENXIO)
        sink->fd = open(path, O_RDWR | flags, 0640);
    if (sink->fd < 0) {
        *reason = strerror(errno);
        return false;
    }
    sink->kind = kind_of(sink->fd);
    return true;
}

void sink_adopt(struct sink *sink, int fd)
{
    char name[32];
    *sink = (struct sink){.fd = fd, .kind = kind_of(fd)};
    if (sink->kind != SINK_PIPE)
        return;
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    int own = open(name, O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (own < 0)
        sink->kind = SINK_LENT;
    else
        sink->fd = own;
    /* Only a pipe has a size. */
    fcntl(sink->fd, F_SETPIPE_SZ, PIPE_BYTES);
}

void sink_close(struct sink *sink)
{
    if (sink->fd > STDERR_FILENO)
        close(sink->fd);
    sink->fd = -1;
}

bool sink_wait(const struct sink *sink, int timeout_ms)
{
    struct pollfd look = {.fd = sink->fd, .events = POLLOUT};
    return poll(&look, 1, timeout_ms) > 0 && (look.revents & POLLOUT) != 0;
}

/* As many whole lines as a pipe takes in one piece (POSIX: PIPE_BUF), or the beginning of one that is longer. */
static struct text next_piece(const struct sink *sink, struct text lines)
{
    if (sink->kind == SINK_FILE || lines.length <= PIPE_BUF)
        return lines;
    const char *end = memrchr(lines.bytes, '\n', PIPE_BUF);
    return text_of(lines.bytes, end == NULL ? PIPE_BUF : (size_t)(end - lines.bytes) + 1);
}

static ssize_t write_piece(const struct sink *sink, struct text piece)
{
    if (sink->kind == SINK_SOCKET)
        return send(sink->fd, piece.bytes, piece.length, MSG_DONTWAIT | MSG_NOSIGNAL);
    /* It says so only when PIPE_BUF bytes fit. */
    if (sink->kind == SINK_LENT && !sink_wait(sink, 0))
        return 0;
    return write(sink->fd, piece.bytes, piece.length);
}

size_t sink_write(const struct sink *sink, struct text lines)
{
    size_t written = 0;
    while (written < lines.length) {
        struct text piece = next_piece(sink, text_of(lines.bytes + written, lines.length - written));
        ssize_t length = write_piece(sink, piece);
        if (length < 0 && errno == EINTR)
            continue;
        if (length <= 0)
            break;
        written += (size_t)length;
    }
    return written;
}

size_t sink_write_waiting(int fd, struct text line)
{
    ssize_t written = write(fd, line.bytes, line.length);
    return written < 0 ? 0 : (size_t)written;
}
