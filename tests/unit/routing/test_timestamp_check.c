/* Does every line of a body have its timestamp? Plain and gzip, in steps of any size, and never more than may be looked at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "routing/timestamp_check.h"

#define PIECE_BYTES 16384

/* Budgets of a step: the answer must not depend on them. */
static const size_t budgets[] = {1, 7, 1000, SIZE_MAX};
#define BUDGETS (sizeof budgets / sizeof budgets[0])

/* The answer, and after how many steps; `body` is read where it ends, so that the sanitizer sees who reads too far. */
static bool judge_in(struct text body, bool is_gzip, uint64_t maximum_bytes, size_t budget_bytes, size_t *steps)
{
    struct timestamp_check *check = timestamp_check_begin(body, is_gzip, maximum_bytes);
    enum timestamp_result result;
    assert_non_null(check);
    *steps = 0;
    do {
        result = timestamp_check_step(check, budget_bytes);
        ++*steps;
    } while (result == TIMESTAMP_MORE);
    timestamp_check_end(check);
    return result == TIMESTAMP_EACH_LINE;
}

static bool judge(struct text body, bool is_gzip, uint64_t maximum_bytes)
{
    size_t steps;
    bool result = judge_in(body, is_gzip, maximum_bytes, budgets[0], &steps);
    for (size_t i = 1; i < BUDGETS; i++) {
        if (judge_in(body, is_gzip, maximum_bytes, budgets[i], &steps) != result)
            fail_msg("another answer with a budget of %zu bytes", budgets[i]);
    }
    return result;
}

/* One gzip member; the caller frees it. */
static char *compress_gzip(const char *plain, size_t length, size_t *compressed_length)
{
    z_stream stream = {0};
    assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    size_t capacity = deflateBound(&stream, length) + 32;
    char *compressed = malloc(capacity);
    stream.next_in = (unsigned char *)(uintptr_t)plain;
    stream.avail_in = (unsigned)length;
    stream.next_out = (unsigned char *)compressed;
    stream.avail_out = (unsigned)capacity;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    *compressed_length = capacity - stream.avail_out;
    deflateEnd(&stream);
    return compressed;
}

/* Each piece of `plain`, cut at "|", as a member of its own; then the end is cut (extra < 0) or zeros follow. */
static bool judge_gzip(const char *plain, int extra, uint64_t maximum_bytes)
{
    char *whole = calloc(1, 1 << 16);
    size_t used = 0;
    struct text rest = text_of_string(plain);
    while (rest.bytes != NULL) {
        struct text piece = text_cut(&rest, '|');
        size_t length;
        char *member = compress_gzip(piece.bytes, piece.length, &length);
        memcpy(whole + used, member, length);
        used += length;
        free(member);
    }
    used = (size_t)((long)used + extra);
    char *exact = malloc(used);
    memcpy(exact, whole, used);
    free(whole);
    bool result = judge(text_of(exact, used), true, maximum_bytes);
    free(exact);
    return result;
}

/* ---- plain ---- */

static void each_line_needs_its_timestamp(void **state)
{
    (void)state;
    assert_true(judge(TEXT("m f=1 5\nm f=2 6"), false, 0));
    assert_true(judge(TEXT("m f=1 5\n\n# m f=1\nm f=2 6\n"), false, 0));
    assert_false(judge(TEXT("m f=1 5\nm f=2"), false, 0));
    assert_false(judge(TEXT("m f=1\nm f=2 6"), false, 0));
    assert_false(judge(TEXT("m f=\"1 5\nm f=2 6"), false, 0));
    /* Nothing that could be stored twice. */
    assert_true(judge(TEXT_EMPTY, false, 0));
    assert_true(judge(TEXT("\n"), false, 0));
}

static void a_step_looks_at_its_budget_and_no_more(void **state)
{
    (void)state;
    size_t steps;
    assert_true(judge_in(TEXT("m f=1 5\nm f=2 6\n"), false, 0, 1, &steps));
    assert_int_equal(steps, 16);
    assert_true(judge_in(TEXT("m f=1 5\nm f=2 6\n"), false, 0, 5, &steps));
    assert_int_equal(steps, 4);
    assert_true(judge_in(TEXT("m f=1 5\nm f=2 6\n"), false, 0, 16, &steps));
    assert_int_equal(steps, 1);
    /* What is in doubt is not read to its end. */
    assert_false(judge_in(TEXT("m f=1\nm f=2 6\nm f=3 7\n"), false, 0, 1, &steps));
    assert_true(steps <= 7);
}

/* ---- gzip ---- */

static void bodies_are_judged_inflated(void **state)
{
    (void)state;
    assert_true(judge_gzip("m f=1 5\nm f=2 6", 0, 1000));
    assert_false(judge_gzip("m f=1 5\nm f=2", 0, 1000));

    /* Members follow each other, even in the middle of a line. */
    assert_true(judge_gzip("m f=1 5\n|m f=2 6\n", 0, 1000));
    assert_true(judge_gzip("m f=1| 5\nm f=\"a|b\" 6", 0, 1000));
    assert_true(judge_gzip("m f=1 5\n||", 0, 1000));
    assert_false(judge_gzip("m f=1 5\n|m f=2\n", 0, 1000));

    /* Cut, with a tail that is no member, or no gzip at all. */
    assert_false(judge_gzip("m f=1 5\nm f=2 6", -1, 1000));
    assert_false(judge_gzip("m f=1 5\nm f=2 6", -9, 1000));
    assert_false(judge_gzip("m f=1 5\nm f=2 6", 1, 1000));
    assert_false(judge(TEXT("m f=1 5\n"), true, 1000));
    assert_false(judge(TEXT_EMPTY, true, 1000));

    /* Exactly as much as may be inflated, and one byte more. */
    assert_true(judge_gzip("m f=1 5\n", 0, 8));
    assert_false(judge_gzip("m f=1 5\n", 0, 7));
}

/* 8 MiB of lines in less than 64 KiB: judged no further than allowed, and each step does its share only. */
static void a_bomb_is_not_inflated(void **state)
{
    (void)state;
    enum { BYTES = 8 << 20 };
    char *plain = malloc(BYTES);
    for (size_t i = 0; i < BYTES; i += 8)
        memcpy(plain + i, "m f=1 5\n", 8);
    size_t length;
    size_t steps;
    char *bomb = compress_gzip(plain, BYTES, &length);
    assert_true(length < 65536);
    assert_true(judge_in(text_of(bomb, length), true, BYTES, PIECE_BYTES, &steps));
    assert_true(steps >= BYTES / (2 * PIECE_BYTES));
    assert_false(judge_in(text_of(bomb, length), true, BYTES - 1, PIECE_BYTES, &steps));
    assert_false(judge_in(text_of(bomb, length), true, 1 << 20, PIECE_BYTES, &steps));
    assert_true(steps <= (1 << 20) / PIECE_BYTES + 1);
    free(bomb);
    free(plain);
}

/* RFC 1952 and RFC 1951: a header, empty stored blocks, a last one, and the check value and length of nothing. */
static size_t put_empty_blocks(char *out, size_t blocks)
{
    static const char header[] = {0x1f, (char)0x8b, 8, 0, 0, 0, 0, 0, 0, 3};
    static const char block[] = {0, 0, 0, (char)0xff, (char)0xff};
    size_t used = sizeof header;
    memcpy(out, header, sizeof header);
    for (size_t i = 0; i <= blocks; i++) {
        memcpy(out + used, block, sizeof block);
        out[used] = i == blocks;
        used += sizeof block;
    }
    memset(out + used, 0, 8);
    return used + 8;
}

/* Nothing comes out of them, and yet they are work. */
static void empty_blocks_and_members_cost_their_budget(void **state)
{
    (void)state;
    enum { BLOCKS = 200000, MEMBERS = 10000 };
    char *bytes = malloc(BLOCKS * 5 + 64);
    size_t steps;
    size_t length = put_empty_blocks(bytes, BLOCKS);
    assert_true(judge_in(text_of(bytes, length), true, 1000, PIECE_BYTES, &steps));
    assert_true(steps >= length / PIECE_BYTES);
    length = 0;
    for (size_t i = 0; i < MEMBERS; i++)
        length += put_empty_blocks(bytes + length, 0);
    assert_true(judge_in(text_of(bytes, length), true, 1000, 1000, &steps));
    assert_true(steps >= length / 2000);
    free(bytes);
}

static void a_check_may_end_before_its_answer(void **state)
{
    (void)state;
    size_t length;
    char *body = compress_gzip("m f=1 5\n", 8, &length);
    struct timestamp_check *check = timestamp_check_begin(text_of(body, length), true, 1000);
    assert_non_null(check);
    timestamp_check_end(check);
    check = timestamp_check_begin(TEXT("m f=1 5\nm f=2 6\n"), false, 0);
    assert_int_equal(timestamp_check_step(check, 3), TIMESTAMP_MORE);
    timestamp_check_end(check);
    timestamp_check_end(NULL);
    free(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_line_needs_its_timestamp),
        cmocka_unit_test(a_step_looks_at_its_budget_and_no_more),
        cmocka_unit_test(bodies_are_judged_inflated),
        cmocka_unit_test(a_bomb_is_not_inflated),
        cmocka_unit_test(empty_blocks_and_members_cost_their_budget),
        cmocka_unit_test(a_check_may_end_before_its_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
