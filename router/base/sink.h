#ifndef SLUICE_BASE_SINK_H
#define SLUICE_BASE_SINK_H
/*
 * Where log lines go. Writing to it never waits for who reads them: a pipe that nobody reads, a terminal that was stopped, a socket of
 * the system's log. (A regular file waits for its disk, as every file does.) What does not go now is given back, and its owner decides how long to
 * keep it.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

/*
 * How waiting is avoided:
 *   FILE    not at all
 *   PIPE    a pipe, FIFO, terminal or other device: opened anew without blocking, because O_NONBLOCK on the descriptor that we were given
 *           would be seen by everybody who shares it
 *   LENT    the same where it cannot be opened anew: asked for room before each write; another writer may take the room in between
 *   SOCKET  by a flag of each call
 */
enum sink_kind { SINK_FILE, SINK_PIPE, SINK_LENT, SINK_SOCKET };

struct sink {
    int fd;
    enum sink_kind kind;
};

/* Opens `path` for appending, "-" standard output. False with *reason set to the system's words. */
bool sink_open(struct sink *sink, const char *path, const char **reason);
/* A descriptor that the process was started with; it stays the process's. Cannot fail. */
void sink_adopt(struct sink *sink, int fd);
void sink_close(struct sink *sink);

/*
 * Writes from the front of `lines` what goes without waiting, and returns how many bytes that were: fewer than all when there is no
 * room, or an error (a full disk, nobody at the other end). To anything but a file whole lines go, each in one piece, so that several writers do
 * not mix theirs.
 */
size_t sink_write(const struct sink *sink, struct text lines);

/*
 * Writes `line` in one piece to a descriptor that no sink was made of, and waits for its reader if it must. Fewer bytes than all were written when
 * this number is returned; 0 also after an error.
 */
size_t sink_write_waiting(int fd, struct text line);

/* Waits up to `timeout_ms` for room; true when there may be some. For the end of the process. */
bool sink_wait(const struct sink *sink, int timeout_ms);

#endif
