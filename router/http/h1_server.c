/* The downstream HTTP/1 link: what it receives, and what becomes of it. */
#include <stdlib.h>

#include "http/h1_parse.h"
#include "http/h1_partial.h"
#include "http/h1_server_send.h"

static void destroy_server(void *object)
{
    free(object);
}

static void enter_dead(struct h1_server *server)
{
    if (server->state == H1_SERVER_DEAD)
        return;
    h1_server_enter(server, H1_SERVER_DEAD);
    loop_task_cancel(server->loop, &server->next_task);
    loop_task_cancel(server->loop, &server->fail_task);
    loop_bury(server->loop, server, destroy_server);
}

/* Tells everyone that the link is gone. Only from the loop. */
static void fail_link(struct h1_server *server, enum fault fault)
{
    if (server->state == H1_SERVER_DEAD)
        return;
    bool has_hearer = h1_server_is_owned(server) && server->stream.events != NULL;
    enter_dead(server);
    if (has_hearer)
        server->stream.events->on_failed(server->stream.owner, fault);
    server->link.events->on_closed(server->link.owner, fault);
}

static void run_fail(void *owner)
{
    struct h1_server *server = owner;
    conn_close(server->link.conn);
    fail_link(server, server->pending_fault);
}

/* ---- receiving ---- */

static void refuse(struct h1_server *server, const struct message_head *head, enum fault fault)
{
    server->to_head_request = text_equals(head->method, TEXT("HEAD"));
    server->version = head->version;
    server->stream.events = NULL;
    h1_server_end_persistence(server);
    h1_server_enter_response(server, H1_RESPONSE_NONE);
    h1_server_enter(server, H1_SERVER_REFUSED);
    conn_pause(server->link.conn);
    server->link.events->on_refused(server->link.owner, &server->stream, head, fault);
}

static void begin_body(struct h1_server *server, const struct message_head *head, const struct h1_framing *framing)
{
    bool has_body = framing->delimiter == H1_DELIMITER_CHUNKS || head->body == BODY_LENGTH;
    h1_server_enter(server, has_body ? H1_SERVER_BODY : H1_SERVER_RECEIVED);
    if (framing->delimiter == H1_DELIMITER_CHUNKS)
        h1_body_start_chunked(&server->body, server->settings->body_limit_bytes);
    else if (head->body == BODY_LENGTH)
        h1_body_start_length(&server->body, head->content_length, server->settings->body_limit_bytes);
}

static void take_request(struct h1_server *server, struct text bytes, bool more_follows)
{
    struct message_head head = {.fields = server->settings->fields};
    struct h1_framing framing;
    enum fault fault = h1_parse_request(bytes, &server->settings->limits, &head, &framing);
    uint64_t limit = server->settings->body_limit_bytes;
    if (fault == FAULT_NONE && limit != 0 && head.body == BODY_LENGTH && head.content_length > limit)
        fault = FAULT_REQUEST_BODY_TOO_LARGE;
    if (fault != FAULT_NONE) {
        refuse(server, &head, fault);
        return;
    }
    server->to_head_request = text_equals(head.method, TEXT("HEAD"));
    server->version = head.version;
    server->waits_for_continue = message_has(&head, MESSAGE_EXPECTS_CONTINUE);
    server->link.used++;
    if (server->persistence != H1_PERSISTENCE_DRAINING)
        h1_server_enter_persistence(server, framing.keep_alive ? H1_PERSISTENCE_KEEP_ALIVE : H1_PERSISTENCE_CLOSE);
    h1_server_enter_response(server, H1_RESPONSE_NONE);
    begin_body(server, &head, &framing);
    /* A client that sends head and body apart with Nagle on waits for this acknowledgement. */
    if (server->state == H1_SERVER_BODY && !more_follows)
        conn_quick_acknowledge(server->link.conn);
    server->link.events->on_request(server->link.owner, &server->stream, &head);
    if (server->state == H1_SERVER_RECEIVED && server->stream.events != NULL)
        server->stream.events->on_end(server->stream.owner);
}

/* A head that has shown before its end that it cannot be served. What is behind a limit is not read, however much of it is there. */
static void refuse_unfinished(struct h1_server *server, struct text bytes, enum fault fault)
{
    const struct h1_limits *limits = &server->settings->limits;
    size_t limit = fault == FAULT_REQUEST_TARGET_TOO_LONG ? limits->target_bytes : limits->head_bytes;
    struct message_head head = {.fields = server->settings->fields};
    h1_parse_partial(text_of(bytes.bytes, bytes.length < limit ? bytes.length : limit), &head);
    refuse(server, &head, fault);
}

/* Has a head begun? One empty line in front of it is overlooked. */
static bool begin_head(struct h1_server *server, struct text *input)
{
    if (server->state == H1_SERVER_IDLE && input->length >= 2 && input->bytes[0] == '\r' && input->bytes[1] == '\n') {
        h1_server_enter(server, H1_SERVER_LINE_END);
        *input = text_of(input->bytes + 2, input->length - 2);
    }
    if (input->length == 0 || (input->length == 1 && input->bytes[0] == '\r' && server->state == H1_SERVER_IDLE))
        return false;
    h1_server_enter(server, H1_SERVER_HEAD);
    server->search = (struct h1_search){0};
    return true;
}

/* Consumes one head off the front of `*input`; false when it is not complete. */
static bool take_head(struct h1_server *server, struct text *input)
{
    if (server->state != H1_SERVER_HEAD && !begin_head(server, input))
        return false;
    const struct h1_limits *limits = &server->settings->limits;
    bool is_first_look = server->search.looked_at == 0;
    bool is_in_first_line = server->search.line_start == 0;
    size_t length;
    enum fault fault;
    enum h1_search_result result = h1_find_head_end(&server->search, *input, H1_ROLE_REQUEST, limits, &length, &fault);
    /* A whole head is looked at as a whole; what its first line says comes first there, too. */
    enum fault begun = result != H1_SEARCH_FOUND && is_in_first_line ? h1_validate_begun(&server->search, *input, limits) : FAULT_NONE;
    if (begun != FAULT_NONE) {
        refuse_unfinished(server, *input, begun);
        return true;
    }
    switch (result) {
    case H1_SEARCH_MORE:
        if (is_first_look && server->link.events->on_head_started != NULL)
            server->link.events->on_head_started(server->link.owner);
        return false;
    case H1_SEARCH_BAD:
        refuse_unfinished(server, *input, fault);
        return true;
    default:
        break;
    }
    struct text head = text_of(input->bytes, length);
    *input = text_of(input->bytes + length, input->length - length);
    take_request(server, head, input->length > 0);
    return true;
}

static void take_body(struct h1_server *server, struct text *input)
{
    struct text data;
    char room[H1_BODY_ROOM_BYTES];
    switch (h1_body_next_merged(&server->body, input, &data, room)) {
    case H1_BODY_RESULT_DATA:
        if (server->state == H1_SERVER_BODY)
            server->stream.events->on_data(server->stream.owner, data);
        return;
    case H1_BODY_RESULT_END:
        if (server->state == H1_SERVER_DISCARDING) {
            h1_server_enter(server, H1_SERVER_IDLE);
            loop_defer(server->loop, &server->next_task);
            return;
        }
        h1_server_enter(server, H1_SERVER_RECEIVED);
        server->stream.events->on_end(server->stream.owner);
        return;
    case H1_BODY_RESULT_MORE:
        return;
    default:
        break;
    }
    bool too_large = server->body.state != H1_BODY_BROKEN;
    h1_server_end_persistence(server);
    h1_server_enter(server, H1_SERVER_REFUSED);
    conn_pause(server->link.conn);
    server->stream.events->on_failed(server->stream.owner,
                                     too_large ? FAULT_REQUEST_BODY_TOO_LARGE : FAULT_REQUEST_MALFORMED);
}

/* Behind this much that nobody wants, reading stops. */
#define DROPPED_MAXIMUM_BYTES (4 * 1024 * 1024)

/*
 * A pipelined request waits in the conn. Behind more than that, the client's going would stay unseen (its FIN waits for the window), so the
 * surplus is dropped, and the present answer is the last one: who pipelines has to ask again then (RFC 9112 section 9.3.2).
 */
static void drop_surplus(struct h1_server *server, struct text *input)
{
    bool is_wanted = server->persistence == H1_PERSISTENCE_KEEP_ALIVE && input->length < server->settings->limits.head_bytes;
    if (server->state != H1_SERVER_RECEIVED || is_wanted || input->length == 0)
        return;
    h1_server_end_persistence(server);
    server->dropped_bytes += input->length;
    *input = text_of(input->bytes + input->length, 0);
    if (server->dropped_bytes > DROPPED_MAXIMUM_BYTES)
        conn_pause(server->link.conn);
}

static size_t on_bytes(void *owner, struct text bytes)
{
    struct h1_server *server = owner;
    struct text input = bytes;
    bool again = true;
    while (again) {
        switch (server->state) {
        case H1_SERVER_IDLE:
        case H1_SERVER_LINE_END:
        case H1_SERVER_HEAD:
            again = take_head(server, &input);
            break;
        case H1_SERVER_BODY:
        case H1_SERVER_DISCARDING:
            /* Once more when all is used up: the end of a body shows without a byte. */
            again = input.length > 0;
            take_body(server, &input);
            break;
        default:
            again = false;
            drop_surplus(server, &input);
        }
    }
    return bytes.length - input.length;
}

static void on_drained(void *owner)
{
    struct h1_server *server = owner;
    if (h1_server_is_owned(server) && server->stream.events != NULL)
        server->stream.events->on_drained(server->stream.owner);
}

/* Is it certain that the end of the request's body never came? Of chunks nobody knows, of a length the kernel does. */
static bool lacks_bytes(const struct h1_server *server)
{
    return server->state == H1_SERVER_PAUSED && server->body.state == H1_BODY_LENGTH &&
           server->body.left > conn_input_bytes(server->link.conn) + conn_unread_bytes(server->link.conn);
}

static bool on_peer_closed(void *owner)
{
    struct h1_server *server = owner;
    bool may_be_whole = server->state == H1_SERVER_RECEIVED || (server->state == H1_SERVER_PAUSED && !lacks_bytes(server));
    const struct stream_events *events = server->stream.events;
    if (!may_be_whole || events == NULL || events->on_half_closed == NULL || !events->on_half_closed(server->stream.owner))
        return false;
    /* Nothing can be asked any more but what waits in the conn, and that is not answered: the answer says so. */
    h1_server_end_persistence(server);
    return true;
}

static void on_ended(void *owner, enum conn_end end)
{
    (void)end;
    struct h1_server *server = owner;
    conn_close(server->link.conn);
    fail_link(server, FAULT_DOWNSTREAM_GONE);
}

static void on_finished(void *owner)
{
    struct h1_server *server = owner;
    enter_dead(server);
    server->link.events->on_closed(server->link.owner, FAULT_NONE);
}

const struct conn_events h1_server_conn_events = {
    .on_bytes = on_bytes,
    .on_drained = on_drained,
    .on_peer_closed = on_peer_closed,
    .on_ended = on_ended,
    .on_finished = on_finished,
};

static void run_next(void *owner)
{
    struct h1_server *server = owner;
    if (server->state == H1_SERVER_ABORTED) {
        enter_dead(server);
        server->link.events->on_closed(server->link.owner, FAULT_NONE);
        return;
    }
    if (server->state == H1_SERVER_DISCARDING) {
        /* The rest of the body has as long as a head would have. */
        if (server->link.events->on_head_started != NULL)
            server->link.events->on_head_started(server->link.owner);
        conn_resume(server->link.conn);
        return;
    }
    if (!h1_server_is_idle(server))
        return;
    server->link.events->on_idle(server->link.owner);
    if (h1_server_is_idle(server))
        conn_resume(server->link.conn);
}

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

static void drain_link(struct link *link)
{
    h1_server_enter_persistence((struct h1_server *)link, H1_PERSISTENCE_DRAINING);
}

static void close_link(struct link *link)
{
    struct h1_server *server = (struct h1_server *)link;
    if (server->state == H1_SERVER_DEAD)
        return;
    conn_close(link->conn);
    enter_dead(server);
}

static const struct link_verbs server_link_verbs = {
    .open_stream = open_nothing,
    .has_room = has_no_room,
    .is_spent = is_spent,
    .drain = drain_link,
    .close = close_link,
};

struct link *h1_server_create(struct loop *loop, struct conn *conn, const struct h1_settings *settings,
                              const struct link_events *events, void *owner)
{
    struct h1_server *server = calloc(1, sizeof *server);
    if (server == NULL) {
        conn_close(conn);
        return NULL;
    }
    server->link = (struct link){.verbs = &server_link_verbs, .events = events, .owner = owner, .conn = conn};
    server->stream.verbs = &h1_server_stream_verbs;
    server->loop = loop;
    server->settings = settings;
    loop_task_init(&server->next_task, run_next, server);
    loop_task_init(&server->fail_task, run_fail, server);
    conn_set_owner(conn, &h1_server_conn_events, server);
    return &server->link;
}
