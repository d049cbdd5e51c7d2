#include "http/h1_partial.h"

#include "http/h1_validator.h"

static size_t token_length(struct text bytes)
{
    size_t length = 0;
    while (length < bytes.length && h1_is_token_character((unsigned char)bytes.bytes[length]))
        length++;
    return length;
}

static size_t target_length(struct text bytes)
{
    size_t length = 0;
    while (length < bytes.length && h1_is_target(text_of(bytes.bytes + length, 1)))
        length++;
    return length;
}

static struct text behind(struct text bytes, size_t length)
{
    return text_of(bytes.bytes + length, bytes.length - length);
}

/* Takes method SP target SP version CRLF off the front; false when it is not whole. */
static bool take_request_line(struct text *bytes, struct message_head *head)
{
    size_t method = token_length(*bytes);
    if (method == 0 || method > H1_METHOD_BYTES || method == bytes->length || bytes->bytes[method] != ' ')
        return false;
    head->method = text_of(bytes->bytes, method);
    struct text rest = behind(*bytes, method + 1);
    size_t target = target_length(rest);
    head->target = text_of(rest.bytes, target);
    if (target > 0 && rest.bytes[0] == '/') {
        const char *query = memchr(rest.bytes, '?', target);
        head->path = query == NULL ? head->target : text_of(rest.bytes, (size_t)(query - rest.bytes));
    }
    rest = behind(rest, target);
    if (text_starts_with(rest, TEXT(" HTTP/1.0\r\n")))
        head->version = MESSAGE_HTTP_1_0;
    else if (!text_starts_with(rest, TEXT(" HTTP/1.1\r\n")))
        return false;
    *bytes = behind(rest, sizeof " HTTP/1.1\r\n" - 1);
    return true;
}

/* Takes a field's line off the front and adds the field; false when it is not whole, or there is no room for it. */
static bool take_field(struct text *bytes, struct message_head *head)
{
    const char *end = memchr(bytes->bytes, '\n', bytes->length);
    if (end == NULL || end == bytes->bytes || end[-1] != '\r')
        return false;
    struct text line = text_of(bytes->bytes, (size_t)(end - bytes->bytes) - 1);
    if (!h1_is_field_line(line))
        return false;
    struct text name = text_of(line.bytes, token_length(line));
    struct text value = text_trim(behind(line, name.length + 1));
    *bytes = behind(*bytes, line.length + 2);
    return message_add(head, MESSAGE_FIELDS_MAXIMUM, header_name_of(name), name, value);
}

void h1_parse_partial(struct text bytes, struct message_head *head)
{
    struct header_field *fields = head->fields;
    *head = (struct message_head){.fields = fields, .raw = bytes};
    bool is_whole = take_request_line(&bytes, head);
    while (is_whole)
        is_whole = take_field(&bytes, head);
}
