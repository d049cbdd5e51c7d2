/* What a node's error means: the rows of tests/answers/causes.txt, and what holds for all of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "routing/answer.h"

struct row {
    enum request_class class;
    enum route_repeat repeat;
    unsigned status;
    struct text cause;
    struct text meaning;
    char words[400];
};

static const char *const meanings[] = {"client", "refuses", "fails"};

static void read_words(struct text t, char *words)
{
    size_t used = 0;
    for (size_t i = 0; i < t.length; i++) {
        bool is_line_end = t.bytes[i] == '\\' && i + 1 < t.length && t.bytes[i + 1] == 'n';
        words[used++] = is_line_end ? '\n' : t.bytes[i];
        i += is_line_end;
    }
    words[used] = '\0';
}

static bool read_row(struct text line, struct row *row)
{
    struct text class = text_trim(text_cut(&line, '|'));
    uint64_t status;
    if (class.length == 0 || class.bytes[0] == '#')
        return false;
    bool is_safe = class.bytes[class.length - 1] == '*';
    bool is_write = text_starts_with(class, TEXT("write"));
    row->repeat = is_safe ? ROUTE_REPEAT_SAFE : is_write ? ROUTE_REPEAT_WRITE : ROUTE_REPEAT_UNSENT;
    assert_true(request_class_from_name(class.bytes, class.length - is_safe, &row->class));
    assert_true(text_to_u64(text_trim(text_cut(&line, '|')), &status));
    row->status = (unsigned)status;
    row->cause = text_trim(text_cut(&line, '|'));
    row->meaning = text_trim(text_cut(&line, '|'));
    line = text_trim(line);
    assert_true(line.length < sizeof row->words);
    read_words(line, row->words);
    return true;
}

static void judge_row(const struct row *row, unsigned number)
{
    /* On the heap without a NUL, so that the sanitizers see a read beyond the end. */
    size_t length = strlen(row->words);
    char *exact = malloc(length > 0 ? length : 1);
    memcpy(exact, row->words, length);
    enum answer_cause cause = answer_cause_of(row->class, row->status, text_of(exact, length));
    free(exact);
    enum answer_meaning meaning = answer_meaning_of(row->class, row->repeat, row->status, cause);
    if (!text_equals(row->cause, text_of_string(answer_cause_name(cause))) ||
        !text_equals(row->meaning, text_of_string(meanings[meaning])))
        fail_msg("causes.txt:%u: %s, %s", number, answer_cause_name(cause), meanings[meaning]);
    /* What is not the client's in any case is looked at first. */
    if (meaning != ANSWER_IS_THE_CLIENTS)
        assert_true(answer_needs_words(row->class, row->repeat, row->status));
}

static void each_row_has_its_cause_and_meaning(void **state)
{
    (void)state;
    FILE *file = fopen("tests/answers/causes.txt", "r");
    char line[600];
    unsigned number = 0, rows = 0;
    struct row row;
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        number++;
        struct text rest = text_of_string(line);
        if (!read_row(text_cut(&rest, '\n'), &row))
            continue;
        judge_row(&row, number);
        rows++;
    }
    fclose(file);
    assert_in_range(rows, 60, 1000);
}

static void only_errors_are_kept_back(void **state)
{
    (void)state;
    for (int class = 0; class < REQUEST_CLASS_COUNT; class ++) {
        for (int repeat = ROUTE_REPEAT_SAFE; repeat <= ROUTE_REPEAT_STREAMED; repeat++) {
            for (unsigned status = 100; status < 400; status++) {
                assert_false(answer_needs_words((enum request_class) class, (enum route_repeat)repeat, status));
                assert_int_equal(answer_cause_of((enum request_class) class, status, TEXT("wal is shutdown")), ANSWER_CAUSE_NONE);
            }
        }
    }
}

/* A writer that drops its batch at a 4xx hears none that is a node's fault; what is the client's is never hidden. */
static void what_is_hidden_is_a_nodes_fault(void **state)
{
    (void)state;
    for (int cause = 0; cause < ANSWER_CAUSE_COUNT; cause++) {
        bool is_hidden = answer_is_hidden(REQUEST_CLASS_WRITE, (enum answer_cause)cause);
        enum answer_meaning meaning = answer_meaning_of(REQUEST_CLASS_WRITE, ROUTE_REPEAT_WRITE, 400, (enum answer_cause)cause);
        if (is_hidden)
            assert_int_not_equal(meaning, ANSWER_IS_THE_CLIENTS);
        if (meaning == ANSWER_FAILS && cause != ANSWER_CAUSE_GATEWAY)
            assert_true(is_hidden);
        assert_false(answer_is_hidden(REQUEST_CLASS_QUERY, (enum answer_cause)cause));
    }
}

static void what_counts_against_a_node(void **state)
{
    (void)state;
    assert_true(answer_counts_against_node(REQUEST_CLASS_QUERY, 500, ANSWER_CAUSE_UNKNOWN));
    assert_true(answer_counts_against_node(REQUEST_CLASS_QUERY, 503, ANSWER_CAUSE_GATEWAY));
    assert_true(answer_counts_against_node(REQUEST_CLASS_QUERY, 429, ANSWER_CAUSE_MEMORY));
    assert_true(answer_counts_against_node(REQUEST_CLASS_WRITE, 400, ANSWER_CAUSE_OBJECT_STORE));
    assert_false(answer_counts_against_node(REQUEST_CLASS_WRITE, 400, ANSWER_CAUSE_UNKNOWN));
    assert_false(answer_counts_against_node(REQUEST_CLASS_QUERY, 401, ANSWER_CAUSE_CLIENT));
    assert_false(answer_counts_against_node(REQUEST_CLASS_WRITE, 422, ANSWER_CAUSE_LIMIT));
    assert_false(answer_counts_against_node(REQUEST_CLASS_FLIGHT, 500, ANSWER_CAUSE_UNAVAILABLE));
    assert_false(answer_counts_against_node(REQUEST_CLASS_ENGINE, 500, ANSWER_CAUSE_UNKNOWN));
}

static void calls_say_it_by_their_status(void **state)
{
    (void)state;
    static const struct {
        enum grpc_status status;
        const char *message;
        enum answer_cause cause;
        enum answer_meaning meaning;
    } calls[] = {
        {GRPC_STATUS_OK, "", ANSWER_CAUSE_NONE, ANSWER_IS_THE_CLIENTS},
        {GRPC_STATUS_UNAVAILABLE, "", ANSWER_CAUSE_UNAVAILABLE, ANSWER_FAILS},
        {GRPC_STATUS_RESOURCE_EXHAUSTED, "Resources exhausted: x", ANSWER_CAUSE_MEMORY, ANSWER_FAILS},
        {GRPC_STATUS_RESOURCE_EXHAUSTED, "", ANSWER_CAUSE_MEMORY, ANSWER_FAILS},
        {GRPC_STATUS_RESOURCE_EXHAUSTED, "grpc-timeout elapsed", ANSWER_CAUSE_CLIENT, ANSWER_IS_THE_CLIENTS},
        {GRPC_STATUS_RESOURCE_EXHAUSTED, "grpc-timeout%20elapsed", ANSWER_CAUSE_CLIENT, ANSWER_IS_THE_CLIENTS},
        {GRPC_STATUS_INTERNAL, "", ANSWER_CAUSE_UNKNOWN, ANSWER_IS_THE_CLIENTS},
        {GRPC_STATUS_NOT_FOUND, "", ANSWER_CAUSE_CLIENT, ANSWER_IS_THE_CLIENTS},
        {GRPC_STATUS_UNAUTHENTICATED, "", ANSWER_CAUSE_CLIENT, ANSWER_IS_THE_CLIENTS},
        {GRPC_STATUS_CANCELLED, "", ANSWER_CAUSE_CLIENT, ANSWER_IS_THE_CLIENTS},
    };
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        enum answer_cause cause = answer_cause_of_call(calls[i].status, text_of_string(calls[i].message));
        assert_int_equal(cause, calls[i].cause);
        assert_int_equal(answer_meaning_of_call(cause), calls[i].meaning);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row_has_its_cause_and_meaning),
        cmocka_unit_test(only_errors_are_kept_back),
        cmocka_unit_test(what_is_hidden_is_a_nodes_fault),
        cmocka_unit_test(what_counts_against_a_node),
        cmocka_unit_test(calls_say_it_by_their_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
