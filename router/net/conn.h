#ifndef SLUICE_NET_CONN_H
#define SLUICE_NET_CONN_H
/*
 * A byte connection: a non-blocking socket, what was read and not yet understood, what is to be written.
 *
 * The owner makes one with conn_accept or conn_connect and gets events from the loop only, never from inside a command. It ends
 * a conn with conn_close (at once, no event follows) or with conn_finish (after the output has gone out and the other side has had
 * time to read it; only on_finished follows). The memory goes to the loop's grave.
 *
 * Reading: bytes arrive in a buffer that all conns of the loop share; what the owner leaves unconsumed is kept by the conn (and
 * only then does it own memory for input). Writing: output gathers during an event and goes out in one write at its end.

 * With TLS (conn_settings.tls) all of this is said of the plain text; the handshake goes before on_connected, and bytes that are counted
 * as sent are those on the wire.
 *
 * System calls on the hot path: one read and one write per message. Read interest stays registered; only back-pressure
 * (conn_pause) and a full socket buffer touch epoll.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fault.h"
#include "base/text.h"
#include "net/address.h"
#include "net/buffer.h"

struct conn;
struct loop;
struct tls_channel;

enum conn_end {
    CONN_END_CLOSED,          /* the other side closed in order (FIN; over TLS close_notify) */
    CONN_END_RESET,           /* it reset, or writing to it failed; over TLS also a FIN without close_notify, which anybody can forge */
    CONN_END_CONNECT_REFUSED, /* conn_connect only */
    CONN_END_CONNECT_FAILED,
    CONN_END_NO_RESOURCES,    /* conn_connect only: no descriptor, port or memory here; says nothing about the other side */
    CONN_END_TLS_FAILED,      /* the handshake did not come about, or the other side took our certificate back out of it */
    CONN_END_TLS_UNVERIFIED,  /* the other side's certificate is not one that we trust */
};

struct conn_events {
    /* Connected, over TLS with the handshake done; bytes may be written. After conn_accept only with TLS, and may be NULL then. */
    void (*on_connected)(void *owner);
    /*
     * Bytes have arrived: returns how many of them are understood. The rest comes again, in front of the next arrival or after
     * conn_resume. To stop in the middle, call conn_pause and return what was consumed.
     */
    size_t (*on_bytes)(void *owner, struct text bytes);
    /* Output that had grown above the high-water mark has fallen below the low one. */
    void (*on_drained)(void *owner);
    /*
     * The other side has ended its sending (FIN): behind everything that was offered or, while reading is paused, behind bytes that wait to be
     * read (conn_unread_bytes). True: it may still read, so the conn stays open for output, and only a reset ends it; false, or NULL: it has
     * gone, and on_ended follows. The conn must be as it is when this returns. In clear text only: with TLS each end is one.
     */
    bool (*on_peer_closed)(void *owner);
    /* Nothing more will be read; the owner must close. Bytes that came before have been offered before. */
    void (*on_ended)(void *owner, enum conn_end end);
    /* What conn_finish began is over, the conn is gone. Required where conn_finish is used. */
    void (*on_finished)(void *owner);
};

struct conn_settings {
    const struct conn_events *events;
    void *owner;
    struct buffer_pool *pool;     /* ref: owner of the loop */
    size_t high_water_bytes;      /* conn_is_congested above it */
    size_t input_maximum_bytes;   /* unconsumed input kept at most; above it reading pauses until the owner consumes */
    uint64_t life_ms;             /* conn_connect: see socket_expect_life; 0: as long as the system says */
    struct tls_channel *tls;      /* taken over, whatever becomes of the conn; NULL: clear text */
};

/* What both sides agreed on in the handshake (ALPN). */
enum conn_protocol { CONN_PROTOCOL_NONE, CONN_PROTOCOL_HTTP_1_1, CONN_PROTOCOL_HTTP_2 };

/* Takes over a connected socket; NULL (and the socket is closed) when memory is out. */
struct conn *conn_accept(struct loop *loop, int fd, const struct conn_settings *settings);

/*
 * Starts to connect. NULL with *end set when the kernel refuses at once; otherwise on_connected or on_ended follows from
 * the loop. There is no timeout here: the caller has a timer.
 */
struct conn *conn_connect(struct loop *loop, const struct address *address, const struct conn_settings *settings,
                          enum conn_end *end);

/* Changes who gets the events (a link moves from dialling to serving). */
void conn_set_owner(struct conn *conn, const struct conn_events *events, void *owner);

/* Queues bytes for output; false when memory is out (the conn should then be closed). */
bool conn_write(struct conn *conn, struct text bytes) __attribute__((warn_unused_result));
/* Room to write into directly, then conn_commit; NULL when memory is out. `length` at most BUFFER_BLOCK_BYTES. */
char *conn_reserve(struct conn *conn, size_t length) __attribute__((warn_unused_result));
void conn_commit(struct conn *conn, size_t length);

/*
 * Output is usually written at the end of the event that made it. A held conn gathers it until conn_flush, for an owner that puts together what
 * many events have to say.
 */
void conn_hold(struct conn *conn);
void conn_flush(struct conn *conn);

bool conn_is_congested(const struct conn *conn);
size_t conn_output_bytes(const struct conn *conn);
/* Bytes that were read and not yet understood. */
size_t conn_input_bytes(const struct conn *conn);
/* Bytes that have come and were not read. Asks the kernel. */
size_t conn_unread_bytes(const struct conn *conn);

/*
 * Stops on_bytes. While it lasts nothing is read; the other side's going is told to an owner that has on_peer_closed, and noticed by writing
 * only for any other, which keeps a deadline. Idempotent.
 */
void conn_pause(struct conn *conn);
/* on_bytes again: once from the loop with the kept input, even if that is empty, then with what arrives. */
void conn_resume(struct conn *conn);

/* Closes at once. Output that is left is lost, and the other side sees a reset then. NULL is allowed. */
void conn_close(struct conn *conn);
/* Like conn_close, but makes the other side see a reset, so that a cut message cannot pass for a whole one. */
void conn_abort(struct conn *conn);
/*
 * Sends the remaining output, shuts the sending side down, then reads and drops what still arrives for at most `linger_ms`, and closes:
 * without this a client that is still sending loses the answer to a reset (RFC 9112 section 9.6).
 */
void conn_finish(struct conn *conn, uint64_t linger_ms);

enum conn_reading {
    CONN_READING_POSSIBLE, /* the process behind the other side may have read them, or may yet */
    CONN_READING_UNKNOWN,  /* it has closed its sending side; a reset may be on its way: ask again in a round trip */
    CONN_READING_RULED_OUT,/* it had closed before they came: provably nobody reads them */
};

/*
 * After an orderly end from the other side (CONN_END_CLOSED): can it have read anything behind the first `sent_bytes` bytes? A FIN alone
 * proves nothing, because the side that sent it may still read and its acknowledgement may be delayed; but a socket that is closed
 * both ways answers data with a reset at once and acknowledges none of it.
 */
enum conn_reading conn_may_be_read(const struct conn *conn, uint64_t sent_bytes);
/* Of all bytes that were sent, those that the other side's kernel has acknowledged; 0 when that is not known. Asks the kernel. */
uint64_t conn_acknowledged_bytes(const struct conn *conn);
/* All bytes that were handed to the kernel so far, as they are on the wire. */
uint64_t conn_sent_bytes(const struct conn *conn);

/* Acknowledge at once: for a sender that waits (Nagle) between a head and its body. */
void conn_quick_acknowledge(struct conn *conn);

const struct address *conn_remote_address(const struct conn *conn);

/* CONN_PROTOCOL_NONE without TLS, before on_connected, and when the other side asked for none. */
enum conn_protocol conn_protocol(const struct conn *conn);
bool conn_is_tls(const struct conn *conn);
/* Did the handshake continue an earlier session? */
bool conn_is_resumed(const struct conn *conn);
/* The subject of the other side's certificate on one line, or "" without one. Returns `buffer`. */
const char *conn_peer_subject(const struct conn *conn, char *buffer, size_t capacity);
/* Words for the log on an end that on_ended told; for TLS they come from the handshake. Returns `buffer`. */
const char *conn_end_reason(const struct conn *conn, enum conn_end end, char *buffer, size_t capacity);

#endif
