#include "http/sanitise.h"

/* Fields of one hop. Host and Expect are here because their meaning has moved into the head. */
static bool is_hop_field(enum header_name known)
{
    switch (known) {
    case HEADER_CONNECTION:
    case HEADER_CONTENT_LENGTH:
    case HEADER_EXPECT:
    case HEADER_HOST:
    case HEADER_HTTP2_SETTINGS:
    case HEADER_KEEP_ALIVE:
    case HEADER_PROXY_AUTHENTICATE:
    case HEADER_PROXY_AUTHORIZATION:
    case HEADER_PROXY_CONNECTION:
    case HEADER_TE:
    case HEADER_TRAILER:
    case HEADER_TRANSFER_ENCODING:
    case HEADER_UPGRADE:
        return true;
    default:
        return false;
    }
}

/* Connection must not be able to take these away from the node. */
static bool is_protected(struct text name)
{
    switch (header_name_of(name)) {
    case HEADER_AUTHORIZATION:
    case HEADER_CONTENT_ENCODING:
    case HEADER_CONTENT_LENGTH:
    case HEADER_CONTENT_TYPE:
    case HEADER_FORWARDED:
    case HEADER_HOST:
    case HEADER_TRANSFER_ENCODING:
    case HEADER_VIA:
    case HEADER_X_FORWARDED_FOR:
    case HEADER_X_FORWARDED_HOST:
    case HEADER_X_FORWARDED_PROTO:
    case HEADER_X_REAL_IP:
    case HEADER_X_REQUEST_ID:
    case HEADER_X_SLUICE_NODE:
        return true;
    default:
        return text_equals_ignoring_case(name, TEXT("cookie"));
    }
}

/* Options that some Connection field lists; more than this in one head is nothing a client sends. */
#define OPTIONS_MAXIMUM 16

struct options {
    struct text names[OPTIONS_MAXIMUM]; /* of fields to drop, close and keep-alive apart */
    size_t count;
    bool has_close;
    bool has_keep_alive;
};

static bool read_options(const struct message_head *head, struct options *options)
{
    /* Not the names: they would be half of this function's time. */
    options->count = 0;
    options->has_close = options->has_keep_alive = false;
    for (size_t i = 0; i < head->field_count; i++) {
        if (head->fields[i].known != HEADER_CONNECTION)
            continue;
        struct text rest = head->fields[i].value;
        struct text option;
        while (message_list_next(&rest, &option)) {
            if (text_equals_ignoring_case(option, TEXT("close")))
                options->has_close = true;
            else if (text_equals_ignoring_case(option, TEXT("keep-alive")))
                options->has_keep_alive = true;
            else if (is_protected(option) || options->count == OPTIONS_MAXIMUM)
                return false;
            else
                options->names[options->count++] = option;
        }
    }
    return true;
}

static bool is_named(const struct options *options, struct text name)
{
    for (size_t i = 0; i < options->count; i++) {
        if (text_equals_ignoring_case(options->names[i], name))
            return true;
    }
    return false;
}

bool sanitise_strip_hop_by_hop(struct message_head *head, bool *keep_alive)
{
    struct options options;
    if (!read_options(head, &options))
        return false;
    size_t kept = 0;
    for (size_t i = 0; i < head->field_count; i++) {
        if (is_hop_field(head->fields[i].known) || is_named(&options, head->fields[i].name))
            continue;
        if (kept != i)
            head->fields[kept] = head->fields[i];
        kept++;
    }
    head->field_count = kept;
    *keep_alive = !options.has_close && (head->version != MESSAGE_HTTP_1_0 || options.has_keep_alive);
    return true;
}

/* ---- request ---- */

static struct text put(struct sanitise_room *room, struct text a, struct text separator, struct text b)
{
    size_t length = a.length + (a.length > 0 ? separator.length : 0) + b.length;
    if (length > sizeof room->bytes - room->used) {
        room->used = sizeof room->bytes; /* so that each later piece fails, too, and the loss is seen */
        return TEXT_EMPTY;
    }
    char *start = room->bytes + room->used;
    char *at = start;
    if (a.length > 0) {
        memcpy(at, a.bytes, a.length);
        at += a.length;
        memcpy(at, separator.bytes, separator.length);
        at += separator.length;
    }
    memcpy(at, b.bytes, b.length);
    room->used += length;
    return text_of(start, length);
}

/* Is our own name among the proxies that a Via field lists? */
static bool has_passed_here(struct text via, struct text own)
{
    struct text element;
    while (message_list_next(&via, &element)) {
        struct text received_by = element;
        text_cut(&received_by, ' ');
        struct text own_name = own;
        text_cut(&own_name, ' ');
        received_by = text_trim(received_by);
        if (text_starts_with(received_by, own_name) &&
            (received_by.length == own_name.length || received_by.bytes[own_name.length] == ' '))
            return true;
    }
    return false;
}

static bool is_replaced(enum header_name known, bool trust_forwarded)
{
    switch (known) {
    case HEADER_VIA:
    case HEADER_X_FORWARDED_FOR:
    case HEADER_X_REQUEST_ID:
    case HEADER_X_SLUICE_NODE:
        return true;
    case HEADER_FORWARDED:
    case HEADER_X_FORWARDED_HOST:
    case HEADER_X_FORWARDED_PROTO:
    case HEADER_X_REAL_IP:
        /* The database believes the first of these that it finds (docs/database.md#forwarded-addresses). */
        return !trust_forwarded;
    default:
        return false;
    }
}

enum fault sanitise_request(const struct message_head *in, const struct sanitise_context *context,
                                   struct sanitise_room *room, struct message_head *out)
{
    struct header_field *fields = out->fields;
    *out = *in;
    out->fields = fields;
    out->field_count = 0;
    const size_t capacity = MESSAGE_FIELDS_MAXIMUM + 8;
    struct text via = TEXT_EMPTY;
    struct text forwarded_for = TEXT_EMPTY;
    bool has_proto = false;
    bool has_host = false;
    for (size_t i = 0; i < in->field_count; i++) {
        const struct header_field *field = &in->fields[i];
        if (field->known == HEADER_VIA) {
            if (has_passed_here(field->value, context->via))
                return FAULT_REQUEST_LOOP;
            via = put(room, via, TEXT(", "), field->value);
        } else if (field->known == HEADER_X_FORWARDED_FOR && context->trust_forwarded) {
            forwarded_for = put(room, forwarded_for, TEXT(", "), field->value);
        }
        if (is_replaced(field->known, context->trust_forwarded))
            continue;
        has_proto = has_proto || field->known == HEADER_X_FORWARDED_PROTO;
        has_host = has_host || field->known == HEADER_X_FORWARDED_HOST;
        fields[out->field_count++] = *field;
    }
    via = put(room, via, TEXT(", "), context->via);
    forwarded_for = put(room, forwarded_for, TEXT(", "), context->client_host);
    if (via.length == 0 || forwarded_for.length == 0)
        return FAULT_REQUEST_HEAD_TOO_LARGE;
    message_add(out, capacity, HEADER_X_FORWARDED_FOR, TEXT("X-Forwarded-For"), forwarded_for);
    if (!has_proto)
        message_add(out, capacity, HEADER_X_FORWARDED_PROTO, TEXT("X-Forwarded-Proto"), context->scheme);
    if (!has_host && in->authority.length > 0)
        message_add(out, capacity, HEADER_X_FORWARDED_HOST, TEXT("X-Forwarded-Host"), in->authority);
    message_add(out, capacity, HEADER_VIA, TEXT("Via"), via);
    message_add(out, capacity, HEADER_X_REQUEST_ID, TEXT("X-Request-Id"), context->request_id);
    return FAULT_NONE;
}

/* ---- response ---- */

void sanitise_response(const struct message_head *in, struct text request_id, struct text node_id,
                              bool drop_retry_after, struct message_head *out)
{
    struct header_field *fields = out->fields;
    *out = *in;
    out->fields = fields;
    out->field_count = 0;
    const size_t capacity = MESSAGE_FIELDS_MAXIMUM + 8;
    bool has_request_id = false;
    for (size_t i = 0; i < in->field_count; i++) {
        const struct header_field *field = &in->fields[i];
        if (field->known == HEADER_RETRY_AFTER && drop_retry_after)
            continue;
        if (field->known == HEADER_X_SLUICE_NODE)
            continue;
        has_request_id = has_request_id || field->known == HEADER_X_REQUEST_ID;
        fields[out->field_count++] = *field;
    }
    if (!has_request_id)
        message_add(out, capacity, HEADER_X_REQUEST_ID, TEXT("X-Request-Id"), request_id);
    message_add(out, capacity, HEADER_X_SLUICE_NODE, TEXT("X-Sluice-Node"), node_id);
}

/* ---- trailers ---- */

void sanitise_trailers(const struct message_head *in, struct message_head *out)
{
    struct header_field *fields = out->fields;
    *out = (struct message_head){.version = in->version, .fields = fields};
    for (size_t i = 0; i < in->field_count; i++) {
        const struct header_field *field = &in->fields[i];
        bool is_pseudo = field->name.length == 0 || field->name.bytes[0] == ':';
        if (!is_pseudo && !is_hop_field(field->known) && !is_protected(field->name))
            fields[out->field_count++] = *field;
    }
}

bool sanitise_is_request_id(struct text value)
{
    if (value.length == 0 || value.length > 128)
        return false;
    for (size_t i = 0; i < value.length; i++) {
        if (value.bytes[i] <= ' ' || value.bytes[i] > '~')
            return false;
    }
    return true;
}
