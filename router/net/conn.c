#include "net/conn.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <linux/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "net/loop.h"

#define WRITE_PIECES 16
/* TCP_CLOSE of <netinet/tcp.h>, which cannot stand beside <linux/tcp.h>. */
#define STATE_CLOSE 7
/* While finishing: how long the other side may take nothing of the output that is left. */
#define FINISH_MS 10000
/* While lingering: a client that goes on sending more than this does not read. */
#define LINGER_BYTES (4 * 1024 * 1024)

enum conn_state {
    CONN_CONNECTING,
    CONN_OPEN,
    CONN_FINISHING, /* output, then shutdown */
    CONN_LINGERING, /* shut down; input is dropped until the other side closes */
    CONN_CLOSED,    /* in the grave */
};

struct conn {
    struct loop *loop;
    const struct conn_events *events;
    void *owner;
    int fd;
    enum conn_state state;
    bool is_paused;
    bool is_held;           /* output waits for conn_flush */
    bool was_congested;     /* on_drained is owed */
    bool has_ended;         /* on_ended is owed or was given */
    bool was_finished;      /* the other side has closed while we finish */
    bool was_reset;         /* a send has taken the reset away from the socket: reading would end as if in order */
    enum conn_end end;
    size_t high_water_bytes;
    size_t input_maximum_bytes;
    uint64_t sent_bytes;
    uint64_t linger_ms;
    size_t lingered_bytes;
    struct buffer output;
    char *input;            /* unconsumed bytes; NULL when there are none */
    size_t input_length;
    size_t input_capacity;
    struct event readable;
    struct event writable;
    struct loop_task flush_task;
    struct loop_task input_task; /* offer kept input again */
    struct loop_task end_task;   /* deliver on_ended */
    struct loop_timer linger_timer;
    struct address remote;
};

static void destroy_conn(void *object)
{
    struct conn *conn = object;
    buffer_clear(&conn->output);
    free(conn->input);
    free(conn);
}

static void enter_closed(struct conn *conn)
{
    if (conn->state == CONN_CLOSED)
        return;
    conn->state = CONN_CLOSED;
    event_del(&conn->readable);
    event_del(&conn->writable);
    loop_task_cancel(conn->loop, &conn->flush_task);
    loop_task_cancel(conn->loop, &conn->input_task);
    loop_task_cancel(conn->loop, &conn->end_task);
    loop_timer_clear(conn->loop, &conn->linger_timer);
    close(conn->fd);
    loop_bury(conn->loop, conn, destroy_conn);
}

static void end_with(struct conn *conn, enum conn_end end)
{
    if (conn->has_ended)
        return;
    conn->has_ended = true;
    conn->end = end;
    event_del(&conn->readable);
    event_del(&conn->writable);
    loop_defer(conn->loop, &conn->end_task);
}

static bool is_finishing(const struct conn *conn)
{
    return conn->state == CONN_FINISHING || conn->state == CONN_LINGERING;
}

static void reset_on_close(struct conn *conn)
{
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
}

/* The end of conn_finish. Only from the loop. Output that never got out makes it a cut one, which must not look orderly. */
static void complete_finish(struct conn *conn)
{
    if (conn->output.length > 0)
        reset_on_close(conn);
    enter_closed(conn);
    conn->events->on_finished(conn->owner);
}

static void run_end(void *owner)
{
    struct conn *conn = owner;
    if (is_finishing(conn))
        complete_finish(conn);
    else
        conn->events->on_ended(conn->owner, conn->end);
}

/* ---- output ---- */

static void shut_down_output(struct conn *conn)
{
    conn->state = CONN_LINGERING;
    shutdown(conn->fd, SHUT_WR);
    if (conn->linger_ms == 0 || conn->was_finished)
        complete_finish(conn);
    else
        loop_timer_set(conn->loop, &conn->linger_timer, loop_now_ms(conn->loop) + conn->linger_ms);
}

static void after_output(struct conn *conn)
{
    if (conn->was_congested && conn->output.length <= conn->high_water_bytes / 2) {
        conn->was_congested = false;
        if (conn->state == CONN_OPEN && !conn->has_ended && conn->events->on_drained != NULL)
            conn->events->on_drained(conn->owner);
    }
    if (conn->output.length == 0 && conn->state == CONN_FINISHING)
        shut_down_output(conn);
}

/* Writes what the socket takes. Waiting for room costs an epoll registration, so it is asked for only when the socket is full. */
static void run_flush(void *owner)
{
    struct conn *conn = owner;
    if (conn->state == CONN_CONNECTING || conn->state == CONN_CLOSED || conn->has_ended)
        return;
    while (conn->output.length > 0) {
        struct iovec pieces[WRITE_PIECES];
        int count = buffer_peek(&conn->output, pieces, WRITE_PIECES);
        struct msghdr message = {.msg_iov = pieces, .msg_iovlen = (size_t)count};
        ssize_t written = sendmsg(conn->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS)) {
            event_add(&conn->writable, NULL);
            break;
        }
        if (written < 0) {
            /* EPIPE is different: the other side closed in order first, and everything it acknowledged is known. */
            conn->was_reset = conn->was_reset || errno != EPIPE;
            buffer_clear(&conn->output);
            if (conn->state == CONN_FINISHING) {
                complete_finish(conn);
                return;
            }
            /* What the other side said before it closed may still wait to be read; reading comes to the same end by itself. */
            if (conn->is_paused)
                end_with(conn, CONN_END_RESET);
            return;
        }
        conn->sent_bytes += (uint64_t)written;
        if (conn->state == CONN_FINISHING)
            loop_timer_set(conn->loop, &conn->linger_timer, loop_now_ms(conn->loop) + FINISH_MS);
        buffer_consume(&conn->output, (size_t)written);
    }
    after_output(conn);
}

static void on_writable(evutil_socket_t fd, short what, void *argument)
{
    (void)what;
    struct conn *conn = argument;
    if (conn->state == CONN_CLOSED)
        return;
    loop_enter(conn->loop);
    if (conn->state == CONN_CONNECTING) {
        int error = 0;
        socklen_t length = sizeof error;
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
        if (error != 0) {
            end_with(conn, error == ECONNREFUSED ? CONN_END_CONNECT_REFUSED : CONN_END_CONNECT_FAILED);
        } else {
            conn->state = CONN_OPEN;
            event_add(&conn->readable, NULL);
            conn->events->on_connected(conn->owner);
            if (conn->state == CONN_OPEN && conn->output.length > 0)
                loop_defer(conn->loop, &conn->flush_task);
        }
    } else {
        run_flush(conn);
    }
    loop_leave(conn->loop);
}

/* ---- input ---- */

/* Keeps `bytes` as the whole of the input; false when memory is out. */
static bool keep_input(struct conn *conn, struct text bytes)
{
    if (bytes.length == 0) {
        free(conn->input);
        conn->input = NULL;
        conn->input_length = 0;
        conn->input_capacity = 0;
        return true;
    }
    bool is_own = conn->input != NULL && bytes.bytes >= conn->input && bytes.bytes <= conn->input + conn->input_length;
    if (is_own) {
        if (bytes.bytes != conn->input)
            memmove(conn->input, bytes.bytes, bytes.length);
    } else {
        if (bytes.length > conn->input_capacity) {
            char *larger = realloc(conn->input, bytes.length);
            if (larger == NULL)
                return false;
            conn->input = larger;
            conn->input_capacity = bytes.length;
        }
        memcpy(conn->input, bytes.bytes, bytes.length);
    }
    conn->input_length = bytes.length;
    return true;
}

/* Offers bytes to the owner and keeps the rest. */
static void offer(struct conn *conn, struct text bytes)
{
    size_t consumed = conn->events->on_bytes(conn->owner, bytes);
    if (conn->state == CONN_CLOSED)
        return;
    if (conn->state != CONN_OPEN) {
        keep_input(conn, TEXT_EMPTY);
        return;
    }
    struct text rest = text_of(bytes.bytes + consumed, bytes.length - consumed);
    if (!keep_input(conn, rest))
        end_with(conn, CONN_END_RESET);
    else if (rest.length >= conn->input_maximum_bytes)
        conn_pause(conn);
}

/* Appends what was read behind the kept input and offers both as one. */
static void offer_behind_kept(struct conn *conn, struct text fresh)
{
    size_t wanted = conn->input_length + fresh.length;
    if (wanted > conn->input_capacity) {
        size_t capacity = conn->input_capacity * 2 > wanted ? conn->input_capacity * 2 : wanted;
        char *larger = realloc(conn->input, capacity);
        if (larger == NULL) {
            end_with(conn, CONN_END_RESET);
            return;
        }
        conn->input = larger;
        conn->input_capacity = capacity;
    }
    memcpy(conn->input + conn->input_length, fresh.bytes, fresh.length);
    conn->input_length = wanted;
    offer(conn, text_of(conn->input, conn->input_length));
}

static void run_input(void *owner)
{
    struct conn *conn = owner;
    if (conn->state == CONN_OPEN && !conn->is_paused && !conn->has_ended)
        offer(conn, text_of(conn->input, conn->input_length));
}

static void drop_lingering(struct conn *conn, size_t length)
{
    conn->lingered_bytes += length;
    if (conn->lingered_bytes > LINGER_BYTES)
        complete_finish(conn);
}

/* The other side has closed while we finish: it may still read what we have for it. */
static void finish_reading(struct conn *conn)
{
    conn->was_finished = true;
    if (conn->state == CONN_LINGERING)
        complete_finish(conn);
    else
        event_del(&conn->readable);
}

static void on_readable(evutil_socket_t fd, short what, void *argument)
{
    (void)what;
    struct conn *conn = argument;
    if (conn->state == CONN_CLOSED || conn->has_ended)
        return;
    loop_enter(conn->loop);
    char *scratch = loop_scratch(conn->loop);
    ssize_t length = recv(fd, scratch, LOOP_SCRATCH_BYTES, MSG_DONTWAIT);
    if (length > 0 && conn->state != CONN_OPEN)
        drop_lingering(conn, (size_t)length);
    else if (length > 0 && conn->input_length > 0)
        offer_behind_kept(conn, text_of(scratch, (size_t)length));
    else if (length > 0)
        offer(conn, text_of(scratch, (size_t)length));
    else if (length == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) {
        if (is_finishing(conn))
            finish_reading(conn);
        else
            end_with(conn, length == 0 && !conn->was_reset ? CONN_END_CLOSED : CONN_END_RESET);
    }
    loop_leave(conn->loop);
}

static void on_linger_deadline(void *owner)
{
    complete_finish(owner);
}

/* ---- life ---- */

static struct conn *create_conn(struct loop *loop, int fd, const struct conn_settings *settings)
{
    struct conn *conn = calloc(1, sizeof *conn);
    if (conn == NULL)
        return NULL;
    conn->loop = loop;
    conn->fd = fd;
    conn->events = settings->events;
    conn->owner = settings->owner;
    conn->high_water_bytes = settings->high_water_bytes;
    conn->input_maximum_bytes = settings->input_maximum_bytes;
    buffer_init(&conn->output, settings->pool);
    loop_task_init(&conn->flush_task, run_flush, conn);
    loop_task_init(&conn->input_task, run_input, conn);
    loop_task_init(&conn->end_task, run_end, conn);
    loop_timer_init(&conn->linger_timer, on_linger_deadline, conn);
    event_assign(&conn->readable, loop_base(loop), fd, EV_READ | EV_PERSIST, on_readable, conn);
    event_assign(&conn->writable, loop_base(loop), fd, EV_WRITE, on_writable, conn);
    return conn;
}

static bool is_own_shortage(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM || error == EAGAIN ||
           error == EADDRNOTAVAIL;
}

static void no_delay(int fd)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

struct conn *conn_accept(struct loop *loop, int fd, const struct conn_settings *settings)
{
    struct conn *conn = create_conn(loop, fd, settings);
    if (conn == NULL) {
        close(fd);
        return NULL;
    }
    no_delay(fd);
    conn->state = CONN_OPEN;
    address_of_peer(fd, &conn->remote);
    event_add(&conn->readable, NULL);
    return conn;
}

struct conn *conn_connect(struct loop *loop, const struct address *address, const struct conn_settings *settings,
                          enum conn_end *end)
{
    *end = CONN_END_NO_RESOURCES;
    int fd = socket(address->socket.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return NULL;
    no_delay(fd);
    if (connect(fd, &address->socket.any, address->length) != 0 && errno != EINPROGRESS) {
        if (!is_own_shortage(errno))
            *end = errno == ECONNREFUSED ? CONN_END_CONNECT_REFUSED : CONN_END_CONNECT_FAILED;
        close(fd);
        return NULL;
    }
    struct conn *conn = create_conn(loop, fd, settings);
    if (conn == NULL) {
        close(fd);
        return NULL;
    }
    conn->state = CONN_CONNECTING;
    conn->remote = *address;
    /* A connection that is already there is reported as writable, too. */
    event_add(&conn->writable, NULL);
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
    if (conn->state == CONN_CLOSED || conn->has_ended)
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
    return conn->input_length;
}

void conn_pause(struct conn *conn)
{
    if (conn->state != CONN_OPEN || conn->has_ended || conn->is_paused)
        return;
    conn->is_paused = true;
    event_del(&conn->readable);
}

void conn_resume(struct conn *conn)
{
    if (conn->state != CONN_OPEN || conn->has_ended)
        return;
    if (conn->is_paused) {
        conn->is_paused = false;
        event_add(&conn->readable, NULL);
    }
    loop_defer(conn->loop, &conn->input_task);
}

void conn_close(struct conn *conn)
{
    if (conn == NULL || conn->state == CONN_CLOSED)
        return;
    if (conn->output.length > 0)
        reset_on_close(conn);
    enter_closed(conn);
}

void conn_abort(struct conn *conn)
{
    if (conn == NULL || conn->state == CONN_CLOSED)
        return;
    reset_on_close(conn);
    enter_closed(conn);
}

void conn_finish(struct conn *conn, uint64_t linger_ms)
{
    if (conn->state != CONN_OPEN)
        return;
    conn->linger_ms = linger_ms;
    /* Kept input stays until the conn is destroyed: the caller may stand in on_bytes and still look at it. */
    conn->state = CONN_FINISHING;
    if (conn->has_ended) {
        loop_defer(conn->loop, &conn->end_task);
        return;
    }
    loop_task_cancel(conn->loop, &conn->input_task);
    if (conn->is_paused)
        event_add(&conn->readable, NULL);
    conn->is_paused = false;
    loop_timer_set(conn->loop, &conn->linger_timer, loop_now_ms(conn->loop) + FINISH_MS);
    loop_defer(conn->loop, &conn->flush_task);
}

enum conn_reading conn_may_be_read(const struct conn *conn, uint64_t sent_bytes)
{
    if (conn->sent_bytes <= sent_bytes)
        return CONN_READING_RULED_OUT;
    struct tcp_info info;
    socklen_t length = sizeof info;
    if (getsockopt(conn->fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0 ||
        length < offsetof(struct tcp_info, tcpi_bytes_acked) + sizeof info.tcpi_bytes_acked)
        return CONN_READING_POSSIBLE;
    /* The kernel counts the SYN as one byte. */
    uint64_t acknowledged = info.tcpi_bytes_acked > 0 ? info.tcpi_bytes_acked - 1 : 0;
    if (acknowledged > sent_bytes)
        return CONN_READING_POSSIBLE;
    return info.tcpi_state == STATE_CLOSE ? CONN_READING_RULED_OUT : CONN_READING_UNKNOWN;
}

uint64_t conn_sent_bytes(const struct conn *conn)
{
    return conn->sent_bytes;
}

void conn_quick_acknowledge(struct conn *conn)
{
    int on = 1;
    setsockopt(conn->fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

const struct address *conn_remote_address(const struct conn *conn)
{
    return &conn->remote;
}
