/* HTTP/2: the session, and the verbs that need nothing but nghttp2. Framing, compression and most of the strictness are nghttp2's. */
#include "peer/peer_h2.h"

/* As hyper has them. */
#define WINDOW_BYTES 1048576
#define STREAMS_MAXIMUM 200
#define HEAD_LIST_BYTES 1048576
/* A client takes so many streams before the server has said how many. */
#define STREAMS_AT_FIRST 100

static void on_input(struct peer *peer, char *bytes, size_t length)
{
    ssize_t used = nghttp2_session_mem_recv(peer->h2.session, (const uint8_t *)bytes, length);
    if (peer->state != PEER_OPEN)
        return;
    if (used < 0)
        peer_break(peer, nghttp2_strerror((int)used));
    else if (!peer->h2.has_goaway && nghttp2_session_want_read(peer->h2.session) == 0)
        peer_break(peer, "a connection that is no HTTP/2");
    else
        far_h2_check_end(peer);
}

static bool wants_input(const struct peer *peer)
{
    (void)peer;
    return true;
}

static void on_input_end(struct peer *peer)
{
    peer_end(peer, PEER_CUT_CLOSED);
}

/* ---- verbs that need no sending ---- */

static bool can_send(const struct peer *peer)
{
    uint32_t allowed = nghttp2_session_get_remote_settings(peer->h2.session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    return !peer->h2.has_goaway && peer->streams.count < (allowed == UINT32_MAX ? STREAMS_AT_FIRST : allowed) &&
           nghttp2_session_check_request_allowed(peer->h2.session) != 0;
}

static void reset(struct peer_stream *stream, uint32_t code)
{
    if (stream->session == SESSION_STREAM)
        nghttp2_submit_rst_stream(stream->peer->h2.session, NGHTTP2_FLAG_NONE, stream->id, code);
    far_h2_forget(stream);
    far_h2_let_go(stream);
}

static void release(struct peer_stream *stream)
{
    bool is_said = stream->sending >= SENDING_SAID;
    bool is_received = stream->receiving == RECEIVING_DONE;
    if (stream->session != SESSION_STREAM || !is_said || (!is_received && stream->peer->side == PEER_CLIENT))
        reset(stream, NGHTTP2_CANCEL);
    else if (!is_received && stream->sending == SENDING_SENT)
        reset(stream, NGHTTP2_NO_ERROR);
    else
        far_h2_drop_held(stream); /* what was said goes out without its owner */
}

static void close_in_order(struct peer *peer)
{
    nghttp2_submit_goaway(peer->h2.session, NGHTTP2_FLAG_NONE, peer->h2.last_id, NGHTTP2_NO_ERROR, NULL, 0);
}

static void drain(struct peer *peer)
{
    if (peer->side == PEER_CLIENT)
        return;
    peer->h2.has_goaway = true;
    close_in_order(peer);
}

static void raw(struct peer *peer, struct text bytes)
{
    far_h2_produce(peer);
    bytes_add(&peer->out, bytes);
}

void peer_go_away_before(struct peer_stream *stream, uint32_t code)
{
    struct peer *peer = stream->peer;
    if (peer == NULL || peer->side != PEER_SERVER || peer->version != PEER_HTTP_2 || stream->session != SESSION_STREAM) {
        peer_stream_reset(stream, code);
        return;
    }
    stream->events = NULL;
    stream->hold = STREAM_RELEASED;
    peer_touch(peer);
    peer->h2.has_goaway = true;
    peer->h2.goaways |= UINT32_C(1) << (code & 31);
    if (stream->id <= peer->h2.last_id)
        peer->h2.last_id = stream->id > 2 ? stream->id - 2 : 0;
    nghttp2_submit_goaway(peer->h2.session, NGHTTP2_FLAG_NONE, peer->h2.last_id, code, NULL, 0);
    far_h2_forget(stream);
    far_h2_let_go(stream);
}

/* ---- the session ---- */

static void *take_memory(size_t length, void *owner)
{
    (void)owner;
    return peer_take(length);
}

static void *take_zeroed(size_t count, size_t length, void *owner)
{
    (void)owner;
    return peer_take_zeroed(count * length);
}

static void *resize(void *object, size_t length, void *owner)
{
    (void)owner;
    return peer_resize(object, length);
}

static void give(void *object, void *owner)
{
    (void)owner;
    peer_give(object);
}

static void make_session(struct peer *peer, nghttp2_session_callbacks *callbacks, nghttp2_option *option)
{
    nghttp2_session_callbacks_set_send_callback(callbacks, far_h2_send_bytes);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, far_h2_send_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, far_h2_on_frame_sent);
    far_h2_set_callbacks(callbacks);
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    /* A rate of resets would be measured by a clock that is not the world's. */
    nghttp2_option_set_stream_reset_rate_limit(option, UINT64_MAX / 2, UINT64_MAX / 2);
    nghttp2_option_set_max_send_header_block_length(option, HEAD_LIST_BYTES);
    nghttp2_mem memory = {NULL, take_memory, give, take_zeroed, resize};
    if (peer->side == PEER_SERVER)
        nghttp2_session_server_new3(&peer->h2.session, callbacks, peer, option, &memory);
    else
        nghttp2_session_client_new3(&peer->h2.session, callbacks, peer, option, &memory);
}

void far_h2_open(struct peer *peer)
{
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    if (nghttp2_session_callbacks_new(&callbacks) == 0 && nghttp2_option_new(&option) == 0)
        make_session(peer, callbacks, option);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(option);
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_BYTES},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HEAD_LIST_BYTES},
        {peer->side == PEER_SERVER ? NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS : NGHTTP2_SETTINGS_ENABLE_PUSH,
         peer->side == PEER_SERVER ? STREAMS_MAXIMUM : 0},
    };
    nghttp2_submit_settings(peer->h2.session, NGHTTP2_FLAG_NONE, settings, sizeof settings / sizeof settings[0]);
    nghttp2_session_set_local_window_size(peer->h2.session, NGHTTP2_FLAG_NONE, 0, WINDOW_BYTES);
}

static void clear(struct peer *peer)
{
    nghttp2_session_del(peer->h2.session);
    if (peer->h2.gathering != NULL)
        bytes_clear(&peer->h2.gathering->text);
    peer_give(peer->h2.gathering);
}

const struct peer_codec far_h2_codec = {
    .version = PEER_HTTP_2,
    .on_input = on_input,
    .wants_input = wants_input,
    .on_input_end = on_input_end,
    .go_on = far_h2_go_on,
    .produce = far_h2_produce,
    .close = close_in_order,
    .clear = clear,
    .can_send = can_send,
    .drain = drain,
    .raw = raw,
    .request = far_h2_request,
    .respond = far_h2_respond,
    .send_body = far_h2_send_body,
    .send_end = far_h2_send_end,
    .reset = reset,
    .release = release,
    .has_room = far_h2_has_room,
};
