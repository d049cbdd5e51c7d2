#ifndef SLUICE_CONTROL_CONTROL_H
#define SLUICE_CONTROL_CONTROL_H
/*
 * The control thread: it is the main one, and probes, resolves, reads the configuration again, serves the admin listener, handles signals and
 * ends the rest.
 *
 *   SIGTERM, SIGINT   drain: listeners close, idle connections close, exchanges under way finish; after timeouts.drain_ms what is left
 *                     is cut. A second signal cuts at once.
 *   SIGHUP            reload: the files are read again (control/reload.h).
 *   SIGUSR1, SIGUSR2  ignored, with a log line.
 */
#include <stddef.h>

struct topology;

struct control_settings {
    const char *const *files;  /* ref: where the configuration is read from again */
    size_t file_count;
    struct topology *topology; /* what was read from them; a reference is taken */
};

/* Runs the router until it is told to stop. The exit status: 0 after a drain, 1 with the reason logged when it cannot start. */
int control_run(const struct control_settings *settings);

#endif
