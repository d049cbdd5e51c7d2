/* Counters of several workers, added up, in a text that Prometheus reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "observe/metrics.h"

static struct metrics slices[3];

static char *format(size_t count)
{
    const struct metrics *const pointers[] = {&slices[0], &slices[1], &slices[2]};
    size_t length = 0;
    char *text = metrics_format(pointers, count, &length);
    assert_non_null(text);
    assert_int_equal(strlen(text), length);
    return text;
}

static int set_up(void **state)
{
    (void)state;
    memset(slices, 0, sizeof slices);
    return 0;
}

static void assert_line(const char *text, const char *line)
{
    char wanted[256];
    snprintf(wanted, sizeof wanted, "\n%s\n", line);
    if (strstr(text, wanted) == NULL)
        fail_msg("there is no line %s", line);
}

static void each_counter_has_a_line_of_its_own(void **state)
{
    (void)state;
    metrics_add(&slices[0].retries, 1);
    metrics_add(&slices[0].request_bytes, 2);
    metrics_add(&slices[0].response_bytes, 3);
    metrics_add(&slices[0].sessions_opened, 4);
    metrics_add(&slices[0].sessions_closed, 5);
    metrics_add(&slices[0].tls_handshakes_full, 9);
    metrics_add(&slices[0].tls_handshakes_resumed, 10);
    metrics_add(&slices[0].tls_handshake_failures, 11);
    metrics_add(&slices[0].faults[FAULT_NO_NODE], 6);
    metrics_add(&slices[0].proxy_refusals[METRICS_PROXY_TIMEOUT], 9);
    metrics_add(&slices[0].responses[REQUEST_CLASS_WRITE][2], 7);
    metrics_add(&slices[0].responses[REQUEST_CLASS_UNKNOWN][0], 8);
    metrics_add(&slices[0].grpc_responses[GRPC_STATUS_OK], 9);
    metrics_add(&slices[0].grpc_responses[GRPC_STATUS_UNAUTHENTICATED], 10);
    char *text = format(1);
    assert_line(text, "sluice_retries_total 1");
    assert_line(text, "sluice_request_body_bytes_total 2");
    assert_line(text, "sluice_response_body_bytes_total 3");
    assert_line(text, "sluice_sessions_opened_total 4");
    assert_line(text, "sluice_sessions_closed_total 5");
    assert_line(text, "sluice_tls_handshakes_total{kind=\"full\"} 9");
    assert_line(text, "sluice_tls_handshakes_total{kind=\"resumed\"} 10");
    assert_line(text, "sluice_tls_handshake_failures_total 11");
    assert_line(text, "sluice_faults_total{fault=\"no_node\"} 6");
    assert_line(text, "sluice_proxy_protocol_refused_total{reason=\"timeout\"} 9");
    assert_line(text, "sluice_responses_total{class=\"write\",status=\"2xx\"} 7");
    assert_line(text, "sluice_responses_total{class=\"unknown\",status=\"none\"} 8");
    assert_line(text, "sluice_grpc_responses_total{status=\"OK\"} 9");
    assert_line(text, "sluice_grpc_responses_total{status=\"UNAUTHENTICATED\"} 10");
    assert_line(text, "sluice_grpc_responses_total{status=\"UNAVAILABLE\"} 0");
    assert_line(text, "sluice_responses_total{class=\"query\",status=\"5xx\"} 0");
    free(text);
}

static void workers_are_added_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        metrics_add(&slices[i].retries, 10 + i);
        metrics_add(&slices[i].faults[FAULT_UPSTREAM_RESET], 1);
        metrics_add(&slices[i].grpc_responses[GRPC_STATUS_NOT_FOUND], 2);
        metrics_add(&slices[i].responses[REQUEST_CLASS_QUERY][5], UINT64_C(5000000000));
    }
    char *text = format(3);
    assert_line(text, "sluice_retries_total 33");
    assert_line(text, "sluice_faults_total{fault=\"upstream_reset\"} 3");
    assert_line(text, "sluice_grpc_responses_total{status=\"NOT_FOUND\"} 6");
    assert_line(text, "sluice_responses_total{class=\"query\",status=\"5xx\"} 15000000000");
    free(text);
    text = format(0);
    assert_line(text, "sluice_retries_total 0");
    free(text);
}

/* Every line is a help, a type, or a sample of the metric named last, with a bounded set of labels. */
static void the_text_is_what_prometheus_reads(void **state)
{
    (void)state;
    char *text = format(3);
    char metric[64] = "";
    size_t samples = 0;
    size_t heads = 0;
    struct text rest = text_of_string(text);
    while (rest.length > 0) {
        struct text line = text_cut(&rest, '\n');
        char copy[256];
        assert_in_range(line.length, 1, sizeof copy - 1);
        memcpy(copy, line.bytes, line.length);
        copy[line.length] = '\0';
        if (sscanf(copy, "# HELP %63s", metric) == 1) {
            assert_true(text_starts_with(text_of_string(metric), TEXT("sluice_")));
            assert_string_equal(metric + strlen(metric) - 6, "_total");
            heads++;
            continue;
        }
        char type[256];
        snprintf(type, sizeof type, "# TYPE %s counter", metric);
        if (copy[0] == '#') {
            assert_string_equal(copy, type);
            continue;
        }
        assert_memory_equal(copy, metric, strlen(metric));
        assert_string_equal(strrchr(copy, ' '), " 0");
        samples++;
    }
    assert_int_equal(heads, 19);
    assert_int_equal(samples, REQUEST_CLASS_COUNT * METRICS_STATUS_GROUPS + GRPC_STATUS_COUNT + FAULT_COUNT - 1 + 15 +
                                  ANSWER_CAUSE_COUNT - 1 +
                                  METRICS_PROXY_COUNT);
    assert_int_equal(text[strlen(text) - 1], '\n');
    free(text);
}

/* However large the numbers, nothing is cut. */
static void the_largest_numbers_fit(void **state)
{
    (void)state;
    memset(&slices[0], 0xff, sizeof slices[0]);
    char *text = format(1);
    assert_line(text, "sluice_sessions_closed_total 18446744073709551615");
    assert_string_equal(strrchr(text, ' '), " 18446744073709551615\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_counter_has_a_line_of_its_own, set_up),
        cmocka_unit_test_setup(workers_are_added_up, set_up),
        cmocka_unit_test_setup(the_text_is_what_prometheus_reads, set_up),
        cmocka_unit_test_setup(the_largest_numbers_fit, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
