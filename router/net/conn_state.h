#ifndef SLUICE_NET_CONN_STATE_H
#define SLUICE_NET_CONN_STATE_H
/*
 * A conn from the inside, for its files alone: conn.c is its life and its commands, conn_input.c and conn_output.c are its two directions, and
 * conn_state.c its ends. Calls go down in this order: conn, conn_input, conn_output, conn_state.
 */
#include "net/conn.h"
#include "net/input.h"
#include "net/loop.h"
#include "net/poller.h"
#include "net/tls_channel.h"

/* While finishing: how long the other side may take nothing of the output that is left. */
#define CONN_FINISH_MS 10000

/*
 *   CONNECTING --> HANDSHAKING (TLS) --> OPEN --conn_finish--> FINISHING --output is out--> LINGERING --peer closes, or time--> CLOSED
 *        |               |                |                        |                            |
 *        +---------------+----------------+ its end                +--nothing can be written----^
 *                        v
 *                      ENDED --conn_finish--> FINISHED --on_finished--> CLOSED
 *
 * conn_close and conn_abort lead from everywhere to CLOSED. An accepted conn goes from CONNECTING at once to what it is.
 */
enum conn_state {
    CONN_CONNECTING,
    CONN_HANDSHAKING, /* TLS only */
    CONN_OPEN,
    CONN_FINISHING, /* output, then shutdown */
    CONN_LINGERING, /* shut down; input is dropped until the other side closes */
    CONN_ENDED,     /* on_ended is owed or was given; nothing is read or written any more */
    CONN_FINISHED,  /* on_finished is owed; the same */
    CONN_CLOSED,    /* in the grave */
};

enum conn_input_state {
    CONN_INPUT_FLOWING,
    CONN_INPUT_PAUSED, /* by the owner */
    CONN_INPUT_CLOSED, /* OPEN, FINISHING: the other side has closed; it may still read what we have for it */
};

struct conn {
    struct loop *loop;
    const struct conn_events *events;
    void *owner;
    int fd;
    enum conn_state state;
    enum conn_input_state input_state;
    enum conn_end fin_means; /* an end of input: CLOSED; over TLS, and once a send has taken the reset away from the socket, RESET */
    enum conn_end end;       /* ENDED */
    bool is_held;            /* output waits for conn_flush */
    bool was_congested;      /* on_drained is owed */
    size_t high_water_bytes;
    size_t input_maximum_bytes;
    uint64_t sent_bytes;
    uint64_t linger_ms;
    size_t lingered_bytes;
    size_t silent_bytes;     /* TLS: received since the last plain text */
    struct tls_channel *tls; /* owned; NULL: clear text */
    struct buffer output;
    struct input input;      /* unconsumed bytes */
    struct watch readable;
    struct watch writable;
    struct end_watch ended;  /* added with the first pause, where on_peer_closed is wanted */
    struct loop_task flush_task;
    struct loop_task input_task; /* offer kept input again */
    struct loop_task end_task;   /* deliver on_ended */
    struct loop_timer linger_timer;
    struct address remote;
};

/* The only writer of the state, which begins as CONNECTING. */
void conn_enter(struct conn *conn, enum conn_state next);

static inline bool conn_is_finishing(const struct conn *conn)
{
    return conn->state == CONN_FINISHING || conn->state == CONN_LINGERING;
}

/* Nothing is read or written any more. */
static inline bool conn_is_over(const struct conn *conn)
{
    return conn->state >= CONN_ENDED;
}

/* Owes the owner an on_ended; only the first end counts. Never while it finishes: there an end leads to conn_complete_finish at once. */
void conn_end_with(struct conn *conn, enum conn_end end);
/* Task: delivers it. */
void conn_run_end(void *owner);
void conn_enter_closed(struct conn *conn);
/* Output that the kernel does not have yet, whether encrypted or not. */
bool conn_has_unsent(const struct conn *conn);
void conn_reset_on_close(struct conn *conn);
/* The end of conn_finish. Only from the loop. Output that never got out makes it a cut one, which must not look orderly. */
void conn_complete_finish(struct conn *conn);

#endif
