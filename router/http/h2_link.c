#include "http/h2_link.h"

#include <stdlib.h>

#include "base/slab.h"

/* The connection's window: every stream's own is smaller, so this one never stops a stream. */
#define LINK_WINDOW_BYTES (16 * 1024 * 1024)
#define STALL_LOOK_MS 1000
#define FIRST_UNKNOWN_TYPE 0x0a

/* ---- the context ---- */

/* nghttp2 makes and drops a dozen small objects for each request. */
static void *take_memory(size_t length, void *slab)
{
    return slab_take(slab, length);
}

static void give_memory(void *object, void *slab)
{
    slab_give(slab, object);
}

static void *take_zeroed_memory(size_t count, size_t length, void *slab)
{
    return length != 0 && count > SIZE_MAX / length ? NULL : slab_take_zeroed(slab, count * length);
}

static void *resize_memory(void *object, size_t length, void *slab)
{
    return slab_resize(slab, object, length);
}

static nghttp2_option *create_option(const struct h2_settings *settings)
{
    nghttp2_option *option;
    if (nghttp2_option_new(&option) != 0)
        return NULL;
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    /* How many streams a link takes before the node has said so is the pool's to know (h2_client_create). */
    nghttp2_option_set_peer_max_concurrent_streams(option, H2_STREAMS_ON_LINK);
    /* nghttp2 tells of no frame that it does not know; those that it takes for an extension of ours it does. */
    for (unsigned type = FIRST_UNKNOWN_TYPE; type <= UINT8_MAX; type++)
        nghttp2_option_set_user_recv_extension_type(option, (uint8_t)type);
    nghttp2_option_set_max_send_header_block_length(option, settings->limits.head_bytes * 2);
    /* Ours is the head's limit in bytes; this only bounds how many pieces it may come in. */
    nghttp2_option_set_max_continuations(option, settings->limits.head_bytes / 16384 + 4);
    return option;
}

struct h2_context *h2_context_create(struct loop *loop, const struct h2_settings *settings)
{
    struct h2_context *context = calloc(1, sizeof *context);
    if (context == NULL)
        return NULL;
    context->loop = loop;
    context->slab = loop_slab(loop);
    context->memory = (nghttp2_mem){context->slab, take_memory, give_memory, take_zeroed_memory, resize_memory};
    context->settings = *settings;
    context->callbacks = h2_callbacks_create();
    context->option = create_option(settings);
    if (context->callbacks == NULL || context->option == NULL) {
        h2_context_destroy(context);
        return NULL;
    }
    return context;
}

void h2_context_destroy(struct h2_context *context)
{
    if (context == NULL)
        return;
    nghttp2_session_callbacks_del(context->callbacks);
    nghttp2_option_del(context->option);
    h2_header_blocks_clear(&context->blocks);
    h2_writer_clear(&context->writer);
    free(context);
}

/* ---- life ---- */

static void destroy_link(void *object)
{
    struct h2_link *link = object;
    nghttp2_session_del(link->session);
    free(link);
}

void h2_link_enter_dead(struct h2_link *link)
{
    if (link->state == H2_LINK_DEAD)
        return;
    struct loop *loop = link->context->loop;
    link->state = H2_LINK_DEAD;
    loop_task_cancel(loop, &link->task);
    loop_timer_clear(loop, &link->timer);
    loop_timer_clear(loop, &link->drain_timer);
    loop_timer_clear(loop, &link->stall_timer);
    loop_bury(loop, link, destroy_link);
}

/* Each stream that has an owner fails; the others vanish. */
static void end_streams(struct h2_link *link, enum fault fault)
{
    struct list_node *node;
    while ((node = list_take_first(&link->streams)) != NULL) {
        struct h2_stream *stream = LIST_OWNER(node, struct h2_stream, node);
        bool hears = stream->is_owned && stream->is_dispatched && !stream->is_failure_told && !link->is_muted;
        enum fault own = stream->has_failed ? stream->fault : fault;
        h2_stream_enter_closed(stream);
        stream->is_failure_told = true;
        if (hears)
            stream->stream.events->on_failed(stream->stream.owner, own);
    }
}

void h2_link_fail(struct h2_link *link, enum fault fault)
{
    if (link->state == H2_LINK_DEAD)
        return;
    conn_close(link->link.conn);
    h2_link_enter_dead(link);
    end_streams(link, fault);
    if (!link->is_muted)
        link->link.events->on_closed(link->link.owner, fault);
}

void h2_link_finish(struct h2_link *link, enum fault fault)
{
    if (link->state != H2_LINK_OPEN)
        return;
    link->state = H2_LINK_CLOSING;
    link->pending_fault = fault;
    loop_timer_clear(link->context->loop, &link->timer);
    loop_timer_clear(link->context->loop, &link->drain_timer);
    end_streams(link, fault);
    conn_finish(link->link.conn, H2_LINGER_MS);
}

void h2_link_finished(void *owner)
{
    struct h2_link *link = owner;
    if (link->state == H2_LINK_DEAD)
        return;
    h2_link_enter_dead(link);
    end_streams(link, link->pending_fault);
    if (!link->is_muted)
        link->link.events->on_closed(link->link.owner, link->pending_fault);
}

/* ---- input ---- */

size_t h2_link_bytes(void *owner, struct text bytes)
{
    struct h2_link *link = owner;
    if (link->state != H2_LINK_OPEN)
        return bytes.length;
    if (bytes.length > 0) {
        link->heard_ms = loop_now_ms(link->context->loop);
        link->is_heard = true;
        link->is_reading = true;
        ssize_t read = nghttp2_session_mem_recv(link->session, (const uint8_t *)bytes.bytes, bytes.length);
        link->is_reading = false;
        if (link->state != H2_LINK_OPEN)
            return bytes.length;
        if (read < 0)
            link->role->on_unreadable(link);
        if (link->state != H2_LINK_OPEN)
            return bytes.length;
    }
    h2_link_settle(link);
    if (link->state == H2_LINK_OPEN)
        h2_link_touch(link);
    return bytes.length;
}

static void dispatch(struct h2_link *link)
{
    struct list_node *node;
    while (link->state == H2_LINK_OPEN && link->abuse < 0 && (node = list_take_first(&link->arrived)) != NULL)
        link->role->on_arrived(link, LIST_OWNER(node, struct h2_stream, queue_node));
}

static void settle_streams(struct h2_link *link)
{
    struct list_node *node;
    while (link->state == H2_LINK_OPEN && (node = list_take_first(&link->settling)) != NULL) {
        struct h2_stream *stream = LIST_OWNER(node, struct h2_stream, queue_node);
        if (stream->has_failed)
            h2_stream_give_failure(stream);
        else
            h2_stream_deliver(stream);
    }
}

/* Those that were congested and are so no more; one that has gone congested again meanwhile has joined the list behind them. */
static void tell_drained(struct h2_link *link)
{
    size_t count = link->congested.count;
    while (link->state == H2_LINK_OPEN && count-- > 0) {
        struct list_node *node = list_take_first(&link->congested);
        if (node == NULL)
            return;
        struct h2_stream *stream = LIST_OWNER(node, struct h2_stream, congested_node);
        if (!h2_stream_is_drained(stream))
            list_append(&link->congested, node);
        else if (stream->is_owned && !stream->is_failure_told)
            stream->stream.events->on_drained(stream->stream.owner);
    }
}

void h2_link_settle(struct h2_link *link)
{
    if (link->state != H2_LINK_OPEN)
        return;
    dispatch(link);
    settle_streams(link);
    if (link->congested.count > 0)
        tell_drained(link);
    if (link->state == H2_LINK_OPEN)
        link->role->on_settled(link);
}

/* ---- output ---- */

/* Of our SETTINGS frame, with room. */
#define SETTINGS_BYTES 64

/*
 * nghttp2 ends the connection of a client that begins a stream too many, also when those before it only wait for our reset. We refuse that
 * stream (RFC 9113 section 5.1.2), so nghttp2 is told a number that it never reaches, and its SETTINGS get ours on their way out.
 */
static void patch_settings(const struct h2_link *link, char *frame, size_t length)
{
    uint32_t maximum = link->context->settings.streams_maximum;
    for (size_t at = 9; at + 6 <= length; at += 6) {
        if (frame[at] != 0 || frame[at + 1] != NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS)
            continue;
        for (unsigned i = 0; i < 4; i++)
            frame[at + 2 + i] = (char)(maximum >> (24 - 8 * i));
    }
}

bool h2_link_write(struct h2_link *link, struct text frame)
{
    if (frame.length <= 9 || frame.length > SETTINGS_BYTES || frame.bytes[3] != NGHTTP2_SETTINGS)
        return conn_write(link->link.conn, frame);
    char own[SETTINGS_BYTES];
    memcpy(own, frame.bytes, frame.length);
    patch_settings(link, own, frame.length);
    return conn_write(link->link.conn, text_of(own, frame.length));
}

void h2_link_touch(struct h2_link *link)
{
    if (link->state == H2_LINK_OPEN)
        loop_defer_to_turn_end(link->context->loop, &link->task);
}

void h2_link_pump(struct h2_link *link)
{
    if (link->state != H2_LINK_OPEN || link->is_reading || link->is_writing || link->is_broken || link->has_ended)
        return;
    link->is_writing = true;
    if (nghttp2_session_send(link->session) != 0)
        link->is_broken = true;
    link->is_writing = false;
}

/*
 * nghttp2 keeps a head back behind a body frame that the conn has no room for, and a request while the node allows no more streams.
 */
static bool may_write_head(const struct h2_link *link)
{
    if (link->is_reading || link->is_writing || link->is_broken || link->has_ended || conn_is_congested(link->link.conn))
        return false;
    return link->role->is_server || link->streams.count <= link->peer_streams_maximum;
}

void h2_link_begin_head(struct h2_link *link, struct h2_stream *stream)
{
    bool is_now = may_write_head(link);
    link->context->writer.borrowing = is_now ? NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE : 0;
    stream->heads_queued++;
}

/* Heads go before bodies, so few frames come out here besides the one that is wanted. */
void h2_link_write_head(struct h2_link *link, struct h2_stream *stream)
{
    bool is_borrowed = link->context->writer.borrowing != 0;
    link->context->writer.borrowing = 0;
    if (!is_borrowed || link->is_broken)
        return;
    link->is_writing = true;
    link->head_stream = stream;
    while (stream->heads_queued > 0 && !stream->is_closed && !link->is_broken) {
        const uint8_t *bytes;
        ssize_t length = nghttp2_session_mem_send(link->session, &bytes);
        bool is_over = !nghttp2_session_want_read(link->session) && !nghttp2_session_want_write(link->session);
        /* It was refused (on_frame_not_send), or the session has said its last word and never writes again. */
        if (length == 0 && (stream->heads_queued == 0 || is_over))
            break;
        /* Nothing to write, and the head is not out: it would point at fields that are gone, so nothing may be written any more. */
        if (length <= 0 || !h2_link_write(link, text_of((const char *)bytes, (size_t)length)))
            link->is_broken = true;
    }
    link->is_writing = false;
    link->head_stream = NULL;
    if (stream->heads_queued == 0)
        h2_stream_note_position(stream);
}

static void run_task(void *owner)
{
    struct h2_link *link = owner;
    h2_link_pump(link);
    if (link->is_broken) {
        h2_link_fail(link, FAULT_OUT_OF_MEMORY);
        return;
    }
    h2_link_settle(link);
    if (link->state != H2_LINK_OPEN)
        return;
    conn_flush(link->link.conn);
    bool is_over = !nghttp2_session_want_read(link->session) && !nghttp2_session_want_write(link->session);
    if (is_over && !link->is_over && !link->has_ended)
        link->role->on_over(link);
}

void h2_link_drained(void *owner)
{
    h2_link_touch(owner);
}

/* ---- output that nobody waits for any more ---- */

void h2_link_watch_stall(struct h2_link *link)
{
    uint64_t now_ms = loop_now_ms(link->context->loop);
    if (link->state != H2_LINK_OPEN || link->context->settings.stall_ms == 0 || loop_timer_is_set(&link->stall_timer))
        return;
    link->stalled_since_ms = link->stalled_at_bytes == 0 ? now_ms : link->stalled_since_ms;
    loop_timer_set(link->context->loop, &link->stall_timer, now_ms + STALL_LOOK_MS);
}

/* The other side takes nothing at all: what is reset only waits behind the rest. */
static bool is_deaf(struct h2_link *link, uint64_t now_ms)
{
    uint64_t sent_bytes = conn_sent_bytes(link->link.conn);
    if (conn_output_bytes(link->link.conn) == 0 || sent_bytes != link->stalled_at_bytes) {
        link->stalled_at_bytes = sent_bytes;
        link->stalled_since_ms = now_ms;
    }
    return now_ms >= link->stalled_since_ms + link->context->settings.stall_ms;
}

static void on_stall_look(void *owner)
{
    struct h2_link *link = owner;
    uint64_t now_ms = loop_now_ms(link->context->loop);
    bool look_again = false;
    if (is_deaf(link, now_ms)) {
        h2_link_fail(link, link->role->is_server ? FAULT_DOWNSTREAM_GONE : FAULT_UPSTREAM_STALLED);
        return;
    }
    struct list_node *node = link->streams.head.next;
    while (node != &link->streams.head) {
        struct h2_stream *stream = LIST_OWNER(node, struct h2_stream, node);
        node = node->next;
        if (stream->is_owned)
            continue;
        look_again = true;
        if (!stream->was_reset_here && now_ms >= stream->moved_ms + link->context->settings.stall_ms)
            h2_stream_reset_with(stream, NGHTTP2_CANCEL);
    }
    if (look_again)
        h2_link_watch_stall(link);
}

/* ---- beginning ---- */

/* See h2_link_write. */
#define STREAMS_OF_NGHTTP2 0x7fffffff

static bool submit_settings(struct h2_link *link)
{
    const struct h2_settings *settings = &link->context->settings;
    nghttp2_settings_entry entries[] = {
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, settings->window_bytes},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)settings->limits.head_bytes},
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, STREAMS_OF_NGHTTP2},
        /* RFC 9218 section 2.1: without the tree of dependencies, which no client of ours uses and which costs time for each stream. */
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
    };
    /* The last one is a client's to say. */
    size_t count = link->role->is_server ? 4 : 5;
    return nghttp2_submit_settings(link->session, NGHTTP2_FLAG_NONE, entries, count) == 0 &&
           nghttp2_session_set_local_window_size(link->session, NGHTTP2_FLAG_NONE, 0, LINK_WINDOW_BYTES) == 0;
}

bool h2_link_init(struct h2_link *link, struct h2_context *context, const struct h2_role *role, struct conn *conn)
{
    link->role = role;
    link->context = context;
    link->link.conn = conn;
    link->link.is_http2 = true;
    link->peer_streams_maximum = H2_STREAMS_USUAL;
    link->abuse = -1;
    list_init(&link->streams);
    list_init(&link->arrived);
    list_init(&link->settling);
    list_init(&link->congested);
    loop_task_init(&link->task, run_task, link);
    loop_timer_init(&link->stall_timer, on_stall_look, link);
    h2_budget_start(&link->budget, loop_now_ms(context->loop));
    int result = role->is_server ? nghttp2_session_server_new3(&link->session, context->callbacks, link, context->option,
                                                               &context->memory)
                                 : nghttp2_session_client_new3(&link->session, context->callbacks, link, context->option,
                                                               &context->memory);
    if (result != 0)
        return false;
    if (!submit_settings(link)) {
        nghttp2_session_del(link->session);
        return false;
    }
    conn_hold(conn);
    h2_link_touch(link);
    return true;
}
