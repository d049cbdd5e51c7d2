#ifndef SLUICE_HTTP_STREAM_H
#define SLUICE_HTTP_STREAM_H
/*
 * THE interface between what moves messages (exchange, probe, admin) and what speaks HTTP (h1, h2). A stream is one
 * request and its response on a link. On a downstream link it receives the request and sends the response; on an upstream link
 * it does the reverse; the type is the same, and nobody above asks which HTTP it is.
 *
 *   verbs, called by the owner                      events, called by the loop
 *     stream_send_head     first                      on_head      first
 *     stream_send_interim  1xx, before the head       on_interim   a 1xx other than 100, upstream only
 *     stream_send_data     the body, piece by piece   on_data      a piece of the body
 *     stream_send_trailers fields behind the body     on_trailers  likewise; on_end follows
 *     stream_send_end      nothing more to send       on_end       the message is complete
 *     stream_pause/resume  stop and start events      on_drained   congestion is over: send again
 *     stream_is_congested  too much waits to go out   on_failed    the stream is dead, nothing follows
 *     stream_has_left      all of it is gone
 *     stream_reset         give up, visibly
 *     stream_release       the owner lets go
 *
 * Rules
 *   - A verb never calls back before it returns.
 *   - Back-pressure: when stream_is_congested, the owner pauses whoever feeds it until on_drained. Nothing enforces it but
 *     memory: a stream takes what it is given.
 *   - A head given to on_head and bytes given to on_data are valid during the call only.
 *   - After stream_reset or stream_release no event comes. on_failed is the last event; stream_release is still due.
 *   - Ending: the owner calls stream_release once it has seen on_end (or on_failed) and has sent its own end, or after
 *     stream_reset. Released before both directions are complete, the stream is reset.
 */
#include <stdbool.h>

#include "base/fault.h"
#include "base/text.h"
#include "http/message.h"

struct stream;

struct stream_events {
    void (*on_head)(void *owner, const struct message_head *head);
    void (*on_interim)(void *owner, const struct message_head *head);
    void (*on_data)(void *owner, struct text bytes);
    /* HTTP/2 only; `trailers` has nothing but fields. May be NULL: then they are dropped. */
    void (*on_trailers)(void *owner, const struct message_head *trailers);
    void (*on_end)(void *owner);
    void (*on_drained)(void *owner);
    void (*on_failed)(void *owner, enum fault fault);
    /*
     * Downstream, HTTP/1: behind its whole request, as far as one can tell, the client has ended its sending (FIN). True: it may still read its
     * answer; false, or NULL: it has gone, and on_failed follows. No verb may be called within it.
     */
    bool (*on_half_closed)(void *owner);
};

struct stream_verbs {
    void (*send_head)(struct stream *stream, const struct message_head *head);
    void (*send_interim)(struct stream *stream, const struct message_head *head);
    void (*send_data)(struct stream *stream, struct text bytes);
    void (*send_trailers)(struct stream *stream, const struct message_head *trailers);
    void (*send_end)(struct stream *stream);
    void (*pause)(struct stream *stream);
    void (*resume)(struct stream *stream);
    bool (*is_congested)(const struct stream *stream);
    bool (*has_left)(const struct stream *stream);
    void (*reset)(struct stream *stream, enum fault fault);
    void (*release)(struct stream *stream);
};

/* Embedded as the first member of a codec's own stream. */
struct stream {
    const struct stream_verbs *verbs;
    const struct stream_events *events; /* set by the owner */
    void *owner;
};

static inline void stream_set_owner(struct stream *stream, const struct stream_events *events, void *owner)
{
    stream->events = events;
    stream->owner = owner;
}

/*
 * Sends the head. With BODY_NONE the message ends here (stream_send_end is still called). A downstream stream adds what its HTTP
 * version needs to frame the body and to end the connection.
 */
static inline void stream_send_head(struct stream *stream, const struct message_head *head)
{
    stream->verbs->send_head(stream, head);
}

static inline void stream_send_interim(struct stream *stream, const struct message_head *head)
{
    stream->verbs->send_interim(stream, head);
}

static inline void stream_send_data(struct stream *stream, struct text bytes)
{
    stream->verbs->send_data(stream, bytes);
}

/*
 * Fields behind the body, once, before stream_send_end. HTTP/1 leaves them out: nobody there reads them, and merged into a head they
 * would be a way to smuggle one (RFC 9110 section 6.5.1).
 */
static inline void stream_send_trailers(struct stream *stream, const struct message_head *trailers)
{
    stream->verbs->send_trailers(stream, trailers);
}

static inline void stream_send_end(struct stream *stream)
{
    stream->verbs->send_end(stream);
}

/*
 * No on_data, and no on_end of a message with a body, until stream_resume; what arrived already waits. Idempotent, like stream_resume.
 * (A message without a body has its on_end right after on_head.)
 */
static inline void stream_pause(struct stream *stream)
{
    stream->verbs->pause(stream);
}

static inline void stream_resume(struct stream *stream)
{
    stream->verbs->resume(stream);
}

static inline bool stream_is_congested(const struct stream *stream)
{
    return stream->verbs->is_congested(stream);
}

/*
 * Upstream: has the whole request gone where nothing can take it back, its last byte included (that of the body, of the last chunk, of the frame
 * with END_STREAM)? That is the kernel, and what goes there even if the stream is reset now. While it has not, the node can never read the request
 * to its end (RFC 9112 section 8). May be asked until the reset or the release, also within on_failed; in doubt the answer is true.
 */
static inline bool stream_has_left(const struct stream *stream)
{
    return stream->verbs->has_left(stream);
}

/*
 * Ends the stream so that the other side can tell that it is not whole: a cut response never ends cleanly (RFC 9112
 * section 8). On HTTP/1 the connection goes with it.
 */
static inline void stream_reset(struct stream *stream, enum fault fault)
{
    stream->verbs->reset(stream, fault);
}

static inline void stream_release(struct stream *stream)
{
    stream->verbs->release(stream);
}

#endif
