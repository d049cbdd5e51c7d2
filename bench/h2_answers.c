/* h2_responder's answers: what there is to say, to which stream it goes, and how far the peer's windows let it. */
#include "h2_responder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The last row answers what no other row knows. */
static const struct route routes[] = {
    {"/api/v3/write_lp", "204", NULL, NULL, HELD},
    {"/api/v2/write", "204", NULL, NULL, HELD},
    {"/write", "204", NULL, NULL, HELD},
    {"/api/v3/query_sql", "200", "application/json",
     "[{\"host\":\"server01\",\"region\":\"us-west\",\"time\":\"2024-01-01T00:00:00\",\"usage_user\":42.5,"
     "\"usage_system\":7.25},"
     "{\"host\":\"server02\",\"region\":\"us-west\",\"time\":\"2024-01-01T00:00:00\",\"usage_user\":12.5}]", PLAIN},
    {FLIGHT "GetFlightInfo", "200", "application/grpc", NULL, GRPC_ONE},
    {FLIGHT "DoGet", "200", "application/grpc", NULL, GRPC_STREAM},
    {"/api/v3/enterprise/backup", "200", "application/json", "[]", PLAIN},
    {"/ready", "200", "text/plain", "OK", PLAIN},
    {"/health", "200", "text/plain", "OK", PLAIN},
    {"/ping", "200", "application/json",
     "{\"product_name\":\"responder\",\"version\":\"3.9.0\",\"revision\":\"bench\",\"process_id\":\"bench\"}", PLAIN},
    {NULL, "404", "text/plain", "Not found", PLAIN},
};

/* ---- streams ---- */

static void list_append(struct stream_list *list, struct stream *stream)
{
    stream->next = NULL;
    stream->previous = list->last;
    *(list->last != NULL ? &list->last->next : &list->first) = stream;
    list->last = stream;
}

static void list_remove(struct stream_list *list, struct stream *stream)
{
    *(stream->previous != NULL ? &stream->previous->next : &list->first) = stream->next;
    *(stream->next != NULL ? &stream->next->previous : &list->last) = stream->previous;
}

struct stream **stream_place(struct connection *connection, uint32_t id)
{
    struct stream **place = &connection->buckets[(id >> 1) % STREAM_BUCKETS];

    while (*place != NULL && (*place)->id != id)
        place = &(*place)->next_in_bucket;
    return place;
}

struct stream *stream_open(struct connection *connection, uint32_t id, const struct route *route)
{
    struct stream *stream = responder.spare;
    struct stream **bucket = &connection->buckets[(id >> 1) % STREAM_BUCKETS];

    if (stream != NULL)
        responder.spare = stream->next;
    else if ((stream = malloc(sizeof *stream)) == NULL)
        fail("malloc");
    *stream = (struct stream){.next_in_bucket = *bucket, .connection = connection, .route = route, .id = id,
                              .window = connection->initial_stream_window};
    *bucket = stream;
    return stream;
}

static void leave_lists(struct stream *stream)
{
    if (stream->is_held) {
        list_remove(&responder.held, stream);
        responder.held_count--;
    }
    if (stream->is_sending)
        list_remove(&stream->connection->sending, stream);
    stream->is_held = stream->is_sending = false;
}

void stream_close(struct stream *stream)
{
    leave_lists(stream);
    *stream_place(stream->connection, stream->id) = stream->next_in_bucket;
    stream->next = responder.spare;
    responder.spare = stream;
}

/* ---- output ---- */

size_t output_room(const struct connection *connection)
{
    return OUTPUT_BYTES - connection->output_end;
}

static void put_frame_head(uint8_t *at, size_t length, enum frame_type type, uint8_t flags, uint32_t id)
{
    const uint8_t head[FRAME_HEAD_BYTES] = {
        (uint8_t)(length >> 16), (uint8_t)(length >> 8), (uint8_t)length, (uint8_t)type, flags,
        (uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id};

    memcpy(at, head, sizeof head);
}

void queue_frame(struct connection *connection, enum frame_type type, uint8_t flags, uint32_t id,
                        const void *payload, size_t length)
{
    uint8_t *at = connection->output + connection->output_end;

    put_frame_head(at, length, type, flags, id);
    if (length > 0)
        memcpy(at + FRAME_HEAD_BYTES, payload, length);
    connection->output_end += FRAME_HEAD_BYTES + length;
}

static nghttp2_nv field(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value), NGHTTP2_NV_FLAG_NONE};
}

static void queue_head(struct connection *connection, uint32_t id, const nghttp2_nv *fields, size_t count, bool is_last)
{
    uint8_t *at = connection->output + connection->output_end;
    ssize_t length = nghttp2_hd_deflate_hd(connection->deflater, at + FRAME_HEAD_BYTES,
                                           output_room(connection) - FRAME_HEAD_BYTES, fields, count);

    if (length < 0)
        fail("an answer's head does not fit");
    put_frame_head(at, (size_t)length, HEADERS, is_last ? END_HEADERS | END_STREAM : END_HEADERS, id);
    connection->output_end += FRAME_HEAD_BYTES + (size_t)length;
}

/* ---- answers ---- */

static const uint8_t small_message[] =
    "\0\0\0\0\x40" "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

static uint64_t body_length(const struct route *route)
{
    switch (route->kind) {
    case GRPC_ONE:
        return sizeof small_message - 1;
    case GRPC_STREAM:
        return (uint64_t)STREAMED_MESSAGES * sizeof responder.message;
    default:
        return route->body != NULL ? strlen(route->body) : 0;
    }
}

/* The body's bytes from where the answer stands, `length` of them or fewer: a gRPC stream repeats one message. */
static const uint8_t *body_bytes(const struct stream *stream, size_t *length)
{
    const struct route *route = stream->route;

    if (route->kind == GRPC_STREAM) {
        size_t rest = (size_t)(stream->remaining_bytes % sizeof responder.message);
        if (rest == 0)
            rest = sizeof responder.message;
        *length = *length < rest ? *length : rest;
        return responder.message + sizeof responder.message - rest;
    }
    const uint8_t *body = route->kind == GRPC_ONE ? small_message : (const uint8_t *)route->body;
    return body + body_length(route) - stream->remaining_bytes;
}

static bool has_room_for_data(const struct connection *connection)
{
    return output_room(connection) >= FRAME_BYTES + FRAME_HEAD_BYTES + 2 * HEAD_ROOM_BYTES;
}

/* Sends at most one gRPC message's length of a body, as far as windows and room allow. True when the answer is complete. */
static bool send_body(struct stream *stream)
{
    struct connection *connection = stream->connection;
    bool is_grpc = stream->route->kind == GRPC_ONE || stream->route->kind == GRPC_STREAM;

    for (size_t turn = sizeof responder.message; turn > 0 && stream->remaining_bytes > 0;) {
        int64_t allowed = stream->window < connection->window ? stream->window : connection->window;
        if (allowed <= 0 || !has_room_for_data(connection))
            return false;
        size_t length = turn < FRAME_BYTES ? turn : FRAME_BYTES;
        length = length < (uint64_t)allowed ? length : (size_t)allowed;
        length = length < stream->remaining_bytes ? length : (size_t)stream->remaining_bytes;
        const uint8_t *bytes = body_bytes(stream, &length);
        bool is_last = !is_grpc && length == stream->remaining_bytes;
        queue_frame(connection, DATA, is_last ? END_STREAM : 0, stream->id, bytes, length);
        turn -= length;
        stream->remaining_bytes -= length;
        stream->window -= (int64_t)length;
        connection->window -= (int64_t)length;
    }
    if (stream->remaining_bytes > 0)
        return false;
    if (is_grpc) {
        const nghttp2_nv trailers[] = {field("grpc-status", "0")};
        queue_head(connection, stream->id, trailers, 1, true);
    }
    return true;
}

void pump(struct connection *connection)
{
    const struct stream *first_stuck = NULL;
    struct stream *stream;

    while ((stream = connection->sending.first) != NULL && stream != first_stuck && has_room_for_data(connection)) {
        uint64_t before = stream->remaining_bytes;
        if (send_body(stream)) {
            stream_close(stream);
            continue;
        }
        if (stream->remaining_bytes < before)
            first_stuck = NULL;
        else if (first_stuck == NULL)
            first_stuck = stream;
        list_remove(&connection->sending, stream);
        list_append(&connection->sending, stream);
    }
}

/* Queues the answer's head, and its body as far as it goes. The stream is gone when nothing is left of it. */
static void answer(struct stream *stream)
{
    const struct route *route = stream->route;
    struct connection *connection = stream->connection;
    nghttp2_nv fields[FIELDS_MAXIMUM] = {field(":status", route->status), field("x-node", responder.name),
                                         field("date", responder.date)};
    size_t count = 3;
    char length[24];

    stream->remaining_bytes = body_length(route);
    if (route->content_type != NULL)
        fields[count++] = field("content-type", route->content_type);
    if (route->body != NULL) {
        snprintf(length, sizeof length, "%zu", strlen(route->body));
        fields[count++] = field("content-length", length);
    }
    if (strcmp(route->path != NULL ? route->path : "", "/ping") == 0)
        fields[count++] = field("x-influxdb-version", "3.9.0");
    queue_head(connection, stream->id, fields, count, stream->remaining_bytes == 0);
    mark_dirty(connection);
    if (stream->remaining_bytes == 0 || send_body(stream)) {
        stream_close(stream);
        return;
    }
    stream->is_sending = true;
    list_append(&connection->sending, stream);
}

void finish_request(struct stream *stream)
{
    if (stream->route->kind != HELD || responder.hold_ms == 0) {
        answer(stream);
        return;
    }
    stream->due_ms = responder.now_ms + responder.hold_ms;
    stream->is_held = true;
    list_append(&responder.held, stream);
    if (++responder.held_count > responder.peak_held)
        responder.peak_held = responder.held_count;
}

void answer_due(void)
{
    struct stream *stream;

    while ((stream = responder.held.first) != NULL && stream->due_ms <= responder.now_ms &&
           output_room(stream->connection) >= HEAD_ROOM_BYTES) {
        leave_lists(stream);
        answer(stream);
    }
}

const struct route *find_route(const uint8_t *path, size_t length)
{
    const uint8_t *query = memchr(path, '?', length);
    const struct route *route = routes;

    if (query != NULL)
        length = (size_t)(query - path);
    while (route->path != NULL && (strlen(route->path) != length || memcmp(route->path, path, length) != 0))
        route++;
    return route;
}

void render_answers(const char *name)
{
    time_t now = time(NULL);
    struct tm parts;

    responder.name = name;
    strftime(responder.date, sizeof responder.date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &parts));
    memset(responder.message, 'x', sizeof responder.message);
    memcpy(responder.message, "\0\0\x01\0\0", MESSAGE_FRAMING); /* not compressed, MESSAGE_BYTES long */
}
