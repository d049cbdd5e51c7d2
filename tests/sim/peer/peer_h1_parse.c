#include "peer/peer_h1_parse.h"

#include "base/hex.h"

#define CHUNK_DIGITS 16

enum byte_class { BYTE_TOKEN = 1, BYTE_TARGET = 2, BYTE_VALUE = 4, BYTE_AUTHORITY = 8, BYTE_UPPER = 16 };

static unsigned char classes[256];

static void classify(void)
{
    if (classes['a'] != 0)
        return;
    for (unsigned c = 0x21; c < 0x7f; c++) {
        classes[c] = BYTE_VALUE;
        if (strchr("\"(),/:;<=>?@[\\]{}", (int)c) == NULL)
            classes[c] |= BYTE_TOKEN;
        if (strchr("\"#<>\\^`{|}", (int)c) == NULL)
            classes[c] |= BYTE_TARGET;
        if ((classes[c] & BYTE_TOKEN) != 0 || strchr(":[]", (int)c) != NULL)
            classes[c] |= BYTE_AUTHORITY;
        if (c >= 'A' && c <= 'Z')
            classes[c] |= BYTE_UPPER;
    }
    classes[' '] = classes['\t'] = BYTE_VALUE;
    for (unsigned c = 0x80; c < 256; c++)
        classes[c] = BYTE_VALUE;
}

/* How many bytes at the front are of a class. */
static size_t span(const char *bytes, size_t length, enum byte_class class)
{
    size_t count = 0;
    while (count < length && (classes[(unsigned char)bytes[count]] & class) != 0)
        count++;
    return count;
}

static bool is_all(struct text text, enum byte_class class)
{
    return span(text.bytes, text.length, class) == text.length;
}

size_t far_h1_find_head(struct text bytes, size_t *searched)
{
    size_t from = *searched > 3 ? *searched - 3 : 0;
    const char *found = bytes.length < from ? NULL : memmem(bytes.bytes + from, bytes.length - from, "\r\n\r\n", 4);
    *searched = found == NULL ? bytes.length : 0;
    return found == NULL ? 0 : (size_t)(found - bytes.bytes) + 4;
}

/* ---- fields ---- */

static const char *take_length(struct text value, struct peer_head *head, struct h1_framing *framing)
{
    if (head->has_length)
        return "two lengths";
    if (!text_to_u64(value, &head->length))
        return "a length that is no number";
    head->has_length = true;
    if (framing->body == H1_FRAMED_CHUNKED)
        return "a length and chunks";
    framing->body = H1_FRAMED_LENGTH;
    return NULL;
}

static const char *take_coding(struct text value, struct h1_framing *framing)
{
    if (framing->body == H1_FRAMED_LENGTH)
        return "a length and chunks";
    if (framing->body == H1_FRAMED_CHUNKED)
        return "two transfer codings";
    if (!text_equals_ignoring_case(value, TEXT("chunked")))
        return "an unknown transfer coding";
    framing->body = H1_FRAMED_CHUNKED;
    return NULL;
}

/* What frames the message or names its host; true: it is no field for the owner. */
static bool take_member(struct text name, struct text value, struct peer_head *head, struct h1_framing *framing, const char **fault)
{
    switch (name.length) {
    case 4:
        if (memcmp(name.bytes, "host", 4) != 0)
            return false;
        head->authority = value;
        *fault = framing->hosts++ > 0 ? "two hosts" : is_all(value, BYTE_AUTHORITY) ? NULL : "a host that is none";
        return true;
    case 10:
        if (memcmp(name.bytes, "connection", 10) == 0)
            framing->closes = framing->closes || text_equals_ignoring_case(value, TEXT("close"));
        return false;
    case 14:
        if (memcmp(name.bytes, "content-length", 14) != 0)
            return false;
        *fault = take_length(value, head, framing);
        return true;
    case 17:
        if (memcmp(name.bytes, "transfer-encoding", 17) != 0)
            return false;
        *fault = take_coding(value, framing);
        return true;
    default:
        return false;
    }
}

/* `name: value CRLF`; returns its length, 0 when it is no such line. */
static size_t cut_field(char *line, size_t length, struct text *name, struct text *value)
{
    size_t at = 0;
    unsigned char class;
    for (; at < length && ((class = classes[(unsigned char)line[at]]) & BYTE_TOKEN) != 0; at++) {
        if ((class & BYTE_UPPER) != 0)
            line[at] = text_lower(line[at]);
    }
    if (at == 0 || at == length || line[at] != ':')
        return 0;
    *name = text_of(line, at);
    size_t begin = at + 1;
    size_t end = begin + span(line + begin, length - begin, BYTE_VALUE);
    if (end + 2 > length || line[end] != '\r' || line[end + 1] != '\n')
        return 0;
    *value = text_trim(text_of(line + begin, end - begin));
    return end + 2;
}

/* The fields up to the empty line, which ends `bytes`. `framing` NULL: trailers, which frame nothing. */
static const char *parse_fields(char *bytes, size_t length, struct peer_head *head, struct h1_framing *framing)
{
    head->field_count = 0;
    while (length > 2) {
        struct text name;
        struct text value;
        size_t line = cut_field(bytes, length, &name, &value);
        if (line == 0)
            return "a line that is no field";
        bytes += line;
        length -= line;
        const char *fault = NULL;
        struct h1_framing unwanted = {0};
        bool is_member = take_member(name, value, head, framing != NULL ? framing : &unwanted, &fault);
        if (is_member && framing == NULL)
            return "a trailer that frames";
        if (fault != NULL)
            return fault;
        if (is_member)
            continue;
        if (head->field_count == PEER_FIELDS_MAXIMUM)
            return "too many fields";
        head->fields[head->field_count++] = (struct peer_field){name, value};
    }
    return length == 2 && bytes[0] == '\r' && bytes[1] == '\n' ? NULL : "a head without its empty line";
}

static void begin_head(struct peer_head *head, struct h1_framing *framing)
{
    classify();
    head->method = head->target = head->authority = TEXT_EMPTY;
    head->status = 0;
    head->has_length = false;
    head->length = 0;
    head->is_whole = false;
    *framing = (struct h1_framing){0};
}

/* ---- heads ---- */

bool far_h1_is_target(struct text target, struct text method)
{
    classify();
    if (text_equals(target, TEXT("*")))
        return text_equals(method, TEXT("OPTIONS"));
    return target.length > 0 && target.bytes[0] == '/' && is_all(target, BYTE_TARGET);
}

const char *far_h1_parse_request(char *bytes, size_t length, struct peer_head *head, struct h1_framing *framing)
{
    begin_head(head, framing);
    size_t method = span(bytes, length, BYTE_TOKEN);
    if (method == 0 || bytes[method] != ' ')
        return "a method that is none";
    head->method = text_of(bytes, method);
    const char *target = bytes + method + 1;
    const char *end = memchr(target, ' ', length - method - 1);
    if (end == NULL)
        return "a request line of one word";
    head->target = text_of(target, (size_t)(end - target));
    if (!far_h1_is_target(head->target, head->method))
        return "a target that is none";
    size_t at = (size_t)(end - bytes) + 1;
    struct text version = TEXT("HTTP/1.1\r\n");
    if (!text_starts_with(text_of(bytes + at, length - at), version))
        return "a request line that does not end in HTTP/1.1";
    at += version.length;
    const char *fault = parse_fields(bytes + at, length - at, head, framing);
    return fault == NULL && framing->hosts != 1 ? "no host" : fault;
}

const char *far_h1_parse_response(char *bytes, size_t length, struct peer_head *head, struct h1_framing *framing)
{
    begin_head(head, framing);
    if (!text_starts_with(text_of(bytes, length), TEXT("HTTP/1.1 ")) || length < 15)
        return "a status line that does not begin with HTTP/1.1";
    const char *digits = bytes + 9;
    for (int i = 0; i < 3; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return "a status that is no number";
        head->status = head->status * 10 + (unsigned)(digits[i] - '0');
    }
    if (digits[3] != ' ' || head->status < 100 || head->status > 599)
        return "a status that is none";
    size_t at = 13 + span(bytes + 13, length - 13, BYTE_VALUE);
    if (bytes[at] != '\r' || bytes[at + 1] != '\n')
        return "a reason that is none";
    const char *fault = parse_fields(bytes + at + 2, length - at - 2, head, framing);
    if (fault == NULL && framing->hosts > 0)
        fault = "a host in an answer";
    if (fault == NULL && head->status == 101)
        fault = "another protocol that nobody asked for";
    bool has_no_body = head->status < 200 || head->status == 204;
    return fault == NULL && has_no_body && framing->body != H1_FRAMED_NOT ? "a body where none may be" : fault;
}

const char *far_h1_parse_trailers(char *bytes, size_t length, struct peer_head *fields)
{
    struct h1_framing unwanted;
    begin_head(fields, &unwanted);
    return parse_fields(bytes, length, fields, NULL);
}

ptrdiff_t far_h1_parse_chunk_size(struct text bytes, uint64_t *size)
{
    size_t count = 0;
    *size = 0;
    for (; count < bytes.length && hex_value(bytes.bytes[count]) >= 0; count++) {
        if (count == CHUNK_DIGITS)
            return -1;
        *size = *size << 4 | (uint64_t)hex_value(bytes.bytes[count]);
    }
    if (count == 0 && bytes.length > 0)
        return -1;
    if (count < bytes.length && bytes.bytes[count] != '\r')
        return -1;
    if (count + 1 < bytes.length && bytes.bytes[count + 1] != '\n')
        return -1;
    return count + 1 < bytes.length ? (ptrdiff_t)count + 2 : 0;
}
