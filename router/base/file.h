#ifndef SLUICE_BASE_FILE_H
#define SLUICE_BASE_FILE_H
/* Files that are read: settings, tokens. Errors are those of the system, in errno. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Reads the first `capacity` bytes of a file into `buffer` and returns how many there were; -1 with errno set when it cannot be opened or read.
 * It does not wait: a FIFO in the file's place gives 0 or -1.
 */
ptrdiff_t file_read_beginning(const char *path, char *buffer, size_t capacity);

/*
 * Reads a whole file, but not more than `maximum` bytes and one more, by which a larger one is known. The caller frees the result. NULL with errno
 * set: EISDIR for a folder, ENOMEM when memory is out, EIO when it could be opened and not read. It waits for whoever writes into a pipe.
 */
char *file_read_whole(const char *path, size_t maximum, size_t *length);

struct file_facts {
    uint64_t size_bytes;
    bool is_regular;      /* else the other two are not set */
    bool is_open_to_all;  /* every user of the machine may read it */
};

/* What a file is. False with errno set when it is not there, or may not be read by us. It does not wait. */
bool file_examine(const char *path, struct file_facts *facts);

#endif
