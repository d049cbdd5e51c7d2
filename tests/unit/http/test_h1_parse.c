/* From raw heads to what they mean; and proof that the llhttp behind it is the strict one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <llhttp.h>

#include "fake/measured.h"
#include "fake/split.h"
#include "http/h1_body.h"
#include "http/h1_parse.h"

static const struct h1_limits limits = {.head_bytes = 65536, .target_bytes = 8192, .fields = 100};

/* ---- llhttp itself ---- */

/* The loose machine takes "\r\n\rX" for the end of a head; the header's own default is that machine. */
static void llhttp_is_built_strict(void **state)
{
    (void)state;
    static const char *const only_loose_takes[] = {
        "GET / HTTP/1.1\r\nHost: h\r\n\rXGET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nX-A : 1\r\n\r\n",
        "GET /a\tb HTTP/1.1\r\n\r\n",
    };
    assert_int_equal(LLHTTP_STRICT_MODE, 1);
    llhttp_settings_t settings;
    llhttp_settings_init(&settings);
    for (size_t i = 0; i < sizeof only_loose_takes / sizeof only_loose_takes[0]; i++) {
        llhttp_t parser;
        llhttp_init(&parser, HTTP_REQUEST, &settings);
        assert_int_not_equal(llhttp_execute(&parser, only_loose_takes[i], strlen(only_loose_takes[i])), HPE_OK);
    }
    llhttp_t parser;
    llhttp_init(&parser, HTTP_REQUEST, &settings);
    assert_int_equal(llhttp_execute(&parser, "GET / HTTP/1.1\r\n\r\n", 18), HPE_OK);
}

/* ---- the measured table ---- */

/* What a connection does with bytes, without the connection: search, parse, body, and again. */
struct reader {
    char bytes[65536];
    size_t length;
    size_t taken;
    struct h1_search search;
    struct h1_body body;
    bool in_body;
    bool is_over;
    bool keep_alive;
    bool had_line_end;
    char transcript[512];
    size_t used;
};

static void note(struct reader *reader, struct text words)
{
    reader->used =
        text_append(reader->transcript, sizeof reader->transcript, reader->used, "%.*s", TEXT_ARGUMENTS(words));
}

static void refuse(struct reader *reader, enum fault fault)
{
    reader->used = text_append(reader->transcript, sizeof reader->transcript, reader->used, "(%u)",
                               fault_row(fault)->http_status);
    reader->is_over = true;
}

static bool read_head(struct reader *reader, struct text rest)
{
    if (!reader->had_line_end && text_starts_with(rest, TEXT("\r\n"))) {
        reader->had_line_end = true;
        reader->taken += 2;
        return true;
    }
    if (rest.length == 0 || (!reader->had_line_end && text_equals(rest, TEXT("\r"))))
        return false;
    size_t length;
    enum fault fault;
    enum h1_search_result result = h1_find_head_end(&reader->search, rest, H1_ROLE_REQUEST, &limits, &length, &fault);
    if (result == H1_SEARCH_MORE)
        return false;
    if (result == H1_SEARCH_BAD) {
        refuse(reader, fault);
        return false;
    }
    struct header_field fields[MESSAGE_FIELDS_MAXIMUM];
    struct message_head head = {.fields = fields};
    struct h1_framing framing;
    fault = h1_parse_request(text_of(rest.bytes, length), &limits, &head, &framing);
    if (fault != FAULT_NONE) {
        refuse(reader, fault);
        return false;
    }
    note(reader, head.method);
    note(reader, TEXT(" "));
    note(reader, head.target);
    note(reader, TEXT("["));
    reader->taken += length;
    reader->in_body = true;
    reader->keep_alive = framing.keep_alive;
    if (framing.delimiter == H1_DELIMITER_CHUNKS)
        h1_body_start_chunked(&reader->body, 0);
    else
        h1_body_start_length(&reader->body, head.content_length, 0);
    return true;
}

static bool read_body(struct reader *reader, struct text rest)
{
    struct text data;
    size_t before = rest.length;
    enum h1_body_result result = h1_body_next(&reader->body, &rest, &data);
    reader->taken += before - rest.length;
    switch (result) {
    case H1_BODY_RESULT_DATA:
        note(reader, data);
        return true;
    case H1_BODY_RESULT_END:
        note(reader, reader->keep_alive ? TEXT("]") : TEXT("] close"));
        reader->in_body = false;
        reader->had_line_end = false;
        reader->search = (struct h1_search){0};
        reader->is_over = !reader->keep_alive;
        if (!reader->is_over && rest.length > 0)
            note(reader, TEXT(";"));
        return true;
    case H1_BODY_RESULT_MORE:
        return false;
    default:
        refuse(reader, FAULT_REQUEST_MALFORMED);
        return false;
    }
}

/* A message that ends exactly where a piece does is followed by ";" only when the next one begins. */
static void feed(struct reader *reader, struct text piece)
{
    bool between =
        reader->used > 0 && !reader->in_body && !reader->is_over && reader->transcript[reader->used - 1] == ']';
    if (between && piece.length > 0)
        note(reader, TEXT(";"));
    memcpy(reader->bytes + reader->length, piece.bytes, piece.length);
    reader->length += piece.length;
    bool again = true;
    while (again && !reader->is_over) {
        struct text rest = text_of(reader->bytes + reader->taken, reader->length - reader->taken);
        again = reader->in_body ? read_body(reader, rest) : read_head(reader, rest);
    }
}

static void assert_transcript(unsigned row, struct text input, const char *expected, size_t ways)
{
    static struct reader reader;
    struct split split = split_first(input.length);
    for (size_t way = 0; way < ways && !split.is_done; way++, split_next(&split)) {
        memset(&reader, 0, sizeof reader);
        for (size_t from = 0, to; (to = split_end(&split, from)) > from; from = to)
            feed(&reader, text_of(input.bytes + from, to - from));
        if (strcmp(reader.transcript, expected) != 0)
            fail_msg("row %u, \"%.200s\" %s: %s, not %s", row, input.bytes, split.name, reader.transcript, expected);
    }
}

static void each_measured_request_is_read_strictly(void **state)
{
    (void)state;
    for (size_t i = 0; i < MEASURED_REQUESTS; i++) {
        const struct measured *m = &measured_requests[i];
        assert_transcript(m->row, text_of(m->input, m->length), m->expected, SIZE_MAX);
    }
}

static void the_table_has_every_row(void **state)
{
    (void)state;
    bool seen[40] = {false};
    for (size_t i = 0; i < MEASURED_REQUESTS; i++)
        seen[measured_requests[i].row] = true;
    /* Row 35 is below, 36 to 39 are responses: see test_h1_client.c. */
    for (unsigned row = 1; row <= 34; row++)
        assert_true(seen[row]);
}

/* Rows 29 and 35. */
static void large_extensions_and_heads_are_refused(void **state)
{
    (void)state;
    static char bytes[65000];
    size_t used = (size_t)sprintf(bytes, "%s3;", CHUNKED_HEAD);
    memset(bytes + used, 'e', 20000);
    memcpy(bytes + used + 20000, "\r\nabc\r\n", 7);
    assert_transcript(29, text_of(bytes, used + 20007), "POST /[(400)", 1);

    static char head[102400];
    used = (size_t)sprintf(head, "%sX: ", GET_HEAD);
    memset(head + used, 'v', sizeof head - used);
    struct h1_search search = {0};
    size_t length;
    enum fault fault;
    assert_int_equal(h1_find_head_end(&search, text_of(head, sizeof head), H1_ROLE_REQUEST, &limits, &length, &fault),
                     H1_SEARCH_BAD);
    assert_int_equal(fault_row(fault)->http_status, 431);

    used = (size_t)sprintf(bytes, "%s", GET_HEAD);
    for (int i = 0; i < 2000; i++)
        used += (size_t)sprintf(bytes + used, "X-%d: v\r\n", i);
    used += (size_t)sprintf(bytes + used, "\r\n");
    assert_transcript(35, text_of(bytes, used), "(431)", 1);
}

/* ---- requests ---- */

struct parsed {
    enum fault fault;
    struct message_head head;
    struct h1_framing framing;
};

static struct parsed parse(const char *request)
{
    static struct header_field fields[MESSAGE_FIELDS_MAXIMUM];
    struct parsed parsed = {.head.fields = fields};
    parsed.fault = h1_parse_request(text_of_string(request), &limits, &parsed.head, &parsed.framing);
    return parsed;
}

#define assert_text(t, expected)                                                                                       \
    do {                                                                                                               \
        assert_int_equal((t).length, strlen(expected));                                                                \
        assert_memory_equal((t).bytes, expected, (t).length);                                                          \
    } while (0)

static void a_request_is_taken_apart(void **state)
{
    (void)state;
    struct parsed parsed =
        parse("POST /api/v3/write_lp?db=a&x=? HTTP/1.1\r\nhOST:  node:8181\t\r\nX-Empty:\r\n"
              "Content-Length: 0005\r\nContent-Type:text/plain  \r\nX-Twice: 1\r\nX-Twice: 2\r\n\r\n");
    assert_int_equal(parsed.fault, FAULT_NONE);
    assert_text(parsed.head.method, "POST");
    assert_text(parsed.head.target, "/api/v3/write_lp?db=a&x=?");
    assert_text(parsed.head.path, "/api/v3/write_lp");
    assert_text(parsed.head.authority, "node:8181");
    assert_int_equal(parsed.head.version, MESSAGE_HTTP_1_1);
    assert_int_equal(parsed.head.body, BODY_LENGTH);
    assert_int_equal(parsed.head.content_length, 5);
    assert_true(parsed.framing.keep_alive);
    assert_int_equal(parsed.framing.delimiter, H1_DELIMITER_LENGTH);
    assert_int_equal(parsed.head.field_count, 4);
    assert_text(parsed.head.fields[0].name, "X-Empty");
    assert_int_equal(parsed.head.fields[0].value.length, 0);
    assert_text(parsed.head.fields[1].name, "Content-Type");
    assert_text(parsed.head.fields[1].value, "text/plain");
    assert_int_equal(parsed.head.fields[1].known, HEADER_CONTENT_TYPE);
    assert_text(parsed.head.fields[2].value, "1");
    assert_text(parsed.head.fields[3].value, "2");
}

/* Everything that the head says lies in the bytes it came from; message_head_copy counts on it. */
static void all_texts_lie_in_the_raw_bytes(void **state)
{
    (void)state;
    static const char *const requests[] = {
        "GET http://host HTTP/1.1\r\nHost: other\r\nX:\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: h\r\nX: y\r\n\r\n",
        "GET /?q HTTP/1.0\r\nX: \r\n\r\n",
    };
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        struct parsed parsed = parse(requests[i]);
        assert_int_equal(parsed.fault, FAULT_NONE);
        const struct text texts[] = {parsed.head.method, parsed.head.target, parsed.head.path, parsed.head.authority,
                                     parsed.head.fields[0].name, parsed.head.fields[0].value};
        assert_ptr_equal(parsed.head.raw.bytes, requests[i]);
        for (size_t j = 0; j < sizeof texts / sizeof texts[0]; j++) {
            if (texts[j].bytes != NULL)
                assert_in_range((uintptr_t)texts[j].bytes, (uintptr_t)requests[i],
                                (uintptr_t)(requests[i] + strlen(requests[i]) - texts[j].length));
        }
    }
}

static void the_target_of_an_absolute_form_rules_over_host(void **state)
{
    (void)state;
    static const struct {
        const char *target;
        const char *authority;
        const char *reduced;
        const char *path;
    } cases[] = {
        {"http://db.example/ping?x=1", "db.example", "/ping?x=1", "/ping"},
        {"HTTP://db.example:8181/", "db.example:8181", "/", "/"},
        {"https://[::1]:8181/a", "[::1]:8181", "/a", "/a"},
        {"http://db.example", "db.example", "/", "/"},
        {"/http://x/", "h", "/http://x/", "/http://x/"},
        {"//x/y", "h", "//x/y", "//x/y"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char request[200];
        snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", cases[i].target);
        struct parsed parsed = parse(request);
        assert_int_equal(parsed.fault, FAULT_NONE);
        assert_text(parsed.head.authority, cases[i].authority);
        assert_text(parsed.head.target, cases[i].reduced);
        assert_text(parsed.head.path, cases[i].path);
    }
}

static void strange_targets_and_hosts_are_refused(void **state)
{
    (void)state;
    static const char *const targets[] = {
        "noslash", "@evil", "*abc", "*", "http:/h/", "http://", "http:///x", "https://", "https:///x", "http://?x",
        "http://h?x", "http://u@h/", "http://u:p@h/", "ftp://h/", "file:///etc/passwd", "http//h/", "h:80", "?x",
        "http://h\\x/",
    };
    char request[200];
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", targets[i]);
        if (parse(request).fault != FAULT_REQUEST_MALFORMED)
            fail_msg("target %s: %s", targets[i], fault_row(parse(request).fault)->name);
    }
    static const char *const hosts[] = {"a/b",   "a?b",   "a@b",      "a b",   "a\tb",  "a\"b", "a\\b",  "a<b",     "a{b}",
                                        "\xe4",  "a,b",   "a:80:80",  "a:8x",  ":80",   "a:-1", "a:65536", "a:000080", "a%zz",
                                        "a%2",   "[::1",  "[",        "[]",    "::1",   "::1]", "[::1]]",  "[::1]a",
                                        "[:1]",  "[a]",   "[1.2.3.4]", "[::g]", "[::1%]", "[::1]:8x", "[1:2:3:4:5:6:7:8:9:a]"};
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        snprintf(request, sizeof request, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", hosts[i]);
        if (parse(request).fault != FAULT_REQUEST_MALFORMED)
            fail_msg("Host: %s: %s", hosts[i], fault_row(parse(request).fault)->name);
    }
    static const char *const good[] = {"a", "a.example:8181", "a:", "a:0", "a:65535", "127.0.0.1:80", "a_b-c~d", "b%c3%bc.example", "[::1]", "[::1]:", "[::]:1",
                                       "[2001:db8::1]:8181", "[::ffff:1.2.3.4]", "[1:2:3:4:5:6:7:8]", "[fe80::1%25eth0]:80", "[fe80::1%eth0]"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        snprintf(request, sizeof request, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", good[i]);
        if (parse(request).fault != FAULT_NONE)
            fail_msg("Host: %s: %s", good[i], fault_row(parse(request).fault)->name);
    }
    assert_int_equal(parse("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n").fault, FAULT_NONE);
    assert_int_equal(parse("GET / HTTP/1.1\r\nHost:\r\n\r\n").fault, FAULT_NONE);
    assert_int_equal(parse("GET / HTTP/1.0\r\n\r\n").fault, FAULT_NONE);
    assert_int_equal(parse("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n").fault, FAULT_REQUEST_MALFORMED);
}

/* RFC 3986 section 3.2.2: a name; nothing that begins a port, a path, a query or user information, and no list. */
static void each_byte_of_a_host_is_one_of_a_host(void **state)
{
    (void)state;
    static const char marks[] = "!$&'*+-._~();=";
    for (int c = 1; c < 256; c++) {
        char request[] = "GET / HTTP/1.1\r\nHost: acb\r\n\r\n";
        bool is_alphanumeric = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        request[23] = (char)c;
        bool is_host = is_alphanumeric || strchr(marks, c) != NULL;
        if ((parse(request).fault == FAULT_NONE) != is_host)
            fail_msg("Host with byte %02x", (unsigned)c);
    }
}

static void methods_that_make_tunnels_are_refused(void **state)
{
    (void)state;
    assert_int_equal(parse("CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n").fault, FAULT_REQUEST_METHOD);
    assert_int_equal(parse("BREW / HTTP/1.1\r\nHost: h\r\n\r\n").fault, FAULT_REQUEST_METHOD);
    assert_int_equal(parse("get / HTTP/1.1\r\nHost: h\r\n\r\n").fault, FAULT_REQUEST_METHOD);
    assert_int_equal(parse("PATCH / HTTP/1.1\r\nHost: h\r\n\r\n").fault, FAULT_NONE);
}

static void how_a_request_is_framed(void **state)
{
    (void)state;
    struct parsed parsed = parse(POST_HEAD "\r\n");
    assert_int_equal(parsed.head.body, BODY_NONE);
    assert_false(message_has(&parsed.head, MESSAGE_ANNOUNCES_LENGTH));
    parsed = parse(POST_HEAD "Content-Length: 0\r\n\r\n");
    assert_int_equal(parsed.head.body, BODY_NONE);
    assert_true(message_has(&parsed.head, MESSAGE_ANNOUNCES_LENGTH));
    parsed = parse("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 9223372036854775807\r\n\r\n");
    assert_int_equal(parsed.fault, FAULT_NONE);
    assert_int_equal(parsed.head.body, BODY_LENGTH);
    assert_true(parsed.head.content_length == INT64_MAX);
    parsed = parse(POST_HEAD "Transfer-Encoding: \tChUnKeD \r\n\r\n");
    assert_int_equal(parsed.fault, FAULT_NONE);
    assert_int_equal(parsed.head.body, BODY_STREAM);
    assert_int_equal(parsed.framing.delimiter, H1_DELIMITER_CHUNKS);
    assert_int_equal(parsed.head.field_count, 0);
    parsed = parse("POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\n");
    assert_int_equal(parsed.head.version, MESSAGE_HTTP_1_0);
    assert_int_equal(parsed.head.content_length, 3);
    assert_false(parsed.framing.keep_alive);
}

static void a_body_of_http_1_0_needs_a_length(void **state)
{
    (void)state;
    static const char *const needy[] = {"POST", "PUT", "PATCH", "PROPFIND", "SEARCH"};
    static const char *const others[] = {"GET", "HEAD", "DELETE", "OPTIONS", "TRACE"};
    char request[100];
    for (size_t i = 0; i < sizeof needy / sizeof needy[0]; i++) {
        snprintf(request, sizeof request, "%s / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", needy[i]);
        assert_int_equal(parse(request).fault, FAULT_REQUEST_LENGTH);
        snprintf(request, sizeof request, "%s / HTTP/1.0\r\nContent-Length: 0\r\n\r\n", needy[i]);
        assert_int_equal(parse(request).fault, FAULT_NONE);
        snprintf(request, sizeof request, "%s / HTTP/1.1\r\nHost: h\r\n\r\n", needy[i]);
        assert_int_equal(parse(request).fault, FAULT_NONE);
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        snprintf(request, sizeof request, "%s / HTTP/1.0\r\n\r\n", others[i]);
        assert_int_equal(parse(request).fault, FAULT_NONE);
    }
}

static bool expects_continue(const char *request)
{
    struct parsed parsed = parse(request);
    return message_has(&parsed.head, MESSAGE_EXPECTS_CONTINUE);
}

static void what_a_client_may_expect(void **state)
{
    (void)state;
    assert_true(expects_continue(POST_HEAD "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\n"));
    assert_true(expects_continue(POST_HEAD "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"));
    struct parsed parsed = parse(POST_HEAD "Expect: 100-continue\r\n\r\n");
    assert_int_equal(parsed.fault, FAULT_NONE);
    assert_false(message_has(&parsed.head, MESSAGE_EXPECTS_CONTINUE));
    assert_false(expects_continue("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"));
    assert_int_equal(parse(POST_HEAD "Expect: 200-ok\r\n\r\n").fault, FAULT_REQUEST_EXPECTATION);
    assert_int_equal(parse(POST_HEAD "Expect:\r\n\r\n").fault, FAULT_REQUEST_EXPECTATION);
}

/* Connection, hop fields: the same rules as in sanitise.c, so one case that passes through here is enough. */
static void hop_fields_end_here(void **state)
{
    (void)state;
    struct parsed parsed = parse(GET_HEAD "Connection: close, X-Hop\r\nX-Hop: 1\r\nUpgrade: h2c\r\nX-Stays: 1\r\n\r\n");
    assert_int_equal(parsed.fault, FAULT_NONE);
    assert_false(parsed.framing.keep_alive);
    assert_int_equal(parsed.head.field_count, 1);
    assert_text(parsed.head.fields[0].name, "X-Stays");
    assert_int_equal(parse(GET_HEAD "Connection: Authorization\r\n\r\n").fault, FAULT_REQUEST_MALFORMED);
}

/* ---- responses ---- */

static struct parsed answer(const char *response, bool to_head_request)
{
    static struct header_field fields[MESSAGE_FIELDS_MAXIMUM];
    struct parsed parsed = {.head.fields = fields};
    parsed.fault = h1_parse_response(text_of_string(response), &limits, to_head_request, &parsed.head, &parsed.framing);
    return parsed;
}

static void how_a_response_is_framed(void **state)
{
    (void)state;
    struct parsed parsed = answer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\n", false);
    assert_int_equal(parsed.fault, FAULT_NONE);
    assert_int_equal(parsed.head.status, 200);
    assert_int_equal(parsed.head.body, BODY_LENGTH);
    assert_true(parsed.head.content_length == 5 && message_has(&parsed.head, MESSAGE_ANNOUNCES_LENGTH) && parsed.framing.keep_alive);
    assert_int_equal(parsed.head.field_count, 1);
    parsed = answer("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", false);
    assert_int_equal(parsed.fault, FAULT_NONE);
    assert_int_equal(parsed.head.body, BODY_NONE);
    assert_true(message_has(&parsed.head, MESSAGE_ANNOUNCES_LENGTH));
    parsed = answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n", false);
    assert_int_equal(parsed.head.body, BODY_STREAM);
    assert_true(parsed.framing.delimiter == H1_DELIMITER_CHUNKS && parsed.framing.keep_alive);
    parsed = answer("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n", false);
    assert_int_equal(parsed.head.body, BODY_STREAM);
    assert_true(parsed.framing.delimiter == H1_DELIMITER_CLOSE && !parsed.framing.keep_alive);
    parsed = answer("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n", false);
    assert_true(parsed.head.version == MESSAGE_HTTP_1_0 && !parsed.framing.keep_alive);
    parsed = answer("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\n", false);
    assert_true(parsed.framing.keep_alive);
    parsed = answer("HTTP/1.1 200 OK\r\nConnection: close\t\r\nContent-Length: 1\r\n\r\n", false);
    assert_false(parsed.framing.keep_alive);
}

/* Row 36: whatever the fields say. */
static void some_responses_have_no_body(void **state)
{
    (void)state;
    static const char *const framings[] = {"", "Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n"};
    static const unsigned statuses[] = {100, 102, 103, 199, 204, 304};
    char response[200];
    for (size_t i = 0; i < sizeof framings / sizeof framings[0]; i++) {
        for (size_t j = 0; j < sizeof statuses / sizeof statuses[0]; j++) {
            snprintf(response, sizeof response, "HTTP/1.1 %u x\r\n%s\r\n", statuses[j], framings[i]);
            struct parsed parsed = answer(response, false);
            assert_int_equal(parsed.fault, FAULT_NONE);
            assert_int_equal(parsed.head.body, BODY_NONE);
            /* A 204 that announces a body may send it as well: such a connection is not used again. */
            assert_int_equal(parsed.framing.keep_alive, statuses[j] != 204 || i == 0);
            assert_int_equal(parsed.framing.delimiter, H1_DELIMITER_LENGTH);
            /* Only a 304 may say how long the body would have been (RFC 9110 section 8.6). */
            assert_int_equal(message_has(&parsed.head, MESSAGE_ANNOUNCES_LENGTH), statuses[j] == 304 && i == 1);
        }
        snprintf(response, sizeof response, "HTTP/1.1 200 OK\r\n%s\r\n", framings[i]);
        struct parsed parsed = answer(response, true);
        assert_int_equal(parsed.head.body, BODY_NONE);
        assert_true(parsed.framing.keep_alive);
        assert_int_equal(message_has(&parsed.head, MESSAGE_ANNOUNCES_LENGTH), i == 1);
    }
}

static void a_response_that_could_be_read_in_two_ways_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 204 x\r\nContent-Length: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX : 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: 1\r\n folded\r\n\r\n",
        "HTTP/1.1 200 OK\r\nConnection: content-length\r\nContent-Length: 3\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        enum fault fault = answer(bad[i], false).fault;
        if (fault != FAULT_UPSTREAM_MALFORMED)
            fail_msg("%s: %s", bad[i], fault_row(fault)->name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(llhttp_is_built_strict),
        cmocka_unit_test(each_measured_request_is_read_strictly),
        cmocka_unit_test(the_table_has_every_row),
        cmocka_unit_test(large_extensions_and_heads_are_refused),
        cmocka_unit_test(a_request_is_taken_apart),
        cmocka_unit_test(all_texts_lie_in_the_raw_bytes),
        cmocka_unit_test(the_target_of_an_absolute_form_rules_over_host),
        cmocka_unit_test(strange_targets_and_hosts_are_refused),
        cmocka_unit_test(each_byte_of_a_host_is_one_of_a_host),
        cmocka_unit_test(methods_that_make_tunnels_are_refused),
        cmocka_unit_test(how_a_request_is_framed),
        cmocka_unit_test(a_body_of_http_1_0_needs_a_length),
        cmocka_unit_test(what_a_client_may_expect),
        cmocka_unit_test(hop_fields_end_here),
        cmocka_unit_test(how_a_response_is_framed),
        cmocka_unit_test(some_responses_have_no_body),
        cmocka_unit_test(a_response_that_could_be_read_in_two_ways_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
