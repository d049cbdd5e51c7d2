/* The downstream HTTP/1 link's responses: the verbs of its stream. */
#include "http/h1_server_send.h"

#include <stdlib.h>

#include "http/h1_write.h"

/* A request body's rest that is read and dropped after an early answer, rather than closing the connection. */
#define SMALL_REST_BYTES 65536

static struct h1_server *server_of(struct stream *stream)
{
    return LIST_OWNER(stream, struct h1_server, stream);
}

/* Behind a piece for which memory was out nothing goes: an answer with a hole would look whole. */
static void send_bytes(struct h1_server *server, struct text bytes)
{
    if (server->pending_fault == FAULT_OUT_OF_MEMORY)
        return;
    if (bytes.length > 0 && !conn_write(server->link.conn, bytes))
        h1_server_fail_later(server, FAULT_OUT_OF_MEMORY);
}

static void send_response_head(struct h1_server *server, const struct message_head *head,
                               const struct h1_response_form *form)
{
    size_t bound = h1_response_head_bytes(head);
    if (bound <= BUFFER_BLOCK_BYTES) {
        char *room = conn_reserve(server->link.conn, bound);
        if (room == NULL)
            h1_server_fail_later(server, FAULT_OUT_OF_MEMORY);
        else
            conn_commit(server->link.conn, h1_write_response_head(room, head, form));
        return;
    }
    char *room = malloc(bound);
    if (room == NULL) {
        h1_server_fail_later(server, FAULT_OUT_OF_MEMORY);
        return;
    }
    send_bytes(server, text_of(room, h1_write_response_head(room, head, form)));
    free(room);
}

/*
 * Is what is left of the request's body worth reading to its end, so that the connection lives? Each client of an outage would
 * reconnect otherwise.
 */
static bool is_rest_small(const struct h1_server *server)
{
    return server->persistence == H1_PERSISTENCE_KEEP_ALIVE &&
           (server->state == H1_SERVER_BODY || server->state == H1_SERVER_PAUSED) && server->body.state == H1_BODY_LENGTH &&
           server->body.left <= SMALL_REST_BYTES && !server->waits_for_continue;
}

/* How the body of a response goes out. */
static enum h1_response_state response_of(const struct h1_server *server, const struct message_head *head)
{
    if (server->to_head_request)
        return H1_RESPONSE_SUPPRESSED;
    if (head->body != BODY_STREAM)
        return H1_RESPONSE_PLAIN;
    return server->version == MESSAGE_HTTP_1_0 ? H1_RESPONSE_UNTIL_CLOSE : H1_RESPONSE_CHUNKED;
}

static void send_head(struct stream *stream, const struct message_head *head)
{
    struct h1_server *server = server_of(stream);
    if (server->state == H1_SERVER_DEAD || server->response != H1_RESPONSE_NONE)
        return;
    bool is_http10 = server->version == MESSAGE_HTTP_1_0;
    /* An answer before the end of the request: unless little is left, the connection ends with it. */
    if ((server->state != H1_SERVER_RECEIVED && !is_rest_small(server)) || message_has(head, MESSAGE_ENDS_CONNECTION) ||
        (head->body == BODY_STREAM && is_http10))
        h1_server_end_persistence(server);
    h1_server_enter_response(server, response_of(server, head));
    h1_announced_start(&server->announced, head);
    /* HTTP/2 can end an answer with its head and say nothing of a length; here the client would wait for the end of the connection. */
    struct message_head framed = *head;
    bool may_have_body = head->status >= 200 && head->status != 204 && head->status != 304 && !server->to_head_request;
    if (head->body == BODY_NONE && may_have_body && !message_has(head, MESSAGE_ANNOUNCES_LENGTH)) {
        message_set(&framed, MESSAGE_ANNOUNCES_LENGTH, true);
        framed.content_length = 0;
    }
    uint64_t keep_alive_s = server->settings->keep_alive_s;
    enum h1_connection_option persists = is_http10 || keep_alive_s > 0 ? H1_CONNECTION_KEEP_ALIVE : H1_CONNECTION_UNSAID;
    struct h1_response_form form = {
        .is_chunked = head->body == BODY_STREAM && !is_http10,
        .connection = server->persistence == H1_PERSISTENCE_KEEP_ALIVE ? persists : H1_CONNECTION_CLOSE,
        .keep_alive_s = keep_alive_s,
    };
    send_response_head(server, &framed, &form);
}

static void send_interim(struct stream *stream, const struct message_head *head)
{
    struct h1_server *server = server_of(stream);
    if (server->state == H1_SERVER_DEAD || server->response != H1_RESPONSE_NONE || server->version == MESSAGE_HTTP_1_0)
        return;
    struct h1_response_form form = {0};
    struct message_head interim = *head;
    server->waits_for_continue = server->waits_for_continue && head->status != 100;
    interim.body = BODY_NONE;
    message_set(&interim, MESSAGE_ANNOUNCES_LENGTH, false);
    send_response_head(server, &interim, &form);
}

static void send_data(struct stream *stream, struct text bytes)
{
    struct h1_server *server = server_of(stream);
    if (server->state == H1_SERVER_DEAD || bytes.length == 0)
        return;
    if (server->response == H1_RESPONSE_PLAIN || server->response == H1_RESPONSE_UNTIL_CLOSE)
        send_bytes(server, h1_announced_take(&server->announced, bytes));
    if (server->response != H1_RESPONSE_CHUNKED)
        return;
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
    if (server->state == H1_SERVER_DEAD || server->response == H1_RESPONSE_NONE || server->response == H1_RESPONSE_COMPLETE)
        return;
    if (server->response == H1_RESPONSE_CHUNKED)
        send_bytes(server, TEXT("0\r\n\r\n"));
    else if (server->response == H1_RESPONSE_PLAIN)
        send_bytes(server, h1_announced_end(&server->announced));
    h1_server_enter_response(server, H1_RESPONSE_COMPLETE);
}

static void pause_stream(struct stream *stream)
{
    struct h1_server *server = server_of(stream);
    if (server->state != H1_SERVER_BODY)
        return;
    h1_server_enter(server, H1_SERVER_PAUSED);
    conn_pause(server->link.conn);
}

static void resume_stream(struct stream *stream)
{
    struct h1_server *server = server_of(stream);
    if (server->state != H1_SERVER_PAUSED)
        return;
    h1_server_enter(server, H1_SERVER_BODY);
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
    if (!h1_server_is_owned(server))
        return;
    /* Without a length or chunks only a reset tells the client that the body is cut. */
    if (server->response == H1_RESPONSE_UNTIL_CLOSE) {
        conn_abort(server->link.conn);
        h1_server_enter(server, H1_SERVER_ABORTED);
        loop_defer(server->loop, &server->next_task);
    } else {
        h1_server_close_after_output(server, 0);
    }
}

static void release_stream(struct stream *stream)
{
    struct h1_server *server = server_of(stream);
    if (!h1_server_is_owned(server))
        return;
    if (server->response != H1_RESPONSE_COMPLETE) {
        reset_stream(stream, FAULT_NONE);
        return;
    }
    bool goes_on = is_rest_small(server);
    if (!goes_on && (server->state != H1_SERVER_RECEIVED || server->persistence != H1_PERSISTENCE_KEEP_ALIVE)) {
        h1_server_close_after_output(server, server->settings->linger_ms);
        return;
    }
    h1_server_enter(server, goes_on ? H1_SERVER_DISCARDING : H1_SERVER_IDLE);
    loop_defer(server->loop, &server->next_task);
}

const struct stream_verbs h1_server_stream_verbs = {
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
