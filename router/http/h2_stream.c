/* One stream of an HTTP/2 link: its buffers, the verbs that both sides share, and how its body meets nghttp2's windows. */
#include <sys/uio.h>

#include "base/slab.h"
#include "http/h2_link.h"

/* A piece of body that is smaller gathers with what else goes out in this turn; a larger one is sent from where it is. */
#define DIRECT_BYTES 4096
#define WRITE_PIECES 4

/* ---- life ---- */

static void destroy_stream(void *object)
{
    struct h2_stream *stream = object;
    buffer_clear(&stream->output);
    buffer_clear(&stream->input);
    slab_give(stream->slab, stream);
}

struct h2_stream *h2_stream_create(struct h2_link *link, int32_t id)
{
    struct slab *slab = link->context->slab;
    struct h2_stream *stream = slab_take_zeroed(slab, sizeof *stream);
    if (stream == NULL)
        return NULL;
    stream->slab = slab;
    stream->link = link;
    stream->id = id;
    stream->moved_ms = loop_now_ms(link->context->loop);
    stream->ends_at_bytes = UINT64_MAX;
    list_node_init(&stream->queue_node);
    list_node_init(&stream->congested_node);
    list_node_init(&stream->node);
    list_append(&link->streams, &stream->node);
    buffer_init(&stream->output, link->context->settings.buffers);
    buffer_init(&stream->input, link->context->settings.buffers);
    return stream;
}

static void leave_queue(struct h2_stream *stream)
{
    /* A stream that was not dispatched can only stand in `arrived`. */
    list_remove(stream->is_dispatched ? &stream->link->settling : &stream->link->arrived, &stream->queue_node);
}

static void stop_gathering(struct h2_stream *stream)
{
    if (stream->link->gathering_id == stream->id)
        stream->link->gathering = NULL;
}

/* Nobody needs it: not the owner, not nghttp2. */
static void bury_if_over(struct h2_stream *stream)
{
    struct h2_link *link = stream->link;
    if (stream->is_owned || !stream->is_closed || stream->is_buried)
        return;
    stream->is_buried = true;
    leave_queue(stream);
    list_remove(&link->congested, &stream->congested_node);
    list_remove(&link->streams, &stream->node);
    stop_gathering(stream);
    h2_stream_drop_block(stream);
    h2_header_block_give(&link->context->blocks, stream->trailers);
    h2_header_block_give(&link->context->blocks, stream->last);
    loop_bury(link->context->loop, stream, destroy_stream);
}

void h2_stream_enter_closed(struct h2_stream *stream)
{
    stream->is_closed = true;
    stream->sending = H2_SENDING_DONE;
    bury_if_over(stream);
}

void h2_stream_note_end(struct h2_stream *stream)
{
    const struct conn *conn = stream->link->link.conn;
    if (stream->ends_at_bytes == UINT64_MAX)
        stream->ends_at_bytes = conn_sent_bytes(conn) + conn_output_bytes(conn);
}

bool h2_stream_has_left(const struct stream *stream)
{
    const struct h2_stream *own = (const struct h2_stream *)(const void *)stream;
    return conn_sent_bytes(own->link->link.conn) >= own->ends_at_bytes;
}

void h2_stream_note_position(struct h2_stream *stream)
{
    const struct conn *conn = stream->link->link.conn;
    if (stream->is_begun)
        return;
    stream->is_begun = true;
    stream->begins_at_bytes = conn_sent_bytes(conn) + conn_output_bytes(conn);
    if (stream->begins_at_bytes > 0)
        stream->begins_at_bytes--;
}

void h2_stream_drop_block(struct h2_stream *stream)
{
    h2_header_block_give(&stream->link->context->blocks, stream->block);
    stream->block = NULL;
}

static void owe(struct h2_stream *stream)
{
    if (stream->is_dispatched && !list_node_is_linked(&stream->queue_node))
        list_append(&stream->link->settling, &stream->queue_node);
    h2_link_touch(stream->link);
}

void h2_stream_fail(struct h2_stream *stream, enum fault fault)
{
    bool has_nobody = stream->is_dispatched && !stream->is_owned;
    if (stream->has_failed || stream->is_failure_told || has_nobody)
        return;
    stream->has_failed = true;
    stream->fault = fault;
    owe(stream);
}

void h2_stream_give_failure(struct h2_stream *stream)
{
    stream->has_failed = false;
    stream->is_failure_told = true;
    stream->receiving = H2_RECEIVING_DONE;
    if (stream->is_owned)
        stream->stream.events->on_failed(stream->stream.owner, stream->fault);
}

/* The answer is out, nobody listens, and the client still sends: it need not (RFC 9113 section 8.1). */
void h2_stream_stop_upload(struct h2_stream *stream)
{
    struct h2_link *link = stream->link;
    bool is_over = stream->is_closed || stream->was_reset_here || link->state != H2_LINK_OPEN;
    if (!link->role->is_server || stream->is_owned || stream->sending != H2_SENDING_DONE || is_over)
        return;
    if (nghttp2_session_get_stream_remote_close(link->session, stream->id) != 0)
        return;
    stream->was_reset_here = true;
    if (nghttp2_submit_rst_stream(link->session, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_NO_ERROR) != 0)
        link->is_broken = true;
}

void h2_stream_let_go(struct h2_stream *stream)
{
    if (!stream->is_owned)
        return;
    stream->is_owned = false;
    stream->link->owned_count--;
    stream->moved_ms = loop_now_ms(stream->link->context->loop);
    h2_stream_stop_upload(stream);
    if (!stream->is_closed)
        h2_link_watch_stall(stream->link);
    bury_if_over(stream);
    h2_link_touch(stream->link);
}

void h2_stream_reset_with(struct h2_stream *stream, uint32_t code)
{
    struct h2_link *link = stream->link;
    stream->was_reset_here = true;
    stream->receiving = H2_RECEIVING_DONE;
    stream->sending = H2_SENDING_DONE;
    if (stream->id == 0)
        stream->is_closed = true; /* nghttp2 has not heard of it */
    else if (!stream->is_closed && link->state == H2_LINK_OPEN &&
             nghttp2_submit_rst_stream(link->session, NGHTTP2_FLAG_NONE, stream->id, code) != 0)
        link->is_broken = true;
    h2_stream_let_go(stream);
    h2_link_touch(link);
}

/* ---- receiving ---- */

/* The window of what the owner has taken is given back. */
static void credit(struct h2_stream *stream, size_t length)
{
    if (!stream->is_closed)
        nghttp2_session_consume_stream(stream->link->session, stream->id, length);
}

void h2_stream_take_data(struct h2_stream *stream, struct text bytes)
{
    struct h2_link *link = stream->link;
    uint64_t limit = link->role->is_server ? link->context->settings.body_limit_bytes : 0;
    bool is_unwanted = stream->is_dispatched && !stream->is_owned;
    if (is_unwanted || stream->receiving != H2_RECEIVING_BODY || stream->has_failed) {
        credit(stream, bytes.length);
        return;
    }
    if (stream->is_bodyless && !link->role->is_server && bytes.length > 0) {
        credit(stream, bytes.length);
        h2_stream_fail(stream, FAULT_UPSTREAM_MALFORMED);
        return;
    }
    stream->received_bytes += bytes.length;
    if (limit != 0 && stream->received_bytes > limit) {
        credit(stream, bytes.length);
        h2_stream_fail(stream, FAULT_REQUEST_BODY_TOO_LARGE);
        return;
    }
    if (stream->is_dispatched && !stream->is_paused && stream->input.length == 0) {
        stream->stream.events->on_data(stream->stream.owner, bytes);
        credit(stream, bytes.length);
    } else if (!buffer_append(&stream->input, bytes)) {
        h2_stream_fail(stream, FAULT_OUT_OF_MEMORY);
    }
}

static void give_trailers(struct h2_stream *stream)
{
    struct h2_link *link = stream->link;
    struct message_head head = {.fields = link->context->settings.fields};
    struct h2_header_block *block = stream->trailers;
    stream->trailers = NULL;
    enum fault fault = h2_read_trailers(block, link->role->is_server, &head);
    if (fault != FAULT_NONE)
        h2_stream_fail(stream, fault);
    else if (stream->stream.events->on_trailers != NULL)
        stream->stream.events->on_trailers(stream->stream.owner, &head);
    h2_header_block_give(&link->context->blocks, block);
}

void h2_stream_give_end(struct h2_stream *stream)
{
    if (stream->trailers != NULL)
        give_trailers(stream);
    if (!stream->is_owned || stream->has_failed)
        return;
    stream->receiving = H2_RECEIVING_DONE;
    stream->stream.events->on_end(stream->stream.owner);
}

static bool may_give(const struct h2_stream *stream)
{
    return stream->is_owned && stream->is_dispatched && !stream->is_paused && !stream->has_failed;
}

void h2_stream_deliver(struct h2_stream *stream)
{
    while (may_give(stream) && stream->input.length > 0 && stream->receiving != H2_RECEIVING_DONE) {
        struct text bytes = buffer_first(&stream->input);
        stream->stream.events->on_data(stream->stream.owner, bytes);
        buffer_consume(&stream->input, bytes.length);
        credit(stream, bytes.length);
    }
    if (may_give(stream) && stream->input.length == 0 && stream->receiving == H2_RECEIVING_ENDED)
        h2_stream_give_end(stream);
    h2_link_touch(stream->link);
}

void h2_stream_end_received(struct h2_stream *stream)
{
    if (stream->receiving != H2_RECEIVING_BODY)
        return;
    stream->receiving = H2_RECEIVING_ENDED;
    if (stream->is_dispatched)
        owe(stream);
}

void h2_stream_pause(struct stream *stream)
{
    h2_stream_of(stream)->is_paused = true;
}

void h2_stream_resume(struct stream *stream)
{
    struct h2_stream *own = h2_stream_of(stream);
    if (!own->is_paused)
        return;
    own->is_paused = false;
    owe(own);
}

/* ---- sending ---- */

static size_t waiting_bytes(const struct h2_stream *stream)
{
    return stream->output.length + stream->borrowed.length;
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
    bool is_last = length == waiting && (stream->sending == H2_SENDING_LAST ||
                                         (stream->is_length_known && stream->left_bytes == length));
    if (length == 0 && !is_last) {
        stream->is_deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (!is_last)
        return (ssize_t)length;
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (stream->last != NULL) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        struct h2_writer *writer = &stream->link->context->writer;
        h2_write_header_block(writer, stream->last);
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
    if (conn_is_congested(link->link.conn))
        return NGHTTP2_ERR_WOULDBLOCK;
    if (!conn_write(link->link.conn, text_of((const char *)head, 9)) || !move_bytes(stream, length))
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    stream->left_bytes -= stream->is_length_known ? length : 0;
    stream->moved_ms = loop_now_ms(link->context->loop);
    if (is_end) {
        stream->sending = H2_SENDING_DONE;
        h2_stream_note_end(stream);
    }
    return 0;
}

static void wake(struct h2_stream *stream)
{
    if (stream->is_deferred && !stream->is_closed) {
        stream->is_deferred = false;
        nghttp2_session_resume_data(stream->link->session, stream->id);
    }
    h2_link_touch(stream->link);
}

static void keep_output(struct h2_stream *stream, struct text bytes)
{
    if (bytes.length > 0 && !buffer_append(&stream->output, bytes)) {
        stream->link->is_broken = true;
        h2_link_touch(stream->link);
    }
    if (h2_stream_is_congested(&stream->stream) && !list_node_is_linked(&stream->congested_node))
        list_append(&stream->link->congested, &stream->congested_node);
}

void h2_stream_send_data(struct stream *stream, struct text bytes)
{
    struct h2_stream *own = h2_stream_of(stream);
    struct h2_link *link = own->link;
    if (own->sending != H2_SENDING_BODY || own->to_head_request || bytes.length == 0)
        return;
    bool is_direct = bytes.length >= DIRECT_BYTES && own->output.length == 0 && !link->is_reading && !link->is_writing;
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
    if (own->sending != H2_SENDING_BODY || own->last != NULL)
        return;
    own->last = h2_header_block_take(&context->blocks);
    for (size_t i = 0; own->last != NULL && i < trailers->field_count; i++)
        h2_header_block_add(own->last, &context->settings.limits, false, trailers->fields[i].name, trailers->fields[i].value);
    /* Without its last word an answer would look whole. */
    if (own->last == NULL || own->last->fault != FAULT_NONE)
        own->link->is_broken = true;
}

void h2_stream_send_end(struct stream *stream)
{
    struct h2_stream *own = h2_stream_of(stream);
    if (own->sending != H2_SENDING_BODY)
        return;
    own->sending = H2_SENDING_LAST;
    wake(own);
}
