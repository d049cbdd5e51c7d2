#include "downstream/session.h"

#include <stdlib.h>

#include "base/log.h"
#include "http/h1.h"
#include "http/h2.h"
#include "net/conn.h"

static void destroy_session(void *object)
{
    free(object);
}

static void bury(struct session *session)
{
    session->state = SESSION_GONE;
    loop_timer_clear(session->loop, &session->timer);
    list_remove(session->sessions, &session->node);
    loop_bury(session->loop, session, destroy_session);
}

void session_close(struct session *session)
{
    if (session->state == SESSION_NEW)
        conn_close(session->conn);
    else if (session->state == SESSION_OPEN)
        link_close(session->link);
    else
        return;
    bury(session);
}

/* The end that did not come from the owner. */
static void end(struct session *session, enum fault fault)
{
    const struct session_settings *settings = session->settings;
    bury(session);
    settings->handler->on_session_closed(settings->owner, fault);
}

/* A client whose request is on its way when the drain begins still gets its answer, and with it the word to close. */
#define DRAIN_GRACE_MS 1000
/* HTTP/2 says its own goodbye within a second and ends by itself; this is only for a client that does not let it. */
#define DRAIN_GRACE_HTTP2_MS 3000

static uint64_t drain_grace_ms(const struct session *session)
{
    return session->state == SESSION_OPEN && session->link->is_http2 ? DRAIN_GRACE_HTTP2_MS : DRAIN_GRACE_MS;
}

void session_drain(struct session *session)
{
    if (session->state == SESSION_GONE)
        return;
    session->is_draining = true;
    if (session->state == SESSION_OPEN)
        link_drain(session->link);
    /* The timer is set while the link is idle or in the middle of a head, that is, when nothing else ends it. */
    uint64_t grace_end_ms = loop_now_ms(session->loop) + drain_grace_ms(session);
    if (loop_timer_is_set(&session->timer) && session->timer.deadline_ms > grace_end_ms)
        loop_timer_set(session->loop, &session->timer, grace_end_ms);
}

/* A head that does not end, or a client that has nothing more to ask: both end without an answer that nobody waits for. */
static void on_deadline(void *owner)
{
    struct session *session = owner;
    if (session->state == SESSION_GONE)
        return;
    /* HTTP/2 has a word for it, so that no request crosses the end. */
    if (session->state == SESSION_OPEN && session->link->is_http2 && !session->is_draining) {
        session->is_draining = true;
        link_drain(session->link);
        loop_timer_set(session->loop, &session->timer, loop_now_ms(session->loop) + DRAIN_GRACE_HTTP2_MS);
        return;
    }
    session_close(session);
    session->settings->handler->on_session_closed(session->settings->owner, FAULT_REQUEST_TIMEOUT);
}

/* ---- the link's events ---- */

static void on_request(void *owner, struct stream *stream, const struct message_head *head)
{
    struct session *session = owner;
    loop_timer_clear(session->loop, &session->timer);
    session->settings->handler->on_request(session->settings->owner, session, stream, head);
}

static void on_refused(void *owner, struct stream *stream, const struct message_head *head, enum fault fault)
{
    struct session *session = owner;
    loop_timer_clear(session->loop, &session->timer);
    session->settings->handler->on_refused(session->settings->owner, session, stream, head, fault);
}

static void on_head_started(void *owner)
{
    struct session *session = owner;
    loop_timer_set(session->loop, &session->timer, loop_now_ms(session->loop) + session->settings->request_head_ms);
}

static void on_idle(void *owner)
{
    struct session *session = owner;
    uint64_t keep_ms = session->settings->keep_alive_ms;
    if (session->is_draining && keep_ms > drain_grace_ms(session))
        keep_ms = drain_grace_ms(session);
    loop_timer_set(session->loop, &session->timer, loop_now_ms(session->loop) + keep_ms);
}

static void on_closed(void *owner, enum fault fault)
{
    struct session *session = owner;
    const char *abuse = session->link->end_reason;
    if (abuse != NULL)
        log_line(LOG_LEVEL_WARNING, "event=abuse client=%s kind=%s", session->client_host, abuse);
    end(session, abuse != NULL ? FAULT_DOWNSTREAM_ABUSE : fault);
}

static const struct link_events session_link_events = {
    .on_request = on_request,
    .on_refused = on_refused,
    .on_head_started = on_head_started,
    .on_idle = on_idle,
    .on_closed = on_closed,
};

/* ---- which HTTP it is ---- */

/* Hands the conn to its codec; false when memory is out, and then the session has ended. */
static bool open_link(struct session *session, bool is_http2)
{
    const struct session_settings *settings = session->settings;
    struct conn *conn = session->conn;
    session->conn = NULL;
    session->link = is_http2 ? h2_server_create(settings->h2, conn, &session_link_events, session)
                             : h1_server_create(session->loop, conn, settings->h1, &session_link_events, session);
    if (session->link == NULL) {
        end(session, FAULT_OUT_OF_MEMORY);
        return false;
    }
    session->state = SESSION_OPEN;
    if (session->is_draining)
        link_drain(session->link);
    return true;
}

/* The first bytes decide, as the database itself does (influxdb3.md 2.2): HTTP/2 by prior knowledge, else HTTP/1. */
static size_t on_first_bytes(void *owner, struct text bytes)
{
    struct session *session = owner;
    size_t length = bytes.length < H2_PREFACE_BYTES ? bytes.length : H2_PREFACE_BYTES;
    bool is_preface = session->settings->h2 != NULL && memcmp(bytes.bytes, H2_PREFACE, length) == 0;
    if (is_preface && length < H2_PREFACE_BYTES)
        return 0;
    if (!open_link(session, is_preface))
        return bytes.length;
    const struct conn_events *events = is_preface ? &h2_server_conn_events : &h1_server_conn_events;
    return events->on_bytes(session->link, bytes);
}

static void on_new_ended(void *owner, enum conn_end conn_end)
{
    (void)conn_end;
    struct session *session = owner;
    conn_close(session->conn);
    end(session, FAULT_DOWNSTREAM_GONE);
}

static const struct conn_events new_events = {
    .on_bytes = on_first_bytes,
    .on_ended = on_new_ended,
};

bool session_create(struct loop *loop, int fd, const struct address *client, const struct session_settings *settings,
                    struct list *sessions)
{
    struct conn_settings conn_settings = {
        .events = &new_events,
        .pool = settings->buffers,
        .high_water_bytes = settings->buffer_bytes,
        .input_maximum_bytes = settings->h1->limits.head_bytes + LOOP_SCRATCH_BYTES,
    };
    struct conn *conn = conn_accept(loop, fd, &conn_settings);
    if (conn == NULL)
        return false;
    struct session *session = calloc(1, sizeof *session);
    if (session == NULL) {
        conn_close(conn);
        return false;
    }
    conn_set_owner(conn, &new_events, session);
    session->loop = loop;
    session->settings = settings;
    session->sessions = sessions;
    session->conn = conn;
    session->client = client != NULL ? *client : *conn_remote_address(conn);
    address_format_host(&session->client, session->client_host, sizeof session->client_host);
    loop_timer_init(&session->timer, on_deadline, session);
    list_node_init(&session->node);
    list_append(sessions, &session->node);
    /* A client that connects and says nothing gets as long as one that has begun a head. */
    loop_timer_set(loop, &session->timer, loop_now_ms(loop) + settings->request_head_ms);
    return true;
}
