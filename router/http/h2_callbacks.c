/* nghttp2's callbacks: each translates one event of the session for its stream or link and decides nothing else. */
#include "http/h2_link.h"

/* Streams above the limit that a client may begin before it has read our SETTINGS; after that they cost it. */
#define EARLY_REFUSALS_MAXIMUM 1000

static struct h2_stream *stream_of(nghttp2_session *session, int32_t id)
{
    return nghttp2_session_get_stream_user_data(session, id);
}

/* ---- what the client may ask of us ---- */

static void spend(struct h2_link *link, enum h2_expense expense)
{
    if (link->role->is_server && link->abuse < 0 &&
        !h2_budget_spend(&link->budget, expense, loop_now_ms(link->context->loop)))
        link->abuse = (int)expense;
}

/* A head for a stream that has ended: nghttp2 unpacks it and tells nobody. (It drops bodies unseen; honest uploads have some under way.) */
static bool is_stale(struct h2_link *link, const nghttp2_frame_hd *head)
{
    return head->stream_id != 0 && head->stream_id <= nghttp2_session_get_last_proc_stream_id(link->session) &&
           nghttp2_session_find_stream(link->session, head->stream_id) == NULL;
}

static void spend_on_frame(struct h2_link *link, const nghttp2_frame_hd *head)
{
    bool is_acknowledgement = (head->flags & NGHTTP2_FLAG_ACK) != 0;
    switch (head->type) {
    case NGHTTP2_DATA:
        if (head->length == 0 && (head->flags & NGHTTP2_FLAG_END_STREAM) == 0)
            spend(link, H2_EXPENSE_EMPTY_DATA);
        break;
    case NGHTTP2_HEADERS:
        if (is_stale(link, head))
            spend(link, H2_EXPENSE_STALE);
        break;
    case NGHTTP2_CONTINUATION: /* bounded by nghttp2 and by the limits of a head */
    case NGHTTP2_PUSH_PROMISE:
        break;
    case NGHTTP2_GOAWAY:
        spend(link, H2_EXPENSE_SETTINGS);
        break;
    case NGHTTP2_PRIORITY:
        spend(link, H2_EXPENSE_PRIORITY);
        break;
    case NGHTTP2_RST_STREAM:
        spend(link, H2_EXPENSE_RESET);
        break;
    case NGHTTP2_SETTINGS:
        if (!is_acknowledgement)
            spend(link, H2_EXPENSE_SETTINGS);
        break;
    case NGHTTP2_PING:
        if (!is_acknowledgement || !link->is_notice_given)
            spend(link, H2_EXPENSE_PING);
        break;
    case NGHTTP2_WINDOW_UPDATE:
        spend(link, H2_EXPENSE_WINDOW_UPDATE);
        break;
    default:
        spend(link, H2_EXPENSE_UNKNOWN);
        break;
    }
}

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *head, void *owner)
{
    struct h2_link *link = owner;
    /* With RFC 7540's priorities off nghttp2 skips the check of this frame (RFC 9113 section 6.3). */
    if (head->type == NGHTTP2_PRIORITY && head->stream_id == 0 &&
        nghttp2_session_terminate_session(session, NGHTTP2_PROTOCOL_ERROR) != 0)
        link->is_broken = true;
    if (link->role->is_server)
        spend_on_frame(link, head);
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
        link->is_broken = true;
    return 0;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *owner)
{
    struct h2_link *link = owner;
    struct h2_stream *stream = stream_of(session, frame->hd.stream_id);
    if (stream == NULL && link->role->is_server && link->streams.count >= link->context->settings.streams_maximum)
        return refuse_stream(link, frame->hd.stream_id);
    if (stream == NULL && link->abuse < 0 && link->state == H2_LINK_OPEN) {
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
        spend(link, H2_EXPENSE_HEADER_LIST);
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

static void on_settings(struct h2_link *link)
{
    link->has_settings = true;
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
        if (stream != NULL && is_end)
            h2_stream_end_received(stream);
        if (!is_end && frame->hd.length > 0 && frame->hd.length == frame->data.padlen)
            spend(link, H2_EXPENSE_EMPTY_DATA); /* nothing but padding */
        break;
    case NGHTTP2_RST_STREAM:
        if (stream != NULL)
            stream->was_reset_by_peer = true;
        break;
    case NGHTTP2_SETTINGS:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) == 0)
            on_settings(link);
        else
            link->has_acknowledged = true;
        break;
    case NGHTTP2_PING:
        /* We ping only behind the notice of a drain: whatever crossed it has arrived before. */
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0)
            link->is_last_word_due = true;
        break;
    case NGHTTP2_GOAWAY:
        link->is_draining = true;
        link->role->on_goodbye(link);
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
    if (stream == NULL || stream->is_closed)
        return 0;
    bool is_received = stream->receiving == H2_RECEIVING_ENDED || stream->receiving == H2_RECEIVING_DONE;
    bool is_complete = is_received && (!link->role->is_server || stream->sending == H2_SENDING_DONE);
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
    bool is_end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    bool is_early = frame->hd.type == NGHTTP2_RST_STREAM && frame->rst_stream.error_code == NGHTTP2_REFUSED_STREAM &&
                    !link->has_acknowledged && link->early_refusals++ < EARLY_REFUSALS_MAXIMUM;
    /* The peer's error made us do it, unless it could not know how many streams we allow. */
    if (frame->hd.type == NGHTTP2_RST_STREAM && !is_early && (stream == NULL || !stream->was_reset_here))
        spend(link, H2_EXPENSE_RESET);
    /* nghttp2 sends a ping before everything else: it is asked for when the notice is out, or its answer would prove nothing. */
    bool is_notice = frame->hd.type == NGHTTP2_GOAWAY && link->is_notice_given && !link->is_last_word_said;
    if (is_notice && nghttp2_submit_ping(session, NGHTTP2_FLAG_NONE, NULL) != 0)
        link->is_broken = true;
    /* nghttp2 ends the connection by itself: the client has broken the protocol, which its operator should know. */
    if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR && link->role->is_server &&
        link->link.end_reason == NULL)
        link->link.end_reason = "protocol";
    if (frame->hd.type == NGHTTP2_DATA)
        h2_budget_credit_data(&link->budget);
    if (stream == NULL)
        return 0;
    if (frame->hd.type == NGHTTP2_HEADERS && stream->heads_queued > 0)
        stream->heads_queued--;
    /* In h2_link_write_head the bytes are not in the conn yet; for the stream that it writes it notes the place itself. */
    if (frame->hd.type == NGHTTP2_HEADERS && link->head_stream != stream)
        h2_stream_note_position(stream);
    if (is_end && (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA)) {
        stream->sending = H2_SENDING_DONE;
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
        if (stream->id != frame->hd.stream_id || stream->is_closed)
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
