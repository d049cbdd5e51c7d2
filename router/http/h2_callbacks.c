/* nghttp2's callbacks: each translates one event of the session for its stream or link and decides nothing else. */
#include "http/h2_callbacks.h"

#include "http/h2_stream_send.h"

static struct h2_stream *stream_of(nghttp2_session *session, int32_t id)
{
    return nghttp2_session_get_stream_user_data(session, id);
}

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *head, void *owner)
{
    struct h2_link *link = owner;
    /* An owner has closed the link inside of an event: its streams are in the grave, and nothing more may be kept in them. */
    if (!h2_link_is_alive(link))
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    /* With RFC 7540's priorities off nghttp2 skips the check of this frame (RFC 9113 section 6.3). */
    if (head->type == NGHTTP2_PRIORITY && head->stream_id == 0 &&
        nghttp2_session_terminate_session(session, NGHTTP2_PROTOCOL_ERROR) != 0)
        h2_link_break(link);
    if (link->role->on_frame_begin != NULL)
        link->role->on_frame_begin(link, head);
    return 0;
}

/* A frame of a type that nobody knows: ignored (RFC 9113 section 5.5). */
static int unpack_unknown(nghttp2_session *session, void **payload, const nghttp2_frame_hd *head, void *owner)
{
    (void)session;
    (void)payload;
    (void)head;
    (void)owner;
    return NGHTTP2_ERR_CANCEL;
}

/* The peer costs us something; whether that is too much is the server's to know. */
static void expend(struct h2_link *link, enum h2_expense expense)
{
    if (link->role->on_expense != NULL)
        link->role->on_expense(link, expense);
}

/* ---- heads ---- */

/* A head is gathered until it is complete; whatever follows the body are trailers. */
static struct h2_header_block **block_of(struct h2_stream *stream)
{
    return stream->receiving == H2_RECEIVING_HEAD ? &stream->block : &stream->trailers;
}

/* One too many: it may come again when another has ended. */
static int refuse_stream(struct h2_link *link, int32_t id)
{
    link->gathering = NULL;
    if (nghttp2_submit_rst_stream(link->session, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM) != 0)
        h2_link_break(link);
    return 0;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *owner)
{
    struct h2_link *link = owner;
    struct h2_stream *stream = stream_of(session, frame->hd.stream_id);
    if (stream == NULL && link->role->is_server && link->live_count >= link->streams_allowed)
        return refuse_stream(link, frame->hd.stream_id);
    if (stream == NULL && link->role->on_new_stream != NULL && h2_link_is_alive(link)) {
        stream = link->role->on_new_stream(link, frame->hd.stream_id);
        if (stream != NULL)
            nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, stream);
    }
    if (stream == NULL)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    struct h2_header_block **block = block_of(stream);
    if (*block == NULL)
        *block = h2_header_block_take(&link->context->blocks);
    link->gathering = *block;
    link->gathering_id = frame->hd.stream_id;
    return *block == NULL ? NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE : 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_length,
                     const uint8_t *value, size_t value_length, uint8_t flags, void *owner)
{
    (void)session;
    (void)flags;
    struct h2_link *link = owner;
    struct h2_header_block *block = link->gathering;
    if (block == NULL || link->gathering_id != frame->hd.stream_id)
        return 0;
    const struct h1_limits *limits = &link->context->settings.limits;
    h2_header_block_add(block, limits, link->role->is_server, text_of((const char *)name, name_length),
                 text_of((const char *)value, value_length));
    /* A few bytes of HPACK can unfold to this much again and again. */
    if (block->counted_bytes > 2 * (limits->head_bytes + limits->target_bytes))
        expend(link, H2_EXPENSE_HEADER_LIST);
    return 0;
}

static void on_headers_frame(struct h2_link *link, struct h2_stream *stream, bool is_end)
{
    link->gathering = NULL;
    if (stream->receiving == H2_RECEIVING_HEAD && stream->block != NULL)
        link->role->on_head(link, stream, is_end);
    else if (is_end)
        h2_stream_end_received(stream);
}

/* ---- frames ---- */

static void on_data_frame(struct h2_link *link, struct h2_stream *stream, const nghttp2_frame *frame)
{
    bool is_end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    bool has_bytes = frame->hd.length > frame->data.padlen;
    if (stream != NULL && is_end)
        h2_stream_end_received(stream);
    if (stream != NULL && has_bytes && link->role->on_body != NULL)
        link->role->on_body(link);
    if (!is_end && !has_bytes && frame->hd.length > 0)
        expend(link, H2_EXPENSE_EMPTY_DATA); /* nothing but padding */
}

static void on_settings(struct h2_link *link)
{
    if (link->settings == H2_SETTINGS_AWAITED)
        h2_link_enter_settings(link, H2_SETTINGS_RECEIVED);
    uint32_t maximum = nghttp2_session_get_remote_settings(link->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    link->peer_streams_maximum = maximum;
    link->link.streams_maximum = maximum == 0 ? 1 : maximum;
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *owner)
{
    struct h2_link *link = owner;
    struct h2_stream *stream = frame->hd.stream_id == 0 ? NULL : stream_of(session, frame->hd.stream_id);
    bool is_end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        if (stream != NULL)
            on_headers_frame(link, stream, is_end);
        break;
    case NGHTTP2_DATA:
        on_data_frame(link, stream, frame);
        break;
    case NGHTTP2_RST_STREAM:
        /* on_stream_close follows at once. */
        if (stream != NULL && (stream->state == H2_STREAM_IDLE || stream->state == H2_STREAM_OPEN))
            h2_stream_enter(stream, H2_STREAM_RESET_BY_PEER);
        break;
    case NGHTTP2_SETTINGS:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) == 0)
            on_settings(link);
        else if (link->settings == H2_SETTINGS_RECEIVED)
            h2_link_enter_settings(link, H2_SETTINGS_ACKNOWLEDGED);
        break;
    case NGHTTP2_PING:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0 && link->role->on_ping_answered != NULL)
            link->role->on_ping_answered(link);
        break;
    case NGHTTP2_GOAWAY:
        if (link->role->on_goaway != NULL)
            link->role->on_goaway(link);
        break;
    default:
        break;
    }
    return 0;
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t length, void *owner)
{
    (void)flags;
    (void)owner;
    struct h2_stream *stream = stream_of(session, id);
    /* The connection's window never waits for a stream: its own does. */
    nghttp2_session_consume_connection(session, length);
    if (stream != NULL)
        h2_stream_take_data(stream, text_of((const char *)data, length));
    else
        nghttp2_session_consume_stream(session, id, length);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t error, void *owner)
{
    struct h2_link *link = owner;
    struct h2_stream *stream = stream_of(session, id);
    if (stream == NULL || h2_stream_is_closed(stream))
        return 0;
    bool is_complete = h2_stream_is_received(stream) && (!link->role->is_server || stream->sending == H2_SENDING_DONE);
    if (!is_complete)
        h2_stream_fail(stream, link->role->fault_of_close(link, stream, error));
    h2_stream_enter_closed(stream);
    return 0;
}

/* ---- sending ---- */

static ssize_t send_bytes(nghttp2_session *session, const uint8_t *data, size_t length, int flags, void *owner)
{
    (void)session;
    (void)flags;
    struct h2_link *link = owner;
    if (conn_is_congested(link->link.conn))
        return NGHTTP2_ERR_WOULDBLOCK;
    return h2_link_write(link, text_of((const char *)data, length)) ? (ssize_t)length
                                                                            : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head, size_t length,
                     nghttp2_data_source *source, void *owner)
{
    (void)session;
    (void)owner;
    return h2_stream_write_data(source->ptr, head, length, (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0);
}

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *owner)
{
    struct h2_link *link = owner;
    struct h2_stream *stream = frame->hd.stream_id == 0 ? NULL : stream_of(session, frame->hd.stream_id);
    bool is_message = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    if (link->role->on_frame_sent != NULL)
        link->role->on_frame_sent(link, stream, frame);
    if (stream == NULL || !is_message)
        return 0;
    if (frame->hd.type == NGHTTP2_HEADERS && stream->heads_queued > 0)
        stream->heads_queued--;
    /* In h2_stream_write_head the bytes are not in the conn yet; for the stream that it writes it notes the place itself. */
    if (frame->hd.type == NGHTTP2_HEADERS && link->head_stream != stream)
        h2_stream_note_begin(stream);
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
        h2_stream_enter_sending(stream, H2_SENDING_DONE);
        h2_stream_note_end(stream);
        h2_stream_stop_upload(stream);
    }
    return 0;
}

/* A request that the session may not begin any more: nobody has seen it. */
static int on_frame_not_send(nghttp2_session *session, const nghttp2_frame *frame, int error, void *owner)
{
    (void)session;
    (void)error;
    struct h2_link *link = owner;
    if (link->head_stream != NULL && link->head_stream->id == frame->hd.stream_id)
        link->head_stream->heads_queued = 0; /* it never will be written */
    if (link->role->is_server || frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    for (struct list_node *node = link->streams.head.next; node != &link->streams.head; node = node->next) {
        struct h2_stream *stream = LIST_OWNER(node, struct h2_stream, node);
        if (stream->id != frame->hd.stream_id || h2_stream_is_closed(stream))
            continue;
        h2_stream_fail(stream, FAULT_UPSTREAM_REFUSED_STREAM);
        h2_stream_enter_closed(stream);
        break;
    }
    return 0;
}

nghttp2_session_callbacks *h2_callbacks_create(void)
{
    nghttp2_session_callbacks *callbacks;
    if (nghttp2_session_callbacks_new(&callbacks) != 0)
        return NULL;
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
    nghttp2_session_callbacks_set_unpack_extension_callback(callbacks, unpack_unknown);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_send_callback(callbacks, send_bytes);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, send_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_frame_not_send);
    return callbacks;
}
