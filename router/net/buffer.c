#include "net/buffer.h"

#include <stdlib.h>
#include <sys/uio.h>

#include "base/memory_account.h"

/* Blocks kept for reuse per pool: 1 MiB of each size, more than a burst of many connections needs. */
#define POOL_KEEPS 64
#define POOL_KEEPS_SMALL 512

static struct buffer_block *take_block(struct buffer_pool *pool, bool is_small)
{
    struct buffer_block **free_list = is_small ? &pool->free_small : &pool->free;
    struct buffer_block *block = *free_list;
    if (block != NULL) {
        *free_list = block->next;
        *(is_small ? &pool->free_small_count : &pool->free_count) -= 1;
    } else {
        size_t capacity = is_small ? BUFFER_SMALL_BYTES : BUFFER_BLOCK_BYTES;
        block = malloc(sizeof *block + capacity);
        if (block == NULL)
            return NULL;
        block->capacity = capacity;
    }
    memory_account_take(pool->account, MEMORY_BUFFERS, block->capacity);
    block->next = NULL;
    block->start = 0;
    block->end = 0;
    return block;
}

static void give_block(struct buffer_pool *pool, struct buffer_block *block)
{
    bool is_small = block->capacity == BUFFER_SMALL_BYTES;
    memory_account_give(pool->account, MEMORY_BUFFERS, block->capacity);
    struct buffer_block **free_list = is_small ? &pool->free_small : &pool->free;
    size_t *count = is_small ? &pool->free_small_count : &pool->free_count;
    if (*count >= (is_small ? POOL_KEEPS_SMALL : POOL_KEEPS)) {
        free(block);
        return;
    }
    block->next = *free_list;
    *free_list = block;
    *count += 1;
}

static void clear_list(struct buffer_block **free_list)
{
    while (*free_list != NULL) {
        struct buffer_block *block = *free_list;
        *free_list = block->next;
        free(block);
    }
}

void buffer_pool_clear(struct buffer_pool *pool)
{
    clear_list(&pool->free);
    clear_list(&pool->free_small);
    pool->free_count = 0;
    pool->free_small_count = 0;
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

static bool add_block(struct buffer *buffer, size_t length)
{
    struct buffer_block *block = take_block(buffer->pool, buffer->first == NULL && length <= BUFFER_SMALL_BYTES);
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
    return buffer->last == NULL ? 0 : buffer->last->capacity - buffer->last->end;
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
        if (room_at_end(buffer) == 0 && !add_block(buffer, bytes.length)) {
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
    if (room_at_end(buffer) < length && (length > BUFFER_BLOCK_BYTES || !add_block(buffer, length)))
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
