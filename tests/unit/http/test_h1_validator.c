/* The boundary in front of llhttp: where a head ends, and which raw bytes may stand in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fake/split.h"
#include "http/h1_validator.h"
#include "http/message.h"

static const struct h1_limits limits = {.head_bytes = 1024, .target_bytes = 100, .fields = 20};

/* ---- the end of a head ---- */

struct found {
    enum h1_search_result result;
    size_t length;
    enum fault fault;
};

/* Looks at ever more of `bytes`, as it would arrive. */
static struct found find(struct text bytes, enum h1_role role, const struct split *split)
{
    struct h1_search search = {0};
    struct found found = {.result = H1_SEARCH_MORE};
    for (size_t from = 0, to; (to = split_end(split, from)) > from; from = to) {
        found.result = h1_find_head_end(&search, text_of(bytes.bytes, to), role, &limits, &found.length, &found.fault);
        if (found.result != H1_SEARCH_MORE)
            break;
    }
    return found;
}

static void assert_found(struct text bytes, enum h1_role role, enum h1_search_result result, size_t length,
                         enum fault fault)
{
    for (struct split split = split_first(bytes.length); !split.is_done; split_next(&split)) {
        struct found found = find(bytes, role, &split);
        bool is_same = found.result == result && (result != H1_SEARCH_FOUND || found.length == length) &&
                       (result != H1_SEARCH_BAD || found.fault == fault);
        if (!is_same)
            fail_msg("%.60s %s: result %d, length %zu, %s", bytes.bytes, split.name, found.result, found.length,
                     fault_row(found.fault)->name);
    }
}

static void assert_end(struct text bytes, size_t length)
{
    assert_found(bytes, H1_ROLE_REQUEST, H1_SEARCH_FOUND, length, FAULT_NONE);
    assert_found(bytes, H1_ROLE_RESPONSE, H1_SEARCH_FOUND, length, FAULT_NONE);
}

static void a_head_ends_with_the_first_empty_line(void **state)
{
    (void)state;
    assert_end(TEXT("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), 27);
    assert_end(TEXT("GET / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\n\r\n"), 27);
    assert_end(TEXT("GET / HTTP/1.1\r\nHost: h\r\n\r\n\n\n\r\r"), 27);
    assert_end(TEXT("\r\nGET / HTTP/1.1\r\n\r\n"), 2);
    assert_found(TEXT("GET / HTTP/1.1\r\nHost: h\r\n\r"), H1_ROLE_REQUEST, H1_SEARCH_MORE, 0, FAULT_NONE);
    /* A CR alone ends nothing: h1_validate_head refuses it when the head is whole. */
    assert_end(TEXT("GET / HTTP/1.1\r\nA: 1\r\r\n\r\n"), 25);
    assert_end(TEXT("GET / HTTP/1.1\r\n\rX: 1\r\n\r\n"), 25);
}

static void a_bare_line_feed_ends_the_search(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\nGET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\nHost: h\r\n\r\n", "GET / HTTP/1.1\r\nHost: h\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\n\n", "\n\r\r\nGET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: h\n\nabc",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_found(text_of_string(bad[i]), H1_ROLE_REQUEST, H1_SEARCH_BAD, 0, FAULT_REQUEST_MALFORMED);
        assert_found(text_of_string(bad[i]), H1_ROLE_RESPONSE, H1_SEARCH_BAD, 0, FAULT_UPSTREAM_MALFORMED);
    }
}

/* "GET /aaa... HTTP/1.1" with as many bytes in its line as asked, then `rest`. */
static struct text long_line(size_t line_bytes, const char *rest)
{
    static char bytes[4096];
    memset(bytes, 'a', sizeof bytes);
    memcpy(bytes, "GET /", 5);
    memcpy(bytes + line_bytes - 9, " HTTP/1.1", 9);
    return text_of(bytes, line_bytes + (size_t)sprintf(bytes + line_bytes, "%s", rest));
}

static void limits_are_counted_while_reading(void **state)
{
    (void)state;
    /* Method, target, version, blanks and line end: more than this cannot become a valid request line. */
    size_t line = 100 + 24 + 10;
    assert_found(long_line(line, "\r\n\r\n"), H1_ROLE_REQUEST, H1_SEARCH_FOUND, line + 4, FAULT_NONE);
    assert_found(long_line(line + 10, "\r\n\r\n"), H1_ROLE_REQUEST, H1_SEARCH_BAD, 0, FAULT_REQUEST_TARGET_TOO_LONG);
    assert_found(long_line(3000, ""), H1_ROLE_REQUEST, H1_SEARCH_BAD, 0, FAULT_REQUEST_TARGET_TOO_LONG);
    assert_found(long_line(900, "\r\n\r\n"), H1_ROLE_RESPONSE, H1_SEARCH_FOUND, 904, FAULT_NONE);
    assert_found(long_line(3000, ""), H1_ROLE_RESPONSE, H1_SEARCH_BAD, 0, FAULT_UPSTREAM_HEAD_TOO_LARGE);
    /* Whatever stands behind the limit does not change the result. */
    assert_found(long_line(3000, "\n\r\n"), H1_ROLE_REQUEST, H1_SEARCH_BAD, 0, FAULT_REQUEST_TARGET_TOO_LONG);
}

static void a_head_may_fill_its_limit_and_no_more(void **state)
{
    (void)state;
    static char bytes[2048];
    for (size_t wanted = 1023; wanted <= 1026; wanted++) {
        size_t used = (size_t)sprintf(bytes, "GET / HTTP/1.1\r\nX: ");
        memset(bytes + used, 'v', wanted - used - 4);
        memcpy(bytes + wanted - 4, "\r\n\r\n", 4);
        bool fits = wanted <= 1024;
        assert_found(text_of(bytes, wanted), H1_ROLE_REQUEST, fits ? H1_SEARCH_FOUND : H1_SEARCH_BAD, wanted,
                     FAULT_REQUEST_HEAD_TOO_LARGE);
        assert_found(text_of(bytes, wanted), H1_ROLE_RESPONSE, fits ? H1_SEARCH_FOUND : H1_SEARCH_BAD, wanted,
                     FAULT_UPSTREAM_HEAD_TOO_LARGE);
    }
}

/* ---- what may stand in it ---- */

static void assert_validated(struct text head, enum h1_role role, enum fault fault)
{
    enum fault result = h1_validate_head(head, role, &limits);
    if (result != fault)
        fail_msg("\"%.*s\": %s, not %s", TEXT_ARGUMENTS(head), fault_row(result)->name, fault_row(fault)->name);
}

static void assert_request_line(const char *line, enum fault fault)
{
    char head[512];
    size_t length = text_append(head, sizeof head, 0, "%s\r\nHost: h\r\n\r\n", line);
    assert_validated(text_of(head, length), H1_ROLE_REQUEST, fault);
}

static void a_request_line_is_three_words_and_two_blanks(void **state)
{
    (void)state;
    static const char *const good[] = {
        "GET / HTTP/1.1", "GET / HTTP/1.0", "OPTIONS * HTTP/1.1",
        "POST /api/v2/write?bucket=a%20b&precision=ns HTTP/1.1", "M-SEARCH /x HTTP/1.1", "get / HTTP/1.1",
        "GET http://h/ HTTP/1.1", "GET /a;b=c/@:!$&'()*+,;=~_-.\"<>\\^`{|}[] HTTP/1.1",
        "ABCDEFGHIJKLMNOPQRSTUVWX / HTTP/1.1",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_request_line(good[i], FAULT_NONE);
    static const char *const bad[] = {
        "", " ", "GET", "GET ", "GET /", "GET / ", "GET  / HTTP/1.1", "GET /  HTTP/1.1", " GET / HTTP/1.1",
        "GET / HTTP/1.1 ", "GET\t/ HTTP/1.1", "GET /\tHTTP/1.1", "GET /a b HTTP/1.1", "GET /a#b HTTP/1.1",
        "GET /\xe9 HTTP/1.1", "GET /\x7f HTTP/1.1", "GET /\x01 HTTP/1.1", "G(T / HTTP/1.1", "G\xc9T / HTTP/1.1",
        "GET / HTTP/1.", "GET / HTTP/1.11", "GET / http/1.1", "GET / RTSP/1.0", "SOURCE / ICE/1.0", "GET / HTTP 1.1",
        "GET / HTTP/1.1\r", "\rGET / HTTP/1.1", "GET /\r HTTP/1.1", "GET / HTTP/1.1 x", "GET / HTTP/11",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_request_line(bad[i], FAULT_REQUEST_MALFORMED);
    assert_request_line("ABCDEFGHIJKLMNOPQRSTUVWXY / HTTP/1.1", FAULT_REQUEST_METHOD);
}

static void only_versions_1_0_and_1_1_are_spoken(void **state)
{
    (void)state;
    for (char major = '0'; major <= '9'; major++) {
        for (char minor = '0'; minor <= '9'; minor++) {
            char line[] = "GET / HTTP/x.y";
            line[11] = major;
            line[13] = minor;
            bool is_ours = major == '1' && (minor == '0' || minor == '1');
            assert_request_line(line, is_ours ? FAULT_NONE : FAULT_REQUEST_VERSION);
        }
    }
}

static void a_target_may_fill_its_limit_and_no_more(void **state)
{
    (void)state;
    char line[256];
    for (size_t length = 99; length <= 101; length++) {
        memcpy(line, "GET ", 4);
        memset(line + 4, '/', length);
        memcpy(line + 4 + length, " HTTP/1.1", 10);
        assert_request_line(line, length <= 100 ? FAULT_NONE : FAULT_REQUEST_TARGET_TOO_LONG);
    }
}

static void assert_status_line(const char *line, bool good)
{
    char head[256];
    size_t length = text_append(head, sizeof head, 0, "%s\r\nX: y\r\n\r\n", line);
    assert_validated(text_of(head, length), H1_ROLE_RESPONSE, good ? FAULT_NONE : FAULT_UPSTREAM_MALFORMED);
}

/* Rows 37 and 39 of the measured table. */
static void a_status_line_is_a_version_three_digits_and_a_reason(void **state)
{
    (void)state;
    static const char *const good[] = {
        "HTTP/1.1 200 OK", "HTTP/1.0 200 OK", "HTTP/1.1 204 ", "HTTP/1.1 204", "HTTP/1.1 100 Continue",
        "HTTP/1.1 599 \xe4\xf6", "HTTP/1.1 200 a\tb  c",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_status_line(good[i], true);
    static const char *const bad[] = {
        "", "HTTP/1.1", "HTTP/1.1 ", "HTTP/1.1 2", "HTTP/1.1 20", "HTTP/1.1 0200", "HTTP/1.1 0200 OK",
        "HTTP/1.1 2000 OK", "HTTP/1.1 999 x", "HTTP/1.1 600 x", "HTTP/1.1 099 x", "HTTP/1.1 abc OK", "HTTP/1.1 200OK",
        "HTTP/1.1  200 OK", "HTTP/1.1\t200 OK", "HTTP/0.9 200 OK", "HTTP/2.0 200 OK", "HTTP/1.2 200 OK",
        "HTTP/1.10 200", "http/1.1 200 OK", "ICY 200 OK", " HTTP/1.1 200 OK", "HTTP/1.1 200 a\x01",
        "HTTP/1.1 200 a\x7f", "HTTP/1.1 200 a\rb", "HTTP/1.1 200\tOK", "GET / HTTP/1.1", "HTTP/1.1 20x OK",
        "HTTP/1.1 2x0 OK",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_status_line(bad[i], false);
    assert_validated(TEXT("HTTP/1.1 200 a\0b\r\n\r\n"), H1_ROLE_RESPONSE, FAULT_UPSTREAM_MALFORMED);
    assert_validated(TEXT("HTTP/1.1 200 OK\n\r\n"), H1_ROLE_RESPONSE, FAULT_UPSTREAM_MALFORMED);
}

static void assert_field_line(struct text line, bool good)
{
    char head[1024] = "GET / HTTP/1.1\r\n";
    memcpy(head + 16, line.bytes, line.length);
    memcpy(head + 16 + line.length, "\r\n\r\n", 4);
    assert_validated(text_of(head, 20 + line.length), H1_ROLE_REQUEST, good ? FAULT_NONE : FAULT_REQUEST_MALFORMED);
    memcpy(head, "HTTP/1.1 200 \r\n", 15);
    memmove(head + 15, head + 16, line.length + 4);
    assert_validated(text_of(head, 19 + line.length), H1_ROLE_RESPONSE, good ? FAULT_NONE : FAULT_UPSTREAM_MALFORMED);
}

static void a_field_line_is_a_token_a_colon_and_a_value(void **state)
{
    (void)state;
    static const char *const good[] = {
        "X:", "X: ", "X:\t", "X: a", "X:a", "X: a: b", "X: \"(),/:;<=>?@[\\]{}", "X:  a\tb \t", "!#$%&'*+-.^_`|~09: 1",
        "X: \x80\xff", "X_Y: 1", "Content-Length_: 1",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_field_line(text_of_string(good[i]), true);
    static const char *const bad[] = {
        "X", ":", ": 1", "X : 1", "X\t: 1", "X A: 1", " X: 1", "\tX: 1", "X(: 1", "X\xe9: 1", "X: \x01", "X: \x1f",
        "X: \x7f", "X: a\rb", "X: \r", "X: 1\r", "\rX: 1", "X\r: 1", "X: 1\r\n folded", "X:\r\n folded",
        "X: 1\r\n\tfolded", "X: \rTransfer-Encoding: chunked", "Content_Length: 3", "content_length: 3",
        "Transfer_Encoding: chunked", "TRANSFER_ENCODING: x", "X: 1\nY: 2", "@X: 1", "\"X\": 1", "X/Y: 1",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_field_line(text_of_string(bad[i]), false);
    assert_field_line(TEXT("X: a\0b"), false);
    assert_field_line(TEXT("X\0: a"), false);
}

/* Each byte value in a name and in a value, against the grammar's own words (RFC 9110 sections 5.5 and 5.6.2). */
static void each_byte_is_where_it_may_be(void **state)
{
    (void)state;
    static const char marks[] = "!#$%&'*+-.^_`|~";
    for (int c = 0; c < 256; c++) {
        bool is_alphanumeric = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        bool is_token = is_alphanumeric || (c != 0 && strchr(marks, c) != NULL);
        bool is_value = c == '\t' || (c >= ' ' && c != 0x7f);
        char name[] = "XcX: 1";
        char value[] = "X: acb";
        name[1] = (char)c;
        value[4] = (char)c;
        assert_int_equal(h1_is_token_character((unsigned char)c), is_token);
        /* A colon in the name only moves the value's begin. */
        assert_field_line(text_of(name, 6), is_token || c == ':');
        assert_field_line(text_of(value, 6), is_value);
    }
}

/* A long value is read eight bytes at a time: a byte that may not be there is found at each place, behind any other. */
static void each_byte_is_found_at_each_place_of_a_value(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        bool is_value = c == '\t' || (c >= ' ' && c != 0x7f);
        for (size_t at = 2; at < 28; at++) {
            char line[] = "X:abcdefgh\x80\xffijklmn opqrstuvw";
            line[at] = (char)c;
            assert_field_line(text_of(line, 28), is_value);
            line[2 + (at - 1) % 26] = '\t';
            assert_field_line(text_of(line, 28), is_value);
        }
    }
}

static void names_and_counts_have_bounds(void **state)
{
    (void)state;
    char line[300];
    memset(line, 'n', sizeof line);
    line[256] = ':';
    assert_field_line(text_of(line, 257), true);
    line[256] = 'n';
    line[257] = ':';
    assert_field_line(text_of(line, 258), false);

    char head[1024];
    for (int count = 19; count <= 21; count++) {
        size_t request = text_append(head, sizeof head, 0, "GET / HTTP/1.1\r\n");
        for (int i = 0; i < count; i++)
            request = text_append(head, sizeof head, request, "X: 1\r\n");
        request = text_append(head, sizeof head, request, "\r\n");
        assert_validated(text_of(head, request), H1_ROLE_REQUEST, count <= 20 ? FAULT_NONE : FAULT_REQUEST_HEAD_TOO_LARGE);
        memcpy(head, "HTTP/1.1 200 a", 14);
        assert_validated(text_of(head, request), H1_ROLE_RESPONSE,
                      count <= 20 ? FAULT_NONE : FAULT_UPSTREAM_HEAD_TOO_LARGE);
    }
}

/* Whatever the configuration allows, a head has no more fields than there is room for. */
static void no_configuration_allows_more_fields_than_there_is_room_for(void **state)
{
    (void)state;
    static char head[4096];
    const struct h1_limits generous = {.head_bytes = sizeof head, .target_bytes = 100, .fields = 1000};
    for (int count = MESSAGE_FIELDS_MAXIMUM - 1; count <= MESSAGE_FIELDS_MAXIMUM + 1; count++) {
        size_t length = text_append(head, sizeof head, 0, "GET / HTTP/1.1\r\n");
        for (int i = 0; i < count; i++)
            length = text_append(head, sizeof head, length, "X: 1\r\n");
        length = text_append(head, sizeof head, length, "\r\n");
        assert_int_equal(h1_validate_head(text_of(head, length), H1_ROLE_REQUEST, &generous),
                         count <= MESSAGE_FIELDS_MAXIMUM ? FAULT_NONE : FAULT_REQUEST_HEAD_TOO_LARGE);
    }
}

/* A head that is not whole cannot pass, whatever the caller believes. */
static void an_unfinished_head_does_not_pass(void **state)
{
    (void)state;
    static const char whole[] = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    for (size_t length = 0; length < sizeof whole - 1; length++)
        assert_validated(text_of(whole, length), H1_ROLE_REQUEST, FAULT_REQUEST_MALFORMED);
    assert_validated(text_of(whole, sizeof whole - 1), H1_ROLE_REQUEST, FAULT_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_ends_with_the_first_empty_line),
        cmocka_unit_test(a_bare_line_feed_ends_the_search),
        cmocka_unit_test(limits_are_counted_while_reading),
        cmocka_unit_test(a_head_may_fill_its_limit_and_no_more),
        cmocka_unit_test(a_request_line_is_three_words_and_two_blanks),
        cmocka_unit_test(only_versions_1_0_and_1_1_are_spoken),
        cmocka_unit_test(a_target_may_fill_its_limit_and_no_more),
        cmocka_unit_test(a_status_line_is_a_version_three_digits_and_a_reason),
        cmocka_unit_test(a_field_line_is_a_token_a_colon_and_a_value),
        cmocka_unit_test(each_byte_is_where_it_may_be),
        cmocka_unit_test(each_byte_is_found_at_each_place_of_a_value),
        cmocka_unit_test(names_and_counts_have_bounds),
        cmocka_unit_test(no_configuration_allows_more_fields_than_there_is_room_for),
        cmocka_unit_test(an_unfinished_head_does_not_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
