/* What goes wrong with a request at a node: drawn when its head has come, done when its time is there. */
#include "kernel/draw.h"
#include "world/node_parts.h"

static bool is_grpc(const struct node_request *request)
{
    return request->route->work == NODE_WORK_FLIGHT;
}

static bool is_http_2(const struct node_request *request)
{
    return peer_version(request->connection->peer) == PEER_HTTP_2;
}

/* ---- drawing ---- */

struct deed_row {
    enum fault_kind kind;
    enum node_deed deed;
    enum node_deed_time first; /* the times that it can happen at */
    enum node_deed_time last;
};

static const struct deed_row rows[] = {
    {FAULT_KIND_NODE_REFUSED_STREAM, NODE_DEED_REFUSED_STREAM, NODE_AT_HEAD, NODE_AT_HEAD},
    {FAULT_KIND_NODE_EARLY, NODE_DEED_EARLY, NODE_AT_HEAD, NODE_IN_BODY},
    {FAULT_KIND_NODE_GOAWAY, NODE_DEED_GOAWAY, NODE_AT_HEAD, NODE_BEFORE_WORK},
    {FAULT_KIND_NODE_RESET_STREAM, NODE_DEED_RESET_STREAM, NODE_AT_HEAD, NODE_IN_ANSWER},
    {FAULT_KIND_NODE_GARBAGE, NODE_DEED_GARBAGE, NODE_AT_HEAD, NODE_AFTER_WORK},
    {FAULT_KIND_NODE_ERROR, NODE_DEED_ERROR, NODE_BEFORE_WORK, NODE_AFTER_WORK},
    {FAULT_KIND_NODE_CUT, NODE_DEED_CUT, NODE_IN_BODY, NODE_IN_ANSWER},
    {FAULT_KIND_NODE_CLOSE, NODE_DEED_CLOSE, NODE_IN_ANSWER, NODE_IN_ANSWER},
};

void deed_draw(struct node_request *request)
{
    struct node *node = request->node;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct deed_row *row = &rows[i];
        if (!node_suffers(node, row->kind) || request->deed != NODE_DEED_NONE)
            continue;
        request->deed = row->deed;
        request->deed_time = (enum node_deed_time)draw_between(&node->faults[row->kind], row->first, row->last);
    }
}

/* ---- doing ---- */

static void set_grpc_error(struct node_request *request)
{
    static const unsigned statuses[] = {2, 8, 13, 14, 14};
    answer_grpc_error(request, statuses[draw_below(&request->node->draw, sizeof statuses / sizeof *statuses)], "of the plan");
}

static void set_error(struct node_request *request)
{
    static const unsigned statuses[] = {429, 500, 502, 503, 504};
    unsigned status = statuses[draw_below(&request->node->draw, sizeof statuses / sizeof *statuses)];
    if (request->node->plan->fixed.error_status != 0)
        status = request->node->plan->fixed.error_status;
    /* Of a call what stands before the node says it without gRPC. */
    if (is_grpc(request) && draw_below(&request->node->draw, 4) > 0)
        set_grpc_error(request);
    else if (request->route->work == NODE_WORK_WRITE_V2)
        answer_format(request, status, NULL, "{\"code\":\"%s\",\"message\":\"of the plan\"}", status == 503 ? "unavailable" : "internal error");
    else
        answer_format(request, status, "text/plain; charset=utf-8", "of the plan: %u", status);
}

static bool do_error(struct node_request *request)
{
    reached(request->deed_time == NODE_BEFORE_WORK ? "node: an error instead of work" : "node: an error in spite of work");
    set_error(request);
    return false;
}

/* What was begun early ends in its middle, perhaps a while later. */
static void break_early_answer(struct node_request *request)
{
    struct node_answer *answer = &request->answer;
    reached("node: answers early and only in part");
    answer->has_length = false;
    answer->cut_at = draw_below(&request->node->draw, answer->length + 1);
    answer->stall_us = draw_below(&request->node->draw, 2) == 0 ? draw_between(&request->node->draw, SIM_MS, 3 * SIM_S) : 0;
}

/* Early: nothing was read of the body yet, and perhaps nothing ever will be. */
static bool do_early(struct node_request *request)
{
    static const unsigned statuses[] = {400, 401, 413, 500, 503};
    struct node *node = request->node;
    struct node_connection *connection = request->connection;
    unsigned status = statuses[draw_below(&node->draw, sizeof statuses / sizeof *statuses)];
    unsigned manner = (unsigned)draw_below(&node->draw, 4);
    if (request->body != NODE_BODY_WHOLE)
        reached(manner == 0 ? "node: answers early and reads on" : "node: answers early and ends");
    if (manner > 0 && !is_http_2(request))
        peer_drain(connection->peer);
    else if (manner > 0)
        request->deed = NODE_DEED_EARLY;
    if (is_grpc(request))
        answer_grpc_error(request, 16, "Unauthenticated");
    else
        answer_text(request, status, NULL, TEXT("{\"error\": \"the request was not authenticated\"}"));
    if (draw_below(&node->draw, 2) == 0)
        break_early_answer(request);
    if (manner > 0 && !is_http_2(request))
        connection_end_in(connection, manner == 1 ? NODE_ENDING_RESET : NODE_ENDING_ORDERLY, draw_below(&node->draw, 50 * SIM_MS));
    answer_in(request, 0);
    return true;
}

/* A GOAWAY below the stream: whoever gets it knows that nothing of this one, and of those behind it, was looked at. */
static bool do_goaway(struct node_request *request)
{
    if (request->deed_time == NODE_AT_HEAD && is_http_2(request)) {
        reached(request->connection->requests.count > 1 ? "node: GOAWAY between streams" : "node: GOAWAY below the stream");
        request_go_away_before(request);
        return true;
    }
    reached("node: GOAWAY with an answer");
    peer_drain(request->connection->peer);
    return false;
}

/* Before any of it, or at a place in its body; some stand still there for a while first. */
static bool do_cut(struct node_request *request)
{
    struct random_source *draw = &request->node->draw;
    struct node_answer *answer = &request->answer;
    if (request->deed_time != NODE_IN_ANSWER || answer->length == 0 || answer->grpc_status != 0) {
        answer_cut(request);
        return true;
    }
    answer->cut_at = draw_below(draw, answer->length + 1);
    answer->stall_us = draw_below(draw, 4) == 0 ? draw_between(draw, SIM_MS, 15 * SIM_S) : 0;
    return false;
}

static bool do_reset_stream(struct node_request *request)
{
    static const uint32_t codes[] = {1, 2, 8, 11};
    if (request->deed_time == NODE_IN_ANSWER)
        return do_cut(request);
    reached("node: resets a stream");
    request_reset(request, codes[draw_below(&request->node->draw, sizeof codes / sizeof *codes)]);
    return true;
}

static bool do_refuse(struct node_request *request)
{
    if (!is_http_2(request))
        return false;
    reached("node: refuses a stream");
    request_reset(request, 7);
    return true;
}

static bool do_garbage(struct node_request *request)
{
    static const struct text pieces[] = {
        {"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello", 61},
        {"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", 51},
        {"HTTP/1.1 20", 11},
        {"HTTP/1.1 2000 Much\r\n\r\n", 22},
        {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 9},
        {"SSH-2.0-OpenSSH_9.2p1\r\n", 23},
        {"HTTP/1.1 200 OK\r\nbad field\r\n\r\n", 30},
    };
    struct node *node = request->node;
    struct text piece = pieces[draw_below(&node->draw, sizeof pieces / sizeof *pieces)];
    if (request->deed_time == NODE_AFTER_WORK) {
        request->answer.extras |= draw_below(&node->draw, 2) == 0 ? NODE_EXTRA_HUGE_FIELD : NODE_EXTRA_NO_STATUS;
        return false;
    }
    reached("node: sends garbage");
    peer_send_raw(request->connection->peer, piece);
    request->step = NODE_STEP_ANSWERED;
    connection_end_in(request->connection, draw_below(&node->draw, 2) == 0 ? NODE_ENDING_RESET : NODE_ENDING_ORDERLY,
                      draw_between(&node->draw, 1, 20 * SIM_MS));
    return true;
}

static bool do_close(struct node_request *request)
{
    if (draw_below(&request->node->draw, 3) > 0) {
        request->deed = NODE_DEED_CLOSE;
        return false;
    }
    reached("node: connection: close with an answer");
    peer_drain(request->connection->peer);
    return false;
}

bool deed_is_done(struct node_request *request, enum node_deed_time now)
{
    if (request->deed == NODE_DEED_NONE || request->deed_time != now)
        return false;
    enum node_deed deed = request->deed;
    request->deed = NODE_DEED_NONE;
    switch (deed) {
    case NODE_DEED_ERROR:
        return do_error(request);
    case NODE_DEED_CUT:
        return do_cut(request);
    case NODE_DEED_EARLY:
        return do_early(request);
    case NODE_DEED_CLOSE:
        return do_close(request);
    case NODE_DEED_GOAWAY:
        return do_goaway(request);
    case NODE_DEED_REFUSED_STREAM:
        return do_refuse(request);
    case NODE_DEED_RESET_STREAM:
        return do_reset_stream(request);
    case NODE_DEED_GARBAGE:
        return do_garbage(request);
    case NODE_DEED_NONE:
        break;
    }
    return false;
}

bool deed_after_answer(struct node_request *request)
{
    struct random_source *draw = &request->node->draw;
    if (request->deed == NODE_DEED_CLOSE) {
        /* The connection was promised to live, and ends at once or when it has been idle for a while. */
        uint64_t delay_us = draw_below(draw, 2) == 0 ? draw_below(draw, 2 * SIM_MS) : draw_below(draw, 20 * SIM_S);
        connection_end_in(request->connection, NODE_ENDING_WHEN_IDLE, delay_us);
    }
    return request->deed == NODE_DEED_EARLY;
}
