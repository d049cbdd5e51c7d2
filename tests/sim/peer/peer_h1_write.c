#include "peer/peer_h1_write.h"

#include "base/hex.h"
#include "http/message.h"

#define NUMBER_BYTES 20
/* What is in a head besides its texts. */
#define FIXED_BYTES 160

static char *put(char *at, struct text text)
{
    if (text.length > 0)
        memcpy(at, text.bytes, text.length);
    return at + text.length;
}

static char *put_number(char *at, uint64_t number)
{
    char digits[NUMBER_BYTES];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    while (count > 0)
        *at++ = digits[--count];
    return at;
}

static size_t bound(const struct peer_head *head)
{
    size_t length = FIXED_BYTES;
    for (size_t i = 0; i < head->field_count; i++)
        length += head->fields[i].name.length + head->fields[i].value.length + 4;
    return length;
}

static char *put_fields(char *at, const struct peer_head *head)
{
    for (size_t i = 0; i < head->field_count; i++) {
        at = put(at, head->fields[i].name);
        at = put(at, TEXT(": "));
        at = put(at, head->fields[i].value);
        at = put(at, TEXT("\r\n"));
    }
    return at;
}

static char *put_end(char *at, const struct peer_head *head, enum h1_announced announced)
{
    if (announced == H1_ANNOUNCES_LENGTH) {
        at = put(at, TEXT("content-length: "));
        at = put_number(at, head->length);
        at = put(at, TEXT("\r\n"));
    } else if (announced == H1_ANNOUNCES_CHUNKS) {
        at = put(at, TEXT("transfer-encoding: chunked\r\n"));
    }
    return put(at, TEXT("\r\n"));
}

void far_h1_write_request(struct bytes *out, const struct peer_head *head, enum h1_announced announced)
{
    char *start = bytes_reserve(out, bound(head) + head->method.length + head->target.length + head->authority.length);
    char *at = put(start, head->method);
    *at++ = ' ';
    at = put(at, head->target);
    at = put(at, TEXT(" HTTP/1.1\r\n"));
    if (head->authority.length > 0) {
        at = put(at, TEXT("host: "));
        at = put(at, head->authority);
        at = put(at, TEXT("\r\n"));
    }
    at = put_fields(at, head);
    at = put_end(at, head, announced);
    bytes_commit(out, (size_t)(at - start));
}

void far_h1_write_response(struct bytes *out, const struct peer_head *head, enum h1_announced announced, bool is_last)
{
    char *start = bytes_reserve(out, bound(head));
    char *at = put(start, TEXT("HTTP/1.1 "));
    at = put_number(at, head->status);
    *at++ = ' ';
    at = put(at, text_of_string(message_reason(head->status)));
    at = put(at, TEXT("\r\n"));
    at = put_fields(at, head);
    if (is_last)
        at = put(at, TEXT("connection: close\r\n"));
    at = put_end(at, head, announced);
    bytes_commit(out, (size_t)(at - start));
}

void far_h1_write_chunk(struct bytes *out, struct text piece)
{
    char *start = bytes_reserve(out, HEX_U64_DIGITS + 4 + piece.length);
    char *at = start + hex_put_u64(start, piece.length, 1);
    at = put(at, TEXT("\r\n"));
    at = put(at, piece);
    at = put(at, TEXT("\r\n"));
    bytes_commit(out, (size_t)(at - start));
}

void far_h1_write_last_chunk(struct bytes *out, const struct peer_head *trailers)
{
    if (trailers == NULL) {
        bytes_add(out, TEXT("0\r\n\r\n"));
        return;
    }
    char *start = bytes_reserve(out, bound(trailers));
    char *at = put(start, TEXT("0\r\n"));
    at = put_fields(at, trailers);
    at = put(at, TEXT("\r\n"));
    bytes_commit(out, (size_t)(at - start));
}
