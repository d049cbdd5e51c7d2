#include "http/h2_head.h"

#include <stdlib.h>

#include "http/h1_parse.h"
#include "http/sanitise.h"

/* A usual head fits in; a longer one doubles it. */
#define BLOCK_BYTES 1024
#define BLOCK_FIELDS 24
#define FIELDS_MAXIMUM (MESSAGE_FIELDS_MAXIMUM + 4) /* and the pseudo ones */
/* Longer ones are not kept as spare. */
#define SPARE_BYTES 4096
/* As many requests as come in one read of a few busy connections. */
#define SPARE_MAXIMUM 256
/* What a field counts besides its name and value (RFC 9113 section 6.5.2). */
#define FIELD_OVERHEAD_BYTES 32

/* ---- header blocks ---- */

struct h2_header_block *h2_header_block_take(struct h2_header_blocks *blocks)
{
    struct h2_header_block *block = blocks->spare;
    if (block != NULL) {
        blocks->spare = block->next;
        blocks->count--;
    } else {
        block = calloc(1, sizeof *block);
        if (block == NULL)
            return NULL;
    }
    block->next = NULL;
    block->length = 0;
    block->counted_bytes = 0;
    block->fault = FAULT_NONE;
    block->pseudo_count = 0;
    block->field_count = 0;
    return block;
}

static void free_block(struct h2_header_block *block)
{
    free(block->bytes);
    free(block->fields);
    free(block);
}

void h2_header_block_give(struct h2_header_blocks *blocks, struct h2_header_block *block)
{
    if (block == NULL)
        return;
    if (blocks->count >= SPARE_MAXIMUM || block->capacity > SPARE_BYTES) {
        free_block(block);
        return;
    }
    block->next = blocks->spare;
    blocks->spare = block;
    blocks->count++;
}

void h2_header_blocks_clear(struct h2_header_blocks *blocks)
{
    while (blocks->spare != NULL) {
        struct h2_header_block *block = blocks->spare;
        blocks->spare = block->next;
        free_block(block);
    }
    blocks->count = 0;
}

static bool make_room(struct h2_header_block *block, size_t length)
{
    size_t wanted = block->length + length;
    if (wanted <= block->capacity)
        return true;
    size_t capacity = block->capacity == 0 ? BLOCK_BYTES : block->capacity * 2;
    while (capacity < wanted)
        capacity *= 2;
    char *larger = realloc(block->bytes, capacity);
    if (larger == NULL)
        return false;
    block->bytes = larger;
    block->capacity = capacity;
    return true;
}

static struct h2_header_block_field *next_field(struct h2_header_block *block)
{
    if (block->field_count == block->field_capacity) {
        unsigned capacity = block->field_capacity == 0 ? BLOCK_FIELDS : block->field_capacity * 2;
        struct h2_header_block_field *larger = realloc(block->fields, capacity * sizeof *larger);
        if (larger == NULL)
            return NULL;
        block->fields = larger;
        block->field_capacity = capacity;
    }
    return &block->fields[block->field_count];
}

/* Returns where the copy begins. */
static uint32_t keep(struct h2_header_block *block, struct text bytes)
{
    uint32_t start = (uint32_t)block->length;
    if (bytes.length > 0)
        memcpy(block->bytes + start, bytes.bytes, bytes.length);
    block->length += bytes.length;
    return start;
}

void h2_header_block_add(struct h2_header_block *block, const struct h1_limits *limits, bool is_request, struct text name, struct text value)
{
    block->counted_bytes += name.length + value.length + FIELD_OVERHEAD_BYTES;
    if (block->fault != FAULT_NONE)
        return;
    bool is_pseudo = name.length > 0 && name.bytes[0] == ':';
    size_t regular = block->field_count - block->pseudo_count;
    if (block->counted_bytes > limits->head_bytes + limits->fields * FIELD_OVERHEAD_BYTES ||
        (!is_pseudo && (regular >= limits->fields || regular >= MESSAGE_FIELDS_MAXIMUM)) ||
        block->field_count >= FIELDS_MAXIMUM) {
        block->fault = is_request ? FAULT_REQUEST_HEAD_TOO_LARGE : FAULT_UPSTREAM_HEAD_TOO_LARGE;
        return;
    }
    if (name.length > H1_FIELD_NAME_BYTES) {
        block->fault = is_request ? FAULT_REQUEST_MALFORMED : FAULT_UPSTREAM_MALFORMED;
        return;
    }
    if (!is_pseudo)
        value = text_trim(value);
    struct h2_header_block_field *field = next_field(block);
    if (field == NULL || !make_room(block, name.length + value.length)) {
        block->fault = FAULT_OUT_OF_MEMORY;
        return;
    }
    block->field_count++;
    block->pseudo_count += is_pseudo;
    field->name_length = (uint32_t)name.length;
    field->value_length = (uint32_t)value.length;
    field->name_start = keep(block, name);
    field->value_start = keep(block, value);
}

/* ---- reading ---- */

static struct text name_of(const struct h2_header_block *block, unsigned i)
{
    return text_of(block->bytes + block->fields[i].name_start, block->fields[i].name_length);
}

static struct text value_of(const struct h2_header_block *block, unsigned i)
{
    return text_of(block->bytes + block->fields[i].value_start, block->fields[i].value_length);
}

static struct text pseudo(const struct h2_header_block *block, struct text name)
{
    for (unsigned i = 0; i < block->pseudo_count; i++) {
        if (text_equals(name_of(block, i), name))
            return value_of(block, i);
    }
    return TEXT_EMPTY;
}

/*
 * The pieces of Cookie become one field again (RFC 9113 section 8.2.3): HTTP/1 knows only one. Empty pieces are left out: a blank behind the last
 * one would make a value that no HTTP/2 node takes. They are put together behind everything else, for which there must be room already: texts
 * point into the bytes.
 */
static bool join_cookies(struct h2_header_block *block)
{
    size_t length = 0;
    unsigned count = 0;
    unsigned first = 0;
    for (unsigned i = block->pseudo_count; i < block->field_count; i++) {
        if (!text_equals(name_of(block, i), TEXT("cookie")))
            continue;
        first = count++ == 0 ? i : first;
        length += value_of(block, i).length + 2;
    }
    if (count < 2)
        return true;
    if (!make_room(block, length))
        return false;
    uint32_t start = (uint32_t)block->length;
    unsigned kept = block->pseudo_count;
    for (unsigned i = block->pseudo_count; i < block->field_count; i++) {
        struct h2_header_block_field field = block->fields[i];
        bool is_cookie = text_equals(name_of(block, i), TEXT("cookie"));
        bool is_piece = is_cookie && value_of(block, i).length > 0;
        if (is_piece && block->length > start)
            keep(block, TEXT("; "));
        if (is_piece)
            keep(block, value_of(block, i));
        if (!is_cookie || i == first)
            block->fields[kept++] = field;
    }
    block->fields[first].value_start = start;
    block->fields[first].value_length = (uint32_t)(block->length - start);
    block->field_count = kept;
    return true;
}

/* Lists the fields, and says which known names are among them: one bit each. */
static uint64_t list_fields(const struct h2_header_block *block, struct message_head *head)
{
    uint64_t present = 0;
    for (unsigned i = block->pseudo_count; i < block->field_count; i++) {
        struct text name = name_of(block, i);
        enum header_name known = header_name_of(name);
        present |= UINT64_C(1) << known;
        message_add(head, MESSAGE_FIELDS_MAXIMUM, known, name, value_of(block, i));
    }
    return present;
}
_Static_assert(HEADER_NAME_COUNT <= 64, "a bit each");

static const struct header_field *find_present(const struct message_head *head, uint64_t present, enum header_name known)
{
    return (present >> known & 1) != 0 ? message_find(head, known) : NULL;
}

static void start(const struct h2_header_block *block, struct message_head *head)
{
    struct header_field *fields = head->fields;
    *head = (struct message_head){
        .fields = fields, .version = MESSAGE_HTTP_2, .raw = text_of(block->bytes, block->length)};
}

/* nghttp2 has seen to it that there is one at most, and that it is a number that the body keeps to. */
static bool read_length(struct message_head *head, uint64_t present, bool is_end)
{
    const struct header_field *length = find_present(head, present, HEADER_CONTENT_LENGTH);
    if (length != NULL && (!text_to_u64(length->value, &head->content_length) || head->content_length > INT64_MAX))
        return false;
    message_set(head, MESSAGE_ANNOUNCES_LENGTH, length != NULL);
    /* Nothing of length 0 follows, even if the end of the stream comes in a frame of its own. */
    if (is_end || (length != NULL && head->content_length == 0))
        head->body = BODY_NONE;
    else
        head->body = length != NULL ? BODY_LENGTH : BODY_STREAM;
    return true;
}

static enum fault read_target(const struct h2_header_block *block, const struct h1_limits *limits, uint64_t present,
                              struct message_head *head)
{
    const struct header_field *host = find_present(head, present, HEADER_HOST);
    head->method = pseudo(block, TEXT(":method"));
    head->target = pseudo(block, TEXT(":path"));
    head->authority = pseudo(block, TEXT(":authority"));
    if (head->authority.length == 0 && host != NULL)
        head->authority = host->value;
    const char *query = head->target.length == 0 ? NULL : memchr(head->target.bytes, '?', head->target.length);
    head->path = query == NULL ? head->target : text_of(head->target.bytes, (size_t)(query - head->target.bytes));
    if (text_equals(head->method, TEXT("CONNECT")))
        return FAULT_REQUEST_METHOD;
    if (head->target.length > limits->target_bytes)
        return FAULT_REQUEST_TARGET_TOO_LONG;
    bool is_asterisk = text_equals(head->target, TEXT("*")) && text_equals(head->method, TEXT("OPTIONS"));
    if (!is_asterisk && (head->target.length == 0 || head->target.bytes[0] != '/'))
        return FAULT_REQUEST_MALFORMED;
    if (!h1_is_method(head->method))
        return FAULT_REQUEST_METHOD;
    if (!h1_is_target(head->target) || !h1_is_host(head->authority) || (host != NULL && !h1_is_host(host->value)))
        return FAULT_REQUEST_MALFORMED;
    return FAULT_NONE;
}

/* What HTTP/1 refuses as well (h1_is_field_line), in either direction. */
static bool has_framing_lookalike(const struct message_head *head)
{
    for (size_t i = 0; i < head->field_count; i++) {
        if (h1_is_framing_lookalike(head->fields[i].name))
            return true;
    }
    return false;
}

enum fault h2_read_request(struct h2_header_block *block, const struct h1_limits *limits, bool is_end, struct message_head *head)
{
    if (block->fault == FAULT_NONE && !join_cookies(block))
        block->fault = FAULT_OUT_OF_MEMORY;
    start(block, head);
    uint64_t present = list_fields(block, head);
    enum fault fault = read_target(block, limits, present, head);
    if (block->fault != FAULT_NONE)
        return block->fault;
    if (fault != FAULT_NONE)
        return fault;
    if (!read_length(head, present, is_end))
        return FAULT_REQUEST_MALFORMED;
    /* nghttp2 lets no other value of TE in. */
    message_set(head, MESSAGE_ACCEPTS_TRAILERS, find_present(head, present, HEADER_TE) != NULL);
    const struct header_field *expect = find_present(head, present, HEADER_EXPECT);
    if (expect != NULL && !text_equals_ignoring_case(expect->value, TEXT("100-continue")))
        return FAULT_REQUEST_EXPECTATION;
    message_set(head, MESSAGE_EXPECTS_CONTINUE, expect != NULL && head->body != BODY_NONE);
    bool ignored;
    bool is_sound = !has_framing_lookalike(head) && sanitise_strip_hop_by_hop(head, &ignored);
    return is_sound ? FAULT_NONE : FAULT_REQUEST_MALFORMED;
}

enum fault h2_read_response(struct h2_header_block *block, bool is_end, struct message_head *head)
{
    start(block, head);
    if (block->fault != FAULT_NONE)
        return block->fault;
    uint64_t present = list_fields(block, head);
    uint64_t status = 0;
    if (!text_to_u64(pseudo(block, TEXT(":status")), &status) || status < 100 || status > 599 ||
        !read_length(head, present, is_end))
        return FAULT_UPSTREAM_MALFORMED;
    head->status = (unsigned)status;
    if (status < 200 || status == 204)
        message_set(head, MESSAGE_ANNOUNCES_LENGTH, false);
    /* RFC 9110 section 6.4.1: without a body, whenever the stream ends. */
    if (status < 200 || status == 204 || status == 304)
        head->body = BODY_NONE;
    bool ignored;
    bool is_sound = !has_framing_lookalike(head) && sanitise_strip_hop_by_hop(head, &ignored);
    return is_sound ? FAULT_NONE : FAULT_UPSTREAM_MALFORMED;
}

enum fault h2_read_trailers(struct h2_header_block *block, bool is_request, struct message_head *head)
{
    start(block, head);
    if (block->fault != FAULT_NONE)
        return block->fault;
    list_fields(block, head);
    bool ignored;
    if (!has_framing_lookalike(head) && sanitise_strip_hop_by_hop(head, &ignored))
        return FAULT_NONE;
    return is_request ? FAULT_REQUEST_MALFORMED : FAULT_UPSTREAM_MALFORMED;
}

/* ---- writing ---- */

static void put(struct h2_writer *writer, struct text name, struct text value, uint8_t flags)
{
    if (writer->count >= H2_WRITE_FIELDS)
        return;
    nghttp2_nv *field = &writer->fields[writer->count++];
    /* nghttp2 only reads them; its type has no const. */
    field->name = (uint8_t *)(uintptr_t)name.bytes;
    field->namelen = name.length;
    field->value = (uint8_t *)(uintptr_t)value.bytes;
    field->valuelen = value.length;
    field->flags = flags | writer->borrowing;
}

static bool is_lower(struct text name)
{
    for (size_t i = 0; i < name.length; i++) {
        if (name.bytes[i] >= 'A' && name.bytes[i] <= 'Z')
            return false;
    }
    return true;
}

/* All names of a head together, so that what was handed out never moves. */
static bool make_names_room(struct h2_writer *writer, const struct message_head *head)
{
    size_t wanted = 0;
    for (size_t i = 0; i < head->field_count; i++)
        wanted += head->fields[i].name.length;
    writer->names_length = 0;
    if (wanted <= writer->names_capacity)
        return true;
    char *larger = realloc(writer->names, wanted);
    if (larger == NULL)
        return false;
    writer->names = larger;
    writer->names_capacity = wanted;
    return true;
}

static struct text lower_name(struct h2_writer *writer, const struct header_field *field)
{
    struct text name = field->name;
    if (field->known != HEADER_OTHER)
        return header_name_text(field->known);
    if (is_lower(name))
        return name;
    char *copy = writer->names + writer->names_length;
    for (size_t i = 0; i < name.length; i++)
        copy[i] = text_lower(name.bytes[i]);
    writer->names_length += name.length;
    return text_of(copy, name.length);
}

/* A value that is new each time only pushes useful ones out of the table; a secret must not get into it (RFC 7541 section 7.1). */
static uint8_t flags_of(enum header_name known)
{
    return known == HEADER_X_REQUEST_ID || known == HEADER_AUTHORIZATION ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE;
}

static bool put_fields(struct h2_writer *writer, const struct message_head *head)
{
    if (!make_names_room(writer, head))
        return false;
    for (size_t i = 0; i < head->field_count; i++)
        put(writer, lower_name(writer, &head->fields[i]), head->fields[i].value, flags_of(head->fields[i].known));
    return true;
}

static void put_length(struct h2_writer *writer, const struct message_head *head)
{
    if (head->body != BODY_LENGTH && !message_has(head, MESSAGE_ANNOUNCES_LENGTH))
        return;
    char *at = writer->length_text + sizeof writer->length_text;
    const char *end = at;
    uint64_t left = head->content_length;
    do
        *--at = (char)('0' + left % 10);
    while ((left /= 10) != 0);
    put(writer, TEXT("content-length"), text_of(at, (size_t)(end - at)), NGHTTP2_NV_FLAG_NONE);
}

bool h2_write_request(struct h2_writer *writer, const struct message_head *head, struct text scheme)
{
    writer->count = 0;
    put(writer, TEXT(":method"), head->method, NGHTTP2_NV_FLAG_NONE);
    put(writer, TEXT(":scheme"), scheme, NGHTTP2_NV_FLAG_NONE);
    if (head->authority.length > 0)
        put(writer, TEXT(":authority"), head->authority, NGHTTP2_NV_FLAG_NONE);
    put(writer, TEXT(":path"), head->target, NGHTTP2_NV_FLAG_NONE);
    if (message_has(head, MESSAGE_ACCEPTS_TRAILERS))
        put(writer, TEXT("te"), TEXT("trailers"), NGHTTP2_NV_FLAG_NONE);
    put_length(writer, head);
    return put_fields(writer, head);
}

bool h2_write_response(struct h2_writer *writer, const struct message_head *head)
{
    writer->count = 0;
    for (unsigned i = 0, divisor = 100; i < 3; i++, divisor /= 10)
        writer->status_text[i] = (char)('0' + head->status / divisor % 10);
    put(writer, TEXT(":status"), text_of(writer->status_text, 3), NGHTTP2_NV_FLAG_NONE);
    put_length(writer, head);
    return put_fields(writer, head);
}

void h2_write_header_block(struct h2_writer *writer, struct h2_header_block *block)
{
    writer->count = 0;
    for (unsigned i = 0; i < block->field_count; i++) {
        char *name = block->bytes + block->fields[i].name_start;
        for (uint32_t j = 0; j < block->fields[i].name_length; j++)
            name[j] = text_lower(name[j]);
        put(writer, name_of(block, i), value_of(block, i), NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE);
    }
}

void h2_writer_clear(struct h2_writer *writer)
{
    free(writer->names);
    writer->names = NULL;
    writer->names_capacity = 0;
}
