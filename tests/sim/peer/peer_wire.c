/* Between a peer and its socket: what comes, what leaves, and the events of the world. Everything a peer tells its owner is told from here. */
#include "peer/state.h"

#include <errno.h>

/* One event is handled at a time, so what is read is in one place for all. */
static char arrived[65536];
static char decrypted[65536];

/* ---- output ---- */

static void send_waiting(struct peer *peer, struct bytes *bytes)
{
    while (bytes_length(bytes) > 0 && peer->output == PEER_OUTPUT_FREE) {
        ptrdiff_t sent = sim_send(peer->socket, bytes_text(bytes));
        if (sent > 0)
            bytes_drop(bytes, (size_t)sent);
        else
            peer->output = sent == 0 || errno == EAGAIN ? PEER_OUTPUT_BLOCKED : PEER_OUTPUT_BROKEN;
    }
}

/* False: there is nothing more to encrypt, or no room for it. */
static bool encrypt_some(struct peer *peer)
{
    struct bytes *wire = tls_end_wire(peer->tls);
    if (bytes_length(&peer->out) == 0 || bytes_length(wire) >= PEER_QUEUE_BYTES || peer->state <= PEER_SECURING)
        return false;
    struct text piece = bytes_text(&peer->out);
    piece.length = piece.length < TLS_RECORD_BYTES ? piece.length : TLS_RECORD_BYTES;
    tls_end_write(peer->tls, piece);
    bytes_drop(&peer->out, piece.length);
    return true;
}

static void send_out(struct peer *peer)
{
    if (peer->tls == NULL) {
        send_waiting(peer, &peer->out);
        return;
    }
    do {
        while (encrypt_some(peer)) {
        }
        send_waiting(peer, tls_end_wire(peer->tls));
    } while (bytes_length(&peer->out) > 0 && peer->output == PEER_OUTPUT_FREE && peer->state > PEER_SECURING);
}

static bool has_output(const struct peer *peer)
{
    return bytes_length(&peer->out) > 0 || (peer->tls != NULL && bytes_length(tls_end_wire(peer->tls)) > 0);
}

/* The FIN that was asked for, behind what was sent. */
static void send_fin(struct peer *peer)
{
    if (peer->half != PEER_HALF_ASKED || has_output(peer) || peer->state == PEER_CONNECTING)
        return;
    if (peer->tls != NULL) {
        tls_end_close(peer->tls);
        send_waiting(peer, tls_end_wire(peer->tls));
        if (has_output(peer) && peer->output != PEER_OUTPUT_BROKEN)
            return;
    }
    peer->half = PEER_HALF_CLOSED;
    sim_shut_down(peer->socket);
}

void peer_flush(struct peer *peer)
{
    if (peer->socket == NULL || peer->is_frozen || peer->state == PEER_CONNECTING)
        return;
    bool is_ready = peer->codec != NULL && peer->state > PEER_SECURING && peer->state <= PEER_FINISHING;
    do {
        send_out(peer);
    } while (is_ready && peer->output == PEER_OUTPUT_FREE && bytes_length(&peer->out) == 0 && peer->codec->produce(peer));
    /* What cannot arrive is forgotten; why, the reading side finds out. */
    if (peer->output == PEER_OUTPUT_BROKEN) {
        bytes_clear(&peer->out);
        if (peer->tls != NULL)
            bytes_clear(tls_end_wire(peer->tls));
    }
    send_fin(peer);
}

/* ---- input ---- */

/* Above zero: so many bytes; 0: the end; -1: EAGAIN and the like. */
static ptrdiff_t read_some(struct peer *peer, char **bytes)
{
    *bytes = arrived;
    if (peer->tls == NULL)
        return sim_receive(peer->socket, arrived, sizeof arrived);
    *bytes = decrypted;
    for (;;) {
        ptrdiff_t plain = tls_end_read(peer->tls, decrypted, sizeof decrypted);
        if (plain >= 0 || errno != EAGAIN)
            return plain;
        ptrdiff_t count = sim_receive(peer->socket, arrived, sizeof arrived);
        if (count < 0)
            return count;
        if (count == 0) {
            /* Cut without a word: whoever does that has not said its last. */
            errno = ECONNRESET;
            return -1;
        }
        tls_end_feed(peer->tls, text_of(arrived, (size_t)count));
    }
}

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
#define PREFACE_BYTES (sizeof preface - 1)

/* Which version a server's first bytes are; what came meanwhile waits. */
static void sniff(struct peer *peer, char *bytes, size_t length)
{
    bytes_add(&peer->in, text_of(bytes, length));
    size_t count = bytes_length(&peer->in);
    bool is_preface = memcmp(bytes_first(&peer->in), preface, count < PREFACE_BYTES ? count : PREFACE_BYTES) == 0;
    if (is_preface && count < PREFACE_BYTES)
        return;
    if (is_preface && peer->version == PEER_HTTP_1) {
        /* As HTTP/1.1 servers do: they do not answer it. */
        peer_finish(peer, PEER_CUT_CLOSED);
        return;
    }
    peer_choose(peer, is_preface ? PEER_HTTP_2 : PEER_HTTP_1);
    struct bytes first = peer->in;
    peer->in = (struct bytes){0};
    peer->codec->on_input(peer, bytes_first(&first), count);
    bytes_clear(&first);
}

static void take_input(struct peer *peer, char *bytes, size_t length)
{
    if (peer->state == PEER_SNIFFING)
        sniff(peer, bytes, length);
    else if (peer->state == PEER_OPEN)
        peer->codec->on_input(peer, bytes, length);
}

static void on_read_error(struct peer *peer, int error)
{
    if (error == EAGAIN && peer->output == PEER_OUTPUT_BROKEN)
        peer_end(peer, PEER_CUT_RESET);
    else if (error == EPROTO)
        peer_break(peer, "TLS");
    else if (error != EAGAIN)
        peer_end(peer, PEER_CUT_RESET);
}

static bool can_read(const struct peer *peer)
{
    bool wants = peer->state == PEER_SNIFFING || (peer->state == PEER_OPEN && peer->codec->wants_input(peer));
    return wants && !peer->is_frozen && peer->socket != NULL && peer->input == PEER_INPUT_WAITS;
}

static void read_all(struct peer *peer)
{
    while (can_read(peer)) {
        char *bytes;
        ptrdiff_t count = read_some(peer, &bytes);
        if (count > 0) {
            take_input(peer, bytes, (size_t)count);
            continue;
        }
        int error = errno;
        peer->input = PEER_INPUT_NONE;
        /* The error of a reset is told once, and sending may have heard it. */
        if (count < 0 || peer->output == PEER_OUTPUT_BROKEN)
            on_read_error(peer, count < 0 ? error : ECONNRESET);
        else if (peer->state == PEER_OPEN)
            peer->codec->on_input_end(peer);
        else
            peer_end(peer, PEER_CUT_CLOSED);
    }
}

/* ---- TLS ---- */

static void shake_hands(struct peer *peer)
{
    while (peer->state == PEER_SECURING && !peer->is_frozen) {
        enum tls_progress progress = tls_end_handshake(peer->tls);
        if (progress == TLS_DONE) {
            enum peer_version version = tls_end_version(peer->tls);
            peer->state = PEER_OPEN;
            /* Whoever knows no ALPN speaks HTTP/1.1. */
            if (peer->side == PEER_CLIENT && (version == 0 ? PEER_HTTP_1 : version) != peer->version)
                peer_break(peer, "the protocol of ALPN");
            else if (peer->side == PEER_SERVER && version == 0)
                peer->state = PEER_SNIFFING;
            else if (peer->side == PEER_SERVER)
                peer_choose(peer, version);
            return;
        }
        ptrdiff_t count = progress == TLS_WAITS ? sim_receive(peer->socket, arrived, sizeof arrived) : -1;
        int error = progress == TLS_WAITS ? errno : progress == TLS_REFUSED ? ECONNRESET : EPROTO;
        if (count > 0) {
            tls_end_feed(peer->tls, text_of(arrived, (size_t)count));
            continue;
        }
        if (count < 0 && error == EAGAIN)
            peer->input = PEER_INPUT_NONE;
        if (count == 0)
            peer_end(peer, PEER_CUT_CLOSED);
        else
            on_read_error(peer, error);
        return;
    }
}

/* ---- events ---- */

/* One stream is told in an event, because then any may be gone; the others have a turn of their own. */
static void tell_room(struct peer *peer)
{
    if (peer->wanting == 0)
        return;
    peer->wanting = 0;
    struct peer_stream *told = NULL;
    for (struct list_node *node = peer->streams.head.next; node != &peer->streams.head; node = node->next) {
        struct peer_stream *stream = LIST_OWNER(node, struct peer_stream, place);
        peer->wanting += stream->wants_room;
        if (told == NULL && stream->wants_room && peer->codec->has_room(stream))
            told = stream;
    }
    if (told == NULL)
        return;
    told->wants_room = false;
    sim_timer_in(&peer->turn, 0);
    if (told->events != NULL && told->events->on_writable != NULL)
        told->events->on_writable(told->owner);
}

static void settle(struct peer *peer)
{
    if (peer->is_frozen)
        return;
    if (peer->state == PEER_SECURING)
        shake_hands(peer);
    if (peer->codec != NULL && peer->state == PEER_OPEN)
        peer->codec->go_on(peer);
    read_all(peer);
    peer_flush(peer);
    if (peer->output == PEER_OUTPUT_BROKEN && peer_is_alive(peer)) {
        peer->input = PEER_INPUT_WAITS;
        read_all(peer);
    }
    if (peer->codec != NULL && peer->state == PEER_OPEN)
        tell_room(peer);
    peer_flush(peer);
    bool is_done = peer->socket == NULL || !has_output(peer) || peer->output == PEER_OUTPUT_BROKEN;
    if (peer->state == PEER_FINISHING && is_done) {
        if (peer->socket != NULL && peer->half == PEER_HALF_NO) {
            peer->half = PEER_HALF_ASKED;
            send_fin(peer);
        }
        peer_end(peer, peer->why);
    }
}

/* Whatever the world tells a peer ends up here. */
static void handle(struct peer *peer)
{
    peer->is_busy = true;
    settle(peer);
    peer->is_busy = false;
    for (struct list_node *node; (node = list_take_first(&peer->buried)) != NULL;)
        far_stream_free(LIST_OWNER(node, struct peer_stream, place));
    if (peer->state == PEER_GONE)
        peer_free_gone(peer);
}

static void on_connected(void *owner)
{
    struct peer *peer = owner;
    if (peer->state == PEER_CONNECTING)
        peer->state = peer->tls != NULL ? PEER_SECURING : PEER_OPEN;
    handle(peer);
}

static void on_readable(void *owner)
{
    struct peer *peer = owner;
    peer->input = PEER_INPUT_WAITS;
    handle(peer);
}

static void on_writable(void *owner)
{
    struct peer *peer = owner;
    if (peer->output == PEER_OUTPUT_BLOCKED)
        peer->output = PEER_OUTPUT_FREE;
    handle(peer);
}

static void on_connect_failed(void *owner, int error)
{
    (void)error;
    struct peer *peer = owner;
    sim_close(peer->socket);
    peer->socket = NULL;
    peer_finish(peer, PEER_CUT_CONNECT_FAILED);
    handle(peer);
}

const struct sim_socket_events peer_socket_events = {
    .on_connected = on_connected,
    .on_readable = on_readable,
    .on_writable = on_writable,
    .on_connect_failed = on_connect_failed,
};

void peer_on_turn(void *owner)
{
    handle(owner);
}

void peer_touch(struct peer *peer)
{
    if (!peer->is_busy && !peer->is_frozen && !sim_timer_is_set(&peer->turn))
        sim_timer_in(&peer->turn, 0);
}
