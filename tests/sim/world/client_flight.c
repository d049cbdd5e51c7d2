/*
 * Callers of Flight: gRPC over HTTP/2 with a deadline that they say in grpc-timeout and enforce themselves. As their libraries do, they repeat
 * a call once at once when the server has certainly not begun it (REFUSED_STREAM, or above the last stream of a GOAWAY).
 */
#include "world/client_state.h"

#define TEXT_LITERAL(literal) {literal, sizeof(literal) - 1}

/* A ticket in a message: five bytes of a prefix, a protobuf field, JSON. */
static const char ticket[] = "\0\0\0\0\x35\x0a\x33{\"database\":\"d1\",\"query_type\":\"sql\",\"sql_query\":\"\"}";

static const struct text paths[] = {
    TEXT_LITERAL("/arrow.flight.protocol.FlightService/DoGet"),
    TEXT_LITERAL("/arrow.flight.protocol.FlightService/GetFlightInfo"),
};
#define PATHS (sizeof paths / sizeof paths[0])

/* How the deadline is written differs by library, and so do the deadlines. In peace each leaves enough time. */
static uint64_t draw_deadline(struct client *client, char text[16], size_t *length)
{
    uint64_t now_us = sim_now_us();
    bool is_peace = now_us >= (uint64_t)client->plan->faulty_seconds * SIM_S;
    uint64_t ms = is_peace ? 12000 : draw_between(&client->random, 200, 12000);
    bool in_seconds = ms % 2 == 0 && ms >= 1000;
    if (in_seconds)
        ms -= ms % 1000;
    *length = text_append(text, 16, 0, "%llu%c", (unsigned long long)(in_seconds ? ms / 1000 : ms), in_seconds ? 'S' : 'm');
    return ms * SIM_MS;
}

static void turn(struct client *client)
{
    char timeout[16];
    size_t timeout_length;
    uint64_t budget_us = draw_deadline(client, timeout, &timeout_length);
    struct peer_field fields[] = {
        {TEXT("content-type"), TEXT("application/grpc")},
        {TEXT("te"), TEXT("trailers")},
        {TEXT("user-agent"), TEXT("grpc-go/1.66.0")},
        {TEXT("authorization"), TEXT("Bearer apiv3_secret")},
        {TEXT("database"), TEXT("d1")},
        {TEXT("grpc-timeout"), text_of(timeout, timeout_length)},
    };
    struct client_request request = {
        .kind = TRY_FLIGHT,
        .method = TEXT("POST"),
        .path = paths[draw_below(&client->random, PATHS)],
        .fields = fields,
        .field_count = sizeof fields / sizeof fields[0],
        .body = text_of(ticket, sizeof ticket - 1),
        .framing = CLIENT_CHUNKED,
        .budget_us = budget_us,
        .facts = ANSWER_IS_CALL,
    };
    client_try_start(&client->asker, &request, NULL);
}

static void on_end(struct client *client, const struct client_end *end)
{
    bool was_not_begun = end->end == TRY_CUT && (end->cut == PEER_CUT_REFUSED_STREAM || end->cut == PEER_CUT_GOAWAY);
    if (!was_not_begun || client->transparent_retries > 0) {
        client->transparent_retries = 0;
        return;
    }
    client->transparent_retries = 1;
    sim_timer_in(&client->turn, SIM_MS);
    reached("client: a call is repeated by its library");
}

static void begin(struct client *client)
{
    client->links.version = PEER_HTTP_2;
}

const struct client_model client_flight = {
    .name = "flight",
    .weight = 14,
    .rows = 1,
    .begin = begin,
    .turn = turn,
    .on_end = on_end,
};
