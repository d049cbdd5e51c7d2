/* How a node sends an answer: its head, its body in pieces, its end; or only some of it. */
#include <stdarg.h>
#include <stdio.h>

#include "check/answer.h"
#include "kernel/draw.h"
#include "world/node_parts.h"

#define PIECE_BYTES 4096
#define CLUSTER_UUID "5f0c6a52-7d0e-4b61-9c7e-3f1f7c0a5e11"

static bool is_grpc(const struct node_request *request)
{
    return request->route->work == NODE_WORK_FLIGHT;
}

/* What stands before a node answers a call as any other request. */
static bool says_grpc(const struct node_request *request)
{
    return is_grpc(request) && request->answer.status == 200;
}

/* ---- what it says ---- */

static void set_answer(struct node_request *request, unsigned status, const char *content_type)
{
    request->answer = (struct node_answer){.status = status, .content_type = content_type, .cut_at = UINT64_MAX};
}

void answer_text(struct node_request *request, unsigned status, const char *content_type, struct text text)
{
    set_answer(request, status, content_type);
    request->answer.text = text;
    request->answer.length = text.length;
    request->answer.has_length = true;
}

void answer_format(struct node_request *request, unsigned status, const char *content_type, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(request->text, sizeof request->text, format, arguments);
    va_end(arguments);
    size_t kept = (size_t)length < sizeof request->text ? (size_t)length : sizeof request->text - 1;
    answer_text(request, status, content_type, text_of(request->text, kept));
}

/* What surrounds the answer of a few. */
static unsigned draw_extras(struct random_source *draw)
{
    uint64_t chance = draw_below(draw, 256);
    return (chance < 4 ? NODE_EXTRA_INTERIM : 0) | (chance >= 3 && chance < 16 ? NODE_EXTRA_TRAILERS : 0) |
           (chance >= 15 && chance < 18 ? NODE_EXTRA_LONG_FIELD : 0);
}

void answer_of_try(struct node_request *request)
{
    struct random_source *draw = &request->node->draw;
    if (request->number == 0) {
        answer_text(request, 200, is_grpc(request) ? "application/grpc" : "application/json", TEXT("[]"));
        request->answer.has_length = !is_grpc(request);
        return;
    }
    set_answer(request, 200, is_grpc(request) ? "application/grpc" : "application/json");
    request->answer.source = NODE_SOURCE_TRY;
    request->answer.length = answer_length(request->number);
    request->answer.has_length = draw_below(draw, is_grpc(request) ? 16 : 2) == 0;
    /* A call's status stands behind its messages: a length of none would end the answer before it. */
    if (is_grpc(request) && request->answer.length == 0)
        request->answer.has_length = false;
    request->answer.extras = draw_extras(draw);
    request->answer.pause_us = draw_below(draw, 8) == 0 ? draw_between(draw, 1, 20 * SIM_MS) : 0;
    if (life_ails(request->node, NODE_IS_SLOW) && request->answer.length > PIECE_BYTES && draw_below(draw, 2) == 0) {
        reached("node: sends an answer slowly");
        request->answer.pause_us = draw_between(draw, 20 * SIM_MS, 800 * SIM_MS);
    }
    if (request->answer.length > 64 * PIECE_BYTES)
        request->answer.pause_us = 0;
}

void answer_grpc_error(struct node_request *request, unsigned grpc_status, const char *message)
{
    set_answer(request, 200, "application/grpc");
    request->answer.grpc_status = grpc_status;
    request->answer.text = text_of_string(message);
}

/* ---- heads ---- */

static void begin_head(struct peer_head *head)
{
    head->method = head->target = head->authority = TEXT_EMPTY;
    head->status = 0;
    head->has_length = head->is_whole = false;
    head->length = 0;
    head->field_count = 0;
}

static void add(struct peer_head *head, struct text name, struct text value)
{
    head->fields[head->field_count++] = (struct peer_field){name, value};
}

/* `digits` is where the number's text lives. */
static void add_number(struct peer_head *head, struct text name, uint64_t number, char digits[24])
{
    add(head, name, text_of(digits, (size_t)snprintf(digits, 24, "%llu", (unsigned long long)number)));
}

static void add_own_fields(const struct node_request *request, struct peer_head *head)
{
    if (request->answer.content_type != NULL)
        add(head, TEXT("content-type"), text_of_string(request->answer.content_type));
    if (!says_grpc(request))
        add(head, TEXT("cluster-uuid"), TEXT(CLUSTER_UUID));
    if (!says_grpc(request) && request->answer.status < 300)
        add(head, TEXT("access-control-allow-origin"), TEXT("*"));
    if (request->route->work == NODE_WORK_PING)
        add(head, TEXT("x-influxdb-version"), TEXT("3.11.7"));
    add(head, TEXT("x-node"), text_of_string(request->node->id));
}

static bool is_without_body(const struct node_request *request)
{
    const struct node_answer *answer = &request->answer;
    return answer->grpc_status != 0 || answer->status == 204 || request->method == NODE_METHOD_HEAD;
}

static void send_interim(struct node_request *request)
{
    struct peer_head head;
    reached("node: an interim answer");
    begin_head(&head);
    head.status = 103;
    head.is_whole = true;
    add(&head, TEXT("link"), TEXT("</style.css>; rel=preload"));
    peer_respond(request->stream, &head);
}

/* limits.head is 80 KiB. */
static void add_long_field(struct peer_head *head, bool is_huge)
{
    static char letters[100000];
    reached(is_huge ? "node: a head that is too large" : "node: an answer with a long field");
    memset(letters, 'l', sizeof letters);
    add(head, TEXT("x-long"), text_of(letters, is_huge ? sizeof letters : 20000));
}

static void send_head(struct node_request *request)
{
    const struct node_answer *answer = &request->answer;
    struct peer_head head;
    char number[24];
    char status[24];
    if ((answer->extras & NODE_EXTRA_INTERIM) != 0)
        send_interim(request);
    begin_head(&head);
    head.status = answer->status;
    head.has_length = answer->has_length && answer->status != 204;
    head.length = head.has_length ? answer->length + (says_grpc(request) && answer->length > 0 ? sizeof answer->prefix : 0) : 0;
    head.is_whole = is_without_body(request);
    add_own_fields(request, &head);
    if ((answer->extras & (NODE_EXTRA_LONG_FIELD | NODE_EXTRA_HUGE_FIELD)) != 0)
        add_long_field(&head, (answer->extras & NODE_EXTRA_HUGE_FIELD) != 0);
    if (request->number != 0)
        add_number(&head, TEXT("x-try"), request->number, number);
    if (answer->grpc_status != 0 && (answer->extras & NODE_EXTRA_NO_STATUS) == 0) {
        add_number(&head, TEXT("grpc-status"), answer->grpc_status, status);
        add(&head, TEXT("grpc-message"), answer->text);
    }
    peer_respond(request->stream, &head);
}

/* ---- bodies ---- */

static size_t copy_payload(const struct node_request *request, char *buffer, size_t capacity)
{
    const struct node_answer *answer = &request->answer;
    if (answer->source == NODE_SOURCE_TRY)
        return answer_copy(request->number, answer->offset, buffer, capacity);
    size_t left = answer->text.length - (size_t)answer->offset;
    size_t count = left < capacity ? left : capacity;
    if (count > 0)
        memcpy(buffer, answer->text.bytes + answer->offset, count);
    return count;
}

/* The next message: its length before it, and that it is not compressed. */
static void begin_message(struct node_request *request)
{
    struct node_answer *answer = &request->answer;
    uint64_t left = answer->length - answer->offset;
    bool is_one = answer->has_length || draw_below(&request->node->draw, 3) == 0;
    uint64_t size = is_one ? left : draw_between(&request->node->draw, 1, 16384);
    answer->message_left = (uint32_t)(size < left ? size : left);
    answer->prefix[0] = 0;
    for (unsigned i = 0; i < 4; i++)
        answer->prefix[i + 1] = (char)(answer->message_left >> (24 - 8 * i) & 255);
    answer->prefix_left = sizeof answer->prefix;
}

/* Bytes of the body for the wire, from where the answer is; 0: that was all, or it is to be cut here. */
static size_t make_piece(struct node_request *request, char *buffer)
{
    struct node_answer *answer = &request->answer;
    uint64_t end = answer->cut_at < answer->length ? answer->cut_at : answer->length;
    uint64_t left = end - answer->offset;
    size_t prefix = 0;
    if (says_grpc(request)) {
        if (answer->message_left == 0 && answer->prefix_left == 0 && left > 0)
            begin_message(request);
        prefix = answer->prefix_left;
        memcpy(buffer, answer->prefix + sizeof answer->prefix - prefix, prefix);
        left = left < answer->message_left ? left : answer->message_left;
    }
    size_t room = PIECE_BYTES - prefix;
    return prefix + copy_payload(request, buffer + prefix, left < room ? (size_t)left : room);
}

static void count_taken(struct node_answer *answer, bool has_messages, size_t taken)
{
    size_t of_prefix = taken < answer->prefix_left ? taken : answer->prefix_left;
    answer->prefix_left -= (uint32_t)of_prefix;
    answer->offset += taken - of_prefix;
    if (has_messages)
        answer->message_left -= (uint32_t)(taken - of_prefix);
}

static void send_end(struct node_request *request)
{
    struct peer_head trailers;
    bool has_trailers = says_grpc(request) || ((request->answer.extras & NODE_EXTRA_TRAILERS) != 0 && !request->answer.has_length);
    begin_head(&trailers);
    if (says_grpc(request) && (request->answer.extras & NODE_EXTRA_NO_STATUS) == 0)
        add(&trailers, TEXT("grpc-status"), TEXT("0"));
    else if (has_trailers)
        reached("node: an answer with trailers");
    add(&trailers, TEXT("x-influxdata-execution-duration-seconds"), TEXT("0.001"));
    peer_send_end(request->stream, has_trailers ? &trailers : NULL);
}

static void finish(struct node_request *request)
{
    request->step = NODE_STEP_ANSWERED;
    bool reads_no_more = deed_after_answer(request);
    if (reads_no_more || request->body == NODE_BODY_WHOLE)
        request_leave(request);
}

static void stand_still_and_cut(struct node_request *request)
{
    uint64_t stall_us = request->answer.stall_us;
    request->answer.stall_us = 0;
    if (stall_us > 0)
        sim_timer_in(&request->timer, stall_us);
    else
        answer_cut(request);
}

void answer_goes_on(struct node_request *request)
{
    char buffer[PIECE_BYTES];
    struct node_answer *answer = &request->answer;
    if (request->step != NODE_STEP_ANSWERING || sim_timer_is_set(&request->timer))
        return;
    for (;;) {
        size_t length = make_piece(request, buffer);
        if (length == 0)
            break;
        size_t taken = peer_send_body(request->stream, text_of(buffer, length));
        count_taken(answer, says_grpc(request), taken);
        if (taken < length)
            return;
        if (answer->pause_us > 0) {
            sim_timer_in(&request->timer, answer->pause_us);
            return;
        }
    }
    if (answer->cut_at <= answer->length) {
        stand_still_and_cut(request);
        return;
    }
    send_end(request);
    finish(request);
}

/* ---- when ---- */

static void begin(struct node_request *request)
{
    if (deed_is_done(request, NODE_AFTER_WORK) || deed_is_done(request, NODE_IN_ANSWER))
        return;
    request->step = NODE_STEP_ANSWERING;
    send_head(request);
    if (is_without_body(request))
        finish(request);
    else
        answer_goes_on(request);
}

static void on_time(void *owner)
{
    struct node_request *request = owner;
    if (request->step == NODE_STEP_ANSWERING)
        answer_goes_on(request);
    else
        begin(request);
}

void answer_in(struct node_request *request, uint64_t delay_us)
{
    struct node *node = request->node;
    if (life_ails(node, NODE_IS_SLOW))
        delay_us += draw_between(&node->draw, 100 * SIM_MS, 6 * SIM_S);
    /* Probes are answered as ever. */
    if (plan_is_sick(node->plan, node->index) && request->number != 0 && !plan_is_quiet(node->plan))
        delay_us += node->plan->fixed.late_ms * SIM_MS;
    if (request->patience_us > 0 && delay_us > request->patience_us) {
        reached("node: grpc-timeout passed before the answer");
        answer_grpc_error(request, 8, "grpc-timeout elapsed");
        delay_us = request->patience_us;
    }
    request->step = NODE_STEP_WORKING;
    request->timer.on_time = on_time;
    if (delay_us > 0)
        sim_timer_in(&request->timer, delay_us);
    else
        begin(request);
}

/* HTTP/1 has no other way than to end the connection. */
void answer_cut(struct node_request *request)
{
    struct node *node = request->node;
    struct node_connection *connection = request->connection;
    bool is_http_2 = peer_version(connection->peer) == PEER_HTTP_2;
    bool is_reset = draw_below(&node->draw, 2) == 0;
    request->step = NODE_STEP_ANSWERED;
    reached(request->answer.offset > 0 ? "node: cut an answer in its body" : "node: cut an answer at its beginning");
    if (is_http_2 && draw_below(&node->draw, 4) > 0) {
        request_reset(request, is_reset ? 2 : 8);
        return;
    }
    connection_end_in(connection, is_reset ? NODE_ENDING_RESET : NODE_ENDING_ORDERLY, 0);
}
