#include "http/h2_connection.h"

#include <stdlib.h>

/* The connection's window: every stream's own is smaller, so this one never stops a stream. */
#define CONNECTION_WINDOW_BYTES (16 * 1024 * 1024)
/* How long a client that has had its last GOAWAY may take to read it. */
#define LINGER_MS 1000

/* ---- the end ---- */

static void destroy_link(void *object)
{
    struct h2_link *link = object;
    nghttp2_session_del(link->session);
    free(link);
}

/* The memory goes to the grave; the conn must be closed already. */
static void bury(struct h2_link *link, enum h2_link_state state)
{
    struct loop *loop = link->context->loop;
    h2_link_enter(link, state);
    loop_task_cancel(loop, &link->task);
    loop_timer_clear(loop, &link->stall_timer);
    link->role->stop_timers(link);
    loop_bury(loop, link, destroy_link);
}

static bool is_buried(const struct h2_link *link)
{
    return link->state == H2_LINK_DEAD || link->state == H2_LINK_DISOWNED;
}

/* Each stream that has an owner fails; the others vanish. An owner may close the link meanwhile: then nobody hears of it any more. */
static void end_streams(struct h2_link *link, enum fault fault)
{
    struct list_node *node;
    while ((node = list_take_first(&link->streams)) != NULL) {
        struct h2_stream *stream = LIST_OWNER(node, struct h2_stream, node);
        enum fault own = stream->receiving == H2_RECEIVING_FAILED ? stream->fault : fault;
        h2_stream_enter_closed(stream);
        if (!h2_stream_is_heard(stream))
            continue;
        h2_stream_enter_owner(stream, H2_OWNER_TOLD);
        if (link->state != H2_LINK_DISOWNED)
            stream->stream.events->on_failed(stream->stream.owner, own);
    }
}

static void tell_closed(struct h2_link *link, enum fault fault)
{
    if (link->state != H2_LINK_DISOWNED)
        link->link.events->on_closed(link->link.owner, fault);
}

void h2_connection_fail(struct h2_link *link, enum fault fault)
{
    if (is_buried(link))
        return;
    conn_close(link->link.conn);
    bury(link, H2_LINK_DEAD);
    end_streams(link, fault);
    tell_closed(link, fault);
}

void h2_connection_close(struct h2_link *link)
{
    if (link->state == H2_LINK_DEAD)
        h2_link_enter(link, H2_LINK_DISOWNED);
    if (is_buried(link))
        return;
    conn_close(link->link.conn);
    bury(link, H2_LINK_DISOWNED);
    end_streams(link, FAULT_NONE);
}

void h2_connection_finish(struct h2_link *link, enum fault fault)
{
    if (link->state != H2_LINK_OPEN)
        return;
    h2_link_enter(link, H2_LINK_FINISHING);
    link->pending_fault = fault;
    link->role->stop_timers(link);
    end_streams(link, fault);
    conn_finish(link->link.conn, LINGER_MS);
}

void h2_connection_finished(void *owner)
{
    struct h2_link *link = owner;
    if (is_buried(link))
        return;
    bury(link, H2_LINK_DEAD);
    end_streams(link, link->pending_fault);
    tell_closed(link, link->pending_fault);
}

/* ---- input, and the events that follow from it ---- */

ssize_t h2_connection_receive(struct h2_link *link, struct text bytes)
{
    return nghttp2_session_mem_recv(link->session, (const uint8_t *)bytes.bytes, bytes.length);
}

size_t h2_connection_bytes(void *owner, struct text bytes)
{
    struct h2_link *link = owner;
    if (!h2_link_is_alive(link))
        return bytes.length;
    if (bytes.length > 0 && link->state != H2_LINK_DELIVERING) {
        if (!h2_memory_is_ready(&link->context->memory)) {
            h2_link_break(link);
            return bytes.length;
        }
        link->reads++;
        h2_link_enter_activity(link, H2_LINK_READING);
        ssize_t read = link->role->receive != NULL ? link->role->receive(link, bytes) : h2_connection_receive(link, bytes);
        h2_link_enter_activity(link, H2_LINK_RESTING);
        if (h2_link_is_alive(link) && read < 0)
            link->role->on_unreadable(link);
        if (!h2_link_is_alive(link))
            return bytes.length;
    }
    h2_connection_settle(link);
    h2_link_touch(link);
    return bytes.length;
}

static void settle_streams(struct h2_link *link)
{
    struct list_node *node;
    while (h2_link_is_alive(link) && (node = list_take_first(&link->settling)) != NULL)
        h2_stream_settle(LIST_OWNER(node, struct h2_stream, queue_node));
}

/* Those that were congested and are so no more; one that has gone congested again meanwhile has joined the list behind them. */
static void tell_drained(struct h2_link *link)
{
    size_t count = link->congested.count;
    while (h2_link_is_alive(link) && count-- > 0) {
        struct list_node *node = list_take_first(&link->congested);
        if (node == NULL)
            return;
        struct h2_stream *stream = LIST_OWNER(node, struct h2_stream, congested_node);
        if (!h2_stream_is_drained(stream))
            list_append(&link->congested, node);
        else if (h2_stream_is_heard(stream))
            stream->stream.events->on_drained(stream->stream.owner);
    }
}

void h2_connection_settle(struct h2_link *link)
{
    if (!h2_link_is_alive(link))
        return;
    if (link->role->on_read != NULL)
        link->role->on_read(link);
    settle_streams(link);
    if (link->congested.count > 0)
        tell_drained(link);
    if (h2_link_is_alive(link))
        link->role->on_settled(link);
}

static void run_task(void *owner)
{
    struct h2_link *link = owner;
    h2_link_pump(link);
    if (link->state == H2_LINK_BROKEN) {
        h2_connection_fail(link, FAULT_OUT_OF_MEMORY);
        return;
    }
    h2_connection_settle(link);
    if (!h2_link_is_alive(link))
        return;
    conn_flush(link->link.conn);
    bool is_over = !nghttp2_session_want_read(link->session) && !nghttp2_session_want_write(link->session);
    if (is_over && link->state == H2_LINK_OPEN)
        link->role->on_over(link);
}

void h2_connection_drained(void *owner)
{
    h2_link_touch(owner);
}

/* ---- output that nobody waits for any more ---- */

/* The other side takes nothing at all: what is reset only waits behind the rest. */
static bool takes_nothing(struct h2_link *link, uint64_t now_ms)
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
    /* Nothing goes out any more, and a whole answer waits for its reader as long as that takes. */
    if (link->state == H2_LINK_ENDED || link->state == H2_LINK_DELIVERING)
        return;
    if (takes_nothing(link, now_ms)) {
        h2_connection_fail(link, link->role->is_server ? FAULT_DOWNSTREAM_GONE : FAULT_UPSTREAM_STALLED);
        return;
    }
    struct list_node *node = link->streams.head.next;
    while (node != &link->streams.head) {
        struct h2_stream *stream = LIST_OWNER(node, struct h2_stream, node);
        node = node->next;
        if (stream->owner != H2_OWNER_RELEASED)
            continue;
        look_again = true;
        if (stream->state != H2_STREAM_RESET_HERE && now_ms >= stream->moved_ms + link->context->settings.stall_ms)
            h2_stream_reset_with(stream, NGHTTP2_CANCEL);
    }
    if (look_again)
        h2_link_watch_stall(link);
}

/* ---- the beginning ---- */

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
           nghttp2_session_set_local_window_size(link->session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW_BYTES) == 0;
}

bool h2_connection_start(struct h2_link *link, struct h2_context *context, const struct h2_role *role, struct conn *conn)
{
    link->role = role;
    link->context = context;
    link->link.conn = conn;
    link->link.is_http2 = true;
    link->peer_streams_maximum = H2_STREAMS_USUAL;
    link->streams_allowed = context->settings.streams_maximum;
    link->window_bytes = context->settings.window_bytes;
    list_init(&link->streams);
    list_init(&link->settling);
    list_init(&link->congested);
    loop_task_init(&link->task, run_task, link);
    loop_timer_init(&link->stall_timer, on_stall_look, link);
    int result = role->is_server ? nghttp2_session_server_new3(&link->session, context->callbacks, link, context->option,
                                                               &context->memory.verbs)
                                 : nghttp2_session_client_new3(&link->session, context->callbacks, link, context->option,
                                                               &context->memory.verbs);
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
