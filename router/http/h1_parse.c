#include "http/h1_parse.h"

#include <llhttp.h>

#include "http/h1_partial.h"
#include "http/sanitise.h"

/* llhttp's callbacks gather the pieces; a head is whole when it comes here, so each piece comes in one span. */
struct gatherer {
    llhttp_t parser; /* first: the callbacks get its address */
    struct message_head *head;
    struct text name;
    struct text value;
};

static int on_url(llhttp_t *parser, const char *at, size_t length)
{
    struct gatherer *gatherer = (struct gatherer *)(void *)parser;
    gatherer->head->target = text_of(at, length);
    return 0;
}

static int on_header_field(llhttp_t *parser, const char *at, size_t length)
{
    struct gatherer *gatherer = (struct gatherer *)(void *)parser;
    gatherer->name = text_of(at, length);
    gatherer->value = text_of(at + length, 0);
    return 0;
}

static int on_header_value(llhttp_t *parser, const char *at, size_t length)
{
    struct gatherer *gatherer = (struct gatherer *)(void *)parser;
    gatherer->value = text_of(at, length);
    return 0;
}

static int on_header_value_complete(llhttp_t *parser)
{
    struct gatherer *gatherer = (struct gatherer *)(void *)parser;
    enum header_name known = header_name_of(gatherer->name);
    return message_add(gatherer->head, MESSAGE_FIELDS_MAXIMUM, known, gatherer->name, text_trim(gatherer->value)) ? 0
                                                                                                                 : -1;
}

static int on_headers_complete(llhttp_t *parser)
{
    /* Without this llhttp stops at CONNECT and at Upgrade and forgets the Content-Length. */
    parser->upgrade = 0;
    return 1;
}

static const llhttp_settings_t settings = {
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_header_value_complete = on_header_value_complete,
    .on_headers_complete = on_headers_complete,
};

static void start(struct message_head *head, struct text bytes)
{
    struct header_field *fields = head->fields;
    *head = (struct message_head){.fields = fields, .raw = bytes};
}

/* ---- framing ---- */

struct framing_fields {
    unsigned lengths;
    unsigned codings;
    struct text length;
    struct text coding;
};

static struct framing_fields find_framing_fields(const struct message_head *head)
{
    struct framing_fields found = {0};
    for (size_t i = 0; i < head->field_count; i++) {
        if (head->fields[i].known == HEADER_CONTENT_LENGTH) {
            found.lengths++;
            found.length = head->fields[i].value;
        } else if (head->fields[i].known == HEADER_TRANSFER_ENCODING) {
            found.codings++;
            found.coding = head->fields[i].value;
        }
    }
    return found;
}

/* One Content-Length of digits only, below 2^63 (RFC 9110 section 8.6); `value` is 0 without one. */
static bool read_length(const struct framing_fields *found, uint64_t *value)
{
    *value = 0;
    if (found->lengths == 0)
        return true;
    return found->lengths == 1 && text_to_u64(found->length, value) && *value <= INT64_MAX;
}

/* RFC 9110 sections 9.3 and 9.3.5: what else there is, as POST and PUT, exists for the sake of its content. */
static bool is_about_content(struct text method)
{
    static const struct text others[] = {{"GET", 3}, {"HEAD", 4}, {"DELETE", 6}, {"OPTIONS", 7}, {"TRACE", 5}};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (text_equals(method, others[i]))
            return false;
    }
    return true;
}

static enum fault frame_request(struct message_head *head, struct h1_framing *framing)
{
    struct framing_fields found = find_framing_fields(head);
    if (found.codings > 0) {
        /* Both, or a coding in HTTP/1.0, is the shape of request smuggling (RFC 9112 sections 6.1, 11.2). */
        if (found.lengths > 0 || head->version == MESSAGE_HTTP_1_0)
            return FAULT_REQUEST_MALFORMED;
        if (found.codings > 1 || !text_equals_ignoring_case(found.coding, TEXT("chunked")))
            return FAULT_REQUEST_TRANSFER_CODING;
        framing->delimiter = H1_DELIMITER_CHUNKS;
        head->body = BODY_STREAM;
        return FAULT_NONE;
    }
    if (!read_length(&found, &head->content_length))
        return FAULT_REQUEST_MALFORMED;
    /*
     * In HTTP/1.1 there is no body then. In HTTP/1.0 there may be one up to the end of the connection, and taking it for nothing would
     * have an empty write acknowledged (RFC 1945 section 7.2.2).
     */
    if (found.lengths == 0 && head->version == MESSAGE_HTTP_1_0 && is_about_content(head->method))
        return FAULT_REQUEST_LENGTH;
    head->body = head->content_length > 0 ? BODY_LENGTH : BODY_NONE;
    message_set(head, MESSAGE_ANNOUNCES_LENGTH, found.lengths > 0);
    return FAULT_NONE;
}

static enum fault frame_response(struct message_head *head, bool to_head_request, struct h1_framing *framing)
{
    struct framing_fields found = find_framing_fields(head);
    if (!read_length(&found, &head->content_length))
        return FAULT_UPSTREAM_MALFORMED;
    bool bad_coding = found.codings > 1 || head->version == MESSAGE_HTTP_1_0 || found.lengths > 0 ||
                      !text_equals_ignoring_case(found.coding, TEXT("chunked"));
    if (found.codings > 0 && bad_coding)
        return FAULT_UPSTREAM_MALFORMED;
    bool is_informational = head->status < 200;
    if (to_head_request || is_informational || head->status == 204 || head->status == 304) {
        message_set(head, MESSAGE_ANNOUNCES_LENGTH, found.lengths > 0 && !is_informational && head->status != 204);
        /* A 204 has neither (RFC 9110 section 8.6): whoever announces a body there may send it as well. */
        if (head->status == 204 && (found.codings > 0 || head->content_length > 0))
            framing->keep_alive = false;
        head->body = BODY_NONE;
        return FAULT_NONE;
    }
    if (found.codings > 0) {
        framing->delimiter = H1_DELIMITER_CHUNKS;
        head->body = BODY_STREAM;
    } else if (found.lengths > 0) {
        message_set(head, MESSAGE_ANNOUNCES_LENGTH, true);
        head->body = head->content_length > 0 ? BODY_LENGTH : BODY_NONE;
    } else {
        framing->delimiter = H1_DELIMITER_CLOSE;
        framing->keep_alive = false;
        head->body = BODY_STREAM;
    }
    return FAULT_NONE;
}

/* ---- target and host ---- */

/* Reduces http://authority/path to its path; the authority then rules over Host (RFC 9112 section 3.2.2). */
static bool reduce_absolute_form(struct message_head *head, bool *has_authority)
{
    struct text target = head->target;
    size_t scheme = 0;
    if (target.length > 7 && text_equals_ignoring_case(text_of(target.bytes, 7), TEXT("http://")))
        scheme = 7;
    else if (target.length > 8 && text_equals_ignoring_case(text_of(target.bytes, 8), TEXT("https://")))
        scheme = 8;
    else
        return false;
    size_t end = scheme;
    while (end < target.length && target.bytes[end] != '/' && target.bytes[end] != '?')
        end++;
    head->authority = text_of(target.bytes + scheme, end - scheme);
    *has_authority = true;
    if (head->authority.length == 0 || (end < target.length && target.bytes[end] == '?'))
        return false;
    /* "http://host" means "/"; the scheme's last slash stands in for it, so that the text stays within the head. */
    head->target = end < target.length ? text_of(target.bytes + end, target.length - end)
                                       : text_of(target.bytes + scheme - 1, 1);
    return h1_is_host(head->authority);
}

static enum fault read_target(struct message_head *head)
{
    unsigned hosts = 0;
    struct text host = TEXT_EMPTY;
    for (size_t i = 0; i < head->field_count; i++) {
        if (head->fields[i].known == HEADER_HOST) {
            hosts++;
            host = head->fields[i].value;
        }
    }
    /* Exactly one in HTTP/1.1 (RFC 9112 section 3.2). */
    if (hosts > 1 || (hosts == 0 && head->version != MESSAGE_HTTP_1_0) || !h1_is_host(host))
        return FAULT_REQUEST_MALFORMED;
    bool has_authority = false;
    bool is_asterisk = text_equals(head->target, TEXT("*"));
    if (is_asterisk && !text_equals(head->method, TEXT("OPTIONS")))
        return FAULT_REQUEST_MALFORMED;
    if (!is_asterisk && head->target.bytes[0] != '/' && !reduce_absolute_form(head, &has_authority))
        return FAULT_REQUEST_MALFORMED;
    if (!has_authority)
        head->authority = host;
    const char *query = memchr(head->target.bytes, '?', head->target.length);
    head->path = query == NULL ? head->target : text_of(head->target.bytes, (size_t)(query - head->target.bytes));
    return FAULT_NONE;
}

static enum fault read_expectation(struct message_head *head)
{
    const struct header_field *expect = message_find(head, HEADER_EXPECT);
    if (expect == NULL)
        return FAULT_NONE;
    if (!text_equals_ignoring_case(expect->value, TEXT("100-continue")))
        return FAULT_REQUEST_EXPECTATION;
    /* RFC 9110 section 10.1.1: ignored in HTTP/1.0 and without a body. */
    message_set(head, MESSAGE_EXPECTS_CONTINUE, head->version != MESSAGE_HTTP_1_0 && head->body != BODY_NONE);
    return FAULT_NONE;
}

bool h1_is_method(struct text method)
{
#define NAME(number, name, string) {#string, sizeof #string - 1},
    static const struct text known[] = {HTTP_METHOD_MAP(NAME)};
#undef NAME
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (text_equals(method, known[i]))
            return true;
    }
    return false;
}

static enum fault parse_request(struct text bytes, const struct h1_limits *limits, struct message_head *head,
                                struct h1_framing *framing)
{
    struct gatherer gatherer = {.head = head};
    start(head, bytes);
    *framing = (struct h1_framing){0};
    enum fault fault = h1_validate_head(bytes, H1_ROLE_REQUEST, limits);
    if (fault != FAULT_NONE)
        return fault;
    head->method = text_of(bytes.bytes, (size_t)((const char *)memchr(bytes.bytes, ' ', bytes.length) - bytes.bytes));
    if (text_equals(head->method, TEXT("CONNECT")))
        return FAULT_REQUEST_METHOD;

    llhttp_init(&gatherer.parser, HTTP_REQUEST, &settings);
    llhttp_errno_t error = llhttp_execute(&gatherer.parser, bytes.bytes, bytes.length);
    if (error == HPE_INVALID_METHOD)
        return FAULT_REQUEST_METHOD;
    /* llhttp 9 says so of any coding behind a length, too, which is malformed whatever the coding (see frame_request). */
    if (error == HPE_INVALID_TRANSFER_ENCODING)
        return message_find(head, HEADER_CONTENT_LENGTH) != NULL ? FAULT_REQUEST_MALFORMED : FAULT_REQUEST_TRANSFER_CODING;
    if (error != HPE_OK || head->target.length == 0)
        return FAULT_REQUEST_MALFORMED;
    head->version = gatherer.parser.http_minor == 0 ? MESSAGE_HTTP_1_0 : MESSAGE_HTTP_1_1;

    if ((fault = read_target(head)) != FAULT_NONE || (fault = frame_request(head, framing)) != FAULT_NONE ||
        (fault = read_expectation(head)) != FAULT_NONE)
        return fault;
    return sanitise_strip_hop_by_hop(head, &framing->keep_alive) ? FAULT_NONE : FAULT_REQUEST_MALFORMED;
}

enum fault h1_parse_request(struct text bytes, const struct h1_limits *limits, struct message_head *head,
                            struct h1_framing *framing)
{
    enum fault fault = parse_request(bytes, limits, head, framing);
    /* Without a path not even the target was understood. */
    if (fault != FAULT_NONE && head->path.length == 0)
        h1_parse_partial(bytes, head);
    return fault;
}

enum fault h1_parse_response(struct text bytes, const struct h1_limits *limits, bool to_head_request,
                             struct message_head *head, struct h1_framing *framing)
{
    struct gatherer gatherer = {.head = head};
    start(head, bytes);
    *framing = (struct h1_framing){.keep_alive = true};
    enum fault fault = h1_validate_head(bytes, H1_ROLE_RESPONSE, limits);
    if (fault != FAULT_NONE)
        return fault;
    llhttp_init(&gatherer.parser, HTTP_RESPONSE, &settings);
    if (llhttp_execute(&gatherer.parser, bytes.bytes, bytes.length) != HPE_OK)
        return FAULT_UPSTREAM_MALFORMED;
    head->version = gatherer.parser.http_minor == 0 ? MESSAGE_HTTP_1_0 : MESSAGE_HTTP_1_1;
    head->status = gatherer.parser.status_code;
    if (head->status < 100 || head->status > 599)
        return FAULT_UPSTREAM_MALFORMED;
    bool keep_alive = true;
    fault = frame_response(head, to_head_request, framing);
    if (fault != FAULT_NONE)
        return fault;
    if (!sanitise_strip_hop_by_hop(head, &keep_alive))
        return FAULT_UPSTREAM_MALFORMED;
    framing->keep_alive = framing->keep_alive && keep_alive;
    return FAULT_NONE;
}
