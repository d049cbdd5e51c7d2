#include "net/conn_output.h"

#include <errno.h>

#include "net/socket.h"

#define WRITE_PIECES 16

static void shut_down_output(struct conn *conn)
{
    conn_enter(conn, CONN_LINGERING);
    socket_shut_down_sending(conn->fd);
    if (conn->linger_ms == 0 || conn->input_state == CONN_INPUT_CLOSED)
        conn_complete_finish(conn);
    else
        loop_timer_set(conn->loop, &conn->linger_timer, loop_now_ms(conn->loop) + conn->linger_ms);
}

static void after_output(struct conn *conn)
{
    if (conn->was_congested && conn->output.length <= conn->high_water_bytes / 2) {
        conn->was_congested = false;
        if (conn->state == CONN_OPEN && conn->events->on_drained != NULL)
            conn->events->on_drained(conn->owner);
    }
    if (conn->state == CONN_FINISHING && !conn_has_unsent(conn))
        shut_down_output(conn);
}

/* The queue that goes to the socket: with TLS what is encrypted, which is filled up first. NULL: encrypting failed. */
static struct buffer *next_output(struct conn *conn)
{
    if (conn->tls == NULL)
        return &conn->output;
    if (conn->state != CONN_HANDSHAKING && !tls_channel_write(conn->tls, &conn->output))
        return NULL;
    if (conn->state == CONN_FINISHING && conn->output.length == 0)
        tls_channel_close(conn->tls);
    return tls_channel_wire(conn->tls);
}

/* Nothing can be written any more. Only from the loop. */
static void fail_output(struct conn *conn)
{
    buffer_clear(&conn->output);
    if (conn->tls != NULL)
        buffer_clear(tls_channel_wire(conn->tls));
    if (conn->state == CONN_FINISHING)
        conn_complete_finish(conn);
    /* What the other side said before it closed may still wait to be read; reading comes to the same end by itself. */
    else if (conn->input_state != CONN_INPUT_FLOWING)
        conn_end_with(conn, CONN_END_RESET);
}

/* Writes what the socket takes. Waiting for room costs an epoll registration, so it is asked for only when the socket is full. */
void conn_run_flush(void *owner)
{
    struct conn *conn = owner;
    if (conn->state == CONN_CONNECTING || conn->state == CONN_LINGERING || conn_is_over(conn))
        return;
    struct buffer *output;
    while ((output = next_output(conn)) != NULL && output->length > 0) {
        struct iovec pieces[WRITE_PIECES];
        int count = buffer_peek(output, pieces, WRITE_PIECES);
        ptrdiff_t written = socket_send(conn->fd, pieces, count);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS)) {
            watch_add(&conn->writable);
            break;
        }
        if (written < 0) {
            /* EPIPE is different: the other side closed in order first, and everything it acknowledged is known. */
            if (errno != EPIPE)
                conn->fin_means = CONN_END_RESET;
            fail_output(conn);
            return;
        }
        conn->sent_bytes += (uint64_t)written;
        if (conn->state == CONN_FINISHING)
            loop_timer_set(conn->loop, &conn->linger_timer, loop_now_ms(conn->loop) + CONN_FINISH_MS);
        buffer_consume(output, (size_t)written);
    }
    if (output == NULL) {
        conn->fin_means = CONN_END_RESET;
        fail_output(conn);
        if (conn->state != CONN_CLOSED)
            conn_end_with(conn, CONN_END_RESET);
        return;
    }
    if (conn->tls != NULL && tls_channel_is_blocked(conn->tls)) {
        watch_add(&conn->writable);
        /* Nothing but room in the socket brings us here while finishing: the other side has taken something. */
        if (conn->state == CONN_FINISHING)
            loop_timer_set(conn->loop, &conn->linger_timer, loop_now_ms(conn->loop) + CONN_FINISH_MS);
    }
    after_output(conn);
}

/* ---- becoming open ---- */

void conn_send_alert(struct conn *conn)
{
    struct buffer *wire = tls_channel_wire(conn->tls);
    struct iovec pieces[WRITE_PIECES];
    int count = buffer_peek(wire, pieces, WRITE_PIECES);
    ptrdiff_t written = count == 0 ? 0 : socket_send(conn->fd, pieces, count);
    if (written > 0)
        buffer_consume(wire, (size_t)written);
}

static void enter_open(struct conn *conn)
{
    conn_enter(conn, CONN_OPEN);
    if (conn->events->on_connected != NULL)
        conn->events->on_connected(conn->owner);
    if (conn->state == CONN_OPEN && conn_has_unsent(conn))
        loop_defer(conn->loop, &conn->flush_task);
}

void conn_step_handshake(struct conn *conn)
{
    enum tls_state state = tls_channel_handshake(conn->tls);
    if (state == TLS_OPEN) {
        enter_open(conn);
    } else if (state == TLS_HANDSHAKING) {
        loop_defer(conn->loop, &conn->flush_task);
    } else {
        conn_send_alert(conn);
        conn_end_with(conn, state == TLS_UNVERIFIED ? CONN_END_TLS_UNVERIFIED : CONN_END_TLS_FAILED);
    }
}

/* There is a connection: the conn is open, or its handshake begins. */
static void enter_connected(struct conn *conn)
{
    if (conn->tls == NULL) {
        enter_open(conn);
    } else {
        conn_enter(conn, CONN_HANDSHAKING);
        conn_step_handshake(conn);
    }
}

void conn_on_writable(int fd, short what, void *argument)
{
    (void)what;
    struct conn *conn = argument;
    if (conn_is_over(conn))
        return;
    loop_enter(conn->loop);
    if (conn->state == CONN_CONNECTING) {
        int error = socket_error(fd);
        if (error != 0) {
            conn_end_with(conn, error == ECONNREFUSED ? CONN_END_CONNECT_REFUSED : CONN_END_CONNECT_FAILED);
        } else {
            watch_add(&conn->readable);
            enter_connected(conn);
        }
    } else {
        if (conn->state == CONN_HANDSHAKING && tls_channel_is_blocked(conn->tls))
            conn_step_handshake(conn);
        conn_run_flush(conn);
    }
    loop_leave(conn->loop);
}
