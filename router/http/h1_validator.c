#include "http/h1_validator.h"

#include "base/hex.h"
#include "http/message.h"

/* What a byte may be part of. */
#define TOKEN 1  /* method and field names */
#define TARGET 2 /* request target: visible ASCII without '#' (RFC 9112 section 3.2) */
#define VALUE 4  /* field values: visible, SP, HTAB, obs-text */

static const unsigned char classes[256] = {
    ['\t'] = VALUE,
    [' '] = VALUE,
    ['!'] = 7, ['"'] = 6, ['#'] = 5, ['$'] = 7, ['%'] = 7, ['&'] = 7, ['\''] = 7, ['('] = 6, [')'] = 6, ['*'] = 7,
    ['+'] = 7, [','] = 6, ['-'] = 7, ['.'] = 7, ['/'] = 6,
    ['0'] = 7, ['1'] = 7, ['2'] = 7, ['3'] = 7, ['4'] = 7, ['5'] = 7, ['6'] = 7, ['7'] = 7, ['8'] = 7, ['9'] = 7,
    [':'] = 6, [';'] = 6, ['<'] = 6, ['='] = 6, ['>'] = 6, ['?'] = 6, ['@'] = 6,
    ['A'] = 7, ['B'] = 7, ['C'] = 7, ['D'] = 7, ['E'] = 7, ['F'] = 7, ['G'] = 7, ['H'] = 7, ['I'] = 7, ['J'] = 7,
    ['K'] = 7, ['L'] = 7, ['M'] = 7, ['N'] = 7, ['O'] = 7, ['P'] = 7, ['Q'] = 7, ['R'] = 7, ['S'] = 7, ['T'] = 7,
    ['U'] = 7, ['V'] = 7, ['W'] = 7, ['X'] = 7, ['Y'] = 7, ['Z'] = 7,
    ['['] = 6, ['\\'] = 6, [']'] = 6, ['^'] = 7, ['_'] = 7, ['`'] = 7,
    ['a'] = 7, ['b'] = 7, ['c'] = 7, ['d'] = 7, ['e'] = 7, ['f'] = 7, ['g'] = 7, ['h'] = 7, ['i'] = 7, ['j'] = 7,
    ['k'] = 7, ['l'] = 7, ['m'] = 7, ['n'] = 7, ['o'] = 7, ['p'] = 7, ['q'] = 7, ['r'] = 7, ['s'] = 7, ['t'] = 7,
    ['u'] = 7, ['v'] = 7, ['w'] = 7, ['x'] = 7, ['y'] = 7, ['z'] = 7,
    ['{'] = 6, ['|'] = 7, ['}'] = 6, ['~'] = 7,
    [0x80 ... 0xff] = VALUE,
};

bool h1_is_token_character(unsigned char c)
{
    return (classes[c] & TOKEN) != 0;
}

/* Which limit an unfinished or finished head of `length` bytes has passed. */
static enum fault passed_limit(const struct h1_search *search, size_t length, enum h1_role role,
                               const struct h1_limits *limits)
{
    if (role == H1_ROLE_RESPONSE)
        return length > limits->head_bytes ? FAULT_UPSTREAM_HEAD_TOO_LARGE : FAULT_NONE;
    bool in_request_line = search->line_start == 0;
    if (in_request_line && length > limits->target_bytes + H1_METHOD_BYTES + sizeof " HTTP/1.1\r\n")
        return FAULT_REQUEST_TARGET_TOO_LONG;
    return length > limits->head_bytes ? FAULT_REQUEST_HEAD_TOO_LARGE : FAULT_NONE;
}

enum h1_search_result h1_find_head_end(struct h1_search *search, struct text bytes, enum h1_role role,
                                       const struct h1_limits *limits, size_t *length, enum fault *fault)
{
    const char *at;
    *fault = FAULT_NONE;
    while ((at = memchr(bytes.bytes + search->looked_at, '\n', bytes.length - search->looked_at)) != NULL) {
        size_t position = (size_t)(at - bytes.bytes);
        /* The limit first, so that the result does not depend on how the bytes were cut. */
        *fault = passed_limit(search, position + 1, role, limits);
        if (*fault != FAULT_NONE)
            return H1_SEARCH_BAD;
        if (position == 0 || bytes.bytes[position - 1] != '\r') {
            *fault = role == H1_ROLE_REQUEST ? FAULT_REQUEST_MALFORMED : FAULT_UPSTREAM_MALFORMED;
            return H1_SEARCH_BAD;
        }
        bool is_empty_line = position - search->line_start == 1;
        search->line_start = position + 1;
        search->looked_at = position + 1;
        if (is_empty_line) {
            *length = position + 1;
            return H1_SEARCH_FOUND;
        }
    }
    search->looked_at = bytes.length;
    *fault = passed_limit(search, bytes.length, role, limits);
    return *fault == FAULT_NONE ? H1_SEARCH_MORE : H1_SEARCH_BAD;
}

static size_t span_of(const char *bytes, size_t length, unsigned char class)
{
    size_t i = 0;
    while (i < length && (classes[(unsigned char)bytes[i]] & class) != 0)
        i++;
    return i;
}

/* Is one of eight bytes a control character (below SP, or DEL)? HTAB is one, too, and a value may have it. */
static bool has_control_character(const char *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    uint64_t delete = word ^ TEXT_WORD(0x7f);
    uint64_t is_below_space = (word - TEXT_WORD(' ')) & ~word;
    uint64_t is_delete = (delete - TEXT_WORD(1)) & ~delete;
    return ((is_below_space | is_delete) & TEXT_WORD(0x80)) != 0;
}

/* The values are most of a head, so they are read eight bytes at a time as long as that says enough. */
static bool is_value(const char *bytes, size_t length)
{
    size_t i = 0;
    while (i + sizeof(uint64_t) <= length && !has_control_character(bytes + i))
        i += sizeof(uint64_t);
    return span_of(bytes + i, length - i, VALUE) == length - i;
}

bool h1_is_target(struct text target)
{
    return span_of(target.bytes, target.length, TARGET) == target.length;
}

/* unreserved, an escape, or a sub-delim but the comma, which would make a list (RFC 3986 section 3.2.2). */
static bool is_registered_name(struct text name)
{
    for (size_t i = 0; i < name.length; i++) {
        unsigned char c = (unsigned char)name.bytes[i];
        if (c == '%') {
            if (name.length - i < 3 || hex_byte(name.bytes[i + 1], name.bytes[i + 2]) < 0)
                return false;
            i += 2;
        } else if (!h1_is_token_character(c) ? memchr("();=", c, 4) == NULL : memchr("#^`|", c, 4) != NULL) {
            return false;
        }
    }
    return name.length > 0;
}

/* An address of IPv6, more or less: what is connected to is never taken from here. A zone may follow it, as some clients leave it there. */
static bool is_ip_literal(struct text address)
{
    struct text zone = address;
    address = text_cut(&zone, '%');
    size_t colons = 0;
    for (size_t i = 0; i < address.length; i++) {
        char c = address.bytes[i];
        colons += c == ':';
        if (c != ':' && c != '.' && hex_value(c) < 0)
            return false;
    }
    return colons >= 2 && colons <= 8 && (zone.bytes == NULL || is_registered_name(zone));
}

static bool is_port(struct text port)
{
    uint64_t number;
    return port.length == 0 || (port.length <= 5 && text_to_u64(port, &number) && number <= UINT16_MAX);
}

bool h1_is_host(struct text host)
{
    if (host.length == 0)
        return true;
    struct text port = host;
    if (host.bytes[0] != '[') {
        struct text name = text_cut(&port, ':');
        return is_registered_name(name) && is_port(port);
    }
    struct text address = text_cut(&port, ']');
    if (port.bytes == NULL || !is_ip_literal(text_of(address.bytes + 1, address.length - 1)))
        return false;
    return port.length == 0 || (port.bytes[0] == ':' && is_port(text_of(port.bytes + 1, port.length - 1)));
}

bool h1_is_framing_lookalike(struct text name)
{
    return (name.length == 14 && name.bytes[7] == '_' && text_equals_ignoring_case(name, TEXT("Content_Length"))) ||
           (name.length == 17 && name.bytes[8] == '_' && text_equals_ignoring_case(name, TEXT("Transfer_Encoding")));
}

/* method SP target SP HTTP/1.x, each blank exactly one (RFC 9112 section 3). */
static enum fault validate_request_line(struct text line, const struct h1_limits *limits)
{
    size_t method = span_of(line.bytes, line.length, TOKEN);
    if (method == 0 || method >= line.length || line.bytes[method] != ' ')
        return FAULT_REQUEST_MALFORMED;
    if (method > H1_METHOD_BYTES)
        return FAULT_REQUEST_METHOD;
    struct text rest = text_of(line.bytes + method + 1, line.length - method - 1);
    size_t target = span_of(rest.bytes, rest.length, TARGET);
    if (target == 0 || target >= rest.length || rest.bytes[target] != ' ')
        return FAULT_REQUEST_MALFORMED;
    if (target > limits->target_bytes)
        return FAULT_REQUEST_TARGET_TOO_LONG;
    struct text version = text_of(rest.bytes + target + 1, rest.length - target - 1);
    if (text_equals(version, TEXT("HTTP/1.1")) || text_equals(version, TEXT("HTTP/1.0")))
        return FAULT_NONE;
    bool other_version = version.length == 8 && text_starts_with(version, TEXT("HTTP/"));
    return other_version ? FAULT_REQUEST_VERSION : FAULT_REQUEST_MALFORMED;
}

enum fault h1_validate_begun(const struct h1_search *search, struct text bytes, const struct h1_limits *limits)
{
    const char *end = search->line_start == 0 ? NULL : memchr(bytes.bytes, '\n', bytes.length);
    if (end == NULL || end == bytes.bytes)
        return FAULT_NONE;
    return validate_request_line(text_of(bytes.bytes, (size_t)(end - bytes.bytes) - 1), limits);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* HTTP/1.x SP 3 digits [SP reason] (RFC 9112 section 4); the reason may be missing with its blank. */
static bool validate_status_line(struct text line)
{
    if (line.length < 12 || !text_starts_with(line, TEXT("HTTP/1.")))
        return false;
    const char *b = line.bytes;
    if ((b[7] != '0' && b[7] != '1') || b[8] != ' ' || b[9] < '1' || b[9] > '5' || !is_digit(b[10]) || !is_digit(b[11]))
        return false;
    if (line.length == 12)
        return true;
    return b[12] == ' ' && is_value(b + 13, line.length - 13);
}

/*
 * name ":" value. A name is a token, so a fold (a line that begins with a blank), a blank before the colon and an empty name
 * all fail here. Names that differ from a framing name by "_" only are refused, because CGI-like readers take them for it.
 */
bool h1_is_field_line(struct text line)
{
    size_t name = span_of(line.bytes, line.length, TOKEN);
    if (name == 0 || name > H1_FIELD_NAME_BYTES || name >= line.length || line.bytes[name] != ':')
        return false;
    if (!is_value(line.bytes + name + 1, line.length - name - 1))
        return false;
    return !h1_is_framing_lookalike(text_of(line.bytes, name));
}

static enum fault validate_fields(struct text rest, enum h1_role role, const struct h1_limits *limits)
{
    bool is_request = role == H1_ROLE_REQUEST;
    size_t fields = 0;
    for (;;) {
        const char *end = memchr(rest.bytes, '\n', rest.length);
        if (end == NULL || end == rest.bytes || end[-1] != '\r')
            return is_request ? FAULT_REQUEST_MALFORMED : FAULT_UPSTREAM_MALFORMED;
        struct text line = text_of(rest.bytes, (size_t)(end - rest.bytes) - 1);
        if (line.length == 0)
            return FAULT_NONE;
        if (++fields > limits->fields || fields > MESSAGE_FIELDS_MAXIMUM)
            return is_request ? FAULT_REQUEST_HEAD_TOO_LARGE : FAULT_UPSTREAM_HEAD_TOO_LARGE;
        if (!h1_is_field_line(line))
            return is_request ? FAULT_REQUEST_MALFORMED : FAULT_UPSTREAM_MALFORMED;
        rest.length -= (size_t)(end + 1 - rest.bytes);
        rest.bytes = end + 1;
    }
}

enum fault h1_validate_head(struct text head, enum h1_role role, const struct h1_limits *limits)
{
    const char *end = memchr(head.bytes, '\n', head.length);
    enum fault malformed = role == H1_ROLE_REQUEST ? FAULT_REQUEST_MALFORMED : FAULT_UPSTREAM_MALFORMED;
    if (end == NULL || end == head.bytes || end[-1] != '\r')
        return malformed;
    struct text line = text_of(head.bytes, (size_t)(end - head.bytes) - 1);
    if (role == H1_ROLE_REQUEST) {
        enum fault fault = validate_request_line(line, limits);
        if (fault != FAULT_NONE)
            return fault;
    } else if (!validate_status_line(line)) {
        return malformed;
    }
    return validate_fields(text_of(end + 1, head.length - (size_t)(end + 1 - head.bytes)), role, limits);
}
