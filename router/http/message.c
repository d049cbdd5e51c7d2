#include "http/message.h"

#include <stdlib.h>

/* By name length, so that most fields are told apart without a comparison. */
static const struct {
    struct text name;
    enum header_name known;
} names[] = {
    {{"te", 2}, HEADER_TE},
    {{"via", 3}, HEADER_VIA},
    {{"host", 4}, HEADER_HOST},
    {{"date", 4}, HEADER_DATE},
    {{"expect", 6}, HEADER_EXPECT},
    {{"trailer", 7}, HEADER_TRAILER},
    {{"upgrade", 7}, HEADER_UPGRADE},
    {{"forwarded", 9}, HEADER_FORWARDED},
    {{"x-real-ip", 9}, HEADER_X_REAL_IP},
    {{"connection", 10}, HEADER_CONNECTION},
    {{"keep-alive", 10}, HEADER_KEEP_ALIVE},
    {{"user-agent", 10}, HEADER_USER_AGENT},
    {{"grpc-status", 11}, HEADER_GRPC_STATUS},
    {{"retry-after", 11}, HEADER_RETRY_AFTER},
    {{"content-type", 12}, HEADER_CONTENT_TYPE},
    {{"grpc-timeout", 12}, HEADER_GRPC_TIMEOUT},
    {{"x-request-id", 12}, HEADER_X_REQUEST_ID},
    {{"authorization", 13}, HEADER_AUTHORIZATION},
    {{"x-sluice-node", 13}, HEADER_X_SLUICE_NODE},
    {{"content-length", 14}, HEADER_CONTENT_LENGTH},
    {{"http2-settings", 14}, HEADER_HTTP2_SETTINGS},
    {{"accept-encoding", 15}, HEADER_ACCEPT_ENCODING},
    {{"x-forwarded-for", 15}, HEADER_X_FORWARDED_FOR},
    {{"content-encoding", 16}, HEADER_CONTENT_ENCODING},
    {{"proxy-connection", 16}, HEADER_PROXY_CONNECTION},
    {{"x-forwarded-host", 16}, HEADER_X_FORWARDED_HOST},
    {{"transfer-encoding", 17}, HEADER_TRANSFER_ENCODING},
    {{"x-forwarded-proto", 17}, HEADER_X_FORWARDED_PROTO},
    {{"proxy-authenticate", 18}, HEADER_PROXY_AUTHENTICATE},
    {{"proxy-authorization", 19}, HEADER_PROXY_AUTHORIZATION},
};
#define NAME_LENGTH_MAXIMUM 19

/* The same by their number. */
static const struct text lower_names[HEADER_NAME_COUNT] = {
    [HEADER_TE] = {"te", 2},
    [HEADER_VIA] = {"via", 3},
    [HEADER_HOST] = {"host", 4},
    [HEADER_DATE] = {"date", 4},
    [HEADER_EXPECT] = {"expect", 6},
    [HEADER_TRAILER] = {"trailer", 7},
    [HEADER_UPGRADE] = {"upgrade", 7},
    [HEADER_FORWARDED] = {"forwarded", 9},
    [HEADER_X_REAL_IP] = {"x-real-ip", 9},
    [HEADER_CONNECTION] = {"connection", 10},
    [HEADER_KEEP_ALIVE] = {"keep-alive", 10},
    [HEADER_USER_AGENT] = {"user-agent", 10},
    [HEADER_GRPC_STATUS] = {"grpc-status", 11},
    [HEADER_RETRY_AFTER] = {"retry-after", 11},
    [HEADER_CONTENT_TYPE] = {"content-type", 12},
    [HEADER_GRPC_TIMEOUT] = {"grpc-timeout", 12},
    [HEADER_X_REQUEST_ID] = {"x-request-id", 12},
    [HEADER_AUTHORIZATION] = {"authorization", 13},
    [HEADER_X_SLUICE_NODE] = {"x-sluice-node", 13},
    [HEADER_CONTENT_LENGTH] = {"content-length", 14},
    [HEADER_HTTP2_SETTINGS] = {"http2-settings", 14},
    [HEADER_ACCEPT_ENCODING] = {"accept-encoding", 15},
    [HEADER_X_FORWARDED_FOR] = {"x-forwarded-for", 15},
    [HEADER_CONTENT_ENCODING] = {"content-encoding", 16},
    [HEADER_PROXY_CONNECTION] = {"proxy-connection", 16},
    [HEADER_X_FORWARDED_HOST] = {"x-forwarded-host", 16},
    [HEADER_TRANSFER_ENCODING] = {"transfer-encoding", 17},
    [HEADER_X_FORWARDED_PROTO] = {"x-forwarded-proto", 17},
    [HEADER_PROXY_AUTHENTICATE] = {"proxy-authenticate", 18},
    [HEADER_PROXY_AUTHORIZATION] = {"proxy-authorization", 19},
};

/* Where in `names` each length begins; names of length n stand in [begins[n], begins[n + 1]). */
static const unsigned char begins[NAME_LENGTH_MAXIMUM + 2] = {
    0, 0, 0, 1, 2, 4, 4, 5, 7, 7, 9, 12, 14, 17, 19, 21, 23, 26, 28, 29, 30,
};

enum header_name header_name_of(struct text name)
{
    if (name.length > NAME_LENGTH_MAXIMUM)
        return HEADER_OTHER;
    for (unsigned i = begins[name.length]; i < begins[name.length + 1]; i++) {
        if (text_lower(name.bytes[0]) != names[i].name.bytes[0])
            continue;
        /* HTTP/2 sends lower case only, and most of HTTP/1 does not. */
        if (text_equals(name, names[i].name) || text_equals_ignoring_case(name, names[i].name))
            return names[i].known;
    }
    return HEADER_OTHER;
}

struct text header_name_text(enum header_name known)
{
    return lower_names[known];
}

const struct header_field *message_find(const struct message_head *head, enum header_name known)
{
    for (size_t i = 0; i < head->field_count; i++) {
        if (head->fields[i].known == known)
            return &head->fields[i];
    }
    return NULL;
}

static struct text moved(struct text t, const char *from, const char *to)
{
    if (t.bytes != NULL)
        t.bytes = to + (t.bytes - from);
    return t;
}

struct message_head *message_head_copy(const struct message_head *head, struct slab *slab)
{
    size_t fields_bytes = head->field_count * sizeof *head->fields;
    struct message_head *copy = slab_take(slab, sizeof *copy + fields_bytes + head->raw.length);
    if (copy == NULL)
        return NULL;
    *copy = *head;
    copy->fields = (struct header_field *)(void *)(copy + 1);
    char *raw = (char *)(copy + 1) + fields_bytes;
    const char *from = head->raw.bytes;
    memcpy(raw, from, head->raw.length);
    copy->raw.bytes = raw;
    copy->method = moved(head->method, from, raw);
    copy->target = moved(head->target, from, raw);
    copy->path = moved(head->path, from, raw);
    copy->authority = moved(head->authority, from, raw);
    for (size_t i = 0; i < head->field_count; i++) {
        copy->fields[i].name = moved(head->fields[i].name, from, raw);
        copy->fields[i].value = moved(head->fields[i].value, from, raw);
        copy->fields[i].known = head->fields[i].known;
    }
    return copy;
}

bool message_add(struct message_head *head, size_t capacity, enum header_name known, struct text name,
                 struct text value)
{
    if (head->field_count >= capacity)
        return false;
    head->fields[head->field_count++] = (struct header_field){name, value, known};
    return true;
}

const char *message_reason(unsigned status)
{
    /* The registered ones (https://www.iana.org/assignments/http-status-codes), by status. */
    static const char *const reasons[600] = {
        [100] = "Continue", [101] = "Switching Protocols", [102] = "Processing", [103] = "Early Hints",
        [104] = "Upload Resumption Supported", [200] = "OK", [201] = "Created", [202] = "Accepted",
        [203] = "Non-Authoritative Information", [204] = "No Content", [205] = "Reset Content", [206] = "Partial Content",
        [207] = "Multi-Status", [208] = "Already Reported", [226] = "IM Used", [300] = "Multiple Choices",
        [301] = "Moved Permanently", [302] = "Found", [303] = "See Other", [304] = "Not Modified", [305] = "Use Proxy",
        [306] = "Unused", [307] = "Temporary Redirect", [308] = "Permanent Redirect", [400] = "Bad Request",
        [401] = "Unauthorized", [402] = "Payment Required", [403] = "Forbidden", [404] = "Not Found",
        [405] = "Method Not Allowed", [406] = "Not Acceptable", [407] = "Proxy Authentication Required",
        [408] = "Request Timeout", [409] = "Conflict", [410] = "Gone", [411] = "Length Required",
        [412] = "Precondition Failed", [413] = "Content Too Large", [414] = "URI Too Long",
        [415] = "Unsupported Media Type", [416] = "Range Not Satisfiable", [417] = "Expectation Failed", [418] = "Unused",
        [421] = "Misdirected Request", [422] = "Unprocessable Content", [423] = "Locked", [424] = "Failed Dependency",
        [425] = "Too Early", [426] = "Upgrade Required", [428] = "Precondition Required", [429] = "Too Many Requests",
        [431] = "Request Header Fields Too Large", [451] = "Unavailable For Legal Reasons", [500] = "Internal Server Error",
        [501] = "Not Implemented", [502] = "Bad Gateway", [503] = "Service Unavailable", [504] = "Gateway Timeout",
        [505] = "HTTP Version Not Supported", [506] = "Variant Also Negotiates", [507] = "Insufficient Storage",
        [508] = "Loop Detected", [510] = "Not Extended", [511] = "Network Authentication Required",
    };
    const char *reason = status < sizeof reasons / sizeof reasons[0] ? reasons[status] : NULL;
    return reason != NULL ? reason : "Unknown";
}

bool message_list_next(struct text *rest, struct text *element)
{
    while (rest->bytes != NULL) {
        *element = text_trim(text_cut(rest, ','));
        if (element->length > 0)
            return true;
    }
    return false;
}
