/* What gRPC writes into heads and trailers: which requests are calls, timeouts, statuses, messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "http/grpc.h"

/* ---- which requests are calls ---- */

static bool is_call(const char *content_type)
{
    return grpc_is_content_type(text_of_string(content_type));
}

static void a_call_is_told_by_its_content_type(void **state)
{
    (void)state;
    assert_true(is_call("application/grpc"));
    assert_true(is_call("application/grpc+proto"));
    assert_true(is_call("application/grpc+json"));
    assert_true(is_call("application/grpc;charset=utf-8"));
    assert_true(is_call("application/grpc ; x=y"));
    assert_false(is_call("application/grp"));
    assert_false(is_call("application/grpc-web"));
    assert_false(is_call("application/grpc-web+proto"));
    assert_false(is_call("application/grpc-web-text"));
    assert_false(is_call("application/grpcx"));
    assert_false(is_call("text/plain; application/grpc"));
    assert_false(is_call(" application/grpc"));
    assert_false(is_call(""));
    /* The node compares bytes: to it this is a request of its HTTP routes, so it must be one to us. */
    assert_false(is_call("Application/gRPC"));
}

static void a_call_needs_http2(void **state)
{
    (void)state;
    struct header_field field = {TEXT("content-type"), TEXT("application/grpc"), HEADER_CONTENT_TYPE};
    struct message_head head = {.fields = &field, .field_count = 1, .version = MESSAGE_HTTP_2};
    assert_true(grpc_is_request(&head));
    head.version = MESSAGE_HTTP_1_1;
    assert_false(grpc_is_request(&head));
    head.version = MESSAGE_HTTP_1_0;
    assert_false(grpc_is_request(&head));
    head.version = MESSAGE_HTTP_2;
    field.value = TEXT("application/json");
    assert_false(grpc_is_request(&head));
    head.field_count = 0;
    assert_false(grpc_is_request(&head));
}

/* ---- timeouts ---- */

static void a_timeout_is_read_in_milliseconds_rounded_up(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        uint64_t ms;
    } cases[] = {
        {"1H", 3600000}, {"2M", 120000}, {"3S", 3000}, {"300S", 300000}, {"59999m", 59999}, {"1000u", 1}, {"1001u", 2},
        {"1u", 1}, {"1n", 1}, {"1000000n", 1}, {"1000001n", 2}, {"0S", 0}, {"0n", 0}, {"00000001S", 1000},
        {"99999999m", 99999999}, {"99999999n", 100}, {"99999999H", UINT64_C(359999996400000)},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t ms = 12345;
        if (!grpc_parse_timeout(text_of_string(cases[i].value), &ms) || ms != cases[i].ms)
            fail_msg("%s is %llu ms", cases[i].value, (unsigned long long)ms);
    }
}

static void anything_else_is_no_timeout(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "", "S", "1", "10", "1s", "1h", "1 S", " 1S", "1S ", "-1S", "+1S", "1.5S", "100000000S", "000000001S", "1SS", "0x1S", "1mS",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t ms;
        if (grpc_parse_timeout(text_of_string(cases[i]), &ms))
            fail_msg("\"%s\" was read as %llu ms", cases[i], (unsigned long long)ms);
    }
}

static void assert_shortened(const char *came, uint64_t spent_ms, const char *left)
{
    char buffer[GRPC_TIMEOUT_BYTES];
    struct text shortened = grpc_shorten_timeout(text_of_string(came), spent_ms, buffer);
    if (!text_equals(shortened, text_of_string(left)))
        fail_msg("%s less %llu ms is %.*s", came, (unsigned long long)spent_ms, TEXT_ARGUMENTS(shortened));
}

static void what_is_left_of_a_timeout(void **state)
{
    (void)state;
    /* Nothing spent: not a digit changes. */
    assert_shortened("300S", 0, "300S");
    assert_shortened("1500u", 0, "1500u");
    assert_shortened("0S", 0, "0S");
    assert_shortened("300S", 1, "299999m");
    assert_shortened("1M", 59999, "1m");
    assert_shortened("1M", 60000, "1n");
    assert_shortened("1M", 70000, "1n");
    assert_shortened("1M", UINT64_MAX, "1n");
    /* Less than a millisecond is given up rather than rounded to one. */
    assert_shortened("2500u", 1, "1m");
    assert_shortened("1500u", 1, "1n");
    assert_shortened("99999999n", 98, "1m");
    /* Eight digits hold a day in milliseconds; above that the unit gets coarser, downwards. */
    assert_shortened("28H", 3600000, "97200000m");
    assert_shortened("28H", 1, "100799S");
    assert_shortened("99999999S", 1, "99999998S");
    assert_shortened("99999999M", 1, "99999998M");
    assert_shortened("99999999H", 1, "99999998H");
}

/* Whatever comes and however long it waited: never more than is left, and always a value that a node takes. */
static void a_timeout_never_grows(void **state)
{
    (void)state;
    static const char letters[] = "HMSmun";
    static const unsigned long amounts[] = {1, 9, 10, 999, 1000, 1001, 59999, 1234567, 9999999, 10000000, 99999999};
    static const uint64_t spent[] = {1, 2, 15, 16, 999, 1000, 59999, 3600000, 86400001};
    for (size_t i = 0; i < 6; i++) {
        for (size_t j = 0; j < sizeof amounts / sizeof amounts[0]; j++) {
            for (size_t k = 0; k < sizeof spent / sizeof spent[0]; k++) {
                char came[16];
                char buffer[GRPC_TIMEOUT_BYTES];
                uint64_t came_ms;
                uint64_t left_ms;
                snprintf(came, sizeof came, "%lu%c", amounts[j], letters[i]);
                assert_true(grpc_parse_timeout(text_of_string(came), &came_ms));
                struct text left = grpc_shorten_timeout(text_of_string(came), spent[k], buffer);
                assert_true(grpc_parse_timeout(left, &left_ms));
                uint64_t allowed_ms = came_ms > spent[k] ? came_ms - spent[k] : 1;
                if (left_ms > allowed_ms)
                    fail_msg("%s after %llu ms became %.*s", came, (unsigned long long)spent[k], TEXT_ARGUMENTS(left));
                /* And not much less either: one unit of what eight digits can say. */
                if (left_ms * 1.001 + 3601000 < (double)allowed_ms)
                    fail_msg("%s after %llu ms is only %.*s", came, (unsigned long long)spent[k], TEXT_ARGUMENTS(left));
            }
        }
    }
}

/* ---- statuses ---- */

static bool read_status(const char *value, enum grpc_status *status)
{
    struct header_field fields[] = {
        {TEXT("x-a"), TEXT("0"), HEADER_OTHER},
        {TEXT("grpc-status"), text_of_string(value), HEADER_GRPC_STATUS},
    };
    struct message_head head = {.fields = fields, .field_count = value == NULL ? 1 : 2};
    return grpc_read_status(&head, status);
}

static void a_status_is_one_of_the_protocol_or_unknown(void **state)
{
    (void)state;
    enum grpc_status status = GRPC_STATUS_ABORTED;
    assert_false(read_status(NULL, &status));
    assert_true(read_status("0", &status));
    assert_int_equal(status, GRPC_STATUS_OK);
    assert_true(read_status("14", &status));
    assert_int_equal(status, GRPC_STATUS_UNAVAILABLE);
    assert_true(read_status("16", &status));
    assert_int_equal(status, GRPC_STATUS_UNAUTHENTICATED);
    static const char *const malformed[] = {"", "17", "99999999999999999999", "-1", "OK", "1 4", "0x0"};
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
        status = GRPC_STATUS_OK;
        assert_true(read_status(malformed[i], &status));
        assert_int_equal(status, GRPC_STATUS_UNKNOWN);
    }
}

static void assert_encoded(struct text message, size_t capacity, const char *wanted)
{
    char buffer[64];
    assert_in_range(capacity, 0, sizeof buffer);
    memset(buffer, '#', sizeof buffer);
    struct text encoded = grpc_encode_message(message, buffer, capacity);
    if (!text_equals(encoded, text_of_string(wanted)))
        fail_msg("\"%.*s\" instead of \"%s\"", TEXT_ARGUMENTS(encoded), wanted);
    for (size_t i = encoded.length; i < sizeof buffer; i++)
        assert_int_equal(buffer[i], '#');
}

static void a_message_travels_in_visible_ascii(void **state)
{
    (void)state;
    assert_encoded(TEXT_EMPTY, 64, "");
    assert_encoded(TEXT("no node ~ !"), 64, "no node ~ !");
    assert_encoded(TEXT("100%"), 64, "100%25");
    assert_encoded(TEXT("a\r\nb: c\x7f"), 64, "a%0D%0Ab: c%7F");
    assert_encoded(TEXT("caf\xc3\xa9"), 64, "caf%C3%A9");
    assert_encoded(text_of("\0", 1), 64, "%00");
    /* Cut between characters. */
    assert_encoded(TEXT("abcdef"), 3, "abc");
    assert_encoded(TEXT("a%b"), 4, "a%25");
    assert_encoded(TEXT("a%b"), 3, "a");
    assert_encoded(TEXT("%"), 2, "");
    assert_encoded(TEXT("a"), 0, "");
}

static void each_fault_has_its_status_and_its_sentence(void **state)
{
    (void)state;
    for (int fault = FAULT_NONE + 1; fault < FAULT_COUNT; fault++) {
        struct header_field fields[2];
        struct message_head head = {.fields = fields};
        struct grpc_room room;
        enum grpc_status status;
        grpc_add_fault(&head, 2, (enum fault)fault, &room);
        assert_int_equal(head.field_count, 2);
        assert_true(grpc_read_status(&head, &status));
        assert_int_equal(status, fault_row((enum fault)fault)->grpc_status);
        assert_true(text_equals(fields[1].name, TEXT("grpc-message")));
        /* No text of the table needs escapes, so that logs and clients show the same words. */
        assert_true(text_equals(fields[1].value, text_of_string(fault_row((enum fault)fault)->text)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_is_told_by_its_content_type),
        cmocka_unit_test(a_call_needs_http2),
        cmocka_unit_test(a_timeout_is_read_in_milliseconds_rounded_up),
        cmocka_unit_test(anything_else_is_no_timeout),
        cmocka_unit_test(what_is_left_of_a_timeout),
        cmocka_unit_test(a_timeout_never_grows),
        cmocka_unit_test(a_status_is_one_of_the_protocol_or_unknown),
        cmocka_unit_test(a_message_travels_in_visible_ascii),
        cmocka_unit_test(each_fault_has_its_status_and_its_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
