#include <stdlib.h>

#include "http/h2_link.h"

/* How long a client may take to answer the ping behind the notice of a drain; then what crossed it is taken for arrived. */
#define DRAIN_NOTICE_MS 1000

static const struct stream_verbs server_stream_verbs;

/* ---- receiving ---- */

static struct h2_stream *on_new_stream(struct h2_link *link, int32_t id)
{
    struct h2_stream *stream = h2_stream_create(link, id);
    if (stream != NULL)
        stream->stream.verbs = &server_stream_verbs;
    return stream;
}

/* The request waits until everything that came with it has been read: if it was reset in the same breath, nobody hears of it. */
static void on_head(struct h2_link *link, struct h2_stream *stream, bool is_end)
{
    stream->receiving = is_end ? H2_RECEIVING_ENDED : H2_RECEIVING_BODY;
    stream->is_bodyless = is_end;
    list_append(&link->arrived, &stream->queue_node);
}

static void on_arrived(struct h2_link *link, struct h2_stream *stream)
{
    struct h2_context *context = link->context;
    struct message_head head = {.fields = context->settings.fields};
    stream->is_dispatched = true;
    stream->is_owned = true;
    link->owned_count++;
    link->is_idle_told = false;
    link->link.used++;
    enum fault fault = h2_read_request(stream->block, &context->settings.limits, stream->is_bodyless, &head);
    stream->to_head_request = text_equals(head.method, TEXT("HEAD"));
    uint64_t limit = context->settings.body_limit_bytes;
    /* What came with it has shown already that it cannot be served. */
    if (fault == FAULT_NONE && stream->has_failed)
        fault = stream->fault;
    stream->has_failed = false;
    if (fault == FAULT_NONE && limit != 0 && head.body == BODY_LENGTH && head.content_length > limit)
        fault = FAULT_REQUEST_BODY_TOO_LARGE;
    if (fault != FAULT_NONE) {
        stream->receiving = H2_RECEIVING_DONE;
        link->link.events->on_refused(link->link.owner, &stream->stream, &head, fault);
    } else {
        link->link.events->on_request(link->link.owner, &stream->stream, &head);
    }
    h2_stream_drop_block(stream);
    if (link->state != H2_LINK_OPEN || !stream->is_owned || stream->receiving == H2_RECEIVING_DONE)
        return;
    if (stream->is_bodyless)
        h2_stream_give_end(stream);
    else
        h2_stream_deliver(stream);
}

static enum fault fault_of_close(const struct h2_link *link, const struct h2_stream *stream, uint32_t error)
{
    (void)link;
    (void)error;
    return stream->was_reset_by_peer ? FAULT_DOWNSTREAM_GONE : FAULT_REQUEST_MALFORMED;
}

/* ---- the end, and what leads to it ---- */

static void say_last_word(struct h2_link *link)
{
    link->is_last_word_said = true;
    if (nghttp2_submit_goaway(link->session, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(link->session),
                              NGHTTP2_NO_ERROR, NULL, 0) != 0)
        link->is_broken = true;
    h2_link_touch(link);
}

static void end_abuse(struct h2_link *link)
{
    link->is_last_word_said = true;
    link->link.end_reason = h2_expense_name((enum h2_expense)link->abuse);
    /* One that does not read cannot be told. */
    if (conn_is_congested(link->link.conn) ||
        nghttp2_session_terminate_session(link->session, NGHTTP2_ENHANCE_YOUR_CALM) != 0) {
        h2_link_fail(link, FAULT_DOWNSTREAM_ABUSE);
        return;
    }
    h2_link_touch(link);
}

/* A header block stands in the way of everything else, so it is the connection that has a deadline. */
static void watch_header_block(struct h2_link *link)
{
    struct loop *loop = link->context->loop;
    bool is_waiting = link->gathering != NULL || !link->has_settings;
    int32_t awaited_id = link->gathering != NULL ? link->gathering_id : 0;
    bool is_watched = loop_timer_is_set(&link->timer) && link->watched_id == awaited_id;
    link->watched_id = awaited_id;
    if (is_waiting && !is_watched)
        loop_timer_set(loop, &link->timer, loop_now_ms(loop) + link->context->settings.request_head_ms);
    else if (!is_waiting)
        loop_timer_clear(loop, &link->timer);
}

static void on_deadline(void *owner)
{
    h2_link_fail(owner, FAULT_REQUEST_TIMEOUT);
}

static void on_drain_deadline(void *owner)
{
    struct h2_link *link = owner;
    if (link->state == H2_LINK_OPEN && !link->is_last_word_said)
        say_last_word(link);
}

static void on_settled(struct h2_link *link)
{
    if (link->abuse >= 0 && !link->is_last_word_said) {
        end_abuse(link);
        return;
    }
    if (link->is_last_word_due && link->is_draining && !link->is_last_word_said)
        say_last_word(link);
    watch_header_block(link);
    if (link->streams.count > 0 || link->is_idle_told || !link->has_settings)
        return;
    link->is_idle_told = true;
    link->link.events->on_idle(link->link.owner);
}

static void on_goodbye(struct h2_link *link)
{
    (void)link;
}

static void on_unreadable(struct h2_link *link)
{
    if (!link->has_settings)
        h2_link_fail(link, FAULT_REQUEST_MALFORMED); /* no HTTP/2 at all */
    else if (link->abuse < 0)
        link->abuse = H2_EXPENSE_UNREADABLE;
}

static void on_over(struct h2_link *link)
{
    h2_link_finish(link, link->abuse >= 0 ? FAULT_DOWNSTREAM_ABUSE : FAULT_DOWNSTREAM_GONE);
}

static const struct h2_role server_role = {
    .is_server = true,
    .on_new_stream = on_new_stream,
    .on_head = on_head,
    .on_arrived = on_arrived,
    .fault_of_close = fault_of_close,
    .on_settled = on_settled,
    .on_goodbye = on_goodbye,
    .on_unreadable = on_unreadable,
    .on_over = on_over,
};

static void on_ended(void *owner, enum conn_end end)
{
    (void)end;
    h2_link_fail(owner, FAULT_DOWNSTREAM_GONE);
}

const struct conn_events h2_server_conn_events = {
    .on_bytes = h2_link_bytes,
    .on_drained = h2_link_drained,
    .on_ended = on_ended,
    .on_finished = h2_link_finished,
};

/* ---- sending ---- */

static void send_head(struct stream *stream, const struct message_head *head)
{
    struct h2_stream *own = h2_stream_of(stream);
    struct h2_link *link = own->link;
    struct h2_writer *writer = &link->context->writer;
    if (own->sending != H2_SENDING_HEAD)
        return;
    bool has_body = head->body != BODY_NONE && !own->to_head_request;
    own->sending = has_body ? H2_SENDING_BODY : H2_SENDING_LAST;
    /* A node's answer over HTTP/2 may have trailers behind its length: its end is waited for. */
    own->is_length_known = has_body && head->body == BODY_LENGTH && head->version != MESSAGE_HTTP_2;
    own->left_bytes = head->content_length;
    nghttp2_data_provider provider = h2_stream_provider(own);
    h2_link_begin_head(link, own);
    if (!h2_write_response(writer, head) ||
        nghttp2_submit_response(link->session, own->id, writer->fields, writer->count, has_body ? &provider : NULL) != 0)
        link->is_broken = true;
    h2_link_write_head(link, own);
    h2_link_touch(link);
}

static void send_interim(struct stream *stream, const struct message_head *head)
{
    struct h2_stream *own = h2_stream_of(stream);
    struct h2_link *link = own->link;
    struct message_head interim = *head;
    if (own->sending != H2_SENDING_HEAD)
        return;
    interim.body = BODY_NONE;
    interim.announces_length = false;
    own->heads_queued++;
    if (!h2_write_response(&link->context->writer, &interim) ||
        nghttp2_submit_headers(link->session, NGHTTP2_FLAG_NONE, own->id, NULL, link->context->writer.fields,
                               link->context->writer.count, NULL) < 0)
        link->is_broken = true;
    h2_link_touch(link);
}

static void reset_stream(struct stream *stream, enum fault fault)
{
    h2_stream_reset_with(h2_stream_of(stream), fault == FAULT_DOWNSTREAM_GONE ? NGHTTP2_CANCEL : NGHTTP2_INTERNAL_ERROR);
}

static void release_stream(struct stream *stream)
{
    struct h2_stream *own = h2_stream_of(stream);
    bool is_complete = own->sending == H2_SENDING_LAST || own->sending == H2_SENDING_DONE;
    if (is_complete || own->is_closed)
        h2_stream_let_go(own);
    else
        reset_stream(stream, FAULT_NONE);
}

static const struct stream_verbs server_stream_verbs = {
    .send_head = send_head,
    .send_interim = send_interim,
    .send_data = h2_stream_send_data,
    .send_trailers = h2_stream_send_trailers,
    .send_end = h2_stream_send_end,
    .pause = h2_stream_pause,
    .resume = h2_stream_resume,
    .is_congested = h2_stream_is_congested,
    .reset = reset_stream,
    .release = release_stream,
};

/* ---- the link ---- */

static struct stream *open_nothing(struct link *link)
{
    (void)link;
    return NULL;
}

static bool has_no_room(const struct link *link)
{
    (void)link;
    return false;
}

static bool is_spent(const struct link *link)
{
    (void)link;
    return true;
}

/* First the notice that new streams should go elsewhere; the word which ones were served follows when it has been heard. */
static void drain_link(struct link *base)
{
    struct h2_link *link = (struct h2_link *)base;
    struct loop *loop = link->context->loop;
    if (link->state != H2_LINK_OPEN || link->is_last_word_said || link->is_notice_given)
        return;
    link->is_notice_given = true;
    link->is_draining = true;
    link->is_last_word_due = false;
    if (nghttp2_submit_shutdown_notice(link->session) != 0)
        link->is_broken = true;
    loop_timer_set(loop, &link->drain_timer, loop_now_ms(loop) + DRAIN_NOTICE_MS);
    h2_link_touch(link);
}

static void close_link(struct link *base)
{
    struct h2_link *link = (struct h2_link *)base;
    link->is_muted = true;
    h2_link_fail(link, FAULT_DOWNSTREAM_GONE);
}

static const struct link_verbs server_link_verbs = {
    .open_stream = open_nothing,
    .has_room = has_no_room,
    .is_spent = is_spent,
    .drain = drain_link,
    .close = close_link,
};

struct link *h2_server_create(struct h2_context *context, struct conn *conn, const struct link_events *events, void *owner)
{
    struct h2_link *link = calloc(1, sizeof *link);
    if (link == NULL || !h2_link_init(link, context, &server_role, conn)) {
        free(link);
        conn_close(conn);
        return NULL;
    }
    link->link.verbs = &server_link_verbs;
    link->link.events = events;
    link->link.owner = owner;
    loop_timer_init(&link->timer, on_deadline, link);
    loop_timer_init(&link->drain_timer, on_drain_deadline, link);
    watch_header_block(link);
    conn_set_owner(conn, &h2_server_conn_events, link);
    return &link->link;
}
