#ifndef SLUICE_WORKER_WORKER_H
#define SLUICE_WORKER_WORKER_H
/*
 * One thread with everything it needs: loop, listening sockets, sessions, exchanges, pools. Here the tables by which lower floors call
 * up are joined. Workers share epochs, the atomics of the roster, TLS contexts and the process's limits, and nothing else.
 *
 * worker_create (control thread) -> worker_start -> worker_apply ... -> worker_drain -> worker_stop -> worker_join -> worker_destroy
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "worker/listeners.h"

struct access_log;
struct epoch;
struct metrics;
struct worker;

/*
 * An epoch that comes into force in one worker. The worker takes over the sockets of `listeners` (one entry for each of the epoch's listeners) and
 * the access log; the rest stays the caller's until on_applied, which the worker's thread calls: is_applied is false when memory was out, and then the worker
 * goes on with the epoch that it had.
 */
struct worker_change {
    struct epoch *epoch;                    /* ref */
    const struct listener_plan *listeners;  /* ref */
    bool changes_access_log;                /* to `access_log`; else the worker keeps what it has */
    struct access_log *access_log;          /* NULL: none */
    void (*on_applied)(void *owner, bool is_applied);
    void *owner;
};

struct worker_settings {
    unsigned index;
    struct connection_limit *limit;         /* ref: of the process */
    const struct worker_change *change;     /* the first epoch; on_applied is not called */
};

/* NULL with *reason set when something cannot be made; the sockets and the access log are closed then. */
struct worker *worker_create(const struct worker_settings *settings, const char **reason);
/* Starts the thread; all signals are blocked in it. */
bool worker_start(struct worker *worker);
/* From the control thread, which waits for on_applied before the next one: brings another epoch into force. `change` must stay until then. */
void worker_apply(struct worker *worker, const struct worker_change *change);
/* From any thread: take no new connections, finish what is under way, then end the thread. */
void worker_drain(struct worker *worker);
/* From any thread: cut what is under way and end the thread. */
void worker_stop(struct worker *worker);
void worker_join(struct worker *worker);
void worker_destroy(struct worker *worker);

/* This worker's counters, readable from any thread. */
const struct metrics *worker_metrics(const struct worker *worker);
/* Connections open now; readable from any thread. */
size_t worker_session_count(const struct worker *worker);

#endif
