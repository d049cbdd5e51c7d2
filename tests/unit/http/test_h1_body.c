/*
 * The strict body decoder: each case whole, byte by byte, and cut in two at every point, always with the same data and
 * result.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fake/split.h"
#include "http/h1_body.h"

/* What came out of feeding some bytes. */
struct outcome {
    enum h1_body_result result;
    char data[8192];
    size_t data_length;
    size_t rest; /* bytes behind the end that were not taken */
};

/* Merged or not, all bytes and results are the same. */
static void feed(struct h1_body body, struct text bytes, const struct split *split, bool is_merged, struct outcome *outcome)
{
    char room[H1_BODY_ROOM_BYTES];
    *outcome = (struct outcome){.result = H1_BODY_RESULT_MORE};
    for (size_t from = 0, to; (to = split_end(split, from)) > from; from = to) {
        struct text input = text_of(bytes.bytes + from, to - from);
        struct text data;
        while ((outcome->result = is_merged ? h1_body_next_merged(&body, &input, &data, room)
                                            : h1_body_next(&body, &input, &data)) == H1_BODY_RESULT_DATA) {
            assert_true(data.length > 0);
            if (data.bytes != room)
                assert_in_range((uintptr_t)data.bytes, (uintptr_t)(bytes.bytes + from), (uintptr_t)(bytes.bytes + to - 1));
            memcpy(outcome->data + outcome->data_length, data.bytes, data.length);
            outcome->data_length += data.length;
        }
        if (outcome->result != H1_BODY_RESULT_MORE) {
            outcome->rest = input.length + (bytes.length - to);
            return;
        }
        assert_int_equal(input.length, 0);
    }
}

static void assert_outcome(const struct h1_body *start, struct text bytes, enum h1_body_result result, struct text data,
                           size_t rest)
{
    for (struct split split = split_first(bytes.length); !split.is_done; split_next(&split)) {
        static struct outcome outcome, merged;
        feed(*start, bytes, &split, false, &outcome);
        feed(*start, bytes, &split, true, &merged);
        assert_int_equal(merged.result, outcome.result);
        assert_int_equal(merged.rest, outcome.rest);
        assert_true(text_equals(text_of(merged.data, merged.data_length), text_of(outcome.data, outcome.data_length)));
        bool is_same = outcome.result == result && text_equals(text_of(outcome.data, outcome.data_length), data) &&
                       (result != H1_BODY_RESULT_END || outcome.rest == rest);
        if (!is_same)
            fail_msg("\"%.*s\" %s: result %d, data \"%.*s\", %zu bytes over", TEXT_ARGUMENTS(bytes), split.name,
                     outcome.result, (int)outcome.data_length, outcome.data, outcome.rest);
    }
}

static void assert_chunked(struct text bytes, enum h1_body_result result, const char *data, size_t rest)
{
    struct h1_body body;
    h1_body_start_chunked(&body, 0);
    assert_outcome(&body, bytes, result, text_of_string(data), rest);
}

#define END H1_BODY_RESULT_END
#define MORE H1_BODY_RESULT_MORE
#define BAD H1_BODY_RESULT_BAD
#define TOO_LARGE H1_BODY_RESULT_TOO_LARGE

static void chunks_are_taken_out(void **state)
{
    (void)state;
    assert_chunked(TEXT("0\r\n\r\n"), END, "", 0);
    assert_chunked(TEXT("3\r\nabc\r\n0\r\n\r\n"), END, "abc", 0);
    assert_chunked(TEXT("3\r\nabc\r\n0\r\n\r\nGET / HTTP/1.1\r\n"), END, "abc", 16);
    assert_chunked(TEXT("a\r\n0123456789\r\nA\r\n9876543210\r\n0\r\n\r\n"), END, "01234567899876543210", 0);
    assert_chunked(TEXT("2\r\n\r\n\r\n0\r\n\r\n"), END, "\r\n", 0);
    assert_chunked(TEXT("003\r\nabc\r\n000\r\n\r\n"), END, "abc", 0);
    assert_chunked(TEXT("000000000000003\r\nabc\r\n0\r\n\r\n"), END, "abc", 0);
    struct h1_body body;
    h1_body_start_chunked(&body, 0);
    assert_outcome(&body, TEXT("1\r\n\0\r\n0\r\n\r\nx"), END, text_of("", 1), 1);
}

static void each_digit_counts_what_it_says(void **state)
{
    (void)state;
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    static const char data[16] = "0123456789abcdef";
    for (size_t i = 0; i < 32; i++) {
        char bytes[40];
        size_t size = i % 16;
        size_t length = (size_t)sprintf(bytes, "%c\r\n%.*s\r\n", digits[i], (int)size, data);
        struct h1_body body;
        h1_body_start_chunked(&body, 0);
        assert_outcome(&body, text_of(bytes, length), size == 0 ? END : MORE, text_of(data, size), 0);
    }
}

static void a_body_that_is_not_complete_wants_more(void **state)
{
    (void)state;
    static const char whole[] = "3;e=1\r\nabc\r\n0\r\nX-T: 1\r\n\r\n";
    for (size_t length = 1; length < sizeof whole - 1; length++) {
        size_t data = length < 7 ? 0 : length < 10 ? length - 7 : 3;
        char expected[4] = "abc";
        expected[data] = '\0';
        assert_chunked(text_of(whole, length), MORE, expected, 0);
    }
}

static void chunk_sizes_are_digits_only(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\r\nabc", " 3\r\nabc", "+3\r\nabc", "-3\r\nabc", "0x3\r\nabc", "3 \r\nabc", "3\t\r\nabc", "g\r\n", "3g\r\n",
        ";e\r\n", "3\nabc", "3\rabc", "3\r\rabc", "\n3\r\nabc", "3.0\r\nabc", "3,3\r\nabc",
        /* Row 30: 16 digits and more have no sensible use and overflow in somebody's parser. */
        "FFFFFFFFFFFFFFFF\r\n", "0000000000000003\r\nabc\r\n", "10000000000000000\r\n",
        "0000000000000000000000000000000000000000\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_chunked(text_of_string(bad[i]), BAD, "", 0);
    assert_chunked(TEXT("3\0\r\nabc"), BAD, "", 0);
    /* 15 digits are a size, and one that nobody waits for when there is a limit. */
    assert_chunked(TEXT("fffffffffffffff\r\nabc"), MORE, "abc", 0);
    struct h1_body body;
    h1_body_start_chunked(&body, 1000000);
    assert_outcome(&body, TEXT("fffffffffffffff\r\nabc"), TOO_LARGE, TEXT_EMPTY, 0);
}

/* Rows 31 and 32, and their relatives. */
static void line_ends_are_whole_everywhere(void **state)
{
    (void)state;
    assert_chunked(TEXT("3\rXabc\r\n0\r\n\r\n"), BAD, "", 0);
    assert_chunked(TEXT("3\r\nabcXX0\r\n\r\n"), BAD, "abc", 0);
    assert_chunked(TEXT("3\r\nabcd\r\n0\r\n\r\n"), BAD, "abc", 0);
    assert_chunked(TEXT("3\r\nabc\n0\r\n\r\n"), BAD, "abc", 0);
    assert_chunked(TEXT("3\r\nabc\r0\r\n\r\n"), BAD, "abc", 0);
    assert_chunked(TEXT("3\r\nab\r\n0\r\n\r\n"), BAD, "ab\r", 0);
    assert_chunked(TEXT("0\r\n\nGET / HTTP/1.1\r\n\r\n"), BAD, "", 0);
    assert_chunked(TEXT("0\n\r\n"), BAD, "", 0);
    assert_chunked(TEXT("0\r\n\rX"), BAD, "", 0);
    assert_chunked(TEXT("0\r\r\n\r\n"), BAD, "", 0);
    assert_chunked(TEXT("0\r\nX: 1\n\r\n"), BAD, "", 0);
    assert_chunked(TEXT("0\r\nX: 1\rY: 2\r\n\r\n"), BAD, "", 0);
}

static void extensions_are_overlooked(void **state)
{
    (void)state;
    assert_chunked(TEXT("3;\r\nabc\r\n0;\r\n\r\n"), END, "abc", 0);
    assert_chunked(TEXT("3;a=b;c=\"d e\";f\r\nabc\r\n0;x=\"\xc3\xa4\"\r\n\r\n"), END, "abc", 0);
    assert_chunked(TEXT("3;a;\r\nabc\r\n0\r\n\r\n"), END, "abc", 0);
    assert_chunked(TEXT("3;a\nabc\r\n0\r\n\r\n"), BAD, "", 0);
    assert_chunked(TEXT("3;a\rabc\r\n0\r\n\r\n"), BAD, "", 0);
    assert_chunked(TEXT("3;a\0b\r\nabc\r\n0\r\n\r\n"), BAD, "", 0);
    assert_chunked(TEXT("3;a\x7f\r\nabc\r\n0\r\n\r\n"), BAD, "", 0);
    assert_chunked(TEXT("0;a\n\r\n"), BAD, "", 0);
}

/* Row 29: 256 bytes to a chunk, 4 KiB to a message. */
static void extensions_have_a_bound(void **state)
{
    (void)state;
    static char bytes[8192];
    struct h1_body body;
    h1_body_start_chunked(&body, 0);
    for (size_t extension = 255; extension <= 258; extension++) {
        memcpy(bytes, "1;", 2);
        memset(bytes + 2, 'e', extension);
        memcpy(bytes + 2 + extension, "\r\nx\r\n0\r\n\r\n", 10);
        bool fits = extension <= 256;
        assert_outcome(&body, text_of(bytes, extension + 12), fits ? END : BAD, fits ? TEXT("x") : TEXT_EMPTY, 0);
    }
    /* 16 chunks of 256 are 4096; one byte more is too much. */
    for (int more = 0; more <= 1; more++) {
        size_t length = 0;
        for (int chunk = 0; chunk < 16; chunk++) {
            memcpy(bytes + length, "1;", 2);
            memset(bytes + length + 2, 'e', 256);
            memcpy(bytes + length + 258, "\r\nx\r\n", 5);
            length += 263;
        }
        length += (size_t)sprintf(bytes + length, "1;%s\r\ny\r\n0\r\n\r\n", more ? "e" : "");
        assert_outcome(&body, text_of(bytes, length), more ? BAD : END,
                       more ? TEXT("xxxxxxxxxxxxxxxx") : TEXT("xxxxxxxxxxxxxxxxy"), 0);
    }
}

/* Row 33: trailers are checked and dropped, whatever they call themselves. */
static void trailers_are_checked_and_dropped(void **state)
{
    (void)state;
    assert_chunked(TEXT("3\r\nabc\r\n0\r\nContent-Length: 5\r\n\r\nGET"), END, "abc", 3);
    assert_chunked(TEXT("0\r\nAuthorization: Token t\r\nUpgrade: h2c\r\nX-Empty:\r\nX: a\tb \xe4\r\n\r\n"), END, "", 0);
    assert_chunked(TEXT("0\r\n: x\r\n\r\n"), BAD, "", 0);
    assert_chunked(TEXT("0\r\nX\r\n\r\n"), BAD, "", 0);
    assert_chunked(TEXT("0\r\nX : 1\r\n\r\n"), BAD, "", 0);
    assert_chunked(TEXT("0\r\n X: 1\r\n\r\n"), BAD, "", 0);
    assert_chunked(TEXT("0\r\nX: 1\r\n folded\r\n\r\n"), BAD, "", 0);
    assert_chunked(TEXT("0\r\nX: \0\r\n\r\n"), BAD, "", 0);
    assert_chunked(TEXT("0\r\nX(: 1\r\n\r\n"), BAD, "", 0);
}

static void trailers_have_a_bound(void **state)
{
    (void)state;
    static char bytes[8300];
    struct h1_body body;
    for (int more = 0; more <= 1; more++) {
        /* "X:" and the value with its CR, and the last CR, are 8192 bytes (line feeds are not counted). */
        size_t value = 8192 - 2 - 1 - 1 + (size_t)more;
        size_t length = (size_t)sprintf(bytes, "0\r\nX:");
        memset(bytes + length, 'v', value);
        length += value;
        memcpy(bytes + length, "\r\n\r\n", 4);
        struct text whole = text_of(bytes, length + 4);
        struct split split = split_first(whole.length);
        for (int way = 0; way < 2; way++, split_next(&split)) {
            static struct outcome outcome;
            h1_body_start_chunked(&body, 0);
            feed(body, whole, &split, false, &outcome);
            assert_int_equal(outcome.result, more ? BAD : END);
        }
    }
}

static void a_length_takes_exactly_its_bytes(void **state)
{
    (void)state;
    struct h1_body body;
    h1_body_start_length(&body, 5, 0);
    assert_outcome(&body, TEXT("hello"), END, TEXT("hello"), 0);
    assert_outcome(&body, TEXT("hello world"), END, TEXT("hello"), 6);
    assert_outcome(&body, TEXT("hell"), MORE, TEXT("hell"), 0);
    assert_false(h1_body_ends_with_connection(&body));
    h1_body_start_length(&body, 0, 0);
    assert_outcome(&body, TEXT("GET"), END, TEXT_EMPTY, 3);
    /* Nothing to read is also the end: no byte need come for it. */
    struct text none = TEXT_EMPTY;
    struct text data;
    assert_int_equal(h1_body_next(&body, &none, &data), END);
}

static void a_body_until_close_never_ends_by_itself(void **state)
{
    (void)state;
    struct h1_body body;
    h1_body_start_until_close(&body);
    assert_outcome(&body, TEXT("0\r\n\r\nanything"), MORE, TEXT("0\r\n\r\nanything"), 0);
    assert_true(h1_body_ends_with_connection(&body));
    h1_body_start_chunked(&body, 0);
    assert_false(h1_body_ends_with_connection(&body));
}

/* The limit is told before the bytes that would pass it are read. */
static void a_body_above_its_limit_is_refused_before_it_is_read(void **state)
{
    (void)state;
    struct h1_body body;
    h1_body_start_length(&body, 10, 10);
    assert_outcome(&body, TEXT("0123456789"), END, TEXT("0123456789"), 0);
    h1_body_start_length(&body, 11, 10);
    assert_outcome(&body, TEXT("01234567890"), TOO_LARGE, TEXT_EMPTY, 0);
    h1_body_start_chunked(&body, 5);
    assert_outcome(&body, TEXT("5\r\nabcde\r\n0\r\n\r\n"), END, TEXT("abcde"), 0);
    assert_outcome(&body, TEXT("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"), END, TEXT("abcde"), 0);
    assert_outcome(&body, TEXT("6\r\nabcdef\r\n0\r\n\r\n"), TOO_LARGE, TEXT_EMPTY, 0);
    assert_outcome(&body, TEXT("3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"), TOO_LARGE, TEXT("abc"), 0);
}

static char input_bytes[65536];

/* The pieces of a body that comes in chunks of `length`, with room for the next one; returns how many there were. */
static unsigned count_pieces(size_t count, size_t length, size_t *largest)
{
    char room[H1_BODY_ROOM_BYTES];
    struct h1_body body;
    size_t used = 0;
    unsigned pieces = 0;
    for (size_t i = 0; i < count; i++) {
        used = text_append(input_bytes, sizeof input_bytes, used, "%zx\r\n", length);
        for (size_t j = 0; j < length; j++)
            input_bytes[used++] = (char)('a' + (i * length + j) % 26);
        used = text_append(input_bytes, sizeof input_bytes, used, "\r\n");
    }
    used = text_append(input_bytes, sizeof input_bytes, used, "0\r\n\r\n");
    struct text input = text_of(input_bytes, used);
    struct text data;
    size_t total = 0;
    *largest = 0;
    h1_body_start_chunked(&body, 0);
    while (h1_body_next_merged(&body, &input, &data, room) == H1_BODY_RESULT_DATA) {
        for (size_t i = 0; i < data.length; i++)
            assert_int_equal(data.bytes[i], 'a' + (total + i) % 26);
        pieces++;
        total += data.length;
        *largest = data.length > *largest ? data.length : *largest;
    }
    assert_int_equal(total, count * length);
    assert_int_equal(input.length, 0);
    assert_int_equal(h1_body_next_merged(&body, &input, &data, room), H1_BODY_RESULT_END);
    return pieces;
}

static void small_chunks_of_one_read_are_one_piece(void **state)
{
    (void)state;
    size_t largest;
    assert_int_equal(count_pieces(1, 1, &largest), 1);
    assert_int_equal(count_pieces(700, 1, &largest), 1);
    assert_int_equal(largest, 700);
    assert_int_equal(count_pieces(8000, 1, &largest), 2);
    assert_in_range(largest, H1_BODY_ROOM_BYTES - 16, H1_BODY_ROOM_BYTES);
    assert_int_equal(count_pieces(100, 100, &largest), 3);
    /* Larger ones stay where they are. */
    assert_int_equal(count_pieces(50, 512, &largest), 50);
    assert_int_equal(count_pieces(10, 5000, &largest), 10);
}

static void a_piece_before_a_flaw_comes_first(void **state)
{
    (void)state;
    char room[H1_BODY_ROOM_BYTES];
    struct h1_body body;
    struct text data;
    struct text input = TEXT("1\r\na\r\n1\r\nb\r\nx");
    h1_body_start_chunked(&body, 0);
    assert_int_equal(h1_body_next_merged(&body, &input, &data, room), H1_BODY_RESULT_DATA);
    assert_true(text_equals(data, TEXT("ab")));
    assert_int_equal(h1_body_next_merged(&body, &input, &data, room), H1_BODY_RESULT_BAD);
    assert_int_equal(h1_body_next_merged(&body, &input, &data, room), H1_BODY_RESULT_BAD);
    input = TEXT("1\r\na\r\n1\r\nb\r\n1\r\nc\r\n");
    h1_body_start_chunked(&body, 2);
    assert_int_equal(h1_body_next_merged(&body, &input, &data, room), H1_BODY_RESULT_DATA);
    assert_true(text_equals(data, TEXT("ab")));
    assert_int_equal(h1_body_next_merged(&body, &input, &data, room), H1_BODY_RESULT_TOO_LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_are_taken_out),
        cmocka_unit_test(each_digit_counts_what_it_says),
        cmocka_unit_test(a_body_that_is_not_complete_wants_more),
        cmocka_unit_test(chunk_sizes_are_digits_only),
        cmocka_unit_test(line_ends_are_whole_everywhere),
        cmocka_unit_test(extensions_are_overlooked),
        cmocka_unit_test(extensions_have_a_bound),
        cmocka_unit_test(trailers_are_checked_and_dropped),
        cmocka_unit_test(trailers_have_a_bound),
        cmocka_unit_test(a_length_takes_exactly_its_bytes),
        cmocka_unit_test(a_body_until_close_never_ends_by_itself),
        cmocka_unit_test(a_body_above_its_limit_is_refused_before_it_is_read),
        cmocka_unit_test(small_chunks_of_one_read_are_one_piece),
        cmocka_unit_test(a_piece_before_a_flaw_comes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
