/* The routes that Sluice answers itself: OPTIONS, and the cluster's health. */
#include <stdlib.h>
#include <string.h>

#include "downstream/reply.h"
#include "exchange/state.h"
#include "upstream/lease.h"
#include "upstream/serving.h"

static const char *yes_or_no(bool value)
{
    return value ? "true" : "false";
}

static size_t room_for_health(const struct topology *topology)
{
    size_t bytes = 512 + strlen(topology->cluster_id);
    for (size_t i = 0; i < topology->node_count; i++)
        bytes += 48 + strlen(topology->nodes[i].node_id);
    return bytes;
}

static bool is_draining(const struct epoch *epoch)
{
    return atomic_load_explicit(&epoch->roster->draining, memory_order_relaxed) != 0;
}

/* In the shape of InfluxDB's own health answers ("status": pass or fail), with what the cluster can do now. */
static size_t format_health(const struct epoch *epoch, bool is_ready, char *body, size_t capacity)
{
    const struct topology *topology = epoch->topology;
    size_t used = text_append(body, capacity, 0, "{\"name\":\"sluice\",\"status\":\"%s\",\"cluster_id\":\"%s\",\"draining\":%s",
                              is_ready ? "pass" : "fail", topology->cluster_id, yes_or_no(is_draining(epoch)));
    for (size_t i = 0; i < SERVING_KINDS; i++)
        used = text_append(body, capacity, used, ",\"%s\":%s", serving_kinds[i].name.bytes,
                           yes_or_no(serving_any(epoch, &serving_kinds[i])));
    unsigned all_down = serving_all_down(epoch);
    used = text_append(body, capacity, used, ",\"nodes\":[");
    for (unsigned i = 0; i < topology->node_count; i++)
        used = text_append(body, capacity, used, "%s{\"node_id\":\"%s\",\"usable\":%s}", i == 0 ? "" : ",",
                           topology->nodes[i].node_id, yes_or_no(serving_takes_any(epoch, i, all_down)));
    return text_append(body, capacity, used, "]}\n");
}

static void answer(struct exchange *exchange, struct reply *reply)
{
    reply->request_id = exchange_request_id(exchange);
    exchange->status = reply->status;
    reply_send(exchange->downstream, reply);
    exchange->downstream = NULL;
    exchange_finish(exchange);
}

static void answer_unknown_class(struct exchange *exchange)
{
    static const char body[] = "{\"error\":\"class is none of write, query, compaction and engine\",\"code\":\"invalid\","
                               "\"message\":\"class is none of write, query, compaction and engine\"}\n";
    struct reply reply = {.status = 400, .content_type = TEXT("application/json"), .body = TEXT(body)};
    answer(exchange, &reply);
}

/*
 * May a load balancer send requests here? While there is a class that can be served: whoever took the whole of Sluice away because of the queries
 * would take the writes away as well. `class` asks for one alone.
 */
static void answer_health(struct exchange *exchange)
{
    const struct epoch *epoch = exchange->lease->epoch;
    struct text query = exchange->head->target;
    text_cut(&query, '?');
    struct text class = text_query_value(query, TEXT("class"));
    bool is_known = class.length == 0;
    bool is_ready = false;
    for (size_t i = 0; i < SERVING_KINDS; i++) {
        bool is_asked = class.length == 0 || text_equals(class, serving_kinds[i].name);
        is_known = is_known || is_asked;
        is_ready = is_ready || (is_asked && serving_any(epoch, &serving_kinds[i]));
    }
    if (!is_known) {
        answer_unknown_class(exchange);
        return;
    }
    is_ready = is_ready && !is_draining(epoch);
    size_t capacity = room_for_health(epoch->topology);
    char *body = malloc(capacity);
    if (body == NULL) {
        exchange_answer_fault(exchange, FAULT_OUT_OF_MEMORY);
        return;
    }
    struct reply reply = {
        .status = is_ready ? 200 : 503,
        .content_type = TEXT("application/json"),
        .body = text_of(body, format_health(epoch, is_ready, body, capacity)),
    };
    answer(exchange, &reply);
    free(body);
}

/* The database answers OPTIONS on any path this way, before authentication (docs/database.md#routes). */
static void answer_options(struct exchange *exchange)
{
    struct reply reply = {.status = 204, .origins = REPLY_ORIGINS_PREFLIGHT};
    answer(exchange, &reply);
}

void local_answer(struct exchange *exchange)
{
    if (text_equals(exchange->head->method, TEXT("OPTIONS")))
        answer_options(exchange);
    else
        answer_health(exchange);
}
