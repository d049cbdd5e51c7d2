#ifndef SLUICE_HTTP_LINK_H
#define SLUICE_HTTP_LINK_H
/*
 * A link is a connection with its codec: http/h1.h and http/h2.h make one over a conn. Its owner is a session (downstream) or a pool
 * (upstream).
 *
 * A link that is dead (on_closed was called, or link_close) is destroyed after the loop's turn; its streams have had on_failed.
 */
#include <stdbool.h>

#include "base/fault.h"
#include "http/message.h"

struct conn;
struct link;
struct stream;

struct link_events {
    /* Downstream: a request's head is here. The owner sets the stream's events and owner before it returns. */
    void (*on_request)(void *owner, struct stream *stream, const struct message_head *head);
    /*
     * Downstream: the request cannot be served as it is; the owner answers through the stream, if it likes, and releases it. `head` is what
     * was understood of it: never NULL, but its method, target, path and fields may be missing. It must not be forwarded.
     */
    void (*on_refused)(void *owner, struct stream *stream, const struct message_head *head, enum fault fault);
    /* Downstream: a head has begun and is not complete: a deadline begins. May be NULL. */
    void (*on_head_started)(void *owner);
    /* Downstream: no stream is under way any more and the link waits for the next request. */
    void (*on_idle)(void *owner);
    /* Upstream: has_room has become true without a stream of ours having ended (the node allows more). May be NULL. */
    void (*on_room)(void *owner);
    /* The link is gone: its streams have had on_failed, and what was sent has left this process. */
    void (*on_closed)(void *owner, enum fault fault);
};

struct link_verbs {
    /* Upstream: a stream for one more request, or NULL when there is no room. */
    struct stream *(*open_stream)(struct link *link);
    /* Upstream: would open_stream give a stream now? */
    bool (*has_room)(const struct link *link);
    /* Upstream: it will never have room again; what is under way on it may still end. */
    bool (*is_spent)(const struct link *link);
    /* Upstream: its node may have gone without a word. If nothing comes soon, the link fails (FAULT_LINK_SILENT). NULL: it cannot ask. */
    void (*suspect)(struct link *link);
    /* Downstream: the next answer is the last one and says so. Upstream: closes. */
    void (*drain)(struct link *link);
    /* Closes at once. */
    void (*close)(struct link *link);
};

/* Embedded as the first member of a codec's own link. */
struct link {
    const struct link_verbs *verbs;
    const struct link_events *events;
    void *owner;
    struct conn *conn;  /* owned */
    const char *end_reason; /* downstream: what the client has done to be thrown out, in one word for the log; else NULL */
    unsigned streams_maximum; /* upstream HTTP/2: as the node says; 0 while it has not */
    bool is_http2;      /* many streams at a time, trailers, resets of one stream */
    uint64_t heard_ms;  /* upstream: when a byte came last, or the link was made */
    unsigned used;      /* streams opened so far: a link used more than once may have been closed by the node meanwhile */
};

static inline struct stream *link_open_stream(struct link *link)
{
    return link->verbs->open_stream(link);
}

static inline bool link_has_room(const struct link *link)
{
    return link->verbs->has_room(link);
}

static inline bool link_is_spent(const struct link *link)
{
    return link->verbs->is_spent(link);
}

static inline void link_suspect(struct link *link)
{
    if (link->verbs->suspect != NULL)
        link->verbs->suspect(link);
}

static inline void link_drain(struct link *link)
{
    link->verbs->drain(link);
}

static inline void link_close(struct link *link)
{
    link->verbs->close(link);
}

#endif
