/* The routes that Sluice answers itself: OPTIONS, and the cluster's health. */
#include <stdlib.h>
#include <string.h>

#include "downstream/reply.h"
#include "exchange/state.h"
#include "upstream/lease.h"

static bool any_usable(const struct epoch *epoch, enum request_class class, unsigned capability)
{
    const struct topology *topology = epoch->topology;
    for (size_t i = 0; i < topology->node_count; i++) {
        if ((topology->nodes[i].capabilities & capability) != 0 && roster_node_is_usable(epoch->nodes[i], class))
            return true;
    }
    return false;
}

/* For some class of those that its modes serve. */
static bool is_usable(const struct topology_node *node, const struct roster_node *shared)
{
    return ((node->capabilities & NODE_CAPABILITY_INGEST) != 0 && roster_node_is_usable(shared, REQUEST_CLASS_WRITE)) ||
           ((node->capabilities & NODE_CAPABILITY_QUERY) != 0 && roster_node_is_usable(shared, REQUEST_CLASS_QUERY)) ||
           ((node->capabilities & NODE_CAPABILITY_COMPACT) != 0 && roster_node_is_usable(shared, REQUEST_CLASS_COMPACTION)) ||
           ((node->capabilities & NODE_CAPABILITY_PROCESS) != 0 && roster_node_is_usable(shared, REQUEST_CLASS_ENGINE));
}

static const char *yes_or_no(bool value)
{
    return value ? "true" : "false";
}

struct cluster_health {
    bool can_write;
    bool can_query;
};

static size_t room_for_health(const struct topology *topology)
{
    size_t bytes = 512 + strlen(topology->cluster_id);
    for (size_t i = 0; i < topology->node_count; i++)
        bytes += 48 + strlen(topology->nodes[i].node_id);
    return bytes;
}

/* In the shape of InfluxDB's own health answers ("status": pass or fail), with what the cluster can do now. */
static size_t format_health(const struct epoch *epoch, bool is_ready, const struct cluster_health *health, char *body, size_t capacity)
{
    const struct topology *topology = epoch->topology;
    size_t used = text_append(body, capacity, 0,
                              "{\"name\":\"sluice\",\"status\":\"%s\",\"cluster_id\":\"%s\",\"write\":%s,\"query\":%s,"
                              "\"compaction\":%s,\"nodes\":[",
                              is_ready ? "pass" : "fail", topology->cluster_id, yes_or_no(health->can_write),
                              yes_or_no(health->can_query),
                              yes_or_no(any_usable(epoch, REQUEST_CLASS_COMPACTION, NODE_CAPABILITY_COMPACT)));
    for (size_t i = 0; i < topology->node_count; i++)
        used = text_append(body, capacity, used, "%s{\"node_id\":\"%s\",\"usable\":%s}", i == 0 ? "" : ",",
                           topology->nodes[i].node_id, yes_or_no(is_usable(&topology->nodes[i], epoch->nodes[i])));
    return text_append(body, capacity, used, "]}\n");
}

static void answer_health(struct exchange *exchange, bool is_readiness)
{
    const struct epoch *epoch = exchange->lease->epoch;
    struct cluster_health health = {
        .can_write = any_usable(epoch, REQUEST_CLASS_WRITE, NODE_CAPABILITY_INGEST),
        .can_query = any_usable(epoch, REQUEST_CLASS_QUERY, NODE_CAPABILITY_QUERY),
    };
    bool is_draining = atomic_load_explicit(&epoch->roster->draining, memory_order_relaxed) != 0;
    bool is_ready = health.can_write && health.can_query && !(is_readiness && is_draining);
    size_t capacity = room_for_health(epoch->topology);
    char *body = malloc(capacity);
    if (body == NULL) {
        exchange_answer_fault(exchange, FAULT_OUT_OF_MEMORY);
        return;
    }
    struct reply reply = {
        .status = is_ready ? 200 : 503,
        .content_type = TEXT("application/json"),
        .body = text_of(body, format_health(epoch, is_ready, &health, body, capacity)),
        .request_id = exchange_request_id(exchange),
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
        .origins = REPLY_ORIGINS_PREFLIGHT,
        .request_id = exchange_request_id(exchange),
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
