/*
 * The fields that Sluice sends to a node with a client's request: what concerns one hop stays there, and what names the client and the request is said
 * once (docs/security.md#hop-by-hop-fields).
 */
#include "world/node_parts.h"

static const struct text never[] = {
    {"expect", 6},     {"upgrade", 7},        {"keep-alive", 10},          {"proxy-connection", 16}, {"proxy-authorization", 19},
    {"trailer", 7},    {"http2-settings", 14}, {"proxy-authenticate", 18}, {"x-sluice-node", 13},    {"forwarded", 9},
    {"x-real-ip", 9},
};

static const struct text once[] = {{"via", 3}, {"x-forwarded-for", 15}, {"x-request-id", 12}};
#define ONCE (sizeof once / sizeof *once)

static bool is_forbidden(const struct peer_field *field, bool is_grpc)
{
    for (size_t i = 0; i < sizeof never / sizeof *never; i++) {
        if (text_equals(field->name, never[i]))
            return true;
    }
    if (text_equals(field->name, TEXT("te")))
        return !is_grpc || !text_equals(field->value, TEXT("trailers"));
    return false;
}

static void count(const struct peer_field *field, unsigned counts[ONCE])
{
    for (size_t i = 0; i < ONCE; i++)
        counts[i] += text_equals(field->name, once[i]);
}

void head_check(const struct node_request *request, const struct peer_head *head)
{
    unsigned counts[ONCE] = {0};
    unsigned long long number = request->number;
    for (size_t i = 0; i < head->field_count; i++) {
        const struct peer_field *field = &head->fields[i];
        if (is_forbidden(field, request->route->work == NODE_WORK_FLIGHT))
            ledger_violation("odd_head", "%s got %.*s: %.*s with try %llu", request->node->id, TEXT_ARGUMENTS(field->name),
                             TEXT_ARGUMENTS(field->value), number);
        if (text_equals(field->name, TEXT("x-forwarded-for")) && !text_starts_with(field->value, TEXT("10.0.")))
            ledger_violation("odd_head", "%s hears of a client %.*s, of try %llu", request->node->id, TEXT_ARGUMENTS(field->value), number);
        count(field, counts);
    }
    for (size_t i = 0; i < ONCE; i++) {
        if (counts[i] != 1)
            ledger_violation("odd_head", "%s got %u times %.*s with try %llu", request->node->id, counts[i], TEXT_ARGUMENTS(once[i]), number);
    }
}
