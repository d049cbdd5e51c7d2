/* A queue of bytes in blocks: nothing lost, nothing kept longer than needed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/buffer.h"

#define BLOCK BUFFER_BLOCK_BYTES

static char many[8 * BLOCK];

static struct text pattern(size_t from, size_t length)
{
    for (size_t i = 0; i < length; i++)
        many[i] = (char)((from + i) % 253);
    return text_of(many, length);
}

static void assert_pattern(size_t from, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] != (char)((from + i) % 253))
            fail_msg("byte %zu is not the one that went in", from + i);
    }
}

/* Takes everything out by peeking and consuming, in steps of at most `step`, and checks each byte. */
static void drain(struct buffer *buffer, size_t from, size_t step)
{
    while (buffer->length > 0) {
        struct iovec pieces[3];
        int count = buffer_peek(buffer, pieces, 3);
        assert_in_range(count, 1, 3);
        size_t taken = 0;
        for (int i = 0; i < count; i++) {
            assert_true(pieces[i].iov_len > 0);
            size_t left = step - taken < pieces[i].iov_len ? step - taken : pieces[i].iov_len;
            assert_pattern(from + taken, pieces[i].iov_base, left);
            taken += left;
        }
        struct text first = buffer_first(buffer);
        assert_ptr_equal(first.bytes, pieces[0].iov_base);
        assert_int_equal(first.length, pieces[0].iov_len);
        buffer_consume(buffer, taken);
        from += taken;
    }
    assert_null(buffer->first);
    assert_null(buffer->last);
    assert_int_equal(buffer_first(buffer).length, 0);
    struct iovec none;
    assert_int_equal(buffer_peek(buffer, &none, 1), 0);
}

static void bytes_come_out_as_they_went_in(void **state)
{
    (void)state;
    static const size_t lengths[] = {1, 100, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 3 * BLOCK + 7, 8 * BLOCK};
    static const size_t steps[] = {1, 99, 4096, BLOCK - 1, BLOCK, BLOCK + 1, 100000};
    struct buffer_pool pool = {0};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        for (size_t j = lengths[i] > 3 * BLOCK ? 1 : 0; j < sizeof steps / sizeof steps[0]; j++) {
            struct buffer buffer;
            buffer_init(&buffer, &pool);
            assert_true(buffer_append(&buffer, pattern(0, lengths[i])));
            assert_int_equal(buffer.length, lengths[i]);
            drain(&buffer, 0, steps[j]);
        }
    }
    buffer_pool_clear(&pool);
}

static void appending_and_consuming_take_turns(void **state)
{
    (void)state;
    struct buffer_pool pool = {0};
    struct buffer buffer;
    buffer_init(&buffer, &pool);
    size_t in = 0;
    size_t out = 0;
    uint32_t seed = 1;
    for (int i = 0; i < 3000; i++) {
        seed = seed * 1664525 + 1013904223;
        size_t piece = seed >> 12 & 8191;
        assert_true(buffer_append(&buffer, pattern(in, piece)));
        in += piece;
        size_t taken = (seed >> 4 & 8191) < buffer.length ? seed >> 4 & 8191 : buffer.length;
        struct text first = buffer_first(&buffer);
        if (first.length > 0)
            assert_int_equal(first.bytes[0], (char)(out % 253));
        buffer_consume(&buffer, taken);
        out += taken;
        assert_int_equal(buffer.length, in - out);
    }
    drain(&buffer, out, 5000);
    buffer_pool_clear(&pool);
}

static void room_can_be_written_into(void **state)
{
    (void)state;
    struct buffer_pool pool = {0};
    struct buffer buffer;
    buffer_init(&buffer, &pool);
    assert_true(buffer_append(&buffer, pattern(0, BLOCK - 10)));
    /* 10 bytes are left in the block: 11 need another, which stays contiguous. */
    char *room = buffer_reserve(&buffer, 11);
    assert_non_null(room);
    memcpy(room, pattern(BLOCK - 10, 11).bytes, 11);
    buffer_commit(&buffer, 11);
    assert_int_equal(buffer.length, BLOCK + 1);
    /* What was reserved and not used leaves no trace. */
    assert_non_null(buffer_reserve(&buffer, BLOCK));
    buffer_commit(&buffer, 0);
    assert_true(buffer_append(&buffer, pattern(BLOCK + 1, 5)));
    assert_int_equal(buffer.length, BLOCK + 6);
    drain(&buffer, 0, 1000);
    assert_null(buffer_reserve(&buffer, BLOCK + 1));
    buffer_clear(&buffer);
    buffer_pool_clear(&pool);
}

static void a_small_message_takes_a_small_block(void **state)
{
    (void)state;
    struct buffer_pool pool = {0};
    struct buffer buffers[600];
    for (size_t i = 0; i < 600; i++) {
        buffer_init(&buffers[i], &pool);
        assert_true(buffer_append(&buffers[i], pattern(0, BUFFER_SMALL_BYTES)));
        assert_int_equal(buffers[i].first->capacity, BUFFER_SMALL_BYTES);
    }
    /* What does not fit any more goes on in a large one. */
    assert_true(buffer_append(&buffers[0], TEXT("x")));
    assert_int_equal(buffers[0].last->capacity, BLOCK);
    assert_int_equal(buffers[0].length, BUFFER_SMALL_BYTES + 1);
    for (size_t i = 0; i < 600; i++)
        buffer_clear(&buffers[i]);
    assert_int_equal(pool.free_small_count, 512);
    assert_int_equal(pool.free_count, 1);
    buffer_pool_clear(&pool);
    assert_null(pool.free_small);
}

static void an_empty_queue_holds_no_memory_and_the_pool_a_bounded_amount(void **state)
{
    (void)state;
    struct buffer_pool pool = {0};
    struct buffer buffers[20];
    for (size_t i = 0; i < 20; i++) {
        buffer_init(&buffers[i], &pool);
        assert_true(buffer_append(&buffers[i], pattern(0, 8 * BLOCK)));
    }
    assert_int_equal(pool.free_count, 0);
    for (size_t i = 0; i < 20; i++) {
        if (i % 2 == 0)
            buffer_clear(&buffers[i]);
        else
            buffer_consume(&buffers[i], 8 * BLOCK);
        assert_null(buffers[i].first);
        assert_int_equal(buffers[i].length, 0);
    }
    /* 160 blocks came back; 1 MiB of them is kept. */
    assert_int_equal(pool.free_count, 64);
    struct buffer_block *kept = pool.free;
    assert_true(buffer_append(&buffers[0], pattern(0, BUFFER_SMALL_BYTES + 1)));
    assert_ptr_equal(buffers[0].first, kept);
    assert_int_equal(pool.free_count, 63);
    buffer_clear(&buffers[0]);
    buffer_clear(&buffers[0]);
    buffer_pool_clear(&pool);
    assert_null(pool.free);
    assert_int_equal(pool.free_count, 0);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
/* A sanitizer's own allocator ends the process where malloc would say no. */
#define CAN_RUN_OUT_OF_MEMORY false
#elif defined(__has_feature)
#define CAN_RUN_OUT_OF_MEMORY (!__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer))
#else
#define CAN_RUN_OUT_OF_MEMORY true
#endif

/* From here on the process gets no more memory than a few megabytes beyond what it has. */
static struct rlimit tighten_memory(void)
{
    struct rlimit before;
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu", &pages), 1);
    fclose(file);
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    struct rlimit tight = before;
    tight.rlim_cur = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + 4 * 1048576;
    assert_int_equal(setrlimit(RLIMIT_AS, &tight), 0);
    return before;
}

/* What does not fit is not there at all, and what was there before is untouched. */
static void an_append_that_fails_leaves_no_trace(void **state)
{
    (void)state;
    if (!CAN_RUN_OUT_OF_MEMORY)
        skip();
    static const char large[256 * 1048576];
    static const size_t lengths[] = {0, 100, BLOCK, 2 * BLOCK + 5};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct buffer_pool pool = {0};
        struct buffer buffer;
        buffer_init(&buffer, &pool);
        assert_true(buffer_append(&buffer, pattern(0, lengths[i])));
        struct rlimit before = tighten_memory();
        bool is_appended = buffer_append(&buffer, text_of(large, sizeof large));
        assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
        assert_false(is_appended);
        assert_int_equal(buffer.length, lengths[i]);
        assert_true(pool.free_count > 0);
        assert_true(buffer_append(&buffer, pattern(lengths[i], BLOCK)));
        assert_int_equal(buffer.length, lengths[i] + BLOCK);
        drain(&buffer, 0, 4096);
        buffer_pool_clear(&pool);
    }
}

static void nothing_can_be_appended(void **state)
{
    (void)state;
    struct buffer_pool pool = {0};
    struct buffer buffer;
    buffer_init(&buffer, &pool);
    assert_true(buffer_append(&buffer, TEXT_EMPTY));
    assert_null(buffer.first);
    buffer_consume(&buffer, 0);
    assert_int_equal(buffer.length, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_come_out_as_they_went_in),
        cmocka_unit_test(appending_and_consuming_take_turns),
        cmocka_unit_test(room_can_be_written_into),
        cmocka_unit_test(a_small_message_takes_a_small_block),
        cmocka_unit_test(an_empty_queue_holds_no_memory_and_the_pool_a_bounded_amount),
        cmocka_unit_test(an_append_that_fails_leaves_no_trace),
        cmocka_unit_test(nothing_can_be_appended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
