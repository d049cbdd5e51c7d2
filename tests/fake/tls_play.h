#ifndef SLUICE_FAKE_TLS_PLAY_H
#define SLUICE_FAKE_TLS_PLAY_H
/*
 * A client's and a server's TLS, joined by hand: what one has for the wire is fed to the other, whole or in pieces of any size. No
 * socket is needed, and nothing happens by itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/buffer.h"
#include "net/tls_channel.h"
#include "net/tls_client.h"
#include "net/tls_server.h"

#define PLAIN_BYTES (2 * 65536)
#define IN_TLS(name) "build/test-tls/" name

struct tls_play {
    struct buffer_pool pool;
    struct tls_channel *client;
    struct tls_channel *server;
    char client_got[PLAIN_BYTES];
    size_t client_length;
    char server_got[PLAIN_BYTES];
    size_t server_length;
};

static inline void make_certificates(void)
{
    if (system("tests/certificates.sh") != 0)
        fail_msg("tests/certificates.sh failed; the tests run in the project's folder");
}

static inline struct tls_server *server_with(struct tls_server_settings settings)
{
    char reason[512] = "";
    struct tls_server *server = tls_server_create(&settings, reason, sizeof reason);
    if (server == NULL)
        fail_msg("no server: %s", reason);
    return server;
}

static inline struct tls_client *client_with(struct tls_client_settings settings)
{
    char reason[512] = "";
    struct tls_client *client = tls_client_create(&settings, reason, sizeof reason);
    if (client == NULL)
        fail_msg("no client: %s", reason);
    return client;
}

/* Takes both channels over. */
static inline void play_begin(struct tls_play *play, struct tls_channel *client, struct tls_channel *server)
{
    memset(play, 0, sizeof *play);
    assert_non_null(client);
    assert_non_null(server);
    play->client = client;
    play->server = server;
    tls_channel_attach(client, &play->pool, -1);
    tls_channel_attach(server, &play->pool, -1);
}

static inline void play_end(struct tls_play *play)
{
    tls_channel_destroy(play->client);
    tls_channel_destroy(play->server);
    buffer_pool_clear(&play->pool);
}

/* One side takes what was fed. */
static inline void play_step(struct tls_channel *channel, char *got, size_t *length)
{
    if (tls_channel_state(channel) == TLS_HANDSHAKING)
        tls_channel_handshake(channel);
    if (tls_channel_state(channel) == TLS_OPEN)
        *length += tls_channel_read(channel, got + *length, PLAIN_BYTES - *length);
}

/* Moves up to `piece` bytes at a time; true when anything moved. */
static inline bool play_move(struct tls_channel *from, struct tls_channel *to, size_t piece, char *got, size_t *length)
{
    bool has_moved = false;
    struct buffer *wire = tls_channel_wire(from);
    while (wire->length > 0) {
        struct text bytes = buffer_first(wire);
        if (bytes.length > piece)
            bytes.length = piece;
        tls_channel_feed(to, bytes);
        play_step(to, got, length);
        buffer_consume(wire, bytes.length);
        has_moved = true;
    }
    return has_moved;
}

/* Until neither side has anything to say. */
static inline void play_settle(struct tls_play *play, size_t piece)
{
    tls_channel_feed(play->client, TEXT_EMPTY);
    play_step(play->client, play->client_got, &play->client_length);
    bool has_moved = true;
    while (has_moved) {
        has_moved = play_move(play->client, play->server, piece, play->server_got, &play->server_length);
        has_moved = play_move(play->server, play->client, piece, play->client_got, &play->client_length) || has_moved;
    }
}

static inline void play_write(struct tls_play *play, struct tls_channel *from, struct text bytes)
{
    struct buffer output;
    buffer_init(&output, &play->pool);
    assert_true(buffer_append(&output, bytes));
    while (output.length > 0) {
        assert_true(tls_channel_write(from, &output));
        play_settle(play, SIZE_MAX);
    }
    buffer_clear(&output);
}

/* A whole connection to a peer, with its tickets taken in; the caller ends it. */
static inline void play_connect(struct tls_play *play, struct tls_peer *peer, struct tls_server *server)
{
    play_begin(play, tls_peer_open(peer, TLS_OFFER_BOTH), tls_server_open(server));
    play_settle(play, SIZE_MAX);
}

/* The common name of the certificate that a client sees: which one the server has chosen. */
static inline void assert_shown(const struct tls_play *play, const char *subject)
{
    char buffer[128];
    assert_string_equal(tls_channel_subject(play->client, buffer, sizeof buffer), subject);
}

static inline void assert_both(const struct tls_play *play, enum tls_state state)
{
    assert_int_equal(tls_channel_state(play->client), state);
    assert_int_equal(tls_channel_state(play->server), state);
}

/* Copies a file, so that a test may change it; `path` is written as a new file, as deployment tools do it. */
static inline void copy_file(const char *from, const char *path)
{
    char command[512];
    snprintf(command, sizeof command, "cp %s %s.new && mv %s.new %s", from, path, path, path);
    assert_int_equal(system(command), 0);
}

#endif
