/* Heads between HTTP/2 and message_head: what is accepted, refused, joined, left out and written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/h2_head.h"

static const struct h1_limits limits = {.head_bytes = 4096, .target_bytes = 100, .fields = 20};

static struct h2_header_blocks blocks;
static struct h2_header_block *block;
static struct h2_writer writer;
static struct header_field fields[MESSAGE_FIELDS_MAXIMUM];
static struct message_head head;

static int set_up(void **state)
{
    (void)state;
    block = NULL;
    head = (struct message_head){.fields = fields};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    h2_header_block_give(&blocks, block);
    h2_header_blocks_clear(&blocks);
    h2_writer_clear(&writer);
    return 0;
}

/* A new block from lines "name: value\n". */
static void gather(bool is_request, const char *lines)
{
    h2_header_block_give(&blocks, block);
    block = h2_header_block_take(&blocks);
    assert_non_null(block);
    head = (struct message_head){.fields = fields};
    struct text rest = text_of_string(lines);
    while (rest.length > 0) {
        struct text value = text_cut(&rest, '\n');
        ptrdiff_t colon = text_find(text_of(value.bytes + 1, value.length - 1), TEXT(": "));
        assert_true(colon >= 0);
        struct text name = text_of(value.bytes, (size_t)colon + 1);
        h2_header_block_add(block, &limits, is_request, name,
                     text_of(value.bytes + colon + 3, value.length - (size_t)colon - 3));
    }
}

static enum fault read_request(const char *lines, bool is_end)
{
    gather(true, lines);
    return h2_read_request(block, &limits, is_end, &head);
}

static enum fault read_response(const char *lines, bool is_end)
{
    gather(false, lines);
    return h2_read_response(block, is_end, &head);
}

static void assert_text(struct text text, const char *expected)
{
    if (!text_equals(text, text_of_string(expected)))
        fail_msg("\"%.*s\", not \"%s\"", TEXT_ARGUMENTS(text), expected);
}

/* The fields of the head as "name=value name=value". */
static const char *listed(void)
{
    static char words[8192];
    size_t used = 0;
    words[0] = '\0';
    for (size_t i = 0; i < head.field_count; i++)
        used = text_append(words, sizeof words, used, "%s%.*s=%.*s", i == 0 ? "" : " ", TEXT_ARGUMENTS(head.fields[i].name),
                           TEXT_ARGUMENTS(head.fields[i].value));
    return words;
}

#define GET ":method: GET\n:scheme: http\n:authority: h:1\n:path: /\n"
#define WITH_PATH(path) ":method: GET\n:scheme: http\n:authority: h\n:path: " path "\n"
#define WITH_HOST(host) ":method: GET\n:scheme: http\n:authority: " host "\n:path: /\n"
#define WITH_METHOD(method) ":method: " method "\n:scheme: http\n:authority: h\n:path: /\n"

/* ---- requests ---- */

static void a_request_is_read(void **state)
{
    (void)state;
    assert_int_equal(read_request(":method: POST\n:path: /a/b?c=d?e\n:scheme: http\n:authority: h:8181\nx-a: 1\n"
                                  "authorization: Token t\ncontent-type: text/plain\nx-empty: \n", false),
                     FAULT_NONE);
    assert_text(head.method, "POST");
    assert_text(head.target, "/a/b?c=d?e");
    assert_text(head.path, "/a/b");
    assert_text(head.authority, "h:8181");
    assert_int_equal(head.version, MESSAGE_HTTP_2);
    assert_int_equal(head.body, BODY_STREAM);
    assert_int_equal(head.flags, 0);
    assert_string_equal(listed(), "x-a=1 authorization=Token t content-type=text/plain x-empty=");
    assert_int_equal(head.fields[1].known, HEADER_AUTHORIZATION);
    assert_int_equal(read_request(GET, true), FAULT_NONE);
    assert_text(head.path, "/");
    assert_int_equal(head.body, BODY_NONE);
}

/* All texts lie in one piece of memory, so that message_head_copy can move them. */
static void a_head_that_was_read_can_be_copied(void **state)
{
    (void)state;
    assert_int_equal(read_request(GET "x-a: 1\ncookie: a=1\ncookie: b=2\n", true), FAULT_NONE);
    struct slab *slab = slab_create();
    struct message_head *copy = message_head_copy(&head, slab);
    assert_non_null(copy);
    h2_header_block_give(&blocks, block);
    h2_header_blocks_clear(&blocks);
    block = NULL;
    head = *copy;
    assert_string_equal(listed(), "x-a=1 cookie=a=1; b=2");
    assert_text(copy->path, "/");
    slab_give(slab, copy);
    slab_destroy(slab);
}

static void a_length_makes_the_body_known(void **state)
{
    (void)state;
    assert_int_equal(read_request(GET "content-length: 12\n", false), FAULT_NONE);
    assert_int_equal(head.body, BODY_LENGTH);
    assert_int_equal(head.content_length, 12);
    assert_string_equal(listed(), "");
    /* Nothing follows, even if the end of the stream comes later: HTTP/1 must not be told of chunks. */
    assert_int_equal(read_request(GET "content-length: 0\n", false), FAULT_NONE);
    assert_int_equal(head.body, BODY_NONE);
    assert_true(message_has(&head, MESSAGE_ANNOUNCES_LENGTH));
    assert_int_equal(read_request(GET "content-length: 0\n", true), FAULT_NONE);
    assert_int_equal(head.body, BODY_NONE);
    assert_int_equal(read_request(GET "content-length: 9223372036854775807\n", false), FAULT_NONE);
    assert_int_equal(read_request(GET "content-length: 9223372036854775808\n", false), FAULT_REQUEST_MALFORMED);
    assert_int_equal(read_request(GET "content-length: 99999999999999999999\n", false), FAULT_REQUEST_MALFORMED);
    assert_int_equal(read_request(GET "content-length: \n", false), FAULT_REQUEST_MALFORMED);
    assert_int_equal(read_request(GET "content-length: +1\n", false), FAULT_REQUEST_MALFORMED);
}

static void the_pieces_of_a_cookie_are_joined(void **state)
{
    (void)state;
    assert_int_equal(read_request(GET "cookie: a=1\n", true), FAULT_NONE);
    assert_string_equal(listed(), "cookie=a=1");
    assert_int_equal(read_request(GET "x-a: 1\ncookie: a=1\nx-b: 2\ncookie: b=2\ncookie: c=3\nx-c: 3\n", true), FAULT_NONE);
    assert_string_equal(listed(), "x-a=1 cookie=a=1; b=2; c=3 x-b=2 x-c=3");
    assert_int_equal(read_request(GET "cookie: a=1\ncookie: \ncookie: b=2\n", true), FAULT_NONE);
    assert_string_equal(listed(), "cookie=a=1; b=2");
    /* An empty piece at the end would leave a blank there, which no HTTP/2 node takes. */
    assert_int_equal(read_request(GET "cookie: a=1\ncookie: \n", true), FAULT_NONE);
    assert_string_equal(listed(), "cookie=a=1");
}

/* The memory moves while they are joined: nothing may be lost. */
static void long_cookies_are_joined(void **state)
{
    (void)state;
    char lines[4000];
    char expected[4000];
    size_t used = text_append(lines, sizeof lines, 0, GET);
    size_t wanted = text_append(expected, sizeof expected, 0, "cookie=");
    for (int i = 0; i < 15; i++) {
        used = text_append(lines, sizeof lines, used, "cookie: c%02d=%0150d\n", i, i);
        wanted = text_append(expected, sizeof expected, wanted, "%sc%02d=%0150d", i == 0 ? "" : "; ", i, i);
    }
    assert_int_equal(read_request(lines, true), FAULT_NONE);
    assert_string_equal(listed(), expected);
    assert_text(head.target, "/");
}

static void blanks_around_a_value_are_left_out(void **state)
{
    (void)state;
    assert_int_equal(read_request(GET "x-a:  b c\t\nx-b:  \t \ncookie:  a=1\ncookie: b=2 \n", true), FAULT_NONE);
    assert_string_equal(listed(), "x-a=b c x-b= cookie=a=1; b=2");
    gather(true, ":method: GET\n:scheme: http\n:authority: h\n:path:  /\n");
    assert_int_not_equal(h2_read_request(block, &limits, true, &head), FAULT_NONE);
}

static void te_is_for_us_alone(void **state)
{
    (void)state;
    assert_int_equal(read_request(GET "te: trailers\n", true), FAULT_NONE);
    assert_true(message_has(&head, MESSAGE_ACCEPTS_TRAILERS));
    assert_string_equal(listed(), "");
}

static void authority_rules_over_host(void **state)
{
    (void)state;
    assert_int_equal(read_request(WITH_HOST("a:1") "host: b\n", true), FAULT_NONE);
    assert_text(head.authority, "a:1");
    assert_string_equal(listed(), "");
    assert_int_equal(read_request(":method: GET\n:scheme: http\n:path: /\nhost: b:2\n", true), FAULT_NONE);
    assert_text(head.authority, "b:2");
    assert_string_equal(listed(), "");
}

static void hop_by_hop_fields_are_left_out(void **state)
{
    (void)state;
    assert_int_equal(read_request(GET "proxy-authorization: x\ntrailer: y\nhttp2-settings: z\nx-a: 1\n", true), FAULT_NONE);
    assert_string_equal(listed(), "x-a=1");
}

static void an_expectation_is_understood_or_refused(void **state)
{
    (void)state;
    assert_int_equal(read_request(GET "expect: 100-Continue\n", false), FAULT_NONE);
    assert_true(message_has(&head, MESSAGE_EXPECTS_CONTINUE));
    assert_string_equal(listed(), "");
    assert_int_equal(read_request(GET "expect: 100-continue\n", true), FAULT_NONE);
    assert_false(message_has(&head, MESSAGE_EXPECTS_CONTINUE));
    assert_int_equal(read_request(GET "expect: 200-ok\n", false), FAULT_REQUEST_EXPECTATION);
    assert_int_equal(read_request(GET "expect: \n", true), FAULT_REQUEST_EXPECTATION);
}

static void what_no_request_may_say_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *lines;
        enum fault fault;
    } rows[] = {
        {WITH_PATH("/a\xe9"), FAULT_REQUEST_MALFORMED},
        {WITH_PATH("/a#b"), FAULT_REQUEST_MALFORMED},
        {WITH_PATH("/a b"), FAULT_REQUEST_MALFORMED},
        {WITH_PATH("/a\tb"), FAULT_REQUEST_MALFORMED},
        {WITH_PATH("/a\x7f"), FAULT_REQUEST_MALFORMED},
        {WITH_PATH("a"), FAULT_REQUEST_MALFORMED},
        {WITH_PATH("http://h/"), FAULT_REQUEST_MALFORMED},
        {WITH_PATH("*"), FAULT_REQUEST_MALFORMED},
        {WITH_PATH(""), FAULT_REQUEST_MALFORMED},
        {":method: OPTIONS\n:scheme: http\n:authority: h\n:path: *\n", FAULT_NONE},
        {":method: OPTIONS\n:scheme: http\n:authority: h\n:path: **\n", FAULT_REQUEST_MALFORMED},
        {WITH_HOST("u@h"), FAULT_REQUEST_MALFORMED},
        {WITH_HOST("u:p@h:1"), FAULT_REQUEST_MALFORMED},
        {WITH_HOST("h/a"), FAULT_REQUEST_MALFORMED},
        {WITH_HOST("h?a"), FAULT_REQUEST_MALFORMED},
        {WITH_HOST("h a"), FAULT_REQUEST_MALFORMED},
        {WITH_HOST("[::1]:80"), FAULT_NONE},
        {":method: GET\n:scheme: http\n:path: /\nhost: u@h\n", FAULT_REQUEST_MALFORMED},
        {":method: CONNECT\n:authority: h:1\n", FAULT_REQUEST_METHOD},
        {":method: CONNECT\n:scheme: http\n:path: /\n:authority: h:1\n", FAULT_REQUEST_METHOD},
        {WITH_METHOD("G T"), FAULT_REQUEST_METHOD},
        {WITH_METHOD(""), FAULT_REQUEST_METHOD},
        {WITH_METHOD("PATCH"), FAULT_NONE},
        {GET "content_length: 3\n", FAULT_REQUEST_MALFORMED},
        {GET "transfer_encoding: chunked\n", FAULT_REQUEST_MALFORMED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        enum fault fault = read_request(rows[i].lines, true);
        if (fault != rows[i].fault)
            fail_msg("%s: %s, not %s", rows[i].lines, fault_row(fault)->name, fault_row(rows[i].fault)->name);
    }
}

/* HTTP/1 has nothing of the kind in HTTP/2; nghttp2 lets none of them in, but this side must not depend on it alone. */
static void a_field_that_names_the_callers_rights_is_not_dropped(void **state)
{
    (void)state;
    assert_int_equal(read_request(GET "connection: authorization\nauthorization: t\n", true), FAULT_REQUEST_MALFORMED);
}

/* ---- limits ---- */

static void a_target_has_a_limit(void **state)
{
    (void)state;
    char lines[300];
    for (size_t length = 100; length <= 101; length++) {
        char path[128];
        memset(path, 'a', sizeof path);
        path[0] = '/';
        text_append(lines, sizeof lines, 0, ":method: GET\n:scheme: http\n:authority: h\n:path: %.*s\n", (int)length, path);
        assert_int_equal(read_request(lines, true), length == 100 ? FAULT_NONE : FAULT_REQUEST_TARGET_TOO_LONG);
    }
}

static void the_number_of_fields_has_a_limit(void **state)
{
    (void)state;
    for (int count = 20; count <= 21; count++) {
        char lines[1000];
        size_t used = text_append(lines, sizeof lines, 0, GET);
        for (int i = 0; i < count; i++)
            used = text_append(lines, sizeof lines, used, "a%d: b\n", i);
        assert_int_equal(read_request(lines, true), count == 20 ? FAULT_NONE : FAULT_REQUEST_HEAD_TOO_LARGE);
        /* The method is known all the same: a refusal of HEAD has no body. */
        assert_text(head.method, "GET");
        size_t status = text_append(lines, sizeof lines, 0, ":status: 200\n");
        for (int i = 0; i < count; i++)
            status = text_append(lines, sizeof lines, status, "a%d: b\n", i);
        assert_int_equal(read_response(lines, true), count == 20 ? FAULT_NONE : FAULT_UPSTREAM_HEAD_TOO_LARGE);
    }
}

/* As RFC 9113 section 6.5.2 counts, with 32 bytes more for each field that may come. */
static void the_bytes_have_a_limit(void **state)
{
    (void)state;
    static const struct {
        size_t length;
        enum fault fault;
    } rows[] = {{4490, FAULT_NONE}, {4491, FAULT_REQUEST_HEAD_TOO_LARGE}, {1000000, FAULT_REQUEST_HEAD_TOO_LARGE}};
    static char value[1000000];
    memset(value, 'x', sizeof value);
    for (size_t i = 0; i < 3; i++) {
        gather(true, GET);
        h2_header_block_add(block, &limits, true, TEXT("x-long"), text_of(value, rows[i].length));
        h2_header_block_add(block, &limits, true, TEXT("x-after"), TEXT("1"));
        assert_int_equal(h2_read_request(block, &limits, true, &head), rows[i].fault);
        /* What is not kept is counted: somebody has to notice where it leads. */
        assert_true(block->counted_bytes > rows[i].length);
        assert_true(block->capacity <= 16384);
    }
}

static void a_flood_of_fields_keeps_to_its_room(void **state)
{
    (void)state;
    const struct h1_limits wide = {.head_bytes = 1000000, .target_bytes = 100, .fields = 100000};
    gather(true, GET);
    for (int i = 0; i < 1000; i++)
        h2_header_block_add(block, &wide, true, TEXT("a"), TEXT("b"));
    assert_int_equal(h2_read_request(block, &wide, true, &head), FAULT_REQUEST_HEAD_TOO_LARGE);
    gather(true, GET);
    for (int i = 0; i < MESSAGE_FIELDS_MAXIMUM; i++)
        h2_header_block_add(block, &wide, true, TEXT("a"), TEXT("b"));
    assert_int_equal(h2_read_request(block, &wide, true, &head), FAULT_NONE);
    assert_int_equal(head.field_count, MESSAGE_FIELDS_MAXIMUM);
}

/* ---- answers and trailers ---- */

static void an_answer_is_read(void **state)
{
    (void)state;
    assert_int_equal(read_response(":status: 200\ncontent-type: a/b\ncontent-length: 7\ndate: x\n", false), FAULT_NONE);
    assert_int_equal(head.status, 200);
    assert_int_equal(head.version, MESSAGE_HTTP_2);
    assert_int_equal(head.body, BODY_LENGTH);
    assert_int_equal(head.content_length, 7);
    assert_string_equal(listed(), "content-type=a/b date=x");
    assert_int_equal(read_response(":status: 304\ncontent-length: 7\n", true), FAULT_NONE);
    assert_int_equal(head.body, BODY_NONE);
    assert_true(message_has(&head, MESSAGE_ANNOUNCES_LENGTH));
    assert_int_equal(read_response(":status: 204\ncontent-length: 0\n", true), FAULT_NONE);
    assert_false(message_has(&head, MESSAGE_ANNOUNCES_LENGTH));
    assert_int_equal(read_response(":status: 103\nlink: a\n", false), FAULT_NONE);
    assert_false(message_has(&head, MESSAGE_ANNOUNCES_LENGTH));
}

static void an_answer_without_a_good_status_is_malformed(void **state)
{
    (void)state;
    static const char *const bad[] = {"", ":status: \n", ":status: 99\n", ":status: 600\n", ":status: 2e2\n", ":status: -200\n",
                                      ":status: 18446744073709551816\n", ":status: 200\ncontent-length: x\n",
                                      ":status: 200\ncontent-length: 9223372036854775808\n",
                                      ":status: 200\ncontent_length: 5\n", ":status: 200\ntransfer_encoding: chunked\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (read_response(bad[i], false) != FAULT_UPSTREAM_MALFORMED)
            fail_msg("%s is not malformed", bad[i]);
    }
}

static void trailers_are_fields_alone(void **state)
{
    (void)state;
    gather(false, "grpc-status: 0\ngrpc-message: ok\nconnection: close\n");
    assert_int_equal(h2_read_trailers(block, false, &head), FAULT_NONE);
    assert_string_equal(listed(), "grpc-status=0 grpc-message=ok");
    gather(true, "connection: authorization\nauthorization: t\n");
    assert_int_equal(h2_read_trailers(block, true, &head), FAULT_REQUEST_MALFORMED);
    gather(false, "connection: authorization\nauthorization: t\n");
    assert_int_equal(h2_read_trailers(block, false, &head), FAULT_UPSTREAM_MALFORMED);
    gather(true, "content_length: 5\n");
    assert_int_equal(h2_read_trailers(block, true, &head), FAULT_REQUEST_MALFORMED);
    char lines[1000];
    size_t used = 0;
    for (int i = 0; i < 21; i++)
        used = text_append(lines, sizeof lines, used, "a: b\n");
    gather(true, lines);
    assert_int_equal(h2_read_trailers(block, true, &head), FAULT_REQUEST_HEAD_TOO_LARGE);
}

/* ---- header blocks ---- */

static void header_blocks_are_used_again(void **state)
{
    (void)state;
    struct h2_header_block *many[300];
    for (size_t i = 0; i < 300; i++)
        assert_non_null(many[i] = h2_header_block_take(&blocks));
    for (size_t i = 0; i < 300; i++)
        h2_header_block_give(&blocks, many[i]);
    assert_int_equal(blocks.count, 256);
    h2_header_block_give(&blocks, NULL);
    gather(true, GET "x-a: 1\n");
    assert_int_equal(blocks.count, 255);
    h2_header_block_give(&blocks, block);
    block = h2_header_block_take(&blocks);
    assert_int_equal(block->field_count + block->pseudo_count + block->length + block->counted_bytes, 0);
    assert_int_equal(block->fault, FAULT_NONE);
    /* A large one is not kept. */
    const struct h1_limits wide = {.head_bytes = 100000, .target_bytes = 100, .fields = 20};
    static char value[20000];
    h2_header_block_add(block, &wide, true, TEXT("a"), text_of(value, sizeof value));
    unsigned count = blocks.count;
    h2_header_block_give(&blocks, block);
    block = NULL;
    assert_int_equal(blocks.count, count);
}

/* ---- writing ---- */

/* What the writer holds, as "name=value", with "!" in front of what must never be indexed. */
static const char *written(void)
{
    static char words[16384];
    size_t used = 0;
    words[0] = '\0';
    for (size_t i = 0; i < writer.count; i++) {
        const nghttp2_nv *field = &writer.fields[i];
        used = text_append(words, sizeof words, used, "%s%s%.*s=%.*s", i == 0 ? "" : " ",
                           (field->flags & NGHTTP2_NV_FLAG_NO_INDEX) != 0 ? "!" : "", (int)field->namelen,
                           (const char *)field->name, (int)field->valuelen, (const char *)field->value);
    }
    return words;
}

static void a_request_is_written(void **state)
{
    (void)state;
    struct header_field own[] = {{TEXT("X-Upper-Case"), TEXT("As It Is"), HEADER_OTHER},
                                 {TEXT("Authorization"), TEXT("Token t"), HEADER_AUTHORIZATION},
                                 {TEXT("lower"), TEXT(""), HEADER_OTHER}};
    struct message_head out = {.method = TEXT("POST"), .target = TEXT("/a?b"), .authority = TEXT("n:1"), .fields = own,
                               .field_count = 3, .body = BODY_LENGTH, .content_length = 18446744073709551615u,
                               .flags = MESSAGE_ACCEPTS_TRAILERS};
    assert_true(h2_write_request(&writer, &out, TEXT("https")));
    assert_string_equal(written(), ":method=POST :scheme=https :authority=n:1 :path=/a?b te=trailers "
                                   "content-length=18446744073709551615 x-upper-case=As It Is !authorization=Token t lower=");
    out = (struct message_head){.method = TEXT("GET"), .target = TEXT("/")};
    assert_true(h2_write_request(&writer, &out, TEXT("http")));
    assert_string_equal(written(), ":method=GET :scheme=http :path=/");
    out.body = BODY_STREAM;
    assert_true(h2_write_request(&writer, &out, TEXT("http")));
    assert_string_equal(written(), ":method=GET :scheme=http :path=/");
}

static void an_answer_is_written(void **state)
{
    (void)state;
    struct header_field own[] = {{TEXT("Content-Type"), TEXT("a/b"), HEADER_CONTENT_TYPE}};
    struct message_head out = {.status = 200, .fields = own, .field_count = 1, .body = BODY_STREAM};
    assert_true(h2_write_response(&writer, &out));
    assert_string_equal(written(), ":status=200 content-type=a/b");
    out.body = BODY_LENGTH;
    out.content_length = 5;
    assert_true(h2_write_response(&writer, &out));
    assert_string_equal(written(), ":status=200 content-length=5 content-type=a/b");
    out = (struct message_head){.status = 304, .flags = MESSAGE_ANNOUNCES_LENGTH, .content_length = 0};
    assert_true(h2_write_response(&writer, &out));
    assert_string_equal(written(), ":status=304 content-length=0");
    out = (struct message_head){.status = 103};
    assert_true(h2_write_response(&writer, &out));
    assert_string_equal(written(), ":status=103");
}

static void a_header_block_is_written_in_lower_case(void **state)
{
    (void)state;
    gather(false, "Grpc-Status: 0\nx-A: B\n");
    h2_write_header_block(&writer, block);
    assert_string_equal(written(), "grpc-status=0 x-a=B");
}

/* A name that was handed out must not move while the next is written. */
static void as_many_fields_as_there_may_be_are_written(void **state)
{
    (void)state;
    static struct header_field own[MESSAGE_FIELDS_MAXIMUM + 8];
    for (size_t i = 0; i < MESSAGE_FIELDS_MAXIMUM + 8; i++)
        own[i] = (struct header_field){TEXT("X-A-Rather-Long-Name"), TEXT("v"), HEADER_OTHER};
    struct message_head out = {.method = TEXT("GET"), .target = TEXT("/"), .authority = TEXT("n"), .fields = own,
                               .field_count = MESSAGE_FIELDS_MAXIMUM + 8, .flags = MESSAGE_ACCEPTS_TRAILERS, .body = BODY_LENGTH,
                               .content_length = 1};
    assert_true(h2_write_request(&writer, &out, TEXT("http")));
    assert_int_equal(writer.count, MESSAGE_FIELDS_MAXIMUM + 8 + 6);
    for (size_t i = 6; i < writer.count; i++)
        assert_memory_equal(writer.fields[i].name, "x-a-rather-long-name", 20);
    own[0].name = TEXT("Y");
    out.field_count = 1;
    assert_true(h2_write_request(&writer, &out, TEXT("http")));
    assert_int_equal(writer.count, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(a_request_is_read),
        TEST(a_head_that_was_read_can_be_copied),
        TEST(a_length_makes_the_body_known),
        TEST(the_pieces_of_a_cookie_are_joined),
        TEST(long_cookies_are_joined),
        TEST(blanks_around_a_value_are_left_out),
        TEST(te_is_for_us_alone),
        TEST(authority_rules_over_host),
        TEST(hop_by_hop_fields_are_left_out),
        TEST(an_expectation_is_understood_or_refused),
        TEST(what_no_request_may_say_is_refused),
        TEST(a_field_that_names_the_callers_rights_is_not_dropped),
        TEST(a_target_has_a_limit),
        TEST(the_number_of_fields_has_a_limit),
        TEST(the_bytes_have_a_limit),
        TEST(a_flood_of_fields_keeps_to_its_room),
        TEST(an_answer_is_read),
        TEST(an_answer_without_a_good_status_is_malformed),
        TEST(trailers_are_fields_alone),
        TEST(header_blocks_are_used_again),
        TEST(a_request_is_written),
        TEST(an_answer_is_written),
        TEST(a_header_block_is_written_in_lower_case),
        TEST(as_many_fields_as_there_may_be_are_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
