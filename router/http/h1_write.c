#include "http/h1_write.h"

#include "base/hex.h"

/* Status line or version, framing, Connection, Date-sized leftovers: all that is not a field of the head. */
#define FIXED_BYTES 256

static char *put(char *at, struct text t)
{
    if (t.length > 0)
        memcpy(at, t.bytes, t.length);
    return at + t.length;
}

static char *put_number(char *at, uint64_t number)
{
    char digits[20];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    while (count > 0)
        *at++ = digits[--count];
    return at;
}

static size_t fields_bytes(const struct message_head *head)
{
    size_t bytes = 0;
    for (size_t i = 0; i < head->field_count; i++)
        bytes += head->fields[i].name.length + head->fields[i].value.length + 4;
    return bytes;
}

size_t h1_request_head_bytes(const struct message_head *head)
{
    return FIXED_BYTES + head->method.length + head->target.length + head->authority.length + fields_bytes(head);
}

size_t h1_response_head_bytes(const struct message_head *head)
{
    return FIXED_BYTES + fields_bytes(head);
}

static char *put_fields(char *at, const struct message_head *head)
{
    for (size_t i = 0; i < head->field_count; i++) {
        at = put(at, head->fields[i].name);
        at = put(at, TEXT(": "));
        at = put(at, head->fields[i].value);
        at = put(at, TEXT("\r\n"));
    }
    return at;
}

static char *put_length(char *at, uint64_t length)
{
    at = put(at, TEXT("Content-Length: "));
    at = put_number(at, length);
    return put(at, TEXT("\r\n"));
}

size_t h1_write_request_head(char *out, const struct message_head *head)
{
    char *at = put(out, head->method);
    *at++ = ' ';
    at = put(at, head->target);
    at = put(at, TEXT(" HTTP/1.1\r\nHost: "));
    at = put(at, head->authority);
    at = put(at, TEXT("\r\n"));
    at = put_fields(at, head);
    if (head->body == BODY_STREAM)
        at = put(at, TEXT("Transfer-Encoding: chunked\r\n"));
    else if (head->body == BODY_LENGTH || message_has(head, MESSAGE_ANNOUNCES_LENGTH))
        at = put_length(at, head->content_length);
    at = put(at, TEXT("\r\n"));
    return (size_t)(at - out);
}

size_t h1_write_response_head(char *out, const struct message_head *head, const struct h1_response_form *form)
{
    char *at = put(out, TEXT("HTTP/1.1 "));
    at = put_number(at, head->status);
    *at++ = ' ';
    at = put(at, text_of_string(message_reason(head->status)));
    at = put(at, TEXT("\r\n"));
    at = put_fields(at, head);
    /* Never both (RFC 9112 section 6.2). */
    if (form->is_chunked)
        at = put(at, TEXT("Transfer-Encoding: chunked\r\n"));
    else if (head->body == BODY_LENGTH || message_has(head, MESSAGE_ANNOUNCES_LENGTH))
        at = put_length(at, head->content_length);
    if (form->connection == H1_CONNECTION_CLOSE)
        at = put(at, TEXT("Connection: close\r\n"));
    else if (form->connection == H1_CONNECTION_KEEP_ALIVE)
        at = put(at, TEXT("Connection: keep-alive\r\n"));
    if (form->connection == H1_CONNECTION_KEEP_ALIVE && form->keep_alive_s > 0) {
        at = put(at, TEXT("Keep-Alive: timeout="));
        at = put_number(at, form->keep_alive_s);
        at = put(at, TEXT("\r\n"));
    }
    at = put(at, TEXT("\r\n"));
    return (size_t)(at - out);
}

size_t h1_write_chunk_line(char *out, uint64_t length)
{
    char *at = out + hex_put_u64(out, length, 1);
    at = put(at, TEXT("\r\n"));
    return (size_t)(at - out);
}
