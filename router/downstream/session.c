#include "downstream/session.h"

#include <stdlib.h>

#include "net/conn.h"

static void destroy_session(void *object)
{
    free(object);
}

static void bury(struct session *session)
{
    loop_timer_clear(session->loop, &session->timer);
    list_remove(session->sessions, &session->node);
    session->link = NULL;
    loop_bury(session->loop, session, destroy_session);
}

void session_close(struct session *session)
{
    if (session->link == NULL)
        return;
    link_close(session->link);
    bury(session);
}

/* A client whose request is on its way when the drain begins still gets its answer, and with it the word to close. */
#define DRAIN_GRACE_MS 1000

void session_drain(struct session *session)
{
    if (session->link == NULL)
        return;
    session->is_draining = true;
    link_drain(session->link);
    /* The timer is set while the link is idle or in the middle of a head, that is, when nothing else ends it. */
    uint64_t grace_end_ms = loop_now_ms(session->loop) + DRAIN_GRACE_MS;
    if (loop_timer_is_set(&session->timer) && session->timer.deadline_ms > grace_end_ms)
        loop_timer_set(session->loop, &session->timer, grace_end_ms);
}

/* A head that does not end, or a client that has nothing more to ask: both end without an answer that nobody waits for. */
static void on_deadline(void *owner)
{
    struct session *session = owner;
    if (session->link == NULL)
        return;
    const struct session_settings *settings = session->settings;
    session_close(session);
    settings->handler->on_session_closed(settings->owner);
}

static void on_request(void *owner, struct stream *stream, const struct message_head *head)
{
    struct session *session = owner;
    loop_timer_clear(session->loop, &session->timer);
    session->settings->handler->on_request(session->settings->owner, session, stream, head);
}

static void on_refused(void *owner, struct stream *stream, enum fault fault)
{
    struct session *session = owner;
    loop_timer_clear(session->loop, &session->timer);
    session->settings->handler->on_refused(session->settings->owner, session, stream, fault);
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
    if (session->is_draining && keep_ms > DRAIN_GRACE_MS)
        keep_ms = DRAIN_GRACE_MS;
    loop_timer_set(session->loop, &session->timer, loop_now_ms(session->loop) + keep_ms);
}

static void on_closed(void *owner, enum fault fault)
{
    (void)fault;
    struct session *session = owner;
    const struct session_settings *settings = session->settings;
    bury(session);
    settings->handler->on_session_closed(settings->owner);
}

static const struct link_events session_link_events = {
    .on_request = on_request,
    .on_refused = on_refused,
    .on_head_started = on_head_started,
    .on_idle = on_idle,
    .on_closed = on_closed,
};

bool session_create(struct loop *loop, int fd, const struct session_settings *settings, struct list *sessions)
{
    struct conn_settings conn_settings = {
        .events = &h1_server_conn_events,
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
    session->loop = loop;
    session->settings = settings;
    session->sessions = sessions;
    session->client = *conn_remote_address(conn);
    address_format_host(&session->client, session->client_host, sizeof session->client_host);
    loop_timer_init(&session->timer, on_deadline, session);
    list_node_init(&session->node);
    session->link = h1_server_create(loop, conn, settings->h1, &session_link_events, session);
    if (session->link == NULL) {
        free(session);
        return false;
    }
    list_append(sessions, &session->node);
    /* A client that connects and says nothing gets as long as one that has begun a head. */
    loop_timer_set(loop, &session->timer, loop_now_ms(loop) + settings->request_head_ms);
    return true;
}
