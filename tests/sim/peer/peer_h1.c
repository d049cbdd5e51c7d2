/* HTTP/1.1: one stream after the other in what comes, one behind the other in what leaves. */
#include "peer/peer_h1_parse.h"
#include "peer/peer_h1_write.h"

/* A server keeps so much of what is behind the request that it answers. */
#define KEPT_BYTES 65536

/* One event is handled at a time: heads are told from here. */
static struct peer_head head;

static bool goes_on(const struct peer *peer)
{
    return peer->state == PEER_OPEN;
}

/* A client's next stream that has no whole answer. */
static struct peer_stream *next_unanswered(const struct peer *peer)
{
    for (struct list_node *node = peer->streams.head.next; node != &peer->streams.head; node = node->next) {
        struct peer_stream *stream = LIST_OWNER(node, struct peer_stream, place);
        if (stream->receiving != RECEIVING_DONE)
            return stream;
    }
    return NULL;
}

/* Both messages are whole: the connection is free for what follows, or ends. */
static void stream_is_over(struct peer *peer, struct peer_stream *stream)
{
    far_stream_detach(stream);
    if (peer->side == PEER_SERVER && peer->h1.persistence == H1_ENDS)
        peer_finish(peer, PEER_CUT_CLOSED);
}

/* The other side's message is whole. */
static void end_message(struct peer *peer, struct peer_stream *stream)
{
    peer->h1.place = H1_HEAD;
    peer->h1.reading = NULL;
    stream->receiving = RECEIVING_DONE;
    if (stream->sending == SENDING_SAID)
        stream_is_over(peer, stream);
    tell_end(stream);
}

/* ---- heads that come ---- */

/* Where the message goes on behind its head. */
static void begin_body(struct peer *peer, struct peer_stream *stream, const struct h1_framing *framing, bool has_none)
{
    stream->receiving = RECEIVING_BODY;
    peer->h1.left = head.length;
    head.is_whole = has_none || framing->body == H1_FRAMED_NOT || (framing->body == H1_FRAMED_LENGTH && head.length == 0);
    peer->h1.place = framing->body == H1_FRAMED_LENGTH ? H1_BODY : H1_CHUNK_SIZE;
}

static void take_request(struct peer *peer, char *bytes, size_t length)
{
    struct h1_framing framing;
    const char *fault = far_h1_parse_request(bytes, length, &head, &framing);
    if (fault != NULL) {
        peer_break(peer, fault);
        return;
    }
    if (framing.closes)
        peer->h1.persistence = H1_ENDS;
    struct peer_stream *stream = far_stream_create(peer, NULL, NULL);
    peer->h1.reading = stream;
    if (text_equals(head.method, TEXT("HEAD")))
        stream->kind = STREAM_HEAD;
    begin_body(peer, stream, &framing, false);
    peer->events->on_request(peer->owner, stream, &head);
    if (goes_on(peer) && stream->peer != NULL && head.is_whole)
        end_message(peer, stream);
}

static void take_response(struct peer *peer, char *bytes, size_t length)
{
    struct h1_framing framing;
    struct peer_stream *stream = peer->h1.reading;
    const char *fault = far_h1_parse_response(bytes, length, &head, &framing);
    bool has_none = head.status == 204 || head.status == 304 || stream->kind == STREAM_HEAD;
    bool is_open_ended = fault == NULL && head.status >= 200 && !has_none && framing.body == H1_FRAMED_NOT;
    if (is_open_ended && stream->kind != STREAM_RAW)
        fault = "an answer without a length";
    if (fault != NULL) {
        peer_break(peer, fault);
        return;
    }
    if (head.status < 200) {
        head.is_whole = true;
        tell_response(stream, &head);
        return;
    }
    if (framing.closes || is_open_ended)
        peer->h1.persistence = H1_ENDS;
    begin_body(peer, stream, &framing, has_none);
    if (is_open_ended) {
        head.is_whole = false;
        peer->h1.place = H1_UNTIL_END;
    }
    bool is_whole = head.is_whole;
    tell_response(stream, &head);
    if (goes_on(peer) && is_whole)
        end_message(peer, stream);
}

static size_t take_head(struct peer *peer, char *bytes, size_t length)
{
    if (peer->side == PEER_SERVER && peer->streams.count > 0)
        return 0;
    if (peer->side == PEER_CLIENT && (peer->h1.reading = next_unanswered(peer)) == NULL) {
        if (!peer->h1.is_unjudged)
            peer_break(peer, "an answer that nobody asked for");
        return length;
    }
    size_t end = far_h1_find_head(text_of(bytes, length), &peer->h1.searched);
    if (end == 0 && length > H1_HEAD_BYTES)
        peer_break(peer, "a head without an end");
    if (end == 0)
        return 0;
    if (peer->side == PEER_SERVER)
        take_request(peer, bytes, end);
    else
        take_response(peer, bytes, end);
    return end;
}

/* ---- bodies that come ---- */

static size_t take_piece(struct peer *peer, char *bytes, size_t length)
{
    struct h1 *h1 = &peer->h1;
    struct peer_stream *stream = h1->reading;
    size_t count = h1->place == H1_UNTIL_END || length < h1->left ? length : (size_t)h1->left;
    if (h1->place != H1_UNTIL_END)
        h1->left -= count;
    tell_body(stream, text_of(bytes, count));
    if (h1->place == H1_UNTIL_END || h1->left > 0 || !goes_on(peer) || stream->peer == NULL)
        return count;
    if (h1->place == H1_BODY)
        end_message(peer, stream);
    else
        h1->place = H1_CHUNK_END;
    return count;
}

static size_t take_chunk_size(struct peer *peer, const char *bytes, size_t length)
{
    ptrdiff_t used = far_h1_parse_chunk_size(text_of(bytes, length), &peer->h1.left);
    if (used < 0)
        peer_break(peer, "a chunk's size that is none");
    if (used <= 0)
        return 0;
    peer->h1.place = peer->h1.left > 0 ? H1_CHUNK : H1_TRAILERS;
    return (size_t)used;
}

static size_t take_chunk_end(struct peer *peer, const char *bytes, size_t length)
{
    if (bytes[0] != '\r' || (length > 1 && bytes[1] != '\n')) {
        peer_break(peer, "a chunk without its end");
        return 0;
    }
    if (length < 2)
        return 0;
    peer->h1.place = H1_CHUNK_SIZE;
    return 2;
}

static size_t take_trailers(struct peer *peer, char *bytes, size_t length)
{
    struct peer_stream *stream = peer->h1.reading;
    if (length < 2)
        return 0;
    size_t end = bytes[0] == '\r' ? 2 : far_h1_find_head(text_of(bytes, length), &peer->h1.searched);
    if (end == 0 && length > H1_HEAD_BYTES)
        peer_break(peer, "trailers without an end");
    if (end == 0)
        return 0;
    const char *fault = far_h1_parse_trailers(bytes, end, &head);
    if (fault != NULL) {
        peer_break(peer, fault);
        return 0;
    }
    if (head.field_count > 0)
        tell_trailers(stream, &head);
    if (goes_on(peer) && stream->peer != NULL)
        end_message(peer, stream);
    return end;
}

static size_t take_next(struct peer *peer, char *bytes, size_t length)
{
    switch (peer->h1.place) {
    case H1_HEAD:
        return take_head(peer, bytes, length);
    case H1_CHUNK_SIZE:
        return take_chunk_size(peer, bytes, length);
    case H1_CHUNK_END:
        return take_chunk_end(peer, bytes, length);
    case H1_TRAILERS:
        return take_trailers(peer, bytes, length);
    default:
        return take_piece(peer, bytes, length);
    }
}

static bool is_paused(const struct peer *peer)
{
    return peer->h1.reading != NULL && peer->h1.reading->peer != NULL && peer->h1.reading->is_paused;
}

/* Takes as much as can be understood and told now; returns how much. */
static size_t consume(struct peer *peer, char *bytes, size_t length)
{
    size_t used = 0;
    while (used < length && goes_on(peer) && !is_paused(peer)) {
        size_t taken = take_next(peer, bytes + used, length - used);
        if (taken == 0)
            break;
        used += taken;
    }
    return used;
}

static void go_on(struct peer *peer)
{
    if (bytes_length(&peer->in) > 0)
        bytes_drop(&peer->in, consume(peer, bytes_first(&peer->in), bytes_length(&peer->in)));
}

static void on_input(struct peer *peer, char *bytes, size_t length)
{
    if (bytes_length(&peer->in) == 0) {
        size_t used = consume(peer, bytes, length);
        bytes_add(&peer->in, text_of(bytes + used, length - used));
    } else {
        bytes_add(&peer->in, text_of(bytes, length));
        go_on(peer);
    }
}

static bool wants_input(const struct peer *peer)
{
    if (is_paused(peer))
        return false;
    bool answers = peer->side == PEER_SERVER && peer->h1.place == H1_HEAD && peer->streams.count > 0;
    return !answers || bytes_length(&peer->in) < KEPT_BYTES;
}

static void on_input_end(struct peer *peer)
{
    struct peer_stream *stream = peer->h1.reading;
    if (stream != NULL && peer->h1.place == H1_UNTIL_END)
        end_message(peer, stream);
    peer_end(peer, PEER_CUT_CLOSED);
}

/* ---- what is said ---- */

static bool can_send(const struct peer *peer)
{
    if (peer->h1.persistence == H1_ENDS)
        return false;
    if (peer->streams.count == 0)
        return true;
    const struct peer_stream *last = LIST_OWNER(peer->streams.head.previous, struct peer_stream, place);
    return peer->h1.pipelines && last->sending == SENDING_SAID;
}

static bool request(struct peer_stream *stream, const struct peer_head *request_head)
{
    enum h1_announced announced = H1_ANNOUNCES_NOTHING;
    bool may_announce_none = text_equals(request_head->method, TEXT("GET")) || text_equals(request_head->method, TEXT("HEAD")) ||
                             text_equals(request_head->method, TEXT("DELETE")) || text_equals(request_head->method, TEXT("OPTIONS"));
    if (request_head->has_length || (request_head->is_whole && !may_announce_none))
        announced = H1_ANNOUNCES_LENGTH;
    else if (!request_head->is_whole)
        announced = H1_ANNOUNCES_CHUNKS;
    stream->form = announced == H1_ANNOUNCES_CHUNKS ? FORM_CHUNKED : FORM_PLAIN;
    far_h1_write_request(&stream->peer->out, request_head, announced);
    return true;
}

/* The own message is whole. */
static void end_said(struct peer_stream *stream)
{
    stream->sending = SENDING_SAID;
    if (stream->receiving == RECEIVING_DONE)
        stream_is_over(stream->peer, stream);
}

static bool says_close(const struct peer_head *response)
{
    for (size_t i = 0; i < response->field_count; i++) {
        if (text_equals(response->fields[i].name, TEXT("connection")) &&
            text_equals_ignoring_case(response->fields[i].value, TEXT("close")))
            return true;
    }
    return false;
}

static void respond(struct peer_stream *stream, const struct peer_head *response)
{
    struct peer *peer = stream->peer;
    if (response->status < 200) {
        far_h1_write_response(&peer->out, response, H1_ANNOUNCES_NOTHING, false);
        return;
    }
    bool has_none = response->status == 204 || response->status == 304 || stream->kind == STREAM_HEAD;
    enum h1_announced announced = H1_ANNOUNCES_NOTHING;
    if (response->has_length || (response->is_whole && !has_none))
        announced = H1_ANNOUNCES_LENGTH;
    else if (!response->is_whole && response->status != 204)
        announced = H1_ANNOUNCES_CHUNKS;
    if (has_none)
        stream->form = FORM_NONE;
    else
        stream->form = announced == H1_ANNOUNCES_CHUNKS ? FORM_CHUNKED : FORM_PLAIN;
    bool says_it = says_close(response);
    if (says_it || peer->drain == PEER_DRAIN_ASKED)
        peer->h1.persistence = H1_ENDS;
    far_h1_write_response(&peer->out, response, announced, peer->h1.persistence == H1_ENDS && !says_it);
    stream->sending = SENDING_BODY;
    if (response->is_whole)
        end_said(stream);
}

static size_t send_body(struct peer_stream *stream, struct text piece)
{
    struct bytes *out = &stream->peer->out;
    size_t waiting = bytes_length(out);
    size_t room = waiting >= PEER_QUEUE_BYTES ? 0 : PEER_QUEUE_BYTES - waiting;
    struct text taken = text_of(piece.bytes, piece.length < room ? piece.length : room);
    if (stream->form == FORM_PLAIN)
        bytes_add(out, taken);
    else if (stream->form == FORM_CHUNKED && taken.length > 0)
        far_h1_write_chunk(out, taken);
    return taken.length;
}

static bool has_room(const struct peer_stream *stream)
{
    return bytes_length(&stream->peer->out) < PEER_QUEUE_BYTES / 2;
}

static void send_end(struct peer_stream *stream, const struct peer_head *trailers)
{
    if (stream->form == FORM_CHUNKED)
        far_h1_write_last_chunk(&stream->peer->out, trailers);
    end_said(stream);
}

/* ---- the end ---- */

static void let_go(struct peer_stream *stream)
{
    struct peer *peer = stream->peer;
    if (peer->h1.reading == stream)
        peer->h1.reading = NULL;
    far_stream_detach(stream);
    far_stream_bury(peer, stream);
}

static void reset(struct peer_stream *stream, uint32_t code)
{
    (void)code;
    struct peer *peer = stream->peer;
    peer_flush(peer);
    if (peer->socket != NULL)
        sim_abort(peer->socket);
    peer->socket = NULL;
    bytes_clear(&peer->out);
    peer_finish(peer, PEER_CUT_RESET);
    let_go(stream);
}

static void release(struct peer_stream *stream)
{
    peer_finish(stream->peer, PEER_CUT_CLOSED);
    let_go(stream);
}

static void drain(struct peer *peer)
{
    if (peer->side == PEER_SERVER && peer->streams.count == 0 && bytes_length(&peer->in) == 0)
        peer_finish(peer, PEER_CUT_CLOSED);
}

static void raw(struct peer *peer, struct text bytes)
{
    peer->h1.is_unjudged = true;
    bytes_add(&peer->out, bytes);
}

static bool produce(struct peer *peer)
{
    (void)peer;
    return false;
}

static void nothing(struct peer *peer)
{
    (void)peer;
}

const struct peer_codec far_h1_codec = {
    .version = PEER_HTTP_1,
    .on_input = on_input,
    .wants_input = wants_input,
    .on_input_end = on_input_end,
    .go_on = go_on,
    .produce = produce,
    .close = nothing,
    .clear = nothing,
    .can_send = can_send,
    .drain = drain,
    .raw = raw,
    .request = request,
    .respond = respond,
    .send_body = send_body,
    .send_end = send_end,
    .reset = reset,
    .release = release,
    .has_room = has_room,
};
