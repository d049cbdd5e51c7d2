#ifndef SLUICE_CONTROL_CONTROL_H
#define SLUICE_CONTROL_CONTROL_H
/*
 * The control thread: it is the main one, and probes, resolves, serves the admin listener, handles signals and ends the rest.
 *
 *   SIGTERM, SIGINT   drain: listeners close, idle connections close, exchanges under way finish; after timeouts.drain_ms what is left
 *                     is cut. A second signal cuts at once.
 *   SIGHUP, SIGUSR1, SIGUSR2   ignored, with a log line.
 */
struct classifier;
struct cluster;
struct topology;

/* Runs the router until it is told to stop. The exit status: 0 after a drain, 1 with the reason logged when it cannot start. */
int control_run(const struct topology *topology, const struct classifier *classifier, struct cluster *cluster);

#endif
