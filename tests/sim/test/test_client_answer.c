/* What clients look at in an answer: each rule fails when it should, and only then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "check/answer.h"
#include "kernel/time.h"
#include "kernel/world.h"
#include "world/client_answer.h"
#include "world/plan.h"

/* ---- an answer, as it comes ---- */

#define ERROR_OF_SLUICE "{\"error\":\"no usable node\",\"code\":\"unavailable\"}\n"

static const struct plan plan = {.node_count = 1, .faulty_seconds = 1000};
static struct client_answer answer;
static struct peer_head head;

static int open_book(void **state)
{
    (void)state;
    time_begin();
    the_plan = &plan;
    ledger_open();
    return 0;
}

static int close_book(void **state)
{
    (void)state;
    ledger_close();
    return 0;
}

static void expect_verdict(const char *rule)
{
    const char *verdict = ledger_verdict();
    if (rule == NULL) {
        assert_null(verdict);
        return;
    }
    assert_non_null(verdict);
    assert_string_equal(verdict, rule);
}

static void begin(enum try_kind kind, unsigned facts)
{
    memset(&answer, 0, sizeof answer);
    client_answer_begin(&answer, kind, ledger_begin(kind, 1), 1, facts);
    head.field_count = 0;
}

static void field(const char *name, const char *value)
{
    head.fields[head.field_count++] = (struct peer_field){text_of_string(name), text_of_string(value)};
}

static void come_head(unsigned status)
{
    head.status = status;
    client_answer_head(&answer, &head);
    head.field_count = 0;
}

static void come(const char *words)
{
    client_answer_body(&answer, text_of_string(words));
}

static void come_of_sluice(unsigned status, const char *words)
{
    field("server", "sluice");
    field("content-type", "application/json");
    come_head(status);
    come(words);
}

static void expect_end(enum try_end end, unsigned status)
{
    enum try_end ended = client_answer_end(&answer);
    assert_int_equal(ended, end);
    assert_int_equal(client_answer_status(&answer), status);
    ledger_end(answer.number, TRY_REFUSED, 0);
}

/* The try's own bytes, some at a time. */
static void come_own(uint64_t length, size_t piece)
{
    char buffer[512];
    for (uint64_t at = 0; at < length;) {
        size_t wanted = length - at < piece ? (size_t)(length - at) : piece;
        size_t count = answer_copy(answer.number, at, buffer, wanted);
        client_answer_body(&answer, text_of(buffer, count));
        at += count;
    }
}

static uint64_t begin_question(enum try_kind kind, unsigned facts)
{
    do {
        begin(kind, facts);
    } while (answer_length(answer.number) < 10 || answer_length(answer.number) > 4000);
    return answer_length(answer.number);
}

/* ---- queries ---- */

static void test_whole_answer(void **state)
{
    (void)state;
    uint64_t length = begin_question(TRY_QUERY, 0);
    come_head(200);
    come_own(length, 7);
    expect_end(TRY_DONE, 200);
    expect_verdict(NULL);
}

static void test_interim_answers(void **state)
{
    (void)state;
    uint64_t length = begin_question(TRY_QUERY, 0);
    come_head(100);
    come_head(103);
    come_head(200);
    come_own(length, 512);
    expect_end(TRY_DONE, 200);
    expect_verdict(NULL);
    begin(TRY_QUERY, 0);
    come_head(101);
    expect_verdict("odd_status");
}

static void test_answer_of_another(void **state)
{
    (void)state;
    begin_question(TRY_QUERY, 0);
    come_head(200);
    come("!!");
    expect_verdict("wrong_answer");
}

static void test_answer_too_long(void **state)
{
    (void)state;
    uint64_t length = begin_question(TRY_QUERY, 0);
    come_head(200);
    come_own(length, 512);
    expect_verdict(NULL);
    come("a");
    expect_verdict("wrong_answer");
}

static void test_cut_that_ends_cleanly(void **state)
{
    (void)state;
    uint64_t length = begin_question(TRY_QUERY, 0);
    come_head(200);
    come_own(length - 1, 512);
    expect_end(TRY_DONE, 200);
    expect_verdict("cut_ends_cleanly");
}

static void test_error_of_a_node(void **state)
{
    (void)state;
    begin(TRY_QUERY, 0);
    come_head(429);
    come("too many");
    expect_end(TRY_REFUSED, 429);
    expect_verdict(NULL);
}

static void test_errors_of_sluice(void **state)
{
    (void)state;
    static const unsigned statuses[] = {502, 503, 504};
    for (size_t i = 0; i < 3; i++) {
        begin(TRY_QUERY, 0);
        come_of_sluice(statuses[i], ERROR_OF_SLUICE);
        expect_end(TRY_REFUSED, statuses[i]);
    }
    begin(TRY_QUERY, ANSWER_OF_SLOW_BODY);
    come_of_sluice(408, ERROR_OF_SLUICE);
    expect_end(TRY_REFUSED, 408);
    expect_verdict(NULL);
}

static void test_odd_status_of_sluice(void **state)
{
    (void)state;
    begin(TRY_QUERY, 0);
    come_of_sluice(400, ERROR_OF_SLUICE);
    expect_end(TRY_REFUSED, 400);
    expect_verdict("odd_status");
}

static void test_forbidden_words(void **state)
{
    (void)state;
    begin(TRY_QUERY, 0);
    come_of_sluice(503, "{\"error\":\"database not found\"}\n");
    expect_end(TRY_REFUSED, 503);
    expect_verdict("forbidden_words");
}

static void test_error_that_is_no_json(void **state)
{
    (void)state;
    begin(TRY_QUERY, 0);
    come_of_sluice(503, "unavailable");
    expect_end(TRY_REFUSED, 503);
    expect_verdict("odd_answer");
}

static void test_named_node(void **state)
{
    (void)state;
    begin(TRY_CATALOG, ANSWER_OF_NAMED);
    field("x-sluice-node", ANSWER_NAMED_NODE);
    come_head(200);
    expect_end(TRY_DONE, 200);
    begin(TRY_CATALOG, ANSWER_OF_NAMED);
    come_of_sluice(421, ERROR_OF_SLUICE);
    expect_end(TRY_REFUSED, 421);
    expect_verdict(NULL);
    begin(TRY_CATALOG, ANSWER_OF_NAMED);
    field("x-sluice-node", "node-7");
    come_head(200);
    expect_verdict("other_node");
}

/* ---- writes ---- */

static void test_written(void **state)
{
    (void)state;
    begin(TRY_WRITE_PLAIN, 0);
    come_head(204);
    expect_end(TRY_DONE, 204);
    expect_verdict(NULL);
}

static void test_204_with_a_body(void **state)
{
    (void)state;
    begin(TRY_WRITE_PLAIN, 0);
    come_head(204);
    come("x");
    expect_end(TRY_DONE, 204);
    expect_verdict("odd_answer");
}

static void test_write_that_sluice_refuses(void **state)
{
    (void)state;
    static const unsigned dropping[] = {400, 404, 405, 408, 413, 429, 502, 504};
    begin(TRY_WRITE_STAMPED, 0);
    come_of_sluice(503, ERROR_OF_SLUICE);
    expect_end(TRY_REFUSED, 503);
    expect_verdict(NULL);
    for (size_t i = 0; i < sizeof dropping / sizeof dropping[0]; i++) {
        ledger_open();
        begin(TRY_WRITEBACK, 0);
        come_of_sluice(dropping[i], ERROR_OF_SLUICE);
        expect_end(TRY_REFUSED, dropping[i]);
        expect_verdict("drops_data");
    }
}

static void test_retry_after_of_sluice(void **state)
{
    (void)state;
    begin(TRY_WRITE_STAMPED, 0);
    field("retry-after", "5");
    come_of_sluice(503, ERROR_OF_SLUICE);
    expect_end(TRY_REFUSED, 503);
    expect_verdict("retry_after");
}

static void test_retry_after_of_a_node(void **state)
{
    (void)state;
    begin(TRY_WRITE_STAMPED, 0);
    field("retry-after", "5");
    come_head(429);
    expect_end(TRY_REFUSED, 429);
    expect_verdict(NULL);
    begin(TRY_WRITE_STAMPED, ANSWER_MISREADS_RETRY);
    field("retry-after", "5");
    come_head(429);
    expect_end(TRY_REFUSED, 429);
    expect_verdict("retry_after");
}

static void test_refusal_of_a_role(void **state)
{
    (void)state;
    begin(TRY_WRITE_STAMPED, 0);
    come_head(400);
    come("{\"code\":\"invalid\",\"message\":\"write buffer error: cannot write to a read-only server\"}");
    expect_end(TRY_REFUSED, 400);
    expect_verdict("drops_data");
}

/* ---- calls ---- */

static void come_message(uint64_t from, uint64_t length)
{
    char buffer[4096];
    const char prefix[5] = {0, 0, 0, (char)(length >> 8), (char)length};
    client_answer_body(&answer, text_of(prefix, 2));
    client_answer_body(&answer, text_of(prefix + 2, 3));
    client_answer_body(&answer, text_of(buffer, answer_copy(answer.number, from, buffer, (size_t)length)));
}

static void come_code(const char *code)
{
    field("grpc-status", code);
    client_answer_trailers(&answer, &head);
    head.field_count = 0;
}

static void test_whole_call(void **state)
{
    (void)state;
    uint64_t length = begin_question(TRY_FLIGHT, ANSWER_IS_CALL);
    come_head(200);
    come_message(0, 4);
    come_message(4, 0);
    come_message(4, length - 4);
    come_code("0");
    expect_end(TRY_DONE, 200);
    expect_verdict(NULL);
}

static void test_call_without_a_code(void **state)
{
    (void)state;
    uint64_t length = begin_question(TRY_FLIGHT, ANSWER_IS_CALL);
    come_head(200);
    come_message(0, length);
    expect_end(TRY_REFUSED, 500);
    expect_verdict("no_grpc_status");
}

static void test_call_that_is_cut_and_ends_well(void **state)
{
    (void)state;
    begin_question(TRY_FLIGHT, ANSWER_IS_CALL);
    come_head(200);
    come_message(0, 5);
    come_code("0");
    expect_end(TRY_DONE, 200);
    expect_verdict("cut_ends_cleanly");
}

static void test_call_that_ends_in_a_message(void **state)
{
    (void)state;
    uint64_t length = begin_question(TRY_FLIGHT, ANSWER_IS_CALL);
    come_head(200);
    come_message(0, length);
    client_answer_body(&answer, text_of("\0\0", 2));
    come_code("0");
    expect_end(TRY_DONE, 200);
    expect_verdict("cut_ends_cleanly");
}

static void test_call_that_breaks_aloud(void **state)
{
    (void)state;
    begin_question(TRY_FLIGHT, ANSWER_IS_CALL);
    come_head(200);
    come_message(0, 5);
    come_code("14");
    expect_end(TRY_REFUSED, 503);
    expect_verdict(NULL);
}

static void test_call_that_sluice_refuses(void **state)
{
    (void)state;
    begin(TRY_FLIGHT, ANSWER_IS_CALL);
    field("server", "sluice");
    field("grpc-status", "4");
    field("grpc-message", "the node did not answer in time");
    come_head(200);
    expect_end(TRY_REFUSED, 504);
    expect_verdict(NULL);
    begin(TRY_FLIGHT, ANSWER_IS_CALL);
    field("server", "sluice");
    field("grpc-status", "14");
    field("grpc-message", "partial write");
    come_head(200);
    expect_end(TRY_REFUSED, 503);
    expect_verdict("forbidden_words");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_book, close_book)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_whole_answer),
        TEST(test_interim_answers),
        TEST(test_answer_of_another),
        TEST(test_answer_too_long),
        TEST(test_cut_that_ends_cleanly),
        TEST(test_error_of_a_node),
        TEST(test_errors_of_sluice),
        TEST(test_odd_status_of_sluice),
        TEST(test_forbidden_words),
        TEST(test_error_that_is_no_json),
        TEST(test_named_node),
        TEST(test_written),
        TEST(test_204_with_a_body),
        TEST(test_write_that_sluice_refuses),
        TEST(test_retry_after_of_sluice),
        TEST(test_retry_after_of_a_node),
        TEST(test_refusal_of_a_role),
        TEST(test_whole_call),
        TEST(test_call_without_a_code),
        TEST(test_call_that_is_cut_and_ends_well),
        TEST(test_call_that_ends_in_a_message),
        TEST(test_call_that_breaks_aloud),
        TEST(test_call_that_sluice_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
