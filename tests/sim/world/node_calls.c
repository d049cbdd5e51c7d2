/* All that is neither a write nor a query: the catalog, the compactor's work, plugins, and what a node says of itself. */
#include "base/hash.h"
#include "kernel/draw.h"
#include "world/node_parts.h"

#define JSON "application/json"
#define PLAIN "text/plain; charset=utf-8"

/* Twice would do harm: the ledger hears that it was done. */
static void note_done(const struct node_request *request)
{
    if (request->number == 0 || !request->route->is_once)
        return;
    ledger_applied(request->number, request->node->index);
    ledger_durable(request->number, request->node->index);
}

/* Of the target, or "db":"NAME" in the body's beginning. */
static uint64_t name_of(const struct node_request *request)
{
    struct text body = text_of(request->text, request->text_used);
    ptrdiff_t at = text_find(body, TEXT("\"db\":\""));
    if (at < 0)
        return request->database;
    struct text rest = text_of(body.bytes + at + 6, body.length - (size_t)at - 6);
    return hash_text(text_cut(&rest, '"'), 0);
}

static void serve_database(struct node_request *request)
{
    struct node *node = request->node;
    switch (request->method) {
    case NODE_METHOD_POST:
        if (catalog_add(node, name_of(request)))
            answer_text(request, 200, NULL, TEXT_EMPTY);
        else
            answer_text(request, 409, NULL, TEXT("attempted to create a resource that already exists"));
        break;
    case NODE_METHOD_DELETE:
        if (catalog_remove(node, name_of(request)))
            answer_text(request, 200, NULL, TEXT_EMPTY);
        else
            answer_text(request, 404, NULL, TEXT("the requested resource was not found"));
        break;
    case NODE_METHOD_OTHER:
        answer_format(request, 200, JSON, "[{\"count\":%zu}]", catalog_count(node));
        break;
    }
}

static void serve_catalog(struct node_request *request)
{
    note_done(request);
    if (request->route->is_once)
        answer_format(request, 201, JSON, "{\"id\":%llu,\"token\":\"apiv3_sim\"}", (unsigned long long)request->number);
    else
        answer_text(request, 200, JSON, TEXT("{}"));
}

/* Query nodes know these paths, others do not. */
static void serve_compactor(struct node_request *request)
{
    unsigned roles = request->node->roles;
    if ((roles & PLAN_ROLE_COMPACT) != 0) {
        note_done(request);
        answer_format(request, request->method == NODE_METHOD_POST ? 202 : 200, JSON, "{\"id\":%llu}", (unsigned long long)request->number);
    } else if ((roles & PLAN_ROLE_QUERY) != 0) {
        reached("node: only available on the compactor");
        answer_text(request, 503, NULL, TEXT("{\"error\":\"only available on the compactor node\"}"));
    } else {
        answer_text(request, 404, NULL, TEXT("Not found"));
    }
}

static void serve_plugin(struct node_request *request)
{
    if ((request->node->roles & PLAN_ROLE_PROCESS) == 0)
        answer_text(request, 405, NULL, TEXT("Current node mode does not use the processing engine"));
    else
        answer_text(request, 200, JSON, TEXT("{}"));
}

/* A request trigger of a path with `pinned-3` at its end runs on node 3 alone, any other on all that run plugins. */
static void serve_engine(struct node_request *request)
{
    if ((request->node->roles & PLAN_ROLE_PROCESS) == 0) {
        reached("node: has no processing engine");
        answer_text(request, 405, NULL, TEXT("Current node mode does not use the processing engine"));
        return;
    }
    if (request->pinned_to >= 0 && request->pinned_to != (int)request->node->index) {
        reached("node: a trigger does not run here");
        answer_text(request, 404, NULL, TEXT("{error: \"not found\"}"));
        return;
    }
    note_done(request);
    answer_of_try(request);
}

static void serve_ready(struct node_request *request)
{
    const struct node *node = request->node;
    if (node->version < 310)
        answer_text(request, 404, NULL, TEXT("Not found"));
    else if (node->state == NODE_STARTING || life_ails(node, NODE_HAS_NO_STORAGE))
        answer_text(request, 503, PLAIN, TEXT("object store is not reachable"));
    else
        answer_text(request, 200, PLAIN, TEXT("OK"));
}

static void serve_ping(struct node_request *request)
{
    const struct node *node = request->node;
    answer_format(request, 200, JSON, "{\"product_name\":\"InfluxDB 3 Enterprise\",\"version\":\"3.%u.1\",\"revision\":\"sim\",\"process_id\":\"%s\"}",
                  node->version % 100, node->id);
}

static void serve_metrics(struct node_request *request)
{
    answer_format(request, 200, "text/plain; version=0.0.4; charset=utf-8", "# TYPE process_start_time_seconds gauge\nnode %u\n# EOF\n", request->node->index);
}

static void make_answer(struct node_request *request)
{
    switch (request->route->work) {
    case NODE_WORK_ENGINE:
        serve_engine(request);
        break;
    case NODE_WORK_DATABASE:
        serve_database(request);
        break;
    case NODE_WORK_CATALOG:
        serve_catalog(request);
        break;
    case NODE_WORK_PLUGIN:
        serve_plugin(request);
        break;
    case NODE_WORK_COMPACTOR:
        serve_compactor(request);
        break;
    case NODE_WORK_LIMIT:
        answer_text(request, 200, JSON, TEXT("{\"limit\":64}"));
        break;
    case NODE_WORK_HEALTH:
        answer_text(request, 200, PLAIN, TEXT("OK"));
        break;
    case NODE_WORK_READY:
        serve_ready(request);
        break;
    case NODE_WORK_PING:
        serve_ping(request);
        break;
    case NODE_WORK_METRICS:
        serve_metrics(request);
        break;
    default:
        answer_text(request, 404, NULL, TEXT("Not found"));
        break;
    }
}

/* What has to be written to the object store takes its time. */
static uint64_t draw_delay(struct node_request *request)
{
    struct random_source *draw = &request->node->draw;
    switch (request->route->work) {
    case NODE_WORK_ENGINE:
    case NODE_WORK_DATABASE:
    case NODE_WORK_CATALOG:
    case NODE_WORK_COMPACTOR:
        return draw_between(draw, SIM_MS, 80 * SIM_MS);
    default:
        return draw_below(draw, 2 * SIM_MS);
    }
}

void call_serve(struct node_request *request)
{
    make_answer(request);
    answer_in(request, draw_delay(request));
}
