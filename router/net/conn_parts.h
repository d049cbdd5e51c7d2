#ifndef SLUICE_NET_CONN_PARTS_H
#define SLUICE_NET_CONN_PARTS_H
/* What the files of a conn share; nobody else includes this. conn.c is its life, conn_input.c and conn_output.c are its two directions. */
#include <event2/event_struct.h>

#include "net/conn.h"
#include "net/input.h"
#include "net/loop.h"
#include "net/tls_channel.h"

/* While finishing: how long the other side may take nothing of the output that is left. */
#define CONN_FINISH_MS 10000

enum conn_state {
    CONN_CONNECTING,
    CONN_HANDSHAKING, /* TLS only */
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
    size_t silent_bytes;     /* TLS: received since the last plain text */
    struct tls_channel *tls; /* owned; NULL: clear text */
    struct buffer output;
    struct input input;      /* unconsumed bytes */
    struct event readable;
    struct event writable;
    struct loop_task flush_task;
    struct loop_task input_task; /* offer kept input again */
    struct loop_task end_task;   /* deliver on_ended */
    struct loop_timer linger_timer;
    struct address remote;
};

/* ---- conn.c ---- */

/* Owes the owner an on_ended; only the first end counts. */
void conn_end_with(struct conn *conn, enum conn_end end);
void conn_enter_closed(struct conn *conn);
bool conn_is_finishing(const struct conn *conn);
/* Output that the kernel does not have yet, whether encrypted or not. */
bool conn_has_unsent(const struct conn *conn);
void conn_reset_on_close(struct conn *conn);
/* The end of conn_finish. Only from the loop. Output that never got out makes it a cut one, which must not look orderly. */
void conn_complete_finish(struct conn *conn);

/* ---- conn_output.c ---- */

/* Task: writes what the socket takes. */
void conn_run_flush(void *owner);
void conn_on_writable(evutil_socket_t fd, short what, void *argument);
/* Alerts and close_notify: sent if the socket takes them now, because there is no later. */
void conn_send_parting(struct conn *conn);
/* TLS: as far as what has arrived allows; tells the owner when that is the end of it. */
void conn_step_handshake(struct conn *conn);

/* ---- conn_input.c ---- */

/* Task: offers the kept input again. */
void conn_run_input(void *owner);
void conn_on_readable(evutil_socket_t fd, short what, void *argument);

#endif
