#include <stdlib.h>

#include "http/h1.h"
#include "http/h1_body.h"
#include "http/h1_parse.h"
#include "http/h1_partial.h"
#include "http/h1_write.h"
#include "net/loop.h"

/*
 *   IDLE --first byte--> HEAD --complete--> BODY --last byte--> RECEIVED
 *    ^                     +----no body----------------------------^ |
 *    +--------- released, both sides complete, keep-alive -----------+
 *   any --fault or answered early--> CLOSING (what still comes is dropped)      any --> DEAD
 */
enum server_state { SERVER_IDLE, SERVER_HEAD, SERVER_BODY, SERVER_RECEIVED, SERVER_CLOSING, SERVER_DEAD };

/* A request body's rest that is read and dropped after an early answer, rather than closing the connection. */
#define SMALL_REST_BYTES 65536

enum response_state { RESPONSE_NONE, RESPONSE_OPEN, RESPONSE_COMPLETE };

struct h1_server {
    struct link link; /* first */
    struct stream stream;
    struct loop *loop;
    const struct h1_settings *settings;
    enum server_state state;
    enum response_state response;
    bool has_stream;           /* an owner holds the stream */
    bool is_paused;            /* by the stream's owner */
    bool is_draining;
    bool keep_alive;           /* this request allows another one */
    bool client_is_http10;
    bool to_head_request;
    bool waits_for_continue;   /* the client may never send the body that it announced */
    bool is_chunked;           /* the response */
    bool until_close;          /* the response ends with the connection */
    bool has_received_line_end;/* one empty line before a request is overlooked (RFC 9112 section 2.2) */
    enum fault pending_fault;  /* of fail_task */
    struct h1_search search;
    struct h1_body body;
    struct loop_task next_task; /* after release: tell the owner, look at pipelined input */
    struct loop_task fail_task;
};

static void destroy_server(void *object)
{
    free(object);
}

static void enter_dead(struct h1_server *server)
{
    if (server->state == SERVER_DEAD)
        return;
    server->state = SERVER_DEAD;
    loop_task_cancel(server->loop, &server->next_task);
    loop_task_cancel(server->loop, &server->fail_task);
    loop_bury(server->loop, server, destroy_server);
}

/* Tells everyone that the link is gone. Only from the loop. */
static void fail_link(struct h1_server *server, enum fault fault)
{
    if (server->state == SERVER_DEAD)
        return;
    bool had_stream = server->has_stream;
    enter_dead(server);
    if (had_stream)
        server->stream.events->on_failed(server->stream.owner, fault);
    server->link.events->on_closed(server->link.owner, fault);
}

static void run_fail(void *owner)
{
    struct h1_server *server = owner;
    conn_close(server->link.conn);
    fail_link(server, server->pending_fault);
}

static void fail_later(struct h1_server *server, enum fault fault)
{
    server->pending_fault = fault;
    loop_defer(server->loop, &server->fail_task);
}

/* The connection ends after what is queued; its owner hears of it when the last byte has gone out (on_finished). */
static void close_after_output(struct h1_server *server, uint64_t linger_ms)
{
    server->state = SERVER_CLOSING;
    loop_task_cancel(server->loop, &server->next_task);
    conn_finish(server->link.conn, linger_ms);
}

/* ---- receiving ---- */

static void refuse(struct h1_server *server, const struct message_head *head, enum fault fault)
{
    server->to_head_request = text_equals(head->method, TEXT("HEAD"));
    server->client_is_http10 = head->version == MESSAGE_HTTP_1_0;
    server->keep_alive = false;
    server->has_stream = true;
    server->response = RESPONSE_NONE;
    server->stream.events = NULL;
    server->state = SERVER_BODY;
    /* Nothing after a bad head can be trusted to be where it seems: no more reading. */
    server->is_paused = true;
    conn_pause(server->link.conn);
    server->link.events->on_refused(server->link.owner, &server->stream, head, fault);
}

static void begin_body(struct h1_server *server, const struct message_head *head, const struct h1_framing *framing)
{
    server->state = SERVER_BODY;
    if (framing->delimiter == H1_DELIMITER_CHUNKS)
        h1_body_start_chunked(&server->body, server->settings->body_limit_bytes);
    else if (head->body == BODY_LENGTH)
        h1_body_start_length(&server->body, head->content_length, server->settings->body_limit_bytes);
    else
        server->state = SERVER_RECEIVED;
}

static void take_request(struct h1_server *server, struct text bytes, bool more_follows)
{
    struct message_head head = {.fields = server->settings->fields};
    struct h1_framing framing;
    enum fault fault = h1_parse_request(bytes, &server->settings->limits, &head, &framing);
    server->to_head_request = text_equals(head.method, TEXT("HEAD"));
    server->client_is_http10 = head.version == MESSAGE_HTTP_1_0;
    uint64_t limit = server->settings->body_limit_bytes;
    if (fault == FAULT_NONE && limit != 0 && head.body == BODY_LENGTH && head.content_length > limit)
        fault = FAULT_REQUEST_BODY_TOO_LARGE;
    if (fault != FAULT_NONE) {
        refuse(server, &head, fault);
        return;
    }
    server->keep_alive = framing.keep_alive;
    server->response = RESPONSE_NONE;
    server->is_chunked = false;
    server->until_close = false;
    server->is_paused = false;
    server->waits_for_continue = head.expects_continue;
    server->has_stream = true;
    server->link.used++;
    begin_body(server, &head, &framing);
    /* A client that sends head and body apart with Nagle on waits for this acknowledgement (docs/clients.md#connections). */
    if (server->state == SERVER_BODY && !more_follows)
        conn_quick_acknowledge(server->link.conn);
    server->link.events->on_request(server->link.owner, &server->stream, &head);
    if (server->state == SERVER_RECEIVED && server->has_stream && server->stream.events != NULL)
        server->stream.events->on_end(server->stream.owner);
}

/* A head that has shown before its end that it cannot be served. What is behind a limit is not read, however much of it is there. */
static void refuse_unfinished(struct h1_server *server, struct text bytes, enum fault fault)
{
    const struct h1_limits *limits = &server->settings->limits;
    size_t limit = fault == FAULT_REQUEST_TARGET_TOO_LONG ? limits->target_bytes : limits->head_bytes;
    struct message_head head = {.fields = server->settings->fields};
    h1_parse_partial(text_of(bytes.bytes, bytes.length < limit ? bytes.length : limit), &head);
    refuse(server, &head, fault);
}

/* Consumes one head off the front of `*input`; false when it is not complete. */
static bool take_head(struct h1_server *server, struct text *input)
{
    if (server->state == SERVER_IDLE) {
        if (!server->has_received_line_end && input->length >= 2 && input->bytes[0] == '\r' && input->bytes[1] == '\n') {
            server->has_received_line_end = true;
            *input = text_of(input->bytes + 2, input->length - 2);
        }
        if (input->length == 0 || (input->length == 1 && input->bytes[0] == '\r' && !server->has_received_line_end))
            return false;
        server->state = SERVER_HEAD;
        server->search = (struct h1_search){0};
    }
    bool is_first_look = server->search.looked_at == 0;
    size_t length;
    enum fault fault;
    switch (h1_find_head_end(&server->search, *input, H1_ROLE_REQUEST, &server->settings->limits, &length, &fault)) {
    case H1_SEARCH_MORE:
        if (is_first_look && server->link.events->on_head_started != NULL)
            server->link.events->on_head_started(server->link.owner);
        return false;
    case H1_SEARCH_BAD:
        refuse_unfinished(server, *input, fault);
        return true;
    default:
        break;
    }
    struct text head = text_of(input->bytes, length);
    *input = text_of(input->bytes + length, input->length - length);
    server->has_received_line_end = false;
    take_request(server, head, input->length > 0);
    return true;
}

static void take_body(struct h1_server *server, struct text *input)
{
    struct text data;
    switch (h1_body_next(&server->body, input, &data)) {
    case H1_BODY_RESULT_DATA:
        if (server->has_stream)
            server->stream.events->on_data(server->stream.owner, data);
        return;
    case H1_BODY_RESULT_END:
        if (!server->has_stream) {
            server->state = SERVER_IDLE;
            loop_defer(server->loop, &server->next_task);
            return;
        }
        server->state = SERVER_RECEIVED;
        server->stream.events->on_end(server->stream.owner);
        return;
    case H1_BODY_RESULT_MORE:
        return;
    default:
        break;
    }
    bool too_large = server->body.state != H1_BODY_BROKEN;
    server->keep_alive = false;
    server->is_paused = true;
    conn_pause(server->link.conn);
    server->stream.events->on_failed(server->stream.owner,
                                     too_large ? FAULT_REQUEST_BODY_TOO_LARGE : FAULT_REQUEST_MALFORMED);
}

static size_t on_bytes(void *owner, struct text bytes)
{
    struct h1_server *server = owner;
    struct text input = bytes;
    while (server->state != SERVER_DEAD && server->state != SERVER_CLOSING) {
        if (server->state == SERVER_RECEIVED) {
            /* A pipelined request waits in the conn, which reads on up to its bound: so the client's going is seen. */
            break;
        }
        if (server->state == SERVER_BODY) {
            if (server->is_paused)
                break;
            size_t before = input.length;
            take_body(server, &input);
            if (input.length == 0 && before == 0)
                break;
        } else if (!take_head(server, &input)) {
            break;
        }
    }
    return bytes.length - input.length;
}

static void on_drained(void *owner)
{
    struct h1_server *server = owner;
    if (server->has_stream && server->stream.events != NULL)
        server->stream.events->on_drained(server->stream.owner);
}

static void on_ended(void *owner, enum conn_end end)
{
    (void)end;
    struct h1_server *server = owner;
    conn_close(server->link.conn);
    fail_link(server, FAULT_DOWNSTREAM_GONE);
}

static void on_finished(void *owner)
{
    struct h1_server *server = owner;
    enter_dead(server);
    server->link.events->on_closed(server->link.owner, FAULT_NONE);
}

const struct conn_events h1_server_conn_events = {
    .on_bytes = on_bytes,
    .on_drained = on_drained,
    .on_ended = on_ended,
    .on_finished = on_finished,
};

/* ---- sending ---- */

static struct h1_server *server_of(struct stream *stream)
{
    return LIST_OWNER(stream, struct h1_server, stream);
}

static void send_bytes(struct h1_server *server, struct text bytes)
{
    if (!conn_write(server->link.conn, bytes))
        fail_later(server, FAULT_OUT_OF_MEMORY);
}

static void send_response_head(struct h1_server *server, const struct message_head *head,
                               const struct h1_response_form *form)
{
    size_t bound = h1_response_head_bytes(head);
    if (bound <= BUFFER_BLOCK_BYTES) {
        char *room = conn_reserve(server->link.conn, bound);
        if (room == NULL)
            fail_later(server, FAULT_OUT_OF_MEMORY);
        else
            conn_commit(server->link.conn, h1_write_response_head(room, head, form));
        return;
    }
    char *room = malloc(bound);
    if (room == NULL) {
        fail_later(server, FAULT_OUT_OF_MEMORY);
        return;
    }
    send_bytes(server, text_of(room, h1_write_response_head(room, head, form)));
    free(room);
}

/*
 * Is what is left of the request's body worth reading to its end, so that the connection lives? Each client of an outage would
 * reconnect otherwise (docs/clients.md#connections).
 */
static bool is_rest_small(const struct h1_server *server)
{
    return server->keep_alive && server->state == SERVER_BODY && server->body.state == H1_BODY_LENGTH &&
           server->body.left <= SMALL_REST_BYTES && !server->waits_for_continue;
}

static void send_head(struct stream *stream, const struct message_head *head)
{
    struct h1_server *server = server_of(stream);
    if (server->state == SERVER_DEAD || server->response != RESPONSE_NONE)
        return;
    /* An answer before the end of the request: unless little is left, the connection ends with it. */
    if ((server->state != SERVER_RECEIVED && !is_rest_small(server)) || server->is_draining ||
        head->ends_connection)
        server->keep_alive = false;
    if (head->body == BODY_STREAM && server->client_is_http10) {
        server->until_close = true;
        server->keep_alive = false;
    }
    server->is_chunked = head->body == BODY_STREAM && !server->client_is_http10;
    server->response = RESPONSE_OPEN;
    /* HTTP/2 can end an answer with its head and say nothing of a length; here the client would wait for the end of the connection. */
    struct message_head framed = *head;
    bool may_have_body = head->status >= 200 && head->status != 204 && head->status != 304 && !server->to_head_request;
    if (head->body == BODY_NONE && may_have_body && !head->announces_length) {
        framed.announces_length = true;
        framed.content_length = 0;
    }
    enum h1_connection_option persists = server->client_is_http10 ? H1_CONNECTION_KEEP_ALIVE : H1_CONNECTION_UNSAID;
    struct h1_response_form form = {
        .is_chunked = server->is_chunked,
        .connection = server->keep_alive ? persists : H1_CONNECTION_CLOSE,
    };
    send_response_head(server, &framed, &form);
}

static void send_interim(struct stream *stream, const struct message_head *head)
{
    struct h1_server *server = server_of(stream);
    if (server->state == SERVER_DEAD || server->response != RESPONSE_NONE || server->client_is_http10)
        return;
    struct h1_response_form form = {0};
    struct message_head interim = *head;
    server->waits_for_continue = server->waits_for_continue && head->status != 100;
    interim.body = BODY_NONE;
    interim.announces_length = false;
    send_response_head(server, &interim, &form);
}

static void send_data(struct stream *stream, struct text bytes)
{
    struct h1_server *server = server_of(stream);
    if (server->state == SERVER_DEAD || server->to_head_request || bytes.length == 0)
        return;
    if (!server->is_chunked) {
        send_bytes(server, bytes);
        return;
    }
    char line[H1_CHUNK_LINE_BYTES];
    send_bytes(server, text_of(line, h1_write_chunk_line(line, bytes.length)));
    send_bytes(server, bytes);
    send_bytes(server, TEXT("\r\n"));
}

static void drop_trailers(struct stream *stream, const struct message_head *trailers)
{
    (void)stream;
    (void)trailers;
}

static void send_end(struct stream *stream)
{
    struct h1_server *server = server_of(stream);
    if (server->state == SERVER_DEAD || server->response != RESPONSE_OPEN)
        return;
    if (server->is_chunked && !server->to_head_request)
        send_bytes(server, TEXT("0\r\n\r\n"));
    server->response = RESPONSE_COMPLETE;
}

static void pause_stream(struct stream *stream)
{
    struct h1_server *server = server_of(stream);
    if (server->state != SERVER_BODY || server->is_paused)
        return;
    server->is_paused = true;
    conn_pause(server->link.conn);
}

static void resume_stream(struct stream *stream)
{
    struct h1_server *server = server_of(stream);
    if (server->state != SERVER_BODY || !server->is_paused)
        return;
    server->is_paused = false;
    conn_resume(server->link.conn);
}

static bool is_congested(const struct stream *stream)
{
    const struct h1_server *server =
        (const struct h1_server *)(const void *)((const char *)stream - offsetof(struct h1_server, stream));
    return conn_is_congested(server->link.conn);
}

static void reset_stream(struct stream *stream, enum fault fault)
{
    (void)fault;
    struct h1_server *server = server_of(stream);
    if (server->state == SERVER_DEAD)
        return;
    server->has_stream = false;
    /* Without a length or chunks only a reset tells the client that the body is cut. */
    if (server->until_close) {
        conn_abort(server->link.conn);
        server->state = SERVER_CLOSING;
        loop_defer(server->loop, &server->next_task);
    } else {
        close_after_output(server, 0);
    }
}

static void release_stream(struct stream *stream)
{
    struct h1_server *server = server_of(stream);
    if (server->state == SERVER_DEAD || !server->has_stream)
        return;
    if (server->response != RESPONSE_COMPLETE) {
        reset_stream(stream, FAULT_NONE);
        return;
    }
    server->has_stream = false;
    if (is_rest_small(server)) {
        server->is_paused = false;
        loop_defer(server->loop, &server->next_task);
        return;
    }
    if (server->state != SERVER_RECEIVED || !server->keep_alive || server->is_draining) {
        close_after_output(server, server->settings->linger_ms);
        return;
    }
    server->state = SERVER_IDLE;
    loop_defer(server->loop, &server->next_task);
}

static void run_next(void *owner)
{
    struct h1_server *server = owner;
    if (server->state == SERVER_CLOSING) {
        /* It was aborted. */
        enter_dead(server);
        server->link.events->on_closed(server->link.owner, FAULT_NONE);
        return;
    }
    if (server->state == SERVER_BODY && !server->has_stream) {
        /* The rest of the body has as long as a head would have. */
        if (server->link.events->on_head_started != NULL)
            server->link.events->on_head_started(server->link.owner);
        conn_resume(server->link.conn);
        return;
    }
    if (server->state != SERVER_IDLE)
        return;
    server->link.events->on_idle(server->link.owner);
    if (server->state == SERVER_IDLE)
        conn_resume(server->link.conn);
}

static const struct stream_verbs server_stream_verbs = {
    .send_head = send_head,
    .send_interim = send_interim,
    .send_data = send_data,
    .send_trailers = drop_trailers,
    .send_end = send_end,
    .pause = pause_stream,
    .resume = resume_stream,
    .is_congested = is_congested,
    .reset = reset_stream,
    .release = release_stream,
};

/* ---- the link ---- */

static struct stream *open_nothing(struct link *link)
{
    (void)link;
    return NULL;
}

static bool has_no_room(const struct link *link)
{
    (void)link;
    return false;
}

static bool is_spent(const struct link *link)
{
    (void)link;
    return true;
}

static void drain_link(struct link *link)
{
    ((struct h1_server *)link)->is_draining = true;
}

static void close_link(struct link *link)
{
    struct h1_server *server = (struct h1_server *)link;
    if (server->state == SERVER_DEAD)
        return;
    conn_close(link->conn);
    enter_dead(server);
}

static const struct link_verbs server_link_verbs = {
    .open_stream = open_nothing,
    .has_room = has_no_room,
    .is_spent = is_spent,
    .drain = drain_link,
    .close = close_link,
};

struct link *h1_server_create(struct loop *loop, struct conn *conn, const struct h1_settings *settings,
                              const struct link_events *events, void *owner)
{
    struct h1_server *server = calloc(1, sizeof *server);
    if (server == NULL) {
        conn_close(conn);
        return NULL;
    }
    server->link = (struct link){.verbs = &server_link_verbs, .events = events, .owner = owner, .conn = conn};
    server->stream.verbs = &server_stream_verbs;
    server->loop = loop;
    server->settings = settings;
    loop_task_init(&server->next_task, run_next, server);
    loop_task_init(&server->fail_task, run_fail, server);
    conn_set_owner(conn, &h1_server_conn_events, server);
    return &server->link;
}
