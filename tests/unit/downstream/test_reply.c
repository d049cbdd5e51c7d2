/*
 * Answers that Sluice makes itself: one body that every client understands, and nothing that makes one throw data away.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "downstream/reply.h"
#include "fake/fake_stream.h"

static struct fake_stream fake;

/* The value of a field, or NULL. */
static const char *field(const char *name)
{
    static char value[256];
    char line[64];
    snprintf(line, sizeof line, "%s: ", name);
    for (const char *at = fake.fields; *at != '\0'; at = strchr(at, '\n') + 1) {
        if (strncmp(at, line, strlen(line)) == 0) {
            snprintf(value, sizeof value, "%.*s", (int)strcspn(at + strlen(line), "\n"), at + strlen(line));
            return value;
        }
    }
    return NULL;
}

static unsigned send_fault(struct reply_fault fault)
{
    fake_stream_init(&fake);
    return reply_send_fault(&fake.stream, &fault);
}

static void send_reply(struct reply reply)
{
    fake_stream_init(&fake);
    reply_send(&fake.stream, &reply);
}

static void an_answer_is_sent_ended_and_let_go(void **state)
{
    (void)state;
    send_reply((struct reply){.status = 200, .content_type = TEXT("text/plain"), .body = TEXT("OK")});
    assert_string_equal(fake.verbs, "hdel");
    assert_int_equal(fake.status, 200);
    assert_int_equal(fake.body_kind, BODY_LENGTH);
    assert_int_equal(fake.content_length, 2);
    assert_string_equal(fake.body, "OK");
    assert_string_equal(field("Content-Type"), "text/plain");
    assert_string_equal(field("Server"), "sluice");
    assert_string_equal(field("Cache-Control"), "no-store");
    assert_string_equal(field("Access-Control-Allow-Origin"), "*");
    assert_null(field("Access-Control-Allow-Methods"));
    assert_null(field("Retry-After"));
    assert_null(field("X-Request-Id"));
    assert_null(field("X-Influxdb-Error"));
    assert_false(fake.ends_connection);
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 section 5.6.7). */
static void the_date_is_the_present_one_in_the_right_form(void **state)
{
    (void)state;
    send_reply((struct reply){.status = 204});
    const char *date = field("Date");
    assert_non_null(date);
    assert_int_equal(strlen(date), 29);
    assert_string_equal(date + 25, " GMT");
    struct tm broken = {0};
    assert_non_null(strptime(date, "%a, %d %b %Y %H:%M:%S GMT", &broken));
    /* time() is a tick of the kernel behind the clock that the reply reads. */
    assert_in_range(timegm(&broken), time(NULL) - 5, time(NULL) + 1);
}

static void an_answer_without_a_body_says_so(void **state)
{
    (void)state;
    send_reply((struct reply){.status = 204});
    assert_string_equal(fake.verbs, "hel");
    assert_int_equal(fake.body_kind, BODY_NONE);
    assert_false(fake.announces_length);
    assert_null(field("Content-Type"));
    send_reply((struct reply){.status = 200});
    assert_string_equal(fake.verbs, "hel");
    assert_true(fake.announces_length);
    assert_int_equal(fake.content_length, 0);
    /* One byte is a body, one character a value. */
    send_reply((struct reply){.status = 200, .body = TEXT("x"), .request_id = TEXT("i"), .v1_error = TEXT("e"),
                              .retry_after_s = 1});
    assert_string_equal(fake.verbs, "hdel");
    assert_string_equal(field("X-Request-Id"), "i");
    assert_string_equal(field("X-Influxdb-Error"), "e");
    assert_string_equal(field("Retry-After"), "1");
    /* A 204 has none even if it was given one. */
    send_reply((struct reply){.status = 204, .body = TEXT("x")});
    assert_string_equal(fake.verbs, "hel");
    assert_false(fake.announces_length);
}

static void everything_that_may_be_sent_fits(void **state)
{
    (void)state;
    send_reply((struct reply){
        .status = 503,
        .content_type = TEXT("application/json"),
        .body = TEXT("{}"),
        .request_id = TEXT("id-1"),
        .v1_error = TEXT("no"),
        .origins = REPLY_ORIGINS_PREFLIGHT,
        .retry_after_s = 4294967295u,
        .ends_connection = true,
    });
    assert_string_equal(field("X-Request-Id"), "id-1");
    assert_string_equal(field("X-Influxdb-Error"), "no");
    assert_string_equal(field("Access-Control-Allow-Methods"), "*");
    assert_string_equal(field("Access-Control-Allow-Headers"), "*");
    assert_string_equal(field("Access-Control-Max-Age"), "86400");
    assert_string_equal(field("Retry-After"), "4294967295");
    assert_non_null(field("Date"));
    assert_true(fake.ends_connection);
}

/* ---- faults ---- */

static void each_fault_has_a_body_that_is_json(void **state)
{
    (void)state;
    for (int fault = FAULT_NONE + 1; fault < FAULT_COUNT; fault++) {
        const struct fault_row *row = fault_row((enum fault)fault);
        char expected[512];
        unsigned status = send_fault((struct reply_fault){.fault = (enum fault)fault});
        assert_int_equal(status, row->http_status);
        assert_int_equal(fake.status, status);
        assert_string_equal(fake.verbs, "hdel");
        assert_string_equal(field("Content-Type"), "application/json");
        assert_int_equal(fake.content_length, fake.body_length);
        int length = snprintf(expected, sizeof expected, "{\"error\":\"%s\",\"code\":\"", row->text);
        assert_memory_equal(fake.body, expected, length);
        snprintf(expected, sizeof expected, "\",\"message\":\"%s\",\"error_code\":\"router_%s\"}\n", row->text,
                 row->name);
        const char *rest = strchr(fake.body + length, '"');
        assert_non_null(rest);
        assert_string_equal(rest, expected);
    }
}

static void the_code_is_a_word_of_the_v2_api(void **state)
{
    (void)state;
    static const struct {
        enum fault fault;
        const char *code;
    } cases[] = {
        {FAULT_NO_NODE, "unavailable"},           {FAULT_UPSTREAM_TIMEOUT, "unavailable"},
        {FAULT_UPSTREAM_RESET, "unavailable"},    {FAULT_REQUEST_BODY_TOO_LARGE, "request too large"},
        {FAULT_REQUEST_MALFORMED, "invalid"},     {FAULT_REQUEST_METHOD, "method not allowed"},
        {FAULT_ROUTE_DENIED, "forbidden"},        {FAULT_REQUEST_TRANSFER_CODING, "internal error"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char wanted[64];
        send_fault((struct reply_fault){.fault = cases[i].fault});
        snprintf(wanted, sizeof wanted, "\"code\":\"%s\"", cases[i].code);
        if (strstr(fake.body, wanted) == NULL)
            fail_msg("%s: %s", fault_row(cases[i].fault)->name, fake.body);
    }
}

static void a_write_gets_the_status_of_writes(void **state)
{
    (void)state;
    for (int fault = FAULT_NONE + 1; fault < FAULT_COUNT; fault++) {
        unsigned status = send_fault((struct reply_fault){.fault = (enum fault)fault, .is_write = true});
        assert_int_equal(status, fault_row((enum fault)fault)->write_status);
        assert_int_equal(fake.status, status);
    }
}

static void v1_clients_find_the_sentence_in_a_field(void **state)
{
    (void)state;
    static const char *const others[] = {"", "/", "/write/", "/writes", "/api/v2/write", "/querys"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        send_fault((struct reply_fault){.fault = FAULT_NO_NODE, .path = text_of_string(others[i])});
        assert_null(field("X-Influxdb-Error"));
    }
    send_fault((struct reply_fault){.fault = FAULT_NO_NODE, .path = TEXT("/query")});
    assert_string_equal(field("X-Influxdb-Error"), fault_row(FAULT_NO_NODE)->text);
    send_fault((struct reply_fault){.fault = FAULT_NO_NODE, .path = TEXT("/write"), .request_id = TEXT("id-7")});
    assert_string_equal(field("X-Influxdb-Error"), fault_row(FAULT_NO_NODE)->text);
    assert_string_equal(field("X-Request-Id"), "id-7");
}

static void retry_after_belongs_to_503(void **state)
{
    (void)state;
    for (int fault = FAULT_NONE + 1; fault < FAULT_COUNT; fault++) {
        unsigned status = send_fault((struct reply_fault){.fault = (enum fault)fault, .retry_after_s = 3});
        assert_int_equal(field("Retry-After") != NULL, status == 503);
    }
    send_fault((struct reply_fault){.fault = FAULT_NO_NODE});
    assert_null(field("Retry-After"));
}

/* ---- faults of gRPC calls ---- */

static void a_call_gets_one_head_that_is_all_of_the_answer(void **state)
{
    (void)state;
    for (int fault = FAULT_NONE + 1; fault < FAULT_COUNT; fault++) {
        const struct fault_row *row = fault_row((enum fault)fault);
        char code[8];
        unsigned status = send_fault((struct reply_fault){
            .fault = (enum fault)fault, .is_grpc = true, .request_id = TEXT("id-1"), .retry_after_s = 1});
        assert_int_equal(status, 200);
        assert_int_equal(fake.status, 200);
        assert_string_equal(fake.verbs, "hel");
        assert_int_equal(fake.body_kind, BODY_NONE);
        assert_false(fake.announces_length);
        assert_string_equal(field("content-type"), "application/grpc");
        snprintf(code, sizeof code, "%u", row->grpc_status);
        assert_string_equal(field("grpc-status"), code);
        assert_string_equal(field("grpc-message"), row->text);
        assert_string_equal(field("x-request-id"), "id-1");
        assert_null(field("Retry-After"));
        assert_null(field("X-Influxdb-Error"));
    }
    send_fault((struct reply_fault){.fault = FAULT_NO_NODE, .is_grpc = true});
    assert_null(field("x-request-id"));
    send_fault((struct reply_fault){.fault = FAULT_NO_NODE});
    assert_null(field("grpc-status"));
}

/* A write that is answered 503 comes again: a new connection for each of them would be a second burden. */
static void only_a_request_that_cannot_be_trusted_ends_the_connection(void **state)
{
    (void)state;
    for (int fault = FAULT_NONE + 1; fault < FAULT_COUNT; fault++) {
        send_fault((struct reply_fault){.fault = (enum fault)fault, .is_write = true});
        bool is_clients = fault_row((enum fault)fault)->blame == FAULT_BLAME_DOWNSTREAM;
        if (fake.ends_connection && !is_clients)
            fail_msg("%s ends the connection", fault_row((enum fault)fault)->name);
    }
    send_fault((struct reply_fault){.fault = FAULT_REQUEST_MALFORMED});
    assert_true(fake.ends_connection);
    send_fault((struct reply_fault){.fault = FAULT_REQUEST_TIMEOUT});
    assert_true(fake.ends_connection);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_sent_ended_and_let_go),
        cmocka_unit_test(the_date_is_the_present_one_in_the_right_form),
        cmocka_unit_test(an_answer_without_a_body_says_so),
        cmocka_unit_test(everything_that_may_be_sent_fits),
        cmocka_unit_test(each_fault_has_a_body_that_is_json),
        cmocka_unit_test(the_code_is_a_word_of_the_v2_api),
        cmocka_unit_test(a_write_gets_the_status_of_writes),
        cmocka_unit_test(v1_clients_find_the_sentence_in_a_field),
        cmocka_unit_test(retry_after_belongs_to_503),
        cmocka_unit_test(a_call_gets_one_head_that_is_all_of_the_answer),
        cmocka_unit_test(only_a_request_that_cannot_be_trusted_ends_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
