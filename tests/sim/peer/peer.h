#ifndef SLUICE_SIM_PEER_PEER_H
#define SLUICE_SIM_PEER_PEER_H
/*
 * HTTP as a far end speaks it: one connection of either version and either side over a sim_socket. It is strict in what it takes (what Sluice
 * sends must be right, byte for byte) and can be told to misbehave in what it sends.
 *
 * Callbacks come from the world's events, never from inside of a call. A stream ends for its owner by exactly one of on_end (the other side's
 * message came whole; behind the head when that is all of it) or on_cut.
 *
 * A stream's object lives until peer_stream_release, whatever becomes of its connection: also after on_end, on_cut and peer_destroy it must be
 * released, and until then any verb may be called for it, in vain. peer_stream_release, peer_destroy and peer_abort may be called any time, also
 * inside of callbacks, and nothing comes any more. What was sent and not taken by the kernel when peer_destroy is called is lost.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "kernel/socket.h"

struct peer;
struct peer_stream;

enum peer_version { PEER_HTTP_1 = 1, PEER_HTTP_2 = 2 };

struct peer_field {
    struct text name; /* lower case */
    struct text value;
};

/* More come from nobody: Sluice lets 100 of a client pass and adds its own. */
#define PEER_FIELDS_MAXIMUM 128

/*
 * Valid during the callback that gives it. Of one that is sent, a request's status is not read, nor a response's method, target and authority, nor
 * anything of trailers but their fields: they need not be set.
 */
struct peer_head {
    struct text method; /* requests */
    struct text target;
    struct text authority;
    unsigned status;    /* responses */
    bool has_length;    /* else chunked (HTTP/1.1) or open-ended (HTTP/2) when there is a body */
    uint64_t length;    /* with is_whole: what the answer to a HEAD announces */
    bool is_whole;      /* no body follows; when sent, the message ends with it (peer_send_end is not needed) */
    size_t field_count; /* without those that are members here: host, content-length, transfer-encoding; `connection` is among them */
    struct peer_field fields[PEER_FIELDS_MAXIMUM];
};

enum peer_cut {
    PEER_CUT_CLOSED,          /* the connection ended in order before the message did */
    PEER_CUT_RESET,           /* it was reset, or the stream was: see peer_stream_code */
    PEER_CUT_REFUSED_STREAM,
    PEER_CUT_GOAWAY,          /* HTTP/2: above the last stream of a GOAWAY */
    PEER_CUT_CONNECT_FAILED,
    PEER_CUT_BAD,             /* what came is no HTTP; for a far end of Sluice always a violation */
};

struct peer_stream_events {
    /* Responses, interim ones (1xx) too. Clients only. */
    void (*on_response)(void *owner, const struct peer_head *head);
    void (*on_body)(void *owner, struct text piece);
    void (*on_trailers)(void *owner, const struct peer_head *fields); /* may be NULL */
    void (*on_end)(void *owner);
    void (*on_cut)(void *owner, enum peer_cut why);
    void (*on_writable)(void *owner); /* may be NULL: a body can go on after peer_send_body took less */
    /* May be NULL. After on_end, while the own message is not whole or not sent: it arrives nowhere any more (a reset, the connection's end). */
    void (*on_abandoned)(void *owner, enum peer_cut why);
};

struct peer_events {
    /* Servers: give the stream its owner by peer_stream_adopt before returning, or reset or release it. */
    void (*on_request)(void *owner, struct peer_stream *stream, const struct peer_head *head);
    /* The connection is over; streams have heard before. The owner calls peer_destroy (here or later). */
    void (*on_closed)(void *owner, enum peer_cut why);
};

struct tls_far; /* peer/tls.h; NULL: clear text */

/* A server's, of an accepted connection: the version is found by its first bytes (or ALPN), `version` is the highest it may speak. */
struct peer *peer_serve(struct sim_socket *socket, enum peer_version version, struct tls_far *tls, const struct peer_events *events, void *owner);
/* A client's: connects. Requests may be sent at once; they wait. */
struct peer *peer_connect(unsigned from_host, const struct address *address, enum peer_version version, struct tls_far *tls,
                          const struct peer_events *events, void *owner);
/* In order: HTTP/2 with GOAWAY. Streams that are left hear nothing. NULL is allowed. */
void peer_destroy(struct peer *peer);
/* The same with a reset. */
void peer_abort(struct peer *peer);
/* The process hangs: nothing is read and nothing sent until it is told to go on. */
void peer_freeze(struct peer *peer, bool is_frozen);
/* The connection goes silent for ever (sim_cut) */
void peer_cut(struct peer *peer);

enum peer_version peer_version(const struct peer *peer);
size_t peer_stream_count(const struct peer *peer);
/*
 * HTTP/2 server: no more streams than those that were begun, and when they are over the connection is; HTTP/1 server: `connection: close` with the
 * next answer, and a connection without a request ends now. A client's: no more requests.
 */
void peer_drain(struct peer *peer);
/* HTTP/1 client: no request can be sent any more, or the present one is not over (unless it pipelines). */
bool peer_can_send(const struct peer *peer);
/* HTTP/1 client: peer_request takes requests behind those that have no answer yet, from now on. */
void peer_pipeline(struct peer *peer);
/* What was wrong, after on_closed with PEER_CUT_BAD; else "". Static text. */
const char *peer_fault(const struct peer *peer);

/* A request; NULL when the connection cannot take one any more. `head` is copied; `is_whole` says that no body follows. */
struct peer_stream *peer_request(struct peer *peer, const struct peer_head *head, const struct peer_stream_events *events, void *owner);
/*
 * HTTP/1 client: a request that is these bytes, right or wrong, whose answer the stream hears; peer_send_raw may add to it. Such an answer may also
 * end with the connection.
 */
struct peer_stream *peer_request_raw(struct peer *peer, struct text bytes, const struct peer_stream_events *events, void *owner);
void peer_stream_adopt(struct peer_stream *stream, const struct peer_stream_events *events, void *owner);
/* An answer's head (1xx too). */
void peer_respond(struct peer_stream *stream, const struct peer_head *head);
/* Returns how many bytes were taken (a bounded queue); on_writable follows when it was fewer. */
size_t peer_send_body(struct peer_stream *stream, struct text piece);
/* The message is whole. `trailers` may be NULL. */
void peer_send_end(struct peer_stream *stream, const struct peer_head *trailers);
/* HTTP/2: RST_STREAM with the code; HTTP/1: the connection is aborted (on_closed follows). The stream is released. */
void peer_stream_reset(struct peer_stream *stream, uint32_t code);
/*
 * HTTP/2 server: GOAWAY with the code, this stream and later ones were not looked at, earlier ones go on. The stream is released; those that were
 * begun after it are cut (PEER_CUT_REFUSED_STREAM). HTTP/1: as peer_stream_reset.
 */
void peer_go_away_before(struct peer_stream *stream, uint32_t code);
/* HTTP/2: the code of the RST_STREAM that came. */
uint32_t peer_stream_code(const struct peer_stream *stream);
/* Nothing is read for this stream (HTTP/1: from the connection) until it is told to go on. */
void peer_stream_pause(struct peer_stream *stream, bool is_paused);
/*
 * Done with it. What is not over is cut off: HTTP/2 by RST_STREAM CANCEL (a server that has said its whole answer: NO_ERROR behind it), HTTP/1 by
 * closing the connection behind what was sent (on_closed follows).
 */
void peer_stream_release(struct peer_stream *stream);
/* Bytes as they are, for those who misbehave. What then comes to an HTTP/1 client without a request is not judged. */
void peer_send_raw(struct peer *peer, struct text bytes);
/* FIN behind what was sent. */
void peer_half_close(struct peer *peer);

#endif
