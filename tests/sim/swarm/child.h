#ifndef SLUICE_SIM_SWARM_CHILD_H
#define SLUICE_SIM_SWARM_CHILD_H
/*
 * A run in a process of its own, so that a crash is a result like any other, nothing of one run is seen by the next, and several cores can be used.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "swarm/run.h"

struct child {
    pid_t pid;     /* 0: none */
    int from;      /* the reading end of its pipe */
    char *report;  /* owned: what it said */
    size_t length;
    size_t capacity;
    struct plan plan;
};

/* False when there is no process or no memory for it. `is_quiet`: what the run prints is thrown away. */
bool child_start(struct child *child, const struct plan *plan, bool is_traced, bool is_quiet);
/* Reads what has come; false when it has ended: then `result` is set, "crash" or "hang" where it did not come to an end by itself. */
bool child_continue(struct child *child, struct run_result *result);
/* Each state that it reached; after child_continue said false. */
void child_each_reached(const struct child *child, void (*on_name)(void *owner, const char *name), void *owner);
void child_free(struct child *child);
/* Start to end. */
bool child_run(const struct plan *plan, bool is_traced, bool is_quiet, struct run_result *result);

#endif
