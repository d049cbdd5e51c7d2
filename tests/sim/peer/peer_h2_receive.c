/* HTTP/2: what comes, as nghttp2 tells it, and what the owners hear of it. */
#include "peer/peer_h1_parse.h"
#include "peer/peer_h2.h"

/* One event is handled at a time: heads are told from here. */
static struct peer_head head;

static bool goes_on(const struct peer *peer)
{
    return peer->state == PEER_OPEN;
}

static struct peer_stream *stream_of(nghttp2_session *session, int32_t id)
{
    return id == 0 ? NULL : nghttp2_session_get_stream_user_data(session, id);
}

/* nghttp2 reads no further. */
static int stop(void)
{
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

void far_h2_owe_fault(struct peer *peer, const char *fault)
{
    if (peer->h2.fault != NULL)
        return;
    peer->h2.fault = fault;
    if (goes_on(peer))
        sim_timer_in(&peer->turn, 0);
}

/* ---- what is held back while a stream is paused ---- */

static bool holds(const struct peer_stream *stream)
{
    return bytes_length(&stream->held.body) > 0 || stream->held.trailers != NULL || stream->held.is_ended;
}

static bool must_hold(struct peer_stream *stream)
{
    if (!stream->is_paused && !holds(stream))
        return false;
    stream->peer->h2.holding += !holds(stream);
    return true;
}

/* Its window is given back to the connection. */
void far_h2_drop_held(struct peer_stream *stream)
{
    if (!holds(stream))
        return;
    struct peer *peer = stream->peer;
    nghttp2_session_consume_connection(peer->h2.session, bytes_length(&stream->held.body));
    peer->h2.holding--;
    bytes_clear(&stream->held.body);
    stream->held.is_ended = false;
}

void far_h2_forget(struct peer_stream *stream)
{
    far_h2_drop_held(stream);
    if (stream->session != SESSION_CLOSED)
        nghttp2_session_set_stream_user_data(stream->peer->h2.session, stream->id, NULL);
}

void far_h2_let_go(struct peer_stream *stream)
{
    struct peer *peer = stream->peer;
    far_stream_detach(stream);
    far_stream_bury(peer, stream);
}

void far_h2_check_end(struct peer *peer)
{
    if (peer->h2.has_goaway && peer->streams.count == 0)
        peer_finish(peer, PEER_CUT_CLOSED);
}

/* ---- the end of messages and streams ---- */

static void end_message(struct peer_stream *stream)
{
    if (must_hold(stream)) {
        stream->held.is_ended = true;
        return;
    }
    stream->receiving = RECEIVING_DONE;
    tell_end(stream);
}

/* The owner must not be told while something is sent. */
static void owe_cut(struct peer_stream *stream)
{
    far_h2_drop_held(stream);
    stream->peer->h2.cutting++;
    sim_timer_in(&stream->peer->turn, 0);
}

static void cut_closed(struct peer_stream *stream)
{
    far_h2_drop_held(stream);
    far_stream_cut(stream, stream->code == NGHTTP2_REFUSED_STREAM ? PEER_CUT_REFUSED_STREAM : PEER_CUT_RESET);
}

/* Behind a GOAWAY a server's later streams are not looked at, and a client's request that waited is never sent. */
static bool is_goaways_doing(const struct peer *peer, uint32_t code)
{
    return peer->h2.has_goaway && (peer->side == PEER_SERVER || code == NGHTTP2_REFUSED_STREAM);
}

/* nghttp2 has closed it: both messages are whole, or one of them never will be. */
static void close_stream(struct peer_stream *stream, uint32_t code)
{
    struct peer *peer = stream->peer;
    bool was_reset = stream->session == SESSION_RESET_BY_PEER;
    bool is_received = stream->receiving == RECEIVING_DONE || stream->held.is_ended;
    stream->session = SESSION_CLOSED;
    stream->code = code;
    if (stream->hold == STREAM_RELEASED) {
        far_h2_drop_held(stream);
        far_h2_let_go(stream);
    } else if (!was_reset && code != NGHTTP2_NO_ERROR && !is_goaways_doing(peer, code)) {
        far_h2_owe_fault(peer, "a stream that is no HTTP");
    } else if (stream->receiving != RECEIVING_DONE && is_received) {
        /* The owner hears the rest when it goes on. */
        return;
    } else if (is_received && stream->sending == SENDING_SENT) {
        far_stream_detach(stream);
    } else if (peer->h2.is_producing) {
        owe_cut(stream);
    } else {
        cut_closed(stream);
    }
}

/* A request that waited for its turn, and a GOAWAY came first. */
static int on_frame_unsent(nghttp2_session *session, const nghttp2_frame *frame, int error, void *owner)
{
    (void)session;
    (void)error;
    struct peer *peer = owner;
    if (frame->hd.type != NGHTTP2_HEADERS || peer->side != PEER_CLIENT)
        return 0;
    for (struct list_node *node = peer->streams.head.next; node != &peer->streams.head; node = node->next) {
        struct peer_stream *stream = LIST_OWNER(node, struct peer_stream, place);
        if (stream->id != frame->hd.stream_id || stream->session == SESSION_CLOSED)
            continue;
        stream->session = SESSION_CLOSED;
        stream->code = NGHTTP2_REFUSED_STREAM;
        owe_cut(stream);
        break;
    }
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *owner)
{
    (void)owner;
    struct peer_stream *stream = stream_of(session, id);
    if (stream != NULL && stream->peer != NULL)
        close_stream(stream, code);
    return 0;
}

/* A GOAWAY says that nobody looks at the later ones. */
static void take_goaway(struct peer *peer, int32_t last)
{
    peer->h2.has_goaway = true;
    struct list_node *node = peer->streams.head.next;
    while (peer->side == PEER_CLIENT && goes_on(peer) && node != &peer->streams.head) {
        struct peer_stream *stream = LIST_OWNER(node, struct peer_stream, place);
        node = node->next;
        if (stream->id <= last || stream->session == SESSION_CLOSED)
            continue;
        far_h2_forget(stream);
        far_stream_cut(stream, PEER_CUT_GOAWAY);
        /* Any of them may be gone now. */
        node = peer->streams.head.next;
    }
}

/* ---- heads ---- */

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *owner)
{
    (void)session;
    (void)frame;
    struct peer *peer = owner;
    if (!goes_on(peer))
        return stop();
    if (peer->h2.gathering == NULL)
        peer->h2.gathering = peer_take_zeroed(sizeof *peer->h2.gathering);
    peer->h2.gathering->count = 0;
    bytes_drop(&peer->h2.gathering->text, bytes_length(&peer->h2.gathering->text));
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_length, const uint8_t *value,
                     size_t value_length, uint8_t flags, void *owner)
{
    (void)session;
    (void)frame;
    (void)flags;
    struct peer *peer = owner;
    struct h2_gathering *gathering = peer->h2.gathering;
    if (gathering->count == sizeof gathering->spans / sizeof gathering->spans[0]) {
        peer_break(peer, "too many fields");
        return stop();
    }
    uint32_t at = (uint32_t)gathering->text.end;
    bytes_add(&gathering->text, text_of((const char *)name, name_length));
    bytes_add(&gathering->text, text_of((const char *)value, value_length));
    gathering->spans[gathering->count++] =
        (struct h2_span){at, (uint32_t)name_length, at + (uint32_t)name_length, (uint32_t)value_length};
    return 0;
}

/* Those that are members; true: it is no field for the owner. */
static bool take_member(struct text name, struct text value)
{
    uint64_t number = 0;
    if (text_equals(name, TEXT(":method")))
        head.method = value;
    else if (text_equals(name, TEXT(":path")))
        head.target = value;
    else if (text_equals(name, TEXT(":authority")))
        head.authority = value;
    else if (text_equals(name, TEXT(":status")) && text_to_u64(value, &number))
        head.status = (unsigned)number;
    else if (text_equals(name, TEXT("content-length")))
        head.has_length = text_to_u64(value, &head.length);
    else if (text_equals(name, TEXT("host")) && head.authority.length == 0)
        head.authority = value;
    else
        return name.length > 0 && name.bytes[0] == ':';
    return true;
}

/* What was gathered becomes `head`. False: too many fields. */
static bool finish_head(const struct peer *peer, bool is_whole)
{
    const struct h2_gathering *gathering = peer->h2.gathering;
    head.method = head.target = head.authority = TEXT_EMPTY;
    head.status = 0;
    head.has_length = false;
    head.length = 0;
    head.is_whole = is_whole;
    head.field_count = 0;
    for (size_t i = 0; i < gathering->count; i++) {
        const struct h2_span *span = &gathering->spans[i];
        struct text name = text_of(gathering->text.memory + span->name, span->name_length);
        struct text value = text_of(gathering->text.memory + span->value, span->value_length);
        bool is_framing = (name.length > 0 && name.bytes[0] == ':') || name.length == 4 || name.length == 14;
        if (is_framing && take_member(name, value))
            continue;
        if (head.field_count == PEER_FIELDS_MAXIMUM)
            return false;
        head.fields[head.field_count++] = (struct peer_field){name, value};
    }
    return true;
}

static void take_request(struct peer *peer, int32_t id)
{
    /* The GOAWAY that is on its way says that nobody looks at it. */
    if (peer->h2.has_goaway)
        return;
    if (!far_h1_is_target(head.target, head.method) || head.authority.length == 0) {
        peer_break(peer, "a target that is none");
        return;
    }
    bool is_whole = head.is_whole;
    struct peer_stream *stream = far_stream_create(peer, NULL, NULL);
    stream->id = id;
    stream->receiving = RECEIVING_BODY;
    peer->h2.last_id = id;
    nghttp2_session_set_stream_user_data(peer->h2.session, id, stream);
    peer->events->on_request(peer->owner, stream, &head);
    if (goes_on(peer) && is_whole && stream->peer != NULL)
        end_message(stream);
}

static void take_response(struct peer *peer, struct peer_stream *stream)
{
    bool is_whole = head.is_whole;
    if (head.status < 200)
        head.is_whole = true;
    else
        stream->receiving = RECEIVING_BODY;
    tell_response(stream, &head);
    if (goes_on(peer) && is_whole && stream->peer != NULL)
        end_message(stream);
}

static void take_trailers(struct peer *peer, struct peer_stream *stream)
{
    if (must_hold(stream)) {
        stream->held.trailers = kept_fields_copy(head.fields, head.field_count);
        stream->held.is_ended = true;
        return;
    }
    tell_trailers(stream, &head);
    if (goes_on(peer) && stream->peer != NULL)
        end_message(stream);
}

static void take_head(struct peer *peer, const nghttp2_frame *frame)
{
    struct peer_stream *stream = stream_of(peer->h2.session, frame->hd.stream_id);
    if (!finish_head(peer, (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0))
        peer_break(peer, "too many fields");
    else if (frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        take_request(peer, frame->hd.stream_id);
    else if (stream != NULL && stream->receiving == RECEIVING_HEAD)
        take_response(peer, stream);
    else if (stream != NULL)
        take_trailers(peer, stream);
}

/* ---- frames ---- */

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *owner)
{
    struct peer *peer = owner;
    if (!goes_on(peer))
        return stop();
    struct peer_stream *stream = NULL;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        take_head(peer, frame);
        break;
    case NGHTTP2_DATA:
        if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0)
            stream = stream_of(session, frame->hd.stream_id);
        if (stream != NULL)
            end_message(stream);
        break;
    case NGHTTP2_RST_STREAM:
        /* on_stream_close follows. */
        stream = stream_of(session, frame->hd.stream_id);
        if (stream != NULL)
            stream->session = SESSION_RESET_BY_PEER;
        break;
    case NGHTTP2_GOAWAY:
        take_goaway(peer, frame->goaway.last_stream_id);
        break;
    default:
        break;
    }
    return goes_on(peer) ? 0 : stop();
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t length, void *owner)
{
    (void)flags;
    struct peer *peer = owner;
    if (!goes_on(peer))
        return stop();
    struct peer_stream *stream = stream_of(session, id);
    if (stream != NULL && must_hold(stream)) {
        bytes_add(&stream->held.body, text_of((const char *)data, length));
        return 0;
    }
    if (stream != NULL)
        tell_body(stream, text_of((const char *)data, length));
    if (!goes_on(peer))
        return stop();
    nghttp2_session_consume(session, id, length);
    return 0;
}

static int on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_length,
                             const uint8_t *value, size_t value_length, uint8_t flags, void *owner)
{
    (void)session;
    (void)frame;
    (void)name;
    (void)name_length;
    (void)value;
    (void)value_length;
    (void)flags;
    peer_break(owner, "a field that is none");
    return stop();
}

static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int error, void *owner)
{
    (void)session;
    (void)frame;
    struct peer *peer = owner;
    /* A client may begin more streams than we allow before it has heard how many we do. */
    if (error == NGHTTP2_ERR_REFUSED_STREAM || !goes_on(peer))
        return 0;
    peer_break(peer, nghttp2_strerror(error));
    return 0;
}

/* ---- going on ---- */

/* Tells what one stream has held back, as far as its owner lets it. */
static void tell_held(struct peer *peer, struct peer_stream *stream)
{
    struct bytes body = stream->held.body;
    struct kept_fields *trailers = stream->held.trailers;
    bool is_ended = stream->held.is_ended;
    stream->held = (struct stream_held){0};
    peer->h2.holding--;
    nghttp2_session_consume_connection(peer->h2.session, bytes_length(&body));
    if (stream->session != SESSION_CLOSED)
        nghttp2_session_consume_stream(peer->h2.session, stream->id, bytes_length(&body));
    tell_body(stream, bytes_text(&body));
    bytes_clear(&body);
    bool lives = goes_on(peer) && stream->peer != NULL;
    if (lives && stream->is_paused && is_ended) {
        stream->held = (struct stream_held){.trailers = trailers, .is_ended = true};
        peer->h2.holding++;
        return;
    }
    if (lives && trailers != NULL) {
        head.field_count = trailers->count;
        memcpy(head.fields, trailers->fields, trailers->count * sizeof head.fields[0]);
        tell_trailers(stream, &head);
        lives = goes_on(peer) && stream->peer != NULL;
    }
    peer_give(trailers);
    if (!lives || !is_ended)
        return;
    bool is_over = stream->session == SESSION_CLOSED && stream->sending == SENDING_SENT;
    bool is_abandoned = stream->session == SESSION_CLOSED && !is_over;
    stream->receiving = RECEIVING_DONE;
    if (is_over)
        far_stream_detach(stream);
    tell_end(stream);
    if (is_abandoned && goes_on(peer) && stream->peer != NULL)
        far_stream_cut(stream, PEER_CUT_RESET);
}

void far_h2_go_on(struct peer *peer)
{
    if (peer->h2.fault != NULL) {
        peer_break(peer, peer->h2.fault);
        return;
    }
    struct list_node *node = peer->streams.head.next;
    while (goes_on(peer) && peer->h2.holding + peer->h2.cutting > 0 && node != &peer->streams.head) {
        struct peer_stream *stream = LIST_OWNER(node, struct peer_stream, place);
        node = node->next;
        if (!stream->is_paused && holds(stream)) {
            tell_held(peer, stream);
        } else if (peer->h2.cutting > 0 && stream->session == SESSION_CLOSED && !stream->held.is_ended) {
            peer->h2.cutting--;
            cut_closed(stream);
        } else {
            continue;
        }
        /* Any of them may be gone now. */
        node = peer->streams.head.next;
    }
    if (goes_on(peer))
        far_h2_check_end(peer);
}

void far_h2_set_callbacks(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_frame_unsent);
    nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, on_invalid_header);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
}
