#ifndef SLUICE_WORKER_FLEET_H
#define SLUICE_WORKER_FLEET_H
/*
 * All workers together. fleet_create binds every address before any thread starts, so that a taken port is an error of the start.
 *
 * fleet_create -> fleet_start -> fleet_drain (everything ends by itself) -> fleet_stop (after the drain's time) -> fleet_destroy
 */
#include <stdbool.h>
#include <stddef.h>

struct classifier;
struct cluster;
struct fleet;
struct metrics;
struct topology;

/* NULL with a sentence in `reason`. `topology`, `classifier` and `cluster` must outlive the fleet. */
struct fleet *fleet_create(const struct topology *topology, const struct classifier *classifier,
                           struct cluster *cluster, char *reason, size_t capacity);
bool fleet_start(struct fleet *fleet);
void fleet_drain(struct fleet *fleet);
void fleet_stop(struct fleet *fleet);
/* Waits for all threads. */
void fleet_join(struct fleet *fleet);
void fleet_destroy(struct fleet *fleet);

/* Certificates of listeners are read again if their files have changed. One thread, at any time. */
void fleet_refresh_certificates(struct fleet *fleet);

size_t fleet_worker_count(const struct fleet *fleet);
const struct metrics *fleet_metrics(const struct fleet *fleet, size_t worker);
/* Open sessions of all workers: 0 after a drain is complete. */
size_t fleet_session_count(const struct fleet *fleet);

#endif
