/*
 * "Each line has its timestamp": the verdict does not depend on how the body comes, and when it is yes, two readers of line protocol that have
 * nothing in common with the scanner find a timestamp on each line, too. One splits lines as the database does, at each line end outside of
 * quotes; the other takes lines apart from the left.
 *
 * The first byte: bit 0 the input is gzip, bit 1 it is made gzip here; the rest of it says how the body is cut. Then the body.
 */
#include <zlib.h>

#include "fuzz/fuzz.h"
#include "routing/line_protocol.h"
#include "routing/timestamp_check.h"

static bool scan(struct text body, size_t step)
{
    struct line_protocol_scan scan = {0};
    bool goes_on = true;
    for (size_t at = 0; at < body.length; at += step) {
        size_t length = body.length - at < step ? body.length - at : step;
        bool result = line_protocol_feed(&scan, text_of(body.bytes + at, length));
        /* Doubt is final. */
        expect(goes_on || !result);
        goes_on = result;
    }
    bool verdict = line_protocol_finish(&scan);
    expect(goes_on || !verdict);
    return verdict;
}

/* ---- two other readers ---- */

static bool is_time(struct text word)
{
    size_t digits = 0;
    for (size_t i = 0; i < word.length; i++) {
        if (word.bytes[i] == '-' && i == 0)
            continue;
        if (word.bytes[i] < '0' || word.bytes[i] > '9')
            return false;
        digits++;
    }
    return digits > 0 && digits <= 19;
}

static struct text without_end(struct text line)
{
    while (line.length > 0 && strchr(" \r", line.bytes[line.length - 1]) != NULL && line.bytes[line.length - 1] != '\0')
        line.length--;
    return line;
}

static struct text last_word(struct text line)
{
    size_t at = line.length;
    while (at > 0 && line.bytes[at - 1] != ' ')
        at--;
    return text_of(line.bytes + at, line.length - at);
}

/* Lines end outside of quotes; a quote or line end behind a backslash is none. */
static void expect_times_by_line(struct text body)
{
    size_t start = 0;
    bool is_quoted = false, is_escaped = false;
    for (size_t i = 0; i <= body.length; i++) {
        char c = i < body.length ? body.bytes[i] : '\n';
        bool is_end = i == body.length || (c == '\n' && !is_quoted && !is_escaped);
        is_quoted = is_quoted != (c == '"' && !is_escaped && i < body.length);
        is_escaped = c == '\\' && !is_escaped;
        if (!is_end)
            continue;
        struct text line = without_end(text_of(body.bytes + start, i - start));
        size_t blanks = 0;
        while (blanks < line.length && line.bytes[blanks] == ' ')
            blanks++;
        line = text_of(line.bytes + blanks, line.length - blanks);
        if (line.length > 0 && line.bytes[0] != '#') {
            expect(!is_quoted);
            expect(is_time(last_word(line)) && last_word(line).length < line.length);
        }
        start = i + 1;
    }
}

/* One part of a line: up to a blank that no backslash escapes and no string holds. `is_fields`: a quote behind "=" opens a string. */
static bool skip_part(struct text body, size_t *at, bool is_fields)
{
    size_t start = *at;
    while (*at < body.length && body.bytes[*at] != ' ' && body.bytes[*at] != '\n') {
        if (body.bytes[*at] == '\\') {
            *at += *at + 1 < body.length ? 2 : 1;
            continue;
        }
        if (is_fields && body.bytes[*at] == '=' && *at + 1 < body.length && body.bytes[*at + 1] == '"') {
            for (*at += 2; *at < body.length && body.bytes[*at] != '"'; ++*at)
                *at += body.bytes[*at] == '\\' && *at + 1 < body.length && strchr("\"\\", body.bytes[*at + 1]) != NULL &&
                       body.bytes[*at + 1] != '\0';
            expect(*at < body.length);
        }
        ++*at;
    }
    return *at > start;
}

static void expect_times_from_left(struct text body)
{
    size_t at = 0;
    while (at < body.length) {
        while (at < body.length && strchr(" \r\n", body.bytes[at]) != NULL && body.bytes[at] != '\0')
            at++;
        if (at < body.length && body.bytes[at] == '#') {
            while (at < body.length && body.bytes[at] != '\n')
                at++;
            continue;
        }
        if (at == body.length)
            return;
        for (unsigned part = 0; part < 2; part++) {
            expect(skip_part(body, &at, part == 1));
            expect(at < body.length && body.bytes[at] == ' ');
            while (at < body.length && body.bytes[at] == ' ')
                at++;
        }
        size_t start = at;
        while (at < body.length && strchr(" \r\n", body.bytes[at]) == NULL)
            at++;
        expect(is_time(text_of(body.bytes + start, at - start)));
        while (at < body.length && (body.bytes[at] == ' ' || body.bytes[at] == '\r'))
            at++;
        expect(at == body.length || body.bytes[at] == '\n');
    }
}

/* ---- in slices, plain or gzip ---- */

static enum timestamp_result check(struct text body, bool is_gzip, size_t budget, uint64_t maximum)
{
    struct timestamp_check *check = timestamp_check_begin(body, is_gzip, maximum);
    expect(check != NULL);
    enum timestamp_result result;
    while ((result = timestamp_check_step(check, budget)) == TIMESTAMP_MORE)
        ;
    timestamp_check_end(check);
    return result;
}

/* As one gzip file, or as two of them one after the other. */
static void try_as_gzip(struct text body, unsigned cut, bool verdict)
{
    unsigned char packed[32768];
    size_t used = 0;
    size_t first = cut % 2 == 0 ? body.length : body.length / 2;
    first = first == 0 ? 1 : first;
    for (size_t at = 0; at == 0 || at < body.length; at += first) {
        size_t length = body.length - at < first ? body.length - at : first;
        z_stream stream = {.next_in = (unsigned char *)(uintptr_t)body.bytes + at, .avail_in = (unsigned)length,
                           .next_out = packed + used, .avail_out = (unsigned)(sizeof packed - used)};
        expect(deflateInit2(&stream, 1, Z_DEFLATED, 9 + 16, 1, Z_DEFAULT_STRATEGY) == Z_OK);
        expect(deflate(&stream, Z_FINISH) == Z_STREAM_END);
        used = sizeof packed - stream.avail_out;
        deflateEnd(&stream);
    }
    struct text copy = fuzz_copy(text_of((const char *)packed, used));
    expect((check(copy, true, 1 + cut, body.length + 1) == TIMESTAMP_EACH_LINE) == verdict);
    /* Cut, it is no gzip; beyond the maximum it is not looked at. */
    expect(check(text_of(copy.bytes, copy.length - 1), true, 1 + cut, body.length + 1) == TIMESTAMP_DOUBT);
    if (body.length > 0)
        expect(check(copy, true, 1 + cut, body.length - 1) == TIMESTAMP_DOUBT);
    fuzz_free(copy);
}

#define BODY_BYTES 8192

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tape tape = {data, size};
    unsigned choice = tape_byte(&tape);
    struct text body = fuzz_copy(tape_text(&tape, BODY_BYTES));
    if ((choice & 1) != 0) {
        enum timestamp_result whole = check(body, true, SIZE_MAX / 2, 1 << 20);
        expect(check(body, true, 1 + choice, 1 << 20) == whole);
        fuzz_free(body);
        return 0;
    }
    bool verdict = scan(body, body.length + 1);
    expect(scan(body, 1) == verdict && scan(body, 1 + (choice >> 2)) == verdict);
    expect((check(body, false, 1 + (choice >> 2), 0) == TIMESTAMP_EACH_LINE) == verdict);
    if (verdict) {
        expect_times_by_line(body);
        expect_times_from_left(body);
    }
    if ((choice & 2) != 0)
        try_as_gzip(body, choice >> 2, verdict);
    fuzz_free(body);
    return 0;
}
