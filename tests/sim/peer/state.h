#ifndef SLUICE_SIM_PEER_STATE_H
#define SLUICE_SIM_PEER_STATE_H
/* What the files of this folder know of a peer and its streams; nobody else includes it. */
#include "base/list.h"
#include "kernel/time.h"
#include "peer/memory.h"
#include "peer/peer.h"
#include "peer/tls.h"

/* So much waits for the kernel's room, or for a stream's window, before a body is not taken any more; below the half it goes on. */
#define PEER_QUEUE_BYTES 65536

enum peer_side { PEER_CLIENT, PEER_SERVER };

/*
 *   CONNECTING -> SECURING -> SNIFFING -> OPEN -> FINISHING -> OVER -> GONE
 *
 * Each but GONE can be left out: clear text needs no SECURING, a client no SNIFFING, a cut connection no FINISHING.
 */
enum peer_state {
    PEER_CONNECTING,
    PEER_SECURING,  /* TLS */
    PEER_SNIFFING,  /* a server does not know the version yet */
    PEER_OPEN,
    PEER_FINISHING, /* what waits goes out, a FIN behind it, then it is over */
    PEER_OVER,      /* its owner hears on_closed */
    PEER_GONE,      /* destroyed in the middle of an event */
};

enum peer_input { PEER_INPUT_NONE, PEER_INPUT_WAITS };
enum peer_output { PEER_OUTPUT_FREE, PEER_OUTPUT_BLOCKED, PEER_OUTPUT_BROKEN };
enum peer_half { PEER_HALF_NO, PEER_HALF_ASKED, PEER_HALF_CLOSED };
enum peer_drain { PEER_DRAIN_NO, PEER_DRAIN_ASKED };

enum stream_receiving { RECEIVING_HEAD, RECEIVING_BODY, RECEIVING_DONE };
/* SENT: HTTP/2, and its last frame has left. */
enum stream_sending { SENDING_HEAD, SENDING_BODY, SENDING_SAID, SENDING_SENT };
/* HTTP/1: how the own body goes out. */
enum stream_form { FORM_PLAIN, FORM_CHUNKED, FORM_NONE };
enum stream_kind { STREAM_ORDINARY, STREAM_HEAD, STREAM_RAW };
enum stream_hold { STREAM_OWNED, STREAM_RELEASED };
/* HTTP/2: what nghttp2 knows of the stream: a RST_STREAM of the other side ends it; it is closed there, and what came is not told yet. */
enum stream_session { SESSION_STREAM, SESSION_RESET_BY_PEER, SESSION_CLOSED };

/* Fields that are kept. */
struct kept_fields {
    size_t count;
    struct peer_field fields[];
};

/* HTTP/2: what came while the owner had paused. */
struct stream_held {
    struct bytes body;
    struct kept_fields *trailers;
    bool is_ended;
};

struct peer_stream {
    struct list_node place; /* among its peer's, while `peer` is not NULL; or among the buried */
    struct peer *peer;      /* NULL: over, or the peer is gone */
    const struct peer_stream_events *events; /* NULL: nobody listens */
    void *owner;
    enum stream_receiving receiving;
    enum stream_sending sending;
    enum stream_form form;
    enum stream_kind kind;
    enum stream_hold hold;
    enum stream_session session;
    bool is_paused;
    bool wants_room;
    int32_t id;
    uint32_t code;
    struct bytes body;            /* HTTP/2: to be sent */
    struct kept_fields *trailers; /* HTTP/2: to be sent behind it */
    struct stream_held held;
};

/* What the two versions do differently. */
struct peer_codec {
    enum peer_version version;
    /* Bytes came; all are taken. */
    void (*on_input)(struct peer *peer, char *bytes, size_t length);
    bool (*wants_input)(const struct peer *peer);
    void (*on_input_end)(struct peer *peer);
    /* Goes on with what came and could not be told at once. */
    void (*go_on)(struct peer *peer);
    /* Puts into `out` what there is to say; false: nothing. */
    bool (*produce)(struct peer *peer);
    void (*close)(struct peer *peer); /* in order */
    void (*clear)(struct peer *peer); /* gives the codec's memory back */
    bool (*can_send)(const struct peer *peer);
    void (*drain)(struct peer *peer);
    void (*raw)(struct peer *peer, struct text bytes);
    bool (*request)(struct peer_stream *stream, const struct peer_head *head);
    void (*respond)(struct peer_stream *stream, const struct peer_head *head);
    size_t (*send_body)(struct peer_stream *stream, struct text piece);
    void (*send_end)(struct peer_stream *stream, const struct peer_head *trailers);
    void (*reset)(struct peer_stream *stream, uint32_t code);
    void (*release)(struct peer_stream *stream);
    bool (*has_room)(const struct peer_stream *stream);
};

/* HTTP/1: where in what comes it is. */
enum h1_place { H1_HEAD, H1_BODY, H1_CHUNK_SIZE, H1_CHUNK, H1_CHUNK_END, H1_TRAILERS, H1_UNTIL_END };
enum h1_persistence { H1_PERSISTS, H1_ENDS };

struct h1 {
    enum h1_place place;
    enum h1_persistence persistence;
    uint64_t left;             /* of the body or the chunk */
    size_t searched;           /* so much of what waits holds no end of a head */
    struct peer_stream *reading;
    bool pipelines;
    bool is_unjudged;          /* raw bytes were sent */
};

/* HTTP/2: a head that is coming, its fields as places in `text`. */
struct h2_span {
    uint32_t name;
    uint32_t name_length;
    uint32_t value;
    uint32_t value_length;
};

struct h2_gathering {
    struct bytes text;
    size_t count;
    struct h2_span spans[PEER_FIELDS_MAXIMUM + 8]; /* pseudo-headers too */
};

struct h2 {
    struct nghttp2_session *session;
    struct h2_gathering *gathering;
    const char *fault;   /* found while sending: it is told with the next turn */
    size_t holding;      /* streams that hold something back */
    size_t cutting;      /* streams that nghttp2 closed while something was sent: they are cut with the next turn */
    int32_t last_id;     /* of the streams that came; of the last GOAWAY, which must not say more than one before */
    uint32_t goaways;    /* a bit for each code that its owner asked for */
    bool has_goaway;     /* one came, or was sent: there are no more streams than these */
    bool is_producing;
};

struct peer {
    enum peer_side side;
    enum peer_state state;
    enum peer_version version; /* the highest it may speak; then the one it speaks */
    enum peer_input input;
    enum peer_output output;
    enum peer_half half;
    enum peer_drain drain;
    bool is_frozen;
    bool is_busy; /* an event of the world is being handled */
    enum peer_cut why; /* in FINISHING: what on_closed says */
    const char *fault;
    struct sim_socket *socket; /* NULL once it was aborted */
    const struct peer_codec *codec; /* NULL: the version is not known yet */
    const struct peer_events *events;
    void *owner;
    struct sim_timer turn;
    struct list streams; /* in the order of their begin */
    struct list buried;  /* to be freed when the event has been handled */
    size_t wanting;      /* 0: no stream waits for room */
    struct bytes in;     /* not understood yet */
    struct bytes out;    /* not taken by the kernel yet (TLS: not encrypted yet) */
    struct tls_far *far; /* NULL: clear text */
    struct tls_end *tls; /* owned */
    struct h1 h1;
    struct h2 h2;
};

extern const struct peer_codec far_h1_codec;
extern const struct peer_codec far_h2_codec;

/* ---- peer_wire.c ---- */

extern const struct sim_socket_events peer_socket_events;
/* Something was said, or can go on: the peer looks at itself when this moment's events have been handled. */
void peer_touch(struct peer *peer);
void peer_on_turn(void *owner);
/* Gives the kernel what it takes. Tells nobody anything. */
void peer_flush(struct peer *peer);
static inline bool peer_is_alive(const struct peer *peer)
{
    return peer->state <= PEER_OPEN;
}
/* Ends it when what waits has gone out. */
void peer_finish(struct peer *peer, enum peer_cut why);
/* Ends it at once: streams and owner hear of it. Only while an event is handled. */
void peer_end(struct peer *peer, enum peer_cut why);
/* What came is no HTTP. */
void peer_break(struct peer *peer, const char *fault);
/* Clients at once, servers as soon as the version is known. */
void peer_choose(struct peer *peer, enum peer_version version);
/* Of a destroyed one. */
void peer_free_gone(struct peer *peer);
/* HTTP/2: makes the session and greets. */
void far_h2_open(struct peer *peer);

/* ---- peer_stream.c ---- */

struct peer_stream *far_stream_create(struct peer *peer, const struct peer_stream_events *events, void *owner);
/* Nothing is received or sent on it any more; it is freed when it is released. */
void far_stream_detach(struct peer_stream *stream);
/* Detaches it in the owner's name: cut, or abandoned behind its end. */
void far_stream_cut(struct peer_stream *stream, enum peer_cut why);
/* A released one, when the event has been handled. */
void far_stream_bury(struct peer *peer, struct peer_stream *stream);
void far_stream_free(struct peer_stream *stream);
struct kept_fields *kept_fields_copy(const struct peer_field *fields, size_t count);

/* What the owner hears. The stream, and the peer, may be over when these return. */
static inline void tell_response(struct peer_stream *stream, const struct peer_head *head)
{
    if (stream->events != NULL)
        stream->events->on_response(stream->owner, head);
}

static inline void tell_body(struct peer_stream *stream, struct text piece)
{
    if (stream->events != NULL && piece.length > 0)
        stream->events->on_body(stream->owner, piece);
}

static inline void tell_trailers(struct peer_stream *stream, const struct peer_head *fields)
{
    if (stream->events != NULL && stream->events->on_trailers != NULL)
        stream->events->on_trailers(stream->owner, fields);
}

static inline void tell_end(struct peer_stream *stream)
{
    if (stream->events != NULL)
        stream->events->on_end(stream->owner);
}

#endif
