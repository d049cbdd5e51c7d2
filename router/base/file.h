#ifndef SLUICE_BASE_FILE_H
#define SLUICE_BASE_FILE_H
/* Small files that are read while the router runs. */
#include <stddef.h>

/*
 * Reads the first `capacity` bytes of a file into `buffer` and returns how many there were; -1 with errno set when it cannot be opened or read.
 * It does not wait: a FIFO in the file's place gives 0 or -1.
 */
ptrdiff_t file_read_beginning(const char *path, char *buffer, size_t capacity);

#endif
