#include "net/conn_input.h"

#include <errno.h>

#include "net/conn_output.h"
#include "net/socket.h"

/* While lingering: a client that goes on sending more than this does not read. */
#define LINGER_BYTES (4 * 1024 * 1024)

void conn_pause(struct conn *conn)
{
    if (conn->state != CONN_OPEN || conn->input_state != CONN_INPUT_FLOWING)
        return;
    conn->input_state = CONN_INPUT_PAUSED;
    watch_remove(&conn->readable);
    /* It stays for as long as it tells nothing, so a conn that is paused again and again pays once. */
    if (conn->events->on_peer_closed != NULL)
        end_watch_add(&conn->ended, false);
}

/* The other side has ended its sending: does the owner still have something to say to it? */
static bool stays_open(struct conn *conn)
{
    return conn->state == CONN_OPEN && conn->tls == NULL && conn->events->on_peer_closed != NULL &&
           conn->events->on_peer_closed(conn->owner);
}

void conn_on_peer_end(void *owner, bool is_reset)
{
    struct conn *conn = owner;
    /* While it reads, reading tells, behind what came before. */
    if (conn->state != CONN_OPEN || conn->input_state == CONN_INPUT_FLOWING)
        return;
    loop_enter(conn->loop);
    if (is_reset)
        conn_end_with(conn, CONN_END_RESET);
    else if (stays_open(conn))
        end_watch_add(&conn->ended, true);
    else
        conn_end_with(conn, conn->fin_means);
    loop_leave(conn->loop);
}

/* Offers bytes to the owner and keeps the rest. */
static void offer(struct conn *conn, struct text bytes)
{
    size_t consumed = conn->events->on_bytes(conn->owner, bytes);
    if (conn->state == CONN_CLOSED)
        return;
    if (conn->state != CONN_OPEN) {
        input_clear(&conn->input);
        return;
    }
    /* After a pause the input may be empty, and have no place either. */
    struct text rest = consumed == 0 ? bytes : text_of(bytes.bytes + consumed, bytes.length - consumed);
    if (!input_keep(&conn->input, rest))
        conn_end_with(conn, CONN_END_RESET);
    else if (rest.length >= conn->input_maximum_bytes)
        conn_pause(conn);
}

/* Offers what was read, behind the kept input if there is any. Only what TLS had decrypted already can come during a pause. */
static void offer_fresh(struct conn *conn, struct text fresh)
{
    if (conn->input.length == 0 && conn->input_state == CONN_INPUT_FLOWING)
        offer(conn, fresh);
    else if (!input_append(&conn->input, fresh))
        conn_end_with(conn, CONN_END_RESET);
    else if (conn->input_state == CONN_INPUT_FLOWING)
        offer(conn, input_text(&conn->input));
}

/* What was said before the end of the TLS session has been offered; a pause puts the news off. */
static void note_tls_end(struct conn *conn)
{
    if (conn->tls == NULL || conn->state != CONN_OPEN || conn->input_state == CONN_INPUT_PAUSED)
        return;
    enum tls_state state = tls_channel_state(conn->tls);
    if (state == TLS_OPEN)
        return;
    if (state != TLS_ENDED)
        conn_send_alert(conn);
    if (tls_channel_was_refused(conn->tls))
        conn_end_with(conn, CONN_END_TLS_FAILED);
    else
        conn_end_with(conn, state == TLS_ENDED ? CONN_END_CLOSED : CONN_END_RESET);
}

/*
 * Requests for new keys and their like cost us work and an answer each, and show nobody above that anything has come. A peer that
 * sends this much of them, or takes none of the answers, is no peer.
 */
#define SILENT_MAXIMUM_BYTES 65536
#define WIRE_MAXIMUM_BYTES (256 * 1024)

static bool is_flooding(struct conn *conn, size_t raw_bytes, size_t plain_bytes)
{
    conn->silent_bytes = plain_bytes > 0 ? 0 : conn->silent_bytes + raw_bytes;
    return conn->silent_bytes > SILENT_MAXIMUM_BYTES || tls_channel_wire(conn->tls)->length > WIRE_MAXIMUM_BYTES;
}

static void take_encrypted(struct conn *conn, struct text raw)
{
    tls_channel_feed(conn->tls, raw);
    if (conn->state == CONN_HANDSHAKING)
        conn_step_handshake(conn);
    if (conn->state != CONN_OPEN)
        return;
    char *plain = loop_scratch(conn->loop);
    size_t length = tls_channel_read(conn->tls, plain, LOOP_SCRATCH_BYTES);
    if (is_flooding(conn, raw.length, length)) {
        conn_end_with(conn, CONN_END_RESET);
        return;
    }
    if (tls_channel_wire(conn->tls)->length > 0)
        loop_defer(conn->loop, &conn->flush_task);
    if (length > 0)
        offer_fresh(conn, text_of(plain, length));
    note_tls_end(conn);
}

void conn_run_input(void *owner)
{
    struct conn *conn = owner;
    if (conn->state != CONN_OPEN || conn->input_state == CONN_INPUT_PAUSED)
        return;
    offer(conn, input_text(&conn->input));
    note_tls_end(conn);
}

static void drop_lingering(struct conn *conn, size_t length)
{
    conn->lingered_bytes += length;
    if (conn->lingered_bytes > LINGER_BYTES)
        conn_complete_finish(conn);
}

/* Reading gave no byte but an end or an error. */
static void end_input(struct conn *conn, bool is_orderly)
{
    if (conn_is_finishing(conn)) {
        /* The other side has closed while we finish: it may still read what we have for it. */
        conn->input_state = CONN_INPUT_CLOSED;
        if (conn->state == CONN_LINGERING)
            conn_complete_finish(conn);
        else
            watch_remove(&conn->readable);
    } else if (conn->state == CONN_HANDSHAKING) {
        conn_end_with(conn, CONN_END_TLS_FAILED);
    } else if (is_orderly && conn->fin_means == CONN_END_CLOSED && stays_open(conn)) {
        conn->input_state = CONN_INPUT_CLOSED;
        watch_remove(&conn->readable);
        end_watch_add(&conn->ended, true);
    } else {
        conn_end_with(conn, is_orderly ? conn->fin_means : CONN_END_RESET);
    }
}

void conn_on_readable(int fd, short what, void *argument)
{
    (void)what;
    struct conn *conn = argument;
    if (conn_is_over(conn))
        return;
    loop_enter(conn->loop);
    bool is_clear = conn->tls == NULL;
    char *bytes = is_clear ? loop_scratch(conn->loop) : loop_raw(conn->loop);
    ptrdiff_t length = socket_receive(fd, bytes, is_clear ? LOOP_SCRATCH_BYTES : LOOP_RAW_BYTES);
    if (length == 0 || (length < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
        end_input(conn, length == 0);
    else if (length > 0 && conn_is_finishing(conn))
        drop_lingering(conn, (size_t)length);
    else if (length > 0 && is_clear)
        offer_fresh(conn, text_of(bytes, (size_t)length));
    else if (length > 0)
        take_encrypted(conn, text_of(bytes, (size_t)length));
    loop_leave(conn->loop);
}
