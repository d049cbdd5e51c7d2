/* A request at a node, from its head to its answer: whose it is, whether its body is the one that belongs to it, and who does the work. */
#include "base/hash.h"
#include "kernel/draw.h"
#include "kernel/memory.h"
#include "world/bodies.h"
#include "world/node_parts.h"

/* RFC 9113 section 7. */
#define REFUSED_STREAM 7

/* ---- the end ---- */

void request_leave(struct node_request *request)
{
    sim_timer_clear(&request->timer);
    if (request->stream != NULL)
        peer_stream_release(request->stream);
    request->stream = NULL;
    if (request->connection != NULL)
        list_remove(&request->connection->requests, &request->link);
    request->connection = NULL;
    if (!list_node_is_linked(&request->in_wal))
        world_free(request);
}

void request_reset(struct node_request *request, uint32_t code)
{
    struct peer_stream *stream = request->stream;
    request->step = NODE_STEP_ANSWERED;
    request->stream = NULL;
    if (request->number != 0 && code == REFUSED_STREAM)
        ledger_passed_over(request->number, request->node->index);
    peer_stream_reset(stream, code);
    request_leave(request);
}

void request_go_away_before(struct node_request *request)
{
    struct peer_stream *stream = request->stream;
    request->step = NODE_STEP_ANSWERED;
    request->stream = NULL;
    if (request->number != 0)
        ledger_passed_over(request->number, request->node->index);
    peer_go_away_before(stream, 0);
    request_leave(request);
}

/* ---- the head ---- */

static struct text value_of(const struct peer_head *head, struct text name)
{
    for (size_t i = 0; i < head->field_count; i++) {
        if (text_equals(head->fields[i].name, name))
            return head->fields[i].value;
    }
    return TEXT_EMPTY;
}

static struct text cut_pair(struct text *query, struct text *value)
{
    *value = text_cut(query, '&');
    return text_cut(value, '=');
}

/* "100m": 100 milliseconds. 0: none that is understood. */
static uint64_t timeout_of(struct text value)
{
    static const struct {
        char unit;
        uint64_t us;
    } units[] = {{'H', 3600 * SIM_S}, {'M', 60 * SIM_S}, {'S', SIM_S}, {'m', SIM_MS}, {'u', 1}};
    uint64_t count;
    if (value.length < 2 || !text_to_u64(text_of(value.bytes, value.length - 1), &count))
        return 0;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (value.bytes[value.length - 1] == units[i].unit)
            return count * units[i].us;
    }
    return 0;
}

static void set_number(struct node_request *request, struct text digits)
{
    uint64_t number;
    if (digits.length == 0)
        return;
    if (!text_to_u64(digits, &number) || !ledger_knows(number)) {
        ledger_violation("unknown_try", "%s was asked for try %.*s, which nobody began", request->node->id, TEXT_ARGUMENTS(digits));
        return;
    }
    request->number = number;
    request->kind = ledger_kind(number);
}

static void look_at_query(struct node_request *request, struct text query)
{
    while (query.bytes != NULL) {
        struct text value;
        struct text name = cut_pair(&query, &value);
        if (text_equals(name, TEXT("try")))
            set_number(request, value);
        else if (text_equals(name, TEXT("no_sync")))
            request->is_no_sync = text_equals(value, TEXT("true")) && request->route->work == NODE_WORK_WRITE_V3;
        else if (text_equals(name, request->route->work == NODE_WORK_WRITE_V2 ? TEXT("bucket") : TEXT("db")))
            request->database = value.length > 0 ? hash_text(value, 0) : 0;
    }
}

static enum node_method method_of(struct text method)
{
    if (text_equals(method, TEXT("POST")))
        return NODE_METHOD_POST;
    return text_equals(method, TEXT("DELETE")) ? NODE_METHOD_DELETE : NODE_METHOD_OTHER;
}

static int pin_of(struct text path)
{
    ptrdiff_t at = text_find(path, TEXT("/pinned-"));
    return at >= 0 && path.length == (size_t)at + 9 ? path.bytes[at + 8] - '0' : -1;
}

static void look_at_head(struct node_request *request, const struct peer_head *head)
{
    bool is_grpc = peer_version(request->connection->peer) == PEER_HTTP_2 &&
                   text_starts_with(value_of(head, TEXT("content-type")), TEXT("application/grpc"));
    struct text query = head->target;
    struct text path = text_cut(&query, '?');
    request->route = route_of(head->method, path, is_grpc);
    request->method = method_of(head->method);
    request->pinned_to = pin_of(path);
    look_at_query(request, query);
    if (is_grpc) {
        set_number(request, value_of(head, TEXT("x-try")));
        request->patience_us = timeout_of(value_of(head, TEXT("grpc-timeout")));
    }
}

static void tell_ledger(const struct node_request *request)
{
    const struct node *node = request->node;
    bool has_role = route_fits(request->route, node->plan->nodes[node->index].roles);
    if (request->route->work == NODE_WORK_COMPACTOR && !has_role)
        ledger_violation("compactor", "%s does not compact and was asked to %s", node->id, request->route->path);
    if (request->number != 0)
        ledger_attempt(request->number, node->index, has_role);
}

/* ---- the body ---- */

static bool has_exact_body(const struct node_request *request)
{
    return request->number != 0 && route_is_write(request->route) && body_is_of_a_write(request->kind);
}

static void wrong_body(struct node_request *request, const char *what)
{
    if (request->body != NODE_BODY_WRONG)
        ledger_violation("wrong_body", "%s got %s of try %llu, at byte %llu", request->node->id, what,
                         (unsigned long long)request->number, (unsigned long long)request->body_bytes);
    request->body = NODE_BODY_WRONG;
}

static void read_on(void *owner)
{
    struct node_request *request = owner;
    peer_stream_pause(request->stream, false);
}

static void read_slowly(struct node_request *request)
{
    struct node *node = request->node;
    if (!life_ails(node, NODE_IS_SLOW) || draw_below(&node->draw, 4) > 0)
        return;
    reached("node: reads a body slowly");
    peer_stream_pause(request->stream, true);
    request->timer.on_time = read_on;
    sim_timer_in(&request->timer, draw_between(&node->draw, SIM_MS, SIM_S));
}

static void on_body(void *owner, struct text piece)
{
    struct node_request *request = owner;
    if (has_exact_body(request) && !body_is(request->number, request->kind, request->body_bytes, piece))
        wrong_body(request, "another body than that");
    request->body_bytes += piece.length;
    if (request->step != NODE_STEP_ARRIVING || deed_is_done(request, NODE_IN_BODY))
        return;
    size_t room = sizeof request->text - request->text_used;
    size_t kept = piece.length < room ? piece.length : room;
    memcpy(request->text + request->text_used, piece.bytes, kept);
    request->text_used += kept;
    read_slowly(request);
}

/* Whatever else a body is, a number that stands in its beginning is that of its head. */
static void check_number(struct node_request *request)
{
    struct text body = text_of(request->text, request->text_used);
    ptrdiff_t at = text_find(body, TEXT("try="));
    if (at < 0 || request->kind == TRY_HOSTILE)
        return;
    uint64_t number = 0;
    for (size_t i = (size_t)at + 4; i < body.length && body.bytes[i] >= '0' && body.bytes[i] <= '9'; i++)
        number = number * 10 + (uint64_t)(body.bytes[i] - '0');
    if (number != request->number)
        wrong_body(request, "the number of another try in the body");
}

static void check_whole(struct node_request *request)
{
    if (has_exact_body(request) && request->body_bytes != body_length(request->number, request->kind))
        wrong_body(request, "only a part, ended in order,");
    else if (request->number != 0 && request->step == NODE_STEP_ARRIVING)
        check_number(request);
}

/* ---- the work ---- */

static void serve(struct node_request *request)
{
    request->step = NODE_STEP_WORKING;
    bool is_error = request->deed == NODE_DEED_ERROR && request->deed_time == NODE_BEFORE_WORK;
    if (deed_is_done(request, NODE_IN_BODY) || deed_is_done(request, NODE_BEFORE_WORK))
        return;
    if (is_error)
        answer_in(request, draw_below(&request->node->draw, 20 * SIM_MS));
    else if (route_is_write(request->route))
        write_serve(request);
    else if (request->route->work == NODE_WORK_FLIGHT)
        flight_serve(request);
    else if (request->route->work == NODE_WORK_QUERY || request->route->work == NODE_WORK_QUERY_V1)
        query_serve(request);
    else
        call_serve(request);
}

static void on_end(void *owner)
{
    struct node_request *request = owner;
    check_whole(request);
    request->body = NODE_BODY_WHOLE;
    if (request->step == NODE_STEP_ARRIVING)
        serve(request);
    else if (request->step == NODE_STEP_ANSWERED)
        request_leave(request);
}

static void on_cut(void *owner, enum peer_cut why)
{
    struct node_request *request = owner;
    if (why == PEER_CUT_BAD)
        ledger_violation("bad_http", "%s got a request that is no HTTP, of try %llu", request->node->id, (unsigned long long)request->number);
    reached(request->step == NODE_STEP_ARRIVING ? "node: a request was cut" : "node: nobody waits for the answer");
    request_leave(request);
}

static void on_writable(void *owner)
{
    answer_goes_on(owner);
}

static const struct peer_stream_events events = {
    .on_body = on_body,
    .on_end = on_end,
    .on_cut = on_cut,
    .on_abandoned = on_cut,
    .on_writable = on_writable,
};

void request_arrives(struct node_connection *connection, struct peer_stream *stream, const struct peer_head *head)
{
    struct node_request *request = world_calloc(1, sizeof *request);
    request->node = connection->node;
    request->connection = connection;
    request->stream = stream;
    request->kind = TRY_HOSTILE;
    list_node_init(&request->link);
    list_node_init(&request->in_wal);
    list_append(&connection->requests, &request->link);
    sim_timer_init(&request->timer, NULL, request);
    peer_stream_adopt(stream, &events, request);
    look_at_head(request, head);
    if (request->number != 0 && connection->is_of_sluice)
        head_check(request, head);
    tell_ledger(request);
    deed_draw(request);
    deed_is_done(request, NODE_AT_HEAD);
}
