#ifndef SLUICE_WORKER_WORKER_H
#define SLUICE_WORKER_WORKER_H
/*
 * One thread with everything it needs: loop, listening sockets, sessions, exchanges, pools. Here the tables by which lower floors call
 * up are joined. Workers share the immutable topology and classifier, the cluster's atomics, and nothing else.
 *
 * worker_create (main thread) -> worker_start -> worker_drain -> worker_stop -> worker_join -> worker_destroy
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct classifier;
struct cluster;
struct metrics;
struct tls_server;
struct topology;
struct worker;

struct worker_settings {
    const struct topology *topology;     /* ref */
    const struct classifier *classifier; /* ref */
    struct cluster *cluster;             /* ref */
    unsigned index;
    size_t connections_maximum;          /* sessions at a time; accepting rests above it */
    struct tls_server *const *tls;       /* ref: one per topology->listeners, NULL for clear text; shared by all workers */
    const int *fds;                      /* one bound socket per topology->listeners; taken over */
};

/* NULL with *reason set when something cannot be made; the fds are closed then. */
struct worker *worker_create(const struct worker_settings *settings, const char **reason);
/* Starts the thread; all signals are blocked in it. */
bool worker_start(struct worker *worker);
/* From any thread: take no new connections, finish what is under way, then end the thread. */
void worker_drain(struct worker *worker);
/* From any thread: cut what is under way and end the thread. */
void worker_stop(struct worker *worker);
void worker_join(struct worker *worker);
void worker_destroy(struct worker *worker);

/* This worker's counters, readable from any thread. */
const struct metrics *worker_metrics(const struct worker *worker);
/* Sessions open now; readable from any thread. */
size_t worker_session_count(const struct worker *worker);

#endif
