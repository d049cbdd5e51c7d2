#ifndef SLUICE_BASE_FILE_H
#define SLUICE_BASE_FILE_H
/* Files that are read: settings, tokens, certificates. Errors are those of the system, in errno. */
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

/*
 * The two in one: reads a whole regular file as file_read_whole does, and tells what it is. The caller frees the result. It does not wait. NULL with
 * errno set: why it could not be opened; ENXIO for what is no file (a folder, a FIFO); or, and then facts->is_regular is set, ENOMEM when memory is
 * out, EIO when it could not be read.
 */
char *file_read_regular(const char *path, size_t maximum, size_t *length, struct file_facts *facts);

/* What a file was at one moment, to see that it has changed; all 0: it was not there. It has no padding, so that stamps can be compared as bytes. */
struct file_stamp {
    uint64_t device;
    uint64_t inode;
    uint64_t size_bytes;
    int64_t modified_ns; /* since 1970-01-01 UTC, by the clock of the file system, which may tick seldom */
    int64_t changed_ns;  /* the same, also of its name and its permissions */
};

/* Follows symbolic links; does not open the file, and does not wait. */
struct file_stamp file_stamp_of(const char *path);

#endif
