/* The fault table: complete, told apart by name, and never in words or statuses that make a client throw data away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/fault.h"
#include "base/grpc_status.h"
#include "base/text.h"

static void each_fault_has_a_row_of_its_own(void **state)
{
    (void)state;
    for (int fault = 0; fault < FAULT_COUNT; fault++) {
        const struct fault_row *row = fault_row((enum fault)fault);
        if (row->name == NULL || row->name[0] == '\0' || row->text == NULL || row->text[0] == '\0')
            fail_msg("fault number %d has no name or no text", fault);
        for (int other = 0; other < fault; other++)
            assert_string_not_equal(row->name, fault_row((enum fault)other)->name);
    }
}

/* Names are labels in metrics and keys in logs; texts go into JSON and header fields. */
static void names_and_texts_need_no_escaping(void **state)
{
    (void)state;
    for (int fault = 0; fault < FAULT_COUNT; fault++) {
        const struct fault_row *row = fault_row((enum fault)fault);
        assert_int_equal(strspn(row->name, "abcdefghijklmnopqrstuvwxyz_"), strlen(row->name));
        for (const char *c = row->text; *c != '\0'; c++)
            assert_true(*c >= ' ' && *c < 0x7f && *c != '"' && *c != '\\' && *c != '%');
        assert_true(row->text[strlen(row->text) - 1] != '.');
    }
}

static bool contains(const char *haystack, const char *needle)
{
    for (; *haystack != '\0'; haystack++) {
        size_t i = 0;
        while (needle[i] != '\0' && text_lower(haystack[i]) == text_lower(needle[i]))
            i++;
        if (needle[i] == '\0')
            return true;
    }
    return false;
}

/* Clients look for these in an error and then drop the batch, split it, or take it for stored. */
static void no_text_says_what_clients_act_on(void **state)
{
    (void)state;
    static const char *const forbidden[] = {
        "database not found",
        "retention policy not found",
        "hinted handoff queue not empty",
        "partial write",
        "points beyond retention policy",
        "unable to parse",
        "field type conflict",
        "cache-max-memory-size exceeded",
        "authorization failed",
        "user is required",
        "partial write of line protocol occurred",
        "line protocol parsing error",
        "parsing failed for write_lp endpoint",
    };
    for (int fault = 0; fault < FAULT_COUNT; fault++) {
        const struct fault_row *row = fault_row((enum fault)fault);
        for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++) {
            if (contains(row->text, forbidden[i]) || contains(row->name, forbidden[i]))
                fail_msg("%s: its text contains \"%s\"", row->name, forbidden[i]);
        }
    }
    assert_true(contains("A Partial Write here", "partial write"));
    assert_false(contains("a partial writ", "partial write"));
}

static void statuses_are_errors(void **state)
{
    (void)state;
    for (int fault = FAULT_NONE + 1; fault < FAULT_COUNT; fault++) {
        const struct fault_row *row = fault_row((enum fault)fault);
        assert_in_range(row->http_status, 400, 599);
        assert_in_range(row->write_status, 400, 599);
        assert_in_range(row->grpc_status, 1, 16);
        /* Several clients drop a batch on these two, whoever is to blame. */
        assert_int_not_equal(row->write_status, 429);
        assert_int_not_equal(row->write_status, 404);
        assert_int_not_equal(row->blame, FAULT_BLAME_NOBODY);
    }
}

/* Whatever a later try may mend is 503 to a write, which no client drops. */
static void writes_that_may_succeed_later_get_503(void **state)
{
    (void)state;
    for (int fault = FAULT_NONE + 1; fault < FAULT_COUNT; fault++) {
        const struct fault_row *row = fault_row((enum fault)fault);
        if (row->repeat != FAULT_REPEAT_NEVER && row->write_status != 503)
            fail_msg("%s may be repeated, but a write gets %u", row->name, row->write_status);
        if (row->blame != FAULT_BLAME_DOWNSTREAM && row->write_status != 503)
            fail_msg("%s is not the client's fault, but a write gets %u", row->name, row->write_status);
        if (row->blame != FAULT_BLAME_DOWNSTREAM && row->http_status < 500)
            fail_msg("%s is not the client's fault, but it gets %u", row->name, row->http_status);
        if (row->blame == FAULT_BLAME_DOWNSTREAM)
            assert_int_equal(row->repeat, FAULT_REPEAT_NEVER);
    }
}

/*
 * A gRPC client is told UNAVAILABLE when a later try may succeed and when nobody can know. RESOURCE_EXHAUSTED is for what is too
 * large, because some clients call that an invalid argument.
 */
static void calls_that_may_succeed_later_are_unavailable(void **state)
{
    (void)state;
    for (int fault = FAULT_NONE + 1; fault < FAULT_COUNT; fault++) {
        const struct fault_row *row = fault_row((enum fault)fault);
        bool is_timeout = fault == FAULT_UPSTREAM_TIMEOUT;
        bool is_nonsense = fault == FAULT_UPSTREAM_MALFORMED;
        if (row->repeat != FAULT_REPEAT_NEVER && !is_timeout && !is_nonsense && row->grpc_status != GRPC_STATUS_UNAVAILABLE)
            fail_msg("%s may be repeated, but a gRPC client gets %u", row->name, row->grpc_status);
        if (row->http_status == 503 && row->grpc_status != GRPC_STATUS_UNAVAILABLE)
            fail_msg("%s is 503, but a gRPC client gets %u", row->name, row->grpc_status);
        if (row->grpc_status == GRPC_STATUS_RESOURCE_EXHAUSTED && row->http_status != 413 && row->http_status != 429)
            fail_msg("%s is not the size or number of the client's requests", row->name);
        assert_in_range(row->grpc_status, GRPC_STATUS_OK + 1, GRPC_STATUS_COUNT - 1);
        /* What only the application can know. */
        assert_int_not_equal(row->grpc_status, GRPC_STATUS_NOT_FOUND);
        assert_int_not_equal(row->grpc_status, GRPC_STATUS_PERMISSION_DENIED);
        assert_int_not_equal(row->grpc_status, GRPC_STATUS_UNAUTHENTICATED);
    }
    assert_int_equal(fault_row(FAULT_GRPC_DEADLINE)->grpc_status, GRPC_STATUS_DEADLINE_EXCEEDED);
    assert_int_equal(fault_row(FAULT_GRPC_DEADLINE)->http_status, 504);
    assert_int_equal(fault_row(FAULT_DOWNSTREAM_GONE)->grpc_status, GRPC_STATUS_CANCELLED);
}

/* What HTTP/2 adds: a refused stream was not acted on, an attack is the client's, and neither makes a node look ill. */
static void http2_faults_blame_the_right_side(void **state)
{
    (void)state;
    const struct fault_row *refused = fault_row(FAULT_UPSTREAM_REFUSED_STREAM);
    assert_string_equal(refused->name, "refused_stream");
    assert_int_equal(refused->repeat, FAULT_REPEAT_UNSENT);
    assert_int_equal(refused->blame, FAULT_BLAME_UPSTREAM);
    const struct fault_row *abuse = fault_row(FAULT_DOWNSTREAM_ABUSE);
    assert_string_equal(abuse->name, "abuse");
    assert_int_equal(abuse->blame, FAULT_BLAME_DOWNSTREAM);
    assert_int_equal(abuse->http_status, 429);
    assert_int_equal(abuse->write_status, 503);
    const struct fault_row *unavailable = fault_row(FAULT_UPSTREAM_UNAVAILABLE);
    assert_int_equal(unavailable->repeat, FAULT_REPEAT_UNKNOWN);
    assert_int_equal(fault_row(FAULT_UPSTREAM_VERSION)->repeat, FAULT_REPEAT_UNSENT);
    assert_string_equal(fault_row(FAULT_GRPC_DEADLINE)->name, "grpc_deadline");
}

/* A slow client is not to lose its batch over it: 408 would be dropped. */
static void a_slow_write_may_come_again(void **state)
{
    (void)state;
    assert_int_equal(fault_row(FAULT_REQUEST_TIMEOUT)->http_status, 408);
    assert_int_equal(fault_row(FAULT_REQUEST_TIMEOUT)->write_status, 503);
}

/* Only what says that the node cannot be reached sets it aside; a busy router or a strange answer does not. */
static void only_failures_to_connect_count_for_health(void **state)
{
    (void)state;
    static const enum fault counting[] = {FAULT_RESOLVE, FAULT_CONNECT_REFUSED, FAULT_CONNECT_TIMEOUT,
                                          FAULT_CONNECT_FAILED, FAULT_TLS_FAILED, FAULT_TLS_UNVERIFIED};
    unsigned found = 0;
    for (int fault = 0; fault < FAULT_COUNT; fault++) {
        const struct fault_row *row = fault_row((enum fault)fault);
        if (!row->counts_for_health)
            continue;
        found++;
        assert_int_equal(row->repeat, FAULT_REPEAT_UNSENT);
        assert_int_equal(row->blame, FAULT_BLAME_UPSTREAM);
    }
    for (size_t i = 0; i < sizeof(counting) / sizeof(counting[0]); i++)
        assert_true(fault_row(counting[i])->counts_for_health);
    assert_int_equal(found, sizeof(counting) / sizeof(counting[0]));
}

static void no_number_is_without_a_row(void **state)
{
    (void)state;
    assert_ptr_equal(fault_row(FAULT_COUNT), fault_row(FAULT_NONE));
    assert_ptr_equal(fault_row((enum fault) - 1), fault_row(FAULT_NONE));
    assert_string_equal(fault_row(FAULT_NONE)->name, "none");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_fault_has_a_row_of_its_own),           cmocka_unit_test(names_and_texts_need_no_escaping),
        cmocka_unit_test(no_text_says_what_clients_act_on),          cmocka_unit_test(statuses_are_errors),
        cmocka_unit_test(writes_that_may_succeed_later_get_503),     cmocka_unit_test(a_slow_write_may_come_again),
        cmocka_unit_test(calls_that_may_succeed_later_are_unavailable), cmocka_unit_test(http2_faults_blame_the_right_side),
        cmocka_unit_test(only_failures_to_connect_count_for_health), cmocka_unit_test(no_number_is_without_a_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
