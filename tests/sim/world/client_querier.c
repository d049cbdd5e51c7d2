/*
 * Who asks by HTTP/1.1 or HTTP/2 without gRPC: SQL and InfluxQL, in the URL or in the body; and the calls that change the catalog, ask the compactor, run
 * a plugin, go to several nodes, or are answered by Sluice itself. HTTP/1.1 callers pipeline where the plan says so.
 */
#include "world/client_state.h"

#define TEXT_LITERAL(literal) {literal, sizeof(literal) - 1}

struct question {
    struct text method;
    struct text path;
    struct text content_type;
    struct text body;
    enum try_kind kind;
    unsigned budget_s;
    unsigned facts; /* ANSWER_OF_NAMED, or none */
};

/*
 * Some originals wait for minutes. Here nobody does: a link to a node that went silent for ever is found out by the first request that is given up on
 * it, and peace is short.
 */
#define FORM TEXT_LITERAL("application/x-www-form-urlencoded")
#define JSON TEXT_LITERAL("application/json")
#define NONE {NULL, 0}

/* clang-format off */
static const struct question queries[] = {
    {TEXT_LITERAL("GET"), TEXT_LITERAL("/api/v3/query_sql?db=d1&format=csv&q=SELECT%20*%20FROM%20m"), NONE, NONE, TRY_QUERY, 25, 0},
    {TEXT_LITERAL("POST"), TEXT_LITERAL("/api/v3/query_sql"), JSON, TEXT_LITERAL("{\"db\":\"d1\",\"format\":\"jsonl\",\"q\":\"SELECT * FROM m\"}"),
     TRY_QUERY, 30, 0},
    {TEXT_LITERAL("GET"), TEXT_LITERAL("/api/v3/query_influxql?db=d1&format=json&q=SELECT%20*%20FROM%20m"), NONE, NONE, TRY_QUERY, 25, 0},
    {TEXT_LITERAL("GET"), TEXT_LITERAL("/query?db=d1&epoch=ms&q=SELECT%20mean%28v%29%20FROM%20m"), NONE, NONE, TRY_QUERY, 30, 0},
    {TEXT_LITERAL("POST"), TEXT_LITERAL("/query?db=d1&epoch=ms"), FORM, TEXT_LITERAL("q=SELECT+mean%28v%29+FROM+m"), TRY_QUERY, 30, 0},
};

static const struct question calls[] = {
    {TEXT_LITERAL("POST"), TEXT_LITERAL("/api/v3/configure/database"), JSON, TEXT_LITERAL("{\"db\":\"d7\"}"), TRY_CATALOG, 30, 0},
    {TEXT_LITERAL("DELETE"), TEXT_LITERAL("/api/v3/configure/database?db=d7"), NONE, NONE, TRY_CATALOG, 30, 0},
    {TEXT_LITERAL("POST"), TEXT_LITERAL("/api/v3/configure/table"), JSON, TEXT_LITERAL("{\"db\":\"d7\",\"table\":\"t\",\"tags\":[]}"),
     TRY_CATALOG, 30, 0},
    {TEXT_LITERAL("POST"), TEXT_LITERAL("/api/v3/configure/token/named_admin"), JSON, TEXT_LITERAL("{\"token_name\":\"n\"}"),
     TRY_CATALOG, 30, 0},
    {TEXT_LITERAL("POST"), TEXT_LITERAL("/api/v3/row_delete_requests"), JSON, TEXT_LITERAL("{\"db\":\"d7\",\"table\":\"t\"}"),
     TRY_CATALOG, 30, 0},
    {TEXT_LITERAL("GET"), TEXT_LITERAL("/api/v3/enterprise/backup"), NONE, NONE, TRY_COMPACTOR, 30, 0},
    {TEXT_LITERAL("POST"), TEXT_LITERAL("/api/v3/enterprise/backup"), JSON, TEXT_LITERAL("{\"name\":\"b\"}"), TRY_COMPACTOR, 30, 0},
    {TEXT_LITERAL("POST"), TEXT_LITERAL("/api/v3/engine/trigger"), JSON, TEXT_LITERAL("{\"x\":1}"), TRY_ENGINE, 30, 0},
    {TEXT_LITERAL("GET"), TEXT_LITERAL("/api/v3/engine/pinned-0"), NONE, NONE, TRY_ENGINE, 30, 0},
    {TEXT_LITERAL("POST"), TEXT_LITERAL("/api/v3/engine/pinned-3"), JSON, TEXT_LITERAL("{\"x\":1}"), TRY_ENGINE, 30, 0},
    {TEXT_LITERAL("PUT"), TEXT_LITERAL("/api/v3/configure/query_concurrency_limit"), JSON, TEXT_LITERAL("{\"limit\":64}"), TRY_FAN_OUT, 30, 0},
    {TEXT_LITERAL("GET"), TEXT_LITERAL("/ping"), NONE, NONE, TRY_CATALOG, 5, 0},
    {TEXT_LITERAL("GET"), TEXT_LITERAL("/metrics"), NONE, NONE, TRY_CATALOG, 10, ANSWER_OF_NAMED},
    {TEXT_LITERAL("GET"), TEXT_LITERAL("/health"), NONE, NONE, TRY_LOCAL, 5, 0},
    {TEXT_LITERAL("GET"), TEXT_LITERAL("/ready"), NONE, NONE, TRY_LOCAL, 5, 0},
    {TEXT_LITERAL("OPTIONS"), TEXT_LITERAL("/api/v3/query_sql"), NONE, NONE, TRY_LOCAL, 5, 0},
};
/* clang-format on */

#define QUERIES (sizeof queries / sizeof queries[0])
#define CALLS (sizeof calls / sizeof calls[0])

static struct client_link *ask(struct client *client, const struct question *question, struct client_link *link)
{
    struct peer_field fields[5] = {
        {TEXT("user-agent"), TEXT("python-requests/2.32.0")},
        {TEXT("accept"), TEXT("*/*")},
        {TEXT("authorization"), TEXT("Bearer apiv3_secret")},
    };
    size_t count = 3;
    if (question->content_type.length > 0)
        fields[count++] = (struct peer_field){TEXT("content-type"), question->content_type};
    if (question->facts == ANSWER_OF_NAMED)
        fields[count++] = (struct peer_field){TEXT("x-sluice-node"), TEXT(ANSWER_NAMED_NODE)};
    struct client_request request = {
        .kind = question->kind,
        .method = question->method,
        .path = question->path,
        .fields = fields,
        .field_count = count,
        .body = question->body,
        .framing = question->body.length > 0 ? CLIENT_LENGTH : CLIENT_NO_BODY,
        .budget_us = question->budget_s * SIM_S,
        .facts = question->facts,
    };
    return client_try_start(&client->asker, &request, link);
}

/* More questions behind the one that was asked, without waiting for its answer. */
static void pipeline(struct client *client, const struct question *question, struct client_link *link)
{
    if (client->links.version != PEER_HTTP_1 || question->body.length > 0 || link->state != CLIENT_LINK_OPEN ||
        !draw_chance(&client->random, plan_rate(client->plan, FAULT_KIND_CLIENT_PIPELINES)))
        return;
    reached("client: pipelines");
    client_link_pipeline(link);
    uint64_t count = draw_between(&client->random, 1, 4);
    for (uint64_t i = 0; i < count && link->state == CLIENT_LINK_OPEN; i++)
        ask(client, question, link);
}

static void turn_of_querier(struct client *client)
{
    const struct question *question = &queries[(client->row + draw_below(&client->random, 2)) % QUERIES];
    struct client_link *link = ask(client, question, NULL);
    if (link == NULL)
        reached("client: all its connections are busy");
    else
        pipeline(client, question, link);
}

static void turn_of_cataloguer(struct client *client)
{
    ask(client, &calls[draw_below(&client->random, CALLS)], NULL);
}

const struct client_model client_querier = {
    .name = "querier",
    .weight = 24,
    .rows = QUERIES,
    .turn = turn_of_querier,
};

const struct client_model client_cataloguer = {
    .name = "cataloguer",
    .weight = 8,
    .rows = 1,
    .turn = turn_of_cataloguer,
};
