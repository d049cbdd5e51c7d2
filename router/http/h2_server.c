#include <stdlib.h>

#include "base/machine.h"
#include "http/h2_connection.h"
#include "http/h2_frames.h"
#include "http/h2_past.h"

/* How long a client may take to answer the ping behind the first GOAWAY; then what crossed it is taken for arrived. */
#define DRAIN_NOTICE_MS 1000
/*
 * A stream that is reset within this time was begun to be thrown away, unless its answer has begun (CVE-2023-44487). Later it is a deadline, or
 * somebody who waits no longer; until then it has taken one of the client's few places, so that there cannot be many of them.
 */
#define YOUNG_MS 100
/* Streams above the limit that a client may begin before it has read our SETTINGS; after that they cost it. */
#define EARLY_REFUSALS_MAXIMUM 1000

/*
 * What we have said of the end (RFC 9113 section 6.8), so that no request crosses it:
 *
 *   NONE --drain--> NOTICE --ping answered--> HEARD --+--> FINAL
 *    |                +--------time is over-----------+      ^
 *    +--the budget is spent----------------------------------+ (from NOTICE and HEARD, too)
 */
enum goaway_state {
    GOAWAY_NONE,
    GOAWAY_NOTICE,  /* GOAWAY that names no last stream, and behind it a ping */
    GOAWAY_HEARD,   /* what crossed the notice has arrived */
    GOAWAY_FINAL,   /* GOAWAY with the last stream that is served */
};

static const char *const goaway_names[] = {"none", "notice", "heard", "final"};

#define TO(state) MACHINE_TO(GOAWAY_##state)
static const uint32_t goaway_moves[] = {
    [GOAWAY_NONE] = TO(NOTICE) | TO(FINAL),
    [GOAWAY_NOTICE] = TO(HEARD) | TO(FINAL),
    [GOAWAY_HEARD] = TO(FINAL),
    [GOAWAY_FINAL] = 0,
};
#undef TO

static const struct machine goaway_machine = {"h2_server_goaway", goaway_names, goaway_moves};

struct h2_server {
    struct h2_link link;             /* first */
    enum goaway_state goaway;
    bool is_idle;                    /* and its owner has been told */
    struct list arrived;             /* requests that are complete and wait until all input has been read */
    struct loop_timer head_timer;    /* a header block must end, and the first SETTINGS must come */
    int32_t head_id;                 /* the stream whose block it is for; 0: the first SETTINGS */
    struct loop_timer drain_timer;   /* the notice has had its time */
    struct h2_frames frames;         /* of the input */
    struct h2_past past;
    struct h2_budget budget;
    enum h2_expense overspent;       /* on what the client has spent more than its budget; H2_EXPENSE_COUNT: on nothing */
    uint32_t early_refusals;         /* of streams, before the client had acknowledged our SETTINGS */
};

static const struct stream_verbs server_stream_verbs;

static struct h2_server *server_of(struct h2_link *link)
{
    return (struct h2_server *)link;
}

static void enter_goaway(struct h2_server *server, enum goaway_state next)
{
    machine_check(&goaway_machine, server->goaway, next);
    server->goaway = next;
}

static bool has_overspent(const struct h2_server *server)
{
    return server->overspent != H2_EXPENSE_COUNT;
}

/* ---- receiving ---- */

static struct h2_stream *on_new_stream(struct h2_link *link, int32_t id)
{
    struct h2_stream *stream = has_overspent(server_of(link)) ? NULL : h2_stream_create(link, id);
    if (stream == NULL)
        return NULL;
    h2_stream_enter(stream, H2_STREAM_OPEN);
    stream->stream.verbs = &server_stream_verbs;
    return stream;
}

/* The request waits until everything that came with it has been read: if it was reset in the same read, nobody hears of it. */
static void on_head(struct h2_link *link, struct h2_stream *stream, bool is_end)
{
    h2_stream_enter_receiving(stream, is_end ? H2_RECEIVING_ENDED : H2_RECEIVING_BODY);
    stream->is_bodyless = is_end;
    h2_stream_wait_in(stream, &server_of(link)->arrived);
    h2_budget_credit(&server_of(link)->budget, H2_OCCASION_REQUEST);
}

static void on_body(struct h2_link *link)
{
    h2_budget_credit(&server_of(link)->budget, H2_OCCASION_DATA_RECEIVED);
}

static void hand_up(struct h2_link *link, struct h2_stream *stream)
{
    struct h2_context *context = link->context;
    struct message_head head = {.fields = context->settings.fields};
    h2_stream_own(stream);
    server_of(link)->is_idle = false;
    enum fault fault = h2_read_request(stream->block, &context->settings.limits, stream->is_bodyless, &head);
    stream->to_head_request = text_equals(head.method, TEXT("HEAD"));
    uint64_t limit = context->settings.body_limit_bytes;
    /* What came with it has shown already that it cannot be served. */
    if (fault == FAULT_NONE && stream->receiving == H2_RECEIVING_FAILED)
        fault = stream->fault;
    if (fault == FAULT_NONE && limit != 0 && head.body == BODY_LENGTH && head.content_length > limit)
        fault = FAULT_REQUEST_BODY_TOO_LARGE;
    if (fault != FAULT_NONE) {
        h2_stream_enter_receiving(stream, H2_RECEIVING_DONE);
        link->link.events->on_refused(link->link.owner, &stream->stream, &head, fault);
    } else {
        link->link.events->on_request(link->link.owner, &stream->stream, &head);
    }
    h2_stream_drop_block(stream);
    if (!h2_link_is_alive(link) || !h2_stream_is_heard(stream) || stream->receiving == H2_RECEIVING_DONE)
        return;
    if (stream->is_bodyless)
        h2_stream_give_end(stream);
    else
        h2_stream_settle(stream);
}

static void on_read(struct h2_link *link)
{
    struct h2_server *server = server_of(link);
    struct list_node *node;
    while (h2_link_is_alive(link) && !has_overspent(server) && (node = list_take_first(&server->arrived)) != NULL)
        hand_up(link, LIST_OWNER(node, struct h2_stream, queue_node));
}

static enum fault fault_of_close(const struct h2_link *link, const struct h2_stream *stream, uint32_t error)
{
    (void)link;
    (void)error;
    return stream->state == H2_STREAM_RESET_BY_PEER ? FAULT_DOWNSTREAM_GONE : FAULT_REQUEST_MALFORMED;
}

/* ---- what the client may ask of us ---- */

static void spend(struct h2_link *link, enum h2_expense expense)
{
    struct h2_server *server = server_of(link);
    if (!has_overspent(server) && !h2_budget_spend(&server->budget, expense, loop_now_ms(link->context->loop)))
        server->overspent = expense;
}

static void end_connection(struct h2_link *link, uint32_t code)
{
    if (nghttp2_session_terminate_session(link->session, code) != 0)
        h2_link_break(link);
}

/*
 * DATA or HEADERS for a stream that has ended, which nghttp2 passes over. The client cannot have meant them if it has ended the stream itself;
 * if we have reset it, they may have been on their way.
 */
static void judge_stale(struct h2_link *link, uint8_t type, int32_t id)
{
    uint32_t code = NGHTTP2_STREAM_CLOSED;
    switch (h2_past_find(&server_of(link)->past, id)) {
    case H2_PAST_RESET_HERE:
        if (type == NGHTTP2_HEADERS)
            spend(link, H2_EXPENSE_STALE);
        return;
    case H2_PAST_SKIPPED:
        code = NGHTTP2_PROTOCOL_ERROR; /* RFC 9113 section 5.1.1 */
        break;
    case H2_PAST_ENDED:
        break;
    }
    end_connection(link, code);
}

static bool is_stale(const struct h2_link *link, int32_t id)
{
    return id != 0 && id <= nghttp2_session_get_last_proc_stream_id(link->session) &&
           nghttp2_session_find_stream(link->session, id) == NULL;
}

/* A PRIORITY frame by which a stream would depend on itself (RFC 7540 section 5.3.1): what RFC 9113 keeps of priorities allows no sense in it either. */
static bool is_circular(const struct h2_frame_head *head)
{
    return head->depends_on != 0 && head->depends_on == head->stream_id;
}

/*
 * nghttp2 does not tell of DATA for a stream that has ended: it is looked for here. Everything before such a frame is read first, and everything up to
 * a reset, because what is behind it may be for the same stream.
 */
static ssize_t receive(struct h2_link *link, struct text bytes)
{
    struct text rest = bytes;
    struct text unread = bytes;
    struct h2_frame_head head;
    while (h2_link_is_alive(link) && h2_frames_next(&server_of(link)->frames, &rest, &head)) {
        if (is_circular(&head))
            end_connection(link, NGHTTP2_PROTOCOL_ERROR);
        bool is_doubtful = head.type == NGHTTP2_DATA && is_stale(link, head.stream_id);
        if (!is_doubtful && (head.type != NGHTTP2_RST_STREAM || head.length > rest.length))
            continue;
        size_t length = (size_t)(rest.bytes - unread.bytes) + (is_doubtful ? 0 : head.length);
        if (h2_connection_receive(link, text_of(unread.bytes, length)) < 0)
            return -1;
        unread = text_of(unread.bytes + length, unread.length - length);
        if (is_doubtful)
            judge_stale(link, head.type, head.stream_id);
    }
    return h2_link_is_alive(link) && unread.length > 0 ? h2_connection_receive(link, unread) : 0;
}

static void spend_on_peer_reset(struct h2_link *link, int32_t id)
{
    const struct h2_stream *stream = nghttp2_session_get_stream_user_data(link->session, id);
    if (stream == NULL)
        spend(link, H2_EXPENSE_LATE_RESET);
    /* Until its head is sent, a stream has moved only when it began. */
    else if (stream->sending == H2_SENDING_HEAD && loop_now_ms(link->context->loop) < stream->moved_ms + YOUNG_MS)
        spend(link, H2_EXPENSE_RESET);
}

static void on_frame_begin(struct h2_link *link, const nghttp2_frame_hd *head)
{
    bool is_acknowledgement = (head->flags & NGHTTP2_FLAG_ACK) != 0;
    switch (head->type) {
    case NGHTTP2_DATA:
        if (head->length == 0 && (head->flags & NGHTTP2_FLAG_END_STREAM) == 0)
            spend(link, H2_EXPENSE_EMPTY_DATA);
        break;
    case NGHTTP2_HEADERS:
        if (is_stale(link, head->stream_id))
            judge_stale(link, head->type, head->stream_id);
        else
            h2_past_note_head(&server_of(link)->past, head->stream_id);
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
        spend_on_peer_reset(link, head->stream_id);
        break;
    case NGHTTP2_SETTINGS:
        if (!is_acknowledgement)
            spend(link, H2_EXPENSE_SETTINGS);
        break;
    case NGHTTP2_PING:
        if (!is_acknowledgement || server_of(link)->goaway == GOAWAY_NONE)
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

/* Not every RST_STREAM of ours is the client's fault: its owner's, or of a stream above a limit that the client could not know. */
static void spend_on_reset(struct h2_link *link, const struct h2_stream *stream, uint32_t code)
{
    bool is_early = code == NGHTTP2_REFUSED_STREAM && link->settings != H2_SETTINGS_ACKNOWLEDGED &&
                    server_of(link)->early_refusals++ < EARLY_REFUSALS_MAXIMUM;
    if (!is_early && (stream == NULL || stream->state != H2_STREAM_RESET_HERE))
        spend(link, H2_EXPENSE_RESET);
}

static void on_goaway_sent(struct h2_link *link, uint32_t code)
{
    /* nghttp2 sends a ping before everything else: it is asked for when the notice is out, or its answer would prove nothing. */
    if (server_of(link)->goaway == GOAWAY_NOTICE && nghttp2_submit_ping(link->session, NGHTTP2_FLAG_NONE, NULL) != 0)
        h2_link_break(link);
    /* nghttp2 ends the connection by itself: the client has broken the protocol, which its operator should know. */
    if (code != NGHTTP2_NO_ERROR && link->link.end_reason == NULL)
        link->link.end_reason = "protocol";
}

static void on_frame_sent(struct h2_link *link, const struct h2_stream *stream, const nghttp2_frame *frame)
{
    switch (frame->hd.type) {
    case NGHTTP2_RST_STREAM:
        spend_on_reset(link, stream, frame->rst_stream.error_code);
        /* 1: the client had ended it. */
        if (nghttp2_session_get_stream_remote_close(link->session, frame->hd.stream_id) != 1)
            h2_past_note_reset(&server_of(link)->past, frame->hd.stream_id);
        break;
    case NGHTTP2_GOAWAY:
        on_goaway_sent(link, frame->goaway.error_code);
        break;
    case NGHTTP2_DATA:
        h2_budget_credit(&server_of(link)->budget, H2_OCCASION_DATA_SENT);
        break;
    default:
        break;
    }
}

/* ---- the end, and what leads to it ---- */

static void send_final_goaway(struct h2_server *server)
{
    struct h2_link *link = &server->link;
    int32_t last_id = nghttp2_session_get_last_proc_stream_id(link->session);
    enter_goaway(server, GOAWAY_FINAL);
    if (nghttp2_submit_goaway(link->session, NGHTTP2_FLAG_NONE, last_id, NGHTTP2_NO_ERROR, NULL, 0) != 0)
        h2_link_break(link);
    h2_link_touch(link);
}

static void end_abuse(struct h2_server *server)
{
    struct h2_link *link = &server->link;
    enter_goaway(server, GOAWAY_FINAL);
    link->link.end_reason = h2_expense_name(server->overspent);
    /* One that does not read cannot be told. */
    if (conn_is_congested(link->link.conn) ||
        nghttp2_session_terminate_session(link->session, NGHTTP2_ENHANCE_YOUR_CALM) != 0) {
        h2_connection_fail(link, FAULT_DOWNSTREAM_ABUSE);
        return;
    }
    h2_link_touch(link);
}

/* A header block stands in the way of everything else, so it is the connection that has a deadline. */
static void watch_header_block(struct h2_server *server)
{
    struct h2_link *link = &server->link;
    struct loop *loop = link->context->loop;
    bool is_waiting = link->gathering != NULL || link->settings == H2_SETTINGS_AWAITED;
    int32_t awaited_id = link->gathering != NULL ? link->gathering_id : 0;
    bool is_watched = loop_timer_is_set(&server->head_timer) && server->head_id == awaited_id;
    server->head_id = awaited_id;
    if (is_waiting && !is_watched)
        loop_timer_set(loop, &server->head_timer, loop_now_ms(loop) + link->context->settings.request_head_ms);
    else if (!is_waiting)
        loop_timer_clear(loop, &server->head_timer);
}

static void on_head_deadline(void *owner)
{
    struct h2_server *server = owner;
    h2_connection_fail(&server->link, FAULT_REQUEST_TIMEOUT);
}

static void on_drain_deadline(void *owner)
{
    struct h2_server *server = owner;
    if (h2_link_is_alive(&server->link) && server->goaway != GOAWAY_FINAL)
        send_final_goaway(server);
}

static void on_ping_answered(struct h2_link *link)
{
    if (server_of(link)->goaway == GOAWAY_NOTICE)
        enter_goaway(server_of(link), GOAWAY_HEARD);
}

static void on_settled(struct h2_link *link)
{
    struct h2_server *server = server_of(link);
    if (has_overspent(server) && server->goaway != GOAWAY_FINAL) {
        end_abuse(server);
        return;
    }
    if (server->goaway == GOAWAY_HEARD)
        send_final_goaway(server);
    watch_header_block(server);
    if (link->streams.count > 0 || server->is_idle || link->settings == H2_SETTINGS_AWAITED)
        return;
    server->is_idle = true;
    link->link.events->on_idle(link->link.owner);
}

static void on_unreadable(struct h2_link *link)
{
    struct h2_server *server = server_of(link);
    if (link->settings == H2_SETTINGS_AWAITED)
        h2_connection_fail(link, FAULT_REQUEST_MALFORMED); /* no HTTP/2 at all */
    else if (!has_overspent(server))
        server->overspent = H2_EXPENSE_UNREADABLE;
}

static void on_over(struct h2_link *link)
{
    h2_connection_finish(link, has_overspent(server_of(link)) ? FAULT_DOWNSTREAM_ABUSE : FAULT_DOWNSTREAM_GONE);
}

static void stop_timers(struct h2_link *link)
{
    loop_timer_clear(link->context->loop, &server_of(link)->head_timer);
    loop_timer_clear(link->context->loop, &server_of(link)->drain_timer);
}

static const struct h2_role server_role = {
    .is_server = true,
    .receive = receive,
    .on_new_stream = on_new_stream,
    .on_head = on_head,
    .on_body = on_body,
    .on_read = on_read,
    .fault_of_close = fault_of_close,
    .on_settled = on_settled,
    .on_frame_begin = on_frame_begin,
    .on_frame_sent = on_frame_sent,
    .on_expense = spend,
    .on_ping_answered = on_ping_answered,
    .on_unreadable = on_unreadable,
    .on_over = on_over,
    .stop_timers = stop_timers,
};

static void on_ended(void *owner, enum conn_end end)
{
    (void)end;
    h2_connection_fail(owner, FAULT_DOWNSTREAM_GONE);
}

const struct conn_events h2_server_conn_events = {
    .on_bytes = h2_connection_bytes,
    .on_drained = h2_connection_drained,
    .on_ended = on_ended,
    .on_finished = h2_connection_finished,
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
    h2_stream_enter_sending(own, has_body ? H2_SENDING_BODY : H2_SENDING_LAST);
    /* A node's answer over HTTP/2 may have trailers behind its length: its end is waited for. */
    if (has_body && head->body == BODY_LENGTH && head->version != MESSAGE_HTTP_2)
        own->left_bytes = head->content_length;
    nghttp2_data_provider provider = h2_stream_provider(own);
    h2_stream_begin_head(own);
    if (!h2_write_response(writer, head) ||
        nghttp2_submit_response(link->session, own->id, writer->fields, writer->count, has_body ? &provider : NULL) != 0)
        h2_link_break(link);
    h2_stream_write_head(own);
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
    message_set(&interim, MESSAGE_ANNOUNCES_LENGTH, false);
    own->heads_queued++;
    if (!h2_write_response(&link->context->writer, &interim) ||
        nghttp2_submit_headers(link->session, NGHTTP2_FLAG_NONE, own->id, NULL, link->context->writer.fields,
                               link->context->writer.count, NULL) < 0)
        h2_link_break(link);
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
    if (is_complete || h2_stream_is_closed(own))
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

/* First the notice that new streams should go elsewhere; which ones were served is said when it has been heard. */
static void drain_link(struct link *base)
{
    struct h2_server *server = (struct h2_server *)base;
    struct h2_link *link = &server->link;
    struct loop *loop = link->context->loop;
    if (!h2_link_is_alive(link) || server->goaway != GOAWAY_NONE)
        return;
    enter_goaway(server, GOAWAY_NOTICE);
    if (nghttp2_submit_shutdown_notice(link->session) != 0)
        h2_link_break(link);
    loop_timer_set(loop, &server->drain_timer, loop_now_ms(loop) + DRAIN_NOTICE_MS);
    h2_link_touch(link);
}

static void close_link(struct link *base)
{
    h2_connection_close((struct h2_link *)base);
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
    struct h2_server *server = calloc(1, sizeof *server);
    if (server == NULL || !h2_connection_start(&server->link, context, &server_role, conn)) {
        free(server);
        conn_close(conn);
        return NULL;
    }
    server->link.link.verbs = &server_link_verbs;
    server->link.link.events = events;
    server->link.link.owner = owner;
    server->overspent = H2_EXPENSE_COUNT;
    h2_frames_start(&server->frames);
    list_init(&server->arrived);
    h2_budget_start(&server->budget, context->settings.streams_maximum, loop_now_ms(context->loop));
    loop_timer_init(&server->head_timer, on_head_deadline, server);
    loop_timer_init(&server->drain_timer, on_drain_deadline, server);
    watch_header_block(server);
    conn_set_owner(conn, &h2_server_conn_events, server);
    return &server->link.link;
}
