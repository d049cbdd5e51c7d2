/*
 * Heads of HTTP/2 that are sent on over HTTP/1: what is taken from a header block is, written as HTTP/1, one whole message that is read as the
 * same one. Of the bytes only those reach h2_head that nghttp2 lets through.
 *
 * The first byte: bit 0 response, bit 1 no body follows, bit 2 small limits, bit 3 trailers. Then lines "name<TAB>value<LF>".
 */
#include "fuzz/fuzz.h"
#include "http/h1_parse.h"
#include "http/h1_write.h"
#include "http/h2_head.h"
#include "http/sanitise.h"

static const struct h1_limits wide_limits = {.head_bytes = 1048576, .target_bytes = 65536, .fields = MESSAGE_FIELDS_MAXIMUM};

/* nghttp2 asks this of each field, and for the order and number of the pseudo ones (RFC 9113 section 8.3). */
static bool is_let_through(struct text name, struct text value, bool is_response, bool is_bodyless, unsigned *seen,
                           bool *has_regular)
{
    static const char *const pseudo_names[] = {":method", ":scheme", ":authority", ":path", ":status"};
    const uint8_t *bytes = (const uint8_t *)value.bytes;
    if (nghttp2_check_header_name((const uint8_t *)name.bytes, name.length) == 0 || nghttp2_check_header_value(bytes, value.length) == 0)
        return false;
    if (name.bytes[0] != ':') {
        *has_regular = true;
        /* Fields of a connection are refused (section 8.2.2), and two lengths. */
        enum header_name known = header_name_of(name);
        unsigned bit = known == HEADER_CONTENT_LENGTH ? 32 : known == HEADER_HOST ? 64 : known == HEADER_TE ? 128 : 0;
        bool is_twice = (*seen & bit) != 0;
        uint64_t number;
        *seen |= bit;
        /* A request that ends with its head has no length but 0 (section 8.1.1). */
        if (known == HEADER_CONTENT_LENGTH && (!text_to_u64(value, &number) || (is_bodyless && number > 0)))
            return false;
        if (known == HEADER_TE && !text_equals_ignoring_case(value, TEXT("trailers")))
            return false;
        return !is_twice && known != HEADER_CONNECTION && known != HEADER_KEEP_ALIVE && known != HEADER_PROXY_CONNECTION &&
               known != HEADER_TRANSFER_ENCODING && known != HEADER_UPGRADE;
    }
    for (unsigned i = 0; i < 5 && !*has_regular; i++) {
        bool is_of_response = i == 4;
        if (!text_equals(name, text_of_string(pseudo_names[i])) || is_of_response != is_response || (*seen >> i & 1) != 0)
            continue;
        *seen |= 1u << i;
        if (i == 0)
            return nghttp2_check_method(bytes, value.length) != 0;
        if (i == 2)
            return nghttp2_check_authority(bytes, value.length) != 0;
        return i != 3 || nghttp2_check_path(bytes, value.length) != 0;
    }
    return false;
}

static bool is_whole(unsigned seen, bool is_response)
{
    bool has_host = (seen & 4) != 0 || (seen & 64) != 0;
    return is_response ? (seen & 16) != 0 : (seen & 1) != 0 && (seen & 2) != 0 && (seen & 8) != 0 && has_host;
}

static void expect_clean(const struct message_head *head)
{
    for (size_t i = 0; i < head->field_count; i++) {
        struct text name = head->fields[i].name, value = head->fields[i].value;
        expect(name.length > 0 && name.length <= H1_FIELD_NAME_BYTES && name.bytes[0] != ':' && !h1_is_framing_lookalike(name));
        expect(lies_in(name, head->raw) && lies_in(value, head->raw) && text_equals(text_trim(value), value));
        for (size_t j = 0; j < name.length; j++)
            expect(h1_is_token_character((unsigned char)name.bytes[j]));
        for (size_t j = 0; j < value.length; j++)
            expect((unsigned char)value.bytes[j] >= 0x20 || value.bytes[j] == '\t');
    }
}

static void expect_same(const struct message_head *a, const struct message_head *b)
{
    expect(text_equals(a->method, b->method) && text_equals(a->target, b->target) && text_equals(a->path, b->path));
    expect(text_equals(a->authority, b->authority) && a->status == b->status && a->body == b->body);
    expect(a->body != BODY_LENGTH || a->content_length == b->content_length);
    expect(a->field_count == b->field_count);
    for (size_t i = 0; i < a->field_count; i++)
        expect(text_equals(a->fields[i].name, b->fields[i].name) && text_equals(a->fields[i].value, b->fields[i].value));
}

static void send_on(struct message_head *head, bool is_response)
{
    static struct header_field fields[MESSAGE_FIELDS_MAXIMUM];
    if (is_response && head->body == BODY_NONE) {
        message_set(head, MESSAGE_ANNOUNCES_LENGTH, head->status >= 200 && head->status != 204 && head->status != 304);
        head->content_length = 0;
    }
    size_t bound = is_response ? h1_response_head_bytes(head) : h1_request_head_bytes(head);
    char *out = malloc(bound);
    expect(out != NULL);
    struct h1_response_form form = {.is_chunked = head->body == BODY_STREAM};
    size_t length = is_response ? h1_write_response_head(out, head, &form) : h1_write_request_head(out, head);
    expect(length <= bound);
    struct text bytes = text_of(out, length);
    struct h1_search search = {0};
    size_t found = 0;
    enum fault fault;
    enum h1_role role = is_response ? H1_ROLE_RESPONSE : H1_ROLE_REQUEST;
    expect(h1_find_head_end(&search, bytes, role, &wide_limits, &found, &fault) == H1_SEARCH_FOUND && found == length);
    struct message_head again = {.fields = fields};
    struct h1_framing framing;
    fault = is_response ? h1_parse_response(bytes, &wide_limits, false, &again, &framing)
                        : h1_parse_request(bytes, &wide_limits, &again, &framing);
    expect(fault == FAULT_NONE);
    expect_same(head, &again);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct header_field fields[MESSAGE_FIELDS_MAXIMUM];
    static struct h2_header_blocks blocks;
    struct tape tape = {data, size};
    unsigned choice = tape_byte(&tape);
    bool is_response = (choice & 1) != 0, is_end = (choice & 2) != 0, are_trailers = (choice & 8) != 0;
    struct h1_limits limits = (choice & 4) != 0 ? (struct h1_limits){.head_bytes = 200, .target_bytes = 40, .fields = 4} : wide_limits;
    struct h2_header_block *block = h2_header_block_take(&blocks);
    expect(block != NULL);
    unsigned seen = 0;
    bool has_regular = are_trailers;
    while (tape.left > 0) {
        struct text value = tape_line(&tape, '\n');
        struct text name = fuzz_copy(text_cut(&value, '\t'));
        struct text trimmed = text_trim(value);
        struct text copy = fuzz_copy(trimmed);
        if (name.length > 0 && is_let_through(name, copy, is_response, is_end && !is_response, &seen, &has_regular))
            h2_header_block_add(block, &limits, !is_response, name, copy);
        fuzz_free(name);
        fuzz_free(copy);
    }
    struct message_head head = {.fields = fields};
    if (are_trailers) {
        if (h2_read_trailers(block, !is_response, &head) == FAULT_NONE)
            expect(head.method.length == 0 && head.status == 0 && message_find(&head, HEADER_CONTENT_LENGTH) == NULL);
    } else if (is_whole(seen, is_response)) {
        enum fault fault = is_response ? h2_read_response(block, is_end, &head) : h2_read_request(block, &limits, is_end, &head);
        if (fault == FAULT_NONE)
            expect_clean(&head);
        /* With Host and the framing there may be more fields than we would take ourselves. */
        if (fault == FAULT_NONE && head.field_count + 3 <= MESSAGE_FIELDS_MAXIMUM)
            send_on(&head, is_response);
    }
    h2_header_block_give(&blocks, block);
    h2_header_blocks_clear(&blocks);
    return 0;
}
