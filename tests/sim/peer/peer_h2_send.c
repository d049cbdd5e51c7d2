/* HTTP/2: what leaves. Bodies wait in their streams and go out as the windows allow. */
#include "peer/peer_h2.h"

/* So much is made ready before the kernel is asked to take it. */
#define READY_BYTES 262144
#define NUMBER_TEXT_BYTES 24

/* Filled and submitted in one go, which copies. */
static nghttp2_nv fields[PEER_FIELDS_MAXIMUM + 8];

/* Fields that differ with each message would be searched for in vain among all earlier ones. */
static nghttp2_nv field_of(struct text name, struct text value)
{
    bool is_own = name.length > 2 && name.bytes[0] == 'x' && name.bytes[1] == '-';
    return (nghttp2_nv){
        .flags = is_own ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE,
        .name = (uint8_t *)(uintptr_t)name.bytes,
        .namelen = name.length,
        .value = (uint8_t *)(uintptr_t)value.bytes,
        .valuelen = value.length,
    };
}

static size_t put_fields(size_t count, const struct peer_field *added, size_t added_count)
{
    for (size_t i = 0; i < added_count; i++)
        fields[count++] = field_of(added[i].name, added[i].value);
    return count;
}

static struct text number_text(char *buffer, uint64_t number)
{
    return text_of(buffer, text_append(buffer, NUMBER_TEXT_BYTES, 0, "%llu", (unsigned long long)number));
}

static struct peer_stream *stream_of(nghttp2_session *session, int32_t id)
{
    return nghttp2_session_get_stream_user_data(session, id);
}

/* ---- nghttp2 asks ---- */

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *buffer, size_t length, uint32_t *flags, nghttp2_data_source *source,
                         void *owner)
{
    (void)buffer;
    (void)source;
    (void)owner;
    struct peer_stream *stream = stream_of(session, id);
    if (stream == NULL)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    size_t waiting = bytes_length(&stream->body);
    if (waiting == 0 && stream->sending < SENDING_SAID)
        return NGHTTP2_ERR_DEFERRED;
    size_t taken = waiting < length ? waiting : length;
    *flags |= taken > 0 ? NGHTTP2_DATA_FLAG_NO_COPY : 0;
    if (taken < waiting || stream->sending < SENDING_SAID)
        return (ssize_t)taken;
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (stream->trailers != NULL) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        size_t count = put_fields(0, stream->trailers->fields, stream->trailers->count);
        if (nghttp2_submit_trailer(session, id, fields, count) != 0)
            return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    return (ssize_t)taken;
}

ssize_t far_h2_send_bytes(nghttp2_session *session, const uint8_t *data, size_t length, int flags, void *owner)
{
    (void)session;
    (void)flags;
    struct peer *peer = owner;
    if (bytes_length(&peer->out) >= READY_BYTES)
        return NGHTTP2_ERR_WOULDBLOCK;
    bytes_add(&peer->out, text_of((const char *)data, length));
    return (ssize_t)length;
}

int far_h2_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head, size_t length, nghttp2_data_source *source, void *owner)
{
    (void)source;
    struct peer *peer = owner;
    struct peer_stream *stream = stream_of(session, frame->hd.stream_id);
    if (stream == NULL)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (bytes_length(&peer->out) >= READY_BYTES)
        return NGHTTP2_ERR_WOULDBLOCK;
    bytes_add(&peer->out, text_of((const char *)head, 9));
    bytes_add(&peer->out, text_of(bytes_first(&stream->body), length));
    bytes_drop(&stream->body, length);
    return 0;
}

int far_h2_on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *owner)
{
    struct peer *peer = owner;
    /* nghttp2 says so when what came is a fault of the whole connection. */
    uint32_t code = frame->hd.type == NGHTTP2_GOAWAY ? frame->goaway.error_code : NGHTTP2_NO_ERROR;
    if (code != NGHTTP2_NO_ERROR && (peer->h2.goaways >> (code & 31) & 1) == 0)
        far_h2_owe_fault(peer, nghttp2_http2_strerror(code));
    if ((frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS) || (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0)
        return 0;
    struct peer_stream *stream = stream_of(session, frame->hd.stream_id);
    if (stream == NULL)
        return 0;
    stream->sending = SENDING_SENT;
    /* The rest of the request is of no use to anybody (RFC 9113 section 8.1). */
    if (stream->hold == STREAM_RELEASED && stream->receiving != RECEIVING_DONE)
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
    return 0;
}

bool far_h2_produce(struct peer *peer)
{
    if (!nghttp2_session_want_write(peer->h2.session))
        return false;
    size_t before = bytes_length(&peer->out);
    peer->h2.is_producing = true;
    int result = nghttp2_session_send(peer->h2.session);
    peer->h2.is_producing = false;
    if (result != 0)
        far_h2_owe_fault(peer, nghttp2_strerror(result));
    far_h2_check_end(peer);
    return bytes_length(&peer->out) > before;
}

/* ---- verbs ---- */

static const nghttp2_data_provider body_provider = {.read_callback = read_body};

bool far_h2_request(struct peer_stream *stream, const struct peer_head *head)
{
    struct peer *peer = stream->peer;
    char length[NUMBER_TEXT_BYTES];
    size_t count = 0;
    fields[count++] = field_of(TEXT(":method"), head->method);
    fields[count++] = field_of(TEXT(":scheme"), peer->tls != NULL ? TEXT("https") : TEXT("http"));
    if (head->authority.length > 0)
        fields[count++] = field_of(TEXT(":authority"), head->authority);
    fields[count++] = field_of(TEXT(":path"), head->target);
    count = put_fields(count, head->fields, head->field_count);
    if (head->has_length)
        fields[count++] = field_of(TEXT("content-length"), number_text(length, head->length));
    int32_t id = nghttp2_submit_request(peer->h2.session, NULL, fields, count, head->is_whole ? NULL : &body_provider, stream);
    stream->id = id;
    return id > 0;
}

void far_h2_respond(struct peer_stream *stream, const struct peer_head *head)
{
    nghttp2_session *session = stream->peer->h2.session;
    char status[NUMBER_TEXT_BYTES];
    char length[NUMBER_TEXT_BYTES];
    size_t count = 0;
    fields[count++] = field_of(TEXT(":status"), number_text(status, head->status));
    count = put_fields(count, head->fields, head->field_count);
    if (head->has_length)
        fields[count++] = field_of(TEXT("content-length"), number_text(length, head->length));
    int result;
    if (head->status < 200) {
        result = nghttp2_submit_headers(session, NGHTTP2_FLAG_NONE, stream->id, NULL, fields, count, NULL);
    } else {
        stream->sending = head->is_whole ? SENDING_SAID : SENDING_BODY;
        result = nghttp2_submit_response(session, stream->id, fields, count, head->is_whole ? NULL : &body_provider);
    }
    if (result != 0)
        far_h2_owe_fault(stream->peer, nghttp2_strerror(result));
}

size_t far_h2_send_body(struct peer_stream *stream, struct text piece)
{
    size_t waiting = bytes_length(&stream->body);
    size_t room = waiting >= PEER_QUEUE_BYTES ? 0 : PEER_QUEUE_BYTES - waiting;
    size_t taken = piece.length < room ? piece.length : room;
    bytes_add(&stream->body, text_of(piece.bytes, taken));
    if (taken > 0 && waiting == 0)
        nghttp2_session_resume_data(stream->peer->h2.session, stream->id);
    return taken;
}

bool far_h2_has_room(const struct peer_stream *stream)
{
    return bytes_length(&stream->body) < PEER_QUEUE_BYTES / 2;
}

void far_h2_send_end(struct peer_stream *stream, const struct peer_head *trailers)
{
    stream->sending = SENDING_SAID;
    if (trailers != NULL)
        stream->trailers = kept_fields_copy(trailers->fields, trailers->field_count);
    if (bytes_length(&stream->body) == 0)
        nghttp2_session_resume_data(stream->peer->h2.session, stream->id);
}
