#include <stdlib.h>

#include "base/machine.h"
#include "http/h2_connection.h"

/* Whatever the node allows: a link is not made fuller than this, so that its loss loses only so much. */
#define STREAMS_MAXIMUM H2_STREAMS_ON_LINK
/* A node may take many cancelled streams for an attack on it and end the connection: before that, it is left to run out. */
#define RESETS_MAXIMUM 256
#define INTERIM_MAXIMUM 20
/* A node is asked for a sign of life: when streams wait and nothing has come for so long, ... */
#define SILENCE_MS 2000
/* ... when a request is given up after this long without a byte, ... */
#define GIVEN_UP_MS 500
/* ... and when a stream is opened on a link that has heard nothing for so long. */
#define STALE_MS 5000
/* How long the answer may take. */
#define PING_MS 1500
/* A ping on the wire (RFC 9113 section 6.7). */
#define PING_FRAME_BYTES 17
/* How long a reset that follows a FIN may take: more than a round trip, and than a delayed acknowledgement. */
#define CONFIRM_MS 60

/*
 * A connection whose other end is gone without a word (a machine without power, a firewall that has forgotten it) would take one request after the
 * other into silence. HTTP/1 closes it with the first that times out; here others may be under way, so a ping decides.
 *
 *   NONE --a stream on a link that was silent for long--> CHECKING
 *    |  ^--any byte (from all)                               | no answer in time, or as below
 *    +--streams wait in silence, one is given up, or   --> SUSPECTED --no answer in time, and nothing of the output arrives--> the link is dead
 *       another link to the node has died
 */
enum ping_state {
    PING_NONE,
    PING_CHECKING,  /* out, and the link is used meanwhile */
    PING_SUSPECTED, /* out, and the link has no room until a byte comes */
};

static const char *const ping_state_names[] = {"none", "checking", "suspected"};

#define TO(state) MACHINE_TO(PING_##state)
static const uint32_t ping_moves[] = {
    [PING_NONE] = TO(CHECKING) | TO(SUSPECTED),
    [PING_CHECKING] = TO(NONE) | TO(SUSPECTED),
    [PING_SUSPECTED] = TO(NONE),
};
#undef TO

static const struct machine ping_machine = {"h2_ping", ping_state_names, ping_moves};

struct h2_client {
    struct h2_link link;             /* first */
    struct text scheme;
    uint32_t resets;                 /* streams that we cancelled */
    bool has_goaway;                 /* the node takes no more streams */
    bool had_room;                   /* when that was last asked: on_room tells of a change */
    enum ping_state ping;
    uint64_t asked_ms;               /* when a stream was opened while there was no other */
    uint64_t ping_at_bytes;          /* SUSPECTED: where the ping ends in the conn's output, or a little before */
    uint64_t arrived_bytes;          /* SUSPECTED: of that output, what the node's kernel had when it was last looked at */
    struct loop_timer ping_timer;    /* the answer's deadline, or in NONE, while there are streams, when silence is looked for */
    struct loop_timer confirm_timer; /* set in ENDED: then the kernel knows which requests were read */
};

static const struct stream_verbs client_stream_verbs;

static struct h2_client *client_of(struct h2_link *link)
{
    return (struct h2_client *)link;
}

/* ---- receiving ---- */

static void on_head(struct h2_link *link, struct h2_stream *stream, bool is_end)
{
    struct message_head head = {.fields = link->context->settings.fields};
    struct h2_header_block *block = stream->block;
    stream->block = NULL;
    enum fault fault = h2_read_response(block, is_end, &head);
    bool is_interim = fault == FAULT_NONE && head.status < 200;
    if (is_interim && (is_end || head.status == 101 || ++stream->interim_count > INTERIM_MAXIMUM))
        fault = FAULT_UPSTREAM_MALFORMED;
    if (!h2_stream_is_heard(stream)) {
        /* Nobody waits for it any more. */
    } else if (fault != FAULT_NONE) {
        h2_stream_fail(stream, fault);
    } else if (!is_interim) {
        h2_stream_enter_receiving(stream, is_end ? H2_RECEIVING_ENDED : H2_RECEIVING_BODY);
        stream->is_bodyless = head.body == BODY_NONE;
        stream->stream.events->on_head(stream->stream.owner, &head);
        if (is_end)
            h2_stream_give_end(stream);
    } else if (head.status != 100) {
        stream->stream.events->on_interim(stream->stream.owner, &head);
    }
    h2_header_block_give(&link->context->blocks, block);
}

static enum fault fault_of_close(const struct h2_link *link, const struct h2_stream *stream, uint32_t error)
{
    (void)link;
    bool has_head = stream->receiving != H2_RECEIVING_HEAD;
    if (error == NGHTTP2_REFUSED_STREAM && !has_head)
        return FAULT_UPSTREAM_REFUSED_STREAM;
    if (stream->state != H2_STREAM_RESET_BY_PEER)
        return FAULT_UPSTREAM_MALFORMED;
    return has_head ? FAULT_UPSTREAM_TRUNCATED : FAULT_UPSTREAM_RESET;
}

/* ---- room ---- */

static bool is_spent(const struct link *base)
{
    const struct h2_client *client = (const struct h2_client *)(const void *)base;
    const struct h2_link *link = &client->link;
    /* Nothing more on this one, says the node, and nothing is under way that could wait for another SETTINGS. */
    if (link->peer_streams_maximum == 0 && link->streams.count == 0)
        return true;
    return link->state != H2_LINK_OPEN || client->has_goaway || client->resets >= RESETS_MAXIMUM ||
           nghttp2_session_check_request_allowed(link->session) == 0;
}

static bool has_room(const struct link *base)
{
    const struct h2_client *client = (const struct h2_client *)(const void *)base;
    const struct h2_link *link = &client->link;
    if (is_spent(base) || client->ping == PING_SUSPECTED)
        return false;
    uint32_t maximum = link->peer_streams_maximum < STREAMS_MAXIMUM ? link->peer_streams_maximum : STREAMS_MAXIMUM;
    return link->streams.count < maximum;
}

/* What has not been sent when GOAWAY comes never will be: it may go elsewhere at once. */
static void on_goaway(struct h2_link *link)
{
    client_of(link)->has_goaway = true;
    struct list_node *node = link->streams.head.next;
    while (node != &link->streams.head) {
        struct h2_stream *stream = LIST_OWNER(node, struct h2_stream, node);
        node = node->next;
        if (stream->state == H2_STREAM_IDLE && stream->id != 0)
            h2_stream_fail(stream, FAULT_UPSTREAM_REFUSED_STREAM);
    }
}

static void on_settled(struct h2_link *link)
{
    struct h2_client *client = client_of(link);
    if (link->state == H2_LINK_DELIVERING && link->owned_count == 0 && link->settling.count == 0) {
        h2_connection_fail(link, link->pending_fault);
        return;
    }
    bool had_room = client->had_room;
    client->had_room = has_room(&link->link);
    if (!had_room && client->had_room && link->link.events->on_room != NULL)
        link->link.events->on_room(link->link.owner);
}

/* ---- the end ---- */

/*
 * Nothing more will come: who still waits for an answer hears `stream->fault`. Answers that are whole and wait for their reader are his; the
 * link ends with `fault` when they are delivered (on_settled).
 */
static void end_unanswered(struct h2_link *link, enum fault fault)
{
    struct list_node *node = link->streams.head.next;
    while (node != &link->streams.head) {
        struct h2_stream *stream = LIST_OWNER(node, struct h2_stream, node);
        node = node->next;
        if (!h2_stream_is_received(stream))
            h2_stream_fail(stream, stream->fault);
        h2_stream_enter_closed(stream);
    }
    h2_link_enter(link, H2_LINK_DELIVERING);
    link->pending_fault = fault;
    h2_connection_settle(link);
}

/* The session has ended while the connection lives: GOAWAY with nothing left to do, or a breach of the protocol. */
static void on_over(struct h2_link *link)
{
    for (struct list_node *node = link->streams.head.next; node != &link->streams.head; node = node->next) {
        struct h2_stream *stream = LIST_OWNER(node, struct h2_stream, node);
        enum fault fault = stream->receiving == H2_RECEIVING_HEAD ? FAULT_UPSTREAM_MALFORMED : FAULT_UPSTREAM_TRUNCATED;
        if (stream->receiving != H2_RECEIVING_FAILED)
            stream->fault = stream->state == H2_STREAM_IDLE ? FAULT_LINK_CLOSED_UNREAD : fault;
    }
    end_unanswered(link, client_of(link)->has_goaway ? FAULT_UPSTREAM_CLOSED : FAULT_UPSTREAM_MALFORMED);
}

static void on_unreadable(struct h2_link *link)
{
    if (link->state != H2_LINK_ENDED)
        on_over(link);
}

static void stop_timers(struct h2_link *link)
{
    loop_timer_clear(link->context->loop, &client_of(link)->ping_timer);
    loop_timer_clear(link->context->loop, &client_of(link)->confirm_timer);
}

static const struct h2_role client_role = {
    .is_server = false,
    .on_head = on_head,
    .fault_of_close = fault_of_close,
    .on_settled = on_settled,
    .on_goaway = on_goaway,
    .on_unreadable = on_unreadable,
    .on_over = on_over,
    .stop_timers = stop_timers,
};

/* Did the node read the request, now that it has closed? `is_certain` becomes false when that shows only a moment later. */
static enum fault fault_of_unanswered(const struct h2_link *link, const struct h2_stream *stream, enum conn_end end,
                                   bool *is_certain)
{
    if (stream->receiving != H2_RECEIVING_HEAD)
        return FAULT_UPSTREAM_TRUNCATED; /* or nothing, when it is whole */
    if (end == CONN_END_TLS_FAILED)
        return FAULT_TLS_FAILED; /* the handshake's end: the node wants another certificate of us, and has acted on nothing */
    if (stream->state == H2_STREAM_IDLE)
        return FAULT_LINK_CLOSED_UNREAD;
    switch (end == CONN_END_CLOSED ? conn_may_be_read(link->link.conn, stream->begins_at_bytes) : CONN_READING_POSSIBLE) {
    case CONN_READING_RULED_OUT:
        return FAULT_LINK_CLOSED_UNREAD;
    case CONN_READING_UNKNOWN:
        *is_certain = false;
        return FAULT_UPSTREAM_CLOSED;
    default:
        break;
    }
    bool is_unsent = conn_sent_bytes(link->link.conn) <= stream->begins_at_bytes;
    if (is_unsent)
        return FAULT_LINK_CLOSED_UNREAD;
    return end == CONN_END_CLOSED ? FAULT_UPSTREAM_CLOSED : FAULT_UPSTREAM_RESET;
}

/* Every stream gets the fault that fits it; false when it is not certain yet for one of them. */
static bool note_faults(struct h2_link *link, enum conn_end end)
{
    bool is_certain = true;
    for (struct list_node *node = link->streams.head.next; node != &link->streams.head; node = node->next) {
        struct h2_stream *stream = LIST_OWNER(node, struct h2_stream, node);
        if (stream->receiving != H2_RECEIVING_FAILED && !h2_stream_is_closed(stream))
            stream->fault = fault_of_unanswered(link, stream, end, &is_certain);
    }
    return is_certain;
}

static void on_confirmed(void *owner)
{
    struct h2_client *client = owner;
    note_faults(&client->link, CONN_END_CLOSED);
    end_unanswered(&client->link, FAULT_UPSTREAM_CLOSED);
}

static void on_ended(void *owner, enum conn_end end)
{
    struct h2_client *client = owner;
    struct h2_link *link = &client->link;
    if (link->state != H2_LINK_OPEN && link->state != H2_LINK_BROKEN)
        return;
    h2_link_enter(link, H2_LINK_ENDED);
    link->is_cut = true;
    if (note_faults(link, end))
        end_unanswered(link, FAULT_UPSTREAM_CLOSED);
    else
        loop_timer_set(link->context->loop, &client->confirm_timer, loop_now_ms(link->context->loop) + CONFIRM_MS);
}

/* ---- signs of life ---- */

/* The only writer of the state. */
static void enter_ping(struct h2_client *client, enum ping_state next)
{
    machine_check(&ping_machine, client->ping, next);
    client->ping = next;
}

static void look_for_silence(struct h2_client *client, uint64_t since_ms)
{
    loop_timer_set(client->link.context->loop, &client->ping_timer, since_ms + SILENCE_MS);
}

/* Any byte shows that the node is there. */
static void note_life(struct h2_client *client)
{
    enter_ping(client, PING_NONE);
    look_for_silence(client, client->link.link.heard_ms);
}

static void send_ping(struct h2_client *client, enum ping_state state)
{
    struct h2_link *link = &client->link;
    struct loop *loop = link->context->loop;
    bool is_out = client->ping != PING_NONE;
    enter_ping(client, state);
    client->had_room = client->had_room && state == PING_CHECKING;
    if (!is_out && nghttp2_submit_ping(link->session, NGHTTP2_FLAG_NONE, NULL) != 0)
        h2_link_break(link);
    h2_link_touch(link);
    if (state == PING_SUSPECTED) {
        client->ping_at_bytes = conn_sent_bytes(link->link.conn) + conn_output_bytes(link->link.conn) + PING_FRAME_BYTES;
        client->arrived_bytes = conn_acknowledged_bytes(link->link.conn);
    }
    loop_timer_set(loop, &client->ping_timer, loop_now_ms(loop) + PING_MS);
}

static void suspect(struct link *base)
{
    struct h2_client *client = (struct h2_client *)base;
    if (client->link.state == H2_LINK_OPEN && client->ping != PING_SUSPECTED)
        send_ping(client, PING_SUSPECTED);
}

/* A slow network may need longer to bring the ping behind what was sent before it; as long as some of that arrives, the node is there. */
static bool is_on_its_way(struct h2_client *client)
{
    uint64_t before_bytes = client->arrived_bytes;
    client->arrived_bytes = conn_acknowledged_bytes(client->link.link.conn);
    return client->arrived_bytes > before_bytes && client->arrived_bytes < client->ping_at_bytes;
}

static void on_ping_timer(void *owner)
{
    struct h2_client *client = owner;
    struct h2_link *link = &client->link;
    struct loop *loop = link->context->loop;
    uint64_t heard_ms = link->link.heard_ms;
    uint64_t since_ms = heard_ms > client->asked_ms ? heard_ms : client->asked_ms;
    bool is_silent = loop_now_ms(loop) >= since_ms + SILENCE_MS;
    if (link->state != H2_LINK_OPEN)
        return;
    if (client->ping == PING_SUSPECTED && !is_on_its_way(client))
        h2_connection_fail(link, FAULT_LINK_SILENT);
    else if (client->ping == PING_SUSPECTED)
        loop_timer_set(loop, &client->ping_timer, loop_now_ms(loop) + PING_MS);
    else if (client->ping == PING_CHECKING || (link->streams.count > 0 && is_silent))
        send_ping(client, PING_SUSPECTED);
    else if (link->streams.count > 0)
        look_for_silence(client, since_ms);
}

/* A stream has been opened. */
static void note_asking(struct h2_client *client)
{
    uint64_t now_ms = loop_now_ms(client->link.context->loop);
    if (client->link.streams.count > 1)
        return;
    client->asked_ms = now_ms;
    if (client->ping != PING_NONE)
        return;
    if (now_ms >= client->link.link.heard_ms + STALE_MS)
        send_ping(client, PING_CHECKING);
    else if (!loop_timer_is_set(&client->ping_timer))
        look_for_silence(client, now_ms);
}

/* ---- the conn's events ---- */

static size_t on_bytes(void *owner, struct text bytes)
{
    struct h2_client *client = owner;
    struct loop *loop = client->link.context->loop;
    if (bytes.length > 0) {
        client->link.link.heard_ms = loop_now_ms(loop);
        if (client->ping != PING_NONE)
            note_life(client);
    }
    return h2_connection_bytes(owner, bytes);
}

const struct conn_events h2_client_conn_events = {
    .on_bytes = on_bytes,
    .on_drained = h2_connection_drained,
    .on_ended = on_ended,
};

/* ---- sending ---- */

static void send_head(struct stream *stream, const struct message_head *head)
{
    struct h2_stream *own = h2_stream_of(stream);
    struct h2_link *link = own->link;
    struct h2_writer *writer = &link->context->writer;
    if (own->sending != H2_SENDING_HEAD || link->state != H2_LINK_OPEN)
        return;
    bool has_body = head->body != BODY_NONE;
    h2_stream_enter_sending(own, has_body ? H2_SENDING_BODY : H2_SENDING_LAST);
    if (head->body == BODY_LENGTH && head->version != MESSAGE_HTTP_2)
        own->left_bytes = head->content_length;
    nghttp2_data_provider provider = h2_stream_provider(own);
    int32_t id = -1;
    h2_stream_begin_head(own);
    if (h2_write_request(writer, head, client_of(link)->scheme))
        id = nghttp2_submit_request(link->session, NULL, writer->fields, writer->count, has_body ? &provider : NULL, own);
    if (id > 0)
        own->id = id;
    else
        h2_link_break(link);
    h2_stream_write_head(own);
    h2_link_touch(link);
}

static void send_nothing(struct stream *stream, const struct message_head *head)
{
    (void)stream;
    (void)head;
}

/* The stream is given up: did the node say nothing at all meanwhile? */
static void suspect_if_silent(struct h2_client *client, const struct h2_stream *stream)
{
    uint64_t now_ms = loop_now_ms(client->link.context->loop);
    bool was_silent = stream->state == H2_STREAM_OPEN && stream->receiving == H2_RECEIVING_HEAD &&
                      now_ms >= client->link.link.heard_ms + GIVEN_UP_MS && now_ms >= stream->moved_ms + GIVEN_UP_MS;
    if (was_silent)
        suspect(&client->link.link);
}

static void reset_stream(struct stream *stream, enum fault fault)
{
    (void)fault;
    struct h2_stream *own = h2_stream_of(stream);
    struct h2_client *client = client_of(own->link);
    suspect_if_silent(client, own);
    client->resets += own->id != 0 && !h2_stream_is_closed(own);
    h2_stream_reset_with(own, NGHTTP2_CANCEL);
}

static void release_stream(struct stream *stream)
{
    struct h2_stream *own = h2_stream_of(stream);
    bool is_sent = own->sending == H2_SENDING_LAST || own->sending == H2_SENDING_DONE;
    bool is_whole = own->receiving == H2_RECEIVING_DONE && is_sent && own->id != 0 && own->owner != H2_OWNER_TOLD;
    if (h2_stream_is_closed(own) || is_whole)
        h2_stream_let_go(own);
    else
        reset_stream(stream, FAULT_NONE);
}

static const struct stream_verbs client_stream_verbs = {
    .send_head = send_head,
    .send_interim = send_nothing,
    .send_data = h2_stream_send_data,
    .send_trailers = h2_stream_send_trailers,
    .send_end = h2_stream_send_end,
    .pause = h2_stream_pause,
    .resume = h2_stream_resume,
    .is_congested = h2_stream_is_congested,
    .has_left = h2_stream_has_left,
    .reset = reset_stream,
    .release = release_stream,
};

/* ---- the link ---- */

static struct stream *open_stream(struct link *base)
{
    struct h2_client *client = (struct h2_client *)base;
    if (!has_room(base))
        return NULL;
    struct h2_stream *stream = h2_stream_create(&client->link, 0);
    if (stream == NULL)
        return NULL;
    stream->stream.verbs = &client_stream_verbs;
    h2_stream_own(stream);
    note_asking(client);
    client->had_room = has_room(base);
    return &stream->stream;
}

static void close_link(struct link *base)
{
    h2_connection_close((struct h2_link *)base);
}

static const struct link_verbs client_link_verbs = {
    .open_stream = open_stream,
    .has_room = has_room,
    .is_spent = is_spent,
    .suspect = suspect,
    .drain = close_link,
    .close = close_link,
};

struct link *h2_client_create(struct h2_context *context, struct conn *conn, struct text scheme, unsigned streams_expected,
                              const struct link_events *events, void *owner)
{
    struct h2_client *client = calloc(1, sizeof *client);
    if (client == NULL || !h2_connection_start(&client->link, context, &client_role, conn)) {
        free(client);
        conn_close(conn);
        return NULL;
    }
    client->scheme = scheme;
    if (streams_expected != 0)
        client->link.peer_streams_maximum = streams_expected;
    client->had_room = true;
    client->link.link.verbs = &client_link_verbs;
    client->link.link.events = events;
    client->link.link.owner = owner;
    client->link.link.heard_ms = loop_now_ms(context->loop);
    loop_timer_init(&client->confirm_timer, on_confirmed, client);
    loop_timer_init(&client->ping_timer, on_ping_timer, client);
    conn_set_owner(conn, &h2_client_conn_events, client);
    return &client->link.link;
}
