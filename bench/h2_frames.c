/* h2_responder's reading: frames in, calls out. Only HPACK is left to nghttp2. */
#include "h2_responder.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* Decodes a header block; gives the route of its path, or NULL when it has none (trailers) or is broken. */
static const struct route *take_block(struct connection *connection, const uint8_t *block, size_t length, bool *is_broken)
{
    const struct route *route = NULL;

    for (;;) {
        nghttp2_nv nv;
        int flags = 0;
        ssize_t used = nghttp2_hd_inflate_hd2(connection->inflater, &nv, &flags, block, length, 1);
        if (used < 0) {
            *is_broken = true;
            return NULL;
        }
        block += used;
        length -= (size_t)used;
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) && nv.namelen == 5 && memcmp(nv.name, ":path", 5) == 0)
            route = find_route(nv.value, nv.valuelen);
        if (flags & NGHTTP2_HD_INFLATE_FINAL) {
            nghttp2_hd_inflate_end_headers(connection->inflater);
            return route;
        }
        if (!(flags & NGHTTP2_HD_INFLATE_EMIT) && length == 0)
            return route;
    }
}

static bool take_headers(struct connection *connection, uint8_t flags, uint32_t id, const uint8_t *payload, size_t length)
{
    size_t front = ((flags & PADDED) ? 1u : 0u) + ((flags & HAS_PRIORITY) ? 5u : 0u);
    size_t padding = (flags & PADDED) && length > 0 ? payload[0] : 0;
    bool is_broken = !(flags & END_HEADERS) || length < front + padding;
    struct stream *stream = *stream_place(connection, id);

    if (is_broken)
        return false;
    const struct route *route = take_block(connection, payload + front, length - front - padding, &is_broken);
    if (is_broken || (stream == NULL && route == NULL))
        return false;
    if (stream == NULL)
        stream = stream_open(connection, id, route);
    if (flags & END_STREAM)
        finish_request(stream);
    return true;
}

static void take_data(struct connection *connection, uint8_t flags, uint32_t id, size_t length)
{
    struct stream *stream = *stream_place(connection, id);

    connection->received_since_refill += (uint32_t)length;
    if (connection->received_since_refill >= WINDOW_REFILL) {
        uint32_t increment = htonl(connection->received_since_refill);
        queue_frame(connection, WINDOW_UPDATE, 0, 0, &increment, sizeof increment);
        connection->received_since_refill = 0;
        mark_dirty(connection);
    }
    if (stream != NULL && (flags & END_STREAM))
        finish_request(stream);
}

static uint32_t read_number(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void take_settings(struct connection *connection, uint8_t flags, const uint8_t *payload, size_t length)
{
    if (flags & ACK)
        return;
    for (size_t i = 0; i + 6 <= length; i += 6) {
        uint32_t value = read_number(payload + i + 2);
        switch (payload[i] << 8 | payload[i + 1]) {
        case NGHTTP2_SETTINGS_HEADER_TABLE_SIZE:
            nghttp2_hd_deflate_change_table_size(connection->deflater, value);
            break;
        case NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE:
            for (size_t bucket = 0; bucket < STREAM_BUCKETS; bucket++)
                for (struct stream *stream = connection->buckets[bucket]; stream; stream = stream->next_in_bucket)
                    stream->window += (int64_t)value - connection->initial_stream_window;
            connection->initial_stream_window = value;
            break;
        default:
            break;
        }
    }
    queue_frame(connection, SETTINGS, ACK, 0, NULL, 0);
    pump(connection);
    mark_dirty(connection);
}

static void take_window(struct connection *connection, uint32_t id, uint32_t increment)
{
    struct stream *stream = id == 0 ? NULL : *stream_place(connection, id);

    if (id == 0)
        connection->window += increment;
    else if (stream != NULL)
        stream->window += increment;
    if (connection->sending.first != NULL) {
        pump(connection);
        mark_dirty(connection);
    }
}

/* False when the connection cannot go on. */
static bool take_frame(struct connection *connection, const uint8_t *frame, size_t length)
{
    const uint8_t *payload = frame + FRAME_HEAD_BYTES;
    uint8_t flags = frame[4];
    uint32_t id = read_number(frame + 5) & WINDOW_MAXIMUM;
    struct stream *stream;

    switch ((enum frame_type)frame[3]) {
    case DATA:
        take_data(connection, flags, id, length);
        return true;
    case HEADERS:
        return take_headers(connection, flags, id, payload, length);
    case RST_STREAM:
        if ((stream = *stream_place(connection, id)) != NULL)
            stream_close(stream);
        return true;
    case SETTINGS:
        take_settings(connection, flags, payload, length);
        return true;
    case PING:
        if (length != 8)
            return false;
        if (!(flags & ACK))
            queue_frame(connection, PING, ACK, 0, payload, length);
        mark_dirty(connection);
        return true;
    case WINDOW_UPDATE:
        if (length != 4)
            return false;
        take_window(connection, id, read_number(payload) & WINDOW_MAXIMUM);
        return true;
    case PUSH_PROMISE:
    case CONTINUATION: /* no head of the bench is that long */
        return false;
    default: /* PRIORITY, GOAWAY (the peer closes when it is done), unknown ones */
        return true;
    }
}

bool take_input(struct connection *connection)
{
    for (;;) {
        const uint8_t *at = connection->input + connection->input_start;
        size_t available = connection->input_end - connection->input_start;
        if (!connection->has_preface) {
            if (available < NGHTTP2_CLIENT_MAGIC_LEN)
                return true;
            if (memcmp(at, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN) != 0)
                return false;
            connection->has_preface = true;
            connection->input_start += NGHTTP2_CLIENT_MAGIC_LEN;
            continue;
        }
        if (available < FRAME_HEAD_BYTES || output_room(connection) < HEAD_ROOM_BYTES)
            return true;
        size_t length = (size_t)at[0] << 16 | (size_t)at[1] << 8 | at[2];
        if (length > FRAME_BYTES)
            return false;
        if (available < FRAME_HEAD_BYTES + length)
            return true;
        connection->input_start += FRAME_HEAD_BYTES + length;
        if (!take_frame(connection, at, length)) {
            fprintf(stderr, "h2_responder: unexpected frame: type %d, flags %d, %zu bytes\n", at[3], at[4], length);
            return false;
        }
    }
}
