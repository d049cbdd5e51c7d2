#ifndef SLUICE_NET_TLS_CHANNEL_H
#define SLUICE_NET_TLS_CHANNEL_H
/*
 * The TLS of one connection, as a transformer between bytes and bytes: it knows no socket and never blocks. What arrived is fed to it and
 * comes out as plain text; what is to be sent goes in as plain text and gathers in `wire`, which the conn sends in one write. So a
 * flight of the handshake, or a session ticket with the answer behind it, costs one system call, and neither direction ever waits for
 * the other one.
 *
 * With kTLS (tls_server_settings.kernel) it is different once the handshake is done: what is written goes straight to the socket, which the
 * kernel then encrypts, and a full socket makes the channel blocked.
 *
 * Made by tls_server_open or tls_peer_open, owned by a conn (conn_settings.tls), destroyed by it. All calls come from the loop's thread.
 *
 *   attach -> feed, handshake (until OPEN or FAILED) -> feed, read | write ... -> close -> destroy
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "net/buffer.h"

struct ssl_st;
struct tls_channel;

enum tls_state {
    TLS_HANDSHAKING,
    TLS_OPEN,
    TLS_ENDED,      /* the other side has said close_notify: nothing more comes, and nothing is missing */
    TLS_FAILED,     /* not TLS, not acceptable, or broken off; see tls_channel_describe */
    TLS_UNVERIFIED, /* the other side's certificate is not one that we trust */
};

/*
 * Takes over `ssl`, which knows its role already; `kernel`: the kernel may encrypt where it can. NULL (and it is freed) when memory is out.
 * For tls_server.c and tls_client.c.
 */
struct tls_channel *tls_channel_create(struct ssl_st *ssl, bool kernel);
/* NULL is allowed. */
void tls_channel_destroy(struct tls_channel *channel);

/* Before anything else, by the conn that takes it over: where the memory of `wire` comes from, and the connected socket, or -1. */
void tls_channel_attach(struct tls_channel *channel, struct buffer_pool *pool, int fd);

/* Bytes from the other side; they must stay until handshake or read have taken them, which they do in full. */
void tls_channel_feed(struct tls_channel *channel, struct text bytes);

/* Goes as far as the bytes that were fed allow; leaves its own flight in `wire`. */
enum tls_state tls_channel_handshake(struct tls_channel *channel);

/*
 * Turns all that was fed into plain text, given room for it: what was fed and one record (16 KiB) that was incomplete before.
 * Text that came before an end or a failure is delivered first;
 * tls_channel_state tells of the latter.
 */
size_t tls_channel_read(struct tls_channel *channel, char *plain, size_t capacity);

/* Moves output into `wire` until the first is empty, the second is full enough, or it is blocked; false when it cannot be done any more. */
bool tls_channel_write(struct tls_channel *channel, struct buffer *output) __attribute__((warn_unused_result));

/* kTLS only: the socket is full; what was tried last is to be tried again when it is writable. */
bool tls_channel_is_blocked(const struct tls_channel *channel);
/* kTLS only: the bytes that went to the socket past `wire`. */
uint64_t tls_channel_direct_bytes(const struct tls_channel *channel);

/* Puts close_notify behind what is in `wire`; once. */
void tls_channel_close(struct tls_channel *channel);

/*
 * After a failure: did the other side turn us away for our certificate? Over TLS 1.3 it can do so only after our handshake is done; as it
 * was its first word, it has acted on nothing that we sent.
 */
bool tls_channel_was_refused(const struct tls_channel *channel);

/* What is to be sent; the conn takes it off the front. */
struct buffer *tls_channel_wire(struct tls_channel *channel);
enum tls_state tls_channel_state(const struct tls_channel *channel);

/* ---- once it is open ---- */

/* The protocol that both agreed on, or the empty text. */
struct text tls_channel_protocol(const struct tls_channel *channel);
/* Did the handshake continue an earlier session? */
bool tls_channel_is_resumed(const struct tls_channel *channel);
/* The subject of the other side's certificate on one line ("CN=telegraf,O=plant"), or "". Returns `buffer`. */
const char *tls_channel_subject(const struct tls_channel *channel, char *buffer, size_t capacity);
/* After a failure: what it was, in a few words for the log. Returns `buffer`. */
const char *tls_channel_describe(const struct tls_channel *channel, char *buffer, size_t capacity);

#endif
