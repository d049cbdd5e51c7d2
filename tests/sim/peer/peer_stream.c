/* The streams of either version: their life, and the verbs as their owners call them. */
#include "peer/state.h"

struct peer_stream *far_stream_create(struct peer *peer, const struct peer_stream_events *events, void *owner)
{
    peer_memory_enter();
    struct peer_stream *stream = peer_take_zeroed(sizeof *stream);
    list_node_init(&stream->place);
    list_append(&peer->streams, &stream->place);
    stream->peer = peer;
    stream->events = events;
    stream->owner = owner;
    return stream;
}

void far_stream_free(struct peer_stream *stream)
{
    bytes_clear(&stream->body);
    bytes_clear(&stream->held.body);
    peer_give(stream->trailers);
    peer_give(stream->held.trailers);
    peer_give(stream);
    peer_memory_leave();
}

void far_stream_detach(struct peer_stream *stream)
{
    list_remove(&stream->peer->streams, &stream->place);
    stream->peer = NULL;
}

void far_stream_cut(struct peer_stream *stream, enum peer_cut why)
{
    struct peer *peer = stream->peer;
    far_stream_detach(stream);
    if (stream->hold == STREAM_RELEASED) {
        far_stream_bury(peer, stream);
        return;
    }
    bool was_received = stream->receiving == RECEIVING_DONE;
    stream->receiving = RECEIVING_DONE;
    if (stream->events == NULL)
        return;
    if (!was_received)
        stream->events->on_cut(stream->owner, why);
    else if (stream->events->on_abandoned != NULL)
        stream->events->on_abandoned(stream->owner, why);
}

void far_stream_bury(struct peer *peer, struct peer_stream *stream)
{
    if (peer->is_busy)
        list_append(&peer->buried, &stream->place);
    else
        far_stream_free(stream);
}

struct kept_fields *kept_fields_copy(const struct peer_field *fields, size_t count)
{
    size_t length = 0;
    for (size_t i = 0; i < count; i++)
        length += fields[i].name.length + fields[i].value.length;
    struct kept_fields *kept = peer_take(sizeof *kept + count * sizeof kept->fields[0] + length);
    char *at = (char *)(kept->fields + count);
    kept->count = count;
    for (size_t i = 0; i < count; i++) {
        const struct text parts[2] = {fields[i].name, fields[i].value};
        struct text copies[2];
        for (int part = 0; part < 2; part++) {
            copies[part] = text_of(at, parts[part].length);
            if (parts[part].length > 0)
                memcpy(at, parts[part].bytes, parts[part].length);
            at += parts[part].length;
        }
        kept->fields[i] = (struct peer_field){copies[0], copies[1]};
    }
    return kept;
}

/* ---- verbs ---- */

struct peer_stream *peer_request(struct peer *peer, const struct peer_head *head, const struct peer_stream_events *events, void *owner)
{
    if (!peer_can_send(peer))
        return NULL;
    struct peer_stream *stream = far_stream_create(peer, events, owner);
    if (text_equals(head->method, TEXT("HEAD")))
        stream->kind = STREAM_HEAD;
    stream->sending = head->is_whole ? SENDING_SAID : SENDING_BODY;
    if (!peer->codec->request(stream, head)) {
        far_stream_detach(stream);
        far_stream_free(stream);
        return NULL;
    }
    peer_touch(peer);
    return stream;
}

struct peer_stream *peer_request_raw(struct peer *peer, struct text bytes, const struct peer_stream_events *events, void *owner)
{
    if (peer->version != PEER_HTTP_1 || !peer_can_send(peer))
        return NULL;
    struct peer_stream *stream = far_stream_create(peer, events, owner);
    stream->kind = text_starts_with(bytes, TEXT("HEAD ")) ? STREAM_HEAD : STREAM_RAW;
    stream->sending = SENDING_SAID;
    peer_send_raw(peer, bytes);
    return stream;
}

void peer_stream_adopt(struct peer_stream *stream, const struct peer_stream_events *events, void *owner)
{
    stream->events = events;
    stream->owner = owner;
}

void peer_respond(struct peer_stream *stream, const struct peer_head *head)
{
    if (stream->peer == NULL || stream->sending != SENDING_HEAD)
        return;
    peer_touch(stream->peer);
    stream->peer->codec->respond(stream, head);
}

size_t peer_send_body(struct peer_stream *stream, struct text piece)
{
    if (stream->peer == NULL || stream->sending != SENDING_BODY)
        return piece.length;
    peer_touch(stream->peer);
    size_t taken = stream->peer->codec->send_body(stream, piece);
    stream->wants_room = taken < piece.length;
    stream->peer->wanting += stream->wants_room;
    return taken;
}

void peer_send_end(struct peer_stream *stream, const struct peer_head *trailers)
{
    if (stream->peer == NULL || stream->sending != SENDING_BODY)
        return;
    peer_touch(stream->peer);
    stream->wants_room = false;
    stream->peer->codec->send_end(stream, trailers);
}

void peer_stream_reset(struct peer_stream *stream, uint32_t code)
{
    stream->events = NULL;
    stream->hold = STREAM_RELEASED;
    if (stream->peer == NULL) {
        far_stream_free(stream);
        return;
    }
    peer_touch(stream->peer);
    stream->peer->codec->reset(stream, code);
}

uint32_t peer_stream_code(const struct peer_stream *stream)
{
    return stream->code;
}

void peer_stream_pause(struct peer_stream *stream, bool is_paused)
{
    stream->is_paused = is_paused;
    struct peer *peer = stream->peer;
    /* Also in the middle of an event, which may have passed the place where it would go on. */
    if (peer != NULL && !is_paused && !peer->is_frozen && !sim_timer_is_set(&peer->turn))
        sim_timer_in(&peer->turn, 0);
}

void peer_stream_release(struct peer_stream *stream)
{
    stream->events = NULL;
    stream->hold = STREAM_RELEASED;
    if (stream->peer == NULL) {
        far_stream_free(stream);
        return;
    }
    peer_touch(stream->peer);
    stream->peer->codec->release(stream);
}
