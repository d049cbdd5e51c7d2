#include "http/h1_body.h"

#include "base/hex.h"
#include "http/h1_validator.h"

#define EXTENSION_BYTES 256
#define EXTENSIONS_TOTAL_BYTES 4096
#define TRAILER_BYTES 8192
/* A chunk that is shorter is put together with those behind it. */
#define SMALL_BYTES 512
/* 15 hexadecimal digits stay below 2^60, far above any limit and below any overflow. */
#define CHUNK_SIZE_DIGITS 15

void h1_body_start_length(struct h1_body *body, uint64_t length, uint64_t limit)
{
    *body = (struct h1_body){.state = H1_BODY_LENGTH, .left = length, .limit = limit};
}

void h1_body_start_chunked(struct h1_body *body, uint64_t limit)
{
    *body = (struct h1_body){.state = H1_BODY_CHUNK_SIZE, .limit = limit};
}

void h1_body_start_until_close(struct h1_body *body)
{
    *body = (struct h1_body){.state = H1_BODY_UNTIL_CLOSE};
}

bool h1_body_ends_with_connection(const struct h1_body *body)
{
    return body->state == H1_BODY_UNTIL_CLOSE;
}

static bool is_value_character(unsigned char c)
{
    return c == '\t' || (c >= 0x20 && c != 0x7f);
}

/* The byte after a chunk size's last digit: an extension, or the end of the line. */
static enum h1_body_state after_digits(struct h1_body *body, unsigned char c)
{
    body->extension_bytes = 0;
    if (c == ';')
        return H1_BODY_CHUNK_EXTENSION;
    return c == '\r' ? H1_BODY_CHUNK_SIZE_LF : H1_BODY_BROKEN;
}

static enum h1_body_state take_digit(struct h1_body *body, unsigned char c)
{
    int value = hex_value((char)c);
    if (value < 0)
        return body->state == H1_BODY_CHUNK_DIGITS ? after_digits(body, c) : H1_BODY_BROKEN;
    if (body->state == H1_BODY_CHUNK_SIZE) {
        body->left = 0;
        body->digits = 0;
    }
    if (++body->digits > CHUNK_SIZE_DIGITS)
        return H1_BODY_BROKEN;
    body->left = body->left << 4 | (uint64_t)value;
    return H1_BODY_CHUNK_DIGITS;
}

static enum h1_body_state take_extension(struct h1_body *body, unsigned char c)
{
    if (c == '\r')
        return H1_BODY_CHUNK_SIZE_LF;
    if (!is_value_character(c) || ++body->extension_bytes > EXTENSION_BYTES ||
        ++body->extensions_total > EXTENSIONS_TOTAL_BYTES)
        return H1_BODY_BROKEN;
    return H1_BODY_CHUNK_EXTENSION;
}

static enum h1_body_state take_trailer(struct h1_body *body, unsigned char c)
{
    if (++body->trailer_bytes > TRAILER_BYTES)
        return H1_BODY_BROKEN;
    switch (body->state) {
    case H1_BODY_TRAILER_START:
        if (c == '\r')
            return H1_BODY_FINAL_LF;
        return h1_is_token_character(c) ? H1_BODY_TRAILER_NAME : H1_BODY_BROKEN;
    case H1_BODY_TRAILER_NAME:
        if (c == ':')
            return H1_BODY_TRAILER_VALUE;
        return h1_is_token_character(c) ? H1_BODY_TRAILER_NAME : H1_BODY_BROKEN;
    default:
        if (c == '\r')
            return H1_BODY_TRAILER_LF;
        return is_value_character(c) ? H1_BODY_TRAILER_VALUE : H1_BODY_BROKEN;
    }
}

/* One byte outside of the data: the state that follows it. */
static enum h1_body_state take_control(struct h1_body *body, unsigned char c)
{
    switch (body->state) {
    case H1_BODY_CHUNK_SIZE:
    case H1_BODY_CHUNK_DIGITS:
        return take_digit(body, c);
    case H1_BODY_CHUNK_EXTENSION:
        return take_extension(body, c);
    case H1_BODY_CHUNK_SIZE_LF:
        if (c != '\n')
            return H1_BODY_BROKEN;
        return body->left == 0 ? H1_BODY_TRAILER_START : H1_BODY_CHUNK_DATA;
    case H1_BODY_CHUNK_DATA_CR:
        return c == '\r' ? H1_BODY_CHUNK_DATA_LF : H1_BODY_BROKEN;
    case H1_BODY_CHUNK_DATA_LF:
        return c == '\n' ? H1_BODY_CHUNK_SIZE : H1_BODY_BROKEN;
    case H1_BODY_TRAILER_LF:
        return c == '\n' ? H1_BODY_TRAILER_START : H1_BODY_BROKEN;
    case H1_BODY_FINAL_LF:
        return c == '\n' ? H1_BODY_COMPLETE : H1_BODY_BROKEN;
    default:
        return take_trailer(body, c);
    }
}

/* Cuts up to `left` bytes of data off the input. */
static void take_data(struct h1_body *body, struct text *input, struct text *data)
{
    size_t length = input->length;
    if (body->state != H1_BODY_UNTIL_CLOSE) {
        length = body->left < length ? (size_t)body->left : length;
        body->left -= length;
    }
    *data = text_of(input->bytes, length);
    input->bytes += length;
    input->length -= length;
    body->taken += length;
}

enum h1_body_result h1_body_next(struct h1_body *body, struct text *input, struct text *data)
{
    for (;;) {
        if (body->state == H1_BODY_LENGTH && body->left == 0)
            body->state = H1_BODY_COMPLETE;
        if (body->state == H1_BODY_COMPLETE)
            return H1_BODY_RESULT_END;
        if (body->state == H1_BODY_BROKEN)
            return H1_BODY_RESULT_BAD;
        /* A chunk that would pass the limit is refused before its data is read. */
        uint64_t ahead = body->state == H1_BODY_LENGTH || body->state == H1_BODY_CHUNK_DATA ? body->left : 0;
        if (body->limit != 0 && body->taken + ahead > body->limit)
            return H1_BODY_RESULT_TOO_LARGE;
        if (input->length == 0)
            return H1_BODY_RESULT_MORE;
        switch (body->state) {
        case H1_BODY_LENGTH:
        case H1_BODY_UNTIL_CLOSE:
            take_data(body, input, data);
            return H1_BODY_RESULT_DATA;
        case H1_BODY_CHUNK_DATA:
            take_data(body, input, data);
            if (body->left == 0)
                body->state = H1_BODY_CHUNK_DATA_CR;
            return H1_BODY_RESULT_DATA;
        default:
            body->state = take_control(body, (unsigned char)input->bytes[0]);
            input->bytes++;
            input->length--;
        }
    }
}

/* Chunks behind this piece go behind it, as far as they are there and there is room. Whatever else comes is said by the next call. */
static void merge(struct h1_body *body, struct text *input, struct text *data, char *room)
{
    size_t used = data->length;
    bool is_moved = false;
    struct text more;
    while (used < H1_BODY_ROOM_BYTES && input->length > 0) {
        size_t left = H1_BODY_ROOM_BYTES - used;
        struct text part = text_of(input->bytes, input->length < left ? input->length : left);
        enum h1_body_result result = h1_body_next(body, &part, &more);
        *input = text_of(part.bytes, (size_t)(input->bytes + input->length - part.bytes));
        if (result != H1_BODY_RESULT_DATA)
            break;
        if (!is_moved)
            memcpy(room, data->bytes, used);
        is_moved = true;
        memcpy(room + used, more.bytes, more.length);
        used += more.length;
    }
    if (is_moved)
        *data = text_of(room, used);
}

enum h1_body_result h1_body_next_merged(struct h1_body *body, struct text *input, struct text *data, char *room)
{
    enum h1_body_result result = h1_body_next(body, input, data);
    if (result == H1_BODY_RESULT_DATA && data->length < SMALL_BYTES && body->state == H1_BODY_CHUNK_DATA_CR)
        merge(body, input, data, room);
    return result;
}
