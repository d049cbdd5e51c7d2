#include "net/conn_state.h"

#include <stdlib.h>

#include "base/machine.h"
#include "net/socket.h"

static const char *const state_names[] = {
    "connecting", "handshaking", "open", "finishing", "lingering", "ended", "finished", "closed",
};

#define TO(state) MACHINE_TO(CONN_##state)
static const uint32_t moves[] = {
    [CONN_CONNECTING] = TO(HANDSHAKING) | TO(OPEN) | TO(ENDED) | TO(CLOSED),
    [CONN_HANDSHAKING] = TO(OPEN) | TO(ENDED) | TO(CLOSED),
    [CONN_OPEN] = TO(FINISHING) | TO(ENDED) | TO(CLOSED),
    [CONN_FINISHING] = TO(LINGERING) | TO(CLOSED),
    [CONN_LINGERING] = TO(CLOSED),
    [CONN_ENDED] = TO(FINISHED) | TO(CLOSED),
    [CONN_FINISHED] = TO(CLOSED),
    [CONN_CLOSED] = 0,
};
#undef TO

static const struct machine conn_machine = {"conn", state_names, moves};

void conn_enter(struct conn *conn, enum conn_state next)
{
    machine_check(&conn_machine, conn->state, next);
    conn->state = next;
}

static void destroy_conn(void *object)
{
    struct conn *conn = object;
    buffer_clear(&conn->output);
    tls_channel_destroy(conn->tls);
    input_clear(&conn->input);
    free(conn);
}

void conn_enter_closed(struct conn *conn)
{
    if (conn->state == CONN_CLOSED)
        return;
    conn_enter(conn, CONN_CLOSED);
    watch_remove(&conn->readable);
    watch_remove(&conn->writable);
    end_watch_remove(&conn->ended);
    loop_task_cancel(conn->loop, &conn->flush_task);
    loop_task_cancel(conn->loop, &conn->input_task);
    loop_task_cancel(conn->loop, &conn->end_task);
    loop_timer_clear(conn->loop, &conn->linger_timer);
    socket_close(conn->fd);
    loop_bury(conn->loop, conn, destroy_conn);
}

void conn_end_with(struct conn *conn, enum conn_end end)
{
    if (conn_is_over(conn))
        return;
    conn_enter(conn, CONN_ENDED);
    conn->end = end;
    watch_remove(&conn->readable);
    watch_remove(&conn->writable);
    end_watch_remove(&conn->ended);
    loop_defer(conn->loop, &conn->end_task);
}

void conn_reset_on_close(struct conn *conn)
{
    socket_reset_on_close(conn->fd);
}

bool conn_has_unsent(const struct conn *conn)
{
    return conn->output.length > 0 ||
           (conn->tls != NULL && (tls_channel_wire(conn->tls)->length > 0 || tls_channel_is_blocked(conn->tls)));
}

void conn_complete_finish(struct conn *conn)
{
    if (conn_has_unsent(conn))
        conn_reset_on_close(conn);
    conn_enter_closed(conn);
    conn->events->on_finished(conn->owner);
}

void conn_run_end(void *owner)
{
    struct conn *conn = owner;
    if (conn->state == CONN_FINISHED)
        conn_complete_finish(conn);
    else
        conn->events->on_ended(conn->owner, conn->end);
}
