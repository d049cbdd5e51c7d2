/*
 * Heads of HTTP/1, requests and responses. Where a head ends is the same however it is cut; a head that is taken has, read byte by byte, none
 * of the shapes that two readers take differently; and what is made of it, written again for HTTP/1 and for HTTP/2, is read as the same message.
 *
 * The first byte says which: bit 0 response, bit 1 to a HEAD request, bit 2 small limits; the rest is the head and what is behind it.
 */
#include "fuzz/fuzz.h"
#include "http/h1_parse.h"
#include "http/h1_partial.h"
#include "http/h1_write.h"
#include "http/h2_head.h"
#include "http/sanitise.h"

struct parsed {
    struct message_head head;
    struct h1_framing framing;
    enum fault fault;
    struct header_field fields[MESSAGE_FIELDS_MAXIMUM + 8];
};

/* ---- where it ends ---- */

struct found {
    enum h1_search_result result;
    enum fault fault;
    size_t length;
};

static struct found find_end(struct text bytes, enum h1_role role, const struct h1_limits *limits, size_t step)
{
    struct h1_search search = {0};
    struct found found = {0};
    size_t given = step < bytes.length ? step : bytes.length;
    for (;;) {
        found.length = 0;
        found.result = h1_find_head_end(&search, text_of(bytes.bytes, given), role, limits, &found.length, &found.fault);
        if (found.result != H1_SEARCH_MORE || given == bytes.length)
            return found;
        given = given + step < bytes.length ? given + step : bytes.length;
    }
}

static struct found find_end_in_pieces(struct text bytes, enum h1_role role, const struct h1_limits *limits)
{
    struct found whole = find_end(bytes, role, limits, bytes.length + 1);
    for (size_t step = 1; step <= 7; step += 2) {
        struct found cut = find_end(bytes, role, limits, step);
        expect(cut.result == whole.result && cut.fault == whole.fault && cut.length == whole.length);
    }
    return whole;
}

/* ---- what a head must not be, looked at without any parser of ours ---- */

static bool is_name(struct text line, const char *name)
{
    size_t length = strlen(name);
    return line.length > length && line.bytes[length] == ':' && text_equals_ignoring_case(text_of(line.bytes, length), text_of_string(name));
}

struct looked {
    unsigned hosts, lengths, codings;
    struct text length, coding;
};

static struct looked look(struct text bytes)
{
    struct looked looked = {0};
    struct text rest = bytes;
    text_cut(&rest, '\n');
    while (rest.length > 0) {
        struct text line = text_cut(&rest, '\n');
        expect(line.length > 0 && line.bytes[line.length - 1] == '\r');
        line.length--;
        expect(line.length == 0 || (line.bytes[0] != ' ' && line.bytes[0] != '\t' && line.bytes[0] != ':'));
        struct text value = line;
        text_cut(&value, ':');
        value = text_trim(value);
        looked.hosts += is_name(line, "Host");
        if (is_name(line, "Content-Length") && looked.lengths++ == 0)
            looked.length = value;
        if (is_name(line, "Transfer-Encoding") && looked.codings++ == 0)
            looked.coding = value;
    }
    for (size_t i = 0; i < bytes.length; i++) {
        unsigned char c = (unsigned char)bytes.bytes[i];
        expect(c >= 0x20 || c == '\t' || (c == '\r' && i + 1 < bytes.length && bytes.bytes[i + 1] == '\n') ||
               (c == '\n' && i > 0 && bytes.bytes[i - 1] == '\r'));
        expect(c != 0x7f);
    }
    return looked;
}

static void expect_unambiguous_request(struct text bytes, const struct parsed *parsed)
{
    struct looked looked = look(bytes);
    const struct message_head *head = &parsed->head;
    bool is_old = head->version == MESSAGE_HTTP_1_0;
    expect(looked.hosts == 1 || (is_old && looked.hosts == 0));
    expect(looked.lengths + looked.codings <= 1 && (!is_old || looked.codings == 0));
    expect((looked.codings == 1) == (parsed->framing.delimiter == H1_DELIMITER_CHUNKS));
    expect(looked.codings == 0 || text_equals_ignoring_case(looked.coding, TEXT("chunked")));
    uint64_t length = 0;
    expect(looked.lengths == 0 || text_to_u64(looked.length, &length));
    expect(length == head->content_length && (head->body == BODY_LENGTH) == (length > 0));
    expect(head->path.length > 0 && (head->path.bytes[0] == '/' || text_equals(head->path, TEXT("*"))));
    expect(parsed->framing.delimiter != H1_DELIMITER_CLOSE);
}

static void expect_unambiguous_response(struct text bytes, const struct parsed *parsed)
{
    struct looked looked = look(bytes);
    const struct message_head *head = &parsed->head;
    expect(head->status >= 100 && head->status <= 599);
    expect(looked.lengths + looked.codings <= 1 && (head->version != MESSAGE_HTTP_1_0 || looked.codings == 0));
    expect(head->body == BODY_NONE || head->status >= 200);
    expect(parsed->framing.delimiter != H1_DELIMITER_CLOSE || !parsed->framing.keep_alive);
}

static bool is_hop_field(const struct header_field *field)
{
    static const char *const names[] = {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "content-length", "upgrade",
                                        "te", "trailer", "host", "expect", "http2-settings"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (text_equals_ignoring_case(field->name, text_of_string(names[i])))
            return true;
    }
    return false;
}

static void expect_clean(const struct message_head *head)
{
    expect(lies_in(head->method, head->raw) && lies_in(head->target, head->raw) && lies_in(head->path, head->raw));
    expect(lies_in(head->authority, head->raw) && head->field_count <= MESSAGE_FIELDS_MAXIMUM);
    for (size_t i = 0; i < head->field_count; i++) {
        const struct header_field *field = &head->fields[i];
        expect(lies_in(field->name, head->raw) && lies_in(field->value, head->raw));
        expect(field->known == header_name_of(field->name) && !is_hop_field(field));
        expect(text_equals(text_trim(field->value), field->value));
    }
}

/* ---- written again ---- */

static const struct h1_limits wide_limits = {.head_bytes = 1048576, .target_bytes = 65536, .fields = MESSAGE_FIELDS_MAXIMUM};

static uint64_t announced_length(const struct message_head *head)
{
    return head->body == BODY_LENGTH || message_has(head, MESSAGE_ANNOUNCES_LENGTH) ? head->content_length : 0;
}

static void expect_same(const struct message_head *a, const struct message_head *b, bool is_lower)
{
    expect(text_equals(a->method, b->method) && text_equals(a->target, b->target) && text_equals(a->path, b->path));
    expect(text_equals(a->authority, b->authority) && a->status == b->status);
    expect(a->body == b->body && announced_length(a) == announced_length(b) && a->field_count == b->field_count);
    for (size_t i = 0; i < a->field_count; i++) {
        bool is_same_name = is_lower ? text_equals_ignoring_case(a->fields[i].name, b->fields[i].name)
                                     : text_equals(a->fields[i].name, b->fields[i].name);
        expect(is_same_name && text_equals(a->fields[i].value, b->fields[i].value));
    }
}

static void write_for_h1(const struct message_head *head, bool is_response)
{
    size_t bound = is_response ? h1_response_head_bytes(head) : h1_request_head_bytes(head);
    char *out = malloc(bound);
    expect(out != NULL);
    struct h1_response_form form = {.is_chunked = head->body == BODY_STREAM};
    size_t length = is_response ? h1_write_response_head(out, head, &form) : h1_write_request_head(out, head);
    expect(length <= bound);
    struct text bytes = text_of(out, length);
    enum h1_role role = is_response ? H1_ROLE_RESPONSE : H1_ROLE_REQUEST;
    struct found found = find_end(bytes, role, &wide_limits, length);
    expect(found.result == H1_SEARCH_FOUND && found.length == length);
    static struct parsed again;
    again.head.fields = again.fields;
    again.fault = is_response ? h1_parse_response(bytes, &wide_limits, false, &again.head, &again.framing)
                              : h1_parse_request(bytes, &wide_limits, &again.head, &again.framing);
    expect(again.fault == FAULT_NONE);
    look(bytes);
    expect_same(head, &again.head, false);
    free(out);
}

static void write_for_h2(const struct message_head *head, bool is_response)
{
    static struct h2_writer writer;
    static struct h2_header_blocks blocks;
    static struct header_field fields[MESSAGE_FIELDS_MAXIMUM];
    expect(is_response ? h2_write_response(&writer, head) : h2_write_request(&writer, head, TEXT("http")));
    struct h2_header_block *block = h2_header_block_take(&blocks);
    expect(block != NULL);
    unsigned cookies = 0;
    for (size_t i = 0; i < writer.count; i++) {
        struct text name = text_of((const char *)writer.fields[i].name, writer.fields[i].namelen);
        struct text value = text_of((const char *)writer.fields[i].value, writer.fields[i].valuelen);
        expect(nghttp2_check_header_name(writer.fields[i].name, name.length) != 0);
        expect(nghttp2_check_header_value(writer.fields[i].value, value.length) != 0);
        cookies += text_equals(name, TEXT("cookie"));
        h2_header_block_add(block, &wide_limits, !is_response, name, value);
    }
    struct message_head again = {.fields = fields};
    bool is_end = head->body == BODY_NONE;
    enum fault fault = is_response ? h2_read_response(block, is_end, &again) : h2_read_request(block, &wide_limits, is_end, &again);
    expect(fault == FAULT_NONE);
    if (cookies < 2)
        expect_same(head, &again, true);
    h2_header_block_give(&blocks, block);
    h2_header_blocks_clear(&blocks);
    h2_writer_clear(&writer);
}

/* As the router sends it on. The next reader knows of no request: the length that an answer without a body announces would mislead it. */
static void send_on(const struct parsed *parsed, bool is_response)
{
    static struct header_field fields[MESSAGE_FIELDS_MAXIMUM + 8];
    struct sanitise_room room = {.used = 0};
    struct sanitise_context context = {
        .client_host = TEXT("192.0.2.1"), .scheme = TEXT("http"), .via = TEXT("1.1 sluice-1"), .request_id = TEXT("id")};
    struct message_head out = {.fields = fields};
    if (is_response)
        sanitise_response(&parsed->head, TEXT("id"), TEXT("node"), false, &out);
    else if (sanitise_request(&parsed->head, &context, &room, &out) != FAULT_NONE)
        return;
    /* With Host, the framing and Connection there may be more than we would take ourselves. */
    if (out.field_count + 3 > MESSAGE_FIELDS_MAXIMUM)
        return;
    if (is_response && out.body == BODY_NONE) {
        message_set(&out, MESSAGE_ANNOUNCES_LENGTH, out.status >= 200 && out.status != 204 && out.status != 304);
        out.content_length = 0;
    }
    write_for_h1(&out, is_response);
    write_for_h2(&out, is_response);
}

/* ---- what is understood of a refused request ---- */

static void try_partial(struct text bytes, const struct parsed *parsed)
{
    static struct header_field fields[MESSAGE_FIELDS_MAXIMUM];
    static struct header_field cut_fields[MESSAGE_FIELDS_MAXIMUM];
    struct message_head head = {.fields = fields};
    struct message_head cut = {.fields = cut_fields};
    h1_parse_partial(bytes, &head);
    expect(lies_in(head.method, bytes) && lies_in(head.target, bytes) && lies_in(head.path, bytes));
    for (size_t i = 0; i < head.field_count; i++)
        expect(lies_in(head.fields[i].name, bytes) && lies_in(head.fields[i].value, bytes));
    if (parsed->fault == FAULT_NONE)
        expect(text_equals(head.method, parsed->head.method) && head.field_count >= parsed->head.field_count);
    /* With less of it, less is understood, and nothing else. */
    h1_parse_partial(text_of(bytes.bytes, bytes.length / 2), &cut);
    expect(cut.field_count <= head.field_count && text_starts_with(head.target, cut.target));
    for (size_t i = 0; i < cut.field_count; i++)
        expect(text_equals(cut.fields[i].name, head.fields[i].name) && text_equals(cut.fields[i].value, head.fields[i].value));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tape tape = {data, size};
    unsigned choice = tape_byte(&tape);
    bool is_response = (choice & 1) != 0;
    enum h1_role role = is_response ? H1_ROLE_RESPONSE : H1_ROLE_REQUEST;
    struct h1_limits limits = (choice & 4) != 0 ? (struct h1_limits){.head_bytes = 200, .target_bytes = 40, .fields = 4} : wide_limits;
    struct text bytes = fuzz_copy(tape_rest(&tape));
    struct found found = find_end_in_pieces(bytes, role, &limits);
    static struct parsed parsed;
    parsed.fault = found.fault;
    if (found.result == H1_SEARCH_FOUND) {
        expect(found.length <= bytes.length && found.length <= limits.head_bytes);
        struct text head = fuzz_copy(text_of(bytes.bytes, found.length));
        parsed.head.fields = parsed.fields;
        parsed.fault = is_response ? h1_parse_response(head, &limits, (choice & 2) != 0, &parsed.head, &parsed.framing)
                                   : h1_parse_request(head, &limits, &parsed.head, &parsed.framing);
        if (parsed.fault == FAULT_NONE) {
            if (is_response)
                expect_unambiguous_response(head, &parsed);
            else
                expect_unambiguous_request(head, &parsed);
            expect_clean(&parsed.head);
            send_on(&parsed, is_response);
        }
        if (!is_response)
            try_partial(head, &parsed);
        fuzz_free(head);
    }
    parsed.fault = FAULT_REQUEST_MALFORMED;
    if (!is_response)
        try_partial(bytes, &parsed);
    fuzz_free(bytes);
    return 0;
}
