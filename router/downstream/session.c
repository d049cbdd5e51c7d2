#include "downstream/session.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/machine.h"
#include "http/h1.h"
#include "http/h2.h"
#include "net/conn.h"
#include "net/socket.h"
#include "net/tls_channel.h"
#include "net/tls_server.h"

static const char *const state_names[] = {"handshaking", "new", "open", "gone"};

#define TO(state) MACHINE_TO(SESSION_##state)
static const uint32_t moves[] = {
    [SESSION_HANDSHAKING] = TO(OPEN) | TO(GONE),
    [SESSION_NEW] = TO(OPEN) | TO(GONE),
    [SESSION_OPEN] = TO(GONE),
    [SESSION_GONE] = 0,
};
#undef TO

static const struct machine session_machine = {"session", state_names, moves};

/* The only writer of the state, but for the first one. */
static void enter(struct session *session, enum session_state next)
{
    machine_check(&session_machine, session->state, next);
    session->state = next;
}

static void destroy_session(void *object)
{
    free(object);
}

/* Between two requests, and not on its way out. */
static void set_idle(struct session *session, bool is_idle)
{
    if (session->settings->idle == NULL)
        return;
    if (list_node_is_linked(&session->idle_node))
        list_remove(session->settings->idle, &session->idle_node);
    if (is_idle && !session->is_draining)
        list_append(session->settings->idle, &session->idle_node);
}

static void bury(struct session *session)
{
    enter(session, SESSION_GONE);
    set_idle(session, false);
    loop_timer_clear(session->loop, &session->timer);
    list_remove(session->sessions, &session->node);
    loop_bury(session->loop, session, destroy_session);
}

void session_close(struct session *session)
{
    if (session->state == SESSION_HANDSHAKING || session->state == SESSION_NEW)
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
    set_idle(session, false);
    if (session->state == SESSION_OPEN)
        link_drain(session->link);
    /* The timer is set while the link is idle or in the middle of a head, that is, when nothing else ends it. */
    uint64_t grace_end_ms = loop_now_ms(session->loop) + drain_grace_ms(session);
    if (loop_timer_is_set(&session->timer) && session->timer.deadline_ms > grace_end_ms)
        loop_timer_set(session->loop, &session->timer, grace_end_ms);
}

static void fail_handshake(struct session *session, const char *reason)
{
    const struct session_settings *settings = session->settings;
    char quoted[256];
    log_line(LOG_LEVEL_DEBUG, "event=tls_handshake_failed client=%s reason=%s", session->client_host,
             log_quote(quoted, sizeof quoted, text_of_string(reason)));
    if (settings->handler->on_handshake != NULL)
        settings->handler->on_handshake(settings->owner, SESSION_HANDSHAKE_FAILED);
    conn_close(session->conn);
    end(session, FAULT_DOWNSTREAM_GONE);
}

/* A handshake or a head that does not end, or a client that has nothing more to ask: all end without an answer that nobody waits for. */
static void on_deadline(void *owner)
{
    struct session *session = owner;
    if (session->state == SESSION_GONE)
        return;
    if (session->state == SESSION_HANDSHAKING) {
        fail_handshake(session, "not complete in time");
        return;
    }
    /* HTTP/2 has a word for it, so that no request crosses the end. */
    if (session->state == SESSION_OPEN && session->link->is_http2 && !session->is_draining) {
        session->is_draining = true;
        set_idle(session, false);
        link_drain(session->link);
        loop_timer_set(session->loop, &session->timer, loop_now_ms(session->loop) + DRAIN_GRACE_HTTP2_MS);
        return;
    }
    session_close(session);
    session->settings->handler->on_session_closed(session->settings->owner, FAULT_REQUEST_TIMEOUT);
}

/* ---- the link's events ---- */

/* What a keep-alive is shortened by before a client is told of it: five seconds, or a tenth of a short one. */
static uint64_t told_keep_alive_ms(uint64_t keep_alive_ms)
{
    return keep_alive_ms - (keep_alive_ms < 50000 ? keep_alive_ms / 10 : 5000);
}

uint64_t session_told_keep_alive_s(uint64_t keep_alive_ms)
{
    return told_keep_alive_ms(keep_alive_ms) / 1000;
}

/*
 * A client that asks in just the rhythm of the keep-alive sends into a connection that is closing, sooner or later, and a POST that is lost so is an
 * error that few clients repeat. So a request that has come late is answered with Connection: close, or GOAWAY.
 */
static void end_if_late(struct session *session)
{
    uint64_t keep_ms = session->settings->keep_alive_ms;
    uint64_t idle_since_ms = session->idle_since_ms;
    session->idle_since_ms = 0;
    if (idle_since_ms == 0 || keep_ms == 0 || session->is_draining ||
        loop_now_ms(session->loop) < idle_since_ms + told_keep_alive_ms(keep_ms))
        return;
    session->is_draining = true;
    link_drain(session->link);
}

static void on_request(void *owner, struct stream *stream, const struct message_head *head)
{
    struct session *session = owner;
    loop_timer_clear(session->loop, &session->timer);
    set_idle(session, false);
    end_if_late(session);
    session->settings->handler->on_request(session->settings->owner, session, stream, head);
}

static void on_refused(void *owner, struct stream *stream, const struct message_head *head, enum fault fault)
{
    struct session *session = owner;
    loop_timer_clear(session->loop, &session->timer);
    set_idle(session, false);
    session->settings->handler->on_refused(session->settings->owner, session, stream, head, fault);
}

static void on_head_started(void *owner)
{
    struct session *session = owner;
    set_idle(session, false);
    loop_timer_set(session->loop, &session->timer, loop_now_ms(session->loop) + session->settings->request_head_ms);
}

static void on_idle(void *owner)
{
    struct session *session = owner;
    uint64_t keep_ms = session->settings->keep_alive_ms;
    session->idle_since_ms = loop_now_ms(session->loop);
    set_idle(session, true);
    if (keep_ms == 0 && !session->is_draining) {
        loop_timer_clear(session->loop, &session->timer); /* no limit */
        return;
    }
    if (session->is_draining && (keep_ms == 0 || keep_ms > drain_grace_ms(session)))
        keep_ms = drain_grace_ms(session);
    loop_timer_set(session->loop, &session->timer, loop_now_ms(session->loop) + keep_ms);
}

/* Whoever can connect could fill the log: one line a second tells as much as all of them, which debug shows. */
static void log_abuse(struct session *session, const char *kind)
{
    unsigned suppressed;
    enum log_level level = log_limit_level(session->settings->abuse_log, LOG_LEVEL_WARNING, loop_now_ms(session->loop), &suppressed);
    log_line(level, "event=abuse client=%s kind=%s suppressed=%u", session->client_host, kind, suppressed);
}

static void on_closed(void *owner, enum fault fault)
{
    struct session *session = owner;
    const char *abuse = session->link->end_reason;
    if (abuse != NULL)
        log_abuse(session, abuse);
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
    enter(session, SESSION_OPEN);
    if (session->is_draining)
        link_drain(session->link);
    return true;
}

/* The first bytes decide, as the database itself does (docs/database.md#grpc): HTTP/2 by prior knowledge, else HTTP/1. */
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

/* A client that says nothing gets as long as one that has begun a head. */
static void await_head(struct session *session)
{
    uint64_t wait_ms = session->settings->request_head_ms;
    if (session->is_draining && wait_ms > drain_grace_ms(session))
        wait_ms = drain_grace_ms(session);
    loop_timer_set(session->loop, &session->timer, loop_now_ms(session->loop) + wait_ms);
}

/* ---- TLS ---- */

/* What was agreed on is spoken, never what the first bytes look like (RFC 7301 section 3.2). */
static void on_handshaken(void *owner)
{
    struct session *session = owner;
    const struct session_settings *settings = session->settings;
    bool is_resumed = conn_is_resumed(session->conn);
    char subject[200];
    char quoted[400];
    if (log_is_enabled(LOG_LEVEL_DEBUG))
        log_line(LOG_LEVEL_DEBUG, "event=tls_handshake client=%s resumed=%s http=%s certificate=%s", session->client_host,
                 is_resumed ? "yes" : "no", conn_protocol(session->conn) == CONN_PROTOCOL_HTTP_2 ? "2" : "1",
                 log_quote(quoted, sizeof quoted,
                           text_of_string(conn_peer_subject(session->conn, subject, sizeof subject))));
    if (settings->handler->on_handshake != NULL)
        settings->handler->on_handshake(settings->owner, is_resumed ? SESSION_HANDSHAKE_RESUMED : SESSION_HANDSHAKE_FULL);
    if (open_link(session, conn_protocol(session->conn) == CONN_PROTOCOL_HTTP_2))
        await_head(session);
}

static void on_handshake_ended(void *owner, enum conn_end conn_end)
{
    struct session *session = owner;
    char reason[120];
    fail_handshake(session, conn_end_reason(session->conn, conn_end, reason, sizeof reason));
}

static const struct conn_events handshake_events = {
    .on_connected = on_handshaken,
    .on_ended = on_handshake_ended,
};

/* ---- the beginning ---- */

static struct conn *accept_conn(struct loop *loop, int fd, const struct session_settings *settings, struct session *session)
{
    struct conn_settings conn_settings = {
        .events = settings->tls != NULL ? &handshake_events : &new_events,
        .owner = session,
        .pool = settings->buffers,
        .high_water_bytes = settings->buffer_bytes,
        .input_maximum_bytes = settings->h1->limits.head_bytes + LOOP_SCRATCH_BYTES,
    };
    if (settings->tls != NULL) {
        conn_settings.tls = tls_server_open(settings->tls);
        if (conn_settings.tls == NULL) {
            socket_close(fd);
            return NULL;
        }
    }
    return conn_accept(loop, fd, &conn_settings);
}

bool session_create(struct loop *loop, int fd, const struct address *client, const struct session_settings *settings,
                    struct list *sessions)
{
    struct session *session = calloc(1, sizeof *session);
    if (session == NULL) {
        socket_close(fd);
        return false;
    }
    struct conn *conn = accept_conn(loop, fd, settings, session);
    if (conn == NULL) {
        free(session);
        return false;
    }
    session->loop = loop;
    session->settings = settings;
    session->sessions = sessions;
    session->conn = conn;
    session->is_tls = settings->tls != NULL;
    session->state = session->is_tls ? SESSION_HANDSHAKING : SESSION_NEW;
    session->client = client != NULL ? *client : *conn_remote_address(conn);
    address_format_host(&session->client, session->client_host, sizeof session->client_host);
    session->client_key = hash_text(text_of_string(session->client_host), 0);
    loop_timer_init(&session->timer, on_deadline, session);
    list_node_init(&session->node);
    list_node_init(&session->idle_node);
    list_append(sessions, &session->node);
    if (session->is_tls)
        loop_timer_set(loop, &session->timer, loop_now_ms(loop) + settings->tls_handshake_ms);
    else
        await_head(session);
    return true;
}
