/*
 * Bodies of HTTP/1 against a decoder that has the whole of them before it begins: the same bytes come out and the same place is the end,
 * however the input is cut.
 *
 * The input: which kind and whether there is a limit (1 byte), length or limit (2 bytes), how it is cut (1 byte), the body and what follows.
 */
#include "fuzz/fuzz.h"
#include "http/h1_body.h"

enum verdict { WHOLE, INCOMPLETE, BAD, TOO_LARGE };

struct outcome {
    enum verdict verdict;
    size_t used;   /* of the input, when it is whole */
    size_t length; /* of the data */
    char *data;
};

/* ---- the reference: RFC 9112 section 7.1 from beginning to end, with the router's bounds ---- */

static bool take_byte(struct text *rest, unsigned char *byte)
{
    if (rest->length == 0)
        return false;
    *byte = (unsigned char)rest->bytes[0];
    *rest = text_of(rest->bytes + 1, rest->length - 1);
    return true;
}

static bool is_value_byte(unsigned char c)
{
    return c == '\t' || (c >= ' ' && c != 0x7f);
}

static bool is_name_byte(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* The chunk's line with its LF. */
static enum verdict read_chunk_line(struct text *rest, uint64_t *size, size_t *extensions)
{
    unsigned digits = 0;
    size_t extension = 0;
    unsigned char c;
    for (*size = 0; take_byte(rest, &c);) {
        const char *hex = "0123456789abcdef";
        const char *found = c == '\0' || extension > 0 ? NULL : strchr(hex, text_lower((char)c));
        if (found != NULL) {
            if (++digits > 15)
                return BAD;
            *size = *size * 16 + (uint64_t)(found - hex);
        } else if (c == '\r' && digits > 0) {
            if (!take_byte(rest, &c))
                return INCOMPLETE;
            return c == '\n' ? WHOLE : BAD;
        } else if (c == ';' && digits > 0 && extension == 0) {
            extension = 1;
        } else if (extension == 0 || !is_value_byte(c) || ++extension > 256 + 1 || ++*extensions > 4096) {
            return BAD;
        }
    }
    return INCOMPLETE;
}

static enum verdict read_trailers(struct text *rest)
{
    size_t count = 0;
    unsigned char c;
    for (;;) {
        size_t name = 0;
        bool in_value = false;
        for (;;) {
            if (!take_byte(rest, &c))
                return INCOMPLETE;
            bool is_end = c == '\r' && (in_value || name == 0);
            if (is_end && !in_value && ++count <= 8192)
                break;
            if (++count > 8192)
                return BAD;
            if (is_end)
                break;
            if (in_value ? !is_value_byte(c) : !(c == ':' && name > 0) && !is_name_byte(c))
                return BAD;
            in_value = in_value || c == ':';
            name++;
        }
        if (!take_byte(rest, &c))
            return INCOMPLETE;
        if (c != '\n')
            return BAD;
        if (name == 0)
            return WHOLE;
    }
}

static struct outcome decode_chunks(struct text input, uint64_t limit)
{
    struct outcome outcome = {.data = malloc(input.length + 1)};
    struct text rest = input;
    size_t extensions = 0;
    for (;;) {
        uint64_t size;
        unsigned char cr, lf;
        outcome.verdict = read_chunk_line(&rest, &size, &extensions);
        if (outcome.verdict == WHOLE && size == 0)
            outcome.verdict = read_trailers(&rest);
        else if (outcome.verdict == WHOLE && limit != 0 && outcome.length + size > limit)
            outcome.verdict = TOO_LARGE;
        else if (outcome.verdict == WHOLE) {
            size_t length = size < rest.length ? (size_t)size : rest.length;
            memcpy(outcome.data + outcome.length, rest.bytes, length);
            outcome.length += length;
            rest = text_of(rest.bytes + length, rest.length - length);
            if (length < size || !take_byte(&rest, &cr))
                outcome.verdict = INCOMPLETE;
            else if (cr != '\r')
                outcome.verdict = BAD;
            else if (!take_byte(&rest, &lf))
                outcome.verdict = INCOMPLETE;
            else if (lf != '\n')
                outcome.verdict = BAD;
            else
                continue;
        }
        outcome.used = input.length - rest.length;
        return outcome;
    }
}

static struct outcome decode_length(struct text input, uint64_t length, uint64_t limit)
{
    struct outcome outcome = {.data = malloc(input.length + 1)};
    if (limit != 0 && length > limit && length > 0) {
        outcome.verdict = TOO_LARGE;
        return outcome;
    }
    outcome.length = outcome.used = length < input.length ? (size_t)length : input.length;
    outcome.verdict = outcome.length < length ? INCOMPLETE : WHOLE;
    if (outcome.length > 0)
        memcpy(outcome.data, input.bytes, outcome.length);
    return outcome;
}

/* ---- the router's, in pieces ---- */

static struct outcome decode_in_pieces(struct h1_body body, struct text input, unsigned cut)
{
    struct outcome outcome = {.data = malloc(input.length + 1)};
    size_t at = 0;
    for (;;) {
        /* 0: whole; else pieces whose sizes go round. */
        size_t size = cut == 0 ? input.length - at : 1 + (at * cut + cut) % (1 + cut % 13);
        size = size < input.length - at ? size : input.length - at;
        struct text copy = fuzz_copy(text_of(input.bytes + at, size));
        struct text piece = copy, data = TEXT_EMPTY;
        enum h1_body_result result;
        while ((result = h1_body_next(&body, &piece, &data)) == H1_BODY_RESULT_DATA) {
            expect(data.length > 0 && lies_in(data, copy) && outcome.length + data.length <= input.length);
            memcpy(outcome.data + outcome.length, data.bytes, data.length);
            outcome.length += data.length;
        }
        outcome.used = at + (copy.length - piece.length);
        expect(result != H1_BODY_RESULT_MORE || piece.length == 0);
        fuzz_free(copy);
        at += size;
        if (result == H1_BODY_RESULT_MORE && at < input.length)
            continue;
        outcome.verdict = result == H1_BODY_RESULT_END ? WHOLE : result == H1_BODY_RESULT_BAD ? BAD
                          : result == H1_BODY_RESULT_TOO_LARGE ? TOO_LARGE : INCOMPLETE;
        return outcome;
    }
}

static void expect_same(struct outcome *reference, struct h1_body body, struct text input, unsigned cut)
{
    struct outcome outcome = decode_in_pieces(body, input, cut);
    expect(outcome.verdict == reference->verdict && outcome.length == reference->length);
    expect(outcome.length == 0 || memcmp(outcome.data, reference->data, outcome.length) == 0);
    expect(outcome.verdict != WHOLE || outcome.used == reference->used);
    free(outcome.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tape tape = {data, size};
    unsigned choice = tape_byte(&tape);
    uint64_t number = tape_u16(&tape);
    unsigned cut = tape_byte(&tape);
    struct text input = tape_rest(&tape);
    struct h1_body body;
    struct outcome reference;
    if ((choice & 3) == 3) {
        h1_body_start_until_close(&body);
        expect(h1_body_ends_with_connection(&body));
        reference = decode_length(input, input.length + 1, 0);
    } else if ((choice & 3) == 2) {
        uint64_t limit = (choice & 4) != 0 ? 100 : 0;
        h1_body_start_length(&body, number, limit);
        reference = decode_length(input, number, limit);
    } else {
        uint64_t limit = (choice & 4) != 0 ? number : 0;
        h1_body_start_chunked(&body, limit);
        reference = decode_chunks(input, limit);
    }
    expect_same(&reference, body, input, 0);
    expect_same(&reference, body, input, 1);
    expect_same(&reference, body, input, 2 + cut);
    free(reference.data);
    return 0;
}
