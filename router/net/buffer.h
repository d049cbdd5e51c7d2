#ifndef SLUICE_NET_BUFFER_H
#define SLUICE_NET_BUFFER_H
/*
 * A queue of bytes in blocks, written at the end and read at the front. Blocks come from a pool that belongs to one loop, so an
 * empty queue holds no memory and a busy one rarely calls malloc. The first block of a queue is a small one where that will do: most messages
 * are small, and many of them wait at a time.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

struct iovec;
struct memory_account;

#define BUFFER_BLOCK_BYTES 16384
#define BUFFER_SMALL_BYTES 2048

struct buffer_block {
    struct buffer_block *next;
    size_t capacity; /* one of the two above */
    size_t start; /* first unread byte */
    size_t end;   /* one past the last byte */
    char bytes[];
};

struct buffer_pool {
    struct memory_account *account; /* ref: where blocks are counted while a buffer has them, as MEMORY_BUFFERS; or NULL */
    struct buffer_block *free;
    size_t free_count;
    struct buffer_block *free_small;
    size_t free_small_count;
};

struct buffer {
    struct buffer_pool *pool; /* ref: the loop's owner */
    struct buffer_block *first;
    struct buffer_block *last;
    size_t length;
};

/* Frees the blocks that the pool keeps for reuse. */
void buffer_pool_clear(struct buffer_pool *pool);

void buffer_init(struct buffer *buffer, struct buffer_pool *pool);
/* Gives all blocks back; the buffer is empty and usable afterwards. */
void buffer_clear(struct buffer *buffer);

/* Appends a copy; false when memory is out, and then nothing was appended. */
bool buffer_append(struct buffer *buffer, struct text bytes) __attribute__((warn_unused_result));

/*
 * Room for at least `length` (up to BUFFER_BLOCK_BYTES) contiguous bytes at the end, or NULL when memory is out; buffer_commit says
 * how many were written.
 */
char *buffer_reserve(struct buffer *buffer, size_t length) __attribute__((warn_unused_result));
void buffer_commit(struct buffer *buffer, size_t length);

/* The unread bytes as up to `maximum` pieces; returns how many. They stay valid until the next call that changes the buffer. */
int buffer_peek(const struct buffer *buffer, struct iovec *pieces, int maximum);
/* The bytes of the first block only. */
struct text buffer_first(const struct buffer *buffer);
/* Takes `length` bytes, at most buffer->length, off the front. */
void buffer_consume(struct buffer *buffer, size_t length);

#endif
