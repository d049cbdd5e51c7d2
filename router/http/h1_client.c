#include <stdlib.h>

#include "base/machine.h"
#include "http/h1.h"
#include "http/h1_announced.h"
#include "http/h1_body.h"
#include "http/h1_parse.h"
#include "http/h1_write.h"
#include "net/loop.h"

/*
 * The link, as it receives an answer:
 *
 *   IDLE --open_stream--> AWAITING --first byte--> HEAD --whole--> BODY --last byte--> RECEIVED --released, all sent--> IDLE
 *    ^                     |    |                   |
 *    +--nothing was sent---+    +-----+-------------+
 *                                     v closed, or answered, perhaps before the request was read
 *                                 CONFIRMING --the kernel knows, or time is over--> DEAD
 *
 *   any --fault, reset, not reusable--> DEAD
 */
enum client_state {
    CLIENT_IDLE,
    CLIENT_AWAITING,    /* a stream is open, no byte of an answer has come */
    CLIENT_HEAD,
    CLIENT_BODY,
    CLIENT_RECEIVED,
    CLIENT_CONFIRMING,  /* nothing is read; `confirm_timer` is set */
    CLIENT_DEAD,        /* in the grave */
};

static const char *const client_state_names[] = {"idle", "awaiting", "head", "body", "received", "confirming", "dead"};

#define TO(state) MACHINE_TO(CLIENT_##state)
static const uint32_t client_moves[] = {
    [CLIENT_IDLE] = TO(AWAITING) | TO(DEAD),
    [CLIENT_AWAITING] = TO(IDLE) | TO(HEAD) | TO(CONFIRMING) | TO(DEAD),
    [CLIENT_HEAD] = TO(BODY) | TO(CONFIRMING) | TO(DEAD),
    [CLIENT_BODY] = TO(RECEIVED) | TO(DEAD),
    [CLIENT_RECEIVED] = TO(IDLE) | TO(DEAD),
    [CLIENT_CONFIRMING] = TO(DEAD),
    [CLIENT_DEAD] = 0,
};
#undef TO

static const struct machine client_machine = {"h1_client", client_state_names, client_moves};

/*
 * The request, as it is sent:
 *
 *   UNSENT --head--> PLAIN or CHUNKED --end--> SENT --next stream--> UNSENT
 *     ^---next stream----+ (the one before was released before its head)
 */
enum request_state {
    REQUEST_UNSENT,
    REQUEST_PLAIN,      /* the body goes as it is: by length, or there is none */
    REQUEST_CHUNKED,
    REQUEST_SENT,
};

static const char *const request_state_names[] = {"unsent", "plain", "chunked", "sent"};

#define TO(state) MACHINE_TO(REQUEST_##state)
static const uint32_t request_moves[] = {
    [REQUEST_UNSENT] = TO(UNSENT) | TO(PLAIN) | TO(CHUNKED),
    [REQUEST_PLAIN] = TO(SENT),
    [REQUEST_CHUNKED] = TO(SENT),
    [REQUEST_SENT] = TO(UNSENT),
};
#undef TO

static const struct machine request_machine = {"h1_client_request", request_state_names, request_moves};

/* How long a reset that follows a FIN may take: more than a round trip, and than a delayed acknowledgement. */
#define CONFIRM_MS 60

/* Interim answers before a final one; more is a fault of the node (docs/security.md#answers-of-nodes). */
#define INTERIM_MAXIMUM 20

struct h1_client {
    struct link link; /* first */
    struct stream stream;
    struct loop *loop;
    const struct h1_settings *settings;
    enum client_state state;
    enum request_state request;
    struct h1_framing framing; /* of the answer; keep_alive: the node will take another request */
    bool to_head_request;
    bool is_paused;            /* by the stream's owner, in any state */
    unsigned interim_count;
    uint64_t begun_turn;       /* of the loop, in which the request began: see has_crossed */
    uint64_t sent_before_bytes;/* handed to the kernel before this request */
    uint64_t ends_at_bytes;    /* the request's last byte among those handed to the kernel; UINT64_MAX while it is not in the conn */
    struct h1_announced announced; /* the request's body */
    enum fault pending_fault;  /* of fail_task; in CONFIRMING, of a request that the node may have read */
    struct h1_search search;
    struct h1_body body;
    struct loop_task fail_task;
    struct loop_timer confirm_timer;
};

static void destroy_client(void *object)
{
    free(object);
}

static void enter(struct h1_client *client, enum client_state next)
{
    machine_check(&client_machine, client->state, next);
    client->state = next;
}

static void enter_request(struct h1_client *client, enum request_state next)
{
    machine_check(&request_machine, client->request, next);
    client->request = next;
}

static void enter_dead(struct h1_client *client)
{
    if (client->state == CLIENT_DEAD)
        return;
    enter(client, CLIENT_DEAD);
    loop_task_cancel(client->loop, &client->fail_task);
    loop_timer_clear(client->loop, &client->confirm_timer);
    conn_close(client->link.conn);
    loop_bury(client->loop, client, destroy_client);
}

/* The link is over: the stream's owner and the pool are told. Only from the loop. */
static void fail_link(struct h1_client *client, enum fault fault)
{
    if (client->state == CLIENT_DEAD)
        return;
    bool had_stream = client->state != CLIENT_IDLE;
    enter_dead(client);
    if (had_stream)
        client->stream.events->on_failed(client->stream.owner, fault);
    client->link.events->on_closed(client->link.owner, fault);
}

static void run_fail(void *owner)
{
    struct h1_client *client = owner;
    fail_link(client, client->pending_fault);
}

static void fail_later(struct h1_client *client, enum fault fault)
{
    client->pending_fault = fault;
    loop_defer(client->loop, &client->fail_task);
}

static bool is_unsent(const struct h1_client *client)
{
    return conn_sent_bytes(client->link.conn) == client->sent_before_bytes;
}

/* ---- was the request read? ---- */

/* Whether the node has read the request is not known yet. If it may have done so when the time is over, the stream fails with `fault`. */
static void confirm(struct h1_client *client, enum fault fault)
{
    enter(client, CLIENT_CONFIRMING);
    client->pending_fault = fault;
    loop_timer_set(client->loop, &client->confirm_timer, loop_now_ms(client->loop) + CONFIRM_MS);
}

/* The kernel knows more now. A request that was provably not read may go elsewhere, whatever it is (RFC 9112 section 9.3.1). */
static void on_confirmed(void *owner)
{
    struct h1_client *client = owner;
    bool is_unread = conn_may_be_read(client->link.conn, client->sent_before_bytes) == CONN_READING_RULED_OUT;
    fail_link(client, is_unread ? FAULT_LINK_CLOSED_UNREAD : client->pending_fault);
}

/*
 * Bytes that crossed the request on its way, a late 408 for instance, are nobody's answer; whether the node still reads the
 * request shows a moment later.
 */
static void ignore_answer(struct h1_client *client)
{
    conn_pause(client->link.conn);
    confirm(client, FAULT_UPSTREAM_MALFORMED);
}

/*
 * A node that closes an idle connection may say so with a 408 or another error, which then meets the next request. An answer to that request
 * acknowledges it in the same segment. Asking the kernel costs a call, so it is asked about such answers on a kept-alive link only.
 */
static bool is_idle_close(const struct h1_client *client, unsigned status, bool keep_alive)
{
    return client->link.used > 1 && (status == 408 || (!keep_alive && status >= 400)) &&
           conn_may_be_read(client->link.conn, client->sent_before_bytes) != CONN_READING_POSSIBLE;
}

/* ---- receiving ---- */

static void finish_message(struct h1_client *client)
{
    enter(client, CLIENT_RECEIVED);
    client->stream.events->on_end(client->stream.owner);
}

static void take_final(struct h1_client *client, const struct message_head *head, const struct h1_framing *framing)
{
    client->framing = *framing;
    enter(client, CLIENT_BODY);
    if (framing->delimiter == H1_DELIMITER_CHUNKS)
        h1_body_start_chunked(&client->body, 0);
    else if (framing->delimiter == H1_DELIMITER_CLOSE)
        h1_body_start_until_close(&client->body);
    else
        h1_body_start_length(&client->body, head->body == BODY_NONE ? 0 : head->content_length, 0);
    client->stream.events->on_head(client->stream.owner, head);
}

/* Consumes one head; false when it is not complete or the link is dead. */
static bool take_head(struct h1_client *client, struct text *input)
{
    size_t length;
    enum fault fault;
    switch (h1_find_head_end(&client->search, *input, H1_ROLE_RESPONSE, &client->settings->limits, &length, &fault)) {
    case H1_SEARCH_MORE:
        return false;
    case H1_SEARCH_BAD:
        fail_link(client, fault);
        return false;
    default:
        break;
    }
    struct message_head head = {.fields = client->settings->fields};
    struct h1_framing framing;
    fault = h1_parse_response(text_of(input->bytes, length), &client->settings->limits, client->to_head_request, &head,
                              &framing);
    *input = text_of(input->bytes + length, input->length - length);
    client->search = (struct h1_search){0};
    bool is_interim = fault == FAULT_NONE && head.status < 200;
    /* 101 answers an Upgrade, and none is ever sent. */
    if (fault != FAULT_NONE || head.status == 101 || (is_interim && ++client->interim_count > INTERIM_MAXIMUM)) {
        fail_link(client, fault != FAULT_NONE ? fault : FAULT_UPSTREAM_MALFORMED);
        return false;
    }
    if (is_idle_close(client, head.status, framing.keep_alive)) {
        ignore_answer(client);
        return false;
    }
    if (!is_interim)
        take_final(client, &head, &framing);
    else if (head.status != 100)
        client->stream.events->on_interim(client->stream.owner, &head);
    return client->state != CLIENT_DEAD;
}

/* Consumes one piece of the body; false when the input is used up or the link is dead. */
static bool take_body(struct h1_client *client, struct text *input)
{
    struct text data;
    char room[H1_BODY_ROOM_BYTES];
    switch (h1_body_next_merged(&client->body, input, &data, room)) {
    case H1_BODY_RESULT_DATA:
        client->stream.events->on_data(client->stream.owner, data);
        return client->state == CLIENT_BODY;
    case H1_BODY_RESULT_END:
        /* Behind a complete answer nothing may follow: those bytes must never become the next one (RFC 9112 section 9.2). */
        if (input->length > 0)
            client->framing.keep_alive = false;
        finish_message(client);
        return false;
    case H1_BODY_RESULT_MORE:
        return false;
    default:
        fail_link(client, FAULT_UPSTREAM_MALFORMED);
        return false;
    }
}

/*
 * What is readable in the turn in which the request began was there before it. Not so over TLS: what was there may be a ticket, which is nobody's
 * word, and a quick answer may stand behind it by the time it is read. An answer acknowledges the request; the kernel is asked, as above.
 */
static bool has_crossed(const struct h1_client *client)
{
    return client->begun_turn == loop_turn_number(client->loop) &&
           (!conn_is_tls(client->link.conn) ||
            conn_may_be_read(client->link.conn, client->sent_before_bytes) != CONN_READING_POSSIBLE);
}

/* The first bytes of an answer, or what is taken for one. */
static void begin_answer(struct h1_client *client)
{
    /* Nothing can be answered before a byte of it has left: these bytes belong to nobody, the request may go elsewhere. */
    if (is_unsent(client))
        fail_link(client, FAULT_LINK_CLOSED_UNREAD);
    else if (has_crossed(client))
        ignore_answer(client);
    else
        enter(client, CLIENT_HEAD);
}

static size_t on_bytes(void *owner, struct text bytes)
{
    struct h1_client *client = owner;
    struct text input = bytes;
    if (bytes.length > 0)
        client->link.heard_ms = loop_now_ms(client->loop);
    if (bytes.length > 0 && client->state == CLIENT_IDLE)
        fail_link(client, FAULT_UPSTREAM_MALFORMED); /* nobody asked */
    else if (bytes.length > 0 && client->state == CLIENT_RECEIVED)
        client->framing.keep_alive = false;
    else if (bytes.length > 0 && client->state == CLIENT_AWAITING)
        begin_answer(client);
    bool again = true;
    while (again) {
        if (client->state == CLIENT_HEAD)
            again = input.length > 0 && take_head(client, &input);
        else if (client->state == CLIENT_BODY && !client->is_paused)
            again = take_body(client, &input);
        else
            again = false;
    }
    bool is_over = client->state != CLIENT_AWAITING && client->state != CLIENT_HEAD && client->state != CLIENT_BODY;
    return is_over ? bytes.length : bytes.length - input.length;
}

static void on_drained(void *owner)
{
    struct h1_client *client = owner;
    if (client->state != CLIENT_IDLE)
        client->stream.events->on_drained(client->stream.owner);
}

static enum fault fault_of_end(const struct h1_client *client, enum conn_end end)
{
    if (end == CONN_END_TLS_FAILED)
        return FAULT_TLS_FAILED;
    if (client->state == CLIENT_AWAITING)
        return end == CONN_END_CLOSED ? FAULT_UPSTREAM_CLOSED : FAULT_UPSTREAM_RESET;
    return client->state == CLIENT_IDLE ? FAULT_UPSTREAM_CLOSED : FAULT_UPSTREAM_TRUNCATED;
}

static void on_ended(void *owner, enum conn_end end)
{
    struct h1_client *client = owner;
    bool is_proper_end = client->state == CLIENT_BODY && end == CONN_END_CLOSED &&
                         h1_body_ends_with_connection(&client->body);
    if (is_proper_end)
        finish_message(client);
    client->framing.keep_alive = false;
    /* A complete answer stays good; the link goes when its stream is released. */
    if (client->state == CLIENT_RECEIVED)
        return;
    if (client->state == CLIENT_CONFIRMING) {
        on_confirmed(client); /* the end has come, and with it all that there is to know */
        return;
    }
    bool may_be_unread = client->state == CLIENT_AWAITING &&
                         (is_unsent(client) || (client->link.used > 1 && end == CONN_END_CLOSED));
    enum conn_reading reading = may_be_unread ? conn_may_be_read(client->link.conn, client->sent_before_bytes)
                                              : CONN_READING_POSSIBLE;
    if (reading == CONN_READING_UNKNOWN)
        confirm(client, FAULT_UPSTREAM_CLOSED);
    else
        fail_link(client, reading == CONN_READING_RULED_OUT ? FAULT_LINK_CLOSED_UNREAD : fault_of_end(client, end));
}

const struct conn_events h1_client_conn_events = {
    .on_bytes = on_bytes,
    .on_drained = on_drained,
    .on_ended = on_ended,
};

/* ---- sending ---- */

static struct h1_client *client_of(struct stream *stream)
{
    return LIST_OWNER(stream, struct h1_client, stream);
}

/* Behind a piece for which memory was out nothing goes: a request with a hole would look whole. */
static void send_bytes(struct h1_client *client, struct text bytes)
{
    if (client->pending_fault == FAULT_OUT_OF_MEMORY)
        return;
    if (bytes.length > 0 && !conn_write(client->link.conn, bytes))
        fail_later(client, FAULT_OUT_OF_MEMORY);
}

/*
 * The request's last byte is in the conn. Over TLS the place is counted in plain bytes, of which there are fewer than on the wire: too early a
 * place only means that a request is taken for one that has left.
 */
static void note_end(struct h1_client *client)
{
    if (client->ends_at_bytes == UINT64_MAX)
        client->ends_at_bytes = conn_sent_bytes(client->link.conn) + conn_output_bytes(client->link.conn);
}

static void write_head(struct h1_client *client, const struct message_head *head)
{
    size_t bound = h1_request_head_bytes(head);
    char *room = bound <= BUFFER_BLOCK_BYTES ? conn_reserve(client->link.conn, bound) : malloc(bound);
    if (room == NULL) {
        fail_later(client, FAULT_OUT_OF_MEMORY);
        return;
    }
    size_t length = h1_write_request_head(room, head);
    if (bound <= BUFFER_BLOCK_BYTES) {
        conn_commit(client->link.conn, length);
        return;
    }
    send_bytes(client, text_of(room, length));
    free(room);
}

static void send_head(struct stream *stream, const struct message_head *head)
{
    struct h1_client *client = client_of(stream);
    if (client->state == CLIENT_DEAD || client->request != REQUEST_UNSENT)
        return;
    enter_request(client, head->body == BODY_STREAM ? REQUEST_CHUNKED : REQUEST_PLAIN);
    h1_announced_start(&client->announced, head);
    client->to_head_request = text_equals(head->method, TEXT("HEAD"));
    write_head(client, head);
    if (head->body == BODY_NONE)
        note_end(client);
}

static void send_nothing(struct stream *stream, const struct message_head *head)
{
    (void)stream;
    (void)head;
}

static void send_data(struct stream *stream, struct text bytes)
{
    struct h1_client *client = client_of(stream);
    if (client->state == CLIENT_DEAD || bytes.length == 0)
        return;
    if (client->request == REQUEST_PLAIN) {
        send_bytes(client, h1_announced_take(&client->announced, bytes));
        if (client->announced.left_bytes == 0 && !client->announced.has_last_byte)
            note_end(client);
    }
    if (client->request != REQUEST_CHUNKED)
        return;
    char line[H1_CHUNK_LINE_BYTES];
    send_bytes(client, text_of(line, h1_write_chunk_line(line, bytes.length)));
    send_bytes(client, bytes);
    send_bytes(client, TEXT("\r\n"));
}

static void send_end(struct stream *stream)
{
    struct h1_client *client = client_of(stream);
    if (client->state == CLIENT_DEAD || (client->request != REQUEST_PLAIN && client->request != REQUEST_CHUNKED))
        return;
    send_bytes(client, client->request == REQUEST_CHUNKED ? TEXT("0\r\n\r\n") : h1_announced_end(&client->announced));
    note_end(client);
    enter_request(client, REQUEST_SENT);
}

static void pause_stream(struct stream *stream)
{
    struct h1_client *client = client_of(stream);
    if (client->state == CLIENT_DEAD || client->is_paused)
        return;
    client->is_paused = true;
    conn_pause(client->link.conn);
}

static void resume_stream(struct stream *stream)
{
    struct h1_client *client = client_of(stream);
    if (client->state == CLIENT_DEAD || !client->is_paused)
        return;
    client->is_paused = false;
    conn_resume(client->link.conn);
}

static const struct h1_client *reading_client_of(const struct stream *stream)
{
    return (const struct h1_client *)(const void *)((const char *)stream - offsetof(struct h1_client, stream));
}

static bool is_congested(const struct stream *stream)
{
    return conn_is_congested(reading_client_of(stream)->link.conn);
}

static bool has_left(const struct stream *stream)
{
    const struct h1_client *client = reading_client_of(stream);
    return conn_sent_bytes(client->link.conn) >= client->ends_at_bytes;
}

/* HTTP/1 has no other way to cancel than to close: the node then stops the query. */
static void reset_stream(struct stream *stream, enum fault fault)
{
    (void)fault;
    enter_dead(client_of(stream));
}

static void release_stream(struct stream *stream)
{
    struct h1_client *client = client_of(stream);
    if (client->state == CLIENT_DEAD)
        return;
    bool is_untouched = client->state == CLIENT_AWAITING && client->request == REQUEST_UNSENT;
    bool is_reusable = client->state == CLIENT_RECEIVED && client->request == REQUEST_SENT && client->framing.keep_alive;
    if (!is_untouched && !is_reusable) {
        enter_dead(client);
        return;
    }
    /* The pause was this stream's, not the next one's. */
    resume_stream(stream);
    client->link.used -= is_untouched;
    enter(client, CLIENT_IDLE);
}

static const struct stream_verbs client_stream_verbs = {
    .send_head = send_head,
    .send_interim = send_nothing,
    .send_data = send_data,
    .send_trailers = send_nothing,
    .send_end = send_end,
    .pause = pause_stream,
    .resume = resume_stream,
    .is_congested = is_congested,
    .has_left = has_left,
    .reset = reset_stream,
    .release = release_stream,
};

/* ---- the link ---- */

static struct stream *open_stream(struct link *link)
{
    struct h1_client *client = (struct h1_client *)link;
    if (client->state != CLIENT_IDLE)
        return NULL;
    enter(client, CLIENT_AWAITING);
    enter_request(client, REQUEST_UNSENT);
    client->framing = (struct h1_framing){0};
    client->is_paused = false;
    client->interim_count = 0;
    client->search = (struct h1_search){0};
    client->begun_turn = loop_turn_number(client->loop);
    client->sent_before_bytes = conn_sent_bytes(link->conn);
    client->ends_at_bytes = UINT64_MAX;
    link->used++;
    return &client->stream;
}

static bool has_room(const struct link *link)
{
    return ((const struct h1_client *)(const void *)link)->state == CLIENT_IDLE;
}

static bool is_spent(const struct link *link)
{
    return ((const struct h1_client *)(const void *)link)->state == CLIENT_DEAD;
}

static void close_link(struct link *link)
{
    enter_dead((struct h1_client *)link);
}

static const struct link_verbs client_link_verbs = {
    .open_stream = open_stream,
    .has_room = has_room,
    .is_spent = is_spent,
    .drain = close_link,
    .close = close_link,
};

struct link *h1_client_create(struct loop *loop, struct conn *conn, const struct h1_settings *settings,
                              const struct link_events *events, void *owner)
{
    struct h1_client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        conn_close(conn);
        return NULL;
    }
    client->link = (struct link){.verbs = &client_link_verbs, .events = events, .owner = owner, .conn = conn, .heard_ms = loop_now_ms(loop)};
    client->stream.verbs = &client_stream_verbs;
    client->loop = loop;
    client->settings = settings;
    loop_task_init(&client->fail_task, run_fail, client);
    loop_timer_init(&client->confirm_timer, on_confirmed, client);
    conn_set_owner(conn, &h1_client_conn_events, client);
    return &client->link;
}
