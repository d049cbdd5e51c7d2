#ifndef SLUICE_WORKER_FLEET_H
#define SLUICE_WORKER_FLEET_H
/*
 * All workers together, and what they share of the process: its addresses, the TLS of its listeners, its limits. Control thread only.
 *
 * fleet_create binds every address before any thread starts, so that a taken port is an error of the start.
 *
 *   fleet_create -> fleet_start -> fleet_drain (everything ends by itself) -> fleet_stop (after the drain's time) -> fleet_destroy
 *
 * An epoch comes into force in two steps: what may fail (addresses, certificates, the access log, memory) is prepared first, and nothing has changed then;
 * fleet_apply hands it to the workers, and on_applied comes when each of them has taken it over.
 *
 *   fleet_prepare -> fleet_apply -> on_applied         or fleet_prepare -> fleet_discard
 */
#include <stdbool.h>
#include <stddef.h>

struct epoch;
struct fleet;
struct fleet_change;
struct loop;
struct metrics;

/* With `workers` threads, 0: one a core. NULL with a sentence in `reason`. */
struct fleet *fleet_create(struct loop *loop, struct epoch *epoch, unsigned workers, char *reason, size_t capacity);
bool fleet_start(struct fleet *fleet);
void fleet_drain(struct fleet *fleet);
void fleet_stop(struct fleet *fleet);
/* Waits for all threads. */
void fleet_join(struct fleet *fleet);
void fleet_destroy(struct fleet *fleet);

/* NULL with a sentence in `reason`. */
struct fleet_change *fleet_prepare(struct fleet *fleet, struct epoch *epoch, char *reason, size_t capacity);
/*
 * One change at a time. on_applied is called from the control thread's loop, when every worker has answered: `is_applied` is false when one of
 * them had no memory for it and goes on with what it had. The change is the fleet's from now on.
 */
void fleet_apply(struct fleet *fleet, struct fleet_change *change, void (*on_applied)(void *owner, bool is_applied), void *owner);
void fleet_discard(struct fleet *fleet, struct fleet_change *change);

/* Certificates of listeners are read again if their files have changed. */
void fleet_refresh_certificates(struct fleet *fleet);

size_t fleet_worker_count(const struct fleet *fleet);
const struct metrics *fleet_metrics(const struct fleet *fleet, size_t worker);
/* Open connections of all workers: 0 after a drain is complete. */
size_t fleet_session_count(const struct fleet *fleet);

#endif
