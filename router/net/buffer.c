#include "net/buffer.h"

#include <stdlib.h>
#include <sys/uio.h>

/* Blocks kept for reuse per pool; more than a burst of 64 connections needs, and only 1 MiB. */
#define POOL_KEEPS 64

static struct buffer_block *take_block(struct buffer_pool *pool)
{
    struct buffer_block *block = pool->free;
    if (block != NULL) {
        pool->free = block->next;
        pool->free_count--;
    } else {
        block = malloc(sizeof *block + BUFFER_BLOCK_BYTES);
        if (block == NULL)
            return NULL;
    }
    block->next = NULL;
    block->start = 0;
    block->end = 0;
    return block;
}

static void give_block(struct buffer_pool *pool, struct buffer_block *block)
{
    if (pool->free_count >= POOL_KEEPS) {
        free(block);
        return;
    }
    block->next = pool->free;
    pool->free = block;
    pool->free_count++;
}

void buffer_pool_clear(struct buffer_pool *pool)
{
    while (pool->free != NULL) {
        struct buffer_block *block = pool->free;
        pool->free = block->next;
        free(block);
    }
    pool->free_count = 0;
}

void buffer_init(struct buffer *buffer, struct buffer_pool *pool)
{
    *buffer = (struct buffer){.pool = pool};
}

void buffer_clear(struct buffer *buffer)
{
    while (buffer->first != NULL) {
        struct buffer_block *block = buffer->first;
        buffer->first = block->next;
        give_block(buffer->pool, block);
    }
    buffer->last = NULL;
    buffer->length = 0;
}

static bool add_block(struct buffer *buffer)
{
    struct buffer_block *block = take_block(buffer->pool);
    if (block == NULL)
        return false;
    if (buffer->last == NULL)
        buffer->first = block;
    else
        buffer->last->next = block;
    buffer->last = block;
    return true;
}

static size_t room_at_end(const struct buffer *buffer)
{
    return buffer->last == NULL ? 0 : BUFFER_BLOCK_BYTES - buffer->last->end;
}

/* Takes back what a failed append wrote: `length` bytes at the end, in blocks after `last`. */
static void undo_append(struct buffer *buffer, struct buffer_block *last, size_t last_end, size_t length)
{
    struct buffer_block *extra = last == NULL ? buffer->first : last->next;
    while (extra != NULL) {
        struct buffer_block *next = extra->next;
        give_block(buffer->pool, extra);
        extra = next;
    }
    buffer->last = last;
    buffer->length = length;
    if (last == NULL) {
        buffer->first = NULL;
        return;
    }
    last->next = NULL;
    last->end = last_end;
}

bool buffer_append(struct buffer *buffer, struct text bytes)
{
    struct buffer_block *last = buffer->last;
    size_t last_end = last == NULL ? 0 : last->end;
    size_t length = buffer->length;
    while (bytes.length > 0) {
        if (room_at_end(buffer) == 0 && !add_block(buffer)) {
            undo_append(buffer, last, last_end, length);
            return false;
        }
        size_t piece = room_at_end(buffer) < bytes.length ? room_at_end(buffer) : bytes.length;
        memcpy(buffer->last->bytes + buffer->last->end, bytes.bytes, piece);
        buffer->last->end += piece;
        buffer->length += piece;
        bytes.bytes += piece;
        bytes.length -= piece;
    }
    return true;
}

char *buffer_reserve(struct buffer *buffer, size_t length)
{
    if (room_at_end(buffer) < length && (length > BUFFER_BLOCK_BYTES || !add_block(buffer)))
        return NULL;
    return buffer->last->bytes + buffer->last->end;
}

void buffer_commit(struct buffer *buffer, size_t length)
{
    buffer->last->end += length;
    buffer->length += length;
}

int buffer_peek(const struct buffer *buffer, struct iovec *pieces, int maximum)
{
    int count = 0;
    for (struct buffer_block *block = buffer->first; block != NULL && count < maximum; block = block->next) {
        if (block->end == block->start)
            continue;
        pieces[count].iov_base = block->bytes + block->start;
        pieces[count].iov_len = block->end - block->start;
        count++;
    }
    return count;
}

struct text buffer_first(const struct buffer *buffer)
{
    for (const struct buffer_block *block = buffer->first; block != NULL; block = block->next) {
        if (block->end > block->start)
            return text_of(block->bytes + block->start, block->end - block->start);
    }
    return TEXT_EMPTY;
}

void buffer_consume(struct buffer *buffer, size_t length)
{
    buffer->length -= length;
    while (buffer->first != NULL) {
        struct buffer_block *block = buffer->first;
        size_t unread = block->end - block->start;
        if (length < unread) {
            block->start += length;
            return;
        }
        length -= unread;
        buffer->first = block->next;
        if (buffer->first == NULL)
            buffer->last = NULL;
        give_block(buffer->pool, block);
    }
}
