/* The routes that Sluice answers itself: OPTIONS, and the cluster's health. */
#include <stdlib.h>

#include "downstream/reply.h"
#include "exchange/state.h"
#include "upstream/cluster.h"

#define BODY_BYTES 16384

static bool any_usable(const struct exchange *exchange, uint64_t usable, unsigned capability)
{
    const struct topology *topology = exchange->context->topology;
    for (size_t i = 0; i < topology->node_count; i++) {
        if ((usable >> i & 1) != 0 && (topology->nodes[i].capabilities & capability) != 0)
            return true;
    }
    return false;
}

static const char *yes_or_no(bool value)
{
    return value ? "true" : "false";
}

/* In the shape of InfluxDB's own health answers ("status": pass or fail), with what the cluster can do now. */
static size_t format_health(const struct exchange *exchange, bool is_ready, bool can_write, bool can_query,
                            char *body, size_t capacity)
{
    const struct topology *topology = exchange->context->topology;
    const struct cluster *cluster = exchange->context->cluster;
    uint64_t usable = cluster_usable_nodes(cluster);
    size_t used = text_append(body, capacity, 0,
                              "{\"name\":\"sluice\",\"status\":\"%s\",\"cluster_id\":\"%s\",\"write\":%s,\"query\":%s,"
                              "\"compaction\":%s,\"nodes\":[",
                              is_ready ? "pass" : "fail", topology->cluster_id, yes_or_no(can_write),
                              yes_or_no(can_query),
                              yes_or_no(any_usable(exchange, usable, NODE_CAPABILITY_COMPACT)));
    for (size_t i = 0; i < topology->node_count; i++)
        used = text_append(body, capacity, used, "%s{\"node_id\":\"%s\",\"usable\":%s}", i == 0 ? "" : ",",
                           topology->nodes[i].node_id, yes_or_no((usable >> i & 1) != 0));
    return text_append(body, capacity, used, "]}\n");
}

static void answer_health(struct exchange *exchange, bool is_readiness)
{
    uint64_t usable = cluster_usable_nodes(exchange->context->cluster);
    bool can_write = any_usable(exchange, usable, NODE_CAPABILITY_INGEST);
    bool can_query = any_usable(exchange, usable, NODE_CAPABILITY_QUERY);
    bool is_draining = atomic_load_explicit(&exchange->context->cluster->draining, memory_order_relaxed) != 0;
    bool is_ready = can_write && can_query && !(is_readiness && is_draining);
    char *body = malloc(BODY_BYTES);
    if (body == NULL) {
        exchange_answer_fault(exchange, FAULT_OUT_OF_MEMORY);
        return;
    }
    struct reply reply = {
        .status = is_ready ? 200 : 503,
        .content_type = TEXT("application/json"),
        .body = text_of(body, format_health(exchange, is_ready, can_write, can_query, body, BODY_BYTES)),
        .request_id = text_of(exchange->request_id, exchange->request_id_length),
    };
    exchange->status = reply.status;
    reply_send(exchange->downstream, &reply);
    free(body);
    exchange->downstream = NULL;
    exchange_finish(exchange);
}

/* The database answers OPTIONS on any path this way, before authentication (docs/database.md#routes). */
static void answer_options(struct exchange *exchange)
{
    struct reply reply = {
        .status = 204,
        .allow_all_origins = true,
        .request_id = text_of(exchange->request_id, exchange->request_id_length),
    };
    exchange->status = reply.status;
    reply_send(exchange->downstream, &reply);
    exchange->downstream = NULL;
    exchange_finish(exchange);
}

void local_answer(struct exchange *exchange)
{
    if (text_equals(exchange->head->method, TEXT("OPTIONS")))
        answer_options(exchange);
    else
        answer_health(exchange, text_equals(exchange->head->path, TEXT("/ready")));
}
