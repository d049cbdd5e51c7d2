#include "http/h2_stream_send.h"

/* A piece of body that is smaller gathers with what else goes out in this turn; a larger one is sent from where it is. */
#define DIRECT_BYTES 4096

/* ---- heads ---- */

/*
 * nghttp2 keeps a head back behind a body frame that the conn has no room for, and a request while the node allows no more streams.
 */
static bool may_write_head(const struct h2_link *link)
{
    if (!h2_link_may_write(link) || conn_is_congested(link->link.conn))
        return false;
    return link->role->is_server || link->streams.count <= link->peer_streams_maximum;
}

void h2_stream_begin_head(struct h2_stream *stream)
{
    bool is_now = may_write_head(stream->link);
    stream->link->context->writer.borrowing = is_now ? NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE : 0;
    stream->heads_queued++;
}

/* Heads go before bodies, so few frames come out here besides the one that is wanted. */
void h2_stream_write_head(struct h2_stream *stream)
{
    struct h2_link *link = stream->link;
    bool is_borrowed = link->context->writer.borrowing != 0;
    link->context->writer.borrowing = 0;
    if (!is_borrowed || link->state != H2_LINK_OPEN)
        return;
    if (!h2_memory_is_ready(&link->context->memory)) {
        h2_link_break(link);
        return;
    }
    h2_link_enter_activity(link, H2_LINK_WRITING);
    link->head_stream = stream;
    while (stream->heads_queued > 0 && !h2_stream_is_closed(stream) && link->state == H2_LINK_OPEN) {
        const uint8_t *bytes;
        ssize_t length = nghttp2_session_mem_send(link->session, &bytes);
        bool is_over = !nghttp2_session_want_read(link->session) && !nghttp2_session_want_write(link->session);
        /* It was refused (on_frame_not_send), or the session is over and never writes again. */
        if (length == 0 && (stream->heads_queued == 0 || is_over))
            break;
        /* Nothing to write, and the head is not out: it would point at fields that are gone, so nothing may be written any more. */
        if (length <= 0 || !h2_link_write(link, text_of((const char *)bytes, (size_t)length)))
            h2_link_break(link);
    }
    h2_link_enter_activity(link, H2_LINK_RESTING);
    link->head_stream = NULL;
    if (stream->heads_queued == 0)
        h2_stream_note_begin(stream);
}

/* ---- bodies ---- */

static size_t waiting_bytes(const struct h2_stream *stream)
{
    return stream->output.length + stream->borrowed.length;
}

bool h2_stream_has_left(const struct stream *stream)
{
    const struct h2_stream *own = (const struct h2_stream *)(const void *)stream;
    /*
     * A reset goes behind what is in the conn: a node that reads slowly reads the whole request first, and may act on it. So it does behind a
     * head or trailers that nghttp2 holds back, with which the request ends; these go out before the reset, also when it has been asked for.
     */
    bool is_over = own->sending == H2_SENDING_LAST || (own->sending == H2_SENDING_DONE && own->heads_queued > 0);
    bool may_end_with_head = own->id != 0 && is_over && own->output.length == 0;
    if (h2_link_holds_conn(own->link))
        return own->ends_at_bytes != UINT64_MAX || may_end_with_head;
    return conn_sent_bytes(own->link->link.conn) >= own->ends_at_bytes;
}

bool h2_stream_is_congested(const struct stream *stream)
{
    const struct h2_stream *own = (const struct h2_stream *)(const void *)stream;
    if (own->output.length == 0)
        return false;
    return own->output.length > own->link->context->settings.output_bytes || conn_is_congested(own->link->link.conn);
}

bool h2_stream_is_drained(const struct h2_stream *stream)
{
    if (stream->output.length == 0)
        return true;
    return stream->output.length <= stream->link->context->settings.output_bytes / 2 &&
           !conn_is_congested(stream->link->link.conn);
}

/* nghttp2 asks how much may go into the next frame; the bytes themselves are fetched by h2_stream_write_data. */
static ssize_t read_data(nghttp2_session *session, int32_t id, uint8_t *ignored, size_t maximum, uint32_t *flags,
                         nghttp2_data_source *source, void *owner)
{
    (void)ignored;
    (void)id;
    (void)owner;
    struct h2_stream *stream = source->ptr;
    size_t waiting = waiting_bytes(stream);
    size_t length = waiting < maximum ? waiting : maximum;
    bool is_last = length == waiting && (stream->sending == H2_SENDING_LAST || stream->left_bytes == length);
    if (length == 0 && !is_last) {
        if (stream->sending == H2_SENDING_BODY)
            h2_stream_enter_sending(stream, H2_SENDING_DEFERRED);
        return NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (!is_last)
        return (ssize_t)length;
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (stream->trailers_to_send != NULL) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        struct h2_writer *writer = &stream->link->context->writer;
        h2_write_header_block(writer, stream->trailers_to_send);
        stream->heads_queued++;
        if (nghttp2_submit_trailer(session, stream->id, writer->fields, writer->count) != 0)
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    return (ssize_t)length;
}

nghttp2_data_provider h2_stream_provider(struct h2_stream *stream)
{
    return (nghttp2_data_provider){.source = {.ptr = stream}, .read_callback = read_data};
}

/* Moves `length` bytes of the stream into the conn: those that waited first. */
static bool move_bytes(struct h2_stream *stream, size_t length)
{
    struct conn *conn = stream->link->link.conn;
    while (length > 0 && stream->output.length > 0) {
        struct text first = buffer_first(&stream->output);
        struct text piece = text_of(first.bytes, first.length < length ? first.length : length);
        if (!conn_write(conn, piece))
            return false;
        buffer_consume(&stream->output, piece.length);
        length -= piece.length;
    }
    if (length > 0) {
        if (!conn_write(conn, text_of(stream->borrowed.bytes, length)))
            return false;
        stream->borrowed = text_of(stream->borrowed.bytes + length, stream->borrowed.length - length);
    }
    return true;
}

int h2_stream_write_data(struct h2_stream *stream, const uint8_t *head, size_t length, bool is_end)
{
    struct h2_link *link = stream->link;
    /* It was reset while nghttp2 waited with this frame. The reset comes next: the end of a body must not go before it. */
    if (stream->sending == H2_SENDING_DONE)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (conn_is_congested(link->link.conn))
        return NGHTTP2_ERR_WOULDBLOCK;
    if (!conn_write(link->link.conn, text_of((const char *)head, 9)) || !move_bytes(stream, length))
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    stream->left_bytes -= stream->left_bytes == H2_LENGTH_UNKNOWN ? 0 : length;
    stream->moved_ms = loop_now_ms(link->context->loop);
    if (is_end) {
        h2_stream_enter_sending(stream, H2_SENDING_DONE);
        h2_stream_note_end(stream);
    }
    return 0;
}

static bool is_in_body(const struct h2_stream *stream)
{
    return stream->sending == H2_SENDING_BODY || stream->sending == H2_SENDING_DEFERRED;
}

/* nghttp2 asks again (read_data). */
static void wake(struct h2_stream *stream)
{
    if (stream->sending == H2_SENDING_DEFERRED) {
        h2_stream_enter_sending(stream, H2_SENDING_BODY);
        nghttp2_session_resume_data(stream->link->session, stream->id);
    }
    h2_link_touch(stream->link);
}

static void keep_output(struct h2_stream *stream, struct text bytes)
{
    if (bytes.length > 0 && !buffer_append(&stream->output, bytes))
        h2_link_break(stream->link);
    if (h2_stream_is_congested(&stream->stream) && !list_node_is_linked(&stream->congested_node))
        list_append(&stream->link->congested, &stream->congested_node);
}

void h2_stream_send_data(struct stream *stream, struct text bytes)
{
    struct h2_stream *own = h2_stream_of(stream);
    struct h2_link *link = own->link;
    if (!is_in_body(own) || bytes.length == 0)
        return;
    bool is_direct = bytes.length >= DIRECT_BYTES && own->output.length == 0 && link->activity == H2_LINK_RESTING;
    if (!is_direct) {
        keep_output(own, bytes);
        wake(own);
        return;
    }
    own->borrowed = bytes;
    wake(own);
    h2_link_pump(link);
    struct text rest = own->borrowed;
    own->borrowed = TEXT_EMPTY;
    if (own->sending != H2_SENDING_DONE)
        keep_output(own, rest);
}

void h2_stream_send_trailers(struct stream *stream, const struct message_head *trailers)
{
    struct h2_stream *own = h2_stream_of(stream);
    struct h2_context *context = own->link->context;
    if (!is_in_body(own) || own->trailers_to_send != NULL)
        return;
    own->trailers_to_send = h2_header_block_take(&context->blocks);
    for (size_t i = 0; own->trailers_to_send != NULL && i < trailers->field_count; i++)
        h2_header_block_add(own->trailers_to_send, &context->settings.limits, false, trailers->fields[i].name, trailers->fields[i].value);
    /* Without its trailers an answer would look whole. */
    if (own->trailers_to_send == NULL || own->trailers_to_send->fault != FAULT_NONE)
        h2_link_break(own->link);
}

void h2_stream_send_end(struct stream *stream)
{
    struct h2_stream *own = h2_stream_of(stream);
    if (!is_in_body(own))
        return;
    wake(own);
    h2_stream_enter_sending(own, H2_SENDING_LAST);
}
