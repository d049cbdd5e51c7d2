#include "net/conn.h"

#include <errno.h>
#include <stdlib.h>

#include "net/conn_input.h"
#include "net/conn_output.h"
#include "net/conn_state.h"
#include "net/socket.h"

static void on_linger_deadline(void *owner)
{
    conn_complete_finish(owner);
}

/* ---- life ---- */

/* NULL, and everything that it would have owned is gone, when memory is out. */
static struct conn *create_conn(struct loop *loop, int fd, const struct conn_settings *settings)
{
    struct conn *conn = calloc(1, sizeof *conn);
    if (conn == NULL) {
        tls_channel_destroy(settings->tls);
        socket_close(fd);
        return NULL;
    }
    conn->loop = loop;
    conn->fd = fd;
    conn->events = settings->events;
    conn->owner = settings->owner;
    conn->high_water_bytes = settings->high_water_bytes;
    conn->input_maximum_bytes = settings->input_maximum_bytes;
    conn->tls = settings->tls;
    conn->fin_means = conn->tls == NULL ? CONN_END_CLOSED : CONN_END_RESET;
    if (conn->tls != NULL)
        tls_channel_attach(conn->tls, settings->pool, fd);
    buffer_init(&conn->output, settings->pool);
    conn->input.account = loop_account(loop);
    loop_task_init(&conn->flush_task, conn_run_flush, conn);
    loop_task_init(&conn->input_task, conn_run_input, conn);
    loop_task_init(&conn->end_task, conn_run_end, conn);
    loop_timer_init(&conn->linger_timer, on_linger_deadline, conn);
    watch_init(&conn->readable, loop_poller(loop), fd, WATCH_READABLE, conn_on_readable, conn);
    watch_init(&conn->writable, loop_poller(loop), fd, WATCH_WRITABLE, conn_on_writable, conn);
    end_watch_init(&conn->ended, loop_poller(loop), fd, conn_on_peer_end, conn);
    return conn;
}

static bool is_own_shortage(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM || error == EAGAIN ||
           error == EADDRNOTAVAIL;
}

struct conn *conn_accept(struct loop *loop, int fd, const struct conn_settings *settings)
{
    struct conn *conn = create_conn(loop, fd, settings);
    if (conn == NULL)
        return NULL;
    socket_no_delay(fd);
    conn_enter(conn, conn->tls == NULL ? CONN_OPEN : CONN_HANDSHAKING);
    socket_peer(fd, &conn->remote);
    watch_add(&conn->readable);
    return conn;
}

/* When the other side's kernel is asked whether it is there. */
#define LIFE_IDLE_MS 5000

/* A socket that connects, or -1 with *end. */
static int begin_connect(const struct address *address, uint64_t life_ms, enum conn_end *end)
{
    *end = CONN_END_NO_RESOURCES;
    int fd = socket_open(address->socket.any.sa_family);
    if (fd < 0)
        return -1;
    socket_no_delay(fd);
    socket_expect_life(fd, LIFE_IDLE_MS, life_ms);
    int error = socket_connect(fd, address);
    if (error == 0)
        return fd;
    if (!is_own_shortage(error))
        *end = error == ECONNREFUSED ? CONN_END_CONNECT_REFUSED : CONN_END_CONNECT_FAILED;
    socket_close(fd);
    return -1;
}

struct conn *conn_connect(struct loop *loop, const struct address *address, const struct conn_settings *settings,
                          enum conn_end *end)
{
    int fd = begin_connect(address, settings->life_ms, end);
    if (fd < 0) {
        tls_channel_destroy(settings->tls);
        return NULL;
    }
    struct conn *conn = create_conn(loop, fd, settings);
    if (conn == NULL)
        return NULL;
    conn->remote = *address;
    /* A connection that is already there is reported as writable, too. */
    watch_add(&conn->writable);
    return conn;
}

void conn_set_owner(struct conn *conn, const struct conn_events *events, void *owner)
{
    conn->events = events;
    conn->owner = owner;
}

static void note_output(struct conn *conn)
{
    if (conn->output.length > conn->high_water_bytes)
        conn->was_congested = true;
    if (!conn->is_held)
        loop_defer(conn->loop, &conn->flush_task);
}

void conn_hold(struct conn *conn)
{
    conn->is_held = true;
}

void conn_flush(struct conn *conn)
{
    if (conn->state == CONN_OPEN && conn->output.length > 0)
        loop_defer(conn->loop, &conn->flush_task);
}

bool conn_write(struct conn *conn, struct text bytes)
{
    if (conn_is_over(conn))
        return true;
    if (!buffer_append(&conn->output, bytes))
        return false;
    note_output(conn);
    return true;
}

char *conn_reserve(struct conn *conn, size_t length)
{
    return buffer_reserve(&conn->output, length);
}

void conn_commit(struct conn *conn, size_t length)
{
    buffer_commit(&conn->output, length);
    note_output(conn);
}

bool conn_is_congested(const struct conn *conn)
{
    return conn->output.length > conn->high_water_bytes;
}

size_t conn_output_bytes(const struct conn *conn)
{
    return conn->output.length;
}

size_t conn_input_bytes(const struct conn *conn)
{
    return conn->input.length;
}

size_t conn_unread_bytes(const struct conn *conn)
{
    return socket_unread(conn->fd);
}

void conn_resume(struct conn *conn)
{
    if (conn->state != CONN_OPEN)
        return;
    if (conn->input_state == CONN_INPUT_PAUSED) {
        conn->input_state = CONN_INPUT_FLOWING;
        watch_add(&conn->readable);
    }
    loop_defer(conn->loop, &conn->input_task);
}

void conn_close(struct conn *conn)
{
    if (conn == NULL || conn->state == CONN_CLOSED)
        return;
    bool is_orderly = conn->state == CONN_OPEN || (conn->state == CONN_ENDED && conn->end == CONN_END_CLOSED);
    if (conn->tls != NULL && is_orderly && conn->output.length == 0) {
        tls_channel_close(conn->tls);
        conn_send_alert(conn);
    }
    if (conn_has_unsent(conn))
        conn_reset_on_close(conn);
    conn_enter_closed(conn);
}

void conn_abort(struct conn *conn)
{
    if (conn == NULL || conn->state == CONN_CLOSED)
        return;
    conn_reset_on_close(conn);
    conn_enter_closed(conn);
}

void conn_finish(struct conn *conn, uint64_t linger_ms)
{
    if (conn->state == CONN_ENDED) {
        conn_enter(conn, CONN_FINISHED);
        loop_defer(conn->loop, &conn->end_task);
    }
    if (conn->state != CONN_OPEN)
        return;
    conn->linger_ms = linger_ms;
    /* Kept input stays until the conn is destroyed: the caller may stand in on_bytes and still look at it. */
    conn_enter(conn, CONN_FINISHING);
    loop_task_cancel(conn->loop, &conn->input_task);
    if (conn->input_state == CONN_INPUT_PAUSED)
        watch_add(&conn->readable);
    if (conn->input_state != CONN_INPUT_CLOSED)
        conn->input_state = CONN_INPUT_FLOWING;
    loop_timer_set(conn->loop, &conn->linger_timer, loop_now_ms(conn->loop) + CONN_FINISH_MS);
    loop_defer(conn->loop, &conn->flush_task);
}

enum conn_reading conn_may_be_read(const struct conn *conn, uint64_t sent_bytes)
{
    if (conn_sent_bytes(conn) <= sent_bytes)
        return CONN_READING_RULED_OUT;
    uint64_t acknowledged;
    bool is_closed;
    if (!socket_acknowledged(conn->fd, &acknowledged, &is_closed) || acknowledged > sent_bytes)
        return CONN_READING_POSSIBLE;
    return is_closed ? CONN_READING_RULED_OUT : CONN_READING_UNKNOWN;
}

uint64_t conn_acknowledged_bytes(const struct conn *conn)
{
    uint64_t acknowledged;
    bool is_closed;
    return socket_acknowledged(conn->fd, &acknowledged, &is_closed) ? acknowledged : 0;
}

uint64_t conn_sent_bytes(const struct conn *conn)
{
    return conn->sent_bytes + (conn->tls == NULL ? 0 : tls_channel_direct_bytes(conn->tls));
}

void conn_quick_acknowledge(struct conn *conn)
{
    socket_quick_acknowledge(conn->fd);
}

const struct address *conn_remote_address(const struct conn *conn)
{
    return &conn->remote;
}

enum conn_protocol conn_protocol(const struct conn *conn)
{
    struct text name = conn->tls == NULL ? TEXT_EMPTY : tls_channel_protocol(conn->tls);
    if (text_equals(name, TEXT("h2")))
        return CONN_PROTOCOL_HTTP_2;
    return text_equals(name, TEXT("http/1.1")) ? CONN_PROTOCOL_HTTP_1_1 : CONN_PROTOCOL_NONE;
}

bool conn_is_tls(const struct conn *conn)
{
    return conn->tls != NULL;
}

bool conn_is_resumed(const struct conn *conn)
{
    return conn->tls != NULL && tls_channel_is_resumed(conn->tls);
}

const char *conn_peer_subject(const struct conn *conn, char *buffer, size_t capacity)
{
    buffer[0] = '\0';
    return conn->tls == NULL ? buffer : tls_channel_subject(conn->tls, buffer, capacity);
}

const char *conn_end_reason(const struct conn *conn, enum conn_end end, char *buffer, size_t capacity)
{
    static const char *const words[] = {
        [CONN_END_CLOSED] = "closed",
        [CONN_END_RESET] = "reset",
        [CONN_END_CONNECT_REFUSED] = "refused",
        [CONN_END_CONNECT_FAILED] = "not reachable",
        [CONN_END_NO_RESOURCES] = "out of memory or descriptors",
        [CONN_END_TLS_FAILED] = "the TLS handshake failed",
        [CONN_END_TLS_UNVERIFIED] = "the certificate is not trusted",
    };
    if (conn->tls != NULL && (end == CONN_END_TLS_FAILED || end == CONN_END_TLS_UNVERIFIED))
        return tls_channel_describe(conn->tls, buffer, capacity);
    text_append(buffer, capacity, 0, "%s", words[end]);
    return buffer;
}
