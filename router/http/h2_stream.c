#include "http/h2_stream.h"

#include "base/machine.h"
#include "base/memory_account.h"
#include "base/slab.h"

/* A piece of body that is smaller waits for the others of its read. */
#define SMALL_BYTES 512

/* ---- states ---- */

static const char *const stream_state_names[] = {"idle", "open", "reset_here", "reset_by_peer", "closed", "buried"};

#define TO(state) MACHINE_TO(H2_STREAM_##state)
static const uint32_t stream_moves[] = {
    [H2_STREAM_IDLE] = TO(OPEN) | TO(RESET_HERE) | TO(RESET_BY_PEER) | TO(CLOSED),
    [H2_STREAM_OPEN] = TO(RESET_HERE) | TO(RESET_BY_PEER) | TO(CLOSED),
    [H2_STREAM_RESET_HERE] = TO(CLOSED),
    [H2_STREAM_RESET_BY_PEER] = TO(CLOSED),
    [H2_STREAM_CLOSED] = TO(BURIED),
    [H2_STREAM_BURIED] = 0,
};
#undef TO

static const struct machine stream_machine = {"h2_stream", stream_state_names, stream_moves};

static const char *const owner_state_names[] = {"none", "listening", "paused", "told", "released"};

#define TO(state) MACHINE_TO(H2_OWNER_##state)
static const uint32_t owner_moves[] = {
    [H2_OWNER_NONE] = TO(LISTENING),
    [H2_OWNER_LISTENING] = TO(PAUSED) | TO(TOLD) | TO(RELEASED),
    [H2_OWNER_PAUSED] = TO(LISTENING) | TO(TOLD) | TO(RELEASED),
    [H2_OWNER_TOLD] = TO(RELEASED),
    [H2_OWNER_RELEASED] = 0,
};
#undef TO

static const struct machine owner_machine = {"h2_stream_owner", owner_state_names, owner_moves};

static const char *const receiving_names[] = {"head", "body", "ended", "failed", "done"};

#define TO(state) MACHINE_TO(H2_RECEIVING_##state)
static const uint32_t receiving_moves[] = {
    [H2_RECEIVING_HEAD] = TO(BODY) | TO(ENDED) | TO(FAILED) | TO(DONE),
    [H2_RECEIVING_BODY] = TO(ENDED) | TO(FAILED) | TO(DONE),
    [H2_RECEIVING_ENDED] = TO(FAILED) | TO(DONE),
    [H2_RECEIVING_FAILED] = TO(DONE),
    [H2_RECEIVING_DONE] = TO(FAILED) | TO(DONE),
};
#undef TO

static const struct machine receiving_machine = {"h2_stream_receiving", receiving_names, receiving_moves};

static const char *const sending_names[] = {"head", "body", "deferred", "last", "done"};

#define TO(state) MACHINE_TO(H2_SENDING_##state)
static const uint32_t sending_moves[] = {
    [H2_SENDING_HEAD] = TO(BODY) | TO(LAST) | TO(DONE),
    [H2_SENDING_BODY] = TO(DEFERRED) | TO(LAST) | TO(DONE),
    [H2_SENDING_DEFERRED] = TO(BODY) | TO(DONE),
    [H2_SENDING_LAST] = TO(DONE),
    [H2_SENDING_DONE] = TO(DONE),
};
#undef TO

static const struct machine sending_machine = {"h2_stream_sending", sending_names, sending_moves};

/*
 * What a client may send and has not sent takes no memory yet, but may at any moment: so it is counted from the head of a request with a body on,
 * until its end has come or nobody listens any more.
 */
static void count_window(struct h2_stream *stream)
{
    bool may_send = stream->receiving == H2_RECEIVING_BODY && stream->owner != H2_OWNER_TOLD && stream->owner != H2_OWNER_RELEASED &&
                    !h2_stream_is_closed(stream) && stream->link->role->is_server;
    size_t granted_bytes = 0;
    if (may_send && stream->link->window_bytes > stream->input.length)
        granted_bytes = stream->link->window_bytes - stream->input.length;
    if (granted_bytes == stream->granted_bytes)
        return;
    struct memory_account *account = loop_account(stream->link->context->loop);
    memory_account_take(account, MEMORY_WINDOWS, granted_bytes);
    memory_account_give(account, MEMORY_WINDOWS, stream->granted_bytes);
    stream->granted_bytes = granted_bytes;
}

void h2_stream_enter(struct h2_stream *stream, enum h2_stream_state next)
{
    machine_check(&stream_machine, stream->state, next);
    stream->state = next;
    if (next == H2_STREAM_CLOSED)
        stream->link->live_count--;
    count_window(stream);
}

void h2_stream_enter_owner(struct h2_stream *stream, enum h2_owner_state next)
{
    machine_check(&owner_machine, stream->owner, next);
    stream->owner = next;
    count_window(stream);
}

void h2_stream_enter_receiving(struct h2_stream *stream, enum h2_receiving next)
{
    machine_check(&receiving_machine, stream->receiving, next);
    stream->receiving = next;
    count_window(stream);
}

void h2_stream_enter_sending(struct h2_stream *stream, enum h2_sending next)
{
    machine_check(&sending_machine, stream->sending, next);
    stream->sending = next;
}

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
    stream->queue = &link->settling;
    stream->id = id;
    stream->left_bytes = H2_LENGTH_UNKNOWN;
    stream->moved_ms = loop_now_ms(link->context->loop);
    stream->ends_at_bytes = UINT64_MAX;
    list_node_init(&stream->queue_node);
    list_node_init(&stream->congested_node);
    list_node_init(&stream->node);
    list_append(&link->streams, &stream->node);
    link->live_count++;
    buffer_init(&stream->output, link->context->settings.buffers);
    buffer_init(&stream->input, link->context->settings.buffers);
    return stream;
}

void h2_stream_own(struct h2_stream *stream)
{
    h2_stream_enter_owner(stream, H2_OWNER_LISTENING);
    stream->link->owned_count++;
    stream->link->link.used++;
}

void h2_stream_wait_in(struct h2_stream *stream, struct list *queue)
{
    stream->queue = queue;
    list_append(queue, &stream->queue_node);
}

void h2_stream_note_end(struct h2_stream *stream)
{
    const struct conn *conn = stream->link->link.conn;
    if (stream->ends_at_bytes == UINT64_MAX)
        stream->ends_at_bytes = conn_sent_bytes(conn) + conn_output_bytes(conn);
}

void h2_stream_note_begin(struct h2_stream *stream)
{
    const struct conn *conn = stream->link->link.conn;
    if (stream->state != H2_STREAM_IDLE)
        return;
    h2_stream_enter(stream, H2_STREAM_OPEN);
    stream->begins_at_bytes = conn_sent_bytes(conn) + conn_output_bytes(conn);
    if (stream->begins_at_bytes > 0)
        stream->begins_at_bytes--;
}

/* No more fields of this stream are gathered. */
static void stop_gathering(struct h2_stream *stream)
{
    if (stream->link->gathering_id == stream->id)
        stream->link->gathering = NULL;
}

/* Nobody needs it: not the owner, not nghttp2. */
static void bury_if_over(struct h2_stream *stream)
{
    struct h2_link *link = stream->link;
    bool is_owned = stream->owner != H2_OWNER_NONE && stream->owner != H2_OWNER_RELEASED;
    if (is_owned || stream->state != H2_STREAM_CLOSED)
        return;
    h2_stream_enter(stream, H2_STREAM_BURIED);
    list_remove(stream->queue, &stream->queue_node);
    list_remove(&link->congested, &stream->congested_node);
    list_remove(&link->streams, &stream->node);
    stop_gathering(stream);
    h2_stream_drop_block(stream);
    h2_header_block_give(&link->context->blocks, stream->trailers);
    h2_header_block_give(&link->context->blocks, stream->trailers_to_send);
    loop_bury(link->context->loop, stream, destroy_stream);
}

void h2_stream_enter_closed(struct h2_stream *stream)
{
    if (h2_stream_is_closed(stream))
        return;
    h2_stream_enter(stream, H2_STREAM_CLOSED);
    h2_stream_enter_sending(stream, H2_SENDING_DONE);
    bury_if_over(stream);
}

void h2_stream_drop_block(struct h2_stream *stream)
{
    h2_header_block_give(&stream->link->context->blocks, stream->block);
    stream->block = NULL;
}

/* Something is owed: at the end of the input, or of the turn. A request that has not been handed up is told of it then. */
static void owe(struct h2_stream *stream)
{
    if (stream->owner != H2_OWNER_NONE && !list_node_is_linked(&stream->queue_node))
        h2_stream_wait_in(stream, &stream->link->settling);
    h2_link_touch(stream->link);
}

void h2_stream_fail(struct h2_stream *stream, enum fault fault)
{
    bool is_late = stream->owner == H2_OWNER_TOLD || stream->owner == H2_OWNER_RELEASED;
    if (is_late || stream->receiving == H2_RECEIVING_FAILED)
        return;
    h2_stream_enter_receiving(stream, H2_RECEIVING_FAILED);
    stream->fault = fault;
    owe(stream);
}

static void give_failure(struct h2_stream *stream)
{
    h2_stream_enter_receiving(stream, H2_RECEIVING_DONE);
    if (!h2_stream_is_heard(stream))
        return;
    h2_stream_enter_owner(stream, H2_OWNER_TOLD);
    stream->stream.events->on_failed(stream->stream.owner, stream->fault);
}

void h2_stream_stop_upload(struct h2_stream *stream)
{
    struct h2_link *link = stream->link;
    bool is_owned = stream->owner != H2_OWNER_NONE && stream->owner != H2_OWNER_RELEASED;
    if (!link->role->is_server || is_owned || stream->sending != H2_SENDING_DONE || stream->state != H2_STREAM_OPEN ||
        !h2_link_is_alive(link))
        return;
    if (nghttp2_session_get_stream_remote_close(link->session, stream->id) != 0)
        return;
    h2_stream_enter(stream, H2_STREAM_RESET_HERE);
    if (nghttp2_submit_rst_stream(link->session, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_NO_ERROR) != 0)
        h2_link_break(link);
}

void h2_stream_let_go(struct h2_stream *stream)
{
    if (stream->owner == H2_OWNER_NONE || stream->owner == H2_OWNER_RELEASED)
        return;
    h2_stream_enter_owner(stream, H2_OWNER_RELEASED);
    stream->link->owned_count--;
    stream->moved_ms = loop_now_ms(stream->link->context->loop);
    h2_stream_stop_upload(stream);
    if (!h2_stream_is_closed(stream))
        h2_link_watch_stall(stream->link);
    bury_if_over(stream);
    h2_link_touch(stream->link);
}

void h2_stream_reset_with(struct h2_stream *stream, uint32_t code)
{
    struct h2_link *link = stream->link;
    bool is_in_session = stream->state == H2_STREAM_IDLE || stream->state == H2_STREAM_OPEN;
    h2_stream_enter_receiving(stream, H2_RECEIVING_DONE);
    h2_stream_enter_sending(stream, H2_SENDING_DONE);
    if (is_in_session && stream->id == 0) {
        h2_stream_enter(stream, H2_STREAM_CLOSED); /* nghttp2 has not heard of it */
    } else if (is_in_session && h2_link_is_alive(link)) {
        h2_stream_enter(stream, H2_STREAM_RESET_HERE);
        if (nghttp2_submit_rst_stream(link->session, NGHTTP2_FLAG_NONE, stream->id, code) != 0)
            h2_link_break(link);
    }
    h2_stream_let_go(stream);
    h2_link_touch(link);
}

/* ---- receiving ---- */

/* The window of what the owner has taken is given back. */
static void credit(struct h2_stream *stream, size_t length)
{
    if (!h2_stream_is_closed(stream))
        nghttp2_session_consume_stream(stream->link->session, stream->id, length);
}

/* What these bytes break, if anything. */
static enum fault fault_of_data(const struct h2_stream *stream)
{
    const struct h2_link *link = stream->link;
    uint64_t limit = link->role->is_server ? link->context->settings.body_limit_bytes : 0;
    if (stream->is_bodyless && !link->role->is_server)
        return FAULT_UPSTREAM_MALFORMED;
    return limit != 0 && stream->received_bytes > limit ? FAULT_REQUEST_BODY_TOO_LARGE : FAULT_NONE;
}

/*
 * Are these bytes given at once? Not more small pieces of one read than the first: the others are given together, when all of it has been read,
 * because each piece may be a chunk of its own on the other side.
 */
static bool is_given_at_once(struct h2_stream *stream, size_t length)
{
    if (stream->owner != H2_OWNER_LISTENING || stream->input.length > 0)
        return false;
    bool is_first = stream->given_in_read != stream->link->reads;
    stream->given_in_read = stream->link->reads;
    return is_first || length >= SMALL_BYTES;
}

void h2_stream_take_data(struct h2_stream *stream, struct text bytes)
{
    if (bytes.length == 0)
        return;
    if (stream->owner == H2_OWNER_RELEASED || stream->receiving != H2_RECEIVING_BODY) {
        credit(stream, bytes.length);
        return;
    }
    stream->received_bytes += bytes.length;
    enum fault fault = fault_of_data(stream);
    if (fault != FAULT_NONE) {
        credit(stream, bytes.length);
        h2_stream_fail(stream, fault);
        return;
    }
    if (is_given_at_once(stream, bytes.length)) {
        stream->stream.events->on_data(stream->stream.owner, bytes);
        credit(stream, bytes.length);
    } else if (!buffer_append(&stream->input, bytes)) {
        h2_stream_fail(stream, FAULT_OUT_OF_MEMORY);
    } else {
        count_window(stream);
        if (stream->owner == H2_OWNER_LISTENING)
            owe(stream);
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
    bool has_trailers = stream->trailers != NULL;
    if (has_trailers)
        give_trailers(stream);
    /* A pause from within the trailers keeps the end back. */
    if (has_trailers && stream->owner == H2_OWNER_PAUSED)
        return;
    if (!h2_stream_is_heard(stream) || stream->receiving == H2_RECEIVING_FAILED)
        return;
    h2_stream_enter_receiving(stream, H2_RECEIVING_DONE);
    stream->stream.events->on_end(stream->stream.owner);
}

/* Bytes may be given, and there are some. */
static bool has_data_to_give(const struct h2_stream *stream)
{
    return stream->owner == H2_OWNER_LISTENING && stream->input.length > 0 &&
           (stream->receiving == H2_RECEIVING_BODY || stream->receiving == H2_RECEIVING_ENDED);
}

void h2_stream_settle(struct h2_stream *stream)
{
    if (stream->receiving == H2_RECEIVING_FAILED) {
        give_failure(stream);
        return;
    }
    while (has_data_to_give(stream)) {
        struct text bytes = buffer_first(&stream->input);
        stream->stream.events->on_data(stream->stream.owner, bytes);
        buffer_consume(&stream->input, bytes.length);
        count_window(stream);
        credit(stream, bytes.length);
    }
    if (stream->owner == H2_OWNER_LISTENING && stream->input.length == 0 && stream->receiving == H2_RECEIVING_ENDED)
        h2_stream_give_end(stream);
    h2_link_touch(stream->link);
}

void h2_stream_end_received(struct h2_stream *stream)
{
    if (stream->receiving != H2_RECEIVING_BODY)
        return;
    h2_stream_enter_receiving(stream, H2_RECEIVING_ENDED);
    if (stream->owner != H2_OWNER_NONE)
        owe(stream);
}

void h2_stream_pause(struct stream *stream)
{
    struct h2_stream *own = h2_stream_of(stream);
    if (own->owner == H2_OWNER_LISTENING)
        h2_stream_enter_owner(own, H2_OWNER_PAUSED);
}

void h2_stream_resume(struct stream *stream)
{
    struct h2_stream *own = h2_stream_of(stream);
    if (own->owner != H2_OWNER_PAUSED)
        return;
    h2_stream_enter_owner(own, H2_OWNER_LISTENING);
    owe(own);
}
