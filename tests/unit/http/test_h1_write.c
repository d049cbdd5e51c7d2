/* Heads and chunks as bytes, exactly, and within the bound that was promised. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/h1_write.h"

static struct header_field some_fields[] = {
    {{"Content-Type", 12}, {"text/plain", 10}, HEADER_CONTENT_TYPE},
    {{"X-Empty", 7}, {NULL, 0}, HEADER_OTHER},
};

static void assert_request(const struct message_head *head, const char *expected)
{
    size_t bound = h1_request_head_bytes(head);
    char *out = malloc(bound);
    size_t length = h1_write_request_head(out, head);
    assert_true(length <= bound);
    assert_int_equal(length, strlen(expected));
    assert_memory_equal(out, expected, length);
    free(out);
}

static void assert_response(const struct message_head *head, struct h1_response_form form, const char *expected)
{
    size_t bound = h1_response_head_bytes(head);
    char *out = malloc(bound);
    size_t length = h1_write_response_head(out, head, &form);
    assert_true(length <= bound);
    assert_int_equal(length, strlen(expected));
    assert_memory_equal(out, expected, length);
    free(out);
}

static void a_request_head_is_written_with_its_framing(void **state)
{
    (void)state;
    struct message_head head = {
        .method = TEXT("POST"), .target = TEXT("/api/v2/write?b=x"), .authority = TEXT("n1:8181"),
        .fields = some_fields, .field_count = 2, .body = BODY_NONE,
    };
    assert_request(&head,
                   "POST /api/v2/write?b=x HTTP/1.1\r\nHost: n1:8181\r\nContent-Type: text/plain\r\nX-Empty: \r\n\r\n");
    message_set(&head, MESSAGE_ANNOUNCES_LENGTH, true);
    assert_request(&head,
                   "POST /api/v2/write?b=x HTTP/1.1\r\nHost: n1:8181\r\nContent-Type: text/plain\r\nX-Empty: \r\n"
                   "Content-Length: 0\r\n\r\n");
    head.body = BODY_LENGTH;
    head.content_length = 5;
    head.field_count = 0;
    assert_request(&head, "POST /api/v2/write?b=x HTTP/1.1\r\nHost: n1:8181\r\nContent-Length: 5\r\n\r\n");
    /* A body of unknown length has chunks, whatever length stood there. */
    head.body = BODY_STREAM;
    assert_request(&head, "POST /api/v2/write?b=x HTTP/1.1\r\nHost: n1:8181\r\nTransfer-Encoding: chunked\r\n\r\n");
    /* HTTP/1.0 clients may name no host; HTTP/1.1 needs the field (RFC 9112 section 3.2). */
    struct message_head bare = {.method = TEXT("GET"), .target = TEXT("/"), .version = MESSAGE_HTTP_1_0};
    assert_request(&bare, "GET / HTTP/1.1\r\nHost: \r\n\r\n");
}

static void lengths_are_written_to_the_last_digit(void **state)
{
    (void)state;
    struct message_head head = {
        .method = TEXT("PUT"), .target = TEXT("/"), .authority = TEXT("h"), .body = BODY_LENGTH};
    head.content_length = 10;
    assert_request(&head, "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n");
    head.content_length = UINT64_MAX;
    assert_request(&head, "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551615\r\n\r\n");
}

static void a_response_head_is_written_in_each_form(void **state)
{
    (void)state;
    struct message_head head = {.status = 200, .body = BODY_LENGTH, .content_length = 12, .fields = some_fields};
    head.field_count = 1;
    struct h1_response_form plain = {0};
    assert_response(&head, plain, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n\r\n");
    assert_response(&head, (struct h1_response_form){.connection = H1_CONNECTION_CLOSE},
                    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 12\r\nConnection: close\r\n\r\n");
    assert_response(
        &head, (struct h1_response_form){.connection = H1_CONNECTION_KEEP_ALIVE},
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 12\r\nConnection: keep-alive\r\n\r\n");
    assert_response(
        &head, (struct h1_response_form){.connection = H1_CONNECTION_KEEP_ALIVE, .keep_alive_s = 305},
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 12\r\nConnection: keep-alive\r\nKeep-Alive: timeout=305\r\n\r\n");
    assert_response(&head, (struct h1_response_form){.connection = H1_CONNECTION_CLOSE, .keep_alive_s = 305},
                    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 12\r\nConnection: close\r\n\r\n");
    assert_response(&head, (struct h1_response_form){.keep_alive_s = 305},
                    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n\r\n");
    head.field_count = 0;
    head.body = BODY_STREAM;
    assert_response(&head, (struct h1_response_form){.is_chunked = true},
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_response(&head, (struct h1_response_form){.connection = H1_CONNECTION_CLOSE},
                    "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    head.body = BODY_NONE;
    head.status = 204;
    assert_response(&head, plain, "HTTP/1.1 204 No Content\r\n\r\n");
    /* What a HEAD or 304 answer announces. */
    head.status = 304;
    message_set(&head, MESSAGE_ANNOUNCES_LENGTH, true);
    assert_response(&head, plain, "HTTP/1.1 304 Not Modified\r\nContent-Length: 12\r\n\r\n");
    struct message_head odd = {.status = 599};
    assert_response(&odd, plain, "HTTP/1.1 599 Unknown\r\n\r\n");
}

/* The bound grows with each part of the head. */
static void the_bound_holds_for_large_heads(void **state)
{
    (void)state;
    static char large[5000];
    memset(large, 'x', sizeof large);
    struct text part = text_of(large, sizeof large);
    struct header_field field = {part, part, HEADER_OTHER};
    struct header_field fields[3] = {field, field, field};
    struct message_head head = {.method = part, .target = part, .authority = part, .fields = fields, .status = 431};
    for (head.field_count = 0; head.field_count <= 3; head.field_count++) {
        static char out[100000];
        struct h1_response_form form = {.connection = H1_CONNECTION_CLOSE};
        assert_in_range(h1_request_head_bytes(&head), h1_write_request_head(out, &head), sizeof out);
        assert_in_range(h1_response_head_bytes(&head), h1_write_response_head(out, &head, &form), sizeof out);
    }
}

/* The longest leftovers that all may stand in one head still fit the bound. */
static void the_bound_holds_for_every_status_and_form(void **state)
{
    (void)state;
    for (unsigned status = 100; status < 600; status++) {
        struct message_head head = {.status = status, .body = BODY_LENGTH, .content_length = UINT64_MAX};
        struct h1_response_form form = {.connection = H1_CONNECTION_KEEP_ALIVE, .is_chunked = true, .keep_alive_s = UINT64_MAX};
        char out[512];
        assert_true(h1_write_response_head(out, &head, &form) <= h1_response_head_bytes(&head));
    }
}

static void chunk_lines_are_hexadecimal_without_leading_zeros(void **state)
{
    (void)state;
    static const struct {
        uint64_t length;
        const char *line;
    } cases[] = {
        {0, "0\r\n"}, {1, "1\r\n"}, {9, "9\r\n"}, {10, "a\r\n"}, {15, "f\r\n"}, {16, "10\r\n"}, {255, "ff\r\n"},
        {65536, "10000\r\n"}, {0xdeadbeef, "deadbeef\r\n"}, {UINT64_MAX, "ffffffffffffffff\r\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char out[H1_CHUNK_LINE_BYTES];
        size_t length = h1_write_chunk_line(out, cases[i].length);
        assert_int_equal(length, strlen(cases[i].line));
        assert_memory_equal(out, cases[i].line, length);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_head_is_written_with_its_framing),
        cmocka_unit_test(lengths_are_written_to_the_last_digit),
        cmocka_unit_test(a_response_head_is_written_in_each_form),
        cmocka_unit_test(the_bound_holds_for_large_heads),
        cmocka_unit_test(the_bound_holds_for_every_status_and_form),
        cmocka_unit_test(chunk_lines_are_hexadecimal_without_leading_zeros),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
