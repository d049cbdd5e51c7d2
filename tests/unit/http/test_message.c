/* Heads without a version: names, copies, lists, reasons. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fault.h"
#include "http/message.h"

static const struct {
    const char *name;
    enum header_name known;
} known_names[] = {
    {"accept-encoding", HEADER_ACCEPT_ENCODING},
    {"authorization", HEADER_AUTHORIZATION},
    {"connection", HEADER_CONNECTION},
    {"content-encoding", HEADER_CONTENT_ENCODING},
    {"content-length", HEADER_CONTENT_LENGTH},
    {"content-type", HEADER_CONTENT_TYPE},
    {"date", HEADER_DATE},
    {"expect", HEADER_EXPECT},
    {"forwarded", HEADER_FORWARDED},
    {"grpc-status", HEADER_GRPC_STATUS},
    {"grpc-timeout", HEADER_GRPC_TIMEOUT},
    {"host", HEADER_HOST},
    {"http2-settings", HEADER_HTTP2_SETTINGS},
    {"keep-alive", HEADER_KEEP_ALIVE},
    {"proxy-authenticate", HEADER_PROXY_AUTHENTICATE},
    {"proxy-authorization", HEADER_PROXY_AUTHORIZATION},
    {"proxy-connection", HEADER_PROXY_CONNECTION},
    {"retry-after", HEADER_RETRY_AFTER},
    {"te", HEADER_TE},
    {"trailer", HEADER_TRAILER},
    {"transfer-encoding", HEADER_TRANSFER_ENCODING},
    {"upgrade", HEADER_UPGRADE},
    {"user-agent", HEADER_USER_AGENT},
    {"via", HEADER_VIA},
    {"x-forwarded-for", HEADER_X_FORWARDED_FOR},
    {"x-forwarded-host", HEADER_X_FORWARDED_HOST},
    {"x-forwarded-proto", HEADER_X_FORWARDED_PROTO},
    {"x-real-ip", HEADER_X_REAL_IP},
    {"x-request-id", HEADER_X_REQUEST_ID},
    {"x-sluice-node", HEADER_X_SLUICE_NODE},
};
#define KNOWN_COUNT (sizeof known_names / sizeof known_names[0])

static enum header_name lookup(const char *name)
{
    return header_name_of(text_of_string(name));
}

static void every_known_name_is_found_in_any_case(void **state)
{
    (void)state;
    /* HEADER_OTHER has no name; each of the rest has exactly one. */
    assert_int_equal(KNOWN_COUNT, HEADER_NAME_COUNT - 1);
    for (size_t i = 0; i < KNOWN_COUNT; i++) {
        char upper[32];
        char mixed[32];
        size_t length = strlen(known_names[i].name);
        for (size_t j = 0; j <= length; j++) {
            char c = known_names[i].name[j];
            upper[j] = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
            mixed[j] = j % 2 == 0 ? upper[j] : c;
        }
        assert_int_equal(lookup(known_names[i].name), known_names[i].known);
        assert_int_equal(lookup(upper), known_names[i].known);
        assert_int_equal(lookup(mixed), known_names[i].known);
    }
}

static void a_name_that_is_almost_known_is_another(void **state)
{
    (void)state;
    for (size_t i = 0; i < KNOWN_COUNT; i++) {
        char near[40];
        size_t length = strlen(known_names[i].name);
        for (size_t j = 0; j < length; j++) {
            memcpy(near, known_names[i].name, length + 1);
            near[j] = '~';
            assert_int_equal(lookup(near), HEADER_OTHER);
        }
        memcpy(near, known_names[i].name, length);
        memcpy(near + length, "s", 2);
        assert_int_equal(lookup(near), HEADER_OTHER);
        assert_int_equal(header_name_of(text_of(known_names[i].name, length - 1)), HEADER_OTHER);
    }
    assert_int_equal(header_name_of(TEXT_EMPTY), HEADER_OTHER);
    assert_int_equal(lookup("x"), HEADER_OTHER);
    assert_int_equal(lookup("x-a-name-that-is-longer-than-any-known-one"), HEADER_OTHER);
}

static void fields_are_added_up_to_the_capacity_and_found_by_name(void **state)
{
    (void)state;
    struct header_field fields[3];
    struct message_head head = {.fields = fields};
    assert_null(message_find(&head, HEADER_VIA));
    assert_true(message_add(&head, 3, HEADER_VIA, TEXT("Via"), TEXT("first")));
    assert_true(message_add(&head, 3, HEADER_OTHER, TEXT("X-A"), TEXT("a")));
    assert_true(message_add(&head, 3, HEADER_VIA, TEXT("Via"), TEXT("second")));
    assert_false(message_add(&head, 3, HEADER_HOST, TEXT("Host"), TEXT("h")));
    assert_int_equal(head.field_count, 3);
    assert_true(text_equals(message_find(&head, HEADER_VIA)->value, TEXT("first")));
    assert_null(message_find(&head, HEADER_HOST));
    /* What stands behind the last field is no field. */
    head.field_count = 1;
    fields[1].known = HEADER_HOST;
    assert_null(message_find(&head, HEADER_HOST));
}

/* A copy stands on its own: what it was made from may be overwritten. */
static void a_copy_outlives_its_original(void **state)
{
    (void)state;
    char raw[] = "POST /api/v3/write_lp?db=a HTTP/1.1\r\nHost: node:8181\r\nX-Empty:\r\n\r\n";
    struct header_field fields[2] = {
        {text_of(raw + 37, 4), text_of(raw + 43, 9), HEADER_HOST},
        {text_of(raw + 54, 7), text_of(raw + 62, 0), HEADER_OTHER},
    };
    struct message_head head = {
        .method = text_of(raw, 4),
        .target = text_of(raw + 5, 21),
        .path = text_of(raw + 5, 16),
        .authority = text_of(raw + 43, 9),
        .body = BODY_LENGTH,
        .content_length = 77,
        .field_count = 2,
        .fields = fields,
        .raw = text_of(raw, sizeof raw - 1),
    };
    struct slab *slab = slab_create();
    struct message_head *copy = message_head_copy(&head, slab);
    assert_non_null(copy);
    memset(raw, 'x', sizeof raw);
    memset(fields, 0, sizeof fields);
    assert_true(text_equals(copy->method, TEXT("POST")));
    assert_true(text_equals(copy->target, TEXT("/api/v3/write_lp?db=a")));
    assert_true(text_equals(copy->path, TEXT("/api/v3/write_lp")));
    assert_true(text_equals(copy->authority, TEXT("node:8181")));
    assert_int_equal(copy->field_count, 2);
    assert_true(text_equals(copy->fields[0].name, TEXT("Host")));
    assert_true(text_equals(copy->fields[0].value, TEXT("node:8181")));
    assert_int_equal(copy->fields[0].known, HEADER_HOST);
    assert_true(text_equals(copy->fields[1].name, TEXT("X-Empty")));
    assert_int_equal(copy->fields[1].value.length, 0);
    assert_int_equal(copy->body, BODY_LENGTH);
    assert_int_equal(copy->content_length, 77);
    slab_give(slab, copy);
    slab_destroy(slab);
}

static void a_copy_keeps_texts_that_are_missing_missing(void **state)
{
    (void)state;
    char raw[] = "HTTP/1.1 204 No Content\r\n\r\n";
    struct message_head head = {.status = 204, .raw = text_of(raw, sizeof raw - 1)};
    struct slab *slab = slab_create();
    struct message_head *copy = message_head_copy(&head, slab);
    assert_non_null(copy);
    assert_int_equal(copy->status, 204);
    assert_null(copy->method.bytes);
    assert_null(copy->authority.bytes);
    assert_int_equal(copy->field_count, 0);
    slab_give(slab, copy);
    slab_destroy(slab);
}

static void every_status_of_the_router_has_a_reason(void **state)
{
    (void)state;
    assert_string_equal(message_reason(200), "OK");
    assert_string_equal(message_reason(204), "No Content");
    assert_string_equal(message_reason(100), "Continue");
    assert_string_equal(message_reason(503), "Service Unavailable");
    assert_string_equal(message_reason(599), "Unknown");
    assert_string_equal(message_reason(0), "Unknown");
    static const struct {
        unsigned first, last;
    } registered[] = {{100, 104}, {200, 208}, {226, 226}, {300, 308}, {400, 418}, {421, 426}, {428, 429}, {431, 431}, {451, 451},
                      {500, 508}, {510, 511}};
    for (size_t i = 0; i < sizeof registered / sizeof registered[0]; i++) {
        for (unsigned status = registered[i].first; status <= registered[i].last; status++) {
            if (strcmp(message_reason(status), "Unknown") == 0)
                fail_msg("%u has no reason phrase", status);
        }
    }
    assert_string_equal(message_reason(427), "Unknown");
    assert_string_equal(message_reason(600), "Unknown");
    assert_string_equal(message_reason(999), "Unknown");
    for (int fault = FAULT_NONE + 1; fault < FAULT_COUNT; fault++) {
        const struct fault_row *row = fault_row((enum fault)fault);
        /* 499 is never sent: that client has gone. */
        if (row->http_status != 499 && strcmp(message_reason(row->http_status), "Unknown") == 0)
            fail_msg("%u has no reason phrase", row->http_status);
        if (row->write_status != 499 && strcmp(message_reason(row->write_status), "Unknown") == 0)
            fail_msg("%u has no reason phrase", row->write_status);
    }
}

static void assert_list(const char *list, size_t count, ...)
{
    struct text rest = text_of_string(list);
    struct text element;
    va_list expected;
    va_start(expected, count);
    for (size_t i = 0; i < count; i++) {
        const char *wanted = va_arg(expected, const char *);
        assert_true(message_list_next(&rest, &element));
        assert_int_equal(element.length, strlen(wanted));
        assert_memory_equal(element.bytes, wanted, element.length);
    }
    va_end(expected);
    assert_false(message_list_next(&rest, &element));
    assert_false(message_list_next(&rest, &element));
}

static void lists_come_in_elements_without_blanks_and_gaps(void **state)
{
    (void)state;
    assert_list("", 0);
    assert_list(",", 0);
    assert_list(" \t, ,,\t", 0);
    assert_list("close", 1, "close");
    assert_list("close\t", 1, "close");
    assert_list("\t close , X-Foo,,\tkeep-alive ,", 3, "close", "X-Foo", "keep-alive");
    assert_list("a b,c\td", 2, "a b", "c\td");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_known_name_is_found_in_any_case),
        cmocka_unit_test(a_name_that_is_almost_known_is_another),
        cmocka_unit_test(fields_are_added_up_to_the_capacity_and_found_by_name),
        cmocka_unit_test(a_copy_outlives_its_original),
        cmocka_unit_test(a_copy_keeps_texts_that_are_missing_missing),
        cmocka_unit_test(every_status_of_the_router_has_a_reason),
        cmocka_unit_test(lists_come_in_elements_without_blanks_and_gaps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
