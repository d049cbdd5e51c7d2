#include "observe/metrics.h"

#include <stdlib.h>

#include "base/text.h"

#define TEXT_BYTES 65536

struct output {
    char *bytes;
    size_t used;
    const struct metrics *const *slices;
    size_t count;
};

/* The sum of one counter, given by its place in the slice. */
static unsigned long sum(const struct output *output, size_t offset)
{
    unsigned long total = 0;
    for (size_t i = 0; i < output->count; i++) {
        const char *slice = (const char *)output->slices[i];
        total += atomic_load_explicit((const atomic_ulong *)(const void *)(slice + offset), memory_order_relaxed);
    }
    return total;
}

static void put_head(struct output *output, const char *name, const char *help)
{
    output->used = text_append(output->bytes, TEXT_BYTES, output->used, "# HELP %s %s\n# TYPE %s counter\n", name, help,
                               name);
}

static void put_counter(struct output *output, const char *name, const char *help, size_t offset)
{
    put_head(output, name, help);
    output->used = text_append(output->bytes, TEXT_BYTES, output->used, "%s %lu\n", name, sum(output, offset));
}

static void put_responses(struct output *output)
{
    static const char *const groups[METRICS_STATUS_GROUPS] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
    put_head(output, "sluice_responses_total", "Finished exchanges by class and status; none: the client had gone.");
    for (unsigned class = 0; class < REQUEST_CLASS_COUNT; class++) {
        for (unsigned group = 0; group < METRICS_STATUS_GROUPS; group++) {
            size_t offset = offsetof(struct metrics, responses) +
                            (class * METRICS_STATUS_GROUPS + group) * sizeof(atomic_ulong);
            output->used = text_append(output->bytes, TEXT_BYTES, output->used,
                                       "sluice_responses_total{class=\"%s\",status=\"%s\"} %lu\n",
                                       request_class_name((enum request_class)class), groups[group],
                                       sum(output, offset));
        }
    }
}

static void put_grpc_responses(struct output *output)
{
    put_head(output, "sluice_grpc_responses_total", "Finished gRPC calls by status; UNKNOWN: the node gave none.");
    for (unsigned status = 0; status < GRPC_STATUS_COUNT; status++)
        output->used = text_append(
            output->bytes, TEXT_BYTES, output->used, "sluice_grpc_responses_total{status=\"%s\"} %lu\n",
            grpc_status_name((enum grpc_status)status),
            sum(output, offsetof(struct metrics, grpc_responses) + status * sizeof(atomic_ulong)));
}

static void put_faults(struct output *output)
{
    put_head(output, "sluice_faults_total", "Exchanges that ended in a fault of this kind; of abuse, connections.");
    for (unsigned fault = 1; fault < FAULT_COUNT; fault++)
        output->used = text_append(output->bytes, TEXT_BYTES, output->used, "sluice_faults_total{fault=\"%s\"} %lu\n",
                                   fault_row((enum fault)fault)->name,
                                   sum(output, offsetof(struct metrics, faults) + fault * sizeof(atomic_ulong)));
}

static void put_node_errors(struct output *output)
{
    put_head(output, "sluice_node_errors_total", "Answers of nodes that are errors, by cause; unknown: words that Sluice does not know.");
    for (unsigned cause = ANSWER_CAUSE_NONE + 1; cause < ANSWER_CAUSE_COUNT; cause++)
        output->used = text_append(output->bytes, TEXT_BYTES, output->used, "sluice_node_errors_total{cause=\"%s\"} %lu\n",
                                   answer_cause_name((enum answer_cause)cause),
                                   sum(output, offsetof(struct metrics, node_errors) + cause * sizeof(atomic_ulong)));
}

const char *metrics_proxy_refusal_name(enum metrics_proxy_refusal refusal)
{
    static const char *const names[METRICS_PROXY_COUNT] = {
        [METRICS_PROXY_UNLISTED] = "unlisted",
        [METRICS_PROXY_MALFORMED] = "malformed",
        [METRICS_PROXY_TRUNCATED] = "truncated",
        [METRICS_PROXY_TIMEOUT] = "timeout",
    };
    return names[refusal];
}

static void put_proxy_refusals(struct output *output)
{
    put_head(output, "sluice_proxy_protocol_refused_total", "Connections closed before a PROXY header was accepted.");
    for (unsigned refusal = 0; refusal < METRICS_PROXY_COUNT; refusal++)
        output->used = text_append(output->bytes, TEXT_BYTES, output->used,
                                   "sluice_proxy_protocol_refused_total{reason=\"%s\"} %lu\n",
                                   metrics_proxy_refusal_name((enum metrics_proxy_refusal)refusal),
                                   sum(output, offsetof(struct metrics, proxy_refusals) + refusal * sizeof(atomic_ulong)));
}

static void put_handshakes(struct output *output)
{
    put_head(output, "sluice_tls_handshakes_total", "TLS handshakes of clients; resumed ones continue an earlier session.");
    output->used = text_append(output->bytes, TEXT_BYTES, output->used,
                               "sluice_tls_handshakes_total{kind=\"full\"} %lu\n"
                               "sluice_tls_handshakes_total{kind=\"resumed\"} %lu\n",
                               sum(output, offsetof(struct metrics, tls_handshakes_full)),
                               sum(output, offsetof(struct metrics, tls_handshakes_resumed)));
    put_counter(output, "sluice_tls_handshake_failures_total", "TLS handshakes of clients that did not come about.",
                offsetof(struct metrics, tls_handshake_failures));
}

char *metrics_format(const struct metrics *const *slices, size_t count, size_t *length)
{
    struct output output = {.bytes = malloc(TEXT_BYTES), .slices = slices, .count = count};
    if (output.bytes == NULL)
        return NULL;
    put_responses(&output);
    put_grpc_responses(&output);
    put_faults(&output);
    put_node_errors(&output);
    put_counter(&output, "sluice_retries_total", "Attempts after the first.", offsetof(struct metrics, retries));
    put_counter(&output, "sluice_hedges_total", "Queries that went to a second node beside the first.", offsetof(struct metrics, hedges));
    put_counter(&output, "sluice_hedges_won_total", "Of them, those that the second one answered first.", offsetof(struct metrics, hedges_won));
    put_counter(&output, "sluice_retries_spent_total", "Repeats that took a token of the budget.", offsetof(struct metrics, retries_spent));
    put_counter(&output, "sluice_retries_waited_total", "Repeats that had to wait for a token.", offsetof(struct metrics, retries_waited));
    put_counter(&output, "sluice_retries_expired_total", "Repeats for which no token came before their deadline.",
                offsetof(struct metrics, retries_expired));
    put_counter(&output, "sluice_node_ejections_total", "Times that a node was set aside for a class by its own answers.",
                offsetof(struct metrics, ejections));
    put_counter(&output, "sluice_request_body_bytes_total", "Bytes of request bodies.",
                offsetof(struct metrics, request_bytes));
    put_counter(&output, "sluice_response_body_bytes_total", "Bytes of response bodies.",
                offsetof(struct metrics, response_bytes));
    put_counter(&output, "sluice_sessions_opened_total", "Accepted connections.",
                offsetof(struct metrics, sessions_opened));
    put_counter(&output, "sluice_sessions_closed_total", "Accepted connections that are gone.",
                offsetof(struct metrics, sessions_closed));
    put_counter(&output, "sluice_sessions_shed_total", "Idle connections that were ended, because limits.connections was reached.",
                offsetof(struct metrics, sessions_shed));
    put_proxy_refusals(&output);
    put_handshakes(&output);
    *length = output.used;
    return output.bytes;
}
